"""Presents a link to the customer by the display mode, and removes it again; checks the NFC tag meanwhile.

A link counts as not presented only when it is certain that no customer can see it. Otherwise it counts as presented,
and the acquirer is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from sco_drivers.errors import DeviceError
from sco_drivers.nfc import TagContents, TagReader, TagWriteFailed, WrongContent
from sco_drivers.nfc.endurance import WriteEndurance
from sco_drivers.nfc.guard import GuardEvent, TagGuard
from sco_drivers.printer import (
    Bitmap,
    DocumentRefused,
    DuplicateTicket,
    Item,
    Line,
    Printer,
    PrintOutcome,
    PrintResult,
    SensorState,
    Style,
    Ticket,
    TicketEnd,
)
from sco_payment.attempt import Mode, Plan
from sco_payment.customer.qr_display import CodeDisplay
from sco_payment.customer.texts import Texts
from sco_payment.devices import ReopeningDevice
from sco_payment.money import format_amount
from sco_payment.settings import Settings

log = logging.getLogger(__name__)

_TICKET_ENDS = {
    TicketEnd.NONE: "there is no ticket in the printer's output any more",
    TicketEnd.RETRACTED: "the ticket was still in the printer's output: it was retracted, unless taken just then",
    TicketEnd.JAMMED: "the ticket is jammed in the printer's output: take it out",
    TicketEnd.STILL_THERE: "the ticket is still in the printer's output: it could not be retracted",
    TicketEnd.UNKNOWN: "it is not known whether the ticket was taken: the printer does not report it",
}
_GONE = (TicketEnd.NONE, TicketEnd.RETRACTED)

_MAX_WRITES_CUT_SHORT = 2  # to any one page, by a write that was interrupted


@dataclass(frozen=True, slots=True)
class Presentation:
    """How the link was presented.

    Attributes:
        seen: whether a customer can see it, or may; False only when that is certain.
        evidence: how that is known, for the journal.
        tag_ok: whether the NFC tag carries the link; None where no tag is part of it.
    """

    seen: bool
    evidence: str
    tag_ok: bool | None = None


@dataclass(frozen=True, slots=True)
class _TicketOut:
    """A ticket that may be in the printer's output. Key None: of a process before, if there is one."""

    key: str | None
    expires_at_ms: int


def ignore_tag(event: GuardEvent) -> None:
    """Ignores what is found on the tag."""


