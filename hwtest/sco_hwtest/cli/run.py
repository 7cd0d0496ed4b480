"""`sco-hwtest run`: check and measure devices, ask the operator, write a report."""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack
from typing import TextIO

import click

from sco_hwtest.cli.exit_status import ExitStatus, UnusableFile, with_exit_statuses
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
from sco_hwtest.cli.station import open_session, station_options
from sco_hwtest.history import History, HistoryError
from sco_hwtest.progress import ProgressWithPause, progress_for
from sco_hwtest.questions import Answer, Operator, Question, unattended
from sco_hwtest.results import Report, Verdict
from sco_hwtest.runner import CHECK_TIMEOUT_S, run
from sco_hwtest.station.session import Session
from sco_hwtest.terminal import at_terminal


@click.command("run")
@device_options
@report_options
@click.option(
    "--history",
    "history_file",
    type=click.Path(dir_okay=False),
    help="Add the run to this file, see: sco-hwtest history.",
)
@click.option(
    "--no-questions",
    "--yes",
    "no_questions",
    is_flag=True,
    help="Ask no questions; each counts as not answered.",
)
@click.option("--unanswered-ok", is_flag=True, help="Exit status 0 even if questions were not answered.")
@click.option("--marginal-ok", is_flag=True, help="Exit status 0 even if measurements are marginal.")
@click.option(
    "--only", multiple=True, metavar="CHECK", help="Run only this check, and measure nothing; can be repeated."
)
@click.option(
    "--faults",
    is_flag=True,
    help="Check faults too (paper out, cover open, unplugged, switched off): you cause them; simulated printers do it "
    "by themselves.",
)
@click.option(
    "--check-timeout",
    type=click.FloatRange(1),
    default=CHECK_TIMEOUT_S,
    show_default=True,
    help="Seconds after which a check counts as hung.",
)
@station_options
@debug_option
@with_exit_statuses("run")
def run_command(
    page: str | None,
    document: str | None,
    junit: str | None,
    limits_file: str | None,
    history_file: str | None,
    no_questions: bool,
    unanswered_ok: bool,
    marginal_ok: bool,
    only: tuple[str, ...],
    faults: bool,
    check_timeout: float,
    web: bool,
    listen: tuple[str, int] | None,
    debug: str | None,
    **urls: tuple[str, ...],
) -> None:
    """Check each device, measure it, ask what only an operator can see, and write a report.

    A printer prints about 30 cm of tickets. A tag is written, and its content is restored. Measurements are judged by
    their limits: they pass, are marginal or fail.

    With --web a page shows the run and asks the questions too, for a tablet at the bench. Its address is printed; for
    another machine's browser give --listen an address of this machine in your network.
    """
    devices = devices_of(urls)
    known_checks(devices, only, faults=faults)
    if not web:
        refuse_own_console(devices, "run the command over SSH, or add --web and answer in a browser")
    refuse_missing_folders(page, document, junit, history_file)
    if listen and not web:
        raise click.UsageError("--listen is for the page of --web")
    limits = limits_of(limits_file)
    _open_history(history_file)
    log_to(debug)
    stream = sys.stderr if document == "-" else sys.stdout
    progress = progress_for(stream)
    stop = threading.Event()
    with ExitStack() as opened:
        session = opened.enter_context(open_session(listen, devices, progress, stop, stream)) if web else None
        with ends_on_signals(stop):
            report = run(
                devices,
                operator=operator_for(no_questions, progress, stop, stream, session),
                progress=session or progress,
                only=only,
                faults=faults,
                check_timeout_s=check_timeout,
                stop=stop,
                limits=limits,
            )
        progress.pause()
        write_reports(report, page, document, junit)
        if history_file:
            _remember(report, history_file)
        click.echo(f"\n{report.summary}" + (f" Report: {page}" if page else ""), err=document == "-")
        if session is not None:
            session.show(report)
    sys.exit(exit_status(report, unanswered_ok, marginal_ok))


def operator_for(
    no_questions: bool,
    progress: ProgressWithPause,
    stop: threading.Event,
    stream: TextIO,
    session: Session | None = None,
) -> Operator:
    """Who answers the questions: the station's page, or the one at the terminal, if there is one."""
    if session is not None and not no_questions:
        return session.ask
    if no_questions or not sys.stdin.isatty():
        return unattended

    def operator(question: Question) -> Answer:
        progress.pause()
        return at_terminal(question, stop, stream)

    return operator


def _open_history(path: str | None) -> None:
    """Refuse a history that cannot take the run, before the run."""
    if path is None:
        return
    try:
        History(path).close()
    except HistoryError as error:
        raise UnusableFile(str(error)) from None


def _remember(report: Report, path: str) -> None:
    try:
        with History(path) as history:
            history.add(report)
    except HistoryError as error:
        raise click.ClickException(f"the run cannot be added to the history: {error}") from None


def exit_status(report: Report, unanswered_ok: bool, marginal_ok: bool = False) -> ExitStatus:
    """The exit status of a run; see `MEANINGS`."""
    if report.failures:
        return ExitStatus.FAILED
    open_ends = {Verdict.NOT_RUN} if unanswered_ok else {Verdict.NOT_RUN, Verdict.NOT_ANSWERED}
    if report.interrupted or not report.devices or any(report.count(verdict) for verdict in open_ends):
        return ExitStatus.INCOMPLETE
    return ExitStatus.MARGINAL if report.count(Verdict.MARGINAL) and not marginal_ok else ExitStatus.OK
