"""Query parameters of screen URLs."""

from __future__ import annotations

from sco_drivers.screen.memory import Rotation
from sco_drivers.urls import DeviceUrl

PARAMETERS = ("rotate", "mm", "guard_ms")
"""Query parameters that every screen with memory takes."""

GUARD_MS = 250
"""No customer reads and presses a button faster: a touch that soon after a new scene was meant for the previous one."""


def rotation_of(url: DeviceUrl) -> Rotation:
    """The URL's `rotate`.

    Raises:
        BadDeviceUrl: another angle than 0, 90, 180, 270.
    """
    return int(url.choice("rotate", "0", ("0", "90", "180", "270")))  # type: ignore[return-value]


def panel_of(url: DeviceUrl) -> tuple[int, int] | None:
    """The URL's `mm=WxH`: the size of the panel as the device has it, before rotation; None when not given.

    Raises:
        BadDeviceUrl: not two whole numbers separated by `x`.
    """
    return pair_of(url, "mm")


def pair_of(url: DeviceUrl, name: str) -> tuple[int, int] | None:
    """Query parameter `name` as `WxH`; None when absent.

    Raises:
        BadDeviceUrl: not two whole numbers above zero separated by `x`.
    """
    text = url.params.get(name)
    if text is None:
        return None
    wide, cross, high = text.partition("x")
    if not (cross and wide.isascii() and wide.isdigit() and high.isascii() and high.isdigit()):
        raise url.wrong(name, "is not WIDTHxHEIGHT")
    if not (0 < int(wide) <= 16384 and 0 < int(high) <= 16384):
        raise url.wrong(name, "is out of range 1x1..16384x16384")
    return int(wide), int(high)


def guard_of(url: DeviceUrl, default: int = GUARD_MS) -> int:
    """The URL's `guard_ms`.

    Raises:
        BadDeviceUrl: not a whole number, or out of range.
    """
    return url.integer("guard_ms", default, min=0, max=5000)


def check_parameters(url: DeviceUrl) -> None:
    """Check the query parameters that every screen with memory takes.

    Raises:
        BadDeviceUrl: a parameter has a wrong value.
    """
    rotation_of(url)
    panel_of(url)
    guard_of(url)
