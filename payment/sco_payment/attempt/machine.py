"""The life of one attempt: a PayMaster payment for one leg of an order. Pure: no clock, no I/O, no randomness.

`step(state, event)` returns the next state and the effects to perform; `due(state)` says when a `Tick` is wanted. All
that may happen stands in `TABLE`: phase -> event -> (handler, phases it may lead to). An event that the table does not
name for a phase changes nothing; an answer to a request other than the latest (`seq`) changes nothing either.

What holds, whatever the bank, the network, the customer, the clock and the power do:

1. Goods are released (`Finish(PAID)`) only from the phase PAID, and the runner has that phase on disk first.
2. Money without goods always ends as a case that a person sees.
3. At most one payable attempt a leg at any time: `gate` lets a new one begin only when the bank has closed the old one.
4. `SendCancel` is sent at most once an attempt, and only for a payment that the bank proves to be its own; without the
   bank's word the outcome is never UNPAID.
5. Every attempt comes to a final phase, or to a case, by the invoice's end plus the grace.
6. A leg that may be paid can be neither deleted nor replaced (`gate` again).
7. No link is presented whose sum, currency or checksum contradicts the attempt; on a plate, none but the plate's own.

Time is in ms since the epoch on the lane's clock; sums are in kopecks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from sco_payment import link as links
from sco_payment.attempt.events import (
    ANSWERS,
    CancelAnswered,
    CancelWanted,
    Created,
    CreateFailed,
    Delivered,
    Effect,
    Event,
    Finish,
    NoteCase,
    OpenCase,
    PaymentNotListed,
    PaymentStatusReceived,
    Present,
    Presented,
    PresentFailed,
    Recovered,
    Retry,
    SendCancel,
    SendCreate,
    SendFind,
    SendPoll,
    Show,
    StatusUnavailable,
    Tick,
    Withdraw,
)
from sco_payment.attempt.states import (
    FINAL,
    Cancel,
    CaseReason,
    EndReason,
    Outcome,
    PaymentStatus,
    Phase,
    Plan,
    State,
    View,
)
from sco_payment.money import format_amount

Step = tuple[State, tuple[Effect, ...]]


def begin(plan: Plan) -> Step:
    """The first step of an attempt that `gate` has let through."""
    state = State(
        plan,
        until_ms=min(plan.begun_at_ms + plan.timing.create_window_ms, plan.expires_at_ms),
        last_status_at_ms=plan.begun_at_ms,
    )
    state, send = _send_create(state)
    return state, (Show(View.WAIT), *send)


def step(state: State, event: Event) -> Step:
    """What becomes of `state` when `event` happens, and what must then be done, in this order."""
    if isinstance(event, ANSWERS):
        if event.seq != state.seq or not state.busy:
            return state, ()
        state = replace(state, busy=False)
    if isinstance(event, PaymentStatusReceived) and state.payment_id not in (None, event.payment_id):
        event = StatusUnavailable(
            event.at_ms, event.seq, f"the bank answered about {event.payment_id}, not {state.payment_id}"
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
        return None  # while a request is under way its answer comes first: the client bounds every call in time
    times = [state.until_ms]
    if not state.busy and state.phase is not Phase.PRESENTING:
        times.append(state.next_at_ms)
    if state.phase is Phase.WAITING and _may_ask(state):
        times.append(state.last_status_at_ms + state.plan.timing.poll_timeout_ms)
    return min(times)


def may_cancel(state: State) -> bool:
    """Whether the customer or the attendant can cancel the attempt now. A view offers the choice only then."""
    return CancelWanted in TABLE[state.phase] and state.reason is not EndReason.CUSTOMER


def significant(before: State | None, after: State, effects: Iterable[Effect]) -> bool:
    """Whether the step must be on disk before its effects are performed: all but the mere turning of the clockwork."""
    if before is None or any(not isinstance(effect, SendPoll | SendFind) for effect in effects):
        return True
    return _without_clockwork(before) != _without_clockwork(after)


# --- steps in common ----------------------------------------------------------------------------------------------


def _without_clockwork(state: State) -> State:
    return replace(state, seq=0, busy=False, next_at_ms=0, until_ms=0, last_status_at_ms=0)


def _send_create(state: State) -> Step:
    state = replace(state, seq=state.seq + 1, busy=True)
    return state, (SendCreate(state.seq),)


def _send_poll(state: State, at: int) -> Step:
    """Ask how the payment stands: by its id, or by the order where the id was never learnt."""
    if state.busy:
        return state, ()
    state = replace(state, seq=state.seq + 1, busy=True, next_at_ms=at + _pace(state))
    if state.payment_id is None:
        return state, (SendFind(state.seq),)
    return state, (SendPoll(state.seq, state.payment_id),)


def _send_cancel(state: State, why: EndReason) -> Step:
    """The one cancellation. An answer still under way to an earlier request is stale from here on."""
    state, send = _ask_to_cancel(replace(state, phase=Phase.CANCELLING, reason=why))
    return state, (Withdraw(), Show(View.WAIT), *send)


def _ask_to_cancel(state: State) -> Step:
    if state.payment_id is None or state.cancel is not Cancel.NOT_ASKED:
        raise AssertionError(f"no cancellation can be sent from {state}")
    state = replace(state, cancel=Cancel.ASKED, seq=state.seq + 1, busy=True)
    return state, (SendCancel(state.seq, str(state.payment_id)),)


def _confirm(state: State, at: int, **changes: object) -> Step:
    """Wait for the bank's last word, for a while."""
    state = replace(
        state,
        phase=Phase.CONFIRMING,
        until_ms=at + state.plan.timing.confirm_ms,
        **changes,  # type: ignore[arg-type]
    )
    return _send_poll(state, at)


