"""Stdout and stderr of a command: any encoding, closed by the caller, or with nobody left to read them."""

from __future__ import annotations

import codecs
import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any

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
    if sys.stderr is sys.__stderr__ and isinstance(sys.stderr, io.TextIOWrapper):
        forgiving, encoding = _Forgiving(sys.stderr.fileno()), sys.stderr.encoding
        sys.stderr = io.TextIOWrapper(forgiving, encoding, "sco-plain", write_through=True)


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
