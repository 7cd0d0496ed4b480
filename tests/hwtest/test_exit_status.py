"""The exit statuses: one table, in the help, in the documentation and in the commands."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_hwtest.cli.exit_status import MEANINGS, ExitStatus
from sco_hwtest.cli.main import main
from sco_hwtest.cli.run import exit_status
from sco_hwtest.results import CheckResult, DeviceReport, Report, Verdict

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("command", MEANINGS)
def test_the_help_lists_every_status(command: str) -> None:
    text = CliRunner().invoke(main, [command, "--help"]).output
    listed = dict(re.findall(r"^ +(\d)  (\S.*)$", text, re.MULTILINE))
    assert listed == {str(int(status)): words for status, words in MEANINGS[command].items()}
    assert ExitStatus.OK in MEANINGS[command]


def test_the_documentation_has_the_same_table() -> None:
    lines = (ROOT / "docs/results.md").read_text("utf-8").splitlines()
    rows = lines[lines.index("| command | exit status | what it means |") + 2 :]
    shown: dict[str, dict[ExitStatus, str]] = {}
    command = ""
    for line in itertools.takewhile(lambda one: one.startswith("|"), rows):
        name, number, words = (
            cell.strip(" `") if at < 2 else cell.strip() for at, cell in enumerate(line[1:-1].split("|"))
        )
        command = name or command
        shown.setdefault(command, {})[ExitStatus(int(number))] = words
    assert shown == MEANINGS


def test_the_group_explains_them_too() -> None:
    text = CliRunner().invoke(main, ["--help"]).output
    assert re.findall(r"^ +(\d)  ", text, re.MULTILINE) == [str(int(status)) for status in ExitStatus]


@pytest.mark.parametrize(
    ("verdicts", "plain", "unanswered_ok", "marginal_ok", "both"),
    [
        ([Verdict.PASSED], 0, 0, 0, 0),
        ([Verdict.PASSED, Verdict.MARGINAL], 4, 4, 0, 0),
        ([Verdict.NOT_ANSWERED], 3, 0, 3, 0),
        ([Verdict.NOT_ANSWERED, Verdict.MARGINAL], 3, 4, 3, 0),
        ([Verdict.NOT_RUN, Verdict.MARGINAL], 3, 3, 3, 3),
        ([Verdict.FAILED, Verdict.MARGINAL, Verdict.NOT_RUN], 1, 1, 1, 1),
        ([], 3, 3, 3, 3),
    ],
)
def test_the_status_of_a_run(
    verdicts: list[Verdict], plain: int, unanswered_ok: int, marginal_ok: int, both: int
) -> None:
    checks = [CheckResult("check", "It works.", verdict) for verdict in verdicts]
    report = Report([DeviceReport("nfc", "x://", checks=checks)] if checks else [])
    found = [
        exit_status(report, one, other) for one, other in ((False, False), (True, False), (False, True), (True, True))
    ]
    assert found == [plain, unanswered_ok, marginal_ok, both]
