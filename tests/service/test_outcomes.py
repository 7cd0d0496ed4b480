"""No outcome is lost between two reads of the journal, or by a till that never comes back."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import Journal
from sco_service.records import Records
from tests.service.service_kit import Bench, serving, until


class Overtaken(Journal):
    """A journal in which the attempt ends just after its state was read."""

    def __init__(self, path: Path, writer: Journal) -> None:
        super().__init__(path, read_only=True)
        self.writer: Journal | None = writer

    def attempt(self, key: str) -> m.State | None:
        state = super().attempt(key)
        writer, self.writer = self.writer, None
        if writer is not None and state is not None:
            waiting = m.State(state.plan, m.Phase.WAITING, payment_id="p", presented=True, seq=1, busy=True)
            paid = m.PaymentStatusReceived(1, 1, "p", m.PaymentStatus.PAID, "Settled", 25_300, "RUB")
            after, effects = m.step(waiting, paid)
            writer.record(paid, after, effects, at_ms=1)
        return state


def test_events_after_the_last_row_of_a_payment_miss_nothing(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with Journal(path, lane_id="lane-1", acquirer="paymaster") as writer:
        plan = m.Plan("k", "A-1", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=300_000)
        state, effects = m.begin(plan)
        writer.record(None, state, effects, at_ms=0)
        with Overtaken(path, writer) as read:
            records = Records(read)
            payment = records.payment("k")
            assert payment is not None
            assert payment["outcome"] is None
            events, _ = records.events(payment["last_seq"], "k")
            assert "outcome_reached" in [event["type"] for event in events]


def test_an_outcome_that_nobody_takes_becomes_a_case(tmp_path: Path) -> None:
    with serving(tmp_path, service={"taken_within_s": 3600.0}) as bench:
        till, untaken = bench.till, bench.service.payments._untaken
        till.put("T-1")
        assert till.outcome("T-1")["case"] is None
        until(lambda: bool(untaken))
        untaken.update(dict.fromkeys(untaken, 0.0))
        opened = till.events_until("T-1", "case_opened")[-1]
        assert (opened["type"], opened["reason"]) == ("case_opened", "goods_uncertain")
        assert till.payment("T-1")["case"] == 1
        till.put("T-2", {"order": "A-2", "total_kopecks": 100})
        till.outcome("T-2")
        till.post("/v1/payments/T-2/taken")
        until(lambda: bool(untaken))
        untaken.update(dict.fromkeys(untaken, 0.0))
        until(lambda: not untaken)
        assert till.payment("T-2")["case"] is None


DAY_MS = 86_400_000


def times(bench: Bench) -> list[int]:
    """Every time that the lane's process has put into an answer."""
    payment = bench.till.payment("T-1")
    events = bench.till.get("/v1/payments/T-1/events").json["events"]
    case = bench.attendant.get("/v1/cases/1").json
    lane = bench.monitor.get("/v1/lane").json
    return [
        payment["begun_at_ms"],
        payment["expires_at_ms"],
        *(event["at_ms"] for event in events),
        *(event["expires_at_ms"] for event in events if "expires_at_ms" in event),
        case["opened_at_ms"],
        *(row["at_ms"] for row in case["timeline"]),
        lane["started_at_ms"],
        lane["last_acquirer_contact_ms"],
    ]


def test_a_clock_that_is_set_sets_every_time_of_this_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Compared with `now_ms`: a page would offer no ticket again, or a till would give a payment up."""
    ahead_s = 0.0
    real, real_ns = time.time, time.time_ns
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s)
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + round(ahead_s * 1e9))
    with serving(tmp_path, speed=1.0) as bench:
        bench.till.put("T-1")
        bench.till.outcome("T-1")
        bench.till.post("/v1/payments/T-1/not_accepted", {"reason": "for a case"})
        before = times(bench)
        assert before == times(bench)
        ahead_s = DAY_MS / 1000
        after = times(bench)
        moved = [round((late - early) / DAY_MS, 5) for early, late in zip(before, after, strict=True)]
        assert moved == [1] * len(moved)
        assert after == times(bench)
        payment, lane = bench.till.payment("T-1"), bench.monitor.get("/v1/lane").json
        assert payment["begun_at_ms"] <= lane["now_ms"] < payment["expires_at_ms"]
    with serving(tmp_path, speed=1.0) as bench:  # its own time began after the clock was set
        bench.till.put("T-2", {"order": "A-2", "total_kopecks": 100})
        bench.till.outcome("T-2")
        [kept] = bench.attendant.get("/v1/cases").json["cases"]
        ahead_s *= 2
        assert times(bench)[:2] == before[:2], "what another process wrote by its own clock is left as it is"
        assert bench.attendant.get("/v1/cases/1").json["opened_at_ms"] == kept["opened_at_ms"]
