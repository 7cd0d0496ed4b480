"""`sco-pay journal`: verify the lane's journal."""

from __future__ import annotations

import sys

import click

from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import fail, load_settings_or_exit, settings_option
from sco_payment.journal import Journal, JournalError, WrongAnchor


@click.group()
def journal() -> None:
    """The lane's journal."""


@journal.command()
@settings_option
@click.option("--anchor", help="NUMBER:HASH printed by an earlier check; keep it where the lane cannot write.")
def verify(settings_file: str, anchor: str | None) -> None:
    """Check that no row of the journal was changed, lost or cut off. Exit status 1 if one was.

    Someone who can write the file can also replace it by an old copy or write a new one: only an anchor detects that.
    """
    settings = load_settings_or_exit(settings_file, token=False)
    try:
        with Journal(settings.journal.path, read_only=True) as opened:
            problems = opened.verify(anchor)
            count, head = opened.count(), opened.head()
    except (JournalError, WrongAnchor) as error:
        fail(str(error))
    for problem in problems:
        click.echo(problem)
    if problems:
        sys.exit(ExitStatus.PROBLEM)
    click.echo(f"{count} rows, all in order")
    if head:
        click.echo(f"anchor {head}")
