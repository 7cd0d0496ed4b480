"""No two lanes get the cash link of one plate: a customer at one of them would pay the order of the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from sco_fleet import lanes
from sco_fleet.settings import layers, plans, rollouts
from sco_fleet.settings.check import SettingsRefused
from sco_fleet.settings.merge import Layer
from tests.fleet.settings.kit import KEY
from tests.fleet.settings.office import Office

pytestmark = pytest.mark.program("pg_createcluster")

FIRST = "https://qr.nspk.ru/AS100001ORTF4GAF80KPJ53K186D9A3G?type=01&bank=100000000007&crc=0C8A"
SAME = "https://qr.nspk.ru/AS100001ORTF4GAF80KPJ53K186D9A3G"
SECOND = "https://qr.nspk.ru/AS2000000000000000000000000000KK"


@pytest.fixture
def office(database: str) -> Iterator[Office]:
    with psycopg.connect(database, autocommit=True) as db:
        yield Office(db)


def give(office: Office, lane: str, sticker: str = "", link: str = "") -> None:
    toml = f'[display]\nsticker_id = "{sticker}"\nplate_link = "{link}"\n'
    layers.put(office.db, Layer("lane", lane), toml, "ivanova", "its plate")


def roll_out(office: Office, *names: str) -> None:
    plans.start(office.db, office.plan(lanes=names), KEY, by="ivanova", comment="plates", soak_s=0)


def refused(office: Office, *names: str) -> list[str]:
    """Why nothing can be planned for these lanes; a check of all says it too."""
    with pytest.raises(SettingsRefused) as caught:
        office.plan(lanes=names)
    with pytest.raises(SettingsRefused):
        plans.check_all(office.db)
    problems: list[Any] = caught.value.problems
    return problems


def test_each_lane_has_its_own(office: Office) -> None:
    give(office, "lane-1", "one", FIRST)
    give(office, "lane-2", "two", SECOND)
    assert plans.check_all(office.db) == 5
    roll_out(office)


def test_one_id_on_two_lanes_is_refused(office: Office) -> None:
    give(office, "lane-1", "one", FIRST)
    give(office, "lane-4", "one", SECOND)
    assert refused(office, "lane-4") == [
        "display.sticker_id: the cash link one is given to 2 lanes: lane-1, lane-4: a customer at one of them would "
        "pay the order of another"
    ]


def test_one_link_on_two_lanes_is_refused_however_it_is_written(office: Office) -> None:
    give(office, "lane-1", "one", FIRST)
    give(office, "lane-4", "two", SAME)
    (problem,) = refused(office)
    assert problem.startswith("display.plate_link: the cash link AS100001ORTF4GAF80KPJ53K186D9A3G is given to 2 lanes")


@pytest.mark.parametrize("applied", [True, False])
def test_one_that_another_lane_may_still_run_with_is_refused(office: Office, applied: bool) -> None:
    """A roll-out reaches one lane before the other: the link goes in two of them."""
    give(office, "lane-1", "one", FIRST)
    roll_out(office, "lane-1")
    if applied:
        office.applies("lane-1")
    else:
        office.pull("lane-1")
        rollouts.abort(office.db, 1, "petrov")
    give(office, "lane-1", "two", SECOND)
    give(office, "lane-4", "one", FIRST)
    (first, second) = refused(office, "lane-4")
    assert "is given to lane lane-4, but lane lane-1 may still run with it: first take it from there" in first
    assert second.startswith("display.sticker_id: the cash link one")
    roll_out(office, "lane-1")
    office.applies("lane-1")
    roll_out(office, "lane-4")


def test_that_of_a_lane_that_is_gone_can_be_given_away(office: Office) -> None:
    give(office, "lane-1", "one", FIRST)
    roll_out(office, "lane-1")
    office.applies("lane-1")
    give(office, "lane-4", "one", FIRST)
    assert len(refused(office, "lane-4")) == 2
    lanes.set_disabled(office.db, "lane-1", True)
    roll_out(office, "lane-4")
