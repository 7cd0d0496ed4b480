"""What a terminal shows of a payment: live state, countdown, the code drawn in characters, the dialog.

rich is imported only when something is drawn. `Lines` is for output that is no terminal (a log, a pipe), `JsonLines`
for software: one JSON object a line on stdout.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

from sco_drivers.qr import QUIET_ZONE, encode
from sco_payment.attempt import Phase
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
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

_REFRESH_PER_S = 8
_ROWS_AROUND = 5  # border, headline, a further line


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
            self._stream.write(f"  {text}\n")
            self._stream.flush()


class TerminalUI:
    """The lane's screen in a terminal, drawn live by rich; its dialog is answered by a key and Enter.

    Args:
        keyboard: whether the dialog can be answered here; not where a touch panel or a script answers.
    """

    def __init__(self, *, keyboard: bool) -> None:
        self._keyboard = keyboard
        self._mutex = threading.Lock()
        self._state: ScreenState | None = None
        self._choose: Choose | None = None
        self._live: Live | None = None
        self._closed = False
        self._reader: threading.Thread | None = None

    def bind(self, choose: Choose) -> None:
        """Report answers to `choose` from now on."""
        self._choose = choose

    def show(self, state: ScreenState) -> None:
        """Draw it, and read the keyboard from the first dialog on."""
        with self._mutex:
            self._state = state
            if self._live is None and not self._closed:
                self._live = self._start()
        if self._keyboard and self._reader is None and state.offers(RETRY):
            self._reader = threading.Thread(target=self._listen, name="sco-keyboard", daemon=True)
            self._reader.start()

    def _start(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        live = Live(
            get_renderable=self._draw,
            console=Console(stderr=True),
            refresh_per_second=_REFRESH_PER_S,
            transient=True,  # a code that is paid or void must not stay in the scrollback
        )
        live.start()
        return live

    def _draw(self) -> RenderableType:
        from rich.align import Align
        from rich.console import Group
        from rich.panel import Panel
        from rich.text import Text

        state = self._state
        if state is None:
            return Text("")
        rows: list[Any] = [Text(state.headline, style="bold")]
        rows += [Text(line) for line in (*state.lines, state.status) if line]
        if state.link is not None:
            rows.append(self._code(state.link))
        if state.case is not None:
            rows.append(Text(f"№ {state.case}", style="bold red"))
        if state.offers(RETRY):
            keys = "    ".join(f"[{button.id[0]}] {button.text}" for button in state.buttons)
            rows.append(Text(keys, style="bold yellow"))
        title = [] if state.amount_kopecks is None else [format_amount(state.amount_kopecks)]
        if state.expires_at_ms is not None:
            left = max(0, round(state.expires_at_ms / 1000 - time.time()))
            title.append(f"{left // 60}:{left % 60:02d}")
        return Panel(Group(*(Align.center(row) for row in rows)), title="   ".join(title) or None)

    def _code(self, link: str) -> Text:
        """The code if the window holds all of it, else the link: half a code cannot be scanned."""
        from rich.text import Text

        code = qr_in_characters(link)
        height = code.count("\n") + 1 + _ROWS_AROUND
        if self._live is None or self._live.console.size.height < height:
            return Text(f"{link}\n(a window of {height} rows shows it as a QR code)")
        if not _has_blocks(self._live.console.encoding):
            return Text(f"{link}\n(a terminal in UTF-8 shows it as a QR code)")
        return Text(code, style="white on black", no_wrap=True)

    def _listen(self) -> None:
        for line in sys.stdin:
            button = {"r": RETRY, "c": CANCEL}.get(line.strip().lower()[:1])
            with self._mutex:
                state, choose = self._state, self._choose
            # Only a dialog is answered here: at any other time Ctrl-C cancels.
            if button is not None and choose is not None and state is not None and state.offers(RETRY):
                choose(state.attempt, button)

    def close(self) -> None:
        """Leave the last picture on the terminal."""
        with self._mutex:
            self._closed = True
            if self._live is not None:
                self._live.stop()
                self._live = None
