"""`sco-pay serve` with new settings: it comes up with them between two customers, or goes back by itself."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from sco_fleet.settings import layers, plans, rollouts, status
from sco_fleet.settings.merge import Layer
from sco_payment.fleet.bundle import read
from sco_payment.fleet.settings_store import STARTS, Store
from sco_sim.local import free_port
from sco_sim.paymaster import PayMasterSimulator
from tests.fleet.kit import Fleet
from tests.fleet.settings.kit import KEY, bundle, files
from tests.service.service_kit import Till
from tests.service.test_restart import lane_file

POS_ID = "KSO-7"
"""Of `lane_file`."""
_SERVE = """
import sys
import sco_service.cli
from sco_payment.cli.main import main
sco_service.cli.TRIAL_S = {trial_s}
main(sys.argv[1:])
"""


class Serving:
    """A lane's service in a process of its own, whose number stays when it starts again with new settings."""

    def __init__(self, folder: Path, bank: PayMasterSimulator, url: str, token: str, trial_s: float) -> None:
        port = free_port()
        self._bank, self._trial_s = bank, trial_s
        self.file, self.till = lane_file(folder, bank, port), Till(port)
        (folder / "fleet.token").write_text(token)
        (folder / "fleet.token").chmod(0o600)
        with Path(self.file).open("a") as file:
            file.write(f'\n[fleet]\nurl = "{url}"\ntoken_file = "fleet.token"\nsettings_key = "{KEY.public}"\n')
            file.write("heartbeat_s = 1\nship_interval_s = 0.1\n")
        self.store = Store(folder / "journal.db.settings", POS_ID)
        self.process: subprocess.Popen[str] | None = None
        self.manager_path = folder / "manager"
        self._manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._manager.setblocking(False)
        self._manager.bind(str(self.manager_path))

    def notified(self) -> list[str]:
        """What systemd was sent so far, without texts for people."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self._manager.recv(4096).decode().split("\n")[0].partition("=")[0])
        return [name for name in found if name != "STATUS"]

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _SERVE.format(trial_s=self._trial_s), "serve", "--settings", self.file],
            env={**os.environ, "SCO_PAYMASTER_TOKEN": self._bank.token, "NOTIFY_SOCKET": str(self.manager_path)},
            stderr=subprocess.PIPE,
            text=True,
        )

    def answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.till.get("/healthz").status == 200
        return False

    def hash(self) -> str:
        """Of the settings with which it runs."""
        with contextlib.suppress(OSError, KeyError):
            return str(self.till.get("/v1/lane").json["settings_hash"])
        return ""

    def end(self, how: int = signal.SIGKILL) -> str:
        process, self.process = self.process, None
        if process is None:
            return ""
        process.send_signal(how)
        return process.communicate(timeout=90)[1]


def until(true: Callable[[], object], within_s: float = 60.0) -> None:
    end = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def reported(lane: Serving) -> dict[str, Any]:
    """What came of the new settings; it is written after they are in force, or out of it."""
    until(lane.store.report)
    report = lane.store.report()
    assert report is not None
    return report


Make = Callable[..., Serving]


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Make]:
    """Makes a lane; it is not started."""
    with contextlib.ExitStack() as stack:

        def make(
            url: str = "http://127.0.0.1:1", token: str = "sco1.x.y", script: str = "pays", trial_s: float = 0.5
        ) -> Serving:
            bank = stack.enter_context(PayMasterSimulator(script=script))
            lane = Serving(tmp_path, bank, url, token, trial_s)
            stack.callback(lane.end)
            lane.store.folder.mkdir()
            (lane.store.folder / "settings.json").write_text(bundle(1, lane=POS_ID))
            return lane

        yield make


def wait_for(lane: Serving, settings: dict[str, Any] | None = None) -> None:
    """New settings wait for its start."""
    (lane.store.folder / "trial-0.json").write_text(bundle(2, settings, lane=POS_ID))


def test_it_comes_up_with_new_settings_and_keeps_them(serving: Make) -> None:
    lane = serving()
    wait_for(lane)
    lane.start()
    until(lambda: files(lane.store.folder) == {"settings.json": 2, "previous.json": 1})
    assert lane.answers()
    report = reported(lane)
    assert (report["version"], report["status"]) == (2, "applied")


def test_settings_with_which_it_cannot_open_are_given_up(serving: Make) -> None:
    lane = serving()
    wait_for(lane, {"lane": {"logo": "removed-since.png"}})
    lane.start()
    assert lane.process is not None
    number = lane.process.pid
    until(lane.answers)
    assert (lane.process.pid, lane.process.poll()) == (number, None)
    assert files(lane.store.folder) == {"settings.json": 1}
    report = reported(lane)
    assert (report["version"], report["status"]) == (2, "refused")
    assert "removed-since.png: No such file or directory" in report["reason"]


def test_another_lanes_settings_stop_it_before_it_takes_them(serving: Make) -> None:
    lane = serving()
    (lane.store.folder / "settings.json").unlink()
    (lane.store.folder / "trial-0.json").write_text(bundle(2, lane="KSO-8"))
    lane.start()
    assert lane.process is not None
    assert lane.process.wait(60) == 2
    assert "has settings of the lane KSO-8, and this is KSO-7" in lane.end()
    assert files(lane.store.folder) == {"trial-0.json": 2}


def test_a_lane_that_dies_on_trial_again_and_again_goes_back(serving: Make) -> None:
    lane = serving(trial_s=600)
    wait_for(lane)
    hashes = []
    for _ in range(3):
        lane.start()
        until(lane.hash)
        hashes.append(lane.hash())
        lane.end(signal.SIGKILL)
    assert hashes[0] == hashes[1] != hashes[2]
    assert files(lane.store.folder) == {"settings.json": 1}
    assert reported(lane)["status"] == "refused"


def test_a_stop_during_the_trial_is_no_verdict(serving: Make) -> None:
    lane = serving(trial_s=600)
    wait_for(lane)
    for _ in range(3):
        lane.start()
        until(lane.answers)
        lane.end(signal.SIGTERM)
    assert files(lane.store.folder) == {"settings.json": 1, "trial-0.json": 2}


def test_another_service_on_the_journal_is_no_verdict(serving: Make) -> None:
    lane = serving(trial_s=600)
    lane.start()
    until(lane.answers)
    wait_for(lane)
    first = lane.process
    lane.start()
    second, lane.process = lane.process, first
    assert second is not None
    assert second.wait(60) in (2, 7)
    assert files(lane.store.folder) == {"settings.json": 1, "trial-0.json": 2}


def test_a_damaged_journal_is_no_verdict(serving: Make) -> None:
    """Where the journal is, only the lane's own file says."""
    lane = serving(trial_s=600)
    (lane.store.folder.parent / "journal.db").write_bytes(b"no journal at all" * 1000)
    wait_for(lane)
    for _ in range(STARTS + 1):
        lane.start()
        assert lane.process is not None
        assert lane.process.wait(60) == 2
        assert "journal" in lane.end()
    assert files(lane.store.folder) == {"settings.json": 1, "trial-0.json": 2}
    assert lane.store.report() is None


