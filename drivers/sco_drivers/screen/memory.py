"""What a backend gives: memory that a display shows, and where it begins to be seen.

The scenes are drawn the same way into every `Memory`. A backend knows its own device and nothing of scenes.
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
    """The visible picture as the device sees it, before rotation.

    Attributes:
        width, height: px.
        stride: bytes from one row to the next, at least what a row takes.
        format: the pixel format.
        panel_mm: the glass in mm, in the device's orientation, where it is known.
    """

    width: int
    height: int
    stride: int
    format: PixelFormat
    panel_mm: tuple[int, int] | None = None


class Memory(Protocol):
    """One display's memory. Used by one thread at a time (the drawer holds a lock)."""

    @property
    def geometry(self) -> Geometry:
        """Size, stride and format; fixed from opening to closing."""
        ...

    def front(self) -> Rows:
        """The page that is seen."""
        ...

    def back(self) -> Rows:
        """The page into which the next whole picture goes; the front one where there is no second."""
        ...

    def flip(self) -> None:
        """Show the back page.

        Raises:
            DeviceGone: the display was unplugged.
        """
        ...

    def check(self) -> None:
        """Ask whether the display is there; cheap.

        Raises:
            DeviceGone: it was unplugged.
        """
        ...

    def changed(self, boxes: Sequence[Box]) -> None:
        """The front page has changed in these places (device px); tells a device that must be told.

        Raises:
            DeviceGone: the display was unplugged.
        """
        ...

    def close(self) -> None:
        """Give the device back. May be called twice."""
        ...
