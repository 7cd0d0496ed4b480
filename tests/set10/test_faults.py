"""Each request between till and service is lost, answered to nobody, doubled or late; till or service is killed at it.

Whatever happens: goods only for money that the bank has, money never without goods or a case, one payment and one
cancellation at most at a time, no form or thread that stays.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest

from sco_sim.paymaster.phone import NothingToPay
from tests.set10.kit import Bench, Till, TillEnded, wait_for

pytestmark = [pytest.mark.timeout(300), pytest.mark.verify]
Open = Callable[..., Bench]

STEPS = (
    "GET payments#1",
    "PUT payments/ID#1",
    "GET screen#1",
    "GET screen#2",
    "GET screen#3",
    "GET payments/ID#1",
    "POST payments/ID/taken#1",
)
FAULTS = (
    "lost",
    "unanswered",
    "doubled",
    "late",
    "till killed before",
    "till killed after",
    "service killed before",
    "service killed after",
)
BOUND_S = 90.0


class Robot:
    """A customer who wants to pay, and a till that comes back whenever it is killed.

    Args:
        bench: the bench.
        by_card: after trouble the customer pays by card; otherwise tries the same again.
        cancels: the customer presses Отменить at the first code, and pays the next one.
    """

    def __init__(self, bench: Bench, *, by_card: bool, cancels: bool) -> None:
        self.bench = bench
        self.by_card = by_card
        self.cancels = cancels
        self.till = bench.till()
        self.troubles = 0
        self.pays_after = ""
        """A request of the till: the customer is no faster than that, on a slow machine too."""

    def kill_till(self) -> None:
        self.till.kill()

    def kill_service(self) -> None:
        self.bench.service.kill()
        self.bench.wire.restart_service_in_s(0.7, self.bench.service)

    def run(self) -> None:
        """One receipt until it is printed."""
        self.bench.sell(self.till)
        until = time.monotonic() + BOUND_S
        while True:
            assert time.monotonic() < until, f"not over after {BOUND_S} s\n{self.till.report()}"
            event = self.till.expect("form", "turn_over", "ended")
            if event["name"] == "ended":
                self.till = self.bench.till()
                if not self._goes_on():
                    break
            elif event["name"] == "turn_over":
                if event["what"] == "completed" or not self._goes_on():
                    break
            else:
                self._answer(event)
        self.print()

    def _goes_on(self) -> bool:
        """Begin again, unless the receipt is paid or the customer takes the card."""
        self.troubles += 1
        state = self.till.ask("state")
        if state["due"] == "0.00":
            return False
        if (self.by_card and not self.cancels) or self.troubles > 4:
            self.till.ask("card", sum=state["due"])
            return False
        self.till.send("pay")
        return True

    def _answer(self, form: dict[str, str]) -> None:
        if form["kind"] == "qr" and self.cancels:
            self.cancels = False
            self.till.press("cancel")
        elif form["kind"] == "qr":
            if self.pays_after:
                wait_for(lambda: self.pays_after in self.bench.wire.seen)
            with contextlib.suppress(NothingToPay):  # it is shown again, and has been paid
                self.bench.pay(form["link"])
        elif form["kind"] == "dialog":
            self.till.press("1")
        elif form["kind"] == "error":
            self.till.press("confirm")

    def print(self) -> None:
        """The receipt is printed, and the till lives on until nothing is owed."""
        try:
            self._print(self.till)
        except TillEnded:
            self.till = self.bench.till()
            self._print(self.till)

    def _print(self, till: Till) -> None:
        till.ask("fiscalize")
        until = time.monotonic() + BOUND_S
        state = self.bench.folder / "till" / "payments"
        while till.ask("repeat")["left"] != "0" or (state.exists() and _owed(state.read_text())):
            till.ask("available")
            assert time.monotonic() < until, f"{state.read_text()}\n{till.report()}"
            time.sleep(0.3)
        assert till.idle()["due"] == "0.00"


def _owed(ledger: str) -> bool:
    """Whether something is left but payments that never reached the lane."""
    return any("ABANDONED" not in line for line in ledger.splitlines())


def _meet(robot: Robot, step: str, fault: str) -> None:
    who, _, moment = fault.partition(" killed ")
    wire = robot.bench.wire
    if step.startswith("GET screen#"):
        robot.pays_after = step
    if moment:
        wire.plan[f"{step} {moment}"] = robot.kill_till if who == "till" else robot.kill_service
    else:
        wire.plan[step] = fault


@pytest.mark.parametrize("by_card", [False, True], ids=["tries again", "pays by card"])
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("step", STEPS)
def test_a_fault_at_each_step_of_a_payment(open_bench: Open, step: str, fault: str, by_card: bool) -> None:
    bench = open_bench()
    robot = Robot(bench, by_card=by_card, cancels=False)
    _meet(robot, step, fault)
    robot.run()
    _late_requests_have_come(bench, step, fault)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_at_the_cancellation(open_bench: Open, fault: str) -> None:
    bench = open_bench()
    robot = Robot(bench, by_card=False, cancels=True)
    step = "POST payments/ID/choice#1"
    _meet(robot, step, fault)
    robot.run()
    _late_requests_have_come(bench, step, fault)


@pytest.mark.parametrize("by_card", [False, True], ids=["tries again", "pays by card"])
@pytest.mark.parametrize("fault", ["kill_before", "kill_after", "invalid", "throw_before", "throw_after"])
def test_a_fault_of_the_call_back(open_bench: Open, fault: str, by_card: bool) -> None:
    bench = open_bench()
    robot = Robot(bench, by_card=by_card, cancels=False)
    robot.till.ask("fault", of="call_back", **{"is": fault})
    if fault == "throw_after":
        bench.sell(robot.till)
        bench.pay(robot.till.form("qr")["link"])
        robot.till.expect("stored")
        robot.till.idle()
        robot.print()
    else:
        robot.run()


def _late_requests_have_come(bench: Bench, step: str, fault: str) -> None:
    """The fault was met. A request that was late has come, and what it did is settled at the till's next contact."""
    assert step in bench.wire.seen
    if fault != "late":
        return
    time.sleep(7.0)
    till = bench.tills[-1]
    until = time.monotonic() + BOUND_S
    till.ask("available")
    while any(payment.status == "Confirmation" for payment in bench.bank.payments) and time.monotonic() < until:
        till.ask("available")
        time.sleep(0.5)
    till.idle()
