"""`mertech:///dev/ttyACM0[?baud=115200]`: a Mertech QR-PAY. It shows the code or a picture, no amount and no words.

Commands as five public programs send them; the maker has published none. The length of a code takes two bytes. `BTON`
and `BTOFF`, which some say switch Bluetooth and others the screen, are never sent.
"""

from __future__ import annotations

from sco_drivers.display import DisplayedCode
from sco_drivers.display.serial_line import PARAMETERS, SerialDisplay, check_parameters, open_line
from sco_drivers.urls import DeviceUrl, opener

CODE, CODE_END = b"\x02\xf2\x02", b"\x02\xf2\x03"
COMMAND, COMMAND_END = b"\x02\xf0\x03", b"\x03"
PAID, FAILED, CLEAR = b"correct", b"mistake", b"CLS"


class Mertech:
    """See `Commands`."""

    def code(self, code: DisplayedCode) -> bytes:
        """`02 F2 02`, the length in two bytes, the link, `02 F2 03`."""
        link = code.link.encode()
        return CODE + len(link).to_bytes(2, "big") + link + CODE_END

    def result(self, *, paid: bool, text: str) -> bytes:
        """One of the two pictures; the display takes no text."""
        return COMMAND + (PAID if paid else FAILED) + COMMAND_END

    def clear(self) -> bytes:
        """The empty screen."""
        return COMMAND + CLEAR + COMMAND_END


@opener(check_parameters, example="mertech:///dev/ttyACM0", params=PARAMETERS, needs=("path",))
def open_mertech(url: DeviceUrl, _options: None) -> SerialDisplay:
    """Open a Mertech QR-PAY.

    Raises:
        BadDeviceUrl, DeviceNotFound, DevicePermission, DeviceBusy.
    """
    return SerialDisplay(url, lambda: open_line(url, url.path), Mertech())
