"""A document -> the bytes of a job, for one profile. Decides wrapping, code page, size and kind of codes, and cuts.

Refuses what does not fit before a byte is sent. Knows nothing about transports and imports no picture library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Literal, NamedTuple

from sco_drivers.printer import (
    Alignment,
    Barcode,
    Bitmap,
    Column,
    Columns,
    CutPaper,
    Document,
    DocumentRefused,
    Feed,
    Font,
    Item,
    Line,
    OpenDrawer,
    QrCode,
    Raw,
    RuledLine,
    Style,
    Symbology,
    Text,
    TextPosition,
    Ticket,
    TicketDoesNotFit,
    barcodes,
    commands,
    picture,
    stream,
)
from sco_drivers.printer.profile import Profile
from sco_drivers.qr import QUIET_ZONE, ErrorLevel, QrMatrix, encode

CodeWay = Literal["native", "raster-doubled", "raster"]

MIN_MODULE_MM = 0.33
"""Phones do not reliably read a smaller module from thermal paper."""

_PLAIN = {
    "\u00a0": " ",
    "\u202f": " ",
    "\u2009": " ",
    "—": "-",
    "–": "-",
    "−": "-",
    "«": '"',
    "»": '"',
    "„": '"',
    "“": '"',
    "”": '"',
    "’": "'",
    "…": "...",
    "₽": "руб.",
    "№": "N",
    "\t": " ",
}
"""Substitutes that every Russian code page has, for characters that the printer's code page lacks."""


_BLANKS = "\u00a0\u202f\u2009"


@dataclass(frozen=True, slots=True)
class CodePlan:
    """How the code is printed."""

    way: CodeWay
    level: ErrorLevel
    module_dots: int
    matrix: QrMatrix

    @property
    def side_dots(self) -> int:
        """Dots on a side, quiet zone included."""
        return self.module_dots * self.matrix.full_size


@dataclass(frozen=True, slots=True)
class Job:
    """A document as bytes, in parts, since it is known for each part whether it is on the paper.

    Attributes:
        head: settings and what is above the code, and what prepares the code.
        code: what prints the first code, or what is printed last where there is none. The document is not out before
            its byte `code[code_safe]` has been sent.
        code_safe: see `code`; a code that the printer draws comes out with its last byte.
        tail: what is below.
        cut: the cut.
        replaced: characters printed as "?".
        plan: how the first QR code is printed; None where there is none.
        lines: the lines of text as laid out, for logs and tests.
        length_mm: approximate length of paper.
        longest_command: bytes of its longest command, for which an interrupted printer may wait.
        decisive: what `code` is, in words for the result: "the code", "its end".
    """

    head: bytes
    code: bytes
    code_safe: int
    tail: bytes
    cut: bytes
    replaced: str
    plan: CodePlan | None
    lines: tuple[str, ...]
    length_mm: float
    longest_command: int
    decisive: str

    @property
    def size(self) -> int:
        """Number of bytes, without marks."""
        return len(self.head) + len(self.code) + len(self.tail) + len(self.cut)


class Encoder:
    """Encodes text for the printer's code page; collects the characters that it lacks."""

    def __init__(self, codec: str) -> None:
        self.codec = codec
        self.missing: list[str] = []

    def _has(self, text: str) -> bool:
        try:
            encoded = text.encode(self.codec)
        except UnicodeEncodeError:
            return False
        # A control character is a command to a printer; 0xFF is a blank of CP866 that some printers lack.
        return all(byte >= 0x20 for byte in encoded) and (self.codec == "utf-8" or 0xFF not in encoded or text == "я")

    def has(self, text: str) -> bool:
        """Whether the code page has every character of `text`, blanks of any kind apart."""
        return all(char in _BLANKS or self._has(char) for char in text)

    def normal(self, text: str) -> str:
        """`text` with only characters that the code page has."""
        out = []
        for char in text:
            if char in _BLANKS:
                out.append("\u00a0")  # does not break; becomes a blank in `octets`
            elif self._has(char):
                out.append(char)
            elif char in _PLAIN and all(map(self._has, _PLAIN[char])):
                out.append(_PLAIN[char])
            else:
                self.missing.append(char)
                out.append("?")
        return "".join(out)

    def octets(self, text: str) -> bytes:
        return text.replace("\u00a0", " ").encode(self.codec)


