"""A ticket -> the bytes of a job, for one profile. Decides wrapping, code page, size and kind of the code, and cut.

Refuses what does not fit before a byte is sent. Knows nothing about transports and imports no picture library.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sco_drivers.printer import Line, Style, Ticket, TicketDoesNotFit, commands
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
    """A ticket as bytes, in parts, since it is known for each part whether it is on the paper.

    Attributes:
        head: settings and the lines above the code, and what prepares the code.
        code: what prints the code. Nothing scannable is on the paper before its last byte (native) or first byte
            (raster) has been sent.
        tail: quiet zone and the lines below.
        cut: the cut.
        replaced: characters printed as "?".
        plan: how the code is printed.
        lines: the lines of text as laid out, for logs and tests.
        length_mm: approximate length of paper.
    """

    head: bytes
    code: bytes
    tail: bytes
    cut: bytes
    replaced: str
    plan: CodePlan
    lines: tuple[str, ...]
    length_mm: float

    @property
    def size(self) -> int:
        """Number of bytes, without marks."""
        return len(self.head) + len(self.code) + len(self.tail) + len(self.cut)


class _Encoder:
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

    def normal(self, text: str) -> str:
        """`text` with only characters that the code page has."""
        out = []
        for char in text:
            if char in "\u00a0\u202f\u2009":
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
_LINE_MM = 25.4 / 6
_TO_THE_BLADE_MM = 15.0


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
    ticket: Ticket,
    profile: Profile,
    *,
    codec: str,
    way: CodeWay | None = None,
    heading: Line | None = None,
    cut_first: bool = False,
) -> Job:
    """Lay out `ticket`.

    Args:
        ticket: what to print.
        profile: for which printer.
        codec: "cp866", "cp1251", "utf-8" or "ascii".
        way: how to print the code; the profile's best when None.
        heading: a line before all others ("ПОВТОР").
        cut_first: first cut off what an earlier ticket has left on the paper.

    Raises:
        TicketDoesNotFit: too many lines, or the code is too large; the message gives both sizes.
    """
    encoder = _Encoder(codec)
    plan = plan_code(ticket.qr, ticket.qr_mm, profile, way)
    settings = commands.INIT + (commands.ASB_ALL if profile.asb else b"")  # INIT switches automatic status off
    if codec == "utf-8":
        settings += commands.UTF8_ON
    elif codec in profile.code_pages:
        settings += commands.SINGLE_BYTE + commands.code_page(profile.code_pages[codec])
    finish = {
        "full": commands.cut(full=True),
        "partial": commands.cut(full=False),
        "feed": commands.LINE_FEED * 4,
        "none": b"",
    }[profile.cut]
    presents = profile.presenter == "custom" and profile.cut in ("full", "partial")
    drop = finish + commands.RETRACT if presents else finish  # of what an earlier ticket has left
    if presents:
        finish += commands.PRESENT
    above, lines_above = _text([heading, *ticket.above] if heading else ticket.above, encoder, profile)
    below, lines_below = _text(ticket.below, encoder, profile)
    if len(lines_above) + len(lines_below) > MAX_LINES:
        raise TicketDoesNotFit(
            f"the ticket has {len(lines_above) + len(lines_below)} lines, at most {MAX_LINES} are allowed"
        )
    head = (commands.INIT + drop if cut_first else b"") + settings + above + commands.CENTRE
    # Blank paper is the quiet zone: at the sides there is room, above and below it is fed.
    quiet = commands.feed_mm(plan.module_dots * QUIET_ZONE * 25.4 / profile.dpi)
    head += quiet
    if plan.way == "native":
        prepare, code = commands.native_qr(ticket.qr, level=plan.level, module_dots=plan.module_dots)
        head += prepare
    else:
        rows, most = packed_rows(plan), profile.raster_rows
        bands = [rows[at : at + most] for at in range(0, len(rows), most)]
        code = b"".join(commands.raster(band, doubled=plan.way == "raster-doubled") for band in bands)
    tail = quiet
    replaced = "".join(dict.fromkeys(encoder.missing))
    lines = (*lines_above, *lines_below)
    length_mm = plan.side_dots * 25.4 / profile.dpi + len(lines) * _LINE_MM + _TO_THE_BLADE_MM
    return Job(head, code, tail + below, finish, replaced, plan, lines, length_mm)


def _text(lines: Sequence[Line], encoder: _Encoder, profile: Profile) -> tuple[bytes, list[str]]:
    out = bytearray()
    set_lines: list[str] = []
    centred: bool | None = None
    for line in lines:
        if line.centred is not centred:
            centred = line.centred
            out += commands.CENTRE if centred else commands.LEFT
        normal = "\n".join(encoder.normal(part) for part in line.text.splitlines() or [""])
        before, after = _STYLES[line.style]
        columns = profile.columns
        if line.style is Style.LARGE:
            longest = max(map(len, normal.split("\n")))
            if longest <= columns // 2 or longest > columns:
                columns //= 2
            else:  # an amount that would be broken in two is set tall and not wide
                before, after = _TALL
        out += before
        for text in wrap(normal, columns):
            set_lines.append(text.replace("\u00a0", " "))
            out += encoder.octets(text) + commands.LINE_FEED
        out += after
    return bytes(out), set_lines


_STYLES: dict[Style, tuple[bytes, bytes]] = {
    Style.NORMAL: (b"", b""),
    Style.BOLD: (commands.BOLD_ON, commands.BOLD_OFF),
    Style.LARGE: (commands.SIZE_DOUBLE + commands.BOLD_ON, commands.BOLD_OFF + commands.SIZE_NORMAL),
}
_TALL = (commands.SIZE_TALL + commands.BOLD_ON, commands.BOLD_OFF + commands.SIZE_NORMAL)
