"""Draws the diagram of an attempt's states from `attempt.TABLE`: `make diagrams`.

The positions of the boxes are set here, everything else comes from the table: a phase without a position, or an arrow
that the table does not have, cannot be drawn. The SVG has no scripts and no external fonts, so that it looks the same
anywhere.
"""

from __future__ import annotations

import textwrap
from html import escape
from math import hypot
from pathlib import Path

from sco_payment.attempt import FINAL, TABLE, Phase

STATES = Path(__file__).parent / "diagrams" / "states.svg"

_PLACES = {
    Phase.CREATING: (150, 60),
    Phase.PRESENTING: (430, 60),
    Phase.WAITING: (750, 60),
    Phase.ASKING: (1070, 60),
    Phase.FINDING: (175, 360),
    Phase.CANCELLING: (590, 360),
    Phase.CONFIRMING: (980, 360),
    Phase.CLOSED: (150, 540),
    Phase.WATCHING: (590, 540),
    Phase.OVERDUE: (1030, 540),
    Phase.REFUNDABLE: (590, 680),
    Phase.PAID: (140, 810),
    Phase.UNPAID: (430, 810),
    Phase.PAID_LATE: (750, 810),
    Phase.UNSETTLED: (1070, 810),
}
_NAMED = FINAL | {Phase.CLOSED, Phase.REFUNDABLE}  # so many arrows lead there that the boxes name them
_WORDS = {
    Phase.CREATING: "asks the acquirer",
    Phase.FINDING: "it, or its link: searched for",
    Phase.PRESENTING: "shown to the customer",
    Phase.WAITING: "polled every 3 s",
    Phase.ASKING: "Повторить / Отменить",
    Phase.CANCELLING: "the one cancellation",
    Phase.CONFIRMING: "awaits the final status",
    Phase.CLOSED: "closed: watched all the same",
    Phase.WATCHING: "background, invoice + grace",
    Phase.OVERDUE: "a case; keeps asking for days",
    Phase.REFUNDABLE: "paid; a cancellation may refund",
    Phase.PAID: "goods",
    Phase.UNPAID: "closed, or never created",
    Phase.PAID_LATE: "money, no goods: a case",
    Phase.UNSETTLED: "a case",
}
_BENDS = {  # how far an arrow leaves its straight line, and where on it the label is
    (Phase.WAITING, Phase.ASKING): (-20, 0.5),
    (Phase.ASKING, Phase.WAITING): (-52, 0.5),
    (Phase.CANCELLING, Phase.CONFIRMING): (-22, 0.5),
    (Phase.CONFIRMING, Phase.CANCELLING): (-48, 0.5),
    (Phase.PRESENTING, Phase.CONFIRMING): (-30, 0.3),
    (Phase.ASKING, Phase.CANCELLING): (20, 0.6),
    (Phase.WAITING, Phase.CANCELLING): (30, 0.62),
    (Phase.WAITING, Phase.CONFIRMING): (0, 0.78),
    (Phase.CREATING, Phase.CANCELLING): (0, 0.45),
    (Phase.PRESENTING, Phase.CANCELLING): (0, 0.3),
    (Phase.ASKING, Phase.CONFIRMING): (0, 0.5),
    (Phase.CLOSED, Phase.OVERDUE): (64, 0.5),
}
_STYLE = """
  text { font: 14px system-ui, 'DejaVu Sans', Arial, sans-serif; fill: #14213d; text-anchor: middle; }
  .name { font-weight: 700; font-size: 16px; }
  .small { font-size: 12px; fill: #475569; }
  .label { font-size: 12px; paint-order: stroke; stroke: #fff; stroke-width: 5px; stroke-linejoin: round; }
  path { fill: none; stroke: #64748b; stroke-width: 1.6; marker-end: url(#tip); }
  rect { fill: #eef2ff; stroke: #1d4ed8; stroke-width: 1.6; rx: 10px; }
  .paid rect { fill: #dcfce7; stroke: #15803d; }
  .unpaid rect { fill: #f1f5f9; stroke: #475569; }
  .case rect { fill: #fef3c7; stroke: #b45309; }
"""


def arrows() -> dict[tuple[Phase, Phase], list[str]]:
    """From, to -> the events that may lead there."""
    found: dict[tuple[Phase, Phase], list[str]] = {}
    for start, rules in TABLE.items():
        for event, rule in rules.items():
            for end in sorted(rule.leads_to, key=list(Phase).index):
                found.setdefault((start, end), []).append(event.__name__)
    return found


