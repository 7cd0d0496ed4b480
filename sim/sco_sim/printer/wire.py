"""The wires that a virtual printer can use: TCP, a pty (serial and `lp`), a USB gadget's device file.

Each gives bytes and takes bytes without blocking, and can be unplugged. None knows what the bytes mean.
"""

from __future__ import annotations

import contextlib
import os
import pty
import select
import selectors
import socket
import struct
import tempfile
import tty
from abc import ABC, abstractmethod
from pathlib import Path


class Wire(ABC):
    """One wire with at most one driver at its other end."""

    url: str
    can_vanish = False
    """Whether the other side may lose it without notice."""

    def __init__(self) -> None:
        self._plugged = True
        self._reachable = True

    @abstractmethod
    def _fd(self) -> int:
        """The descriptor to read and write; -1 while nothing is connected."""

    def wait(self, wake: int, timeout: float | None, *, want_read: bool, want_write: bool) -> int:
        """Wait for `wake` or for the wire; the selector events that the wire is ready for."""
        with selectors.DefaultSelector() as selector:
            selector.register(wake, selectors.EVENT_READ)
            fd = self._fd()
            wanted = selectors.EVENT_READ * want_read | selectors.EVENT_WRITE * want_write
            if fd >= 0 and wanted and self._plugged and self._reachable:
                selector.register(fd, wanted)
            self._more(selector)
            return self._sort(selector.select(timeout), fd)

    def _more(self, selector: selectors.BaseSelector) -> None:  # noqa: B027 - most wires have nothing more
        """Register what else must wake the thread."""

    def _sort(self, events: list[tuple[selectors.SelectorKey, int]], fd: int) -> int:
        return sum(mask for key, mask in events if key.fd == fd)

    @abstractmethod
    def read(self, limit: int) -> bytes | None:
        """At most `limit` bytes; None when the other side went."""

    @abstractmethod
    def write(self, data: bytes) -> int:
        """Bytes that the wire took."""

    @abstractmethod
    def set_plugged(self, plugged: bool) -> None:
        """Drop the other side, or let it come."""

    def set_reachable(self, reachable: bool) -> None:
        """Let the other side get no answer at all and no notice of that, or let it get through again."""
        self._reachable = reachable

    @abstractmethod
    def close(self) -> None:
        """Close all descriptors."""


_BACKLOG = 4
"""Connections that wait until the printer has time for them."""


class TcpWire(Wire):
    """A listening socket, by default on the loopback; one connection at a time, as a printer's port 9100."""

    can_vanish = True

    def __init__(self, port: int = 0, host: str = "127.0.0.1") -> None:
        super().__init__()
        self._host, self._port = host, port
        self._listener: socket.socket | None = None
        self._peer: socket.socket | None = None
        self._fillers: list[socket.socket] = []
        self._listen()
        self.url = f"tcp://{host}:{self._port}"

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # A small window, so that back-pressure reaches the driver as it would from a printer.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        listener.bind((self._host, self._port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        self._port = listener.getsockname()[1]
        self._listener = listener

    def _fd(self) -> int:
        return self._peer.fileno() if self._peer else -1

    def _more(self, selector: selectors.BaseSelector) -> None:
        if self._listener and not self._peer and self._reachable:
            selector.register(self._listener, selectors.EVENT_READ)

    def _sort(self, events: list[tuple[selectors.SelectorKey, int]], fd: int) -> int:
        if self._listener and any(key.fileobj is self._listener for key, _ in events):
            with contextlib.suppress(OSError):
                self._peer, _ = self._listener.accept()
                self._peer.setblocking(False)
                self._peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return 0
        return super()._sort(events, fd)

    def read(self, limit: int) -> bytes | None:
        try:
            data = self._peer.recv(limit) if self._peer else b""
        except BlockingIOError:
            return b""
        except OSError:
            data = b""
        if not data:
            self._drop()
            return None
        return data

    def write(self, data: bytes) -> int:
        try:
            return self._peer.send(data) if self._peer else len(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._drop()
            return len(data)

    def _drop(self, *, abruptly: bool = False) -> None:
        if self._peer:
            if abruptly:  # a reset, not an orderly close
                self._peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._peer.close()
            self._peer = None

    def set_reachable(self, reachable: bool) -> None:
        if reachable == self._reachable or not self._listener:
            return
        self._reachable = reachable
        if reachable:
            self._empty_queue()
            self._listener.listen(_BACKLOG)
            return
        # The kernel answers no new connection while its queue of such that nobody has accepted is full.
        self._listener.listen(0)
        for _ in range(_BACKLOG):
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex((self._host, self._port))
            self._fillers.append(one)

    def _empty_queue(self) -> None:
        for one in self._fillers:
            one.close()
        self._fillers.clear()

    def set_plugged(self, plugged: bool) -> None:
        if plugged and not self._listener:
            self._listen()
        if not plugged:
            self._drop(abruptly=True)
            self._empty_queue()
            self._reachable = True
            if self._listener:
                self._listener.close()
                self._listener = None
        self._plugged = plugged

    def close(self) -> None:
        self._drop()
        self._empty_queue()
        if self._listener:
            self._listener.close()
            self._listener = None


class PtyWire(Wire):
    """A pseudo-terminal in raw mode. Unplugging hangs up; plugging in gives it another name, with the same link."""

    def __init__(self, link: str = "") -> None:
        super().__init__()
        self._folder = "" if link else tempfile.mkdtemp(prefix="virtual-printer-")
        self.path = link or f"{self._folder}/tty"
        self.url = f"serial://{self.path}?baud=115200"
        self._master, self._slave = -1, -1
        self._open()

    def _open(self) -> None:
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._unlink()
        Path(self.path).symlink_to(os.ttyname(self._slave))
        # The slave stays open here, so that a driver that closes it does not look like our hang-up.

    def _fd(self) -> int:
        return self._master

    def read(self, limit: int) -> bytes | None:
        try:
            return os.read(self._master, limit)
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._master, data)
        except OSError:
            return 0

    def set_plugged(self, plugged: bool) -> None:
        if plugged and self._master < 0:
            self._open()
        elif not plugged and self._master >= 0:
            self._close_ends()
            self._unlink()
        self._plugged = plugged

    def _unlink(self) -> None:
        if Path(self.path).is_symlink():
            Path(self.path).unlink()

    def _close_ends(self) -> None:
        for fd in (self._slave, self._master):
            if fd >= 0:
                os.close(fd)
        self._master, self._slave = -1, -1

    def close(self) -> None:
        self._close_ends()
        self._unlink()
        if self._folder:
            with contextlib.suppress(OSError):
                Path(self._folder).rmdir()


