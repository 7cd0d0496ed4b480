"""`none://`: no screen. For integrators who draw their own interface, and for display modes without a screen.

Scenes are stored and not drawn. `none://?size=1024x768` sets the size that is reported.
"""

from __future__ import annotations

from typing import Self

from sco_drivers.errors import DeviceClosed, ScreenError
from sco_drivers.screen import Scene
from sco_drivers.screen.options import pair_of
from sco_drivers.urls import DeviceUrl, opener


class NullScreen:
    """A `Screen` that draws nothing. `scene` is the last scene that was shown."""

    def __init__(self, url: DeviceUrl, size: tuple[int, int]) -> None:
        self._url = url
        self._size = size
        self._closed = False
        self.scene: Scene | None = None

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url.text

    @property
    def size(self) -> tuple[int, int]:
        """From the URL; 1024x768 by default."""
        return self._size

    def show(self, scene: Scene) -> None:
        """Store `scene`.

        Raises:
            DeviceClosed: `close` was called.
        """
        if self._closed:
            raise DeviceClosed("the screen is closed", url=self.url)
        self.scene = scene

    def check(self) -> None:
        """Always succeeds while open.

        Raises:
            DeviceClosed: `close` was called.
        """
        if self._closed:
            raise DeviceClosed("the screen is closed", url=self.url)

    def button_at(self, x: int, y: int, pressed_at: float | None = None) -> str | None:
        """None, except for a keyboard's choice of the n-th button (x = -1 - n, y = -1)."""
        if self.scene is None or y != -1 or not 0 <= -1 - x < len(self.scene.buttons):
            return None
        return self.scene.buttons[-1 - x].action

    def save_png(self, path: str) -> None:
        """There is no picture to save.

        Raises:
            ScreenError: always.
        """
        raise ScreenError("there is no screen, so there is no picture", url=self.url)

    def close(self) -> None:
        """Close it. May be called twice."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _size(url: DeviceUrl) -> tuple[int, int]:
    return pair_of(url, "size") or (1024, 768)


@opener(_size, example="none://?size=1024x768", params=("size",))
def open_null(url: DeviceUrl, size: tuple[int, int]) -> NullScreen:
    """Open `none://`.

    Raises:
        BadDeviceUrl: unknown parameters.
    """
    return NullScreen(url, size)
