"""`sco-pay serve`: the lane as a local service."""

from __future__ import annotations

import logging
import signal
import sys

import click

from sco_payment.cli.ends import fail
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import load_settings_or_exit, settings_option
from sco_payment.journal import JournalBusy, JournalError
from sco_payment.systemd import Notifier
from sco_service.service import Service, ServiceError

log = logging.getLogger(__name__)

_END = (signal.SIGTERM, signal.SIGINT)


@click.command()
@settings_option
def serve(settings_file: str) -> None:
    """Run the lane as a service for tills and browsers, until SIGTERM or Ctrl-C.

    It owns the lane's devices, journal and screens. See "Connect a till" in the documentation.
    """
    settings = load_settings_or_exit(settings_file)
    notifier = Notifier()
    # Blocked in all threads, and waited for below: a handler may run too late to end a wait that is about to begin.
    signal.pthread_sigmask(signal.SIG_BLOCK, _END)
    try:
        service = Service(settings)
    except JournalBusy as error:
        fail(str(error), ExitStatus.JOURNAL_BUSY)
    except (JournalError, ServiceError, ValueError) as error:
        fail(str(error))
    with service, notifier.watch(service.is_alive):
        notifier.ready(f"the lane {settings.lane.pos_id} listens at {service.url}")
        click.echo(f"the lane {settings.lane.pos_id} listens at {service.url}", err=True)
        signal.sigwait(_END)
        notifier.stopping()
    sys.exit(ExitStatus.OK)