_GADGET_LOOK_S = 0.05
"""How often a gadget's reader asks again: a request that was pending while the host set the gadget up is lost."""


class GadgetWire(Wire):
    """The device side of a USB printer gadget (`/dev/g_printer0`); the host sees a USB printer.

    The descriptor never blocks, and its requests are repeated at each look. The kernel takes `q_len` requests of 8 KiB
    beyond the receive buffer of the simulated printer, so back-pressure reaches the host that much later.

    Args:
        path: the gadget's device file.
        udc: the gadget's `UDC` file in configfs; unplugging unbinds it. None when something else unplugs it.
    """

    def __init__(self, path: str, udc: str | None = None) -> None:
        super().__init__()
        self.url = "lp:///dev/usb/lp0"
        self._path = path
        self._udc = Path(udc) if udc else None
        self._controller = ""
        self._file = -1
        self._reopen()

    def _reopen(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def _fd(self) -> int:
        return self._file

    def wait(self, wake: int, timeout: float | None, *, want_read: bool, want_write: bool) -> int:
        timeout = _GADGET_LOOK_S if timeout is None else min(timeout, _GADGET_LOOK_S)
        if self._file < 0 and self._plugged:
            with contextlib.suppress(OSError):  # ENODEV until the host has set it up
                self._reopen()
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        if self._file >= 0:
            poll.register(self._file, select.POLLIN * want_read | select.POLLOUT * want_write)
        seen = dict(poll.poll(timeout * 1000))
        events = seen.get(self._file, 0)
        if events & (select.POLLHUP | select.POLLERR):  # no host has set it up; poll would return at once each time
            select.select([wake], [], [], timeout)
            return 0
        return (selectors.EVENT_READ if events & select.POLLIN else 0) | (
            selectors.EVENT_WRITE if events & select.POLLOUT else 0
        )

    def read(self, limit: int) -> bytes | None:
        try:
            return os.read(self._file, limit)
        except OSError:
            return b""

    def write(self, data: bytes) -> int:
        try:
            return os.write(self._file, data)
        except OSError:
            return 0

    def set_plugged(self, plugged: bool) -> None:
        if plugged == self._plugged:
            return
        self._plugged = plugged
        if self._udc is None:
            return
        if plugged:
            self._udc.write_text(self._controller + "\n")
        else:
            self._controller = self._udc.read_text().strip()
            self.close()
            self._udc.write_text("\n")

    def _drain(self) -> None:
        """Linux (6.1) frees a request that was read in part when the gadget is unbound, and uses it after all."""
        with contextlib.suppress(OSError):
            while os.read(self._file, 1 << 16):
                pass

    def close(self) -> None:
        if self._file >= 0:
            self._drain()
            os.close(self._file)
        self._file = -1


_HIGHEST_PORT = 65535


def open_wire(where: str, *, port: int = 0, udc: str | None = None) -> Wire:
    """The wire `where`: "tcp", "tcp://HOST:PORT", "pty", "pty:///LINK", or a gadget's device file.

    Raises:
        ValueError: another word.
        OSError: it cannot be opened.
    """
    if where.startswith("/"):
        return GadgetWire(where, udc)
    kind, _, rest = where.partition("://")
    if kind == "tcp":
        host, _, number = rest.rpartition(":") if ":" in rest else (rest, "", "")
        if number and not (number.isdecimal() and int(number) <= _HIGHEST_PORT):
            raise ValueError(f"{number!r} is not a TCP port; expected 0 (any) to {_HIGHEST_PORT}")
        return TcpWire(int(number or port), host or "127.0.0.1")
    if kind == "pty":
        return PtyWire(rest)
    raise ValueError(f"{where!r} is not a wire: tcp://HOST:PORT, pty:///LINK, or /dev/g_printer0")
