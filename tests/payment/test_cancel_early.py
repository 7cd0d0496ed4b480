"""A cancellation that comes before the payment is under way: while `pay` waits for its turn, or before it is called."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sco_payment.attempt import EndReason, Outcome
from sco_payment.cli.pay import run_payment
from sco_payment.lane import Lane
from sco_payment.order import Order, Result
from tests.payment.lane_kit import OwnUI, bench

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25_300)


class TurnOfAnother:
    """In place of a lane's lock: something happens while `pay` waits for it."""

    def __init__(self, lane: Lane, meanwhile: Callable[[], None]) -> None:
        self.lock, self.meanwhile = lane._running, meanwhile
        lane._running = self  # type: ignore[assignment]

    def __enter__(self) -> None:
        self.meanwhile()
        self.lock.acquire()

    def __exit__(self, *exc: object) -> None:
        self.lock.release()


@pytest.mark.bank("B13")
def test_a_cancellation_while_pay_waits_for_its_turn_is_heard(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        TurnOfAnother(lane, lane.cancel)
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason) == (Outcome.UNPAID, EndReason.CUSTOMER)
        assert (ui.pay_screens, paymaster.bank.cancels) == ([], 1)


@pytest.mark.bank("B13")
def test_each_call_that_waits_is_cancelled_and_no_later_one(tmp_path: Path) -> None:
    """The lane looks after its devices meanwhile, in a thread of its own."""
    ui, results = OwnUI(), dict[str, Result]()
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        waiting, waited = threading.Barrier(3), list[int]()
        turn = TurnOfAnother(lane, lambda: waited.append(waiting.wait(10)))

        def pays(number: str) -> None:
            results[number] = lane.pay(Order(number, 100))

        payments = [threading.Thread(target=pays, args=(number,)) for number in ("1", "2")]
        with turn.lock:
            for payment in payments:
                payment.start()
            waiting.wait(10)
            lane.cancel()
        for payment in payments:
            payment.join(20)
        assert [results[number].reason for number in ("1", "2")] == [EndReason.CUSTOMER] * 2
        assert (ui.pay_screens, paymaster.bank.cancels) == ([], 2)
        turn.meanwhile = lambda: None
        paymaster.use("pays after=2")
        assert lane.pay(ORDER).outcome is Outcome.PAID


@pytest.mark.bank("B13")
def test_a_till_whose_customer_cancelled_before_it_called_pay(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, ui=ui) as (lane, _):
        assert lane.pay(ORDER, cancelled=lambda: True).reason is EndReason.CUSTOMER
        assert ui.pay_screens == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.bank("B13")
def test_a_signal_just_before_the_payment_cancels_it(tmp_path: Path, number: signal.Signals) -> None:
    ui, reported = OwnUI(), list[Result]()
    before = signal.getsignal(number)
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        pay = lane.pay

        def interrupted(*order: Any, **options: Any) -> Result:
            signal.raise_signal(number)
            return pay(*order, **options)

        lane.pay = interrupted  # type: ignore[method-assign]
        assert run_payment(lane, ORDER, reported.append) == 3
        assert ([one.reason for one in reported], ui.pay_screens) == ([EndReason.CUSTOMER], [])
        assert paymaster.bank.cancels == 1
    assert signal.getsignal(number) is before
