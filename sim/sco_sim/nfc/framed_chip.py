"""A chip of the PN53x family that exchanges its own frames, on any wire."""

from __future__ import annotations

from sco_sim.nfc.framed_reader import FramedReader
from sco_sim.nfc.pn53x_frame import ACK, ERROR, FROM_HOST, NACK, TO_HOST, cut, information
from sco_sim.nfc.pn532_chip import Chip


class FramedChip(Chip, FramedReader):
    """A `Chip` that exchanges frames with its host."""

    ACK, ERROR, TO_HOST = ACK, ERROR, TO_HOST

    def _information(self, body: bytes) -> bytes:
        return information(body)

    def _receive(self, octets: bytearray) -> int:
        """Execute and remove the whole frames at the start of `octets`; returns how many there were."""
        count = 0
        while (frame := cut(octets)) is not None:
            count += 1
            if frame == ACK:
                self._abort()
            elif frame == NACK:  # the host has not understood the last answer
                if self._last_answer:
                    self._send(self._last_answer)
            elif frame[0] == FROM_HOST and len(frame) > 1:
                self._command(frame[1], frame[2:])
        return count
