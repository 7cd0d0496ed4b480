"""A lane takes settings from a real server: pulls them, judges with its own `settings check`, and reports."""

from __future__ import annotations

import json
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from PIL import Image

from sco_fleet.settings import layers, plans, rollouts, status
from sco_fleet.settings.merge import Layer
from sco_payment.cli.main import main as sco_pay
from sco_payment.fleet.client import Client, FleetUnreachable
from sco_payment.fleet.settings import SettingsFromFleet, check_in_child, open_settings
from sco_payment.fleet.settings_store import Store
from sco_payment.settings_reader import SettingsError, fleet_store, load_settings, read_table
from tests.fleet.kit import Fleet
from tests.fleet.settings.kit import KEY, SPARE, bundle, changed, files

LANE_FILE = """
[lane]
pos_id = "lane-1"
shop = "Shop"
[paymaster]
merchant_id = "m"
token_file = "paymaster.token"
[devices]
screen = "sim://"
[journal]
path = "journal.db"
[fleet]
url = "{url}"
token_file = "fleet.token"
settings_key = ["{key}", "{spare}"]
"""


def lane_file(folder: Path, url: str = "http://127.0.0.1:1", token: str = "sco1.x.y") -> str:
    """A lane that trusts the office's key, and its spare one."""
    for name, text in (("paymaster.token", "t"), ("fleet.token", token)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o600)
    (folder / "lane.toml").write_text(LANE_FILE.format(url=url, key=KEY.public, spare=SPARE.public))
    return str(folder / "lane.toml")


def store_of(file: str) -> Store:
    store = fleet_store(file, read_table(file), {})
    assert store is not None
    return store


def give(file: str, text: str) -> None:
    """Let settings be in force on the lane."""
    store = store_of(file)
    store.folder.mkdir(exist_ok=True)
    (store.folder / "settings.json").write_text(text)


# --- the lane's settings ------------------------------------------------------------------------------------------


def test_what_is_in_force_is_part_of_the_lanes_settings(tmp_path: Path) -> None:
    file = lane_file(tmp_path)
    assert load_settings(file, {}).timing.grace_s == 600
    Image.new("1", (8, 8)).save(tmp_path / "logo.png")
    give(file, bundle(7, {"timing": {"grace_s": 60}, "lane": {"shop": "Shop 7"}, "ticket": {"logo": "logo.png"}}))
    found = load_settings(file, {})
    assert (found.timing.grace_s, found.lane.shop, found.lane.pos_id) == (60, "Shop 7", "lane-1")
    assert found.ticket.logo == str(tmp_path / "logo.png")  # relative: from the lane's own file, as there
    assert load_settings(file, {"SCO_TIMING_GRACE_S": "61"}).timing.grace_s == 61


def test_a_lane_without_a_key_takes_no_settings(tmp_path: Path) -> None:
    file = lane_file(tmp_path)
    give(file, bundle(7, {"timing": {"grace_s": 60}}))
    Path(file).write_text(Path(file).read_text().partition("settings_key")[0])
    assert load_settings(file, {}).timing.grace_s == 600
    assert fleet_store(file, read_table(file), {}) is None


def test_settings_that_cannot_be_read_are_not_passed_over(tmp_path: Path) -> None:
    file = lane_file(tmp_path)
    give(file, "{")
    with pytest.raises(
        SettingsError, match=r"settings from the fleet: .* are damaged: remove the folder .*remove fleet\.settings_key"
    ):
        load_settings(file, {})


def test_a_copied_disk_does_not_run_with_the_other_lanes_settings(tmp_path: Path) -> None:
    """They name the merchant that the money goes to, and the cash link on the plate."""
    file = lane_file(tmp_path)
    give(file, bundle(7, {"paymaster": {"merchant_id": "of another shop"}}))
    folder = store_of(file).folder
    refusal = (
        rf"settings from the fleet: .*settings\.json has settings of the lane lane-1, and this is lane-2: .* Remove "
        rf"the folder {re.escape(str(folder))}: "
    )
    with pytest.raises(SettingsError, match=refusal):
        load_settings(file, {"SCO_LANE_POS_ID": "lane-2"})
    Path(file).write_text(Path(file).read_text().replace('pos_id = "lane-1"', 'pos_id = "lane-2"'))
    with pytest.raises(SettingsError, match=refusal):
        load_settings(file, {})
    shutil.rmtree(folder)
    assert load_settings(file, {}).paymaster.merchant_id == "m"


