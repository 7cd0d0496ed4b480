"""What the lane says and waits for because of earlier attempts, as a table."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sco_payment import attempt as m
from sco_payment.attempt import Outcome, Phase
from sco_payment.customer import display
from sco_payment.lane import Lane
from sco_sim.screen import VirtualScreen
from tests.payment.lane_kit import OwnUI, bench


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[Lane]:
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        yield lane


def attempt(
    key: str, phase: Phase, order_no: str = "42", outcome: Outcome | None = Outcome.UNKNOWN, *, busy: bool = False
) -> m.State:
    plan = m.Plan(key, order_no, 100, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=60_000)
    return replace(m.begin(plan)[0], phase=phase, outcome=outcome, busy=busy)


@pytest.mark.parametrize(
    ("state", "follow", "over", "unfinished"),
    [
        (attempt("a", Phase.UNPAID, busy=True), True, False, False),
        (attempt("a", Phase.WATCHING), False, False, False),
        (attempt("a", Phase.WATCHING), True, False, True),
        (attempt("a", Phase.WATCHING), True, True, True),
        (attempt("a", Phase.WATCHING, busy=True), False, True, True),
        (attempt("a", Phase.CONFIRMING, outcome=None), False, True, True),
        (attempt("a", Phase.CLOSED), True, False, True),
        (attempt("a", Phase.CLOSED), True, True, False),
        (attempt("a", Phase.OVERDUE), True, False, True),
        (attempt("a", Phase.OVERDUE), True, True, False),
        (attempt("a", Phase.OVERDUE, busy=True), True, True, True),
    ],
)
def test_a_recovery_follows_an_attempt_until_its_end_or_the_end_of_its_time(
    lane: Lane, monkeypatch: pytest.MonkeyPatch, state: m.State, follow: bool, over: bool, unfinished: bool
) -> None:
    monkeypatch.setattr(lane._runtime, "now", lambda: state.plan.over_at_ms - (not over))
    assert lane._unfinished(state, follow) is unfinished


@pytest.mark.parametrize(
    ("blocking", "cases", "where"),
    [
        ([attempt("a", Phase.UNPAID), attempt("b", Phase.WATCHING)], {}, ": `sco-pay recover` asks the acquirer again"),
        ([attempt("a", Phase.UNPAID), attempt("b", Phase.PAID)], {}, ""),
        ([attempt("b", Phase.WATCHING)], {4: "of another", 7: "b"}, ": see `sco-pay cases 7`"),
    ],
)
def test_a_refusal_names_the_command_that_knows_more(
    lane: Lane, monkeypatch: pytest.MonkeyPatch, blocking: list[m.State], cases: dict[int, str], where: str
) -> None:
    found = [SimpleNamespace(number=number, attempt=key) for number, key in cases.items()]
    monkeypatch.setattr(lane.journal, "conflicting_attempts", lambda order_no: blocking)
    monkeypatch.setattr(lane.journal, "cases", lambda: found)
    assert lane._where_to_look(blocking[0].plan) == where


@pytest.mark.parametrize(
    ("attempts", "settling"),
    [
        ([], False),
        ([attempt("a", Phase.WATCHING, "43")], False),
        ([attempt("a", Phase.UNPAID)], False),
        ([attempt("a", Phase.UNPAID), attempt("b", Phase.WATCHING), attempt("c", Phase.WATCHING, "43")], True),
    ],
)
def test_a_new_attempt_waits_for_what_the_acquirer_may_still_say_of_its_order(
    lane: Lane, attempts: list[m.State], settling: bool
) -> None:
    lane._loop.attempts = {state.plan.key: state for state in attempts}
    assert lane._settling(attempt("new", Phase.CREATING).plan) is settling
    lane._loop.attempts = {}


def test_the_watchdog_learns_for_how_long_the_loop_is_overdue(lane: Lane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane._runtime, "now", lambda: 7_500)
    for expected_by_ms, stalled_s in ((None, 0.0), (9_000, 0.0), (5_000, 2.5)):
        lane._loop.expected_by_ms = expected_by_ms
        assert lane.stalled_for_s() == stalled_s


@pytest.mark.parametrize(
    ("watched", "foreground", "expected"), [(False, None, False), (True, None, True), (True, "a", False)]
)
def test_the_loop_is_expected_to_run_again_only_where_it_is_watched(
    lane: Lane, monkeypatch: pytest.MonkeyPatch, watched: bool, foreground: str | None, expected: bool
) -> None:
    monkeypatch.setattr(lane, "_watcher", threading.current_thread() if watched else None)
    with lane._running_loop():
        lane._loop.foreground = foreground  # as in `deliver`, which called us
    assert (lane._loop.expected_by_ms is not None) is expected
    lane._loop.foreground, lane._watcher = None, None


def test_the_watch_keeps_no_program_from_ending(lane: Lane) -> None:
    lane.start()
    assert lane._watcher is not None
    assert lane._watcher.daemon


@pytest.mark.parametrize("draws", [True, False])
def test_between_payments_the_lane_forgets_what_is_final_and_makes_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, draws: bool
) -> None:
    with (
        VirtualScreen((800, 480)) as panel,
        bench(tmp_path, devices={"screen": panel.url if draws else ""}) as (lane, _),
    ):
        lane._loop.attempts = {"a": attempt("a", Phase.UNPAID)}
        loaded: list[str] = []
        monkeypatch.setattr(display, "preload", lambda: loaded.append("encoder"))
        for _ in range(2):
            lane.run_pending()
            lane._runtime.drain()  # type: ignore[attr-defined]
        assert (lane._loop.attempts, loaded) == ({}, ["encoder"] if draws else [])
