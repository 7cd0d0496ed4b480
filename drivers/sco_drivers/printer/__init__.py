"""The receipt printer: the protocol, its data and its errors.

A printer prints a whole `Document` and returns the outcome; a payment's `Ticket` is one with a QR code. It knows
nothing about money; what matters to a caller who does is that `PrintOutcome.NOT_PRINTED` is returned only when it is
known that no scannable code came out (of a document without codes: that its end did not), and `UNKNOWN` whenever that
is not known.

What a document consists of has the names of UnifiedPOS's POSPrinter (PrintNormal is `Text` here). Its parts are named
tuples, which cost an eighth of a dataclass at import.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self, runtime_checkable

from sco_drivers.errors import DeviceError, PrinterError
from sco_drivers.identity import DeviceIdentity

if TYPE_CHECKING:
    from sco_drivers.printer.escpos_job import EscposJob as EscposJob

__all__ = [
    "Alignment",
    "Barcode",
    "Bitmap",
    "Column",
    "Columns",
    "CoverOpen",
    "CutPaper",
    "Document",
    "DocumentRefused",
    "DuplicateTicket",
    "Feed",
    "Font",
    "Item",
    "Line",
    "NoPresenter",
    "OpenDrawer",
    "PaperOut",
    "PresenterStatus",
    "PrintOutcome",
    "PrintResult",
    "Printer",
    "PrinterFault",
    "PrinterHealth",
    "PrinterIdentity",
    "PrinterStatus",
    "QrCode",
    "Raw",
    "RuledLine",
    "SensorState",
    "Style",
    "Symbology",
    "Text",
    "TextPosition",
    "Ticket",
    "TicketDoesNotFit",
    "TicketEnd",
    "TicketPresenter",
]


def __dir__() -> list[str]:
    return sorted(__all__)


class PaperOut(PrinterError):
    """The paper has run out."""

    retryable = True


class CoverOpen(PrinterError):
    """The cover is open."""

    retryable = True


class PrinterFault(PrinterError):
    """A fault that the printer reports: of the cutter, the head, or another."""


class DocumentRefused(PrinterError):
    """A part of the document cannot be printed on this printer; the message names it. Not a byte was sent."""


class TicketDoesNotFit(DocumentRefused):
    """A text or code is too large for the paper; the message names it and its size."""


class DuplicateTicket(PrinterError):
    """A ticket or document with this id has come out, or may have; it is not printed a second time."""


class NoPresenter(PrinterError):
    """The printer has no presenter, or its profile does not have one."""


class PrintOutcome(Enum):
    """Whether a ticket or another document was printed."""

    PRINTED = "printed"
    NOT_PRINTED = "not_printed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PrintResult:
    """Whether a ticket was printed, and how that is known.

    Attributes:
        outcome: printed, not printed, or unknown.
        evidence: how that is known, in one sentence for the log and for a case ("process id 0001 answered").
        error: what stopped it, if anything did.
        replaced: characters that the printer's code page lacks; "?" was printed instead.
        fragment: a part of the ticket may be on the paper. It is cut off before the next ticket.
        may_come_later: the printer may still have the rest in its buffer and print it once its fault is cleared: it did
            not confirm that the buffer was emptied. The driver tries again at the next contact; the attendant should
            switch the printer off and on.
    """

    outcome: PrintOutcome
    evidence: str
    error: DeviceError | None = None
    replaced: str = ""
    fragment: bool = False
    may_come_later: bool = False


class SensorState(Enum):
    """What a sensor reports. No answer is UNKNOWN, never NO."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PrinterStatus:
    """What the printer reports. A field is UNKNOWN until the printer has answered the question."""

    online: SensorState = SensorState.UNKNOWN
    cover_open: SensorState = SensorState.UNKNOWN
    paper_out: SensorState = SensorState.UNKNOWN
    paper_near_end: SensorState = SensorState.UNKNOWN
    cutter_error: SensorState = SensorState.UNKNOWN
    unrecoverable_error: SensorState = SensorState.UNKNOWN
    recoverable_error: SensorState = SensorState.UNKNOWN
    drawer_open: SensorState = SensorState.UNKNOWN

    @property
    def ready(self) -> SensorState:
        """YES when it is known that a ticket can be printed now, NO when it is known that it cannot."""
        faults = (self.cover_open, self.paper_out, self.cutter_error, self.unrecoverable_error, self.recoverable_error)
        if SensorState.YES in faults or self.online is SensorState.NO:
            return SensorState.NO
        return SensorState.UNKNOWN if SensorState.UNKNOWN in (*faults, self.online) else SensorState.YES


