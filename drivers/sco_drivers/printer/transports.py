"""The wires to a printer: what each promises, and those that are a file descriptor (TCP, usblp).

A wire moves bytes under a deadline and counts what was taken. Nothing here knows ESC/POS. Every failure is one of ours
(`sco_drivers.errors`); no reset is sent at opening. The serial line is `serial_line.py`, USB is `usb_wire.py`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import stat
import struct
import time
from typing import Protocol

from sco_drivers.errors import (
    RULES_HINT,
    BadDeviceUrl,
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceTimeout,
)

CHUNK = 1024
TCP_PORT = 9100
_LOOK_AGAIN_S = 0.01


class Transport(Protocol):
    """One open wire. One thread at a time."""

    def write(self, data: bytes, timeout_s: float) -> int:
        """Give as much of `data` as the device takes within `timeout_s`; returns how many bytes it took, at most.

        What stands between (a kernel's buffer, a print server) may hold some of them; the device never got more.

        Raises:
            DeviceGone: the wire broke; how many bytes were taken by then is not known.
        """
        ...

    def write_realtime(self, data: bytes, timeout_s: float, *, discard: bool = False) -> int:
        """Give a real-time command, which a printer takes though it holds the line for all else; as `write` otherwise.

        Args:
            data: the command.
            timeout_s: as in `write`.
            discard: what waits on our side is dead: throw it away first.
        """
        ...

    def read(self, timeout_s: float) -> bytes:
        """What has come within `timeout_s`, as soon as there is anything; empty for silence. Raises DeviceGone."""
        ...

    def close(self, *, discard: bool = False) -> None:
        """Let go, at once. With `discard`, what the device has not taken yet is thrown away. Never raises."""
        ...


def from_os_error(error: OSError, url: str, *, opening: bool) -> DeviceError:
    """Our error for what the operating system said."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return DevicePermission("this user may not open it", url=url, hint=RULES_HINT)
        case errno.EBUSY | errno.EAGAIN:
            return DeviceBusy("another owner has it", url=url, hint="stop the other program; for usb, the usblp module")
        case errno.ENOENT | errno.ENODEV | errno.ENXIO | errno.ECONNREFUSED | errno.EHOSTUNREACH | errno.ENETUNREACH:
            kind = DeviceNotFound if opening else DeviceGone
            return kind(f"nothing answers there ({error.strerror})", url=url, hint="check cable, power and address")
        case _:
            if isinstance(error, TimeoutError):
                return DeviceTimeout("no connection in time", url=url, hint="check cable, power and address")
            if opening:
                return DeviceNotFound(f"it cannot be opened ({error})", url=url, hint="check cable, power and address")
            return DeviceGone(
                f"the connection broke ({error.strerror or error})", url=url, hint="check cable and power"
            )


class FdTransport:
    """A non-blocking file descriptor, which is owned and closed here."""

    def __init__(self, fd: int, url: str) -> None:
        os.set_blocking(fd, False)
        self._fd, self._url = fd, url

    def _until(self, event: int, end: float) -> int:
        """What of `event` (or hang-up, or error) came by `end`, monotonic s; 0 for nothing."""
        poll = select.poll()
        poll.register(self._fd, event)
        found = poll.poll(max(0.0, end - time.monotonic()) * 1000)
        return found[0][1] if found else 0

    def write(self, data: bytes, timeout_s: float) -> int:
        """See `Transport`."""
        end = time.monotonic() + timeout_s
        taken = 0
        while taken < len(data):
            size = self._may_send(end)
            if not size or not self._until(select.POLLOUT, end):
                break
            try:
                taken += self._write_now(data[taken : taken + size])
            except BlockingIOError:
                # usblp is ready for poll and busy for write while a transfer runs: look again, but not in a tight loop.
                time.sleep(_LOOK_AGAIN_S)
                if time.monotonic() >= end:
                    break
        return taken

    def _write_now(self, data: bytes) -> int:
        """Bytes that were taken at once. Raises BlockingIOError for none, DeviceError."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            raise
        except OSError as error:
            raise from_os_error(error, self._url, opening=False) from error

    def write_realtime(self, data: bytes, timeout_s: float, *, discard: bool = False) -> int:
        """See `Transport`. A wire without flow control of its own has nothing to pass by, and keeps nothing back."""
        return self.write(data, timeout_s)

    def _may_send(self, end: float) -> int:
        """Bytes that may be given now; waits until there is room, 0 when there is none by `end`."""
        return CHUNK

    def read(self, timeout_s: float) -> bytes:
        """See `Transport`."""
        end = time.monotonic() + timeout_s
        while seen := self._until(select.POLLIN, end):
            try:
                data = os.read(self._fd, 4096)
            except BlockingIOError:
                data = b""
            except OSError as error:
                raise from_os_error(error, self._url, opening=False) from error
            if data:
                return data
            self._nothing_came(hung_up=bool(seen & (select.POLLHUP | select.POLLERR | select.POLLNVAL)))
            if time.monotonic() >= end:
                break
        return b""

    def _nothing_came(self, *, hung_up: bool) -> None:
        """The descriptor was ready and gave nothing: usblp does so for an empty packet, a line that was pulled too."""
        if hung_up:
            raise DeviceGone("the device was unplugged", url=self._url, hint="check cable and power")
        time.sleep(_LOOK_AGAIN_S)

    def close(self, *, discard: bool = False) -> None:
        """See `Transport`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                if discard:
                    self._discard(fd)
                os.close(fd)

    def _discard(self, fd: int) -> None:
        """Throw away what waits between us and the device. usblp does so when it is closed."""


class TcpTransport(FdTransport):
    """A connection to port 9100."""

    def __init__(self, wire: socket.socket, url: str) -> None:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        super().__init__(wire.detach(), url)

    def _nothing_came(self, *, hung_up: bool) -> None:
        raise DeviceGone("the printer closed the connection", url=self._url, hint="check cable and power")

    def _discard(self, fd: int) -> None:
        # A farewell would leave the kernel trying to deliver the rest, perhaps long after the ticket's end; a reset
        # throws it away.
        wire = socket.socket(fileno=os.dup(fd))
        with wire:
            wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class LpTransport(FdTransport):
    """`/dev/usb/lp*`, by the kernel's usblp."""

    def read(self, timeout_s: float) -> bytes:
        """See `Transport`. A printer without a way back is silent."""
        try:
            return super().read(timeout_s)
        except DeviceGone as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EINVAL:
                time.sleep(timeout_s)
                return b""
            raise


def open_tcp_wire(host: str, port: int, url: str, connect_s: float) -> Transport:
    """`tcp://host[:9100]`; `url` is for messages. Raises DeviceError."""
    try:
        wire = socket.create_connection((host, port), connect_s)
    except UnicodeError as error:
        raise BadDeviceUrl(f"{host!r} is not a host name ({error})", url=url) from error
    except OSError as error:
        raise from_os_error(error, url, opening=True) from error
    return TcpTransport(wire, url)


def open_lp_wire(path: str, url: str) -> Transport:
    """`lp:///dev/usb/lp0`; `url` is for messages. Raises DeviceError."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise from_os_error(error, url, opening=True) from error
    kind = os.fstat(fd).st_mode
    if stat.S_ISREG(kind) or stat.S_ISBLK(kind):  # a wrong path must not cost somebody's file or disk
        os.close(fd)
        raise BadDeviceUrl("that is a file or a disk, no printer", url=url, hint="lp:///dev/usb/lp0")
    return LpTransport(fd, url)
