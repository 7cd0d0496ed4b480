"""`qrscreen:///dev/ttyACM0[?baud=115200]`: a QR-Screen. It takes lines of UTF-8 text, ended by CR LF.

`[TXT1]` is the text above the code, `[QRL]` the code, `[TXT2]` the text below, `[CQL]` clears. It has no pictures.
"""

from __future__ import annotations

from sco_drivers.display import DisplayedCode
from sco_drivers.display.serial_line import PARAMETERS, SerialDisplay, check_parameters, open_line
from sco_drivers.urls import DeviceUrl, opener

ABOVE, CODE, BELOW, CLEAR = "[TXT1]", "[QRL]", "[TXT2]", "[CQL]"


class QrScreen:
    """See `Commands`."""

    def code(self, code: DisplayedCode) -> bytes:
        """The amount, the code, the words."""
        return _lines(ABOVE + code.amount, CODE + code.link, BELOW + code.text)

    def result(self, *, paid: bool, text: str) -> bytes:
        """The words in place of the code."""
        return _lines(CLEAR, ABOVE + text)

    def clear(self) -> bytes:
        """The empty screen."""
        return _lines(CLEAR)


def _lines(*lines: str) -> bytes:
    """A line must not end early: what follows would be taken for a command."""
    return b"".join(" ".join(line.splitlines()).encode("utf-8", "replace") + b"\r\n" for line in lines)


@opener(check_parameters, example="qrscreen:///dev/ttyACM0", params=PARAMETERS, needs=("path",))
def open_qrscreen(url: DeviceUrl, _options: None) -> SerialDisplay:
    """Open a QR-Screen.

    Raises:
        BadDeviceUrl, DeviceNotFound, DevicePermission, DeviceBusy.
    """
    return SerialDisplay(url, lambda: open_line(url, url.path), QrScreen())
