"""What a cancellation means differs from acquirer to acquirer, and it may take effect when nobody waits for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sco_payment.attempt import FINAL, Outcome, Phase
from sco_payment.customer.ui import ScreenState
from sco_payment.events import CancelSent, LaneEvent
from sco_payment.journal import resolutions
from sco_payment.lane import Lane
from sco_payment.order import Order
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import OwnUI, Phases, bench

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25_300)


class Cancellations:
    """When the lane sent one, in lane time."""

    def __init__(self) -> None:
        self.lane: Lane | None = None
        self.sent: list[int] = []

    def __call__(self, event: LaneEvent) -> None:
        if isinstance(event, CancelSent):
            assert self.lane is not None
            self.sent.append(self.lane._runtime.now())


@pytest.mark.parametrize(
    "fault",
    [
        "429 wait=1 on=cancel first=2",
        "429 wait=3 on=cancel first=1",
        "401 on=cancel first=2",
        "down wait=6 on=create",
    ],
    ids=["429 twice", "429", "the token was refused", "connection refused"],
)
@pytest.mark.bank("B15")
@pytest.mark.requirement("R16")
def test_a_cancellation_that_was_turned_away_is_sent_once_as_soon_as_it_can_be(tmp_path: Path, fault: str) -> None:
    ui, cancellations = OwnUI(on_pay=lambda state: ui.choose(state, "cancel")), Cancellations()
    with bench(tmp_path, f"leaves + {fault}", ui=ui, observer=cancellations) as (lane, paymaster):
        cancellations.lane = lane
        result = lane.pay(ORDER)
        assert len(cancellations.sent) > 1, "it was not turned away"
        assert (result.outcome, result.case) == (Outcome.UNPAID, None)
        [payment] = paymaster.bank.payments.values()
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1)


@pytest.mark.parametrize("wait_s", [5, 12, 40])
@pytest.mark.bank("B15")
def test_a_cancellation_is_sent_again_when_the_bank_wants_it(tmp_path: Path, wait_s: int) -> None:
    """Its wait alone is no reason for a case."""
    ui, cancellations = OwnUI(on_pay=lambda state: ui.choose(state, "cancel")), Cancellations()
    with bench(tmp_path, f"leaves + 429 wait={wait_s} on=cancel first=1", ui=ui, observer=cancellations) as (
        lane,
        bank,
    ):
        cancellations.lane = lane
        result = lane.pay(ORDER)
        assert (result.outcome, result.case, bank.bank.cancels) == (Outcome.UNPAID, None, 1)
        first, second = cancellations.sent
        assert second - first >= wait_s * 1000


@pytest.mark.parametrize(
    ("script", "outcome", "reason"),
    [
        ("pays-at-cancel", Outcome.PAID, None),  # refused: it is paid
        ("leaves + cancel-in-use", Outcome.PAID, None),  # refused: the customer is paying
        ("pays-at-cancel + cancel-refunds", Outcome.UNKNOWN, "refunded"),  # accepted: and refunded
        ("pays-after-cancel", Outcome.UNKNOWN, "cancel_pay_race"),  # accepted: and paid all the same
    ],
)
@pytest.mark.bank("B18")
@pytest.mark.requirement("R17", "R18")
def test_what_a_cancellation_means_differs(tmp_path: Path, script: str, outcome: Outcome, reason: str | None) -> None:
    ui = OwnUI(on_pay=lambda state: ui.choose(state, "cancel"))
    with bench(tmp_path, script, ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, paymaster.bank.cancels) == (outcome, 1)
        assert [case.reason for case in lane.journal.cases()] == ([] if reason is None else [reason])
        if reason == "refunded":
            [case] = lane.journal.cases()
            assert "has refunded the customer" in case.detail


@pytest.mark.bank("B18")
def test_a_cancellation_that_takes_effect_within_the_time_for_it_ends_the_payment(tmp_path: Path) -> None:
    ui = OwnUI(on_pay=lambda state: ui.choose(state, "cancel"))
    with bench(tmp_path, "leaves + late wait=8 on=cancel", ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.case, paymaster.bank.cancels) == (Outcome.UNPAID, None, 1)


@pytest.mark.bank("B18")
def test_a_cancellation_that_takes_effect_after_the_customer_has_gone_is_noted_in_the_case(tmp_path: Path) -> None:
    phases = Phases()
    ui = OwnUI(on_pay=lambda state: ui.choose(state, "cancel"))
    with bench(tmp_path, "leaves + late wait=40 on=cancel", ui=ui, observer=phases) as (lane, paymaster):
        lane.start()
        result = lane.pay(ORDER)
        assert (result.outcome, paymaster.bank.cancels) == (Outcome.UNKNOWN, 0)
        phases.wait_for(Phase.CLOSED)
        [case] = lane.journal.cases()
        assert case.reason == "cancel_unanswered"
        assert "the acquirer has closed the payment unpaid" in story(lane, result.key)
        assert paymaster.bank.cancels == 1


def story(lane: Lane, key: str) -> str:
    """The attempt's records as an operator finds them."""
    return "\n".join(repr(record) for record in lane.journal.timeline(key))


def pays_and_cancels(ui: OwnUI, paymaster: PayMasterSimulator, state: ScreenState) -> None:
    paymaster.phone.pay(str(state.link))
    ui.choose(state, "cancel")


@pytest.mark.parametrize(
    "script",
    [
        "leaves + late wait=20 on=cancel + cancel-refunds",  # no answer: the lane has given up when it takes effect
        "leaves + cancel-refunds-later",  # accepted: and the refund shows later
        "leaves + late wait=20 on=cancel + cancel-refunds-later",
    ],
)
@pytest.mark.bank("B18")
def test_no_goods_for_money_that_a_cancellation_may_still_return(tmp_path: Path, script: str) -> None:
    """The customer pays and presses «Отменить»: settled is not the last word. The refund is recorded in the case."""
    phases, ui = Phases(), OwnUI()
    ui._on_pay = lambda state: pays_and_cancels(ui, paymaster, state)
    with bench(tmp_path, script, ui=ui, observer=phases) as (lane, paymaster):
        lane.start()
        result = lane.pay(ORDER)
        assert (result.outcome, result.phase in FINAL) == (Outcome.UNKNOWN, False)
        [case] = lane.journal.cases()
        assert case.reason == "cancel_pay_race"
        phases.wait_for(Phase.UNSETTLED)
        [case] = lane.journal.cases()
        assert "has refunded the customer" in story(lane, result.key)
        assert paymaster.bank.cancels == 1


@pytest.mark.bank("B18")
def test_a_case_that_was_closed_meanwhile_is_reopened_by_the_refund(tmp_path: Path) -> None:
    phases, ui = Phases(), OwnUI()
    ui._on_pay = lambda state: pays_and_cancels(ui, paymaster, state)
    with bench(tmp_path, "leaves + cancel-refunds-later", ui=ui, observer=phases) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert result.phase is not None
        [case] = lane.journal.cases()
        decision = resolutions.Resolution(
            case.number, "Ivanova", "goods given", lane._runtime.now(), result.phase.value
        )
        resolutions.submit(lane.journal.path, decision)
        lane.recover()
        assert lane.journal.cases() == []
        lane.start()
        phases.wait_for(Phase.UNSETTLED)
        assert [one.number for one in lane.journal.cases()] == [case.number]
        assert paymaster.bank.refunds == 0
