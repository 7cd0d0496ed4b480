"""Roll-outs on a real database: stages, stops, silent lanes, versions, and what lanes are offered meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from sco_fleet import lanes
from sco_fleet.settings import layers, offers, plans, rollouts, status
from sco_fleet.settings.check import SettingsRefused
from sco_fleet.settings.merge import Layer
from sco_fleet.settings.rollouts import RolloutError
from sco_payment.fleet.bundle import verified
from tests.fleet.settings.kit import KEY
from tests.fleet.settings.office import SHOPS, Office

pytestmark = pytest.mark.program("pg_createcluster")


@pytest.fixture
def db(database: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(database, autocommit=True) as found:
        yield found


@pytest.fixture
def office(db: psycopg.Connection[Any]) -> Office:
    return Office(db)


def test_one_lane_then_its_shop_then_all(office: Office) -> None:
    version = office.start()
    assert office.offered() == ["lane-1"]
    office.applies("lane-1")
    assert office.offered() == ["lane-1", "lane-2", "lane-3"]
    office.applies("lane-2")
    assert office.state() == ("running", 2)
    office.applies("lane-3")
    assert office.state() == ("running", 3)
    assert office.offered() == list(SHOPS)
    office.applies("lane-4", "lane-5")
    assert office.state() == ("done", 3)
    assert [event.what for event in status.events(office.db, version)] == [
        "started",
        "stage 2: one shop",
        "stage 3: all",
        "done",
    ]
    assert offers.offer(office.db, "lane-1", version, office.pull("lane-1").hash) is None


def test_each_lane_gets_its_own_settings_signed(office: Office) -> None:
    layers.put(office.db, Layer("shop", "7"), '[lane]\nshop = "Shop 7"', "ivanova", "its name")
    version = office.start()
    office.applies("lane-1")
    for lane in ("lane-1", "lane-2"):
        bundle = verified(office.pull(lane).text, keys=[KEY.public], lane=lane, newest=0)
        assert bundle.version == version
        assert bundle.settings == {"timing": {"grace_s": 601}, "lane": {"shop": "Shop 7"}}
        assert bundle.layers == {"chain": 1, "shop:7": 1}


def look(office: Office) -> tuple[str, int]:
    rollouts.look(office.db)
    return office.state()


def test_a_stage_lasts_until_each_lane_has_run_with_them_for_the_soak(office: Office) -> None:
    office.start(soak_s=300)
    office.pull("lane-1")
    office.passed(250)  # it waits for its customer's end, and comes up
    office.seen("lane-1")
    office.applies("lane-1")
    office.passed(290)
    office.seen("lane-1")
    assert look(office) == ("running", 1)
    office.passed(20)
    assert look(office) == ("running", 1)  # it was heard from 290 s after it applied them
    office.seen("lane-1")
    assert look(office) == ("running", 2)
    office.applies("lane-2")
    office.passed(200)
    office.seen("lane-1", "lane-2", "lane-3")
    office.applies("lane-3")
    office.passed(150)
    office.seen("lane-1", "lane-2", "lane-3")
    assert look(office) == ("running", 2)
    office.passed(160)
    office.seen("lane-1", "lane-2", "lane-3")
    assert look(office) == ("running", 3)


@pytest.mark.parametrize("lives_s", [5, 150, 290])
def test_a_lane_that_dies_of_them_in_its_soak_keeps_them_from_the_next(office: Office, lives_s: float) -> None:
    """It is silent for good only after the soak would be over."""
    office.start(soak_s=300)
    office.applies("lane-1")
    office.passed(lives_s)
    office.seen("lane-1")
    for _ in range(12):
        assert look(office) == ("running", 1)
        office.passed(25)
    office.passed(5)
    assert look(office) == ("stopped", 1)
    assert office.why() == "1 silent since they pulled it"


def test_a_silent_lane_that_somebody_knows_of_is_not_waited_for(office: Office) -> None:
    version = office.start(soak_s=300)
    office.applies("lane-1")
    office.passed(301)
    assert look(office) == ("stopped", 1)
    rollouts.go_on(office.db, version, "petrov", "it was switched off")
    office.passed(301)
    assert look(office) == ("running", 2)


def test_the_first_refusal_stops_it(office: Office) -> None:
    office.start()
    office.answer("lane-1", "refused", "no such file")
    assert office.state() == ("stopped", 1)
    assert office.why() == "1 refused: lane-1: no such file"
    assert office.offered() == []
    assert [alarm for (alarm,) in office.db.execute("SELECT detail FROM alarms").fetchall()] == [
        "version 1: no such file"
    ]


def test_it_stops_at_the_number_of_refusals_that_it_was_given(office: Office) -> None:
    office.start(stop_after=2)
    office.applies("lane-1")
    office.answer("lane-2", "refused", "no such file")
    assert office.state()[0] == "running"
    office.answer("lane-3", "refused", "no such file")
    assert office.state()[0] == "stopped"


def test_it_continues_past_refusals_that_somebody_has_seen(office: Office) -> None:
    version = office.start()
    office.applies("lane-1")
    office.answer("lane-2", "refused", "no such file")
    rollouts.go_on(office.db, version, "petrov", "a broken lane")
    assert office.offered() == ["lane-1", "lane-3"]  # lane-2 has refused it
    office.applies("lane-3")
    assert office.state() == ("running", 3)
    office.answer("lane-4", "refused", "no such file")
    assert office.state() == ("stopped", 3)


def test_a_lane_that_refused_gets_it_once_more_when_somebody_says_so(office: Office) -> None:
    version = office.start()
    office.answer("lane-1", "refused", "no such file")
    rollouts.go_on(office.db, version, "petrov")
    assert office.offered() == []
    assert rollouts.retry(office.db, version, ["lane-1"], "petrov") == 1
    assert office.offered() == ["lane-1"]
    office.applies("lane-1")
    assert office.state() == ("running", 2)


def test_paused_it_offers_nothing_and_goes_on_where_it_was(office: Office) -> None:
    version = office.start()
    office.applies("lane-1")
    rollouts.pause(office.db, version, "petrov", "closing time")
    assert office.offered() == []
    rollouts.go_on(office.db, version, "petrov")
    assert office.offered() == ["lane-1", "lane-2", "lane-3"]


def test_aborted_it_ends_and_lanes_keep_what_they_have(office: Office) -> None:
    version = office.start()
    office.applies("lane-1")
    rollouts.abort(office.db, version, "petrov", "a mistake")
    assert office.offered() == []
    with pytest.raises(RolloutError, match="roll-out 1 is aborted, not paused or stopped"):
        rollouts.go_on(office.db, version, "petrov")
    with pytest.raises(RolloutError, match="there is no roll-out 9"):
        rollouts.pause(office.db, 9, "petrov")


def test_a_lane_that_is_off_holds_nobody_up_and_is_listed(office: Office) -> None:
    version = office.start(wait_s=60)
    office.applies("lane-1", "lane-2")
    rollouts.look(office.db)
    assert office.state() == ("running", 2)
    office.passed(61)
    rollouts.look(office.db)
    assert office.state() == ("running", 3)
    assert office.why() == "lanes without an answer: 1"
    office.applies("lane-4", "lane-5")
    assert office.state() == ("done", 3)
    assert [lane.lane_id for lane in status.answers(office.db, version, "waiting")] == ["lane-3"]
    assert office.offered() == list(SHOPS)
    office.applies("lane-3")  # when it comes back


def test_nobody_else_gets_what_no_lane_has_tried(office: Office) -> None:
    office.start(wait_s=60)
    for _ in range(2):
        office.passed(61)
        rollouts.look(office.db)
    assert office.state() == ("stopped", 2)
    assert office.why() == "no lane has applied it, and the next stage is all"


@pytest.mark.parametrize("applied", [False, True])
def test_a_lane_that_is_silent_since_it_got_them_stops_it(office: Office, applied: bool) -> None:
    version = office.start(soak_s=600)
    office.pull("lane-1")
    if applied:
        office.applies("lane-1")
    office.passed(301)
    rollouts.look(office.db)
    assert office.state() == ("stopped", 1)
    assert office.why() == "1 silent since they pulled it"
    rollouts.go_on(office.db, version, "petrov", "it was switched off")
    rollouts.look(office.db)
    assert office.state() == ("running", 1)


def test_a_lane_that_waits_for_its_customer_is_not_silent(office: Office) -> None:
    office.start(soak_s=0)
    office.pull("lane-1")
    office.passed(301)
    office.seen("lane-1")
    rollouts.look(office.db)
    assert office.state() == ("running", 1)


def test_any_server_goes_on_with_it_and_looks_now_and_then(office: Office, database: str) -> None:
    office.start(wait_s=60)
    office.pull("lane-1")
    rollouts.look_if_due(office.db)
    office.passed(61)
    office.seen("lane-1")
    with psycopg.connect(database, autocommit=True) as other:
        rollouts.look_if_due(other)
        assert office.state() == ("running", 2)


def test_a_heartbeat_with_the_version_says_that_it_is_applied(office: Office) -> None:
    version = office.start()
    offers.offer(office.db, "lane-1", version, office.pull("lane-1").hash)  # its report was lost
    rollouts.look(office.db)
    assert office.state() == ("running", 2)


def damaged(office: Office) -> list[str]:
    """The lanes with this alarm."""
    rows = office.db.execute("SELECT lane_id FROM alarms WHERE kind = 'settings_damaged' AND times = 1").fetchall()
    return [lane for (lane,) in rows]


def test_a_heartbeat_with_the_version_and_another_hash_is_an_alarm_and_not_applied(office: Office) -> None:
    """Its disk is a copy of lane-1's; or what is here was signed after an older copy of the database was restored."""
    version = office.start()
    office.applies("lane-1")
    office.pull("lane-2")
    offers.offer(office.db, "lane-2", version, office.pull("lane-1").hash)
    rollouts.look(office.db)
    assert damaged(office) == ["lane-2"]
    assert office.state() == ("stopped", 2)
    assert "lane-2: the lane runs with a version 1 that was not signed for it here" in office.why()
    rollouts.abort(office.db, version, "petrov")
    assert "lane-2" in [change.place.lane_id for change in office.plan().changes]


