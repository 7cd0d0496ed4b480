"""Roll-outs of settings on the page: how each stands, what happened to it, what its lanes have answered."""

from __future__ import annotations

import csv
import io

import psycopg
import pytest

from tests.fleet.office.kit import Office
from tests.fleet.settings import office as settings

pytestmark = pytest.mark.program("pg_createcluster")


@pytest.fixture
def number(office: Office) -> int:
    """Of a roll-out that a lane has refused after another one has applied it."""
    with psycopg.connect(office.database, autocommit=True) as db:
        chain = settings.Office(db)
        version = chain.start()
        chain.applies("lane-1")
        chain.answer("lane-2", "refused", "display.mode: 9 <b>")
    return version


def test_a_roll_out_is_shown_with_its_lanes_and_what_happened(office: Office, number: int) -> None:
    visitor = office.visitor("viewer")
    listed = visitor.get("rollouts?lang=en").text
    assert f"rollout?id={number}" in listed
    assert "stopped" in listed
    page = visitor.get(f"rollout?id={number}")
    assert page.status == 200
    for words in (f"Roll-out {number}", "2: one shop", "ivanova</b>: started it", "the server</b>: stopped it",
                  "1 refused: lane-2: display.mode: 9 <b>", "lane?id=lane-5"):  # fmt: skip
        assert words in page.text, words
    assert "9 <b>" not in page.source
    only = visitor.get(f"rollout?id={number}&status=refused").text
    assert "lane?id=lane-2" in only
    assert "lane?id=lane-1" not in only
    assert f"rollout?id={number}" in visitor.get("lane?id=lane-2").text


def test_a_roll_outs_lanes_are_exported(office: Office, number: int) -> None:
    data = office.visitor("viewer").get(f"rollout.csv?id={number}&lang=en").body.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(data), delimiter=";"))
    assert [row[0] for row in rows[1:]] == ["lane-1", "lane-2", "lane-3", "lane-4", "lane-5"]
    assert rows[2][3:5] == ["refused by the lane", "display.mode: 9 <b>"]


def test_a_roll_out_that_is_not_there_is_no_page(office: Office) -> None:
    visitor = office.visitor("viewer")
    for path in ("rollout", "rollout?id=x", "rollout?id=7", "rollout?id=-1", "rollout.csv?id=x"):
        assert visitor.get(path).status == 404, path
    assert "Ничего не найдено" in visitor.get("rollouts").text
