"""What must hold at the centre whatever went wrong: acknowledged is stored, chains verify, nothing is there twice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import psycopg

from sco_payment.journal import Journal, codec

JUDGE = "judge"
"""The name of our own connections, which no fault of a test ends."""


class Head(NamedTuple):
    """The last row of a journal that the centre says it has stored."""

    epoch: str
    seq: int
    hash: str


def is_stored(database: str, lane_id: str, head: Head) -> str | None:
    """Why an acknowledged head is not stored, as another connection sees it; None when it is."""
    if head.seq == 0:
        return None
    with psycopg.connect(database, autocommit=True, application_name=JUDGE) as db:
        rows = db.execute(
            "SELECT hash FROM records WHERE lane_id = %s AND epoch = %s AND seq = %s", (lane_id, head.epoch, head.seq)
        ).fetchall()
    if rows == [(head.hash,)]:
        return None
    return f"row {head.seq} of {lane_id} was acknowledged as {head.hash[:8]} and {rows or 'nothing'} is stored"


def stored_chains(database: str) -> list[str]:
    """What is wrong with the chains that are stored: gaps, rows twice, wrong hashes, a head that is not last.

    Of one moment: a request that its lane has given up may still be under way.
    """
    found = []
    with psycopg.connect(database) as db:
        db.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        journals = db.execute("SELECT lane_id, epoch, head_seq, head_hash, base_seq FROM journals").fetchall()
        for lane_id, epoch, head_seq, head_hash, base_seq in journals:
            rows = db.execute(
                "SELECT seq, at_ms, attempt, kind, version, coalesce(written_by, lane_id), acquirer, body, prev_hash, "
                "hash FROM records WHERE lane_id = %s AND epoch = %s ORDER BY seq, at_ms",
                (lane_id, epoch),
            ).fetchall()
            where = f"{lane_id}, journal {epoch[:8]}"
            if [row[0] for row in rows] != list(range(base_seq + 1, head_seq + 1)):
                found.append(f"{where}: rows {_short(row[0] for row in rows)} are not {base_seq + 1} to {head_seq}")
            last = None
            for row in rows:
                if codec.row_hash(*row[:9]) != row[9]:
                    found.append(f"{where}: row {row[0]} has another hash")
                if last is not None and row[8] != last:
                    found.append(f"{where}: row {row[0]} does not follow the row before it")
                last = row[9]
            if rows and last != head_hash:
                found.append(f"{where}: the head is not the last row")
    return found


def as_on_the_lane(database: str, lane_id: str, journal: Journal, *, whole: bool = True) -> list[str]:
    """How what is stored differs from a lane's journal: rows, payments, cases.

    Args:
        whole: all of the journal must be stored; else it may be only its beginning.
    """
    found = []
    mine = {row[0]: row[9] for row in journal.raw_rows(0, limit=1_000_000, max_bytes=1 << 30)}
    epoch = journal.id()
    with psycopg.connect(database, autocommit=True) as db:
        rows = db.execute(
            "SELECT seq, hash FROM records WHERE lane_id = %s AND epoch = %s ORDER BY seq", (lane_id, epoch)
        ).fetchall()
        if wrong := [seq for seq, digest in rows if mine.get(seq) != digest]:
            found.append(f"{lane_id}: stored rows {_short(wrong)} are not those of its journal")
        if whole and len(rows) != len(mine):
            found.append(f"{lane_id}: {len(rows)} rows are stored of {len(mine)}")
        if not whole or found:
            return found
        attempts = db.execute(
            "SELECT attempt, order_no, payment_id, amount_kopecks, phase, outcome FROM attempts "
            "WHERE lane_id = %s AND epoch = %s ORDER BY attempt",
            (lane_id, epoch),
        ).fetchall()
        cases = db.execute(
            "SELECT number, attempt, reason, operator, resolution FROM cases WHERE lane_id = %s AND epoch = %s "
            "ORDER BY number",
            (lane_id, epoch),
        ).fetchall()
    expected = sorted(_attempt(state) for state in journal.attempts())
    if attempts != expected:
        found.append(f"{lane_id}: payments {_first_difference(attempts, expected)}")
    on_lane = sorted(
        (case.number, case.attempt, case.reason, case.operator, case.resolution)
        for case in journal.cases(include_closed=True)
    )
    if cases != on_lane:
        found.append(f"{lane_id}: cases {_first_difference(cases, on_lane)}")
    return found


def _attempt(state: Any) -> tuple[Any, ...]:
    plan = state.plan
    outcome = None if state.outcome is None else state.outcome.value
    return plan.key, plan.order_no, state.payment_id, plan.kopecks, codec.PHASES[state.phase], outcome


def _first_difference(found: list[Any], expected: list[Any]) -> str:
    for here, there in zip(found, expected, strict=False):
        if here != there:
            return f"differ: stored {here}, on the lane {there}"
    return f"differ in number: {len(found)} are stored, {len(expected)} on the lane"


def _short(numbers: Iterable[int]) -> str:
    text = ", ".join(map(str, numbers))
    return text if len(text) < 60 else f"{text[:60]}..."
