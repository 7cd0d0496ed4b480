"""Reads a display's memory without the driver: none of its conversion, rotation or QR code is used.

For `sim://` it reads the file, for `fb://` the device (by read(), not by the driver's mapping; the kernel reports the
format). `drm://` memory belongs to the driver alone: use the card's capture or a camera there.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from sco_drivers.urls import DeviceUrl

if TYPE_CHECKING:
    from PIL.Image import Image

    from sco_drivers.screen import Screen

Field = tuple[int, int]
"""Lowest bit and number of bits of a colour."""

RAW_FORMATS: dict[str, tuple[int, Field, Field, Field]] = {
    "rgb332": (8, (5, 3), (2, 3), (0, 2)),
    "xrgb1555": (16, (10, 5), (5, 5), (0, 5)),
    "rgb565": (16, (11, 5), (5, 6), (0, 5)),
    "bgr565": (16, (0, 5), (5, 6), (11, 5)),
    "rgb888": (24, (16, 8), (8, 8), (0, 8)),
    "bgr888": (24, (0, 8), (8, 8), (16, 8)),
    "xrgb8888": (32, (16, 8), (8, 8), (0, 8)),
    "argb8888": (32, (16, 8), (8, 8), (0, 8)),
    "xbgr8888": (32, (0, 8), (8, 8), (16, 8)),
    "abgr8888": (32, (0, 8), (8, 8), (16, 8)),
    "rgbx8888": (32, (24, 8), (16, 8), (8, 8)),
    "bgrx8888": (32, (8, 8), (16, 8), (24, 8)),
    "xrgb2101010": (32, (20, 10), (10, 10), (0, 10)),
    "gray8": (8, (0, 8), (0, 8), (0, 8)),
    "mono": (1, (0, 1), (0, 1), (0, 1)),
    "mono-inverted": (1, (0, 1), (0, 1), (0, 1)),
}
"""The pixel formats, independent of the driver's table: bits a pixel, red, green, blue."""
_WORD = {8: "B", 16: "H", 32: "I"}
"""Of `struct`, by bits a pixel."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A display's visible memory.

    Attributes:
        data: from the first visible pixel.
        width, height: px of the device.
        stride: bytes a row.
        bits: bits a pixel; 1 means eight pixels a byte, the leftmost in the highest bit.
        fields: red, green, blue.
        inverted: a set bit is black.
        rotate: degrees clockwise by which the picture is rotated in memory.
    """

    data: bytes
    width: int
    height: int
    stride: int
    bits: int
    fields: tuple[Field, Field, Field]
    inverted: bool = False
    rotate: int = 0

    def words(self) -> list[list[int]]:
        """The pixel values, row by row."""
        found = []
        for row in range(self.height):
            line = self.data[row * self.stride : row * self.stride + -(-self.width * self.bits // 8)]
            if self.bits == 1:
                found.append([line[at // 8] >> (7 - at % 8) & 1 for at in range(self.width)])
            elif self.bits == 24:
                octets = zip(line[::3], line[1::3], line[2::3], strict=True)
                found.append([low | middle << 8 | high << 16 for low, middle, high in octets])
            else:
                found.append(list(struct.unpack(f"<{self.width}{_WORD[self.bits]}", line)))
        return found

    def picture(self) -> Image:
        """The picture as the customer sees it, RGB."""
        from PIL import Image

        lines = self.words()
        colours = {word: self._colour(word) for word in {word for line in lines for word in line}}
        pixels = b"".join(colours[word] for line in lines for word in line)
        return Image.frombytes("RGB", (self.width, self.height), pixels).rotate(self.rotate, expand=True)

    def _colour(self, word: int) -> bytes:
        shown = word ^ 1 if self.inverted else word
        levels = ((shown >> offset & (1 << length) - 1, (1 << length) - 1) for offset, length in self.fields)
        return bytes(round(level * 255 / full) for level, full in levels)


def why_not_readable(url: str) -> str:
    """Why the memory of the screen at `url` cannot be read without the driver; empty if it can."""
    found, _ = DeviceUrl.read(url)
    readable = found is not None and found.scheme in ("sim", "fb")
    return "" if readable else "only the driver can read this display's memory"


def readback_of(screen: Screen) -> Callable[[], Raw] | None:
    """A function that reads the memory of `screen`; None if only the driver can."""
    simulator = getattr(screen, "simulator", None)
    url = urlsplit(str(simulator.url if simulator is not None else screen.url).removeprefix("spy+"))
    asked = {name: values[-1] for name, values in parse_qs(url.query).items()}
    rotate, path = int(asked.get("rotate", 0)), unquote(url.path)
    if url.scheme == "sim":
        wide, high = (int(word) for word in asked["size"].split("x"))
        bits, *fields = RAW_FORMATS[asked["format"]]
        stride = int(asked.get("stride", -(-wide * bits // 8)))
        red, green, blue = fields
        inverted = asked["format"] == "mono-inverted"

        def read() -> Raw:
            data = Path(path).read_bytes()
            return Raw(data, wide, high, stride, bits, (red, green, blue), inverted, rotate)

        return read
    if url.scheme == "fb":
        return lambda: _framebuffer(path, rotate)
    return None


def _framebuffer(path: str, rotate: int) -> Raw:
    """Read the device with the format that the kernel reports (include/uapi/linux/fb.h)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        variable, fixed = bytearray(160), bytearray(80)
        fcntl.ioctl(fd, 0x4600, variable)
        fcntl.ioctl(fd, 0x4602, fixed)
        word = struct.unpack("=40I", variable)
        wide, high, x, y, bits = word[0], word[1], word[4], word[5], word[6]
        # smem_start and the lengths are longs: line_length lies at 48 on a 64-bit machine, at 44 on a 32-bit one.
        at = 48 if struct.calcsize("L") == 8 else 44
        (line,) = struct.unpack_from("=I", fixed, at)
        (visual,) = struct.unpack_from("=I", fixed, at - 12)
        start = y * line + x * bits // 8
        data = bytearray()
        while len(data) < line * high:
            part = os.pread(fd, line * high - len(data), start + len(data))
            if not part:
                break
            data += part
    finally:
        os.close(fd)
    red, green, blue = ((word[at], word[at + 1]) for at in (8, 11, 14))
    if bits == 8 and (word[7] == 1 or visual == 3):  # a palette, which the driver has set to gray
        red = green = blue = (0, 8)
    if bits == 1:
        red = green = blue = (0, 1)
    return Raw(bytes(data), wide, high, line, bits, (red, green, blue), visual == 0, rotate)
