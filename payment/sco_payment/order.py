"""What a till hands to the lane, and what it gets back: `Order` and `Result`. Amounts are in kopecks."""

from __future__ import annotations

from dataclasses import dataclass

from sco_payment import attempt as m
from sco_payment.money import format_amount
from sco_payment.settings import Settings

_MAX_KOPECKS = 10**12


class LaneError(Exception):
    """Base of what a lane refuses. Nothing was sent to the acquirer."""


class PaymentRefused(LaneError, ValueError):
    """This payment may not begin; the message gives the reason and what to do."""


class UnknownAttempt(LaneError, LookupError):
    """No attempt with an outcome has that key."""


@dataclass(frozen=True, slots=True)
class Order:
    """A customer's receipt: its number, its total, and what legs before this one have paid. Amounts in kopecks."""

    number: str
    kopecks: int
    tendered_elsewhere: int = 0


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
    for name, value in (("kopecks", order.kopecks), ("tendered_elsewhere", order.tendered_elsewhere)):
        if type(value) is not int or abs(value) > _MAX_KOPECKS:  # 19.99 * 100 is 1998.9999999999998
            raise PaymentRefused(f"order {number}: {name} = {value!r} must be a whole number (int) of kopecks")
    if order.kopecks <= 0 or order.tendered_elsewhere < 0:
        raise PaymentRefused("the order's total must be more than zero, and tendered_elsewhere not less than zero")
    if order.kopecks <= order.tendered_elsewhere:
        raise PaymentRefused(
            f"order {number}: {format_amount(order.tendered_elsewhere)} of {format_amount(order.kopecks)} "
            "are tendered elsewhere, nothing is left to pay"
        )
    if order.tendered_elsewhere and not (settings.lane.profile == "4:3" and settings.mode is m.Mode.SCREEN):
        raise PaymentRefused(
            "a mixed payment needs lane.profile 4:3 and display.mode 1; "
            f"this lane has {settings.lane.profile} and mode {settings.display.mode}"
        )


def _is_number(text: str) -> bool:
    return 1 <= len(text) <= 64 and text.isprintable() and text == text.strip()
