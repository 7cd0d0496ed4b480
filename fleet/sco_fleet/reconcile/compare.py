"""Compares the acquirer's payments of a day with what the lanes have journalled, and keeps every difference.

What a payment is, only a payment that was seen can say. That a payment is missing at the acquirer is said only where
the whole day was listed, and then only when the acquirer, asked about that payment, does not know it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from sco_fleet.query import Connection, Row, listed, one, rows, run
from sco_fleet.reconcile.days import Day
from sco_fleet.reconcile.rows import BankRow, NoAnswerAbout, NotKnown, Source
from sco_payment.journal.codec import PAYMENT_STATUSES

_MOST_ASKED = 500
"""Payments that the acquirer is asked about one by one. Those beyond are `not_checked`."""
_MOST_KEPT = 10_000
"""Differences of one side. So many have another reason than payments that went wrong."""
TOO_MANY, NO_SUCH_SHOP = DOUBTS = "too_many_differences", "no_such_shop"
"""Why a reconciliation is incomplete although the acquirer's list is whole."""
_MIDNIGHT_MS = 3_600_000
_AT_ONCE = 1000
_ABANDONED_H = 2

_TABLE = """
CREATE TEMPORARY TABLE bank_rows (
    payment_id text NOT NULL, status text NOT NULL, word text NOT NULL, kopecks bigint NOT NULL, currency text NOT NULL,
    order_no text, at_ms bigint, test boolean NOT NULL
)
"""
_ONCE = """
CREATE TEMPORARY TABLE bank AS
SELECT DISTINCT ON (payment_id) *, at_ms IS NULL OR (at_ms >= %(start)s AND at_ms < %(end)s) AS in_day
FROM bank_rows ORDER BY payment_id, (status = 'refunded') DESC, (status = 'paid') DESC
"""
_IN_SHOPS = (
    "(%(shops)s::text[] IS NULL OR {x}.lane_id IN (SELECT lane_id FROM lanes WHERE shop = ANY (%(shops)s::text[])))"
)
"""An order number is unique in a shop, and the acquirer lists the payments of one merchant."""
_JOINED = """
SELECT b.*, a.lane_id, a.epoch, a.attempt, a.phase, a.amount_kopecks, c.number AS case_number,
  coalesce(a.by_order, false) AS by_order,
  CASE
    WHEN b.status = 'refunded' THEN 'refunded'
    WHEN b.status = 'unknown' THEN 'unknown_status'
    WHEN b.status = 'paid' AND b.test THEN 'test_payment'
    WHEN b.status = 'paid' AND a.lane_id IS NULL AND coalesce(b.order_no, '') = '' THEN 'paid_without_order'
    WHEN b.status = 'paid' AND a.lane_id IS NULL THEN 'unknown_to_lanes'
    WHEN b.status = 'paid' AND a.by_order THEN 'id_never_received'
    WHEN b.status = 'paid' AND a.phase NOT IN ('paid', 'paid_late', 'refundable') THEN 'lane_not_paid'
    WHEN b.status = 'paid' AND (b.kopecks <> a.amount_kopecks OR b.currency <> 'RUB') THEN 'amount'
    WHEN b.status IN ('open', 'closed') AND a.phase IN ('paid', 'paid_late') THEN 'bank_not_paid'
  END AS difference
FROM {bank} b
LEFT JOIN LATERAL (
  (SELECT lane_id, epoch, attempt, phase, amount_kopecks, false AS by_order, 0 AS rank, last_at_ms FROM attempts
   WHERE payment_id = b.payment_id AND acquirer = %(acquirer)s
   ORDER BY phase IN ('paid', 'paid_late') DESC, last_at_ms DESC LIMIT 1)
  UNION ALL
  (SELECT lane_id, epoch, attempt, phase, amount_kopecks, true, 1, last_at_ms FROM attempts
   WHERE order_no = b.order_no AND payment_id IS NULL AND amount_kopecks = b.kopecks AND acquirer = %(acquirer)s
     AND b.at_ms IS NOT NULL AND {in_shops} AND begun_at_ms BETWEEN b.at_ms - 86400000 AND b.at_ms + 86400000
   ORDER BY abs(begun_at_ms - b.at_ms) LIMIT 1)
  ORDER BY rank LIMIT 1
) a ON true
LEFT JOIN LATERAL (
  SELECT number FROM cases WHERE lane_id = a.lane_id AND epoch = a.epoch AND attempt = a.attempt
  ORDER BY number DESC LIMIT 1
) c ON true
"""
_MISSING = """
SELECT DISTINCT ON (coalesce(a.payment_id, a.lane_id || a.attempt)) a.lane_id, a.epoch, a.attempt, a.payment_id,
  a.order_no, a.phase, a.amount_kopecks, a.begun_at_ms, c.number AS case_number
FROM attempts a
LEFT JOIN LATERAL (
  SELECT number FROM cases WHERE lane_id = a.lane_id AND epoch = a.epoch AND attempt = a.attempt
  ORDER BY number DESC LIMIT 1
) c ON true
WHERE a.begun_at_ms >= %(start)s AND a.begun_at_ms < %(end)s AND a.phase IN ('paid', 'paid_late')
  AND a.acquirer = %(acquirer)s AND NOT EXISTS (SELECT FROM bank b WHERE b.payment_id = a.payment_id) AND {in_shops}
ORDER BY coalesce(a.payment_id, a.lane_id || a.attempt), a.last_at_ms DESC
LIMIT %(most)s
"""
_PAID_AT_LANES = """
SELECT count(*)::integer AS lanes_paid, coalesce(sum(amount_kopecks), 0)::bigint AS lanes_kopecks FROM (
  SELECT DISTINCT ON (coalesce(payment_id, lane_id || attempt)) amount_kopecks FROM attempts
  WHERE begun_at_ms >= %(start)s AND begun_at_ms < %(end)s AND phase IN ('paid', 'paid_late')
    AND acquirer = %(acquirer)s AND {in_shops}
  ORDER BY coalesce(payment_id, lane_id || attempt), last_at_ms DESC
) once
"""


