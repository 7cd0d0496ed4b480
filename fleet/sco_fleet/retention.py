"""Drops what is old and final.

A month of records is dropped as a whole, and only when no attempt that had rows in it is still open, waits for a
decision, or waits for a release that can read it. Journals keep their heads: what a lane sends later still joins.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from psycopg import Connection, errors, sql

from sco_fleet import partitions
from sco_fleet.left_behind import FINAL_PHASES, OVER


@dataclass(frozen=True, slots=True)
class Month:
    """A partition that is old enough; `kept_for` says what in it is not final, and is empty when it may be dropped."""

    name: str
    first_ms: int
    end_ms: int
    kept_for: str


def months_before(months: int) -> int:
    """The start of the month that was `months` before this one, in ms."""
    now = datetime.now(UTC)
    count = now.year * 12 + now.month - 1 - months
    return partitions.bounds(count // 12, count % 12 + 1)[0]


def old_months(db: Connection[Any], before_ms: int) -> list[Month]:
    """The partitions whose rows are all from before `before_ms`, oldest first."""
    found = []
    for name, year, month in partitions.existing(db):
        first_ms, end_ms = partitions.bounds(year, month)
        if end_ms <= before_ms:
            found.append(Month(name, first_ms, end_ms, _kept_for(db, name, first_ms, end_ms)))
    return found


_OPEN = f"""
SELECT a.lane_id, a.attempt FROM attempts a
WHERE a.begun_at_ms < %(end)s AND a.last_at_ms >= %(first)s AND NOT {OVER}
LIMIT 1
"""  # noqa: S608 - our own texts


def _kept_for(db: Connection[Any], name: str, first_ms: int, end_ms: int) -> str:
    row = db.execute(_OPEN, {"first": first_ms, "end": end_ms, "final": FINAL_PHASES}).fetchone()
    if row is not None:
        return f"attempt {row[1]} of lane {row[0]} is open"
    unread = sql.SQL(
        "SELECT j.lane_id FROM journals j JOIN {} r ON r.lane_id = j.lane_id AND r.epoch = j.epoch "
        "AND r.seq > j.projected_seq WHERE j.projected_seq < j.head_seq LIMIT 1"
    ).format(sql.Identifier(name))
    row = db.execute(unread).fetchone()
    return "" if row is None else f"records of lane {row[0]} wait for a newer release of the server"


def drop(db: Connection[Any], month: Month) -> None:
    """Drop a month. Raises ValueError: something in it is not final, or the table is in use."""
    if month.kept_for:
        raise ValueError(f"{month.name}: {month.kept_for}")
    try:
        with db.transaction():
            partitions.give_up_soon(db)
            db.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(month.name)))
    except (errors.LockNotAvailable, errors.QueryCanceled):
        raise ValueError(f"{month.name}: the table is in use, e.g. by a backup") from None


_STRAYS = f"""
DELETE FROM records_other r WHERE r.at_ms < %(before)s AND NOT EXISTS (
    SELECT 1 FROM attempts a WHERE a.lane_id = r.lane_id AND a.epoch = r.epoch AND a.attempt = r.attempt AND NOT {OVER}
) AND EXISTS (
    SELECT 1 FROM journals j WHERE j.lane_id = r.lane_id AND j.epoch = r.epoch AND r.seq <= j.projected_seq
)
"""  # noqa: S608 - our own texts


def drop_strays(db: Connection[Any], before_ms: int) -> int:
    """Drop old rows that are in no month's partition, because a clock was far off; returns how many."""
    return db.execute(_STRAYS, {"before": before_ms, "final": FINAL_PHASES}).rowcount


_OF = "SELECT FROM cases c WHERE c.lane_id = {x}.lane_id AND c.epoch = {x}.epoch"
_ATTEMPTS = f"""
DELETE FROM attempts a WHERE a.last_at_ms < %(before)s AND {OVER}
AND NOT EXISTS ({_OF.format(x="a")} AND c.attempt = a.attempt AND c.closed_at_ms >= %(before)s)
"""  # noqa: S608 - our own texts
_DECISIONS = f"""
DELETE FROM decisions d WHERE d.at_ms < %(before)s
AND (d.status <> 'waiting' OR NOT EXISTS ({_OF.format(x="d")} AND c.number = d.number AND c.closed_at_ms IS NULL))
"""  # noqa: S608 - our own texts
_OLD = (
    ("attempts", _ATTEMPTS),  # before the cases, by which some of them are over
    ("cases", "DELETE FROM cases WHERE closed_at_ms < %(before)s"),
    ("decisions", _DECISIONS),
    ("reconciliations", "DELETE FROM reconciliations WHERE ended_at < to_timestamp(%(before)s / 1000.0)"),
    ("alarms", "DELETE FROM alarms WHERE seen_at < to_timestamp(%(before)s / 1000.0)"),
)


def drop_summaries(db: Connection[Any], before_ms: int) -> dict[str, int]:
    """Drop attempts, cases, decisions, reconciliations and alarms that ended before that; returns how many of each."""
    with db.transaction():
        return {
            table: db.execute(query, {"before": before_ms, "final": FINAL_PHASES}).rowcount for table, query in _OLD
        }
