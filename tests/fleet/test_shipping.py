"""A lane's journal comes to the database: row by row as it is on the lane, with its attempts and cases."""

from __future__ import annotations

from pathlib import Path

import pytest

from sco_payment.journal import Journal, acknowledged, codec
from tests.fleet.kit import Fleet, ship
from tests.payment.journal.kit import full

pytestmark = pytest.mark.program("pg_createcluster")


@pytest.mark.parametrize("batch_rows", [1, 3, 500])
def test_every_row_arrives_as_it_is(fleet: Fleet, tmp_path: Path, batch_rows: int) -> None:
    count = full(tmp_path / "j")
    shipper = fleet.shipper(tmp_path / "j", fleet.add_lane(), batch_rows=batch_rows)
    ship(shipper)
    with Journal(tmp_path / "j", read_only=True) as journal:
        rows = journal.raw_rows(0, limit=1000, max_bytes=1 << 20)
        epoch, head = journal.id(), journal.head()
        cases = [
            (case.number, case.attempt, case.operator, case.resolution) for case in journal.cases(include_closed=True)
        ]
    assert len(rows) == count
    assert rows == fleet.rows(
        "SELECT seq, at_ms, attempt, kind, version, coalesce(written_by, lane_id), acquirer, body, prev_hash, hash "
        "FROM records ORDER BY seq"
    )
    assert fleet.rows("SELECT epoch, head_seq || ':' || head_hash, projected_seq FROM journals") == [
        (epoch, head, count)
    ]
    assert fleet.rows("SELECT number, attempt, operator, resolution FROM cases") == cases
    with Journal(tmp_path / "j", read_only=True) as journal:
        states = [
            (state.plan.key, state.plan.order_no, state.plan.kopecks, codec.PHASES[state.phase])
            for state in journal.attempts()
        ]
    assert fleet.rows("SELECT attempt, order_no, amount_kopecks, phase FROM attempts ORDER BY attempt") == states
    assert acknowledged.read(tmp_path / "j") == (epoch, count, head.partition(":")[2])
    assert fleet.rows("SELECT kind FROM alarms") == []
