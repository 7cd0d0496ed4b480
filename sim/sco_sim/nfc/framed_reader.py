"""A reader that exchanges frames, on any wire: it acknowledges and answers each command, unless a fault occurs."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.simulated_field import Fault, SimulatedField


class FramedReader(SimulatedField):
    """A `SimulatedField` that exchanges frames with its host."""

    ACK: ClassVar[bytes]  # the frames without data
    ERROR: ClassVar[bytes]
    TO_HOST: ClassVar[int]  # first byte of an answer's data, before the command's code + 1

    def __init__(self, *tags: VirtualTag, uri: str = "") -> None:
        super().__init__(*tags, uri=uri)
        self._last_answer = b""

    @abstractmethod
    def _perform(self, code: int, data: bytes, *, noise: bool) -> bytes | None:
        """Execute a command and return the answer's data; None if the command is unknown.

        Args:
            noise: whether the tag's answer is damaged on the air.
        """

    @abstractmethod
    def _information(self, body: bytes) -> bytes:
        """The frame around `body`."""

    @abstractmethod
    def _send(self, frame: bytes) -> None:
        """Send `frame` to the host."""

    @abstractmethod
    def _pull_out(self) -> None:
        """Unplug the wire during a command."""

    def _interrupted(self) -> bool:
        """Wait as long as a command takes; returns whether the host aborted it meanwhile."""
        return False

    def _abort(self) -> None:
        """The host's ACK: abort the current command, if there is one."""

    def _acknowledge(self) -> None:
        self._send(self.ACK)

    def _command(self, code: int, data: bytes) -> None:
        fault = self._next_fault(code)
        if fault is Fault.DEAF:
            return
        if fault is Fault.UNPLUG:
            self._pull_out()
            return
        self._acknowledge()
        answer = self._perform(code, data, noise=fault is Fault.AIR_NOISE)
        if answer is None:
            self.unknown += 1
        if self._interrupted() or fault is Fault.SILENT:
            return
        if answer is None or fault is Fault.ERROR_FRAME:
            frame = self.ERROR
        else:
            frame = self._information(bytes([self.TO_HOST, code + 1]) + answer)
        self._last_answer = frame
        if fault is Fault.CORRUPT:
            frame = frame[:-3] + bytes([frame[-3] ^ 0x10]) + frame[-2:]
        elif fault is Fault.SHORT:
            frame = frame[: len(frame) // 2]
        self._send(frame)
