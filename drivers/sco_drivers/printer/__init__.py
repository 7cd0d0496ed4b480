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

from sco_drivers.errors import DeviceError, PrinterError

__all__ = [
    "CoverOpen",
    "DuplicateTicket",
    "Line",
    "NoPresenter",
    "PaperOut",
    "PresenterStatus",
    "PrintOutcome",
    "PrintResult",
    "Printer",
    "PrinterFault",
    "PrinterHealth",
    "PrinterIdentity",
    "PrinterStatus",
    "SensorState",
    "Style",
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
    """Cutter, head or another fault that the printer itself reports."""


class TicketDoesNotFit(PrinterError):
    """A text or code is too large for the paper; says which and by how much."""


class DuplicateTicket(PrinterError):
    """A ticket with this `ticket_id` has come out, or may have; it is not printed a second time."""


class NoPresenter(PrinterError):
    """The printer has no presenter, or its profile does not say so."""


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
        fragment: the paper may carry a part of the ticket. It is cut off before the next ticket.
        may_come_later: the printer may still hold the rest and print it when it is served; clearing its buffer could
            not be proven. It is tried again at the next contact. A person should switch the printer off and on.
    """

    outcome: PrintOutcome
    evidence: str
    error: DeviceError | None = None
    replaced: str = ""
    fragment: bool = False
    may_come_later: bool = False


class SensorState(Enum):
    """Three-valued: silence is UNKNOWN, never NO."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class PrinterStatus:
    """What the printer says of itself. Every field is UNKNOWN until the printer has answered for it."""

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
        repeat: a line put before all others when the ticket is printed again after a part of it had come out; None for
            none. The code on the paper before is known not to be scannable then.
    """

    ticket_id: str
    qr: str
    above: Sequence[Line] = field(default_factory=tuple)
    below: Sequence[Line] = field(default_factory=tuple)
    valid_until: float | None = None
    qr_mm: float = 40.0
    repeat: Line | None = Line("ПОВТОР", Style.BOLD)


@dataclass(frozen=True, slots=True)
class PrinterIdentity:
    """What the printer says it is; None for what it does not say."""

    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None


@dataclass(frozen=True, slots=True)
class PresenterStatus:
    """How the presenter of a kiosk printer is: is there a ticket in its mouth, is one stuck."""

    ticket_in_output: SensorState = SensorState.UNKNOWN
    jammed: SensorState = SensorState.UNKNOWN


class TicketEnd(Enum):
    """What became of the ticket in the output."""

    TAKEN = "taken"  # or drawn back by the printer itself, which looks the same
    RETRACTED = "retracted"
    EJECTED = "ejected"
    STILL_THERE = "still there"
    NONE = "no ticket"
    JAMMED = "jammed"
    UNKNOWN = "unknown"


class TicketPresenter(Protocol):
    """The presenter of a kiosk printer. Its printer's lock is held for one question at a time only."""

    def status(self) -> PresenterStatus:
        """Ask. Silence gives UNKNOWN. Raises DeviceError."""
        ...

    def wait_taken(self, timeout_s: float) -> TicketEnd:
        """Wait until the ticket in the output is gone, or stuck, or `timeout_s` has passed. Raises DeviceError."""
        ...

    def retract(self) -> TicketEnd:
        """Draw the ticket in the output back into the printer. Raises DeviceError."""
        ...

    def eject(self) -> TicketEnd:
        """Drop the ticket out. Raises DeviceError."""
        ...


@dataclass(frozen=True, slots=True)
class PrinterHealth:
    """The outcome of a check of health, as UnifiedPOS's CheckHealth (internal): nothing is printed, no paper moves.

    Attributes:
        ready: whether a ticket can be printed now.
        status: what the printer says of itself.
        identity: what it is, where the model tells.
        presenter: its presenter, where it has one.
        answers_ms: how long a status question took, median; None when it is silent.
        tells_printed: whether it tells when a ticket has come out (`GS ( H`); UNKNOWN when that was not found out.
        clears: whether it says that its buffers are clear, so that no old ticket can come out of it.
        findings: what a person should know or do, in sentences; empty when all is well.
    """

    ready: SensorState
    status: PrinterStatus
    identity: PrinterIdentity
    presenter: PresenterStatus | None
    answers_ms: float | None
    tells_printed: SensorState
    clears: SensorState
    findings: tuple[str, ...]


@runtime_checkable
class Printer(Protocol):
    """A receipt printer. Safe from several threads; one ticket at a time."""

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        ...

    def status(self) -> PrinterStatus:
        """Ask the printer for its state. A silent printer gives UNKNOWN fields, within 2 s; a connection that must be
        made again takes its own deadline more.

        Raises:
            DeviceGone: the connection is lost and could not be made again.
        """
        ...

    def print_ticket(self, ticket: Ticket) -> PrintResult:
        """Print `ticket` and wait until it is known whether it came out, or the printer's own deadline passes.

        The second print of a ticket is refused unless the first is known not to have come out. A ticket that fails or
        expires on the way is cleared from the printer's buffers, or the result says that this could not be proven.

        Device failures do not raise: they are told in the result, since what matters is what is on the paper.

        Raises:
            TicketDoesNotFit: before a byte is sent.
            DuplicateTicket: before a byte is sent.
            DeviceClosed: `close` was called.
        """
        ...

    def health(self) -> PrinterHealth:
        """Look whether all is well, without using paper. What is wrong is told in the outcome, not raised.

        Raises:
            DeviceClosed: `close` was called.
        """
        ...

    @property
    def presenter(self) -> TicketPresenter | None:
        """The presenter; None for a printer without one."""
        ...

    def close(self) -> None:
        """Give the device back; a ticket on its way ends as UNKNOWN. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
