"""Reads a trace: its recordings, one for each opening of a device, and their entries."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sco_drivers.errors import DeviceProtocolError
from sco_drivers.printer.memory import STATE
from sco_drivers.record.file import CHECK, FORMAT, HEADER, MAX_BYTES, checked
from sco_drivers.record.recorder import FRAMED

_KINDS = ("printer", "nfc", "touch", "display")


_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_CALL = re.compile(r"[a-z][a-z_]*(?:\.[a-z][a-z_]*)?")


def _numbers(value: Any, *, size: int | None = None) -> bool:
    """Whether it is a list of so many numbers."""
    if not isinstance(value, list) or (size is not None and len(value) != size):
        return False
    return all(isinstance(one, int | float) and abs(one) < 1 << 31 for one in value)


def _is_hex(value: Any) -> bool:
    return isinstance(value, str) and _HEX.fullmatch(value) is not None


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and 0 <= value < 1 << 32


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_state(value: Any) -> bool:
    names = {"x", "y", "pressure", "has_button", "held", "slot", "contacts"}
    if not isinstance(value, dict) or set(value) != names or not isinstance(value["contacts"], list):
        return False
    return _numbers([value[name] for name in names - {"contacts"}]) and all(
        _numbers(one, size=3) for one in value["contacts"]
    )


def _is_memory(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != {*STATE, "tickets"} or not isinstance(value["tickets"], list):
        return False
    return (
        _is_count(value["owed"])
        and all(value[name] in (None, False, True) for name in STATE if name != "owed")
        and all(isinstance(one, list) and len(one) == 2 and isinstance(one[0], str) for one in value["tickets"])
    )


_SHAPES: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys((">", "<", "chosen", "described"), _is_hex),
    **dict.fromkeys(("withheld", "of", "n", "code", "baud", "share", "protocol"), _is_count),
    **dict.fromkeys(("fails", "error", "pcsc", "redacted", "where", "end", "lost"), _is_text),
    **dict.fromkeys(("open", "close", "present", "asked"), lambda value: isinstance(value, bool)),
    "errno": lambda value: value is None or (isinstance(value, int) and 0 <= value < 200),
    "empty": _numbers,
    "tap": lambda value: _numbers(value, size=2),
    "axes": lambda value: isinstance(value, list) and len(value) == 2 and all(_numbers(one, size=2) for one in value),
    "events": lambda value: isinstance(value, list) and all(_is_event(one) for one in value),
    "readers": lambda value: isinstance(value, list) and set(value) <= set(FRAMED),
    "names": lambda value: isinstance(value, list) and all(one is None or isinstance(one, str) for one in value),
    "state": _is_state,
    "memory": _is_memory,
    "call": lambda value: isinstance(value, str) and _CALL.fullmatch(value) is not None,
    "args": lambda value: value is None or isinstance(value, list),
    "named": lambda value: isinstance(value, dict),
}
"""What each key of a line may have: a trace may come from a stranger."""


def _is_event(value: Any) -> bool:
    return (
        _numbers(value, size=4)
        and 0 <= value[0] < 1 << 31
        and all(isinstance(one, int) for one in value[1:])
        and all(0 <= one < 1 << 16 for one in value[1:3])
    )


class BadTrace(DeviceProtocolError):
    """The file is not a trace, or a line of it was changed after it was written; the message names the line."""

    retryable = False


class TraceDiffers(DeviceProtocolError):
    """The driver no longer does what it did when the trace was recorded; the message names the first difference."""

    retryable = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a recording: its number in the file, s since the recording began, and what it says."""

    line: int
    t: float
    says: dict[str, Any]


@dataclass(slots=True)
class Recording:
    """One opening of a device.

    Attributes:
        path, number: which one, counted from 1.
        kind, url: of the device; the URL without what says which one it was.
        header: the whole first line.
        entries: the others.
        whole: whether it has its end: the program was not killed, and the disk was not full.
    """

    path: str
    number: int
    kind: str
    url: str
    header: dict[str, Any]
    entries: list[Entry] = field(default_factory=list)
    whole: bool = False

    @property
    def redactions(self) -> list[tuple[str, str, int]]:
        """What was replaced: its kind, where, and in which line for the first time."""
        return [
            (one.says["redacted"], one.says.get("where", ""), one.line)
            for one in self.entries
            if "redacted" in one.says
        ]


def read_trace(path: str | Path) -> list[Recording]:
    """The recordings in the trace at `path`.

    Raises:
        BadTrace: it cannot be read, is not a trace or of another version, or a line was changed, taken out or put in.
    """
    found: list[Recording] = []
    check, line = 0, ""
    lines = list(_lines(path))
    for number, line in enumerate(lines, 1):
        begins = f'{{"{HEADER}":' in line[:32]
        try:
            says = json.loads(line)
            sealed = says.pop(CHECK)
        except (ValueError, AttributeError, KeyError, TypeError):
            following = lines[number] if number < len(lines) else f'{{"{HEADER}":'
            if found and f'{{"{HEADER}":' in following[:32]:  # it was cut off there
                found[-1].whole = False
                continue
            raise BadTrace(f"line {number} is not a line of a trace: {line[:60]!r}", url=str(path)) from None
        _, check = checked(says, check)
        if sealed != f"{check:08x}":
            why = f"line {number} was changed, or a line before it was taken out, put in or moved: {line[:90]}"
            raise BadTrace(why, url=str(path), hint="record it again")
        if begins:
            found.append(_begun(says, number, str(path), len(found) + 1))
            continue
        if not found:
            raise BadTrace(f"line 1 does not begin a trace: {line[:60]!r}", url=str(path))
        found[-1].entries.append(_entry(number, says, path))
        found[-1].whole = "end" in says
    if not found:
        raise BadTrace("it is empty", url=str(path))
    return found


def _lines(path: str | Path) -> Iterator[str]:
    try:
        with Path(path).open("rb") as file:
            if os.fstat(file.fileno()).st_size > MAX_BYTES:
                raise BadTrace(f"it is larger than a trace may be ({MAX_BYTES >> 20} MiB)", url=str(path))
            text = file.read().decode("utf-8", "replace")
    except OSError as error:
        raise BadTrace(f"it cannot be read: {error.strerror}", url=str(path)) from error
    yield from text.splitlines()


def _begun(says: dict[str, Any], line: int, path: str, number: int) -> Recording:
    version, kind, url = says.get(HEADER), says.get("kind"), says.get("url")
    if version != FORMAT:
        why = f"line {line}: a trace of version {version}, expected {FORMAT}"
        raise BadTrace(why, url=path, hint="use the version of sco-paymaster that recorded it")
    if kind not in _KINDS or not isinstance(url, str):
        raise BadTrace(f"line {line}: no kind of device, or no URL", url=path)
    return Recording(path, number, kind, url, says)


def _entry(line: int, says: dict[str, Any], path: str | Path) -> Entry:
    t = says.get("t")
    if not isinstance(t, int | float) or isinstance(t, bool) or not 0 <= t < 1 << 31:
        raise BadTrace(f"line {line} has no time", url=str(path))
    wrong = [key for key, one in says.items() if key in _SHAPES and not _SHAPES[key](one)]
    if wrong:
        raise BadTrace(f"line {line}: {wrong[0]!r} is not what a trace has there", url=str(path))
    return Entry(line, float(t), says)
