"""Planted regressions: a simulated device becomes worse by its fault controls, and the command says so, as CI runs it.

It passes, is marginal, fails. Each run is a process of its own on the device's wire, in real time.
"""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from sco_drivers import open_printer
from sco_hwtest import Verdict
from sco_hwtest.cli.exit_status import ExitStatus
from sco_hwtest.measure import times_ms
from sco_sim.printer import VirtualPrinter
from sco_sim.printer.control import change

LIMITS = """
format = 1
[printer.status]
unit = "ms"
marginal_above = 5000
[printer.status.model."TM-T88*"]
unit = "ms"
marginal_above = {marginal:.0f}
fail_above = {fail:.0f}
advice = "look at the line"
"""
ANSWERS = 4
"""Of which a status consists; each is as late as the fault control says."""
STATUSES = {
    Verdict.PASSED: ExitStatus.OK,
    Verdict.MARGINAL: ExitStatus.MARGINAL,
    Verdict.FAILED: ExitStatus.FAILED,
}


def hwtest(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sco_hwtest.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> dict[Verdict, tuple[int, Path]]:
    """Exit status and folder of a run in each step of the regression."""
    found: dict[Verdict, tuple[int, Path]] = {}
    top = tmp_path_factory.mktemp("planted")
    with VirtualPrinter(model="TM-T88V") as paper:
        with open_printer(paper.url) as printer:
            usual_ms = statistics.median(times_ms(printer.status, 20))
        # Each step is far from the next one on this machine: a busy one does not turn a pass into a failure.
        marginal_ms = max(20.0, 20 * usual_ms)
        fail_ms = 8 * marginal_ms
        (top / "limits.toml").write_text(LIMITS.format(marginal=marginal_ms, fail=fail_ms))
        steps_ms = {Verdict.PASSED: 0.0, Verdict.MARGINAL: 2.5 * marginal_ms, Verdict.FAILED: 1.4 * fail_ms}
        for verdict, status_ms in steps_ms.items():
            change(paper, ["answer-late", str(status_ms / ANSWERS / 1000)])()
            folder = top / verdict.value
            folder.mkdir()
            done = hwtest(
                *("run", "--printer", f"{paper.url}?status_s=5", "--no-questions", "--unanswered-ok"),
                *("--limits", top / "limits.toml", "--history", top / "history.db"),
                *("--json", folder / "report.json", "--junit", folder / "junit.xml"),
            )
            (folder / "output").write_text(done.stdout + done.stderr)
            found[verdict] = (done.returncode, folder)
    return found


def limit_check(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "report.json").read_text())
    [found] = [check for check in document["devices"][0]["checks"] if check["name"] == "status-limit"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("verdict", STATUSES, ids=lambda verdict: verdict.value)
def test_a_slower_printer_is_marginal_and_then_fails(verdict: Verdict, bench: dict[Verdict, tuple[int, Path]]) -> None:
    status, folder = bench[verdict]
    check = limit_check(folder)
    output = (folder / "output").read_text()
    assert (status, check["verdict"]) == (STATUSES[verdict], verdict.value), output
    if verdict is not Verdict.PASSED:
        assert re.fullmatch(r"it is .* ms; marginal above \S+ ms, fails above \S+ ms for TM-T88\*", check["found"])
        assert "do: look at the line" in output
    case = ET.parse(folder / "junit.xml").getroot().find("testsuite/testcase[@name='status-limit']")
    assert case is not None
    assert (case.find("failure") is not None) == (verdict is Verdict.FAILED)


def test_a_marginal_run_can_be_accepted(bench: dict[Verdict, tuple[int, Path]], tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text('format = 1\n[nfc.opening]\nunit = "ms"\nmarginal_above = 0\n')
    command = ("run", "--nfc", "sim://", "--limits", tmp_path / "limits.toml")
    assert hwtest(*command).returncode == ExitStatus.MARGINAL
    assert hwtest(*command, "--marginal-ok").returncode == ExitStatus.OK


def test_the_comparison_finds_it(bench: dict[Verdict, tuple[int, Path]]) -> None:
    good, slow = (bench[verdict][1] / "report.json" for verdict in (Verdict.PASSED, Verdict.FAILED))
    done = hwtest("compare", good, slow)
    assert (done.returncode, "    status: " in done.stdout) == (ExitStatus.FAILED, True), done.stdout
    back = hwtest("compare", slow, good, "--json")
    assert back.returncode == ExitStatus.OK, back.stdout
    assert ("better", "status") in {(one["what"], one["name"]) for one in json.loads(back.stdout)["changes"]}


def test_the_history_has_every_run_with_its_verdict(bench: dict[Verdict, tuple[int, Path]]) -> None:
    path = bench[Verdict.PASSED][1].parent / "history.db"
    done = hwtest("history", path, "--serial", "SIM0000001", "--measurement", "status", "--json")
    [series] = json.loads(done.stdout)
    assert [point["verdict"] for point in series["points"]] == ["passed", "marginal", "failed"]
    assert series["points"][0]["firmware"] == "SIM 1.00"


@pytest.mark.parametrize("make", [lambda path: path.mkdir(), lambda path: path.write_text("format = 9")])
def test_files_that_cannot_be_used_are_wrong_usage(make: Callable[[Path], object], tmp_path: Path) -> None:
    make(tmp_path / "limits.toml")
    done = hwtest("run", "--nfc", "sim://", "--limits", tmp_path / "limits.toml")
    assert (done.returncode, "Traceback" in done.stderr) == (ExitStatus.WRONG_USAGE, False)
