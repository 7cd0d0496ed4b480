"""Reads a trace: its recordings, one for each opening of a device, and their entries."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sco_drivers.errors import DeviceProtocolError
from sco_drivers.record.file import CHECK, FORMAT, HEADER, MAX_BYTES, checked

_KINDS = ("printer", "nfc", "touch", "display")


class BadTrace(DeviceProtocolError):
    """The file is no trace, or a line of it was changed after it was written; the message names the line."""

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
        BadTrace: it cannot be read, is no trace or of another version, or a line was changed, taken out or put in.
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
            raise BadTrace(f"line {number} is no line of a trace: {line[:60]!r}", url=str(path)) from None
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
    if not isinstance(t, int | float):
        raise BadTrace(f"line {line} has no time", url=str(path))
    return Entry(line, float(t), says)
