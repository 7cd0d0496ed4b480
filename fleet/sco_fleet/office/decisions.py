"""Decisions on cases. One is stored here and waits for its lane; only the lane's journal closes a case."""

from __future__ import annotations

import uuid
from typing import Any

from sco_fleet.office.access import User
from sco_fleet.query import Connection, Row, one, rows, run

LONGEST_NOTE = 1000
ANSWERS = ("goods_given", "money_returned", "no_payment", "other")
"""What a person can choose; `other` needs a note."""


class NotStored(Exception):
    """The decision was not stored; `code` names the sentence for it, `values` what is said in it."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code, self.values = code, values


def decide(
    db: Connection, lane_id: str, epoch: str, number: int, *, phase: str, resolution: str, user: User
) -> uuid.UUID:
    """Store a decision for the lane.

    Args:
        phase: where the payment was on the page that the user decided by. The lane refuses the decision, too, when the
            payment has changed by then.

    Raises:
        NotStored: somebody was faster, the case is closed, or the payment has changed meanwhile.
    """
    decision = uuid.uuid4()
    stored = run(
        db,
        "INSERT INTO decisions (id, lane_id, epoch, number, phase, operator, resolution, at_ms, made_by)"
        " SELECT %(id)s, c.lane_id, c.epoch, c.number, a.phase, %(operator)s, %(resolution)s,"
        " (extract(epoch FROM clock_timestamp()) * 1000)::bigint, %(user)s"
        " FROM cases c JOIN attempts a ON a.lane_id = c.lane_id AND a.epoch = c.epoch AND a.attempt = c.attempt"
        " WHERE c.lane_id = %(lane)s AND c.epoch = %(epoch)s AND c.number = %(number)s"
        " AND c.closed_at_ms IS NULL AND a.phase = %(phase)s"
        " ON CONFLICT (lane_id, epoch, number) WHERE status = 'waiting' DO NOTHING",
        id=decision, lane=lane_id, epoch=epoch, number=number, phase=phase, operator=user.operator,
        resolution=resolution, user=user.name,
    )  # fmt: skip
    if stored:
        return decision
    found = one(
        db,
        "SELECT c.closed_at_ms, a.phase, (SELECT operator FROM decisions d WHERE d.lane_id = c.lane_id"
        " AND d.epoch = c.epoch AND d.number = c.number AND d.status = 'waiting') AS decided_by"
        " FROM cases c LEFT JOIN attempts a ON a.lane_id = c.lane_id AND a.epoch = c.epoch AND a.attempt = c.attempt"
        " WHERE c.lane_id = %(lane)s AND c.epoch = %(epoch)s AND c.number = %(number)s",
        lane=lane_id, epoch=epoch, number=number,
    )  # fmt: skip
    if not found:
        raise NotStored("nothing")
    if found["decided_by"] is not None:
        raise NotStored("decided_already", who=found["decided_by"])
    if found["closed_at_ms"] is not None:
        raise NotStored("case_is_closed")
    raise NotStored("payment_unknown" if found["phase"] is None else "payment_changed")


def of_case(db: Connection, lane_id: str, epoch: str, number: int) -> list[Row]:
    """The decisions on a case, newest first."""
    return rows(
        db,
        "SELECT * FROM decisions WHERE lane_id = %(lane)s AND epoch = %(epoch)s AND number = %(number)s"
        " ORDER BY at_ms DESC LIMIT 50",
        lane=lane_id, epoch=epoch, number=number,
    )  # fmt: skip
