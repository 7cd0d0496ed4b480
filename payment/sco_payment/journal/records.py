"""What a journal returns: records and cases. Times are in ms since the epoch, amounts in kopecks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One row of the journal.

    Attributes:
        seq: its number; the first row is 1, and no number is left out but those that an archive holds.
        at_ms: when it was written.
        attempt: the key of the attempt that it belongs to; empty for `archived`.
        kind: what it records, one of `codec.KINDS`.
        lane_id: the lane (PosID) that wrote it.
        acquirer: the acquirer that the lane worked with.
        version: of the record's format, see `codec`.
        body: the fields of its kind, as plain JSON data.
        hash: SHA-256 of the row and of the hash before it, in hexadecimal.
    """

    seq: int
    at_ms: int
    attempt: str
    kind: str
    lane_id: str
    acquirer: str
    version: int
    body: dict[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class Case:
    """Money that needs an operator's decision. `operator` and `resolution` are None while the case is open."""

    number: int
    attempt: str
    order_no: str
    amount_kopecks: int
    payment_id: str | None
    phase: str
    opened_at_ms: int
    reason: str
    detail: str
    closed_at_ms: int | None
    operator: str | None
    resolution: str | None