class Style(Enum):
    """How a line of a ticket is set."""

    NORMAL = "normal"
    BOLD = "bold"
    LARGE = "large"  # double width and height; double height only where that keeps it on one line


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, wrapped at words when it is longer than the paper is wide.

    `plain` is printed instead where the printer's code page lacks a character of `text`; empty: substitutes of the
    driver's own are ("руб." for the rouble sign).
    """

    text: str
    style: Style = Style.NORMAL
    centred: bool = True
    plain: str = ""


REPEAT = Line("ПОВТОР", Style.BOLD)
"""The first line of what is printed again after a part of it came out."""


class Alignment(Enum):
    """Where between the edges of the paper something is."""

    LEFT = "left"
    CENTRE = "centre"
    RIGHT = "right"


class Font(Enum):
    """The printer's fonts: A is 12 dots wide, B 9. A printer without font B prints in A."""

    A = "a"
    B = "b"


class Text(NamedTuple):
    """Text in one style, wrapped at words when it is longer than the paper is wide.

    Attributes:
        text: may have several lines.
        bold, underline: see their names.
        font: A, or the narrower B.
        width, height: 1 to 8 times the font's.
        alignment: see `Alignment`.
    """

    text: str
    bold: bool = False
    underline: bool = False
    font: Font = Font.A
    width: int = 1
    height: int = 1
    alignment: Alignment = Alignment.LEFT


class Column(NamedTuple):
    """One column of `Columns`; `width` in characters, None for as wide as its text."""

    text: str
    width: int | None = None
    alignment: Alignment = Alignment.RIGHT


class Columns(NamedTuple):
    """Columns next to each other over the whole width, for instance a name and its amount.

    The first column that is a plain text is on the left and takes the width that the others leave; it wraps. The others
    are on the right, as wide as their text: an amount is not broken. Where too little is left for the first one, each
    column gets lines of its own.

    Attributes:
        columns: `Column`, or plain text.
        bold, underline, font, height: as in `Text`.
    """

    columns: Sequence[Column | str]
    bold: bool = False
    underline: bool = False
    font: Font = Font.A
    height: int = 1


class RuledLine(NamedTuple):
    """A line across the paper, made of one character."""

    character: str = "-"


class Symbology(Enum):
    """The kinds of bar codes, as UnifiedPOS names them."""

    UPC_A = "upc-a"
    EAN8 = "ean8"
    EAN13 = "ean13"
    ITF = "itf"
    CODABAR = "codabar"
    CODE39 = "code39"
    CODE93 = "code93"
    CODE128 = "code128"
    PDF417 = "pdf417"


class TextPosition(Enum):
    """Where the text of a bar code is."""

    NONE = "none"
    ABOVE = "above"
    BELOW = "below"


class Barcode(NamedTuple):
    """A bar code, drawn by the printer where its profile says that it can, else sent as a picture.

    Attributes:
        data: what is in it. A missing check digit of EAN and UPC is added, a wrong one refused.
        symbology: see `Symbology`.
        height_mm: of the bars, which are 8 to 255 dots high: at 203 dots per inch 1 to 32 mm, whatever is asked for.
        module_mm: width of the narrowest bar, at most; narrower where the code would not fit.
        alignment: see `Alignment`.
        text_position: where `data` is printed too.
    """

    data: str
    symbology: Symbology = Symbology.CODE128
    height_mm: float = 10.0
    module_mm: float = 0.375
    alignment: Alignment = Alignment.CENTRE
    text_position: TextPosition = TextPosition.BELOW


class QrCode(NamedTuple):
    """A QR code; `side_mm` is its side with its quiet zone, the largest module that fits it is taken."""

    data: str
    side_mm: float = 40.0
    alignment: Alignment = Alignment.CENTRE


