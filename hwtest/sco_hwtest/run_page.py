"""A run as one HTML page that needs no other file. The first screen says whether it passed, and why not."""

from __future__ import annotations

import base64
import time
from html import escape

from sco_hwtest.page import MARKS, css_class, facts, identity, page, table_of, verdict_box, words
from sco_hwtest.results import KIND_LABELS, CheckResult, DeviceReport, Figure, Picture, Report, Verdict, format_duration

_SHOWN_FAILURES = 3
"""Of a device, on the first screen."""
_ORDER = (Verdict.FAILED, Verdict.MARGINAL, Verdict.NOT_ANSWERED, Verdict.NOT_RUN)
_HALF_PX, _PAGE_PX = 520, 1070
"""Up to how many px two pictures stand side by side, and how wide the page's cards are."""


def html(report: Report) -> str:
    """The page."""
    parts = [verdict_box(report.verdict, report.summary), _devices(report)]
    parts += [_device(device, f"device-{number}") for number, device in enumerate(report.devices, 1)]
    parts.append(facts(_facts(report)))
    return page(f"Device test, {_day(report.started)}", "".join(parts))


def _facts(report: Report) -> list[tuple[str, str]]:
    return [("run", _day(report.started)), ("took", format_duration(report.seconds)), *report.machine.items()]


def _day(at: float) -> str:
    return time.strftime("%d %b %Y, %H:%M", time.localtime(at))


def _devices(report: Report) -> str:
    """A row for each device: its verdict, and why it is not better."""
    rows = []
    for place, device in enumerate(report.devices, 1):
        verdict = css_class(device.verdict)
        rows.append(
            f'<tr><td class="mark {verdict}">{MARKS[device.verdict]}</td>'
            f'<td class="device"><a href="#device-{place}">{escape(KIND_LABELS[device.kind])}</a>'
            f'<div class="url">{escape(device.url)}</div></td><td>{_why(device)}</td></tr>'
        )
    return f'<section class="card"><table class="summary">{"".join(rows)}</table></section>' if rows else ""


def _why(device: DeviceReport) -> str:
    """What failed or is marginal with what to do about it, then what is missing; the counts where all passed."""
    shown = (Verdict.FAILED, Verdict.MARGINAL)
    failed = [check for verdict in shown for check in device.checks if check.verdict is verdict]
    parts = [
        f"<div><b>{escape(check.name)}</b>: {words(check.found)}"
        + (f'<div class="todo">Do: {words(check.to_do)}</div>' if check.to_do else "")
        + "</div>"
        for check in failed[:_SHOWN_FAILURES]
    ]
    if len(failed) > _SHOWN_FAILURES:
        parts.append(f"<div>and {len(failed) - _SHOWN_FAILURES} more, see below</div>")
    if left_out := [check for check in device.checks if check.verdict is Verdict.NOT_RUN]:
        reasons = list(dict.fromkeys(words(check.found) for check in left_out if check.found))
        reason = f": {'; '.join(reasons)}" if len(reasons) in (1, 2) else ", see below"
        parts.append(f"<div>{_several(Verdict.NOT_RUN, len(left_out))}{reason}</div>")
    if unanswered := device.count(Verdict.NOT_ANSWERED):
        parts.append(f"<div>{_several(Verdict.NOT_ANSWERED, unanswered)}</div>")
    passed = device.count(Verdict.PASSED)
    return "".join(parts) or f"{passed} {'check' if passed == 1 else 'checks'} passed"


def _several(verdict: Verdict, count: int) -> str:
    if verdict is Verdict.NOT_ANSWERED:
        return f"{count} {'question was' if count == 1 else 'questions were'} not answered"
    return f"{count} {'check was' if count == 1 else 'checks were'} not run"


def _device(device: DeviceReport, anchor: str) -> str:
    counts = [f"{device.count(verdict)} {verdict.value}" for verdict in Verdict if device.count(verdict)]
    chip = f'<span class="chip {css_class(device.verdict)}">{escape(", ".join(counts))}</span>'
    head = (
        f'<header><h2>{escape(KIND_LABELS[device.kind])}</h2><code class="url">{escape(device.url)}</code>'
        f'<span class="grow"></span>{chip}</header>{identity(device.identity)}'
    )
    about = table_of(device.about.items())
    figures = _figures(device.figures)
    measured = f"<h3>Measured</h3>{figures}" if figures else ""
    folded = _folded("About it", about) if about else ""
    return (
        f'<section class="card" id="{anchor}">{head}<h3>Checks</h3>{_checks(device.checks)}'
        f"{_pictures(device.pictures)}{measured}{folded}{_dumps(device.dumps)}</section>"
    )


