"""Puts a link before the customer by the display mode, and takes it away again; watches the NFC tag meanwhile.

It says `PresentFailed` only when it is certain that no customer can see the link; whenever that is not certain the link
counts as presented, and the bank is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sco_drivers.errors import DeviceError
from sco_drivers.nfc import TagContents, TagReader, TagWriteFailed, WrongContent
from sco_drivers.nfc.endurance import WriteEndurance
from sco_drivers.nfc.guard import GuardEvent, TagGuard
from sco_drivers.printer import DuplicateTicket, Line, Printer, PrintOutcome, SensorState, Style, Ticket
from sco_payment.attempt import Mode, Plan
from sco_payment.customer.texts import Texts
from sco_payment.devices import ReopeningDevice
from sco_payment.money import format_amount
from sco_payment.settings import Settings

log = logging.getLogger(__name__)

_MOST_WORN = 2  # a write that was cut short wrote no page more often, as far as it went


@dataclass(frozen=True, slots=True)
class Presentation:
    """What was done with the link.

    Attributes:
        seen: whether a customer can see it, or may; False only when that is certain.
        evidence: how that is known, for the journal.
        tag_ok: whether the NFC tag carries the link; None where no tag is part of it.
    """

    seen: bool
    evidence: str
    tag_ok: bool | None = None


def unwatched(event: GuardEvent) -> None:
    """For a presenter whose tag nobody watches."""


class Presenter:
    """Printer and tag of one lane. The screen is the lane's UI, which the runner drives.

    Args:
        settings, texts: of the lane.
        printer, nfc: None for a device that the lane does not have.
        wall: the wall clock of a moment of lane time.
        on_tag: is told when the tag is found otherwise than before, from the thread of the devices.
        wear: counts the writes of a dynamic tag; None where nobody counts them.
    """

    def __init__(
        self,
        settings: Settings,
        texts: Texts,
        *,
        printer: ReopeningDevice[Printer] | None,
        nfc: ReopeningDevice[TagReader] | None,
        wall: Callable[[int], float],
        on_tag: Callable[[GuardEvent], None] = unwatched,
        wear: WriteEndurance | None = None,
    ) -> None:
        self._settings = settings
        self._texts = texts
        self._printer = printer
        self._nfc = nfc
        self._wall = wall
        self._uid = bytes.fromhex(settings.devices.nfc_uid) if settings.devices.nfc_uid else None
        self._printer_said = ""
        self._guard = TagGuard(self._uid, on_tag)
        self._wear = wear
        self._dynamic_tag = settings.mode is Mode.PLATE and settings.display.plate == "dynamic"
        self._tag_left_clear = False  # until we have cleared it: a crash may have left a link on it
        self._tag_key: str | None = None  # of the attempt whose link was written last; None where that is not known

    def present(self, plan: Plan, link: str) -> Presentation:
        """Do what the plan's mode asks for beside the screen. Never raises a device's error."""
        if plan.mode is Mode.PRINT:
            return self._print(plan, link)
        if plan.mode is Mode.SCREEN:
            return Presentation(True, "on the screen")
        return self._write_tag(plan.key, link) if self._dynamic_tag else self._verify_plate(link)

    def _print(self, plan: Plan, link: str) -> Presentation:
        if self._printer is None:
            return Presentation(False, "the lane has no printer")
        try:
            result = self._printer.get().print_ticket(self._ticket(plan, link))
        except DuplicateTicket as error:  # an earlier print of this attempt may be in the customer's hand
            return Presentation(True, str(error))
        except DeviceError as error:  # it cannot be opened, or refused before a byte was sent
            self._printer.lost(error)
            return Presentation(False, str(error))
        self._printer.lost(result.error)
        if result.may_come_later:
            log.error("the printer may still hold the ticket and print it later: switch it off and on")
        if result.outcome is PrintOutcome.NOT_PRINTED:
            return Presentation(False, f"{result.evidence}: {result.error}" if result.error else result.evidence)
        return Presentation(True, f"ticket {result.outcome.value}: {result.evidence}")

    def _ticket(self, plan: Plan, link: str) -> Ticket:
        until = self._wall(plan.expires_at_ms)
        texts = self._texts
        clock = datetime.fromtimestamp(until).strftime("%H:%M")  # noqa: DTZ006 - the lane's own local time is meant
        return Ticket(
            ticket_id=plan.key,
            qr=link,
            above=(
                Line(self._settings.lane.shop, Style.BOLD),
                Line(texts.payment_type),
                Line(texts.to_pay),
                Line(format_amount(plan.kopecks, sign="руб."), Style.LARGE),
            ),
            below=(
                Line(texts.pay_until.format(time=clock), Style.BOLD),
                Line(texts.order.format(number=plan.order_no)),
            ),
            valid_until=until,
            qr_mm=self._settings.display.qr_mm,
        )

    @property
    def has_printer(self) -> bool:
        """Whether there is a printer to look at between payments."""
        return self._printer is not None and self._settings.mode is Mode.PRINT

    def check_printer(self) -> None:
        """Look at the printer while no payment is under way. Never raises a device's error.

        The first look opens it, and what a ticket of before a crash or a loss may have left in it is cleared then, so
        that it does not come out when somebody changes the roll.
        """
        if self._printer is None or not self.has_printer:
            return
        try:
            status = self._printer.get().status()
        except DeviceError as error:
            self._printer.lost(error)
            said = f"the printer cannot be reached: {error}"
        else:
            said = "" if status.ready is SensorState.YES else f"the printer is not ready, or does not say: {status}"
        if said != self._printer_said:
            self._printer_said = said
            log.log(logging.ERROR if said else logging.INFO, said or "the printer is ready")

    # --- the tag ---------------------------------------------------------------------------------------------

    def _verify_plate(self, link: str) -> Presentation:
        """The printed plate is always there; the tag beside it is checked before each payment."""
        if self._nfc is None:
            return Presentation(True, "on the plate")
        problem = self._look(link)
        if problem is not None:
            log.error("the tag is not used: %s", problem)
            return Presentation(True, f"on the plate; the tag is not used: {problem}", tag_ok=False)
        return Presentation(True, "on the plate and the verified tag", tag_ok=True)

    def _look(self, link: str | None) -> DeviceError | None:
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
        """Without the tag the payment goes on by the code on the screen, where the settings show one."""
        on_screen = self._settings.display.qr_with_plate
        where = "on the screen only; " if on_screen else ""
        if self._nfc is None:
            return Presentation(on_screen, f"{where}the lane has no reader", tag_ok=False)
        problem = self._look_at_dynamic_tag()
        if problem is not None:
            log.error("the tag is not used: %s", problem)
            return Presentation(on_screen, f"{where}the tag is not used: {problem}", tag_ok=False)
        self._tag_left_clear, self._tag_key = False, key
        try:
            self._worn(self._nfc.get().write_uri(link, uid=self._uid))
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

    def _worn(self, after: TagContents) -> None:
        if self._wear is not None:
            self._wear.add(after.uid, after.write_count)

    def _failed(self, error: DeviceError) -> None:
        assert self._nfc is not None
        if self._wear is not None and self._uid is not None and isinstance(error, TagWriteFailed):
            self._wear.add(self._uid, _MOST_WORN)
        log.error("the tag was not written: %s", error)
        self._nfc.lost(error.__cause__ if isinstance(error, TagWriteFailed) else error)
        self._guard.note(error)

    def withdraw(self, key: str | None = None) -> str | None:
        """Clear a dynamic tag that may carry a link of ours. Returns what went wrong, or None.

        Args:
            key: of the attempt whose link is to be taken off. One that a crash left may end while the next customer
                stands there: a link of a later attempt stays. None for whatever it carries.
        """
        if self._nfc is None or not self._dynamic_tag or self._tag_left_clear:
            return None
        if key is not None and self._tag_key not in (key, None):
            return None
        try:
            self._worn(self._nfc.get().clear(uid=self._uid))
        except DeviceError as error:
            self._failed(error)
            return _may_carry(error) if isinstance(error, TagWriteFailed) else str(error)
        self._tag_left_clear, self._tag_key = True, None
        self._guard.note(None)
        return None

    def _look_at_dynamic_tag(self) -> DeviceError | str | None:
        """Why the tag may not be written now; None when it may.

        It must be empty: a link of ours that could not be cleared is cleared now, and one that somebody else put there
        is cleared too, after it was reported.
        """
        if not self._tag_left_clear:
            return self.withdraw() or self._guard.reason
        problem = self._look(None)
        if isinstance(problem, WrongContent):
            self._tag_left_clear = False
            self.withdraw()
        return problem

    @property
    def has_tag(self) -> bool:
        """Whether there is a tag to look at between payments."""
        return self._nfc is not None and self._settings.mode is Mode.PLATE

    def check_tag(self) -> None:
        """Look at the tag while no payment is under way, where `has_tag`. Never raises a device's error."""
        if self._dynamic_tag:
            self._look_at_dynamic_tag()
        else:
            self._look(self._settings.display.plate_link)

    def enable_tag(self) -> None:
        """A person has looked at the tag: it may be used again if the next look finds it well."""
        self._guard.enable()

    def close(self) -> None:
        """Give the devices back."""
        if self._wear is not None:
            self._wear.save()
        for device in (self._printer, self._nfc):
            if device is not None:
                device.close()


def _may_carry(error: TagWriteFailed) -> str:
    carried = " or ".join(link or "nothing" for link in error.may_carry)
    return f"the tag may carry {carried}: {error}" if carried else f"the tag was not written: {error}"
