"""Each fault of a network at each request between a lane and the centre."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest

from sco_payment.fleet.client import Client, FleetError
from sco_payment.fleet.shipper import Refused, Shipper
from sco_payment.journal import Journal, acknowledged
from tests.fleet.faults.judge import Head, as_on_the_lane, is_stored, stored_chains
from tests.fleet.faults.kit import CANCELLED, CASE, LANE, PAID, Centre, add_lane, opened, payment
from tests.fleet.faults.wire import FAULTS, FleetWire, LyingCentre

pytestmark = pytest.mark.program("pg_createcluster")


@dataclass
class Line:
    """A lane with three payments in its journal, on a wire to the centre."""

    database: str
    wire: FleetWire
    journal: Journal
    shipper: Shipper
    receipts: list[Head]

    def ship(self) -> list[str]:
        """Send until there is nothing more; the errors on the way."""
        errors = []
        for _ in range(100):
            try:
                if not self.shipper.ship_batch():
                    return errors
            except FleetError as error:
                errors.append(str(error))
        raise AssertionError(errors)

    def problems(self) -> list[str]:
        lost = [is_stored(self.database, LANE, head) for head in self.receipts]
        return [
            *(problem for problem in lost if problem is not None),
            *stored_chains(self.database),
            *as_on_the_lane(self.database, LANE, self.journal),
        ]


@pytest.fixture
def line(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Line]:
    receipts: list[Head] = []
    held = "held" in request.node.name  # its answer never comes; all others do, even from a busy machine
    with Centre(database) as centre, FleetWire(centre.url, receipts.append) as wire:
        fleet = replace(add_lane(database, tmp_path / "lane", wire.base_url), timeout_s=1.0 if held else 30.0)
        path = tmp_path / "lane" / "journal.db"
        with opened(path) as journal:
            for number, how in enumerate((PAID, CANCELLED, CASE)):
                payment(journal, f"p{number}", how)
            yield Line(database, wire, journal, Shipper(Client(fleet), path, fleet.batch_rows), receipts)


@pytest.mark.parametrize("nth", [1, 2, 4], ids=["at the head", "at the first rows", "at later rows"])
@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_lost_or_stored_twice(line: Line, fault: str, nth: int) -> None:
    line.wire.plan = [None] * (nth - 1) + [fault]
    errors = line.ship()
    line.wire.release()  # what was held comes after all that followed it
    line.ship()
    assert line.wire.requests > nth
    assert bool(errors) == (fault not in ("twice", "again later")), errors
    assert line.problems() == []


def test_every_request_of_a_lane_fails_once_in_each_way(line: Line) -> None:
    line.wire.plan = [fault for fault in FAULTS for _ in (1, 2) if fault != "held"]
    line.ship()
    line.wire.release()
    assert line.problems() == []


def test_rows_that_come_in_another_order_wait_for_those_before_them(line: Line) -> None:
    """A request with later rows arrives first: it is refused with the head, and nothing of it is stored."""
    client, epoch = line.shipper._client, line.journal.id()
    rows = line.journal.raw_rows(0, limit=100, max_bytes=1 << 20)
    with pytest.raises(FleetError) as refused:
        client.send_rows(epoch, rows[10:])
    assert refused.value.code == "gap"  # type: ignore[attr-defined]
    assert refused.value.details["seq"] == 0  # type: ignore[attr-defined]
    assert client.send_rows(epoch, rows[:10]).seq == 10
    assert client.send_rows(epoch, rows[5:]).seq == len(rows)
    assert client.send_rows(epoch, rows[:3]).seq == len(rows)
    assert line.problems() == []


@pytest.mark.parametrize("column", range(10))
def test_a_row_that_was_changed_on_its_way_is_not_stored(line: Line, column: int) -> None:
    client, epoch = line.shipper._client, line.journal.id()
    rows = [list(row) for row in line.journal.raw_rows(0, limit=5, max_bytes=1 << 20)]
    found = rows[3][column]
    rows[3][column] = found + 1 if isinstance(found, int) else f"{'0' if found[:1] != '0' else '1'}{found[1:]}"
    with pytest.raises(FleetError) as refused:
        client.send_rows(epoch, [tuple(row) for row in rows])  # type: ignore[misc]
    assert refused.value.code == "broken_chain", refused.value  # type: ignore[attr-defined]
    with psycopg.connect(line.database) as db:
        assert db.execute("SELECT count(*) FROM records").fetchall() == [(0,)]
        assert db.execute("SELECT kind FROM alarms").fetchall() == [("broken_chain",)]


LIES = {
    "far ahead": lambda line, target: {"epoch": line.journal.id(), "seq": 10**9, "hash": "f" * 64},
    "another hash": lambda line, target: {"epoch": line.journal.id(), "seq": 5, "hash": "f" * 64},
    "another journal": lambda line, target: {"epoch": "0" * 32, "seq": 5, "hash": "f" * 64},
    "ahead after the rows": lambda line, target: (
        {"epoch": line.journal.id(), "seq": 0, "hash": "0" * 64}
        if "head" in target
        else {"epoch": line.journal.id(), "seq": 10**9, "hash": "f" * 64}
    ),
    "numbers below zero": lambda line, target: {"epoch": line.journal.id(), "seq": -5, "hash": "f" * 64},
    "no head": lambda line, target: {"status": "ok"},
}
"""What a server answers that is another chain's, was restored from an old backup, or is not a fleet's server."""


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_centre_gives_no_receipt_and_stops_no_lane(line: Line, lie: str) -> None:
    """The lane keeps no receipt for a row that is not its own: a false one would stop its next start."""
    path = line.journal.path
    with LyingCentre(lambda target: LIES[lie](line, target)) as liar:
        line.wire.point_at(liar.base_url)
        for _ in range(3):
            with contextlib.suppress(FleetError, Refused):
                line.shipper.ship_batch()
        assert liar.requests
    last = int(line.journal.head().partition(":")[0])
    line.journal.close()
    with opened(path) as journal:
        payment(journal, "p9")
        assert acknowledged.read(path) == acknowledged.NOTHING or line.receipts
        assert int(journal.head().partition(":")[0]) > last


def test_a_report_that_comes_late_raises_no_alarm(line: Line, tmp_path: Path) -> None:
    """It was true when it was sent: since then more rows are stored."""
    client, epoch = line.shipper._client, line.journal.id()
    now_ms = time.time_ns() // 1_000_000
    line.shipper.ship_batch()
    head = line.shipper.acknowledged
    assert head is not None
    old = {"epoch": epoch, "seq": head.seq, "hash": head.hash, "now_ms": now_ms}
    client.heartbeat(old)
    line.ship()
    client.heartbeat(old)  # twice, or after the next one
    seq, _, digest = line.journal.head().partition(":")
    client.heartbeat({"epoch": epoch, "seq": int(seq), "hash": digest, "now_ms": now_ms + 5})
    client.heartbeat(old)
    with psycopg.connect(line.database) as db:
        assert db.execute("SELECT kind FROM alarms").fetchall() == []
    now_ms = time.time_ns() // 1_000_000  # from now on the lane has the older journal
    client.heartbeat({**old, "now_ms": now_ms + 10})
    with psycopg.connect(line.database) as db:
        assert db.execute("SELECT kind FROM alarms").fetchall() == [("journal_rolled_back",)]


@pytest.mark.parametrize("years", [-1, 1])
def test_a_clock_a_year_off_is_an_alarm_and_loses_nothing(line: Line, years: int) -> None:
    """Rows of a year ago or ahead are stored, in order, with those of today; then the clock is put right."""
    now_ms = time.time_ns() // 1_000_000
    wrong_ms = now_ms + years * 365 * 86_400_000
    payment(line.journal, "wrong", CASE, at_ms=wrong_ms)
    line.ship()
    epoch, (seq, _, digest) = line.journal.id(), line.journal.head().partition(":")
    report = {"epoch": epoch, "seq": int(seq), "hash": digest}
    line.shipper._client.heartbeat({**report, "now_ms": wrong_ms})
    with psycopg.connect(line.database) as db:
        assert db.execute("SELECT kind FROM alarms").fetchall() == [("clock_off",)]
    payment(line.journal, "right", PAID)
    line.ship()
    line.shipper._client.heartbeat({**report, "now_ms": now_ms + 1_000})
    assert line.problems() == []
    with psycopg.connect(line.database) as db:
        ((ahead_ms,),) = db.execute("SELECT clock_ahead_ms FROM lanes").fetchall()
        assert abs(ahead_ms) < 600_000
