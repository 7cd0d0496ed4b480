"""How a command of `sco-pay` ends: its exit status, its last words on stderr, and with `--json` its last line.

A command about a payment says what a caller must know even when something unforeseen breaks it: nothing was sent, the
outcome is unknown, or it is out already. Imports nothing heavy: the group of commands uses it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Mapping
from typing import Any, NoReturn, TextIO

import click

from sco_drivers.plain import json_line, lines
from sco_payment.cli.exit_status import ExitStatus

log = logging.getLogger(__name__)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON, one object a line; the last one is the outcome."
)
NOTHING_SENT = "nothing was sent"
UNKNOWN = "the outcome is unknown; see `sco-pay cases` and `sco-pay recover`"

_JSON_WANTED = "sco_payment.json"
_BROKEN = "sco_payment.broken"
_OUTCOMES = {ExitStatus.REFUSED: "refused", ExitStatus.UNKNOWN: "unknown"}


class JsonCommand(click.Command):
    """A command about a payment, with `--json`: its last line is JSON however it ends, also without an outcome."""

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """As click's, but a wrong usage is reported as JSON too."""
        wanted = "--json" in args
        with usage_as_json(wanted):
            context = super().make_context(info_name, args, parent, **extra)
        context.meta[_JSON_WANTED] = wanted
        return context

    def invoke(self, ctx: click.Context) -> Any:
        """As click's, but what nobody foresaw ends with the status that `when_broken` has set."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (Exception, KeyboardInterrupt, click.Abort) as error:
            status, words = ctx.meta.get(_BROKEN, (ExitStatus.WRONG_USAGE, NOTHING_SENT))
            if not isinstance(error, (KeyboardInterrupt, click.Abort)):
                log.exception("unforeseen")
            if not words:  # the outcome was reported already
                sys.exit(status)
            name = "interrupted" if isinstance(error, (KeyboardInterrupt, click.Abort)) else _named(error)
            fail(f"{name}: {words}", status)


def _named(error: BaseException) -> str:
    return f"unforeseen: {type(error).__name__}: {error}".rstrip(": ")


def when_broken(status: int, words: str) -> None:
    """From here on an unforeseen error ends the command with this status, and these words; "" for none."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.meta[_BROKEN] = (status, words)


@contextlib.contextmanager
def usage_as_json(wanted: bool) -> Any:
    """Report a wrong usage as JSON too, where that is `wanted`."""
    try:
        yield
    except click.UsageError as error:
        if wanted and not getattr(error, _JSON_WANTED, False):
            setattr(error, _JSON_WANTED, True)
            print_end(error.format_message(), ExitStatus.WRONG_USAGE)
        raise


def print_end(message: str, status: int, order_no: str | None = None, outcome: str = "") -> None:
    """The last JSON line of a command that ends without an outcome of its own."""
    outcome = outcome or _OUTCOMES.get(ExitStatus(status), "error")
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


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on a line, in UTF-8 whatever the encoding of the terminal."""
    click.echo(json_line(data).encode())
