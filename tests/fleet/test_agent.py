"""A lane's agent with the server: health, clock, decisions of the office, and a journal that is not the latest."""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sco_fleet import heartbeat
from sco_payment.fleet.agent import Agent
from sco_payment.journal import Journal, resolutions
from sco_payment.settings import FleetSettings, JournalSettings, LaneSettings, Settings
from tests.fleet.kit import Fleet, ship
from tests.payment.journal.kit import full, opened, written

pytestmark = pytest.mark.program("pg_createcluster")

AgentOf = Callable[..., Agent]


@pytest.fixture
def agent_of(fleet: Fleet, tmp_path: Path) -> AgentOf:
    """Makes an agent for the journal at a path."""
    token = fleet.add_lane()

    def make(journal: Path, health: dict[str, Any] | None = None) -> Agent:
        settings = Settings(
            lane=LaneSettings(pos_id="lane-1"),
            journal=JournalSettings(path=str(journal)),
            fleet=fleet.settings(tmp_path, token, ship_interval_s=0.1, heartbeat_s=1.0),
        )
        return Agent(settings, lambda: dict(health or {}))

    return make


def beat(agent: Agent) -> None:
    """One turn with a heartbeat, whose time it is."""
    agent._heartbeat_at = 0.0
    agent.turn()
    assert agent.last_error == ""


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_rows_and_health_arrive(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    count = full(tmp_path / "j")
    agent = agent_of(tmp_path / "j", {"open_cases": 3, "settings_hash": "abc", "odd": "\udcff\0"})
    beat(agent)
    assert agent.acknowledged_row == count
    ((seen, version, ahead_ms, settings_hash, health),) = fleet.rows(
        "SELECT last_seen_at IS NOT NULL, version, clock_ahead_ms, settings_hash, health FROM lanes"
    )
    assert seen
    assert version
    assert abs(ahead_ms) < 60_000
    assert (settings_hash, health) == (
        "abc",
        {"open_cases": 3, "settings_hash": "abc", "odd": "?\ufffd"},
    )
    with Journal(tmp_path / "j", read_only=True) as journal:
        assert fleet.rows("SELECT epoch, seq FROM lanes") == [(journal.id(), count)]
    assert fleet.rows("SELECT kind FROM alarms") == []


def test_it_runs_in_a_thread_and_is_woken(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    written(tmp_path / "j")
    agent = agent_of(tmp_path / "j")
    agent._settings = replace(agent._settings, fleet=replace(agent._settings.fleet, heartbeat_s=3600))
    agent.start()
    try:
        with opened(tmp_path / "j") as journal:
            journal.on_commit = agent.wake
            until(lambda: agent.acknowledged_row == journal.count())
            journal.note("k1", "one more", at_ms=3_000)
            until(lambda: agent.acknowledged_row == journal.count())
    finally:
        agent.close()


def decide(fleet: Fleet, journal: Path, *, phase: str = "", number: int = 1, epoch: str = "") -> str:
    """What the office does."""
    with Journal(journal, read_only=True) as found:
        epoch, phase = epoch or found.id(), phase or found.cases(include_closed=True)[0].phase
    decision = str(uuid.uuid4())
    fleet.execute(
        "INSERT INTO decisions (id, lane_id, epoch, number, phase, operator, resolution, at_ms, made_by) "
        "VALUES (%s, 'lane-1', %s, %s, %s, 'Petrova', 'refunded', 70000, 'petrova')",
        decision,
        epoch,
        number,
        phase,
    )
    return decision


def decisions(fleet: Fleet) -> list[tuple[str, str]]:
    return fleet.rows("SELECT status, answer FROM decisions")  # type: ignore[return-value]


def test_a_decision_is_journalled_on_the_lane(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    written(tmp_path / "j")
    agent = agent_of(tmp_path / "j")
    beat(agent)
    decide(fleet, tmp_path / "j")
    for _ in range(3):  # sent again until it is answered
        beat(agent)
    assert decisions(fleet) == [("waiting", "")]
    assert fleet.rows("SELECT closed_at_ms FROM cases") == [(None,)]  # the centre closes nothing by itself
    with opened(tmp_path / "j") as journal:
        resolutions.apply_pending(journal)
        assert journal.case(1).operator == "Petrova"
    beat(agent)
    assert decisions(fleet) == [("applied", "")]
    assert fleet.rows("SELECT closed_at_ms, operator, resolution FROM cases") == [(70_000, "Petrova", "refunded")]
    with opened(tmp_path / "j") as journal:
        count = journal.count()
        resolutions.apply_pending(journal)
        assert journal.count() == count


def test_a_decision_on_a_payment_that_moved_on_is_refused(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    written(tmp_path / "j")
    with Journal(tmp_path / "j", read_only=True) as journal:
        now = journal.cases()[0].phase
    agent = agent_of(tmp_path / "j")
    decide(fleet, tmp_path / "j", phase="waiting")
    for _ in range(2):
        beat(agent)
    status, answer = decisions(fleet)[0]
    if now in resolutions.NEWS:
        assert (status, answer) == ("refused", f"the payment was waiting when this was decided, and is {now} now")
    else:
        assert status == "waiting"


@pytest.mark.parametrize(
    ("number", "epoch", "answer"), [(7, "", "there is no case 7"), (1, "other", "the lane has another journal now")]
)
def test_a_decision_on_no_case_of_the_lane_is_refused(
    fleet: Fleet, agent_of: AgentOf, tmp_path: Path, number: int, epoch: str, answer: str
) -> None:
    written(tmp_path / "j")
    agent = agent_of(tmp_path / "j")
    decide(fleet, tmp_path / "j", number=number, epoch=epoch)
    for _ in range(2):
        beat(agent)
    ((status, text),) = decisions(fleet)
    assert status == "refused"
    assert text.startswith(answer)


def test_a_decision_closes_no_case_of_another_payment(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    """On a restored disk the journal has its id still, and gives the numbers of lost cases to new ones."""
    lane, copy = tmp_path / "lane", tmp_path / "copy"
    lane.mkdir()
    opened(lane / "j").close()
    shutil.copytree(lane, copy)
    written(lane / "j", ("k1",))
    beat(agent_of(lane / "j"))
    decide(fleet, lane / "j")
    written(copy / "j", ("k9",))
    shutil.rmtree(lane)
    copy.rename(lane)
    agent = agent_of(lane / "j")
    for _ in range(2):
        beat(agent)
    assert decisions(fleet) == [("refused", "case 1 of this journal is another payment's: an older copy is in use")]
    with opened(lane / "j") as journal:
        resolutions.apply_pending(journal)
        assert journal.case(1).closed_at_ms is None


def test_a_decision_that_could_not_be_read_again_is_refused(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    written(tmp_path / "j")
    agent = agent_of(tmp_path / "j")
    decide(fleet, tmp_path / "j")
    fleet.execute("UPDATE decisions SET resolution = repeat('x', 70000)")
    for _ in range(2):
        beat(agent)
    assert decisions(fleet) == [("refused", "name and reason are longer than 4000 characters")]
    assert resolutions.pending(tmp_path / "j") == {}


def test_a_decision_with_a_time_that_is_none_is_refused(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    written(tmp_path / "j")
    agent = agent_of(tmp_path / "j")
    decide(fleet, tmp_path / "j")
    fleet.execute("UPDATE decisions SET at_ms = 9007199254740993")
    for _ in range(2):
        beat(agent)
    assert decisions(fleet) == [("refused", "resolution: a number is out of range")]
    assert not (tmp_path / "j.resolutions").exists()


def test_a_long_reason_of_the_shop_does_not_silence_the_lane(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    written(tmp_path / "j")
    agent = agent_of(tmp_path / "j")
    decide(fleet, tmp_path / "j")
    with opened(tmp_path / "j") as journal:
        journal.close_case(1, operator="Ivanova", resolution="nothing\0came " * 300, at_ms=65_000)
    for _ in range(2):
        beat(agent)
    ((status, answer),) = decisions(fleet)
    assert (status, answer[:43]) == ("refused", "Ivanova has closed it: nothing\ufffdcame nothing")


def test_a_case_that_the_shop_has_closed_first_is_refused(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    written(tmp_path / "j")
    agent = agent_of(tmp_path / "j")
    decide(fleet, tmp_path / "j")
    with opened(tmp_path / "j") as journal:
        journal.close_case(1, operator="Ivanova", resolution="nothing came", at_ms=65_000)
    for _ in range(2):
        beat(agent)
    assert decisions(fleet) == [("refused", "Ivanova has closed it: nothing came")]


def test_an_older_copy_of_the_journal_is_noticed(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    """It is opened again: the newer rows may be those of a clone of this lane, whose fault this is not."""
    lane = tmp_path / "lane"
    lane.mkdir()
    written(lane / "j")
    shutil.copytree(lane, tmp_path / "copy")
    full(lane / "more")
    with opened(lane / "j") as journal:
        journal.note("k1", "after the copy", at_ms=70_000)
        last = journal.count()
    beat(agent_of(lane / "j"))
    shutil.rmtree(lane)
    (tmp_path / "copy").rename(lane)  # the whole disk, with all that remembers the last row
    opened(lane / "j").close()
    agent = agent_of(lane / "j")
    beat(agent)
    assert agent.behind.startswith(f"the journal ends at row {last - 1}, and the fleet has its row {last}")
    assert "journal_rolled_back" in [kind for (kind,) in fleet.rows("SELECT kind FROM alarms")]
    opened(lane / "j").close()


def test_a_report_that_was_held_back_raises_no_alarm(fleet: Fleet, tmp_path: Path) -> None:
    full(tmp_path / "j")
    token = fleet.add_lane()
    ship(fleet.shipper(tmp_path / "j", token))
    with Journal(tmp_path / "j", read_only=True) as journal:
        epoch, last = journal.id(), journal.count()
    now_ms, alarms = time.time_ns() // 1_000_000, []
    for seq, at_ms in ((last, now_ms - 60_000), (last - 1, now_ms - 59_000), (last - 1, now_ms + 1_000)):
        report = {"epoch": epoch, "seq": seq, "now_ms": at_ms}
        assert fleet.request("POST", "/heartbeat", token, report).status == 200
        if at_ms == now_ms - 60_000:  # as if it had come in time
            fleet.execute("UPDATE lanes SET last_seen_at = last_seen_at - interval '60 s', clock_ahead_ms = 0")
        alarms.append(len(fleet.rows("SELECT FROM alarms")))
    assert alarms == [0, 0, 1]


def test_a_report_that_waited_in_the_server_raises_no_alarm(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lane has given up on its answer by then, and may have sent rows."""
    full(tmp_path / "j")
    ship(fleet.shipper(tmp_path / "j", fleet.add_lane()))
    with Journal(tmp_path / "j", read_only=True) as journal:
        epoch, last = journal.id(), journal.count()
    ((lane_id,),) = fleet.rows("SELECT lane_id FROM lanes")
    head = heartbeat.ingest.head

    def waits(*about: Any) -> Any:
        time.sleep(0.5)
        return head(*about)

    monkeypatch.setattr(heartbeat, "_HELD_MS", 400)
    monkeypatch.setattr(heartbeat.ingest, "head", waits)
    with psycopg.connect(fleet.database) as db:
        heartbeat.receive(db, lane_id, heartbeat.Report(epoch, last - 1, time.time_ns() // 1_000_000))
    assert fleet.rows("SELECT kind FROM alarms") == []


def test_a_centre_that_lost_rows_gets_them_again(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    count = full(tmp_path / "j")
    agent = agent_of(tmp_path / "j")
    beat(agent)
    ((digest,),) = fleet.rows("SELECT hash FROM records WHERE seq = 5")
    fleet.execute("DELETE FROM records WHERE seq > 5")
    fleet.execute("UPDATE journals SET head_seq = 5, head_hash = %s", digest)
    beat(agent)
    beat(agent)
    assert fleet.rows("SELECT count(*) FROM records") == [(count,)]


def test_a_lane_whose_clock_is_a_year_off_is_raised(fleet: Fleet, agent_of: AgentOf, tmp_path: Path) -> None:
    written(tmp_path / "j")
    token = (tmp_path / "fleet.token").read_text() if (tmp_path / "fleet.token").exists() else ""
    agent_of(tmp_path / "j")
    token = (tmp_path / "fleet.token").read_text()
    report = {"epoch": "e", "seq": 0, "hash": "0" * 64, "now_ms": round(time.time() * 1000) + 31_536_000_000}
    for later_ms in (0, 0, 1_000):  # the first one twice
        again = {**report, "now_ms": report["now_ms"] + later_ms}
        assert fleet.request("POST", "/heartbeat", token, again).status == 200
    assert fleet.rows("SELECT kind, times FROM alarms") == [("clock_off", 2)]


def test_a_token_that_does_not_serve_is_reported_and_tried_again(
    fleet: Fleet, agent_of: AgentOf, tmp_path: Path
) -> None:
    written(tmp_path / "j")
    agent = agent_of(tmp_path / "j")
    good = (tmp_path / "fleet.token").read_text()
    (tmp_path / "fleet.token").write_text("no-token")
    assert agent.turn() > 0
    assert "unknown or replaced token" in agent.last_error
    (tmp_path / "fleet.token").write_text(good)  # read again when it is refused
    beat(agent)


def test_settings_without_a_url_are_no_fleet() -> None:
    assert FleetSettings().url == ""
