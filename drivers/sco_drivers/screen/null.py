"""`none://`: no screen of ours. For an integrator who draws with his own interface, and for display modes without one.

Scenes are taken and remembered, nothing is drawn. `none://?size=1024x768` gives a size to those who ask.
"""

from __future__ import annotations

from typing import Self

from sco_drivers.errors import DeviceClosed, ScreenError
from sco_drivers.screen import Scene
from sco_drivers.screen.options import pair_of
from sco_drivers.urls import DeviceUrl, opener


class Nothing:
    """A `Screen` that shows nothing. `scene` is what it was last asked to show."""

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
        """As the URL says; 1024x768 when it does not."""
        return self._size

    def show(self, scene: Scene) -> None:
        """Remember `scene`.

        Raises:
            DeviceClosed: `close` was called.
        """
        if self._closed:
            raise DeviceClosed("the screen is closed", url=self.url)
        self.scene = scene

    def check(self) -> None:
        """It is always there.

        Raises:
            DeviceClosed: `close` was called.
        """
        if self._closed:
            raise DeviceClosed("the screen is closed", url=self.url)

    def button_at(self, x: int, y: int, pressed_at: float | None = None) -> str | None:
        """Always None, but for a keyboard's choice of the n-th button (x = -1 - n, y = -1)."""
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
        """Forget it. May be called twice."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _size(url: DeviceUrl) -> tuple[int, int]:
    return pair_of(url, "size") or (1024, 768)


@opener(_size, example="none://?size=1024x768", params=("size",))
def open_nothing(url: DeviceUrl, size: tuple[int, int]) -> Nothing:
    """Open `none://`.

    Raises:
        BadDeviceUrl: parameters that it does not know.
    """
    return Nothing(url, size)