class AlreadyRunning(RuntimeError):
    """The day is being reconciled by somebody else just now."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What came of a reconciliation.

    Attributes:
        number: of the reconciliation in the database.
        whole: the acquirer's list was complete; otherwise `problem` says why not.
        kinds: difference -> how many.
    """

    number: int
    whole: bool
    problem: str
    kinds: dict[str, int]


def begin(db: Connection, day: Day, source: str, made_by: str, shops: tuple[str, ...] = ()) -> int:
    """Note that a reconciliation begins; returns its number. Raises AlreadyRunning."""
    run(
        db,
        "UPDATE reconciliations SET status = 'incomplete', problem = 'interrupted', ended_at = now()"
        " WHERE status = 'running' AND begun_at < now() - make_interval(hours => %(hours)s)",
        hours=_ABANDONED_H,
    )
    made = one(
        db,
        "INSERT INTO reconciliations (day, time_zone, source, made_by, shops)"
        " VALUES (%(day)s, %(zone)s, %(source)s, %(by)s, %(shops)s)"
        " ON CONFLICT (day) WHERE status = 'running' DO NOTHING RETURNING id",
        day=day.day, zone=day.zone.key, source=source, by=made_by, shops=", ".join(shops),
    )  # fmt: skip
    if not made:
        raise AlreadyRunning(f"{day.day} is already being reconciled")
    return int(made["id"])


