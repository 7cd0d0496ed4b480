"""`sco-hwtest run --web` as a process: its address, its exit status, and a terminal that answers next to the page."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_hwtest.cli.main import main
from tests.hwtest.station.conftest import Browser

NAME = "tablet-of-the-test"


class Command:
    """The command with a terminal as its input, or with none."""

    def __init__(self, process: subprocess.Popen[str], terminal: int | None) -> None:
        self.process = process
        self._terminal = terminal
        self.lines: list[str] = []

    def line(self, words: str) -> str:
        """The next line of the output that has these words."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if words in line:
                return line
        raise AssertionError(f"no {words!r} in\n{''.join(self.lines)}")

    def tablet(self) -> Browser:
        """A browser at the address that is printed."""
        return Browser(self.line("Open http").split()[-1], NAME)

    def type(self, text: str) -> None:
        """Type on the terminal."""
        assert self._terminal is not None
        os.write(self._terminal, text.encode())

    def ends(self) -> int:
        """The exit status."""
        assert self.process.stdout is not None
        self.lines += self.process.stdout.readlines()
        return self.process.wait(300)


@contextmanager
def command(*words: str, terminal: bool = True) -> Iterator[Command]:
    """`sco-hwtest run --web` with these arguments."""
    with ExitStack() as stack:
        ours, theirs = os.openpty() if terminal else (None, subprocess.DEVNULL)
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hwtest.station.own_suite", "run", "--web", *words],
            stdin=theirs,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        stack.callback(process.wait)
        stack.callback(process.kill)
        if ours is not None:
            os.close(theirs)
            stack.callback(os.close, ours)
        yield Command(process, ours)


def test_terminal_answers_and_ends(tmp_path: Path) -> None:
    document = tmp_path / "report.json"
    with command("--nfc", "sim://", "--json", str(document)) as run:
        tablet = run.tablet()
        question = tablet.wait("question")["question"]
        run.type("what?\n")
        run.line("y: yes, n: no")
        run.type("y\n")
        assert tablet.wait("last")["last"]["told"].endswith("“yes” at the terminal.")
        assert tablet.answer(question["number"], "no") == (409, "answered_already")
        assert tablet.wait("report")["report"]["verdict"] == "passed"
        run.line("Press Enter to end")
        run.type("\n")
        assert run.ends() == 0
    assert json.loads(document.read_text())["verdict"] == "passed"


def test_page_answers_while_the_terminal_asks_and_what_was_typed_answers_no_later_question() -> None:
    with command("--printer", "sim://") as run:
        tablet = run.tablet()
        first = tablet.wait("question")["question"]["number"]
        run.type("n")  # the operator was about to answer the first question
        assert tablet.answer(first, "yes") == (200, "")
        run.line("code-on-paper: yes, on the page")
        assert tablet.wait("question")["question"]["name"] == "letters-on-paper"
        run.type("y\n")
        while tablet.wait("question")["question"]["name"] != "ticket-is-cut":
            pass
        run.type("n\n")
        checks = {check["name"]: check["verdict"] for check in tablet.wait("report")["devices"][0]["checks"]}
        assert checks["code-on-paper"] == checks["letters-on-paper"] == "passed"
        assert checks["ticket-is-cut"] == "failed"
        assert tablet.post("/close")[0] == 200
        assert run.ends() == 1


def test_end_of_the_terminals_input_skips_the_question() -> None:
    with command("--nfc", "sim://") as run:
        tablet = run.tablet()
        tablet.wait("question")
        run.type("\x04")
        assert tablet.wait("report")["report"]["verdict"] == "not answered"
        run.type("\x04")
        assert run.ends() == 3


def test_page_stops_the_run() -> None:
    with command("--printer", "sim://", "--nfc", "sim://", terminal=False) as run:
        tablet = run.tablet()
        tablet.wait("question")
        assert tablet.post("/abort")[0] == 200
        state = tablet.wait("report")
        assert state["report"]["summary"].startswith("Stopped before the end.")
        assert tablet.post("/close")[0] == 200
        assert run.ends() == 3


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_at_a_question_ends_the_command(tmp_path: Path, number: signal.Signals) -> None:
    document = tmp_path / "report.json"
    with command("--nfc", "sim://", "--json", str(document), terminal=False) as run:
        run.tablet().wait("question")
        run.process.send_signal(number)
        assert run.ends() == 3
    assert json.loads(document.read_text())["interrupted"]


def test_without_questions_the_page_only_shows(tmp_path: Path) -> None:
    with command("--nfc", "sim://", "--no-questions", "--unanswered-ok", terminal=False) as run:
        tablet = run.tablet()
        state = tablet.wait("report")
        assert state["last"] is None
        assert tablet.post("/close")[0] == 200
        assert run.ends() == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--listen", "127.0.0.1:0"], "--listen is for the page of --web"),
        (["--web", "--listen", "8500"], "write address:port"),
        (["--web", "--listen", "127.0.0.1:99999"], "write address:port"),
        (["--web", "--listen", "http://127.0.0.1:1"], "write address:port"),
        (["--web", "--listen", "203.0.113.9:8500"], "--listen 203.0.113.9:8500: "),
    ],
)
def test_wrong_addresses_are_refused(words: list[str], says: str) -> None:
    done = CliRunner().invoke(main, ["run", "--nfc", "sim://", *words])
    assert done.exit_code in (1, 2)
    assert says in done.output
    assert "Traceback" not in done.output


def test_address_for_other_machines_comes_with_a_warning_and_a_code() -> None:
    with ExitStack() as stack:
        ours, theirs = os.openpty()
        stack.callback(os.close, ours)
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "tests.hwtest.station.own_suite",
                "run",
                "--web",
                "--listen",
                "0.0.0.0:0",
                "--nfc",
                "sim://",
            ],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, "TERM": "xterm", "COLUMNS": "120", "PYTHONUNBUFFERED": "1"},
        )
        os.close(theirs)
        stack.callback(process.wait)
        stack.callback(process.kill)
        output = ""
        while "phone" not in output:
            output += os.read(ours, 65536).decode("utf-8", "replace")
        assert "Whoever has this address and reaches this machine can answer" in output
        assert "█▀" in output