def test_what_was_applied_and_is_something_else_now_is_given_again_by_the_next_roll_out(office: Office) -> None:
    version = office.start(wait_s=0)
    office.applies(*SHOPS)
    offers.offer(office.db, "lane-2", version, office.pull("lane-1").hash)
    assert damaged(office) == ["lane-2"]
    assert [change.place.lane_id for change in office.plan().changes] == ["lane-2"]


def test_a_version_that_was_never_signed_for_the_lane_is_an_alarm(office: Office) -> None:
    version = office.start(lanes=["lane-1"])
    office.applies("lane-1")
    office.start()
    offers.offer(office.db, "lane-2", version, office.pull("lane-1").hash)
    assert damaged(office) == ["lane-2"]
    assert offers.offer(office.db, "lane-1", version, bundle_hash(office, "lane-1", version)) is not None
    assert damaged(office) == ["lane-2"]


def bundle_hash(office: Office, lane: str, version: int) -> str:
    row = office.db.execute("SELECT hash FROM bundles WHERE lane_id = %s AND version = %s", (lane, version)).fetchone()
    assert row is not None
    return str(row[0])


def test_a_lane_whose_disk_was_restored_gets_them_again(office: Office) -> None:
    office.start()
    office.applies("lane-1")
    assert offers.offer(office.db, "lane-1", 0, "") == {"version": 1, "hash": office.pull("lane-1").hash}


