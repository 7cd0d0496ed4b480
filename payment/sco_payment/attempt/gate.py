"""Whether a new attempt may begin, and what a starting lane must pick up. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sco_payment.attempt.states import FINAL, CaseReason, Phase, State

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


def gate(order_no: str, sticker_id: str | None, others: Iterable[State]) -> str | None:
    """Why no attempt may begin for `order_no` (on the plate `sticker_id`), given the others; None when it may."""
    for other in others:
        same_order = other.plan.order_no == order_no
        if same_order and other.phase in (Phase.PAID, Phase.PAID_LATE):
            return f"order {order_no} is already paid (attempt {other.plan.key})"
        if other.phase in (Phase.PAID, Phase.UNPAID, Phase.PAID_LATE, Phase.CLOSED):
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
    return None
