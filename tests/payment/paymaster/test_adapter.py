"""What the acquirer's answers mean for an attempt: above all, which of them are about another payment."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sco_payment import attempt as m
from sco_payment.paymaster.adapter import PayMasterAcquirer
from sco_payment.paymaster.wire import Payment
from sco_payment.runtime import ThreadRuntime

PLAN = m.Plan("k1", "A-1", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=1_000_000, expires_at_ms=1_300_000)


def payment(payment_id: str = "7", order_no: str | None = "A-1", **params: str) -> Payment:
    return Payment(payment_id, "Confirmation", 25_300, "RUB", order_no=order_no, link="https://x", params=params)


class Client:
    """Answers with what it was given."""

    def __init__(self, *payments: Payment) -> None:
        self.payments = list(payments)
        self.clock_ahead_s: float | None = None
        self.asked: list[tuple[datetime, datetime]] = []
        self.expires: list[datetime] = []

    def create_payment(self, new: Any, key: str) -> Payment:
        self.expires.append(new.expires)
        return self.payments[0]

    def ask_for_the_time(self) -> None:
        """No answer."""

    def get_payment(self, payment_id: str) -> Payment:
        return self.payments[0]

    def cancel_payment(self, payment_id: str) -> None:
        """Accepted."""

    def close(self) -> None:
        """Nothing to release."""

    def list_payments(self, start: datetime, end: datetime, *, order_no: str | None = None) -> list[Payment]:
        assert (start.tzinfo, order_no) == (UTC, PLAN.order_no)
        self.asked.append((start, end))
        return self.payments


def bank(*payments: Payment) -> PayMasterAcquirer:
    return PayMasterAcquirer(
        Client(*payments), lambda: 2_000_000, states={}, describe=lambda plan: "", callback_url=None, pos_id="KSO-7"
    )


@pytest.mark.parametrize("answer", [payment(attempt="k1"), payment(), payment(order_no=None)])
def test_a_create_is_answered(answer: Payment) -> None:
    created = bank(answer).create(PLAN, 1)
    assert isinstance(created, m.Created)
    assert created.payment_id == "7"


@pytest.mark.bank("B20")
def test_an_unwanted_test_payment_is_never_shown_and_never_paid() -> None:
    play = replace(payment(), test_mode=True)
    created = bank(play).create(PLAN, 1)
    assert isinstance(created, m.Created)
    assert created.link is None
    word = bank(replace(play, status="Settled")).status("7", 2)
    assert isinstance(word, m.PaymentStatusReceived)
    assert (word.status, word.acquirer_status) == (m.PaymentStatus.UNKNOWN, "test payment: Settled")
    closed = bank(replace(play, status="Rejected")).status("7", 3)
    assert isinstance(closed, m.PaymentStatusReceived)
    assert closed.status is m.PaymentStatus.CLOSED


def test_a_wanted_test_payment_is_handled_like_any_other() -> None:
    asks = bank(replace(payment(), status="Settled", test_mode=True))
    asks._test_mode = True
    word = asks.status("7", 1)
    assert isinstance(word, m.PaymentStatusReceived)
    assert word.status is m.PaymentStatus.PAID


@pytest.mark.parametrize(
    ("answer", "foreign"),
    [
        (payment(attempt="k0"), ()),  # the order's attempt before this one
        (payment(order_no="B-2"), ()),
        (payment(order_no="B-2", attempt="k9"), ()),
        (payment(), ("7",)),  # the bank names no attempt, but the lane knows whose it is
    ],
)
def test_an_answer_about_another_payment_creates_nothing_and_may_have(
    answer: Payment, foreign: tuple[str, ...]
) -> None:
    failed = bank(answer).create(PLAN, 1, foreign)
    assert isinstance(failed, m.CreateFailed)
    assert (failed.may_exist, failed.final) == (True, False)
    assert "another payment: 7" in failed.detail


@pytest.mark.bank("B1")
def test_a_payment_of_another_lane_with_the_same_number_is_not_found() -> None:
    """Order numbers of two lanes of one merchant may be the same: the attempt distinguishes them."""
    namesake = payment("8", attempt="of another lane")
    assert isinstance(bank(namesake).find(PLAN, 1, ()), m.PaymentNotListed)
    found = bank(namesake, payment("7", attempt="k1")).find(PLAN, 1, ())
    assert isinstance(found, m.PaymentStatusReceived)
    assert (found.payment_id, found.proved) == ("7", True)


@pytest.mark.bank("B1")
def test_without_the_attempts_key_the_order_number_proves_nothing_and_two_payments_are_no_status() -> None:
    found = bank(payment("7"), payment("9", order_no="B-2")).find(PLAN, 1, ())
    assert isinstance(found, m.PaymentStatusReceived)
    assert (found.payment_id, found.proved) == ("7", False)
    assert isinstance(bank(payment("7"), payment("8")).find(PLAN, 1, ()), m.StatusUnavailable)
    assert isinstance(bank(payment("7"), payment("8")).find(PLAN, 1, ("8",)), m.PaymentStatusReceived)


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@pytest.mark.parametrize(
    ("skew_s", "word"),
    [(0.0, True), (None, True), (7_200.0, True), (144_000.0, True), (-144_000.0, True), (144_001.0, False)],
)
@pytest.mark.bank("B4")
def test_an_empty_list_is_no_answer_where_the_clocks_are_days_apart(skew_s: float | None, word: bool) -> None:
    client = Client()
    client.clock_ahead_s = skew_s
    asks = PayMasterAcquirer(
        client, lambda: 2_000_000, states={}, describe=lambda plan: "", callback_url=None, pos_id="KSO-7"
    )
    assert isinstance(asks.find(PLAN, 1, ()), m.PaymentNotListed if word else m.StatusUnavailable)
    ((start, end),) = client.asked
    created_at_the_bank = PLAN.begun_at_ms + round((skew_s or 0.0) * 1000)
    assert ms(start) <= created_at_the_bank <= ms(end)


@pytest.mark.parametrize("skew_s", [-3_600.0, None, 3_600.0])
def test_a_search_covers_the_payments_time_by_both_clocks(skew_s: float | None) -> None:
    client, now = Client(), PLAN.begun_at_ms + 60_000
    client.clock_ahead_s = skew_s
    asks = PayMasterAcquirer(
        client, lambda: now, states={}, describe=lambda plan: "", callback_url=None, pos_id="KSO-7"
    )
    asks.find(PLAN, 1, ())
    shift = round((skew_s or 0) * 1000)
    assert [(ms(start), ms(end)) for start, end in client.asked] == [
        (PLAN.begun_at_ms + min(shift, 0) - 600_000, now + max(shift, 0) + 600_000)
    ]


@pytest.mark.parametrize("error", [ValueError, OverflowError])
def test_what_cannot_be_written_as_a_request_was_never_sent(error: type[Exception]) -> None:
    def describe(plan: m.Plan) -> str:
        raise error("cannot be written")

    asks = PayMasterAcquirer(
        Client(), lambda: 1_000_000, states={}, describe=describe, callback_url=None, pos_id="KSO-7"
    )
    assert asks.create(PLAN, 3) == m.CreateFailed(1_000_000, 3, "cannot be written", may_exist=False, final=True)


NAMELESS = payment("7", order_no=None)
BEGUN = datetime.fromtimestamp(PLAN.begun_at_ms / 1000, UTC)


@pytest.mark.parametrize("status", ["Confirmation", "Settled", "Cancelled"])
@pytest.mark.parametrize("created", [None, BEGUN, BEGUN - timedelta(minutes=9), BEGUN + timedelta(hours=1)])
@pytest.mark.bank("B1")
def test_a_payment_of_our_amount_without_a_name_may_be_ours(created: datetime | None, status: str) -> None:
    found = bank(replace(NAMELESS, created=created, status=status)).find(PLAN, 1, ())
    assert isinstance(found, m.StatusUnavailable)
    assert "7 (no order, " in found.detail


@pytest.mark.parametrize(
    "other",
    [
        replace(NAMELESS, amount_kopecks=25_301),
        replace(NAMELESS, currency="USD"),
        replace(NAMELESS, params={"attempt": "of another lane"}),
    ],
)
@pytest.mark.bank("B1")
def test_a_payment_without_a_name_that_cannot_be_ours_hides_nothing(other: Payment) -> None:
    assert isinstance(bank(other).find(PLAN, 1, ()), m.PaymentNotListed)


@pytest.mark.bank("B1")
def test_a_payment_without_a_name_that_the_lane_knows_is_not_this_attempts() -> None:
    assert isinstance(bank(NAMELESS).find(PLAN, 1, ("7",)), m.PaymentNotListed)


def test_a_payment_that_names_the_attempt_needs_no_order_number() -> None:
    found = bank(payment("8", order_no=None), payment("7", order_no=None, attempt="k1")).find(PLAN, 1, ())
    assert isinstance(found, m.PaymentStatusReceived)
    assert (found.payment_id, found.proved) == ("7", True)


def test_the_last_search_covers_days_before_and_after() -> None:
    """The clock may have been set between: what it closes must not hang on it."""
    client = Client()
    now = 2_000_000_000
    plan = replace(PLAN, begun_at_ms=now - 400_000, expires_at_ms=now - 300_000, timing=m.Timing(grace_ms=300_000))
    asks = PayMasterAcquirer(
        client, lambda: now, states={}, describe=lambda plan: "", callback_url=None, pos_id="KSO-7"
    )
    assert isinstance(asks.find(plan, 1, ()), m.PaymentNotListed)
    ((start, end),) = client.asked
    assert (ms(start), ms(end)) == (plan.begun_at_ms - 172_800_000, now + 172_800_000)


@pytest.mark.parametrize(("early_ms", "word"), [(0, True), (1, False), (500_000, False)])
@pytest.mark.bank("B4")
def test_an_attempt_that_began_in_the_future_is_not_closed_by_an_empty_list(early_ms: int, word: bool) -> None:
    now = PLAN.begun_at_ms - early_ms
    asks = PayMasterAcquirer(
        Client(), lambda: now, states={}, describe=lambda plan: "", callback_url=None, pos_id="KSO-7"
    )
    assert isinstance(asks.find(PLAN, 1, ()), m.PaymentNotListed if word else m.StatusUnavailable)


@pytest.mark.bank("B4")
def test_expires_is_by_the_clock_that_was_set_since_and_the_same_in_each_try() -> None:
    """A lane whose clock starts three hours slow, since its battery is empty, and is corrected while it runs."""
    client, clock = Client(payment()), [0.0]
    asks = PayMasterAcquirer(
        client,
        lambda: 1_000_000,
        states={},
        describe=lambda plan: "",
        callback_url=None,
        pos_id="KSO-7",
        clock_was_set_by=lambda: clock[0],
    )
    for was_set_by, key in ((0.0, "k1"), (10_800.2, "k1"), (10_800.2, "k2"), (10_800.9, "k2"), (-7_200.4, "k3")):
        clock[0] = was_set_by
        asks.create(replace(PLAN, key=key), 1)
    at = PLAN.expires_at_ms // 1000
    assert [moment.timestamp() - at for moment in client.expires] == [0, 0, 10_800, 10_800, -7_200]


@pytest.mark.parametrize(
    ("ahead_s", "shift_s"), [(0.0, 0), (4.9, 0), (-4.9, 0), (5.0, 5), (400.4, 400), (-20.6, -21), (-3_600.0, -3_600)]
)
@pytest.mark.bank("B4")
def test_expires_is_by_paymasters_clock_and_the_same_in_each_try(ahead_s: float, shift_s: int) -> None:
    """It is asked for the time before the first payment; what is less than 5 s may be the answer's way."""

    class Clocked(Client):
        def ask_for_the_time(self) -> None:
            assert self.clock_ahead_s is None
            self.clock_ahead_s = ahead_s

    client = Clocked(payment())
    asks = PayMasterAcquirer(
        client, lambda: 1_000_000, states={}, describe=lambda plan: "", callback_url=None, pos_id="KSO-7"
    )
    assert asks.clock_ahead_s is None
    asks.create(PLAN, 1)
    client.clock_ahead_s = ahead_s + 60
    asks.create(PLAN, 2)
    assert [moment.timestamp() - PLAN.expires_at_ms // 1000 for moment in client.expires] == [shift_s, shift_s]
    assert asks.clock_ahead_s == ahead_s + 60


def test_lane_time_knows_how_far_the_clock_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime: ThreadRuntime[None] = ThreadRuntime()
    assert abs(runtime.clock_was_set_by()) < 1
    before, real = runtime.now(), time.time
    monkeypatch.setattr(time, "time", lambda: real() + 10_800)
    assert abs(runtime.clock_was_set_by() - 10_800) < 1
    assert 0 <= runtime.now() - before < 1_000
