"""The contract of an acquirer's adapter: what the payment core relies on, as checks to run over your own.

Give the checks a bench of your adapter, connected through `HttpFaults` to a simulator of the acquirer, or to its test
environment::

    @pytest.fixture
    def bench():
        with OurSimulator() as bank, HttpFaults(bank.base_url, lambda payment_id: f"/orders/{payment_id}") as wire:
            yield OurBench(bank, wire)      # an `AcquirerBench`

    @pytest.mark.parametrize("check", acquirer_contract.CHECKS, ids=acquirer_contract.name_of)
    def test_contract(check, bench):
        check(bench)

Each check needs a fresh bench. They take plain asserts and work with any test framework.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Protocol

from sco_payment.acquirer import Acquirer
from sco_payment.attempt import (
    Cancel,
    CancelAnswered,
    Created,
    CreateFailed,
    Mode,
    PaymentNotListed,
    PaymentStatus,
    PaymentStatusReceived,
    Plan,
    StatusUnavailable,
)
from sco_sim.testing.http_faults import FAULTS, RETRY_AFTER_S, Fault, HttpFaults

__all__ = ["CHECKS", "AcquirerBench", "Check", "Fault", "HttpFaults", "name_of", "plan_of"]


class AcquirerBench(Protocol):
    """An adapter on a bench: the adapter, the wire, and what happens at the acquirer."""

    @property
    def acquirer(self) -> Acquirer:
        """The adapter under test. Its time-outs should be 1 to 3 s."""

    @property
    def wire(self) -> HttpFaults:
        """Between adapter and acquirer."""

    @property
    def refunds_on_cancel(self) -> bool:
        """Whether the acquirer answers the cancellation of a paid payment with a refund."""

    @property
    def call_limit_s(self) -> float:
        """How long any call of the adapter may take."""

    def now(self) -> int:
        """Lane time, in ms since the epoch, as the adapter sees it."""

    def pay(self, payment_id: str) -> None:
        """The customer pays in full."""

    def close_unpaid(self, payment_id: str) -> None:
        """The payment ends unpaid: it expires, or the customer declines for good."""

    def set_status(self, payment_id: str, word: str) -> None:
        """The acquirer calls the payment's status `word`."""

    def amount_of(self, payment_id: str) -> int:
        """What the acquirer asks of the customer, in kopecks."""

    def payments(self) -> int:
        """How many payments the acquirer has."""

    def cancellations(self) -> int:
        """How many requests to cancel the acquirer got."""


Check = Callable[[AcquirerBench], None]
_keys = count(1)
KOPECKS = 25_300


