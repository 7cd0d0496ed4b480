"""Text -> matrix, read back by a decoder that is not the encoder's."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import segno
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sco_drivers import qr, qr_mask, qr_symbol


def picture(matrix: qr.QrMatrix, module: int = 4) -> Image.Image:
    full = matrix.full_size
    image = Image.new("L", (full, full), 255)
    cells = bytes(0 if cell else 255 for row in matrix.rows for cell in row)
    image.paste(Image.frombytes("L", (matrix.size, matrix.size), cells), (qr.QUIET_ZONE, qr.QUIET_ZONE))
    return image.resize((full * module, full * module), Image.Resampling.NEAREST)


@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
def test_reads_back_at_the_level_asked_for(level: qr.ErrorLevel) -> None:
    text = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
    found = zxingcpp.read_barcodes(picture(qr.encode(text, level)))
    assert [(one.text, one.ec_level) for one in found] == [(text, level)]


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=150))
@settings(max_examples=50, deadline=None)
def test_any_link_reads_back(text: str) -> None:
    found = zxingcpp.read_barcodes(picture(qr.encode(text)))
    assert [one.text for one in found] == [text]


def test_full_size_counts_the_quiet_zone() -> None:
    matrix = qr.encode("x")
    assert matrix.size == 21
    assert matrix.full_size == 29
    assert all(len(row) == 21 and set(row) <= {0, 1} for row in matrix.rows)


@pytest.mark.parametrize(("level", "most"), qr.MAX_BYTES.items())
def test_too_long_and_empty_are_refused(level: qr.ErrorLevel, most: int) -> None:
    assert qr.encode("a" * most, level).size == 177
    with pytest.raises(ValueError, match=str(most)):
        qr.encode("a" * (most + 1), level)
    with pytest.raises(ValueError, match="nothing"):
        qr.encode("", level)


def plain_penalty(rows: list[bytes]) -> int:
    """Table 11 of ISO/IEC 18004, a line at a time."""
    size = len(rows)
    total = 10 * int(abs(sum(map(sum, rows)) * 100 / size**2 - 50) / 5)
    for lines in (rows, [bytes(column) for column in zip(*rows, strict=True)]):
        for line in lines:
            for run in re.findall(b"\x00+|\x01+", line):
                total += len(run) - 2 if len(run) >= 5 else 0
            outside = bytes(4) + line + bytes(4)
            for at in range(len(line) - 6):
                if line[at : at + 7] == b"\1\0\1\1\1\0\1" and (
                    not any(outside[at : at + 4]) or not any(outside[at + 11 : at + 15])
                ):
                    total += 40
    for y in range(size - 1):
        for x in range(size - 1):
            total += 3 * (rows[y][x] == rows[y][x + 1] == rows[y + 1][x] == rows[y + 1][x + 1])
    return total


@given(
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=150),
    st.sampled_from(["L", "M", "Q", "H"]),
)
@settings(max_examples=15, deadline=None)
def test_mask_is_the_one_that_the_standard_chooses(text: str, level: qr.ErrorLevel) -> None:
    chosen = list(qr.encode(text, level).rows)
    every = [
        [bytes(row) for row in segno.make_qr(text, error=level.lower(), mask=mask, boost_error=False).matrix]
        for mask in range(8)
    ]
    assert chosen in every
    assert plain_penalty(chosen) == min(map(plain_penalty, every))
    digits = "".join(str(cell) for row in chosen for cell in row)
    assert qr_mask.penalty(digits, len(chosen)) == plain_penalty(chosen)


@pytest.mark.parametrize("level", ["L", "M", "Q", "H"])
@pytest.mark.parametrize("version", range(1, 41))
def test_byte_mode_symbols_are_those_of_the_general_encoder(version: int, level: qr.ErrorLevel) -> None:
    room = qr_symbol.room(version, level)
    lengths = {room - room // 8, room - 1, room} if version < 12 else {room}
    for length in lengths:
        text = "".join(chr(0x21 + (5 * at + version) % 94) for at in range(length))
        made = segno.make_qr(text, error=level.lower(), mask=0, boost_error=False)
        assert qr_symbol.first_mask(text, level) == (made.version, qr_mask.packed(made.matrix))


@pytest.mark.parametrize(("version", "level"), [(1, "L"), (2, "M"), (6, "M"), (7, "Q"), (13, "H"), (22, "L")])
def test_masks_are_those_of_the_general_encoder(version: int, level: str) -> None:
    made = [
        qr_mask.packed(segno.make_qr("a", version=version, error=level.lower(), mask=mask, boost_error=False).matrix)
        for mask in range(8)
    ]
    rows, columns = made[0]
    assert list(qr_symbol.changes(version, level)) == [(one[0] ^ rows, one[1] ^ columns) for one in made]


def test_texts_of_other_modes_are_left_to_the_general_encoder() -> None:
    for text in ("0123456789", "HTTPS://QR.NSPK.RU/A", "Оплата", "é"):
        assert qr_symbol.first_mask(text, "M") is None
        assert [one.text for one in zxingcpp.read_barcodes(picture(qr.encode(text)))] == [text]


def test_a_link_loads_no_general_encoder() -> None:
    program = "import sys; from sco_drivers import qr; qr.encode('https://qr.nspk.ru/A'); print('segno' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "False"
