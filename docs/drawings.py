"""Draws what the pages show instead of telling it: `make diagrams`.

The start page's picture, the display modes (in English and Russian), one payment as a sequence, and its times. Times
are the defaults of the settings, the words on the lane are its own, the code is a real one. 520 units wide, so that a
phone shows them at a size that can be read.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import segno

from sco_payment.customer.texts import RUSSIAN
from sco_payment.settings_reader import reference

HERE = Path(__file__).parent / "diagrams"
WIDE = 520
_LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6"
_STYLE = """
  text { font: 14px system-ui, 'DejaVu Sans', Arial, sans-serif; fill: #14213d; text-anchor: middle; }
  .b { font-weight: 700; font-size: 15px; } .s { font-size: 14px; fill: #475569; } .l { text-anchor: start; }
  .r { text-anchor: end; } .w { fill: #fff; font-weight: 700; }
  .box { fill: #eef2ff; stroke: #1d4ed8; stroke-width: 1.6; } .ours { fill: #1d4ed8; }
  .paid { fill: #dcfce7; stroke: #15803d; } .case { fill: #fef3c7; stroke: #b45309; }
  .thing { fill: #fff; stroke: #475569; stroke-width: 2; } .ink { fill: #14213d; }
  .arrow { fill: none; stroke: #475569; stroke-width: 1.8; marker-end: url(#tip); }
  .line { stroke: #94a3b8; stroke-width: 1.4; fill: none; } .wave { fill: none; stroke: #1d4ed8; stroke-width: 2.4; }
"""


def default(section: str, name: str) -> float:
    """The default of a setting that is a number."""
    return next(float(text) for where, setting, text, _ in reference() if (where, setting) == (section, name))


POLL, ASK, LIFE, CREATE, CONFIRM, GRACE, DAYS, WATCH = (
    default("timing", name)
    for name in (
        *("poll_interval_s", "poll_timeout_s", "invoice_life_s", "create_window_s", "confirm_timeout_s"),
        *("grace_s", "overdue_days", "watch_interval_s"),
    )
)


def _page(high: int, label: str, parts: list[str]) -> str:
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDE} {high}" role="img" aria-label="{escape(label)}">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" style="fill:#475569"/></marker></defs>',
        f'<rect width="{WIDE}" height="{high}" rx="8" style="fill:#fff"/>',
    ]
    return "\n".join([*head, *parts, "</svg>"]) + "\n"


def _text(x: float, y: float, words: str, kind: str = "") -> str:
    lines = words.split("\n")
    return "".join(
        f'<text x="{x:g}" y="{y + 17 * n:g}"{f" class={chr(34)}{kind}{chr(34)}" if kind else ""}>{escape(line)}</text>'
        for n, line in enumerate(lines)
    )


def _box(x: float, y: float, wide: float, high: float, title: str, words: str = "", kind: str = "box") -> str:
    lines = words.split("\n") if words else []
    top = y + high / 2 - 9 * len(lines) + 5
    light = " w" if kind == "ours" else ""
    parts = [f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{wide:g}" height="{high:g}" rx="9"/>']
    parts.append(_text(x + wide / 2, top, title, "b" + light))
    if lines:
        parts.append(_text(x + wide / 2, top + 20, words, "w" if light else "s"))
    return "".join(parts)


def _arrow(*points: tuple[float, float], both: bool = False) -> str:
    path = "M" + "L".join(f"{x:g} {y:g}" for x, y in points)
    return f'<path class="arrow" d="{path}"{" marker-start=" + chr(34) + "url(#tip)" + chr(34) if both else ""}/>'


def _code(x: float, y: float, size: float) -> str:
    """A QR code of a real link with its middle at x, y."""
    matrix = segno.make_qr(_LINK, error="m").matrix
    cells = "".join(
        f"M{column} {row}h1v1h-1z" for row, line in enumerate(matrix) for column, dark in enumerate(line) if dark
    )
    scale = size / len(matrix)
    return (
        f'<path class="ink" shape-rendering="crispEdges" d="{cells}" '
        f'transform="translate({x - size / 2:g} {y - size / 2:g}) scale({scale:.4f})"/>'
    )


def _ticket(x: float, y: float) -> str:
    teeth = "".join(f"l5 {-6 if n % 2 else 6}" for n in range(16))
    return (
        f'<path class="thing" d="M{x - 40} {y - 62}h80v118{teeth.replace("l5", "l-5")}z"/>'
        f'<path class="line" d="M{x - 26} {y - 48}h52M{x - 26} {y - 38}h34"/>{_code(x, y + 6, 66)}'
    )


def _screen(x: float, y: float) -> str:
    return (
        f'<rect class="thing" x="{x - 66}" y="{y - 56}" width="132" height="92" rx="7"/>'
        f'<path class="thing" d="M{x - 22} {y + 56}h44M{x} {y + 36}v20"/>'
        f'<path class="line" d="M{x - 52} {y - 32}h38M{x - 52} {y - 18}h30M{x - 52} {y + 14}h26"/>'
        f"{_code(x + 24, y - 10, 64)}"
    )


def _plate(x: float, y: float) -> str:
    waves = "".join(
        f'<path class="wave" d="M{x + 22 + n} {y - 14 - n}a{20 + n} {20 + n} 0 0 1 0 {28 + 2 * n}"/>'
        for n in (0, 9, 18)
    )
    return (
        f'<rect class="thing" x="{x - 66}" y="{y - 50}" width="132" height="100" rx="12" stroke-dasharray="6 4"/>'
        f"{_code(x - 24, y, 62)}{waves}"
    )


def _phone(x: float, y: float) -> str:
    return (
        f'<rect class="thing" x="{x - 17}" y="{y - 31}" width="34" height="62" rx="6"/>'
        f'<path class="line" d="M{x - 6} {y + 25}h12"/><path class="wave" d="M{x - 9} {y - 3}l6 7l12 -14"/>'
    )


_OURS = f"writes each step to disk first, asks the bank every {POLL:g} s,\nnever charges twice, cancels once"


def overview() -> str:
    """What this is: till, lane, what the customer sees, phone, bank, attendant."""
    parts = [
        _box(14, 14, 190, 58, "Your till", "knows the order"),
        _box(316, 14, 190, 58, "Attendant's phone", "decides cases"),
        _box(14, 138, 492, 78, "sco-paymaster, on the lane", _OURS, "ours"),
        _arrow((74, 72), (74, 134)),
        _arrow((144, 138), (144, 76)),
        _text(66, 102, "order,\namount", "s r"),
        _text(152, 102, "paid,\nnot paid", "s l"),
        _arrow((411, 138), (411, 76)),
        _text(403, 102, "money that needs\na decision", "s r"),
        _arrow((100, 216), (100, 252)),
        _arrow((240, 216), (240, 252)),
        _arrow((384, 216), (384, 252)),
        _ticket(100, 322),
        _screen(240, 318),
        _plate(384, 318),
        _text(100, 408, "ticket", "b"),
        _text(240, 408, "screen", "b"),
        _text(384, 408, "plate, NFC tag", "b"),
        _arrow((240, 418), (240, 446)),
        _text(250, 438, "the customer scans or taps", "s l"),
        _box(14, 450, 262, 82, "", ""),
        _phone(52, 491),
        _text(84, 486, "Customer's phone", "b l"),
        _text(84, 506, "pays in the bank's app", "s l"),
        _arrow((276, 491), (348, 491)),
        _text(312, 482, "pays", "s"),
        _box(352, 450, 154, 82, "PayMaster", "СБП and the bank"),
        _arrow((486, 450), (486, 220), both=True),
    ]  # fmt: skip
    return _page(
        546, "A till gives the lane an order; the lane shows a link on paper, screen or plate; the customer pays", parts
    )


_MODES = {
    "en": (
        "The three ways to show the link to the customer",
        ("0: on paper", "1: on the screen", "2: plate or tag"),
        ("printed on the\nreceipt tape", "on the lane's screen\nor a small display", "scanned, or read\nby NFC"),
        ("needs a printer", "needs a screen", "needs a plate,\nor tag and reader"),
    ),
    "ru": (
        "Три способа показать покупателю код",
        ("На чеке", "На экране", "На наклейке"),
        ("касса печатает чек\nс QR-кодом", "QR-код на экране\nили дисплее", "код с наклейки\nили метка NFC"),
        ("покупатель\nсканирует чек", "покупатель\nсканирует экран", "сканирует или\nподносит телефон"),
    ),
}


def modes(language: str) -> str:
    """Display modes 0, 1 and 2 next to each other."""
    label, titles, what, needs = _MODES[language]
    parts = []
    for n, draw in enumerate((_ticket, _screen, _plate)):
        x = 90 + 170 * n
        parts += [
            f'<rect class="box" x="{x - 80}" y="10" width="160" height="296" rx="9" style="fill:#f8fafc"/>',
            _text(x, 38, titles[n], "b"),
            draw(x, 120),
            _text(x, 216, what[n]),
            _text(x, 268, needs[n], "s"),
        ]
    return _page(316, label, parts)


def sequence() -> str:
    """One payment, from the choice to the goods."""
    customer, lane, bank = 70, 262, 450
    y = 0
    parts: list[str] = []

    def send(start: int, end: int, words: str, step: int = 46) -> None:
        nonlocal y
        y += step + 17 * words.count("\n")
        parts.append(_arrow((start, y), (end, y)))
        parts.append(_text((start + end) / 2, y - 8 - 18 * words.count("\n"), words, "s"))

    def note(words: str, kind: str = "box") -> None:
        nonlocal y
        lines = words.count("\n") + 1
        high = 12 + 18 * lines
        y += 14
        parts.append(f'<rect class="{kind}" x="{lane - 124}" y="{y}" width="248" height="{high}" rx="7"/>')
        parts.append(_text(lane, y + 19, words, "s"))
        y += high

    y = 50
    send(customer, lane, "chooses SBP")
    note(f"«{RUSSIAN.wait}»\nthe attempt is on disk")
    send(lane, bank, "create, with a key")
    send(bank, lane, "link")
    note("checksum, amount and currency\nof the link are checked")
    send(lane, customer, "ticket, screen, tag")
    send(lane, bank, f"paid? every {POLL:g} s")
    send(bank, lane, "not yet")
    y += 44
    parts.append(_arrow((customer, y), (bank, y)))
    parts.append(f'<rect x="{lane - 84}" y="{y - 25}" width="168" height="19" style="fill:#fff"/>')
    parts.append(_text(lane, y - 10, "pays in the bank's app", "s"))
    send(lane, bank, "paid?")
    send(bank, lane, "state 5: paid")
    note("the outcome is on disk,\nthe till takes it", "paid")
    send(lane, customer, "goods", 40)
    y += 26
    lines = "".join(f'<path class="line" d="M{x} 50V{y}"/>' for x in (customer, lane, bank))
    heads = [
        _box(x - 62, 12, 124, 38, words) for x, words in ((customer, "Customer"), (lane, "Lane"), (bank, "PayMaster"))
    ]
    return _page(y + 12, "One payment: choice, create, link, polls, paid, goods", [lines, *heads, *parts])


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} min"


def timeline() -> str:
    """What the lane does until a payment is over for good, and what money means at each time."""
    marks = ((20, "0"), (190, _minutes(LIFE)), (340, _minutes(LIFE + GRACE)), (500, f"+ {DAYS:g} days"))
    parts = [
        _text(20, 26, "link created", "s l"),
        _text(190, 26, "link expires", "s"),
        _text(340, 26, "grace is over", "s"),
    ]
    parts += [
        _text(x, 46, words, "b" + (" l" if n == 0 else " r" if n == 3 else "")) for n, (x, words) in enumerate(marks)
    ]
    parts += [f'<path class="line" d="M{x} 54V318" stroke-dasharray="3 4"/>' for x, _ in marks]

    def bar(row: int, start: int, end: int, words: str, kind: str = "box") -> None:
        top = 62 + 44 * row
        parts.append(f'<rect class="{kind}" x="{start}" y="{top}" width="{end - start}" height="36" rx="6"/>')
        first = top + (22.5 if "\n" not in words else 14.5)
        parts.append(_text((start + end) / 2, first, words, "s"))

    bar(0, 20, 190, f"polled every {POLL:g} s")
    bar(0, 190, 340, f"watched every {WATCH:g} s")
    bar(0, 340, 500, "keeps asking,\never more slowly")
    bar(1, 20, 190, f"no answer for {ASK:g} s:\nthe dialog")
    bar(2, 20, 340, f"one cancellation, {CONFIRM:g} s to confirm")
    bar(3, 20, 190, "money: goods", "paid")
    bar(3, 190, 500, "money that comes later: a case", "case")
    bar(4, 20, 340, "bank says closed: not paid", "box")
    bar(4, 340, 500, "still no word: a case", "case")
    bar(5, 20, 500, "only the bank's answer ends a payment, never silence", "ours")
    parts[-1] = parts[-1].replace('class="s"', 'class="w"')
    return _page(336, "From the link to its end, the grace period and the days after it", parts)


def step() -> str:
    """What comes in, the step, the disk, and what is then done."""
    parts = [_text(14, 24, "events", "s l")]
    for n, (name, words) in enumerate(
        (("acquirer", "answers"), ("devices", "done, failed"), ("customer", "a button"), ("clock", "Tick"))
    ):
        x = 14 + 126 * n
        parts += [_box(x, 34, 114, 56, name, words), _arrow((x + 57, 90), (x + 57, 122))]
    parts += [
        _box(14, 126, 492, 44, "loop: one message at a time"),
        _arrow((260, 170), (260, 190)),
        _box(100, 194, 320, 44, "attempt: step(state, event), pure", kind="ours"),
        _arrow((260, 238), (260, 258)),
        _box(100, 262, 320, 44, "journal: the step is on disk", kind="paid"),
        _text(506, 436, "effects, only when their step is on disk", "s r"),
    ]
    for x, wide, name, words in (
        (14, 176, "to the acquirer", "SendCreate, SendPoll,\nSendFind, SendCancel"),
        (200, 130, "to devices", "Present,\nWithdraw"),
        (340, 166, "to people, the till", "Show, Finish,\nOpenCase"),
    ):
        middle = x + wide / 2
        parts += [_arrow((260, 306), (260, 316), (middle, 316), (middle, 338)), _box(x, 342, wide, 74, name, words)]
    return _page(
        448, "Events go through the loop to the step; the journal writes it; then its effects are performed", parts
    )


DRAWINGS = {
    "step.svg": step,
    "overview.svg": overview,
    "modes.svg": lambda: modes("en"),
    "modes-ru.svg": lambda: modes("ru"),
    "sequence.svg": sequence,
    "timeline.svg": timeline,
}


def main() -> None:
    """Write all of them."""
    HERE.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        (HERE / name).write_text(draw(), "utf-8")


if __name__ == "__main__":
    main()