def test_what_is_wrong_with_the_posid_is_said_first(tmp_path: Path) -> None:
    file = lane_file(tmp_path)
    give(file, bundle(7))
    for pos_id, problem in (('""', "lane.pos_id is missing"), ("7", "lane.pos_id = 7: must be text")):
        Path(file).write_text(LANE_FILE.format(url="http://127.0.0.1:1", key=KEY.public, spare=SPARE.public))
        Path(file).write_text(Path(file).read_text().replace('"lane-1"', pos_id))
        with pytest.raises(SettingsError, match=problem):
            load_settings(file, {})


def test_a_key_that_is_none_is_named(tmp_path: Path) -> None:
    file = lane_file(tmp_path)
    Path(file).write_text(Path(file).read_text().replace(SPARE.public, "ssh-ed25519 AAAA"))
    with pytest.raises(SettingsError, match=r"fleet\.settings_key: 'ssh-ed25519 AAAA' is not a key"):
        load_settings(file, {})


# --- the lane's own check -----------------------------------------------------------------------------------------


def test_a_good_bundle_passes_the_lanes_check(tmp_path: Path) -> None:
    file = lane_file(tmp_path)
    give(file, bundle(6))
    assert check_in_child(file, bundle(7)) is None
    assert check_in_child(file, bundle(7, key=SPARE)) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (bundle(7)[:-40], "cut short"),
        (changed(bundle(7), signature=""), "changed after it was signed"),
        (bundle(6), "version 6 is not newer than version 6, which this lane has run with"),
        (bundle(7, lane="lane-2"), "the bundle is for the lane lane-2; this is lane-1"),
        (bundle(7, {"display": {"mode": 0}}), "devices.printer is missing"),
        (bundle(7, {"lane": {"logo": "none.png"}}), "none.png: No such file or directory"),
        (
            bundle(7, {"timing": {"poll_interval_s": 0}, "display": {"mode": 7}}),
            "display.mode = 7: must be from 0 to 2",
        ),
        (bundle(7, {"paymaster": {"token_file": "none.token"}}), "none.token"),
    ],
)
def test_one_that_this_lane_cannot_use_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = lane_file(tmp_path)
    give(file, bundle(6))
    assert reason in (check_in_child(file, text) or "")


def test_an_old_one_is_refused_too_after_somebody_removed_what_was_in_force(tmp_path: Path) -> None:
    """Whoever has only the server brings nothing old back."""
    file = lane_file(tmp_path)
    give(file, bundle(6))
    (store_of(file).folder / "settings.json").rename(store_of(file).folder / "previous.json")
    assert "version 5 is not newer than version 6, which this lane has run with" in (
        check_in_child(file, bundle(5)) or ""
    )


def test_a_check_that_cannot_run_is_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = lane_file(tmp_path)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert check_in_child(file, bundle(7)) == "the check of the settings ended with status 1"
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    assert "the settings cannot be checked: FileNotFoundError" in (check_in_child(file, bundle(7)) or "")


# --- with a server ------------------------------------------------------------------------------------------------


class Lane:
    """A lane of the fleet: one heartbeat at a time, one start of its service at a time."""

    def __init__(self, fleet: Fleet, folder: Path, check: Callable[[str], str | None] | None = None) -> None:
        self.fleet, self.token = fleet, fleet.add_lane()
        self.file = lane_file(folder, fleet.url, self.token)
        self.client = Client(load_settings(self.file, {}).fleet)
        self.store, self.check = store_of(self.file), check
        self.start()

    def start(self) -> None:
        """The service comes up."""
        trial = self.store.begin()
        if trial is not None:
            self.store.confirm(trial)
        self.taker = (
            SettingsFromFleet(self.store, self.check)
            if self.check is not None
            else open_settings(self.file, self.store)
        )

    def beat(self) -> Any:
        """One heartbeat; returns what the server offers."""
        digest, version = self.taker.in_use()
        now_ms = time.time_ns() // 1_000_000
        report = {"epoch": "e", "seq": 0, "now_ms": now_ms, "settings_hash": digest, "settings_version": version}
        offer = self.client.heartbeat(report)["settings"]
        self.taker.offered(self.client, offer)
        return offer


def roll_out(fleet: Fleet, toml: str) -> int:
    with psycopg.connect(fleet.database, autocommit=True) as db:
        layers.put(db, Layer("chain"), toml, "ivanova", "a change")
        planned = plans.plan(db)
        plans.start(db, planned, KEY, by="ivanova", comment="new", soak_s=0)
        return planned.version


def state(fleet: Fleet) -> tuple[str, list[tuple[str, str]]]:
    with psycopg.connect(fleet.database, autocommit=True) as db:
        rollouts.look(db)
        found = status.rollout(db)
        return found.state, [(lane.status, lane.reason) for lane in status.answers(db, found.version)]


