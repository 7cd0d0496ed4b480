"""Seeded faults around the machine: in the adapter, the client, the settings and the lane, where no engine looks.

Each is what the code did before a bank's, a clock's or a network's behaviour was met, and names the test that must fail
with it. As a pytest plugin (`-p tests.verification.behaviours`) this module puts the fault that `SCO_TEST_FAULT` names
into the code under test.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from sco_payment import attempt as m
from sco_payment import lane, link, loop, settings_checks
from sco_payment.attempt import _handlers
from sco_payment.paymaster import adapter, client, errors, token
from tests.verification.seeded import Make, Patch, SeededFault, seeded

_SCRIPTED = "tests/payment/test_bank_behaviours.py"
_ANSWERS = "tests/payment/paymaster/test_answers.py"


def _fault(name: str, caught_by: str, owner: Any, attribute: Any, make: Make) -> SeededFault:
    return SeededFault(name, frozenset(), (Patch(owner, attribute, make),), caught_by)


def _by_the_lanes_clock(original: Any) -> Any:
    return lambda self, plan: datetime.fromtimestamp(plan.expires_at_ms // 1000, UTC)


def _found_is_cancelled(original: Any) -> Any:
    def finding_status(state: m.State, event: m.PaymentStatusReceived) -> m.Step:
        return _handlers.finding_status(state, replace(event, link=None))

    return m.Rule(finding_status, frozenset(m.Phase))


def _no_proxy(original: Any) -> Any:
    def init(self: Any, *arguments: Any, proxy: str | None = None, proxy_login: object = None, **more: Any) -> None:
        original(self, *arguments, **more)

    return init


def _only_under_way(original: Any) -> Any:
    def cancel(self: lane.Lane) -> None:
        if self._loop.foreground is not None:
            original(self)

    return cancel


def _presented_by_outcome(original: Any) -> Any:
    def result(self: loop.Loop, state: m.State) -> Any:
        found = original(self, state)
        return replace(found, presented=found.outcome is not m.Outcome.NOT_PRESENTED)

    return result


def _known_forms_only(original: Any) -> Any:
    def judge(text: str, **payment: Any) -> link.Judgement:
        judgement: link.Judgement = original(text, **payment)
        unknown = judgement.link is not None and judgement.link.static is None
        return replace(judgement, verdict=link.Verdict.REFUSED) if unknown else judgement

    return judge


def _nspk_only(original: Any) -> Any:
    def judge(text: str, **payment: Any) -> link.Judgement:
        judgement: link.Judgement = original(text, **payment)
        return replace(judgement, verdict=link.Verdict.REFUSED) if judgement.link is None else judgement

    return judge


def _refused_with_the_token(original: Any) -> Any:
    def cancel(self: adapter.PayMasterAcquirer, payment_id: str, seq: int) -> m.CancelAnswered:
        answered: m.CancelAnswered = original(self, payment_id, seq)
        turned_away = "refused the token" in answered.detail
        return replace(answered, result=m.Cancel.REFUSED) if turned_away else answered

    return cancel


def _our_amount_only(original: Any) -> Any:
    def may_be(self: adapter.PayMasterAcquirer, payment: Any, plan: m.Plan) -> bool:
        ours = (plan.kopecks, plan.currency)
        return (payment.amount_kopecks, payment.currency) == ours and original(self, payment, plan)

    return may_be


def _by_the_difference_of_now(original: Any) -> Any:
    def may_be(self: adapter.PayMasterAcquirer, payment: Any, plan: m.Plan) -> bool:
        if payment.created is None or payment.order_no is not None:
            return bool(original(self, payment, plan))
        ahead_s = self.clock_ahead_s or 0.0
        away_ms = abs(payment.created.timestamp() - ahead_s - plan.begun_at_ms / 1000) * 1000
        return away_ms <= 1_200_000 and original(self, payment, plan)

    return may_be


def _answers_take_no_time(original: Any) -> Any:
    return lambda self, headers, sent: original(self, headers, self._clock())


def _only_too_many_requests(original: Any) -> Any:
    return lambda error: original(error) if isinstance(error, errors.TooManyRequests) else 0


FAULTS = (
    _fault(
        "a payment of the order with another amount is not there",
        _ANSWERS,
        adapter.PayMasterAcquirer,
        "_may_be",
        _our_amount_only,
    ),
    _fault(
        "a payment without a name is looked for by the clocks of now",
        _ANSWERS,
        adapter.PayMasterAcquirer,
        "_may_be",
        _by_the_difference_of_now,
    ),
    _fault("a conflict means that nothing was created", _ANSWERS, adapter, "_MAY_BE_REPEATED", lambda original: ()),
    _fault(
        "a cancellation that met a refused token counts as refused",
        _ANSWERS,
        adapter.PayMasterAcquirer,
        "cancel",
        _refused_with_the_token,
    ),
    _fault(
        "the time that an answer takes is taken for a wrong clock",
        _ANSWERS,
        client.PayMaster,
        "_compare_clocks",
        _answers_take_no_time,
    ),
    _fault("a bank that is not available is not heard", _ANSWERS, adapter, "_wait_ms", _only_too_many_requests),
    _fault(
        "a date to wait for is read by the lane's clock",
        _ANSWERS,
        client,
        "retry_after_s",
        lambda original: lambda text, date=None: original(text),
    ),
    _fault(
        "a replaced login of the proxy is not read",
        "tests/payment/paymaster/test_proxy.py",
        token.ProxyLogin,
        "successor",
        lambda original: lambda self: None,
    ),
    _fault(
        "the invoice ends by the lane's clock",
        f"{_SCRIPTED}::test_a_lane_with_a_wrong_clock_sells_and_ends_what_is_abandoned",
        adapter.PayMasterAcquirer,
        "_expires_on_the_wire",
        _by_the_lanes_clock,
    ),
    _fault(
        "a payment that was found is never presented",
        f"{_SCRIPTED}::test_an_open_payment_whose_key_is_refused_is_presented",
        m.TABLE[m.Phase.FINDING],
        m.PaymentStatusReceived,
        _found_is_cancelled,
    ),
    _fault(
        "any word of the bank may be mapped to paid",
        "tests/payment/test_settings.py",
        adapter,
        "_check_states",
        lambda original: lambda states: [],
    ),
    _fault(
        "a replaced token is not read",
        "tests/payment/paymaster/test_token_rotation.py",
        token.Token,
        "successor",
        lambda original: lambda self: None,
    ),
    _fault(
        "the proxy of the settings is not used",
        "tests/payment/paymaster/test_proxy.py",
        client.PayMaster,
        "__init__",
        _no_proxy,
    ),
    _fault(
        "a plate's link is compared as text",
        _SCRIPTED,
        link,
        "same_code",
        lambda original: lambda first, second: first == second,
    ),
    _fault(
        "a cancellation before the payment is forgotten",
        "tests/payment/test_cancel_early.py",
        lane.Lane,
        "cancel",
        _only_under_way,
    ),
    _fault(
        "what was presented is guessed from the outcome",
        "tests/payment/test_presented.py",
        loop.Loop,
        "result",
        _presented_by_outcome,
    ),
    _fault("a QRC id of an unknown form is refused", "tests/payment/test_link.py", link, "judge", _known_forms_only),
    _fault(
        "a slow bank is asked when it has answered",
        f"{_SCRIPTED}::test_a_slow_bank_is_asked_at_the_pace_of_the_requirement",
        _handlers,
        "may_overtake",
        lambda original: lambda state: False,
    ),
    _fault(
        "a byte-order mark in the token's file is not named",
        "tests/payment/test_settings.py",
        token,
        "_BYTE_ORDER_MARKS",
        lambda original: (),
    ),
    _fault(
        "an invoice may outlast its plate's cash link",
        "tests/payment/test_settings.py",
        settings_checks,
        "_LONGEST_PLATE_S",
        lambda original: 86_400.0,
    ),
    _fault("a link of another host is refused", "tests/payment/test_link.py", link, "judge", _nspk_only),
    _fault(
        "a link to any host is shown",
        "tests/security/test_links.py",
        link,
        "_check_host",
        lambda original: lambda host, hosts: None,
    ),
)

_active = contextlib.ExitStack()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put the fault in."""
    name = os.environ.get("SCO_TEST_FAULT")
    if name is not None:
        _active.enter_context(seeded(next(fault for fault in FAULTS if fault.name == name)))


def pytest_unconfigure() -> None:
    """Take it out."""
    _active.close()
