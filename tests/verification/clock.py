"""The simulated clock of the verification engines: one thread, tasks that are switched only where they wait, a seed
that orders what is simultaneous.

A task is a greenlet: production code that blocks (a socket's read, `Runtime.receive`, `time.sleep`) runs in it.

`simulate` runs on it. The other engines have no clock to replace: time is a part of the state that `explore` searches,
`powerloss` writes fixed times into its records, `kill` and `vm` run real processes. `sco_sim.testing` has a clock of
its own, since an integrator's tests run in real threads, which this single thread of greenlets cannot hold.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Generic, TypeVar

from greenlet import getcurrent, greenlet

T = TypeVar("T")
US = 1_000_000
STARTS_AT_US = 1_700_000_000 * US
"""When every run begins, in us since the epoch."""


class Killed(BaseException):
    """The process died here. None of its code runs on; what it still does while the stack unwinds has no effect."""


class Stuck(AssertionError):
    """A task waits for what can never happen."""


class Task:
    """A thread of a simulated process."""

    def __init__(self, clock: Clock, name: str, what: Callable[[], object]) -> None:
        self.name = name
        self.error: BaseException | None = None
        self.done = False
        self._clock = clock
        self._what = what
        self.greenlet = greenlet(self._run, parent=clock.hub)
        self.greenlet.task = self
        self.token = 0  # of its current wait; wakers of earlier waits are stale

    def _run(self) -> None:
        try:
            self._what()
        except Killed:
            pass
        except Exception as error:
            self.error = error
            self._clock.failures.append((self.name, error))
        self.done = True

    def resume(self) -> None:
        if not self.done:
            self.greenlet.switch()

    def kill(self) -> None:
        """End it where it waits."""
        if self.done:
            return
        if not self.greenlet:  # it never ran
            self.done = True
            return
        self.greenlet.parent = getcurrent()
        self.greenlet.throw(Killed())


class Clock:
    """Events in the order of their times; the seed draws the order of simultaneous ones.

    Attributes:
        us: now, in us since the epoch, by an ideal clock: the acquirer's.
        failures: names of tasks that ended by an exception, with the exception.
    """

    def __init__(self, random: Random) -> None:
        self.us = STARTS_AT_US
        self.hub = getcurrent()
        self.failures: list[tuple[str, BaseException]] = []
        self._random = random
        self._heap: list[tuple[int, float, int, Callable[[], object]]] = []
        self._n = 0

    @property
    def s(self) -> float:
        """Now, in s since the epoch."""
        return self.us / US

    def at(self, us: int, what: Callable[[], object]) -> None:
        """Do `what` at that moment, in the hub: it must not wait."""
        self._n += 1
        heapq.heappush(self._heap, (max(us, self.us), self._random.random(), self._n, what))

    def after(self, s: float, what: Callable[[], object]) -> None:
        """Do `what` in `s` seconds."""
        self.at(self.us + round(s * US), what)

    def spawn(self, name: str, what: Callable[[], object]) -> Task:
        """A new task. It starts at the present time, after the caller gives way."""
        task = Task(self, name, what)
        self.at(self.us, task.resume)
        return task

    def run(self, until_us: int, after_each: Callable[[], None]) -> None:
        """Let time run until `until_us`, and call `after_each` after every event."""
        while self._heap and self._heap[0][0] <= until_us:
            at, _, _, what = heapq.heappop(self._heap)
            self.us = at
            what()
            after_each()
        self.us = max(self.us, until_us)

    # --- in a task ---

    def _wait(self, until_us: int | None, place: deque[Any] | None) -> None:
        task: Task = getcurrent().task  # type: ignore[attr-defined]
        task.token += 1
        token = task.token

        def wake() -> None:
            if task.token == token and not task.done:
                task.token += 1
                task.resume()

        if place is not None:
            place.append(wake)
        if until_us is not None:
            self.at(until_us, wake)
        self.hub.switch()

    def sleep(self, s: float) -> None:
        """The current task waits `s` seconds."""
        self._wait(self.us + max(1, round(s * US)), None)  # some time passes, whatever the rounding


class Signal:
    """A condition that tasks wait for."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wakers: deque[Callable[[], None]] = deque()

    def fire(self) -> None:
        """Wake all waiting tasks. They run after the caller, which may be the hub or a task."""
        while self._wakers:
            self._clock.at(self._clock.us, self._wakers.popleft())

    def wait(self, until_us: int | None) -> None:
        """Until it fires, or until that moment."""
        self._clock._wait(until_us, self._wakers)


class PatchedTime:
    """In place of the module `time` in production modules: the monotonic clock is exact, the wall clock is the lane's,
    which jumps."""

    def __init__(self) -> None:
        self.clock: Clock | None = None
        self.wall: Callable[[], float] = lambda: 0.0

    def monotonic(self) -> float:
        assert self.clock is not None
        return (self.clock.us - STARTS_AT_US) / US

    def time(self) -> float:
        return self.wall()

    def sleep(self, s: float) -> None:
        assert self.clock is not None
        self.clock.sleep(s)