pg = pytest.mark.program("pg_createcluster")


@pg
def test_settings_arrive_and_are_reported(fleet: Fleet, tmp_path: Path) -> None:
    lane = Lane(fleet, tmp_path)
    assert lane.beat() is None
    roll_out(fleet, "[timing]\ngrace_s = 60")
    assert lane.beat()["version"] == 1
    assert (lane.taker.is_waiting, state(fleet)) == (True, ("running", [("pulled", "")]))
    assert load_settings(lane.file, {}).timing.grace_s == 600
    assert lane.beat()["version"] == 1  # it waits for its start, and is not pulled again
    lane.start()
    assert load_settings(lane.file, {}).timing.grace_s == 60
    assert not lane.taker.is_waiting
    assert lane.beat() is None
    assert state(fleet) == ("done", [("applied", "")])
    assert fleet.rows("SELECT settings_version FROM lanes") == [(1,)]
    assert lane.store.report() is None


@pg
def test_a_refusal_arrives_with_its_reason_and_stops_the_roll_out(fleet: Fleet, tmp_path: Path) -> None:
    lane = Lane(fleet, tmp_path)
    roll_out(fleet, '[lane]\nlogo = "none.png"')
    lane.beat()
    found, [(answer, reason)] = state(fleet)
    assert (found, answer) == ("stopped", "refused")
    assert "lane.logo" in reason
    assert "none.png: No such file or directory" in reason
    assert not lane.taker.is_waiting
    assert lane.beat() is None
    (tmp_path / "none.png").write_bytes((Path(__file__).parents[3] / "docs/pictures/pay.png").read_bytes())
    with psycopg.connect(fleet.database, autocommit=True) as db:
        rollouts.go_on(db, 1, "petrov")
        rollouts.retry(db, 1, [], "petrov")
    lane.beat()
    lane.start()
    lane.beat()
    assert state(fleet) == ("done", [("applied", "")])


@pg
@pytest.mark.parametrize(
    ("tamper", "kinds"),
    [
        ("UPDATE bundles SET bundle = left(bundle, 200)", {"settings_damaged"}),
        ("UPDATE bundles SET bundle = replace(bundle, 'grace_s', 'grace_x')", {"settings_damaged"}),
    ],
)
def test_a_bundle_that_was_changed_in_the_database_leaves_the_old_settings(
    fleet: Fleet, tmp_path: Path, tamper: str, kinds: set[str]
) -> None:
    lane = Lane(fleet, tmp_path)
    roll_out(fleet, "[timing]\ngrace_s = 60")
    fleet.execute(tamper)
    try:
        lane.beat()
    except FleetUnreachable:  # no JSON: as an answer that was cut
        kinds = set()
    lane.start()
    assert load_settings(lane.file, {}).timing.grace_s == 600
    assert kinds <= {kind for (kind,) in fleet.rows("SELECT kind FROM alarms")}


@pg
def test_a_server_with_an_older_database_cannot_bring_back_old_settings(fleet: Fleet, tmp_path: Path) -> None:
    lane = Lane(fleet, tmp_path)
    for grace_s in (60, 61):
        roll_out(fleet, f"[timing]\ngrace_s = {grace_s}")
        lane.beat()
        lane.start()
        lane.beat()
        assert state(fleet)[0] == "done"
    with psycopg.connect(fleet.database, autocommit=True) as db:  # as an attacker who has the database would
        db.execute("DELETE FROM bundles WHERE version = 2")
        db.execute("UPDATE bundles SET status = 'waiting'")
        old = json.loads(db.execute("SELECT bundle FROM bundles").fetchall()[0][0])
    lane.taker.offered(lane.client, {"version": 3, "hash": old["hash"]})
    lane.start()
    assert load_settings(lane.file, {}).timing.grace_s == 61
    refused = fleet.rows("SELECT reason FROM bundles WHERE version = 1 AND status = 'refused'")
    assert "version 1 is not newer than version 2, which this lane has run with" in refused[0][0]


@pg
def test_a_lane_on_a_copied_disk_is_never_noted_as_having_its_own_settings(fleet: Fleet, tmp_path: Path) -> None:
    lane = Lane(fleet, tmp_path)
    roll_out(fleet, "[timing]\ngrace_s = 60")
    give(lane.file, bundle(1, {"timing": {"grace_s": 61}}))  # the same version, of another lane or database
    lane.start()
    lane.beat()
    assert fleet.rows("SELECT status FROM bundles") == [("refused",)]
    assert state(fleet)[0] == "stopped"
    [(kind, detail)] = fleet.rows("SELECT kind, detail FROM alarms")
    assert kind == "settings_damaged"
    assert "runs with a version 1 that was not signed for it here: was its disk copied" in detail


