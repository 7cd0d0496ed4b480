"""What simulated readers on the USB have in common."""

from __future__ import annotations

from sco_sim.nfc.framed_reader import FramedReader
from sco_sim.nfc.tag_bench import TagBench
from tests.simulators.usb_bus import UsbDevice


class UsbReader(UsbDevice, TagBench):
    """A `TagBench` that hangs on the USB."""

    def heal(self) -> None:
        """End every fault: tags come back and answer, the reader is plugged in."""
        super().heal()
        self.replug()


class FramedUsbReader(UsbReader, FramedReader):
    """A reader that is spoken to in frames, each in a transfer of its own.

    Attributes:
        late: how many of the host's readings find no answer yet, after the acknowledgement.
    """

    late = 0

    def _send(self, frame: bytes) -> None:
        self._answer(frame)

    def _interrupted(self) -> bool:
        self._answers += [None] * self.late
        return False

    def _abort(self) -> None:
        self._withdraw()

    def _pull_out(self) -> None:
        self.unplug()
