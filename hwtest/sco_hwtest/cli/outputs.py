"""The files that `run` and `burn-in` read and write: limits, and the report as a page, as JSON and as JUnit XML."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import click

from sco_hwtest.burn_in_results import BurnInReport
from sco_hwtest.cli.exit_status import UnusableFile
from sco_hwtest.limits import Limits
from sco_hwtest.limits_file import LimitsError, default_limits, load_limits
from sco_hwtest.report import write_html, write_json, write_junit
from sco_hwtest.results import Report

F = TypeVar("F", bound=Callable[..., object])
_FILE = click.Path(dir_okay=False)


def report_options(command: F) -> F:
    """--report, --json, --junit and --limits."""
    for option in (
        click.option("--limits", "limits_file", type=_FILE, help="Limits of measurements, see: sco-hwtest limits."),
        click.option("--junit", type=_FILE, help="Write the report as JUnit XML, for a CI server."),
        click.option("--json", "document", type=_FILE, help="Write the report as JSON; - for stdout."),
        click.option("--report", "page", type=_FILE, help="Write the report as one HTML page."),
    ):
        command = option(command)
    return command


def refuse_missing_folders(*paths: str | None) -> None:
    """Refuse files that cannot be written at the end of a run. Raises click.UsageError."""
    missing = [path for path in paths if path and path != "-" and not Path(path).absolute().parent.is_dir()]
    if missing:
        raise click.UsageError("\n".join(f"{path}: no such folder" for path in missing))


def limits_of(path: str | None) -> Limits:
    """The limits of a file, over the default ones; only these without a file.

    Raises:
        UnusableFile: it has errors; lists every one.
    """
    if path is None:
        return default_limits()
    try:
        return load_limits(path)
    except LimitsError as error:
        raise UnusableFile(str(error)) from None


def write_reports(report: Report | BurnInReport, page: str | None, document: str | None, junit: str | None) -> None:
    """Write every file that was asked for, also if another one cannot be written.

    Raises:
        click.ClickException: lists every file that could not be written.
    """
    problems: list[str] = []
    for path, write in ((page, write_html), (document, _write_document), (junit, write_junit)):
        try:
            if path:
                write(report, path)
        except OSError as error:
            problems.append(f"the report cannot be written: {error.filename or path}: {error.strerror}")
    if problems:
        raise click.ClickException("\n".join(problems))


def _write_document(report: Report | BurnInReport, path: str | Path) -> None:
    if path == "-":
        click.echo(json.dumps(report.as_json(), ensure_ascii=False).encode())
    else:
        write_json(report, path)
