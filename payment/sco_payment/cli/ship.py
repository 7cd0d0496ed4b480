"""`sco-pay ship`: send the journal of a lane without a service to its fleet."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Any

import click

from sco_payment.cli.ends import fail
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import load_settings_or_exit, settings_option
from sco_payment.fleet.agent import Agent
from sco_payment.journal import Journal, JournalBusy, JournalError
from sco_payment.journal.opening import open_journal
from sco_payment.settings import Settings

_END = (signal.SIGTERM, signal.SIGINT)


@click.command()
@settings_option
@click.option("--once", is_flag=True, help="Send what there is, report once, and end.")
def ship(settings_file: str, once: bool) -> None:
    """Send the lane's journal to its fleet, until SIGTERM or Ctrl-C. A lane that runs as a service does it by itself.

    The lane may run meanwhile, and decisions of the office wait for it. With --once, exit status 1 if the fleet did
    not get everything.
    """
    settings = load_settings_or_exit(settings_file, token=False)
    if not settings.fleet.url:
        fail("fleet.url is missing in the settings: this lane has no fleet")
    _bring_up_to_date(settings)
    agent = Agent(settings, lambda: _health(settings), polls=True)
    if not once:
        signal.pthread_sigmask(signal.SIG_BLOCK, _END)
        agent.start()
        signal.sigwait(_END)
        agent.close()
        return
    agent.turn()
    problem = agent.last_error or agent.problem or agent.behind
    if problem:
        click.echo(f"sco-pay: {problem}", err=True)
        sys.exit(ExitStatus.PROBLEM)
    click.echo(f"the fleet has all rows up to {agent.acknowledged_row}")


def _bring_up_to_date(settings: Settings) -> None:
    """A journal that an older release wrote has no id: give it one, unless its lane runs."""
    try:
        with Journal(settings.journal.path, read_only=True) as journal:
            if journal.id():
                return
        open_journal(settings).close()
    except JournalBusy:
        fail("the journal is of an older release, whose lane runs: restart the lane first", ExitStatus.JOURNAL_BUSY)
    except JournalError as error:
        if Path(settings.journal.path).exists():
            fail(str(error))


def _health(settings: Settings) -> dict[str, Any]:
    """What is known of the lane without its service."""
    with Journal(settings.journal.path, read_only=True) as journal:
        return {
            "lane_id": settings.lane.pos_id,
            "profile": settings.lane.profile,
            "mode": settings.mode.value,
            "open_cases": len(journal.cases()),
        }
