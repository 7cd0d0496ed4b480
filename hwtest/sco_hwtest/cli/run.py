"""`sco-hwtest run`: check and measure devices, ask the operator, write a report."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import click

from sco_hwtest.cli.options import (
    FAILED,
    OPEN_ENDS,
    debug_option,
    device_options,
    devices_of,
    ends_on_signals,
    known_checks,
    log_to,
)
from sco_hwtest.cli.station import open_session, station_options
from sco_hwtest.progress import ProgressWithPause, progress_for
from sco_hwtest.questions import Answer, Operator, Question, at_terminal, unattended
from sco_hwtest.report import write_html, write_json
from sco_hwtest.results import Report, Verdict
from sco_hwtest.runner import CHECK_TIMEOUT_S, run
from sco_hwtest.station.session import Session


@click.command("run")
@device_options
@click.option("--report", "page", type=click.Path(dir_okay=False), help="Write the report as one HTML page.")
@click.option("--json", "document", type=click.Path(dir_okay=False), help="Write the report as JSON; - for stdout.")
@click.option(
    "--no-questions",
    "--yes",
    "no_questions",
    is_flag=True,
    help="Ask no questions; each counts as not answered.",
)
@click.option("--unanswered-ok", is_flag=True, help="Exit status 0 even if questions were not answered.")
@click.option(
    "--only", multiple=True, metavar="CHECK", help="Run only this check, and measure nothing; can be repeated."
)
@click.option(
    "--faults",
    is_flag=True,
    help="Check faults too (paper out, cover open, cable unplugged): you make them; simulated printers do it alone.",
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
def run_command(
    page: str | None,
    document: str | None,
    no_questions: bool,
    unanswered_ok: bool,
    only: tuple[str, ...],
    faults: bool,
    check_timeout: float,
    web: bool,
    listen: tuple[str, int] | None,
    debug: str | None,
    **urls: tuple[str, ...],
) -> None:
    """Check each device, measure it, ask what only an operator can see, and write a report.

    A printer prints about 30 cm of tickets. A tag is written, and its content is restored.

    With --web a page shows the run and asks the questions too, for a tablet at the bench. Its address is printed; for
    another machine's browser give --listen an address of this machine in your network.

    Exit status: 0 all passed; 1 a check failed; 2 wrong usage; 3 none failed, but questions were not answered or
    checks could not run.
    """
    devices = devices_of(urls)
    known_checks(devices, only)
    for path in (page, document):
        if path and path != "-" and not Path(path).absolute().parent.is_dir():
            raise click.UsageError(f"{path}: no such folder")
    if listen and not web:
        raise click.UsageError("--listen is for the page of --web")
    log_to(debug)
    stream = sys.stderr if document == "-" else sys.stdout
    progress = progress_for(stream)
    stop = threading.Event()
    with ExitStack() as opened:
        session = opened.enter_context(open_session(listen, devices, progress, stop, stream)) if web else None
        with ends_on_signals(stop):
            report = run(
                devices,
                operator=_operator(no_questions, progress, session),
                progress=session or progress,
                only=only,
                faults=faults,
                check_timeout_s=check_timeout,
                stop=stop,
            )
        progress.pause()
        _write(report, page, document)
        click.echo(f"\n{report.summary}" + (f" Report: {page}" if page else ""), err=document == "-")
        if session is not None:
            session.show(report)
    sys.exit(exit_status(report, unanswered_ok))


def _operator(no_questions: bool, progress: ProgressWithPause, session: Session | None) -> Operator:
    if session is not None and not no_questions:
        return session.ask
    if no_questions or not sys.stdin.isatty():
        return unattended

    def operator(question: Question) -> Answer:
        progress.pause()
        return at_terminal(question)

    return operator


def _write(report: Report, page: str | None, document: str | None) -> None:
    try:
        if page:
            write_html(report, page)
        if document == "-":
            click.echo(json.dumps(report.as_json(), ensure_ascii=False).encode())
        elif document:
            write_json(report, document)
    except OSError as error:
        raise click.ClickException(f"the report cannot be written: {error.filename}: {error.strerror}") from error


def exit_status(report: Report, unanswered_ok: bool) -> int:
    """The exit status of a run; see `run_command`."""
    if report.failures:
        return FAILED
    open_ends = {Verdict.NOT_RUN} if unanswered_ok else {Verdict.NOT_RUN, Verdict.NOT_ANSWERED}
    if report.interrupted or not report.devices or any(report.count(verdict) for verdict in open_ends):
        return OPEN_ENDS
    return 0