def _folded(summary: str, body: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{body}</details>"


def _checks(checks: list[CheckResult]) -> str:
    """What failed first; checks left out for the same reason share a row; those that passed are folded."""
    passed = [check for check in checks if check.verdict is Verdict.PASSED]
    rest = sorted((check for check in checks if check not in passed), key=lambda one: _ORDER.index(one.verdict))
    groups: dict[object, list[CheckResult]] = {}
    for check in rest:
        left_out = check.verdict in (Verdict.NOT_ANSWERED, Verdict.NOT_RUN)
        groups.setdefault((check.verdict, check.found, check.to_do) if left_out else check.name, []).append(check)
    rows = "".join(_row(group[0]) if len(group) == 1 else _left_out(group) for group in groups.values())
    shown = f"<table>{rows}</table>" if rows else ""
    if not passed:
        return shown
    count = f"{MARKS[Verdict.PASSED]} {len(passed)} {'check' if len(passed) == 1 else 'checks'} passed"
    return shown + _folded(count, f"<table>{''.join(map(_row, passed))}</table>")


def _row(check: CheckResult) -> str:
    kind = css_class(check.verdict)
    who = ' <span class="name">(decided by the operator)</span>' if check.asked else ""
    took = f"{check.seconds:.2f} s" if check.seconds >= 0.005 else ""
    body = f'{words(check.what)}{who}<div class="name">{escape(check.name)}</div>{_found(check)}'
    return f'<tr><td class="mark {kind}">{MARKS[check.verdict]}</td><td>{body}</td><td class="num">{took}</td></tr>'


def _found(check: CheckResult) -> str:
    if not check.found:
        return ""
    todo = f'<div class="todo">Do: {words(check.to_do)}</div>' if check.to_do else ""
    text = f"<b>{escape(check.verdict.value.capitalize())}:</b> {words(check.found)}{todo}"
    return f'<div class="found {css_class(check.verdict)}">{text}</div>'


def _left_out(checks: list[CheckResult]) -> str:
    verdict = checks[0].verdict
    items = "".join(f"<li>{words(check.what)}</li>" for check in checks)
    body = f'{_several(verdict, len(checks))}{_found(checks[0])}<ul class="list">{items}</ul>'
    return f'<tr><td class="mark {css_class(verdict)}">{MARKS[verdict]}</td><td>{body}</td><td class="num"></td></tr>'


def number(value: float) -> str:
    """A number with three significant digits."""
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _figures(figures: list[Figure]) -> str:
    rows = "".join(
        f"<tr><td>{escape(figure.name)}"
        + (f'<div class="name">{escape(figure.note)}</div>' if figure.note else "")
        + f'</td><td class="num">{number(figure.value)}</td><td class="unit">{escape(figure.unit)}</td></tr>'
        for figure in figures
    )
    return f"<table>{rows}</table>" if rows else ""


def _pictures(pictures: list[Picture]) -> str:
    """Each as large as the page; a click shows it pixel for pixel."""
    shown = []
    for picture in pictures:
        wide, high = _size(picture.png)
        shown_wide = picture.width or wide
        place = "wide" if shown_wide > _HALF_PX else ""
        data = base64.b64encode(picture.png).decode()
        note = " (how it should look)" if picture.ours else ""
        zoom = '<input type="checkbox" class="zoom" aria-label="full size">' if wide > min(shown_wide, _PAGE_PX) else ""
        larger = "; click for full size" if zoom else ""
        shown.append(
            f'<figure class="{place}"><label>{zoom}<img src="data:image/png;base64,{data}" width="{shown_wide}" '
            f'height="{high * shown_wide // wide}" alt="{escape(picture.caption)}"></label>'
            f"<figcaption>{escape(picture.caption + note)}{larger}</figcaption></figure>"
        )
    return f'<h3>Pictures</h3><div class="pictures">{"".join(shown)}</div>' if shown else ""


def _size(png: bytes) -> tuple[int, int]:
    """Width and height from the header of a PNG, which starts with IHDR."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _dumps(dumps: dict[str, str]) -> str:
    return "".join(_folded(caption, f"<pre>{escape(text)}</pre>") for caption, text in dumps.items())
