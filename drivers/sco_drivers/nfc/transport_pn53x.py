"""The field of a PN53x: PN531, PN532, PN533, RC-S956, and the ACR122U around a PN532.

nfcpy needs four reader commands for each tag command: it reads three chip registers, writes them, and sets a response
timeout. All of them are right once a tag is found, so after `select` each tag command is one InCommunicateThru through
nfcpy's public chip object.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from nfc.clf.pn53x import Chipset

from sco_drivers.nfc.transport import TAG_TIMEOUT_S, NoResponse, Selected, TransmissionError, sensed, without_crc

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

_RF_TIMEOUT_CODE = 9  # the chip's name for 25.6 ms: 100 us * 2 ** (n - 1)
_ERROR_TIMEOUT = 0x01
_IN_DESELECT = 0x44


class Pn53xTransport:
    """See `RfTransport`."""

    def __init__(self, frontend: ContactlessFrontend) -> None:
        self._frontend = frontend
        self._chipset = frontend.device.chipset
        self._chipset.rf_configuration(0x02, bytes([0x0A, 0x0B, _RF_TIMEOUT_CODE]))

    def select(self, uid: bytes | None) -> Selected:
        """See `RfTransport`."""
        return sensed(self._frontend, uid)

    def command(self, data: bytes) -> bytes:
        """See `RfTransport`."""
        try:
            answer = bytes(self._chipset.in_communicate_thru(bytearray(data), TAG_TIMEOUT_S + 0.1))
        except Chipset.Error as error:
            # 0x7F (the chip's) and 0xFF (nfcpy's): the reader did not understand the command.
            if error.errno in (0x7F, 0xFF):
                raise
            raise (NoResponse() if error.errno == _ERROR_TIMEOUT else TransmissionError(str(error))) from error
        return without_crc(answer)

    def another(self) -> bytes | None:
        """See `RfTransport`."""
        with contextlib.suppress(Chipset.Error):  # a tag that was removed cannot be halted
            self._chipset.command(_IN_DESELECT, b"\x01", timeout=0.25)
        found = self._chipset.in_list_passive_target(1, 0, b"")
        return None if found is None else bytes(found[4:])
