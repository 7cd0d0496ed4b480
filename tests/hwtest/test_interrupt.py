"""A run that is stopped, and a device that hangs: the report has what there is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from click.testing import CliRunner

from sco_drivers.identity import DeviceIdentity
from sco_hwtest import Answer, Question, Verdict, run_burn_in, run_suite, runner
from sco_hwtest.cli.main import main
from sco_hwtest.contracts.check import Check
from sco_hwtest.measure import ask
from sco_hwtest.questions import CUT, LETTERS, Operator
from sco_hwtest.results import CheckResult, DeviceReport
from sco_hwtest.suites import Suite


@pytest.fixture
def never() -> Iterator[threading.Event]:
    """What hangs waits for this; it is over at the end of the test."""
    event = threading.Event()
    yield event
    event.set()


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Devices have the test's own checks and measurements."""

    @contextmanager
    def subject(url: str) -> Iterator[Any]:
        yield None

    def use(*checks: Any, measure: Any = lambda device, report, operator: None) -> None:
        suite = Suite("printer", tuple(Check(check) for check in checks), subject)
        monkeypatch.setattr(runner, "suite_of", lambda kind: suite)
        monkeypatch.setattr(runner, "MEASURES", {"printer": measure})

        class Opened(SimpleNamespace):
            def __enter__(self) -> Opened:
                return self

            def __exit__(self, *exc: object) -> None:
                pass

        monkeypatch.setattr(runner, "opener", lambda kind: lambda url: Opened(close=lambda: None))
        monkeypatch.setattr(runner.identity, "identify", lambda kind, url: DeviceIdentity())

    return use


def verdicts(checks: list[CheckResult]) -> dict[str, Verdict]:
    return {check.name: check.verdict for check in checks}


# --- devices that hang ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("idle_time")
def test_a_device_that_hangs_while_it_says_what_it_is_has_failed(
    device: Callable[..., None], monkeypatch: pytest.MonkeyPatch, never: threading.Event
) -> None:
    def answers(opened: Any) -> None:
        """It answers."""

    device(answers)
    monkeypatch.setattr(runner.identity, "identify", lambda kind, url: never.wait())
    report = run_suite("printer", "x://", check_timeout_s=0.2)
    assert verdicts(report.checks) == {
        "opens": Verdict.PASSED,
        "identifies": Verdict.FAILED,
        "answers": Verdict.NOT_RUN,
        "measurements": Verdict.NOT_RUN,
    }


@pytest.mark.usefixtures("idle_time")
def test_a_device_that_hangs_while_it_is_measured_has_failed(
    device: Callable[..., None], never: threading.Event
) -> None:
    def measure(opened: Any, report: DeviceReport, operator: Operator) -> None:
        report.about["seen"] = "before"
        never.wait()
        report.about["seen"] = "too late"

    device(measure=measure)
    report = run_suite("printer", "x://", check_timeout_s=0.2)
    assert verdicts(report.checks)["measurements"] is Verdict.FAILED
    assert report.checks[-1].found == "it did not return within 0 s"
    never.set()
    assert report.about["seen"] == "before"


@pytest.mark.usefixtures("idle_time")
def test_the_operator_may_need_any_time_and_is_asked_in_the_callers_thread(device: Callable[..., None]) -> None:
    threads: list[threading.Thread] = []

    def measure(opened: Any, report: DeviceReport, operator: Operator) -> None:
        ask(report, operator, CUT)
        ask(report, operator, LETTERS)

    def slow(question: Question) -> Answer:
        threads.append(threading.current_thread())
        time.sleep(3600)
        return Answer.YES

    device(measure=measure)
    report = run_suite("printer", "x://", operator=slow, check_timeout_s=60)
    assert report.verdict is Verdict.PASSED, report.checks
    assert threads == [threading.current_thread()] * 2


@pytest.mark.usefixtures("idle_time")
def test_an_operator_that_fails_ends_the_measuring_only(device: Callable[..., None]) -> None:
    def breaks(question: Question) -> Answer:
        raise KeyError("camera")

    device(measure=lambda opened, report, operator: ask(report, operator, CUT))
    report = run_suite("printer", "x://", operator=breaks)
    assert "KeyError: 'camera'" in report.checks[-1].found


# --- Ctrl-C ---------------------------------------------------------------------------------------------------------


