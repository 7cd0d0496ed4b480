"""Cut a stream of ESC/POS bytes into commands. Knows lengths, not meanings, and does no I/O.

Lengths follow Epson's ESC/POS command reference; `GS e` follows CUSTOM's. A command that is not known is reported as
"unknown" with its two or three bytes, as a printer would skip it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its introducer (`"GS V"`, `"text"`, `"LF"`), its parameters, and all its bytes' count."""

    name: str
    params: bytes
    length: int


_CONTROL = {0x09: "HT", 0x0A: "LF", 0x0C: "FF", 0x0D: "CR", 0x18: "CAN"}
_PREFIX = {0x1B: "ESC", 0x1C: "FS", 0x1D: "GS"}

# Number of parameter bytes after the two bytes that name the command.
_FIXED: dict[str, int] = {
    **dict.fromkeys(
        (
            *("ESC @", "ESC 2", "ESC i", "ESC m", "ESC L", "ESC S", "ESC <", "ESC v", "ESC \f", "FS .", "FS &"),
            *("GS c", "GS :"),
        ),
        0,
    ),
    **dict.fromkeys(
        (
            *("ESC !", "ESC -", "ESC 3", "ESC d", "ESC J", "ESC E", "ESC G", "ESC M", "ESC a", "ESC t", "ESC R"),
            *("ESC SP", "ESC {", "ESC V", "ESC =", "ESC U", "ESC r", "ESC %", "ESC e", "ESC K", "ESC T", "ESC u"),
            *(
                "GS !",
                "GS B",
                "GS H",
                "GS f",
                "GS h",
                "GS w",
                "GS a",
                "GS r",
                "GS I",
                "GS b",
                "GS |",
                "GS /",
                "GS T",
                "GS E",
            ),
            *("FS !", "FS -", "FS C", "FS W"),
        ),
        1,
    ),
    **dict.fromkeys(("ESC $", "ESC \\", "GS L", "GS W", "GS P", "GS $", "GS \\", "FS S", "FS p", "FS ?", "ESC B"), 2),
    "ESC p": 3,
    "GS ^": 3,
    "FS 2": 74,
    "ESC ?": 2,
    "ESC W": 8,
}


def _u16(data: bytes, at: int) -> int:
    return data[at] | data[at + 1] << 8


def next_command(data: bytes) -> Command | None:
    """The first command of `data`; None while it is not there whole."""
    if not data:
        return None
    first = data[0]
    if first >= 0x20:
        end = 1
        while end < len(data) and data[end] >= 0x20:
            end += 1
        return Command("text", data[:end], end)
    if first in _CONTROL:
        return Command(_CONTROL[first], b"", 1)
    if first == 0x10:
        return _dle(data)
    if first not in _PREFIX:
        return Command("NUL" if first == 0 else "unknown", data[:1], 1)
    if len(data) < 2:
        return None
    letter = "SP" if data[1] == 0x20 else chr(data[1])
    name = f"{_PREFIX[first]} {letter}"
    if letter == "c" and first == 0x1B:  # ESC c 3 n, ESC c 4 n, ESC c 5 n
        count: int | None = 2
    elif name in _FIXED:
        count = _FIXED[name]
    else:
        count = _variable(name, data)
        if count == _UNKNOWN:
            return Command("unknown", data[:2], 2)
    if count is None or len(data) < 2 + count:
        return None
    return Command(name, data[2 : 2 + count], 2 + count)


_UNKNOWN = -1


