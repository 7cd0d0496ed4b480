"""A ticket -> the bytes of a job, for one profile. Decides wrapping, code page, size and way of the code, and the cut.

Refuses what does not fit before a byte is sent. Knows nothing of transports and never imports a picture library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sco_drivers.printer import Line, Style, Ticket, TicketDoesNotFit, commands
from sco_drivers.printer.profile import Profile
from sco_drivers.qr import MAX_BYTES, QUIET_ZONE, ErrorLevel, QrMatrix, encode

CodeWay = Literal["native", "raster-doubled", "raster"]

LEAST_MODULE_MM = 0.33
"""A smaller module is not read reliably from thermal paper by phones."""

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
"""The same said with characters that every Russian code page has; used only where the code page lacks the first."""


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
    """A ticket as bytes, in parts, since what is on the paper is known by part.

    Attributes:
        head: settings and the lines above the code, and what prepares the code.
        code: what makes the code come out. Nothing scannable is on the paper before its last byte has been sent
            (native), or its first (raster).
        tail: quiet zone and the lines below.
        cut: the cut.
        replaced: characters printed as "?".
        plan: how the code is printed.
        lines: the lines of text as they are set, for logs and tests.
    """

    head: bytes
    code: bytes
    tail: bytes
    cut: bytes
    replaced: str
    plan: CodePlan
    lines: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes in all, marks not counted."""
        return len(self.head) + len(self.code) + len(self.tail) + len(self.cut)


class _Encoder:
    """Text in the printer's code page; collects what it lacks."""

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
            elif char in _PLAIN:
                out.append(_PLAIN[char])
            else:
                self.missing.append(char)
                out.append("?")
        return "".join(out)

    def octets(self, text: str) -> bytes:
        return text.replace("\u00a0", " ").encode(self.codec)


def wrap(text: str, columns: int) -> list[str]:
    """`text` in lines of at most `columns`, broken at blanks, inside a word only when it is longer than a line."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            if line and len(line) + 1 + len(word) <= columns:
                line += " " + word
                continue
            if line:
                lines.append(line)
            while len(word) > columns:
                lines.append(word[:columns])
                word = word[columns:]
            line = word
        lines.append(line)
    return lines


MOST_LINES = 200


def codec_of(profile: Profile, wanted: str | None) -> str:
    """The codec to print with: `wanted`, or the best that the profile has.

    Raises:
        KeyError: the profile lacks `wanted`.
    """
    if wanted is None:
        return next((codec for codec in ("cp866", "cp1251") if codec in profile.code_pages), "ascii")
    if wanted == "utf-8" or wanted in profile.code_pages:
        return wanted
    raise KeyError(wanted)


def plan_code(text: str, qr_mm: float, profile: Profile, way: CodeWay | None = None) -> CodePlan:
    """How to print a code of `text` within `qr_mm` (quiet zone included).

    Level M, or a higher one that makes the symbol no larger; L only when M does not fit.

    Raises:
        TicketDoesNotFit: no level fits the paper or `qr_mm`, or there is nothing to encode.
    """
    chosen: CodeWay = way or (
        "native" if profile.native_qr else "raster-doubled" if profile.raster_doubling else "raster"
    )
    if chosen != "native" and not profile.raster:
        raise TicketDoesNotFit(f"the profile {profile.name} can print no QR code", hint="choose another profile")
    room = min(int(qr_mm * profile.dpi / 25.4), profile.width_dots)
    least = max(2, -(-int(LEAST_MODULE_MM * profile.dpi * 100) // 2540))
    step = 2 if chosen == "raster-doubled" else 1
    least += -least % step
    needed = 0.0
    for level in _levels(text):
        try:
            matrix = encode(text, level)
        except ValueError as error:
            reason = str(error)
            continue
        module = room // matrix.full_size // step * step
        if chosen == "native":
            module = min(module, 16)
            if (matrix.size - 17) // 4 > profile.largest_version:
                reason = f"the printer draws codes up to version {profile.largest_version} only"
                continue
        if module >= least:
            return CodePlan(chosen, level, module, matrix)
        needed = matrix.full_size * least * 25.4 / profile.dpi
        reason = (
            f"the QR code takes {needed:.1f} mm with its quiet zone, and {room * 25.4 / profile.dpi:.1f} mm are given"
        )
    raise TicketDoesNotFit(reason, hint="give a larger qr_mm, wider paper, or a shorter link")


def _levels(text: str) -> list[ErrorLevel]:
    """Levels to try, best first: those not larger than M's symbol, M, then L."""
    if not text or len(text.encode()) > MAX_BYTES["M"]:
        return ["L"]
    size = encode(text, "M").size
    higher: list[ErrorLevel] = []
    for level in ("H", "Q"):
        octets = len(text.encode())
        if octets <= MAX_BYTES[level] and encode(text, level).size == size:
            higher.append(level)
    return [*higher, "M", "L"]


