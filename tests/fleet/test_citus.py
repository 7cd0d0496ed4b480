"""The tables can be distributed by lane. Citus itself is not here: a function in its place writes down the calls."""

from __future__ import annotations

import pytest

from sco_fleet.database import migrate
from tests.fleet.kit import Fleet

pytestmark = pytest.mark.program("pg_createcluster")

_IN_ITS_PLACE = """
CREATE TABLE pg_dist_partition (logicalrelid regclass);
CREATE FUNCTION create_distributed_table(t regclass, by text, colocate_with text DEFAULT 'default') RETURNS void
LANGUAGE sql AS $$ INSERT INTO pg_dist_partition VALUES (t) $$;
"""


def test_each_table_of_a_lane_is_distributed_once(fleet: Fleet) -> None:
    fleet.execute(_IN_ITS_PLACE)
    for _ in range(2):
        migrate(fleet.database)
    found = [table for (table,) in fleet.rows("SELECT logicalrelid::text FROM pg_dist_partition")]
    assert found[0] == "lanes"
    assert {"records", "attempts", "cases", "journals", "decisions", "alarms"} <= set(found)
    assert len(found) == len(set(found))
    assert "records_other" not in found


def test_every_unique_key_of_a_lanes_table_has_the_lane_in_it(fleet: Fleet) -> None:
    """Citus refuses any other one, and foreign keys to tables that are not distributed the same way."""
    wrong = fleet.rows(
        "SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'lane_id' "
        "WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace AND NOT a.attnum = ANY (i.indkey)"
    )
    assert wrong == []