def states() -> str:
    """The diagram as SVG."""
    parts = [
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1180 880" role="img" '
        'aria-label="States of an attempt, and the events that lead from one to another">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
        '<path d="M0 0L10 5L0 10z" style="fill:#64748b;stroke:none;marker-end:none"/></marker></defs>',
        '<rect width="1180" height="880" style="fill:#fff;stroke:none;rx:0"/>',
    ]
    shown = {pair: events for pair, events in arrows().items() if pair[1] not in _NAMED}
    parts += [_line(start, end) for start, end in shown]
    parts += [_box(phase) for phase in Phase]
    parts += [_label(start, end, events) for (start, end), events in shown.items()]
    x, y = _PLACES[Phase.PAID]
    parts.append(
        f'<text x="{x - 85}" y="{y - 45}" class="small" style="text-anchor:start">'
        "Final states. The last lines of a box above name those that it may lead to, and closed and refundable.</text>"
    )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _lines(phase: Phase) -> list[str]:
    """The lines of text in a phase's box."""
    ends = sorted(end.value for begin, end in arrows() if begin is phase and end in _NAMED)
    return [phase.value, _WORDS[phase], *textwrap.wrap("→ " + ", ".join(ends) if ends else "", 34)]


def _size(phase: Phase) -> tuple[int, int]:
    """Width and height of its box, by its lines."""
    lines = _lines(phase)
    return max(170, 14 + 7 * max(map(len, lines))), max(62, 8 + 18 * len(lines))


def _box(phase: Phase) -> str:
    x, y = _PLACES[phase]
    wide, high = _size(phase)
    kind = {Phase.PAID: "paid", Phase.UNPAID: "unpaid"}.get(phase, "case") if phase in FINAL else "open"
    lines = _lines(phase)
    step = 18
    top = y - step * (len(lines) - 1) / 2 + 5
    texts = "".join(
        f'<text x="{x}" y="{top + step * n:g}" class="{"small" if n else "name"}">{escape(text)}</text>'
        for n, text in enumerate(lines)
    )
    return (
        f'<g class="{kind}"><rect x="{x - wide / 2:g}" y="{y - high / 2:g}" width="{wide}" height="{high}"/>{texts}</g>'
    )


def _bow(start: Phase, end: Phase) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
    """Begin, control point and end of the arrow's curve."""
    (x1, y1), (x2, y2) = _PLACES[start], _PLACES[end]
    bend = _BENDS.get((start, end), (0, 0.5))[0]
    length = hypot(x2 - x1, y2 - y1)
    middle = ((x1 + x2) / 2 - (y2 - y1) / length * -bend * 2, (y1 + y2) / 2 + (x2 - x1) / length * bend * 2)
    return _edge(start, middle), middle, _edge(end, middle)


def _edge(phase: Phase, towards: tuple[float, float]) -> tuple[float, float]:
    """Where the line from the box's middle leaves the box."""
    x, y = _PLACES[phase]
    dx, dy = towards[0] - x, towards[1] - y
    wide, high = (length / 2 + 3 for length in _size(phase))
    share = min(wide / abs(dx) if dx else 9e9, high / abs(dy) if dy else 9e9)
    return x + dx * share, y + dy * share


def _line(start: Phase, end: Phase) -> str:
    (x1, y1), (cx, cy), (x2, y2) = _bow(start, end)
    return f'<path d="M{x1:.0f} {y1:.0f}Q{cx:.0f} {cy:.0f} {x2:.0f} {y2:.0f}"/>'


def _label(start: Phase, end: Phase, events: list[str]) -> str:
    (x1, y1), (cx, cy), (x2, y2) = _bow(start, end)
    t = _BENDS.get((start, end), (0, 0.5))[1]
    x = (1 - t) ** 2 * x1 + 2 * t * (1 - t) * cx + t**2 * x2
    y = (1 - t) ** 2 * y1 + 2 * t * (1 - t) * cy + t**2 * y2
    first = y + 4 - 7 * (len(events) - 1)
    return "".join(
        f'<text x="{x:.0f}" y="{first + 14 * n:.0f}" class="label">{escape(event)}</text>'
        for n, event in enumerate(events)
    )


def main() -> None:
    """Write it."""
    STATES.parent.mkdir(exist_ok=True)
    STATES.write_text(states(), "utf-8")


if __name__ == "__main__":
    main()
