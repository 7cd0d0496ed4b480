"""Points of the requirement that are shown best by themselves; `docs/conformance.md` has all of them."""

from __future__ import annotations

import logging

import pytest

from sco_payment import Outcome
from sco_payment.attempt import PaymentStatus, View
from sco_payment.customer.texts import RUSSIAN
from sco_payment.paymaster.adapter import STATES, PayMasterAcquirer
from sco_sim.testing.bank import BenchPayMaster
from sco_sim.testing.devices import BenchScreen
from sco_sim.testing.lane import LaneBench
from tests.payment.paymaster.test_adapter import Client


@pytest.mark.requirement("R3", "R5", "R8", "R14")
def test_the_words_are_exact() -> None:
    assert RUSSIAN.payment_type == "Оплата по QR-коду/NFC СБП"
    assert RUSSIAN.wait == "Пожалуйста, подождите"
    assert RUSSIAN.pay == "Для оплаты используйте NFC или отсканируйте QR-код"
    assert RUSSIAN.dialog == "Оплата не завершена, нет связи с процессингом"
    assert (RUSSIAN.retry, RUSSIAN.cancel) == ("Повторить", "Отменить")


@pytest.mark.requirement("R12")
def test_the_states_5_and_6_are_final_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    assert set(STATES.values()) <= {1, 2, 3, 4, 5, 6}
    own = {f"state {number}": number for number in range(1, 7)}
    bank = PayMasterAcquirer(
        Client(), lambda: 0, states=own, describe=lambda plan: "", callback_url=None, pos_id="KSO-7"
    )
    meanings = {number: bank.status_of(word) for word, number in own.items()}
    assert meanings == {
        **dict.fromkeys((1, 2, 3, 4), PaymentStatus.OPEN),
        5: PaymentStatus.PAID,
        6: PaymentStatus.CLOSED,
    }
    for word, number in STATES.items():
        assert bank.status_of(word) is meanings[number], word
    with caplog.at_level(logging.ERROR):
        assert bank.status_of("Dancing") is PaymentStatus.UNKNOWN
    assert "counts as not final" in caplog.text


@pytest.mark.requirement("R13", "R14", "R15")
@pytest.mark.sco_lane(timing={"invoice_life_s": 300.0, "poll_timeout_s": 90.0}, dialog={"poll_while_shown": False})
def test_after_retry_the_lane_requests_until_the_invoices_end(
    lane: LaneBench, paymaster_simulator: BenchPayMaster
) -> None:
    """The network comes back twenty seconds before the end of an invoice of five minutes, and is used at once."""
    late: list[str] = []
    lane.customer_pays_while_the_network_fails()
    lane.at_dialog("retry")
    lane.after(280, paymaster_simulator.comes_online)
    lane.after(290, lambda: late.append("not before the invoice's end"))
    assert lane.pay(253_00).outcome is Outcome.PAID
    assert [one.headline for one in lane.shown if one.view is View.DIALOG] == [RUSSIAN.dialog]
    assert late == []
    paymaster_simulator.assert_created_once(kopecks=253_00)
    paymaster_simulator.assert_not_cancelled()
    lane.assert_no_case()


@pytest.mark.requirement("R11")
@pytest.mark.sco_lane(timing={"invoice_life_s": 300.0})
def test_the_status_is_requested_every_3_seconds(lane: LaneBench, paymaster_simulator: BenchPayMaster) -> None:
    lane.customer_pays(after_s=200)
    assert lane.pay(253_00).outcome is Outcome.PAID
    assert 65 <= paymaster_simulator.bank.calls["get"] <= 68


@pytest.mark.requirement("R9", "R20")
@pytest.mark.sco_lane(mode=2, plate="static", display={"qr_with_plate": False})
def test_mode_2_asks_for_the_sticker_or_the_tag(lane: LaneBench, virtual_screen: BenchScreen) -> None:
    looked = []
    lane.when_payable(lambda link: looked.append(virtual_screen.assert_shows_no_code()))
    lane.customer_pays()
    assert lane.pay(253_00).outcome is Outcome.PAID
    assert looked
    (asked,) = {(one.headline, one.lines) for one in lane.shown if one.view is View.PAY}
    assert asked == (
        "Для оплаты используйте NFC или отсканируйте QR-код",
        ("Отсканируйте QR-код с наклейки или считайте NFC-метку",),
    )
