"""The seeded faults of lane, journal, presenter and acquirer's adapter, each of which the simulation must catch.

They are mistakes in our code. What may go wrong outside it (wires, disk, devices, power, the acquirer) is in `faults`.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

from sco_drivers.errors import DeviceError
from sco_payment import attempt as m
from sco_payment import lane, loop
from sco_payment.attempt import _handlers
from sco_payment.customer import presenter
from sco_payment.journal import Journal, JournalError
from sco_payment.paymaster import adapter, client
from sco_payment.paymaster.errors import PayMasterError, PaymentNotFound
from tests.verification.seeded import Make, Patch, SeededFault
from tests.verification.simulate.faults import Focus


def _effects_first(original: Any) -> Any:
    def apply(self: Any, key: str, event: m.Event) -> None:
        before = self.attempts[key]
        after, effects = m.step(before, event)
        self.attempts[key] = after
        self.perform(after, effects)
        if m.significant(before, after, effects):
            case = self._record(event, after, effects)
            if case is not None:
                self.cases[key] = case

    return apply


def _new_key_each_time(original: Any) -> Any:
    tries = iter(range(1_000_000))

    def create(self: Any, plan: m.Plan, seq: int, *rest: Any) -> Any:
        return original(self, replace(plan, key=f"{plan.key}-{next(tries)}"), seq, *rest)

    return create


def _failed_cancel_is_accepted(original: Any) -> Any:
    def cancel(self: Any, payment_id: str, seq: int) -> Any:
        return replace(original(self, payment_id, seq), result=m.Cancel.ACCEPTED)

    return cancel


def _unanswered_cancel_never_left(original: Any) -> Any:
    def cancel(self: Any, payment_id: str, seq: int) -> Any:
        answered = original(self, payment_id, seq)
        return replace(answered, result=m.Cancel.NOT_ASKED) if answered.result is m.Cancel.UNANSWERED else answered

    return cancel


def _not_found_is_unpaid(original: Any) -> Any:
    def status(self: Any, payment_id: str, seq: int) -> Any:
        try:
            self._client.get_payment(payment_id)
        except PaymentNotFound:
            return m.PaymentStatusReceived(self._now(), seq, payment_id, m.PaymentStatus.CLOSED, "404", 0, "RUB")
        except PayMasterError:
            pass
        return original(self, payment_id, seq)

    return status


def _no_case(original: Any) -> Any:
    def record(self: Any, event: Any, state: Any, effects: Any, *, at_ms: int) -> None:
        original(self, event, state, [e for e in effects if not isinstance(e, m.OpenCase)], at_ms=at_ms)

    return record


def _delivers_twice(original: Any) -> Any:
    def pay(self: Any, order: Any, *, deliver: Any = None) -> Any:
        def twice(result: Any) -> None:
            deliver(result)
            deliver(result)

        return original(self, order, deliver=twice)

    return pay


def _prints_again(original: Any) -> Any:
    serial = iter(range(1_000_000))

    def print_(self: Any, plan: m.Plan, link: str) -> Any:
        found = original(self, plan, link)
        with suppress(DeviceError):
            self._printer.get().print_ticket(replace(self._ticket(plan, link, ""), ticket_id=f"again-{next(serial)}"))
        return found

    return print_


def _unknown_ticket_is_none(original: Any) -> Any:
    def print_(self: Any, plan: m.Plan, link: str) -> Any:
        found = original(self, plan, link)
        return found if "printed:" in found.evidence else presenter.Presentation(False, found.evidence)

    return print_


def _no_gate(original: Any) -> Any:
    return lambda *arguments: None


def _legs_are_as_the_till_says(original: Any) -> Any:
    def gate(order_no: str, sticker_id: str | None, others: Any, *said: Any) -> Any:
        return original(order_no, sticker_id, [one for one in others if one.plan.remaining == 0], *said)

    return gate


def _journal_errors_are_logged(original: Any) -> Any:
    def record(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return original(self, *arguments, **named)
        except JournalError:
            return None

    return record


def _any_answer_is_accepted(original: Any) -> Any:
    return lambda payment, plan: True


def _no_nameless_payment_is_the_attempts(original: Any) -> Any:
    return lambda self, payment, plan: payment.order_no is not None and original(self, payment, plan)


def _any_page_is_accepted(original: Any) -> Any:
    return lambda body, payment_id: None


def _any_amount(original: Any) -> Any:
    return lambda state, event: True


def _recovers_nothing(original: Any) -> Any:
    def load_open(self: Any) -> None:
        self._recovered = True

    return load_open


def _cancels_again(original: Any) -> Any:
    def answer_lost(state: m.State) -> m.State:
        asked = state.cancel is m.Cancel.ASKED
        return replace(state, cancel=m.Cancel.NOT_ASKED) if asked else state

    return answer_lost


def _never_left_is_unanswered(original: Any) -> Any:
    def cancel(self: Any, payment_id: str, seq: int) -> Any:
        answered = original(self, payment_id, seq)
        return replace(answered, result=m.Cancel.UNANSWERED) if answered.result is m.Cancel.NOT_ASKED else answered

    return cancel


def _no_warning(original: Any) -> Any:
    return lambda self, key, at: None


def _anybody_could_see_it(original: Any) -> Any:
    return lambda state: True


def _every_answer_is_the_last(original: Any) -> Any:
    return lambda state: True


def _last_by_the_clock(original: Any) -> Any:
    return lambda state: state.sent_at_ms >= state.plan.over_at_ms


def _no_answer_is_no_refund(original: Any) -> Any:
    return lambda state: state.cancel is m.Cancel.ACCEPTED


def _no_later_refund(original: Any) -> Any:
    def refundable_status(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
        after: m.Step = original.handler(replace(state, sent_at_ms=event.at_ms + 86_400_000), event)
        return after

    return m.Rule(refundable_status, original.leads_to)


def _gives_up_unspent(original: Any) -> Any:
    def watch_on(state: m.State, event: Any) -> m.Step:
        unspent = state.cancel is m.Cancel.NOT_ASKED
        after, effects = original(replace(state, cancel=m.Cancel.REFUSED) if unspent else state, event)
        return replace(after, cancel=state.cancel), effects

    return watch_on


def _stays_closed(original: Any) -> Any:
    return lambda self, db, at_ms, key: None


def _fault(name: str, *breaks: int, owner: Any, attribute: str, make: Make, where: Focus | None = None) -> SeededFault:
    return SeededFault(name, frozenset(breaks), (Patch(owner, attribute, make),), where)


FAULTS = (
    _fault("effects before the record", 1, 2, 3, 4, owner=loop.Loop, attribute="apply", make=_effects_first),
    _fault(
        "each retry of a create has a new key",
        *(2, 3),
        owner=adapter.PayMasterAcquirer,
        attribute="create",
        make=_new_key_each_time,
    ),
    _fault(
        "a failed cancellation counts",
        *(2, 3, 4),
        owner=adapter.PayMasterAcquirer,
        attribute="cancel",
        make=_failed_cancel_is_accepted,
    ),
    _fault(
        "a cancellation without an answer counts as never sent",
        *(1, 4),
        owner=adapter.PayMasterAcquirer,
        attribute="cancel",
        make=_unanswered_cancel_never_left,
        where=Focus(persistent=("cancel", "answer lost")),
    ),
    _fault(
        "404 is unpaid",
        *(2, 3, 4),
        owner=adapter.PayMasterAcquirer,
        attribute="status",
        make=_not_found_is_unpaid,
    ),
    _fault("a case is not opened", 2, owner=Journal, attribute="record", make=_no_case),
    _fault("late money does not reopen a closed case", 2, owner=Journal, attribute="_reopen_case", make=_stays_closed),
    _fault("the outcome is delivered twice", 1, owner=lane.Lane, attribute="pay", make=_delivers_twice),
    _fault("a ticket is printed again", 7, owner=presenter.Presenter, attribute="_print", make=_prints_again),
    _fault(
        "a ticket that may be printed counts as not printed",
        7,
        owner=presenter.Presenter,
        attribute="_print",
        make=_unknown_ticket_is_none,
        where=Focus(0, {"printer mute": 0.8, "printer gone": 0.3}),
    ),
    _fault("the gate is always open", 2, 3, 7, owner=m, attribute="gate", make=_no_gate),
    _fault(
        "a leg that is paid may be asked for again",
        *(3, 6),
        owner=m,
        attribute="gate",
        make=_legs_are_as_the_till_says,
        where=Focus(1),
    ),
    _fault(
        "a journal's error is only logged",
        *(0, 1, 2, 3, 4, 5),
        owner=Journal,
        attribute="record",
        make=_journal_errors_are_logged,
    ),
    _fault(
        "an answer about another payment is accepted",
        *(1, 2, 3, 4, 7),
        owner=adapter,
        attribute="_is_of",
        make=_any_answer_is_accepted,
    ),
    _fault(
        "a list without names does not hold the attempt's payment",
        *(2, 3, 4),
        owner=adapter.PayMasterAcquirer,
        attribute="_may_be",
        make=_no_nameless_payment_is_the_attempts,
        where=Focus(2, {"nameless": 1.0}, ("create", "answer lost")),
    ),
    _fault(
        "a captive portal's page counts as an accepted cancellation",
        *(2, 3, 4),
        owner=client.wire,
        attribute="parse_cancelled",
        make=_any_page_is_accepted,
        where=Focus(persistent=("cancel", "portal")),
    ),
    _fault(
        "the amount is not compared",
        *(1, 2),
        owner=_handlers,
        attribute="full_amount",
        make=_any_amount,
        where=Focus(rates={"bank other amount": 1.0}),
    ),
    _fault("open attempts are not recovered", 2, 5, owner=loop.Loop, attribute="load_open", make=_recovers_nothing),
    _fault(
        "a cancellation that never left counts as sent",
        4,
        owner=adapter.PayMasterAcquirer,
        attribute="cancel",
        make=_never_left_is_unanswered,
        where=Focus(persistent=("cancel", "429")),
    ),
    _fault(
        "a wrong clock is not reported",
        0,
        owner=loop.Loop,
        attribute="_compare_clocks",
        make=_no_warning,
        where=Focus(rates={"clock skew": 1.0}),
    ),
    _fault(
        "money for a link that nobody was shown is an ordinary payment",
        1,
        owner=_handlers,
        attribute="_could_be_seen",
        make=_anybody_could_see_it,
        where=Focus(rates={"bank settles at once": 1.0}),
    ),
    _fault(
        "a declined payment is not watched",
        *(2, 3, 4),
        owner=_handlers,
        attribute="is_complete",
        make=_every_answer_is_the_last,
        where=Focus(rates={"bank declines a try": 1.0}),
    ),
    _fault(
        "a cancellation without an answer refunds nothing",
        1,
        owner=_handlers,
        attribute="may_be_refunded",
        make=_no_answer_is_no_refund,
        where=Focus(rates={"bank refunds": 1.0}, persistent=("cancel", "late")),
    ),
    _fault(
        "a refund that shows later is not waited for",
        2,
        owner=m.TABLE[m.Phase.REFUNDABLE],
        attribute=m.PaymentStatusReceived,
        make=_no_later_refund,
        where=Focus(rates={"bank refunds": 1.0}, persistent=("cancel", "late")),
    ),
    _fault(
        "a clock that was set while the lane was down ends the watch",
        *(3, 4),
        owner=_handlers,
        attribute="is_complete",
        make=_last_by_the_clock,
        where=Focus(1, {"bank declines a try": 1.0, "killed": 1.0, "clock at boot": 1.0, "killed at disk": 1.0}),
    ),
    _fault(
        "the lane stops asking with the cancellation unspent",
        5,
        owner=_handlers,
        attribute="watch_on",
        make=_gives_up_unspent,
        where=Focus(rates={"bank stays open": 1.0}, persistent=("get", "500")),
    ),
    _fault(
        "a cancellation is sent again",
        4,
        owner=_handlers,
        attribute="answer_lost",
        make=_cancels_again,
        where=Focus(rates={"killed at wire": 0.8, "bank refuses cancel": 0.8}),
    ),
)
