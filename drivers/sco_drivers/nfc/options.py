"""Query parameters of NFC reader URLs."""

from __future__ import annotations

from sco_drivers.nfc.keys import TagKey
from sco_drivers.urls import DeviceUrl

COMMON = ("key", "attempts")
"""Parameters that every reader takes."""
BAUDS = (115200, 230400, 460800, 921600)
"""Speeds of a PN532's serial line."""


def attempts_of(url: DeviceUrl) -> int:
    """The URL's `attempts`: how often one call may try a write; 2 by default.

    Raises:
        BadDeviceUrl: not a whole number, or out of range.
    """
    return url.integer("attempts", 2, min=1, max=5)


def key_of(url: DeviceUrl) -> TagKey | None:
    """The shop's key from the file that the URL's `key` names; None without one.

    Raises:
        BadDeviceUrl: the file cannot be used.
    """
    return TagKey.load(url.params["key"], url=url.text) if "key" in url.params else None


def baud_of(url: DeviceUrl) -> int:
    """The URL's `baud`; the fastest of `BAUDS` by default.

    Raises:
        BadDeviceUrl: not one of `BAUDS`.
    """
    return int(url.choice("baud", str(BAUDS[-1]), tuple(map(str, BAUDS))))


def check_parameters(url: DeviceUrl) -> None:
    """Check the values of `COMMON`. Does not read the key file.

    Raises:
        BadDeviceUrl: a parameter has a wrong value.
    """
    attempts_of(url)
