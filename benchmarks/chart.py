"""Draws a benchmark's figures as bars: ours, peers and the limit of each, in an SVG without scripts and fonts.

Only figures that have a peer or a limit are drawn. Each group has a scale of its own, from zero on, so that bytes and
milliseconds fit on one chart; the numbers are written next to the bars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from benchmarks.report import Row, figure

WIDE, EDGE, LONGEST, LETTER = 560, 12, 320, 8.4
"""Width of the chart, its margin, the longest bar, and what a letter takes at most."""

_BAR, _STEP, _GAP = 16, 22, 16
_STYLE = """
  text { font: 15px system-ui, 'DejaVu Sans', Arial, sans-serif; fill: #14213d; }
  .what { font-weight: 700; } .missed { fill: #b3261e; font-weight: 700; }
  .ours { fill: #1d4ed8; } .peer { fill: #94a3b8; } .limit { fill: url(#hatch); stroke: #475569; }
"""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing, and its description for readers who cannot see it."""

    svg: str
    text: str


def _groups(rows: Sequence[Row]) -> list[tuple[Row, list[tuple[str, float, str]]]]:
    """The figures to draw, each with its bars: kind, value, name. Several peers of one figure are one group."""
    found: dict[str, tuple[Row, list[tuple[str, float, str]]]] = {}
    for row in rows:
        if row.peer is None and row.limit is None:
            continue
        first, bars = found.setdefault(row.what, (row, [("ours", row.ours, "ours")]))
        if row.peer is not None:
            bars.append(("peer", row.peer, row.peer_name or "peer"))
        if row.limit is not None and first.limit is not None and not any(kind == "limit" for kind, _, _ in bars):
            bars.append(("limit", row.limit, row.limit_name or "limit"))
    return list(found.values())


def chart(rows: Sequence[Row], title: str) -> Chart | None:
    """The chart of a benchmark; None where no figure has a peer or a limit."""
    groups = _groups(rows)
    if not groups:
        return None
    parts = []
    y = 8
    for row, bars in groups:
        for line in wrap(f"{row.what}, {row.unit}".replace("`", ""), 56):
            parts.append(f'<text class="what" x="{EDGE}" y="{y + 14}">{escape(line)}</text>')
            y += 19
        y += 6
        most = max(value for _, value, _ in bars) or 1
        words = [f"{figure(value)} {name}" for _, value, name in bars]
        missed = row.met is False
        rooms = [
            WIDE - 2 * EDGE - 6 - LETTER * (len(one) + (12 if missed and not n else 0)) for n, one in enumerate(words)
        ]
        scale = min([LONGEST / most, *(room / value for room, (_, value, _) in zip(rooms, bars, strict=True) if value)])
        for n, (kind, value, _) in enumerate(bars):
            long = max(scale * value, 1)
            verdict = ' <tspan class="missed">goal missed</tspan>' if missed and not n else ""
            parts.append(f'<rect class="{kind}" x="{EDGE}" y="{y}" width="{long:.1f}" height="{_BAR}"/>')
            parts.append(f'<text x="{EDGE + long + 6:.1f}" y="{y + 13}">{escape(words[n])}{verdict}</text>')
            y += _STEP
        y += _GAP
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {y}" role="img" aria-label="{escape(title)}">',
        f"<style>{_STYLE}</style>",
        '<defs><pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
        '<rect width="6" height="6" fill="#fff"/><rect width="2" height="6" fill="#94a3b8"/></pattern></defs>',
        f'<rect width="{WIDE}" height="{y}" rx="8" fill="#fff"/>',
    ]
    number = "one figure" if len(groups) == 1 else f"{len(groups)} figures"
    return Chart("\n".join([*head, *parts, "</svg>"]) + "\n", f"{number}: ours, peers and limits as bars")
