"""The Grafana dashboard's queries on the real tables, with Grafana's macros written out."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.fleet.office import scene
from tests.fleet.office.kit import Office

pytestmark = pytest.mark.program("pg_createcluster")

DASHBOARD = json.loads((Path(__file__).parents[3] / "fleet/grafana/sco-fleet.json").read_text("utf-8"))
QUERIES: list[tuple[str, str]] = [
    *((panel["title"], target["rawSql"]) for panel in DASHBOARD["panels"] for target in panel["targets"]),
    *((one["name"], one["query"]) for one in DASHBOARD["templating"]["list"] if one["type"] == "query"),
]
_FROM, _TO = "extract(epoch FROM now() - interval '7 days')::bigint", "extract(epoch FROM now())::bigint"
_MACROS = (
    (r"\$__unixEpochGroup\((.+?), \$__interval\)", r"floor((\1) / 3600) * 3600"),
    (r"\$__unixEpochFrom\(\)", _FROM),
    (r"\$__unixEpochTo\(\)", _TO),
    (r"\$__timeFilter\((.+?)\)", r"\1 BETWEEN now() - interval '7 days' AND now()"),
)


def written_out(query: str, shop: str) -> str:
    """As the plugin of Grafana for PostgreSQL sends it."""
    for macro, text in _MACROS:
        query = re.sub(macro, text, query)
    query = query.replace("${shop:sqlstring}", f"'{shop}'")
    assert "$" not in query, query
    return query


@pytest.fixture
def rows(office: Office, tmp_path: Path) -> Any:
    scene.build(office, tmp_path, lanes=5)
    office.execute(
        "INSERT INTO reconciliations (day, time_zone, source, made_by, status)"
        " VALUES (current_date - 1, 'Europe/Moscow', 'list', 'x', 'whole')"
    )
    office.execute("INSERT INTO differences (reconciliation, number, kind) SELECT id, 1, 'amount' FROM reconciliations")
    office.execute("UPDATE cases SET closed_at_ms = opened_at_ms + 7200000, operator = 'x', resolution = 'y'"
                   " WHERE lane_id = 'KSO-05'")  # fmt: skip
    office.execute('UPDATE lanes SET health = \'{"devices": [{"state": "fault"}]}\' WHERE lane_id = \'KSO-01\'')

    def found(query: str, shop: str = "") -> list[dict[str, Any]]:
        return office.rows(written_out(query, shop).replace("%", "%%"))

    return found


def test_every_query_finds_something(rows: Any) -> None:
    for title, query in QUERIES:
        found = rows(query)
        assert found, title
        if len(found) == 1 and len(found[0]) == 1:  # a number
            assert next(iter(found[0].values())) > 0, title


def test_a_shop_is_chosen(rows: Any) -> None:
    (every,) = rows(QUERIES[0][1])
    assert every == {"open": 1}
    assert rows(QUERIES[0][1], scene.SHOPS[2]) == [{"open": 1}]
    assert rows(QUERIES[0][1], scene.SHOPS[0]) == [{"open": 0}]


def test_trends_are_read_from_an_index(office: Office) -> None:
    by_title = dict(QUERIES)
    with psycopg.connect(office.database) as db:
        db.execute("SET enable_seqscan = off")
        for title, index in (("Payments by outcome", "attempts_by_time"), ("Cases opened, by reason", "cases_by_time")):
            query = "EXPLAIN " + written_out(by_title[title], "")
            assert index in "\n".join(row[0] for row in db.execute(query.encode())), title


def test_panels_have_their_own_places() -> None:
    places = [(one["gridPos"], one["title"]) for one in DASHBOARD["panels"]]
    for number, (a, title) in enumerate(places):
        assert a["x"] + a["w"] <= 24, title
        for b, other in places[number + 1 :]:
            apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
            assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (title, other)
    assert len({one["id"] for one in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
