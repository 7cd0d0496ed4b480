"""Time for tests of drivers and simulators in real threads on real wires: nobody waits for it.

A wait with a deadline is over as soon as all threads of the test wait and nothing has arrived for any of them: the
clock then jumps to the earliest deadline. While any thread is at work time passes slowly, so a busy machine never lets
a deadline come sooner than what it guards. What waits by other means, for another process for instance, counts as at
work.

`time`, `select`, `selectors`, `socket`, `queue` and `threading` are changed for the whole process, so the code under
test, the simulator and the test share this clock.
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import queue
import select
import selectors
import socket
import socketserver
import struct
import subprocess
import termios
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

_MONOTONIC, _TIME, _SLEEP = time.monotonic, time.time, time.sleep
_IOCTL = fcntl.ioctl
_POLL, _SELECT = select.poll, select.select
_LOCK = threading.Lock
_JOIN, _START = threading.Thread.join, threading.Thread.start
_AT_WORK = 0.1
"""So much of the real time passes while a thread is at work: a machine may be slow and keep every deadline."""
_LOOK_S = 0.02
"""In real time: after this long a thread that waits looks whether the clock may jump, should nobody have told it."""
_ARRIVAL_S = 0.001
"""The same where a socket's peer has not acknowledged everything: mostly it has it, and acknowledges it late."""


class _Wait:
    """A thread that waits until `deadline`, s of this clock. `is_ready`: whether what it waits for has come."""

    def __init__(self, deadline: float, is_ready: Callable[[], bool], wake: Callable[[], object]) -> None:
        self.deadline, self.is_ready, self.wake = deadline, is_ready, wake


