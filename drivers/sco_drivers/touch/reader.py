"""The thread that reads input events from a file descriptor and reports taps, for real and simulated panels."""

from __future__ import annotations

import errno
import logging
import os
import selectors
import threading
from collections.abc import Callable
from typing import NamedTuple, Self

from sco_drivers import tap
from sco_drivers.errors import DeviceBusy, DeviceClosed, DeviceError, DeviceGone
from sco_drivers.touch import Tap
from sco_drivers.touch.calibration import Axis, Calibration, debounce_of, filter_of, min_pressure_of
from sco_drivers.touch.contact import SLOP, Contact
from sco_drivers.touch.events import EVENT, KEYS, Dropped, EventReader, KeyPressed, Report, State
from sco_drivers.urls import DeviceUrl

log = logging.getLogger(__name__)

OLDEST_S = 10.0
"""An event's own time is used if it is at most so old; otherwise it is of a different clock."""


class Panel(NamedTuple):
    """An open input device: its descriptor, the ranges of its axes, and see `EventReader.state`."""

    fd: int
    x: Axis
    y: Axis
    state: Callable[[], State] | None


class EventTouch:
    """A `Touch` over a descriptor that delivers `struct input_event`.

    Args:
        url: as it was opened.
        connect: opens the panel, which is closed with this object.

    Attributes:
        on_wire: called with "read" and the raw bytes as they arrive; None for no one.
    """

    def __init__(self, url: DeviceUrl, connect: Callable[[], Panel]) -> None:
        self._url = url
        self._through = tap.current()
        panel = self._through.panel(connect)
        self._fd = panel.fd
        self._state = panel.state
        try:
            self._calibration = Calibration.of(url, panel.x, panel.y)
        except BaseException:
            os.close(panel.fd)
            raise
        self._debounce_s = debounce_of(url)
        self._min_pressure = min_pressure_of(url)
        self._median, self._skip = filter_of(url)
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False
        self.on_wire: Callable[[str, bytes], None] | None = None

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        return self._url.text

    def start(self, size: tuple[int, int], on_tap: Callable[[Tap], None], on_lost: Callable[[Exception], None]) -> None:
        """Start to report taps; see `sco_drivers.touch.Touch`.

        Raises:
            DeviceClosed: `close` was called. DeviceBusy: it was started before.
        """
        with self._lock:
            if self._closed:
                raise DeviceClosed("the touch panel is closed", url=self.url)
            if self._thread is not None:
                raise DeviceBusy("taps are already reported to another caller", url=self.url)
            # Here, not in the thread: a finger that comes down from now on is none that was there before.
            events = EventReader(self._state, self._min_pressure)
            self._thread = threading.Thread(
                target=self._run, args=(events, size, on_tap, on_lost), name=f"touch {self.url}", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """Stop and release the device. May be called twice, and from `on_tap`."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.write(self._stop_write, b"x")  # under the lock: the thread closes the pipe
        if self._thread is None:
            self._release()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout=5)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _release(self) -> None:
        for fd in (self._fd, self._stop_read, self._stop_write):
            os.close(fd)

    def _run(
        self,
        events: EventReader,
        size: tuple[int, int],
        on_tap: Callable[[Tap], None],
        on_lost: Callable[[Exception], None],
    ) -> None:
        try:
            lost = self._read(events, size, on_tap)
        except Exception as error:  # a bug; whoever waits for taps must know that none will come
            log.exception("%s: the touch panel cannot be read", self.url)
            lost = DeviceGone(f"the touch panel cannot be read: {error!r}", url=self.url, hint="open it again")
        finally:
            with self._lock:
                self._closed = True
            self._release()
        if lost is not None:
            on_lost(lost)

    def _read(self, events: EventReader, size: tuple[int, int], on_tap: Callable[[Tap], None]) -> DeviceError | None:
        """Report taps until `close` (returns None) or until the panel is lost (returns why)."""
        x, y = self._calibration.x, self._calibration.y
        contact = Contact(SLOP * min(x.high - x.low, y.high - y.low), self._debounce_s, self._median, self._skip)
        with selectors.DefaultSelector() as selector:
            selector.register(self._fd, selectors.EVENT_READ)
            selector.register(self._stop_read, selectors.EVENT_READ)
            while True:
                ready = {key.fd for key, _ in selector.select()}
                if self._stop_read in ready:
                    return None
                try:
                    data = os.read(self._fd, 64 * EVENT.size)
                except BlockingIOError:
                    continue
                except OSError as error:
                    word = "was unplugged" if error.errno == errno.ENODEV else f"cannot be read: {error.strerror}"
                    return DeviceGone(f"the touch panel {word}", url=self.url, hint="plug it in and open it again")
                if not data:
                    hint = "plug it in and open it again"
                    return DeviceGone("the touch panel was unplugged", url=self.url, hint=hint)
                if self.on_wire is not None:
                    self.on_wire("read", data)
                data = self._through.events(data)
                now = self._through.clock.monotonic()
                for event in events.feed(data):
                    tap = self._tap(event, contact, now, size)
                    if tap is not None:
                        try:
                            on_tap(tap)
                        except Exception:  # the caller's; the panel must go on
                            log.exception("%s: a tap is lost: on_tap failed", self.url)
                        if self._closed:
                            return None

    def _tap(
        self, event: Report | KeyPressed | Dropped, contact: Contact, now: float, size: tuple[int, int]
    ) -> Tap | None:
        if isinstance(event, Dropped):
            contact.lost()
            return None
        # When it happened, not when a busy machine read it: a finger must not seem to come down on a scene that was
        # drawn meanwhile.
        when = event.at if now - OLDEST_S < event.at <= now else now
        if isinstance(event, KeyPressed):
            return Tap(-1 - KEYS[event.code], -1, when)
        if event.down:
            contact.down(event.x, event.y, when, stale=event.stale)
        else:
            found = contact.up(when)
            if found is not None:
                raw_x, raw_y, pressed_at = found
                return Tap(*self._calibration.to_screen(raw_x, raw_y, size), pressed_at)
        return None
