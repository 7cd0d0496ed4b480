"""A reader that is spoken to in frames, on whatever wire: a command is acknowledged, then answered, faults allowing."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.tag_bench import Fault, TagBench


class FramedReader(TagBench):
    """A `TagBench` whose host sends frames and gets frames."""

    ACK: ClassVar[bytes]  # the frames that carry no data
    ERROR: ClassVar[bytes]
    TO_HOST: ClassVar[int]  # how the data of an answer begins, before the command's code + 1

    def __init__(self, *tags: VirtualTag, uri: str = "") -> None:
        super().__init__(*tags, uri=uri)
        self._last_answer = b""

    @abstractmethod
    def _perform(self, code: int, data: bytes, *, noise: bool) -> bytes | None:
        """Do a command: the answer's data; None for what it does not know.

        Args:
            noise: whether what a tag says to it is damaged on the air.
        """

    @abstractmethod
    def _information(self, body: bytes) -> bytes:
        """The frame around `body`."""

    @abstractmethod
    def _send(self, frame: bytes) -> None:
        """Bring `frame` to the host."""

    @abstractmethod
    def _pull_out(self) -> None:
        """The wire is pulled out, from within a command."""

    def _interrupted(self) -> bool:
        """What time a command takes passes here; whether the host meanwhile ended it."""
        return False

    def _abort(self) -> None:
        """The host's ACK: it ends the command under way, if there is one."""

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
