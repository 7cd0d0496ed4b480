"""The customer's screen for browsers and tills: the lane's `ScreenState` as JSON in two languages, and its code."""

from __future__ import annotations

import re
import struct
import threading
import time
import zlib
from collections.abc import Callable
from dataclasses import fields
from functools import lru_cache
from typing import Any

from sco_drivers.qr import QUIET_ZONE, encode
from sco_payment.attempt import View
from sco_payment.customer.texts import LANGUAGES
from sco_payment.customer.ui import ScreenState
from sco_payment.money import format_amount

Json = dict[str, Any]

IDLE = "idle"
OUT_OF_SERVICE = "out_of_service"
_LEAVES = (View.PAID, View.UNPAID)
"""Views that give way to `idle` after `lane.result_s`."""
_OWN = frozenset(
    {
        "view",
        "headline",
        "lines",
        "amount_kopecks",
        "amount_text",
        "link",
        "expires_at_ms",
        "case",
        "buttons",
        "attempt",
        "idle",
    }
)
"""Fields of a `ScreenState` that have a place of their own here; any other is passed on as it is."""


class ScreenHub:
    """A `LaneUI` that keeps the lane's screen for whoever asks.

    Args:
        language: the lane's own.
        result_s: how long an outcome stays.
        changed: called when there is another version.
        till_id: what the till calls an attempt.
        left: called with an attempt whose outcome was here for long enough: the lane's other screens follow.
    """

    def __init__(
        self,
        language: str,
        result_s: float,
        changed: Callable[[], None],
        till_id: Callable[[str], str | None],
        left: Callable[[str], None] = lambda attempt: None,
    ) -> None:
        self._language = language
        self._result_s = result_s
        self._changed = changed
        self._till_id = till_id
        self._left = left
        self._mutex = threading.Lock()
        self._state: ScreenState | None = None
        self._view = IDLE
        self._shown_at = 0.0
        self._version = time.time_ns() // 1_000_000  # grows over restarts too
        self._link_since = self._version

    @property
    def version(self) -> int:
        """Number of what is shown now."""
        return self._version

    @property
    def is_idle(self) -> bool:
        """Whether no payment is shown."""
        return self._state is None

    def show(self, state: ScreenState) -> None:
        """Show it until the next call; an outcome for `result_s`."""
        if state.idle:
            self._replace(None, IDLE)
        else:
            self._replace(state, state.view.value)

    def close(self) -> None:
        """The lane is closed."""
        self._replace(None, OUT_OF_SERVICE)

    def idle_if_due(self, case_is_open: Callable[[int], bool]) -> None:
        """Call it about once a second: an outcome that was there for long enough leaves, and so does a closed case."""
        state = self._state
        if state is None or time.monotonic() - self._shown_at < self._result_s:
            return
        settled = state.view is View.ATTENDANT and state.case is not None and not case_is_open(state.case)
        if state.view in _LEAVES or settled:
            with self._mutex:
                if self._state is state:
                    self._set(None, IDLE)
            self._changed()
            self._left(state.attempt)

    def _replace(self, state: ScreenState | None, view: str) -> None:
        with self._mutex:
            self._set(state, view)
        self._changed()

    def _set(self, state: ScreenState | None, view: str) -> None:
        if (None if state is None else state.link) != self.link():
            self._link_since = self._version + 1
        self._state, self._view = state, view
        self._shown_at = time.monotonic()
        self._version += 1

    def link(self, version: int | None = None) -> str | None:
        """The content of the code that is shown; None where that of this version was another one."""
        state = self._state
        if state is None or (version is not None and version < self._link_since):
            return None
        return state.link

    def as_json(self) -> Json:
        """What is shown, as the contract has it."""
        with self._mutex:
            state, view, version = self._state, self._view, self._version
        shown = state or ScreenState(View.WAIT, self._idle_headline(view))
        attempt = shown.attempt or None
        return {
            "version": version,
            "view": view,
            "attempt": attempt,
            "payment": None if attempt is None else self._till_id(attempt),
            "texts": {language: self._texts(shown, language) for language in LANGUAGES},
            "language": self._language,
            "amount_kopecks": shown.amount_kopecks,
            "amount_text": None
            if shown.amount_kopecks is None
            else dict.fromkeys(LANGUAGES, format_amount(shown.amount_kopecks)),
            "link": shown.link,
            "qr": None
            if shown.link is None
            else {"svg": f"/v1/screen/qr.svg?v={version}", "png": f"/v1/screen/qr.png?v={version}"},
            "expires_at_ms": shown.expires_at_ms,
            "now_ms": time.time_ns() // 1_000_000,
            "case": shown.case,
            "buttons": [
                {
                    "id": button.id,
                    "text": {language: translated(button.text, self._language, language) for language in LANGUAGES},
                    "primary": button.primary,
                }
                for button in shown.buttons
            ],
            **{name: value for name, value in _further(shown) if not isinstance(value, str)},
        }

    def _idle_headline(self, view: str) -> str:
        texts = LANGUAGES[self._language]
        return texts.out_of_service if view == OUT_OF_SERVICE else texts.payment_type

    def _texts(self, shown: ScreenState, language: str) -> Json:
        def words(text: str) -> str:
            return translated(text, self._language, language)

        own = LANGUAGES[language]
        return {
            "expires_text": own.time_left if shown.expires_at_ms is not None else "",
            "case_text": own.case.format(number=shown.case) if shown.case is not None else "",
            "status": "",
            "hint": "",
            **{name: words(value) for name, value in _further(shown) if isinstance(value, str)},
            "headline": words(shown.headline),
            "lines": [words(line) for line in shown.lines],
        }


