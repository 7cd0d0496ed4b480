"""Query parameters of NFC reader URLs."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sco_drivers.errors import BadDeviceUrl
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


@dataclass(frozen=True, slots=True)
class UsbAddress:
    """Which reader on the USB is meant; an empty field matches any.

    Attributes:
        ids: vendor and product in hexadecimal, as `072f:2200`.
        serial: the serial number in its descriptor.
        port: the port that it is plugged into, as the kernel names it: `1-1.2`.
        node: a device file, usually a name that udev gives by port: `/dev/sco/by-port/nfc-1-1.2`.
        place: bus number and device address; the address changes whenever the reader is plugged in.
    """

    ids: str = ""
    serial: str = ""
    port: str = ""
    node: str = ""
    place: tuple[int, int] | None = None


def usb_address(url: DeviceUrl) -> UsbAddress:
    """The reader that `usb://[VENDOR:PRODUCT][/SERIAL | /BUS/ADDRESS | /dev/...][?port=PORT]` means.

    Raises:
        BadDeviceUrl: a part has a wrong form.
    """
    port, path = url.params.get("port", ""), url.path
    if "port" in url.params and not re.fullmatch(r"\d+-\d+(\.\d+)*", port):
        raise url.wrong("port", "is not a USB port", hint="e.g. port=1-1.2; sco-hwtest discover shows it")
    if url.host and not re.fullmatch(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{4}", url.host):
        hint = f"write usb:///{url.host}{path}" if path else "e.g. usb://072f:2200"
        raise BadDeviceUrl("not a vendor and product", url=url.text, hint=hint)
    ids = url.host.lower()
    if path.startswith("/dev/"):
        return UsbAddress(ids, port=port, node=path)
    if place := re.fullmatch(r"/(\d{1,3})/(\d{1,3})", path):
        return UsbAddress(ids, port=port, place=(int(place[1]), int(place[2])))
    if path.count("/") > 1 or path == "/":
        hint = "write /SERIAL, /BUS/ADDRESS or a file in /dev"
        raise BadDeviceUrl(f"{path!r} does not name a USB reader", url=url.text, hint=hint)
    return UsbAddress(ids, serial=path[1:], port=port)
