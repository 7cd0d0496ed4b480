"""`sco-hwtest run`: is this device fit for a lane? Checks, figures, questions, a report."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import click

from sco_hwtest.progress import ProgressWithPause, progress_for
from sco_hwtest.questions import Answer, Person, Question, at_terminal, nobody
from sco_hwtest.report import write_html, write_json
from sco_hwtest.results import KINDS, Kind, Report, Verdict
from sco_hwtest.runner import CHECK_TIMEOUT_S, run

F = Callable[..., Any]
FAILED, USAGE, OPEN_ENDS = 1, 2, 3


def device_options(command: F) -> F:
    """--printer, --nfc, --screen, --touch; each may be given more than once."""
    for kind, example in (
        ("touch", "evdev:///dev/sco/touch"),
        ("screen", "drm:///dev/dri/card0"),
        ("nfc", "pn532:///dev/ttyS1"),
        ("printer", "usb://04b8:0202"),
    ):
        command = click.option(
            f"--{kind}",
            f"{kind}_urls",
            multiple=True,
            metavar="URL",
            help=f"e.g. {example}; sim:// for a simulated one",
        )(command)
    return command


def devices_of(urls: dict[str, tuple[str, ...]]) -> list[tuple[Kind, str]]:
    """Kind and URL of each device that the options name.

    Raises:
        click.UsageError: there is none, or URLs are wrong; it names them all.
    """
    from sco_hwtest.device_urls import mistakes

    found = [(kind, url) for kind in KINDS for url in urls[f"{kind}_urls"]]
    if not found:
        raise click.UsageError(
            "name a device by --printer, --nfc, --screen or --touch; sco-hwtest discover tells its URL"
        )
    wrong = [f"--{kind}: {mistake}" for kind, url in found for mistake in mistakes(kind, url)]
    if wrong:
        raise click.UsageError("\n".join(wrong))
    return found


def known_checks(devices: list[tuple[Kind, str]], only: tuple[str, ...]) -> None:
    """Refuse names of checks that no suite of these devices has. Raises click.UsageError."""
    from sco_hwtest.suites import CannotRun, suite_of

    names: list[str] = []
    for kind in dict.fromkeys(kind for kind, _ in devices):
        try:
            suite = suite_of(kind)
            names += [check.name for check in (*suite.checks, *suite.fault_checks)]
        except CannotRun:
            continue
    unknown = [name for name in only if name not in names]
    if unknown:
        raise click.UsageError(f"no check {', '.join(unknown)}; there are {', '.join(dict.fromkeys(names))}")


def debug_option(command: F) -> F:
    """--debug FILE."""
    return click.option(
        "--debug", type=click.Path(dir_okay=False), help="Write the drivers' log here; with spy+ URLs all that passes."
    )(command)


def log_to(path: str | None) -> None:
    """The drivers' log goes to a file or nowhere: not between the lines of a run.

    Raises:
        click.ClickException: the file cannot be written.
    """
    root = logging.getLogger()
    if path is None:
        if not root.handlers:
            root.addHandler(logging.NullHandler())
        return
    try:
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise click.ClickException(f"{path}: {error.strerror}") from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)


@contextmanager
def ends_on_signals(stop: threading.Event) -> Iterator[None]:
    """Ctrl-C and SIGTERM set `stop`; a second one ends at once."""

    def end(number: int, frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        click.echo(
            "\nstopping after the check that runs; once more to stop at once (a tag may then keep the test's link)",
            err=True,
        )

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@click.command("run")
@device_options
@click.option("--report", "page", type=click.Path(dir_okay=False), help="Write the report as one HTML page.")
@click.option("--json", "document", type=click.Path(dir_okay=False), help="Write the report as JSON; - for stdout.")
@click.option(
    "--no-questions",
    "--yes",
    "unattended",
    is_flag=True,
    help="Ask nobody: what only eyes can tell counts as not answered.",
)
@click.option("--unanswered-ok", is_flag=True, help="Exit status 0 also when questions were not answered.")
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; may be given again. Measures nothing.")
@click.option(
    "--faults",
    is_flag=True,
    help="Also paper out, cover open, cable pulled: you are told what to do; simulated printers do it themselves.",
)
@click.option(
    "--check-timeout",
    type=click.FloatRange(1),
    default=CHECK_TIMEOUT_S,
    show_default=True,
    help="Seconds after which a check counts as hung.",
)
@debug_option
def run_command(
    page: str | None,
    document: str | None,
    unattended: bool,
    unanswered_ok: bool,
    only: tuple[str, ...],
    faults: bool,
    check_timeout: float,
    debug: str | None,
    **urls: tuple[str, ...],
) -> None:
    """Run the contract suite of each device, measure it, ask what only eyes can tell, and write a report.

    A printer prints some 30 cm of tickets; a tag is written and gets its own content back.

    Exit status: 0 all passed; 1 something failed; 2 wrong usage; 3 nothing failed, but questions were not answered or
    checks could not run.
    """
    devices = devices_of(urls)
    known_checks(devices, only)
    for path in (page, document):
        if path and path != "-" and not Path(path).absolute().parent.is_dir():
            raise click.UsageError(f"{path}: there is no such folder")
    log_to(debug)
    progress = progress_for(sys.stderr if document == "-" else sys.stdout)
    stop = threading.Event()
    with ends_on_signals(stop):
        report = run(
            devices,
            person=_person(unattended, progress),
            progress=progress,
            only=only,
            faults=faults,
            check_timeout_s=check_timeout,
            stop=stop,
        )
    progress.pause()
    _write(report, page, document)
    click.echo(f"\n{report.summary}" + (f" Report: {page}" if page else ""), err=document == "-")
    sys.exit(exit_status(report, unanswered_ok))


def _person(unattended: bool, progress: ProgressWithPause) -> Person:
    if unattended or not sys.stdin.isatty():
        return nobody

    def person(question: Question) -> Answer:
        progress.pause()
        return at_terminal(question)

    return person


def _write(report: Report, page: str | None, document: str | None) -> None:
    import json

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
    """See `run_command`."""
    if report.failures:
        return FAILED
    open_ends = {Verdict.NOT_RUN} if unanswered_ok else {Verdict.NOT_RUN, Verdict.NOT_ANSWERED}
    if report.interrupted or not report.devices or any(report.count(verdict) for verdict in open_ends):
        return OPEN_ENDS
    return 0
