"""The life of one attempt: one payment at the acquirer for one leg of an order. Pure: no clock, no I/O, no randomness.

`step(state, event)` returns the next state and the effects to perform, in order. `due(state)` says when a `Tick` is
wanted. `TABLE` lists everything that can happen: phase -> event -> the handler and the phases it may lead to. An event
that the table does not list for a phase changes nothing. An answer to any request but the latest (`seq`) changes
nothing either, nor does one to a poll that it overtook (`earlier_seq`).

What holds, whatever the acquirer, the network, the customer, the clock and the power supply do:

1. Goods are released (`Finish(PAID)`) only from the phase PAID, and the runner has that phase on disk first.
2. Money without goods, and money that the acquirer has refunded, always ends as a case that an operator sees.
3. A leg has at most one attempt that is payable by the acquirer's word: `gate` lets a new one begin only when the
   acquirer has closed the old one. Money that comes for a closed one all the same is invariant 2.
4. `SendCancel` is sent at most once for each attempt, and only for a payment that the acquirer proves to be the
   attempt's own; for want of a link only when the time for it is over. Without the acquirer's confirmation the outcome
   is never UNPAID.
5. Every attempt reaches a final phase, a case, or the acquirer's word that it is closed, by the end of the invoice plus
   the grace period. Silence ends none of them. What is open when nobody waits for it any more is cancelled as soon as
   the acquirer can be asked, and no attempt ends with its payment open before that.
6. A leg that may be paid can be neither deleted nor replaced (`gate` again).
7. No link is presented whose amount, currency or checksum contradicts the attempt; on a plate, only the plate's own.

Times are in ms since the epoch on the lane's clock; amounts are in kopecks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sco_payment.attempt import _handlers as h
from sco_payment.attempt.events import (
    ANSWERS,
    CancelAnswered,
    CancelWanted,
    Created,
    CreateFailed,
    Delivered,
    Effect,
    Event,
    PaymentNotListed,
    PaymentStatusReceived,
    Presented,
    PresentFailed,
    Recovered,
    Retry,
    SendFind,
    SendPoll,
    Show,
    StatusUnavailable,
    Tick,
)
from sco_payment.attempt.states import BACKGROUND, FINAL, EndReason, Phase, Plan, State, View

Step = tuple[State, tuple[Effect, ...]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A handler, and the phases other than its own that it may lead to."""

    handler: Callable[..., Step]
    leads_to: frozenset[Phase] = frozenset()


def _rule(handler: Callable[..., Step], *leads_to: Phase) -> Rule:
    return Rule(handler, frozenset(leads_to))


_ENDS_WHEN_SHOWN = (Phase.PAID, Phase.CLOSED, Phase.UNSETTLED)
_ENDS_BEFORE_CANCELLING = (*_ENDS_WHEN_SHOWN, Phase.UNPAID)
_ENDS = (*_ENDS_BEFORE_CANCELLING, Phase.PAID_LATE)
_LATE_NEWS = (Phase.OVERDUE, Phase.REFUNDABLE)
_LATE_ENDS = (Phase.PAID_LATE, Phase.UNPAID, Phase.UNSETTLED)
_DELIVERED: dict[type, Rule] = {Delivered: _rule(h.delivered)}
_IN_THE_BACKGROUND: dict[type, Rule] = {
    CancelAnswered: _rule(h.later_cancel_answered),
    Tick: _rule(h.ask_if_due),
    Recovered: _rule(h.recover_watching),
    **_DELIVERED,
}

