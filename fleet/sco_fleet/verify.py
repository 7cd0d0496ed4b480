"""Checks what is stored of a journal: the chain of hashes, its end, and that nothing between is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection

from sco_fleet.records import stored
from sco_payment.journal import codec

_PAGE = 2_000


@dataclass(slots=True)
class Verified:
    """What was found in a journal: its rows that are stored, those whose content was erased, and what is wrong."""

    epoch: str
    head: int
    rows: int = 0
    erased: int = 0
    first: int = 0
    problems: list[str] = field(default_factory=list)


def journals(db: Connection[Any], lane_id: str) -> list[Verified]:
    """Check every journal of a lane. Rows before the first stored one were dropped by retention, or never sent."""
    heads = db.execute(
        "SELECT epoch, head_seq, head_hash, base_seq FROM journals WHERE lane_id = %s ORDER BY first_seen_at",
        (lane_id,),
    ).fetchall()
    return [_verified(db, lane_id, *head) for head in heads]


def _verified(db: Connection[Any], lane_id: str, epoch: str, head: int, digest: str, base: int) -> Verified:
    found = Verified(epoch, head)
    expected, previous = 0, ""
    for row in _rows(db, lane_id, epoch, base):
        seq, prev_hash, row_hash = row[0], row[8], row[9]
        if not found.rows:
            found.first = seq
        elif seq != expected:
            found.problems.append(f"rows {expected} to {seq - 1} are missing")
        elif prev_hash != previous:
            found.problems.append(f"row {seq} does not follow row {seq - 1}")
        if row[7] is None:
            found.erased += 1
        elif codec.row_hash(*row[:9]) != row_hash:
            found.problems.append(f"row {seq} was changed")
        found.rows += 1
        expected, previous = seq + 1, row_hash
    if found.rows and (expected - 1, previous) != (head, digest):
        found.problems.append(f"the last stored row is {expected - 1}, and not the acknowledged row {head}")
    return found


def _rows(db: Connection[Any], lane_id: str, epoch: str, after: int) -> Iterator[tuple[Any, ...]]:
    while True:
        page = stored(db, lane_id, epoch, after=after, limit=_PAGE)
        yield from page
        if len(page) < _PAGE:
            return
        after = page[-1][0]
