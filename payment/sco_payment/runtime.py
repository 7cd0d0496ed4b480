"""Time and threads of a lane, as one small protocol, so that a test can control both by a seed.

`ThreadRuntime` is the real one: lane time starts at the wall clock and then follows the monotonic one, so that setting
the clock while a customer pays moves no deadline.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Generic, Literal, Protocol, TypeVar

log = logging.getLogger(__name__)

_SET_S = 0.5  # a difference of the clocks below this is none: they are read one after the other

T = TypeVar("T")
Channel = Literal["acquirer", "devices"]


class Runtime(Protocol[T]):
    """What the runner needs of time and threads. Messages are `T`."""

    def now(self) -> int:
        """Lane time, ms since the epoch; never goes back."""
        ...

    def wall(self, at: int) -> float:
        """The wall clock, in s since the epoch, when lane time is `at`."""
        ...

    def submit(self, channel: Channel, work: Callable[[], T | None]) -> None:
        """Do `work` in another thread and deliver its result as a message. Work for `devices` keeps its order."""
        ...

    def post(self, message: T) -> None:
        """Deliver `message`. From any thread, and from a signal handler."""
        ...

    def receive(self, until: int | None) -> T | None:
        """The next message, or None when lane time reaches `until` first."""
        ...

    def pause(self, ms: int) -> None:
        """Let `ms` of lane time pass; messages wait."""
        ...

    def close(self) -> None:
        """Wait a short time for work under way."""
        ...


class ThreadRuntime(Generic[T]):
    """Real threads and the machine's clocks.

    Args:
        speed: how many seconds of lane time pass in a second; 1 but for demos and tests.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError("speed must be more than zero")
        self._speed = speed
        self._wall_at_start = time.time()
        self._started = time.monotonic()
        self._set_by = 0.0
        # SimpleQueue.put is reentrant: a signal handler may post while a put is under way.
        self._inbox: queue.SimpleQueue[T] = queue.SimpleQueue()
        self._device_work: queue.SimpleQueue[Callable[[], T | None] | None] = queue.SimpleQueue()
        self._devices: threading.Thread | None = None

    def now(self) -> int:
        """Lane time, ms since the epoch."""
        return round((self._wall_at_start + (time.monotonic() - self._started) * self._speed) * 1000)

    def wall(self, at: int) -> float:
        """The wall clock when lane time is `at`: always the same one, until the clock is set."""
        set_by = self.clock_was_set_by()
        if abs(set_by - self._set_by) >= _SET_S:
            self._set_by = set_by
        return self._wall_at_start + self._set_by + (at / 1000 - self._wall_at_start) / self._speed

    def clock_was_set_by(self) -> float:
        """By how many seconds the wall clock was set forward since lane time began; negative if it was set back."""
        return (time.time() - self._wall_at_start) - (time.monotonic() - self._started)

    def submit(self, channel: Channel, work: Callable[[], T | None]) -> None:
        """One thread for each request, because a cancellation must not wait for a poll; one thread for all devices.

        If no thread can be started, the request is sent from this one, because an attempt whose request never began
        would hang; work for devices waits until a thread can be started.
        """
        if channel == "acquirer":
            try:
                threading.Thread(target=self._do, args=(work,), name="sco-acquirer", daemon=True).start()
            except RuntimeError as error:
                log.critical("no thread for a request to the acquirer (%s): the lane's own thread waits for it", error)
                self._do(work)
            return
        self._device_work.put(work)
        if self._devices is None:
            devices = threading.Thread(target=self._serve_devices, name="sco-devices", daemon=True)
            try:
                devices.start()
            except RuntimeError as error:
                log.critical("no thread for the devices (%s): their work waits", error)
            else:
                self._devices = devices

    def _serve_devices(self) -> None:
        while (work := self._device_work.get()) is not None:
            try:
                self._do(work)
            except Exception:  # of a third party's driver or screen; the next payments need this thread
                log.exception("work on a device failed in an unforeseen way")

    def _do(self, work: Callable[[], T | None]) -> None:
        message = work()
        if message is not None:
            self._inbox.put(message)

    def post(self, message: T) -> None:
        """Deliver `message`."""
        self._inbox.put(message)

    def receive(self, until: int | None) -> T | None:
        """The next message, or None at `until`."""
        try:
            if until is None:
                return self._inbox.get()
            wait = (until - self.now()) / 1000 / self._speed
            return self._inbox.get(timeout=wait) if wait > 0 else self._inbox.get_nowait()
        except queue.Empty:
            return None

    def pause(self, ms: int) -> None:
        """Sleep."""
        time.sleep(ms / 1000 / self._speed)

    def drain(self) -> None:
        """Wait until the devices have finished their work so far, for 5 s at most."""
        if self._devices is not None:
            done = threading.Event()
            self._device_work.put(done.set)
            done.wait(5.0)

    def close(self) -> None:
        """Let the devices finish their work, for 5 s at most."""
        if self._devices is None:
            return
        self._device_work.put(None)
        self._devices.join(5.0)
        if self._devices.is_alive():
            log.warning("a device is still busy; not waiting for it any longer")
        self._devices = None
