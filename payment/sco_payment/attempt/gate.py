"""Whether a new attempt may begin, and what a starting lane must pick up. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sco_payment.attempt.states import FINAL, CaseReason, Phase, State
from sco_payment.money import format_amount

_AMOUNT_TAKEN = {
    CaseReason.AMOUNT_MISMATCH: "the acquirer took another amount for order",
    CaseReason.REFUNDED: "the acquirer took and refunded the payment of order",
}
"""Cases whose payment can take no more money: its order waits for an operator, but its plate is free."""


def needs_recovery(state: State) -> bool:
    """Whether a lane that starts again must do something about the attempt."""
    if state.phase is Phase.PAID:
        return not state.delivered and state.case is None
    return state.phase not in FINAL


def gate(
    order_no: str,
    sticker_id: str | None,
    others: Iterable[State],
    tendered_by_sbp: int = 0,
    total_kopecks: int | None = None,
) -> str | None:
    """Why no attempt may begin for `order_no` (on the plate `sticker_id`), given the others; None when it may.

    Args:
        order_no, sticker_id: of the new attempt.
        others: every attempt of the order, and every other one that may still hold money.
        tendered_by_sbp: what the till says that SBP legs of the order have paid. It must be what they have paid: a till
            that does not know of a leg, or asks for one again, must not charge the customer twice.
        total_kopecks: the order's total, on which all of its paid legs must agree; None to leave that out.
    """
    paid: list[State] = []
    for other in others:
        same_order = other.plan.order_no == order_no
        if same_order and other.phase is Phase.PAID_LATE:
            return f"order {order_no} is already paid (attempt {other.plan.key})"
        if same_order and other.phase is Phase.PAID:
            paid.append(other)
        if same_order and other.phase is Phase.REFUNDABLE:
            return f"order {order_no} is paid by attempt {other.plan.key}, whose cancellation may still refund it"
        if other.phase in (Phase.PAID, Phase.UNPAID, Phase.PAID_LATE, Phase.CLOSED, Phase.REFUNDABLE):
            continue
        if other.case in _AMOUNT_TAKEN:
            if same_order:
                return f"{_AMOUNT_TAKEN[other.case]} {order_no} (attempt {other.plan.key}): an operator must decide"
            continue
        if same_order:
            return f"order {order_no} may still be paid by attempt {other.plan.key}, which the acquirer has not closed"
        if sticker_id is not None and other.plan.sticker_id == sticker_id:
            return (
                f"the plate {sticker_id} may still be armed for order {other.plan.order_no}: "
                f"the acquirer has not closed attempt {other.plan.key}"
            )
    return _why_not_next_leg(order_no, paid, tendered_by_sbp, total_kopecks)


def _why_not_next_leg(order_no: str, paid: list[State], tendered_by_sbp: int, total_kopecks: int | None) -> str | None:
    """Why what the till says of the order contradicts its paid legs; None when it does not."""
    keys = ", ".join(leg.plan.key for leg in paid)
    for leg in paid:
        if leg.plan.remaining == 0:
            return f"order {order_no} is already paid (attempt {keys})"
        if total_kopecks is not None and leg.plan.total_kopecks != total_kopecks:
            return (
                f"order {order_no} is already paid in part (attempt {keys}), of a total of "
                f"{format_amount(leg.plan.total_kopecks)}, and not of {format_amount(total_kopecks)}"
            )
    found = sum(leg.plan.kopecks for leg in paid)
    if found > tendered_by_sbp:
        return (
            f"order {order_no} is already paid in part (attempt {keys}): {format_amount(found)} by SBP, "
            f"of which this request counts {format_amount(tendered_by_sbp)}"
        )
    if found < tendered_by_sbp:
        return (
            f"order {order_no}: this request counts {format_amount(tendered_by_sbp)} as paid by SBP, "
            f"this lane's journal {format_amount(found)}"
        )
    return None