def _pace(state: State) -> int:
    """From one question to the next, in ms; a slow answer does not stretch it."""
    timing = state.plan.timing
    return timing.watch_ms if state.phase is Phase.WATCHING else timing.poll_ms


def _find(state: State, at: int) -> Step:
    state = replace(state, phase=Phase.FINDING, may_exist=True, until_ms=at + state.plan.timing.confirm_ms)
    return _send_poll(state, at)


def _full_sum(state: State, event: PaymentStatusReceived | Created) -> bool:
    return event.kopecks == state.plan.kopecks and event.currency == state.plan.currency


def _finish(state: State, outcome: Outcome, view: View, *before: Effect) -> Step:
    return replace(state, outcome=outcome), (*before, Withdraw(), Show(view), Finish(outcome, state.reason))


def _paid(state: State) -> Step:
    return _finish(replace(state, phase=Phase.PAID), Outcome.PAID, View.PAID)


def _unpaid(state: State) -> Step:
    """The bank's word, or the certainty that nothing was ever created."""
    state = replace(
        state, phase=Phase.UNPAID, reason=EndReason.DECLINED if state.reason is EndReason.NONE else state.reason
    )
    return _finish(state, _unpaid_outcome(state), View.UNPAID)


def _unpaid_outcome(state: State) -> Outcome:
    never_seen = not state.presented and state.reason in (
        EndReason.NOT_PRESENTED,
        EndReason.LINK_REFUSED,
        EndReason.NOT_CREATED,
    )
    return Outcome.NOT_PRESENTED if never_seen else Outcome.UNPAID


def _case(state: State, phase: Phase, reason: CaseReason, detail: str, at: int) -> Step:
    """A person must decide; the customer is sent to the attendant. Watching goes on where the bank may still speak."""
    if phase is Phase.WATCHING:
        state = _watch(state, at)
    state = replace(state, phase=phase, case=reason)
    return _finish(state, Outcome.UNKNOWN, View.ATTENDANT, OpenCase(reason, detail))


def _watch(state: State, at: int) -> State:
    timing = state.plan.timing
    end = max(state.plan.expires_at_ms + timing.grace_ms, at)
    return replace(state, phase=Phase.WATCHING, until_ms=end, next_at_ms=min(at + timing.watch_ms, end))


def _final_word(state: State, event: PaymentStatusReceived | Created) -> Step | None:
    """The step for the bank's final word while the customer still waits; None when the word is not final."""
    if event.status is PaymentStatus.CLOSED:
        return _unpaid(state)
    if event.status is not PaymentStatus.PAID:
        return None
    if not _full_sum(state, event):
        ours = format_amount(state.plan.kopecks, sign=state.plan.currency)
        found = f"the bank took {format_amount(event.kopecks, sign=event.currency)}, the attempt is {ours}"
        return _case(state, Phase.UNSETTLED, CaseReason.AMOUNT_MISMATCH, found, event.at_ms)
    if state.cancel is Cancel.ACCEPTED:
        return _case(
            state,
            Phase.PAID_LATE,
            CaseReason.CANCEL_PAY_RACE,
            "the bank accepted the cancellation and says paid",
            event.at_ms,
        )
    if isinstance(event, PaymentStatusReceived) and state.link is None and state.plan.plate_link is None:
        # It was found by its number, or came without a link: the money may be another till's customer's.
        found = f"payment {event.payment_id} is paid, and this lane never had its link to show: whose money is it?"
        return _case(state, Phase.UNSETTLED, CaseReason.PAID_UNSHOWN, found, event.at_ms)
    if state.reason is EndReason.RESTART:
        return _case(
            state,
            Phase.PAID_LATE,
            CaseReason.PAID_AFTER_RESTART,
            "paid; the lane restarted before it knew",
            event.at_ms,
        )
    return _paid(state)


