"""Rows from lanes to COMMIT: through HTTP and two server processes, next to pgbench and COPY on the same PostgreSQL.

    python -m benchmarks.fleet.bench_ingest

All of them share this machine: lanes, servers and PostgreSQL, which syncs each transaction to a real disk. pgbench
inserts the same rows of one payment in a transaction, and nothing else; COPY is what PostgreSQL takes at most.
10,000 lanes that connect at the same moment, as after a broken network, are sent away with 503 while the server has
its hands full, and come again as a shipper does.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import psycopg

from benchmarks.core.bench_core import cpu_s, quantile
from benchmarks.fleet.centre import Centre, add_lanes, pgbench
from benchmarks.fleet.load import Result, real_payment, request_of, rows_of, send
from benchmarks.fleet.load import Row as JournalRow
from benchmarks.report import Row, finish, options
from tests.fleet.faults.kit import children

ROOT = Path(__file__).resolve().parents[2]
SERVERS = 2
RATE_GOAL = 2_100.0
"""Rows/s of 100,000 lanes with 150 payments a day each, on average."""
RECONNECT_GOAL_S = 60.0
_COLUMNS = "lane_id, epoch, seq, at_ms, attempt, kind, version, acquirer, body, prev_hash, hash"


def _epoch(lane: str) -> str:
    return f"{lane:0>32}"


def _batches(
    tokens: Mapping[str, str], template: Sequence[JournalRow], payments: int, together: int
) -> tuple[list[list[bytes]], int]:
    """Each lane's requests, so many payments in one, and how many rows that is."""
    first_ms = (time.time_ns() // 1_000_000) - payments * 60_000
    found, rows = [], 0
    for lane, token in tokens.items():
        requests = []
        pages = list(rows_of(lane, template, payments, first_ms))
        for number in range(0, payments, together):
            batch = [row for page in pages[number : number + together] for row in page]
            rows += len(batch)
            requests.append(request_of(_epoch(lane), batch, token))
        found.append(requests)
    return found, rows


def _stored(database: str) -> int:
    with psycopg.connect(database) as db:
        (count,) = db.execute("SELECT count(*) FROM records").fetchall()[0]
    return int(count)


def _through_http(
    centre: Centre, template: Sequence[JournalRow], lanes: int, payments: int, together: int
) -> tuple[float, Result]:
    """Rows/s, and each request's time."""
    with centre.database() as database, centre.servers(database, SERVERS) as ports:
        requests, rows = _batches(add_lanes(database, lanes), template, payments, together)
        result = send(requests, ports)
        stored = _checked(result, database, lanes, rows)
    return stored / result.seconds, result


def _checked(result: Result, database: str, lanes: int, rows: int) -> int:
    """How many rows are stored. A slow machine may send lanes away and not end in time: then they are fewer."""
    stored = _stored(database)
    assert set(result.refused) <= {503}, result.refused
    assert stored == rows or len(result.finished) < lanes, (stored, rows, result.refused)
    return stored


def _copied(centre: Centre, template: Sequence[JournalRow], payments: int, together: int) -> float:
    """Rows/s of COPY into the same table by one connection, so many payments in a transaction."""
    first_ms = (time.time_ns() // 1_000_000) - payments * 60_000
    pages = list(rows_of("L00000", template, payments, first_ms))
    with centre.database() as database, psycopg.connect(database, autocommit=True) as db:
        start = time.perf_counter()
        for number in range(0, payments, together):
            with db.cursor().copy(f"COPY records ({_COLUMNS}) FROM STDIN") as copy:
                for page in pages[number : number + together]:
                    for row in page:
                        copy.write_row((row[5], "e", *row[:5], *row[6:]))
        return payments * len(template) / (time.perf_counter() - start)


def _by_pgbench(centre: Centre, template: Sequence[JournalRow], folder: Path, seconds: int) -> tuple[float, float]:
    """Rows/s of pgbench with the rows of one payment in a transaction, and its own transactions/s (TPC-B)."""
    script = folder / "payment.sql"
    script.write_text(
        f"INSERT INTO records ({_COLUMNS})\n"
        "SELECT 'L' || :client_id, 'e', nextval('numbers'), at_ms, attempt || nextval('numbers'), kind, version, "
        "acquirer, body, prev_hash, hash FROM template;\n"
    )
    with centre.database() as database:
        with psycopg.connect(database, autocommit=True) as db:
            db.execute("CREATE SEQUENCE numbers CACHE 1000")
            db.execute("CREATE TABLE template (LIKE records INCLUDING DEFAULTS)")
            db.cursor().executemany(
                f"INSERT INTO template ({_COLUMNS}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                [(row[5], "e", *row[:5], *row[6:]) for row in template],
            )
        run = ("-n", "-c", "16", "-j", "2", "-T", str(seconds), "-M", "prepared")
        rate = pgbench(database, *run, "-f", str(script)) * len(template)
        pgbench(database, "-i", "-q", "-s", "10")
        return rate, pgbench(database, *run)


def ingest(centre: Centre, folder: Path, template: Sequence[JournalRow], quick: bool) -> list[Row]:
    """Rows/s, with the rows of one payment in a request and with a lane's whole morning; and the time of a request."""
    lanes, payments = (32, 10) if quick else (64, 100)
    seconds = 2 if quick else 15
    by_pgbench, tpc_b = _by_pgbench(centre, template, folder, seconds)
    rate, result = _through_http(centre, template, lanes, payments, 1)
    many, _ = _through_http(centre, template, lanes, payments, 16)
    copied, copied_many = (_copied(centre, template, lanes * payments, together) for together in (1, 16))
    requests = len(result.latencies_s) / result.seconds
    where = f"{lanes} lanes, {SERVERS} servers"
    single = f"one payment ({len(template)} rows) a request"
    goal, met = f"at least {RATE_GOAL:,.0f}", rate >= RATE_GOAL
    return [
        Row("fleet", f"rows to COMMIT, {single}, {where}", "1/s", rate, by_pgbench, "pgbench, the same rows", copied,
            "COPY of the same rows, one connection", goal, met),
        Row("fleet", f"rows to COMMIT, 16 payments a request, {where}", "1/s", many, None, "", copied_many,
            "COPY of the same rows, one connection"),
        Row("fleet", f"requests, {single}", "1/s", requests, tpc_b, "pgbench's own transaction (TPC-B)"),
        *(
            Row("fleet", f"a request under that load, {label}", "ms", quantile(result.latencies_s, share))
            for label, share in (("median", 0.5), ("p99", 0.99))
        ),
    ]  # fmt: skip


def size(centre: Centre, template: Sequence[JournalRow], quick: bool) -> list[Row]:
    """Bytes of a payment: on the wire, and in the database with its indexes."""
    payments = 200 if quick else 5_000
    with centre.database() as database, centre.servers(database, SERVERS) as ports:
        requests, rows = _batches(add_lanes(database, 50), template, payments // 50, 1)
        with psycopg.connect(database, autocommit=True) as db:
            db.execute("VACUUM FULL")
            used_ms = -_cpu_ms(centre)
            (before,) = db.execute("SELECT pg_database_size(current_database())").fetchall()[0]
            result = send(requests, ports)
            used_ms += _cpu_ms(centre)
            kept = _checked(result, database, len(requests), rows) / len(template)
            db.execute("VACUUM FULL")
            (after,) = db.execute("SELECT pg_database_size(current_database())").fetchall()[0]
    wire = sum(len(one) for lane in requests for one in lane) / payments
    text = sum(sum(len(str(cell)) for cell in row) for row in template)
    return [
        Row("fleet", "a payment on the wire", "bytes", wire, limit=text, limit_name="its rows as text"),
        Row("fleet", "a payment in the database, with indexes", "bytes", (after - before) / kept, limit=text,
            limit_name="its rows as text"),
        Row("fleet", "CPU of the servers and PostgreSQL for a payment", "ms", used_ms / kept),
    ]  # fmt: skip


def _cpu_ms(centre: Centre) -> float:
    """CPU time that the servers, and PostgreSQL with what it starts, have used."""
    postgres = int((centre.postgres.folder / "data" / "postmaster.pid").read_text().split()[0])
    used_s = cpu_s(postgres, ended=True) + sum(cpu_s(pid) for pid in centre.pids)
    for pid in children(postgres):
        with contextlib.suppress(OSError):  # it may have ended
            used_s += cpu_s(pid)
    return used_s * 1000


def reconnect(centre: Centre, template: Sequence[JournalRow], quick: bool) -> list[Row]:
    """All lanes at the same moment, each with a payment to send."""
    lanes = 500 if quick else 10_000
    with centre.database() as database, centre.servers(database, SERVERS) as ports:
        requests, _ = _batches(add_lanes(database, lanes), template, 1, 1)
        result = send(requests, ports, limit_s=2 * RECONNECT_GOAL_S)
        stored = _checked(result, database, lanes, lanes * len(template))
        assert stored >= len(result.finished) * len(template), (stored, len(result.finished))
        memory = sum(_rss_mib(pid) for pid in centre.pids)
    whole = len(result.finished) == lanes
    what = f"{lanes:,} lanes reconnect at once"
    last = max(result.finished, default=result.seconds)
    goal, met = f"at most {RECONNECT_GOAL_S:.0f} s", whole and last <= RECONNECT_GOAL_S
    return [
        Row("fleet", f"{what}: until all are acknowledged", "s", last, goal=goal, met=met),
        Row("fleet", f"{what}: until half are", "s", quantile(result.finished, 0.5) / 1000),
        Row("fleet", f"{what}: rows to COMMIT", "1/s", stored / result.seconds),
        Row("fleet", f"{what}: told to come again", "requests", float(sum(result.refused.values()))),
        Row("fleet", f"{what}: connections that broke", "connections", float(result.broken)),
        Row("fleet", f"{what}: never acknowledged", "lanes", float(lanes - len(result.finished)), goal="0", met=whole),
        Row("fleet", f"{what}: memory of {SERVERS} servers afterwards", "MiB", memory),
    ]  # fmt: skip


def _rss_mib(pid: int) -> float:
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) / 1024 for row in rows if row.startswith("VmRSS"))


def main() -> None:
    """All of it."""
    wanted = options(__doc__ or "")
    (ROOT / "out").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "out") as name:
        folder = Path(name)
        template = real_payment(folder)
        with Centre(folder) as centre:
            rows = ingest(centre, folder, template, wanted.quick)
            rows += size(centre, template, wanted.quick)
            rows += reconnect(centre, template, wanted.quick)
    finish(rows, wanted.json)


if __name__ == "__main__":
    main()
