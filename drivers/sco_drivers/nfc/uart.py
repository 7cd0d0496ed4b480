"""A PN532 on a serial line, initialised at the highest speed that works.

nfcpy's own initialisation runs a shell command to see what the line supports, opens it without a lock, and cannot find
a chip that a killed process left at a higher speed. This one uses nfcpy's public classes only, opens the line
exclusively (it refuses a line that another process uses), and looks for the chip at every speed.
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

from sco_drivers.nfc.debug_log import DebugLogger
from sco_drivers.nfc.options import BAUDS
from sco_drivers.serial_port import close_line, refuse_closing

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

log = logging.getLogger(__name__)
_quiet = DebugLogger(log)

FIRST_BAUD = 115200
_START = b"\x00\x00\xff"
_ACK = b"\x00\x00\xff\x00\xff\x00"
# PN532 user manual 7.2.11: two 0x55 and a pause wake the chip's high speed UART from power down.
_WAKE_UP = b"\x55\x55" + bytes(14)
# The chip acknowledges within 15 ms; the rest is for a busy machine and for converters between USB and serial.
_MIN_TIMEOUT_MS = 250
# Some chips take 0.6 to 1.5 s for their first answer after power-up.
_SLOW_START_MS = 1700
_QUIET_S = 0.1
_SENDS_S = 1.0
"""A command is sent by then, unless the line's converter is stuck."""
_LOOK_S = 0.002


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


class Line(nfc.clf.transport.TTY):  # type: ignore[misc]
    """The serial line `device`: exclusive, with deadlines on reads and writes, and resynchronising on the start code.

    It is opened by `open`.
    """

    tty: serial.Serial | None
    min_timeout_ms = _MIN_TIMEOUT_MS

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device

    def open(self, port: str, baudrate: int = FIRST_BAUD) -> None:
        """Open `port`, or change the speed of the line when it is open already.

        Raises:
            OSError: ETIMEDOUT if the line does not send what was written; others as the operating system reports them.
        """
        if self.tty is not None and self.tty.port == port:
            self._send_all(self.tty)
            self.tty.baudrate = baudrate
            return
        self.close()
        if port:  # nfcpy's own __init__ names none
            refuse_closing(port, "")
        self.tty = serial.Serial(port, baudrate, timeout=0, write_timeout=1.0, exclusive=True)

    @staticmethod
    def _send_all(tty: serial.Serial) -> None:
        """Wait until everything is sent. pyserial's own flush has no deadline."""
        deadline = time.monotonic() + _SENDS_S
        while tty.out_waiting:
            if time.monotonic() >= deadline:
                raise _os_error(errno.ETIMEDOUT)
            time.sleep(_LOOK_S)

    def _take(self, count: int, deadline: float) -> bytes:
        assert self.tty is not None
        self.tty.timeout = max(0.0, deadline - time.monotonic())
        return bytes(self.tty.read(count))

    def read(self, timeout: int) -> bytearray:
        """Read one whole frame.

        Args:
            timeout: ms until its first byte, at least `min_timeout_ms`; the rest must follow within another 100 ms.

        Raises:
            OSError: ETIMEDOUT if nothing came, EIO if what came is not a whole frame.
        """
        if self.tty is None:
            raise _os_error(errno.ENODEV)
        deadline = time.monotonic() + max(timeout, self.min_timeout_ms) / 1000
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

    def drain(self) -> None:
        """Discard answers that arrive late, until the line is quiet."""
        while self._take(4096, time.monotonic() + _QUIET_S):
            pass

    def close(self) -> None:
        """Release the line. Never raises."""
        tty, self.tty = self.tty, None
        if tty is None or not tty.is_open:
            return
        try:
            line = os.dup(tty.fileno())
            tty.close()
        except (OSError, serial.SerialException):
            log.debug("the serial line could not be closed cleanly")
        else:
            close_line(line, discard=False)  # its last command may switch the field off


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


def _answers_slowly(line: Line, chipset: Any) -> bool:
    """Wait for the first answer of a chip that starts slowly. Its answers to earlier commands may come meanwhile."""
    line.min_timeout_ms = _SLOW_START_MS
    try:
        line.drain()
        found = _answers(line, chipset)
    finally:
        line.min_timeout_ms = _MIN_TIMEOUT_MS
    if found:
        line.drain()
    return found and _answers(line, chipset)


def _configure(line: Line, chipset: Any) -> None:
    """Normal mode. A late answer to an earlier command may come instead of the first answer to this one."""
    try:
        chipset.sam_configuration("normal")
    except (OSError, nfc.clf.pn532.Chipset.Error) as error:
        if isinstance(error, serial.SerialException):
            raise
        line.drain()
        chipset.sam_configuration("normal")


def _set_speed(line: Line, chipset: Any, speed: int) -> bool:
    """Set both sides to `speed`, and back if data does not arrive intact; returns whether it does."""
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
    log.warning("%s does not work at %d baud", port, speed)
    # The chip may receive us though we do not receive it. It changes its speed at our acknowledgement.
    with contextlib.suppress(OSError, nfc.clf.pn532.Chipset.Error):
        chipset.set_serial_baudrate(before)
    chipset.send_ack()
    time.sleep(0.002)
    line.open(port, before)
    if not _answers(line, chipset):
        raise _os_error(errno.ENODEV)
    return False


def connect(line: Line, baud: int) -> ContactlessFrontend:
    """Find the PN532 on `line`, which is not open yet, set the highest speed up to `baud` that works on both sides,
    switch the field off.

    Raises:
        OSError: ENODEV if no PN532 answers; others as the operating system reports them.
    """
    try:
        chipset = nfc.clf.pn532.Chipset(line, logger=_quiet)
        # After power-up the chip is at the first speed; a killed process may have left it at ours.
        for speed in dict.fromkeys((FIRST_BAUD, baud, *BAUDS)):
            line.open(line.device, speed)
            if _answers(line, chipset):
                break
        else:
            line.open(line.device, FIRST_BAUD)
            if not _answers_slowly(line, chipset):
                raise _os_error(errno.ENODEV)
        _configure(line, chipset)
        for speed in sorted((speed for speed in BAUDS if speed <= baud), reverse=True):
            if line.baudrate == speed or _set_speed(line, chipset, speed):
                break
        frontend = nfc.clf.ContactlessFrontend()
        frontend.device = nfc.clf.pn532.Device(chipset, logger=_quiet)
    except BaseException:
        line.close()
        raise
    return frontend
