"""A burn-in as one HTML page."""

from __future__ import annotations

import time
from html import escape

from sco_drivers.identity import DeviceIdentity
from sco_hwtest.burn_in_results import KEPT_FAILURES, BurnInReport, Failure, Tally
from sco_hwtest.page import facts, identity, page, verdict_box, words
from sco_hwtest.results import KIND_LABELS, Verdict, format_duration

_WIDE, _HIGH = 1000, 180
_SHOWN_GROUPS = 200


def html(report: BurnInReport) -> str:
    """The page."""
    began = time.strftime("%d %b %Y, %H:%M", time.localtime(report.started))
    rows = [
        ("began", began),
        ("ran", f"{format_duration(report.seconds)} of {report.hours:g} h"),
        *report.machine.items(),
    ]
    parts = [verdict_box(report.verdict, report.summary), facts(rows), _failures(report)]
    for kind, url in report.devices:
        tallies = [tally for tally in report.tallies.values() if (tally.kind, tally.url) == (kind, url)]
        known = identity(report.identities.get((kind, url), DeviceIdentity()))
        parts.append(
            f'<section class="card"><header><h2>{KIND_LABELS[kind]}</h2><code class="url">{escape(url)}</code></header>'
            f"{known}{_tallies(tallies)}</section>"
        )
    parts.append(_memory(report))
    return page(f"Burn-in, {began}", "".join(parts))


def _failures(report: BurnInReport) -> str:
    """Equal failures are one row: a cable that is unplugged for a night is one line, not thousands."""
    if not report.failed:
        return ""
    groups: dict[tuple[str, str, str], list[Failure]] = {}
    for failure in report.failures:
        groups.setdefault((failure.url, failure.check, failure.found), []).append(failure)
    rows = "".join(_alike(group) for group in list(groups.values())[:_SHOWN_GROUPS])
    beyond = report.failed - len(report.failures)
    rest = f"<p>The first {KEPT_FAILURES} are shown; {beyond} more are in the log file (--log).</p>" if beyond else ""
    return (
        f'<section class="card"><header><h2>{report.failed} failures</h2></header><table><tr><th>first</th>'
        f'<th>last</th><th class="num">times</th><th>device</th><th>what was found</th></tr>{rows}</table>'
        f"{rest}</section>"
    )


def _alike(failures: list[Failure]) -> str:
    first, last = failures[0], failures[-1]
    when = "".join(
        f'<td>{time.strftime("%d %b %H:%M:%S", time.localtime(one.at))}<div class="name">round {one.round}</div></td>'
        for one in (first, last)
    )
    todo = f'<div class="todo">Do: {words(first.to_do)}</div>' if first.to_do else ""
    return (
        f'<tr>{when}<td class="num">{len(failures)}</td>'
        f'<td>{KIND_LABELS[first.kind]}<div class="name">{escape(first.url)}</div></td>'
        f"<td><b>{escape(first.check)}</b>: {words(first.found)}{todo}</td></tr>"
    )


def _tallies(tallies: list[Tally]) -> str:
    head = "".join(
        f'<th class="num">{text}</th>' for text in ("passed", "failed", "not run", "median", "p99", "longest")
    )
    return f"<table><tr><th></th><th>check</th>{head}</tr>{''.join(map(_tally, tallies))}</table>"


def _tally(tally: Tally) -> str:
    failed, left_out = tally.verdicts[Verdict.FAILED], tally.verdicts[Verdict.NOT_RUN]
    kind, mark = ("failed", "✗") if failed else ("not-run", "–") if left_out else ("passed", "✓")
    counts = (tally.verdicts[Verdict.PASSED], failed, left_out)
    times = (tally.times.percentile(0.5), tally.times.percentile(0.99), tally.times.max_s)
    cells = [*map(str, counts), *(f"{seconds:.3f} s" if tally.times.count else "" for seconds in times)]
    found = f'<div class="found {kind}">{words(tally.last_found)}</div>' if tally.last_found else ""
    what = f'{words(tally.what)}<div class="name">{escape(tally.name)}</div>{found}'
    return (
        f'<tr><td class="mark {kind}">{mark}</td><td>{what}</td>'
        + "".join(f'<td class="num">{cell}</td>' for cell in cells)
        + "</tr>"
    )


def _memory(report: BurnInReport) -> str:
    samples = report.samples
    if len(samples) < 2:
        return ""
    max_s, max_mib = samples[-1].at_s or 1.0, max(sample.mib for sample in samples) * 1.1 or 1.0
    points = " ".join(
        f"{60 + sample.at_s / max_s * (_WIDE - 80):.1f},{_HIGH - 30 - sample.mib / max_mib * (_HIGH - 50):.1f}"
        for sample in samples
    )
    axis = _HIGH - 30
    growth = report.growth
    grown = (
        "The run was too short to judge growth."
        if growth is None
        else f"From the second to the last quarter of the run, memory grew by {growth.mib:.1f} MiB "
        f"and open files by {growth.files}; a leak keeps growing, a cache does not."
    )
    return (
        '<section class="card"><header><h2>Memory of the test process</h2></header>'
        f'<p>{grown}</p><svg viewBox="0 0 {_WIDE} {_HIGH}" role="img" aria-label="memory over time">'
        f'<path d="M60 20V{axis}H{_WIDE - 20}" fill="none" stroke="#b8c1ca"/>'
        f'<polyline points="{points}" fill="none" stroke="#0b5fa5" stroke-width="2"/>'
        f'<text x="52" y="26" text-anchor="end">{max_mib:.0f} MiB</text>'
        f'<text x="52" y="{axis}" text-anchor="end">0</text>'
        f'<text x="60" y="{_HIGH - 10}">0</text>'
        f'<text x="{_WIDE - 20}" y="{_HIGH - 10}" text-anchor="end">{format_duration(max_s)}</text></svg></section>'
    )
