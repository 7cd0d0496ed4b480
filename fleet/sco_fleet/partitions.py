"""The monthly partitions of `records`: made before they are needed, dropped when what they hold is old and final.

Both need the whole table for a moment. Whoever waits for it behind a backup would have every lane wait behind him: each
gives up soon, and comes again. Until then the rows of a new month go to the default partition.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from psycopg import Connection, errors, sql

log = logging.getLogger(__name__)

LOCK_MS = 2_000
"""For how long others may have to wait behind us."""
_AGAIN_S, _AGAIN_AFTER_LONG_S = 60.0, 3600.0
_FIRST = 2020
"""No lane wrote before that year: what says so goes to the default partition, as what is of a far future does."""
_AHEAD_DAYS = 62
_LOCK = 7_266_335
_NAME = re.compile(r"records_(\d{4})_(\d{2})")
_known: set[tuple[str, int, int]] = set()
"""Database, year and month of partitions that exist, or were dropped since: what is so old goes to the default one."""

_busy_until: dict[tuple[str, int, int], float] = {}
"""When a partition that could not be made is tried again, by the monotonic clock."""


def months_ahead() -> list[int]:
    """Times, in ms, of this month and of the next two."""
    now = datetime.now(UTC)
    return [round((now + timedelta(days=days)).timestamp() * 1000) for days in (0, 31, _AHEAD_DAYS)]


def ensure(db: Connection[Any], times_ms: Iterable[int]) -> None:
    """Make the partitions for rows of these times, as far as the times are plausible. Not inside a transaction.

    One that cannot be made now, because the table is in use, is made later.
    """
    latest = datetime.now(UTC) + timedelta(days=_AHEAD_DAYS)
    key = db.info.dsn
    for year, month in sorted({_month(at_ms) for at_ms in times_ms}):
        if not (_FIRST, 1) <= (year, month) <= (latest.year, latest.month) or (key, year, month) in _known:
            continue
        if time.monotonic() < _busy_until.get((key, year, month), 0.0):
            continue
        try:
            with db.transaction():
                give_up_soon(db)
                _make(db, year, month)
        except errors.LockNotAvailable:
            log.warning("the partition of %d-%02d cannot be made now: the table is in use", year, month)
            _busy_until[key, year, month] = time.monotonic() + _AGAIN_S
        except errors.QueryCanceled:
            log.warning(
                "the partition of %d-%02d has too many rows to move now: `sco-fleet retention` does", year, month
            )
            _busy_until[key, year, month] = time.monotonic() + _AGAIN_AFTER_LONG_S
        else:
            _known.add((key, year, month))


def give_up_soon(db: Connection[Any]) -> None:
    """Until the end of this transaction, wait for a lock no longer than others may wait behind us."""
    db.execute(sql.SQL("SET LOCAL lock_timeout = {}").format(sql.Literal(LOCK_MS)))


def _month(at_ms: int) -> tuple[int, int]:
    try:
        moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return 9999, 12
    return moment.year, moment.month


def _start_ms(year: int, month: int) -> int:
    return round(datetime(year, month, 1, tzinfo=UTC).timestamp() * 1000)


def bounds(year: int, month: int) -> tuple[int, int]:
    """When a month begins and ends, in ms."""
    return _start_ms(year, month), _start_ms(year + month // 12, month % 12 + 1)


def existing(db: Connection[Any]) -> list[tuple[str, int, int]]:
    """Name, year and month of each partition, oldest first."""
    names = db.execute(
        "SELECT child.relname FROM pg_inherits JOIN pg_class child ON child.oid = inhrelid "
        "WHERE inhparent = 'records'::regclass"
    ).fetchall()
    found = [(name, match) for (name,) in names if (match := _NAME.fullmatch(name))]
    return sorted(((name, int(match[1]), int(match[2])) for name, match in found), key=lambda one: one[1:])


def _make(db: Connection[Any], year: int, month: int) -> None:
    name = f"records_{year:04}_{month:02}"
    db.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
    if name in {found for found, _, _ in existing(db)}:  # by a query: to_regclass may answer from before the lock
        return
    first, end = bounds(year, month)
    table = sql.Identifier(name)
    db.execute(sql.SQL("CREATE TEMP TABLE strays ON COMMIT DROP AS SELECT * FROM records_other LIMIT 0"))
    db.execute(
        "WITH moved AS (DELETE FROM records_other WHERE at_ms >= %s AND at_ms < %s RETURNING *) "
        "INSERT INTO strays SELECT * FROM moved",
        (first, end),
    )
    db.execute(
        sql.SQL("CREATE TABLE {} PARTITION OF records FOR VALUES FROM ({}) TO ({})").format(
            table, sql.Literal(first), sql.Literal(end)
        )
    )
    db.execute("INSERT INTO records SELECT * FROM strays")
    db.execute("DROP TABLE strays")
