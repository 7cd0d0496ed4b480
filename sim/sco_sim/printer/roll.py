"""What a thermal head puts on the paper: state of the line editor, and the roll of printed things.

Takes decoded commands and gives `Mark`s (a line of text, a bitmap, a feed, a cut), each with a height in dots; how many
of those dots the head really printed is the machine's business. Rendering to pixels is `render.py`'s.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sco_sim.printer import barcodes
from sco_sim.printer.decoder import Command


@dataclass(frozen=True, slots=True)
class CharStyle:
    """How characters are set. `font` is "A" (12 x 24 dots) or "B" (9 x 17)."""

    font: str = "A"
    width: int = 1
    height: int = 1
    bold: bool = False
    underline: bool = False
    inverse: bool = False
    turned: bool = False

    @property
    def upright(self) -> tuple[int, int]:
        """Width and height of a character in dots, before it is turned."""
        w, h = (12, 24) if self.font == "A" else (9, 17)
        return w * self.width, h * self.height

    @property
    def cell(self) -> tuple[int, int]:
        """Width and height of a character in dots; by 90 degrees where it is turned."""
        w, h = self.upright
        return (h, w) if self.turned else (w, h)


@dataclass(frozen=True, slots=True)
class Run:
    """Characters of one style on a line."""

    text: str
    style: CharStyle


@dataclass(frozen=True, slots=True)
class Code:
    """A QR code or barcode that the printer itself made from data.

    Attributes:
        modules: on a side of a QR code; 0 for others.
    """

    text: str
    error_level: str = ""
    module_dots: int = 0
    modules: int = 0
    kind: str = "QR"


@dataclass(slots=True)
class Mark:
    """One thing on the roll.

    Attributes:
        kind: "text", "bitmap", "feed", "cut", "pulse" (a cash drawer was opened here), or "note": something that was
            received here and is not on the paper.
        height: dots along the paper that it takes when it is printed whole.
        printed: dots of those that really came out.
        margin, area: the left edge and the width of the print area in dots; area 0 for all that is right of it.
        rows: a bitmap's rows, each `width` bytes of 0 or 1.
        note: what stands beside the paper; of a note the command, and after a colon why it is not on the paper.
    """

    kind: str
    height: int
    printed: int = 0
    align: int = 0
    margin: int = 0
    area: int = 0
    runs: tuple[Run, ...] = ()
    upside_down: bool = False
    width: int = 0
    rows: tuple[bytes, ...] = ()
    code: Code | None = None
    note: str = ""

    def left(self, width: int, paper: Paper) -> int:
        """Dots from the left edge to something `width` wide in its place."""
        room = paper.width_dots - self.margin
        free = (min(room, self.area) if self.area else room) - width
        return self.margin + max(0, (0, free // 2, free)[self.align])

    @property
    def whole(self) -> bool:
        """Whether all of it came out."""
        return self.printed >= self.height

    @property
    def text(self) -> str:
        """The characters of a line of text."""
        return "".join(run.text for run in self.runs)


@dataclass(frozen=True, slots=True)
class Paper:
    """The paper and the head: millimetres of paper, dots across the printable width, dots per inch."""

    paper_mm: float
    width_dots: int
    dpi: int

    def mm(self, dots: float) -> float:
        """Dots along the paper in mm."""
        return dots * 25.4 / self.dpi


CODE_PAGES = {
    0: "cp437",
    2: "cp850",
    3: "cp860",
    4: "cp863",
    5: "cp865",
    6: "cp1251",
    7: "cp866",
    13: "cp857",
    14: "cp737",
    15: "iso8859_7",
    16: "cp1252",
    17: "cp866",
    18: "cp852",
    19: "cp858",
    21: "cp874",
    32: "cp720",
    33: "cp775",
    34: "cp855",
    35: "cp861",
    36: "cp862",
    37: "cp864",
    38: "cp869",
    39: "iso8859_2",
    40: "iso8859_15",
    44: "cp1125",
    45: "cp1250",
    46: "cp1251",
    47: "cp1253",
    48: "cp1254",
    49: "cp1255",
    50: "cp1256",
    51: "cp1257",
    52: "cp1258",
    53: "kz1048",
    59: "cp866",
    73: "cp1251",
}
"""Epson's numbers, and some of other boards (6, 7, 59, 73)."""