class Bitmap(NamedTuple):
    """A picture, for instance a logo, in black dots on white.

    Attributes:
        source: the path of a picture file, or its content.
        width_mm: width on the paper; None for one dot a pixel. No wider than the paper in any case.
        alignment: see `Alignment`.
        scannable: it shows a code: once it came out, the document counts as printed.
    """

    source: str | bytes
    width_mm: float | None = None
    alignment: Alignment = Alignment.CENTRE
    scannable: bool = False


class Feed(NamedTuple):
    """Blank lines, 0 to 100 of them."""

    lines: int = 1


class CutPaper(NamedTuple):
    """A cut. `percentage` as in UnifiedPOS: 100 for a full cut, less for a partial one; None for the profile's.

    A printer that has only the other kind makes that; one without a cutter feeds, to tear the paper off.
    """

    percentage: int | None = None


class OpenDrawer(NamedTuple):
    """The pulse that opens cash drawer 1 or 2; 2 to 510 ms long."""

    drawer: int = 1
    pulse_ms: int = 100


class Raw(NamedTuple):
    """ESC/POS commands, whole ones. Questions to the printer and real-time commands are left out of them.

    A printer that takes no ESC/POS raises `DocumentRefused`.

    Attributes:
        data: the commands.
        code_at: what is printed from this byte on may be scannable; None where only what is known by its command is.
        codes_in_images: pictures may be codes, so that the document counts as printed once one is out.
    """

    data: bytes
    code_at: int | None = None
    codes_in_images: bool = True


Item = Line | Text | Columns | RuledLine | Barcode | QrCode | Bitmap | Feed | CutPaper | OpenDrawer | Raw
"""A part of a document."""


class Document(NamedTuple):
    """Anything to print as a whole (UnifiedPOS: a transaction): a receipt, a slip, a report.

    Attributes:
        document_id: chosen by the caller, in one space with `Ticket.ticket_id`; a document is never printed twice
            unless it is known not to have come out.
        items: from the top to the bottom.
        valid_until: seconds since the epoch after which it must no longer come out; None for no limit.
        repeat: its first line when it is printed again after a part of it came out; None for none.
        cut: end it with the profile's cut, unless `CutPaper` or `Raw` is its last item, apart from `OpenDrawer`.
    """

    document_id: str
    items: Sequence[Item]
    valid_until: float | None = None
    repeat: Line | None = REPEAT
    cut: bool = True


@dataclass(frozen=True, slots=True)
class Ticket:
    """A payment's document, with one QR code: items above it, the code, items below it, then a cut.

    Attributes:
        ticket_id: chosen by the caller; a ticket is never printed twice unless it is known not to have come out.
        qr: the text in the code.
        above, below: the lines and other items around it.
        valid_until: seconds since the epoch after which the ticket must no longer come out; None for no limit.
        qr_mm: the side of the code in millimetres, quiet zone included; the largest module that fits it is taken.
        repeat: the first line of the ticket when it is printed again after a part of it came out; None for none. The
            code printed before is then known not to be scannable.
    """

    ticket_id: str
    qr: str
    above: Sequence[Item] = field(default_factory=tuple)
    below: Sequence[Item] = field(default_factory=tuple)
    valid_until: float | None = None
    qr_mm: float = 40.0
    repeat: Line | None = REPEAT

    @property
    def document(self) -> Document:
        """The ticket as any other document."""
        items = (*self.above, QrCode(self.qr, self.qr_mm), *self.below)
        return Document(self.ticket_id, items, self.valid_until, self.repeat)


PrinterIdentity = DeviceIdentity
"""Who made the printer and what it is, as it answers `GS I`."""


@dataclass(frozen=True, slots=True)
class PresenterStatus:
    """The state of a kiosk printer's presenter: whether a ticket is in the output, whether one is jammed."""

    ticket_in_output: SensorState = SensorState.UNKNOWN
    jammed: SensorState = SensorState.UNKNOWN


class TicketEnd(Enum):
    """What happened to the ticket in the output."""

    TAKEN = "taken"  # or retracted by the printer itself, which looks the same
    RETRACTED = "retracted"
    EJECTED = "ejected"
    STILL_THERE = "still there"
    NONE = "no ticket"
    JAMMED = "jammed"
    UNKNOWN = "unknown"


