"""The three ways to present the code, with the shop's own screen."""

from __future__ import annotations

import pytest
from corner_till import Receipt, Till, TillScreen

from sco_payment import Outcome
from sco_sim import BenchPayMaster, BenchPrinter, BenchTag, LaneBench

PAY = "Для оплаты используйте NFC или отсканируйте QR-код"


@pytest.mark.sco_lane(mode=0)
def test_mode_0_the_code_is_printed(
    till: Till,
    lane: LaneBench,
    screen: TillScreen,
    receipt: Receipt,
    virtual_printer: BenchPrinter,
    paymaster_simulator: BenchPayMaster,
) -> None:
    lane.customer_pays(after_s=4)
    assert till.pay_by_sbp(receipt) is Outcome.PAID
    assert receipt.released
    assert screen.lines == ["Оплата прошла успешно", "253,00\u00a0₽"]
    payment = paymaster_simulator.assert_created_once(kopecks=253_00)
    virtual_printer.assert_printed_once(qr=payment.link, text="253,00")


@pytest.mark.sco_lane(mode=0)
def test_mode_0_without_paper_nothing_is_taken(
    till: Till, receipt: Receipt, virtual_printer: BenchPrinter, paymaster_simulator: BenchPayMaster
) -> None:
    virtual_printer.run_out_of_paper()
    assert till.pay_by_sbp(receipt) is Outcome.NOT_PRESENTED
    assert not receipt.released
    virtual_printer.assert_nothing_printed()
    paymaster_simulator.assert_cancelled_once()
    paymaster_simulator.assert_paid(0)


@pytest.mark.sco_lane(mode=1)
def test_mode_1_the_code_is_on_the_screen(
    till: Till, lane: LaneBench, screen: TillScreen, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    seen: list[str] = []

    def look(link: str) -> None:
        seen.extend(screen.lines)
        assert screen.code == link
        assert screen.buttons == ["Отменить"]
        paymaster_simulator.phone.pay(link)

    lane.when_payable(look)
    assert till.pay_by_sbp(receipt) is Outcome.PAID
    assert seen == [PAY, "253,00\u00a0₽"]
    lane.assert_shown("Пожалуйста, подождите", PAY, "Оплата прошла успешно")


@pytest.mark.sco_lane(mode=2, plate="dynamic")
def test_mode_2_the_link_is_on_the_tag_and_gone_afterwards(
    till: Till, lane: LaneBench, receipt: Receipt, virtual_tag: BenchTag, paymaster_simulator: BenchPayMaster
) -> None:
    def tap_phone(link: str) -> None:
        virtual_tag.assert_carries(link)
        paymaster_simulator.phone.pay(link)

    lane.when_payable(tap_phone)
    assert till.pay_by_sbp(receipt) is Outcome.PAID
    virtual_tag.assert_carries_nothing()


@pytest.mark.sco_lane(mode=2)
def test_mode_2_static_the_plate_is_armed_with_the_sum(
    till: Till, lane: LaneBench, receipt: Receipt, virtual_tag: BenchTag, paymaster_simulator: BenchPayMaster
) -> None:
    plate = virtual_tag.link
    lane.customer_pays(after_s=10)
    assert till.pay_by_sbp(receipt) is Outcome.PAID
    assert virtual_tag.link == plate
    paymaster_simulator.assert_paid(253_00)


def test_a_customer_who_leaves(
    till: Till, lane: LaneBench, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    assert till.pay_by_sbp(receipt) is Outcome.UNPAID
    assert not receipt.released
    lane.assert_no_case()
    paymaster_simulator.assert_paid(0)


def test_a_customer_who_cancels_may_pay_by_card(
    till: Till, lane: LaneBench, screen: TillScreen, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    lane.when_payable(lambda link: screen.press("Отменить"))
    assert till.pay_by_sbp(receipt) is Outcome.UNPAID
    paymaster_simulator.assert_cancelled_once()
    assert till.pay_by_card(receipt, receipt.rest)
    assert receipt.released