@dataclass(slots=True)
class _QrMemory:
    module: int = 3
    level: str = "L"
    data: bytes = b""


@dataclass(slots=True)
class Editor:
    """The printer's line editor: takes commands, gives marks to print in order.

    Attributes:
        utf8_capable, native_qr: it knows `FS ( C`, and draws QR codes.
        double_byte_first: it takes letters for Chinese until `FS .`, and again after `ESC @`.
        code_pages: codec by number of `ESC t`.
        default_motion: vertical motion units an inch until `GS P`; 0 for one a dot.
    """

    paper: Paper
    utf8_capable: bool = True
    native_qr: bool = True
    double_byte_first: bool = False
    default_motion: int = 0
    code_pages: Mapping[int, str] = field(default_factory=lambda: CODE_PAGES)
    style: CharStyle = field(default_factory=CharStyle)
    align: int = 0
    margin: int = 0
    area: int = 0
    tabs: tuple[int, ...] = ()
    code_page: str = "cp437"
    utf8: bool = False
    spacing: int = 0
    double_byte: bool = False
    motion: int = 0
    runs: list[Run] = field(default_factory=list)
    upside_down: bool = False
    bar_dots: int = 3
    bar_height: int = 162
    hri: int = 0
    hri_font: str = "A"
    _qr: _QrMemory = field(default_factory=_QrMemory)
    _pdf417: barcodes.Pdf417 = field(default_factory=barcodes.Pdf417)
    _graphics: Mark | None = None
    _downloaded: Mark | None = None
    _stored: list[Mark] = field(default_factory=list)
    _band: int = 0
    _decoder: codecs.IncrementalDecoder = field(
        default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace")
    )

    def __post_init__(self) -> None:
        self.reset()

    def _default_spacing(self) -> int:
        return round(self.paper.dpi / 6)

    def reset(self) -> None:
        """ESC @: forget the line and all settings (but not what is still in the receive buffer)."""
        self.style, self.align, self.margin, self.utf8 = CharStyle(), 0, 0, False
        self.area, self.tabs = 0, tuple(range(8, 256, 8))
        self.code_page, self.spacing = "cp437", self._default_spacing()
        self.runs.clear()
        self.bar_dots, self.bar_height, self.hri, self.hri_font = 3, 162, 0, "A"
        self._qr, self._pdf417 = _QrMemory(), barcodes.Pdf417()
        self._graphics, self._downloaded, self._band = None, None, 0
        self.upside_down = False
        self.double_byte, self.motion = self.double_byte_first, self.default_motion or self.paper.dpi
        self._decoder.reset()

    def take(self, command: Command) -> list[Mark]:
        """Apply one command; the marks that it sends to the head."""
        handler = _HANDLERS.get(command.name)
        return handler(self, command.params) if handler else []

    # --- text ---

    def _text(self, p: bytes) -> list[Mark]:
        one_byte = "gb18030" if self.double_byte else self.code_page
        text = self._decoder.decode(p) if self.utf8 else p.decode(one_byte, "replace")
        marks: list[Mark] = []
        for char in text:
            if self._line_width() + self.style.cell[0] > self._room():
                marks += self._end_line()
            if self.runs and self.runs[-1].style == self.style:
                self.runs[-1] = Run(self.runs[-1].text + char, self.style)
            else:
                self.runs.append(Run(char, self.style))
        return marks

    def _room(self) -> int:
        room = self.paper.width_dots - self.margin
        return min(room, self.area) if self.area else room

    def _line_width(self) -> int:
        return sum(len(run.text) * run.style.cell[0] for run in self.runs)

    def _end_line(self) -> list[Mark]:
        height = max([self.spacing, *(run.style.cell[1] for run in self.runs)])
        runs, self.runs = tuple(self.runs), []
        if not runs:
            return [Mark("feed", height)]
        line = Mark("text", height, align=self.align, margin=self.margin, area=self.area, runs=runs)
        line.upside_down = self.upside_down
        return [line]

    def _line_feed(self, _: bytes) -> list[Mark]:
        if self._band and not self.runs:  # the band was the line: only what the spacing has beyond it is fed
            rest, self._band = max(0, self.spacing - self._band), 0
            return [Mark("feed", rest)] if rest else []
        self._band = 0
        return self._end_line()

    def _feed_lines(self, p: bytes) -> list[Mark]:
        marks = self._end_line() if self.runs and p[0] else []
        more = p[0] - len(marks)
        return [*marks, *([Mark("feed", more * self.spacing)] if more > 0 else [])]

    def _feed_dots(self, p: bytes) -> list[Mark]:
        marks = self._end_line() if self.runs else []
        return [*marks, *([Mark("feed", self._dots(p[0]))] if p[0] else [])]

    def _dots(self, units: int) -> int:
        """Vertical motion units as dots."""
        return units * self.paper.dpi // self.motion

    def _motion_units(self, p: bytes) -> list[Mark]:
        self.motion = p[1] or self.default_motion or self.paper.dpi
        return []

    def _tab(self, _: bytes) -> list[Mark]:
        used = sum(len(run.text) for run in self.runs)
        stop = next((stop for stop in self.tabs if stop > used), used)
        return self._text(b" " * (stop - used))

    def _set_tabs(self, p: bytes) -> list[Mark]:
        self.tabs = tuple(p.rstrip(b"\x00"))
        return []

    def _position(self, p: bytes) -> list[Mark]:
        return self._move_to(p[0] | p[1] << 8)

    def _move(self, p: bytes) -> list[Mark]:
        return self._move_to(self._line_width() + int.from_bytes(p, "little", signed=True))

    def _move_to(self, dots: int) -> list[Mark]:
        """Blanks up to `dots` from the left edge, to the next character: nothing is printed over another."""
        gap = round((dots - self._line_width()) / self.style.cell[0])
        return self._text(b" " * gap) if gap > 0 and dots < self._room() else []

    # --- settings ---

    def _reset(self, _: bytes) -> list[Mark]:
        self.reset()
        return []

    def _print_mode(self, p: bytes) -> list[Mark]:
        n = p[0]
        self.style = CharStyle(
            font="B" if n & 1 else "A",
            bold=bool(n & 8),
            height=2 if n & 16 else 1,
            width=2 if n & 32 else 1,
            underline=bool(n & 128),
            inverse=self.style.inverse,
            turned=self.style.turned,
        )
        return []

    def _size(self, p: bytes) -> list[Mark]:
        self.style = replace(self.style, width=(p[0] >> 4 & 7) + 1, height=(p[0] & 7) + 1)
        return []

    def _bold(self, p: bytes) -> list[Mark]:
        self.style = replace(self.style, bold=bool(p[0] & 1))
        return []

    def _underline(self, p: bytes) -> list[Mark]:
        self.style = replace(self.style, underline=p[0] in (1, 2, 49, 50))
        return []

    def _inverse(self, p: bytes) -> list[Mark]:
        self.style = replace(self.style, inverse=bool(p[0] & 1))
        return []

    def _font(self, p: bytes) -> list[Mark]:
        self.style = replace(self.style, font="B" if p[0] in (1, 49) else "A")
        return []

    def _alignment(self, p: bytes) -> list[Mark]:
        if not self.runs and p[0] % 48 in (0, 1, 2):  # works at the beginning of a line only
            self.align = p[0] % 48
        return []

    def _turned(self, p: bytes) -> list[Mark]:
        self.style = replace(self.style, turned=p[0] in (1, 2, 49, 50))
        return []

    def _upside_down(self, p: bytes) -> list[Mark]:
        if not self.runs:
            self.upside_down = bool(p[0] & 1)
        return []

    def _code_page(self, p: bytes) -> list[Mark]:
        if p[0] not in self.code_pages:
            return [Mark("note", 0, note=f"ESC t: code page {p[0]} is not known")]
        self.code_page = self.code_pages[p[0]]
        return []

    def _double_byte_on(self, _: bytes) -> list[Mark]:
        self.double_byte = self.double_byte_first
        return []

    def _double_byte_off(self, _: bytes) -> list[Mark]:
        self.double_byte = False
        return []

    def _default_line(self, _: bytes) -> list[Mark]:
        self.spacing = self._default_spacing()
        return []

    def _line_spacing(self, p: bytes) -> list[Mark]:
        self.spacing = self._dots(p[0])
        return []

    def _left_margin(self, p: bytes) -> list[Mark]:
        self.margin = min(p[0] | p[1] << 8, self.paper.width_dots - 12)
        return []

    def _print_area(self, p: bytes) -> list[Mark]:
        if not self.runs:
            self.area = p[0] | p[1] << 8
        return []

    def _fs_group(self, p: bytes) -> list[Mark]:
        # FS ( C fn 48: character encoding, m 1 = one byte, 2 = UTF-8
        if p[:1] == b"C" and p[3:4] == b"0" and self.utf8_capable:
            self.utf8 = p[4:5] in (b"\x02", b"2")
        return []

    # --- pictures ---

    def _bitmap(self, width: int, rows: tuple[bytes, ...], code: Code | None = None) -> list[Mark]:
        marks = self._end_line() if self.runs else []
        clipped = tuple(row[: self.paper.width_dots] for row in rows)
        width = min(width, self.paper.width_dots)
        mark = Mark(
            "bitmap",
            len(rows),
            align=self.align,
            margin=self.margin,
            area=self.area,
            width=width,
            rows=clipped,
            code=code,
        )
        return [*marks, mark] if rows else marks

    def _raster(self, p: bytes) -> list[Mark]:
        if p[:1] not in (b"0", b"\x00"):
            return []
        mode, across = p[1] % 48, p[2] | p[3] << 8
        sx, sy = 1 + (mode & 1), 1 + (mode >> 1 & 1)
        rows = [unpack(p[at : at + across], sx) for at in range(6, len(p), across)] if across else []
        return self._bitmap(across * 8 * sx, tuple(row for row in rows for _ in range(sy)))

    def _columns(self, p: bytes) -> list[Mark]:
        # ESC *: a band of 8 or 24 dots; single density stretches the dots
        mode, count = p[0], p[1] | p[2] << 8
        tall = 3 if mode in (32, 33) else 1
        sx = 1 if mode in (1, 33) else 2
        sy = 1 if tall == 3 else 3
        band = []
        for y in range(8 * tall):
            row = bytearray()
            for x in range(count):
                bit = p[3 + x * tall + y // 8] >> (7 - y % 8) & 1
                row += bytes((bit,)) * sx
            band += [bytes(row)] * sy
        self._band = len(band)
        return self._bitmap(count * sx, tuple(band))

    def _download(self, p: bytes) -> list[Mark]:
        self._downloaded = _column_picture(p[0], p[1], p[2:])
        return []

    def _print_downloaded(self, p: bytes) -> list[Mark]:
        return self._print_stored(self._downloaded, p[0], "GS /: no picture was sent")

    def _store(self, p: bytes) -> list[Mark]:
        self._stored, at = [], 1
        for _ in range(p[0]):
            x, y = p[at] | p[at + 1] << 8, p[at + 2] | p[at + 3] << 8
            at += 4
            self._stored.append(_column_picture(x, y, p[at : at + x * y * 8]))
            at += x * y * 8
        return []

    def _print_from_store(self, p: bytes) -> list[Mark]:
        picture = self._stored[p[0] - 1] if 0 < p[0] <= len(self._stored) else None
        return self._print_stored(picture, p[1], f"FS p: picture {p[0]} is not stored")

    def _print_stored(self, picture: Mark | None, mode: int, missing: str) -> list[Mark]:
        if picture is None:
            return [Mark("note", 0, note=missing)]
        sx, sy = 1 + (mode & 1), 1 + (mode >> 1 & 1)
        rows = tuple(bytes(dot for dot in row for _ in range(sx)) for row in picture.rows for _ in range(sy))
        return self._bitmap(picture.width * sx, rows)

    def _graphics_store(self, body: bytes) -> list[Mark]:
        # fn 112: m fn a bx by c xL xH yL yH data
        sx, sy = body[3], body[4]
        width, height = body[6] | body[7] << 8, body[8] | body[9] << 8
        across = (width + 7) // 8
        data = body[10:]
        rows = []
        for y in range(height):
            row = unpack(data[y * across : (y + 1) * across], sx)[: width * sx]
            rows += [row] * sy
        self._graphics = Mark("bitmap", len(rows), width=width * sx, rows=tuple(rows))
        return []

    def _gs8(self, p: bytes) -> list[Mark]:
        return self._graphics_command(p[5:]) if p[:1] == b"L" else []

    def _graphics_command(self, body: bytes) -> list[Mark]:
        if len(body) >= 10 and body[1] == 112:
            return self._graphics_store(body)
        if len(body) >= 2 and body[1] in (2, 50) and self._graphics:
            mark, self._graphics = self._graphics, None
            return self._bitmap(mark.width, mark.rows)
        return []

    def _gs_group(self, p: bytes) -> list[Mark]:
        kind, body = p[:1], p[3:]
        if kind == b"k" and not self.native_qr:
            drawn = body[1:2] == b"\x51"
            return [Mark("note", 0, note="GS ( k: this model draws no codes")] if drawn else []
        if kind == b"k" and len(body) >= 3 and body[0] == 49:
            return self._qr_command(body[1], body[2:])
        if kind == b"k" and len(body) >= 3 and body[0] == 48:
            if body[1] == 81 and body[2] == 48:
                return self._print_pdf417()
            self._pdf417.set(body[1], body[2:])
        if kind == b"L":
            return self._graphics_command(body)
        return []

    def _qr_command(self, fn: int, p: bytes) -> list[Mark]:
        if fn == 67 and 1 <= p[0] <= 16:
            self._qr.module = p[0]
        elif fn == 69 and 48 <= p[0] <= 51:
            self._qr.level = "LMQH"[p[0] - 48]
        elif fn == 80 and p[0] == 48:
            self._qr.data = p[1:]
        elif fn == 81 and p[0] == 48 and self._qr.data:
            return self._print_qr()
        return []

    def _qr_symbol(self) -> Sequence[bytes] | None:
        """The rows of the stored data's symbol; None when no symbol holds it, or it is wider than the print area."""
        import segno

        try:
            symbol = segno.make_qr(self._qr.data, error=self._qr.level.lower(), boost_error=False)
        except ValueError:
            return None
        room = self._room() // self._qr.module
        return [bytes(row) for row in symbol.matrix] if len(symbol.matrix) <= room else None

    def qr_size(self) -> bytes:
        """The answer to `GS ( k` fn 82: size in dots, and whether it can be printed."""
        symbol = self._qr_symbol() if self._qr.data else None
        size = str(len(symbol or ()) * self._qr.module).encode("ascii")
        return b"\x37\x36" + size + b"\x1f" + size + b"\x1f1\x1f" + (b"0" if symbol else b"1") + b"\x00"

    def _print_qr(self) -> list[Mark]:
        symbol = self._qr_symbol()
        if symbol is None:
            fits = f"a QR code of {len(self._qr.data)} octets, module {self._qr.module}, does not fit"
            return [Mark("note", 0, note=f"GS ( k: {fits}")]
        n = self._qr.module
        rows = tuple(bytes(bit for bit in row for _ in range(n)) for row in symbol for _ in range(n))
        text = self._qr.data.decode("utf-8", "replace")
        return self._bitmap(len(rows), rows, Code(text, self._qr.level, n, len(rows) // n))

    def _print_pdf417(self) -> list[Mark]:
        if not self._pdf417.data:
            return []
        try:
            rows = tuple(self._pdf417.symbol())
        except barcodes.NotDrawn as error:
            return [Mark("note", 0, note=f"GS ( k: {error}")]
        if len(rows[0]) > self._room():
            return [self._too_wide("GS ( k: PDF417", len(rows[0]))]
        text = self._pdf417.data.decode("utf-8", "replace")
        return self._bitmap(len(rows[0]), rows, Code(text, module_dots=self._pdf417.module, kind="PDF417"))

    def _barcode(self, p: bytes) -> list[Mark]:
        try:
            bars = barcodes.linear(p[0], p[2:] if p[0] >= 65 else p[1:-1], self.bar_dots)
        except barcodes.NotDrawn as error:
            return [Mark("note", 0, note=f"GS k: {error}")]
        width = len(bars.row)
        if width > self._room():
            return [self._too_wide(f"GS k: {bars.kind}", width)]
        code = Code(bars.text, module_dots=self.bar_dots, kind=bars.kind)
        *before, picture = self._bitmap(width, (bars.row,) * self.bar_height, code)
        style = CharStyle(font=self.hri_font)
        shown = f"*{bars.text}*" if bars.kind == "CODE39" else bars.text
        left = picture.left(width, self.paper)
        text = Mark("text", style.cell[1], align=1, margin=left, area=width, runs=(Run(shown, style),))
        above, below = [text] * (self.hri & 1), [replace(text)] * (self.hri >> 1 & 1)
        return [*before, *above, picture, *below]

    def _too_wide(self, what: str, width: int) -> Mark:
        return Mark("note", 0, note=f"{what} of {width} dots is wider than {self._room()}")

    def _bar_width(self, p: bytes) -> list[Mark]:
        if 2 <= p[0] <= 6:
            self.bar_dots = p[0]
        return []

    def _bar_height(self, p: bytes) -> list[Mark]:
        self.bar_height = p[0] or self.bar_height
        return []

    def _hri_position(self, p: bytes) -> list[Mark]:
        if p[0] in (0, 1, 2, 3, 48, 49, 50, 51):
            self.hri = p[0] % 48
        return []

    def _set_hri_font(self, p: bytes) -> list[Mark]:
        self.hri_font = "B" if p[0] in (1, 49) else "A"
        return []

    # --- cut ---

    def _cut(self, p: bytes) -> list[Mark]:
        marks = self._end_line() if self.runs else []
        if len(p) > 1:
            # From the head to the blade there is a way, which the printer feeds by itself, plus n motion units.
            marks.append(Mark("feed", self.blade_dots + self._dots(p[1])))
        return [*marks, Mark("cut", 0)]

    def _old_cut(self, _: bytes) -> list[Mark]:
        return [Mark("cut", 0)]

    @property
    def blade_dots(self) -> int:
        """Dots from the head to the cutter's blade: about 10 mm on the usual models."""
        return round(10 * self.paper.dpi / 25.4)


def _column_picture(x: int, y: int, data: bytes) -> Mark:
    """A picture of `x` * 8 columns, each of `y` bytes."""
    columns = [unpack(data[at : at + y], 1) for at in range(0, len(data), y)] if y else []
    rows = tuple(bytes(row) for row in zip(*columns, strict=True))
    return Mark("bitmap", len(rows), width=x * 8, rows=rows)


def is_rendered(command: Command) -> bool:
    """Whether the command has an effect on the paper here."""
    kind = command.params[:1]
    if command.name == "GS (":
        return kind == b"L" or (kind == b"k" and command.params[3:4] in (b"0", b"1"))
    return kind == b"C" if command.name == "FS (" else command.name in _HANDLERS


def unpack(packed: bytes, scale: int) -> bytes:
    """Bits, most significant first, to bytes of 0 or 1, each repeated `scale` times."""
    return bytes(byte >> shift & 1 for byte in packed for shift in range(7, -1, -1) for _ in range(scale))


_HANDLERS = {
    "text": Editor._text,
    "LF": Editor._line_feed,
    "HT": Editor._tab,
    "ESC D": Editor._set_tabs,
    "ESC $": Editor._position,
    "ESC \\": Editor._move,
    "GS W": Editor._print_area,
    "ESC d": Editor._feed_lines,
    "ESC J": Editor._feed_dots,
    "ESC @": Editor._reset,
    "ESC !": Editor._print_mode,
    "ESC E": Editor._bold,
    "ESC G": Editor._bold,
    "ESC -": Editor._underline,
    "ESC M": Editor._font,
    "ESC a": Editor._alignment,
    "ESC t": Editor._code_page,
    "ESC V": Editor._turned,
    "ESC {": Editor._upside_down,
    "ESC 2": Editor._default_line,
    "ESC 3": Editor._line_spacing,
    "ESC *": Editor._columns,
    "ESC i": Editor._old_cut,
    "ESC m": Editor._old_cut,
    "FS (": Editor._fs_group,
    "FS p": Editor._print_from_store,
    "FS q": Editor._store,
    "FS &": Editor._double_byte_on,
    "FS .": Editor._double_byte_off,
    "GS !": Editor._size,
    "GS *": Editor._download,
    "GS /": Editor._print_downloaded,
    "GS B": Editor._inverse,
    "GS L": Editor._left_margin,
    "GS P": Editor._motion_units,
    "GS v": Editor._raster,
    "GS 8": Editor._gs8,
    "GS (": Editor._gs_group,
    "GS k": Editor._barcode,
    "GS w": Editor._bar_width,
    "GS h": Editor._bar_height,
    "GS H": Editor._hri_position,
    "GS f": Editor._set_hri_font,
    "GS V": Editor._cut,
}
