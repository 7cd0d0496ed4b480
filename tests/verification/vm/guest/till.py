"""The till of `lane_program.py`: requests to it, and a customer's order as seen by the till and by the acquirer."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from typing import Any

from kernel import wait_for

from sco_sim.paymaster import PayMasterSimulator
from sco_sim.paymaster.bank import BankPayment

PLACE = "/run/sco/till"
_LONG = 90.0


def ask(what: dict[str, Any]) -> Any:
    """Ask the program in the unit, on its own machine."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(30)
        line.connect(PLACE)
        line.sendall(json.dumps(what).encode() + b"\n")
        with line.makefile("r") as file:
            return json.loads(file.readline())


class Till:
    """Orders.

    Args:
        bank: where they are paid.
        asked: how the program is asked.
    """

    def __init__(self, bank: PayMasterSimulator, asked: Callable[[dict[str, Any]], Any] = ask) -> None:
        self.bank, self._asked = bank, asked

    def ask(self, **what: Any) -> Any:
        """Ask the program in the unit."""
        return self._asked(what)

    def begin(self, number: str) -> BankPayment:
        """A customer's order; returns the bank's payment when the customer is waited for."""
        known = set(self.bank.bank.payments)
        wait_for(lambda: self.ask(pay=[number, 25300]) == "begun", "the payment before it ends", _LONG)
        self.wait_for(number, "waiting")
        new = set(self.bank.bank.payments) - known
        assert len(new) == 1, f"{len(new)} payments were created"
        return self.bank.bank.payments[new.pop()]

    def wait_for(self, number: str, how: str) -> None:
        """AssertionError unless the order reaches this state."""
        wait_for(lambda: self.ask(order=number) == how, f"order {number} is {how!r}", _LONG, every_s=0.2)