# --- handlers -----------------------------------------------------------------------------------------------------


def _created(state: State, event: Created) -> Step:
    state = replace(state, payment_id=event.payment_id, link=event.link, may_exist=True, last_status_at_ms=event.at_ms)
    final = _final_word(state, event)
    if final is not None:
        return final
    if state.reason is EndReason.CUSTOMER:
        return _send_cancel(state, EndReason.CUSTOMER)
    if event.at_ms >= state.plan.expires_at_ms:
        return _send_cancel(state, EndReason.NOT_PRESENTED)
    if event.link is None or not _full_sum(state, event):
        return _send_cancel(state, EndReason.LINK_REFUSED)
    judgement = links.judge(event.link, kopecks=state.plan.kopecks, currency=state.plan.currency)
    foreign_plate = state.plan.plate_link is not None and event.link != state.plan.plate_link
    if judgement.verdict is links.Verdict.REFUSED or foreign_plate:
        return _send_cancel(state, EndReason.LINK_REFUSED)
    state = replace(state, phase=Phase.PRESENTING, until_ms=event.at_ms + state.plan.timing.present_ms)
    return state, (Present(event.link, judgement.verdict is links.Verdict.VERIFIED),)


def _create_failed(state: State, event: CreateFailed) -> Step:
    state = replace(state, may_exist=state.may_exist or event.may_exist)
    if not state.may_exist and (event.final or state.reason is EndReason.CUSTOMER):
        return _unpaid(
            replace(state, reason=EndReason.CUSTOMER if state.reason is EndReason.CUSTOMER else EndReason.NOT_CREATED)
        )
    if event.final:
        return _find(
            replace(state, reason=EndReason.NOT_CREATED if state.reason is EndReason.NONE else state.reason),
            event.at_ms,
        )
    return replace(state, next_at_ms=event.at_ms + max(state.plan.timing.create_retry_ms, event.wait_ms)), ()


def _creating_tick(state: State, event: Tick) -> Step:
    if event.at_ms >= state.until_ms:
        state = replace(state, reason=EndReason.NOT_CREATED if state.reason is EndReason.NONE else state.reason)
        return _find(state, event.at_ms) if state.may_exist else _unpaid(state)
    if event.at_ms >= state.next_at_ms:
        return _send_create(state)  # the same key and body: the bank answers with the same payment
    return state, ()


def _creating_cancel(state: State, event: CancelWanted) -> Step:
    """Without an id there is nothing to cancel yet: the wish is carried out when the answer comes."""
    if state.busy or state.may_exist:
        return replace(state, reason=EndReason.CUSTOMER), ()
    return _unpaid(replace(state, reason=EndReason.CUSTOMER))


def _finding_word(state: State, event: PaymentStatusReceived) -> Step:
    """What is not proved may be another till's: its customer may be paying it, and its money pays nothing here."""
    if not event.proved:
        return _ask_later(state, event)
    state = replace(state, payment_id=event.payment_id)
    final = _final_word(state, event)
    return final if final is not None else _send_cancel(state, state.reason)


def _ask_later(state: State, event: StatusUnavailable | PaymentNotListed | PaymentStatusReceived) -> Step:
    """No final word: ask again when the pace says so, later if the bank asked for it."""
    wait = event.wait_ms if isinstance(event, StatusUnavailable) else 0
    return replace(state, next_at_ms=max(state.next_at_ms, event.at_ms + wait)), ()


def _finding_tick(state: State, event: Tick) -> Step:
    if event.at_ms >= state.until_ms:
        return _case(
            state,
            Phase.WATCHING,
            CaseReason.CREATE_UNKNOWN,
            "the bank may hold a payment that it never named",
            event.at_ms,
        )
    return _ask_if_due(state, event)


