"""The parts that the pages of a run and of a burn-in share."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from importlib.resources import files

from sco_drivers.identity import DeviceIdentity
from sco_hwtest.results import Verdict

MARKS = {
    Verdict.PASSED: "✓",
    Verdict.MARGINAL: "!",
    Verdict.FAILED: "✗",
    Verdict.NOT_ANSWERED: "?",
    Verdict.NOT_RUN: "–",
}
_HEADLINES = {
    Verdict.PASSED: "Passed",
    Verdict.MARGINAL: "Marginal",
    Verdict.FAILED: "Failed",
    Verdict.NOT_ANSWERED: "Not finished",
    Verdict.NOT_RUN: "Not finished",
}


def page(title: str, body: str) -> str:
    """A complete page."""
    css = files("sco_hwtest").joinpath("report.css").read_text("utf-8")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{css}</style></head>"
        f"<body><main><h1>sco-hwtest · {escape(title)}</h1>{body}</main></body></html>\n"
    )


def verdict_box(verdict: Verdict, summary: str) -> str:
    """The verdict in large letters."""
    return (
        f'<section class="verdict {css_class(verdict)}"><strong>{headline(verdict)}</strong>'
        f"<p>{escape(summary)}</p></section>"
    )


def headline(verdict: Verdict) -> str:
    """A verdict as the heading of a page: its mark and its words."""
    return f"{MARKS[verdict]} {_HEADLINES[verdict]}"


def facts(rows: Iterable[tuple[str, str]]) -> str:
    """Labels with texts, side by side."""
    cells = "".join(f"<div><dt>{escape(label)}</dt><dd>{escape(words)}</dd></div>" for label, words in rows)
    return f'<dl class="facts">{cells}</dl>'


def identity(of: DeviceIdentity) -> str:
    """What is known of a device; empty if nothing is."""
    rows = [("serial number" if name == "serial" else name, word) for name, word in of.known.items()]
    return facts(rows) if rows else ""


def css_class(verdict: Verdict) -> str:
    """The class of a verdict in `report.css`."""
    return verdict.value.replace(" ", "-")


def words(text: str) -> str:
    """A sentence as HTML; back-quoted names become code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def table_of(rows: Iterable[tuple[str, str]]) -> str:
    """A table of labels and texts; empty if there are none."""
    cells = "".join(f'<tr><td class="name">{escape(label)}</td><td>{escape(words)}</td></tr>' for label, words in rows)
    return f"<table>{cells}</table>" if cells else ""
