"""Every format against a slow conversion that shares no code with the fast one, pixel for pixel."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sco_drivers.screen import formats, palette
from sco_drivers.screen.formats import FORMATS, Bits, PixelFormat, from_bitfields
from sco_drivers.screen.theme import contrast

WIDTH, HEIGHT = 51, 7  # odd: rows of 1-bit pixels do not end on a byte


def noise() -> Image.Image:
    return Image.frombytes("L", (WIDTH, HEIGHT), bytes((n * 31 + n // 256) % 256 for n in range(WIDTH * HEIGHT)))


def reference(form: PixelFormat, image: Image.Image) -> bytes:
    """By the definition of the bitfields, a pixel at a time."""
    rows = bytearray()
    for y in range(image.height):
        bits = 0
        line = bytearray()
        for x in range(image.width):
            colour = palette.table()[image.getpixel((x, y))]
            if form.gray:
                luma = int(Fraction(299 * colour[0] + 587 * colour[1] + 114 * colour[2], 1000) + Fraction(1, 2))
                word = luma if form.bits == 8 else int((luma >= 128) ^ form.inverted)
            else:
                word = 0
                for level, field in zip(colour, (form.red, form.green, form.blue), strict=True):
                    scaled = Fraction(level * (2**field.length - 1), 255)
                    word |= int(scaled + Fraction(1, 2)) << field.offset
                for bit in range(form.alpha.length):
                    word |= 1 << (form.alpha.offset + bit)
            if form.bits == 1:
                bits = bits << 1 | word
            else:
                line += word.to_bytes(form.bits // 8, "little")
        if form.bits == 1:
            spare = -image.width % 8
            line += (bits << spare).to_bytes((image.width + 7) // 8, "big")
        rows += line
    return bytes(rows)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_rows_equal_the_reference(form: PixelFormat) -> None:
    native = form.rows(noise())
    expected = reference(form, noise())
    if form.bits == 1:  # the bits after the last pixel mean nothing
        spare = (0xFF << -WIDTH % 8) & 0xFF
        line = form.row_bytes(WIDTH)
        for data in (native := bytearray(native), expected := bytearray(expected)):
            for end in range(line - 1, len(data), line):
                data[end] &= spare
    assert bytes(native) == bytes(expected)


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_picture_of_many_bands_is_that_of_one(form: PixelFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = form.rows(noise())
    monkeypatch.setattr(formats, "_BAND", 3 * WIDTH + 1)
    assert form.rows(noise()) == whole


@st.composite
def colour_fields(draw: st.DrawFn) -> PixelFormat:
    bits = draw(st.sampled_from([16, 24, 32]))
    order = draw(st.permutations([0, 1, 2, 3]))
    lengths = [draw(st.integers(1, 8 if bits > 16 else 5)) for _ in range(3)]
    lengths.append(draw(st.integers(0, min(1, bits - sum(lengths)))))
    fields = [Bits()] * 4
    offset = draw(st.integers(0, bits - sum(lengths)))
    for which in order:
        fields[which] = Bits(offset, lengths[which]) if lengths[which] else Bits()
        offset += lengths[which]
    form = from_bitfields(bits, *fields)
    assert form is not None
    return form


@given(form=colour_fields())
@settings(max_examples=40)
def test_any_bitfields_equal_the_reference(form: PixelFormat) -> None:
    assert form.rows(noise()) == reference(form, noise())


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_memory_is_read_back_as_what_was_written(form: PixelFormat) -> None:
    stride = form.row_bytes(WIDTH) + 5
    native = form.rows(noise())
    line = form.row_bytes(WIDTH)
    memory = b"".join(native[at : at + line] + b"\xa5" * 5 for at in range(0, len(native), line))
    seen = form.image(memory, WIDTH, HEIGHT, stride)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            colour = palette.table()[noise().getpixel((x, y))]
            if form.gray:
                luma = form.pixel(colour)
                level = luma if form.bits == 8 else 255 * (luma != form.inverted)
                assert seen.getpixel((x, y)) == (level, level, level)
            else:
                for got, want, field in zip(
                    seen.getpixel((x, y)), colour, (form.red, form.green, form.blue), strict=True
                ):
                    assert abs(got - want) <= 255 / (2**field.length - 1) / 2 + 1


@pytest.mark.parametrize(
    ("bits", "fields", "name"),
    [
        (16, (Bits(11, 5), Bits(5, 6), Bits(0, 5), Bits()), "rgb565"),
        (32, (Bits(16, 8), Bits(8, 8), Bits(0, 8), Bits()), "xrgb8888"),
        (32, (Bits(16, 8), Bits(8, 8), Bits(0, 8), Bits(24, 8)), "argb8888"),
        (24, (Bits(0, 8), Bits(8, 8), Bits(16, 8), Bits()), "bgr888"),
        (8, (Bits(0, 8), Bits(0, 8), Bits(0, 8), Bits()), "gray8"),
        (1, (Bits(0, 1), Bits(0, 1), Bits(0, 1), Bits()), "mono"),
    ],
)
def test_usual_bitfields_have_their_names(bits: int, fields: tuple[Bits, Bits, Bits, Bits], name: str) -> None:
    form = from_bitfields(bits, *fields)
    assert form is FORMATS[name]


@pytest.mark.parametrize(
    ("bits", "fields"),
    [
        (4, (Bits(0, 4), Bits(0, 4), Bits(0, 4))),
        (16, (Bits(11, 5), Bits(10, 6), Bits(0, 5))),  # red and green overlap
        (16, (Bits(12, 5), Bits(5, 6), Bits(0, 5))),  # red leaves the word
        (16, (Bits(11, 5), Bits(5, 6), Bits())),  # no blue
        (64, (Bits(32, 16), Bits(16, 16), Bits(0, 16))),
    ],
)
def test_invalid_bitfields_give_no_format(bits: int, fields: tuple[Bits, Bits, Bits]) -> None:
    assert from_bitfields(bits, *fields) is None


def test_every_text_and_sign_has_the_contrast_of_wcag_aa() -> None:
    texts = [pair for pair in palette.Pair if pair.name not in ("PAGE_WHITE", "LINE_WHITE")]
    for pair in texts:
        assert contrast(*palette.COLOURS[pair]) >= 4.5, pair
    assert contrast(*palette.COLOURS[palette.Pair.PAGE_LINE]) >= 3  # the edge of a button
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
