"""What is old and final is dropped or erased; what is not stays, and what is stored verifies afterwards."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner

from sco_fleet import erasure, partitions, retention
from sco_fleet.cli.main import main
from sco_fleet.verify import journals
from sco_payment import attempt as m
from sco_payment.journal import Journal
from tests.fleet.kit import Fleet, ship
from tests.payment.journal.kit import opened, plan

pytestmark = pytest.mark.program("pg_createcluster")

NOVEMBER_MS, DECEMBER_MS, JANUARY_MS = 1_698_796_800_000, 1_701_388_800_000, 1_704_067_200_000


@contextlib.contextmanager
def connected(fleet: Fleet) -> Any:
    with psycopg.connect(fleet.database, autocommit=True) as db:
        yield db


def paid_and_open(path: Path) -> None:
    """An attempt that ended in November, and one of December that goes on."""
    with opened(path) as journal:
        state, effects = m.begin(plan("k1", "A-1"))
        journal.record(None, state, effects, at_ms=NOVEMBER_MS + 1_000)
        event = m.CreateFailed(2_000, state.seq, "refused", may_exist=False, final=True)
        state, effects = m.step(state, event)
        assert state.phase in m.FINAL
        journal.record(event, state, effects, at_ms=NOVEMBER_MS + 2_000)
        state, effects = m.begin(plan("k2", "A-2"))
        journal.record(None, state, effects, at_ms=DECEMBER_MS + 1_000)


@pytest.fixture
def lane(fleet: Fleet, tmp_path: Path) -> Path:
    paid_and_open(tmp_path / "j")
    ship(fleet.shipper(tmp_path / "j", fleet.add_lane()))
    return tmp_path / "j"


def months(fleet: Fleet) -> list[tuple[str, str]]:
    with connected(fleet) as db:
        return [(month.name, month.kept_for) for month in retention.old_months(db, JANUARY_MS)]


def test_a_month_with_an_open_attempt_stays(fleet: Fleet, lane: Path) -> None:
    fleet.execute("UPDATE attempts SET begun_at_ms = last_at_ms")  # the journal's kit begins everything in 1970
    assert months(fleet) == [("records_2023_11", ""), ("records_2023_12", "attempt k2 of lane lane-1 is open")]
    found = CliRunner().invoke(main, ["retention", "--database", fleet.database])
    assert found.exit_code == 0, found.output
    assert "records_2023_11 dropped" in found.output
    assert "records_2023_12 stays: attempt k2 of lane lane-1 is open" in found.output
    assert fleet.rows("SELECT attempt FROM records") == [("k2",)]
    with connected(fleet) as db:
        (verified,) = journals(db, "lane-1")
        assert (verified.problems, verified.first) == ([], 3)


def test_a_backup_that_runs_holds_up_no_lane(fleet: Fleet, lane: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet.execute("UPDATE attempts SET begun_at_ms = last_at_ms")
    monkeypatch.setattr(partitions, "LOCK_MS", 50)
    monkeypatch.setattr(partitions, "_busy_until", {})
    with connected(fleet) as backup:
        backup.execute("BEGIN")
        backup.execute("LOCK TABLE records, records_2023_11 IN ACCESS SHARE MODE")  # as pg_dump has it until its end
        found = CliRunner().invoke(main, ["retention", "--database", fleet.database])
        assert found.exit_code == 0, found.output
        assert "records_2023_11: the table is in use, e.g. by a backup" in found.output
        with opened(lane) as journal:
            journal.note("k2", "in another month", at_ms=JANUARY_MS + 1_000)
        ship(fleet.shipper(lane, fleet.add_lane("lane-2")))
        assert fleet.rows("SELECT tableoid::regclass::text FROM records WHERE at_ms > %s", JANUARY_MS) == [
            ("records_other",)
        ]
    partitions._busy_until.clear()
    with connected(fleet) as db:
        partitions.ensure(db, [JANUARY_MS])
    assert fleet.rows("SELECT tableoid::regclass::text FROM records WHERE at_ms > %s", JANUARY_MS) == [
        ("records_2024_01",)
    ]


def test_rows_that_cannot_be_moved_in_time_hold_up_no_lane(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A month whose rows came before its partition: a request has no time to move them all."""
    made: list[int] = []

    def slow(db: psycopg.Connection[Any], year: int, month: int) -> None:
        made.append(month)
        db.execute("SET LOCAL statement_timeout = 20")
        db.execute("SELECT pg_sleep(60)")

    monkeypatch.setattr(partitions, "_make", slow)
    monkeypatch.setattr(partitions, "_known", set())
    monkeypatch.setattr(partitions, "_busy_until", {})
    paid_and_open(tmp_path / "j")
    shipper = fleet.shipper(tmp_path / "j", fleet.add_lane(), batch_rows=1)
    ship(shipper)
    assert fleet.rows("SELECT DISTINCT tableoid::regclass::text FROM records") == [("records_other",)]
    assert sorted(made) == [11, 12]  # and not again with each batch


