"""ESC/POS commands made by somebody else -> commands that this printer can be sent in a job of ours.

What would disturb the job is taken out: real-time commands, questions (nobody would read the answers), deselecting the
printer. What the model lacks is replaced, or refused before a byte is sent: codes are drawn as pictures, long pictures
sent in bands, a cut is a feed where there is no cutter. Lengths of commands follow Epson's reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple, cast

from sco_drivers.printer import DocumentRefused, Raw, commands
from sco_drivers.printer.profile import Profile
from sco_drivers.qr import ErrorLevel, encode

_ESC, _FS, _GS, _DLE = 0x1B, 0x1C, 0x1D, 0x10
_LINE_MM = 25.4 / 6
_BARCODE_MM = 15.0
_CUT_FEED_MM = 15.0

_LENGTHS: dict[int, dict[int, int]] = {
    _ESC: {
        **dict.fromkeys(b"@2imLS<\x0c", 0),
        **dict.fromkeys(b"!-+3AdJEGMatR {V=UreKTuv%", 1),
        **dict.fromkeys(b"$\\BcQ?", 2),  # ESC ? as python-escpos sends it, with a NUL
        ord("p"): 3,
        ord("W"): 8,
    },
    _FS: {**dict.fromkeys(b".&", 0), **dict.fromkeys(b"!-CWr", 1), **dict.fromkeys(b"Sp", 2)},
    _GS: {
        **dict.fromkeys(b"c:zU", 0),
        **dict.fromkeys(b"!BHfhwarIb|/TEjX", 1),
        **dict.fromkeys(b"LWP$\\", 2),
        ord("^"): 3,
    },
}
"""Bytes after the two that name a command, where they do not depend on its parameters."""

_CONTROL = re.compile(rb"[\x00-\x1f]")
_DC4 = {1: 5, 2: 5, 7: 4, 8: 10}
"""Bytes of `DLE DC4 n`."""


def _u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _length(data: bytes, at: int) -> int:
    """Bytes of the command or the text at `at`; more than there are when it is cut short."""
    start = data[at : at + 16]
    first = start[0]
    if first >= 0x20:
        found = _CONTROL.search(data, at)
        return (found.start() if found is not None else len(data)) - at
    if first == _DLE:
        kind, n = start[1:2], start[2] if len(start) > 2 else 0
        return {b"\x04": 3, b"\x05": 3, b"\x14": _DC4.get(n, 3)}.get(kind, 1)
    if first not in _LENGTHS:
        return 1
    if len(start) < 2:
        return 2
    known = _LENGTHS[first].get(start[1])
    return 2 + (known if known is not None else _variable(first, chr(start[1]), data, at))


def _variable(first: int, letter: str, data: bytes, at: int) -> int:
    """Bytes after the two that name a command, from its parameters."""
    start = data[at : at + 16].ljust(16, b"\0")
    match first, letter:
        case _, "(":
            return 3 + _u16(start, 3)
        case 0x1D, "8":
            return 5 + int.from_bytes(start[3:7], "little")
        case 0x1D, "v" | "Q":
            return 6 + _u16(start, 4) * _u16(start, 6)
        case 0x1D, "V":
            return 2 if start[2] in (65, 66, 97, 98, 103, 104) else 1
        case 0x1D, "*":
            return 2 + start[2] * start[3] * 8
        case 0x1D, "k":
            return 2 + start[3] if start[2] >= 65 else _to_nul(data, at, 3)
        case 0x1D, "e":  # CUSTOM
            return 2 if start[2] == 3 else 1
        case 0x1D, "g":
            return 4
        case 0x1B, "*":
            return 3 + _u16(start, 3) * (3 if start[2] in (32, 33) else 1)
        case 0x1B, "D":
            return _to_nul(data, at, 2)
        case 0x1B, "&":
            return _own_characters(data, at)
        case 0x1C, "q":
            return _stored_pictures(data, at)
        case _:
            return 0


def _to_nul(data: bytes, at: int, skip: int) -> int:
    end = data.find(0, at + skip)
    return end - at - 1 if end >= 0 else len(data) - at


def _own_characters(data: bytes, at: int) -> int:
    if len(data) < at + 5:
        return 5
    end = at + 5
    for _ in range(data[at + 3], data[at + 4] + 1):
        end += 1 + (data[end] * data[at + 2] if end < len(data) else 0)
    return end - at - 2


def _stored_pictures(data: bytes, at: int) -> int:
    end = at + 3
    for _ in range(data[at + 2] if len(data) > at + 2 else 0):
        end += 4 + _u16(data, end) * _u16(data, end + 2) * 8
    return end - at - 2


def tokens(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Each command and each stretch of text in `data`, and where it begins.

    Raises:
        DocumentRefused: the last command is cut short.
    """
    at = 0
    while at < len(data):
        length = _length(data, at)
        if at + length > len(data):
            name = data[at : at + 3].hex(" ")
            raise DocumentRefused(f"the command {name} at byte {at} needs {at + length - len(data)} bytes more")
        yield at, data[at : at + length]
        at += length


