"""The field of a reader of which no more is known than what nfcpy offers for all: its link over UDP."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import nfc.clf

from sco_drivers.nfc.air import HALT, Selected, Silent, sensed

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

_TIMEOUT_S = 0.25  # the host's own delays are in it
_HALT_TIMEOUT_S = 0.005


class NfcpyAir:
    """See `Air`."""

    def __init__(self, frontend: ContactlessFrontend) -> None:
        self._frontend = frontend

    def select(self, uid: bytes | None) -> Selected:
        """See `Air`."""
        return sensed(self._frontend, uid)

    def command(self, data: bytes) -> bytes:
        """See `Air`."""
        answer = self._frontend.exchange(bytearray(data), _TIMEOUT_S)
        if answer is None:
            raise Silent
        return bytes(answer)

    def another(self) -> bytes | None:
        """See `Air`."""
        with contextlib.suppress(nfc.clf.CommunicationError):  # sleep is answered by silence
            self._frontend.exchange(bytearray(HALT), _HALT_TIMEOUT_S)
        found = self._frontend.device.sense_tta(nfc.clf.RemoteTarget("106A"))
        return None if found is None else bytes(found.sdd_res or found.rid_res[2:6])
