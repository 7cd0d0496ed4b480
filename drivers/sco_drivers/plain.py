"""Untrusted text on its way to people: a tag's content, a device's name, an acquirer's remark.

Written raw they could clear a terminal, forge a line of a log, or turn the direction of what follows. `one_line` shows
such characters as escapes; whatever this package prints, logs or reports about a device goes through it.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any

_SPACES = "\N{NO-BREAK SPACE}\N{NARROW NO-BREAK SPACE}\N{THIN SPACE}"
_SUSPECT = re.compile(r"[^ -~\u0400-\u04ff]")
"""Most texts have no such character, and are not looked at one by one."""


def one_line(text: str) -> str:
    """`text` with what is not printable, line ends and marks of direction included, as backslash escapes."""
    return _SUSPECT.sub(lambda found: _shown(found[0]), text)


def _shown(char: str) -> str:
    return char if char.isprintable() or char in _SPACES else char.encode("unicode_escape").decode("ascii")


def lines(text: str) -> str:
    """The same for a text whose own line ends are meant."""
    return "\n".join(one_line(line) for line in text.split("\n"))


class OneLineFormatter(logging.Formatter):
    """A log of one line an event, whatever its message quotes; a traceback follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, without a traceback."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """The traceback, whose last line quotes the exception."""
        return lines(super().formatException(ei))


def log_to_stderr(level: int) -> None:
    """Log to stderr from now on, where the program does not log elsewhere already."""
    handler = logging.StreamHandler()
    handler.setFormatter(OneLineFormatter())
    logging.basicConfig(level=level, handlers=[handler])


def json_line(data: Any, indent: int | None = None, *, compact: bool = False) -> str:
    """JSON that a terminal shows as it is: the letters of all scripts, and escapes for what is not printable."""
    text = json.dumps(data, ensure_ascii=False, indent=indent, separators=(",", ":") if compact else None)
    return _SUSPECT.sub(lambda found: _json_shown(found[0]), text)


def _json_shown(char: str) -> str:
    return char if char == "\n" or char.isprintable() or char in _SPACES else _json_escape(char)


def _json_escape(char: str) -> str:
    return json.dumps(char)[1:-1] if ord(char) > 0x7F else f"\\u{ord(char):04x}"
