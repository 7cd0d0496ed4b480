"""`none://`: no customer display. What it should show is stored, for integrators who show it themselves."""

from __future__ import annotations

from typing import Self

from sco_drivers.display import DisplayedCode
from sco_drivers.errors import DeviceClosed
from sco_drivers.urls import DeviceUrl, opener


class NullDisplay:
    """A `QrDisplay` that shows nothing.

    Attributes:
        code: the code that would be shown; None for none.
        paid: the picture that would be shown; None for none.
    """

    def __init__(self, url: DeviceUrl) -> None:
        self._url = url
        self._closed = False
        self.code: DisplayedCode | None = None
        self.paid: bool | None = None

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url.text

    def show_code(self, code: DisplayedCode) -> None:
        """Store it. Raises CodeRefused, DeviceClosed."""
        code.check(self.url)
        self._store(code, None)

    def show_result(self, *, paid: bool, text: str = "") -> None:
        """Store it. Raises DeviceClosed."""
        self._store(None, paid)

    def clear(self) -> None:
        """Store nothing. Raises DeviceClosed."""
        self._store(None, None)

    def check(self) -> None:
        """Always succeeds while open. Raises DeviceClosed."""
        if self._closed:
            raise DeviceClosed("the display is closed", url=self.url)

    def _store(self, code: DisplayedCode | None, paid: bool | None) -> None:
        self.check()
        self.code, self.paid = code, paid

    def close(self) -> None:
        """Close it. May be called twice."""
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


@opener(lambda _url: None, example="none://")
def open_null(url: DeviceUrl, _options: None) -> NullDisplay:
    """Open `none://`.

    Raises:
        BadDeviceUrl: it takes no parameters.
    """
    return NullDisplay(url)
