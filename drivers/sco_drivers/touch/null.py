"""`none://`: no touch panel. Never reports a tap; for integrators with an interface of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from sco_drivers.errors import DeviceClosed
from sco_drivers.touch import Tap
from sco_drivers.urls import DeviceUrl, opener


class NullTouch:
    """A `Touch` that never reports a tap."""

    def __init__(self, url: DeviceUrl) -> None:
        self._url = url
        self._closed = False

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url.text

    def start(self, size: tuple[int, int], on_tap: Callable[[Tap], None], on_lost: Callable[[Exception], None]) -> None:
        """Do nothing: no tap will be reported.

        Raises:
            DeviceClosed: `close` was called.
        """
        if self._closed:
            raise DeviceClosed("the touch panel is closed", url=self.url)

    def close(self) -> None:
        """Close it. May be called twice."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@opener(lambda _url: None, example="none://")
def open_null(url: DeviceUrl, _options: None) -> NullTouch:
    """Open `none://`.

    Raises:
        BadDeviceUrl: it takes no parameters.
    """
    return NullTouch(url)
