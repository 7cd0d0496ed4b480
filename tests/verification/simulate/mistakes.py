"""Real mistakes, planted in the production runner, journal, presenter and acquirer one at a time: the proof that the
simulation can fail. Each patches production classes for as long as its block runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from sco_drivers.errors import DeviceError
from sco_payment import attempt as m
from sco_payment import lane, loop
from sco_payment.attempt import _handlers
from sco_payment.customer import presenter as present
from sco_payment.journal import Journal, JournalError
from sco_payment.paymaster import adapter, client
from sco_payment.paymaster.errors import PayMasterError, PaymentNotFound
from tests.verification.simulate.faults import Focus


@dataclass(frozen=True, slots=True)
class Mistake:
    """`patches` are (owner, name, maker): what is made of the original takes its place. `breaks`: the invariants.

    `focus`: the worlds in which it is looked for, where hundreds of seeds would go by in any worlds.
    """

    name: str
    breaks: frozenset[int]
    patches: tuple[tuple[Any, str, Callable[[Any], Any]], ...]
    focus: Focus


@contextmanager
def planted(mistake: Mistake) -> Iterator[None]:
    """The production code with `mistake` in it."""
    with ExitStack() as stack:
        for owner, name, make in mistake.patches:
            stack.enter_context(mock.patch.object(owner, name, make(getattr(owner, name))))
        yield


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
            self._printer.get().print_ticket(replace(self._ticket(plan, link), ticket_id=f"again-{next(serial)}"))
        return found

    return print_


def _unknown_ticket_is_none(original: Any) -> Any:
    def print_(self: Any, plan: m.Plan, link: str) -> Any:
        found = original(self, plan, link)
        return found if "printed:" in found.evidence else present.Presentation(False, found.evidence)

    return print_


def _no_gate(original: Any) -> Any:
    return lambda *arguments: None


def _journal_errors_are_logged(original: Any) -> Any:
    def record(self: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return original(self, *arguments, **named)
        except JournalError:
            return None

    return record


def _any_answer_will_do(original: Any) -> Any:
    return lambda payment, plan: True


def _any_page_is_a_yes(original: Any) -> Any:
    return lambda body, payment_id: None


def _paid_without_looking_at_the_sum(original: Any) -> Any:
    return lambda state, event: True


def _keeps_no_open_attempts(original: Any) -> Any:
    def load_open(self: Any) -> None:
        self._recovered = True

    return load_open


def _cancels_again(original: Any) -> Any:
    def answer_lost(state: m.State) -> m.State:
        asked = state.cancel is m.Cancel.ASKED
        return replace(state, cancel=m.Cancel.NOT_ASKED) if asked else state

    return answer_lost


def _closed_for_good(original: Any) -> Any:
    return lambda self, db, at, key: None


_ANY = Focus()


def _mistake(
    name: str,
    *breaks: int,
    patches: tuple[tuple[Any, str, Callable[[Any], Any]], ...],
    focus: Focus = _ANY,
) -> Mistake:
    return Mistake(name, frozenset(breaks), patches, focus)


MISTAKES = (
    _mistake("effects before the record", 1, 2, 3, 4, patches=((loop.Loop, "apply", _effects_first),)),
    _mistake(
        "each retry of a create has a new key",
        2,
        3,
        patches=((adapter.PayMasterAcquirer, "create", _new_key_each_time),),
    ),
    _mistake(
        "a failed cancellation counts",
        2,
        3,
        4,
        patches=((adapter.PayMasterAcquirer, "cancel", _failed_cancel_is_accepted),),
    ),
    _mistake("404 is unpaid", 2, 3, 4, patches=((adapter.PayMasterAcquirer, "status", _not_found_is_unpaid),)),
    _mistake("a case is not opened", 2, patches=((Journal, "record", _no_case),)),
    _mistake("late money opens no closed case again", 2, patches=((Journal, "_reopen_case", _closed_for_good),)),
    _mistake("the outcome is delivered twice", 1, patches=((lane.Lane, "pay", _delivers_twice),)),
    _mistake("a ticket is printed again", 7, patches=((present.Presenter, "_print", _prints_again),)),
    _mistake(
        "an unknown ticket counts as none",
        7,
        focus=Focus(0, {"printer mute": 0.8, "printer gone": 0.3}),
        patches=((present.Presenter, "_print", _unknown_ticket_is_none),),
    ),
    _mistake("the gate stands open", 2, 3, 7, patches=((m, "gate", _no_gate),)),
    _mistake(
        "a journal's error is only logged", 0, 1, 2, 3, 4, 5, patches=((Journal, "record", _journal_errors_are_logged),)
    ),
    _mistake(
        "an answer about another payment is taken", 1, 2, 3, 4, 7, patches=((adapter, "_is_of", _any_answer_will_do),)
    ),
    _mistake(
        "a portal's page accepts a cancellation",
        *(2, 3, 4),
        focus=Focus(curse=("cancel", "portal")),
        patches=((client.wire, "parse_cancelled", _any_page_is_a_yes),),
    ),
    _mistake("the sum is not looked at", 1, 2, patches=((_handlers, "full_amount", _paid_without_looking_at_the_sum),)),
    _mistake("open attempts are not taken over", 2, 5, patches=((lane.Lane, "_load_open", _keeps_no_open_attempts),)),
    _mistake(
        "a cancellation is sent again",
        4,
        focus=Focus(rates={"killed at wire": 0.8, "bank refuses cancel": 0.8}),
        patches=((_handlers, "answer_lost", _cancels_again),),
    ),
)