def _ask_if_due(state: State, event: Tick) -> Step:
    return _send_poll(state, event.at_ms) if event.at_ms >= state.next_at_ms else (state, ())


def _presented(state: State, event: Presented | Tick) -> Step:
    """From here the customer may pay. A presentation that never reported counts as seen."""
    timing = state.plan.timing
    if isinstance(event, Tick) and event.at_ms < state.until_ms:
        return state, ()
    state = replace(
        state,
        phase=Phase.WAITING,
        presented=True,
        next_at_ms=event.at_ms + timing.poll_ms,
        last_status_at_ms=event.at_ms,
        until_ms=state.plan.expires_at_ms,
    )
    return state, (Show(View.PAY),)


def _not_presented(state: State, event: PresentFailed) -> Step:
    """Also when it comes late, after the presentation counted as seen: it is told only where that is certain."""
    return _send_cancel(replace(state, presented=False), EndReason.NOT_PRESENTED)


def _customer_cancels(state: State, event: CancelWanted) -> Step:
    """Where it may be seen already (a ticket half out, an armed plate) the outcome is told as the customer's choice."""
    return _send_cancel(replace(state, presented=True), EndReason.CUSTOMER)


def _waiting_word(state: State, event: PaymentStatusReceived) -> Step:
    final = _final_word(state, event)
    if final is not None:
        return final
    was_asking = state.phase is Phase.ASKING
    state, _ = _ask_later(replace(state, phase=Phase.WAITING, last_status_at_ms=event.at_ms), event)
    return state, ((Show(View.PAY),) if was_asking else ())


def _may_ask(state: State) -> bool:
    return not state.asked or state.plan.timing.dialog_again


def _waiting_tick(state: State, event: Tick) -> Step:
    if event.at_ms >= state.plan.expires_at_ms:
        confirming, send = _confirm(state, event.at_ms, reason=EndReason.EXPIRED)
        return confirming, (Withdraw(), Show(View.WAIT), *send)
    silent = event.at_ms - state.last_status_at_ms >= state.plan.timing.poll_timeout_ms
    if state.phase is Phase.WAITING and silent and _may_ask(state):
        state = replace(state, phase=Phase.ASKING, asked=True)
        return state, (Show(View.DIALOG),)
    if state.phase is Phase.ASKING and not state.plan.timing.poll_in_dialog:
        return replace(state, next_at_ms=state.until_ms), ()
    return _ask_if_due(state, event)


def _retry(state: State, event: Retry) -> Step:
    state, send = _send_poll(replace(state, phase=Phase.WAITING, last_status_at_ms=event.at_ms), event.at_ms)
    return state, (Show(View.PAY), *send)


def _cancel_answered(state: State, event: CancelAnswered) -> Step:
    return _confirm(state, event.at_ms, cancel=event.result)


def _confirming_word(state: State, event: PaymentStatusReceived) -> Step:
    final = _final_word(state, event)
    if final is not None:
        return final
    if state.reason is EndReason.RESTART and state.cancel is Cancel.NOT_ASKED:
        return _send_cancel(state, EndReason.RESTART)
    return _ask_later(replace(state, last_status_at_ms=event.at_ms), event)


def _confirming_tick(state: State, event: Tick) -> Step:
    if event.at_ms < state.until_ms:
        return _ask_if_due(state, event)
    if state.cancel is Cancel.ACCEPTED:
        # That is the bank's word on the cancellation; its last word on the payment is watched for.
        return _finish(_watch(state, event.at_ms), _unpaid_outcome(state), View.UNPAID)
    if state.cancel is Cancel.REFUSED:
        reason, detail = CaseReason.CANCEL_REFUSED, "the bank refused the cancellation and gives no final state"
    elif state.cancel is Cancel.UNANSWERED:
        reason, detail = CaseReason.CANCEL_UNANSWERED, "the cancellation was sent once and never answered"
    else:
        reason, detail = CaseReason.EXPIRED_UNCONFIRMED, "the bank gave no final state when the lane stopped waiting"
    return _case(state, Phase.WATCHING, reason, detail, event.at_ms)


def _watching_word(state: State, event: PaymentStatusReceived) -> Step:
    if not event.proved:
        return _watching_unproved(state, event)
    adopted = replace(state, payment_id=event.payment_id)
    if event.status is PaymentStatus.PAID:
        detail = f"the bank has {format_amount(event.kopecks, sign=event.currency)}; the goods were not released"
        return _end_in_case(replace(adopted, phase=Phase.PAID_LATE), CaseReason.LATE_MONEY, detail)
    if event.status is PaymentStatus.CLOSED:
        return _end_unpaid(adopted, "the bank has closed the payment unpaid")
    if (
        state.cancel is Cancel.NOT_ASKED and event.at_ms < state.plan.expires_at_ms
    ):  # nobody stands before the lane any more
        return _ask_to_cancel(adopted)
    return _watch_on(adopted, event)


