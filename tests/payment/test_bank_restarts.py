"""A lane that starts again, with another clock or before its network, asks on: not known is not "not paid"."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sco_payment.assemble import open_lane
from sco_payment.attempt import Message, Outcome, Phase
from sco_payment.events import Observer, null_observer
from sco_payment.lane import Lane
from sco_payment.order import Order, PaymentRefused
from sco_payment.paymaster.token import Token
from sco_payment.runtime import ThreadRuntime
from sco_payment.settings import TOKEN_VARIABLE
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import SPEED, OwnUI, Phases, document

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25_300)


class Shop:
    """A lane that is switched off and on, and its bank, whose clock is right."""

    def __init__(self, folder: Path, script: str) -> None:
        self._time: ThreadRuntime[Message] = ThreadRuntime(SPEED)
        self._skipped_s = 0.0
        self._folder = folder
        self.paymaster = PayMasterSimulator(clock=self._now, script=script)

    def _now(self) -> float:
        return self._time.now() / 1000 + self._skipped_s

    def stays_off(self, seconds: float) -> None:
        """Time passes while the lane is off."""
        self._skipped_s += seconds

    @contextlib.contextmanager
    def lane(
        self, *, clock_slow_s: float = 0.0, observer: Observer = null_observer, **sections: dict[str, Any]
    ) -> Iterator[Lane]:
        """The lane from being switched on until its power is cut."""
        runtime: ThreadRuntime[Message] = ThreadRuntime(SPEED)
        runtime._wall_at_start = self._now() - clock_slow_s
        data = document(self.paymaster, self._folder / "journal.db", **sections)
        settings = settings_from_mapping(data, {TOKEN_VARIABLE: self.paymaster.token})
        token = Token(self.paymaster.token)
        with open_lane(settings, ui=OwnUI(answer="cancel"), observer=observer, runtime=runtime, token=token) as lane:
            yield lane


@pytest.mark.bank("B1", "B4")
def test_a_plate_that_was_paid_by_a_wrong_clock_is_not_free_by_a_right_one(tmp_path: Path) -> None:
    """The lane is an hour slow, as one without a battery: the POST's answer is lost, the plate is armed and paid. After
    the power cut its clock is right, and the payment in the list, which names no order, is from another hour."""
    phases = Phases()
    shop = Shop(tmp_path, "leaves + cut-after on=create + list-nameless")
    with shop.paymaster as paymaster:
        plate = paymaster.bank.add_sticker().payload
        display = {"mode": 2, "plate": "static", "sticker_id": "st-000001", "plate_link": plate}
        with shop.lane(clock_slow_s=3_600, display=display) as lane:
            assert lane.pay(ORDER).outcome is Outcome.UNKNOWN
        paymaster.phone.pay(plate)
        shop.stays_off(30)
        with shop.lane(observer=phases, display=display) as lane:
            lane.start()
            phases.wait_for(Phase.OVERDUE)
            [case] = lane.journal.cases()
            assert case.reason == "create_unknown"
            with pytest.raises(PaymentRefused):
                lane.pay(ORDER)
        assert (paymaster.bank.creates, paymaster.bank.cancels) == (1, 0)


@pytest.mark.bank("B7")
def test_a_lane_that_starts_after_the_payments_end_and_before_the_network_asks_on(tmp_path: Path) -> None:
    """Silence ends nothing: a case, and the money is found when there is a network."""
    phases = Phases()
    shop = Shop(tmp_path, "pays after=10 + down on=create wait=600")
    with shop.paymaster as paymaster:
        with shop.lane() as lane:
            result = lane.pay(ORDER)
            assert (result.outcome, result.phase) == (Outcome.UNKNOWN, Phase.WATCHING)
        shop.stays_off(200)
        with shop.lane(observer=phases) as lane:
            lane.start()
            phases.wait_for(Phase.OVERDUE)
            assert paymaster.bank.calls == {"create": 1}
            phases.wait_for(Phase.PAID_LATE)
            [case] = lane.journal.cases()
            assert (case.attempt, paymaster.bank.creates) == (result.key, 1)


@pytest.mark.bank("B4", "B5")
def test_a_clock_that_is_set_forward_does_not_end_a_payment_that_can_still_be_paid(tmp_path: Path) -> None:
    """A try is declined, the power fails, the clock is set: by it all is over, and by the bank's the next try comes."""
    phases = Phases()
    shop = Shop(tmp_path, "declines-then-pays after=2")
    with shop.paymaster as paymaster:
        with shop.lane() as lane:
            result = lane.pay(ORDER)
            assert (result.outcome, result.phase) == (Outcome.UNPAID, Phase.CLOSED)
        with shop.lane(clock_slow_s=-3_600, observer=phases) as lane:
            lane.start()
            phases.wait_for(Phase.PAID_LATE)
            [case] = lane.journal.cases()
            assert (case.attempt, case.reason) == (result.key, "late_money")
        assert paymaster.bank.cancels == 0


@pytest.mark.bank("B3", "B7")
def test_a_lane_that_was_off_for_days_still_spends_its_cancellation(tmp_path: Path) -> None:
    phases = Phases()
    shop = Shop(tmp_path, "leaves + stays-open + down on=create wait=1000")
    with shop.paymaster as paymaster:
        with shop.lane() as lane:
            assert lane.pay(ORDER).outcome is Outcome.UNKNOWN
        shop.stays_off(9 * 86_400)
        with shop.lane(observer=phases) as lane:
            lane.start()
            phases.wait_for(Phase.CLOSED)
        [payment] = paymaster.bank.payments.values()
        assert (payment.status, payment.cancel_requests) == ("Cancelled", 1)
