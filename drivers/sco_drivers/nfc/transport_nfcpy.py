"""The field of other readers (nfcpy's link over UDP), with nothing but nfcpy's general interface."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import nfc.clf

from sco_drivers.nfc.transport import HALT, NoResponse, Selected, sensed

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

_TIMEOUT_S = 0.25  # includes delays of the host
_HALT_TIMEOUT_S = 0.005


class NfcpyTransport:
    """See `RfTransport`."""

    def __init__(self, frontend: ContactlessFrontend) -> None:
        self._frontend = frontend

    def select(self, uid: bytes | None) -> Selected:
        """See `RfTransport`."""
        return sensed(self._frontend, uid)

    def command(self, data: bytes) -> bytes:
        """See `RfTransport`."""
        answer = self._frontend.exchange(bytearray(data), _TIMEOUT_S)
        if answer is None:
            raise NoResponse
        return bytes(answer)

    def another(self) -> bytes | None:
        """See `RfTransport`."""
        with contextlib.suppress(nfc.clf.CommunicationError):  # a halted tag does not answer
            self._frontend.exchange(bytearray(HALT), _HALT_TIMEOUT_S)
        found = self._frontend.device.sense_tta(nfc.clf.RemoteTarget("106A"))
        return None if found is None else bytes(found.sdd_res or found.rid_res[2:6])
