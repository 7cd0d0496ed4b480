"""The wires to a printer: their protocol, and those that are a file descriptor (TCP, usblp).

A wire moves bytes within a deadline and counts what was taken. It knows nothing about ESC/POS. Every failure is one of
`sco_drivers.errors`; opening sends no reset. The serial line is in `serial_line.py`, USB in `usb_wire.py`.
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

from sco_drivers.access import access_hint
from sco_drivers.errors import (
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
_RETRY_S = 0.01


class Transport(Protocol):
    """One open wire. One thread at a time."""

    def write(self, data: bytes, timeout_s: float) -> int:
        """Send as much of `data` as the device takes within `timeout_s`; returns how many bytes it took, at most.

        A kernel's buffer or a print server in between may still have some of them; the device never got more.

        Raises:
            DeviceGone: the wire broke; how many bytes were taken by then is not known.
        """
        ...

    def write_realtime(self, data: bytes, timeout_s: float, *, discard: bool = False) -> int:
        """Send a real-time command, which a printer takes even while it has stopped the line; otherwise as `write`.

        Args:
            data: the command.
            timeout_s: as in `write`.
            discard: first throw away what waits on our side.
        """
        ...

    def read(self, timeout_s: float) -> bytes:
        """What arrives within `timeout_s`, as soon as anything does; empty if nothing does. Raises DeviceGone."""
        ...

    def close(self, *, discard: bool = False) -> None:
        """Close at once. With `discard`, what the device has not taken yet is thrown away where the kernel can do so: a
        USB serial line may still deliver it. Never raises.
        """
        ...


def from_os_error(error: OSError, url: str, *, opening: bool) -> DeviceError:
    """The error of ours for one of the operating system."""
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return DevicePermission("this user may not open it", url=url, hint=access_hint(url, error.errno))
        case errno.EBUSY | errno.EAGAIN:
            return DeviceBusy("another program uses it", url=url, hint="stop it; for usb, unload the module usblp")
        case errno.ENOENT | errno.ENODEV | errno.ENXIO | errno.EHOSTUNREACH | errno.ENETUNREACH:
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


def from_tcp_error(error: OSError, url: str, *, opening: bool) -> DeviceError:
    """The error of ours for one of a TCP connection: device files and their permissions play no part in it."""
    lost = DeviceNotFound if opening else DeviceGone
    if isinstance(error, socket.gaierror):
        hint = "check the name and the name server, or write the IP address"
        return lost(f"the host name cannot be resolved ({error.strerror})", url=url, hint=hint)
    match error.errno:
        case errno.EACCES | errno.EPERM:
            message = f"this machine does not allow the connection ({error.strerror})"
            hint = "check its firewall, and IPAddressDeny= of the lane's service"
            return DevicePermission(message, url=url, hint=hint)
        case errno.ECONNREFUSED:
            message = "the host answers, and refuses the connection"
            hint = "check the port; a print server that takes one connection may be held by another computer"
            return lost(message, url=url, hint=hint)
        case _:
            return from_os_error(error, url, opening=opening)


class FdTransport:
    """A non-blocking file descriptor, owned and closed by this object."""

    def __init__(self, fd: int, url: str) -> None:
        os.set_blocking(fd, False)
        self._fd, self._url = fd, url

    def _until(self, event: int, end: float) -> int:
        """What of `event` (or hang-up, or error) happened by `end`, monotonic s; 0 if nothing did."""
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
                # During a transfer usblp is ready for poll and busy for write: retry, but not in a tight loop.
                time.sleep(_RETRY_S)
                if time.monotonic() >= end:
                    break
        return taken

    def _write_now(self, data: bytes) -> int:
        """Bytes that were taken at once. Raises BlockingIOError if none were, DeviceError."""
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            raise
        except OSError as error:
            raise self._error(error) from error

    def _error(self, error: OSError) -> DeviceError:
        return from_os_error(error, self._url, opening=False)

    def write_realtime(self, data: bytes, timeout_s: float, *, discard: bool = False) -> int:
        """See `Transport`. A wire without flow control has nothing to bypass and nothing to discard."""
        return self.write(data, timeout_s)

    def _may_send(self, end: float) -> int:
        """Bytes that may be sent now; waits for room, 0 if there is none by `end`."""
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
                raise self._error(error) from error
            if data:
                return data
            self._read_empty(hung_up=bool(seen & (select.POLLHUP | select.POLLERR | select.POLLNVAL)))
            if time.monotonic() >= end:
                break
        return b""

    def _read_empty(self, *, hung_up: bool) -> None:
        """The descriptor was readable and empty: usblp does so for an empty packet, an unplugged line too."""
        if hung_up:
            raise DeviceGone("the device was unplugged", url=self._url, hint="check cable and power")
        time.sleep(_RETRY_S)

    def close(self, *, discard: bool = False) -> None:
        """See `Transport`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                self._close(fd, discard=discard)

    def _close(self, fd: int, *, discard: bool) -> None:
        """Close `fd`. usblp throws away what waits by itself."""
        os.close(fd)


class TcpTransport(FdTransport):
    """A connection to port 9100."""

    def __init__(self, wire: socket.socket, url: str) -> None:
        wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, option):
                wire.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        super().__init__(wire.detach(), url)

    def _error(self, error: OSError) -> DeviceError:
        return from_tcp_error(error, self._url, opening=False)

    def _read_empty(self, *, hung_up: bool) -> None:
        raise DeviceGone("the printer closed the connection", url=self._url, hint="check cable and power")

    def _close(self, fd: int, *, discard: bool) -> None:
        with socket.socket(fileno=fd) as wire:
            if discard:
                # After an orderly close the kernel would keep trying to deliver the rest, perhaps long after the ticket
                # has expired; a reset throws it away.
                wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class LpTransport(FdTransport):
    """`/dev/usb/lp*`, by the kernel's usblp."""

    def read(self, timeout_s: float) -> bytes:
        """See `Transport`. A printer without a back channel sends nothing."""
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
        raise from_tcp_error(error, url, opening=True) from error
    return TcpTransport(wire, url)


def open_lp_wire(path: str, url: str) -> Transport:
    """`lp:///dev/usb/lp0`; `url` is for messages. Raises DeviceError."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        raise from_os_error(error, url, opening=True) from error
    kind = os.fstat(fd).st_mode
    if stat.S_ISREG(kind) or stat.S_ISBLK(kind):  # a wrong path must not overwrite a file or disk
        os.close(fd)
        raise BadDeviceUrl("this is a file or a disk, not a printer", url=url, hint="lp:///dev/usb/lp0")
    return LpTransport(fd, url)
