"""When a lane tries again: later each time, never at a moment of all lanes, and not before the server allows it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sco_payment.fleet.agent import Agent
from sco_payment.fleet.client import FleetRefused
from sco_payment.journal import Journal
from sco_payment.journal.acknowledged import Head
from sco_payment.settings import FleetSettings, JournalSettings, Settings
from tests.payment.journal.kit import full
from tests.payment.paymaster.raw_server import RawServer, http

BUSY = b'{"error":{"code":"unavailable","message":"come again"}}'


def agent_for(server: RawServer | None, folder: Path) -> Agent:
    """An agent of a lane with a journal."""
    full(folder / "j")
    (folder / "t").touch(0o600)
    (folder / "t").write_text("token")
    url = "http://127.0.0.1:1" if server is None else server.url
    fleet = FleetSettings(url=url, token_file=str(folder / "t"), longest_wait_s=60.0, timeout_s=10.0)
    return Agent(Settings(journal=JournalSettings(path=str(folder / "j")), fleet=fleet), dict)


def test_it_waits_twice_as_long_each_time_up_to_a_limit(tmp_path: Path) -> None:
    agent = agent_for(None, tmp_path)
    waits = [agent.turn() for _ in range(9)]
    for number, wait_s in enumerate(waits):
        longest = min(60.0, 2.0**number)
        assert longest / 2 <= wait_s <= longest


def test_two_lanes_do_not_come_at_the_same_moment(tmp_path: Path) -> None:
    waits = set()
    for number in range(5):
        folder = tmp_path / str(number)
        folder.mkdir()
        waits.add(agent_for(None, folder).turn())
    assert len(waits) == 5


@pytest.mark.parametrize(
    ("asked", "least", "most"), [("120", 120.0, 150.0), ("0", 0.5, 1.0), ("999999", 3600.0, 4500.0)]
)
def test_it_does_not_come_before_the_server_allows_it(tmp_path: Path, asked: str, least: float, most: float) -> None:
    server = RawServer(http(BUSY, "503 Service Unavailable", f"Retry-After: {asked}"))
    try:
        assert least <= agent_for(server, tmp_path).turn() <= most
    finally:
        server.close()


def test_an_answer_ends_the_waiting(tmp_path: Path) -> None:
    agent = agent_for(None, tmp_path)
    for _ in range(5):
        agent.turn()
    with Journal(tmp_path / "j", read_only=True) as journal:
        seq, _, digest = journal.head().partition(":")
        head = {"epoch": journal.id(), "seq": int(seq), "hash": digest}
    server = RawServer(http(json.dumps({**head, "head": head, "now_ms": 0}).encode(), "200 OK", "Connection: close"))
    fleet = replace(agent._settings.fleet, url=server.url)
    agent._settings, agent._client = replace(agent._settings, fleet=fleet), None
    try:
        assert agent.turn() == pytest.approx(fleet.heartbeat_s, rel=0.2)
        assert (agent.last_error, agent.acknowledged_row) == ("", int(seq))
        server.close()
        agent._client, agent._heartbeat_at = None, 0.0
        assert agent.turn() <= 1.0, "the first failure after an answer"
    finally:
        server.close()


def test_a_failure_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    agent = agent_for(None, tmp_path)
    for _ in range(4):
        agent.turn()
    assert len([one for one in caplog.records if "the lane tries again" in one.getMessage()]) == 1


def test_an_error_of_ours_ends_no_thread(tmp_path: Path) -> None:
    agent = agent_for(None, tmp_path)
    agent._health = lambda: 1 / 0  # type: ignore[assignment, return-value]
    agent._ship = lambda: None  # type: ignore[method-assign]
    assert agent.turn() > 0
    assert "division" in agent.last_error


def test_a_row_that_the_journal_lacks_is_not_asked_for_again_and_again(tmp_path: Path) -> None:
    agent = agent_for(None, tmp_path)
    with Journal(tmp_path / "j", read_only=True) as journal:
        head = Head(journal.id(), 3, "0" * 64)
    gap = {"error": {"code": "gap", "message": "row 5 came", "epoch": head.epoch, "seq": 3, "hash": "0" * 64}}
    client, shipper = agent._open()
    shipper.acknowledged = head
    asked = []

    def call(method: str, path: str, body: object = None) -> object:
        asked.append(path)
        assert len(asked) < 5
        raise FleetRefused("row 5 came", "gap", gap["error"], 409)

    client.call = call  # type: ignore[method-assign, assignment]
    agent._ship()
    assert agent.problem == "row 4 is not in the journal: see `sco-pay journal verify`"


@pytest.mark.parametrize(("status", "code"), [(422, "malformed"), (413, "too_large"), (409, "different_row")])
def test_health_and_decisions_arrive_where_rows_are_refused(tmp_path: Path, status: int, code: str) -> None:
    agent = agent_for(None, tmp_path)
    with Journal(tmp_path / "j", read_only=True) as journal:
        head = {"epoch": journal.id(), "seq": 0, "hash": "0" * 64}
    client, _ = agent._open()
    reports = []

    def call(method: str, path: str, body: dict[str, object] | None = None) -> object:
        if path == "/records":
            raise FleetRefused("the fleet refused it: no", code, {}, status)
        if path == "/heartbeat":
            assert body is not None
            reports.append(body)
            return {"head": head, "decisions": []}
        return head

    client.call = call  # type: ignore[method-assign, assignment]
    agent.turn()
    assert agent.problem == "the fleet refused it: no"
    assert b"the fleet refused it: no" in bytes(reports[0]["health"])  # type: ignore[call-overload]