class PatchedThreading:
    """In place of the module `threading` in production modules: threads are tasks, and locks belong to tasks.

    `spawned` is called with the task of each production thread.
    """

    def __init__(self) -> None:
        self.clock: Clock | None = None
        self.spawned: Callable[[Task], None] = lambda task: None

    def _here(self) -> Clock:
        assert self.clock is not None
        return self.clock

    def Thread(self, *, target: Callable[..., object], name: str, daemon: bool, args: tuple[Any, ...] = ()) -> _Thread:  # noqa: N802
        return _Thread(self._here(), name, lambda: target(*args), self.spawned)

    def Lock(self) -> _Lock:  # noqa: N802 - the module's own name
        return _Lock(self._here(), reentrant=False)

    def RLock(self) -> _Lock:  # noqa: N802 - the module's own name
        return _Lock(self._here(), reentrant=True)

    def Event(self) -> _Event:  # noqa: N802 - the module's own name
        return _Event(self._here())


class _Thread:
    def __init__(self, clock: Clock, name: str, what: Callable[[], object], spawned: Callable[[Task], None]) -> None:
        self._clock, self._name, self._what, self._spawned = clock, name, what, spawned
        self._ended = Signal(clock)
        self._task: Task | None = None

    def _run(self) -> None:
        try:
            self._what()
        finally:
            self._ended.fire()

    def start(self) -> None:
        self._task = self._clock.spawn(self._name, self._run)
        self._spawned(self._task)

    def is_alive(self) -> bool:
        return self._task is not None and not self._task.done

    def join(self, timeout: float | None = None) -> None:
        if self.is_alive() and getcurrent() is not self._clock.hub:
            self._ended.wait(None if timeout is None else self._clock.us + round(timeout * US))


class _Lock:
    def __init__(self, clock: Clock, *, reentrant: bool) -> None:
        self._reentrant = reentrant
        self._owner: Any = None
        self._depth = 0
        self._free = Signal(clock)
        self._hub = clock.hub

    def acquire(self) -> bool:
        me = getcurrent()
        if self._owner is me and not self._reentrant:
            raise Stuck("a task waits for a lock that it holds itself")
        while self._owner is not None and self._owner is not me:
            if me is self._hub:
                raise Stuck("the hub cannot wait for a lock")
            self._free.wait(None)
        self._owner, self._depth = me, self._depth + 1
        return True

    def release(self) -> None:
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._free.fire()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exc: object) -> None:
        self.release()


class _Event:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._set = False
        self._signal = Signal(clock)

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        self._signal.fire()

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        limit = None if timeout is None else self._clock.us + max(1, round(timeout * US))
        while not self._set and (limit is None or self._clock.us < limit):
            self._signal.wait(limit)
        return self._set


class SimulatedRuntime(Generic[T]):
    """See `sco_payment.runtime.Runtime`. Lane time starts at the wall clock of the process and then runs
    exactly."""

    def __init__(self, clock: Clock, wall: Callable[[], float], submitted: Callable[[Task], None]) -> None:
        self._clock = clock
        self._wall = wall
        self._submitted = submitted
        self._began = clock.us
        self._wall_at_start = wall()
        self._inbox: deque[T] = deque()
        self._arrived = Signal(clock)
        self._device_work: deque[Callable[[], T | None]] = deque()
        self._device_asked = Signal(clock)
        self._devices: Task | None = None
        self.alive = True

    def now(self) -> int:
        """Lane time, ms since the epoch."""
        return round(self._wall_at_start * 1000) + (self._clock.us - self._began) // 1000

    def wall(self, at: int) -> float:
        """The wall clock when lane time is `at`."""
        return self._wall() + (at - self.now()) / 1000

    def submit(self, channel: str, work: Callable[[], T | None]) -> None:
        """One task for each request to the acquirer, one for all devices."""
        if not self.alive:
            raise Killed
        if channel == "acquirer":
            self._submitted(self._clock.spawn("bank", lambda: self._deliver(work())))
            return
        self._device_work.append(work)
        if self._devices is None:
            self._devices = self._clock.spawn("devices", self._serve)
            self._submitted(self._devices)
        self._device_asked.fire()

    def _serve(self) -> None:
        while True:
            while self._device_work:
                self._deliver(self._device_work.popleft()())
            self._device_asked.wait(None)

    def _deliver(self, message: T | None) -> None:
        if message is not None:
            self.post(message)

    def post(self, message: T) -> None:
        """Deliver `message`."""
        if self.alive:
            self._inbox.append(message)
            self._arrived.fire()

    def receive(self, until: int | None) -> T | None:
        """The next message, or None at `until`."""
        while not self._inbox:
            if not self.alive:
                raise Killed
            if until is not None and until <= self.now():
                return None
            # `now` is cut to whole ms: wake when it has reached `until`
            self._arrived.wait(None if until is None else self._clock.us + (until - self.now()) * 1000)
        return self._inbox.popleft()

    def pause(self, ms: int) -> None:
        """Sleep."""
        self._clock.sleep(ms / 1000)

    def close(self) -> None:
        """Give the devices a moment to finish."""
        if self._device_work:
            self._clock.sleep(5.0)
        if self._devices is not None and self._clock.hub is not getcurrent():
            self._devices.kill()
