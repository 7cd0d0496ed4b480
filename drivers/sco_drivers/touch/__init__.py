"""The touch panel (or a bench's keyboard): what a caller may rely on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, Self, runtime_checkable


@dataclass(frozen=True, slots=True)
class Tap:
    """A finger put down and lifted at one place, in px of the screen as a person sees it.

    A keyboard has no place: its tap lies outside the glass, at x = -1 - n, y = -1, and means the n-th button, counted
    from 0. `Screen.button_at` knows that.

    Attributes:
        x, y: px.
        pressed_at: when the finger came down, by `time.monotonic()`; given to `Screen.button_at`, it keeps a touch that
            began on one scene from answering the next.
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
        """Begin to report taps, scaled to a screen of `size` px, from a thread of its own.

        `on_lost` is called at most once, with a DeviceError, if the panel leaves.

        Raises:
            DeviceError: it cannot be read.
        """
        ...

    def close(self) -> None:
        """Stop and give the device back. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
