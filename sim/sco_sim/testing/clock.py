"""Time for tests: it stops while anything is busy, and jumps to what is due next when everything is idle.

So a test of a five-minute invoice takes a moment, and a slow machine changes nothing: no request, print or tap ever
races a deadline. `BenchRuntime` is the lane's `Runtime` on that time.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Generic, TypeVar

from sco_payment.runtime import Channel

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""In wall-clock time: longer than any device or request under test takes by itself."""

T = TypeVar("T")


class Stuck(AssertionError):
    """The lane waits for something that will never happen."""


class BenchTime:
    """The bench's clock, in ms since the epoch. It runs with the wall clock until a lane steps it.

    Safe from several threads.
    """

    def __init__(self) -> None:
        self._mutex = threading.RLock()
        self._base = round(time.time() * 1000)
        self._started: float | None = time.monotonic()
        self._planned: list[tuple[int, int, Callable[[], None]]] = []
        self._count = 0

    def now(self) -> int:
        """Bench time, ms since the epoch."""
        with self._mutex:
            return self._base + (0 if self._started is None else round((time.monotonic() - self._started) * 1000))

    def seconds(self) -> float:
        """The same in s, as the simulated bank wants it."""
        return self.now() / 1000

    def step(self) -> None:
        """From now on time passes only through `advance`."""
        with self._mutex:
            self._base, self._started = self.now(), None

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Do `what` when `seconds` of bench time have passed."""
        with self._mutex:
            self._count += 1
            self._planned.append((self.now() + round(seconds * 1000), self._count, what))
            self._planned.sort(key=lambda entry: entry[:2])

    def next_planned(self) -> int | None:
        """When the next thing is planned for."""
        with self._mutex:
            return self._planned[0][0] if self._planned else None

    def advance(self, until: int) -> bool:
        """Jump to `until`, or to the next thing planned before it, which is done. Returns whether something was."""
        with self._mutex:
            due = self._planned and self._planned[0][0] <= until
            at, _, what = self._planned.pop(0) if due else (until, 0, _nothing)
            if self._started is None:
                self._base = max(self._base, at)
        what()
        return bool(due)


def _nothing() -> None:
    """Nothing is planned."""


class BenchRuntime(Generic[T]):
    """A lane's time and threads under test; see the module.

    Args:
        clock: shared with the simulated bank.
        at_rest: is called when everything is idle and no message waits: the customer's part of the test acts now.
            Returns whether it did something.
    """

    def __init__(self, clock: BenchTime, at_rest: Callable[[], bool] = lambda: False) -> None:
        self._clock = clock
        self._at_rest = at_rest
        self._inbox: deque[T] = deque()
        self._changed = threading.Condition()
        self._busy = 0
        self._broken: BaseException | None = None
        self._anchor = (0, 0.0)
        self._device_work: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._devices: threading.Thread | None = None
        self.posted = 0
        """How many messages have come from outside, such as taps."""
        clock.step()

    def now(self) -> int:
        """Bench time, ms since the epoch."""
        return self._clock.now()

    def wall(self, at: int) -> float:
        """The wall clock when bench time is `at`: the same for as long as bench time does not pass."""
        now = self.now()
        with self._changed:
            if self._anchor[0] != now:
                self._anchor = (now, time.time())
            return self._anchor[1] + (at - now) / 1000

    def submit(self, channel: Channel, work: Callable[[], T | None]) -> None:
        """One thread for each request, one for all devices. Time does not pass until the work is done.

        It waits for devices: when the lane's call returns, the screen shows what it should.
        """
        with self._changed:
            self._busy += 1
        if channel == "acquirer":
            threading.Thread(target=self._do, args=(work,), name="bench-acquirer", daemon=True).start()
            return
        if self._devices is None:
            self._devices = threading.Thread(target=self._serve, name="bench-devices", daemon=True)
            self._devices.start()
        self._device_work.put(partial(self._do, work))
        if threading.current_thread() is self._devices:
            return
        done = threading.Event()
        self._device_work.put(done.set)
        if not done.wait(PATIENCE_S):
            raise Stuck(f"a device or the screen has been busy for {PATIENCE_S:.0f} s")
        self._raise_broken()

    def _serve(self) -> None:
        while (work := self._device_work.get()) is not None:
            work()

    def _raise_broken(self) -> None:
        """Raise in the test what a screen or a driver raised in its thread."""
        broken, self._broken = self._broken, None
        if broken is not None:
            raise broken

    def _do(self, work: Callable[[], T | None]) -> None:
        message: T | None = None
        broken: BaseException | None = None
        try:
            message = work()
        except BaseException as error:
            broken = error
        with self._changed:
            self._busy -= 1
            self._broken = self._broken or broken
            if message is not None:
                self._inbox.append(message)
            self._changed.notify_all()

    def post(self, message: T) -> None:
        """Deliver `message`, from any thread."""
        with self._changed:
            self._inbox.append(message)
            self.posted += 1
            self._changed.notify_all()

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Time does not pass in the block, in whichever thread it is."""
        with self._changed:
            self._busy += 1
        try:
            yield
        finally:
            with self._changed:
                self._busy -= 1
                self._changed.notify_all()

    def wait_posted(self, count: int, timeout_s: float) -> bool:
        """Wait until `count` messages have come from outside."""
        with self._changed:
            return self._changed.wait_for(lambda: self.posted >= count, timeout_s)

    def receive(self, until: int | None) -> T | None:
        """The next message, or None when bench time is `until`.

        Raises:
            Stuck: nothing came for `PATIENCE_S` of wall-clock time. Also whatever a screen or a driver raised.
        """
        while True:
            with self._changed:
                if self._settled(until):
                    return self._inbox.popleft() if self._inbox else None
            # Everything is idle: the customer acts, else time passes.
            if self._at_rest():
                continue
            target = self._clock.next_planned() if until is None else until
            if target is None:
                self._wait_for_message()
            elif not self._clock.advance(target) and until is not None:
                with self._changed:
                    if not self._inbox and not self._busy:
                        return None

    def _settled(self, until: int | None) -> bool:
        """Whether there is an answer for `receive`; False when everything is idle. The lock is held."""
        while True:
            self._raise_broken()
            if self._inbox or (until is not None and until <= self.now()):
                return True
            if not self._busy:
                return False
            if not self._changed.wait(PATIENCE_S):
                raise Stuck(f"a device or a request has been busy for {PATIENCE_S:.0f} s")

    def _wait_for_message(self) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._inbox or self._busy, PATIENCE_S):
                raise Stuck(f"the lane has waited for {PATIENCE_S:.0f} s and nothing is due: who should act?")

    def settle(self) -> None:
        """Wait until the devices and the requests are idle. Raises Stuck."""
        with self._changed:
            if not self._changed.wait_for(lambda: not self._busy, PATIENCE_S):
                raise Stuck(f"a device or a request has been busy for {PATIENCE_S:.0f} s")

    def pause(self, ms: int) -> None:
        """Let `ms` of bench time pass."""
        end = self.now() + ms
        while self._clock.advance(end):
            pass

    def close(self) -> None:
        """Let the devices finish, for 5 s at most."""
        if self._devices is not None:
            self._device_work.put(None)
            self._devices.join(5.0)
            if self._devices.is_alive():
                log.warning("a device is still busy; not waiting for it any longer")
            self._devices = None