class Piece(NamedTuple):
    """A part of the prepared commands: its bytes, and what they leave on the paper, as in `layout`."""

    data: bytes
    prints: bool = False
    scannable: bool = False
    safe: int = 0


class _Stream:
    def __init__(self, profile: Profile, settings: bytes, *, codes_in_images: bool) -> None:
        self.profile, self.settings = profile, settings
        self.codes_in_images = codes_in_images
        self.presents = profile.presenter == "custom"
        self.pieces: list[Piece] = []
        self.length_mm = 0.0
        self.longest_command = 0
        self.open_line = False
        self.was_cut = False
        self._qr_level: ErrorLevel = "L"
        self._qr_module = 3
        self._qr_data = b""
        self._graphics: tuple[list[bytes], int] | None = None

    def put(self, data: bytes, *, prints: bool = False, scannable: bool = False, safe: int = 0, mm: float = 0) -> None:
        if prints and self.was_cut:
            self.refuse_second_ticket()
        self.pieces.append(Piece(data, prints, scannable, safe))
        self.length_mm += mm

    def refuse_second_ticket(self) -> None:
        """Something is printed after a cut: no matter but on a kiosk printer. Raises DocumentRefused."""
        if self.profile.presenter != "none":
            why = "a cut in the middle: a kiosk printer presents one ticket at a time"
            raise DocumentRefused(why, hint="print two documents")

    def take(self, token: bytes) -> None:
        """Add one command, or what replaces it."""
        first = token[0]
        if first >= 0x20:
            self.open_line = True
            self.put(token, prints=bool(token.strip()))
        elif first == _DLE:
            if token[1:3] == b"\x14\x01" and len(token) == 5:
                self._drawer(commands.open_drawer(1 + token[3] % 2, 100 * min(5, token[4])))
        elif first in _LENGTHS:
            self.longest_command = max(self.longest_command, len(token))
            self._command(first, chr(token[1]), token)
        elif first == 0x0A:
            self._end_line(token, 1)
        elif first in (0x09, 0x0C, 0x0D, 0x18):
            self.put(token, prints=first == 0x0C and self.open_line)

    def _end_line(self, token: bytes, lines: float) -> None:
        self.put(token, prints=self.open_line, mm=lines * _LINE_MM)
        self.open_line = False

    def _command(self, first: int, letter: str, token: bytes) -> None:
        match first, letter:
            case 0x1B, "@":
                self.open_line = False
                self.put(self.settings)
            case 0x1B, "=":
                if not token[2] & 1:
                    raise DocumentRefused("it writes to another device than the printer (ESC =)")
            case (0x1B, "u" | "v") | (0x1D, "r" | "I" | "a" | "j" | ":" | "^"):  # questions, and macros
                pass
            case 0x1B, "d":
                self._end_line(token, token[2])
            case 0x1B, "J":
                self._end_line(token, token[2] / 30)
            case 0x1B, "p":
                self._drawer(token)
            case 0x1B, "M" if token[2] in (1, 49) and not self.profile.columns_b:
                pass
            case (0x1B, "i" | "m") | (0x1D, "V"):
                self._cut_paper(token)
            case 0x1B, "*":
                self._picture(commands.without_real_time(token), 24 if token[2] in (32, 33) else 8)
            case 0x1D, "v":
                self._raster(token)
            case 0x1D, "(" | "8":
                self._group(token)
            case 0x1D, "k":
                self._barcode(token)
            case (0x1C, "p") | (0x1D, "/"):  # a picture that the printer keeps
                self._picture(token, 100)
            case 0x1C, "(" if token[2:3] == b"e":
                pass
            case _:
                self.put(token)

    def _drawer(self, data: bytes) -> None:
        if not self.profile.drawer_pulse:
            raise DocumentRefused(f"the profile {self.profile.name} opens no cash drawer")
        self.put(data)

    def _cut_paper(self, token: bytes) -> None:
        self.open_line = False
        kind = self.profile.cut
        if kind == "none":
            return
        if kind == "feed":
            self.put(commands.LINE_FEED * 4, mm=4 * _LINE_MM)
            return
        if self.was_cut:
            self.refuse_second_ticket()
        self.was_cut = True
        self.put(token + (commands.PRESENT if self.presents else b""), mm=_CUT_FEED_MM)

    # --- pictures and codes ---

    def _picture(self, data: bytes, dots: int, *, scannable: bool = False) -> None:
        self.open_line = False
        mm = dots * 25.4 / self.profile.dpi
        self.put(data, prints=True, scannable=scannable or self.codes_in_images, mm=mm)

    def _rows(self, rows: list[bytes], mode: int, *, scannable: bool = False) -> None:
        """Print `rows` in bands; `mode` as in `GS v 0`."""
        if not self.profile.raster:
            raise DocumentRefused(f"the profile {self.profile.name} prints no pictures", hint="choose another profile")
        most = self.profile.raster_rows
        data = bytearray()
        for at in range(0, len(rows), most):
            band = rows[at : at + most]
            size = len(band[0]).to_bytes(2, "little") + len(band).to_bytes(2, "little")
            data += commands.without_real_time(b"\x1dv0" + bytes((mode,)) + size + b"".join(band))
        if rows:
            self._picture(bytes(data), len(rows) * (2 if mode & 2 else 1), scannable=scannable)

    def _raster(self, token: bytes) -> None:
        across = _u16(token, 4)
        if token[2:3] in (b"0", b"\x00") and across:
            self._rows([token[at : at + across] for at in range(8, len(token), across)], token[3] % 48)

    def _group(self, token: bytes) -> None:
        """`GS ( ...` and `GS 8 L`."""
        kind, body = token[2:3], token[7 if token[1:2] == b"8" else 5 :]
        if kind == b"L":
            self._graphics_command(token, body)
        elif kind == b"k":
            self._symbol(token, body)
        elif kind in (b"A", b"E"):
            raise DocumentRefused("it tests the printer or changes its own settings (GS ( A, GS ( E)")
        elif kind not in (b"H", b"D"):
            self.put(token)

    def _graphics_command(self, token: bytes, body: bytes) -> None:
        """Pictures of `GS ( L` go as `GS v 0`, which more printers know, and in bands."""
        if len(body) >= 10 and body[1] == 112:
            across, mode = (_u16(body, 6) + 7) // 8, (body[3] > 1) + 2 * (body[4] > 1)
            rows = [body[at : at + across] for at in range(10, len(body), across)] if across else []
            self._graphics = ([row for row in rows if len(row) == across], mode)
        elif len(body) >= 2 and body[1] in (2, 50):
            if self._graphics is not None:
                self._rows(*self._graphics)
                self._graphics = None
        else:
            self.put(token)

    def _symbol(self, token: bytes, body: bytes) -> None:
        kind, fn = body[:1], body[1] if len(body) > 1 else 0
        if fn == 82:  # asks for its size
            return
        if kind == b"0" and not self.profile.pdf417:
            raise DocumentRefused(f"the profile {self.profile.name} prints no PDF417 codes", hint="choose the profile")
        if kind == b"1" and not self.profile.native_qr:
            self._draw_qr(fn, body)
            return
        self.put(token, prints=fn == 81, scannable=fn == 81, safe=len(token) - 1, mm=30 if fn == 81 else 0)

    def _draw_qr(self, fn: int, body: bytes) -> None:
        """QR codes of the printer's own, on one that has none."""
        if fn in (67, 69) and len(body) < 3:
            return
        if fn == 67:
            self._qr_module = min(16, max(1, body[2]))
        elif fn == 69:
            self._qr_level = cast(ErrorLevel, "LMQH"[body[2] % 4])
        elif fn == 80:
            self._qr_data = body[3:]
        elif fn == 81 and self._qr_data:
            try:
                matrix = encode(self._qr_data.decode("utf-8", "replace"), self._qr_level)
            except ValueError as error:
                raise DocumentRefused(f"a QR code: {error}") from error
            if matrix.size * self._qr_module > self.profile.width_dots:
                raise DocumentRefused(f"a QR code of {matrix.size * self._qr_module} dots is wider than the paper")
            rows = []
            for line in matrix.rows:
                bits = "".join("1" * self._qr_module if module else "0" * self._qr_module for module in line)
                bits += "0" * (-len(bits) % 8)
                rows += [int(bits, 2).to_bytes(len(bits) // 8, "big")] * self._qr_module
            self._rows(rows, 0, scannable=True)

    def _barcode(self, token: bytes) -> None:
        number = token[2]
        if self.profile.barcodes == "a" and 65 <= number <= 71:
            token = token[:2] + bytes((number - 65,)) + token[4:] + b"\x00"
        elif self.profile.barcodes in ("none", None) or (self.profile.barcodes == "a" and number > 6):
            why = f"the profile {self.profile.name} does not print this bar code (GS k {number})"
            raise DocumentRefused(why, hint="send it as a picture, as Barcode does")
        self.put(token, prints=True, scannable=True, safe=len(token) - 1, mm=_BARCODE_MM)


def prepare(item: Raw, profile: Profile, settings: bytes, *, last: bool) -> _Stream:
    """The commands of `item` for this printer.

    Args:
        item: the commands.
        profile: of the printer.
        settings: what every `ESC @` is followed by.
        last: nothing printed follows.

    Raises:
        DocumentRefused: the printer lacks what they need.
    """
    stream = _Stream(profile, settings, codes_in_images=item.codes_in_images)
    for at, token in tokens(item.data):
        before = len(stream.pieces)
        stream.take(token)
        if item.code_at is not None and at + len(token) > item.code_at:
            new = stream.pieces[before:]
            stream.pieces[before:] = [piece._replace(scannable=piece.scannable or piece.prints) for piece in new]
    if stream.was_cut and not last:
        stream.refuse_second_ticket()
    return stream
