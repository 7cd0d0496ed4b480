"""`sco-hwtest history`: trends of each device over many runs."""

from __future__ import annotations

import csv
import io
import json
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import click

from sco_hwtest.cli.exit_status import ExitStatus, UnusableFile, with_exit_statuses
from sco_hwtest.history import History, HistoryError, Series
from sco_hwtest.measurements import CPU_WAITING
from sco_hwtest.report_file import ReportError, read_report
from sco_hwtest.results import KIND_LABELS, KINDS, Kind
from sco_hwtest.trend import Direction, Trend, trend_of

_BARS = "▁▂▃▄▅▆▇█"
_SHOWN = 24
"""Points of a series that a line shows, the last ones."""
_COLUMNS = (
    *("started", "host", "kind", "serial", "maker", "model", "firmware", "url"),
    *("measurement", "unit", "value", "verdict"),
)


@click.command("history")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--add", multiple=True, type=click.Path(dir_okay=False), help="Add this report of run --json first.")
@click.option("--kind", type=click.Choice(KINDS), help="Only this kind of device.")
@click.option("--serial", help="Only the device with this serial number.")
@click.option("--measurement", metavar="NAME", help="Only this measurement, e.g. status.")
@click.option("--csv", "as_csv", is_flag=True, help="Print every value as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Print every series with its trend as JSON.")
@click.option("--check", is_flag=True, help="Exit status 1 if a measurement is getting worse.")
@with_exit_statuses("history")
def history_command(
    file: str,
    add: tuple[str, ...],
    kind: Kind | None,
    serial: str | None,
    measurement: str | None,
    as_csv: bool,
    as_json: bool,
    check: bool,
) -> None:
    """Show how each device's measurements move over the runs in FILE, which `run --history FILE` writes.

    A device is known by its serial number; one that reports none, by its URL.
    """
    if as_csv and as_json:
        raise click.UsageError("give --csv or --json, not both")
    try:
        reports = [read_report(path) for path in add]
        with History(file, "write" if reports else "read") as history:
            for report in reports:
                history.add(report)
            found = history.series(kind=kind, serial=serial, measurement=measurement)
    except (HistoryError, ReportError) as error:
        raise UnusableFile(str(error)) from None
    trends = [(series, trend_of(series)) for series in found]
    if as_csv:
        click.echo(_csv(found), nl=False)
    elif as_json:
        click.echo(json.dumps([_as_json(series, trend) for series, trend in trends], ensure_ascii=False).encode())
    else:
        _show(trends)
    worse = [series for series, trend in trends if trend.direction is Direction.WORSE]
    if check and any(series.measurement != CPU_WAITING for series in worse):  # which is the machine's, not a device's
        sys.exit(ExitStatus.FAILED)


def _csv(found: Sequence[Series]) -> str:
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(_COLUMNS)
    for one in found:
        for point in one.points:
            rows.writerow(
                (
                    *(_iso(point.started), point.host, one.kind, one.serial, one.maker, one.model, point.firmware),
                    *(point.url, one.measurement, one.unit, f"{point.value:.6g}", point.verdict),
                )
            )
    return text.getvalue()


def _iso(started: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(started))


def _as_json(series: Series, trend: Trend) -> dict[str, Any]:
    return {
        "kind": series.kind,
        "serial": series.serial or None,
        "url": series.url,
        "maker": series.maker or None,
        "model": series.model or None,
        "measurement": series.measurement,
        "unit": series.unit,
        "trend": trend.direction.value,
        "change": round(trend.change, 4),
        "points": [
            {
                "started": point.started,
                "value": point.value,
                "verdict": point.verdict or None,
                "firmware": point.firmware or None,
                "url": point.url,
                "host": point.host,
            }
            for point in series.points
        ],
    }


def _show(trends: Sequence[tuple[Series, Trend]]) -> None:
    if not trends:
        click.echo("No measurement in the history fits.")
    for number, (_, group) in enumerate(groupby(trends, lambda pair: (pair[0].kind, pair[0].serial or pair[0].url))):
        of_device = list(group)
        click.echo(("\n" if number else "") + _heading([series for series, _ in of_device]))
        wide = max(len(series.measurement) for series, _ in of_device)
        for series, trend in of_device:
            click.echo(f"  {series.measurement:{wide}}  {_line(series, trend)}")


def _heading(found: Sequence[Series]) -> str:
    last = max(found, key=lambda one: one.points[-1].started)
    name = " ".join(word for word in (last.maker, last.model) if word) or last.url
    points = [point for one in found for point in one.points]
    runs = len({point.started for point in points})
    serial = f"serial number {last.serial}" if last.serial else "no serial number"
    firmware = f", firmware {last.points[-1].firmware}" if last.points[-1].firmware else ""
    first, latest = (time.strftime("%d %b %Y", time.localtime(end([p.started for p in points]))) for end in (min, max))
    when = first if first == latest else f"{first} to {latest}"
    return f"{KIND_LABELS[last.kind]} {name}, {serial}{firmware}: {runs} {'run' if runs == 1 else 'runs'}, {when}"


def _line(series: Series, trend: Trend) -> str:
    values = [point.value for point in series.points]
    last = f"{values[-1]:.4g} {series.unit}"
    moved = f" by {abs(trend.change):.0%}" if trend.direction in (Direction.WORSE, Direction.BETTER) else ""
    verdict = series.points[-1].verdict
    marked = f"  {verdict}" if verdict in ("marginal", "failed") else ""
    return f"{_bars(values[-_SHOWN:]):{_SHOWN}}  {last:>12}  {trend.direction.value}{moved}{marked}"


def _bars(values: Sequence[float]) -> str:
    """A bar for each value. All of them together span half the median at least, so that noise looks small."""
    middle = (min(values) + max(values)) / 2
    span = max(max(values) - min(values), abs(statistics.median(values)) / 2) or 1.0
    return "".join(_BARS[round(((value - middle) / span + 0.5) * (len(_BARS) - 1))] for value in values)
