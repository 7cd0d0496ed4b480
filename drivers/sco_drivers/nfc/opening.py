"""NFC readers by their URLs.

    pn532:///dev/ttyS1?baud=921600     PN532 (HSU); baud: 115200, 230400, 460800 or 921600
    usb://072f:2200  usb://            ACR122U, PN533, RC-S380, ...; without vendor and product the first one found
    udp://127.0.0.1:54321              nfcpy's link over UDP, for benches

All take `key=FILE` (the shop's key, for tags with a password) and `attempts=N` (how often a write may be tried; with
more than one, a reading in which the reader failed is made once more too).
"""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING

from sco_drivers.errors import BadDeviceUrl, DriverUnavailable
from sco_drivers.nfc.keys import TagKey
from sco_drivers.nfc.radio import Radio
from sco_drivers.nfc.reader import NfcpyReader
from sco_drivers.urls import DeviceUrl, checked_by

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

    from sco_sim.nfc.pn532 import VirtualReader

COMMON = ("key", "attempts")
BAUDS = (115200, 230400, 460800, 921600)
"""Speeds of a PN532's serial line."""
_FASTEST = BAUDS[-1]
_SILENT = logging.NullHandler()


def _load_nfcpy(url: DeviceUrl) -> None:
    try:
        import nfc.clf  # noqa: F401
    except (ImportError, OSError) as error:
        raise DriverUnavailable(f"nfcpy cannot be loaded: {error}", url=url.text, hint="pip install nfcpy") from error
    # As libraries do: what nfcpy remarks on its way is for those who configure logging, not for stderr.
    logger = logging.getLogger("nfc")
    logger.addHandler(_SILENT)
    if logger.level == logging.INFO:  # its own setting, under which a program that logs errors only hears each opening
        logger.setLevel(logging.WARNING)


def _attempts(url: DeviceUrl) -> int:
    return url.integer("attempts", 2, least=1, most=5)


def baud_of(url: DeviceUrl) -> int:
    """The URL's `baud`.

    Raises:
        BadDeviceUrl: not one of `BAUDS`.
    """
    return int(url.choice("baud", str(_FASTEST), tuple(map(str, BAUDS))))


def check_parameters(url: DeviceUrl, *more: str) -> None:
    """What every reader's URL may say (`COMMON`), besides the parameters `more`. The key's file is not looked at.

    Raises:
        BadDeviceUrl: a parameter that cannot be understood.
    """
    url.only(*COMMON, *more)
    _attempts(url)


def build(url: DeviceUrl, radio: Radio, *, simulator: VirtualReader | None = None) -> NfcpyReader:
    """The reader over `radio`, with the options that every NFC URL takes (`COMMON`).

    Raises:
        DeviceError: an option is wrong, or the reader cannot be opened.
    """
    key = TagKey.load(url.params["key"], url=url.text) if "key" in url.params else None
    return NfcpyReader(url.text, radio, key=key, attempts=_attempts(url), simulator=simulator)


def serial_radio(url: DeviceUrl, path: str, baud: int) -> Radio:
    """The field of a PN532 on the serial line `path`."""
    _load_nfcpy(url)
    from sco_drivers.nfc import uart

    return Radio(url.text, lambda: uart.connect(path, baud), Path(path).exists)


def _check_pn532(url: DeviceUrl) -> None:
    baud_of(url)
    check_parameters(url, "baud")
    url.device_file("pn532:///dev/ttyS1?baud=921600")


def _check_usb(url: DeviceUrl) -> None:
    check_parameters(url)
    if url.host and not re.fullmatch(r"[0-9a-fA-F]{4}:[0-9a-fA-F]{4}", url.host):
        raise BadDeviceUrl("not a vendor and product", url=url.text, hint="e.g. usb://072f:2200")


@checked_by(_check_pn532)
def open_pn532(url: DeviceUrl) -> NfcpyReader:
    """Open a PN532 on a serial line: `pn532:///dev/ttyS1?baud=921600` (the default speed is 921600).

    Raises:
        DeviceError: it cannot be opened.
    """
    return build(url, serial_radio(url, url.path, baud_of(url)))


@checked_by(_check_usb)
def open_usb(url: DeviceUrl) -> NfcpyReader:
    """Open a USB reader: `usb://072f:2200`, or `usb://` for the first one found.

    Raises:
        DeviceError: it cannot be opened.
    """
    _load_nfcpy(url)
    from sco_drivers.nfc import usb

    usb.load_libusb(url)
    radio = Radio(url.text, lambda: usb.connect(url.host), lambda: bool(usb.readers(url.host)))
    return build(url, radio)


@checked_by(check_parameters)
def open_udp(url: DeviceUrl) -> NfcpyReader:
    """Open nfcpy's link over UDP: `udp://127.0.0.1:54321`.

    Raises:
        DeviceError: the host is not known.
    """
    _load_nfcpy(url)
    path = f"udp:{url.host or 'localhost'}:{url.port or 54321}"

    def connect() -> ContactlessFrontend:
        import nfc

        return nfc.ContactlessFrontend(path)

    return build(url, Radio(url.text, connect, lambda: True))
