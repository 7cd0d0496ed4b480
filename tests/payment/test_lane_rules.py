"""What the lane says and waits for because of earlier attempts, as a table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from sco_payment import attempt as m
from sco_payment.attempt import Outcome, Phase
from sco_payment.lane import Lane
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
