"""What each rule of `machine.TABLE` does: first the parts that several rules share, then a handler for each rule.

A handler takes a state and an event of the table and returns the next state and the effects. Only `machine.step` calls
it, which checks the result against the table.
"""

from __future__ import annotations

from dataclasses import replace

from sco_payment import link as links
from sco_payment.attempt.events import (
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
    BACKGROUND,
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
_SLOWEST_MS = 3_600_000
"""The slowest pace of asking about a payment that has no final status."""


# --- requests -----------------------------------------------------------------------------------------------------


def send_create(state: State) -> Step:
    """Create the payment; each try sends the same key and body."""
    state = replace(state, seq=state.seq + 1, busy=True)
    return state, (SendCreate(state.seq),)


def _send_poll(state: State, at: int) -> Step:
    """Ask for the status: by the payment's id, or by the order where the id is not known."""
    if state.busy and not may_overtake(state):
        return state, ()
    state = replace(
        state,
        seq=state.seq + 1,
        earlier_seq=state.seq if state.busy else 0,
        busy=True,
        sent_at_ms=at if state.phase in BACKGROUND else 0,
        next_at_ms=at + _pace(state, at),
    )
    if state.payment_id is None:
        return state, (SendFind(state.seq),)
    return state, (SendPoll(state.seq, state.payment_id),)


def send_cancel(state: State, reason: EndReason) -> Step:
    """Send the one cancellation. A late answer to an earlier request no longer counts."""
    state, send = _ask_to_cancel(replace(state, phase=Phase.CANCELLING, reason=reason))
    return state, (Withdraw(), Show(View.WAIT), *send)


def _ask_to_cancel(state: State) -> Step:
    if state.payment_id is None or state.cancel is not Cancel.NOT_ASKED:
        raise AssertionError(f"no cancellation can be sent from {state}")
    state = replace(state, cancel=Cancel.ASKED, seq=state.seq + 1, earlier_seq=0, busy=True)
    return state, (SendCancel(state.seq, str(state.payment_id)),)


def _confirming(state: State, at: int, **changes: object) -> State:
    return replace(
        state,
        phase=Phase.CONFIRMING,
        earlier_seq=0,
        until_ms=at + state.plan.timing.confirm_ms,
        put_off_ms=0,
        **changes,  # type: ignore[arg-type]
    )


def confirm(state: State, at: int, **changes: object) -> Step:
    """Wait a while for the acquirer's final status."""
    return _send_poll(_confirming(state, at, **changes), at)


def _find(state: State, at: int) -> Step:
    until = at + state.plan.timing.confirm_ms
    return _send_poll(replace(state, phase=Phase.FINDING, may_exist=True, until_ms=until, put_off_ms=0), at)


def may_overtake(state: State) -> bool:
    """Whether the next poll may be sent while one has no answer yet: the customer waits, and it is the only one."""
    return state.phase in (Phase.WAITING, Phase.ASKING) and state.earlier_seq == 0


def _pace(state: State, at: int) -> int:
    """From one request to the next, in ms; a slow answer does not stretch it. It slows down when all is over: to a
    quarter of the time since then, and to an hour at most."""
    timing = state.plan.timing
    if state.phase not in BACKGROUND:
        return timing.poll_ms
    return max(timing.watch_ms, min((at - state.plan.over_at_ms) // 4, _SLOWEST_MS))


def ask_later(state: State, event: StatusUnavailable | PaymentNotListed | PaymentStatusReceived | Created) -> Step:
    """No final status: ask again at the usual pace, or later where the acquirer wants that."""
    return _wait(state, event.at_ms, event.wait_ms if isinstance(event, StatusUnavailable) else 0), ()


def _wait(state: State, at: int, wait_ms: int) -> State:
    """Send nothing for so long. While the customer waits for a final status, that time is added to what it may take,
    up to `poll_timeout_ms` in all."""
    more = 0
    if state.phase in (Phase.FINDING, Phase.CONFIRMING):
        more = min(wait_ms, state.plan.timing.poll_timeout_ms - state.put_off_ms)
    return replace(
        state,
        next_at_ms=max(state.next_at_ms, at + wait_ms),
        until_ms=state.until_ms + more,
        put_off_ms=state.put_off_ms + more,
    )


def ask_if_due(state: State, event: Tick) -> Step:
    """Ask at the pace of the phase."""
    return _send_poll(state, event.at_ms) if event.at_ms >= state.next_at_ms else (state, ())


# --- ends ---------------------------------------------------------------------------------------------------------


def finish(state: State, outcome: Outcome, view: View, *before: Effect) -> Step:
    """Give the customer and the lane an outcome."""
    return replace(state, outcome=outcome), (*before, Withdraw(), Show(view), Finish(outcome, state.reason))


def _paid(state: State) -> Step:
    return finish(replace(state, phase=Phase.PAID), Outcome.PAID, View.PAID)


def unpaid(state: State) -> Step:
    """There certainly never was a payment, or the acquirer has closed one that nobody could see."""
    state = replace(
        state, phase=Phase.UNPAID, reason=EndReason.DECLINED if state.reason is EndReason.NONE else state.reason
    )
    return finish(state, _unpaid_outcome(state), View.UNPAID)


def closed(state: State, at: int) -> Step:
    """The acquirer has closed the payment: not paid. Money for a link that the customer could see may come all the
    same, after a declined try or a cancellation, so such a payment is watched until all is over."""
    state, effects = unpaid(state)
    return (replace(_watch(state, at), phase=Phase.CLOSED) if _could_be_seen(state) else state), effects


def _could_be_seen(state: State) -> bool:
    return state.presented or state.plan.plate_link is not None


def _unpaid_outcome(state: State) -> Outcome:
    never_seen = not state.presented and state.reason in (
        EndReason.NOT_PRESENTED,
        EndReason.LINK_REFUSED,
        EndReason.NOT_CREATED,
    )
    return Outcome.NOT_PRESENTED if never_seen else Outcome.UNPAID


def _case(state: State, phase: Phase, reason: CaseReason, detail: str, at: int) -> Step:
    """An operator must decide; the customer is sent to the attendant. Where the status may still change, watching goes
    on."""
    if phase is Phase.WATCHING:
        state = _watch(state, at)
    elif phase is Phase.REFUNDABLE:
        state = _watch_refundable(state, at)
    state = replace(state, phase=phase, case=reason)
    return finish(state, Outcome.UNKNOWN, View.ATTENDANT, OpenCase(reason, detail))


def _watch(state: State, at: int) -> State:
    """Keep asking in the background: for `until_ms` without a case of its own, then for days with one."""
    end = max(state.plan.over_at_ms, at)
    return replace(state, phase=Phase.WATCHING, until_ms=end, next_at_ms=at + state.plan.timing.watch_ms)


def _watch_refundable(state: State, at: int) -> State:
    """Keep asking until the cancellation has had its time, the grace period, to come through and to show."""
    until = max(state.plan.over_at_ms, at + state.plan.timing.grace_ms)
    return replace(_watch(state, at), phase=Phase.REFUNDABLE, until_ms=until)


def may_be_refunded(state: State) -> bool:
    """Whether the lane's own cancellation may still take back what was paid: it was accepted, or it has no answer and
    may be processed late."""
    return state.cancel in (Cancel.ACCEPTED, Cancel.UNANSWERED)


def full_amount(state: State, event: PaymentStatusReceived | Created) -> bool:
    """Whether the payment is for exactly what the attempt asks."""
    return event.kopecks == state.plan.kopecks and event.currency == state.plan.currency


def _final_status(state: State, event: PaymentStatusReceived | Created) -> Step | None:
    """The step for a final status while the customer still waits; None when the status is not final."""
    if event.status is PaymentStatus.CLOSED:
        return closed(state, event.at_ms)
    if event.status is PaymentStatus.REFUNDED:
        return _case(state, Phase.UNSETTLED, CaseReason.REFUNDED, _refunded(event), event.at_ms)
    if event.status is not PaymentStatus.PAID:
        return None
    if not full_amount(state, event):
        ours = format_amount(state.plan.kopecks, currency=state.plan.currency)
        found = f"the acquirer took {format_amount(event.kopecks, currency=event.currency)}, the attempt is for {ours}"
        phase = Phase.REFUNDABLE if may_be_refunded(state) else Phase.UNSETTLED
        return _case(state, phase, CaseReason.AMOUNT_MISMATCH, found, event.at_ms)
    if may_be_refunded(state):
        answered = "accepted" if state.cancel is Cancel.ACCEPTED else "never answered"
        found = f"the acquirer {answered} the cancellation, reports the payment as paid, and may still refund it"
        if not _could_be_seen(state):
            found += "; this lane never showed its link"
        return _case(state, Phase.REFUNDABLE, CaseReason.CANCEL_PAY_RACE, found, event.at_ms)
    if not _could_be_seen(state):
        # Nobody could pay it here: the money may be from another till's customer.
        found = f"payment {event.payment_id} is paid, but this lane never showed its link: find out whose it is"
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


def _refunded(event: PaymentStatusReceived | Created) -> str:
    return f"the acquirer took {format_amount(event.kopecks, currency=event.currency)} and has refunded the customer"


# --- creating -----------------------------------------------------------------------------------------------------


def created(state: State, event: Created) -> Step:
    """Present the link, if it fits the attempt and can still be paid."""
    state = replace(state, payment_id=event.payment_id, may_exist=True, last_status_at_ms=event.at_ms)
    final = _final_status(state, event)
    return final if final is not None else _offer(state, event)


def _offer(state: State, event: Created | PaymentStatusReceived) -> Step:
    """Present the link of an open payment, or cancel the payment. A link that has not come yet is asked for until the
    time for that is over."""
    if state.reason in (EndReason.CUSTOMER, EndReason.RESTART):
        return send_cancel(state, state.reason)
    if event.at_ms >= state.plan.expires_at_ms:
        return send_cancel(state, EndReason.NOT_PRESENTED)
    if refusal(state, event):
        return send_cancel(state, EndReason.LINK_REFUSED)
    if event.link is None:
        if state.phase is Phase.FINDING:
            return ask_later(state, event)
        until = max(state.until_ms, event.at_ms + state.plan.timing.confirm_ms)
        return _send_poll(replace(state, phase=Phase.FINDING, until_ms=until, put_off_ms=0), event.at_ms)
    state = replace(
        state,
        phase=Phase.PRESENTING,
        link=event.link,
        reason=EndReason.NONE,
        until_ms=event.at_ms + state.plan.timing.present_ms,
    )
    return state, (Present(event.link, _judge(state.plan, event.link).verdict is links.Verdict.VERIFIED),)


def refusal(state: State, event: Event) -> str:
    """Why no customer may see the link of this answer, or of a payment that got none; empty where one may."""
    if not isinstance(event, Created | PaymentStatusReceived):
        return "the acquirer sent no link in time"
    plan = state.plan
    if not full_amount(state, event):
        ours = format_amount(plan.kopecks, currency=plan.currency)
        return f"the payment is of {format_amount(event.kopecks, currency=event.currency)}, the attempt of {ours}"
    if event.link is None:
        return ""
    judgement = _judge(plan, event.link)
    if judgement.verdict is links.Verdict.REFUSED:
        return judgement.reason
    if plan.plate_link is not None and not links.same_code(event.link, plan.plate_link):
        return "it is not the plate's link (display.plate_link)"
    return ""


def _judge(plan: Plan, link: str) -> links.Judgement:
    return links.judge(link, kopecks=plan.kopecks, currency=plan.currency, hosts=plan.link_hosts)


def create_failed(state: State, event: CreateFailed) -> Step:
    """Try again; or end, where trying again cannot help."""
    state = replace(state, may_exist=state.may_exist or event.may_exist)
    if not state.may_exist and (event.final or state.reason is EndReason.CUSTOMER):
        return unpaid(
            replace(state, reason=EndReason.CUSTOMER if state.reason is EndReason.CUSTOMER else EndReason.NOT_CREATED)
        )
    if event.final:
        return _find(
            replace(state, reason=EndReason.NOT_CREATED if state.reason is EndReason.NONE else state.reason),
            event.at_ms,
        )
    return replace(state, next_at_ms=event.at_ms + max(state.plan.timing.create_retry_ms, event.wait_ms)), ()


def creating_tick(state: State, event: Tick) -> Step:
    """Send the create again, until the time for it is over."""
    if event.at_ms >= state.until_ms:
        state = replace(state, reason=EndReason.NOT_CREATED if state.reason is EndReason.NONE else state.reason)
        return _find(state, event.at_ms) if state.may_exist else unpaid(state)
    if event.at_ms >= state.next_at_ms:
        return send_create(state)  # the same key and body: the acquirer answers with the same payment
    return state, ()


def creating_cancel(state: State, event: CancelWanted) -> Step:
    """Without an id nothing can be cancelled yet: the cancellation is sent when the answer comes."""
    if state.busy or state.may_exist:
        return replace(state, reason=EndReason.CUSTOMER), ()
    return unpaid(replace(state, reason=EndReason.CUSTOMER))


# --- finding ------------------------------------------------------------------------------------------------------


def finding_status(state: State, event: PaymentStatusReceived) -> Step:
    """A payment that is not proved may be another till's: it is not shown or cancelled, and its money does not count
    here."""
    if not event.proved:
        return ask_later(state, event)
    state = replace(state, payment_id=event.payment_id, last_status_at_ms=event.at_ms)
    final = _final_status(state, event)
    return final if final is not None else _offer(state, event)


def finding_cancel(state: State, event: CancelWanted) -> Step:
    """The cancellation is sent at once, or as soon as the payment is found."""
    if state.reason is EndReason.RESTART:
        return state, ()
    state = replace(state, reason=EndReason.CUSTOMER)
    return (state, ()) if state.payment_id is None else send_cancel(state, EndReason.CUSTOMER)


def finding_tick(state: State, event: Tick) -> Step:
    """Look again, until the time for it is over."""
    if event.at_ms < state.until_ms:
        return ask_if_due(state, event)
    if state.payment_id is not None:  # its link never came
        return send_cancel(state, EndReason.LINK_REFUSED if state.reason is EndReason.NONE else state.reason)
    return _case(
        state,
        Phase.WATCHING,
        CaseReason.CREATE_UNKNOWN,
        "the acquirer may have a payment whose id it never returned",
        event.at_ms,
    )


# --- presenting and waiting ---------------------------------------------------------------------------------------


def presented(state: State, event: Presented | Tick) -> Step:
    """From here the customer can pay. A presentation that never reported counts as seen."""
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


def not_presented(state: State, event: PresentFailed) -> Step:
    """Certainly unseen, so cancel; also where that is reported late, after the presentation counted as seen."""
    return send_cancel(replace(state, presented=False), EndReason.NOT_PRESENTED)


def customer_cancels(state: State, event: CancelWanted) -> Step:
    """The link may already be visible (half a ticket printed, a plate armed), so it is the customer's choice."""
    return send_cancel(replace(state, presented=True), EndReason.CUSTOMER)


def waiting_status(state: State, event: PaymentStatusReceived) -> Step:
    """A status while the customer can pay; it also closes the dialog."""
    final = _final_status(state, event)
    if final is not None:
        return final
    was_asking = state.phase is Phase.ASKING
    state, _ = ask_later(replace(state, phase=Phase.WAITING, last_status_at_ms=event.at_ms), event)
    return state, ((Show(View.PAY),) if was_asking else ())


def may_ask_customer(state: State) -> bool:
    """Whether the dialog may be shown: once, or again after each further timeout, as the settings say."""
    return not state.asked or state.plan.timing.dialog_again


def waiting_tick(state: State, event: Tick) -> Step:
    """The invoice ends, or no status has come for too long, or the next poll is due."""
    if event.at_ms >= state.plan.expires_at_ms:
        confirming, send = confirm(state, event.at_ms, reason=EndReason.EXPIRED)
        return confirming, (Withdraw(), Show(View.WAIT), *send)
    no_status = event.at_ms - state.last_status_at_ms >= state.plan.timing.poll_timeout_ms
    if state.phase is Phase.WAITING and no_status and may_ask_customer(state):
        state = replace(state, phase=Phase.ASKING, asked=True)
        return state, (Show(View.DIALOG),)
    if state.phase is Phase.ASKING and not state.plan.timing.poll_in_dialog:
        return replace(state, next_at_ms=state.until_ms), ()
    return ask_if_due(state, event)


def retry(state: State, event: Retry) -> Step:
    """The customer wants to keep waiting."""
    state, send = _send_poll(replace(state, phase=Phase.WAITING, last_status_at_ms=event.at_ms), event.at_ms)
    return state, (Show(View.PAY), *send)


# --- cancelling and confirming ------------------------------------------------------------------------------------


def cancel_answered(state: State, event: CancelAnswered) -> Step:
    """Whatever the answer is: ask for the payment's final status, as soon as the acquirer wants to be asked."""
    if event.wait_ms:
        return _wait(_confirming(state, event.at_ms, cancel=event.result), event.at_ms, event.wait_ms), ()
    return confirm(state, event.at_ms, cancel=event.result)


def confirming_status(state: State, event: PaymentStatusReceived) -> Step:
    """A final status ends the attempt. A payment that is still open is cancelled, unless its cancellation was sent: the
    lane has restarted, the acquirer keeps it open past its end, or the cancellation never left."""
    final = _final_status(state, event)
    if final is not None:
        return final
    state = replace(state, last_status_at_ms=event.at_ms)
    return _ask_to_cancel(state) if state.cancel is Cancel.NOT_ASKED else ask_later(state, event)


def later_cancel_answered(state: State, event: CancelAnswered) -> Step:
    """Ask for the status: at once, or at the usual pace where the cancellation certainly never left."""
    state = replace(state, cancel=event.result)
    if event.wait_ms or event.result is Cancel.NOT_ASKED:
        return _wait(state, event.at_ms, event.wait_ms), ()
    return _send_poll(state, event.at_ms)


def confirming_tick(state: State, event: Tick) -> Step:
    """Ask again; when the time for it is over the customer gets an outcome without a final status."""
    if event.at_ms < state.until_ms:
        return ask_if_due(state, event)
    if state.cancel is Cancel.ACCEPTED:
        # The acquirer has confirmed the cancellation; its final status is watched for.
        return finish(_watch(state, event.at_ms), _unpaid_outcome(state), View.UNPAID)
    if state.cancel is Cancel.REFUSED:
        reason, detail = CaseReason.CANCEL_REFUSED, "the acquirer refused the cancellation and gave no final status"
    elif state.cancel is Cancel.UNANSWERED:
        reason, detail = CaseReason.CANCEL_UNANSWERED, "the cancellation was sent once and never answered"
    else:
        reason, detail = CaseReason.EXPIRED_UNCONFIRMED, "no final status came before the lane stopped waiting"
    return _case(state, Phase.WATCHING, reason, detail, event.at_ms)


# --- watching -----------------------------------------------------------------------------------------------------


def watching_status(state: State, event: PaymentStatusReceived) -> Step:
    """A status that comes after the customer has an outcome."""
    if not event.proved:
        return _watching_unproved(state, event)
    adopted = replace(state, payment_id=event.payment_id)
    if event.status is PaymentStatus.PAID:
        detail = (
            f"the acquirer has {format_amount(event.kopecks, currency=event.currency)}; the goods were not released"
        )
        if may_be_refunded(state):
            adopted, detail = _watch_refundable(adopted, event.at_ms), f"{detail}; the cancellation may still refund it"
        else:
            adopted = replace(adopted, phase=Phase.PAID_LATE)
        return _add_to_case(adopted, CaseReason.LATE_MONEY, detail)
    if event.status is PaymentStatus.REFUNDED:
        return _went_back(adopted, _refunded(event))
    if event.status is PaymentStatus.CLOSED:
        return _watching_closed(adopted, event)
    if state.phase is Phase.CLOSED:  # it can be paid again
        adopted = replace(_watch(adopted, event.at_ms), next_at_ms=state.next_at_ms)
    after, effects = watch_on(adopted, event)
    if after.cancel is not Cancel.NOT_ASKED or after.phase not in BACKGROUND:
        return after, effects
    after, send = _ask_to_cancel(after)  # the customer has left
    return after, (*effects, *send)


def _watching_closed(state: State, event: PaymentStatusReceived) -> Step:
    """Not paid. What the customer could see is watched until all is over."""
    detail = "the acquirer has closed the payment unpaid"
    if is_complete(state) or not _could_be_seen(state):
        return _end_unpaid(state, detail)
    if state.phase is Phase.CLOSED:
        return ask_later(state, event)
    state, _ = ask_later(replace(state, phase=Phase.CLOSED), event)
    return state, (() if state.case is None else (NoteCase(detail),))


def _watching_unproved(state: State, event: PaymentStatusReceived) -> Step:
    """When all is over the acquirer's list is complete: the one payment in it is the attempt's, or the attempt has
    none. If it was closed unpaid, both end there; otherwise an operator must find out whose it is."""
    final = (PaymentStatus.PAID, PaymentStatus.CLOSED, PaymentStatus.REFUNDED)
    if not is_complete(state) or event.status not in final:
        return watch_on(state, event)
    adopted = replace(state, payment_id=event.payment_id)
    if event.status is PaymentStatus.CLOSED:
        return _end_unpaid(adopted, f"the one payment of this order and amount, {event.payment_id}, was closed unpaid")
    detail = (
        f"payment {event.payment_id} of this order and amount is {event.status.value}, and may be another till's: "
        "find out whose it is"
    )
    return _add_to_case(replace(adopted, phase=Phase.UNSETTLED), CaseReason.PAID_UNSHOWN, detail)


def _add_to_case(state: State, reason: CaseReason, detail: str) -> Step:
    """An operator must act: in a new case, or in the one that is already there."""
    if state.case is None:
        return replace(state, case=reason), (OpenCase(reason, detail),)
    return state, (NoteCase(detail, reopens=True),)


def _end_unpaid(state: State, detail: str) -> Step:
    noted = state.case is None or state.phase is Phase.CLOSED
    return replace(state, phase=Phase.UNPAID), (() if noted else (NoteCase(detail),))


def watching_not_listed(state: State, event: PaymentNotListed) -> Step:
    """When all is over the list is complete: what it lacks was never created."""
    if not is_complete(state):
        return ask_later(state, event)
    return _end_unpaid(state, "the acquirer lists no payment of this order")


def refundable_status(state: State, event: PaymentStatusReceived) -> Step:
    """The money was there. An operator must know when it has gone back, also one who has closed the case."""
    if event.status is PaymentStatus.REFUNDED:
        return _went_back(state, _refunded(event))
    if event.status is PaymentStatus.CLOSED:
        return _went_back(
            state, "the payment was paid, and is closed as unpaid now: the customer may have the money back"
        )
    if event.status is PaymentStatus.PAID and is_complete(state):
        phase = Phase.UNSETTLED if state.case is CaseReason.AMOUNT_MISMATCH else Phase.PAID_LATE
        return replace(state, phase=phase), (NoteCase("the money was not refunded"),)
    if _has_asked_for_days(state, event):
        return _given_up(state)
    return ask_later(state, event)


def _went_back(state: State, detail: str) -> Step:
    state, effects = _add_to_case(replace(state, phase=Phase.UNSETTLED), CaseReason.REFUNDED, detail)
    return replace(state, case=CaseReason.REFUNDED), effects


def _given_up(state: State) -> Step:
    note = NoteCase("still no final status: the lane has stopped asking", reopens=True)
    return replace(state, phase=Phase.UNSETTLED), (note,)


def watch_on(state: State, event: StatusUnavailable | PaymentStatusReceived) -> Step:
    """No final status yet. When all is over an operator decides; the lane keeps asking, since the money may
    still come. Only an answer ends that, never silence, and none before the one cancellation was sent, if it can be."""
    if state.phase is Phase.WATCHING and event.at_ms >= state.until_ms:
        detail = "no final status came by the invoice's end and the grace period: ask the acquirer about this payment"
        state, _ = ask_later(replace(state, phase=Phase.OVERDUE), event)
        return _add_to_case(state, CaseReason.EXPIRED_UNCONFIRMED, detail)
    unspent = state.payment_id is not None and state.cancel is Cancel.NOT_ASKED
    if state.phase is Phase.OVERDUE and _has_asked_for_days(state, event) and not unspent:
        return _given_up(state)
    return ask_later(state, event)


def _has_asked_for_days(state: State, event: StatusUnavailable | PaymentStatusReceived) -> bool:
    """Whether the lane may stop asking: it has an answer, and has asked for as long as the settings say."""
    timing = state.plan.timing
    answered = isinstance(event, PaymentStatusReceived) and is_complete(state)
    return answered and event.at_ms >= state.plan.over_at_ms + timing.overdue_ms


def is_complete(state: State) -> bool:
    """Whether the request that was just answered was sent when all was over."""
    return state.sent_at_ms >= complete_at(state)


def complete_at(state: State) -> int:
    """From when on an answer is the last word. The clock may have been set while the lane was down, so a lane that has
    started again allows the invoice its whole life from then on."""
    plan = state.plan
    at = plan.over_at_ms
    if state.resumed_at_ms:
        at = max(at, state.resumed_at_ms + plan.over_at_ms - plan.begun_at_ms)
    return max(at, state.until_ms) if state.phase is Phase.REFUNDABLE else at


# --- a lane that starts again, and its software -------------------------------------------------------------------


def recover_creating(state: State, event: Recovered) -> Step:
    """The answer to the create is lost: look for the payment."""
    return _find(replace(_resumed(state, event), reason=EndReason.RESTART), event.at_ms)


def recover_shown(state: State, event: Recovered) -> Step:
    """The customer may have seen the link: ask for the final status."""
    state, send = confirm(replace(_resumed(state, event), presented=True), event.at_ms, reason=EndReason.RESTART)
    return state, (Withdraw(), *send)


def recover_watching(state: State, event: Recovered) -> Step:
    """Keep watching, and ask at once. The network may come up later than the lane."""
    until = max(state.plan.over_at_ms, event.at_ms + state.plan.timing.poll_timeout_ms)
    return _send_poll(replace(_resumed(state, event), until_ms=until), event.at_ms)


def _resumed(state: State, event: Recovered) -> State:
    return replace(answer_lost(state), busy=False, resumed_at_ms=event.at_ms)


def answer_lost(state: State) -> State:
    """A cancellation that was under way when the lane stopped is never sent again, and its answer never comes."""
    return replace(state, cancel=Cancel.UNANSWERED) if state.cancel is Cancel.ASKED else state


def recover_paid(state: State, event: Recovered) -> Step:
    """Paid, and the lane's software may not know it, or has given it back."""
    if state.case is not None or (state.delivered and not event.not_accepted):
        return state, ()
    why = (
        "its software did not accept the outcome"
        if event.not_accepted
        else "the lane stopped before its software had taken the outcome"
    )
    detail = f"paid; {why}: the goods may not have been released"
    return replace(state, case=CaseReason.GOODS_UNCERTAIN), (OpenCase(CaseReason.GOODS_UNCERTAIN, detail),)


def delivered(state: State, event: Delivered) -> Step:
    """The lane's software has taken the outcome, where there is one."""
    return (replace(state, delivered=True) if state.outcome is not None else state), ()
