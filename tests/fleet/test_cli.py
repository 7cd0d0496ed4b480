"""The commands of the office and of the lane, as an administrator types them."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sco_fleet.cli.main import main as sco_fleet
from sco_payment.cli.main import main as sco_pay
from tests.fleet.kit import Fleet
from tests.payment.journal.kit import full, opened, written

pytestmark = pytest.mark.program("pg_createcluster")


def office(fleet: Fleet, *arguments: str) -> Result:
    return CliRunner().invoke(sco_fleet, [*arguments, "--database", fleet.database])


def lane(*arguments: str) -> Result:
    return CliRunner().invoke(sco_pay, [*arguments])


@pytest.fixture
def settings(fleet: Fleet, tmp_path: Path) -> Path:
    """The settings of a lane that the office has added, and its journal, `j`."""
    token = office(fleet, "lane", "add", "lane-1", "--shop", "Магазин 7", "--profile", "4:3")
    assert token.exit_code == 0, token.output
    (tmp_path / "token").touch(0o600)
    (tmp_path / "token").write_text(token.output)
    example = lane("settings", "example", "--simulated").output.replace("journal.db", "j")
    file = tmp_path / "lane.toml"
    file.write_text(f'{example}\n[fleet]\nurl = "{fleet.url}"\ntoken_file = "token"\ntimeout_s = 5\n')
    return file


def test_a_lane_without_a_service_ships_at_once(fleet: Fleet, settings: Path) -> None:
    full(settings.parent / "j")
    for _ in range(2):
        found = lane("ship", "--settings", str(settings), "--once")
        assert (found.exit_code, found.output) == (0, "the fleet has all rows up to 15\n")
    listed = office(fleet, "lane", "list").output
    assert listed.startswith("lane-1\tМагазин 7\t4:3\t")
    assert "row 15\t0 open cases" in listed
    assert fleet.rows("SELECT health ->> 'open_cases' FROM lanes") == [("0",)]


def test_a_lane_ships_until_it_is_stopped(fleet: Fleet, settings: Path) -> None:
    text = settings.read_text().replace("timeout_s = 5", "timeout_s = 5\nship_interval_s = 0.1")
    settings.write_text(text)
    written(settings.parent / "j")
    command = [sys.executable, "-m", "sco_payment.cli.main", "ship", "--settings", str(settings)]
    process = subprocess.Popen(command)
    try:
        until(lambda: fleet.rows("SELECT count(*) FROM attempts") == [(2,)])
        full(settings.parent / "more")
        with opened(settings.parent / "j") as journal:
            journal.note("k1", "later", at_ms=90_000)
            last = journal.count()
        until(lambda: fleet.rows("SELECT head_seq FROM journals") == [(last,)])
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_keeps_a_lane_from_shipping_is_said(fleet: Fleet, settings: Path) -> None:
    found = lane("ship", "--settings", str(settings), "--once")
    assert (found.exit_code, "there is no journal" in found.output) == (1, True)
    full(settings.parent / "j")
    assert office(fleet, "lane", "disable", "lane-1").exit_code == 0
    found = lane("ship", "--settings", str(settings), "--once")
    assert (found.exit_code, "or the lane is disabled" in found.output) == (1, True)
    assert office(fleet, "lane", "enable", "lane-1").exit_code == 0
    assert lane("ship", "--settings", str(settings), "--once").exit_code == 0
    settings.write_text(settings.read_text().partition("[fleet]")[0])
    found = lane("ship", "--settings", str(settings), "--once")
    assert (found.exit_code, "this lane has no fleet" in found.output) == (2, True)


def test_a_token_is_renewed_by_replacing_the_file(fleet: Fleet, settings: Path) -> None:
    full(settings.parent / "j")
    new = office(fleet, "lane", "token", "lane-1")
    for token in ((settings.parent / "token").read_text(), new.output):
        (settings.parent / "token").write_text(token)
        assert lane("ship", "--settings", str(settings), "--once").exit_code == 0
    assert fleet.rows("SELECT next_token_hash FROM lanes") == [(None,)]


def test_what_is_done_to_lanes_is_in_the_audit(fleet: Fleet, settings: Path) -> None:
    """And only what was done."""
    fleet.execute(
        "INSERT INTO attempts (lane_id, epoch, attempt, order_no, acquirer, amount_kopecks, total_kopecks, mode, phase,"
        " presented, begun_at_ms, last_seq, last_at_ms)"
        " VALUES ('lane-1', 'e', 'k', 'secret-42', 'a', 1, 1, 1, 'unpaid', true, 1, 1, 1)"
    )
    for arguments in (
        ("token", "lane-1"), ("token", "lane-1", "--now"), ("disable", "lane-1"), ("disable", "lane-2"),
        ("enable", "lane-1"), ("move", "lane-1", "--shop", "Магазин 8"), ("add", "lane-1", "--shop", "x"),
    ):  # fmt: skip
        office(fleet, "lane", *arguments)
    assert office(fleet, "erase", "lane-1", "secret-42", "--yes").exit_code == 0
    assert office(fleet, "erase", "lane-1", "secret-43", "--yes").exit_code == 1
    found = fleet.rows("SELECT user_name, action, subject, detail FROM office_audit ORDER BY id")
    assert [(action, subject, detail) for _, action, subject, detail in found] == [
        ("lane_added", "lane-1", "shop Магазин 7, profile 4:3"),
        ("lane_token", "lane-1", ""),
        ("lane_token", "lane-1", "at once"),
        ("lane_disabled", "lane-1", ""),
        ("lane_enabled", "lane-1", ""),
        ("lane_moved", "lane-1", "shop Магазин 8"),
        ("erased", "lane-1", "0 records"),
    ]
    assert all(user.startswith("command line") for user, *_ in found)


def test_verify_compares_with_the_fleet(fleet: Fleet, settings: Path) -> None:
    folder = settings.parent
    written(folder / "j")
    shutil.copy(folder / "j", folder / "old")
    with opened(folder / "j") as journal:
        journal.note("k1", "after the copy", at_ms=70_000)
        last = journal.count()
    assert lane("ship", "--settings", str(settings), "--once").exit_code == 0
    found = lane("journal", "verify", "--settings", str(settings))
    assert (found.exit_code, f"the fleet has its rows up to {last}" in found.output) == (0, True)
    for file in folder.glob("j*"):
        file.unlink()
    (folder / "old").rename(folder / "j")
    found = lane("journal", "verify", "--settings", str(settings))
    assert found.exit_code == 1
    assert f"row {last} is missing: rows were cut off, or an old copy was put back, says the fleet" in found.output


def test_verify_without_the_fleet_uses_its_last_answer(fleet: Fleet, settings: Path) -> None:
    full(settings.parent / "j")
    assert lane("ship", "--settings", str(settings), "--once").exit_code == 0
    settings.write_text(settings.read_text().replace(fleet.url, "http://127.0.0.1:1"))
    found = lane("journal", "verify", "--settings", str(settings))
    assert found.exit_code == 0
    assert "not compared with the fleet, only with its last answer" in found.output
    assert "the fleet has its rows up to 15" in found.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("lane", "add", "lane-1", "--shop", "x"), "already exists"),
        (("lane", "add", "", "--shop", "x"), "PosID ''"),
        (("lane", "add", "a\x00b", "--shop", "x"), "printable characters"),
        (("lane", "token", "nobody"), "there is no lane nobody"),
        (("lane", "disable", "nobody"), "there is no lane nobody"),
        (("lane", "move", "nobody", "--shop", "y"), "there is no lane nobody"),
        (("lane", "verify", "nobody"), "nothing is stored for lane nobody"),
        (("erase", "lane-1", "A-9", "--yes"), "lane lane-1 has no order A-9"),
        (("retention", "--records-months", "90"), "must not be less"),
        (("serve", "--host", "0.0.0.0"), "plain HTTP at 0.0.0.0"),
        (("serve", "--port", "0", "--certificate", __file__, "--key", __file__), "cannot be used: [SSL"),
    ],
)
def test_mistakes_are_explained(fleet: Fleet, arguments: tuple[str, ...], text: str) -> None:
    fleet.add_lane()
    found = office(fleet, *arguments)
    assert found.exit_code != 0
    assert text in found.output
    assert "Traceback" not in found.output


def test_a_database_that_is_not_there_is_explained() -> None:
    for command in (["migrate"], ["lane", "list"]):
        url = "postgresql://nobody@127.0.0.1:1/none?connect_timeout=2"
        found = CliRunner().invoke(sco_fleet, [*command, "--database", url])
        assert (found.exit_code, "the database: " in found.output) == (1, True)


def test_the_server_runs_as_a_program(fleet: Fleet, settings: Path) -> None:
    full(settings.parent / "j")
    command = [sys.executable, "-m", "sco_fleet.cli.main", "serve", "--port", "0", "--database", fleet.database]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        address = process.stderr.readline().split()[-1]
        settings.write_text(settings.read_text().replace(fleet.url, f"http://{address}"))
        until(lambda: lane("ship", "--settings", str(settings), "--once").exit_code == 0)
    finally:
        process.terminate()
        assert process.wait(60) in (0, -signal.SIGTERM)


def test_the_units_are_written(tmp_path: Path) -> None:
    found = CliRunner().invoke(sco_fleet, ["units", str(tmp_path)])
    assert found.exit_code == 0, found.output
    assert {path.name for path in tmp_path.iterdir()} == {
        "sco-fleet@.service",
        "sco-fleet-reconcile.service",
        "sco-fleet-reconcile.timer",
        "sco-fleet-retention.service",
        "sco-fleet-retention.timer",
    }


@pytest.mark.program("systemd-analyze")
def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    CliRunner().invoke(sco_fleet, ["units", str(tmp_path)])
    (tmp_path / "sco-fleet@.service").rename(tmp_path / "sco-fleet@8730.service")
    for unit in tmp_path.iterdir():
        unit.write_text(unit.read_text().replace("/opt/sco/bin/sco-fleet", "/bin/true"))
    names = ("sco-fleet@8730.service", "sco-fleet-retention.timer", "sco-fleet-reconcile.timer")
    units = [str(tmp_path / name) for name in names]
    verified = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True, check=False)
    complaints = [line for line in verified.stderr.splitlines() if "sco-fleet" in line]
    assert (verified.returncode, complaints) == (0, []), verified.stderr
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", units[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout[-300:]
