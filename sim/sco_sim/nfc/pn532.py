"""A PN532 on a pseudo-terminal, with tags in its field: two speeds that must agree, and faults.

The line is a symbolic link to a pty, so that it can be unplugged and plugged in again under the same name. The chip
receives noise if the line has another speed than the chip. Time on the air and on the wire is computed from datasheet
figures, so that benchmarks do not depend on the machine.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import tempfile
import termios
import threading
import time
import tty
from pathlib import Path
from typing import Self

from sco_sim.nfc.framed_chip import FramedChip
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532_chip import SPEEDS, Fault

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
        self._folder = Path(tempfile.mkdtemp(prefix="sco-pn532-"))
        self.path = self._folder / "tty"
        self._master = self._slave = -1
        self._thread: threading.Thread | None = None
        self._plug()

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
        if self._master < 0:
            self._plug()

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

    def unplug(self) -> None:
        """Unplug the line. The chip loses its power."""
        self._unplug()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def replug(self) -> None:
        """Plug the line in again, under the same name."""
        if self._master < 0:
            self._plug()

    def close(self) -> None:
        """Stop the simulator and remove its files. May be called twice."""
        self.unplug()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # -- the line ----------------------------------------------------------------------------------------------------

    def _plug(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        attributes = termios.tcgetattr(self._slave)
        attributes[4] = attributes[5] = termios.B115200
        termios.tcsetattr(self._slave, termios.TCSANOW, attributes)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))
        self.baud, self._next_baud = 115200, None
        self._power_field(False)
        self._thread = threading.Thread(target=self._run, args=(self._master,), name="pn532", daemon=True)
        self._thread.start()

    def _unplug(self) -> None:
        self.path.unlink(missing_ok=True)
        master, self._master = self._master, -1
        slave, self._slave = self._slave, -1
        if master >= 0:
            self._power_field(False)
            os.close(slave)
            os.close(master)

    def _run(self, master: int) -> None:
        buffer = bytearray()
        while self._master == master:
            try:
                # With a deadline, since closing the descriptor in another thread does not wake select.
                if not select.select([master], [], [], 0.05)[0]:
                    continue
                data = os.read(master, 4096)
            except (OSError, ValueError):
                return
            if not data or self._master != master:
                return
            if not self._same_speed():
                buffer.clear()
                continue
            if self._start_s and not self._start_answers_late:
                data = self._started(master, data)
            self.serial_us += len(data) * 10e6 / self.baud
            buffer += data
            self._receive(buffer)

    def _started(self, master: int, data: bytes) -> bytes:
        """All that arrives at the chip's speed until it has started."""
        end, self._start_s = time.monotonic() + self._start_s, 0.0
        while (left := end - time.monotonic()) > 0:
            if select.select([master], [], [], left)[0]:
                more = os.read(master, 4096)
                data += more if self._same_speed() else b""
        return data

    def _same_speed(self) -> bool:
        try:
            line = _TERMIOS_SPEED.get(termios.tcgetattr(self._slave)[4])
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
                if _TERMIOS_SPEED.get(termios.tcgetattr(self._slave)[4]) != self.baud:
                    frame = b"\x00\xfe\x80"  # what the host's UART makes of an answer that is late
        if self.baud > self._highest_baud:
            frame = bytes(octet ^ 0x20 for octet in frame)
        with contextlib.suppress(OSError):
            os.write(self._master, frame)

    def _pull_out(self) -> None:
        self._unplug()

    def _interrupted(self) -> bool:
        """Anything that the host sends meanwhile, an acknowledgement or another command, aborts the current one."""
        delay, start = self._delay, self._start_s if self._start_answers_late else 0.0
        if not delay and not start:
            return False
        try:
            if select.select([self._master], [], [], delay + start)[0]:
                return True
            if start:
                self._start_s = 0.0
            return False
        except (OSError, ValueError):  # the line was unplugged
            return True
