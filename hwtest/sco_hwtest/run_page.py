"""A run as one HTML page that needs no other file. What failed comes first."""

from __future__ import annotations

import base64
import time
from html import escape

from sco_hwtest.page import MARKS, css_class, facts, page, table_of, verdict_box, words
from sco_hwtest.results import KIND_LABELS, CheckResult, DeviceReport, Figure, Picture, Report, Verdict, format_duration


def html(report: Report) -> str:
    """The page."""
    parts = [verdict_box(report.verdict, report.summary), facts(_facts(report)), _what_to_do(report)]
    parts += [_device(device, f"device-{number}") for number, device in enumerate(report.devices, 1)]
    return page(f"Device test, {_day(report.started)}", "".join(parts))


def _facts(report: Report) -> list[tuple[str, str]]:
    return [("run", _day(report.started)), ("took", format_duration(report.seconds)), *report.machine.items()]


def _day(at: float) -> str:
    return time.strftime("%d %b %Y, %H:%M", time.localtime(at))


def _what_to_do(report: Report) -> str:
    rows = []
    for place, device in enumerate(report.devices, 1):
        for check in device.checks:
            if check.verdict is Verdict.FAILED:
                todo = f'<br><span class="todo">Do: {words(check.to_do)}</span>' if check.to_do else ""
                name = escape(check.name)
                rows.append(
                    f'<li><a href="#device-{place}"><b>{escape(KIND_LABELS[device.kind])}</b></a> '
                    f'<code class="url">{escape(device.url)}</code> {name}: {words(check.found)}{todo}</li>'
                )
    if not rows:
        return ""
    return (
        f'<section class="card"><header><h2>What failed</h2></header><ol class="todos">{"".join(rows)}</ol></section>'
    )


def _device(device: DeviceReport, anchor: str) -> str:
    counts = [f"{device.count(verdict)} {verdict.value}" for verdict in Verdict if device.count(verdict)]
    chip = f'<span class="chip {css_class(device.verdict)}">{escape(", ".join(counts))}</span>'
    head = (
        f'<header><h2>{escape(KIND_LABELS[device.kind])}</h2><code class="url">{escape(device.url)}</code>'
        f'<span class="grow"></span>{chip}</header>'
    )
    about = table_of(device.about.items())
    figures = _figures(device.figures)
    sides = [
        f"<div><h3>Measured</h3>{figures}</div>" if figures else "",
        f"<div><h3>About it</h3>{about}</div>" if about else "",
    ]
    both = "".join(side for side in sides if side)
    two = f'<div class="two">{both}</div>' if all(sides) else both
    return (
        f'<section class="card" id="{anchor}">{head}<h3>Checks</h3>{_checks(device.checks)}{two}'
        f"{_pictures(device.pictures)}{_dumps(device.dumps)}</section>"
    )


def _checks(checks: list[CheckResult]) -> str:
    """What failed first; checks left out for the same reason share a row."""
    order = (Verdict.FAILED, Verdict.NOT_ANSWERED, Verdict.NOT_RUN, Verdict.PASSED)
    groups: dict[object, list[CheckResult]] = {}
    for check in sorted(checks, key=lambda check: order.index(check.verdict)):
        left_out = check.verdict in (Verdict.NOT_RUN, Verdict.NOT_ANSWERED)
        groups.setdefault((check.verdict, check.found, check.to_do) if left_out else check.name, []).append(check)
    rows = (_row(group[0]) if len(group) == 1 else _left_out(group) for group in groups.values())
    return f"<table>{''.join(rows)}</table>"


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
    many = "questions were not answered" if verdict is Verdict.NOT_ANSWERED else "checks were not run"
    items = "".join(f"<li>{words(check.what)}</li>" for check in checks)
    body = f'{len(checks)} {many}{_found(checks[0])}<ul class="list">{items}</ul>'
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
    shown = []
    for picture in pictures:
        wide, high = _size(picture.png)
        shown_wide = picture.width or wide
        place = "wide" if shown_wide > 1500 else "half" if shown_wide > 700 else ""
        data = base64.b64encode(picture.png).decode()
        note = " (how it should look)" if picture.ours else ""
        shown.append(
            f'<figure class="{place}"><img src="data:image/png;base64,{data}" width="{shown_wide}" '
            f'height="{high * shown_wide // wide}" alt="{escape(picture.caption)}">'
            f"<figcaption>{escape(picture.caption + note)}</figcaption></figure>"
        )
    return f'<h3>Pictures</h3><div class="pictures">{"".join(shown)}</div>' if shown else ""


def _size(png: bytes) -> tuple[int, int]:
    """Width and height from the header of a PNG, which starts with IHDR."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _dumps(dumps: dict[str, str]) -> str:
    return "".join(f"<h3>{escape(caption)}</h3><pre>{escape(text)}</pre>" for caption, text in dumps.items())
