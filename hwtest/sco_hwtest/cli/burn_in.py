"""`sco-hwtest burn-in`: repeat the checks for hours."""

from __future__ import annotations

import sys
import threading
import time
from typing import TextIO

import click

from sco_drivers.plain import one_line
from sco_hwtest import consumption
from sco_hwtest.burn_in import run_burn_in
from sco_hwtest.burn_in_results import BurnInReport
from sco_hwtest.cli.exit_status import ExitStatus, with_exit_statuses
from sco_hwtest.cli.options import (
    debug_option,
    device_options,
    devices_of,
    ends_on_signals,
    known_checks,
    log_to,
    refuse_own_console,
)
from sco_hwtest.cli.outputs import limits_of, refuse_missing_folders, report_options, write_reports
from sco_hwtest.results import Verdict
from sco_hwtest.runner import CHECK_TIMEOUT_S
from sco_payment.cli.streams import CLEAR_LINE, drawing

_LINE_EVERY_S = 60.0
_MAX_FAILURES = 100
_EXIT_STATUS = {
    Verdict.PASSED: ExitStatus.OK,
    Verdict.MARGINAL: ExitStatus.MARGINAL,
    Verdict.FAILED: ExitStatus.FAILED,
}
_TIMEOUT = "Seconds after which a check counts as hung."


@click.command("burn-in")
@device_options
@click.option(
    "--hours", type=click.FloatRange(0, min_open=True), required=True, help="Duration in hours, e.g. 0.5 or 72."
)
@click.option(
    "--pause",
    type=click.FloatRange(0),
    help="Seconds between rounds. Each round prints tickets and writes the tag, so the default is "
    f"{consumption.REAL_PAUSE_S:.0f} with a real printer or tag, else {consumption.PAUSE_S:.0f}.",
)
@click.option("--only", multiple=True, metavar="CHECK", help="Run only this check; can be repeated.")
@report_options
@click.option("--log", type=click.Path(dir_okay=False), help="Append each failure at once, as one line of JSON.")
@click.option("--check-timeout", type=click.FloatRange(1), default=CHECK_TIMEOUT_S, show_default=True, help=_TIMEOUT)
@debug_option
@with_exit_statuses("burn-in")
def burn_in_command(
    hours: float,
    pause: float | None,
    only: tuple[str, ...],
    page: str | None,
    document: str | None,
    junit: str | None,
    limits_file: str | None,
    log: str | None,
    check_timeout: float,
    debug: str | None,
    **urls: tuple[str, ...],
) -> None:
    """Repeat the checks for hours; count and time them, keep every failure, watch the memory.

    Ctrl-C and SIGTERM end it after the current check and write the report.
    """
    devices = devices_of(urls)
    known_checks(devices, only, faults=None)
    refuse_own_console(devices)
    refuse_missing_folders(page, document, junit, log)
    limits = limits_of(limits_file)
    pause = consumption.pause_for(devices) if pause is None else pause
    try:
        for words in consumption.cost(devices, hours, pause, only):
            click.echo(words, err=document == "-")
    except consumption.TooManyWrites as error:
        raise click.UsageError(str(error)) from error
    log_to(debug)
    stop = threading.Event()
    try:
        with ends_on_signals(stop):
            report = run_burn_in(
                devices,
                hours,
                pause_s=pause,
                only=only,
                check_timeout_s=check_timeout,
                stop=stop,
                log=log,
                limits=limits,
                on_round=_RoundReporter(sys.stderr if document == "-" else sys.stdout),
            )
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error
    write_reports(report, page, document, junit)
    click.echo(report.summary + (f" Report: {page}" if page else ""), err=document == "-")
    sys.exit(_EXIT_STATUS.get(report.verdict, ExitStatus.INCOMPLETE))


class _RoundReporter:
    """Prints each new failure, and the state once a minute; on a terminal the state is one line that changes."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._printed_at_s = float("-inf")
        self._seen = 0
        self._printed: set[tuple[str, str, str]] = set()
        self._live = stream.isatty()

    def __call__(self, report: BurnInReport) -> None:
        """Print what a round found."""
        for failure in report.failures[self._seen :]:
            key = (failure.url, failure.check, failure.found)
            if key not in self._printed and len(self._printed) < _MAX_FAILURES:
                self._printed.add(key)
                clock = time.strftime("%H:%M:%S", time.localtime(failure.at))
                self._print(f"{clock} FAIL {failure.kind} {failure.url} {failure.check}: {failure.found}")
        self._seen = len(report.failures)
        text = report.summary
        if self._live:
            click.echo(f"{CLEAR_LINE}{one_line(text)}", file=drawing(self._stream), nl=False)
        elif time.monotonic() - self._printed_at_s >= _LINE_EVERY_S:
            self._printed_at_s = time.monotonic()
            click.echo(text, self._stream)

    def _print(self, text: str) -> None:
        click.echo(f"{CLEAR_LINE}{one_line(text)}" if self._live else text, file=drawing(self._stream))
