"""Journals for the tests: how they are opened, what is in them, and how they are damaged."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from sco_payment import attempt as m
from sco_payment.journal import Journal


def opened(path: Path) -> Journal:
    """The journal, for writing."""
    return Journal(path, lane_id="lane-1", acquirer="paymaster")


def plan(key: str = "k1", order_no: str = "A-1") -> m.Plan:
    return m.Plan(key, order_no, 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=1_000, expires_at_ms=301_000)


def written(path: Path, keys: tuple[str, ...] = ("k1", "k2")) -> None:
    """A journal with some begun attempts, the last of which has a case."""
    with opened(path) as journal:
        for key in keys:
            state, effects = m.begin(plan(key))
            journal.record(None, state, effects, at_ms=1_000)
            journal.note(key, "bank: Confirmation", at_ms=2_000)
        event = m.Recovered(5_000)
        state, effects = m.step(state, event)
        journal.record(event, state, effects, at_ms=5_000)
        tick = m.Tick(60_000)
        state, effects = m.step(m.step(state, m.StatusUnavailable(20_000, state.seq, "no network"))[0], tick)
        assert journal.record(tick, state, effects, at_ms=60_000) == 1


def full(path: Path) -> int:
    """A journal with rows of every kind; returns how many."""
    written(path)
    with opened(path) as journal:
        state = journal.attempts()[-1]
        event = m.PaymentNotListed(2_000_000, state.seq)
        state, effects = m.step(replace(state, busy=True, sent_at_ms=2_000_000), event)
        assert any(isinstance(effect, m.NoteCase) for effect in effects)
        journal.record(event, state, effects, at_ms=2_000_000)
        journal.close_case(1, operator="Ivanova", resolution="nothing came", at_ms=2_050_000)
        assert journal.record(event, state, (m.NoteCase("money came", reopens=True),), at_ms=2_060_000) == 1
        journal.close_case(1, operator="Ivanova", resolution="refunded", at_ms=2_100_000)
        journal.note("k1", "seen by the auditor", at_ms=2_200_000)
        assert journal.verify() == []
        return journal.count()


KINDS = ("attempt_started", "note", "attempt_step", "case_opened", "case_note", "case_closed", "case_reopened")


def tamper(path: Path, *statements: str) -> None:
    """Change the file as someone would who leaves no trace in its schema."""
    db = sqlite3.connect(path)
    triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        db.execute(statement)
    for _, sql in triggers:
        db.execute(sql)
    db.commit()
    db.close()