def twice_interrupted(monkeypatch: pytest.MonkeyPatch, never: threading.Event) -> Callable[[Any], None]:
    """A check during which the operator presses Ctrl-C twice, and which never ends."""
    told, echo = threading.Event(), click.echo

    def watched(*words: Any, **how: Any) -> None:
        echo(*words, **how)
        if "press again" in str(words):
            told.set()

    monkeypatch.setattr(click, "echo", watched)

    def hangs(opened: Any) -> None:
        """It hangs."""
        os.kill(os.getpid(), signal.SIGINT)
        assert told.wait(60)
        os.kill(os.getpid(), signal.SIGINT)
        never.wait()

    return hangs


@pytest.mark.parametrize("command", [["run"], ["burn-in", "--hours", "1", "--pause", "0"]])
def test_a_second_ctrl_c_keeps_the_report(
    command: list[str],
    device: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    never: threading.Event,
    tmp_path: Path,
) -> None:
    def answers(opened: Any) -> None:
        """It answers."""

    device(answers, twice_interrupted(monkeypatch, never))
    document = tmp_path / "report.json"
    done = CliRunner().invoke(main, [*command, "--printer", "sim://", "--json", str(document)])
    assert done.exit_code == 3, done.output
    assert "Stopped before the end." in done.output
    found = json.loads(document.read_text())
    if command == ["run"]:
        assert found["interrupted"]
        checks = {one["name"]: (one["verdict"], one["found"]) for one in found["devices"][0]["checks"]}
        assert checks["answers"] == ("passed", "")
        assert checks["hangs"] == ("not run", "it was stopped before its end")


def test_keyboard_interrupt_ends_a_run_from_python(device: Callable[..., None], never: threading.Event) -> None:
    def hangs(opened: Any) -> None:
        """It hangs."""
        os.kill(os.getpid(), signal.SIGINT)
        never.wait()

    device(hangs)
    report = run_burn_in([("printer", "x://")], 1.0, pause_s=0)
    assert report.ended_by == "signal"


class AtTerminal:
    """`sco-hwtest run` on the tests' own devices, with a terminal as its input. A context manager."""

    def __init__(self, *words: str) -> None:
        self._terminal, theirs = os.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.hwtest.station.own_suite", "run", *words],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.close(theirs)

    def __enter__(self) -> AtTerminal:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.communicate()
        os.close(self._terminal)

    def asks(self, words: str = "") -> None:
        """Wait for these words and a question."""
        assert self.process.stdout is not None
        seen = b""
        while words.encode() not in seen or b"[y/n/s]" not in seen:
            more = os.read(self.process.stdout.fileno(), 4096)
            assert more, seen
            seen += more

    def type(self, text: str) -> None:
        os.write(self._terminal, text.encode())

    def ends(self) -> tuple[int, str]:
        """The exit status, and the rest of the output."""
        assert self.process.stdout is not None
        rest = self.process.stdout.read().decode()
        return self.process.wait(300), rest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_a_question_ends_the_run(number: signal.Signals, tmp_path: Path) -> None:
    document = tmp_path / "report.json"
    with AtTerminal("--printer", "sim://", "--nfc", "sim://", "--json", str(document)) as run:
        run.asks()
        run.process.send_signal(number)
        status, rest = run.ends()
    assert status == 3, rest
    assert "[y/n/s]" not in rest
    found = json.loads(document.read_text())
    assert found["interrupted"]
    assert [one["kind"] for one in found["devices"]] == ["printer"]
    assert {one["verdict"] for one in found["devices"][0]["checks"] if one["asked"]} == {"not answered"}


@pytest.mark.parametrize(
    ("typed", "status", "verdict"),
    [("y\n", 0, "passed"), ("n\n", 1, "failed"), ("s\n", 3, "not answered"), ("\x04", 3, "not answered")],
)
def test_questions_are_asked_on_the_terminal(typed: str, status: int, verdict: str, tmp_path: Path) -> None:
    document = tmp_path / "report.json"
    with AtTerminal("--nfc", "sim://", "--json", str(document)) as run:
        run.asks()
        run.type("what?\n")
        run.asks("y: yes, n: no")
        run.type(typed)
        assert run.ends()[0] == status
    [device] = json.loads(document.read_text())["devices"]
    assert device["checks"][-1]["verdict"] == verdict
