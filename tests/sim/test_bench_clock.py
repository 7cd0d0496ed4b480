"""The bench's time: it waits for whatever is at work, and never for the wall clock."""

from __future__ import annotations

import threading
import time

import pytest

from sco_sim.testing import clock as clocks
from sco_sim.testing.clock import BenchRuntime, BenchTime, Stuck


def test_it_runs_with_the_wall_clock_until_it_is_stepped() -> None:
    clock = BenchTime()
    first = clock.now()
    time.sleep(0.02)
    assert clock.now() > first
    clock.step()
    first = clock.now()
    time.sleep(0.02)
    assert clock.now() == first


def test_planned_things_happen_in_order_and_on_time() -> None:
    clock = BenchTime()
    clock.step()
    start, log = clock.now(), list[tuple[str, int]]()
    for name, seconds in (("c", 3), ("a", 1), ("b", 1), ("late", 99)):
        clock.after(seconds, lambda name=name: log.append((name, clock.now() - start)))
    while clock.advance(start + 5000):
        pass
    assert log == [("a", 1000), ("b", 1000), ("c", 3000)]
    assert clock.now() - start == 5000


def test_time_stands_still_while_a_device_is_at_work() -> None:
    """A machine as slow as can be: the deadline of 10 ms is not missed by a device that takes 300."""
    clock = BenchTime()
    runtime: BenchRuntime[str] = BenchRuntime(clock)
    start = clock.now()

    def slow() -> str:
        time.sleep(0.3)
        return "done"

    runtime.submit("acquirer", slow)
    assert runtime.receive(start + 10) == "done"
    assert clock.now() == start
    assert runtime.receive(start + 10) is None
    assert clock.now() == start + 10
    runtime.close()


def test_the_wall_clock_of_a_deadline_is_the_same_while_time_stands_still() -> None:
    """Else a screen with a countdown would be another one, and be drawn again, when the machine is slow."""
    clock = BenchTime()
    runtime: BenchRuntime[str] = BenchRuntime(clock)
    end = clock.now() + 60_000
    first = runtime.wall(end)
    assert first == pytest.approx(time.time() + 60, abs=5)
    time.sleep(0.05)
    assert runtime.wall(end) == first
    runtime.pause(30_000)
    assert runtime.wall(end) == pytest.approx(time.time() + 30, abs=5)


def test_devices_have_done_their_work_when_the_call_returns() -> None:
    runtime: BenchRuntime[str] = BenchRuntime(BenchTime())
    log: list[int] = []
    for n in range(5):
        runtime.submit("devices", lambda n=n: log.append(n))
        assert log == list(range(n + 1))
    runtime.close()


def test_the_simulated_customer_acts_when_everything_is_idle() -> None:
    clock = BenchTime()
    acted: list[int] = []
    runtime: BenchRuntime[str]

    def act() -> bool:
        if acted:
            return False
        acted.append(clock.now())
        runtime.post("paid")
        return True

    runtime = BenchRuntime(clock, act)
    start = clock.now()
    assert runtime.receive(start + 60_000) == "paid"
    assert acted == [start]


def test_what_was_planned_comes_before_a_later_deadline() -> None:
    clock = BenchTime()
    runtime: BenchRuntime[str] = BenchRuntime(clock)
    start = clock.now()
    clock.after(5, lambda: runtime.post("tap"))
    assert runtime.receive(start + 60_000) == "tap"
    assert clock.now() - start == 5000
    assert runtime.receive(None if clock.next_planned() else start + 6000) is None


def test_a_hold_keeps_time_from_passing() -> None:
    clock = BenchTime()
    runtime: BenchRuntime[str] = BenchRuntime(clock)
    start = clock.now()
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        with runtime.standing_still():
            inside.set()
            leave.wait(10)

    threading.Thread(target=hold, daemon=True).start()
    inside.wait(10)
    threading.Timer(0.2, leave.set).start()
    assert runtime.receive(start + 1000) is None
    assert leave.is_set()


def test_what_a_device_raises_is_raised() -> None:
    runtime: BenchRuntime[str] = BenchRuntime(BenchTime())

    def broken() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        runtime.submit("devices", broken)
    runtime.submit("acquirer", broken)
    with pytest.raises(ZeroDivisionError):
        runtime.receive(runtime.now() + 1000)
    runtime.close()


def test_a_wait_that_cannot_end_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "PATIENCE_S", 0.1)
    runtime: BenchRuntime[str] = BenchRuntime(BenchTime())
    with pytest.raises(Stuck, match="who should act"):
        runtime.receive(None)
    never = threading.Event()
    runtime.submit("acquirer", lambda: str(never.wait(5)))
    with pytest.raises(Stuck, match="has been busy"):
        runtime.receive(runtime.now() + 10)
    never.set()
