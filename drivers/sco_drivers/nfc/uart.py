"""A PN532 on a serial line, brought up at the highest speed both sides hold.

nfcpy's own start-up asks a shell what the line can do, opens without a lock, and cannot find a chip that a killed
process left at a higher speed. This one talks to nfcpy's public classes only, owns the line exclusively, and looks for
the chip at every speed. It refuses lines that another process holds.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from typing import TYPE_CHECKING, Any

import nfc.clf
import nfc.clf.pn532
import nfc.clf.transport
import serial

from sco_drivers.nfc.demoted import Demoted
from sco_drivers.nfc.options import BAUDS

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

log = logging.getLogger(__name__)
_quiet = Demoted(log)

FIRST_BAUD = 115200
_START = b"\x00\x00\xff"
_ACK = b"\x00\x00\xff\x00\xff\x00"
# PN532 user manual 7.2.11: two 0x55 and some silence wake the chip's high speed UART from power down.
_WAKE_UP = b"\x55\x55" + bytes(14)
# The chip acknowledges within 15 ms; the rest is for a busy machine and for converters between USB and serial.
_LEAST_MS = 250


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Line(nfc.clf.transport.TTY):  # type: ignore[misc]
    """The serial line: exclusive, with deadlines on reads and writes, and resynchronising on the start code."""

    tty: serial.Serial | None

    def open(self, port: str, baudrate: int = FIRST_BAUD) -> None:
        """Open `port`, or change the speed of the line when it is open already."""
        if self.tty is not None and self.tty.port == port:
            self.tty.flush()
            self.tty.baudrate = baudrate
            return
        self.close()
        self.tty = serial.Serial(port, baudrate, timeout=0, write_timeout=1.0, exclusive=True)

    def _take(self, count: int, deadline: float) -> bytes:
        assert self.tty is not None
        self.tty.timeout = max(0.0, deadline - time.monotonic())
        return bytes(self.tty.read(count))

    def read(self, timeout: int) -> bytearray:
        """One whole frame.

        Args:
            timeout: ms until its first byte, `_LEAST_MS` at least; the rest must follow within 100 ms more.

        Raises:
            OSError: ETIMEDOUT when nothing came, EIO when what came is no whole frame.
        """
        if self.tty is None:
            raise _os_error(errno.ENODEV)
        deadline = time.monotonic() + max(timeout, _LEAST_MS) / 1000
        frame = bytearray(self._take(len(_ACK), deadline))
        if not frame:
            raise _os_error(errno.ETIMEDOUT)
        deadline = time.monotonic() + 0.1
        while True:
            at = frame.find(_START)
            if at >= 0:
                del frame[:at]
                missing = len(_ACK) - len(frame)
                if missing <= 0:
                    break
            else:
                del frame[: max(0, len(frame) - len(_START) + 1)]
                missing = len(_ACK) - len(frame)
            more = self._take(missing, deadline)
            if not more:
                raise _os_error(errno.EIO)
            frame += more
        if frame == _ACK:
            return frame
        head, length = 5, frame[3]
        if frame[3:5] == b"\xff\xff":
            frame += self._take(8 - len(frame), deadline)
            if len(frame) < 8:
                raise _os_error(errno.EIO)
            head, length = 8, int.from_bytes(frame[5:7], "big")
        missing = head + length + 2 - len(frame)
        frame += self._take(max(0, missing), deadline)
        if len(frame) < head + length + 2:
            raise _os_error(errno.EIO)
        return frame

    def close(self) -> None:
        """Let go of the line. Never raises: a line that has been unplugged cannot be flushed."""
        if self.tty is not None:
            try:
                self.tty.close()
            except (OSError, serial.SerialException):
                log.debug("the serial line could not be closed in order")
            self.tty = None


def _answers(line: Line, chipset: Any) -> bool:
    for _ in range(2):  # the first command after a wake-up may be lost
        try:
            line.write(_WAKE_UP)
            chipset.get_firmware_version()
        except (OSError, nfc.clf.pn532.Chipset.Error) as error:
            if isinstance(error, serial.SerialException):
                raise
            log.debug("no PN532 at %d baud: %s", line.baudrate, error)
        else:
            return True
    return False


def _set_speed(line: Line, chipset: Any, speed: int) -> bool:
    """Bring both sides to `speed`, and back to where they were if octets do not come whole; whether they do."""
    before = line.baudrate
    port = line.port
    try:
        chipset.set_serial_baudrate(speed)
        line.open(port, speed)
        time.sleep(0.001)
        if _answers(line, chipset) and chipset.diagnose("line"):
            return True
    except (OSError, nfc.clf.pn532.Chipset.Error) as error:
        if isinstance(error, serial.SerialException):
            raise
        log.debug("%d baud: %s", speed, error)
    log.warning("%s does not hold %d baud", port, speed)
    # The chip may hear us though we do not hear it. It changes its speed at our acknowledgement.
    with contextlib.suppress(OSError, nfc.clf.pn532.Chipset.Error):
        chipset.set_serial_baudrate(before)
    chipset.send_ack()
    time.sleep(0.002)
    line.open(port, before)
    if not _answers(line, chipset):
        raise _os_error(errno.ENODEV)
    return False


def connect(path: str, baud: int) -> ContactlessFrontend:
    """Find the PN532 at the end of `path`, bring the line to the highest speed up to `baud` that both sides hold,
    switch the field off.

    Raises:
        OSError: ENODEV when nothing that speaks PN532 answers; others as the operating system reports them.
    """
    line = Line(path)
    try:
        chipset = nfc.clf.pn532.Chipset(line, logger=_quiet)
        # A chip fresh from power is at the first speed, one that a killed process left is at ours.
        for speed in dict.fromkeys((FIRST_BAUD, baud, *BAUDS)):
            line.open(path, speed)
            if _answers(line, chipset):
                break
        else:
            raise _os_error(errno.ENODEV)
        chipset.sam_configuration("normal")
        for speed in sorted((speed for speed in BAUDS if speed <= baud), reverse=True):
            if line.baudrate == speed or _set_speed(line, chipset, speed):
                break
        frontend = nfc.clf.ContactlessFrontend()
        frontend.device = nfc.clf.pn532.Device(chipset, logger=_quiet)
    except BaseException:
        line.close()
        raise
    return frontend
