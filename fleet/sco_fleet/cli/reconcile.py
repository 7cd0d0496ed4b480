"""`sco-fleet reconcile`: a day's payments at the acquirer against the lanes' journals."""

from __future__ import annotations

import json
import sys
from datetime import date, datetime, timedelta
from pathlib import Path

import click

from sco_drivers.plain import one_line
from sco_fleet import reconcile as reconciliation
from sco_fleet.cli.database import database_option, errors
from sco_fleet.cli.office import command_line_user, office_option
from sco_fleet.office.settings import OfficeSettings
from sco_fleet.office.words import word
from sco_fleet.reconcile.compare import DOUBTS
from sco_fleet.reconcile.days import parse_day
from sco_payment.cli.exit_status import ExitStatus


class _NotNow(click.ClickException):
    """The database cannot be used now."""

    exit_code = ExitStatus.UNREACHABLE


@click.command()
@database_option
@office_option
@click.argument("day")
@click.option(
    "--file", type=click.Path(exists=True, dir_okay=False), help="A registry file instead of PayMaster's list."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def reconcile(url: str, office: OfficeSettings, day: str, file: str | None, as_json: bool) -> None:
    """Compare the acquirer's payments of DAY, e.g. 2026-11-29 or yesterday, with the lanes' journals.

    The office's page shows every difference.

    \b
    Exit status:
      0  no difference
      1  there are differences
      2  wrong usage, settings or file
      4  the acquirer's list, or the comparison, is incomplete: what is missing is not known
      8  the database cannot be used, or the day is being reconciled just now
    """
    try:
        chosen = reconciliation.Day(_day(day, office), office.zone)
    except ValueError:
        raise click.BadParameter(f"{day!r} is not a day; write e.g. 2026-11-29, or yesterday") from None
    if chosen.start > datetime.now(office.zone):
        raise click.BadParameter("this day has not come yet")
    source: reconciliation.Source
    try:
        if file is None:
            source = reconciliation.open_list(office.paymaster)
        else:
            registry = reconciliation.RegistryFile(
                Path(file).name, Path(file).read_bytes(), office.zone, states=office.paymaster.states
            )
            registry.check_day(chosen)
            source = registry
    except reconciliation.RegistryError as error:
        raise click.UsageError("\n  - ".join([f"{file} cannot be used:", *error.problems])) from None
    except (OSError, ValueError) as error:
        raise click.UsageError(str(error)) from None
    try:
        with errors():
            found = reconciliation.reconcile(url, chosen, source, command_line_user(), shops=office.paymaster.shops)
    except (click.ClickException, reconciliation.AlreadyRunning) as error:
        raise _NotNow(str(error)) from None
    if as_json:
        click.echo(
            json.dumps(
                {"reconciliation": found.number, "whole": found.whole, "problem": found.problem, "kinds": found.kinds},
                ensure_ascii=False,
            )
        )
    else:
        for kind, times in sorted(found.kinds.items()):
            click.echo(f"{kind}\t{times}")
        if not found.whole:
            what = "the comparison" if found.problem in DOUBTS else "the acquirer's list"
            click.echo(one_line(f"{what} is incomplete: {word('en', 'run_problems', found.problem)}"), err=True)
        elif not found.kinds:
            click.echo("no difference")
    sys.exit(ExitStatus.UNKNOWN if not found.whole else ExitStatus.PROBLEM if found.kinds else ExitStatus.OK)


def _day(written: str, office: OfficeSettings) -> date:
    """Raises ValueError: it is none."""
    if written == "yesterday":
        return datetime.now(office.zone).date() - timedelta(days=1)
    return parse_day(written)
