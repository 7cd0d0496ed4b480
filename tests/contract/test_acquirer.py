"""One contract over every acquirer's adapter: PayMaster's, and the example's, which is unlike it on purpose."""

from __future__ import annotations

import importlib.util
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from sco_payment import attempt as m
from sco_payment.paymaster.adapter import PayMasterAcquirer
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.token import Token
from sco_sim.paymaster import PayMasterSimulator
from sco_sim.testing import acquirer_contract as contract

pytestmark = pytest.mark.usefixtures("idle_time")

EXAMPLE = Path(__file__).parents[2] / "examples" / "acquirer"


class PayMasterBench:
    """See `acquirer_contract.AcquirerBench`."""

    refunds_on_cancel = False
    call_limit_s = 15.0

    def __init__(self, paymaster: PayMasterSimulator, wire: contract.HttpFaults) -> None:
        self.bank, self.wire = paymaster.bank, wire
        client = PayMaster(
            wire.base_url,
            Token(paymaster.token),
            paymaster.merchant_id,
            connect_timeout_s=2.0,
            read_timeout_s=2.0,
        )
        client.ask_for_the_time()  # otherwise it does so before the first payment, and meets the fault meant for that
        self.acquirer = PayMasterAcquirer(
            client,
            self.now,
            states={},
            describe=lambda plan: f"order {plan.order_no}",
            callback_url=None,
            pos_id="KSO-7",
        )

    def now(self) -> int:
        return int(time.time() * 1000)

    def pay(self, payment_id: str) -> None:
        assert self.bank.settle(payment_id)

    def close_unpaid(self, payment_id: str) -> None:
        assert self.bank.decline(payment_id)

    def set_status(self, payment_id: str, word: str) -> None:
        self.bank.payments[payment_id].status = word

    def amount_of(self, payment_id: str) -> int:
        return self.bank.payments[payment_id].kopecks

    def payments(self) -> int:
        return len(self.bank.payments)

    def cancellations(self) -> int:
        return self.bank.cancels


