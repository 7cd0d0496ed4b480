"""Stores rows of lanes' journals: each once, in order, after its chain was checked.

`store` runs in a transaction that locks the journal's head. What it answers holds when that transaction is committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from psycopg import Connection

from sco_fleet import alarms, partitions, projection
from sco_fleet.records import NOTHING, Batch, Row, problem

DIFFERENT_ROW, GAP, BROKEN_CHAIN = "different_row", "gap", "broken_chain"


@dataclass(frozen=True, slots=True)
class Stored:
    """The journal's last row that is stored."""

    epoch: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was stored. `seq` and `hash` are the head's, or those of the stored row that differs."""

    code: str
    message: str
    seq: int
    hash: str = ""


def head(db: Connection[Any], lane_id: str, epoch: str) -> Stored:
    """The last stored row of a journal; 0 and 64 zeros for none."""
    row = db.execute(
        "SELECT head_seq, head_hash FROM journals WHERE lane_id = %s AND epoch = %s", (lane_id, epoch)
    ).fetchone()
    return Stored(epoch, *(row or NOTHING))


def store(db: Connection[Any], lane_id: str, batch: Batch) -> Stored | Refusal:
    """Store what is new of a batch, in one transaction."""
    wrong = problem(batch.rows)
    if wrong is not None:
        with db.transaction():
            alarms.raise_alarm(db, lane_id, alarms.BROKEN_CHAIN, f"journal {batch.epoch}: {wrong[1]}")
        return Refusal(BROKEN_CHAIN, wrong[1], wrong[0])
    if not batch.rows:
        return head(db, lane_id, batch.epoch)
    partitions.ensure(db, {row.at_ms for row in batch.rows})
    with db.transaction():
        journal = _lock(db, lane_id, batch)
        seq, digest = journal.seq, journal.hash
        known = [row for row in batch.rows if row.seq <= seq]
        fresh = batch.rows[len(known) :]
        other = _different(db, lane_id, batch.epoch, known)
        if other is None and fresh and fresh[0].seq == seq + 1 and fresh[0].prev_hash != digest:
            other = seq, digest
        if other is not None:
            return _fork(db, lane_id, batch.epoch, *other)
        if not fresh:
            return Stored(batch.epoch, seq, digest)
        if fresh[0].seq != seq + 1:
            return Refusal(GAP, f"row {fresh[0].seq} came, and row {seq + 1} is the next one", seq, digest)
        _insert(db, lane_id, batch.epoch, fresh)
        projected = projection.project(db, lane_id, batch.epoch, journal.projected, fresh)
        last = fresh[-1]
        db.execute(
            "UPDATE journals SET head_seq = %s, head_hash = %s, projected_seq = %s, last_stored_at = now() "
            "WHERE lane_id = %s AND epoch = %s",
            (last.seq, last.hash, projected, lane_id, batch.epoch),
        )
        _watch(db, lane_id, batch.epoch, fresh[-1], journal)
        return Stored(batch.epoch, last.seq, last.hash)


class _Journal(NamedTuple):
    """What is known of a journal: its head, up to where it is projected, and whether another one grows, too."""

    seq: int
    hash: str
    projected: int
    forked: bool
    replaced: bool


_LOCK = """
SELECT head_seq, head_hash, projected_seq, forked_at IS NOT NULL, first_seen_at < (
    SELECT max(every.first_seen_at) FROM journals every WHERE every.lane_id = journals.lane_id
) FROM journals WHERE lane_id = %s AND epoch = %s FOR UPDATE
"""
_BEGIN = """
INSERT INTO journals (lane_id, epoch, head_seq, head_hash, base_seq, projected_seq) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT (lane_id, epoch) DO UPDATE SET head_seq = excluded.head_seq, head_hash = excluded.head_hash,
    base_seq = excluded.base_seq, projected_seq = excluded.projected_seq WHERE journals.head_seq = 0
"""


def _lock(db: Connection[Any], lane_id: str, batch: Batch) -> _Journal:
    """The journal, locked until the transaction ends; one of which nothing is stored begins after the batch's base."""
    row = db.execute(_LOCK, (lane_id, batch.epoch)).fetchone()
    if row is None or (batch.base is not None and not row[0]):
        seq, digest = batch.base or NOTHING
        if not seq:
            digest = NOTHING[1]
        db.execute(_BEGIN, (lane_id, batch.epoch, seq, digest, seq, seq))
        row = db.execute(_LOCK, (lane_id, batch.epoch)).fetchone()
    assert row is not None
    return _Journal(*row)


def _different(db: Connection[Any], lane_id: str, epoch: str, known: list[Row]) -> tuple[int, str] | None:
    """The first stored row that differs from the lane's: its number and hash."""
    if not known:
        return None
    hashes = {row.seq: row.hash for row in known}
    stored = db.execute(
        "SELECT seq, hash FROM records WHERE lane_id = %s AND epoch = %s AND seq BETWEEN %s AND %s ORDER BY seq",
        (lane_id, epoch, known[0].seq, known[-1].seq),
    ).fetchall()
    return next(((seq, digest) for seq, digest in stored if hashes[seq] != digest), None)


def _fork(db: Connection[Any], lane_id: str, epoch: str, seq: int, digest: str) -> Refusal:
    text = f"row {seq} of journal {epoch} differs from the stored row"
    alarms.raise_alarm(
        db, lane_id, alarms.JOURNAL_ROLLED_BACK, f"{text}: an older copy is in use, or two lanes use one journal"
    )
    db.execute(
        "UPDATE journals SET forked_at = coalesce(forked_at, now()) WHERE lane_id = %s AND epoch = %s", (lane_id, epoch)
    )
    return Refusal(DIFFERENT_ROW, text, seq, digest)


_INSERT = """
INSERT INTO records (lane_id, epoch, seq, at_ms, attempt, kind, version, acquirer, body, prev_hash, hash, written_by)
SELECT %(lane)s, %(epoch)s, (r->>0)::bigint, (r->>1)::bigint, r->>2, r->>3, (r->>4)::integer, r->>6, r->>7, r->>8,
    r->>9, nullif(r->>5, %(lane)s)
FROM json_array_elements(%(rows)s::json) AS r ON CONFLICT DO NOTHING
"""
"""The rows come as JSON: one parameter, which costs far less to write down here than an array for each column."""


def _insert(db: Connection[Any], lane_id: str, epoch: str, rows: list[Row]) -> None:
    values = {"lane": lane_id, "epoch": epoch, "rows": msgspec.json.encode(rows).decode()}
    if db.execute(_INSERT, values).rowcount != len(rows):
        raise AssertionError(f"rows after the head of journal {epoch} of lane {lane_id} were stored already")


def _watch(db: Connection[Any], lane_id: str, epoch: str, last: Row, journal: _Journal) -> None:
    """Raise what is strange about a journal that grows."""
    if last.lane_id != lane_id:
        alarms.raise_alarm(db, lane_id, alarms.OTHER_LANE, f"journal {epoch} is of the lane {last.lane_id}")
    if journal.forked:
        alarms.raise_alarm(
            db, lane_id, alarms.TWO_LANES_ONE_ID, f"journal {epoch} grows, and so does another copy of it"
        )
    if journal.replaced:
        alarms.raise_alarm(db, lane_id, alarms.TWO_LANES_ONE_ID, f"journal {epoch} grows, and there is a later one")
