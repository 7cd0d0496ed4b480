"""Lists: whole, in order and bounded, however long; what is asked of the database uses its indexes."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any

import psycopg
import pytest

from sco_fleet.office import listing_pages, lists, pages
from tests.fleet.office.kit import Office, Visitor

pytestmark = pytest.mark.program("pg_createcluster")

_ATTEMPTS = """
INSERT INTO attempts (lane_id, epoch, attempt, order_no, till_id, payment_id, acquirer, amount_kopecks, total_kopecks,
  mode, phase, outcome, reason, presented, begun_at_ms, last_seq, last_at_ms)
SELECT 'lane-' || n %% 100, 'e', 'k' || n, (n %% 1000)::text, 't' || n, 'p' || n, 'paymaster', 100 + n, 100 + n, 1,
  'paid', 'paid', 'none', true, 1764000000000 + n / 3 * 1000, 5, 1764000000000 + n * 1000
FROM generate_series(1, %(n)s) n
"""
_CASES = """
INSERT INTO cases (lane_id, epoch, number, attempt, opened_at_ms, reason, detail, closed_at_ms, operator, resolution)
SELECT lane_id, epoch, substr(attempt, 2)::integer, attempt, last_at_ms, 'late_money', '',
  CASE WHEN substr(attempt, 2)::integer %% 10 > 0 THEN last_at_ms END, 'x', 'y'
