"""A lane's report of its health, and the office's answer: the server's head and clock, and decisions on cases."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta
from psycopg import Connection
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from sco_fleet import alarms, ingest
from sco_fleet.records import Number
from sco_fleet.settings import offers, rollouts

MAX_CLOCK_OFF_MS = 120_000
_LATE_MS = 600_000
"""For how long a network may hold a report back."""
_HELD_MS = 5_000
"""A report that was held back for so long is compared with no head; the next one is."""
_LONGEST_REASON = 500
_MOST_DECISIONS = 100

Short = Annotated[str, Meta(max_length=128, pattern="^[^\\x00]*$")]


class Answer(msgspec.Struct, frozen=True):
    """What became of a decision on the lane."""

    id: UUID
    status: Literal["applied", "refused"]
    reason: Annotated[str, Meta(max_length=2000, pattern="^[^\\x00]*$")] = ""


class Report(msgspec.Struct, frozen=True):
    """A heartbeat. `seq` and `hash` are of the journal's last row on the lane."""

    epoch: Annotated[str, Meta(max_length=128, pattern="^[^\\x00]*$")]
    seq: Number
    now_ms: Number
    hash: str = ""
    version: Short = ""
    settings_hash: Short = ""
    settings_version: Annotated[int, Meta(ge=0, le=2**31 - 1)] | None = None
    health: dict[str, Any] = {}
    answers: Annotated[list[Answer], Meta(max_length=_MOST_DECISIONS)] = []


def receive(db: Connection[Any], lane_id: str, report: Report) -> dict[str, Any]:
    """Note a report, raise what it reveals, and return what the office has for the lane; in one transaction."""
    now_ms = time.time_ns() // 1_000_000
    rollouts.look_if_due(db)
    with db.transaction():
        late, held_ms = _lateness(db, lane_id, report, now_ms)
        head = ingest.head(db, lane_id, report.epoch)
        if not late:
            _note(db, lane_id, report, now_ms)
            held_ms += time.time_ns() // 1_000_000 - now_ms  # here, too, e.g. by a lock
            if held_ms < _HELD_MS:
                _compare(db, lane_id, report, head)
        for answer in report.answers:
            _note_answer(db, lane_id, answer)
        return {
            "now_ms": now_ms,
            "head": {"epoch": head.epoch, "seq": head.seq, "hash": head.hash},
            "decisions": _decisions(db, lane_id),
            "settings": offers.offer(db, lane_id, report.settings_version or 0, report.settings_hash),
        }


def _lateness(db: Connection[Any], lane_id: str, report: Report, now_ms: int) -> tuple[bool, int]:
    """Whether it comes after a later one, or twice, so that what it says is no longer so; and for how long it was held
    back, by the lane's clock as it was last seen. Locks the lane's row."""
    row = db.execute(
        "SELECT extract(epoch FROM last_seen_at) * 1000 + clock_ahead_ms, clock_ahead_ms FROM lanes "
        "WHERE lane_id = %s FOR UPDATE",
        (lane_id,),
    ).fetchone()
    if row is None or row[0] is None:
        return False, 0
    late = 0 <= float(row[0]) - report.now_ms < _LATE_MS  # by more, the lane's clock was put back
    return late, now_ms + row[1] - report.now_ms


def _note(db: Connection[Any], lane_id: str, report: Report, now_ms: int) -> None:
    ahead_ms = report.now_ms - now_ms
    db.execute(
        "UPDATE lanes SET last_seen_at = to_timestamp(%s), version = %s, clock_ahead_ms = %s, settings_hash = %s, "
        "settings_version = coalesce(%s, settings_version), health = %s, epoch = nullif(%s, ''), seq = %s "
        "WHERE lane_id = %s",
        (
            now_ms / 1000,
            report.version,
            ahead_ms,
            report.settings_hash,
            report.settings_version,
            Jsonb(_storable(report.health)),
            report.epoch,
            report.seq,
            lane_id,
        ),
    )
    if abs(ahead_ms) > MAX_CLOCK_OFF_MS:
        alarms.raise_alarm(db, lane_id, alarms.CLOCK_OFF, _clock(ahead_ms))
    problem = report.health.get("shipping_problem")
    if isinstance(problem, str) and problem:
        alarms.raise_alarm(db, lane_id, alarms.SHIPPING_STOPPED, _storable(problem[:_LONGEST_REASON]))


def _compare(db: Connection[Any], lane_id: str, report: Report, head: ingest.Stored) -> None:
    """A lane's journal is never behind what is stored of it: its rows come from there, and it reports last.

    Not so in a report that was held back, while the lane gave up waiting for its answer and sent rows.
    """
    if head.seq > report.seq:
        text = f"journal {report.epoch} ends at row {report.seq} on the lane, and row {head.seq} is stored"
    elif head.seq == report.seq and head.seq and report.hash and report.hash != head.hash:
        text = f"row {head.seq} of journal {report.epoch} on the lane differs from the stored row"
    else:
        return
    alarms.raise_alarm(db, lane_id, alarms.JOURNAL_ROLLED_BACK, f"{text}: an older copy is in use")


def _clock(ahead_ms: int) -> str:
    """In steps, so that a clock that drifts is one alarm."""
    away, side = abs(ahead_ms) / 1000, "ahead" if ahead_ms > 0 else "behind"
    for limit_s, text in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if away >= limit_s:
            return f"the lane's clock is {text} {side}: see clock_ahead_ms"
    return f"the lane's clock is {side}"


def _storable(value: Any) -> Any:
    """Without NUL, which PostgreSQL's JSON and texts have not."""
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    return value


def _note_answer(db: Connection[Any], lane_id: str, answer: Answer) -> None:
    """A refusal ends a decision. That it was applied, the lane's journal says: see `projection`."""
    if answer.status == "refused":
        db.execute(
            "UPDATE decisions SET status = 'refused', answer = %s, answered_at = now() "
            "WHERE lane_id = %s AND id = %s AND status = 'waiting'",
            (answer.reason[:_LONGEST_REASON], lane_id, answer.id),
        )


def _decisions(db: Connection[Any], lane_id: str) -> list[dict[str, Any]]:
    with db.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            'SELECT d.id::text, d.epoch, d.number AS "case", c.attempt, d.phase, d.operator, d.resolution, d.at_ms '
            "FROM decisions d LEFT JOIN cases c ON c.lane_id = d.lane_id AND c.epoch = d.epoch AND c.number = d.number "
            "WHERE d.lane_id = %s AND d.status = 'waiting' ORDER BY d.at_ms LIMIT %s",
            (lane_id, _MOST_DECISIONS),
        )
        return list(found)
