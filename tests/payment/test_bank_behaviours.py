"""Acquirers differ where their documents say little: what the lane does with each behaviour."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from sco_payment.attempt import EndReason, Outcome, Phase
from sco_payment.events import LaneEvent, LinkAccepted, NoteAdded, StateChanged
from sco_payment.journal import resolutions
from sco_payment.order import Order, PaymentRefused
from sco_sim.nfc import VirtualReader
from sco_sim.paymaster import Bank
from tests.payment.lane_kit import OwnUI, Phases, bench

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25_300)


@pytest.mark.parametrize("amount", [25_300, 10_000])
@pytest.mark.bank("B1")
def test_a_list_without_names_never_shows_that_a_payment_does_not_exist(tmp_path: Path, amount: int) -> None:
    """The order stays closed, whatever its next attempt is for, until an operator has decided."""
    phases = Phases()
    script = "leaves + stays-open + cut-after on=create + list-nameless"
    with bench(tmp_path, script, ui=OwnUI(), observer=phases) as (lane, paymaster):
        lane.start()
        result = lane.pay(ORDER)
        assert (result.outcome, result.case is not None) == (Outcome.UNKNOWN, True)
        phases.wait_for(Phase.OVERDUE)
        [payment] = paymaster.bank.payments.values()
        assert payment.status == "Confirmation"  # the customer can still pay it
        with pytest.raises(PaymentRefused):
            lane.pay(Order("42", amount))
        assert (paymaster.bank.creates, paymaster.bank.cancels) == (1, 0)


@pytest.mark.bank("B3")
def test_a_payment_that_stays_open_past_its_end_is_cancelled_once(tmp_path: Path) -> None:
    with bench(tmp_path, "leaves + stays-open", ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.case) == (Outcome.UNPAID, None)
        [payment] = paymaster.bank.payments.values()
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1)


@pytest.mark.parametrize("by", ["tag", "screen"])
@pytest.mark.bank("B12")
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
            assert ui.pay_screens[0].plate, "the tag was not used"


@pytest.mark.parametrize("tagged", [False, True], ids=["on the screen", "on the tag"])
@pytest.mark.bank("B20")
def test_in_test_mode_the_link_of_paymasters_test_page_is_presented(tmp_path: Path, tagged: bool) -> None:
    """It is not a link of SBP, so nothing in it can be verified."""
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


@pytest.mark.bank("B20")
def test_without_test_mode_no_customer_sees_the_link_of_a_test_account(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, "leaves + test-page", ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason) == (Outcome.NOT_PRESENTED, EndReason.LINK_REFUSED)
        [payment] = paymaster.bank.payments.values()
        assert (payment.status, payment.cancel_requests, ui.pay_screens) == ("Cancelled", 1, [])


@pytest.mark.bank("B20")
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


@pytest.mark.bank("B2")
def test_a_payment_that_is_settled_before_its_link_was_shown_is_a_case(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, "leaves + settled-at-once", ui=ui) as (lane, _):
        result = lane.pay(ORDER)
        assert (result.outcome, result.presented) == (Outcome.UNKNOWN, False)
        [case] = lane.journal.cases()
        assert case.reason == "paid_unshown"
        assert not ui.pay_screens


@pytest.mark.bank("B5")
def test_money_that_comes_after_a_declined_try_is_a_case(tmp_path: Path) -> None:
    """The customer may pay the order in another way at once: the bank has said that this payment is over."""
    phases = Phases()
    with bench(tmp_path, "declines-then-pays after=2", ui=OwnUI(), observer=phases) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.phase, result.case) == (Outcome.UNPAID, Phase.CLOSED, None)
        paymaster.use("pays after=2")
        assert lane.pay(ORDER).outcome is Outcome.PAID
        lane.start()
        phases.wait_for(Phase.PAID_LATE)
        [case] = lane.journal.cases()
        assert (case.attempt, case.reason) == (result.key, "late_money")
        assert paymaster.bank.cancels == 0


@pytest.mark.parametrize("set_s", [60.0, -400.0])
@pytest.mark.bank("B4")
def test_a_bank_whose_clock_is_set_while_the_customer_pays(tmp_path: Path, set_s: float) -> None:
    """The invoice ends there a minute before it ends here, or long after: then its one cancellation ends it."""
    ui = OwnUI(on_pay=lambda _: paymaster.use(f"leaves + clock ahead={set_s}"))
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.case) == (Outcome.UNPAID, None)
        [payment] = paymaster.bank.payments.values()
        assert (payment.final, payment.cancel_requests) == (True, int(set_s < 0))


@pytest.mark.bank("B6")
def test_a_create_that_a_gateway_has_repeated_is_sold(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=9 + repeated on=create", ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.case) == (Outcome.PAID, None)
        assert (paymaster.bank.creates, paymaster.bank.cancels) == (1, 0)


@pytest.mark.bank("B6")
def test_a_create_that_takes_effect_after_the_lane_has_given_up_is_cancelled(tmp_path: Path) -> None:
    phases = Phases()
    with bench(tmp_path, "leaves + late wait=60 on=create", ui=OwnUI(), observer=phases) as (lane, paymaster):
        lane.start()
        result = lane.pay(ORDER)
        assert (result.outcome, result.case is not None) == (Outcome.UNKNOWN, True)
        assert paymaster.bank.creates == 0
        phases.wait_for(Phase.UNPAID)
        [payment] = paymaster.bank.payments.values()
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1)


@pytest.mark.bank("B16")
def test_a_link_of_an_unknown_kind_is_presented_unverified(tmp_path: Path) -> None:
    """NSPK's universal code: what cannot be read in it cannot contradict the payment either."""
    accepted: list[LinkAccepted] = []
    with bench(
        tmp_path,
        "pays after=2 + unknown-code",
        ui=OwnUI(),
        observer=lambda event: accepted.append(event) if isinstance(event, LinkAccepted) else None,
    ) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        [payment] = paymaster.bank.payments.values()
        assert payment.link.startswith("https://qr.nspk.ru/AU")
        assert [(event.link, event.verified) for event in accepted] == [(payment.link, False)]