FROM attempts WHERE substr(attempt, 2)::integer %% 5 = 0 LIMIT %(n)s
"""


def fill(office: Office, attempts: int) -> None:
    office.execute(_ATTEMPTS, n=attempts)
    office.execute(_CASES, n=attempts)
    office.execute(
        "INSERT INTO lanes (lane_id, shop) SELECT 'lane-' || n, 'Shop ' || n % 7 FROM generate_series(0, 99) n"
    )
    office.execute("INSERT INTO alarms (lane_id, kind, detail) SELECT lane_id, 'clock_off', '' FROM lanes LIMIT 60")
    office.execute("ANALYZE")


def read_all(visitor: Visitor, path: str) -> list[list[str]]:
    """The cells of all pages of a list, by its links to the next one."""
    found: list[list[str]] = []
    while path:
        source = visitor.get(path).source
        for row in re.findall(r"<tr><td.*?</tr>", source, re.DOTALL):
            cells = re.findall(r"<td[^>]*>(.*?)</td>", row, re.DOTALL)
            found.append([html.unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in cells])
        link = re.search(r'<a href="/office/([^"]+)" rel="next">', source)
        path = html.unescape(link[1]) if link else ""
    return found


@pytest.mark.parametrize(
    ("path", "count"),
    [("payments", 420), ("cases?state=all", 84), ("cases?state=open", 42), ("cases?state=closed", 42), ("lanes", 100),
     ("alarms", 60), ("payments?lane=lane-7", 5), ("payments?order=42", 1), ("payments?till=t17", 1),
     ("payments?payment=p17", 1), ("payments?payment=p17&order=18", 0), ("lanes?shop=Shop+3", 14),
     ("lanes?show=trouble", 100)],
)  # fmt: skip
def test_every_row_is_on_one_page_and_once(office: Office, path: str, count: int) -> None:
    fill(office, 420)
    rows = read_all(office.visitor("decider"), path)
    assert len(rows) == count
    if not path.startswith(("lanes", "alarms")):
        assert len({tuple(row) for row in rows}) == count


def test_rows_that_come_meanwhile_move_nothing(office: Office) -> None:
    fill(office, 120)
    visitor = office.visitor("viewer")
    first = visitor.get("payments").source
    after = re.search(r"after=([\w-]+)", first)
    assert after is not None
    before = visitor.get(f"payments?after={after[1]}").source
    office.execute(_ATTEMPTS.replace("generate_series(1,", "generate_series(1000, 1000 +"), n=50)
    again = visitor.get(f"payments?after={after[1]}").source
    assert re.findall(r"<tr>.*?</tr>", before, re.DOTALL) == re.findall(r"<tr>.*?</tr>", again, re.DOTALL)


def test_payments_are_found_by_time_in_the_pages_zone(office: Office) -> None:
    fill(office, 10)
    office.execute("UPDATE attempts SET begun_at_ms = 1764277200000 WHERE attempt = 'k1'")  # 28.11.2025 00:00 Moscow
    office.execute("UPDATE attempts SET begun_at_ms = 1764277199999 WHERE attempt = 'k2'")
    office.execute("UPDATE attempts SET begun_at_ms = 1764363599999 WHERE attempt = 'k3'")
    office.execute("UPDATE attempts SET begun_at_ms = 1764363600000 WHERE attempt = 'k4'")
    visitor = office.visitor("viewer")
    found = {row[5] for row in read_all(visitor, "payments?from=2025-11-28&until=2025-11-28")}
    assert len(read_all(visitor, "payments?from=2025-11-28&until=2025-11-28")) == 2
    assert found == {"lane-1", "lane-3"}
    assert len(read_all(visitor, "payments?from=2025-11-28+00:00&until=2025-11-28+00:00")) == 1


@pytest.mark.parametrize("written", ["28.11.2025", "9999-12-31", "9999-12-31T23:59", "0001-01-01"])
def test_what_is_no_time_is_named(office: Office, written: str) -> None:
    wrong = office.visitor("viewer").get(f"payments?until={written}")
    assert wrong.status == 200
    assert f"«{written}» — не время" in wrong.text


def test_the_lanes_that_need_attention_come_first(office: Office) -> None:
    office.execute(
        "INSERT INTO lanes (lane_id, shop, last_seen_at, clock_ahead_ms, health, disabled) VALUES"
        " ('fine', 's', now(), 100, '{}', false), ('silent', 's', now() - interval '11 minutes', 0, '{}', false),"
        " ('cases', 's', now(), 0, '{}', false), ('alarmed', 's', now(), 0, '{}', false),"
        " ('clock', 's', now(), -200000, '{}', false), ('gone', 's', NULL, 0, '{}', true),"
        ' (\'faulty\', \'s\', now(), 0, \'{"devices": [{"state": "fault"}, {"state": "ok"}]}\', false)'
    )
    office.execute("INSERT INTO alarms (lane_id, kind, detail) VALUES ('alarmed', 'clock_off', '')")
    office.execute(
        "INSERT INTO cases (lane_id, epoch, number, attempt, opened_at_ms, reason, detail)"
        " VALUES ('cases', 'e', 1, 'k', 1, 'late_money', '')"
    )
    visitor = office.visitor("viewer")
    rows = read_all(visitor, "lanes?lang=en")
    assert [row[0] for row in rows] == ["alarmed", "cases", "silent", "faulty", "clock", "fine", "gone"]
    assert [row[2] for row in rows] == [
        "alarm",
        "cases",
        "not seen",
        "device fault",
        "clock is off",
        "working",
        "disabled",
    ]
    assert len(read_all(visitor, "lanes?show=trouble")) == 5


def test_a_file_has_every_row_as_a_spreadsheet_wants_it(office: Office) -> None:
    fill(office, 2500)
    answer = office.visitor("viewer").get("payments.csv?lang=ru")
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert re.fullmatch(r'attachment; filename="payments-[\d-]+\.csv"', answer.headers["Content-Disposition"])
    rows = list(csv.reader(io.StringIO(answer.body.decode("utf-8-sig")), delimiter=";"))
    assert len(rows) == 2501
    assert rows[0][:3] == ["Начат", "Заказ", "Сумма"]
    assert sorted(float(row[2].replace(",", ".")) for row in rows[1:]) == [(101 + n) / 100 for n in range(2500)]
    assert "\r\n" in answer.body.decode()


def test_a_file_is_bounded_and_says_so(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_pages, "MOST_EXPORTED", 1200)
    fill(office, 1300)
    rows = office.visitor("viewer").get("payments.csv?lang=en").body.decode("utf-8-sig").splitlines()
    assert len(rows) == 1 + 1200 + 1
    assert rows[-1] == '"These are the first 1200 rows, there are more: narrow the filter and export again"'.strip('"')


def test_only_some_files_are_made_at_a_time(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing_pages, "_EXPORTS", listing_pages.BoundedSemaphore(1))
    visitor = office.visitor("viewer")
    for _ in range(2):
        assert visitor.get("lanes.csv").status == 200
        assert listing_pages._EXPORTS.acquire(timeout=60)  # its turn was given back
        listing_pages._EXPORTS.release()
    assert listing_pages._EXPORTS.acquire(timeout=60)
    assert visitor.get("lanes.csv").status == 429


_READ_FROM: tuple[tuple[lists.List, dict[str, Any], str], ...] = (
    (lists.PAYMENTS, {}, "attempts_by_time"),
    (lists.PAYMENTS, {"order": "42"}, "attempts_by_order"),
    (lists.PAYMENTS, {"payment": "p42"}, "attempts_by_payment"),
    (lists.PAYMENTS, {"till": "t42"}, "attempts_by_till"),
    (lists.PAYMENTS, {"lane": "lane-7"}, "attempts_by_lane"),
    (lists.PAYMENTS, {"lane": "lane-7", "from_ms": 1764000000000}, "attempts_by_lane"),
    (lists.PAYMENTS, {"from_ms": 1764000100000, "until_ms": 1764000200000}, "attempts_by_time"),
    (lists.CASES, {"open": True}, "cases_open"),
    (lists.CASES, {"closed": True}, "cases_by_time"),
    (lists.CASES, {}, "cases_by_time"),
    (lists.CASES, {"lane": "lane-7"}, "cases_by_lane"),
    (lists.ALARMS, {}, "alarms_by_id"),
    (lists.AUDIT, {}, "office_audit_pkey"),
    (lists.AUDIT, {"user": "x"}, "office_audit_by_user"),
)


def test_a_page_of_a_list_is_read_from_an_index(office: Office) -> None:
    fill(office, 20_000)
    office.execute(
        "INSERT INTO office_audit (user_name, address, action, subject)"
        " SELECT CASE WHEN n % 100 = 0 THEN 'x' ELSE 'y' END, '', 'login', '' FROM generate_series(1, 20000) n"
    )
    office.execute(
        "INSERT INTO alarms (lane_id, kind, detail) SELECT 'l' || n, 'k', '' FROM generate_series(1, 20000) n"
    )
    office.execute("ANALYZE")
    values = {"begun_at_ms": 1764003000000, "opened_at_ms": 1764003000000, "lane_id": "lane-5", "epoch": "e",
              "attempt": "k5", "number": 5, "id": 5000}  # fmt: skip
    with psycopg.connect(office.database) as db:
        for listing, given, index in _READ_FROM:
            for after in (False, True):
                keys = {f"after_{place}": values[name] for place, name in enumerate(listing.listing.order) if after}
                statement = "EXPLAIN " + listing.listing.statement(tuple(given), after)
                found = db.execute(statement.encode(), {**given, **keys, "limit": 51})
                plan = "\n".join(row[0] for row in found)
                assert index in plan, (given, after, plan)
                assert "Seq Scan on attempts" not in plan, (given, after, plan)
                assert "Seq Scan on cases" not in plan, (given, after, plan)


def test_each_list_that_people_see_is_tested_here() -> None:
    assert {one.path for one in pages.LISTS} == {"lanes", "cases", "payments", "alarms", "audit", "users"}