@pg
def test_what_failed_in_its_trial_is_not_taken_again(fleet: Fleet, tmp_path: Path) -> None:
    lane = Lane(fleet, tmp_path)
    roll_out(fleet, "[timing]\ngrace_s = 60")
    lane.beat()
    trial = lane.store.begin()
    assert trial is not None
    lane.store.refuse(trial, "no screen")
    lane.start()
    assert lane.beat() is not None  # the server does not know yet
    assert not lane.taker.is_waiting
    assert state(fleet) == ("stopped", [("refused", "no screen")])


@pg
def test_what_the_office_withdraws_before_the_start_is_forgotten(fleet: Fleet, tmp_path: Path) -> None:
    lane = Lane(fleet, tmp_path)
    roll_out(fleet, "[timing]\ngrace_s = 60")
    lane.beat()
    with psycopg.connect(fleet.database, autocommit=True) as db:
        rollouts.abort(db, 1, "petrov")
    lane.beat()
    assert not lane.taker.is_waiting
    lane.start()
    assert load_settings(lane.file, {}).timing.grace_s == 600


@pg
def test_a_full_disk_is_a_refusal_that_still_arrives(
    fleet: Fleet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lane = Lane(fleet, tmp_path, check=lambda _: None)
    roll_out(fleet, "[timing]\ngrace_s = 60")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Store, "_write", full)
    lane.beat()
    assert state(fleet)[0] == "stopped"
    assert "No space left on device" in state(fleet)[1][0][1]


@pg
def test_what_the_server_refuses_is_not_asked_for_ever(fleet: Fleet, tmp_path: Path) -> None:
    lane = Lane(fleet, tmp_path)
    lane.taker.offered(lane.client, {"version": 9, "hash": "withdrawn meanwhile"})
    lane.store.keep_report({"version": -1, "hash": "", "status": "applied", "reason": ""})
    lane.beat()
    assert lane.store.report() is None


@pg
def test_a_report_waits_for_the_server(fleet: Fleet, tmp_path: Path) -> None:
    lane = Lane(fleet, tmp_path)
    roll_out(fleet, "[timing]\ngrace_s = 60")
    lane.beat()
    lane.start()

    class Down:
        def call(self, *_: object) -> Any:
            raise FleetUnreachable("down")

    with pytest.raises(FleetUnreachable):
        lane.taker.offered(Down(), None)
    assert lane.store.report() is not None
    lane.beat()
    assert lane.store.report() is None
    assert files(lane.store.folder) == {"settings.json": 1, "previous.json": 1}


@pg
@pytest.mark.parametrize(
    ("body", "status_code"),
    [
        ({"version": 1, "hash": "", "status": "perhaps"}, 422),
        ({"version": -1, "hash": "", "status": "applied"}, 422),
        ({"version": 1, "hash": "x" * 65, "status": "applied"}, 422),
        ({"version": 1, "hash": "\0", "status": "applied"}, 422),
        ({"version": 1, "hash": "", "status": "applied", "reason": "x" * 70_000}, 413),
        (b"{", 422),
    ],
)
def test_a_report_that_is_none_is_refused(fleet: Fleet, body: Any, status_code: int) -> None:
    assert fleet.request("POST", "/settings/report", fleet.add_lane(), body).status == status_code


@pg
def test_nobody_gets_settings_without_a_lanes_token(fleet: Fleet) -> None:
    token = fleet.add_lane()
    assert fleet.request("GET", "/settings").status == 401
    assert fleet.request("POST", "/settings/report", "sco1.x.y", {}).status == 401
    answer = fleet.request("GET", "/settings", token)
    assert (answer.status, answer.body["error"]["code"]) == (404, "no_settings")


def test_the_check_says_what_the_fleet_has_set(tmp_path: Path) -> None:
    file = lane_file(tmp_path)
    give(file, bundle(7))
    result = CliRunner().invoke(sco_pay, ["settings", "check", file])
    assert result.exit_code == 0
    assert "with version 7 of the fleet's settings: chain 7\n" in result.stdout


def test_the_check_says_what_is_wrong_with_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = lane_file(tmp_path)
    (tmp_path / "bundle").write_text(bundle(7, lane="lane-2"))
    with pytest.raises(SystemExit) as caught:
        sco_pay(["settings", "check", file, "--bundle", str(tmp_path / "bundle")])
    assert caught.value.code == 2
    assert "sco-pay: the bundle is for the lane lane-2" in capsys.readouterr().err
