"""`sco-hwtest compare`: what became worse from one run to another."""

from __future__ import annotations

import json
import sys

import click

from sco_hwtest.cli.exit_status import ExitStatus, UnusableFile, with_exit_statuses
from sco_hwtest.comparison import THRESHOLD, Change, Comparison, compare
from sco_hwtest.report_file import ReportError, read_report

_FILE = click.Path(dir_okay=False)
_HEADINGS = {
    "worse": "Worse",
    "disappeared": "Disappeared",
    "changed": "Changed",
    "appeared": "Appeared",
    "better": "Better",
}


@click.command("compare")
@click.argument("before", nargs=-1, required=True, type=_FILE)
@click.argument("after", type=_FILE)
@click.option(
    "--threshold",
    type=click.FloatRange(1, 1000),
    default=THRESHOLD * 100,
    show_default=True,
    help="The least change of a measurement that counts, in percent.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@with_exit_statuses("compare")
def compare_command(before: tuple[str, ...], after: str, threshold: float, as_json: bool) -> None:
    """Compare reports of `run --json`: what became worse or better from BEFORE to AFTER, what appeared or disappeared.

    Give several BEFORE reports of the same device to count only what changed against each of them. A
    device is found again by its serial number, else by its URL.
    """
    try:
        earlier = [read_report(path) for path in before]
        later = read_report(after)
    except ReportError as error:
        raise UnusableFile(str(error)) from None
    found = compare(earlier, later, threshold / 100)
    if as_json:
        click.echo(json.dumps(found.as_json(), ensure_ascii=False).encode())
    else:
        _show(found)
    if found.of("worse"):
        sys.exit(ExitStatus.FAILED)
    sys.exit(ExitStatus.INCOMPLETE if found.of("disappeared") or not found.compared else ExitStatus.OK)


def _show(found: Comparison) -> None:
    device = ""
    heading = ""
    for change in found.changes:
        if change.what != heading:
            heading, device = change.what, ""
            click.echo(f"{_HEADINGS[heading]}:")
        if change.device != device:
            device = change.device
            click.echo(f"  {device}")
        click.echo(_line(change), nl=bool(change.name))
    worse = len(found.of("worse"))
    if not found.compared:
        click.echo("Nothing can be compared: the reports have no check or measurement of the same device.")
    else:
        click.echo(f"{found.compared} checks and measurements compared, {worse or 'none'} became worse.")


def _line(change: Change) -> str:
    return f"    {change.name}: {change.before} -> {change.after}" if change.name else ""