def plan_of(bench: AcquirerBench, order_no: str = "A-1", kopecks: int = KOPECKS) -> Plan:
    """A plan that begins now, with a key of its own."""
    now = bench.now()
    key = f"{next(_keys):04d}{time.time_ns():x}".rjust(32, "0")
    return Plan(key, order_no, kopecks, "RUB", Mode.SCREEN, now, (now + 300_000) // 1000 * 1000)


def _created(bench: AcquirerBench, plan: Plan | None = None) -> Created:
    event = bench.acquirer.create(plan_of(bench) if plan is None else plan, 1, ())
    assert isinstance(event, Created), event
    return event


def _status(bench: AcquirerBench, payment_id: str) -> PaymentStatusReceived:
    event = bench.acquirer.status(payment_id, 2)
    assert isinstance(event, PaymentStatusReceived), event
    assert event.payment_id == payment_id
    assert event.proved
    return event


# --- creating -----------------------------------------------------------------------------------------------------


def creates_an_open_payment(bench: AcquirerBench) -> None:
    """An id, the exact amount, a link, and the number of the request; the acquirer has one payment."""
    before = bench.now()
    event = bench.acquirer.create(plan_of(bench), 7, ())
    assert isinstance(event, Created), event
    assert (event.seq, event.status, event.kopecks, event.currency) == (7, PaymentStatus.OPEN, KOPECKS, "RUB")
    assert event.payment_id
    assert event.link is not None
    assert event.link.startswith("https://")
    assert before <= event.at_ms <= bench.now()
    assert bench.payments() == 1
    assert bench.acquirer.name


def creates_once_for_each_plan(bench: AcquirerBench) -> None:
    """The same plan again gives the same payment; another attempt of the same order gives another."""
    plan = plan_of(bench)
    first = _created(bench, plan)
    again = bench.acquirer.create(plan, 2, ())
    assert isinstance(again, Created), again
    assert (again.payment_id, again.kopecks, bench.payments()) == (first.payment_id, KOPECKS, 1)
    other = _created(bench, plan_of(bench))
    assert other.payment_id != first.payment_id
    assert bench.payments() == 2


def amounts_are_exact(bench: AcquirerBench) -> None:
    """To the kopeck, from the smallest to the largest, in both directions."""
    for n, kopecks in enumerate((1, 10, 99, 100, 101, 1_999, 100_000_007, 9_999_999_999)):
        event = _created(bench, plan_of(bench, f"A-{n}", kopecks))
        assert (event.kopecks, bench.amount_of(event.payment_id)) == (kopecks, kopecks)
        assert _status(bench, event.payment_id).kopecks == kopecks


def creates_nothing_twice_when_an_answer_is_lost(bench: AcquirerBench, fault: Fault) -> None:
    """The create may have happened, and the next try finds it."""
    plan = plan_of(bench)
    bench.wire.fault(fault)
    failed = bench.acquirer.create(plan, 3, ())
    assert isinstance(failed, CreateFailed), failed
    assert (failed.seq, failed.may_exist, failed.final) == (3, True, False)
    assert failed.detail
    bench.wire.release()
    _created(bench, plan)
    assert bench.payments() == 1


def a_create_without_a_network_may_be_tried_again(bench: AcquirerBench) -> None:
    plan = plan_of(bench)
    bench.wire.down()
    failed = bench.acquirer.create(plan, 1, ())
    assert isinstance(failed, CreateFailed), failed
    assert not failed.final
    bench.wire.up()
    _created(bench, plan)
    assert bench.payments() == 1


def a_create_that_comes_too_often_waits(bench: AcquirerBench) -> None:
    bench.wire.fault("429")
    failed = bench.acquirer.create(plan_of(bench), 1, ())
    assert isinstance(failed, CreateFailed), failed
    assert (failed.final, failed.wait_ms) == (False, RETRY_AFTER_S * 1000)


def a_payment_of_another_attempt_is_never_taken_for_this_one(bench: AcquirerBench) -> None:
    """Neither one that the acquirer answers about by mistake, nor one whose id belongs to another attempt."""
    other = _created(bench)
    bench.wire.another = other.payment_id
    bench.wire.fault("another")
    failed = bench.acquirer.create(plan_of(bench), 1, (other.payment_id,))
    assert isinstance(failed, CreateFailed), failed
    assert failed.may_exist
    plan = plan_of(bench, "B-2")
    bench.wire.fault("another")
    failed = bench.acquirer.create(plan, 1, ())
    assert isinstance(failed, CreateFailed), failed
    assert failed.may_exist
    mine = _created(bench, plan)
    bench.wire.fault("another")
    assert isinstance(bench.acquirer.status(mine.payment_id, 1), StatusUnavailable)
    bench.wire.fault("another")
    found = bench.acquirer.find(plan, 1, (other.payment_id,))
    assert not isinstance(found, PaymentNotListed), found
    assert not isinstance(found, PaymentStatusReceived) or found.payment_id == mine.payment_id
    bench.wire.fault("another")
    assert _cancelled(bench, mine.payment_id) is not Cancel.ACCEPTED


# --- the status ---------------------------------------------------------------------------------------------------


def open_paid_and_closed_are_told_apart(bench: AcquirerBench) -> None:
    paid, closed = _created(bench).payment_id, _created(bench, plan_of(bench, "B-2")).payment_id
    assert _status(bench, paid).status is _status(bench, closed).status is PaymentStatus.OPEN
    bench.pay(paid)
    bench.close_unpaid(closed)
    event = _status(bench, paid)
    assert (event.status, event.kopecks, event.currency) == (PaymentStatus.PAID, KOPECKS, "RUB")
    assert event.acquirer_status
    assert _status(bench, closed).status is PaymentStatus.CLOSED


def an_unknown_status_is_unknown_and_named(bench: AcquirerBench) -> None:
    """Never final: the acquirer may add words at any time."""
    payment_id = _created(bench).payment_id
    bench.set_status(payment_id, "Dancing")
    event = _status(bench, payment_id)
    assert event.status is PaymentStatus.UNKNOWN
    assert "Dancing" in event.acquirer_status
    bench.set_status(payment_id, "")
    empty = bench.acquirer.status(payment_id, 1)
    assert not isinstance(empty, PaymentStatusReceived) or empty.status is PaymentStatus.UNKNOWN


def no_answer_is_no_status(bench: AcquirerBench, fault: Fault | None) -> None:
    """For a paid and an open payment; the next question is answered."""
    payment_id = _created(bench).payment_id
    bench.pay(payment_id)
    _break(bench, fault)
    event = bench.acquirer.status(payment_id, 5)
    assert isinstance(event, StatusUnavailable), event
    assert (event.seq, event.wait_ms) == (5, RETRY_AFTER_S * 1000 if fault == "429" else 0)
    assert event.detail
    bench.wire.up()
    bench.wire.release()
    assert _status(bench, payment_id).status is PaymentStatus.PAID


def an_unknown_id_is_no_status(bench: AcquirerBench) -> None:
    """Right after a creation "not found" is common, and it never means "not paid". Odd ids never raise."""
    for payment_id in ("999999", "", "../1", "1?x=2", "1/cancel", "платёж", "x" * 300, "\r\nX: y"):
        assert isinstance(bench.acquirer.status(payment_id, 1), StatusUnavailable), payment_id
        assert _cancelled(bench, payment_id) is not Cancel.ACCEPTED, payment_id


# --- finding ------------------------------------------------------------------------------------------------------


def a_payment_whose_id_was_lost_is_found(bench: AcquirerBench) -> None:
    plan = plan_of(bench)
    bench.wire.fault("cut after")
    assert isinstance(bench.acquirer.create(plan, 1, ()), CreateFailed)
    event = bench.acquirer.find(plan, 4, ())
    assert isinstance(event, PaymentStatusReceived), event
    assert (event.seq, event.status, event.kopecks) == (4, PaymentStatus.OPEN, KOPECKS)
    bench.pay(event.payment_id)
    event = bench.acquirer.find(plan, 5, ())
    assert isinstance(event, PaymentStatusReceived), event
    assert event.status is PaymentStatus.PAID


def what_was_never_created_is_not_found(bench: AcquirerBench) -> None:
    """Payments of other orders, and of the order's other attempts, are not taken for it."""
    _created(bench, plan_of(bench, "B-2"))
    earlier = _created(bench)
    event = bench.acquirer.find(plan_of(bench), 1, (earlier.payment_id,))
    assert isinstance(event, PaymentNotListed | StatusUnavailable), event


def no_answer_finds_nothing_out(bench: AcquirerBench, fault: Fault | None) -> None:
    """A search without an answer never counts as "there is no such payment"."""
    plan = plan_of(bench)
    _created(bench, plan)
    _break(bench, fault)
    event = bench.acquirer.find(plan, 6, ())
    assert isinstance(event, StatusUnavailable), event
    assert (event.seq, event.wait_ms) == (6, RETRY_AFTER_S * 1000 if fault == "429" else 0)


# --- cancelling ---------------------------------------------------------------------------------------------------


def _cancelled(bench: AcquirerBench, payment_id: str, *, not_taken: bool = False) -> Cancel:
    """The result of a cancellation; `not_taken`: it certainly has no effect, so that it may count as never sent."""
    event = bench.acquirer.cancel(payment_id, 8)
    assert isinstance(event, CancelAnswered), event
    assert event.seq == 8
    assert event.result is Cancel.ACCEPTED or event.detail
    results = (Cancel.ACCEPTED, Cancel.REFUSED, Cancel.UNANSWERED)
    assert event.result in ((*results, Cancel.NOT_ASKED) if not_taken else results)
    return event.result


def an_open_payment_is_cancelled(bench: AcquirerBench) -> None:
    payment_id = _created(bench).payment_id
    assert _cancelled(bench, payment_id) is Cancel.ACCEPTED
    assert _status(bench, payment_id).status is PaymentStatus.CLOSED
    assert bench.cancellations() == 1


def a_paid_payment_is_never_cancelled(bench: AcquirerBench) -> None:
    """The cancellation is refused; where the acquirer refunds instead, it is not, and the status shows that."""
    payment_id = _created(bench).payment_id
    bench.pay(payment_id)
    refused = Cancel.UNANSWERED if bench.refunds_on_cancel else Cancel.REFUSED
    assert _cancelled(bench, payment_id) is refused
    event = _status(bench, payment_id)
    assert event.status is (PaymentStatus.REFUNDED if bench.refunds_on_cancel else PaymentStatus.PAID)
    assert event.kopecks == KOPECKS


def a_closed_payment_stays_closed(bench: AcquirerBench) -> None:
    payment_id = _created(bench).payment_id
    bench.close_unpaid(payment_id)
    _cancelled(bench, payment_id)
    assert _status(bench, payment_id).status is PaymentStatus.CLOSED


def no_answer_to_a_cancellation_is_unanswered(bench: AcquirerBench, fault: Fault | None) -> None:
    """Neither accepted nor refused: it may have taken effect. It is sent once. Only a cancellation that certainly took
    none, without a network or with "too many requests", may be NOT_ASKED, and is then sent again."""
    payment_id = _created(bench).payment_id
    requests = bench.wire.requests
    _break(bench, fault)
    result = _cancelled(bench, payment_id, not_taken=fault in (None, "429"))
    assert bench.wire.requests - requests <= 1
    bench.wire.up()
    bench.wire.release()
    if result is Cancel.NOT_ASKED:
        assert bench.cancellations() == 0
        assert _status(bench, payment_id).status is PaymentStatus.OPEN
        assert _cancelled(bench, payment_id) is Cancel.ACCEPTED
    else:
        assert result is Cancel.UNANSWERED
    assert bench.cancellations() <= 1


def a_late_cancellation_shows_in_the_status(bench: AcquirerBench) -> None:
    """A cancellation of ours arrives when the lane has given it up. The core allows for what it may do."""
    payment_id = _created(bench).payment_id
    bench.wire.fault("held")
    assert _cancelled(bench, payment_id) is Cancel.UNANSWERED
    bench.pay(payment_id)
    assert _status(bench, payment_id).status is PaymentStatus.PAID
    bench.wire.release()
    after = _status(bench, payment_id).status
    assert after is (PaymentStatus.REFUNDED if bench.refunds_on_cancel else PaymentStatus.PAID)


# --- time and threads ---------------------------------------------------------------------------------------------


def no_call_takes_longer_than_its_limit(bench: AcquirerBench) -> None:
    """An answer that comes byte by byte keeps every single wait short, and would take minutes."""
    plan = plan_of(bench)
    payment_id = _created(bench, plan).payment_id
    acquirer = bench.acquirer
    calls: tuple[Callable[[], object], ...] = (
        partial(acquirer.create, plan_of(bench, "B-2"), 1, ()),
        partial(acquirer.status, payment_id, 1),
        partial(acquirer.find, plan, 1, ()),
        partial(acquirer.cancel, payment_id, 1),
    )
    for call in calls:
        bench.wire.fault("drip")
        started = time.monotonic()
        event = call()
        assert time.monotonic() - started < bench.call_limit_s
        assert isinstance(event, CreateFailed | StatusUnavailable | CancelAnswered), event


def a_slow_status_holds_up_no_cancellation(bench: AcquirerBench) -> None:
    """Calls come from several threads."""
    payment_id = _created(bench).payment_id
    bench.wire.fault("held")
    slow = threading.Thread(target=bench.acquirer.status, args=(payment_id, 1), daemon=True)
    slow.start()
    until = time.monotonic() + 10.0
    while not bench.wire.held and time.monotonic() < until:
        time.sleep(0.01)
    assert _cancelled(bench, payment_id) is Cancel.ACCEPTED
    assert slow.is_alive()
    slow.join(bench.call_limit_s)
    assert not slow.is_alive()


def close_may_come_twice_and_no_call_raises_after_it(bench: AcquirerBench) -> None:
    plan = plan_of(bench)
    payment_id = _created(bench, plan).payment_id
    bench.acquirer.close()
    bench.acquirer.close()
    assert isinstance(bench.acquirer.create(plan, 1, ()), Created | CreateFailed)
    assert isinstance(bench.acquirer.status(payment_id, 1), PaymentStatusReceived | StatusUnavailable)
    assert isinstance(bench.acquirer.find(plan, 1, ()), PaymentStatusReceived | StatusUnavailable | PaymentNotListed)
    _cancelled(bench, payment_id)


def _break(bench: AcquirerBench, fault: Fault | None) -> None:
    """The next request meets the fault; None: there is no network."""
    if fault is None:
        bench.wire.down()
    else:
        bench.wire.fault(fault)


# --- all of them --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _With:
    """A check with one of the faults."""

    check: Callable[[AcquirerBench, Fault], None] | Callable[[AcquirerBench, Fault | None], None]
    fault: Fault | None

    def __call__(self, bench: AcquirerBench) -> None:
        self.check(bench, self.fault)  # type: ignore[arg-type]


_LOSES_ANSWERS: tuple[Fault, ...] = (
    "cut before", "cut after", "held", "500 before", "500 after", "garbage", "page",
)  # fmt: skip
_NO_ANSWER: tuple[Fault | None, ...] = (None, *(fault for fault in FAULTS if fault not in ("another", "drip")))

CHECKS: tuple[Check, ...] = (
    creates_an_open_payment,
    creates_once_for_each_plan,
    amounts_are_exact,
    *(_With(creates_nothing_twice_when_an_answer_is_lost, fault) for fault in _LOSES_ANSWERS),
    a_create_without_a_network_may_be_tried_again,
    a_create_that_comes_too_often_waits,
    a_payment_of_another_attempt_is_never_taken_for_this_one,
    open_paid_and_closed_are_told_apart,
    an_unknown_status_is_unknown_and_named,
    *(_With(no_answer_is_no_status, fault) for fault in _NO_ANSWER),
    an_unknown_id_is_no_status,
    a_payment_whose_id_was_lost_is_found,
    what_was_never_created_is_not_found,
    *(_With(no_answer_finds_nothing_out, fault) for fault in _NO_ANSWER),
    an_open_payment_is_cancelled,
    a_paid_payment_is_never_cancelled,
    a_closed_payment_stays_closed,
    *(_With(no_answer_to_a_cancellation_is_unanswered, fault) for fault in _NO_ANSWER),
    a_late_cancellation_shows_in_the_status,
    no_call_takes_longer_than_its_limit,
    a_slow_status_holds_up_no_cancellation,
    close_may_come_twice_and_no_call_raises_after_it,
)
"""Every check; see the module's first lines."""


def name_of(check: Check) -> str:
    """A check's name, for reports."""
    if isinstance(check, _With):
        return f"{check.check.__name__}[{check.fault or 'no network'}]"
    return str(getattr(check, "__name__", check))
