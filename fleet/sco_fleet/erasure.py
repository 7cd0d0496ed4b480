"""Erases what a person may ask to have erased: what the records, attempts and cases of an order say."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

from sco_fleet.left_behind import FINAL_PHASES, OVER

_ATTEMPTS = f"""
SELECT a.epoch, a.attempt, {OVER} FROM attempts a WHERE a.lane_id = %(lane)s AND a.order_no = %(order)s
"""  # noqa: S608 - our own texts
_RECORDS = "UPDATE records SET body = NULL WHERE lane_id = %s AND epoch = %s AND attempt = %s"
_SUMMARIES = (
    "DELETE FROM decisions d USING cases c WHERE c.lane_id = %s AND c.epoch = %s AND c.attempt = %s "
    "AND d.lane_id = c.lane_id AND d.epoch = c.epoch AND d.number = c.number",
    "UPDATE differences SET order_no = '', payment_id = NULL, detail = '' "
    "WHERE lane = %s AND epoch = %s AND attempt = %s",
    "UPDATE cases SET detail = '', operator = '', resolution = '' WHERE lane_id = %s AND epoch = %s AND attempt = %s",
    "UPDATE attempts SET order_no = '', till_id = NULL, payment_id = NULL "
    "WHERE lane_id = %s AND epoch = %s AND attempt = %s",
)


def erase(db: Connection[Any], lane_id: str, order_no: str) -> int:
    """Erase what is known of an order, and keep that there were such records; returns how many.

    The hashes stay: the chain still shows that no row is missing, and no longer what was in these.

    Raises:
        ValueError: there is no such order, or a payment of it is not final.
    """
    with db.transaction():
        values = {"final": FINAL_PHASES, "lane": lane_id, "order": order_no}
        found = db.execute(_ATTEMPTS, values).fetchall()
        if not found:
            raise ValueError(f"lane {lane_id} has no order {order_no}")
        if not all(final for _, _, final in found):
            raise ValueError(f"a payment of order {order_no} is open, or its case is: decide it first")
        erased = 0
        for epoch, attempt, _ in found:
            erased += db.execute(_RECORDS, (lane_id, epoch, attempt)).rowcount
            for statement in _SUMMARIES:
                db.execute(statement.encode(), (lane_id, epoch, attempt))
        return erased
