"""Settings that were in force and can no longer be used: those before are, unless the money might go elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sco_payment.fleet.settings_store import Store
from sco_payment.settings import Settings
from sco_payment.settings_reader import SettingsError, load_settings
from sco_service.new_settings import NewSettings
from tests.fleet.settings.disk import run
from tests.fleet.settings.kit import LANE, bundle, files, whole
from tests.fleet.settings.test_taking import lane_file, store_of

NOW = {"lane": {"logo": "removed-since.png"}}
PLATE = "https://qr.nspk.ru/AS100001ORTF4GAF80KPJ53K186D9A3G?type=01&bank=100000000007&crc=0C8A"


def with_both(tmp_path: Path, before: dict[str, Any], now: dict[str, Any]) -> str:
    file = lane_file(tmp_path)
    folder = store_of(file).folder
    folder.mkdir()
    (folder / "previous.json").write_text(bundle(1, before))
    (folder / "settings.json").write_text(bundle(2, now))
    return file


def start(file: str) -> Settings | None:
    """A start of the service: the settings that it goes back to."""
    new = NewSettings(file)
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    return new.go_back(caught.value)


def test_the_former_ones_are_in_force_for_good_and_the_office_learns_why(tmp_path: Path) -> None:
    file = with_both(tmp_path, {"timing": {"grace_s": 60}}, NOW)
    found = start(file)
    assert found is not None
    assert found.timing.grace_s == 60
    assert found == load_settings(file)
    report = store_of(file).report()
    assert report is not None
    assert (report["version"], report["status"]) == (2, "refused")
    assert "removed-since.png: No such file or directory" in report["reason"]
    assert store_of(file).newest_version() == 1  # the office can offer version 2 once more


def test_a_setting_that_an_older_release_does_not_know_is_such_a_case(tmp_path: Path) -> None:
    assert start(with_both(tmp_path, {}, {"timing": {"of_a_later_release_s": 1}})) is not None


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ({"paymaster": {"merchant_id": "of another shop"}}, NOW),
        ({}, NOW | {"paymaster": {"merchant_id": "of another shop"}}),
        ({"display": {"sticker_id": "another"}}, NOW),
        ({"display": {"plate_link": PLATE}}, NOW),
        (NOW, NOW | {"timing": {"grace_s": 60}}),  # they are no better
        (NOW, NOW),
    ],
)
def test_no_way_back_leaves_everything_as_it_is(tmp_path: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    file = with_both(tmp_path, before, now)
    assert start(file) is None
    assert files(store_of(file).folder) == {"settings.json": 2, "previous.json": 1}
    assert store_of(file).report() is None


def test_a_mistake_in_the_lanes_own_file_changes_nothing(tmp_path: Path) -> None:
    file = with_both(tmp_path, {}, NOW)
    Path(file).write_text(Path(file).read_text().replace('shop = "Shop"', "shop = 7"))
    assert start(file) is None
    assert files(store_of(file).folder) == {"settings.json": 2, "previous.json": 1}


def test_the_first_settings_have_none_before(tmp_path: Path) -> None:
    file = with_both(tmp_path, {}, NOW)
    (store_of(file).folder / "previous.json").write_text(bundle(2, NOW))
    assert start(file) is None


def test_a_lane_that_takes_nothing_from_a_fleet_has_no_way_back(tmp_path: Path) -> None:
    file = lane_file(tmp_path)
    Path(file).write_text(Path(file).read_text().partition("settings_key")[0].replace("Shop", "\\u0001"))
    assert start(file) is None


def go_back(store: Store) -> None:
    present, before = store.confirmed(), store.previous()
    if present is not None and before is not None:
        store.go_back(present, before, "no logo")


@pytest.mark.parametrize("power", [False, True], ids=["kill -9", "power cut"])
def test_one_of_two_whole_files_is_in_force_wherever_a_lane_dies_on_its_way_back(tmp_path: Path, power: bool) -> None:
    points = 99
    for at in range(points):
        store = Store(tmp_path / f"{at}", LANE)
        store.folder.mkdir()
        for name, version in (("settings.json", 2), ("previous.json", 1)):
            (store.folder / name).write_text(bundle(version))
        if run(store.folder, go_back, die_at=at, power=power) is not None and at:
            assert at > 5
            return
        in_force = store.in_force()
        assert in_force is not None
        assert in_force.version in (1, 2)
        go_back(store)  # the next start
        assert files(store.folder) == {"settings.json": 1, "previous.json": 1}
        if in_force.version == 2:
            assert store.report() == Store.new_report(whole(2), "refused", "no logo")
    pytest.fail("it never got to its end")