@pytest.mark.bank("B17")
def test_a_bank_under_maintenance_is_asked_when_it_wants(tmp_path: Path) -> None:
    """Not every 3 s: the screen says meanwhile that the payment is being checked."""
    with bench(tmp_path, "pays after=2 + 503 wait=25 on=get first=1", ui=OwnUI()) as (lane, paymaster):
        began = lane._runtime.now()
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert paymaster.bank.calls["get"] == 1
        assert lane._runtime.now() - began >= 25_000


@pytest.mark.parametrize("fault", ["cut-after", "garbage", "500-after"])
@pytest.mark.bank("B6")
def test_an_open_payment_whose_key_is_refused_is_presented(tmp_path: Path, fault: str) -> None:
    script = f"pays after=9 + key-refused + {fault} on=create first=1"
    with bench(tmp_path, script, ui=OwnUI()) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.case) == (Outcome.PAID, None)
        assert (paymaster.bank.creates, paymaster.bank.cancels) == (1, 0)


@pytest.mark.bank("B8")
def test_a_link_that_comes_later_is_presented(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, "pays after=9 + link-later", ui=ui) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        [payment] = paymaster.bank.payments.values()
        assert [screen.link for screen in ui.pay_screens] == [payment.link]
        assert paymaster.bank.cancels == 0


@pytest.mark.bank("B8")
def test_the_customer_cancels_before_the_link_has_come(tmp_path: Path) -> None:
    def waiting(event: LaneEvent) -> None:
        if isinstance(event, StateChanged) and event.phase is Phase.FINDING:
            lane.cancel()

    ui = OwnUI()
    with bench(tmp_path, "leaves + link-later", ui=ui, observer=waiting) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason, result.presented) == (Outcome.UNPAID, EndReason.CUSTOMER, False)
        assert (paymaster.bank.cancels, ui.pay_screens) == (1, [])


@pytest.mark.bank("B17")
def test_a_slow_bank_is_asked_at_the_pace_of_the_requirement(tmp_path: Path) -> None:
    """Every 3 s, although each answer takes 5 s; and never more than two questions at a time."""
    with bench(tmp_path, "pays after=40 + slow wait=0.25 on=get", ui=OwnUI()) as (lane, _):
        started: list[int] = []
        under_way, most = 0, 0
        status = lane._loop.acquirer.status

        def timed(payment_id: str, seq: int) -> object:
            nonlocal under_way, most
            started.append(lane._runtime.now())
            under_way += 1
            most = max(most, under_way)
            try:
                return status(payment_id, seq)
            finally:
                under_way -= 1

        lane._loop.acquirer.status = timed  # type: ignore[method-assign, assignment]
        assert lane.pay(ORDER).outcome is Outcome.PAID
        gaps = sorted(later - earlier for earlier, later in pairwise(started))
        assert gaps[len(gaps) // 2] < 4_000, gaps
        assert most == 2


@pytest.mark.bank("B3")
def test_a_case_of_an_overdue_payment_is_reopened_by_its_money(tmp_path: Path) -> None:
    """The operator has closed the case, which opened the order, and the bank settles the payment after that."""
    phases = Phases()
    script = "leaves + stays-open + cancel-refused"
    with bench(tmp_path, script, ui=OwnUI(), observer=phases) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert result.outcome is Outcome.UNKNOWN
        lane.start()
        phases.wait_for(Phase.OVERDUE)
        [case] = lane.journal.cases()
        resolutions.submit(
            lane.journal.path, resolutions.Resolution(case.number, "Ivanova", "gave up", lane._runtime.now(), "overdue")
        )
        lane.recover()
        assert lane.journal.cases() == []
        paymaster.bank.force_settle(str(result.payment_id))
        phases.wait_for(Phase.PAID_LATE)
        [reopened] = lane.journal.cases()
        assert reopened.number == case.number


@pytest.mark.parametrize("bank_ahead_s", [-3_600.0, -20.0, 0.0, 20.0, 400.0, 3_600.0])
@pytest.mark.bank("B4")
def test_a_lane_with_a_wrong_clock_sells_and_ends_what_is_abandoned(tmp_path: Path, bank_ahead_s: float) -> None:
    """The invoice ends at the bank when it ends at the lane, and the difference is reported once."""
    notes: list[str] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, NoteAdded) and "clock" in event.text:
            notes.append(event.text)

    clock = f"clock ahead={bank_ahead_s}"
    with bench(tmp_path, f"leaves + {clock}", ui=OwnUI(), observer=observe) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason, result.case) == (Outcome.UNPAID, EndReason.EXPIRED, None)
        [payment] = paymaster.bank.payments.values()
        assert (payment.status, payment.result_code) == ("Rejected", "PaymentExpired")
        assert payment.expires is not None
        plan = lane.journal.attempts()[0].plan
        assert abs(payment.expires - plan.expires_at_ms / 1000 - bank_ahead_s) <= 3
        paymaster.use(f"pays after=2 + {clock}")
        assert lane.pay(Order("43", 100)).outcome is Outcome.PAID
    assert len(notes) == (1 if bank_ahead_s else 0), notes
    if bank_ahead_s > 0:
        assert "s behind the acquirer's: set it" in notes[0]
