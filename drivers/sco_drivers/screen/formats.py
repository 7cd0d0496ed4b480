"""Pixel formats: the bits for red, green and blue in a pixel, and the conversion of palette images into such pixels.

A format is taken from the device's bitfields, never from its depth alone. Every conversion is one table of 256 native
pixels, made by `PixelFormat.pixel`, and a fast way to put them into rows. Little-endian hosts only, as all kiosks are.
No dithering: text and codes stay sharp.

Names are those of DRM: the colours from the highest bit to the lowest of a little-endian word, so that `xrgb8888` lies
in memory as B, G, R, X.
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from sco_drivers.screen import palette
from sco_drivers.screen.theme import Rgb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image


_BAND = 1 << 16
"""Pixels that are converted at once: small enough for the intermediate image to stay in the cache."""


@dataclass(frozen=True, slots=True)
class Bits:
    """The place of a colour in the pixel's word: `length` bits from bit `offset` (0 is the lowest) up."""

    offset: int = 0
    length: int = 0

    def place(self, level: int) -> int:
        """A level of 0..255, rounded to this many bits, in its place."""
        top = (1 << self.length) - 1
        return (level * top + 127) // 255 << self.offset

    def level(self, word: int) -> int:
        """The level 0..255 that a pixel's word has here."""
        top = (1 << self.length) - 1
        return ((word >> self.offset & top) * 255 + top // 2) // top if top else 0


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How one pixel is stored in memory.

    Attributes:
        name: for messages and URLs.
        bits: bits a pixel with its padding: 1, 8, 16, 24 or 32.
        red, green, blue: the bitfields; all empty for gray and 1-bit formats.
        alpha: set to opaque where the device has it.
        inverted: 1-bit only: a set bit is black.
    """

    name: str
    bits: int
    red: Bits = Bits()
    green: Bits = Bits()
    blue: Bits = Bits()
    alpha: Bits = Bits()
    inverted: bool = False

    @property
    def gray(self) -> bool:
        """Whether the pixel has only a brightness."""
        return not self.red.length

    def row_bytes(self, pixels: int) -> int:
        """Bytes for so many pixels, rounded up."""
        return (pixels * self.bits + 7) // 8

    def pixel(self, colour: Rgb) -> int:
        """The word of one pixel of `colour`: faster conversions must give the same."""
        red, green, blue = colour
        if self.gray:
            luma = (299 * red + 587 * green + 114 * blue + 500) // 1000
            return luma if self.bits == 8 else int((luma >= 128) != self.inverted)
        opaque = ((1 << self.alpha.length) - 1) << self.alpha.offset
        return self.red.place(red) | self.green.place(green) | self.blue.place(blue) | opaque

    def colour(self, word: int) -> Rgb:
        """The colour of a pixel's word."""
        if self.gray:
            luma = word & 0xFF if self.bits == 8 else 255 * ((word & 1) != self.inverted)
            return luma, luma, luma
        return self.red.level(word), self.green.level(word), self.blue.level(word)

    def native(self, colour: Rgb) -> bytes:
        """One pixel of `colour` as stored in memory; for formats with at least 8 bits."""
        return self.pixel(colour).to_bytes(self.bits // 8, "little")

    def rows(self, image: Image, colours: tuple[Rgb, ...] | None = None) -> bytes:
        """A palette image (mode L) as native rows without padding between them.

        Args:
            image: one index a pixel.
            colours: 256 colours; those of `palette.table` by default.
        """
        words = _words(self, colours or palette.table())
        wide, high = image.size
        lines = max(1, _BAND // wide)
        if lines >= high:
            return self._band(image, words)
        tops = range(0, high, lines)
        return b"".join([self._band(image.crop((0, top, wide, min(high, top + lines))), words) for top in tops])

    def _band(self, image: Image, words: list[int]) -> bytes:
        if self.bits == 1:
            return image.point(words, "1").tobytes()
        if self.bits == 8:
            return image.point(words).tobytes()
        if self.bits == 16:
            return image.point(words, "I").convert("I;16").tobytes()
        if self.bits == 24:
            return image.point(words, "RGB").tobytes()
        return image.point(words, "I").tobytes()

    def image(self, memory: bytes | memoryview, width: int, height: int, stride: int) -> Image:
        """What the device's memory shows, as an RGB image. For pictures and tests: simple, not fast."""
        from PIL import Image

        size = self.row_bytes(width)
        rows = [bytes(memory[y * stride : y * stride + size]) for y in range(height)]
        shown: dict[int, bytes] = {}
        seen = {row: self._row(row, width, shown) for row in set(rows)}  # few rows of a page differ
        return Image.frombytes("RGB", (width, height), b"".join([seen[row] for row in rows]))

    def _row(self, row: bytes, width: int, shown: dict[int, bytes]) -> bytes:
        """RGB of a row in memory; `shown` collects that of every word."""
        if self.bits == 1:
            words: Sequence[int] = [row[x >> 3] >> (7 - x & 7) & 1 for x in range(width)]
        elif self.bits == 24:
            words = [low | middle << 8 | high << 16 for low, middle, high in zip(*[iter(row)] * 3, strict=True)]
        else:
            words = array({8: "B", 16: "H", 32: "I"}[self.bits], row)
        for word in set(words) - shown.keys():
            shown[word] = bytes(self.colour(word))
        return b"".join([shown[word] for word in words])


@lru_cache(maxsize=32)
def _words(form: PixelFormat, colours: tuple[Rgb, ...]) -> list[int]:
    """The look-up table of `form` as Pillow's `point` expects it."""
    words = [form.pixel(colour) for colour in colours]
    if form.bits == 1:
        return [255 * word for word in words]
    if form.bits == 24:  # three tables, one for each byte in memory
        return [word >> shift & 0xFF for shift in (0, 8, 16) for word in words]
    if form.bits == 32:  # Pillow's 32-bit integers are signed
        return [word - (1 << 32) if word >> 31 else word for word in words]
    return words


def _rgb(name: str, bits: int, red: int, green: int, blue: int, *, length: int = 8, alpha: int = 0) -> PixelFormat:
    return PixelFormat(
        name, bits, Bits(red, length), Bits(green, length), Bits(blue, length), Bits(24, alpha) if alpha else Bits()
    )


_NAMED = (
    PixelFormat("mono", 1),
    PixelFormat("mono-inverted", 1, inverted=True),
    PixelFormat("gray8", 8),
    PixelFormat("rgb332", 8, Bits(5, 3), Bits(2, 3), Bits(0, 2)),
    PixelFormat("xrgb1555", 16, Bits(10, 5), Bits(5, 5), Bits(0, 5)),
    PixelFormat("rgb565", 16, Bits(11, 5), Bits(5, 6), Bits(0, 5)),
    PixelFormat("bgr565", 16, Bits(0, 5), Bits(5, 6), Bits(11, 5)),
    _rgb("rgb888", 24, 16, 8, 0),
    _rgb("bgr888", 24, 0, 8, 16),
    _rgb("xrgb8888", 32, 16, 8, 0),
    _rgb("argb8888", 32, 16, 8, 0, alpha=8),
    _rgb("xbgr8888", 32, 0, 8, 16),
    _rgb("abgr8888", 32, 0, 8, 16, alpha=8),
    _rgb("rgbx8888", 32, 24, 16, 8),
    _rgb("bgrx8888", 32, 8, 16, 24),
    _rgb("xrgb2101010", 32, 20, 10, 0, length=10),
)
FORMATS: dict[str, PixelFormat] = {form.name: form for form in _NAMED}
"""The formats that have a name. A device may have others: see `from_bitfields`."""


def from_bitfields(
    bits: int, red: Bits, green: Bits, blue: Bits, alpha: Bits = Bits(), *, inverted: bool = False
) -> PixelFormat | None:
    """The format that a device describes, with its usual name if it has one; None if it is not supported.

    Equal or empty colour fields mean gray.
    """
    if bits == 1:
        return FORMATS["mono-inverted" if inverted else "mono"]
    if bits == 8 and red == green == blue:
        return FORMATS["gray8"]
    if bits not in (8, 16, 24, 32):
        return None
    fields = [field for field in (red, green, blue, alpha) if field.length]
    if not (red.length and green.length and blue.length):
        return None
    taken = 0
    for field in fields:
        mask = ((1 << field.length) - 1) << field.offset
        if field.length > 16 or field.offset + field.length > bits or taken & mask:
            return None
        taken |= mask
    for form in _NAMED:
        if (form.bits, form.red, form.green, form.blue, form.alpha) == (bits, red, green, blue, alpha):
            return form
    name = f"{bits}bit-r{red.offset}:{red.length}-g{green.offset}:{green.length}-b{blue.offset}:{blue.length}"
    return PixelFormat(name, bits, red, green, blue, alpha)