class IdleTime:
    """The clock of one test; see the module. `skipped_s`: what it did not have to wait."""

    def __init__(self) -> None:
        self.skipped_s = 0.0
        self._began, self._wall = _MONOTONIC(), _TIME()
        self._mutex = _LOCK()
        self._threads = {threading.current_thread()}
        self._waiting: dict[threading.Thread, _Wait] = {}
        self._descriptors: set[int] = set()
        self._on_the_way: dict[int, int] = {}
        self._look_s = _LOOK_S

    def monotonic(self) -> float:
        return self._began + self._passed_s

    def time(self) -> float:
        return self._wall + self._passed_s

    @property
    def _passed_s(self) -> float:
        return (_MONOTONIC() - self._began) * _AT_WORK + self.skipped_s

    # --- when it jumps ---

    @contextlib.contextmanager
    def _waits(self, wait: _Wait) -> Iterator[None]:
        me = threading._active.get(threading.get_ident())  # type: ignore[attr-defined]
        if me is None:  # it is being born, and counts as at work since `start`
            yield
            return
        with self._mutex:
            self._threads.add(me)
            self._waiting[me] = wait
        self._jump()
        try:
            yield
        finally:
            with self._mutex:
                self._waiting.pop(me, None)

    def _jump(self) -> None:
        """Go to the earliest deadline, if all threads wait and nothing is on its way to one."""
        with self._mutex:
            self._look_s = _LOOK_S
            self._threads = {one for one in self._threads if not one._started.is_set() or one.is_alive()}  # type: ignore[attr-defined]
            if len(self._waiting) < len(self._threads) or any(one.is_ready() for one in self._waiting.values()):
                return
            first = min((one.deadline for one in self._waiting.values()), default=math.inf)
            if first == math.inf:
                return
            if self._is_something_on_its_way():
                self._look_s = _ARRIVAL_S
                return
            self.skipped_s += max(0.0, first - self.monotonic())
            for thread, wait in list(self._waiting.items()):
                if wait.deadline <= first:
                    del self._waiting[thread]  # it is at work from now on
                    wait.wake()

    def _is_something_on_its_way(self) -> bool:
        """Whether a socket has sent what its peer's does not have yet; it may also have no room for it, and never."""
        before, self._on_the_way = self._on_the_way, {}
        for descriptor in list(self._descriptors):
            try:
                (count,) = struct.unpack("i", _IOCTL(descriptor, termios.TIOCOUTQ, b"\0\0\0\0"))
            except OSError:
                self._descriptors.discard(descriptor)
                continue
            if count:
                self._on_the_way[descriptor] = count
        return bool(self._on_the_way) and self._on_the_way != before

    # --- what waits ---

    def sleep(self, seconds: float) -> None:
        self._acquire(_locked(), seconds)

    def _acquire(self, lock: Any, timeout_s: float | None, is_ready: Callable[[], bool] = lambda: False) -> bool:
        """Wait until somebody releases `lock`; whether that was in time."""
        if timeout_s is not None and timeout_s <= 0:
            return lock.acquire(blocking=False)
        deadline = math.inf if timeout_s is None else self.monotonic() + timeout_s
        over: list[bool] = []

        def wake() -> None:
            over.append(True)
            with contextlib.suppress(RuntimeError):  # somebody did at the same moment
                lock.release()

        with self._waits(_Wait(deadline, is_ready, wake)):
            while (left := deadline - self.monotonic()) > 0 and not over:
                if lock.acquire(timeout=min(left, self._look_s)):
                    return not over
                self._jump()
        return False

    def poll(self, wanted: dict[int, int], timeout_s: float | None) -> list[tuple[int, int]]:
        """What poll(2) finds."""
        poll = _polling(wanted)
        found = poll.poll(0)
        if found or (timeout_s is not None and timeout_s <= 0):
            return found
        deadline = math.inf if timeout_s is None else self.monotonic() + timeout_s
        self._descriptors.update(wanted)
        bell = os.eventfd(0, os.EFD_CLOEXEC)
        try:
            poll.register(bell, select.POLLIN)
            is_ready = lambda: bool(_polling(wanted).poll(0))  # noqa: E731
            with self._waits(_Wait(deadline, is_ready, lambda: os.eventfd_write(bell, 1))):
                while (left := deadline - self.monotonic()) > 0:
                    if seen := poll.poll(min(left, self._look_s) * 1000):
                        found = [one for one in seen if one[0] != bell]
                        break
                    self._jump()
            return found or _polling(wanted).poll(0)
        finally:
            os.close(bell)

    def select(self, read: Any, write: Any, exceptional: Any, timeout_s: float | None = None) -> tuple[Any, Any, Any]:
        wanted: dict[int, int] = {}
        for files, event in ((read, select.POLLIN), (write, select.POLLOUT), (exceptional, select.POLLPRI)):
            for one in files:
                descriptor = one if isinstance(one, int) else one.fileno()
                wanted[descriptor] = wanted.get(descriptor, 0) | event
        self.poll(wanted, timeout_s)
        return _SELECT(read, write, exceptional, 0)

    def wait(self, condition: Any, timeout_s: float | None = None) -> bool:
        """In place of `threading.Condition.wait`."""
        if not condition._is_owned():
            raise RuntimeError("cannot wait on un-acquired lock")
        waiter = _locked()
        condition._waiters.append(waiter)
        state = condition._release_save()
        notified = False
        try:
            is_ready = lambda: not waiter.locked() or waiter not in condition._waiters  # noqa: E731
            notified = self._acquire(waiter, timeout_s, is_ready)
        finally:
            condition._acquire_restore(state)
            if not notified:
                with contextlib.suppress(ValueError):
                    condition._waiters.remove(waiter)
        return notified

    def join(self, thread: threading.Thread, timeout_s: float | None = None) -> None:
        """In place of `threading.Thread.join`."""
        deadline = math.inf if timeout_s is None else self.monotonic() + timeout_s
        with self._waits(_Wait(deadline, lambda: not thread.is_alive(), lambda: None)):
            while thread.is_alive() and (left := deadline - self.monotonic()) > 0:
                _JOIN(thread, min(left, self._look_s))
                self._jump()

    def start(self, thread: threading.Thread) -> None:
        """In place of `threading.Thread.start`: it is at work from now on."""
        with self._mutex:
            self._threads.add(thread)
        try:
            _START(thread)
        except RuntimeError:
            with self._mutex:
                self._threads.discard(thread)
            raise

    def arriving(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """A method of `socket.socket` that waits for something to arrive."""

        def waits(one: socket.socket, *arguments: Any, **more: Any) -> Any:
            timeout_s, descriptor = one.gettimeout(), one.fileno()
            if timeout_s != 0 and descriptor >= 0 and not self.poll({descriptor: select.POLLIN}, timeout_s):
                raise TimeoutError("timed out")
            return call(one, *arguments, **more)

        return waits

    # --- in place of the process's own ---

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Until `patch` is undone."""
        clock = self
        patch.setattr(time, "monotonic", self.monotonic)
        patch.setattr(time, "monotonic_ns", lambda: int(clock.monotonic() * 1e9))
        patch.setattr(time, "time", self.time)
        patch.setattr(time, "sleep", self.sleep)
        patch.setattr(select, "select", self.select)
        patch.setattr(select, "poll", lambda: _Poll(clock))
        for name in ("recv", "recv_into", "recvfrom", "accept"):
            patch.setattr(socket.socket, name, self.arriving(getattr(socket.socket, name)))
        patch.setattr(selectors, "DefaultSelector", lambda: _Selector(clock))
        patch.setattr(socketserver, "_ServerSelector", lambda: _Selector(clock))
        patch.setattr(subprocess, "time", SimpleNamespace(sleep=_SLEEP))  # another process is at work
        patch.setattr(queue, "SimpleQueue", queue._PySimpleQueue)  # the same in Python: it waits for a condition
        patch.setattr(queue, "time", self.monotonic)
        patch.setattr(threading, "_time", self.monotonic)
        patch.setattr(threading, "Lock", lambda: _Lock(clock))
        patch.setattr(threading, "RLock", lambda: _RLock(clock))
        patch.setattr(threading.Condition, "wait", lambda condition, timeout=None: clock.wait(condition, timeout))
        patch.setattr(threading.Thread, "join", lambda thread, timeout=None: clock.join(thread, timeout))
        patch.setattr(threading.Thread, "start", lambda thread: clock.start(thread))


def _polling(wanted: dict[int, int]) -> select.poll:
    poll = _POLL()
    for descriptor, events in wanted.items():
        poll.register(descriptor, events)
    return poll


def _locked() -> Any:
    lock = _LOCK()
    lock.acquire()
    return lock


class _Lock:
    """In place of `threading.Lock`: it is passed on, so the thread that gets it never counts as waiting."""

    def __init__(self, clock: IdleTime) -> None:
        self._clock = clock
        self._mutex = _LOCK()
        self._held = False
        self._queue: deque[Any] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        with self._mutex:
            if not self._held or not blocking:
                got, self._held = not self._held, True
                return got
            waiter = _locked()
            self._queue.append(waiter)
        if self._clock._acquire(waiter, None if timeout < 0 else timeout, lambda: waiter not in self._queue):
            return True
        with self._mutex:
            if waiter in self._queue:
                self._queue.remove(waiter)
                return False
        return True  # it was passed on at the last moment

    def release(self) -> None:
        with self._mutex:
            if not self._held:
                raise RuntimeError("release unlocked lock")
            if self._queue:
                self._queue.popleft().release()
            else:
                self._held = False

    def locked(self) -> bool:
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _RLock:
    """In place of `threading.RLock`."""

    def __init__(self, clock: IdleTime) -> None:
        self._lock = _Lock(clock)
        self._owner: int | None = None
        self._depth = 0

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        me = threading.get_ident()
        if self._owner != me:
            if not self._lock.acquire(blocking, timeout):
                return False
            self._owner = me
        self._depth += 1
        return True

    def release(self) -> None:
        if not self._is_owned():
            raise RuntimeError("cannot release un-acquired lock")
        self._depth -= 1
        if not self._depth:
            self._owner = None
            self._lock.release()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    # --- for threading.Condition ---

    def locked(self) -> bool:  # from Python 3.14 on
        return self._depth > 0

    def _is_owned(self) -> bool:
        return self._owner == threading.get_ident()

    def _release_save(self) -> int:
        depth, self._depth, self._owner = self._depth, 0, None
        self._lock.release()
        return depth

    def _acquire_restore(self, depth: int) -> None:
        self._lock.acquire()
        self._owner, self._depth = threading.get_ident(), depth


class _Poll:
    """In place of `select.poll`."""

    def __init__(self, clock: IdleTime) -> None:
        self._clock = clock
        self._wanted: dict[int, int] = {}

    def register(self, file: Any, events: int = select.POLLIN | select.POLLPRI | select.POLLOUT) -> None:
        self._wanted[file if isinstance(file, int) else file.fileno()] = events

    modify = register

    def unregister(self, file: Any) -> None:
        del self._wanted[file if isinstance(file, int) else file.fileno()]

    def poll(self, timeout_ms: float | None = None) -> list[tuple[int, int]]:
        forever = timeout_ms is None or timeout_ms < 0
        return self._clock.poll(self._wanted, None if forever else timeout_ms / 1000)


class _Selector(selectors.PollSelector):
    """In place of `selectors.DefaultSelector`."""

    def __init__(self, clock: IdleTime) -> None:
        super().__init__()
        self._clock = clock

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        wanted = {
            key.fd: (select.POLLIN if key.events & selectors.EVENT_READ else 0)
            | (select.POLLOUT if key.events & selectors.EVENT_WRITE else 0)
            for key in self.get_map().values()
        }
        self._clock.poll(wanted, timeout)
        return super().select(0)