def reconcile(
    url: str, day: Day, source: Source, made_by: str, number: int | None = None, shops: tuple[str, ...] = ()
) -> Summary:
    """Compare, and keep what differs.

    Args:
        url: of the fleet's database.
        source: the acquirer's payments.
        made_by: who asked for it.
        number: of a reconciliation that `begin` has noted.
        shops: whose lanes are compared, where the chain has several merchants; all without any.

    Raises:
        AlreadyRunning: the day is already being reconciled. psycopg.Error: the database cannot be used.
    """
    with psycopg.connect(url, autocommit=True) as db:
        noted = begin(db, day, source.name, made_by, shops) if number is None else number
        try:
            return _compared(db, day, source, noted, shops)
        except BaseException as error:
            if not db.closed:
                run(
                    db,
                    "UPDATE reconciliations SET status = 'incomplete', problem = %(problem)s, ended_at = now()"
                    " WHERE id = %(id)s",
                    id=noted, problem=f"{type(error).__name__}: {error}"[:1000],
                )  # fmt: skip
            raise


def _compared(db: Connection, day: Day, source: Source, number: int, shops: tuple[str, ...]) -> Summary:
    bounds = {
        "start": day.start_ms, "end": day.end_ms, "acquirer": source.acquirer, "shops": list(shops) or None,
        "most": _MOST_KEPT + 1,
    }  # fmt: skip
    run(db, _TABLE)
    _copy(db, source.rows(day))
    run(db, _ONCE, **bounds)
    run(db, "ANALYZE bank")
    with db.transaction():
        found = list(_of_bank(db, bounds))
        missing = [] if source.problem else rows(db, _MISSING.format(in_shops=_IN_SHOPS.format(x="a")), **bounds)
    problem = source.problem or _doubt(db, bounds, max(len(found), len(missing)))
    if not problem:
        found += _missing(db, missing, day, source, bounds)
    with db.transaction():
        with db.cursor() as cursor:
            cursor.executemany(
                _STORE, [{"reconciliation": number, "number": place, **one} for place, one in enumerate(found, 1)]
            )
        totals = one(
            db,
            "SELECT count(*)::integer AS bank_paid, coalesce(sum(kopecks), 0)::bigint AS bank_kopecks FROM bank"
            " WHERE status = 'paid' AND in_day AND NOT test",
        ) | one(db, _PAID_AT_LANES.format(in_shops=_IN_SHOPS.format(x="attempts")), **bounds)
        behind = one(db, _BEHIND.format(in_shops=_IN_SHOPS.format(x="l")), **bounds)
        run(
            db,
            "UPDATE reconciliations SET status = %(status)s, problem = %(problem)s, ended_at = now(),"
            " bank_paid = %(bank_paid)s, bank_kopecks = %(bank_kopecks)s, lanes_paid = %(lanes_paid)s,"
            " lanes_kopecks = %(lanes_kopecks)s, lanes_behind = %(behind)s WHERE id = %(id)s",
            id=number, status="incomplete" if problem else "whole", problem=problem, **totals, **behind,
        )  # fmt: skip
    kinds: dict[str, int] = {}
    for difference in found:
        kinds[difference["kind"]] = kinds.get(difference["kind"], 0) + 1
    return Summary(number, not problem, problem, kinds)


def _doubt(db: Connection, bounds: dict[str, Any], most: int) -> str:
    """Why what was compared is not what should have been; empty for no reason."""
    if most > _MOST_KEPT:
        return TOO_MANY
    unknown = one(
        db,
        "SELECT wanted FROM unnest(%(shops)s::text[]) AS wanted WHERE wanted NOT IN (SELECT shop FROM lanes) LIMIT 1",
        **bounds,
    )
    return NO_SUCH_SHOP if unknown else ""


_BEHIND = """
SELECT count(*)::integer AS behind FROM lanes l WHERE NOT l.disabled AND {in_shops}
  AND (l.last_seen_at IS NULL OR l.last_seen_at < to_timestamp(%(end)s / 1000.0) OR l.seq > coalesce((
    SELECT j.head_seq FROM journals j WHERE j.lane_id = l.lane_id AND j.epoch = l.epoch
  ), 0))
"""
_STORE = (
    "INSERT INTO differences (reconciliation, number, kind, payment_id, order_no, at_ms, bank_status, bank_kopecks,"
    " lane, epoch, attempt, lane_phase, lane_kopecks, case_number, detail) VALUES (%(reconciliation)s, %(number)s,"
    " %(kind)s, %(payment_id)s, %(order_no)s, %(at_ms)s, %(bank_status)s, %(bank_kopecks)s, %(lane_id)s, %(epoch)s,"
    " %(attempt)s, %(lane_phase)s, %(lane_kopecks)s, %(case_number)s, %(detail)s)"
)


