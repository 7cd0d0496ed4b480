"""Pictures -> a display's memory: rotation, native rows, and the code drawn straight into them.

Everything here is px and bytes; scenes are `drawer`'s business.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sco_drivers.qr import QUIET_ZONE, QrMatrix
from sco_drivers.screen import Box
from sco_drivers.screen.memory import Geometry, Rows

if TYPE_CHECKING:
    from PIL.Image import Image

Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise by which the picture is turned on its way into memory, as the kernel's `fbcon=rotate` counts."""


class Surface:
    """Where the pixels of a picture, as a person sees it, lie in a memory of `geometry` turned by `rotation`."""

    def __init__(self, geometry: Geometry, rotation: Rotation) -> None:
        self.geometry = geometry
        self.rotation: Rotation = rotation
        size = geometry.width, geometry.height
        self.size: tuple[int, int] = size if rotation in (0, 180) else (size[1], size[0])
        """Width and height in px as a person sees them."""

    def to_device(self, box: Box) -> Box:
        """A person's box in the device's px."""
        wide, high = self.geometry.width, self.geometry.height
        if self.rotation == 90:
            return Box(wide - box.y - box.height, box.x, box.height, box.width)
        if self.rotation == 180:
            return Box(wide - box.x - box.width, high - box.y - box.height, box.width, box.height)
        if self.rotation == 270:
            return Box(box.y, high - box.x - box.width, box.height, box.width)
        return box

    def to_person(self, box: Box) -> Box:
        """A device's box in a person's px."""
        back: Rotation = {90: 270, 270: 90}.get(self.rotation, self.rotation)  # type: ignore[assignment]
        turned = Surface(Geometry(*self.size, 0, self.geometry.format), back)
        return turned.to_device(box)

    def turned(self, image: Image) -> Image:
        """`image` as it lies in memory."""
        from PIL.Image import Transpose

        turns = {90: Transpose.ROTATE_270, 180: Transpose.ROTATE_180, 270: Transpose.ROTATE_90}
        return image.transpose(turns[self.rotation]) if self.rotation else image

    def upright(self, image: Image) -> Image:
        """The inverse of `turned`."""
        from PIL.Image import Transpose

        turns = {90: Transpose.ROTATE_90, 180: Transpose.ROTATE_180, 270: Transpose.ROTATE_270}
        return image.transpose(turns[self.rotation]) if self.rotation else image

    def byte_aligned(self, box: Box) -> Box:
        """The smallest box around `box` (a person's px) whose rows begin and end on whole bytes of memory."""
        if self.geometry.format.bits >= 8:
            return box
        device = self.to_device(box)
        left = device.x // 8 * 8
        right = min(-(-(device.x + device.width) // 8) * 8, self.geometry.width)
        return self.to_person(Box(left, device.y, right - left, device.height))

    def native(self, image: Image) -> bytes:
        """A palette image as native rows, turned."""
        return self.geometry.format.rows(self.turned(image))

    def blit(self, rows: Rows, box: Box, pixels: bytes) -> None:
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

    def blit_code(self, rows: Rows, box: Box, matrix: QrMatrix, module: int) -> None:
        """Draw a code straight into memory at `box` (device px), `module` px a module. Formats of 8 bits and more."""
        geometry = self.geometry
        form, stride = geometry.format, geometry.stride
        light, dark = form.native((255, 255, 255)) * module, form.native((0, 0, 0)) * module
        tiles = (light, dark)
        border = light * QUIET_ZONE
        blank = light * matrix.full_size
        line = len(blank)
        at = box.y * stride + box.x * (form.bits // 8)
        quiet = [blank] * QUIET_ZONE
        # A turned code is the code of a turned matrix: a quarter turn clockwise is "upside down, then transposed".
        turned: tuple[tuple[int, ...] | bytes, ...] = matrix.rows
        for _ in range(self.rotation // 90):
            turned = tuple(zip(*turned[::-1], strict=True))
        body = [border + b"".join([tiles[cell] for cell in row]) + border for row in turned]
        for row in (*quiet, *body, *quiet):
            for _ in range(module):
                rows[at : at + line] = row
                at += stride

    def picture(self, rows: Rows) -> Image:
        """What memory holds, as an RGB image as a person sees it."""
        geometry = self.geometry
        return self.upright(geometry.format.image(rows, geometry.width, geometry.height, geometry.stride))
