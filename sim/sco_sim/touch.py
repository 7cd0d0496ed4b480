"""A simulated touch panel: a FIFO of the kernel's input events. `sim://[/PATH-OF-FIFO]?range=4095x4095`.

It sends the bytes of a real panel, and the driver's own code reads them; a FIFO has no ioctls, so the range of the axes
is in the URL.
"""

from __future__ import annotations

import contextlib
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
from sco_drivers.touch.calibration import PARAMETERS, Axis, check_parameters, range_of
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
from sco_drivers.touch.reader import EventTouch, Panel
from sco_drivers.urls import DeviceUrl, opener

Event = tuple[int, int, int]
"""Type, code and value of a `struct input_event`."""


class Finger:
    """A finger and keys on a panel, as events of the kernel; a subclass's `emit` sends them.

    Args:
        size: px of the screen to which `tap` refers, in the viewer's orientation.
        axis_max: highest raw value of both axes.
        multi: also send the first finger's slot, as multi-touch panels do.
        turn: from the viewer's place to the panel's own, both as shares of their sides, for rotated panels. No rotation
            if None.
    """

    def __init__(
        self,
        size: tuple[int, int] = (1024, 768),
        *,
        axis_max: int = 4095,
        multi: bool = False,
        turn: Callable[[float, float], tuple[float, float]] | None = None,
    ) -> None:
        self.size = size
        self.axis_max = axis_max
        self.multi = multi
        self._turn = turn
        self._contacts = 0
        self._down = False

    def emit(self, events: Sequence[Event]) -> None:
        """Send events as they are."""
        raise NotImplementedError

    def send(self, *events: Event) -> None:
        """Send events, and the SYN_REPORT that ends the packet."""
        self.emit([*events, (EV_SYN, SYN_REPORT, 0)])

    def tap(self, x: int, y: int) -> None:
        """Tap at a px."""
        self.press(x, y)
        self.lift()

    def press(self, x: int, y: int) -> None:
        """Put the finger down at a px, or slide it there."""
        # The middle of the px, so that converting back gives the same px.
        u, v = (x + 0.5) / self.size[0], (y + 0.5) / self.size[1]
        if self._turn is not None:
            u, v = self._turn(u, v)
        raw_x, raw_y = round(u * self.axis_max), round(v * self.axis_max)
        slot: tuple[Event, ...] = ()
        if self.multi:
            self._contacts += not self._down
            slot = (
                (EV_ABS, ABS_MT_SLOT, 0),
                (EV_ABS, ABS_MT_TRACKING_ID, self._contacts),
                (EV_ABS, ABS_MT_POSITION_X, raw_x),
                (EV_ABS, ABS_MT_POSITION_Y, raw_y),
            )
        self._down = True
        self.send(*slot, (EV_KEY, BTN_TOUCH, 1), (EV_ABS, ABS_X, raw_x), (EV_ABS, ABS_Y, raw_y))

    def lift(self) -> None:
        """Lift the finger."""
        slot: tuple[Event, ...] = ()
        if self.multi:
            slot = ((EV_ABS, ABS_MT_SLOT, 0), (EV_ABS, ABS_MT_TRACKING_ID, -1))
        self._down = False
        self.send(*slot, (EV_KEY, BTN_TOUCH, 0))

    def key(self, code: int) -> None:
        """Press and release a key."""
        self.send((EV_KEY, code, 1))
        self.send((EV_KEY, code, 0))


