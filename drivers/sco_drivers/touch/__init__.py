"""The public interface of touch panels (and keyboards)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable

from sco_drivers.errors import TouchError

__all__ = ["Tap", "Touch", "TouchError"]


@dataclass(frozen=True, slots=True)
class Tap:
    """A finger put down and lifted at one place, in px of the screen in the viewer's orientation.

    A key has no place: its tap is outside the panel, at x = -1 - n, y = -1, and means the n-th button, counted from 0.
    `Screen.button_at` accepts that.

    Attributes:
        x, y: px.
        pressed_at: when the finger came down, by `time.monotonic()`. `Screen.button_at` needs it to ignore a touch that
            began on an earlier scene.
    """

    x: int
    y: int
    pressed_at: float | None = None


@runtime_checkable
class Touch(Protocol):
    """A touch panel."""

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        ...

    def start(self, size: tuple[int, int], on_tap: Callable[[Tap], None], on_lost: Callable[[Exception], None]) -> None:
        """Start to report taps, scaled to a screen of `size` px, from a separate thread.

        If `on_tap` raises an exception, it is logged, that tap is lost, and the next one is reported. `on_lost` is
        called at most once, with a DeviceError, if the panel is unplugged.

        Raises:
            DeviceError: it cannot be read.
        """
        ...

    def close(self) -> None:
        """Stop and release the device. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
