"""The office's page on a database of 10,000,000 records: each page as a user gets it, and its query alone.

    python -m benchmarks.fleet.bench_office

The records are made by SQL in a database of their own, 10,000 lanes and two months of payments with some cases; that
takes minutes, and 12 GB of disk. `--quick` makes 100,000. A page is measured over HTTP, from the request to its last
octet; the limit is the page that needs no list.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from benchmarks.fleet.centre import Centre, add_lanes
from benchmarks.fleet.load import Row as JournalRow
from benchmarks.fleet.load import real_payment
from benchmarks.report import Row, finish, options
from sco_fleet import partitions
from sco_fleet.office import access
from tests.fleet.office.kit import Visitor

ROOT = Path(__file__).resolve().parents[2]
GOAL_MS = 100.0
_PASSWORD = "a password of the benchmark"
_DAY_MS = 86_400_000
_CASE_EVERY, _OPEN_EVERY = 200, 4_000
"""One payment of so many has a case, and one of so many an open one."""


def fill(database: str, template: Sequence[JournalRow], records: int, lanes: int) -> None:
    """Records, attempts and cases by SQL; each lane has one journal of consecutive rows."""
    each = len(template)
    payments = records // each
    now_ms = time.time_ns() // 1_000_000
    year, month = time.gmtime().tm_year, time.gmtime().tm_mon
    first_ms, end_ms = partitions.bounds(year, month)
    span_ms = max(_DAY_MS, min(now_ms, end_ms - 1) - first_ms)
    add_lanes(database, lanes)
    values = {
        "lanes": lanes, "payments": payments, "first": first_ms, "step": span_ms / payments, "each": each,
        "case": _CASE_EVERY, "open": _OPEN_EVERY,
    }  # fmt: skip
    with psycopg.connect(database, autocommit=True) as db:
        db.execute("SET maintenance_work_mem = '512MB'")
        db.execute("CREATE UNLOGGED TABLE template (n integer, kind text, version integer, acquirer text, body text)")
        db.cursor().executemany(
            "INSERT INTO template VALUES (%s, %s, %s, %s, %s)",
            [(number, row[3], row[4], row[6], row[7]) for number, row in enumerate(template)],
        )
        db.execute("CREATE UNLOGGED TABLE made (LIKE records INCLUDING DEFAULTS)")
        db.execute(
            "INSERT INTO made (lane_id, epoch, seq, at_ms, attempt, kind, version, acquirer, body, prev_hash, hash) "
            "SELECT 'L' || lpad((p %% %(lanes)s)::text, 5, '0'), 'e', (p / %(lanes)s) * %(each)s + n + 1, "
            "(%(first)s + p * %(step)s)::bigint + n, 'a' || p, kind, version, acquirer, body, "
            "lpad(to_hex(p), 64, '0'), lpad(to_hex(p), 64, '1') "
            "FROM generate_series(0::bigint, %(payments)s - 1) p, template",
            values,
        )
        for name, bounds in (("made", f"FROM ({first_ms}) TO ({end_ms})"),):
            db.execute(f"ALTER TABLE {name} ADD PRIMARY KEY (lane_id, epoch, seq, at_ms)")  # type: ignore[call-overload]
            db.execute(f"ALTER TABLE records ATTACH PARTITION {name} FOR VALUES {bounds}")  # type: ignore[call-overload]
        db.execute(
            "INSERT INTO journals (lane_id, epoch, head_seq, projected_seq) "
            "SELECT lane_id, 'e', max(seq), max(seq) FROM made GROUP BY lane_id"
        )
        db.execute(
            "INSERT INTO attempts SELECT 'L' || lpad((p %% %(lanes)s)::text, 5, '0'), 'e', 'a' || p, "
            "'order ' || p, 'till ' || p, 'bank ' || p, 'paymaster', 25300, 25300, 1, "
            "CASE WHEN p %% %(case)s = 0 THEN 'paid_late' ELSE 'paid' END, "
            "CASE WHEN p %% %(case)s = 0 THEN 'unknown' ELSE 'paid' END, 'none', true, "
            "(%(first)s + p * %(step)s)::bigint, (p / %(lanes)s + 1) * %(each)s, "
            "(%(first)s + p * %(step)s)::bigint + 9 "
            "FROM generate_series(0::bigint, %(payments)s - 1) p",
            values,
        )
        db.execute(
            "INSERT INTO cases (lane_id, epoch, number, attempt, opened_at_ms, reason, detail, closed_at_ms, operator, "
            "resolution) SELECT 'L' || lpad((p %% %(lanes)s)::text, 5, '0'), 'e', p / %(lanes)s + 1, 'a' || p, "
            "(%(first)s + p * %(step)s)::bigint, 'paid_late', 'money came', "
            "CASE WHEN p %% %(open)s > 0 THEN (%(first)s + p * %(step)s)::bigint + 60000 END, "
            "CASE WHEN p %% %(open)s > 0 THEN 'Petrova' END, CASE WHEN p %% %(open)s > 0 THEN 'given' END "
            "FROM generate_series(0::bigint, %(payments)s - 1, %(case)s) p",
            values,
        )
        db.execute(
            "INSERT INTO alarms (lane_id, kind, detail) "
            "SELECT lane_id, 'clock_off', 'minutes' FROM lanes WHERE right(lane_id, 2) = '00'"
        )
        db.execute("UPDATE lanes SET last_seen_at = now(), clock_ahead_ms = 20, version = '0.2.0'")
        access.add_user(db, "bench", "administrator", _PASSWORD, full_name="Bench", by="benchmark")
        db.execute("VACUUM ANALYZE")


def pages(payments: int, lanes: int) -> list[tuple[str, str, dict[str, object]]]:
    """What a user opens: its name, the path and what is in the query."""
    some = payments // 2 // _CASE_EVERY * _CASE_EVERY
    lane, number = f"L{some % lanes:05}", some // lanes + 1
    return [
        ("all lanes", "lanes", {}),
        ("lanes with a trouble", "lanes", {"show": "trouble"}),
        ("a lane", "lane", {"id": lane}),
        ("open cases", "cases", {}),
        ("all cases", "cases", {"state": "all"}),
        ("a case with its evidence", "case", {"lane": lane, "journal": "e", "number": number}),
        ("payments, the latest", "payments", {}),
        ("payments of an order", "payments", {"order": f"order {some}"}),
        ("payments of a payment id", "payments", {"payment": f"bank {some}"}),
        ("payments of a lane", "payments", {"lane": lane}),
        ("a payment with its evidence", "payment", {"lane": lane, "journal": "e", "attempt": f"a{some}"}),
        ("alarms", "alarms", {}),
    ]


def main() -> None:
    """All of them."""
    wanted = options(__doc__ or "")
    (ROOT / "out").mkdir(exist_ok=True)
    records, lanes, rounds = (100_000, 100, 3) if wanted.quick else (10_000_000, 10_000, 15)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(dir=ROOT / "out") as name, Centre(Path(name)) as centre:
        template = real_payment(Path(name))
        with centre.database() as database:
            start = time.perf_counter()
            fill(database, template, records, lanes)
            print(f"{records:,} records made in {time.perf_counter() - start:.0f} s")
            with centre.servers(database, 1) as (port,):
                visitor = Visitor(f"http://127.0.0.1:{port}")
                assert visitor.log_in("bench", _PASSWORD).status == 303
                plain = _median_ms(visitor, "password", {}, rounds)
                for what, path, query in pages(records // len(template), lanes):
                    found = _median_ms(visitor, path, query, rounds)
                    rows.append(
                        Row(
                            "fleet", f"page at {records:,} records: {what}", "ms", found, limit=plain,
                            limit_name="a page without a list", goal=f"at most {GOAL_MS:g} ms", met=found <= GOAL_MS,
                        )
                    )  # fmt: skip
    finish(rows, wanted.json)


def _median_ms(visitor: Visitor, path: str, query: dict[str, object], rounds: int) -> float:
    times = []
    for _ in range(rounds + 1):  # the first one fills what is cached
        start = time.perf_counter()
        answer = visitor.get(path, **query)
        times.append((time.perf_counter() - start) * 1000)
        assert answer.status == 200, (path, query, answer.status)
    return statistics.median(times[1:])


if __name__ == "__main__":
    main()
