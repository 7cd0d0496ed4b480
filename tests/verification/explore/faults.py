"""The seeded faults of the machine, each of which the explorer must catch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sco_payment import attempt as m
from sco_payment.attempt import _handlers
from tests.verification.seeded import Patch, SeededFault

Handler = Callable[[m.State, Any], m.Step]


def _fault(
    name: str,
    *breaks: int,
    functions: dict[str, Any] | None = None,
    rules: dict[tuple[m.Phase, type], Handler] | None = None,
    scenario: str = "screen",
) -> SeededFault:
    """`functions` of the machine, by name, and rules of its table, which may lead anywhere, with what replaces them."""
    patches = [_function(name, function) for name, function in (functions or {}).items()]
    patches += [_rule(phase, event, handler) for (phase, event), handler in (rules or {}).items()]
    return SeededFault(name, frozenset(breaks), tuple(patches), scenario)


def _function(name: str, function: Any) -> Patch:
    return Patch(m if hasattr(m, name) else _handlers, name, lambda original: function)


def _rule(phase: m.Phase, event: type, handler: Handler) -> Patch:
    return Patch(m.TABLE[phase], event, lambda original: m.Rule(handler, frozenset(m.Phase)))


def _closes(state: m.State, event: object) -> m.Step:
    return _handlers.unpaid(state)


def _no_seq(state: m.State, event: m.Event) -> m.Step:
    if isinstance(event, m.ANSWERS):
        event = replace(event, seq=state.seq)
        state = replace(state, busy=True)
    return _step(state, event)


_step = m.step
_significant = m.significant
_needs_recovery = m.needs_recovery
_due = m.due


def _no_id(state: m.State, event: m.Event) -> m.Step:
    if isinstance(event, m.PaymentStatusReceived) and state.payment_id is not None:
        event = replace(event, payment_id=state.payment_id)
    return _step(state, event)


def _cancel_again(state: m.State, event: m.CancelAnswered) -> m.Step:
    if event.result is not m.Cancel.UNANSWERED:
        return _handlers.confirm(state, event.at_ms, cancel=event.result)
    return _handlers.send_cancel(replace(state, cancel=m.Cancel.NOT_ASKED), state.reason)


def _cancel_is_outcome(state: m.State, event: m.CancelWanted) -> m.Step:
    after, effects = _handlers.send_cancel(replace(state, presented=True), m.EndReason.CUSTOMER)
    after, ends = _handlers.finish(after, m.Outcome.UNPAID, m.View.UNPAID)
    return after, (*effects, *ends)


def _gate_by_outcome(order_no: str, sticker_id: str | None, others: Any) -> str | None:
    """A new attempt as soon as an outcome was reported."""
    for other in others:
        if other.outcome is None and other.plan.order_no == order_no:
            return "the order has an attempt under way"
    return None


def _gate_by_order(order_no: str, sticker_id: str | None, others: Any) -> str | None:
    for other in others:
        if other.plan.order_no == order_no and other.phase is not m.Phase.UNPAID:
            return "the order has another attempt"
    return None


def _expired_is_unpaid(state: m.State, event: m.Tick) -> m.Step:
    if event.at_ms >= state.plan.expires_at_ms:
        return _handlers.unpaid(replace(state, reason=m.EndReason.EXPIRED))
    return _handlers.waiting_tick(state, event)


def _late_money_is_dropped(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    if event.status is m.PaymentStatus.PAID:
        return replace(state, phase=m.Phase.PAID_LATE, payment_id=event.payment_id), ()
    return _handlers.watching_status(state, event)


def _late_money_is_unpaid(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    if event.status is m.PaymentStatus.PAID:
        return replace(state, phase=m.Phase.UNPAID, payment_id=event.payment_id), ()
    return _handlers.watching_status(state, event)


def _watch_ends_without_a_case(state: m.State, event: m.StatusUnavailable) -> m.Step:
    return (
        _handlers.ask_later(state, event)
        if event.at_ms < state.until_ms
        else (replace(state, phase=m.Phase.UNSETTLED), ())
    )


def _watch_never_ends(state: m.State, event: m.StatusUnavailable) -> m.Step:
    return replace(state, next_at_ms=event.at_ms + 1, until_ms=event.at_ms + 1), ()


def _cancel_before_case(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    if event.status is m.PaymentStatus.OPEN and event.proved and state.cancel is m.Cancel.NOT_ASKED:
        return _handlers._ask_to_cancel(replace(state, payment_id=event.payment_id))
    return _handlers.watching_status(state, event)


def _offered_unjudged(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    if event.proved and event.status is m.PaymentStatus.OPEN and event.link is not None:
        found = replace(state, payment_id=event.payment_id, phase=m.Phase.PRESENTING, until_ms=event.at_ms + 1)
        return found, (m.Present(event.link, True),)
    return _handlers.finding_status(state, event)


def _offered_unproved(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    return _handlers.finding_status(state, replace(event, proved=True))


def _link_unjudged(state: m.State, event: m.Created) -> m.Step:
    if event.status in (m.PaymentStatus.PAID, m.PaymentStatus.CLOSED) or event.link is None:
        return _handlers.created(state, event)
    state = replace(
        state,
        payment_id=event.payment_id,
        link=event.link,
        phase=m.Phase.PRESENTING,
        until_ms=event.at_ms + 1,
        may_exist=True,
    )
    return state, (m.Present(event.link, True),)


def _any_plate(state: m.State, event: m.Created) -> m.Step:
    after, effects = _handlers.created(replace(state, plan=replace(state.plan, plate_link=None)), event)
    return replace(after, plan=state.plan), effects


def _unsure_create_counts_as_failed(state: m.State, event: m.CreateFailed) -> m.Step:
    return _handlers.create_failed(state, replace(event, may_exist=False, final=True))


def _paid_in_memory_only(before: m.State | None, after: m.State, effects: Any) -> bool:
    return after.phase is not m.Phase.PAID and _significant(before, after, effects)


def _cancel_in_memory_only(before: m.State | None, after: m.State, effects: Any) -> bool:
    return after.phase is not m.Phase.CANCELLING and _significant(before, after, effects)


def _dialog_never_ends(state: m.State) -> int | None:
    return None if state.phase is m.Phase.ASKING else _due(state)


def _restart_waits_on(state: m.State, event: m.Recovered) -> m.Step:
    return replace(state, phase=m.Phase.CANCELLING, busy=True), ()


def _found_is_ours(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    return _handlers.finding_status(replace(state, link="as if it had been shown"), replace(event, proved=True))


def _found_is_cancelled(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    return _handlers.finding_status(state, replace(event, proved=True))


def taken_is_taken(state: m.State, event: m.Recovered) -> m.Step:
    """What the till gives back after it has taken it is forgotten."""
    return (state, ()) if state.delivered else _handlers.recover_paid(state, event)


def _refund_is_unpaid(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    if event.status is m.PaymentStatus.REFUNDED:
        event = replace(event, status=m.PaymentStatus.CLOSED)
    return _handlers.confirming_status(state, event)


def _overstayed_is_not_cancelled(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    if event.status is m.PaymentStatus.OPEN and state.reason is m.EndReason.EXPIRED:
        return _handlers.ask_later(state, event)
    return _handlers.confirming_status(state, event)


def _silence_ends_the_watch(state: m.State, event: m.StatusUnavailable) -> m.Step:
    after, effects = _handlers.watch_on(state, event)
    return (replace(after, phase=m.Phase.UNSETTLED) if after.phase is m.Phase.OVERDUE else after), effects


def _no_link_is_cancelled(state: m.State, event: m.Created) -> m.Step:
    if event.link is None and event.status is m.PaymentStatus.OPEN:
        return _handlers.send_cancel(replace(state, payment_id=event.payment_id), m.EndReason.LINK_REFUSED)
    return _handlers.created(state, event)


def _unsent_counts_as_sent(state: m.State, event: m.CancelAnswered) -> m.Step:
    unsent = event.result is m.Cancel.NOT_ASKED
    return _handlers.cancel_answered(state, replace(event, result=m.Cancel.UNANSWERED) if unsent else event)


def _late_refund_is_not_awaited(state: m.State, at: int) -> m.State:
    return replace(state, phase=m.Phase.PAID_LATE)


def _days_end_unspent(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
    days = state.plan.over_at_ms + state.plan.timing.overdue_ms
    if event.status is m.PaymentStatus.OPEN and event.at_ms >= days:
        return _handlers._given_up(replace(state, payment_id=event.payment_id))
    return _handlers.watching_status(state, event)


P = m.Phase
FAULTS = (
    _fault("a cancellation that failed counts as cancelled", 4, rules={(P.CANCELLING, m.CancelAnswered): _closes}),
    _fault(
        "the customer's Отменить counts as not paid at once", 4, rules={(P.WAITING, m.CancelWanted): _cancel_is_outcome}
    ),
    _fault("the lane's own timeout counts as declined", 4, rules={(P.WAITING, m.Tick): _expired_is_unpaid}),
    _fault("'not found' counts as unpaid", 4, 5, rules={(P.CONFIRMING, m.StatusUnavailable): _closes}),
    _fault("an empty list counts as never created", 4, rules={(P.FINDING, m.PaymentNotListed): _closes}),
    _fault(
        "a create without an answer counts as never created",
        4,
        rules={(P.CREATING, m.CreateFailed): _unsure_create_counts_as_failed},
    ),
    _fault("a restart forgets the create that was under way", 4, rules={(P.CREATING, m.Recovered): _closes}),
    _fault("a retry may create again once an outcome was reported", 3, functions={"gate": _gate_by_outcome}),
    _fault(
        "the plate is armed while the payment of another order is open",
        7,
        functions={"gate": _gate_by_order},
        scenario="plate",
    ),
    _fault("a stale answer is accepted", 0, 1, 4, 5, functions={"step": _no_seq}),
    _fault("an answer about another payment is accepted", 1, 5, functions={"step": _no_id}),
    _fault(
        "another till's money counts as this one's", 1, 7, rules={(P.FINDING, m.PaymentStatusReceived): _found_is_ours}
    ),
    _fault(
        "a payment found by number and amount only is cancelled",
        7,
        rules={(P.FINDING, m.PaymentStatusReceived): _found_is_cancelled},
    ),
    _fault(
        "the end of the watch takes an answer to an earlier request",
        4,
        functions={"is_complete": lambda state: True},
    ),
    _fault(
        "a payment that nobody could see counts as paid here",
        1,
        functions={"_could_be_seen": lambda state: True},
    ),
    _fault(
        "what the acquirer has closed is not watched",
        2,
        functions={"_could_be_seen": lambda state: False},
        scenario="declining",
    ),
    _fault(
        "money that comes after days counts as unpaid",
        4,
        rules={(P.OVERDUE, m.PaymentStatusReceived): _late_money_is_unpaid},
    ),
    _fault(
        "money that comes after the acquirer closed the payment is dropped",
        2,
        rules={(P.CLOSED, m.PaymentStatusReceived): _late_money_is_dropped},
        scenario="declining",
    ),
    _fault("a link that came later is not judged", 7, rules={(P.FINDING, m.PaymentStatusReceived): _offered_unjudged}),
    _fault(
        "the link of a payment that agrees in number and amount is shown",
        7,
        rules={(P.FINDING, m.PaymentStatusReceived): _offered_unproved},
    ),
    _fault(
        "a cancellation that cannot be sent puts off the case",
        5,
        rules={(P.WATCHING, m.PaymentStatusReceived): _cancel_before_case},
        scenario="declining",
    ),
    _fault("the amount is not compared", 1, functions={"full_amount": lambda state, event: True}),
    _fault("the link is not judged", 7, rules={(P.CREATING, m.Created): _link_unjudged}),
    _fault("the link of any plate is accepted", 7, rules={(P.CREATING, m.Created): _any_plate}, scenario="plate"),
    _fault("an unanswered cancellation is sent again", 4, rules={(P.CANCELLING, m.CancelAnswered): _cancel_again}),
    _fault("PAID is reported before it is on disk", 1, functions={"significant": _paid_in_memory_only}),
    _fault("the cancellation is sent before it is on disk", 1, 4, functions={"significant": _cancel_in_memory_only}),
    _fault(
        "money that comes late is dropped", 2, rules={(P.WATCHING, m.PaymentStatusReceived): _late_money_is_dropped}
    ),
    _fault(
        "the watch ends without a case", 2, 5, rules={(P.WATCHING, m.StatusUnavailable): _watch_ends_without_a_case}
    ),
    _fault("the watch never ends", 5, rules={(P.WATCHING, m.StatusUnavailable): _watch_never_ends}),
    _fault(
        "a paid attempt whose outcome was not taken is forgotten",
        2,
        functions={"needs_recovery": lambda s: s.phase not in m.FINAL},
    ),
    _fault("a sale that is voided after it was taken is forgotten", 2, rules={(P.PAID, m.Recovered): taken_is_taken}),
    _fault("the dialog never ends", 5, functions={"due": _dialog_never_ends}, scenario="silent dialog"),
    _fault(
        "after a restart the lane waits for an answer that cannot come",
        5,
        rules={(P.CANCELLING, m.Recovered): _restart_waits_on},
    ),
    _fault(
        "what the acquirer keeps open after its end is not cancelled",
        5,
        rules={(P.CONFIRMING, m.PaymentStatusReceived): _overstayed_is_not_cancelled},
    ),
    _fault(
        "silence ends the watch, with a case", 5, rules={(P.WATCHING, m.StatusUnavailable): _silence_ends_the_watch}
    ),
    _fault(
        "a payment whose link has not come is cancelled at once",
        4,
        rules={(P.CREATING, m.Created): _no_link_is_cancelled},
    ),
    _fault(
        "a cancellation that never left counts as sent",
        5,
        rules={(P.CANCELLING, m.CancelAnswered): _unsent_counts_as_sent},
    ),
    _fault(
        "a cancellation without an answer is taken for one that did nothing",
        1,
        functions={"may_be_refunded": lambda state: state.cancel is m.Cancel.ACCEPTED},
        scenario="refunding",
    ),
    _fault(
        "a refund that shows later is not awaited",
        2,
        functions={"_watch_refundable": _late_refund_is_not_awaited},
        scenario="refunding",
    ),
    _fault(
        "the clock is trusted after a restart",
        2,
        4,
        functions={"complete_at": lambda state: state.plan.over_at_ms},
        scenario="jumping",
    ),
    _fault(
        "the days of asking end with the cancellation unspent",
        5,
        rules={(P.OVERDUE, m.PaymentStatusReceived): _days_end_unspent},
    ),
    _fault(
        "a refund counts as not paid",
        3,
        4,
        rules={(P.CONFIRMING, m.PaymentStatusReceived): _refund_is_unpaid},
        scenario="refunding",
    ),
)
