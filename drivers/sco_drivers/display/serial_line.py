"""A customer display on a serial line: USB CDC (`/dev/ttyACM0`) or an adapter, 8N1. Uses the standard library only.

What a display sends is not documented for any of them, so it is read and logged, never waited for.
"""

from __future__ import annotations

import array
import contextlib
import errno
import fcntl
import os
import select
import termios
import threading
import time
from collections.abc import Callable
from typing import Protocol, Self

from sco_drivers import tap
from sco_drivers.access import access_hint
from sco_drivers.display import CodeMayShow, DisplayedCode
from sco_drivers.errors import (
    FIND_HINT,
    BadDeviceUrl,
    DeviceBusy,
    DeviceClosed,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceTimeout,
    DisplayError,
)
from sco_drivers.serial_port import close_line, refuse_closing, unsent
from sco_drivers.urls import DeviceUrl

PARAMETERS = ("baud",)
"""Query parameters of every display on a serial line."""

_SPEEDS = {
    "115200": termios.B115200,
    "57600": termios.B57600,
    "38400": termios.B38400,
    "19200": termios.B19200,
    "9600": termios.B9600,
}
SEND_S = 1.0
"""A display takes a command at once; one that has not by then takes nothing."""

_LOOK_S = 0.002
_LONGEST_REPLY = 4096


class Commands(Protocol):
    """The language of one make of display."""

    def code(self, code: DisplayedCode) -> bytes:
        """Shows `code`."""
        ...

    def result(self, *, paid: bool, text: str) -> bytes:
        """Shows the picture of a payment, or `text` where there are no pictures."""
        ...

    def clear(self) -> bytes:
        """Removes everything."""
        ...


class Wire(Protocol):
    """The wire to a display. One thread at a time."""

    def write(self, data: bytes, timeout_s: float) -> int:
        """How many bytes of `data` were taken, as soon as any were; 0 if none were in time. Raises DeviceGone."""
        ...

    def read(self, timeout_s: float) -> bytes:
        """What arrives within `timeout_s`, as soon as anything does; empty if nothing does. Raises DeviceGone."""
        ...

    def close(self, *, discard: bool = False) -> None:
        """Close it at once. May be called twice. Never raises."""
        ...

    def flush(self, timeout_s: float) -> bool:
        """Whether everything was passed on to the display within `timeout_s`. Raises DeviceGone."""
        ...


