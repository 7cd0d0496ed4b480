"""What a terminal shows of a payment: live state, countdown, the code drawn in characters, the dialog.

rich is imported only when something is drawn. `Lines` is for output that is not a terminal (a log, a pipe), `JsonLines`
for software: one JSON object a line on stdout.
"""

from __future__ import annotations

import io
import json
import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TextIO

from sco_drivers.plain import one_line
from sco_drivers.qr import QUIET_ZONE, encode
from sco_payment.attempt import Phase, View
from sco_payment.cli.keyboard import Keyboard
from sco_payment.cli.story import note_in_words
from sco_payment.cli.streams import drawing
from sco_payment.cli.words import TERMINAL_WORDS
from sco_payment.customer.ui import CANCEL, RETRY, Choose, ScreenState
from sco_payment.events import (
    CaseOpened,
    LaneEvent,
    LinkAccepted,
    NoteAdded,
    OutcomeReached,
    OutcomeTaken,
    ScreenFailed,
    StateChanged,
    TagChanged,
    TagEnduranceExceeded,
)
from sco_payment.money import format_amount

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live
    from rich.text import Text

_REFRESH_PER_S = 8
_ROWS_AROUND = 11  # border, words and keys
_BORDER = 4
_GAP = 2
_NARROWEST = 26  # columns for the words next to the code
_LONGEST_NOTE = 90
_PAYABLE = (View.PAY, View.DIALOG)
_BUTTONS = dict.fromkeys("rкп", RETRY) | dict.fromkeys("cсо", CANCEL)
"""The letters of the words, in both languages, and what is on the same keys in the Russian layout."""


def qr_in_characters(text: str) -> str:
    """The code in half-block characters, quiet zone included, dark on light: two modules a character."""
    matrix = encode(text, "L")
    width = matrix.size + 2 * QUIET_ZONE
    light_row = bytes(width)
    margin = bytes(QUIET_ZONE)
    rows = [light_row] * QUIET_ZONE + [margin + row + margin for row in matrix.rows] + [light_row] * QUIET_ZONE
    if len(rows) % 2:
        rows.append(light_row)
    glyphs = {(0, 0): "█", (0, 1): "▀", (1, 0): "▄", (1, 1): " "}  # light modules are drawn: terminals are dark
    return "\n".join(
        "".join(glyphs[pair] for pair in zip(rows[y], rows[y + 1], strict=True)) for y in range(0, len(rows), 2)
    )