class VirtualTouch(Finger):
    """A finger on a simulated panel.

    Args:
        path: the FIFO, created if it does not exist; a temporary one, removed by `close`, if None.
        size, axis_max, multi, turn: see `Finger`.
    """

    def __init__(
        self,
        size: tuple[int, int] = (1024, 768),
        *,
        axis_max: int = 4095,
        path: str | Path | None = None,
        multi: bool = False,
        turn: Callable[[float, float], tuple[float, float]] | None = None,
    ) -> None:
        super().__init__(size, axis_max=axis_max, multi=multi, turn=turn)
        self._own = tempfile.TemporaryDirectory(prefix="sco-touch-") if path is None else None
        self.path = Path(self._own.name) / "touch.events" if self._own is not None else Path(str(path)).absolute()
        if not self.path.exists():
            os.mkfifo(self.path, 0o600)
        # Opened for reading and writing: opening does not wait for a reader, and a reader may leave.
        self._fd: int | None = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        self._known: dict[tuple[int, int, int], int] = {}
        self._slot = 0

    @property
    def url(self) -> str:
        """The URL by which drivers open it."""
        return f"sim://{quote(str(self.path))}?range={self.axis_max}x{self.axis_max}"

    def emit(self, events: Sequence[Event]) -> None:
        """Write events with the time of the driver's clock; only changes, as the kernel does."""
        if self._fd is None:
            raise ValueError("the panel was unplugged or closed")
        events = [event for event in events if self._is_change(*event)]
        seconds, micro = divmod(time.monotonic_ns() // 1000, 1_000_000)
        os.write(self._fd, b"".join(EVENT.pack(seconds, micro, *event) for event in events))

    def _is_change(self, kind: int, code: int, value: int) -> bool:
        """Whether the kernel would deliver the event: a key or an axis only if its value has changed."""
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

    @property
    def plugged(self) -> bool:
        """Whether the panel is plugged in."""
        return self._fd is not None

    def forget(self) -> None:
        """Drop the events that no driver has read: the kernel keeps none for a driver that comes later."""
        if self._fd is not None:
            with contextlib.suppress(BlockingIOError):
                while os.read(self._fd, 65536):
                    pass

    def unplug(self) -> None:
        """Fault: the panel is unplugged. Readers get `DeviceGone`; opening it raises `DeviceNotFound`."""
        if self._fd is not None:
            self.path.unlink(missing_ok=True)
            os.close(self._fd)
            self._fd = None

    def plug(self) -> None:
        """The panel is plugged in again, with the same URL."""
        if self._fd is None:
            self._known, self._slot = {}, 0
            os.mkfifo(self.path, 0o600)
            self._fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)

    def close(self) -> None:
        """Close it and remove a temporary FIFO. May be called twice."""
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
    """An `EventTouch` on a FIFO. `simulator` is the finger, in px of the size that is passed to `start`."""

    def __init__(self, url: DeviceUrl, connect: Callable[[], Panel], simulator: VirtualTouch) -> None:
        super().__init__(url, connect)
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
    """Open `sim://` (a new panel, accessible as `.simulator`) or `sim:///PATH` (the FIFO of a `VirtualTouch`).

    Raises:
        BadDeviceUrl. DeviceNotFound: no such FIFO. DevicePermission. TouchError: not a FIFO.
    """
    finger = None if url.path else VirtualTouch(axis_max=_axes(url)[0].high)

    def connect() -> Panel:
        return Panel(_open(url, url.path or str(finger and finger.path)), *_axes(url), None)

    return EventTouch(url, connect) if finger is None else SimulatedTouch(url, connect, finger)


def _axes(url: DeviceUrl) -> tuple[Axis, Axis]:
    return range_of(url, (Axis(), Axis()))


def _open(url: DeviceUrl, path: str) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise DeviceNotFound("no such FIFO", url=url.text, hint="create one with VirtualTouch(path=...)") from None
    except PermissionError:
        raise DevicePermission("this user may not read the FIFO", url=url.text) from None
    except OSError as error:
        raise TouchError(f"cannot be opened: {error.strerror}", url=url.text) from error
    if not stat.S_ISFIFO(os.fstat(fd).st_mode):
        os.close(fd)
        raise TouchError("not a FIFO", url=url.text, hint="create one with VirtualTouch(path=...)")
    return fd
