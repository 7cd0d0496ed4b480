"""The receipt printer: the protocol, its data and its errors.

A printer prints a whole `Ticket` and returns the outcome. It knows nothing about money; what matters to a caller who
does is that `PrintOutcome.NOT_PRINTED` is returned only when it is known that no scannable code came out, and `UNKNOWN`
whenever that is not known.
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
    """A fault that the printer reports: of the cutter, the head, or another."""


class TicketDoesNotFit(PrinterError):
    """A text or code is too large for the paper; the message names it and its size."""


class DuplicateTicket(PrinterError):
    """A ticket with this `ticket_id` has come out, or may have; it is not printed a second time."""


class NoPresenter(PrinterError):
    """The printer has no presenter, or its profile does not have one."""


class PrintOutcome(Enum):
    """Whether a ticket was printed."""

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
    """One line of text, wrapped at words when it is longer than the paper is wide."""

    text: str
    style: Style = Style.NORMAL
    centred: bool = True


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket with one QR code: lines above it, the code, lines below it, then a cut.

    Attributes:
        ticket_id: chosen by the caller; a ticket is never printed twice unless it is known not to have come out.
        qr: the text in the code.
        above, below: the lines around it.
        valid_until: seconds since the epoch after which the ticket must no longer come out; None for no limit.
        qr_mm: the side of the code in millimetres, quiet zone included; the largest module that fits it is taken.
        repeat: the first line of the ticket when it is printed again after a part of it came out; None for none. The
            code printed before is then known not to be scannable.
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
    """Who made the printer and what it is; None for what it does not report."""

    maker: str | None = None
    model: str | None = None
    serial: str | None = None
    firmware: str | None = None


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
            TicketDoesNotFit: before a byte is sent.
            DuplicateTicket: before a byte is sent.
            DeviceClosed: `close` was called.
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