def draws(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can be drawn on: a dumb one would show nothing, not even the dialog."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def _has_blocks(encoding: str) -> bool:
    try:
        "█▀▄".encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


class JsonLines:
    """Observer: one JSON object a line, in UTF-8 whatever the terminal's encoding."""

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
        self._stream = stream
        self._mutex = threading.Lock()

    def __call__(self, event: LaneEvent) -> None:
        """Write the event and flush, so that a pipe has it at once.

        The command prints the outcome itself, as its last line, and with that the caller has taken it.
        """
        if not isinstance(event, OutcomeReached | OutcomeTaken):
            self._write(event.as_json())

    def write(self, name: str, data: Mapping[str, Any]) -> None:
        """Write a line of the command's own, such as the outcome: `event`, `time_ms` and `data`."""
        self._write({"event": name, "time_ms": round(time.time() * 1000), **data})

    def _write(self, data: Mapping[str, Any]) -> None:
        line = json.dumps(data, ensure_ascii=False)
        with self._mutex:
            self._stream.write(line + "\n")
            self._stream.flush()


class Lines:
    """Observer: one plain line an event, for people who read a log."""

    _PHASES: Mapping[Phase, str] = {
        Phase.CREATING: "asking the acquirer for a payment",
        Phase.FINDING: "looking for the payment at the acquirer",
        Phase.PRESENTING: "presenting the link",
        Phase.WAITING: "waiting for the customer; asking the acquirer",
        Phase.ASKING: "no answer from the acquirer: asking the customer",
        Phase.CANCELLING: "cancelling, once",
        Phase.CONFIRMING: "waiting for the acquirer's final status",
        Phase.WATCHING: "the customer has an outcome; still watching for late money",
        Phase.CLOSED: "closed unpaid; still watching for late money",
        Phase.OVERDUE: "no final status in time: see the case; still asking the acquirer",
        Phase.REFUNDABLE: "paid, and the cancellation may still refund it: see the case",
        Phase.PAID: "paid",
        Phase.UNPAID: "closed unpaid",
        Phase.PAID_LATE: "money came late: see the case",
        Phase.UNSETTLED: "not settled: see the case",
    }

    _USE: Mapping[tuple[bool, bool], str] = {
        (False, False): "",
        (True, False): "; out of use until it is found in order twice",
        (True, True): "; out of use until an operator enables it",
    }

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._mutex = threading.Lock()
        self._attempt: str | None = None  # the one that was begun last

    def __call__(self, event: LaneEvent) -> None:
        """Write the line, for an event that is worth one."""
        match event:
            case StateChanged():
                text = f"order {event.order_no}: {self._PHASES[event.phase]}"
                if event.phase is Phase.CREATING:
                    self._attempt = event.attempt
            case LinkAccepted():
                text = f"link: {event.link}" + ("" if event.verified else "  (it cannot be verified)")
            case NoteAdded():
                text = event.text
                if self._attempt is not None and event.attempt not in (None, self._attempt):
                    text = f"of an earlier attempt: {text}"
            case ScreenFailed():
                text = f"the screen failed: {event.detail}"
            case CaseOpened():
                text = f"case {event.case} is open: an operator must decide (sco-pay cases)"
            case TagChanged():
                text = f"NFC tag: {event.problem or 'in order'}" + self._USE[event.disabled, event.needs_operator]
            case TagEnduranceExceeded():
                text = f"NFC tag: written {event.write_count} times, rated for {event.endurance}: replace it"
            case _:
                return
        self.write(text)

    def write(self, text: str) -> None:
        """Write a line of the command's own."""
        with self._mutex:
            self._stream.write(f"  {one_line(text)}\n")
            self._stream.flush()


class TerminalUI:
    """The lane's screen in a terminal, drawn live by rich; its dialog is answered by a key.

    An observer too: it shows what was noted last, so that a lost network is seen at once. Enter it in the main thread
    before anything is shown.

    Args:
        language: of the lane.
        keyboard: whether there is a keyboard to answer the dialog; without one, a touch panel or a script does.
        cancels: whether Ctrl-C cancels the payment, and not only this command.

    Attributes:
        paper: what a simulated printer has printed: its text and the content of its code; None for a real one.
    """

    def __init__(self, *, language: str, keyboard: bool, cancels: bool = True) -> None:
        self._language = language
        self._words = TERMINAL_WORDS[language]
        self._cancels = cancels
        self._keyboard = Keyboard(self._pressed) if keyboard else None
        self.paper: Callable[[], tuple[str, str | None] | None] = lambda: None
        self._mutex = threading.Lock()
        self._state: ScreenState | None = None
        self._printed: tuple[str, str | None] | None = None
        self._may_interrupt = True
        self._note = ""
        self._answer = ""  # to a key that is not there
        self._link_above = ""
        self._choose: Choose | None = None
        self._live: Live | None = None
        self._closed = False

    def __enter__(self) -> Self:
        if self._keyboard is not None:
            self._keyboard.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
        if self._keyboard is not None:
            self._keyboard.__exit__(*exc)

    def bind(self, choose: Choose) -> None:
        """Report answers to `choose` from now on."""
        self._choose = choose

    def __call__(self, event: LaneEvent) -> None:
        """Show the note, or the fault, under the screen."""
        state = self._state
        if state is None or event.attempt in (None, state.attempt):
            self._note = one_line(_worth_a_line(event, self._language) or "") or self._note

    def show(self, state: ScreenState) -> None:
        """Draw it, and take keys from now on."""
        printed = self.paper() if state.view is View.PAY and state.link is None and not state.plate else None
        with self._mutex:
            was_payable = self._state is not None and self._state.view in _PAYABLE
            # After it the wait is for the end of a cancellation.
            may_interrupt = state.view in _PAYABLE or (state.view is View.WAIT and not was_payable)
            self._may_interrupt = self._cancels and may_interrupt
            self._state, self._printed, self._answer = state, printed, ""
            if self._closed:
                return
            if self._keyboard is not None:
                self._keyboard.start()
            if self._live is None:
                self._live = self._start()
            self._copyable_link(self._live)
            self._live.refresh()

    def _start(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        live = Live(
            get_renderable=self._draw,
            console=Console(file=drawing(sys.stderr), highlight=False),
            refresh_per_second=_REFRESH_PER_S,
            transient=True,  # a code that is paid or void must not stay in the scrollback
        )
        live.start()
        return live

    def _copyable_link(self, live: Live) -> None:
        """Print a link that cannot be drawn as a code on a line of its own: broken by a border it cannot be copied."""
        from rich.text import Text

        link = self._link
        if link is not None and link != self._link_above and self._code(link, live.console) is None:
            self._link_above = link
            live.console.print(Text(link), soft_wrap=True)

    @property
    def _link(self) -> str | None:
        """The link on the screen, or on a simulated printer's paper."""
        if self._state is None or self._state.link is not None:
            return None if self._state is None else self._state.link
        return None if self._printed is None else self._printed[1]

    def _code(self, link: str, console: Console) -> str | None:
        """The code; None where it does not fit: half a code cannot be scanned."""
        code = qr_in_characters(link)
        fits = _fits_beside(code, console) or _fits_below(code, console)
        return code if fits and _has_blocks(console.encoding) else None

    def _draw(self) -> RenderableType:
        from rich.align import Align
        from rich.console import Group
        from rich.panel import Panel
        from rich.table import Table
        from rich.text import Text

        state, live = self._state, self._live
        if state is None or live is None:
            return Text("")
        console, link, title = live.console, self._link, _title(state)
        code = None if link is None else self._code(link, console)
        words, own = self._words_of(state), self._own_words(state, without_code=link is not None and code is None)
        if code is None:
            return Panel(Group(*(Align.center(row) for row in (*words, *own))), title=title)
        picture = Text(code, style="white on black", no_wrap=True)
        columns, rows = code.index("\n"), code.count("\n") + 1
        below = rows + len(words) + len(own) + _BORDER <= console.height and _fits_below(code, console)
        if below or not _fits_beside(code, console):
            width, height = console.width - _BORDER, console.height - rows - 2
            words = _cut(console, words[1:], own, width, height - 1)
            return Panel(Group(*(Align.center(row) for row in (self._headline(state), picture, *words))), title=title)
        width = console.width - columns - _GAP
        words = [Text(title or "", style="bold"), Text(""), *words]
        side = Table.grid(padding=(0, 0, 0, _GAP))
        side.add_column(width=columns)
        side.add_column(width=width)
        side.add_row(picture, Group(*_cut(console, words, own, width, console.height)))
        return side

    def _headline(self, state: ScreenState) -> Text:
        from rich.text import Text

        return Text(state.headline, style="bold")

    def _words_of(self, state: ScreenState) -> list[Text]:
        """What the customer reads, the headline first."""
        from rich.text import Text

        words = [self._headline(state), *(Text(line) for line in (*state.lines, state.status) if line)]
        if state.case is not None:
            words.append(Text(f"№ {state.case}", style="bold red"))
        if self._printed is not None:
            printed = self._printed[0].splitlines()
            words += [Text(""), Text(self._words.paper, style="dim"), *(Text(line) for line in printed)]
        return words

    def _own_words(self, state: ScreenState, *, without_code: bool) -> list[Text]:
        """What is for whoever sits at the terminal: keys, and what happened last."""
        from rich.text import Text

        own = []
        if without_code:
            assert self._link is not None
            own.append(Text(self._why_no_code(self._link), style="dim"))
        if keys := self._keys(state):
            own += [Text(""), *(Text(f"[{key}] {text}", style="bold yellow") for key, text in keys)]
        if self._answer:
            own.append(Text(self._answer, style="yellow"))
        if self._note:
            own.append(Text(textwrap.shorten(self._note, _LONGEST_NOTE, placeholder="…"), style="dim"))
        return own

    def _why_no_code(self, link: str) -> str:
        assert self._live is not None
        if not _has_blocks(self._live.console.encoding):
            return self._words.no_blocks
        code = qr_in_characters(link)
        return self._words.link_above.format(columns=code.index("\n") + _NARROWEST, rows=code.count("\n") + 1)

    def _keys(self, state: ScreenState) -> list[tuple[str, str]]:
        """The keys that act now, and what each does."""
        keys = []
        if state.offers(RETRY) and self._keyboard is not None and self._keyboard.listens:
            letters = {RETRY: self._words.retry_key, CANCEL: self._words.cancel_key}
            keys = [(letters[button.id], button.text) for button in state.buttons]
        return [*keys, ("Ctrl-C", self._words.interrupt)] if self._may_interrupt else keys

    def _pressed(self, text: str) -> None:
        """Answer the dialog, and only it: at any other time Ctrl-C cancels. A pasted text answers nothing."""
        key = text.strip().lower()
        with self._mutex:
            state, choose = self._state, self._choose
            if state is None or not key:
                return
            button = _BUTTONS.get(key) if state.offers(RETRY) else None
            if button is None or not state.offers(button):
                there = "; ".join(f"[{name}] {text}" for name, text in self._keys(state))
                shown = key if len(key) == 1 and key.isprintable() else "?"
                self._answer = there and self._words.unknown_key.format(key=f"«{shown}»", keys=there)
                return
            self._answer = ""
        if choose is not None:
            choose(state.attempt, button)

    def close(self) -> None:
        """Clear the drawing and put the terminal back."""
        with self._mutex:
            self._closed = True
            if self._live is not None:
                self._live.stop()
                self._live = None
        if self._keyboard is not None:
            self._keyboard.close()


def _fits_beside(code: str, console: Console) -> bool:
    """Whether there is room for words to the right of the code."""
    return console.height > code.count("\n") and console.width >= code.index("\n") + _NARROWEST


def _fits_below(code: str, console: Console) -> bool:
    """Whether there is room for words under the code."""
    return console.height > code.count("\n") + _ROWS_AROUND and console.width >= code.index("\n") + _BORDER


def _cut(console: Console, words: list[Text], own: list[Text], width: int, height: int) -> list[Text]:
    """Lines of at most that size; what is cut off is of the first ones, since the keys must stay."""
    first, last = ([line for text in texts for line in text.wrap(console, width)] for texts in (words, own))
    return [*first[: max(0, height - len(last))], *last]


def _worth_a_line(event: LaneEvent, language: str) -> str | None:
    match event:
        case NoteAdded():
            return note_in_words(event.text, language)
        case ScreenFailed():
            return f"the screen failed: {event.detail}"
        case _:
            return None


def _title(state: ScreenState) -> str | None:
    """Amount and countdown."""
    title = [] if state.amount_kopecks is None else [format_amount(state.amount_kopecks)]
    if state.expires_at_ms is not None:
        left_s = max(0, round(state.expires_at_ms / 1000 - time.time()))
        title.append(f"{left_s // 60}:{left_s % 60:02d}")
    return "   ".join(title) or None
