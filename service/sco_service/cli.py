"""`sco-pay serve`: the lane as a local service."""

from __future__ import annotations

import logging
import os
import signal
import sys

import click

from sco_payment.cli.ends import fail
from sco_payment.cli.exit_status import ExitStatus
from sco_payment.cli.output import keep_memory_private, load_settings_or_exit, settings_option
from sco_payment.journal import JournalBusy, JournalError
from sco_payment.settings import Settings
from sco_payment.settings_reader import SettingsError, load_settings
from sco_payment.systemd import Notifier
from sco_service.new_settings import NewSettings
from sco_service.service import Service, ServiceError

log = logging.getLogger(__name__)

TRIAL_S = 30.0
"""For so long the service must run with new settings from the fleet before they count as good."""
_END = (signal.SIGTERM, signal.SIGINT)
_RESTART = signal.SIGUSR1
"""From the service to itself: new settings wait, and there is no customer."""


@click.command()
@settings_option
def serve(settings_file: str) -> None:
    """Run the lane as a service for tills and browsers, until SIGTERM or Ctrl-C.

    It owns the lane's devices, journal and screens. See "Connect a till" in the documentation.
    """
    # Blocked in all threads, and waited for below: a handler may run too late to end a wait that is about to begin.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_END, _RESTART))
    try:
        new = NewSettings(settings_file)
    except ValueError as error:
        fail(f"settings from the fleet: {error}")
    try:
        service = Service(_settings(settings_file, new), new_settings=new.taker(), restart=_ask_for_restart)
        again = _run(service, new)
    except (JournalError, ServiceError) as error:  # journal, address and clients are of the lane's own file
        new.postpone()
        fail(str(error), ExitStatus.JOURNAL_BUSY if isinstance(error, JournalBusy) else ExitStatus.WRONG_USAGE)
    except ValueError as error:
        if not new.give_up(str(error)):
            fail(str(error))
        again = True
    if again:
        _start_again()
    sys.exit(ExitStatus.OK)


def _settings(settings_file: str, new: NewSettings) -> Settings:
    """The settings to run with; on trial, raises SettingsError."""
    keep_memory_private()
    try:
        return load_settings(settings_file)
    except SettingsError as error:
        if new.on_trial:
            raise
        before = new.go_back(error)
    return before if before is not None else load_settings_or_exit(settings_file)


def _run(service: Service, new: NewSettings) -> bool:
    """Run the service until it is to end; whether it is to start again."""
    notifier = Notifier()
    with service, notifier.watch(service.is_alive):
        notifier.ready(f"the lane {service.settings.lane.pos_id} listens on {service.url}")
        click.echo(f"the lane {service.settings.lane.pos_id} listens on {service.url}", err=True)
        got = signal.sigtimedwait((*_END, _RESTART), TRIAL_S) if new.on_trial else None
        if new.on_trial and not service.is_alive():
            return new.give_up("the lane's service did not stay alive with them")
        if got is None:
            new.confirm()
            got = signal.sigwaitinfo((*_END, _RESTART))
        new.postpone()
        if got.si_signo == _RESTART:
            notifier.status("starting again with new settings")  # after STOPPING=1 systemd would end the new process
        else:
            notifier.stopping()
    return got.si_signo == _RESTART


def _ask_for_restart() -> None:
    os.kill(os.getpid(), _RESTART)


def _start_again() -> None:
    """This process becomes a fresh one, with or without systemd: the start that follows every crash, too."""
    log.info("new settings from the fleet: starting again")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - no shell
