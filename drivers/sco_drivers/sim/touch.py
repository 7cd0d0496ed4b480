"""A touch panel that is a FIFO of the kernel's input events. `sim://[/PATH-OF-FIFO]?range=4095x4095`.

The bytes are those of a real panel, read by the code that reads a real panel; what a FIFO cannot have is ioctls, so the
range of the axes stands in the URL.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.parse import quote

from sco_drivers.errors import DeviceNotFound, DevicePermission, TouchError
from sco_drivers.touch import Tap
from sco_drivers.touch.calibration import PARAMETERS, Axis, Calibration, range_of
from sco_drivers.touch.events import (
    ABS_X,
    ABS_Y,
    BTN_TOUCH,
    EV_ABS,
    EV_KEY,
    EV_SYN,
    EVENT,
    SYN_DROPPED,
    SYN_REPORT,
)
from sco_drivers.touch.reader import EventTouch
from sco_drivers.urls import DeviceUrl


class VirtualTouch:
    """The finger on a simulated panel.

    Args:
        size: px of the screen to which `tap` refers, as a person sees them.
        most: greatest raw value of both axes.
        path: the FIFO; a temporary one, removed by `close`, when None. Made when it is not there.
    """

    def __init__(
        self, size: tuple[int, int] = (1024, 768), *, most: int = 4095, path: str | Path | None = None
    ) -> None:
        self.size = size
        self.most = most
        self._own = tempfile.TemporaryDirectory(prefix="sco-touch-") if path is None else None
        self.path = Path(self._own.name) / "touch.events" if self._own is not None else Path(str(path)).absolute()
        if not self.path.exists():
            os.mkfifo(self.path, 0o600)
        # Open both ways, so that neither opening waits for a reader nor a reader's leaving breaks the pipe.
        self._fd: int | None = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)

    @property
    def url(self) -> str:
        """The URL by which drivers open it."""
        return f"sim://{quote(str(self.path))}?range={self.most}x{self.most}"

    def tap(self, x: int, y: int) -> None:
        """A finger comes down at a px and is lifted."""
        self.press(x, y)
        self.lift()

    def press(self, x: int, y: int) -> None:
        """A finger comes down, or slides, to a px."""
        # The middle of the px, so that the way back hits it.
        raw = [round((value + 0.5) * self.most / full) for value, full in ((x, self.size[0]), (y, self.size[1]))]
        self.send((EV_ABS, ABS_X, raw[0]), (EV_ABS, ABS_Y, raw[1]), (EV_KEY, BTN_TOUCH, 1))

    def lift(self) -> None:
        """The finger is lifted."""
        self.send((EV_KEY, BTN_TOUCH, 0))

    def key(self, code: int) -> None:
        """A key goes down and up."""
        self.send((EV_KEY, code, 1))
        self.send((EV_KEY, code, 0))

    def drop(self) -> None:
        """Fault: the kernel's buffer overflowed."""
        self._write([(EV_SYN, SYN_DROPPED, 0), (EV_SYN, SYN_REPORT, 0)])

    def send(self, *events: tuple[int, int, int]) -> None:
        """Any events (type, code, value), and the SYN_REPORT that ends the packet."""
        self._write([*events, (EV_SYN, SYN_REPORT, 0)])

    def _write(self, events: list[tuple[int, int, int]]) -> None:
        if self._fd is None:
            raise ValueError("the panel was unplugged or closed")
        seconds, micro = divmod(time.time_ns() // 1000, 1_000_000)
        os.write(self._fd, b"".join(EVENT.pack(seconds, micro, *event) for event in events))

    def unplug(self) -> None:
        """Fault: the panel leaves. Who reads it meets `DeviceGone`."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def close(self) -> None:
        """Unplug it and remove the temporary FIFO. May be called twice."""
        self.unplug()
        if self._own is not None:
            self._own.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class SimulatedTouch(EventTouch):
    """An `EventTouch` on a FIFO. `simulator` is the finger, in px of the size that `start` is given."""

    def __init__(self, url: DeviceUrl, fd: int, calibration: Calibration, simulator: VirtualTouch) -> None:
        super().__init__(url, fd, calibration)
        self.simulator = simulator

    def start(self, size: tuple[int, int], on_tap: Callable[[Tap], None], on_lost: Callable[[Exception], None]) -> None:
        """See `EventTouch.start`."""
        self.simulator.size = size
        super().start(size, on_tap, on_lost)

    def close(self) -> None:
        """Stop, and remove a temporary FIFO. May be called twice."""
        super().close()
        self.simulator.close()


def open_sim(url: DeviceUrl) -> EventTouch:
    """Open `sim://` (a panel of its own, reached by `.simulator`) or `sim:///PATH` (a FIFO of a `VirtualTouch`).

    Raises:
        BadDeviceUrl. DeviceNotFound: no such FIFO. DevicePermission. TouchError: not a FIFO.
    """
    url.only(*PARAMETERS)
    x, y = range_of(url, (Axis(), Axis()))
    calibration = Calibration.of(url, x, y)
    finger = None if url.path else VirtualTouch(most=x.most)
    path = url.path or str(finger and finger.path)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise DeviceNotFound("no such FIFO", url=url.text, hint="make one by VirtualTouch(path=...)") from None
    except PermissionError:
        raise DevicePermission("this user may not read the FIFO", url=url.text) from None
    except OSError as error:
        raise TouchError(f"cannot be opened: {error.strerror}", url=url.text) from error
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise TouchError("not a FIFO", url=url.text, hint="make one by VirtualTouch(path=...)")
    return EventTouch(url, fd, calibration) if finger is None else SimulatedTouch(url, fd, calibration, finger)