TABLE: dict[Phase, dict[type, Rule]] = {
    Phase.CREATING: {
        Created: _rule(h.created, Phase.PRESENTING, Phase.FINDING, Phase.CANCELLING, *_ENDS_BEFORE_CANCELLING),
        CreateFailed: _rule(h.create_failed, Phase.FINDING, Phase.UNPAID),
        CancelWanted: _rule(h.creating_cancel, Phase.UNPAID),
        Tick: _rule(h.creating_tick, Phase.FINDING, Phase.UNPAID),
        Recovered: _rule(h.recover_creating, Phase.FINDING),
    },
    Phase.FINDING: {
        PaymentStatusReceived: _rule(h.finding_status, Phase.PRESENTING, Phase.CANCELLING, *_ENDS),
        StatusUnavailable: _rule(h.ask_later),
        PaymentNotListed: _rule(h.ask_later),
        CancelWanted: _rule(h.finding_cancel, Phase.CANCELLING),
        Tick: _rule(h.finding_tick, Phase.CANCELLING, Phase.WATCHING),
        Recovered: _rule(h.recover_creating),
    },
    Phase.PRESENTING: {
        Presented: _rule(h.presented, Phase.WAITING),
        PresentFailed: _rule(h.not_presented, Phase.CANCELLING),
        CancelWanted: _rule(h.customer_cancels, Phase.CANCELLING),
        Tick: _rule(h.presented, Phase.WAITING),
        Recovered: _rule(h.recover_shown, Phase.CONFIRMING),
    },
    Phase.WAITING: {
        PresentFailed: _rule(h.not_presented, Phase.CANCELLING),
        PaymentStatusReceived: _rule(h.waiting_status, *_ENDS_WHEN_SHOWN),
        StatusUnavailable: _rule(h.ask_later),
        CancelWanted: _rule(h.customer_cancels, Phase.CANCELLING),
        Tick: _rule(h.waiting_tick, Phase.ASKING, Phase.CONFIRMING),
        Recovered: _rule(h.recover_shown, Phase.CONFIRMING),
    },
    Phase.ASKING: {
        PaymentStatusReceived: _rule(h.waiting_status, Phase.WAITING, *_ENDS_WHEN_SHOWN),
        StatusUnavailable: _rule(h.ask_later),
        Retry: _rule(h.retry, Phase.WAITING),
        CancelWanted: _rule(h.customer_cancels, Phase.CANCELLING),
        Tick: _rule(h.waiting_tick, Phase.CONFIRMING),
        Recovered: _rule(h.recover_shown, Phase.CONFIRMING),
    },
    Phase.CANCELLING: {
        CancelAnswered: _rule(h.cancel_answered, Phase.CONFIRMING),
        Recovered: _rule(h.recover_shown, Phase.CONFIRMING),
    },
    Phase.CONFIRMING: {
        PaymentStatusReceived: _rule(h.confirming_status, Phase.REFUNDABLE, *_ENDS),
        StatusUnavailable: _rule(h.ask_later),
        CancelAnswered: _rule(h.later_cancel_answered),
        Tick: _rule(h.confirming_tick, Phase.WATCHING),
        Recovered: _rule(h.recover_shown),
    },
    Phase.WATCHING: {
        PaymentStatusReceived: _rule(h.watching_status, Phase.CLOSED, *_LATE_NEWS, *_LATE_ENDS),
        StatusUnavailable: _rule(h.watch_on, Phase.OVERDUE),
        PaymentNotListed: _rule(h.watching_not_listed, Phase.UNPAID),
        **_IN_THE_BACKGROUND,
    },
    Phase.CLOSED: {
        PaymentStatusReceived: _rule(h.watching_status, Phase.WATCHING, *_LATE_NEWS, *_LATE_ENDS),
        StatusUnavailable: _rule(h.watch_on),
        **_IN_THE_BACKGROUND,
    },
    Phase.OVERDUE: {
        PaymentStatusReceived: _rule(h.watching_status, Phase.CLOSED, Phase.REFUNDABLE, *_LATE_ENDS),
        StatusUnavailable: _rule(h.watch_on),
        PaymentNotListed: _rule(h.watching_not_listed, Phase.UNPAID),
        **_IN_THE_BACKGROUND,
    },
    Phase.REFUNDABLE: {
        PaymentStatusReceived: _rule(h.refundable_status, Phase.PAID_LATE, Phase.UNSETTLED),
        StatusUnavailable: _rule(h.ask_later),
        **_IN_THE_BACKGROUND,
    },
    Phase.PAID: {Recovered: _rule(h.recover_paid), **_DELIVERED},
    Phase.UNPAID: {**_DELIVERED},
    Phase.PAID_LATE: {**_DELIVERED},
    Phase.UNSETTLED: {**_DELIVERED},
}

_RUNS_WHILE_ASKING = frozenset({Phase.WAITING, Phase.ASKING})


def begin(plan: Plan) -> Step:
    """The first step of an attempt that `gate` has let through."""
    state = State(
        plan,
        until_ms=min(plan.begun_at_ms + plan.timing.create_window_ms, plan.expires_at_ms),
        last_status_at_ms=plan.begun_at_ms,
    )
    state, send = h.send_create(state)
    return state, (Show(View.WAIT), *send)


def step(state: State, event: Event) -> Step:
    """The state after `event`, and the effects to perform, in this order."""
    if isinstance(event, ANSWERS):
        if event.seq == state.seq and state.busy:
            state = replace(state, busy=False, earlier_seq=0)
        elif event.seq == state.earlier_seq:
            state = replace(state, earlier_seq=0)
        else:
            return state, ()
    if isinstance(event, PaymentStatusReceived) and state.payment_id not in (None, event.payment_id):
        event = StatusUnavailable(
            event.at_ms, event.seq, f"the acquirer answered about {event.payment_id}, not {state.payment_id}"
        )
    rule = TABLE[state.phase].get(type(event))
    if rule is None:
        return state, ()
    after, effects = rule.handler(state, event)
    if after.phase is not state.phase and after.phase not in rule.leads_to:
        # The table is the documentation: keep it true.
        raise AssertionError(f"{state.phase.value} --{type(event).__name__}--> {after.phase.value} is not in the table")
    return after, effects


def due(state: State) -> int | None:
    """When a `Tick` is wanted, in ms; None when the attempt is final or only an answer can move it."""
    if state.phase in FINAL or (state.busy and state.phase not in _RUNS_WHILE_ASKING):
        return None  # while a request is under way its answer comes first: the client limits the time of every call
    if state.phase in BACKGROUND:
        return state.next_at_ms
    times = [state.until_ms]
    if state.phase is not Phase.PRESENTING and (not state.busy or h.may_overtake(state)):
        times.append(state.next_at_ms)
    if state.phase is Phase.WAITING and h.may_ask_customer(state):
        times.append(state.last_status_at_ms + state.plan.timing.poll_timeout_ms)
    return min(times)


def may_cancel(state: State) -> bool:
    """Whether the customer or the attendant can cancel the attempt now. A view offers the choice only then."""
    return CancelWanted in TABLE[state.phase] and state.reason not in (EndReason.CUSTOMER, EndReason.RESTART)


def significant(before: State | None, after: State, effects: Iterable[Effect]) -> bool:
    """Whether the step must be on disk before its effects are performed: all but those that only reschedule."""
    if before is None or any(not isinstance(effect, SendPoll | SendFind) for effect in effects):
        return True
    return _without_scheduling(before) != _without_scheduling(after)


def _without_scheduling(state: State) -> State:
    return replace(
        state,
        seq=0,
        earlier_seq=0,
        busy=False,
        sent_at_ms=0,
        next_at_ms=0,
        until_ms=0,
        put_off_ms=0,
        resumed_at_ms=0,
        last_status_at_ms=0,
    )