def wrap(text: str, columns: int) -> list[str]:
    """`text` in lines of at most `columns`, broken at blanks, inside a word only when it is longer than a line.

    Blanks at the beginning are kept.
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line: str | None = None
        for word in paragraph.split(" "):
            if line is not None and len(line) + 1 + len(word) <= columns:
                line += " " + word
                continue
            if line and not line.isspace():  # blanks that leave no room for the first word are dropped
                lines.append(line)
            while len(word) > columns:
                lines.append(word[:columns])
                word = word[columns:]
            line = word
        lines.append(line or "")
    return lines


MAX_LINES = 200
"""Lines of a payment's ticket."""

MAX_LENGTH_MM = 3000.0
MAX_BYTES = 1_000_000
"""A quarter of an hour at 9600 baud."""
_LINE_MM = 25.4 / 6
_TO_THE_BLADE_MM = 15.0
_LINE_DOTS = 24
_SHORT_COMMAND = 16
"""Bytes of the longest command besides codes and pictures."""


def codec_of(profile: Profile, wanted: str | None) -> str:
    """The codec to print with: `wanted`, or the best that the profile has.

    Raises:
        KeyError: the profile lacks `wanted`.
    """
    if wanted is None:
        fallback = "utf-8" if profile.utf8 else "ascii"
        preferred: list[str] = [codec for codec in ("cp866", "cp1251") if codec in profile.code_pages]
        return next(iter([*preferred, *profile.code_pages]), fallback)
    if wanted == "utf-8" or wanted in profile.code_pages:
        return wanted
    raise KeyError(wanted)


def plan_code(text: str, qr_mm: float, profile: Profile, way: CodeWay | None = None) -> CodePlan:
    """How to print a code of `text` within `qr_mm` (quiet zone included).

    The printer's own code if it has one and the text contains no command for it, else a raster whose dots the printer
    doubles, else a plain one, whose modules may have an odd number of dots; `way` overrides that. Level M, or a
    higher one that makes the symbol no larger; L only when M does not fit.

    Raises:
        TicketDoesNotFit: no level fits the paper or `qr_mm`, or the text is empty.
    """
    if not math.isfinite(qr_mm):
        raise TicketDoesNotFit(f"qr_mm={qr_mm} is not a length")
    try:
        octets = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise TicketDoesNotFit(f"the text of the code cannot be encoded: {error.reason}") from error
    ways = (way,) if way else _ways(profile)
    if commands.looks_real_time(octets):  # which a printer would execute inside the data of its own code
        ways = tuple(one for one in ways if one != "native")
    refusal: TicketDoesNotFit | None = None
    for chosen in ways:
        try:
            return _plan(text, qr_mm, profile, chosen)
        except TicketDoesNotFit as error:
            refusal = refusal or error
    raise refusal or TicketDoesNotFit(
        f"the profile {profile.name} cannot print QR codes", hint="choose another profile"
    )


def _ways(profile: Profile) -> tuple[CodeWay, ...]:
    have: dict[CodeWay, bool] = {
        "native": profile.native_qr is True,
        "raster-doubled": profile.raster and profile.raster_doubling,
        "raster": profile.raster,
    }
    return tuple(way for way, known in have.items() if known)


_LEVELS: tuple[ErrorLevel, ...] = ("M", "L")
"""Best first; M gives way to a higher level that makes the symbol no larger."""


