"""A run as one HTML page that needs nothing beside it, and as JSON. What failed stands first."""

from __future__ import annotations

import base64
import json
import re
import time
from collections.abc import Iterable
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from sco_hwtest.results import CheckResult, DeviceReport, Figure, Picture, Report, Verdict

if TYPE_CHECKING:
    from sco_hwtest.burn_in import BurnInReport

KIND_WORDS = {"printer": "Printer", "nfc": "NFC reader and tag", "screen": "Screen", "touch": "Touch panel"}
_MARKS = {Verdict.PASSED: "✓", Verdict.FAILED: "✗", Verdict.NOT_ANSWERED: "?", Verdict.NOT_RUN: "–"}
_HEADLINES = {
    Verdict.PASSED: "Passed",
    Verdict.FAILED: "Failed",
    Verdict.NOT_ANSWERED: "Not finished",
    Verdict.NOT_RUN: "Not finished",
}


def write_html(report: Report | BurnInReport, path: str | Path) -> None:
    """Write the page of a run or a burn-in. Raises OSError."""
    if isinstance(report, Report):
        text = html(report)
    else:
        from sco_hwtest import burn_in_report

        text = burn_in_report.html(report)
    Path(path).write_text(text, "utf-8")


def write_json(report: Report | BurnInReport, path: str | Path) -> None:
    """Write the document of the report's `as_json`. Raises OSError."""
    Path(path).write_text(json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n", "utf-8")


def html(report: Report) -> str:
    """The page."""
    parts = [verdict_box(report.verdict, report.summary), facts(_facts(report)), _what_to_do(report)]
    parts += [_device(device, f"device-{number}") for number, device in enumerate(report.devices, 1)]
    return page(f"Device test, {_day(report.started)}", "".join(parts))


def page(title: str, body: str) -> str:
    """A whole page of ours."""
    css = files("sco_hwtest").joinpath("report.css").read_text("utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{css}</style></head>"
        f"<body><main><h1>sco-hwtest · {escape(title)}</h1>{body}</main></body></html>\n"
    )


def verdict_box(verdict: Verdict, summary: str) -> str:
    """The outcome, to be read from across the room."""
    return (
        f'<section class="verdict {_class(verdict)}"><strong>{_MARKS[verdict]} {_HEADLINES[verdict]}</strong>'
        f"<p>{escape(summary)}</p></section>"
    )


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Labels and words in one line or more."""
    cells = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(words)}</dd></div>" for label, words in rows)
    return f'<dl class="facts">{cells}</dl>'


def _facts(report: Report) -> list[tuple[str, str]]:
    return [("run", _day(report.started)), ("took", duration(report.seconds)), *report.machine.items()]


def _day(at: float) -> str:
    return time.strftime("%d %b %Y, %H:%M", time.localtime(at))


def duration(seconds: float) -> str:
    """In the unit that a person would use."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _class(verdict: Verdict) -> str:
    return verdict.value.replace(" ", "-")


def _what_to_do(report: Report) -> str:
    rows = []
    for place, device in enumerate(report.devices, 1):
        for check in device.checks:
            if check.verdict is Verdict.FAILED:
                todo = f'<br><span class="todo">Do: {words(check.to_do)}</span>' if check.to_do else ""
                name = escape(check.name)
                rows.append(
                    f'<li><a href="#device-{place}"><b>{escape(KIND_WORDS[device.kind])}</b></a> '
                    f'<code class="url">{escape(device.url)}</code> {name}: {words(check.found)}{todo}</li>'
                )
    if not rows:
        return ""
    return (
        f'<section class="card"><header><h2>What failed</h2></header><ol class="todos">{"".join(rows)}</ol></section>'
    )


def words(text: str) -> str:
    """Our sentences, in which back-quotes stand round names."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _device(device: DeviceReport, anchor: str) -> str:
    counts = [f"{device.count(verdict)} {verdict.value}" for verdict in Verdict if device.count(verdict)]
    chip = f'<span class="chip {_class(device.verdict)}">{escape(", ".join(counts))}</span>'
    head = (
        f'<header><h2>{escape(KIND_WORDS[device.kind])}</h2><code class="url">{escape(device.url)}</code>'
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


def table_of(rows: Iterable[tuple[str, str]]) -> str:
    """Labels and words below each other; empty for none."""
    cells = "".join(f'<tr><td class="name">{escape(label)}</td><td>{escape(words)}</td></tr>' for label, words in rows)
    return f"<table>{cells}</table>" if cells else ""


def _checks(checks: list[CheckResult]) -> str:
    """What needs a person first; what was left out for one and the same reason in one row."""
    order = (Verdict.FAILED, Verdict.NOT_ANSWERED, Verdict.NOT_RUN, Verdict.PASSED)
    groups: dict[object, list[CheckResult]] = {}
    for check in sorted(checks, key=lambda check: order.index(check.verdict)):
        left_out = check.verdict in (Verdict.NOT_RUN, Verdict.NOT_ANSWERED)
        groups.setdefault((check.verdict, check.found, check.to_do) if left_out else check.name, []).append(check)
    rows = (_row(group[0]) if len(group) == 1 else _left_out(group) for group in groups.values())
    return f"<table>{''.join(rows)}</table>"


def _row(check: CheckResult) -> str:
    kind = _class(check.verdict)
    who = ' <span class="name">(judged by a person)</span>' if check.asked else ""
    took = f"{check.seconds:.2f} s" if check.seconds >= 0.005 else ""
    body = f'{words(check.what)}{who}<div class="name">{escape(check.name)}</div>{_found(check)}'
    return f'<tr><td class="mark {kind}">{_MARKS[check.verdict]}</td><td>{body}</td><td class="num">{took}</td></tr>'


def _found(check: CheckResult) -> str:
    if not check.found:
        return ""
    todo = f'<div class="todo">Do: {words(check.to_do)}</div>' if check.to_do else ""
    text = f"<b>{escape(check.verdict.value.capitalize())}:</b> {words(check.found)}{todo}"
    return f'<div class="found {_class(check.verdict)}">{text}</div>'


def _left_out(checks: list[CheckResult]) -> str:
    verdict = checks[0].verdict
    many = "questions were not answered" if verdict is Verdict.NOT_ANSWERED else "checks were not run"
    items = "".join(f"<li>{words(check.what)}</li>" for check in checks)
    body = f'{len(checks)} {many}{_found(checks[0])}<ul class="list">{items}</ul>'
    return f'<tr><td class="mark {_class(verdict)}">{_MARKS[verdict]}</td><td>{body}</td><td class="num"></td></tr>'


def number(value: float) -> str:
    """Three digits that count."""
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
        note = " (drawn by us, to compare with)" if picture.ours else ""
        shown.append(
            f'<figure class="{place}"><img src="data:image/png;base64,{data}" width="{shown_wide}" '
            f'height="{high * shown_wide // wide}" alt="{escape(picture.caption)}">'
            f"<figcaption>{escape(picture.caption + note)}</figcaption></figure>"
        )
    return f'<h3>Pictures</h3><div class="pictures">{"".join(shown)}</div>' if shown else ""


def _size(png: bytes) -> tuple[int, int]:
    """Width and height from the header of a PNG (IHDR stands first)."""
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def _dumps(dumps: dict[str, str]) -> str:
    return "".join(f"<h3>{escape(caption)}</h3><pre>{escape(text)}</pre>" for caption, text in dumps.items())
