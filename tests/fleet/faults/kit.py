"""What a lane and the centre are in these tests: a real journal with real payments, the real app."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from sco_payment import attempt as m
from sco_payment.journal import Journal
from tests.verification.powerloss import check

PAID, CANCELLED, CASE = range(3)
"""How a payment ends: paid and taken, cancelled, or in a case that stays open."""
LANE = "KSO-1"


def opened(path: Path, lane_id: str = LANE) -> Journal:
    """A lane's journal, for writing."""
    return Journal(path, lane_id=lane_id, acquirer="paymaster")


def payment(journal: Journal, name: str, how: int = PAID, *, at_ms: int | None = None) -> None:
    """Write all steps of one payment, as a lane does."""
    at = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    plan = m.Plan(name, f"order-{name}", 25_300, "RUB", m.Mode.PRINT, begun_at_ms=at, expires_at_ms=at + 300_000)
    state, effects = m.begin(plan)
    journal.record(None, state, effects, at_ms=at)
    for one in check._events(how, state, at):
        event = replace(one, seq=state.seq) if isinstance(one, m.ANSWERS) else one
        if isinstance(event, m.Created | m.PaymentStatusReceived):
            event = replace(event, payment_id=f"bank-{name}")
        before, (state, effects) = state, m.step(state, event)
        journal.note(name, f"received: {type(event).__name__}", at_ms=at)
        if m.significant(before, state, effects):
            journal.record(event, state, effects, at_ms=at)
