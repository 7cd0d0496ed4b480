"""No outcome is lost between two reads of the journal, or by a till that never comes back."""

from __future__ import annotations

from pathlib import Path

from sco_payment import attempt as m
from sco_payment.journal import Journal
from sco_service.records import Records
from tests.service.service_kit import serving, until


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
