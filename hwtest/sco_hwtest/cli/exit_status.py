"""The exit statuses of `sco-hwtest`, for scripts and CI servers. They do not change within a major version."""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TypeVar

import click

C = TypeVar("C", bound=Callable[..., object])


class ExitStatus(IntEnum):
    """What an exit status of `sco-hwtest` means; `MEANINGS` says it of each command."""

    OK = 0
    FAILED = 1
    WRONG_USAGE = 2
    INCOMPLETE = 3
    MARGINAL = 4


MEANINGS: dict[str, dict[ExitStatus, str]] = {
    "run": {
        ExitStatus.OK: "everything passed",
        ExitStatus.FAILED: "a check or measurement failed, or a file could not be written",
        ExitStatus.WRONG_USAGE: "wrong usage, or a limits or history file that cannot be used; nothing was tested",
        ExitStatus.INCOMPLETE: "nothing failed, but questions are unanswered, checks could not run, or it was stopped",
        ExitStatus.MARGINAL: "nothing failed and nothing is missing, but a measurement is marginal",
    },
    "burn-in": {
        ExitStatus.OK: "everything passed",
        ExitStatus.FAILED: "a check failed, memory or open files grew, or a file could not be written",
        ExitStatus.WRONG_USAGE: "wrong usage, or a limits file that cannot be used; nothing was tested",
        ExitStatus.INCOMPLETE: "nothing failed, but checks could not run",
        ExitStatus.MARGINAL: "nothing failed, but the growth is marginal",
    },
    "record": {
        ExitStatus.OK: "everything passed, and each trace is whole",
        ExitStatus.FAILED: "a check failed, or a trace could not be written to its end",
        ExitStatus.WRONG_USAGE: "wrong usage",
        ExitStatus.INCOMPLETE: "nothing failed, but questions are unanswered, checks could not run, or it was stopped",
        ExitStatus.MARGINAL: "nothing failed and nothing is missing, but a measurement is marginal",
    },
    "replay": {
        ExitStatus.OK: "each trace still fits",
        ExitStatus.FAILED: "a trace differs; the first difference is printed",
        ExitStatus.WRONG_USAGE: "wrong usage",
        ExitStatus.INCOMPLETE: "nothing differs, but a trace was cut off or could not be replayed to its end",
    },
    "compare": {
        ExitStatus.OK: "nothing became worse",
        ExitStatus.FAILED: "something became worse",
        ExitStatus.WRONG_USAGE: "wrong usage, or a file that is not a report",
        ExitStatus.INCOMPLETE: "nothing became worse, but something disappeared",
    },
    "history": {
        ExitStatus.OK: "shown, and with `--check`: no measurement is getting worse",
        ExitStatus.FAILED: "with `--check`: a measurement is getting worse",
        ExitStatus.WRONG_USAGE: "wrong usage, or a file that is not a history",
    },
    "limits": {
        ExitStatus.OK: "the file can be used",
        ExitStatus.WRONG_USAGE: "wrong usage, or a file that cannot be used",
    },
}
"""By command. Every other command: 0 done, 1 it failed or found a problem, 2 wrong usage."""


class UnusableFile(click.ClickException):
    """A file that a command was given cannot be used."""

    exit_code = ExitStatus.WRONG_USAGE


def with_exit_statuses(name: str) -> Callable[[C], C]:
    """Add the exit statuses of the command `name` to the help of the function below."""

    def add(function: C) -> C:
        rows = "".join(f"\n    {status:d}  {words}" for status, words in MEANINGS[name].items())
        function.__doc__ = f"{(function.__doc__ or '').rstrip()}\n\n    \b\n    Exit status:{rows}"
        return function

    return add
