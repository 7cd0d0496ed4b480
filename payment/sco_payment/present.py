"""Puts a link before the customer by the display mode, and takes it away again.

It says `PresentFailed` only when it is certain that no customer can see the link; whenever that is not certain the link
counts as presented, and the bank is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from sco_drivers.errors import DeviceError
from sco_drivers.nfc import TagReader, TagWriteFailed
from sco_drivers.printer import Line, Printer, PrintOutcome, Style, Ticket
from sco_payment.devices import Held
from sco_payment.machine import Mode, Plan
from sco_payment.money import for_people
from sco_payment.settings import Settings
from sco_payment.texts import Texts

log = logging.getLogger(__name__)


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


class Presenter:
    """Printer and tag of one lane. The screen is the lane's UI, which the runner drives."""

    def __init__(
        self,
        settings: Settings,
        texts: Texts,
        *,
        printer: Held[Printer] | None,
        nfc: Held[TagReader] | None,
        wall: Callable[[int], float],
    ) -> None:
        self._settings = settings
        self._texts = texts
        self._printer = printer
        self._nfc = nfc
        self._wall = wall
        self._uid = bytes.fromhex(settings.devices.nfc_uid) if settings.devices.nfc_uid else None
        self._dynamic_tag = settings.mode is Mode.PLATE and settings.display.plate == "dynamic"

    def present(self, plan: Plan, link: str) -> Presentation:
        """Do what the plan's mode asks for beside the screen. Never raises a device's error."""
        if plan.mode is Mode.PRINT:
            return self._print(plan, link)
        if plan.mode is Mode.SCREEN:
            return Presentation(True, "on the screen")
        return self._write_tag(link) if self._dynamic_tag else self._verify_plate(link)

    def _print(self, plan: Plan, link: str) -> Presentation:
        if self._printer is None:
            return Presentation(False, "the lane has no printer")
        try:
            result = self._printer.get().print_ticket(self._ticket(plan, link))
        except DeviceError as error:  # it cannot be opened, or refused before a byte was sent
            self._printer.lost(error)
            return Presentation(False, str(error))
        self._printer.lost(result.error)
        if result.outcome is PrintOutcome.NOT_PRINTED:
            return Presentation(False, f"{result.evidence}: {result.error}" if result.error else result.evidence)
        return Presentation(True, f"ticket {result.outcome.value}: {result.evidence}")

    def _ticket(self, plan: Plan, link: str) -> Ticket:
        until = self._wall(plan.expires_at)
        texts = self._texts
        clock = datetime.fromtimestamp(until).strftime("%H:%M")  # noqa: DTZ006 - the lane's own local time is meant
        return Ticket(
            ticket_id=plan.key,
            qr=link,
            above=(
                Line(self._settings.lane.shop, Style.BOLD),
                Line(texts.payment_type),
                Line(texts.to_pay),
                Line(for_people(plan.kopecks, sign="руб."), Style.LARGE),
            ),
            below=(
                Line(texts.pay_until.format(time=clock), Style.BOLD),
                Line(texts.order.format(number=plan.order_no)),
            ),
            valid_until=until,
            qr_mm=self._settings.display.qr_mm,
        )

    def _verify_plate(self, link: str) -> Presentation:
        """The printed plate is always there; the tag beside it is checked before each payment."""
        if self._nfc is None:
            return Presentation(True, "on the plate")
        try:
            self._nfc.get().verify(link, uid=self._uid)
        except DeviceError as error:
            self._nfc.lost(error)
            log.error("the tag is not used for this payment: %s", error)
            return Presentation(True, f"on the plate; the tag is not used: {error}", tag_ok=False)
        return Presentation(True, "on the plate and the verified tag", tag_ok=True)

    def _write_tag(self, link: str) -> Presentation:
        """Without the tag the payment goes on by the code on the screen, where the settings show one."""
        on_screen = self._settings.display.qr_with_plate
        if self._nfc is None:
            return Presentation(on_screen, "the lane has no reader", tag_ok=False)
        try:
            self._nfc.get().write_uri(link, uid=self._uid)
        except TagWriteFailed as error:
            self._nfc.lost(error.__cause__)
            log.error("the tag was not written: %s", error)
            seen = on_screen or link in error.may_carry
            return Presentation(seen, f"the tag may carry {error.may_carry}: {error}", tag_ok=False)
        except DeviceError as error:
            self._nfc.lost(error)
            log.error("the tag was not written: %s", error)
            return Presentation(on_screen, str(error), tag_ok=False)
        return Presentation(True, "on the tag, read back", tag_ok=True)

    def withdraw(self) -> str | None:
        """Clear a dynamic tag. Returns what went wrong, or None."""
        if self._nfc is None or not self._dynamic_tag:
            return None
        try:
            self._nfc.get().clear(uid=self._uid)
        except DeviceError as error:
            self._nfc.lost(error)
            log.error("the tag was not cleared: %s", error)
            return str(error)
        return None

    def close(self) -> None:
        """Give the devices back."""
        for device in (self._printer, self._nfc):
            if device is not None:
                device.close()
