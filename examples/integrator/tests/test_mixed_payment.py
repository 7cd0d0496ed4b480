"""Part by card, part by SBP, in any order: only on a 4:3 lane in display mode 1."""

from __future__ import annotations

import pytest
from corner_till import Receipt, Till, TillScreen
from corner_till.till import NotPayable

from sco_payment import Outcome
from sco_sim import BenchPayMaster, LaneBench


def test_the_rest_is_paid_by_sbp(
    till: Till, lane: LaneBench, screen: TillScreen, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    assert till.pay_by_card(receipt, 100_00)
    assert receipt.rest == 153_00
    lane.customer_pays(after_s=7)
    assert till.pay_by_sbp(receipt) is Outcome.PAID
    assert receipt.legs == [("card", 100_00), ("sbp", 153_00)]
    assert receipt.released
    paymaster_simulator.assert_created_once(kopecks=153_00)


def test_a_leg_that_is_not_paid_leaves_the_other_and_can_be_tried_again(
    till: Till, lane: LaneBench, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    till.pay_by_card(receipt, 100_00)
    lane.customer_declines(after_s=2)
    assert till.pay_by_sbp(receipt) is Outcome.UNPAID
    assert receipt.rest == 153_00
    lane.customer_pays(after_s=2)
    assert till.pay_by_sbp(receipt) is Outcome.PAID
    assert receipt.released
    paymaster_simulator.assert_paid(153_00)


def test_sbp_pays_first_and_the_card_the_rest(
    till: Till, lane: LaneBench, screen: TillScreen, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    lane.customer_pays(after_s=2)
    assert till.pay_by_sbp(receipt, 100_00) is Outcome.PAID
    assert not receipt.released
    assert receipt.rest == 153_00
    assert till.pay_by_card(receipt, 153_00)
    assert receipt.released
    paymaster_simulator.assert_created_once(kopecks=100_00)


def test_sbp_card_and_sbp_again(
    till: Till, lane: LaneBench, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    lane.customer_pays(after_s=2)
    assert till.pay_by_sbp(receipt, 100_00) is Outcome.PAID
    assert till.pay_by_card(receipt, 50_00)
    assert till.pay_by_sbp(receipt) is Outcome.PAID
    assert receipt.legs == [("sbp", 100_00), ("card", 50_00), ("sbp", 103_00)]
    assert receipt.released
    paymaster_simulator.assert_paid(203_00)


def test_a_leg_that_the_till_has_forgotten_is_not_charged_again(
    till: Till, lane: LaneBench, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    lane.customer_pays(after_s=2)
    assert till.pay_by_sbp(receipt, 100_00) is Outcome.PAID
    receipt.legs.clear()
    with pytest.raises(NotPayable) as refused:
        till.pay_by_sbp(receipt, 100_00)
    assert "already paid in part" in str(refused.value.__cause__)
    paymaster_simulator.assert_created_once()


@pytest.mark.parametrize(
    "_lane",
    [
        pytest.param("16:9", marks=pytest.mark.sco_lane(profile="16:9")),
        pytest.param("mode 2", marks=pytest.mark.sco_lane(mode=2)),
    ],
)
def test_elsewhere_it_is_refused_before_anything_is_sent(
    till: Till, receipt: Receipt, paymaster_simulator: BenchPayMaster, _lane: str
) -> None:
    till.pay_by_card(receipt, 100_00)
    for kopecks in (None, 100_00):
        with pytest.raises(NotPayable, match="нельзя оплатить по СБП") as refused:
            till.pay_by_sbp(receipt, kopecks)
        assert "mixed payment" in str(refused.value.__cause__)
    paymaster_simulator.assert_nothing_created()
