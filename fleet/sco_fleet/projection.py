"""Attempts and cases, read from the records for the office.

What this release cannot read yet, a record of a newer version, waits: the projection of that journal goes on with the
release that knows it. A record that no release writes is passed over, with an alarm.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from sco_fleet import alarms
from sco_fleet.left_behind import RECORDED_HERE
from sco_fleet.records import Row, stored
from sco_payment.journal import JournalDamaged, codec

_PAGE = 500
_LARGEST = 2**63 - 1
SALVAGE, MOVED_TO = "sco-pay journal salvage", "moved to journal "
"""Who closed the case of a journal that was replaced, and how: it is open in the other one."""


def project(db: Connection[Any], lane_id: str, epoch: str, done: int, fresh: list[Row]) -> int:
    """Bring attempts and cases up to rows that were just stored; returns the last row that they know then.

    Args:
        db: in a transaction that has the journal locked.
        lane_id: whose journal it is.
        epoch: the journal.
        done: the last row that attempts and cases know. Rows between it and the first of `fresh` wait in the database.
        fresh: the rows.
    """
    if done == fresh[0].seq - 1:
        return _apply(db, lane_id, epoch, fresh) or done
    return catch_up(db, lane_id, epoch, done)


def catch_up(db: Connection[Any], lane_id: str, epoch: str, done: int) -> int:
    """Read what waits of a journal from the stored records; returns the last row that was read."""
    while True:
        rows = [Row(*row) for row in stored(db, lane_id, epoch, after=done, limit=_PAGE)]
        last = _apply(db, lane_id, epoch, rows)
        done = last or done
        if last is None or last != rows[-1].seq or len(rows) < _PAGE:
            return done


def catch_up_all(db: Connection[Any]) -> int:
    """Read what waits of all journals, for one after an update of the server; returns how many journals waited."""
    waiting = db.execute("SELECT lane_id, epoch FROM journals WHERE projected_seq < head_seq").fetchall()
    for lane_id, epoch in waiting:
        key = (lane_id, epoch)
        with db.transaction():
            row = db.execute(
                "SELECT projected_seq FROM journals WHERE lane_id = %s AND epoch = %s FOR UPDATE", key
            ).fetchone()
            assert row is not None
            done = catch_up(db, lane_id, epoch, row[0])
            db.execute("UPDATE journals SET projected_seq = %s WHERE lane_id = %s AND epoch = %s", (done, *key))
    return len(waiting)


@dataclass(slots=True)
class _Changes:
    """What some rows make of attempts and cases; later rows replace earlier ones."""

    attempts: dict[str, tuple[Any, ...]] = field(default_factory=dict)
    cases: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)


def _apply(db: Connection[Any], lane_id: str, epoch: str, rows: list[Row]) -> int | None:
    """Apply rows up to the first one of a newer version; returns the last one that was, or None."""
    changes, last = _Changes(), None
    for row in rows:
        if row.version > codec.RECORD_VERSION:
            break
        last = row.seq
        try:
            _read(changes, row, codec.from_json(row.body))
        except JournalDamaged as error:
            alarms.raise_alarm(
                db, lane_id, alarms.UNREADABLE_RECORD, f"row {row.seq} of journal {epoch}: {error}"[:500]
            )
    _write(db, lane_id, epoch, changes)
    return last


def _read(changes: _Changes, row: Row, body: dict[str, Any]) -> None:
    """Add what a record changes. Raises JournalDamaged."""
    codec.decode_body(row.version, row.kind, body)  # strictly: see there
    key = row.attempt
    match row.kind:
        case "attempt_started" | "attempt_step":
            changes.attempts[key] = _storable(_attempt(row, body["state"]))
        case "case_opened":
            opened = body["case_number"], key, row.at_ms, body["reason"], body["detail"]
            changes.cases.append((_OPENED, _storable(opened)))
            changes.cases.append((_MOVED, _storable(opened)))
        case "case_note":
            changes.cases.append((_NEWS, _storable((key,))))
        case "case_reopened":
            changes.cases.append((_REOPENED, _storable((body["case_number"],))))
        case "case_closed":
            number, operator, resolution = _storable((body["case_number"], body["operator"], body["resolution"]))
            changes.cases.append((_CLOSED, (row.at_ms, operator, resolution, number)))
            changes.cases.append((_DECIDED, (number, operator, resolution)))


def _storable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Values as PostgreSQL can take them: it has no NUL in texts, and its numbers end. Raises JournalDamaged."""
    for value in values:
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise JournalDamaged("a number is out of range")
    return tuple(
        value.replace("\0", "\ufffd").encode("utf-8", "replace").decode() if isinstance(value, str) else value
        for value in values
    )


