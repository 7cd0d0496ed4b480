"""Stdout and stderr of a command: any encoding, closed by the caller, or with nobody left to read them.

Whatever a command prints, and whoever's words it quotes, nothing of it moves a terminal's cursor: characters that are
not printable come out as escapes. Who draws on a terminal on purpose writes to `drawing`.
"""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any, TextIO

from sco_drivers.plain import lines

_PLAIN = {
    "\N{RUBLE SIGN}": "RUB",
    "\N{NO-BREAK SPACE}": " ",
    "\N{NUMERO SIGN}": "No.",
    "\N{LEFT-POINTING DOUBLE ANGLE QUOTATION MARK}": '"',
    "\N{RIGHT-POINTING DOUBLE ANGLE QUOTATION MARK}": '"',
    "\N{EN DASH}": "-",
    "\N{CHECK MARK}": "+",
    "\N{BALLOT X}": "x",
}

CLEAR_LINE = "\r\033[K"
"""For `drawing`: back to the line's begin, and clear it."""


def speak_any_encoding() -> None:
    """Let stdout and stderr write what their encoding lacks (no ruble sign in KOI8-R) plainly or as an escape.

    Otherwise an outcome that cannot be printed would not be taken, and open a case for money that is in order. A stream
    that the caller has closed swallows what is written, and no file of ours gets its number. So does stderr where it
    cannot be written: a message that reaches nobody stops no payment.
    """
    _reopen_closed_streams()
    codecs.register_error("sco-plain", _plainly)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="sco-plain")
    if sys.stdout is sys.__stdout__ and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = PlainText(sys.stdout.buffer, sys.stdout.encoding, line_buffering=sys.stdout.line_buffering)
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr = PlainText(_Forgiving(sys.stderr.fileno()), sys.stderr.encoding, write_through=True)


class PlainText(io.TextIOWrapper):
    """Text for people: what is not printable is shown as an escape."""

    def __init__(self, buffer: Any, encoding: str, **options: Any) -> None:
        super().__init__(buffer, encoding, "sco-plain", **options)
        self.drawing = io.TextIOWrapper(buffer, encoding, "sco-plain", **options)

    def write(self, text: str) -> int:
        """Write `text`; its own line ends and tabs stay."""
        super().write("\t".join(map(lines, text.split("\t"))))
        return len(text)


def drawing(stream: TextIO) -> TextIO:
    """The stream below `stream` to which a terminal's control sequences may be written."""
    return stream.drawing if isinstance(stream, PlainText) else stream


class _Forgiving(io.RawIOBase):
    """A stream whose reader may be gone, or its disk full: what cannot be written is dropped."""

    def __init__(self, number: int) -> None:
        self._number = number

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)

    def write(self, data: Any) -> int:
        left = memoryview(data).cast("B")
        with contextlib.suppress(OSError):
            while left:
                left = left[os.write(self._number, left) :]
        return memoryview(data).nbytes


def _reopen_closed_streams() -> None:
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
        setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - as long as the process


def _plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end]
    return "".join(_PLAIN.get(char) or char.encode("ascii", "backslashreplace").decode() for char in lacking), error.end