@pytest.fixture(scope="module")
def example() -> Iterator[ModuleType]:
    """The example's own bench, from its folder; it is not installed here."""
    sys.path.insert(0, str(EXAMPLE / "src"))
    try:
        spec = importlib.util.spec_from_file_location("neva_bench", EXAMPLE / "tests" / "conftest.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module
    finally:
        sys.path.remove(str(EXAMPLE / "src"))


@pytest.fixture(params=["paymaster", "example"])
def bench(request: pytest.FixtureRequest, example: ModuleType) -> Iterator[contract.AcquirerBench]:
    if request.param == "paymaster":
        with PayMasterSimulator() as paymaster:
            of_payment = "/api/v2/payments/{}".format
            with contract.HttpFaults(paymaster.base_url, of_payment) as wire:
                yield PayMasterBench(paymaster, wire)
    else:
        with example.NevaSimulator() as bank, contract.HttpFaults(bank.base_url, "/v1/orders/{}".format) as wire:
            yield example.NevaBench(bank, wire)


@pytest.mark.parametrize("check", contract.CHECKS, ids=contract.name_of)
def test_contract(check: contract.Check, bench: contract.AcquirerBench) -> None:
    check(bench)


# --- the contract can fail ----------------------------------------------------------------------------------------


class Wrong:
    """An adapter with a mistake: `change` gets the call, and makes another event of it."""

    def __init__(self, right: Any, call: str, change: Callable[..., Any]) -> None:
        self._right, self._call, self._change = right, call, change

    def __getattr__(self, name: str) -> Any:
        right = getattr(self._right, name)
        return partial(self._change, right) if name == self._call else right


def changed(kind: type[Any], **changes: Any) -> Callable[..., Any]:
    """Another event in place of each of this kind."""

    def change(call: Callable[..., Any], *arguments: Any) -> Any:
        event = call(*arguments)
        return replace(event, **changes) if isinstance(event, kind) else event

    return change


def another_key(call: Callable[..., Any], plan: m.Plan, *rest: Any) -> Any:
    return call(replace(plan, key=f"{next(_serial):032d}"), *rest)


def rounded(call: Callable[..., Any], *arguments: Any) -> Any:
    event = call(*arguments)
    return replace(event, kopecks=event.kopecks // 100 * 100) if isinstance(event, m.Created) else event


def raises(call: Callable[..., Any], *arguments: Any) -> Any:
    event = call(*arguments)
    if isinstance(event, m.StatusUnavailable):
        raise TimeoutError(event.detail)
    return event


def silence_is_not_listed(call: Callable[..., Any], *arguments: Any) -> Any:
    event = call(*arguments)
    return m.PaymentNotListed(event.at_ms, event.seq) if isinstance(event, m.StatusUnavailable) else event


def silence_is_closed(call: Callable[..., Any], payment_id: str, seq: int) -> Any:
    event = call(payment_id, seq)
    if not isinstance(event, m.StatusUnavailable):
        return event
    return m.PaymentStatusReceived(event.at_ms, seq, payment_id, m.PaymentStatus.CLOSED, "404", 25_300, "RUB")


def mapped(wrong: m.PaymentStatus, of: m.PaymentStatus) -> Callable[..., Any]:
    def change(call: Callable[..., Any], *arguments: Any) -> Any:
        event = call(*arguments)
        is_it = isinstance(event, m.PaymentStatusReceived) and event.status is of
        return replace(event, status=wrong) if is_it else event

    return change


def forgets_the_attempt(call: Callable[..., Any], plan: m.Plan, seq: int, foreign_ids: Any) -> Any:
    event = call(plan, seq, foreign_ids)
    return (
        m.Created(event.at_ms, seq, foreign_ids[0], m.PaymentStatus.OPEN, 25_300, "RUB", None)
        if (isinstance(event, m.CreateFailed) and foreign_ids)
        else event
    )


def unanswered_is_not_sent(call: Callable[..., Any], *arguments: Any) -> Any:
    event = call(*arguments)
    return replace(event, result=m.Cancel.NOT_ASKED) if event.result is m.Cancel.UNANSWERED else event


def twice(call: Callable[..., Any], *arguments: Any) -> Any:
    call(*arguments)
    return call(*arguments)


_serial = count(1)
S = m.PaymentStatus
MISTAKES: dict[str, tuple[str, Callable[..., Any]]] = {
    "each try has another key": ("create", another_key),
    "amounts are rounded": ("create", rounded),
    "no answer to a create means no payment": ("create", changed(m.CreateFailed, may_exist=False)),
    "a create is never tried again": ("create", changed(m.CreateFailed, final=True)),
    "another attempt's payment is taken": ("create", forgets_the_attempt),
    "an unknown word is open": ("status", mapped(S.OPEN, S.UNKNOWN)),
    "an unknown word is closed": ("status", mapped(S.CLOSED, S.UNKNOWN)),
    "a refund is not paid": ("status", mapped(S.CLOSED, S.REFUNDED)),
    "a refund is paid": ("status", mapped(S.PAID, S.REFUNDED)),
    "no answer is not paid": ("status", silence_is_closed),
    "a call raises": ("status", raises),
    "the wait is forgotten": ("status", changed(m.StatusUnavailable, wait_ms=0)),
    "no answer is not listed": ("find", silence_is_not_listed),
    "every cancellation is accepted": ("cancel", changed(m.CancelAnswered, result=m.Cancel.ACCEPTED)),
    "every cancellation is refused": ("cancel", changed(m.CancelAnswered, result=m.Cancel.REFUSED, detail="no")),
    "a cancellation without an answer counts as never sent": ("cancel", unanswered_is_not_sent),
    "a cancellation is sent twice": ("cancel", twice),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_an_adapter_is_caught(example: ModuleType, mistake: str) -> None:
    """Checks that wait for time-outs are left out: none of these needs one."""
    caught = []
    for check in contract.CHECKS:
        if "held" in contract.name_of(check) or check is contract.no_call_takes_longer_than_its_limit:
            continue
        with example.NevaSimulator() as bank, contract.HttpFaults(bank.base_url, "/v1/orders/{}".format) as wire:
            bench = example.NevaBench(bank, wire)
            bench.acquirer = Wrong(bench.acquirer, *MISTAKES[mistake])
            try:
                check(bench)
            except (AssertionError, TimeoutError):
                caught.append(contract.name_of(check))
                break
    assert caught, f"not caught: {mistake}"
