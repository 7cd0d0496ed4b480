"""What was erased of an order, or is too old, is gone from the page too; that it was there can be seen."""

from __future__ import annotations

import psycopg
import pytest

from sco_fleet.erasure import erase
from sco_fleet.retention import drop_summaries
from tests.fleet.kit import Fleet
from tests.fleet.office.kit import Office

pytestmark = pytest.mark.program("pg_createcluster")


def test_an_erased_order_leaves_no_word(office: Office, lane: Fleet) -> None:
    case = office.rows("SELECT * FROM cases")[0]
    order = office.rows("SELECT order_no FROM attempts WHERE attempt = %(it)s", it=case["attempt"])[0]["order_no"]
    office.execute("UPDATE attempts SET phase = 'paid'")
    office.execute(
        "INSERT INTO reconciliations (day, time_zone, source, made_by) VALUES ('2026-01-01', 'UTC', 'list', 'x')"
    )
    office.execute(
        "INSERT INTO differences (reconciliation, number, kind, payment_id, order_no, lane, epoch, attempt)"
        " SELECT r.id, 1, 'amount', 'p', %(order)s, 'lane-1', %(epoch)s, %(attempt)s FROM reconciliations r",
        order=order, epoch=case["epoch"], attempt=case["attempt"],
    )  # fmt: skip
    with psycopg.connect(office.database, autocommit=True) as db:
        erase(db, "lane-1", order)
    visitor = office.visitor("viewer")
    page = visitor.get(f"case?lane=lane-1&journal={case['epoch']}&number={case['number']}&lang=ru").text
    assert "Содержание записи «attempt_started» стёрто" in page
    assert order not in page
    run = office.rows("SELECT id FROM reconciliations")[0]["id"]
    assert order not in visitor.get(f"run?id={run}").text


def test_old_reconciliations_are_dropped_with_their_differences(office: Office) -> None:
    for day, ended in (("2020-01-01", "2020-01-02"), ("2026-01-01", "2026-01-02")):
        office.execute(
            "INSERT INTO reconciliations (day, time_zone, source, made_by, ended_at, status)"
            " VALUES (%(day)s::date, 'UTC', 'list', 'x', %(ended)s::timestamptz, 'whole')",
            day=day, ended=ended,
        )  # fmt: skip
    office.execute("INSERT INTO differences (reconciliation, number, kind) SELECT id, 1, 'amount' FROM reconciliations")
    with psycopg.connect(office.database, autocommit=True) as db:
        assert drop_summaries(db, 1_700_000_000_000)["reconciliations"] == 1
    assert len(office.rows("SELECT 1 FROM reconciliations")) == len(office.rows("SELECT 1 FROM differences")) == 1
