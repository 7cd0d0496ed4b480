"""`sco-pay recover`: finish or report what a stopped lane left open."""

from __future__ import annotations

import sys

import click

from sco_payment.attempt import Outcome
from sco_payment.cli.ends import UNKNOWN, JsonCommand, fail, json_option, print_end, when_broken
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import load_settings_or_exit, settings_option
from sco_payment.cli.pay import opened_lane
from sco_payment.journal import JournalError


@click.command(cls=JsonCommand)
@settings_option
@click.option("--follow", is_flag=True, help="Continue until every attempt is final.")
@json_option
def recover(settings_file: str, follow: bool, as_json: bool) -> None:
    """Finish or report every payment that a stopped lane left open.

    A running lane does this itself when it starts. Exit status 4 if a payment needs the operator, else 0.
    """
    settings = load_settings_or_exit(settings_file)
    when_broken(ExitStatus.UNKNOWN, UNKNOWN)
    with opened_lane(settings, as_json, cancels=False) as (lane, report):
        try:
            results = lane.recover(follow=follow)
        except JournalError as error:
            fail(str(error))
        for result in results:
            report(result)
        if not results and as_json:
            print_end("no payment is open", ExitStatus.OK, outcome="nothing_open")
        elif not results:
            click.echo("no payment is open")
    # Even a paid attempt does not release the goods here: the lane stopped at that point, and the operator must find
    # out whether the customer got them.
    needs_operator = any(result.outcome is Outcome.UNKNOWN or result.case for result in results)
    sys.exit(ExitStatus.UNKNOWN if needs_operator else ExitStatus.OK)
