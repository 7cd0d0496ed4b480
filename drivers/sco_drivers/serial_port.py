"""What is not sent yet on a serial line, and closing one whose device takes nothing.

The kernel waits up to 30 s in close(2) for such a device, and USB lines may not throw away what waits: tcflush(3) does
nothing on cdc_acm of Linux 6.1.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import termios
import threading

from sco_drivers.errors import DeviceBusy

_CLOSES_S = 1.0
"""A line on which nothing waits is closed by then, unless its converter still has data of its own."""


_closing: dict[int, threading.Event] = {}
"""Device number of each line that is not closed yet -> set when it is."""


def refuse_closing(path: str, url: str) -> None:
    """Refuse to open a line that is still being closed: the kernel would reset it once the first one is closed. A line
    whose device takes the rest within a second is waited for.

    Raises:
        DeviceBusy: it is.
    """
    number = 0
    with contextlib.suppress(OSError, ValueError):
        number = os.stat(path).st_rdev  # noqa: PTH116 - Path loads more
    closed = _closing.get(number)
    if closed is not None and not closed.wait(_CLOSES_S):
        words = "the line is still being closed, as the device takes no data"
        raise DeviceBusy(words, url=url, hint="wait half a minute, or power-cycle the device")


def unsent(fd: int) -> int:
    """How many bytes the kernel has not passed on yet. Raises OSError."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.TIOCOUTQ, count)
    return count[0]


def discard_unsent(fd: int) -> bool:
    """Throw away what the kernel has not passed on yet; returns whether nothing is left."""
    try:
        termios.tcflush(fd, termios.TCOFLUSH)
        return not unsent(fd)
    except (OSError, termios.error):  # the line was unplugged
        return True


def close_line(fd: int, *, discard: bool) -> None:
    """Close the line, in a thread of its own, so that no payment waits for the device. Never raises.

    Args:
        fd: the line; the caller must not use it any more.
        discard: throw away what the kernel has not passed on yet, where the kernel can.
    """
    waits = False
    with contextlib.suppress(OSError):  # the line was unplugged
        waits = not discard_unsent(fd) if discard else bool(unsent(fd))

    number = -1
    with contextlib.suppress(OSError):
        number = os.fstat(fd).st_rdev

    def close() -> None:
        try:
            with contextlib.suppress(OSError):
                os.close(fd)
        finally:
            _closing.pop(number, None)
            closed.set()

    closed = _closing[number] = threading.Event()
    thread = threading.Thread(target=close, name="line closing", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # no thread is available
        close()
        return
    if not waits:
        thread.join(_CLOSES_S)
