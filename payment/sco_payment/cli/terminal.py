"""What a person at a terminal sees of a payment: live state, countdown, the code drawn in characters, the dialog.

rich is imported only when something is drawn. `Lines` is for a terminal that is none (a log, a pipe), `JsonLines` for
software: one JSON object a line on stdout.
"""

from __future__ import annotations

import io
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from sco_payment.customer.ui import Choice, Dialog, ScreenState
from sco_payment.money import format_amount

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.text import Text

_REFRESH_PER_S = 8
_ROWS_AROUND = 5  # border, headline, a further line


def qr_in_characters(text: str) -> str:
    """The code in half-block characters, quiet zone included, dark on light: two modules a character."""
    from sco_drivers.qr import QUIET_ZONE, encode

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
    """Whether `stream` is a terminal that can be drawn on: a dumb one would be shown nothing at all, not even the
    dialog."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")


def _has_blocks(encoding: str) -> bool:
    try:
        "█▀▄".encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


class JsonLines:
    """Observer: one JSON object a line, in UTF-8 whatever the terminal speaks."""

    def __init__(self, stream: TextIO) -> None:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8")
        self._stream = stream
        self._mutex = threading.Lock()

    def __call__(self, name: str, data: Mapping[str, Any]) -> None:
        """Write the event and flush, so that a pipe has it at once."""
        line = json.dumps({"event": name, "at": round(time.time(), 3), **data}, ensure_ascii=False)
        with self._mutex:
            self._stream.write(line + "\n")
            self._stream.flush()


class Lines:
    """Observer: one plain line an event, for people who read a log."""

    _WORDS: Mapping[str, str] = {
        "creating": "asking PayMaster for a payment",
        "finding": "looking for the payment at PayMaster",
        "presenting": "presenting the link",
        "waiting": "waiting for the customer; asking PayMaster",
        "asking": "PayMaster is silent: asking the customer",
        "cancelling": "cancelling, once",
        "confirming": "waiting for PayMaster's last word",
        "watching": "the customer has an outcome; still watching for late money",
        "paid": "paid",
        "unpaid": "closed unpaid",
        "paid_late": "money came late: see the case",
        "unsettled": "PayMaster never gave its word: see the case",
    }

    _USE: Mapping[tuple[bool, bool], str] = {
        (False, False): "",
        (True, False): "; out of use until it is found well twice",
        (True, True): "; out of use until a person has looked at it",
    }

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._mutex = threading.Lock()
        self._attempt: str | None = None  # the one that was begun last

    def __call__(self, name: str, data: Mapping[str, Any]) -> None:
        """Write the line."""
        match name:
            case "state":
                text = f"order {data['order']}: {self._WORDS[data['phase']]}"
                if data["phase"] == "creating":
                    self._attempt = data["attempt"]
            case "link":
                text = f"link: {data['link']}" + ("" if data["verified"] else "  (it cannot be verified)")
            case "note":
                text = str(data["text"])
                if self._attempt is not None and data.get("attempt") not in (None, self._attempt):
                    text = f"of an earlier attempt: {text}"
            case "paymaster":
                text = f"at PayMaster: {data['creates']} created, {data['cancels']} cancellations"
            case "case":
                text = f"case {data['number']} is open: a person must decide (sco-pay cases)"
            case "tag":
                text = f"NFC tag: {data['found'] or 'well'}" + self._USE[data["disabled"], data["needs_person"]]
            case "tag_worn":
                text = f"NFC tag: written {data['writes']} times, made for {data['life']}: have it changed"
            case _:
                return
        with self._mutex:
            self._stream.write(f"  {text}\n")
            self._stream.flush()


class TerminalUI:
    """The lane's screen in a terminal, drawn live by rich; the dialog is answered by a key and Enter.

    Args:
        keyboard: whether the dialog is answered here; not where a touch panel or a script answers.
    """

    def __init__(self, *, keyboard: bool) -> None:
        self._keyboard = keyboard
        self._mutex = threading.Lock()
        self._content: ScreenState | Dialog | None = None
        self._answer: Callable[[Choice], None] | None = None
        self._live: Live | None = None
        self._closed = False
        self._reader: threading.Thread | None = None

    def show(self, screen: ScreenState) -> None:
        """Draw it, and forget an unanswered question."""
        self._put(screen, None)

    def ask(self, dialog: Dialog, answer: Callable[[Choice], None]) -> None:
        """Draw the question and listen to the keyboard."""
        self._put(dialog, answer)
        if self._keyboard and self._reader is None:
            self._reader = threading.Thread(target=self._listen, name="sco-keyboard", daemon=True)
            self._reader.start()

    def _put(self, content: ScreenState | Dialog, answer: Callable[[Choice], None] | None) -> None:
        with self._mutex:
            self._content, self._answer = content, answer
            if self._live is None and not self._closed:
                self._live = self._start()

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

        content = self._content
        if content is None:
            return Text("")
        rows: list[Any] = [Text(content.headline, style="bold")]
        if isinstance(content, ScreenState):
            rows += [Text(line) for line in content.lines]
            if content.link is not None:
                rows.append(self._code(content.link))
            if content.case is not None:
                rows.append(Text(f"№ {content.case}", style="bold red"))
        else:
            rows.append(Text(f"[r] {content.retry}    [c] {content.cancel}", style="bold yellow"))
        title = [] if content.kopecks is None else [format_amount(content.kopecks)]
        if content.expires_at is not None:
            left = max(0, round(content.expires_at - time.time()))
            title.append(f"{left // 60}:{left % 60:02d}")
        return Panel(Group(*(Align.center(row) for row in rows)), title="   ".join(title) or None)

    def _code(self, link: str) -> Text:
        """The code where it fits the window whole, else the link: half a code helps nobody."""
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
            choice = {"r": Choice.RETRY, "c": Choice.CANCEL}.get(line.strip().lower()[:1])
            with self._mutex:
                answer = self._answer if choice is not None else None
                if answer is not None:
                    self._answer = None
            if answer is not None and choice is not None:
                answer(choice)

    def close(self) -> None:
        """Leave the last picture on the terminal."""
        with self._mutex:
            self._closed = True
            if self._live is not None:
                self._live.stop()
                self._live = None
