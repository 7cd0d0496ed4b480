"""A touch panel that is a FIFO of the kernel's input events. `sim://[/PATH-OF-FIFO]?range=4095x4095`.

The bytes are those of a real panel, read by the code that reads a real panel; what a FIFO cannot have is ioctls, so the
range of the axes stands in the URL.
"""

from __future__ import annotations

import os
import stat
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self
from urllib.parse import quote

from sco_drivers.errors import DeviceNotFound, DevicePermission, TouchError
from sco_drivers.touch import Tap
from sco_drivers.touch.calibration import PARAMETERS, Axis, Calibration, check_parameters, range_of
from sco_drivers.touch.events import (
    ABS_MT_POSITION_X,
    ABS_MT_POSITION_Y,
    ABS_MT_SLOT,
    ABS_MT_TRACKING_ID,
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
from sco_drivers.urls import DeviceUrl, opener

Event = tuple[int, int, int]
"""Type, code and value of a `struct input_event`."""


class Finger:
    """A finger and a key on a panel, as events of the kernel; where they go is the subclass's `emit`.

    Args:
        size: px of the screen to which `tap` refers, as a person sees them.
        most: greatest raw value of both axes.
        multi: also speak of the first finger's slot, as panels for many fingers do.
        turn: from the place that a person sees to the panel's own, both in shares of their sides; for panels whose
            picture is turned. As it is when None.
    """

    def __init__(
        self,
        size: tuple[int, int] = (1024, 768),
        *,
        most: int = 4095,
        multi: bool = False,
        turn: Callable[[float, float], tuple[float, float]] | None = None,
    ) -> None:
        self.size = size
        self.most = most
        self.multi = multi
        self._turn = turn
        self._contacts = 0

    def emit(self, events: Sequence[Event]) -> None:
        """Send events as they are."""
        raise NotImplementedError

    def send(self, *events: Event) -> None:
        """Any events, and the SYN_REPORT that ends the packet."""
        self.emit([*events, (EV_SYN, SYN_REPORT, 0)])

    def tap(self, x: int, y: int) -> None:
        """A finger comes down at a px and is lifted."""
        self.press(x, y)
        self.lift()

    def press(self, x: int, y: int) -> None:
        """A finger comes down, or slides, to a px."""
        # The middle of the px, so that the way back hits it.
        u, v = (x + 0.5) / self.size[0], (y + 0.5) / self.size[1]
        if self._turn is not None:
            u, v = self._turn(u, v)
        raw_x, raw_y = round(u * self.most), round(v * self.most)
        slot: tuple[Event, ...] = ()
        if self.multi:
            self._contacts += 1
            slot = (
                (EV_ABS, ABS_MT_SLOT, 0),
                (EV_ABS, ABS_MT_TRACKING_ID, self._contacts),
                (EV_ABS, ABS_MT_POSITION_X, raw_x),
                (EV_ABS, ABS_MT_POSITION_Y, raw_y),
            )
        self.send(*slot, (EV_KEY, BTN_TOUCH, 1), (EV_ABS, ABS_X, raw_x), (EV_ABS, ABS_Y, raw_y))

    def lift(self) -> None:
        """The finger is lifted."""
        slot: tuple[Event, ...] = ()
        if self.multi:
            slot = ((EV_ABS, ABS_MT_SLOT, 0), (EV_ABS, ABS_MT_TRACKING_ID, -1))
        self.send(*slot, (EV_KEY, BTN_TOUCH, 0))

    def key(self, code: int) -> None:
        """A key goes down and up."""
        self.send((EV_KEY, code, 1))
        self.send((EV_KEY, code, 0))


class VirtualTouch(Finger):
    """The finger on a simulated panel.

    Args:
        path: the FIFO; a temporary one, removed by `close`, when None. Made when it is not there.
        size, most, multi, turn: see `Finger`.
    """

    def __init__(
        self,
        size: tuple[int, int] = (1024, 768),
        *,
        most: int = 4095,
        path: str | Path | None = None,
        multi: bool = False,
        turn: Callable[[float, float], tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(size, most=most, multi=multi, turn=turn)
        self._own = tempfile.TemporaryDirectory(prefix="sco-touch-") if path is None else None
        self.path = Path(self._own.name) / "touch.events" if self._own is not None else Path(str(path)).absolute()
        if not self.path.exists():
            os.mkfifo(self.path, 0o600)
        # Open both ways, so that neither opening waits for a reader nor a reader's leaving breaks the pipe.
        self._fd: int | None = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._known: dict[tuple[int, int, int], int] = {}
        self._slot = 0

    @property
    def url(self) -> str:
        """The URL by which drivers open it."""
        return f"sim://{quote(str(self.path))}?range={self.most}x{self.most}"

    def emit(self, events: Sequence[Event]) -> None:
        """Write events, with the time by the clock that the driver asks panels to use; as the kernel, only changes."""
        if self._fd is None:
            raise ValueError("the panel was unplugged or closed")
        events = [event for event in events if self._is_news(*event)]
        seconds, micro = divmod(time.monotonic_ns() // 1000, 1_000_000)
        os.write(self._fd, b"".join(EVENT.pack(seconds, micro, *event) for event in events))

    def _is_news(self, kind: int, code: int, value: int) -> bool:
        """Whether the kernel would pass the event on: a key or an axis only when its value is another one."""
        if kind not in (EV_ABS, EV_KEY):
            return True
        slot = self._slot if kind == EV_ABS and code > ABS_MT_SLOT else 0
        before = self._known.get((kind, code, slot), -1 if code == ABS_MT_TRACKING_ID else 0)
        self._known[kind, code, slot] = value
        if (kind, code) == (EV_ABS, ABS_MT_SLOT):
            self._slot = value
        return value != before

    def drop(self) -> None:
        """Fault: the kernel's buffer overflowed."""
        self.emit([(EV_SYN, SYN_DROPPED, 0), (EV_SYN, SYN_REPORT, 0)])

    def unplug(self) -> None:
        """Fault: the panel leaves. Who reads it meets `DeviceGone`; who opens it, `DeviceNotFound`."""
        if self._fd is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None

    def plug(self) -> None:
        """The panel that left is there again, under the same URL."""
        if self._fd is None:
            self._known, self._slot = {}, 0
            os.mkfifo(self.path, 0o600)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)

    def close(self) -> None:
        """Let go of it and remove a temporary FIFO. May be called twice."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
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


@opener(check_parameters, example="sim:///tmp/touch", params=PARAMETERS, allows=("path",), simulated=True)
def open_sim(url: DeviceUrl, _options: None) -> EventTouch:
    """Open `sim://` (a panel of its own, reached by `.simulator`) or `sim:///PATH` (a FIFO of a `VirtualTouch`).

    Raises:
        BadDeviceUrl. DeviceNotFound: no such FIFO. DevicePermission. TouchError: not a FIFO.
    """
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