def _further(state: ScreenState) -> list[tuple[str, Any]]:
    return [(field.name, getattr(state, field.name)) for field in fields(state) if field.name not in _OWN]


# --- two languages --------------------------------------------------------------------------------------------------


def translated(text: str, language: str, other: str) -> str:
    """A text of the lane in another of its languages; one that it does not know as it is."""
    if language == other or not text:
        return text
    for field, pattern in _patterns(language):
        if (match := pattern.fullmatch(text)) is not None:
            return str(getattr(LANGUAGES[other], field)).format(**match.groupdict())
    return text


@lru_cache(maxsize=4)
def _patterns(language: str) -> list[tuple[str, re.Pattern[str]]]:
    """Each text of a language as a pattern, whose groups are its placeholders; the plain ones first."""
    texts = LANGUAGES[language]
    found = [(field.name, str(getattr(texts, field.name))) for field in fields(texts)]
    found.sort(key=lambda entry: "{" in entry[1])
    return [(name, re.compile(_PLACEHOLDER.sub(r"(?P<\1>.+)", re.escape(text)))) for name, text in found]


_PLACEHOLDER = re.compile(r"\\\{(\w+)\\\}")


# --- the code -------------------------------------------------------------------------------------------------------


def _rows(link: str) -> list[bytes]:
    """A byte a module, 1 for a dark one, quiet zone included."""
    matrix = encode(link, "L")
    margin = bytes(QUIET_ZONE)
    empty = [bytes(matrix.size + 2 * QUIET_ZONE)] * QUIET_ZONE
    return empty + [margin + row + margin for row in matrix.rows] + empty


def qr_svg(link: str) -> bytes:
    """The code as SVG: one path of runs of dark modules."""
    rows = _rows(link)
    runs = [
        f"M{found.start()} {y}h{found.end() - found.start()}v1H{found.start()}z"
        for y, row in enumerate(rows)
        for found in re.finditer(b"\1+", row)
    ]
    size = len(rows)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size} {size}" shape-rendering="crispEdges">'
        f'<path fill="#fff" d="M0 0h{size}v{size}H0z"/><path d="{"".join(runs)}"/></svg>'
    ).encode()


def qr_png(link: str, module_px: int) -> bytes:
    """The code as PNG, one bit a pixel (ISO/IEC 15948)."""
    rows = _rows(link)
    side = len(rows) * module_px
    lines = []
    for row in rows:
        bits = "".join(("0" if module else "1") * module_px for module in row).ljust((side + 7) // 8 * 8, "0")
        lines.append((b"\0" + int(bits, 2).to_bytes(len(bits) // 8, "big")) * module_px)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    picture = zlib.compress(b"".join(lines))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", picture) + chunk(b"IEND", b"")
