"""Whether the customer may have seen something to pay: what the till gets, whatever the outcome."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sco_payment.attempt import EndReason, Outcome
from sco_payment.cli.output import outcome_json
from sco_payment.order import Order
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import OwnUI, bench, run, settings_file

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25_300)


@pytest.mark.parametrize(
    ("script", "outcome", "presented"),
    [
        ("pays after=2", Outcome.PAID, True),
        ("declines after=2", Outcome.UNPAID, True),
        ("cut-after on=create", Outcome.UNPAID, True),  # found, and presented
        ("500-after on=create + 500 on=list", Outcome.UNKNOWN, False),  # create_unknown
        ("cut-before on=create", Outcome.UNKNOWN, False),  # create_unknown
    ],
)
@pytest.mark.bank("B14")
def test_presented_is_what_happened(tmp_path: Path, script: str, outcome: Outcome, presented: bool) -> None:
    ui = OwnUI()
    with bench(tmp_path, script, ui=ui) as (lane, _):
        result = lane.pay(ORDER)
        assert (result.outcome, result.presented) == (outcome, presented)
        assert outcome_json(result)["presented"] is presented
        lane._runtime.close()
        assert bool(ui.pay_screens) is presented


@pytest.mark.bank("B14")
def test_a_customer_who_cancels_before_the_code_has_seen_nothing(tmp_path: Path) -> None:
    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        result = lane.pay(ORDER, cancelled=lambda: True)
        assert (result.outcome, result.reason, result.presented) == (Outcome.UNPAID, EndReason.CUSTOMER, False)
        assert outcome_json(result)["presented"] is False


@pytest.mark.bank("B14")
def test_a_link_that_a_crash_may_have_left_on_the_screen_counts_as_presented(tmp_path: Path) -> None:
    class PowerCut(BaseException):
        pass

    def cut(*about: object) -> None:
        raise PowerCut

    with bench(tmp_path, ui=OwnUI()) as (lane, _):
        lane._loop.customer.present = cut  # type: ignore[method-assign]
        with pytest.raises(PowerCut):
            lane.pay(ORDER)
        (result,) = lane.recover()
        assert (result.outcome, result.presented) == (Outcome.UNPAID, True)


@pytest.mark.bank("B14")
def test_a_payment_whose_create_was_never_answered_says_so_in_json(tmp_path: Path) -> None:
    with PayMasterSimulator(script="cut-before on=create") as paymaster:
        file = settings_file(tmp_path, paymaster)
        done = run("pay", "253", "--settings", file, "--order", "42", "--json", SCO_PAYMASTER_TOKEN=paymaster.token)
        last = json.loads(done.stdout.splitlines()[-1])
        assert (done.returncode, last["outcome"], last["presented"]) == (4, "unknown", False)
        again = run("recover", "--settings", file, "--json", SCO_PAYMASTER_TOKEN=paymaster.token)
        assert json.loads(again.stdout.splitlines()[-1])["presented"] is False
