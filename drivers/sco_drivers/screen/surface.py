"""Pictures -> a display's memory: rotation, native rows, and the code drawn directly into them.

Everything here is px and bytes; scenes are handled by `renderer`.
"""

from __future__ import annotations

import itertools
import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sco_drivers.qr import QUIET_ZONE, QrMatrix
from sco_drivers.screen import Box, palette
from sco_drivers.screen.memory import Geometry, Rotation, Rows
from sco_drivers.screen.paint import RING, paint_code
from sco_drivers.screen.theme import DEFAULT_THEME, Rgb

if TYPE_CHECKING:
    from PIL.Image import Image

_PIECE = 1 << 16
"""Bytes that are copied at once: few enough to stay in the processor's cache."""


def _canvas(size: tuple[int, int]) -> Image:
    from PIL import Image

    return Image.new("L", size)


@dataclass(frozen=True, slots=True)
class Moving:
    """The frames of an animation in one place, as native bytes.

    Attributes:
        box: the place, in the device's px.
        frames: the frames one after another; of each only the bytes at `pieces`. A separate mapping, since it is the
            largest and a short-lived part of a screen's memory: the system gets all of it back.
        count: number of frames.
        pieces: slices of memory, and of a frame.
    """

    box: Box
    frames: mmap.mmap
    count: int
    pieces: tuple[tuple[slice, slice], ...]

    def show(self, rows: Rows, number: int) -> Box:
        """Copy frame `number` into memory. Returns the box that was written, in the device's px."""
        size = len(self.frames) // self.count
        with memoryview(self.frames) as frames, frames[number * size : (number + 1) * size] as frame:
            for place, source in self.pieces:
                rows[place] = frame[source]
        return self.box


