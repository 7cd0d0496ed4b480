"""What every command of `sco-pay` prints the same way: errors, outcomes, amounts and JSON."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

import click

from sco_drivers.plain import json_line, lines, one_line
from sco_payment.attempt import Outcome
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.journal import location
from sco_payment.money import format_amount, kopecks_from_text
from sco_payment.settings_reader import SettingsError, load_settings

if TYPE_CHECKING:
    from sco_payment.order import Result
    from sco_payment.settings import Settings

OUTCOME_STATUS = {
    Outcome.PAID: ExitStatus.OK,
    Outcome.UNPAID: ExitStatus.UNPAID,
    Outcome.UNKNOWN: ExitStatus.UNKNOWN,
    Outcome.NOT_PRESENTED: ExitStatus.NOT_PRESENTED,
}


class _Amount(click.ParamType[int]):
    """Roubles on the command line, kopecks in the program."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        if isinstance(value, int):
            return value
        try:
            return kopecks_from_text(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Tendered(_Amount):
    """What other legs have paid: an amount, or nothing."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return 0 if isinstance(value, str) and _ZERO.fullmatch(value) else super().convert(value, param, ctx)


def only_once(ctx: click.Context, param: click.Parameter, values: tuple[Any, ...]) -> Any:
    """Callback of an option with `multiple=True` that may be given once: the last one would silently win."""
    if len(values) > 1:
        raise click.BadParameter(f"given {len(values)} times; write it once")
    return values[0] if values else None


def added_up(ctx: click.Context, param: click.Parameter, values: tuple[int, ...]) -> int:
    """Callback of an amount with `multiple=True`: several legs have paid."""
    return sum(values)


_ZERO = re.compile(r"0+(?:[.,]0{1,2})?")
AMOUNT, TENDERED = _Amount(), _Tendered()
settings_option = click.option(
    "--settings",
    "settings_file",
    required=True,
    multiple=True,
    callback=only_once,
    type=click.Path(dir_okay=False),
    help="Settings file of the lane.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one object a line; the last one is the outcome."
)


_JSON_WANTED = "sco_payment.json"
_OUTCOMES = {ExitStatus.REFUSED: "refused", ExitStatus.UNKNOWN: "unknown"}


class JsonCommand(click.Command):
    """A command about a payment, with `--json`: its last line is JSON however it ends, also without an outcome."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click's, but a wrong usage is reported as JSON too."""
        wanted = "--json" in args
        try:
            context = super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            if wanted:
                print_end(error.format_message(), ExitStatus.WRONG_USAGE)
            raise
        context.meta[_JSON_WANTED] = wanted
        return context


def print_end(message: str, status: int, order_no: str | None = None) -> None:
    """The last JSON line of a command that ends without an outcome of its own."""
    outcome = _OUTCOMES.get(ExitStatus(status), "error")
    data = {"event": "outcome", "time_ms": round(time.time() * 1000), "outcome": outcome, "order": order_no}
    with contextlib.suppress(OSError, ValueError):  # whoever reads our output is gone
        print_json({**data, "detail": message, "exit_status": int(status)})


def fail(message: str, status: int = ExitStatus.WRONG_USAGE) -> NoReturn:
    """Print `message` to stderr and exit with `status`; with `--json` print that on stdout too, as the last line."""
    context = click.get_current_context(silent=True)
    if context is not None and context.meta.get(_JSON_WANTED):
        print_end(message, status, context.params.get("order_no"))
    try:
        click.echo(f"sco-pay: {lines(message)}", err=True)
    except OSError:  # the terminal is gone; the exit status still reports it
        discard_output(sys.stderr)
    sys.exit(status)


def discard_output(stream: TextIO) -> None:
    """Send the rest of a broken stream to /dev/null: Python would fail to flush it at exit and change the status."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def load_settings_or_exit(path: str, *, token: bool = True, from_fleet: Mapping[str, Any] | None = None) -> Settings:
    """Load the settings file, or print every problem and exit.

    Args:
        path: the settings file.
        token: whether PayMaster's token is required: not for a command that sends nothing.
        from_fleet: what the fleet sets, instead of what is in force.
    """
    if token:
        keep_memory_private()
    try:
        return load_settings(path, token=token, from_fleet=from_fleet)
    except SettingsError as error:
        journal = "" if error.settings is None else error.settings.journal.path
        machine = [f"journal.path: {problem}" for problem in location.problems(Path(journal))] if journal else []
        fail("\n  - ".join([f"{error.source} cannot be used:", *error.problems, *machine]))


def keep_memory_private() -> None:
    """Let no core dump of this process, which will hold the token, be written."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))


_PR_SET_DUMPABLE = 4
"""prctl(2)."""


def outcome_json(result: Result) -> dict[str, Any]:
    """The last JSON line of a payment."""
    outcome = result.outcome or Outcome.UNKNOWN
    return {
        "outcome": "unpaid" if outcome is Outcome.NOT_PRESENTED else outcome.value,
        "presented": result.presented,
        "reason": result.reason.value,
        "detail": result.detail,
        "case": result.case,
        "order": result.order_no,
        "amount": f"{result.kopecks / 100:.2f}",
        "payment_id": result.payment_id,
        "attempt": result.key,
        "phase": result.phase.value,
    }


def outcome_text(result: Result) -> str:
    """The outcome of a payment in one sentence."""
    order = f"order {result.order_no}, {format_amount(result.kopecks)}"
    match result.outcome:
        case Outcome.PAID:
            return f"paid: {order}"
        case Outcome.UNPAID:
            return f"unpaid: {order} ({result.reason.value})"
        case Outcome.NOT_PRESENTED:
            reason = f"{result.reason.value}: {result.detail}" if result.detail else result.reason.value
            return f"unpaid: {order}: the link could not be presented ({one_line(reason)})"
        case _:
            case = f"case {result.case}" if result.case is not None else "not final yet"
            return f"unknown: {order}: {case}; see `sco-pay cases` and `sco-pay recover`"


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on a line, in UTF-8 whatever the encoding of the terminal."""
    click.echo(json_line(data).encode())
