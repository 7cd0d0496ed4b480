"""An ACR122U through nfcpy's driver, with firmware that does not answer every command.

Firmware 215 does not answer the command for LED and buzzer, with which nfcpy begins and ends. nfcpy also reports
firmware that is too old as a missing device.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from typing import Any

import nfc.clf.acr122

from sco_drivers.nfc import UnsupportedReader

_VERSION = bytes.fromhex("ff00480000")
_LATE_MS = 300


class Chipset(nfc.clf.acr122.Chipset):  # type: ignore[misc]
    """The chip and its controller.

    Attributes:
        controller_version: what the controller reports, e.g. "214" of "ACR122U214".
    """

    transport: Any

    def __init__(self, transport: Any) -> None:
        self.transport = transport
        version = bytes(self.ccid_xfr_block(bytearray(_VERSION)))
        if not version.startswith(b"ACR122U") or not version[7:8].isdigit():
            raise OSError(errno.EPROTO, f"firmware {version[:16]!r}")
        if version[7:8] < b"2":
            raise UnsupportedReader(
                f"the firmware {version.decode('ascii', 'replace')} is too old", hint="use a reader with firmware 2.x"
            )
        self.controller_version = version.removeprefix(b"ACR122U").decode("ascii", "replace").strip("\0 ")
        super().__init__(transport)

    def set_buzzer_and_led_to_default(self) -> None:
        """Buzzer off, green LED; a reader may leave this unanswered."""
        try:
            super().set_buzzer_and_led_to_default()
        except OSError as error:
            if error.errno != errno.ETIMEDOUT:
                raise
            with suppress(OSError):  # a late answer must not be taken for that of the next command
                self.transport.read(_LATE_MS)

    def close(self) -> None:
        """Switch the LED off, if the reader still answers, and release it."""
        try:
            super().close()
        except OSError:
            self.transport.close()
            self.transport = None


def init(transport: Any) -> nfc.clf.acr122.Device:
    """Initialise the ACR122U on `transport`, an open `nfc.clf.transport.USB`.

    Raises:
        UnsupportedReader: its firmware is too old. OSError: it does not answer as an ACR122U.
    """
    device = nfc.clf.acr122.Device(Chipset(transport))
    device._vendor_name, device._device_name = transport.manufacturer_name, transport.product_name  # noqa: SLF001
    return device