def test_a_report_of_something_that_was_not_signed_is_an_alarm_and_a_refusal(office: Office) -> None:
    office.start()
    office.pull("lane-1")
    offers.report(office.db, "lane-1", 1, "0" * 64, "refused", "it was changed")
    kinds = {kind for (kind,) in office.db.execute("SELECT kind FROM alarms").fetchall()}
    assert kinds == {"settings_refused", "settings_damaged"}
    assert office.state() == ("stopped", 1)


def test_one_at_a_time(office: Office) -> None:
    version = office.start()
    with pytest.raises(RolloutError, match="roll-out 1 is running: let it end, or abort it"):
        office.start()
    rollouts.abort(office.db, version, "petrov")
    assert office.start() == 2


def test_two_that_are_begun_at_once_are_one(office: Office) -> None:
    office.change()
    planned = [office.plan() for _ in range(2)]
    plans.start(office.db, planned[0], KEY, by="ivanova", comment="new")
    rollouts.abort(office.db, 1, "petrov")
    with pytest.raises(RolloutError, match="another roll-out began meanwhile"):
        plans.start(office.db, planned[1], KEY, by="ivanova", comment="new")


def test_only_lanes_whose_settings_change_get_any(office: Office) -> None:
    office.start(wait_s=0)
    office.applies(*SHOPS)
    with pytest.raises(RolloutError, match="no lane's settings would change"):
        plans.start(office.db, office.plan(), KEY, by="ivanova", comment="new")
    office.change("lane:lane-4")
    planned = office.plan()
    assert [(change.place.lane_id, change.stage) for change in planned.changes] == [("lane-4", 1)]
    assert planned.unchanged == 4
    assert [change.place.lane_id for change in office.plan(shops=["8", "9"]).changes] == ["lane-4"]
    with pytest.raises(RolloutError, match="lane-1 do not change, so it cannot be the first one"):
        office.plan(first_lane="lane-1")