class DisplayLine:
    """A `Wire` on an open serial line, whose descriptor is closed with it. `url` is for messages."""

    def __init__(self, fd: int, url: str) -> None:
        self._fd = fd
        self._url = url

    def write(self, data: bytes, timeout_s: float) -> int:
        """See `Wire`."""
        end = time.monotonic() + timeout_s
        while time.monotonic() < end and self._poll(select.POLLOUT, end):
            try:
                return os.write(self._fd, data)
            except BlockingIOError:
                time.sleep(_LOOK_S)
            except OSError as error:
                raise self._gone(error) from error
        return 0

    def flush(self, timeout_s: float) -> bool:
        """See `Wire`."""
        end = time.monotonic() + timeout_s
        while True:
            try:
                if not unsent(self._fd):
                    return True
            except OSError as error:
                raise self._gone(error) from error
            if time.monotonic() >= end:
                return False
            time.sleep(_LOOK_S)

    def read(self, timeout_s: float) -> bytes:
        """See `Wire`."""
        found = self._poll(select.POLLIN, time.monotonic() + timeout_s)
        if not found:
            return b""
        if found & (select.POLLHUP | select.POLLERR | select.POLLNVAL):
            raise self._gone(None)
        try:
            return os.read(self._fd, _LONGEST_REPLY)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._gone(error) from error

    def close(self, *, discard: bool = False) -> None:
        """See `Wire`."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):  # it was unplugged
                discard = discard and unsent(fd) > 0  # a pseudo-terminal throws away what it has passed on too
            close_line(fd, discard=discard)

    def _poll(self, event: int, end: float) -> int:
        """What of `event` (or hang-up, or error) happened by `end`, monotonic s; 0 if nothing did."""
        poll = select.poll()
        poll.register(self._fd, event)
        found = poll.poll(max(0.0, end - time.monotonic()) * 1000)
        return found[0][1] if found else 0

    def _gone(self, error: OSError | None) -> DeviceGone:
        reason = "" if error is None or error.errno == errno.EIO else f" ({error.strerror})"
        return DeviceGone(f"the display was unplugged{reason}", url=self._url, hint="check cable and power")


class SerialDisplay:
    """A `QrDisplay` on a serial line.

    Args:
        url: as it was opened.
        connect: opens the line, which is closed with this object.
        commands: the display's language.

    Attributes:
        on_wire: called with "write" or "read" and the raw bytes; None for no one.
    """

    def __init__(self, url: DeviceUrl, connect: Callable[[], Wire], commands: Commands) -> None:
        self._url = url
        self._tap = tap.current()
        self._line = self._tap.wire(connect)()
        self._closed = False
        self._commands = commands
        self._lock = threading.Lock()
        self._rest = b""
        self.on_wire: Callable[[str, bytes], None] | None = None

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url.text

    def show_code(self, code: DisplayedCode) -> None:
        """See `QrDisplay`."""
        code.check(self.url)
        self._show(self._commands.code, code, with_code=True)

    def show_result(self, *, paid: bool, text: str = "") -> None:
        """See `QrDisplay`."""
        self._show(lambda words: self._commands.result(paid=paid, text=words.text), DisplayedCode("", text=text))

    def clear(self) -> None:
        """See `QrDisplay`."""
        with self._lock:
            self._send(self._commands.clear())

    def check(self) -> None:
        """See `QrDisplay`."""
        with self._lock:
            self._still_there()

    def close(self) -> None:
        """See `QrDisplay`."""
        with self._lock:
            closed, self._closed = self._closed, True
        if not closed:
            self._line.close(discard=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _show(self, octets: Callable[[DisplayedCode], bytes], code: DisplayedCode, *, with_code: bool = False) -> None:
        with self._lock:
            self._send(self._tap.disguised(octets, code), with_code=with_code)

    def _send(self, command: bytes, *, with_code: bool = False) -> None:
        """Send the whole command, after what is left of one that was cut short: otherwise the display would take this
        one for the rest of that one.
        """
        self._still_there()
        data, sent = self._rest + command, 0
        clock = self._tap.clock
        end = clock.monotonic() + SEND_S
        try:
            while sent < len(data):
                taken = self._line.write(data[sent:], max(0.0, end - clock.monotonic()))
                if not taken:
                    raise self._takes_no_data()
                if self.on_wire is not None:
                    self.on_wire("write", data[sent : sent + taken])
                sent += taken
            if not self._line.flush(max(0.0, end - clock.monotonic())):
                raise self._takes_no_data()
        except DeviceError as error:
            begun = sent > len(self._rest)
            self._rest = data[sent:] if begun else self._rest[sent:]
            if with_code and begun:
                raise CodeMayShow(f"it may show the code: {error.message}", url=self.url, hint=error.hint) from error
            raise
        self._rest = b""

    def _takes_no_data(self) -> DeviceTimeout:
        return DeviceTimeout("it takes no data", url=self.url, hint="power-cycle the display")

    def _still_there(self) -> None:
        if self._closed:
            raise DeviceClosed("the display is closed", url=self.url)
        data = self._line.read(0.0)
        if data and self.on_wire is not None:
            self.on_wire("read", data)


def check_parameters(url: DeviceUrl) -> None:
    """Check the query parameters of a display on a serial line.

    Raises:
        BadDeviceUrl: a parameter has a wrong value.
    """
    url.choice("baud", "115200", tuple(_SPEEDS))


def open_line(url: DeviceUrl, path: str) -> DisplayLine:
    """Open the line `path` for this process alone, at the URL's speed.

    Raises:
        DeviceNotFound, DevicePermission, DeviceBusy. BadDeviceUrl: not a serial line.
    """
    speed = _SPEEDS[url.choice("baud", "115200", tuple(_SPEEDS))]
    refuse_closing(path, url.text)
    try:
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _opening(error, url) from error
    try:
        if not os.isatty(fd):
            raise BadDeviceUrl("not a serial line", url=url.text, hint=FIND_HINT)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _set_up(fd, speed)
        except (OSError, termios.error) as error:
            raise _opening(OSError(*error.args), url) from error
    except BaseException:
        os.close(fd)
        raise
    return DisplayLine(fd, url.text)


def _set_up(fd: int, speed: int) -> None:
    """Raw, 8N1, without flow control; DTR and RTS off, as the displays expect them."""
    characters = termios.tcgetattr(fd)[6]
    characters[termios.VMIN], characters[termios.VTIME] = 0, 0
    mode = termios.CS8 | termios.CREAD | termios.CLOCAL
    termios.tcsetattr(fd, termios.TCSANOW, [0, 0, mode, 0, speed, speed, characters])
    with contextlib.suppress(OSError):  # a line without modem signals
        fcntl.ioctl(fd, termios.TIOCMBIC, array.array("i", [termios.TIOCM_DTR | termios.TIOCM_RTS]))


def _opening(error: OSError, url: DeviceUrl) -> DeviceError:
    match error.errno:
        case errno.ENOENT | errno.ENODEV | errno.ENXIO | errno.EIO:
            return DeviceNotFound("no display is connected there", url=url.text, hint=FIND_HINT)
        case errno.EACCES | errno.EPERM:
            return DevicePermission("this user may not open it", url=url.text, hint=access_hint(url.text, error.errno))
        case errno.EBUSY | errno.EAGAIN:
            return DeviceBusy("another program uses it", url=url.text, hint="stop that program")
        case _:
            return DisplayError(f"it cannot be opened: {error.strerror}", url=url.text)