class TicketPresenter(Protocol):
    """The presenter of a kiosk printer. Other calls to the printer can run between its questions."""

    def status(self) -> PresenterStatus:
        """Ask the printer; UNKNOWN if it does not answer. Raises DeviceError."""
        ...

    def wait_taken(self, timeout_s: float) -> TicketEnd:
        """Wait until the ticket in the output is gone or jammed, or `timeout_s` has passed. Raises DeviceError."""
        ...

    def retract(self) -> TicketEnd:
        """Retract the ticket in the output into the printer. Raises DeviceError."""
        ...

    def eject(self) -> TicketEnd:
        """Eject the ticket. Raises DeviceError."""
        ...


@dataclass(frozen=True, slots=True)
class PrinterHealth:
    """The outcome of a health check, as UnifiedPOS's CheckHealth (internal): it prints nothing and moves no paper.

    Attributes:
        ready: whether a ticket can be printed now.
        status: what the printer reports.
        identity: what the printer is, if the model reports it.
        presenter: the state of its presenter, if it has one.
        answers_ms: how long a status question took, median; None when it does not answer.
        reports_printed: whether it reports the end of a ticket (`GS ( H`); UNKNOWN when it could not be asked.
        clears: whether it confirms that its buffers are empty, so that no old ticket can come out.
        findings: what the attendant or technician should know or do, in sentences; empty when all is well.
    """

    ready: SensorState
    status: PrinterStatus
    identity: PrinterIdentity
    presenter: PresenterStatus | None
    answers_ms: float | None
    reports_printed: SensorState
    clears: SensorState
    findings: tuple[str, ...]


@runtime_checkable
class Printer(Protocol):
    """A receipt printer. Its methods may be called from several threads; it prints one ticket at a time."""

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        ...

    def status(self) -> PrinterStatus:
        """Ask the printer for its state. If it does not answer, the fields are UNKNOWN, within 2 s; reconnecting adds
        its own deadline.

        Raises:
            DeviceGone: the connection is lost, and reconnecting failed.
        """
        ...

    def print_ticket(self, ticket: Ticket) -> PrintResult:
        """Print `ticket` and wait until it is known whether it came out, or the printer's own deadline passes.

        Printing a ticket a second time is refused unless it is known that it did not come out. A ticket that fails or
        expires on the way is cleared from the printer's buffers, or the result says that this was not confirmed.

        A failure of the device is in the result and not raised, since what matters is what is on the paper.

        Raises:
            DocumentRefused: before a byte is sent; TicketDoesNotFit if something is too large.
            DuplicateTicket: before a byte is sent.
            DeviceClosed: `close` was called.
        """
        ...

    def print_document(self, document: Document) -> PrintResult:
        """Print `document`; in all else as `print_ticket`.

        It counts as printed once its first code has come out (`Barcode`, `QrCode`, a scannable `Bitmap`), without one
        when its last item has: NOT_PRINTED says that this is known not to have happened.
        """
        ...

    def escpos(
        self,
        document_id: str,
        *,
        valid_until: float | None = None,
        repeat: Line | None = REPEAT,
        codes_in_images: bool = True,
    ) -> AbstractContextManager[EscposJob]:
        """A printer of python-escpos whose output is printed as one document when the `with` block ends::

            with printer.escpos("receipt-17") as p:
                p.textln("Хлеб")
                p.cut()
            assert p.result.outcome is PrintOutcome.PRINTED

        Nothing is printed when the block raises. A failure of the device is in `result` and not raised.

        Args:
            document_id, valid_until, repeat: as in `Document`.
            codes_in_images: what `image()` prints may be a code, so that the document counts as printed once it is out.

        Raises:
            DuplicateTicket, DeviceClosed: at the beginning. DocumentRefused: at the end, before a byte is sent; at the
                beginning by a printer that takes no ESC/POS.
        """
        ...

    def health(self) -> PrinterHealth:
        """Check the printer without using paper. What is wrong is in the result and not raised.

        Raises:
            DeviceClosed: `close` was called.
        """
        ...

    @property
    def presenter(self) -> TicketPresenter | None:
        """The presenter; None for a printer without one."""
        ...

    def close(self) -> None:
        """Release the device; a ticket that is being printed ends as UNKNOWN. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
