"""Acquirers differ where their documents say little: what the lane does with each behaviour."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from sco_payment.attempt import EndReason, Outcome, Phase
from sco_payment.events import LaneEvent, LinkAccepted, StateChanged
from sco_payment.order import Order, PaymentRefused
from sco_sim.nfc import VirtualReader
from sco_sim.paymaster import Bank
from tests.payment.lane_kit import OwnUI, bench

ORDER = Order("42", 25_300)


class Phases:
    """The phases that the lane's attempts came to."""

    def __init__(self) -> None:
        self._reached = threading.Condition()
        self._phases: list[Phase] = []

    def __call__(self, event: LaneEvent) -> None:
        if isinstance(event, StateChanged):
            with self._reached:
                self._phases.append(event.phase)
                self._reached.notify_all()

    def wait_for(self, phase: Phase) -> None:
        with self._reached:
            assert self._reached.wait_for(lambda: phase in self._phases, timeout=60), self._phases


@pytest.mark.parametrize("amount", [25_300, 10_000])
def test_a_list_without_names_never_shows_that_a_payment_does_not_exist(tmp_path: Path, amount: int) -> None:
    """The order stays closed, whatever its next attempt is for, until an operator has decided."""
    phases = Phases()
    script = "leaves + stays-open + cut-after on=create + list-nameless"
    with bench(tmp_path, script, ui=OwnUI(), observer=phases) as (lane, paymaster):
        lane.start()
        result = lane.pay(ORDER)
        assert (result.outcome, result.case is not None) == (Outcome.UNKNOWN, True)
        phases.wait_for(Phase.UNSETTLED)
        [payment] = paymaster.bank.payments.values()
        assert payment.status == "Confirmation"  # the customer can still pay it
        with pytest.raises(PaymentRefused):
            lane.pay(Order("42", amount))
        assert (paymaster.bank.creates, paymaster.bank.cancels) == (1, 0)


def test_a_payment_that_stays_open_past_its_end_is_cancelled_once(tmp_path: Path) -> None:
    with bench(tmp_path, "leaves + stays-open", ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.case) == (Outcome.UNPAID, None)
        [payment] = paymaster.bank.payments.values()
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1)


@pytest.mark.parametrize("fault", ["429 wait=1 on=cancel first=2", "429 wait=3 on=cancel first=1"])
def test_a_cancellation_that_was_turned_away_is_sent_once_as_soon_as_it_can_be(tmp_path: Path, fault: str) -> None:
    ui = OwnUI(on_pay=lambda state: ui.choose(state, "cancel"))
    with bench(tmp_path, f"leaves + {fault}", ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.case) == (Outcome.UNPAID, None)
        [payment] = paymaster.bank.payments.values()
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1)


@pytest.mark.parametrize("by", ["tag", "screen"])
def test_a_plates_link_that_comes_back_in_other_words_is_the_plates(tmp_path: Path, by: str) -> None:
    """The tag is still compared with what the plate carries, and both lead the customer to the payment."""
    plate = Bank(lambda: 0.0).add_sticker().payload
    display = {"mode": 2, "plate": "static", "sticker_id": "st-000001", "plate_link": plate}
    with VirtualReader(uri=plate) as reader:
        ui = OwnUI()
        ui._on_pay = lambda state: paymaster.phone.pay(str(reader.tag.uri() if by == "tag" else state.link)) and None
        devices = {"nfc": reader.url}
        with bench(tmp_path, "leaves + plate-rewritten", ui=ui, display=display, devices=devices) as (lane, paymaster):
            assert paymaster.bank.add_sticker().payload == plate
            assert lane.pay(ORDER).outcome is Outcome.PAID
            [payment] = paymaster.bank.payments.values()
            assert (payment.link, payment.kopecks, payment.cancel_requests) == (ui.pay_screens[0].link, 25_300, 0)
            assert "?cur=RUB&sum=25300&bank=" in payment.link
            assert payment.link.rpartition("=")[2].islower()
            assert ui.pay_screens[0].lines == (), "the tag was not used"


@pytest.mark.parametrize("tagged", [False, True], ids=["on the screen", "on the tag"])
def test_in_test_mode_the_link_of_paymasters_test_page_is_presented(tmp_path: Path, tagged: bool) -> None:
    """It is no link of SBP, so nothing in it can be verified."""
    accepted: list[LinkAccepted] = []
    ui = OwnUI()
    with VirtualReader() as reader:
        ui._on_pay = lambda state: paymaster.phone.pay(str(reader.tag.uri() if tagged else state.link)) and None
        settings = {"display": {"mode": 2, "plate": "dynamic"}, "devices": {"nfc": reader.url}} if tagged else {}
        with bench(
            tmp_path,
            "leaves + test-page",
            ui=ui,
            observer=lambda event: accepted.append(event) if isinstance(event, LinkAccepted) else None,
            paymaster={"test_mode": True},
            **settings,
        ) as (lane, paymaster):
            assert lane.pay(ORDER).outcome is Outcome.PAID
            [payment] = paymaster.bank.payments.values()
            assert payment.link == f"https://paymaster.ru/cpay/mock/sbp/{payment.id}"
            assert [(event.link, event.verified) for event in accepted] == [(payment.link, False)]
            assert paymaster.bank.cancels == 0


def test_without_test_mode_no_customer_sees_the_link_of_a_test_account(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, "leaves + test-page", ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason) == (Outcome.NOT_PRESENTED, EndReason.LINK_REFUSED)
        [payment] = paymaster.bank.payments.values()
        assert (payment.status, payment.cancel_requests, ui.pay_screens) == ("Cancelled", 1, [])


def test_a_static_plate_cannot_be_tried_with_a_test_account(tmp_path: Path) -> None:
    """The plate does not carry the page's link: showing the page on the screen alone would be no test of the plate."""
    plate = Bank(lambda: 0.0).add_sticker().payload
    display = {"mode": 2, "plate": "static", "sticker_id": "st-000001", "plate_link": plate}
    with bench(tmp_path, "leaves + test-page", ui=OwnUI(), display=display, paymaster={"test_mode": True}) as (
        lane,
        paymaster,
    ):
        paymaster.bank.add_sticker()
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason) == (Outcome.NOT_PRESENTED, EndReason.LINK_REFUSED)
        assert paymaster.bank.cancels == 1
