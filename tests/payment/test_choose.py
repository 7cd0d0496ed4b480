"""The customer's choice comes back by attempt and button; what the screen does not offer now changes nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sco_payment.attempt import EndReason, Outcome, View
from sco_payment.customer.texts import RUSSIAN
from sco_payment.customer.ui import Button, NoUI, ScreenState, scene_of
from sco_payment.order import Order
from tests.payment.lane_kit import OwnUI, bench

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25300)


class Records(OwnUI):
    """Presses buttons while the code is shown, and keeps what came of each."""

    def __init__(self, *presses: tuple[str | None, str]) -> None:
        super().__init__(on_pay=self._press)
        self._presses = presses
        self.accepted: list[bool] = []

    def _press(self, state: ScreenState) -> None:
        assert self._choose is not None
        for attempt, button in self._presses:
            self.accepted.append(self._choose(state.attempt if attempt is None else attempt, button))


@pytest.mark.parametrize(
    ("attempt", "button"),
    [("an-older-attempt", "cancel"), (None, "retry"), (None, "pay"), ("", "cancel")],
    ids=["another attempt", "no such button now", "no button of ours", "no attempt"],
)
def test_what_the_screen_does_not_offer_is_ignored(tmp_path: Path, attempt: str | None, button: str) -> None:
    ui = Records((attempt, button))
    with bench(tmp_path, "pays after=2", ui=ui) as (lane, paymaster):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert set(ui.accepted) == {False}
        assert paymaster.bank.cancels == 0


def test_a_screen_takes_one_choice(tmp_path: Path) -> None:
    ui = Records((None, "cancel"), (None, "cancel"))
    with bench(tmp_path, "leaves", ui=ui) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, result.reason, paymaster.bank.cancels) == (Outcome.UNPAID, EndReason.CUSTOMER, 1)
        assert ui.accepted == [True, False]


def test_a_choice_that_comes_after_the_payment_cancels_no_later_one(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        before = lane.pay(ORDER)
        assert not lane.choose(before.key, "cancel")
        assert lane.pay(Order("43", 100)).outcome is Outcome.PAID
        assert paymaster.bank.cancels == 0


def test_the_dialog_is_offered_again_after_it_was_answered(tmp_path: Path) -> None:
    ui = OwnUI("retry")
    with bench(tmp_path, ui=ui, dialog={"again": True}) as (lane, paymaster):
        ui._on_pay = lambda state: paymaster.go_offline()
        lane.pay(ORDER)
        dialogs = [state for state in ui.shown if state.view is View.DIALOG]
        assert len(dialogs) >= 2
        assert {tuple(button.id for button in state.buttons) for state in dialogs} == {("retry", "cancel")}


def test_every_state_of_the_screen_can_be_sent_as_json(tmp_path: Path) -> None:
    ui = OwnUI("cancel")
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        ui._on_pay = lambda state: paymaster.go_offline()
        result = lane.pay(ORDER)
        lane._runtime.close()
    assert {state.view for state in ui.shown} >= {View.WAIT, View.PAY, View.DIALOG, View.ATTENDANT}
    for state in ui.shown:
        assert msgspec.json.decode(msgspec.json.encode(state), type=ScreenState) == state
        assert state.attempt == result.key


def test_a_lane_without_a_screen_offers_nothing(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=NoUI()) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert not lane.choose("", "")


@pytest.mark.parametrize(
    ("state", "name", "drawing"),
    [
        (ScreenState(View.PAY, "h", link="https://qr.nspk.ru/A"), "qr", "none"),
        (ScreenState(View.PAY, "h", plate=True), "plate", "tap_or_scan"),
        (ScreenState(View.PAY, "h", ticket=True), "paper", "ticket"),
        (ScreenState(View.PAY, "h"), "pay", "spinner"),  # another display has the code
        (ScreenState(View.WAIT, "h"), "wait", "spinner"),
        (ScreenState(View.DIALOG, "h", buttons=(Button("retry", "Повторить", primary=True),)), "dialog", "none"),
        (ScreenState(View.ATTENDANT, "h", case=7), "attendant", "attendant"),
    ],
)
@pytest.mark.requirement("R5")
def test_the_scene_of_a_state(state: ScreenState, name: str, drawing: str) -> None:
    scene = scene_of(state, RUSSIAN)
    assert (scene.name, scene.drawing.value, scene.qr) == (name, drawing, state.link)
    assert [(one.action, one.label, one.primary) for one in scene.buttons] == [
        (one.id, one.text, one.primary) for one in state.buttons
    ]
    assert scene.number == ("Обращение № 7" if state.case else "")
