"""The receipt printer: what a caller may rely on.

A printer prints a `Ticket` whole and says what came of it. Nothing in here knows what the ticket is worth; the one
promise that matters to a caller with money on the line is that `PrintOutcome.NOT_PRINTED` is said only when it is known
that no scannable code came out, and `UNKNOWN` whenever it is not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, Self, runtime_checkable

from sco_drivers.errors import PrinterError


class PaperOut(PrinterError):
    """The paper has run out."""

    retryable = True


class CoverOpen(PrinterError):
    """The cover is open."""

    retryable = True


class PrinterFault(PrinterError):
    """Cutter, head or another fault that the printer itself reports."""


class TicketDoesNotFit(PrinterError):
    """A text or code is too large for the paper; says which and by how much."""


class DuplicateTicket(PrinterError):
    """A ticket with this `ticket_id` has come out, or may have; it is not printed a second time."""


class PrintOutcome(Enum):
    """What came of a ticket."""

    PRINTED = "printed"
    NOT_PRINTED = "not_printed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PrintResult:
    """What came of a ticket, and how that is known.

    Attributes:
        outcome: printed, not printed, or unknown.
        evidence: what the answer rests on, one sentence for the log and for a case ("process id 0001 answered").
        error: what stopped it, when something did.
        replaced: characters of the ticket that the printer's code page lacks and that were printed as "?".
    """

    outcome: PrintOutcome
    evidence: str
    error: PrinterError | Exception | None = None
    replaced: str = ""


class Presence(Enum):
    """Three-valued: silence is UNKNOWN, never NO."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PrinterStatus:
    """What the printer says of itself. Every field is UNKNOWN until the printer has answered for it."""

    online: Presence = Presence.UNKNOWN
    cover_open: Presence = Presence.UNKNOWN
    paper_out: Presence = Presence.UNKNOWN
    paper_near_end: Presence = Presence.UNKNOWN
    cutter_error: Presence = Presence.UNKNOWN
    unrecoverable_error: Presence = Presence.UNKNOWN
    recoverable_error: Presence = Presence.UNKNOWN
    drawer_open: Presence = Presence.UNKNOWN

    @property
    def ready(self) -> Presence:
        """YES when it is known that a ticket can be printed now, NO when it is known that it cannot."""
        faults = (self.cover_open, self.paper_out, self.cutter_error, self.unrecoverable_error, self.recoverable_error)
        if Presence.YES in faults or self.online is Presence.NO:
            return Presence.NO
        return Presence.UNKNOWN if Presence.UNKNOWN in (*faults, self.online) else Presence.YES


class Style(Enum):
    """How a line of a ticket is set."""

    NORMAL = "normal"
    BOLD = "bold"
    LARGE = "large"  # double width and height


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text, wrapped at words when it is longer than the paper is wide."""

    text: str
    style: Style = Style.NORMAL
    centred: bool = True


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket with one QR code: lines above it, the code, lines below it, then a cut.

    Attributes:
        ticket_id: the caller's name for it; the same id is never printed twice unless it is known not to have come out.
        qr: what the code says.
        above, below: the lines around it.
        valid_until: seconds since the epoch after which the ticket must no longer come out; None for no limit.
        qr_mm: the side of the code in millimetres, quiet zone included; the largest module that fits it is taken.
    """

    ticket_id: str
    qr: str
    above: Sequence[Line] = field(default_factory=tuple)
    below: Sequence[Line] = field(default_factory=tuple)
    valid_until: float | None = None
    qr_mm: float = 40.0


@runtime_checkable
class Printer(Protocol):
    """A receipt printer. Safe from several threads; one ticket at a time."""

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        ...

    def status(self) -> PrinterStatus:
        """Ask the printer for its state. A silent printer gives UNKNOWN fields, within 2 s.

        Raises:
            DeviceGone: the connection is lost and could not be made again.
        """
        ...

    def print_ticket(self, ticket: Ticket) -> PrintResult:
        """Print `ticket` and wait until it is known whether it came out, or the printer's own deadline passes.

        Device failures do not raise: they are told in the result, since what matters is what is on the paper.

        Raises:
            TicketDoesNotFit: before a byte is sent.
            DuplicateTicket: before a byte is sent.
            DeviceClosed: `close` was called.
        """
        ...

    def close(self) -> None:
        """Give the device back. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