def _watching_unproved(state: State, event: PaymentStatusReceived) -> Step:
    """At the end of the watch the bank's list is whole: the one payment in it is the attempt's, or the attempt never
    came to be. Closed unpaid it is the end of both; else a person must say whose it is."""
    if not _is_last_question(state) or event.status not in (PaymentStatus.PAID, PaymentStatus.CLOSED):
        return _watch_on(state, event)
    adopted = replace(state, payment_id=event.payment_id)
    if event.status is PaymentStatus.CLOSED:
        return _end_unpaid(adopted, f"the one payment of this order and sum, {event.payment_id}, was closed unpaid")
    detail = f"payment {event.payment_id} of this order and sum is paid, and may be another till's: whose money is it?"
    return _end_in_case(replace(adopted, phase=Phase.UNSETTLED), CaseReason.PAID_UNSHOWN, detail)


def _end_in_case(state: State, reason: CaseReason, detail: str) -> Step:
    """The watch is over and a person must act: in a case of its own, or in the one that was opened before."""
    if state.case is None:
        return replace(state, case=reason), (OpenCase(reason, detail),)
    return state, (NoteCase(detail, reopens=True),)


def _end_unpaid(state: State, detail: str) -> Step:
    return replace(state, phase=Phase.UNPAID), (() if state.case is None else (NoteCase(detail),))


def _watching_cancel_answered(state: State, event: CancelAnswered) -> Step:
    return _send_poll(replace(state, cancel=event.result), event.at_ms)


def _watching_nothing(state: State, event: PaymentNotListed) -> Step:
    """After the invoice's end and grace the bank's list is its word: what is not there by then never came to be."""
    if not _is_last_question(state):
        return _ask_later(state, event)
    return _end_unpaid(state, "the bank lists no payment of this order")


def _watch_on(state: State, event: StatusUnavailable | PaymentStatusReceived) -> Step:
    """No final word yet. At the end of the watch it is handed to a person."""
    if not _is_last_question(state):
        return _ask_later(state, event)
    detail = "the bank gave no final word by the invoice's end and grace: ask PayMaster about this payment"
    return _end_in_case(replace(state, phase=Phase.UNSETTLED), CaseReason.EXPIRED_UNCONFIRMED, detail)


def _is_last_question(state: State) -> bool:
    """Whether what is answered was asked at the end of the watch: an answer may be long on its way."""
    return state.next_at_ms - _pace(state) >= state.until_ms


def _watching_tick(state: State, event: Tick) -> Step:
    """The last question is asked at the end of the watch; its answer, or silence, ends the attempt."""
    return _send_poll(state, event.at_ms) if event.at_ms >= min(state.next_at_ms, state.until_ms) else (state, ())


def _recover_creating(state: State, event: Recovered) -> Step:
    return _find(replace(state, reason=EndReason.RESTART, busy=False), event.at_ms)


def _recover_shown(state: State, event: Recovered) -> Step:
    state, send = _confirm(replace(state, busy=False, presented=True), event.at_ms, reason=EndReason.RESTART)
    return state, (Withdraw(), *send)


def _recover_confirming(state: State, event: Recovered) -> Step:
    return _recover_shown(_answer_lost(state), event)


def _recover_watching(state: State, event: Recovered) -> Step:
    return _send_poll(_watch(replace(_answer_lost(state), busy=False), event.at_ms), event.at_ms)


def _answer_lost(state: State) -> State:
    """A cancellation that was under way when the lane died is never sent again, and its answer never comes."""
    return replace(state, cancel=Cancel.UNANSWERED) if state.cancel is Cancel.ASKED else state


def _recover_paid(state: State, event: Recovered) -> Step:
    if state.delivered or state.case is not None:
        return state, ()
    detail = "paid; the lane stopped before its software had taken the outcome: the goods may not have been released"
    return replace(state, case=CaseReason.GOODS_UNCERTAIN), (OpenCase(CaseReason.GOODS_UNCERTAIN, detail),)


def _delivered(state: State, event: Delivered) -> Step:
    return (replace(state, delivered=True) if state.outcome is not None else state), ()


