"""Single keys from the terminal on stdin: they act at once, are not echoed, and the terminal is put back at every end.

Only SIGKILL leaves it changed; `stty sane` puts it back then.
"""

from __future__ import annotations

import atexit
import codecs
import contextlib
import os
import select
import signal
import sys
import termios
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

_LOOK_S = 0.2
_LONGEST = 64
_SHOW_CURSOR = b"\x1b[?25h"


class Keyboard:
    """The keys of the terminal on stdin, from `start` to `close`.

    Enter it in the main thread: a signal that ends the process then puts the terminal back first. A process in the
    background leaves the terminal alone, which belongs to another one.

    Args:
        pressed: receives each key that makes a character, in a thread of its own. What comes as several characters at
            once (a pasted text, an arrow key) is passed on whole.
    """

    def __init__(self, pressed: Callable[[str], None]) -> None:
        self._pressed = pressed
        self._mutex = threading.RLock()  # a signal handler may interrupt what holds it
        self._before: list[Any] | None = None
        self._handlers: dict[int, Any] = {}
        self._closed = False

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            if signal.getsignal(number) is signal.SIG_DFL:
                self._handlers[number] = signal.signal(number, self._die)
        self._handlers[signal.SIGCONT] = signal.signal(signal.SIGCONT, self._continue)
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        for number, handler in self._handlers.items():
            if signal.getsignal(number) in (self._die, self._continue):
                signal.signal(number, handler)

    @property
    def listens(self) -> bool:
        """Whether a key acts now."""
        return self._before is not None

    def start(self) -> None:
        """Stop the echo and read keys. May be called twice."""
        with self._mutex:
            if self._closed or self._before is not None or not _in_foreground():
                return
            try:
                self._before = termios.tcgetattr(sys.stdin.fileno())
                self._set_up()
            except (termios.error, OSError, ValueError):  # no terminal any more
                self._before = None
                return
        atexit.register(self.close)
        threading.Thread(target=self._listen, name="sco-keyboard", daemon=True).start()

    def _set_up(self) -> None:
        assert self._before is not None
        mode = [*self._before[:6], [*self._before[6]]]
        mode[3] &= ~(termios.ICANON | termios.ECHO)
        mode[3] |= termios.NOFLSH  # Ctrl-C throws away no half of a drawing
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(sys.stdin.fileno(), termios.TCSAFLUSH, mode)  # without what was typed before

    def close(self) -> None:
        """Put the terminal back, without what was typed meanwhile. May be called twice."""
        with self._mutex:
            self._closed = True
            before, self._before = self._before, None
            if before is not None and _in_foreground():
                with contextlib.suppress(termios.error, OSError, ValueError):
                    termios.tcsetattr(sys.stdin.fileno(), termios.TCSAFLUSH, before)

    def _listen(self) -> None:
        decoder = codecs.getincrementaldecoder(sys.stdin.encoding or "utf-8")("replace")
        fd = sys.stdin.fileno()
        while True:
            try:
                ready = select.select([fd], [], [], _LOOK_S)[0]
                with self._mutex:  # after `close`, what is typed is another program's
                    if self._before is None:
                        return
                    if not ready or not _in_foreground():
                        continue
                    data = os.read(fd, _LONGEST)
            except (OSError, ValueError):  # the terminal is gone
                return
            if not data:
                return
            if text := decoder.decode(data):
                self._pressed(text)

    def _die(self, number: int, frame: FrameType | None) -> None:
        self.close()
        with contextlib.suppress(OSError):
            os.write(2, _SHOW_CURSOR)
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    def _continue(self, number: int, frame: FrameType | None) -> None:
        """Back from Ctrl-Z, after which shells set the terminal up for themselves."""
        with self._mutex:
            if self._before is not None and _in_foreground():
                with contextlib.suppress(termios.error, OSError, ValueError):
                    self._set_up()


def _in_foreground() -> bool:
    """Whether the terminal is this process's to change; one that controls no job is."""
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError):
        return True
