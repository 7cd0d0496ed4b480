"""A PN532 on a pseudo-terminal, with tags in its field: two speeds that must agree, and faults.

The chip receives noise if the line has another speed than the chip. Time on the air and on the wire is computed from
datasheet figures, so that benchmarks do not depend on the machine.
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
import time
from typing import Self

from sco_sim.nfc.framed_chip import FramedChip
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532_chip import SPEEDS, Fault
from sco_sim.pty_line import PtyLine

__all__ = ["Fault", "VirtualReader"]

_TERMIOS_SPEED = {getattr(termios, f"B{baud}"): baud for baud in SPEEDS}


class VirtualReader(FramedChip):
    """A PN532 with tags in its field, as a context manager.

        with VirtualReader(uri="https://qr.nspk.ru/...") as reader, open_nfc(reader.url) as nfc:
            nfc.read()

    Args:
        tags: the tags in the field; one NTAG213 with `uri` by default.
        uri: the link on that one tag.
        highest_baud: the highest speed at which the chip's answers arrive intact.

    Attributes (and those of `Chip`):
        serial_us: time on the wire so far, in microseconds.
        baud: the chip's speed.
    """

    def __init__(self, *tags: VirtualTag, uri: str = "", highest_baud: int = SPEEDS[-1]) -> None:
        super().__init__(*tags, uri=uri)
        self._highest_baud = highest_baud
        self.serial_us = 0.0
        self.baud = 115200
        self._delay = 0.0
        self._start_s, self._start_answers_late, self._started_slowly = 0.0, False, False
        self._arrived = bytearray()
        self._line = PtyLine("pn532", self._take)
        self.path = self._line.path
        self.replug()

    # -- test controls -----------------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The URL for the driver of real readers."""
        return f"pn532://{self.path}"

    @property
    def modelled_us(self) -> float:
        """Time so far on the air and on the wire, in microseconds, without the host's own time."""
        return self.serial_us + self.air_us

    def heal(self) -> None:
        """End every fault: removed tags come back and answer, the line is plugged in."""
        super().heal()
        self._delay = 0.0
        self.replug()

    def slow(self, seconds: float) -> None:
        """Delay each of the chip's answers by `seconds` of real time."""
        self._delay = seconds

    def start_slowly(self, seconds: float, *, acknowledges: bool = False) -> None:
        """Delay the chip's first answer after power-up, which is now, by `seconds` of real time.

        Args:
            acknowledges: it acknowledges commands meanwhile, and each further one aborts the one before; otherwise it
                does nothing, and answers all commands then.
        """
        self._start_s, self._start_answers_late, self._started_slowly = seconds, acknowledges, True

    @property
    def plugged(self) -> bool:
        """Whether the line is plugged in."""
        return self._line.plugged

    def unplug(self) -> None:
        """Unplug the line. The chip loses its power."""
        if self._line.plugged:
            self._power_field(False)
        self._line.unplug()

    def replug(self) -> None:
        """Plug the line in again, under the same name."""
        if self._line.plugged:
            return
        self.baud, self._next_baud = 115200, None
        self._arrived.clear()
        self._power_field(False)
        self._line.plug()

    def close(self) -> None:
        """Stop the simulator and remove its files. May be called twice."""
        self.unplug()
        self._line.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- the line ----------------------------------------------------------------------------------------------------

    def _take(self, data: bytes) -> None:
        if not self._same_speed():
            self._arrived.clear()
            return
        if self._start_s and not self._start_answers_late:
            data = self._started(data)
        self.serial_us += len(data) * 10e6 / self.baud
        self._arrived += data
        self._receive(self._arrived)

    def _started(self, data: bytes) -> bytes:
        """All that arrives at the chip's speed until it has started."""
        end, self._start_s = time.monotonic() + self._start_s, 0.0
        while (left := end - time.monotonic()) > 0:
            if select.select([self._line.master], [], [], left)[0]:
                more = os.read(self._line.master, 4096)
                data += more if self._same_speed() else b""
        return data

    def _same_speed(self) -> bool:
        try:
            line = _TERMIOS_SPEED.get(termios.tcgetattr(self._line.slave)[4])
        except (OSError, termios.error):
            return False
        if self._next_baud is not None:
            # The chip changes speed on the host's acknowledgement, and the host right after it.
            self.baud, self._next_baud = self._next_baud, None
            return True
        return line == self.baud

    def _send(self, frame: bytes) -> None:
        self.serial_us += len(frame) * 10e6 / self.baud
        if self._started_slowly:
            with contextlib.suppress(OSError, termios.error):
                if _TERMIOS_SPEED.get(termios.tcgetattr(self._line.slave)[4]) != self.baud:
                    frame = b"\x00\xfe\x80"  # what the host's UART makes of an answer that is late
        if self.baud > self._highest_baud:
            frame = bytes(octet ^ 0x20 for octet in frame)
        with contextlib.suppress(OSError):
            os.write(self._line.master, frame)

    def _pull_out(self) -> None:
        self.unplug()

    def _interrupted(self) -> bool:
        """Anything that the host sends meanwhile, an acknowledgement or another command, aborts the current one."""
        delay, start = self._delay, self._start_s if self._start_answers_late else 0.0
        if not delay and not start:
            return False
        try:
            if select.select([self._line.master], [], [], delay + start)[0]:
                return True
            if start:
                self._start_s = 0.0
            return False
        except (OSError, ValueError):  # the line was unplugged
            return True