def test_what_an_aborted_roll_out_did_not_reach_is_rolled_out_by_the_next(office: Office) -> None:
    version = office.start()
    office.applies("lane-1")
    office.pull("lane-1")
    rollouts.abort(office.db, version, "petrov")
    assert [change.place.lane_id for change in office.plan().changes] == ["lane-2", "lane-3", "lane-4", "lane-5"]


def test_only_those_that_are_named_get_them(office: Office) -> None:
    office.start(shops=["8"], lanes=["lane-5"], first_lane="lane-5")
    assert office.offered() == ["lane-5"]
    office.applies("lane-5")
    assert office.offered() == ["lane-4", "lane-5"]
    office.applies("lane-4")
    assert office.state() == ("done", 3)


def test_a_disabled_lane_gets_nothing(office: Office) -> None:
    lanes.set_disabled(office.db, "lane-5", True)
    office.change()
    assert "lane-5" not in [change.place.lane_id for change in office.plan().changes]


def test_settings_that_some_lane_cannot_use_are_signed_for_nobody(office: Office) -> None:
    layers.put(office.db, Layer("shop", "8"), "[timing]\npoll_timeout_s = 2", "ivanova", "faster")
    with pytest.raises(SettingsRefused, match=r"timing\.poll_timeout_s must be longer .* \(lane lane-4\)"):
        office.start()
    assert status.rollouts(office.db) == []


def test_a_database_that_is_an_older_copy_is_noticed(office: Office) -> None:
    office.db.execute("UPDATE lanes SET settings_version = 7 WHERE lane_id = 'lane-2'")
    offers.offer(office.db, "lane-2", 7, "0" * 64)
    assert office.db.execute("SELECT kind FROM alarms").fetchall() == [("settings_ahead",)]
    with pytest.raises(RolloutError, match=r"not newer than version 7: lane lane-2.*give --version 8"):
        office.start()
    assert office.start(version=8) == 8
    rollouts.abort(office.db, 8, "petrov")
    with pytest.raises(RolloutError, match="not higher than those before: write 9 or more"):
        office.plan(version=8)


def test_going_back_is_another_version_with_the_former_settings(office: Office) -> None:
    office.start(wait_s=0)
    office.applies(*SHOPS)
    before = office.pull("lane-1").settings
    office.change("shop:7")
    office.start(wait_s=0)
    office.applies(*SHOPS)
    assert office.pull("lane-1").settings != before
    done = layers.go_back(office.db, status.layers_of(office.db, 1), "petrov", "it was better")
    assert done == [(Layer("chain"), 3), (Layer("shop", "7"), 2)]
    assert layers.go_back(office.db, status.layers_of(office.db, 1), "petrov", "again") == []
    plans.start(office.db, office.plan(), KEY, by="petrov", comment="back")
    bundle = office.pull("lane-1")
    assert (bundle.version, bundle.settings) == (3, before)
    assert plans.last_applied(office.db, "lane-4") == (2, {"timing": {"grace_s": 603}})


def test_the_list_of_roll_outs_counts_answers(office: Office) -> None:
    office.start(stop_after=5)
    office.applies("lane-1")
    office.pull("lane-2")
    office.answer("lane-3", "refused", "no")
    (found,) = status.rollouts(office.db)
    assert (found.applied, found.refused, found.pulled, found.waiting) == (1, 1, 1, 2)
    with pytest.raises(RolloutError, match="there is no roll-out 9"):
        status.rollout(office.db, 9)
