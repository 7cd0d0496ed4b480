"""Neva on a bench: the adapter, a network with faults, and the simulator."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from neva_acquirer.adapter import NevaAcquirer
from neva_acquirer.client import Client
from neva_acquirer.simulator import API_KEY, NevaSimulator

from sco_sim.testing import acquirer_contract as contract


class NevaBench:
    """See `sco_sim.testing.acquirer_contract.AcquirerBench`."""

    refunds_on_cancel = True
    call_limit_s = 15.0

    def __init__(self, bank: NevaSimulator, wire: contract.HttpFaults) -> None:
        self.bank, self.wire = bank, wire
        client = Client(wire.base_url, API_KEY, timeout_s=2.0)
        self.acquirer = NevaAcquirer(client, terminal="T-17", shop="Shop", now=self.now)

    def now(self) -> int:
        return int(time.time() * 1000)

    def pay(self, payment_id: str) -> None:
        assert self.bank.pay(int(payment_id))

    def close_unpaid(self, payment_id: str) -> None:
        assert self.bank.lapse(int(payment_id))

    def set_status(self, payment_id: str, word: str) -> None:
        self.bank.orders[int(payment_id)].state = word

    def amount_of(self, payment_id: str) -> int:
        return self.bank.orders[int(payment_id)].amount

    def payments(self) -> int:
        return len(self.bank.orders)

    def cancellations(self) -> int:
        return self.bank.voids


@pytest.fixture
def bench() -> Iterator[NevaBench]:
    with NevaSimulator() as bank, contract.HttpFaults(bank.base_url, "/v1/orders/{}".format) as wire:
        yield NevaBench(bank, wire)
