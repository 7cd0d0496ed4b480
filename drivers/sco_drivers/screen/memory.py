"""What a backend provides: the memory that a display shows.

Scenes are drawn the same way into every `Memory`. A backend handles its device and has no knowledge of scenes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sco_drivers.screen import Box
from sco_drivers.screen.formats import PixelFormat

Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise by which the picture is turned on its way into memory, as the kernel's `fbcon=rotate` counts."""

Rows = memoryview
"""Writable bytes of one page, the first visible pixel at byte 0."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """The visible picture in the device's orientation, before rotation.

    Attributes:
        width, height: px.
        stride: bytes from one row to the next, at least the size of a row.
        format: the pixel format.
        panel_mm: size of the panel in mm, in the device's orientation, if it is known.
    """

    width: int
    height: int
    stride: int
    format: PixelFormat
    panel_mm: tuple[int, int] | None = None


class Memory(Protocol):
    """One display's memory. Used by one thread at a time (the renderer holds a lock).

    Attributes:
        damaged: whether another program may have drawn over the picture; `check` and `changed` set it, the renderer
            draws the scene again and resets it.
    """

    damaged: bool

    @property
    def geometry(self) -> Geometry:
        """Size, stride and format; fixed from opening to closing."""
        ...

    def front(self) -> Rows:
        """The visible page."""
        ...

    def back(self) -> Rows:
        """The page for the next whole picture; the front page if there is no other."""
        ...

    def flip(self) -> None:
        """Show the back page.

        Raises:
            DeviceGone: the display was unplugged.
        """
        ...

    def check(self) -> None:
        """Check that the display is connected; cheap.

        Raises:
            DeviceGone: it was unplugged.
        """
        ...

    def changed(self, boxes: Sequence[Box]) -> None:
        """The front page has changed in these places (device px); notify the device if it needs that.

        Raises:
            DeviceGone: the display was unplugged.
        """
        ...

    def close(self) -> None:
        """Release the device. May be called twice."""
        ...
