"""What every command of `sco-pay` reads and prints the same way: amounts, settings, outcomes."""

from __future__ import annotations

import contextlib
import ctypes
import re
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sco_drivers.plain import one_line
from sco_payment.attempt import Outcome
from sco_payment.cli.ends import fail
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
        fail("\n  - ".join([f"{one_line(str(error.source))} cannot be used:", *error.problems, *machine]))


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
