"""`sco-hwtest run --web`: the page next to the terminal. Whichever answers a question first has answered it."""

from __future__ import annotations

import importlib
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self, TextIO

import click

from sco_hwtest.progress import ProgressWithPause
from sco_hwtest.questions import KEYS, Answer, Question, typed
from sco_hwtest.results import CheckResult, Kind, Report
from sco_hwtest.station.board import NOBODY, TERMINAL, Board, Refused
from sco_hwtest.station.server import StationServer
from sco_hwtest.terminal import LOOK_S, Terminal

ABSENT_S = 60.0
"""Without a terminal, a question waits no longer than this for a browser that was there."""
_TERMINAL = "sco_payment.cli.terminal"
"""Imported where its code is drawn: it needs rich."""
_LOCAL = ("127.0.0.1", "::1", "localhost")


class Session:
    """The page of one run, and the terminal if there is one. A context manager: the page is there inside.

    Args:
        devices: kind and URL of each.
        host, port: where the page listens.
        progress: shows the run on the terminal.
        stop: set by the page's button; ends questions.
        stream: where the page's address and the questions are printed.
        absent_s: see `ABSENT_S`.

    Attributes:
        url: the page's address, with its token.

    Raises:
        OSError: nobody can listen there.
    """

    def __init__(
        self,
        devices: Sequence[tuple[Kind, str]],
        host: str,
        port: int,
        progress: ProgressWithPause,
        stop: threading.Event,
        stream: TextIO,
        *,
        absent_s: float = ABSENT_S,
    ) -> None:
        self._progress = progress
        self._stop = stop
        self._stream = stream
        self._absent_s = absent_s
        self._board = Board(devices, stop)
        self._server = StationServer(self._board, host, port)
        self.url = self._server.url
        self._terminal = Terminal() if sys.stdin is not None and sys.stdin.isatty() else None
        self._local = host in _LOCAL

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()

    def announce(self) -> None:
        """Print the page's address, and its code for a tablet's camera where the tablet can reach it."""
        self._print(f"Open {self.url}")
        if self._local:
            return
        self._print("Whoever has this address and reaches this machine can answer and stop the run.")
        terminal = importlib.import_module(_TERMINAL)
        if terminal.draws(self._stream):
            with suppress(UnicodeEncodeError):
                self._print(terminal.qr_in_characters(self.url))

    # --- progress -------------------------------------------------------------------------------------------------

    def device(self, kind: Kind, url: str, checks: int) -> None:
        """See `runner.Progress`."""
        self._board.device(kind, url, checks)
        self._progress.device(kind, url, checks)

    def begins(self, name: str) -> None:
        """See `runner.Progress`."""
        self._board.begins(name)
        self._progress.begins(name)

    def ends(self, result: CheckResult) -> None:
        """See `runner.Progress`."""
        self._board.ends(result)
        self._progress.ends(result)

    # --- questions ------------------------------------------------------------------------------------------------

    def ask(self, question: Question) -> Answer:
        """The answer of page or terminal; NONE once the run is stopped, or while there is neither."""
        self._progress.pause()
        if self._terminal is not None:
            self._terminal.forget()  # what was typed before belongs to no question, or to the one before
            self._print(f"  ? {question.text} [y/n/s] ", end="")
        number = self._board.ask(question)
        while (found := self._board.answer_of(number)) is None:
            if self._stop.is_set() or (self._terminal is None and self._board.left_alone(self._absent_s)):
                self._board.give_up(number)
            elif self._terminal is None:
                self._board.wait(number, LOOK_S)
            elif (line := self._terminal.line(LOOK_S)) is not None:
                self._typed(number, line)
        answer, by = found
        if by != TERMINAL:
            if self._terminal is not None:
                self._print("")  # the question's line is still open
            told = "no answer" if by == NOBODY else f"{answer.value}, on the page"
            self._print(f"    {question.name}: {told}")
        return answer

    def _typed(self, number: int, line: str) -> None:
        answer = Answer.NONE if not line else typed(line)
        if answer is None:
            self._print(KEYS)
            return
        with suppress(Refused):  # the page was a moment earlier
            self._board.answer(number, answer, TERMINAL)

    # --- the end --------------------------------------------------------------------------------------------------

    def show(self, report: Report) -> None:
        """Show the report, until the operator closes the page, presses Enter or Ctrl-C, or no browser is there.

        Not after a run that Ctrl-C or a signal has stopped: that ends the whole command.
        """
        self._progress.pause()
        if self._terminal is not None:
            self._terminal.forget()
        self._board.finished(report)
        if self._stop.is_set() and not self._board.aborted:
            return
        self._print("The report is on the page." + (" Press Enter to end." if self._terminal is not None else ""))
        with suppress(KeyboardInterrupt):
            while not self._board.closed:
                if self._terminal is None:
                    if self._board.left_alone(self._absent_s):
                        return
                    self._board.wait_for_close(LOOK_S)
                elif self._terminal.line(LOOK_S) is not None:
                    return

    def _print(self, text: str, end: str = "\n") -> None:
        click.echo(text + end, nl=False, file=self._stream)