def _variable(name: str, data: bytes) -> int | None:
    """Parameter bytes of a command that states its own length; None while that has not arrived, or _UNKNOWN."""
    have = len(data) - 2
    if name in ("GS (", "FS (", "ESC ("):
        return 3 + _u16(data, 3) if have >= 3 else None
    if name == "GS 8":  # GS 8 L p1 p2 p3 p4
        return 5 + (_u16(data, 3) | _u16(data, 5) << 16) if have >= 5 else None
    if name == "GS v":  # GS v 0 m xL xH yL yH data
        return 6 + _u16(data, 4) * _u16(data, 6) if have >= 6 else None
    if name == "GS V":
        if have < 1:
            return None
        return 2 if data[2] in (65, 66, 97, 98, 103, 104) else 1
    if name == "GS C":  # GS C 0 n m, GS C 1 aL aH bL bH n r, GS C 2 nL nH, GS C ; ... ;
        return {0: 3, 0x30: 3, 1: 7, 0x31: 7, 2: 3, 0x32: 3}.get(data[2], 1) if have >= 1 else None
    if name == "GS g":  # GS g 0 m nL nH, GS g 2 m nL nH
        return 4
    if name == "GS *":  # GS * x y data
        return 2 + data[2] * data[3] * 8 if have >= 2 else None
    if name == "GS Q":  # GS Q 0 m xL xH yL yH data
        return 6 + _u16(data, 4) * _u16(data, 6) if have >= 6 else None
    if name == "GS z":  # GS z 0 t1 t2
        return 3
    if name == "FS g":  # FS g 1 m a1 a2 a3 a4 nL nH data, FS g 2 m a1 a2 a3 a4 nL nH
        return (8 + (_u16(data, 8) if data[2] in (1, 0x31) else 0)) if have >= 8 else None
    if name == "FS q":  # FS q n, then xL xH yL yH data of each picture
        return _stored_pictures(data)
    if name == "ESC &":  # ESC & y c1 c2, then x data of each character
        return _own_characters(data)
    if name == "GS e":  # CUSTOM: GS e 3 n presents n steps of the ticket
        return (2 if data[2] == 3 else 1) if have >= 1 else None
    if name == "ESC *":  # ESC * m nL nH data; m 32 and 33 take three bytes a column
        return 3 + _u16(data, 3) * (3 if data[2] in (32, 33) else 1) if have >= 3 else None
    if name == "ESC D":
        end = data.find(0, 2)
        return end - 1 if end >= 0 else (None if have < 33 else 32)
    if name == "GS k":
        if have < 2:
            return None
        if data[2] < 65:
            end = data.find(0, 3)
            return end - 1 if end >= 0 else None
        return 2 + data[3]
    return _UNKNOWN


def _stored_pictures(data: bytes) -> int | None:
    if len(data) < 3:
        return None
    at = 3
    for _ in range(data[2]):
        if len(data) < at + 4:
            return None
        at += 4 + _u16(data, at) * _u16(data, at + 2) * 8
    return at - 2


def _own_characters(data: bytes) -> int | None:
    if len(data) < 5:
        return None
    at = 5
    for _ in range(data[3], data[4] + 1):
        if len(data) <= at:
            return None
        at += 1 + data[at] * data[2]
    return at - 2


def _dle(data: bytes) -> Command | None:
    """Real-time commands that reach the line again as data are skipped there; their effect took place on arrival."""
    if len(data) < 3:
        return None
    if data[1] == 0x04:
        return Command("DLE EOT", data[2:3], 3)
    if data[1] == 0x05:
        return Command("DLE ENQ", data[2:3], 3)
    if data[1] == 0x14:
        count = {1: 3, 2: 3, 7: 2, 8: 8}.get(data[2], 1)
        return Command("DLE DC4", data[2 : 2 + count], 2 + count) if len(data) >= 2 + count else None
    return Command("unknown", data[:1], 1)


class RealTimeScanner:
    """Finds real-time commands anywhere in what arrives, as the printer's receiver does."""

    CLEAR = bytes((0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8))

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, byte: int) -> Command | None:
        """Take one byte; return the real-time command that it completes."""
        tail = (self._tail + bytes((byte,)))[-10:]
        self._tail = tail
        if tail == self.CLEAR:
            return Command("DLE DC4", tail[2:], 10)
        if len(tail) >= 3 and tail[-3] == 0x10:
            if tail[-2] == 0x04 and (1 <= byte <= 4 or byte == 20):
                return Command("DLE EOT", tail[-1:], 3)
            if tail[-2] == 0x05 and byte in (0, 1, 2):
                return Command("DLE ENQ", tail[-1:], 3)
        return None
