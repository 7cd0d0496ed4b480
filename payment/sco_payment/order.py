"""What a till hands to the lane, and what it gets back: `Order` and `Result`. Amounts are in kopecks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sco_payment import attempt as m
from sco_payment.money import format_amount
from sco_payment.settings import Settings

_MAX_KOPECKS = 10**12


class LaneError(Exception):
    """Base of what a lane refuses. Nothing was sent to the acquirer."""


class Refusal(Enum):
    """Why a payment may not begin."""

    ORDER = "order"  # the order itself, or what it says of the legs before it
    BUSY = "busy"  # another payment is under way
    PAID = "paid"  # the order is paid, wholly or in part
    OPEN = "open"  # an attempt of the order, or one on the same plate, may still be paid
    KNOWN = "known"  # the journal has an attempt with this key


class PaymentRefused(LaneError, ValueError):
    """This payment may not begin; the message gives the reason and what to do, `refusal` the reason for software."""

    def __init__(self, message: str, refusal: Refusal = Refusal.ORDER) -> None:
        super().__init__(message)
        self.refusal = refusal


class UnknownAttempt(LaneError, LookupError):
    """No attempt with an outcome has that key."""


class NotAcceptable(LaneError):
    """The till can no longer refuse this outcome: it is not one of paid, or was taken."""


@dataclass(frozen=True, slots=True)
class Order:
    """A customer's receipt, and the leg of it that is to be paid now. Amounts in kopecks.

    Attributes:
        number: never reused on a lane.
        kopecks: the order's total.
        tendered_elsewhere: what legs before this one have paid by other means.
        tendered_by_sbp: what SBP legs before this one have paid on this lane. It must be what the lane's journal has:
            so a leg that is asked for again, or that the till does not know of, is never charged twice.
        leg_kopecks: the amount of this leg; None for all that the order still lacks.
    """

    number: str
    kopecks: int
    tendered_elsewhere: int = 0
    tendered_by_sbp: int = 0
    leg_kopecks: int | None = None

    @property
    def lacking_kopecks(self) -> int:
        """What the legs before this one have left to pay."""
        return self.kopecks - self.tendered_elsewhere - self.tendered_by_sbp

    @property
    def due_kopecks(self) -> int:
        """The amount of this leg."""
        return self.lacking_kopecks if self.leg_kopecks is None else self.leg_kopecks


@dataclass(frozen=True, slots=True)
class Result:
    """The result of an attempt.

    Attributes:
        outcome: paid, unpaid, unknown, or not presented; None for one that still runs (in recovery).
        reason: why it ended this way.
        case: number of the case that an operator must decide; None for none.
        key, payment_id, order_no, kopecks: of the attempt.
        phase: the attempt's phase now.
        presented: whether the customer may have seen the link. For a static plate: whether the lane has asked the
            customer to use it.
        detail: for an outcome of not presented: what prevented it, in words for the staff. Otherwise, and where that
            is not known, empty.
    """

    outcome: m.Outcome | None
    reason: m.EndReason
    case: int | None
    key: str
    payment_id: str | None
    order_no: str
    kopecks: int
    phase: m.Phase
    presented: bool
    detail: str = ""


def check_order(order: Order, settings: Settings) -> None:
    """Check an order without opening a lane.

    Raises:
        PaymentRefused: a lane with these settings can take no payment for it.
    """
    number = order.number
    if not isinstance(number, str) or not _is_number(number):
        raise PaymentRefused(f"the order number {number!r} must be a text of 1 to 64 printable characters")
    amounts: dict[str, object] = {
        "kopecks": order.kopecks,
        "tendered_elsewhere": order.tendered_elsewhere,
        "tendered_by_sbp": order.tendered_by_sbp,
        "leg_kopecks": 1 if order.leg_kopecks is None else order.leg_kopecks,
    }
    for name, value in amounts.items():
        if type(value) is not int or abs(value) > _MAX_KOPECKS:  # 19.99 * 100 is 1998.9999999999998
            raise PaymentRefused(f"order {number}: {name} = {value!r} must be a whole number (int) of kopecks")
    if order.kopecks <= 0 or order.tendered_elsewhere < 0 or order.tendered_by_sbp < 0:
        raise PaymentRefused(
            f"order {number}: its total must be more than zero, tendered_elsewhere and tendered_by_sbp "
            "not less than zero"
        )
    lacking = order.lacking_kopecks
    if lacking <= 0:
        raise PaymentRefused(
            f"order {number}: {format_amount(order.kopecks - lacking)} of {format_amount(order.kopecks)} "
            "are tendered by the legs before this one, nothing is left to pay"
        )
    if not 1 <= order.due_kopecks <= lacking:
        raise PaymentRefused(
            f"order {number}: leg_kopecks = {order.leg_kopecks} must be from 1 to {lacking}, "
            "which is what the order still lacks"
        )
    whole = order.due_kopecks == order.kopecks
    if not whole and not (settings.lane.profile == "4:3" and settings.mode is m.Mode.SCREEN):
        raise PaymentRefused(
            "a mixed payment needs lane.profile 4:3 and display.mode 1; "
            f"this lane has {settings.lane.profile} and mode {settings.display.mode}"
        )


def check_names(key: str | None, till_id: str | None) -> None:
    """Check what a till calls an attempt.

    Raises:
        PaymentRefused: it cannot be kept in the journal, or sent.
    """
    if key is not None and not (_is_number(key) and key.isascii()):
        raise PaymentRefused(f"the key {key!r} must be a text of 1 to 64 printable ASCII characters")
    if till_id is not None and not _is_number(till_id):
        raise PaymentRefused(f"till_id = {till_id!r} must be a text of 1 to 64 printable characters")


def _is_number(text: str) -> bool:
    return 1 <= len(text) <= 64 and text.isprintable() and text == text.strip()
