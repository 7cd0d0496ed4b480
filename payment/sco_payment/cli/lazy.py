"""A group of commands, each imported only when it is used: `--help` stays fast, and a missing library stops only the
command that needs it."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from sco_payment.cli.exit_status import ExitStatus


class LazyCommand(NamedTuple):
    """Where a command is.

    Attributes:
        module: imported when the command is used.
        name: of the click command in that module.
        short_help: for the list of commands.
        extra: the extra of the distribution that the command needs; empty if none.
    """

    module: str
    name: str
    short_help: str
    extra: str = ""


class MissingLibrary(click.ClickException):
    """A command cannot be imported because a library is not installed."""

    exit_code = ExitStatus.WRONG_USAGE


class LazyGroup(click.Group):
    """A click group of `LazyCommand`s.

    Args:
        lazy: name -> command.
    """

    def __init__(self, *args: Any, lazy: Mapping[str, LazyCommand], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = lazy

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands, in the table's order."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command `cmd_name`; None if there is none."""
        entry = self._lazy.get(cmd_name)
        if entry is None:
            return None
        try:
            command: click.Command = getattr(importlib.import_module(entry.module), entry.name)
        except ImportError as error:
            install = f"; run: pip install 'sco-paymaster[{entry.extra}]'" if entry.extra else ""
            raise MissingLibrary(f"{cmd_name}: a library is missing: {error}{install}") from error
        command.short_help = entry.short_help
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, entry.short_help) for name, entry in self._lazy.items()])