def test_settings_that_can_no_longer_be_used_give_way_to_those_before(serving: Make) -> None:
    """The lane comes up, and the office can repair it."""
    lane = serving()
    (lane.store.folder / "settings.json").rename(lane.store.folder / "previous.json")
    now = bundle(2, {"lane": {"logo": "removed-since.png"}}, lane=POS_ID)
    (lane.store.folder / "settings.json").write_text(now)
    lane.start()
    until(lane.answers)
    assert files(lane.store.folder) == {"settings.json": 1, "previous.json": 1}
    report = reported(lane)
    assert (report["version"], report["hash"], report["status"]) == (2, read(now).hash, "refused")
    assert "version 1 is in force again: lane.logo" in report["reason"]
    assert "removed-since.png: No such file or directory" in report["reason"]
    assert "settings from the fleet, version 2: they can no longer be used" in lane.end(signal.SIGTERM)


@pytest.mark.program("pg_createcluster")
def test_settings_of_the_office_come_between_two_customers(serving: Make, fleet: Fleet) -> None:
    lane = serving(fleet.url, fleet.add_lane(POS_ID), script="pays after=3")
    (lane.store.folder / "settings.json").unlink()
    lane.start()
    until(lane.answers)
    assert lane.process is not None
    number, before = lane.process.pid, lane.hash()
    lane.till.put("T-1")
    with psycopg.connect(fleet.database, autocommit=True) as db:
        layers.put(db, Layer("chain"), '[ticket]\nfooter = "Thanks"', "ivanova", "shorter")
        plans.start(db, plans.plan(db), KEY, by="ivanova", comment="shorter", soak_s=0)
        until(lambda: status.answers(db, 1, "pulled"))
        until(lambda: lane.till.payment("T-1")["outcome"] == "paid")
        assert lane.hash() == before
        time.sleep(1.5)  # the service looks each second: the outcome is not taken yet, so it goes on
        assert lane.hash() == before
        lane.till.post("/v1/payments/T-1/taken")
        until(lambda: lane.hash() not in ("", before))
        assert (lane.process.pid, lane.process.poll()) == (number, None)
        assert lane.till.payment("T-1")["outcome"] == "paid"

        def is_done() -> bool:
            rollouts.look(db)
            return status.rollout(db).state == "done"

        until(is_done)
    assert lane.notified() == ["READY", "READY"]
    lane.end(signal.SIGTERM)
    assert lane.notified() == ["STOPPING"]
    assert files(lane.store.folder) == {"settings.json": 1, "previous.json": 1}