def _copy(db: Connection, found: Iterable[BankRow], table: str = "bank_rows") -> None:
    """Add rows to a temporary table, some at a time: the acquirer may need minutes for all of them."""
    left = iter(found)
    while some := list(itertools.islice(left, _AT_ONCE)):
        with db.cursor().copy(f"COPY {table} FROM STDIN".encode()) as copy:
            for row in some:
                copy.write_row(
                    (
                        row.payment_id, PAYMENT_STATUSES[row.status], row.word, row.kopecks, row.currency, row.order_no,
                        row.at_ms, row.test,
                    )
                )  # fmt: skip


def _joined(bank: str) -> str:
    return _JOINED.format(bank=bank, in_shops=_IN_SHOPS.format(x="attempts"))


def _of_bank(db: Connection, bounds: dict[str, Any]) -> Iterator[Row]:
    """The differences of payments that the acquirer has listed."""
    text = listed(_joined("bank"), "in_day AND difference IS NOT NULL ORDER BY difference, at_ms, payment_id")
    text += " LIMIT %(most)s"
    for row in rows(db, text, **bounds):
        yield _difference(row, row["difference"])


def _missing(db: Connection, missing: list[Row], day: Day, source: Source, bounds: dict[str, Any]) -> Iterator[Row]:
    """What lanes call paid and the acquirer has not listed: it is asked about each."""
    for place, row in enumerate(missing):
        own = {**_of_lane(row), "bank_status": None, "bank_kopecks": None, "at_ms": row["begun_at_ms"]}
        if not source.can_be_asked:
            near = min(row["begun_at_ms"] - day.start_ms, day.end_ms - row["begun_at_ms"]) < _MIDNIGHT_MS
            yield {**own, "kind": "at_midnight" if near else "not_in_file", "detail": ""}
            continue
        if place >= _MOST_ASKED or row["payment_id"] is None:
            yield {**own, "kind": "not_checked", "detail": ""}
            continue
        try:
            answer = source.ask(row["payment_id"])
        except NotKnown as error:
            yield {**own, "kind": "bank_unknown", "detail": str(error)}
        except NoAnswerAbout as error:
            yield {**own, "kind": "not_checked", "detail": str(error)}
        else:
            yield from _asked(db, answer, bounds)


def _asked(db: Connection, answer: BankRow, bounds: dict[str, Any]) -> Iterator[Row]:
    """The difference of a payment that was not listed, and that the acquirer knows: it is of another day."""
    with db.transaction():
        run(db, "CREATE TEMPORARY TABLE asked (LIKE bank_rows) ON COMMIT DROP")
        _copy(db, [answer], "asked")
        for row in rows(db, _joined("asked"), **bounds):
            if row["difference"] is not None:
                yield _difference(row, row["difference"])


def _of_lane(row: Row) -> Row:
    return {
        "payment_id": row["payment_id"],
        "order_no": row["order_no"],
        "lane_id": row["lane_id"],
        "epoch": row["epoch"],
        "attempt": row["attempt"],
        "lane_phase": row["phase"],
        "lane_kopecks": row["amount_kopecks"],
        "case_number": row["case_number"],
    }


def _difference(row: Row, kind: str) -> Row:
    detail = "" if row["currency"] == "RUB" else f"currency {row['currency']}"
    return {
        **_of_lane(row),
        "kind": kind,
        "at_ms": row["at_ms"],
        "bank_status": row["word"] or row["status"],
        "bank_kopecks": row["kopecks"],
        "detail": detail,
    }