def packed_rows(plan: CodePlan) -> list[bytes]:
    """The raster of a code with its quiet zone: packed bits, one row a line of dots (or of double dots)."""
    scale = plan.module_dots // 2 if plan.way == "raster-doubled" else plan.module_dots
    modules = plan.matrix.full_size
    width = modules * scale
    empty = bytes(modules)
    side = bytes(QUIET_ZONE)
    lines = [empty] * QUIET_ZONE + [side + row + side for row in plan.matrix.rows] + [empty] * QUIET_ZONE
    for shift in range(8):
        # Shifted by a dot or more if its bits would read as a real-time command, which a printer obeys anywhere.
        octets = (width + shift + 7) // 8
        rows = []
        for line in lines:
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
        heading: a line put before all others ("ПОВТОР").
        cut_first: cut off what an earlier ticket has left on the paper.

    Raises:
        TicketDoesNotFit: too many lines, or the code is too large; says by how much.
    """
    encoder = _Encoder(codec)
    plan = plan_code(ticket.qr, ticket.qr_mm, profile, way)
    settings = commands.INIT
    if codec == "utf-8":
        settings += commands.UTF8_ON
    elif codec in profile.code_pages:
        settings += commands.code_page(profile.code_pages[codec])
    cut = b"" if profile.cut == "none" else commands.cut(full=profile.cut == "full")
    finish = cut or commands.LINE_FEED * 4
    above, lines_above = _text([heading, *ticket.above] if heading else ticket.above, encoder, profile)
    below, lines_below = _text(ticket.below, encoder, profile)
    if len(lines_above) + len(lines_below) > MOST_LINES:
        raise TicketDoesNotFit(
            f"the ticket has {len(lines_above) + len(lines_below)} lines, and {MOST_LINES} are the most"
        )
    head = (commands.INIT + finish if cut_first else b"") + settings + above + commands.CENTRE
    quiet = plan.module_dots * QUIET_ZONE
    if plan.way == "native":
        # The printer draws no quiet zone; at the sides the paper gives it, above and below we feed it.
        prepare, code = commands.native_qr(ticket.qr, level=plan.level, module_dots=plan.module_dots)
        head += commands.feed_dots(quiet) + prepare
        tail = commands.feed_dots(quiet)
    else:
        code = commands.raster(packed_rows(plan), doubled=plan.way == "raster-doubled")
        tail = b""
    replaced = "".join(dict.fromkeys(encoder.missing))
    return Job(head, code, tail + below, finish, replaced, plan, (*lines_above, *lines_below))


def _text(lines: Sequence[Line], encoder: _Encoder, profile: Profile) -> tuple[bytes, list[str]]:
    out = bytearray()
    set_lines: list[str] = []
    centred: bool | None = None
    for line in lines:
        columns = profile.columns // 2 if line.style is Style.LARGE else profile.columns
        if line.centred is not centred:
            centred = line.centred
            out += commands.CENTRE if centred else commands.LEFT
        before, after = _STYLES[line.style]
        out += before
        normal = "\n".join(encoder.normal(part) for part in line.text.splitlines() or [""])
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