class Presenter:
    """Printer, tag and QR display of one lane. The screen is the lane's UI.

    Args:
        settings, texts: of the lane.
        printer, nfc: None for a device that the lane does not have.
        wall: the wall clock of a moment of lane time.
        clock_ahead_s: how far the acquirer's clock is ahead of lane time; None while that is not known.
        on_tag: is called in the device thread when the tag is found in another condition than before.
        endurance: counts the writes of a dynamic tag; None to count none.
        display: the customer QR display; None for a lane without one.
    """

    def __init__(
        self,
        settings: Settings,
        texts: Texts,
        *,
        printer: ReopeningDevice[Printer] | None,
        nfc: ReopeningDevice[TagReader] | None,
        wall: Callable[[int], float],
        clock_ahead_s: Callable[[], float | None] = lambda: None,
        on_tag: Callable[[GuardEvent], None] = ignore_tag,
        endurance: WriteEndurance | None = None,
        display: CodeDisplay | None = None,
    ) -> None:
        self.display = display
        self._settings = settings
        self._texts = texts
        self._printer = printer
        self._nfc = nfc
        self._wall = wall
        self._clock_ahead_s = clock_ahead_s
        self._uid = bytes.fromhex(settings.devices.nfc_uid) if settings.devices.nfc_uid else None
        self._printer_report = ""
        self._copies = 0
        self._ticket_report: str | None = None
        self._ticket_out: _TicketOut | None = _TicketOut(None, 0)
        self._guard = TagGuard(self._uid, on_tag)
        self._endurance = endurance
        self._dynamic_tag = settings.mode is Mode.PLATE and settings.display.plate == "dynamic"
        self._tag_clear = False  # until we have cleared it: a crash may have left a link on it
        self._tag_key: str | None = None  # of the attempt whose link was written last; None where that is not known

    def present(self, plan: Plan, link: str) -> Presentation:
        """Do what the plan's mode needs besides the screen. Never raises a device's error."""
        if plan.mode is Mode.PRINT:
            return self._print(plan, link)
        if plan.mode is Mode.SCREEN:
            return Presentation(True, "on the screen")
        return self._write_tag(plan.key, link) if self._dynamic_tag else self._verify_plate(plan.plate_link or link)

    def _print(self, plan: Plan, link: str) -> Presentation:
        if self._printer is None:
            return Presentation(False, "the lane has no printer")
        try:
            result = self._print_ticket(self._printer.get(), plan, link)
        except DuplicateTicket as error:  # an earlier print of this attempt may be in the customer's hand
            self._ticket_out = _TicketOut(plan.key, plan.expires_at_ms)
            return Presentation(True, str(error))
        except DeviceError as error:  # it cannot be opened, or refused before a byte was sent
            self._printer.lost(error)
            return Presentation(False, str(error))
        self._printer.lost(result.error)
        if result.may_come_later:
            log.error("the printer may still hold the ticket and print it later: power-cycle it")
        if result.outcome is PrintOutcome.NOT_PRINTED:
            return Presentation(False, f"{result.evidence}: {result.error}" if result.error else result.evidence)
        self._ticket_out = _TicketOut(plan.key, plan.expires_at_ms)
        return Presentation(True, f"ticket {result.outcome.value}: {result.evidence}")

    def _print_ticket(self, printer: Printer, plan: Plan, link: str) -> PrintResult:
        """Print the ticket, without its logo rather than not at all. Raises DeviceError."""
        try:
            return printer.print_ticket(self._ticket(plan, link, self._settings.ticket.logo))
        except DocumentRefused as error:
            if not self._settings.ticket.logo:
                raise
            log.error("the ticket is tried without its logo: %s", error)
            return printer.print_ticket(self._ticket(plan, link, ""))

    def _ticket(self, plan: Plan, link: str, logo: str) -> Ticket:
        amount = format_amount(plan.kopecks)
        texts, lane, wanted = self._texts, self._settings.lane, self._settings.ticket
        above: list[Item] = [Bitmap(logo, width_mm=wanted.logo_mm)] if logo else []
        above += [
            Line(lane.shop, Style.BOLD),
            *_lines(wanted.header),
            Line(texts.payment_type),
            Line(texts.to_pay),
            Line(amount, Style.LARGE, plain=amount.replace("₽", texts.currency)),
        ]
        below = [Line(texts.pay_until.format(time=_local(self._until(plan), "%H:%M")), Style.BOLD)]
        if wanted.order:
            below.append(Line(texts.order.format(number=plan.order_no)))
        if wanted.lane:
            below.append(Line(texts.lane.format(pos_id=lane.pos_id)))
        if wanted.date_time:
            below.append(Line(_local(self._wall(plan.begun_at_ms), "%d.%m.%Y %H:%M")))
        if wanted.not_a_receipt:
            below.append(Line(texts.not_a_receipt))
        return Ticket(
            ticket_id=plan.key,
            qr=link,
            above=above,
            below=(*below, *_lines(wanted.footer)),
            valid_until=self._wall(plan.expires_at_ms),
            qr_mm=self._settings.display.qr_mm,
            repeat=Line(texts.repeat, Style.BOLD),
        )

    def _until(self, plan: Plan) -> float:
        """The invoice's end as the customer's phone shows it: the lane's own clock may be wrong."""
        ahead = self._clock_ahead_s()
        return self._wall(plan.expires_at_ms) if ahead is None else plan.expires_at_ms / 1000 + ahead

    def ticket_again(self, plan: Plan, link: str) -> Ticket:
        """The plan's ticket under an id of its own, for a customer who lost the first one: it says that it is one more.

        Both carry the same link, which is paid once.
        """
        self._copies += 1
        ticket = self._ticket(plan, link, "")
        above = (Line(self._texts.repeat, Style.BOLD), *ticket.above)
        return replace(ticket, ticket_id=f"{plan.key}-again-{self._copies}", above=above)

    def printer_lost(self, error: DeviceError | None) -> None:
        """What a use of `printer` by others came to."""
        if self._printer is not None:
            self._printer.lost(error)

    @property
    def guard(self) -> TagGuard | None:
        """The guard of the tag; None for a lane without one."""
        return self._guard if self.has_tag else None

    @property
    def printer(self) -> Printer | None:
        """The printer, opened if need be; None for a lane without one. Raises DeviceError."""
        return None if self._printer is None else self._printer.get()

    @property
    def has_printer(self) -> bool:
        """Whether there is a printer to check between payments."""
        return self._printer is not None and self._settings.mode is Mode.PRINT

    def check_printer(self, now: int) -> None:
        """Check the printer while no payment is under way, at lane time `now`. Never raises a device's error.

        The first check opens it, which clears what a crash or a lost connection may have left in it, so that no old
        ticket comes out when somebody changes the roll, and retracts one that it left in the output.
        """
        if self._printer is None or not self.has_printer:
            return
        try:
            status = self._printer.get().status()
        except DeviceError as error:
            self._printer.lost(error)
            report = f"the printer cannot be reached: {error}"
        else:
            ready = status.ready is SensorState.YES
            report = "" if ready else f"the printer is not ready, or does not report it: {status}"
            self._printer.problem = report or None
        if report != self._printer_report:
            self._printer_report = report
            log.log(logging.ERROR if report else logging.INFO, report or "the printer is ready")
        self._retract_if_due(now)

    def withdraw_ticket(self, key: str | None, now: int) -> str | None:
        """Retract a ticket of ours from the printer's output where nobody took it, at lane time `now`.

        A ticket that has left the output is never reported as taken: the printer may have retracted it by itself.

        Args:
            key: as for `withdraw`.
            now: lane time.

        Returns:
            What became of it, for the journal; None where there is nothing to report. Never raises a device's error.
        """
        if self._ticket_out is None or self._ticket_out.key is None or key not in (self._ticket_out.key, None):
            return None
        return self._retract_if_due(now)

    def _retract_if_due(self, now: int) -> str | None:
        """Retract the ticket if the settings want it now; returns what became of it, if that is new."""
        when, ticket = self._settings.display.retract_ticket, self._ticket_out
        if self._printer is None or ticket is None or when == "never":
            return None
        if when == "expiry" and now < ticket.expires_at_ms:
            return None
        try:
            presenter = self._printer.get().presenter
            end = None if presenter is None else presenter.retract()
        except DeviceError as error:
            self._printer.lost(error)
            end, report = TicketEnd.UNKNOWN, f"it is not known whether the ticket was taken: {error}"
        else:
            report = "" if end is None else _TICKET_ENDS[end]
        if end is None or end in _GONE or end is TicketEnd.JAMMED:  # a jam is reported again at the next ticket
            self._ticket_out = None
        if not report or report == self._ticket_report:
            return None
        self._ticket_report = None if end in _GONE else report
        log.log(logging.INFO if end in _GONE else logging.ERROR, report)
        return report

    # --- the tag ---------------------------------------------------------------------------------------------

    def _verify_plate(self, link: str) -> Presentation:
        """The printed plate is always there; the tag with it is checked before each payment."""
        if self._nfc is None:
            return Presentation(True, "on the plate")
        problem = self._check(link)
        if problem is not None:
            log.error("the tag is not used: %s", problem)
            return Presentation(True, f"on the plate; the tag is not used: {problem}", tag_ok=False)
        return Presentation(True, "on the plate and the verified tag", tag_ok=True)

    def _check(self, link: str | None) -> DeviceError | None:
        """Why the tag may not be used now; None when it may."""
        assert self._nfc is not None
        try:
            problem = self._guard.check(self._nfc.get(), link)
        except DeviceError as error:  # the reader cannot be opened
            problem = error
            self._guard.note(error)
        self._nfc.lost(problem)
        return problem

    def _write_tag(self, key: str, link: str) -> Presentation:
        """Without the tag the payment goes on with the code on the screen, if the settings show one."""
        on_screen = self._settings.display.qr_with_plate
        where = "on the screen only; " if on_screen else ""
        if self._nfc is None:
            return Presentation(on_screen, f"{where}the lane has no reader", tag_ok=False)
        problem = self._check_dynamic_tag()
        if problem is not None:
            log.error("the tag is not used: %s", problem)
            return Presentation(on_screen, f"{where}the tag is not used: {problem}", tag_ok=False)
        self._tag_clear, self._tag_key = False, key
        try:
            self._count_writes(self._nfc.get().write_uri(link, uid=self._uid))
        except TagWriteFailed as error:
            self._failed(error)
            seen = on_screen or link in error.may_carry
            return Presentation(seen, _may_carry(error), tag_ok=False)
        except DeviceError as error:
            self._failed(error)
            return Presentation(on_screen, f"{where}the tag was not written: {error}", tag_ok=False)
        except ValueError as error:  # not even a link by its characters
            log.error("the tag was not written: %s", error)
            return Presentation(on_screen, f"{where}the tag was not written: {error}", tag_ok=False)
        self._guard.note(None)
        return Presentation(True, "on the tag, read back", tag_ok=True)

    def _count_writes(self, after: TagContents) -> None:
        if self._endurance is not None:
            self._endurance.add(after.uid, after.write_count)

    def _failed(self, error: DeviceError) -> None:
        assert self._nfc is not None
        if self._endurance is not None and self._uid is not None and isinstance(error, TagWriteFailed):
            self._endurance.add(self._uid, _MAX_WRITES_CUT_SHORT)
        log.error("the tag was not written: %s", error)
        self._nfc.lost(error.__cause__ if isinstance(error, TagWriteFailed) else error)
        self._guard.note(error)

    def withdraw(self, key: str | None = None) -> str | None:
        """Clear a dynamic tag that may carry a link of ours. Returns what went wrong, or None.

        Args:
            key: of the attempt whose link is to be removed. An attempt left by a crash may end while the next customer
                is paying: a link of a later attempt stays. None for whatever it carries.
        """
        if self._nfc is None or not self._dynamic_tag or self._tag_clear:
            return None
        if key is not None and self._tag_key not in (key, None):
            return None
        try:
            self._count_writes(self._nfc.get().clear(uid=self._uid))
        except DeviceError as error:
            self._failed(error)
            return _may_carry(error) if isinstance(error, TagWriteFailed) else str(error)
        self._tag_clear, self._tag_key = True, None
        self._guard.note(None)
        return None

    def _check_dynamic_tag(self) -> DeviceError | str | None:
        """Why the tag may not be written now; None when it may.

        It must be empty: a link of ours that could not be cleared before is cleared now, and so is a stranger's after
        it was reported.
        """
        if not self._tag_clear:
            return self.withdraw() or self._guard.reason
        problem = self._check(None)
        if isinstance(problem, WrongContent):
            self._tag_clear = False
            self.withdraw()
        return problem

    @property
    def has_tag(self) -> bool:
        """Whether there is a tag to check between payments."""
        return self._nfc is not None and self._settings.mode is Mode.PLATE

    def check_tag(self) -> None:
        """Check the tag while no payment is under way, where `has_tag`. Never raises a device's error."""
        if self._dynamic_tag:
            self._check_dynamic_tag()
        else:
            self._check(self._settings.display.plate_link)

    def enable_tag(self) -> None:
        """An operator has checked the tag: use it again if the next check finds it in order."""
        self._guard.enable()

    def close(self) -> None:
        """Release the devices."""
        if self._endurance is not None:
            self._endurance.save()
        if self.display is not None:
            self.display.close()
        for device in (self._printer, self._nfc):
            if device is not None:
                device.close()


def _may_carry(error: TagWriteFailed) -> str:
    carried = " or ".join(link or "nothing" for link in error.may_carry)
    return f"the tag may carry {carried}: {error}" if carried else f"the tag was not written: {error}"


def _lines(text: str) -> list[Line]:
    return [Line(line) for line in text.splitlines()]


def _local(at: float, form: str) -> str:
    """`at`, s since the epoch, in the lane's own local time."""
    return datetime.fromtimestamp(at).strftime(form)  # noqa: DTZ006 - the lane's own local time is meant