class Surface:
    """Maps a picture in the viewer's orientation into a memory of `geometry`, turned by `rotation`."""

    def __init__(self, geometry: Geometry, rotation: Rotation) -> None:
        self.geometry = geometry
        self.rotation: Rotation = rotation
        size = geometry.width, geometry.height
        self.size: tuple[int, int] = size if rotation in (0, 180) else (size[1], size[0])
        """Width and height in px in the viewer's orientation."""
        self.theme = DEFAULT_THEME
        """Whose colours are drawn; on a display of one bit a pixel the default ones, whatever the theme is."""
        self._shared = _canvas(self.size) if geometry.format.bits < 8 else None
        # Where pixels share a byte with their neighbours, the whole picture is kept, to write whole bytes.

    def to_device(self, box: Box) -> Box:
        """A box of the viewer's orientation in the device's px."""
        wide, high = self.geometry.width, self.geometry.height
        if self.rotation == 90:
            return Box(wide - box.y - box.height, box.x, box.height, box.width)
        if self.rotation == 180:
            return Box(wide - box.x - box.width, high - box.y - box.height, box.width, box.height)
        if self.rotation == 270:
            return Box(box.y, high - box.x - box.width, box.height, box.width)
        return box

    def to_upright(self, box: Box) -> Box:
        """A device's box in the viewer's orientation."""
        back: Rotation = {90: 270, 270: 90}.get(self.rotation, self.rotation)  # type: ignore[assignment]
        turned = Surface(Geometry(*self.size, 0, self.geometry.format), back)
        return turned.to_device(box)

    def turned(self, image: Image) -> Image:
        """`image` as stored in memory."""
        from PIL.Image import Transpose

        turns = {90: Transpose.ROTATE_270, 180: Transpose.ROTATE_180, 270: Transpose.ROTATE_90}
        return image.transpose(turns[self.rotation]) if self.rotation else image

    def upright(self, image: Image) -> Image:
        """The inverse of `turned`."""
        from PIL.Image import Transpose

        turns = {90: Transpose.ROTATE_90, 180: Transpose.ROTATE_180, 270: Transpose.ROTATE_270}
        return image.transpose(turns[self.rotation]) if self.rotation else image

    def page(self, rows: Rows, ground: int, code: tuple[Box, QrMatrix, int] | None = None) -> None:
        """Fill all of `rows` with the palette's colour `ground`, and draw a code: each row is written once.

        Args:
            rows: the destination.
            ground: index of `palette.table`.
            code: its box (viewer's px), its matrix, px per module.
        """
        if self._shared is not None:
            self._shared.paste(ground, (0, 0, *self.size))
            if code is not None:
                self._shared.paste(paint_code(code[1], code[2]), (code[0].x, code[0].y))
            self._blit(rows, Box(0, 0, self.geometry.width, self.geometry.height), self._native(self._shared))
            return
        geometry = self.geometry
        pixel = geometry.format.native(palette.table(self.theme)[ground])
        blank = (pixel * geometry.width).ljust(geometry.stride, b"\0")
        at, bottom = 0, 0
        if code is not None:
            box = self.to_device(code[0])
            at = _repeat(rows, at, blank, box.y)
            left, right = pixel * box.x, (pixel * (geometry.width - box.x - box.width)).ljust(geometry.stride, b"\0")
            for line, count in self._code_lines(code[1], code[2]):
                at = _repeat(rows, at, (left + line + right)[: geometry.stride], count)
            bottom = box.y + box.height
        _repeat(rows, at, blank, geometry.height - bottom)

    def _code_lines(self, matrix: QrMatrix, module: int) -> Iterator[tuple[bytes, int]]:
        """The code's native rows, from the top, with its quiet zone, and how often each is repeated."""
        form = self.geometry.format
        light, dark = form.native((255, 255, 255)) * module, form.native((0, 0, 0)) * module
        # Two byte values that light px do not contain are placeholders for the modules.
        marks = bytes(itertools.islice((byte for byte in range(256) if byte not in light), 2))
        table = bytes.maketrans(b"\0\1", marks)
        border, blank = light * QUIET_ZONE, light * matrix.full_size
        # A turned code is the code of a turned matrix: a quarter turn clockwise is "upside down, then transposed".
        turned: Iterable[bytes] = matrix.rows
        for _ in range(self.rotation // 90):
            turned = [bytes(column) for column in zip(*list(turned)[::-1], strict=True)]
        yield blank, QUIET_ZONE * module
        for row in turned:
            cells = row.translate(table).replace(marks[:1], light).replace(marks[1:], dark)
            yield border + cells + border, module
        yield blank, QUIET_ZONE * module

    def put(self, rows: Rows, box: Box, image: Image) -> Box:
        """Draw a palette image into its box (viewer's px). Returns the box that was written, in the device's px."""
        device = self._written(box)
        self._blit(rows, device, self._prepared(box, image))
        return device

    def _written(self, box: Box) -> Box:
        """What is written for a box (viewer's px), in the device's px: whole bytes."""
        device = self.to_device(box)
        if self._shared is None:
            return device
        left, right = device.x // 8 * 8, min(-(-(device.x + device.width) // 8) * 8, self.geometry.width)
        return Box(left, device.y, right - left, device.height)

    def _prepared(self, box: Box, image: Image) -> bytes:
        """A palette image for its box (viewer's px), as native rows of what is written for that box."""
        if self._shared is None:
            return self._native(image)
        self._shared.paste(image, (box.x, box.y))
        whole = self.to_upright(self._written(box))
        return self._native(self._shared.crop((whole.x, whole.y, whole.x + whole.width, whole.y + whole.height)))

    def moving(self, box: Box, images: Iterable[Image], count: int) -> Moving:
        """Prepare `count` palette images as frames of an animation in one box (viewer's px): showing one only copies.

        They are rings on the page's ground, as wide as the box and `RING` of that thick; the ground is omitted.
        """
        form, stride = self.geometry.format, self.geometry.stride
        device = self._written(box)
        line = form.row_bytes(device.width)
        if self._shared is None:
            spans = _ring_spans(device.width, device.height, form.bits // 8)
        else:
            spans = [(row * line, line) for row in range(device.height)]
        frames = mmap.mmap(-1, count * sum(size for _, size in spans))
        for image in images:
            pixels = self._prepared(box, image)
            for at, size in spans:
                frames.write(pixels[at : at + size])
        origin = device.y * stride + device.x * form.bits // 8
        places, sources, taken = [], [], 0
        for at, size in spans:
            row, column = divmod(at, line)
            places.append(slice(origin + row * stride + column, origin + row * stride + column + size))
            sources.append(slice(taken, taken + size))
            taken += size
        return Moving(device, frames, count, tuple(zip(places, sources, strict=True)))

    def _native(self, image: Image) -> bytes:
        """A palette image as native rows, turned."""
        theme = DEFAULT_THEME if self._shared is not None else self.theme
        return self.geometry.format.rows(self.turned(image), palette.table(theme))

    def put_picture(self, rows: Rows, box: Box, picture: Image) -> None:
        """Draw an RGB picture of the box's size into its box (viewer's px), in at most 256 colours of its own."""
        from PIL.Image import Dither, frombytes

        if self._shared is not None:
            dark = picture.convert("L").point([255 - level for level in range(256)])
            self.put(rows, box, dark.point(palette.shades(palette.Pair.PAGE_INK)))
            return
        indexed = picture.quantize(256, dither=Dither.NONE)
        levels = (indexed.getpalette() or [])[:768]
        colours: list[Rgb] = list(zip(levels[::3], levels[1::3], levels[2::3], strict=True))
        colours += [(0, 0, 0)] * (256 - len(colours))
        plain = frombytes("L", indexed.size, indexed.tobytes())
        self._blit(rows, self._written(box), self.geometry.format.rows(self.turned(plain), tuple(colours)))

    def _blit(self, rows: Rows, box: Box, pixels: bytes) -> None:
        """Copy native rows to the place of `box` (device px; on whole bytes)."""
        geometry = self.geometry
        line = geometry.format.row_bytes(box.width)
        at = box.y * geometry.stride + box.x * geometry.format.bits // 8
        if line == geometry.stride:
            rows[at : at + len(pixels)] = pixels
            return
        source = memoryview(pixels)
        for start in range(0, len(pixels), line):
            rows[at : at + line] = source[start : start + line]
            at += geometry.stride

    def picture(self, rows: Rows) -> Image:
        """What memory contains, as an RGB image in the viewer's orientation."""
        geometry = self.geometry
        return self.upright(geometry.format.image(rows, geometry.width, geometry.height, geometry.stride))


def _repeat(rows: Rows, at: int, line: bytes, count: int) -> int:
    """Write `line` into `rows`, `count` times from byte `at` on, in large pieces. Returns the next byte.

    The last row of memory may end with its last px.
    """
    end = at + len(line) * count
    block = line * min(count, max(1, _PIECE // len(line)))
    while at < end:
        size = min(len(block), end - at, len(rows) - at)
        rows[at : at + size] = block[:size] if size < len(block) else block
        at += len(block)
    return end


def _ring_spans(wide: int, high: int, pixel: int) -> list[tuple[int, int]]:
    """The bytes of a ring that fills a box, in its native rows: first byte and count, once or twice per row."""
    spans: list[tuple[int, int]] = []
    outer, inner = wide / 2 + 1, wide * (0.5 - RING) - 2
    for row in range(high):
        down = abs(row + 0.5 - high / 2)
        far = min(wide / 2, max(0.0, outer**2 - down**2) ** 0.5)
        near = max(0.0, inner**2 - down**2) ** 0.5
        left, right = int(wide / 2 - far), -int(-(wide / 2 + far) // 1)
        hole_left, hole_right = -int(-(wide / 2 - near) // 1), int(wide / 2 + near)
        at = row * wide * pixel
        if hole_right - hole_left < 8:
            spans.append((at + left * pixel, (right - left) * pixel))
        else:
            spans.append((at + left * pixel, (hole_left - left) * pixel))
            spans.append((at + hole_right * pixel, (right - hole_right) * pixel))
    return spans