def test_a_month_with_records_that_are_not_read_yet_stays(fleet: Fleet, lane: Path) -> None:
    fleet.execute("UPDATE attempts SET begun_at_ms = last_at_ms")
    fleet.execute("UPDATE journals SET projected_seq = 1")
    assert months(fleet)[0][1] == "records of lane lane-1 wait for a newer release of the server"


def test_rows_arrive_again_after_their_month_was_dropped(fleet: Fleet, lane: Path) -> None:
    fleet.execute("DELETE FROM attempts")
    with connected(fleet) as db:
        for month in retention.old_months(db, JANUARY_MS):
            retention.drop(db, month)
    with opened(lane) as journal:
        journal.note("k2", "later", at_ms=NOVEMBER_MS + 5_000)
    (lane.parent / "j.acknowledged").unlink()
    ship(fleet.shipper(lane, (lane.parent / "fleet.token").read_text()))
    assert fleet.rows("SELECT seq FROM records") == [(4,)]


def test_the_partitions_of_the_coming_months_are_made_even_where_rows_came_too_early(fleet: Fleet) -> None:
    (at_ms,) = partitions.months_ahead()[-1:]
    fleet.execute(
        "INSERT INTO records (lane_id, epoch, seq, at_ms, attempt, kind, version, acquirer, body, prev_hash, hash) "
        "VALUES ('lane-1', 'e', 1, %s, '', 'note', 1, '', '', '', '')",
        at_ms,
    )
    assert fleet.rows("SELECT tableoid::regclass::text FROM records") == [("records_other",)]
    with connected(fleet) as db:
        for _ in range(2):
            partitions.ensure(db, partitions.months_ahead())
        assert len(partitions.existing(db)) >= 3
    ((name,),) = fleet.rows("SELECT tableoid::regclass::text FROM records")
    assert name.startswith("records_2")


def test_an_order_is_erased_and_its_chain_still_verifies(fleet: Fleet, lane: Path) -> None:
    with connected(fleet) as db:
        with pytest.raises(ValueError, match="a payment of order A-2 is open"):
            erasure.erase(db, "lane-1", "A-2")
        with pytest.raises(ValueError, match="has no order A-9"):
            erasure.erase(db, "lane-1", "A-9")
        assert erasure.erase(db, "lane-1", "A-1") == 2
        (verified,) = journals(db, "lane-1")
    assert (verified.problems, verified.erased, verified.rows) == ([], 2, 3)
    assert fleet.rows("SELECT order_no FROM attempts ORDER BY attempt") == [("",), ("A-2",)]
    everything = "".join(
        str(row) for table in ("records", "attempts", "cases") for row in fleet.rows(f"SELECT * FROM {table}")
    )
    assert "A-1" not in everything


def test_a_changed_missing_or_cut_row_is_found(fleet: Fleet, lane: Path) -> None:
    assert CliRunner().invoke(main, ["lane", "verify", "lane-1", "--database", fleet.database]).exit_code == 0
    for change, problem in (
        ("UPDATE records SET body = body || ' ' WHERE seq = 2", "row 2 was changed"),
        ("DELETE FROM records WHERE seq = 2", "rows 2 to 2 are missing"),
        ("DELETE FROM records WHERE seq = 3", "the last stored row is 1, and not the acknowledged row 3"),
    ):
        fleet.execute(change)
        found = CliRunner().invoke(main, ["lane", "verify", "lane-1", "--database", fleet.database])
        assert found.exit_code == 1
        assert problem in found.output
    with Journal(lane, read_only=True) as journal:
        assert journal.verify() == []


def test_old_summaries_go_and_what_is_open_stays(fleet: Fleet) -> None:
    fleet.execute(
        "INSERT INTO attempts (lane_id, epoch, attempt, order_no, acquirer, amount_kopecks, total_kopecks, mode, phase,"
        " presented, begun_at_ms, last_seq, last_at_ms)"
        " SELECT 'lane-1', 'e', attempt, '1', 'a', 1, 1, 1, phase, true, 1, 1, 1 FROM"
        " (VALUES ('final', 'paid'), ('watched', 'watching'), ('decided', 'paid'), ('undecided', 'paid'))"
        " AS found (attempt, phase)"
    )
    fleet.execute(
        "INSERT INTO cases (lane_id, epoch, number, attempt, opened_at_ms, reason, detail, closed_at_ms)"
        " VALUES ('lane-1', 'e', 1, 'decided', 1, '', '', 1), ('lane-1', 'e', 2, 'undecided', 1, '', '', NULL)"
    )
    fleet.execute(
        "INSERT INTO decisions (id, lane_id, epoch, number, phase, operator, resolution, at_ms, made_by)"
        " SELECT gen_random_uuid(), 'lane-1', 'e', n, '', 'A', 'B', 1, 'a' FROM generate_series(1, 3) AS n"
    )
    with connected(fleet) as db:
        dropped = retention.drop_summaries(db, JANUARY_MS)
    assert dropped == {"attempts": 2, "cases": 1, "decisions": 2, "reconciliations": 0, "alarms": 0}
    assert fleet.rows("SELECT attempt FROM attempts ORDER BY attempt") == [("undecided",), ("watched",)]
    assert fleet.rows("SELECT number FROM decisions") == [(2,)]