# --- the table ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rule:
    """A handler, and the phases other than its own that it may lead to."""

    handler: Callable[..., Step]
    leads_to: frozenset[Phase] = frozenset()


def _rule(handler: Callable[..., Step], *leads_to: Phase) -> Rule:
    return Rule(handler, frozenset(leads_to))


_ENDS_BEFORE_CANCELLING = (Phase.PAID, Phase.UNPAID, Phase.UNSETTLED)
_ENDS = (*_ENDS_BEFORE_CANCELLING, Phase.PAID_LATE)
_DELIVERED: dict[type, Rule] = {Delivered: _rule(_delivered)}
_RUNS_WHILE_ASKING = frozenset({Phase.WAITING, Phase.ASKING})

TABLE: dict[Phase, dict[type, Rule]] = {
    Phase.CREATING: {
        Created: _rule(_created, Phase.PRESENTING, Phase.CANCELLING, *_ENDS_BEFORE_CANCELLING),
        CreateFailed: _rule(_create_failed, Phase.FINDING, Phase.UNPAID),
        CancelWanted: _rule(_creating_cancel, Phase.UNPAID),
        Tick: _rule(_creating_tick, Phase.FINDING, Phase.UNPAID),
        Recovered: _rule(_recover_creating, Phase.FINDING),
    },
    Phase.FINDING: {
        PaymentStatusReceived: _rule(_finding_word, Phase.CANCELLING, *_ENDS),
        StatusUnavailable: _rule(_ask_later),
        PaymentNotListed: _rule(_ask_later),
        Tick: _rule(_finding_tick, Phase.WATCHING),
        Recovered: _rule(_recover_creating),
    },
    Phase.PRESENTING: {
        Presented: _rule(_presented, Phase.WAITING),
        PresentFailed: _rule(_not_presented, Phase.CANCELLING),
        CancelWanted: _rule(_customer_cancels, Phase.CANCELLING),
        Tick: _rule(_presented, Phase.WAITING),
        Recovered: _rule(_recover_shown, Phase.CONFIRMING),
    },
    Phase.WAITING: {
        PresentFailed: _rule(_not_presented, Phase.CANCELLING),
        PaymentStatusReceived: _rule(_waiting_word, *_ENDS_BEFORE_CANCELLING),
        StatusUnavailable: _rule(_ask_later),
        CancelWanted: _rule(_customer_cancels, Phase.CANCELLING),
        Tick: _rule(_waiting_tick, Phase.ASKING, Phase.CONFIRMING),
        Recovered: _rule(_recover_shown, Phase.CONFIRMING),
    },
    Phase.ASKING: {
        PaymentStatusReceived: _rule(_waiting_word, Phase.WAITING, *_ENDS_BEFORE_CANCELLING),
        StatusUnavailable: _rule(_ask_later),
        Retry: _rule(_retry, Phase.WAITING),
        CancelWanted: _rule(_customer_cancels, Phase.CANCELLING),
        Tick: _rule(_waiting_tick, Phase.CONFIRMING),
        Recovered: _rule(_recover_shown, Phase.CONFIRMING),
    },
    Phase.CANCELLING: {
        CancelAnswered: _rule(_cancel_answered, Phase.CONFIRMING),
        Recovered: _rule(_recover_confirming, Phase.CONFIRMING),
    },
    Phase.CONFIRMING: {
        PaymentStatusReceived: _rule(_confirming_word, Phase.CANCELLING, *_ENDS),
        StatusUnavailable: _rule(_ask_later),
        Tick: _rule(_confirming_tick, Phase.WATCHING),
        Recovered: _rule(_recover_confirming),
    },
    Phase.WATCHING: {
        PaymentStatusReceived: _rule(_watching_word, Phase.PAID_LATE, Phase.UNPAID, Phase.UNSETTLED),
        StatusUnavailable: _rule(_watch_on, Phase.UNSETTLED),
        PaymentNotListed: _rule(_watching_nothing, Phase.UNPAID),
        CancelAnswered: _rule(_watching_cancel_answered),
        Tick: _rule(_watching_tick),
        Recovered: _rule(_recover_watching),
        **_DELIVERED,
    },
    Phase.PAID: {Recovered: _rule(_recover_paid), **_DELIVERED},
    Phase.UNPAID: {**_DELIVERED},
    Phase.PAID_LATE: {**_DELIVERED},
    Phase.UNSETTLED: {**_DELIVERED},
}
