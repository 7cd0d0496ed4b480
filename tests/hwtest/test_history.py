"""The history of many runs: one SQLite file, trends by serial number, and what is done about a broken file."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sco_drivers import DeviceIdentity
from sco_hwtest import History, HistoryError, Report, write_json
from sco_hwtest.cli.main import main
from sco_hwtest.limits import judge
from sco_hwtest.limits_file import limits_from_text
from sco_hwtest.measurements import figure
from sco_hwtest.results import DeviceReport
from sco_hwtest.trend import Direction, trend_of

DAY_S = 86_400.0
START = 1_790_000_000.0
LIMITS = limits_from_text('format = 1\n[printer.status]\nunit = "ms"\nmarginal_above = 50\n', "limits.toml")


def printer(status_ms: float, serial: str | None = "S1", firmware: str = "1.0", url: str = "usb://a") -> DeviceReport:
    report = DeviceReport("printer", url, identity=DeviceIdentity("EPSON", "TM-T88V", serial, firmware))
    report.figures = [figure("printer", "status", [status_ms]), figure("printer", "ticket-bytes", [327])]
    report.checks = judge(report, LIMITS)
    return report


def filled(path: Path, *runs: Sequence[DeviceReport]) -> Path:
    with History(path) as history:
        for day, devices in enumerate(runs):
            assert history.add(Report(list(devices), {"host": "bench"}, START + day * DAY_S, 1.0))
    return path


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["history", *map(str, arguments)])


def directions(path: Path) -> dict[tuple[str, str], Direction]:
    with History(path, "read") as history:
        return {(one.serial or one.url, one.measurement): trend_of(one).direction for one in history.series()}


# --- trends ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "direction"),
    [
        ([20, 24, 29, 31, 36, 41], Direction.WORSE),
        ([41, 36, 31, 29, 24, 20], Direction.BETTER),
        ([20, 24, 19, 23, 21, 20], Direction.STEADY),
        ([20, 20, 20, 500, 20, 20], Direction.STEADY),  # one outlier is not a trend
        ([20.0, 20.1, 20.2, 20.3, 20.4, 20.5], Direction.STEADY),  # an order, and nothing to worry about
        ([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], Direction.STEADY),  # less than the clock's step
        ([20, 30, 40, 50], Direction.UNKNOWN),
    ],
)
def test_the_trend_of_a_device(values: list[float], direction: Direction, tmp_path: Path) -> None:
    path = filled(tmp_path / "h.db", *([printer(value)] for value in values))
    assert directions(path)["S1", "status"] is direction


def test_devices_are_told_apart_by_their_serial_number_and_not_by_their_url(tmp_path: Path) -> None:
    runs = [[printer(20 + 5 * day, "S1", url=f"usb://{day}"), printer(30, "S2")] for day in range(6)]
    path = filled(tmp_path / "h.db", *runs)
    assert directions(path) == {
        ("S1", "status"): Direction.WORSE,
        ("S2", "status"): Direction.STEADY,
        ("S1", "ticket-bytes"): Direction.STEADY,
        ("S2", "ticket-bytes"): Direction.STEADY,
    }


def test_devices_without_a_serial_number_are_told_apart_by_their_url(tmp_path: Path) -> None:
    runs = [[printer(20, None, url="usb://a"), printer(40, None, url="usb://b")] for _ in range(3)]
    path = filled(tmp_path / "h.db", *runs)
    with History(path, "read") as history:
        found = {one.url: [point.value for point in one.points] for one in history.series(measurement="status")}
    assert found == {"usb://a": [20, 20, 20], "usb://b": [40, 40, 40]}


def test_a_run_is_added_once(tmp_path: Path) -> None:
    report = Report([printer(20)], {"host": "bench"}, START, 1.0)
    with History(tmp_path / "h.db") as history:
        assert [history.add(report), history.add(report)] == [True, False]
        assert [len(one.points) for one in history.series()] == [1, 1]


# --- the command ----------------------------------------------------------------------------------------------------


def test_the_terminal_shows_each_device_with_its_trends(tmp_path: Path) -> None:
    runs = [[printer(20 + 8 * day, firmware=f"1.{day}"), printer(30, None)] for day in range(6)]
    path = filled(tmp_path / "h.db", *runs)
    done = invoke(path)
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert done.exit_code == 0
    assert "Printer EPSON TM-T88V, serial number S1, firmware 1.5: 6 runs, 21 Sep 2026 to 26 Sep 2026" in lines
    assert "status ▁▂▄▅▇█ 60 ms getting worse by 100% marginal" in lines
    assert "Printer EPSON TM-T88V, no serial number, firmware 1.0: 6 runs, 21 Sep 2026 to 26 Sep 2026" in lines
    assert invoke(path, "--check").exit_code == 1
    assert invoke(path, "--check", "--measurement", "ticket-bytes").exit_code == 0
    assert "No measurement in the history fits." in invoke(path, "--serial", "S9").output


def test_a_busier_machine_is_no_worse_device(tmp_path: Path) -> None:
    runs = []
    for day in range(6):
        device = printer(20)
        device.figures.append(figure("printer", "cpu-waiting", [10.0 * day]))
        runs.append([device])
    path = filled(tmp_path / "h.db", *runs)
    assert directions(path)["S1", "cpu-waiting"] is Direction.WORSE
    assert invoke(path, "--check").exit_code == 0


def test_every_value_as_csv_and_every_series_as_json(tmp_path: Path) -> None:
    path = filled(tmp_path / "h.db", [printer(20, firmware="1,0")], [printer(70, firmware="1.1")])
    rows = list(csv.DictReader(io.StringIO(invoke(path, "--csv", "--measurement", "status").output)))
    assert [(row["serial"], row["firmware"], row["value"], row["verdict"]) for row in rows] == [
        ("S1", "1,0", "20", "passed"),
        ("S1", "1.1", "70", "marginal"),
    ]
    assert time.mktime(time.strptime(rows[0]["started"][:19], "%Y-%m-%dT%H:%M:%S")) == START
    [status] = json.loads(
        invoke(path, "--json", "--measurement", "status", "--serial", "S1", "--kind", "printer").stdout
    )
    assert (status["trend"], status["unit"], len(status["points"])) == ("too few runs", "ms", 2)
    assert invoke(path, "--json", "--csv").exit_code == 2


def test_a_run_is_remembered_and_reports_can_be_added_later(tmp_path: Path) -> None:
    path, document = tmp_path / "h.db", tmp_path / "a.json"
    done = CliRunner().invoke(
        main, ["run", "--nfc", "sim://", "--history", str(path), "--json", str(document)], catch_exceptions=False
    )
    assert done.exit_code == 0, done.output
    write_json(Report([printer(20)], {"host": "bench"}, START, 1.0), tmp_path / "b.json")
    done = invoke(path, "--add", document, "--add", tmp_path / "b.json")
    assert "NFC reader and tag PN532, no serial number, firmware 1.6: 1 run," in done.output, "added once"
    assert "serial number S1" in done.output
    refused = invoke(path, "--add", tmp_path / "none.json")
    assert (refused.exit_code, "cannot be read" in refused.output) == (2, True)


# --- what goes wrong ------------------------------------------------------------------------------------------------


def broken(folder: Path, how: str) -> Path:
    path = folder / "h.db"
    if how == "text":
        path.write_text("what is this?\n" * 100)
    elif how == "other program":
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE journal (id INTEGER)")
    elif how == "newer":
        filled(path)
        with sqlite3.connect(path) as newer:
            newer.execute("PRAGMA user_version = 2")
    elif how == "folder":
        path.mkdir()
    elif how == "damaged":
        filled(path, *([printer(20)] for _ in range(200)))
        data = bytearray(path.read_bytes())
        data[4096:-4096] = b"\xa5" * (len(data) - 8192)
        path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("text", "not a history of sco-hwtest; name another file"),
        ("other program", "is a database of another program; name another file"),
        ("newer", "has version 2; this sco-hwtest reads 1"),
        ("folder", "is a directory"),
        ("damaged", "the history is damaged"),
    ],
)
def test_a_broken_file_is_a_clear_error_and_is_left_as_it_is(how: str, words: str, tmp_path: Path) -> None:
    path = broken(tmp_path, how)
    before = path.read_bytes() if path.is_file() else b""
    commands = [["history", str(path)]]
    if how != "damaged":  # a write may go to pages that are whole
        commands.append(["run", "--nfc", "sim://", "--history", str(path)])
    for command in commands:
        done = CliRunner().invoke(main, command)
        assert (done.exit_code, words in done.output, str(path) in done.output) == (2, True, True), done.output
        assert "reads-the-tag" not in done.output, "no test runs whose result would be lost"
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_missing_file_is_not_made_by_looking(tmp_path: Path) -> None:
    done = invoke(tmp_path / "h.db")
    assert (done.exit_code, "sco-hwtest run --history" in done.output) == (2, True)
    assert not (tmp_path / "h.db").exists()
    refused = CliRunner().invoke(main, ["run", "--nfc", "sim://", "--history", "/no/such/folder/h.db"])
    assert (refused.exit_code, "no such folder" in refused.output) == (2, True)


def test_a_file_that_another_program_writes_to_is_waited_for_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sco_hwtest.history._BUSY_S", 0.0)
    path = filled(tmp_path / "h.db", [printer(20)])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(HistoryError, match=r"h\.db: another program is writing to it"):
        History(path)
    other.close()
    History(path).close()


def test_a_run_is_added_as_a_whole_or_not_at_all(tmp_path: Path) -> None:
    path = filled(tmp_path / "h.db", [printer(20)])
    with sqlite3.connect(path) as db:
        db.execute("CREATE TRIGGER full BEFORE INSERT ON checked BEGIN SELECT raise(ABORT, 'no room'); END")
    report = Report([printer(30)], {"host": "bench"}, START + DAY_S, 1.0)
    with History(path) as history:
        with pytest.raises(HistoryError, match="no room"):
            history.add(report)
        assert [len(one.points) for one in history.series()] == [1, 1]
