"""A mixed payment: SBP legs before, between and after legs by other means. The sum is never more than the order's."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sco_payment import attempt as m
from sco_payment.assemble import open_lane
from sco_payment.attempt import Outcome, Phase
from sco_payment.journal.describe import describe
from sco_payment.lane import Lane
from sco_payment.order import Order, PaymentRefused
from sco_payment.paymaster.token import Token
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import OwnUI, bench, run, settings_file

pytestmark = pytest.mark.usefixtures("idle_time")

TOTAL = 25_300
FIRST = Order("B", TOTAL, leg_kopecks=10_000)
"""Of an order of 253.00 the customer pays 100.00 by SBP, and wants to pay the rest later."""


def settled(paymaster: PayMasterSimulator) -> list[int]:
    """What the bank has taken, in kopecks."""
    return [payment.kopecks for payment in paymaster.bank.payments.values() if payment.status == "Settled"]


def paid(lane: Lane, order: Order) -> int:
    """Pay a leg; its amount."""
    result = lane.pay(order)
    assert (result.outcome, result.order_no) == (Outcome.PAID, order.number)
    return result.kopecks


def refused(lane: Lane, paymaster: PayMasterSimulator, order: Order, words: str) -> None:
    """The leg is refused, and nothing has been sent."""
    calls = paymaster.bank.calls.total()
    with pytest.raises(PaymentRefused, match=words):
        lane.pay(order)
    assert paymaster.bank.calls.total() == calls


@pytest.mark.bank("B19")
@pytest.mark.requirement("R4", "R10")
def test_an_sbp_leg_comes_first_and_another_means_pays_the_rest(tmp_path: Path) -> None:
    ui = OwnUI()
    with bench(tmp_path, "pays after=2", ui=ui) as (lane, paymaster):
        assert paid(lane, FIRST) == 10_000
        assert [screen.amount_kopecks for screen in ui.pay_screens] == [10_000]
        (state,) = lane.journal.attempts()
        assert (state.plan.kopecks, state.plan.remaining, state.plan.total_kopecks) == (10_000, 15_300, TOTAL)
        assert (settled(paymaster), lane.journal.verify()) == ([10_000], [])


@pytest.mark.bank("B19")
@pytest.mark.requirement("R10")
def test_sbp_legs_with_a_card_between_them_pay_the_order_and_not_a_kopeck_more(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        assert paid(lane, FIRST) == 10_000
        after_the_card = Order("B", TOTAL, tendered_elsewhere=5_000, tendered_by_sbp=10_000)
        refused(lane, paymaster, replace(after_the_card, leg_kopecks=10_301), "must be from 1 to 10300")
        assert paid(lane, replace(after_the_card, leg_kopecks=300)) == 300
        assert paid(lane, replace(after_the_card, tendered_by_sbp=10_300)) == 10_000
        assert sum(settled(paymaster)) + 5_000 == TOTAL
        for again in (
            after_the_card,
            replace(after_the_card, tendered_by_sbp=10_300, leg_kopecks=1),
            Order("B", TOTAL),
        ):
            refused(lane, paymaster, again, "order B is already paid")
        text = describe(lane.journal.timeline(lane.journal.attempts()[1].plan.key)[0])
        nbsp = "\u00a0"
        assert (
            f"order B, 3,00{nbsp}₽, 50,00{nbsp}₽ tendered elsewhere before, 100,00{nbsp}₽ by SBP before, "
            f"100,00{nbsp}₽ left for legs after it"
        ) in text
        assert lane.journal.verify() == []


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (FIRST, "already paid in part .* of which this request counts 0,00"),  # the same leg again
        (replace(FIRST, leg_kopecks=None), "already paid in part"),  # a till that does not know of the leg
        (replace(FIRST, leg_kopecks=1), "already paid in part"),
        (Order("B", TOTAL, tendered_elsewhere=10_000), "already paid in part"),  # counts it as another means
        (Order("B", TOTAL, tendered_elsewhere=15_000, leg_kopecks=100), "already paid in part"),
        (replace(FIRST, tendered_by_sbp=9_999), "of which this request counts 99,99"),
        (replace(FIRST, tendered_by_sbp=10_001), "counts 100,01.* as paid by SBP, this lane's journal 100,00"),
        (Order("B", TOTAL + 1, tendered_by_sbp=10_000), "of a total of 253,00.*, and not of 253,01"),
        (Order("B", TOTAL, tendered_by_sbp=TOTAL), "nothing is left"),
        (Order("B", TOTAL, tendered_elsewhere=15_300, tendered_by_sbp=10_000), "nothing is left"),
    ],
)
@pytest.mark.bank("B19")
def test_a_leg_that_contradicts_those_before_it_is_refused(tmp_path: Path, order: Order, words: str) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        assert paid(lane, FIRST) == 10_000
        refused(lane, paymaster, order, words)
        assert paid(lane, Order("B", TOTAL, tendered_by_sbp=10_000)) == 15_300
        assert sum(settled(paymaster)) == TOTAL


def test_a_leg_that_was_paid_as_a_whole_order_ends_the_order(tmp_path: Path) -> None:
    """On a lane without mixed payments a till can ask for whole orders only; the rest of one is refused."""
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        assert paid(lane, Order("B", 10_000)) == 10_000
        refused(lane, paymaster, Order("B", TOTAL, tendered_by_sbp=10_000), "order B is already paid")


@pytest.mark.bank("B19")
def test_an_order_that_is_complete_takes_no_further_leg(tmp_path: Path) -> None:
    """Even where the till now says that the card has paid less of it than it said before."""
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        assert paid(lane, Order("B", TOTAL, tendered_elsewhere=15_300)) == 10_000
        refused(lane, paymaster, Order("B", TOTAL, tendered_by_sbp=10_000), r"order B is already paid \(attempt")


@pytest.mark.parametrize(
    "sections",
    [
        {"lane": {"profile": "16:9"}},
        {"display": {"mode": 0}, "devices": {"printer": "tcp://127.0.0.1:9"}},
        {"display": {"mode": 2, "plate": "dynamic"}, "devices": {"nfc": "sim://"}},
    ],
)
@pytest.mark.parametrize(
    "order", [FIRST, Order("B", TOTAL, tendered_by_sbp=10_000), Order("B", TOTAL, 100, leg_kopecks=100)]
)
@pytest.mark.bank("B19")
@pytest.mark.requirement("R10")
def test_legs_before_and_after_need_a_4_3_lane_in_display_mode_1(
    tmp_path: Path, order: Order, sections: dict[str, dict[str, Any]]
) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI(), **sections) as (lane, paymaster):
        refused(lane, paymaster, order, "a mixed payment needs lane.profile 4:3 and display.mode 1")


def test_a_leg_of_the_whole_order_is_no_mixed_payment(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2", ui=OwnUI(), lane={"profile": "16:9"}) as (lane, _):
        assert paid(lane, Order("B", TOTAL, leg_kopecks=TOTAL)) == TOTAL


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (Order("B", TOTAL, leg_kopecks=0), "leg_kopecks = 0 must be from 1 to 25300"),
        (Order("B", TOTAL, leg_kopecks=-1), "leg_kopecks = -1 must be"),
        (Order("B", TOTAL, leg_kopecks=TOTAL + 1), "leg_kopecks = 25301 must be"),
        (Order("B", TOTAL, 5_000, leg_kopecks=20_301), "from 1 to 20300"),
        (Order("B", TOTAL, leg_kopecks=100.0), "leg_kopecks = 100.0 must be a whole number"),  # type: ignore[arg-type]
        (Order("B", TOTAL, leg_kopecks=True), "leg_kopecks = True must be a whole number"),
        (Order("B", TOTAL, tendered_by_sbp=-1), "not less than zero"),
        (Order("B", TOTAL, tendered_by_sbp="1"), "tendered_by_sbp = '1' must be"),  # type: ignore[arg-type]
    ],
)
@pytest.mark.bank("B19")
def test_a_leg_that_is_no_part_of_the_order_is_refused(tmp_path: Path, order: Order, words: str) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, paymaster):
        refused(lane, paymaster, order, words)


def test_a_leg_that_was_not_paid_can_be_asked_for_again_and_changed(tmp_path: Path) -> None:
    with bench(tmp_path, "declines after=2", ui=OwnUI()) as (lane, paymaster):
        assert lane.pay(FIRST).outcome is Outcome.UNPAID
        paymaster.use("pays after=2")
        assert paid(lane, Order("B", TOTAL + 700, leg_kopecks=6_000)) == 6_000  # and goods were added meanwhile
        assert paid(lane, Order("B", TOTAL + 700, tendered_by_sbp=6_000)) == 20_000
        assert sum(settled(paymaster)) == TOTAL + 700


@pytest.mark.bank("B19")
def test_no_leg_begins_while_another_may_still_be_paid(tmp_path: Path) -> None:
    ui = OwnUI("cancel")
    with bench(tmp_path, ui=ui) as (lane, paymaster):
        ui._on_pay = lambda screen: paymaster.phone.pay(str(screen.link))
        assert paid(lane, FIRST) == 10_000

        def pay_offline(screen: object) -> None:
            paymaster.go_offline()
            paymaster.phone.pay(str(ui.pay_screens[-1].link))

        ui._on_pay = pay_offline
        second = Order("B", TOTAL, tendered_by_sbp=10_000, leg_kopecks=5_000)
        assert lane.pay(second).outcome is Outcome.UNKNOWN
        for order in (second, Order("B", TOTAL, tendered_by_sbp=10_000), Order("B", TOTAL, tendered_by_sbp=15_000)):
            with pytest.raises(PaymentRefused, match="may still be paid"):
                lane.pay(order)
        paymaster.go_online()
        assert [one.phase for one in lane.recover(follow=True)] == [Phase.PAID_LATE]
        # The till never got "paid" for that money: an operator decides, and the order is closed to SBP.
        refused(lane, paymaster, Order("B", TOTAL, tendered_by_sbp=15_000), "order B is already paid")
        assert settled(paymaster) == [10_000, 5_000]


@pytest.mark.bank("B19")
def test_legs_are_counted_after_the_lane_has_started_again(tmp_path: Path) -> None:
    """The till, too: it died before it had taken the first leg, and asks for it again."""

    def dies(result: object) -> None:
        raise RuntimeError("the lane's own software")

    ui = OwnUI()
    with bench(tmp_path, "pays after=2", ui=ui) as (lane, paymaster):
        with pytest.raises(RuntimeError):
            lane.pay(FIRST, deliver=dies)
        assert [case.reason for case in lane.journal.cases()] == ["goods_uncertain"]
        lane.journal.close()
        with open_lane(lane.settings, ui=ui, runtime=lane._runtime, token=Token(paymaster.token)) as again:
            refused(again, paymaster, FIRST, "already paid in part")
            assert paid(again, Order("B", TOTAL, tendered_by_sbp=10_000)) == 15_300
            assert settled(paymaster) == [10_000, 15_300]


def test_two_legs_of_the_same_amount_are_not_taken_for_each_other(tmp_path: Path) -> None:
    """The create of the second is never answered: it is found by its order, and is not the first one."""
    with bench(tmp_path, "pays after=2", ui=OwnUI()) as (lane, paymaster):
        order = Order("B", 20_000, leg_kopecks=10_000)
        assert paid(lane, order) == 10_000
        paymaster.use("leaves + cut-after on=create")
        result = lane.pay(replace(order, tendered_by_sbp=10_000))
        assert (result.outcome, result.case) == (Outcome.UNPAID, None)
        assert settled(paymaster) == [10_000]
        paymaster.use("pays after=2")
        assert paid(lane, replace(order, tendered_by_sbp=10_000)) == 10_000


def test_a_record_without_legs_is_an_order_of_one_leg() -> None:
    plan = m.Plan("k1", "B", 100, "RUB", m.Mode.SCREEN, 0, 60_000, tendered_elsewhere=50)
    assert (plan.total_kopecks, plan.tendered_by_sbp, plan.remaining) == (150, 0, 0)


def test_legs_on_the_command_line(tmp_path: Path) -> None:
    with PayMasterSimulator(script="pays") as paymaster:
        file, token = settings_file(tmp_path, paymaster), {"SCO_PAYMASTER_TOKEN": paymaster.token}
        pay = ("pay", "253", "--settings", file, "--order", "B", "--json")
        done = run(*pay, "--leg", "100", "--tendered-by-sbp", "0", "--tendered-elsewhere", "0.00", **token)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1])["amount"] == "100.00"
        again = run(*pay, "--leg", "100", **token)
        assert (again.returncode, json.loads(again.stdout)["outcome"]) == (6, "refused")
        assert run(*pay, "--leg", "153.01", "--tendered-by-sbp", "100", **token).returncode == 2
        rest = run(*pay, "--tendered-by-sbp", "100", "--tendered-elsewhere", "50", **token)
        assert json.loads(rest.stdout.splitlines()[-1])["amount"] == "103.00"
        assert settled(paymaster) == [10_000, 10_300]
