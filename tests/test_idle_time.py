"""The clock of the drivers' tests: it jumps when everything waits, and never past what is under way."""

from __future__ import annotations

import os
import queue
import select
import socket
import threading
import time
from collections.abc import Callable

import pytest

from tests.idle_time import IdleTime

REAL_SLEEP = time.sleep


@pytest.fixture(autouse=True)
def clock(idle_time: IdleTime) -> IdleTime:
    return idle_time


def started(what: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=what, daemon=True)
    thread.start()
    return thread


def test_an_hour_is_over_at_once(clock: IdleTime) -> None:
    began, wall = time.monotonic(), time.time()
    time.sleep(3600)
    assert time.monotonic() - began >= 3600
    assert time.time() - wall >= 3600
    assert clock.skipped_s > 3500


@pytest.mark.parametrize("contended", [False, True])
def test_a_thread_that_is_slow_to_be_born_is_at_work(
    clock: IdleTime, monkeypatch: pytest.MonkeyPatch, contended: bool
) -> None:
    set_native_id = threading.Thread._set_native_id  # type: ignore[attr-defined]

    def slowly(thread: threading.Thread) -> None:
        set_native_id(thread)
        if contended:
            threading.Event().wait(0.001)
        REAL_SLEEP(0.05)

    monkeypatch.setattr(threading.Thread, "_set_native_id", slowly)
    done = threading.Event()
    started(lambda: (REAL_SLEEP(0.05), done.set()))
    assert done.wait(180)
    assert clock.skipped_s < 180
    time.sleep(3600)
    assert clock.skipped_s > 3500


def test_threads_wake_in_the_order_of_their_times() -> None:
    seen: list[int] = []
    lock, woken, never = threading.Lock(), threading.Condition(), threading.Event()

    def waits(n: int) -> None:
        match n % 4:
            case 0:
                time.sleep(n)
            case 1:
                never.wait(n)
            case 2:
                with woken:
                    woken.wait(n)
            case 3:
                threading.Timer(n, lambda: None).run()
        with lock:
            seen.append(n)

    threads = [started(lambda n=n: waits(n)) for n in (70, 30, 61, 12, 43, 5, 27, 18)]
    for thread in threads:
        thread.join()
    assert seen == [5, 12, 18, 27, 30, 43, 61, 70]


def test_no_time_passes_while_a_thread_is_at_work(clock: IdleTime) -> None:
    done = threading.Event()

    def works() -> None:
        end = time.perf_counter() + 0.2
        while time.perf_counter() < end:
            pass
        done.set()

    started(works)
    assert done.wait(60)
    assert clock.skipped_s == 0


def test_what_was_sent_comes_before_a_deadline() -> None:
    """A thousand times, each a chance to jump past an answer that is there."""
    here, there = socket.socketpair()

    def waits_for_input(seconds: float) -> bool:
        poll = select.poll()
        poll.register(here, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def serves() -> None:
        poll = select.poll()
        poll.register(there, select.POLLIN)
        while poll.poll() and os.read(there.fileno(), 1):
            os.write(there.fileno(), b"x")

    thread = started(serves)
    for _ in range(1000):
        os.write(here.fileno(), b"?")
        assert waits_for_input(5.0)
        assert os.read(here.fileno(), 1) == b"x"
    assert not waits_for_input(5.0)
    here.close()
    thread.join()
    there.close()


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_a_lock_is_no_work(kind: str, clock: IdleTime) -> None:
    """Who waits for a lock that is held for an hour holds nobody up."""
    lock, held = getattr(threading, kind)(), threading.Event()

    def holds() -> None:
        with lock:
            held.set()
            time.sleep(3600)

    thread = started(holds)
    held.wait()
    assert not lock.acquire(timeout=60)
    with lock:
        assert clock.skipped_s > 3500
    thread.join()


def test_a_blocking_socket_is_no_work(clock: IdleTime) -> None:
    here, there = socket.socketpair()
    here.settimeout(60)
    with pytest.raises(TimeoutError):
        here.recv(1)
    assert clock.skipped_s > 50
    answering = started(lambda: there.sendall(there.recv(1)))
    here.sendall(b"?")
    assert here.recv(1) == b"?"
    answering.join()
    here.close()
    there.close()


def test_a_queue_is_no_work(clock: IdleTime) -> None:
    asked: queue.SimpleQueue[int] = queue.SimpleQueue()
    thread = started(asked.get)
    with pytest.raises(queue.Empty):
        queue.Queue[int]().get(timeout=60)
    assert clock.skipped_s > 50
    asked.put(1)
    thread.join()