_OPENED = """
INSERT INTO cases (lane_id, epoch, number, attempt, opened_at_ms, reason, detail)
VALUES (%(lane)s, %(epoch)s, %(a)s, %(b)s, %(c)s, %(d)s, %(e)s) ON CONFLICT DO NOTHING
"""
_MOVED = f"""
UPDATE cases c SET closed_at_ms = (extract(epoch FROM now()) * 1000)::bigint, operator = '{SALVAGE}',
    resolution = '{MOVED_TO}' || later.epoch
FROM cases again JOIN journals later ON later.lane_id = again.lane_id AND later.epoch = again.epoch, journals own
WHERE c.lane_id = %(lane)s AND c.number = %(a)s AND c.attempt = %(b)s AND c.closed_at_ms IS NULL
    AND again.lane_id = %(lane)s AND again.number = %(a)s AND again.attempt = %(b)s
    AND own.lane_id = c.lane_id AND own.epoch = c.epoch AND later.first_seen_at > own.first_seen_at
"""  # noqa: S608 - our own texts
"""A journal that is salvaged keeps its attempts' keys and its cases' numbers. Either of the two may be read first."""
_REOPENED = """
UPDATE cases SET closed_at_ms = NULL, operator = NULL, resolution = NULL
WHERE lane_id = %(lane)s AND epoch = %(epoch)s AND number = %(a)s
"""
_NEWS = f"""
UPDATE cases c SET closed_at_ms = NULL, operator = NULL, resolution = NULL
WHERE c.lane_id = %(lane)s AND c.epoch = %(epoch)s AND c.attempt = %(a)s AND EXISTS (
    SELECT FROM decisions d WHERE d.lane_id = c.lane_id AND d.epoch = c.epoch AND d.number = c.number
    AND d.at_ms = c.closed_at_ms AND d.answer = '{RECORDED_HERE}'
)
"""  # noqa: S608 - our own texts
"""A lane that was disabled when its case was decided here does not know of that: what it notes is news."""
_CLOSED = """
UPDATE cases SET closed_at_ms = %(a)s, operator = %(b)s, resolution = %(c)s
WHERE lane_id = %(lane)s AND epoch = %(epoch)s AND number = %(d)s
"""
_DECIDED = """
UPDATE decisions SET status = 'applied', answered_at = now()
WHERE lane_id = %(lane)s AND epoch = %(epoch)s AND number = %(a)s AND operator = %(b)s AND resolution = %(c)s
AND status = 'waiting'
"""
_ATTEMPT = """
INSERT INTO attempts (
    lane_id, epoch, attempt, order_no, till_id, payment_id, acquirer, amount_kopecks, total_kopecks, mode, phase,
    outcome, reason, presented, begun_at_ms, last_seq, last_at_ms
) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (lane_id, epoch, attempt) DO UPDATE SET
    payment_id = excluded.payment_id, acquirer = excluded.acquirer, phase = excluded.phase, outcome = excluded.outcome,
    reason = excluded.reason, presented = excluded.presented, last_seq = excluded.last_seq,
    last_at_ms = excluded.last_at_ms
"""


def _write(db: Connection[Any], lane_id: str, epoch: str, changes: _Changes) -> None:
    if not changes.attempts and not changes.cases:
        return
    with db.pipeline(), db.cursor() as cursor:
        if changes.attempts:
            cursor.executemany(_ATTEMPT, [(lane_id, epoch, *values) for values in changes.attempts.values()])
        for statement, values in changes.cases:
            named = dict(zip("abcde", values, strict=False))
            cursor.execute(statement, {"lane": lane_id, "epoch": epoch, **named})


def _attempt(row: Row, state: dict[str, Any]) -> tuple[Any, ...]:
    plan = state["plan"]
    parts = ("amount_kopecks", "tendered_elsewhere_kopecks", "tendered_by_sbp_kopecks", "remaining_kopecks")
    return (
        row.attempt,
        plan["order_no"],
        plan.get("till_id"),
        state["payment_id"],
        row.acquirer,
        plan["amount_kopecks"],
        sum(plan.get(part, 0) for part in parts),
        _MODES[plan["display_mode"]],
        state["phase"],
        state["outcome"],
        state["end_reason"],
        state["presented"],
        plan["begun_at_ms"],
        row.seq,
        row.at_ms,
    )


_MODES = {text: mode.value for mode, text in codec.DISPLAY_MODES.items()}