def _plan(text: str, qr_mm: float, profile: Profile, chosen: CodeWay) -> CodePlan:
    if chosen != "native" and not profile.raster:
        raise TicketDoesNotFit(f"the profile {profile.name} prints no raster", hint="choose another profile")
    if not text:
        raise TicketDoesNotFit("there is no link to print")
    room = min(int(qr_mm * profile.dpi / 25.4), profile.width_dots)
    min_module = max(2, -(-int(MIN_MODULE_MM * profile.dpi * 100) // 2540))
    step = 2 if chosen == "raster-doubled" else 1
    min_module += -min_module % step
    needed = 0.0
    for level in _LEVELS:
        try:
            matrix = encode(text, level, boost=level == "M")
        except ValueError as error:
            reason = str(error)
            continue
        module = room // matrix.full_size // step * step
        if chosen == "native":
            module = min(module, 16)
            if (matrix.size - 17) // 4 > profile.largest_version:
                reason = f"the printer draws codes up to version {profile.largest_version} only"
                continue
        if module >= min_module:
            return CodePlan(chosen, matrix.error_level, module, matrix)
        needed = matrix.full_size * min_module * 25.4 / profile.dpi
        given = min(qr_mm, profile.width_dots * 25.4 / profile.dpi)
        reason = f"the QR code needs {needed:.1f} mm with its quiet zone, and {given:.1f} mm are available"
    raise TicketDoesNotFit(reason, hint="give a larger qr_mm, wider paper, or a shorter link")


def packed_rows(plan: CodePlan) -> list[bytes]:
    """The raster of a code without its quiet zone: packed bits, one row per line of dots (or of double dots)."""
    scale = plan.module_dots // 2 if plan.way == "raster-doubled" else plan.module_dots
    width = plan.matrix.size * scale
    for shift in range(8):
        # Shifted if its bits contain a real-time command, which a printer executes wherever it is.
        octets = (width + shift + 7) // 8
        rows = []
        for line in plan.matrix.rows:
            bits = "".join("1" * scale if module else "0" * scale for module in line)
            value = int(bits, 2) << (octets * 8 - width - shift)
            rows += [value.to_bytes(octets, "big")] * scale
        if not commands.looks_real_time(b"".join(rows)):
            break
    return rows


def build(
    what: Ticket | Document,
    profile: Profile,
    *,
    codec: str,
    way: CodeWay | None = None,
    heading: Line | None = None,
    cut_first: bool = False,
) -> Job:
    """Lay out a ticket or another document.

    Args:
        what: what to print.
        profile: for which printer.
        codec: "cp866", "cp1251", "utf-8" or "ascii".
        way: how to print QR codes; the profile's best when None.
        heading: a line before all others ("ПОВТОР").
        cut_first: first cut off what an earlier document has left on the paper.

    Raises:
        DocumentRefused: the printer lacks what a part of it needs. TicketDoesNotFit: too long, or a code is too large;
            the message gives both sizes.
    """
    document = what.document if isinstance(what, Ticket) else what
    layout = _Layout(profile, codec, way)
    finish = layout.end_cut()
    presents = profile.presenter == "custom" and profile.cut in ("full", "partial")
    drop = finish + commands.RETRACT if presents else finish  # of what an earlier document has left
    if heading is not None:
        layout.add(heading)
    for n, item in enumerate(document.items):
        try:
            layout.add(item, last=all(isinstance(later, OpenDrawer) for later in document.items[n + 1 :]))
        except DocumentRefused as error:
            if not isinstance(what, Ticket):
                error.args = (f"item {n + 1}: {error.message}",)
                error.message = error.args[0]
            raise
    if isinstance(what, Ticket) and len(layout.lines) > MAX_LINES:
        raise TicketDoesNotFit(f"the ticket has {len(layout.lines)} lines, at most {MAX_LINES} are allowed")
    if layout.length_mm > MAX_LENGTH_MM:
        length, most = layout.length_mm / 1000, MAX_LENGTH_MM / 1000
        raise TicketDoesNotFit(f"it is {length:.1f} m long, at most {most:g} m are allowed", hint="print it in parts")
    if sum(len(piece.data) for piece in layout.pieces) > MAX_BYTES:
        raise TicketDoesNotFit(f"it has more than {MAX_BYTES} bytes", hint="print it in parts, or fewer pictures")
    start = (commands.INIT + drop if cut_first else b"") + settings_of(profile, codec)
    last_item = next((item for item in reversed(document.items) if not isinstance(item, OpenDrawer)), None)
    needs_cut = document.cut and last_item is not None and not isinstance(last_item, CutPaper | Raw)
    if presents:
        finish += commands.PRESENT
    pieces = layout.pieces
    if not any(piece.data for piece in pieces):
        raise DocumentRefused("the document is empty")
    at = next((n for n, piece in enumerate(pieces) if piece.scannable), None)
    decisive = "its end" if at is None else "the code"
    if at is None:
        at = max((n for n, piece in enumerate(pieces) if piece.prints), default=len(pieces) - 1)
    return Job(
        head=start + b"".join(piece.data for piece in pieces[:at]),
        code=pieces[at].data,
        code_safe=pieces[at].safe,
        tail=b"".join(piece.data for piece in pieces[at + 1 :]),
        cut=finish if needs_cut else b"",
        replaced="".join(dict.fromkeys(layout.encoder.missing)),
        plan=layout.plan,
        lines=tuple(layout.lines),
        length_mm=layout.length_mm + _TO_THE_BLADE_MM,
        longest_command=layout.longest_command,
        decisive=decisive,
    )


def settings_of(profile: Profile, codec: str) -> bytes:
    """Everything that a document relies on: the printer's defaults, automatic status, the code page."""
    settings = commands.INIT + (commands.ASB_ALL if profile.asb else b"")  # INIT switches automatic status off
    if codec == "utf-8":
        settings += commands.UTF8_ON
    elif codec in profile.code_pages:
        settings += commands.SINGLE_BYTE + commands.code_page(profile.code_pages[codec])
    return settings


class _Piece(NamedTuple):
    """A part of the job.

    Attributes:
        data: its bytes.
        prints: it leaves something on the paper.
        scannable: that may be read by a phone or scanner.
        safe: so many of its bytes leave nothing yet.
    """

    data: bytes
    prints: bool = False
    scannable: bool = False
    safe: int = 0


_ALIGN = {Alignment.LEFT: commands.LEFT, Alignment.CENTRE: commands.CENTRE, Alignment.RIGHT: commands.RIGHT}
_TEXT = {TextPosition.NONE: 0, TextPosition.ABOVE: 1, TextPosition.BELOW: 2}


class _Layout:
    """Collects the pieces of a document.

    Attributes:
        pieces: so far; the first is preceded by the settings.
        lines, length_mm, plan, longest_command: as in `Job`.
    """

    def __init__(self, profile: Profile, codec: str, way: CodeWay | None) -> None:
        self.profile, self.codec, self.way = profile, codec, way
        self.encoder = Encoder(codec)
        self.pieces: list[_Piece] = []
        self.lines: list[str] = []
        self.length_mm = 0.0
        self.longest_command = _SHORT_COMMAND
        self.plan: CodePlan | None = None
        self._alignment: Alignment | None = None

    def add(self, item: Item, *, last: bool = False) -> None:
        """Lay out `item`; `last`: nothing printed follows it. Raises DocumentRefused."""
        match item:
            case Line():
                self._line(item)
            case Text():
                self._text(item)
            case Columns():
                self._columns(item)
            case RuledLine():
                character = self.encoder.normal(item.character[:1]) or "-"
                self._set([(character * self.profile.columns)[: self.profile.columns]], Alignment.LEFT, b"", b"", 1)
            case QrCode():
                self._qr(item)
            case Barcode():
                self._barcode(item)
            case Bitmap():
                self._bitmap(item)
            case Feed():
                self._feed(item.lines)
            case CutPaper():
                self._cut(item, last=last)
            case OpenDrawer():
                self._drawer(item)
            case Raw():
                self._raw(item, last=last)
            case _:
                raise DocumentRefused(f"{item!r} cannot be part of a document")

    def _put(self, data: bytes, *, prints: bool = False, scannable: bool = False, safe: int = 0, mm: float = 0) -> None:
        self.pieces.append(_Piece(data, prints, scannable, safe))
        self.length_mm += mm

    def _align(self, alignment: Alignment) -> bytes:
        changed, self._alignment = alignment is not self._alignment, alignment
        return _ALIGN[alignment] if changed else b""

    def _mm(self, dots: float) -> float:
        return dots * 25.4 / self.profile.dpi

    # --- text ---

    def _normal(self, text: str) -> str:
        return "\n".join(self.encoder.normal(part) for part in text.splitlines() or [""])

    def _line(self, line: Line) -> None:
        normal = self._normal(line.text if not line.plain or self.encoder.has(line.text) else line.plain)
        before, after = _STYLES[line.style]
        columns, height = self.profile.columns, 1
        if line.style is Style.LARGE:
            height = 2
            longest = max(map(len, normal.split("\n")))
            if longest <= columns // 2 or longest > columns:
                columns //= 2
            else:  # an amount that would be broken in two is set tall and not wide
                before, after = _TALL
        alignment = Alignment.CENTRE if line.centred else Alignment.LEFT
        self._set(wrap(normal, columns), alignment, before, after, height)

    def _text(self, text: Text) -> None:
        if not (1 <= text.width <= 8 and 1 <= text.height <= 8):
            raise DocumentRefused(
                f"a size of {text.width} x {text.height}: width and height are 1 to 8 times the font's"
            )
        before, after, columns = self._style(text.bold, text.underline, text.font, text.width, text.height)
        self._set(wrap(self._normal(text.text), columns), text.alignment, before, after, text.height)

    def _columns(self, item: Columns) -> None:
        if not 1 <= item.height <= 8:
            raise DocumentRefused(f"a height of {item.height}: it is 1 to 8 times the font's")
        before, after, room = self._style(item.bold, item.underline, item.font, 1, item.height)
        cells = []
        for n, column in enumerate(item.columns):
            if isinstance(column, str):
                column = Column(column, alignment=Alignment.RIGHT if n else Alignment.LEFT)
            if column.width is not None and not 1 <= column.width <= room:
                raise DocumentRefused(f"a column of {column.width} characters: a line has {room}")
            cells.append(Column(self._normal(column.text), column.width, column.alignment))
        self._set(columns_in(cells, room), Alignment.LEFT, before, after, item.height)

    def _style(self, bold: bool, underline: bool, font: Font, width: int, height: int) -> tuple[bytes, bytes, int]:
        """What goes before and after the text, and the characters of a line."""
        narrow = font is Font.B and self.profile.columns_b > 0
        before = after = b""
        for wanted, on, off in (
            (narrow, commands.FONT_B, commands.FONT_A),
            (width > 1 or height > 1, commands.size(width, height), commands.SIZE_NORMAL),
            (bold, commands.BOLD_ON, commands.BOLD_OFF),
            (underline, commands.UNDERLINE_ON, commands.UNDERLINE_OFF),
        ):
            if wanted:
                before, after = before + on, off + after
        columns = self.profile.columns_b if narrow else self.profile.columns
        return before, after, max(1, columns // width)

    def _set(self, lines: Sequence[str], alignment: Alignment, before: bytes, after: bytes, height: int) -> None:
        mm = max(_LINE_MM, self._mm(_LINE_DOTS * height))
        before = self._align(alignment) + before
        for n, text in enumerate(lines):
            self.lines.append(text.replace("\u00a0", " "))
            data = before + self.encoder.octets(text) + commands.LINE_FEED
            before = b""
            self._put(data + (after if n == len(lines) - 1 else b""), prints=bool(text.strip()), mm=mm)

    # --- codes and pictures ---

    def _qr(self, item: QrCode) -> None:
        plan = plan_code(item.data, item.side_mm, self.profile, self.way)
        self.plan = self.plan or plan
        # Blank paper is the quiet zone: at the sides there is room, above and below it is fed.
        quiet = commands.feed_mm(self._mm(plan.module_dots * QUIET_ZONE))
        prepare, code, safe = self._align(item.alignment) + quiet, b"", 0
        if plan.way == "native":
            settings, code = commands.native_qr(item.data, level=plan.level, module_dots=plan.module_dots)
            prepare, safe = prepare + settings, len(code) - 1
            self.longest_command = max(self.longest_command, len(settings))
        else:
            code = self._bands(packed_rows(plan), doubled=plan.way == "raster-doubled")
        self._put(prepare)
        self._put(code, prints=True, scannable=True, safe=safe, mm=self._mm(plan.side_dots))
        self._put(quiet)

    def _bands(self, rows: list[bytes], *, doubled: bool = False) -> bytes:
        band = min(len(rows), self.profile.raster_rows) * len(rows[0]) + 8
        self.longest_command = max(self.longest_command, band)
        return commands.bands(rows, self.profile.raster_rows, doubled=doubled)

    def _barcode(self, item: Barcode) -> None:
        if item.symbology is Symbology.PDF417:
            self._pdf417(item)
            return
        plan = barcodes.plan(item, self.profile)
        text = _TEXT[item.text_position]
        mm = self._mm(plan.height_dots)
        if plan.number is not None:
            data = barcodes.octets(item.symbology, plan.data)
            sizes = {"height_dots": plan.height_dots, "module_dots": plan.module_dots}
            code = self._align(item.alignment) + commands.barcode(plan.number, data, text=text, **sizes)
            self.longest_command = max(self.longest_command, len(code))
            self._put(code, prints=True, scannable=True, safe=len(code) - 1, mm=mm + (_LINE_MM if text else 0))
            return
        if item.text_position is TextPosition.ABOVE:
            self._text(Text(plan.data, alignment=item.alignment))
        align = self._align(item.alignment)
        rows = [plan.bars] * plan.height_dots
        code = align + commands.without_real_time(self._bands(rows))
        self._put(code, prints=True, scannable=True, safe=len(align), mm=mm)
        if item.text_position is TextPosition.BELOW:
            self._text(Text(plan.data, alignment=item.alignment))

    def _pdf417(self, item: Barcode) -> None:
        data = barcodes.checked(item).encode("utf-8", "replace")
        if not self.profile.pdf417 or commands.looks_real_time(data):
            raise DocumentRefused(
                f"the profile {self.profile.name} prints no PDF417 codes", hint="print a QR code, or choose the profile"
            )
        module = min(8, max(2, round(item.module_mm * self.profile.dpi / 25.4)))
        prepare, code = commands.pdf417(data, module_dots=module)
        self.longest_command = max(self.longest_command, len(prepare))
        self._put(self._align(item.alignment) + prepare)
        self._put(code, prints=True, scannable=True, safe=len(code) - 1, mm=item.height_mm)

    def _bitmap(self, item: Bitmap) -> None:
        profile = self.profile
        if not profile.raster:
            raise DocumentRefused(f"the profile {profile.name} prints no pictures", hint="choose another profile")
        width = None
        if item.width_mm is not None:
            if not (math.isfinite(item.width_mm) and item.width_mm >= 1):
                raise DocumentRefused(f"a picture of {item.width_mm} mm: give a width of at least 1 mm")
            width = max(1, int(min(item.width_mm, 1000) * profile.dpi / 25.4))
        rows = picture.rows_of(item.source, width, profile.width_dots)
        mm = self._mm(len(rows))
        if mm > MAX_LENGTH_MM:
            raise TicketDoesNotFit(f"the picture is {mm / 1000:.1f} m long", hint="give a smaller width_mm")
        align = self._align(item.alignment)
        data = align + commands.without_real_time(self._bands(rows))
        self._put(data, prints=True, scannable=item.scannable, safe=len(align), mm=mm)

    # --- paper and drawer ---

    def _feed(self, lines: int) -> None:
        if not 0 <= lines <= MAX_FEED:
            raise DocumentRefused(f"a feed of {lines} lines: 0 to {MAX_FEED} are allowed")
        self._put(commands.LINE_FEED * lines, mm=lines * _LINE_MM)

    def end_cut(self, percentage: int | None = None) -> bytes:
        """The cut, of the kind that the printer has."""
        kind = self.profile.cut
        if kind in ("full", "partial"):
            return commands.cut(full=kind == "full" if percentage is None else percentage >= 100)
        return commands.LINE_FEED * 4 if kind == "feed" else b""

    def _cut(self, item: CutPaper, *, last: bool) -> None:
        if item.percentage is not None and not 0 <= item.percentage <= 100:
            raise DocumentRefused(f"a cut of {item.percentage} %: 0 to 100 are possible")
        data = self.end_cut(item.percentage)
        if self.profile.presenter != "none":
            if not last:
                why = "a cut in the middle: a kiosk printer presents one ticket at a time"
                raise DocumentRefused(why, hint="print two documents")
            data += commands.PRESENT
        self._put(data, mm=_TO_THE_BLADE_MM)

    def _drawer(self, item: OpenDrawer) -> None:
        if item.drawer not in (1, 2) or not 2 <= item.pulse_ms <= 510:
            raise DocumentRefused(f"drawer {item.drawer} for {item.pulse_ms} ms: there are 1 and 2, for 2 to 510 ms")
        if not self.profile.drawer_pulse:
            raise DocumentRefused(
                f"the profile {self.profile.name} opens no cash drawer", hint="choose another profile"
            )
        self._put(commands.open_drawer(item.drawer, item.pulse_ms))

    def _raw(self, item: Raw, *, last: bool) -> None:
        """It starts on the left; what follows it, from the defaults again and on a line of its own."""
        self._put(self._align(Alignment.LEFT))
        found = stream.prepare(item, self.profile, settings_of(self.profile, self.codec), last=last)
        for data, prints, scannable, safe in found.pieces:
            self._put(data, prints=prints, scannable=scannable, safe=safe)
        self.length_mm += found.length_mm
        self.longest_command = max(self.longest_command, found.longest_command)
        if found.open_line:  # what stays in the line buffer is never on the paper, and would be reported as printed
            self._put(commands.LINE_FEED, prints=True, mm=_LINE_MM)
        if not last:
            self._put(settings_of(self.profile, self.codec))
        self._alignment = None


MAX_FEED = 100


def columns_in(cells: Sequence[Column], room: int) -> list[str]:
    """`cells` next to each other in lines of `room` characters; see `sco_drivers.printer.Columns`."""
    flexible = next((n for n, cell in enumerate(cells) if cell.width is None), None)
    widths = [cell.width or max(map(len, cell.text.split("\n"))) for cell in cells]
    if flexible is not None:
        widths[flexible] = 0
        left = room - sum(widths) - (len(widths) - 1)
        widths[flexible] = left
        if left < _LEAST_COLUMN and len(cells) > 1:
            widths = []
    if not widths or sum(widths) + len(widths) - 1 > room:  # too narrow: one below the other
        return [_justified(line, room, cell.alignment) for cell in cells for line in wrap(cell.text, room)]
    wrapped = [wrap(cell.text, width) for cell, width in zip(cells, widths, strict=True)]
    lines = []
    for parts in zip_longest(*wrapped, fillvalue=""):
        texts = [
            _justified(part, width, cell.alignment) for part, width, cell in zip(parts, widths, cells, strict=True)
        ]
        lines.append(" ".join(texts).rstrip(" "))
    return lines


_LEAST_COLUMN = 8


def _justified(text: str, width: int, alignment: Alignment) -> str:
    match alignment:
        case Alignment.LEFT:
            return text.ljust(width)
        case Alignment.RIGHT:
            return text.rjust(width)
        case _:
            return text.center(width)


_STYLES: dict[Style, tuple[bytes, bytes]] = {
    Style.NORMAL: (b"", b""),
    Style.BOLD: (commands.BOLD_ON, commands.BOLD_OFF),
    Style.LARGE: (commands.SIZE_DOUBLE + commands.BOLD_ON, commands.BOLD_OFF + commands.SIZE_NORMAL),
}
_TALL = (commands.SIZE_TALL + commands.BOLD_ON, commands.BOLD_OFF + commands.SIZE_NORMAL)
