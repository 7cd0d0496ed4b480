"""The Linux console of a display: in graphics mode while we draw, and back in text mode after every kind of exit.

In graphics mode the kernel neither writes text nor blinks a cursor over the picture. The console is released by
`close`, at the interpreter's end, and on SIGTERM, SIGINT, SIGHUP and SIGQUIT if the program has no handler of its own
(one that has is expected to end by `close` or by exit). After SIGKILL none of our code can run: a marker file that
outlives the process records that the graphics mode was ours, so the next start takes the console over and restores text
mode at its end. Without that marker a console in graphics mode belongs to another program and is refused.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import logging
import os
import signal
import stat
import struct
import threading
import weakref
from pathlib import Path
from types import FrameType

from sco_drivers.errors import DeviceBusy, DeviceNotFound

KDSETMODE, KDGETMODE, KDSKBMODE, KDGKBMODE = 0x4B3A, 0x4B3B, 0x4B45, 0x4B44
VT_SETMODE, VT_GETMODE, VT_GETSTATE, VT_ACTIVATE = 0x5602, 0x5601, 0x5603, 0x5606
KD_TEXT, KD_GRAPHICS = 0, 1
K_UNICODE, K_OFF = 3, 4
VT_AUTO, VT_PROCESS = 0, 1
VT_MODE = struct.Struct("=bbhhh")
"""struct vt_mode: mode, waitv, and three signals; 0 for none."""
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGINT)  # Python's own SIGINT unwinds to atexit
_log = logging.getLogger(__name__)
_taken: weakref.WeakSet[Console] = weakref.WeakSet()
_handlers_set = False


State = tuple[int, int | None, int | None]
"""Modes of a console, its keyboard and switching; None for one that it does not have."""


class Console:
    """A virtual terminal that is ours: in graphics mode, its keyboard off, no switch to another. Use `Console.take`."""

    def __init__(self, fd: int, tty: str, marker: Path, state: State, keyboard: int, shown: int) -> None:
        self._fd: int | None = fd
        self._tty = tty
        self._marker = marker
        self._keyboard = keyboard
        self._lost = False
        self._state = state
        self._shown = shown
        self._away = False
        self._lock = threading.RLock()

    @classmethod
    def take(cls, tty: str, *, url: str = "", asked: bool = True) -> Console | None:
        """Put the console `tty` into graphics mode, switch its keyboard off and prevent switching to another console.

        Without that the kernel, a getty or a login shell draws over the picture, and a keyboard or barcode scanner
        types into it.

        Args:
            tty: device; `/dev/tty0` is the active one.
            url: of the display, for messages.
            asked: the caller named the console; if it is only our default, a machine without one is not an error.

        Returns:
            None if there is no console to take (a container, no permission) and the caller did not name one.

        Raises:
            DeviceBusy: another program (X, Wayland) has it in graphics mode. DeviceNotFound: no such console.
        """
        try:
            # Write-only: the group tty, to which a lane belongs, may do no more with a console (mode 0620).
            fd = os.open(tty, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
        except OSError as error:
            return cls._none(tty, url, asked, error)
        try:
            marker = _marker_of(fd, tty)
            if _number(fd, KDGETMODE) == KD_GRAPHICS and not _is_ours(marker):
                raise DeviceBusy(
                    f"{tty} is already in graphics mode",
                    url=url,
                    hint="stop the desktop on it, or add tty=none to draw without taking the console",
                )
            shown = _shown(fd, tty)
            _write_marker(marker)
            keyboard = _state_of(fd)[1]
            state = _seize(fd)
        except OSError as error:
            os.close(fd)
            if isinstance(error, DeviceBusy):
                raise
            return cls._none(tty, url, asked, error)
        # A killed run of ours leaves the keyboard off.
        console = cls(fd, tty, marker, state, K_UNICODE if keyboard in (None, K_OFF) else keyboard, shown)
        _taken.add(console)
        watch_exits()
        return console

    @staticmethod
    def _none(tty: str, url: str, asked: bool, error: OSError) -> None:
        # Opening a console requires its group; changing its mode, that it is the process's own terminal.
        hint = {
            errno.EACCES: "add the user to the group tty",
            errno.EPERM: "give the service TTYPath= and StandardInput=tty, or the capability CAP_SYS_TTY_CONFIG",
        }.get(error.errno or 0, "name another by tty=, or none by tty=none")
        if asked:
            raise DeviceNotFound(f"the console {tty} cannot be taken: {error.strerror}", url=url, hint=hint) from None
        _log.warning("%s: drawing without taking the console %s: %s (%s)", url, tty, error.strerror, hint)

    def hold(self) -> bool:
        """Take the console again if something has reset it: systemd, or a getty that was restarted, sets text mode.

        Returns:
            Whether it was reset: then something may have been drawn over the picture.
        """
        with self._lock:
            if self._fd is None:
                return False
            try:
                try:
                    return self._taken_again(self._fd)
                except OSError:
                    self._reopen()
                    return self._taken_again(self._fd)
            except OSError as error:
                if not self._lost:
                    self._lost = True
                    _log.error("the console %s is lost: %s", self._tty, error)
                return False

    def _taken_again(self, fd: int) -> bool:
        was_away, self._away = self._away, bool(self._shown) and _active(fd) != self._shown
        if _state_of(fd) == self._state and not self._away and not was_away:
            return False
        _log.warning("the console %s was reset by another program; it is taken again", self._tty)
        if self._away:
            fcntl.ioctl(fd, VT_ACTIVATE, self._shown)  # it returns before that is done; the next call sees it
        self._state = _seize(fd)
        return True

    def _reopen(self) -> None:
        """After vhangup(2), by which a getty cuts off whoever had the terminal open.

        Raises:
            OSError: it cannot be opened now.
        """
        fd = os.open(self._tty, os.O_WRONLY | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            if _marker_of(fd, self._tty) != self._marker:  # tty0 is another one now
                fcntl.ioctl(fd, VT_ACTIVATE, self._shown)
                raise OSError(errno.EAGAIN, "another console is on the display")
            assert self._fd is not None
            os.close(self._fd)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._lost = fd, False

    def release(self) -> None:
        """Restore text mode, keyboard and switching. May be called twice, from any thread and from a signal handler."""
        with self._lock:
            if self._fd is None:
                return
            try:
                try:
                    _give_back(self._fd, self._keyboard)
                except OSError:
                    self._reopen()
                    _give_back(self._fd, self._keyboard)
                self._marker.unlink(missing_ok=True)
            except OSError as error:
                _log.error("the console could not be released: %s", error)
            finally:
                os.close(self._fd)
                self._fd = None
                _taken.discard(self)


def _buffer(fd: int, request: int, size: int) -> bytes:
    data = bytearray(size)
    fcntl.ioctl(fd, request, data)
    return bytes(data)


def _number(fd: int, request: int) -> int:
    return int.from_bytes(_buffer(fd, request, 4), "little")


def _state_of(fd: int) -> State:
    keyboard = switching = None
    with contextlib.suppress(OSError):
        keyboard = _number(fd, KDGKBMODE)
    with contextlib.suppress(OSError):
        switching = VT_MODE.unpack(_buffer(fd, VT_GETMODE, VT_MODE.size))[0]
    return _number(fd, KDGETMODE), keyboard, switching


def _seize(fd: int) -> State:
    """Set graphics mode, switch the keyboard off, prevent switching to another console; the state that results.

    Not every console can do the last two.
    """
    fcntl.ioctl(fd, KDSETMODE, KD_GRAPHICS)
    # Without signals the kernel leaves every request to switch unanswered; it takes over when this process ends.
    for request, value in ((KDSKBMODE, K_OFF), (VT_SETMODE, VT_MODE.pack(VT_PROCESS, 0, 0, 0, 0))):
        try:
            fcntl.ioctl(fd, request, value)
        except OSError as error:
            _log.warning("the keyboard or switching of the console cannot be disabled: %s", error.strerror)
    return _state_of(fd)


def _give_back(fd: int, keyboard: int) -> None:
    for request, value in (
        (VT_SETMODE, VT_MODE.pack(VT_AUTO, 0, 0, 0, 0)),
        (KDSKBMODE, keyboard),
        (KDSETMODE, KD_TEXT),
    ):
        with contextlib.suppress(OSError) if request != KDSETMODE else contextlib.nullcontext():
            fcntl.ioctl(fd, request, value)


def _active(fd: int) -> int:
    """The number of the console on the display. `struct vt_stat`: three unsigned shorts, the first of them this."""
    return int(struct.unpack_from("=H", _buffer(fd, VT_GETSTATE, 6))[0])


def _shown(fd: int, tty: str) -> int:
    """The number of the console if it is on the display, else 0."""
    active = _active(fd)
    return active if Path(tty).name in ("tty0", f"tty{active}") else 0


def _marker_of(fd: int, tty: str) -> Path:
    """The marker file for a console; its name is that of the console that `tty` refers to now."""
    name = Path(tty).name
    if name == "tty0":
        name = f"tty{_active(fd)}"
    # Not by `tempfile`: it loads 1 MiB of compressors and random numbers for the name of a folder.
    folder = os.environ.get("XDG_RUNTIME_DIR") or os.environ.get("TMPDIR") or "/tmp"  # noqa: S108
    return Path(folder) / f"sco-console-{os.getuid()}-{name}"


def _is_ours(marker: Path) -> bool:
    """Whether the marker is a regular file of this user, and names a process that is dead or is this one."""
    try:
        found = marker.lstat()
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.getuid():
            return False
        pid, _, started = marker.read_text(encoding="ascii").partition(" ")
        return int(pid) == os.getpid() or _started(int(pid)) != started
    except (OSError, ValueError):
        return False


def _write_marker(marker: Path) -> None:
    # Always a new file of our own: a link of another user is not followed in a shared folder.
    marker.unlink(missing_ok=True)
    fd = os.open(marker, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as file:
        file.write(f"{os.getpid()} {_started(os.getpid())}")


def _started(pid: int) -> str:
    """Start time of a process in the kernel's ticks, to detect reused process ids; empty if it is dead."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    return text.rpartition(")")[2].split()[19]


def watch_exits() -> None:
    """Prepare to release consoles when the process ends.

    `Console.take` does this itself in the main thread. A program that opens its screen in another thread calls this in
    the main thread first: only there does Python allow signal handlers to be set.
    """
    global _handlers_set
    if not _handlers_set:
        _handlers_set = True
        atexit.register(release_all)
    if threading.current_thread() is not threading.main_thread():
        return  # atexit and the marker remain
    for number in _SIGNALS:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _on_signal)


def _on_signal(number: int, frame: FrameType | None) -> None:
    """Release the consoles, then end as if there were no handler."""
    release_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def release_all() -> None:
    """Release every console of this process."""
    for console in list(_taken):
        with contextlib.suppress(OSError):
            console.release()
