"""A serial line to a printer: set up by pyserial, moved by our own reads and writes.

pyserial does not report how much of a timed-out write was sent, has no DSR/DTR flow control on Linux, and closes a line
that the printer has stopped without a time limit.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import select
import termios
import time
from collections.abc import Iterator
from typing import NamedTuple

from sco_drivers.errors import FIND_HINT, BadDeviceUrl, DeviceBusy
from sco_drivers.printer.transports import FdTransport, Transport, from_os_error
from sco_drivers.serial_port import close_line, discard_unsent, refuse_closing, unsent
from sco_drivers.urls import DeviceUrl

FLOWS = ("none", "rtscts", "dsrdtr", "xonxoff")
_DSR_PIECE = 16
"""Bytes sent between two checks of DSR: less than what a printer still takes (16 to 256) once it signals busy."""
_LOOK_S = 0.002
_BLOCKED_AFTER_S = 0.05
"""If a real-time command has not been sent by then, the printer is taken to have stopped the line."""


class SerialTransport(FdTransport):
    """A serial line with flow control."""

    def __init__(self, fd: int, url: str, *, dsrdtr: bool) -> None:
        super().__init__(fd, url)
        self._dsrdtr = dsrdtr

    def _may_send(self, end: float) -> int:
        if not self._dsrdtr:
            return super()._may_send(end)
        # What the kernel has is sent even when DSR drops, so it is never given more than a piece.
        while self._waiting() or not self._dsr():
            if time.monotonic() >= end:
                return 0
            time.sleep(_LOOK_S)
        return _DSR_PIECE

    def write_realtime(self, data: bytes, timeout_s: float, *, discard: bool = False) -> int:
        """See `Transport`. A printer that is offline stops the line (Epson: "BUSY when offline", the default), and yet
        executes real-time commands: otherwise it could not be asked for the reason.
        """
        end = time.monotonic() + timeout_s
        if discard:
            discard_unsent(self._fd)
        if self._waiting():  # it has stopped the bytes of a ticket, which must not be forced on it
            return self.write(data, timeout_s)
        taken = self.write(data, min(timeout_s, _BLOCKED_AFTER_S))
        if taken == len(data) and self._sent(min(end, time.monotonic() + _BLOCKED_AFTER_S)):
            return taken
        with self._flow_control_off():
            if taken < len(data) and self._until(select.POLLOUT, end):
                with contextlib.suppress(BlockingIOError):
                    taken += self._write_now(data[taken:])
            self._sent(end)
        return taken

    def _sent(self, end: float) -> bool:
        """Whether the kernel has sent everything by `end`, monotonic s."""
        while self._waiting():
            if time.monotonic() >= end:
                return False
            time.sleep(_LOOK_S)
        return True

    @contextlib.contextmanager
    def _flow_control_off(self) -> Iterator[None]:
        """XON/XOFF and RTS/CTS; DSR/DTR is kept by `_may_send`."""
        try:
            before = termios.tcgetattr(self._fd)
            without = [before[0] & ~termios.IXON, before[1], before[2] & ~termios.CRTSCTS, *before[3:]]
            termios.tcsetattr(self._fd, termios.TCSANOW, without)
        except termios.error as error:
            raise from_os_error(OSError(*error.args), self._url, opening=False) from error
        try:
            yield
        finally:
            with contextlib.suppress(termios.error):  # the line was unplugged meanwhile, which the next call finds
                termios.tcsetattr(self._fd, termios.TCSANOW, before)

    def _waiting(self) -> int:
        try:
            return unsent(self._fd)
        except OSError as error:
            raise self._error(error) from error

    def _dsr(self) -> bool:
        try:
            return bool(_signals(self._fd) & termios.TIOCM_DSR)
        except OSError as error:
            raise self._error(error) from error

    def _close(self, fd: int, *, discard: bool) -> None:
        close_line(fd, discard=discard)


def _signals(fd: int) -> int:
    """The line's modem signals, by their bits. Raises OSError."""
    value = array.array("i", [0])
    fcntl.ioctl(fd, termios.TIOCMGET, value)
    return value[0]


class SerialAddress(NamedTuple):
    """A serial line: its device file, its speed, and one of `FLOWS`."""

    path: str
    baud: int = 9600
    flow: str = "none"

    @classmethod
    def of(cls, url: DeviceUrl) -> SerialAddress:
        """As the URL's path, `baud` and `flow` give it.

        Raises:
            BadDeviceUrl: no such speed or flow control.
        """
        baud = url.integer("baud", 9600, min=300, max=4_000_000)
        return cls(url.path, baud, url.choice("flow", "none", FLOWS))


def open_serial_wire(address: SerialAddress, url: str) -> Transport:
    """`serial:///dev/ttyUSB0?baud=115200&flow=dsrdtr`; `url` is for messages. Raises DeviceError."""
    import serial

    flow = address.flow
    refuse_closing(address.path, url)
    try:
        port = serial.Serial(
            address.path, address.baud, exclusive=True, rtscts=flow == "rtscts", xonxoff=flow == "xonxoff"
        )
    except serial.SerialException as error:
        if "exclusively lock" in str(error):
            raise DeviceBusy("another process has the line", url=url, hint="stop it") from error
        below = error.__context__  # pyserial puts the number of a setting's failure into its text only
        if isinstance(below, termios.error) and below.args[0] in (errno.ENOTTY, errno.EINVAL):
            raise BadDeviceUrl("not a serial line", url=url, hint=FIND_HINT) from error
        raise from_os_error(OSError(error.errno or errno.ENXIO, str(error)), url, opening=True) from error
    except ValueError as error:
        raise BadDeviceUrl(f"the line cannot be set up: {error}", url=url) from error
    except (OSError, termios.error) as error:
        raise from_os_error(OSError(*error.args), url, opening=True) from error
    fd = os.dup(port.fileno())  # the lock belongs to the open file, which stays open under this descriptor
    port.close()
    if flow == "dsrdtr":
        try:
            _signals(fd)
        except OSError as error:
            os.close(fd)
            if error.errno not in (errno.ENOTTY, errno.EINVAL):
                raise from_os_error(error, url, opening=True) from error
            raise BadDeviceUrl(
                f"flow=dsrdtr: the line has no modem signals ({error.strerror})", url=url, hint="flow=none"
            ) from error
    return SerialTransport(fd, url, dsrdtr=flow == "dsrdtr")
