"""What simulated readers on the USB have in common."""

from __future__ import annotations

from sco_sim.nfc.framed_reader import FramedReader
from sco_sim.nfc.simulated_field import SimulatedField
from tests.simulators.usb_bus import UsbDevice


class UsbReader(UsbDevice, SimulatedField):
    """A `SimulatedField` on USB."""

    def heal(self) -> None:
        """End every fault: removed tags come back and answer, the reader is plugged in."""
        super().heal()
        self.replug()


class FramedUsbReader(UsbReader, FramedReader):
    """A reader that exchanges frames, each in its own transfer.

    Attributes:
        late: how many reads of the host time out between acknowledgement and answer.
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
