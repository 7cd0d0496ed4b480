"""Decisions on cases. One is stored here and waits for its lane, whose journal closes the case. Where no lane has that
journal any more (`left_behind`), nobody else could close it: the decision closes the case here."""

from __future__ import annotations

import uuid
from typing import Any

from sco_fleet.left_behind import RECORDED_HERE, left_behind
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


_CLOSES_HERE = f"SELECT {left_behind('x')} AS left FROM (SELECT %(lane)s AS lane_id, %(epoch)s AS epoch) x"  # noqa: S608
NEVER_TAKEN = "no lane took it"
"""The answer of a decision that waited for a lane in vain."""
_ENDS = {("applied", RECORDED_HERE): "here", ("refused", NEVER_TAKEN): "never_taken"}


def closes_here(db: Connection, lane_id: str, epoch: str) -> bool:
    """Whether a decision on a case of this journal closes it here, because no lane would take it."""
    found = one(db, _CLOSES_HERE, lane=lane_id, epoch=epoch)
    return bool(found["left"])


def decide(
    db: Connection, lane_id: str, epoch: str, number: int, *, phase: str, resolution: str, user: User, here: bool
) -> uuid.UUID:
    """Store a decision, for the lane or in its place; in the caller's transaction.

    Args:
        phase: where the payment was on the page that the user decided by; empty where no record of it has come. The
            lane refuses the decision, too, when the payment has changed by then.
        here: the page has said that the decision closes the case here.

    Raises:
        NotStored: somebody was faster, the case is closed, or the payment or the lane has changed meanwhile.
    """
    decision = uuid.uuid4()
    values = {
        "id": decision, "lane": lane_id, "epoch": epoch, "number": number, "phase": phase, "operator": user.operator,
        "resolution": resolution, "user": user.name, "answer": RECORDED_HERE, "never": NEVER_TAKEN,
    }  # fmt: skip
    if here and run(db, _CLOSE, **values):
        run(db, _GIVEN_UP, **values)
        run(db, _KEEP, **values)
        return decision
    if not here and run(db, _STORE, **values):
        return decision
    raise _why_not(db, here, lane=lane_id, epoch=epoch, number=number, phase=phase)


_THE_CASE = "c.lane_id = %(lane)s AND c.epoch = %(epoch)s AND c.number = %(number)s"
_NOW_MS = "(extract(epoch FROM now()) * 1000)::bigint"
_STORE = f"""
INSERT INTO decisions (id, lane_id, epoch, number, phase, operator, resolution, at_ms, made_by)
SELECT %(id)s, c.lane_id, c.epoch, c.number, a.phase, %(operator)s, %(resolution)s, {_NOW_MS}, %(user)s
FROM cases c JOIN attempts a ON a.lane_id = c.lane_id AND a.epoch = c.epoch AND a.attempt = c.attempt
WHERE {_THE_CASE} AND c.closed_at_ms IS NULL AND a.phase = %(phase)s AND NOT {left_behind("c")}
ON CONFLICT (lane_id, epoch, number) WHERE status = 'waiting' DO NOTHING
"""  # noqa: S608 - our own texts
_CLOSE = f"""
UPDATE cases c SET closed_at_ms = {_NOW_MS}, operator = %(operator)s, resolution = %(resolution)s
WHERE {_THE_CASE} AND c.closed_at_ms IS NULL AND {left_behind("c")} AND %(phase)s = coalesce((
    SELECT a.phase FROM attempts a WHERE a.lane_id = c.lane_id AND a.epoch = c.epoch AND a.attempt = c.attempt
), '')
"""  # noqa: S608 - our own texts
_GIVEN_UP = """
UPDATE decisions SET status = 'refused', answer = %(never)s, answered_at = now()
WHERE lane_id = %(lane)s AND epoch = %(epoch)s AND number = %(number)s AND status = 'waiting'
"""
_KEEP = f"""
INSERT INTO decisions
    (id, lane_id, epoch, number, phase, operator, resolution, at_ms, made_by, status, answer, answered_at)
VALUES (%(id)s, %(lane)s, %(epoch)s, %(number)s, %(phase)s, %(operator)s, %(resolution)s, {_NOW_MS}, %(user)s,
    'applied', %(answer)s, now())
"""  # noqa: S608 - our own texts


def _why_not(db: Connection, here: bool, **the_case: Any) -> NotStored:
    found = one(
        db,
        f"SELECT c.closed_at_ms, a.phase, {left_behind('c')} AS left, (SELECT operator FROM decisions d"  # noqa: S608 - our own texts
        " WHERE d.lane_id = c.lane_id AND d.epoch = c.epoch AND d.number = c.number AND d.status = 'waiting') AS who"
        " FROM cases c LEFT JOIN attempts a ON a.lane_id = c.lane_id AND a.epoch = c.epoch AND a.attempt = c.attempt"
        f" WHERE {_THE_CASE}",
        **the_case,
    )
    if not found:
        return NotStored("nothing")
    if found["closed_at_ms"] is not None:
        return NotStored("case_is_closed")
    if found["left"] != here:
        return NotStored("lane_changed")
    if found["who"] is not None and not here:
        return NotStored("decided_already", who=found["who"])
    return NotStored("payment_unknown" if found["phase"] is None else "payment_changed")


def of_case(db: Connection, lane_id: str, epoch: str, number: int) -> list[Row]:
    """The decisions on a case, newest first; `end` names the sentence for what became of each."""
    found = rows(
        db,
        "SELECT * FROM decisions WHERE lane_id = %(lane)s AND epoch = %(epoch)s AND number = %(number)s"
        " ORDER BY at_ms DESC LIMIT 50",
        lane=lane_id, epoch=epoch, number=number,
    )  # fmt: skip
    return [{**one, "end": f"decision_{_ENDS.get((one['status'], one['answer']), one['status'])}"} for one in found]
