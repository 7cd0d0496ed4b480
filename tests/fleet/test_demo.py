"""`sco-fleet demo`, as a visitor has it: lanes, payments, cases, alarms, and an end that leaves nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_fleet import embedded
from sco_fleet.demo.command import demo as command
from sco_fleet.demo.troubles import NONE, PAPER, TROUBLES, of_lane
from tests.fleet.office.kit import Visitor

STATUS = re.compile(r"(\d+) lanes, (\d+) records, (\d+) paid, (\d+) open cases, (\d+) alarms")


def demo(*arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "sco_fleet.cli.main", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "DISPLAY": "", "WAYLAND_DISPLAY": "", **environment},
    )


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder with a short name, which the database's own user can reach."""
    with tempfile.TemporaryDirectory(prefix="sco-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def running(place: Path) -> Iterator[subprocess.Popen[str]]:
    process = demo("--lanes", "12", TMPDIR=str(place))
    late = threading.Timer(400, process.kill)
    late.start()
    yield process
    late.cancel()
    process.kill()
    process.wait()


@pytest.mark.program("pg_createcluster")
def test_a_visitor_sees_lanes_payments_cases_and_alarms(running: subprocess.Popen[str], place: Path) -> None:
    assert running.stdout is not None
    words = ""
    for line in running.stdout:
        words += line
        found = STATUS.search(line)
        if found is not None and found[1] == "12" and all(int(one) for one in found.groups()):
            break
    else:
        pytest.fail(words)
    address = re.search(r"(http://\S+)/office/ +user (\S+) +password (\S+)", words)
    assert address is not None, words
    visitor = Visitor(address[1])
    assert visitor.log_in(address[2], address[3]).status == 303
    for path, expected in (("lanes", "KSO-012"), ("cases", "KSO-012"), ("alarms", "KSO-011"), ("payments", "KSO-0")):
        answer = visitor.get(path)
        assert answer.status == 200
        assert expected in answer.source, path
    running.send_signal(signal.SIGINT)
    assert running.wait(120) == 0
    assert "ending" in running.stdout.read()
    assert list(place.iterdir()) == []


def test_without_postgresql_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "programs", lambda: None)
    found = CliRunner().invoke(command, ["--lanes", "1", "--for", "1"])
    assert found.exit_code == 1
    assert "apt-get install postgresql" in found.output


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("of a real lane")
    found = CliRunner().invoke(command, ["--folder", str(tmp_path)])
    assert found.exit_code == 2
    assert "is not empty" in found.output


def test_each_trouble_comes_once_among_fifty_lanes() -> None:
    troubles = [of_lane(number, 50) for number in range(1, 51)]
    assert {one: troubles.count(one) for one in TROUBLES} == dict.fromkeys(TROUBLES, 1)
    assert troubles.count(PAPER) == 4
    assert troubles.count(NONE) == 50 - 4 - len(TROUBLES)
