"""Open NFC readers by URL.

    pn532:///dev/ttyS1?baud=921600     PN532 (HSU); baud: 115200, 230400, 460800 or 921600
    usb://072f:2200  usb://            ACR122U, PN533, RC-S380, ...; the first one found. Of several like ones, one by
                                       its port (?port=1-1.2 or usb:///dev/sco/by-port/nfc-1-1.2), serial number
                                       (usb://054c:06c3/SERIAL) or bus and address (usb://072f:2200/001/002)
    udp://127.0.0.1:54321              nfcpy's link over UDP, for test benches
    pcsc://                            readers that only PC/SC can use: see `sco_drivers.nfc.pcsc`

All take `key=FILE` (the shop's key, for tags with a password) and `attempts=N` (how often a write may be tried; with
more than one, a read that failed because of the reader is repeated once too).
"""

from __future__ import annotations

import importlib
import logging
import os
from typing import TYPE_CHECKING, Any

from sco_drivers import tap
from sco_drivers.errors import DriverUnavailable
from sco_drivers.nfc.options import COMMON, UsbAddress, attempts_of, baud_of, check_parameters, key_of, usb_address
from sco_drivers.nfc.radio import Radio
from sco_drivers.nfc.reader import NfcpyReader
from sco_drivers.urls import DeviceUrl, opener

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

_CONNECTIONS = {"pn532": "sco_drivers.nfc.uart", "usb": "sco_drivers.nfc.usb"}
"""Modules that connect to a kind of reader; they import nfcpy, so each is loaded on first use."""
_NULL_HANDLER = logging.NullHandler()


def load_nfcpy(url: DeviceUrl) -> None:
    """Load nfcpy, whose messages then go to programs that configure logging.

    Raises:
        DriverUnavailable: it is missing.
    """
    try:
        import nfc.clf.pn53x  # noqa: F401 - whose errors `Radio` translates
    except (ImportError, OSError) as error:
        raise DriverUnavailable(f"nfcpy cannot be loaded: {error}", url=url.text, hint="pip install nfcpy") from error
    # As libraries do: nfcpy's messages go to programs that configure logging, not to stderr.
    logger = logging.getLogger("nfc")
    logger.addHandler(_NULL_HANDLER)
    if logger.level == logging.INFO:  # nfcpy's own setting; it would report each opening to a program that logs errors
        logger.setLevel(logging.WARNING)


def _connection(kind: str) -> Any:
    return importlib.import_module(_CONNECTIONS[kind])


def _reader(url: DeviceUrl, radio: Radio) -> NfcpyReader:
    return NfcpyReader(url.text, radio, key=key_of(url), attempts=attempts_of(url))


def serial_radio(url: DeviceUrl, path: str, baud: int) -> Radio:
    """The radio of a PN532 on the serial line `path`.

    Raises:
        DriverUnavailable: nfcpy is missing.
    """
    load_nfcpy(url)
    uart, wire = _connection("pn532"), tap.current()
    present = wire.present(lambda: os.path.exists(path))  # noqa: PTH110 - Path's raises for a folder that is closed to us
    return Radio(url.text, lambda: uart.connect(wire.frames(lambda: uart.Line(path)), baud), present)


def _check_pn532(url: DeviceUrl) -> None:
    baud_of(url)
    check_parameters(url)


def _usb_options(url: DeviceUrl) -> UsbAddress:
    check_parameters(url)
    return usb_address(url)


@opener(_check_pn532, example="pn532:///dev/ttyS1?baud=921600", params=("baud", *COMMON), needs=("path",))
def open_pn532(url: DeviceUrl, _options: None) -> NfcpyReader:
    """Open a PN532 on a serial line: `pn532:///dev/ttyS1?baud=921600` (the default speed is 921600).

    Raises:
        DeviceError: it cannot be opened.
    """
    return _reader(url, serial_radio(url, url.path, baud_of(url)))


@opener(_usb_options, example="usb://072f:2200", params=("port", *COMMON), allows=("host", "path"))
def open_usb(url: DeviceUrl, wanted: UsbAddress) -> NfcpyReader:
    """Open a USB reader: `usb://072f:2200`, or `usb://` for the first one found; see `UsbAddress` for one of several.

    Raises:
        DeviceError: it cannot be opened.
    """
    load_nfcpy(url)
    usb, wire = _connection("usb"), tap.current()
    usb.load_libusb(url)
    present = wire.present(lambda: bool(usb.present(wanted)))
    return _reader(url, Radio(url.text, lambda: usb.connect(wanted, wire), present))


@opener(check_parameters, example="udp://127.0.0.1:54321", params=COMMON, allows=("host", "port"))
def open_udp(url: DeviceUrl, _options: None) -> NfcpyReader:
    """Open nfcpy's link over UDP: `udp://127.0.0.1:54321`.

    Raises:
        DeviceError: the host name cannot be resolved.
    """
    load_nfcpy(url)
    path = f"udp:{url.host or 'localhost'}:{url.port or 54321}"

    def connect() -> ContactlessFrontend:
        import nfc

        return nfc.ContactlessFrontend(path)

    return _reader(url, Radio(url.text, connect, lambda: True))
