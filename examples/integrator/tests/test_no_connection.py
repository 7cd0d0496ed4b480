"""The hard case: the network fails after the customer has paid. Never a second payment, never silence about money."""

from __future__ import annotations

import pytest
from corner_till import Receipt, Till, TillScreen
from corner_till.till import NotPayable

from sco_payment import Outcome
from sco_sim import BenchPayMaster, LaneBench

NO_CONNECTION = "Оплата не завершена, нет связи с процессингом"


def test_retry_finds_the_money(
    till: Till, lane: LaneBench, screen: TillScreen, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    lane.customer_pays_while_the_network_fails()

    def retry() -> None:
        assert screen.lines[0] == NO_CONNECTION
        assert screen.buttons == ["Повторить", "Отменить"]
        paymaster_simulator.comes_online()
        screen.press("Повторить")

    lane.at_dialog(retry)
    assert till.pay_by_sbp(receipt) is Outcome.PAID
    assert receipt.released
    paymaster_simulator.assert_created_once()
    paymaster_simulator.assert_not_cancelled()
    lane.assert_no_case()


def test_cancel_without_an_answer_is_a_case_and_the_receipt_stays_locked(
    till: Till, lane: LaneBench, screen: TillScreen, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    lane.customer_pays_while_the_network_fails()
    lane.at_dialog(lambda: screen.press("Отменить"))
    assert till.pay_by_sbp(receipt) is Outcome.UNKNOWN
    assert not receipt.released
    assert screen.lines[0] == "Позовите сотрудника магазина"
    lane.assert_case("cancel_unanswered")

    paymaster_simulator.comes_online()
    lane.let_time_pass(300)
    with pytest.raises(NotPayable, match="обращение № 1"):
        till.pay_by_sbp(receipt)
    paymaster_simulator.assert_created_once()
    paymaster_simulator.assert_paid(253_00)
    lane.assert_case("cancel_unanswered")  # still open: the administrator decides about the money


def test_cancel_that_reaches_the_bank_after_the_money(
    till: Till, lane: LaneBench, screen: TillScreen, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    """The network comes back just in time: the bank refuses the cancellation and says that it is paid."""
    lane.customer_pays_while_the_network_fails()

    def cancel() -> None:
        paymaster_simulator.comes_online()
        screen.press("Отменить")

    lane.at_dialog(cancel)
    assert till.pay_by_sbp(receipt) is Outcome.PAID
    assert receipt.released


def test_power_fails_while_the_customer_pays(
    till: Till, lane: LaneBench, receipt: Receipt, paymaster_simulator: BenchPayMaster
) -> None:
    """The till's software dies before it has taken the outcome; at the next start there is a case."""

    class PowerCut(BaseException):
        pass

    def cut(link: str) -> None:
        paymaster_simulator.phone.pay(link)
        raise PowerCut

    lane.when_payable(cut)
    with pytest.raises(PowerCut):
        till.pay_by_sbp(receipt)
    lane.restart()
    lane.recover()
    lane.assert_case("paid_after_restart")
    paymaster_simulator.assert_paid(253_00)
