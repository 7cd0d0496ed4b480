"""Questions on the terminal, which a stopped run does not wait for."""

from __future__ import annotations

import os
import select
import sys
import termios
import threading
from contextlib import suppress
from typing import TextIO

import click

from sco_hwtest.questions import KEYS, Answer, Question, typed

LOOK_S = 0.2
"""Between two looks at what else may end a question."""


class Terminal:
    """Lines from the terminal, each only for the question that is open when it is typed."""

    def __init__(self) -> None:
        self._descriptor = sys.stdin.fileno()

    def forget(self) -> None:
        """Drop what was typed and not read."""
        with suppress(termios.error):
            termios.tcflush(self._descriptor, termios.TCIFLUSH)

    def line(self, timeout_s: float) -> str | None:
        """The next line with its end, empty at the end of the input; None if none comes in that time."""
        ready, _, _ = select.select([self._descriptor], [], [], timeout_s)
        if not ready:
            return None
        with suppress(OSError):  # the terminal is gone: the input has ended
            return os.read(self._descriptor, 4096).decode("utf-8", "replace")
        return ""


def at_terminal(question: Question, stop: threading.Event, stream: TextIO) -> Answer:
    """Ask on the terminal, in `stream`: y, n, or s to skip. The end of the input skips the question too, and so does
    `stop`.
    """
    if stop.is_set():
        return Answer.NONE
    terminal = Terminal()
    terminal.forget()
    click.echo(f"  ? {question.text} [y/n/s] ", nl=False, file=stream)
    while not stop.is_set():
        line = terminal.line(LOOK_S)
        if line is None:
            continue
        answer = Answer.NONE if not line else typed(line)
        if answer is not None:
            return answer
        click.echo(f"{KEYS}\n  ? [y/n/s] ", nl=False, file=stream)
    click.echo("", file=stream)
    return Answer.NONE
