"""What lanes send: rows of their journals, checked as they arrive."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from psycopg import Connection

from sco_payment.journal import codec

MAX_ROWS = 500
MAX_BYTES = 4 * 1024 * 1024
"""Of one request, inflated."""
NOTHING = (0, codec.GENESIS)

Number = Annotated[int, Meta(ge=0, le=2**53)]
Digest = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
Name = Annotated[str, Meta(min_length=1, max_length=128, pattern="^[^\\x00]*$")]
Text = Annotated[str, Meta(max_length=256, pattern="^[^\\x00]*$")]


class Row(msgspec.Struct, array_like=True, frozen=True):
    """One row, as the journal has it. `lane_id` is the lane that wrote it."""

    seq: Annotated[int, Meta(ge=1, le=2**53)]
    at_ms: Number
    attempt: Text
    kind: Text
    version: Annotated[int, Meta(ge=1, le=32767)]
    lane_id: Text
    acquirer: Text
    body: Annotated[str, Meta(max_length=1 << 20, pattern="^[^\\x00]*$")]
    prev_hash: Digest
    hash: Digest


class Batch(msgspec.Struct, frozen=True):
    """Rows of one journal in order; `base` is the row before the first one where earlier ones cannot be sent."""

    epoch: Name
    rows: Annotated[list[Row], Meta(max_length=MAX_ROWS)]
    base: tuple[Number, Digest] | None = None


def problem(rows: list[Row]) -> tuple[int, str] | None:
    """Where the rows are not a chain, and why; None where they are one."""
    before: Row | None = None
    for row in rows:
        if before is not None:
            if row.seq != before.seq + 1:
                return row.seq, f"row {row.seq} follows row {before.seq}"
            if row.prev_hash != before.hash:
                return row.seq, f"row {row.seq} does not follow row {before.seq}"
        found = codec.row_hash(
            row.seq,
            row.at_ms,
            row.attempt,
            row.kind,
            row.version,
            row.lane_id,
            row.acquirer,
            row.body,
            row.prev_hash,
        )
        if found != row.hash:
            return row.seq, f"the hash of row {row.seq} does not match its content"
        before = row
    return None


_STORED = """
SELECT seq, at_ms, attempt, kind, version, coalesce(written_by, lane_id), acquirer, body, prev_hash, hash FROM records
WHERE lane_id = %s AND epoch = %s AND seq > %s ORDER BY seq LIMIT %s
"""


def stored(db: Connection[Any], lane_id: str, epoch: str, *, after: int, limit: int) -> list[tuple[Any, ...]]:
    """Rows of a journal as they were sent, in order; the body of one that was erased is None."""
    return db.execute(_STORED, (lane_id, epoch, after, limit)).fetchall()
