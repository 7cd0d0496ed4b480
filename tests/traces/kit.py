"""A trace with another line in it, whose checks are made again, so that only a replay can notice it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sco_drivers.record.file import CHECK, checked

Lines = list[dict[str, Any]]


def lines_of(path: Path) -> Lines:
    """What the lines of the trace at `path` say, without their checks."""
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    for one in found:
        del one[CHECK]
    return found


def write(path: Path, lines: Lines) -> Path:
    """Write these as a trace; its path."""
    check, octets = 0, b""
    for one in lines:
        line, check = checked(one, check)
        octets += line + b"\n"
    path.write_bytes(octets)
    return path


def octets_of(lines: Lines, key: str) -> bytes:
    """All that was sent (">") or received ("<")."""
    return b"".join(bytes.fromhex(one[key]) for one in lines if key in one)


def flipped(lines: Lines, at: int, key: str = ">") -> None:
    """Change one bit in the middle of what the line `at` says was sent."""
    octets = bytearray.fromhex(lines[at][key])
    octets[len(octets) // 2] ^= 0x01
    lines[at][key] = octets.hex()


def dropped(lines: Lines, at: int) -> None:
    """Take the line out."""
    del lines[at]


def inserted(lines: Lines, at: int) -> None:
    """Put the line in a second time."""
    lines.insert(at, dict(lines[at]))


def reordered(lines: Lines, at: int) -> None:
    """Exchange what it says with what the next different one of its kind says."""
    for other in range(at + 1, len(lines)):
        if lines[other].get(">") and lines[other][">"] != lines[at][">"]:
            lines[at][">"], lines[other][">"] = lines[other][">"], lines[at][">"]
            return
    flipped(lines, at)


Mutation = Callable[[Lines, int], None]
MUTATIONS: tuple[Mutation, ...] = (flipped, dropped, inserted, reordered)
