"""What PayMaster's answers on the wire mean for an attempt: how long to wait, what may exist, what is not there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from sco_payment import attempt as m
from sco_payment.paymaster.adapter import PayMasterAcquirer
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.token import Token
from tests.payment.paymaster.raw_server import RawServer, http

pytestmark = pytest.mark.usefixtures("idle_time")

LANE_NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
NOW_MS = round(LANE_NOW.timestamp() * 1000)
PLAN = m.Plan("k1", "A-1", 25_300, "RUB", m.Mode.SCREEN, begun_at_ms=NOW_MS - 60_000, expires_at_ms=NOW_MS + 240_000)
OVER_MS = PLAN.over_at_ms + 60_000


def body(payment_id: str = "7", kopecks: int = 25_300, **more: Any) -> dict[str, Any]:
    amount = {"value": kopecks / 100, "currency": "RUB"}
    return {"id": payment_id, "status": "Settled", "amount": amount} | more


def named(payment_id: str = "7", kopecks: int = 25_300, **more: Any) -> dict[str, Any]:
    return body(payment_id, kopecks, invoice={"description": "x", "orderNo": "A-1"}, **more)


def listed(*items: dict[str, Any], **headers: str) -> bytes:
    return answer({"items": list(items)}, **headers)


def answer(data: Any, status: str = "200 OK", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return http(b"" if data is None else json.dumps(data).encode(), status, *lines)


@contextmanager
def acquirer(*answers: bytes, now_ms: int = NOW_MS) -> Iterator[PayMasterAcquirer]:
    """One whose requests meet these answers, each in turn; the last one from then on."""
    server = RawServer()
    server.script(answers)
    client = PayMaster(server.url, Token("t"), "m", read_timeout_s=2.0, clock=lambda: now_ms / 1000)
    try:
        yield PayMasterAcquirer(
            client, lambda: now_ms, states={}, describe=lambda plan: "x", callback_url=None, pos_id="KSO-7"
        )
    finally:
        server.close()


# --- clocks -----------------------------------------------------------------------------------------------------------


class Clock:
    """The lane's: it starts at LANE_NOW, and each answer takes `answer_s`."""

    def __init__(self, answer_s: float) -> None:
        self._answer_s, self._now = answer_s, LANE_NOW.timestamp() - answer_s

    def __call__(self) -> float:
        self._now += self._answer_s
        return self._now


def dated(seconds: int, **more: str) -> bytes:
    """An answer that PayMaster has dated `seconds` after LANE_NOW."""
    return answer(None, "404 Not Found", Date=format_datetime(LANE_NOW + timedelta(seconds=seconds), True), **more)


@pytest.mark.parametrize(
    ("answer_s", "seconds", "ahead_s"),
    [
        (8, 0, 0),
        (8, 4, 0),  # it was dated while it was under way
        (8, 8, 0),
        (8, 9, 1),
        (8, 108, 100),
        (8, -1, -1),
        (8, -100, -100),
        (0, 400, 400),
        (0, -400, -400),
    ],
)
@pytest.mark.bank("B4")
def test_the_time_that_an_answer_takes_is_no_difference_of_the_clocks(
    answer_s: float, seconds: int, ahead_s: float
) -> None:
    server = RawServer(dated(seconds))
    client = PayMaster(server.url, Token("t"), "m", clock=Clock(answer_s))
    client.ask_for_the_time()
    server.close()
    assert client.clock_ahead_s == ahead_s


@pytest.mark.parametrize(("seconds", "ahead_s"), [(18, 6), (28, 12), (6, -2)], ids=["agrees", "more", "less"])
@pytest.mark.bank("B4")
def test_a_slow_answer_does_not_hide_what_a_quick_one_has_shown(seconds: int, ahead_s: float) -> None:
    server, clock = RawServer(), Clock(0)
    server.script([dated(6), dated(seconds)])
    client = PayMaster(server.url, Token("t"), "m", clock=clock)
    client.ask_for_the_time()
    assert client.clock_ahead_s == 6
    clock._answer_s = 8  # sent 8 s after LANE_NOW, answered after 16 s
    client.ask_for_the_time()
    server.close()
    assert client.clock_ahead_s == ahead_s


@pytest.mark.bank("B4")
def test_a_caches_answer_says_nothing_of_the_time() -> None:
    server = RawServer(dated(-900, Age="900"))
    client = PayMaster(server.url, Token("t"), "m", clock=Clock(0))
    client.ask_for_the_time()
    server.close()
    assert client.clock_ahead_s is None


# --- what is listed ---------------------------------------------------------------------------------------------------


def created(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@pytest.mark.parametrize("hours", [0, 1, 26])
@pytest.mark.bank("B1")
def test_a_payment_without_a_name_counts_whatever_its_time_where_another_process_has_created_it(hours: int) -> None:
    """The clock may have been set between: the lane was an hour slow, lost power after the POST, and is right now."""
    paid = body(created=created(LANE_NOW + timedelta(hours=hours)))
    with acquirer(listed(paid), now_ms=OVER_MS) as paymaster:
        assert isinstance(paymaster.find(PLAN, 1, ()), m.StatusUnavailable)


@pytest.mark.parametrize(
    ("seconds", "ours"), [(0, True), (-660, True), (-661, False), (1_440, True), (1_441, False)]
)  # of begun and over, 10 minutes
@pytest.mark.parametrize("ahead_s", [0, 3_600])
@pytest.mark.bank("B1")
def test_the_time_of_a_payment_without_a_name_counts_where_this_process_has_created_it(
    seconds: int, ours: bool, ahead_s: int
) -> None:
    bank_now = LANE_NOW + timedelta(seconds=ahead_s)
    date = format_datetime(bank_now, usegmt=True)
    paid = body(created=created(bank_now + timedelta(seconds=seconds)))
    lost = answer(None, "500 Oops", Date=date)
    with acquirer(answer(None, "404 Not Found", Date=date), lost, listed(paid)) as paymaster:
        failed = paymaster.create(PLAN, 1)
        assert isinstance(failed, m.CreateFailed)
        assert failed.may_exist
        assert isinstance(paymaster.find(PLAN, 2, ()), m.StatusUnavailable if ours else m.PaymentNotListed)


@pytest.mark.parametrize("names", [True, False])
@pytest.mark.bank("B1")
def test_a_payment_without_a_name_is_not_another_attempts_that_this_process_knows(names: bool) -> None:
    """It knows whose it is where the answer to the create has said so."""
    own = (named if names else body)("8", status="Confirmation")
    date = {"Date": format_datetime(LANE_NOW, usegmt=True)}
    other = replace(PLAN, key="k2")
    with acquirer(answer(None, **date), answer(own), listed(body("8"))) as paymaster:
        assert isinstance(paymaster.create(other, 1), m.Created)
        assert isinstance(paymaster.find(PLAN, 2, ()), m.PaymentNotListed if names else m.StatusUnavailable)
        assert isinstance(paymaster.find(other, 3, ()), m.StatusUnavailable)


@pytest.mark.parametrize("status", ["Settled", "Cancelled", "Confirmation"])
@pytest.mark.parametrize("more", [(), (named("8"),)], ids=["alone", "next to one of our amount"])
@pytest.mark.bank("B1")
def test_a_payment_of_the_order_with_another_amount_is_not_not_there(status: str, more: tuple[Any, ...]) -> None:
    with acquirer(listed(named(kopecks=25_301, status=status), *more), now_ms=OVER_MS) as paymaster:
        found = paymaster.find(PLAN, 1, ())
        assert isinstance(found, m.StatusUnavailable)
        assert "7 (order A-1, 253,01\u00a0₽" in found.detail
        assert isinstance(paymaster.find(PLAN, 1, ("7", "8")), m.PaymentNotListed)


def test_the_attempts_key_counts_whatever_the_amount() -> None:
    ours = body(kopecks=100, invoice={"description": "x", "orderNo": "A-1", "params": {"attempt": "k1"}})
    with acquirer(listed(ours, named("8"), body("9"))) as paymaster:
        found = paymaster.find(PLAN, 1, ())
        assert isinstance(found, m.PaymentStatusReceived)
        assert (found.payment_id, found.kopecks, found.proved) == ("7", 100, True)


@pytest.mark.parametrize(("count", "end"), [(9, " and 4 more"), (5, "4 (no order, 253,00\u00a0₽, Settled)")])
@pytest.mark.bank("B1")
def test_an_operator_reads_which_payments_it_may_be(count: int, end: str) -> None:
    with acquirer(listed(*[body(str(n)) for n in range(count)])) as paymaster:
        found = paymaster.find(PLAN, 1, ())
        assert isinstance(found, m.StatusUnavailable)
        assert "0 (no order, 253,00\u00a0₽, Settled), 1 (" in found.detail
        assert found.detail.endswith(end)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["", "duplicate_request", "invalid_operation", "validation_error"])
@pytest.mark.parametrize(("status", "final"), [("409 Conflict", True), ("423 Locked", False), ("425 Too Early", False)])
@pytest.mark.bank("B6")
def test_a_conflict_may_come_of_a_request_that_a_gateway_has_repeated(status: str, final: bool, code: str) -> None:
    with acquirer(answer({"code": code, "message": "duplicate request"}, status)) as paymaster:
        failed = paymaster.create(PLAN, 1)
        assert isinstance(failed, m.CreateFailed)
        assert (failed.may_exist, failed.final) == (True, final)


def test_a_key_that_was_used_before_belongs_to_a_payment() -> None:
    with acquirer(answer({"code": "idempotency_key_violation", "message": "used"}, "400 Bad Request")) as paymaster:
        failed = paymaster.create(PLAN, 1)
        assert isinstance(failed, m.CreateFailed)
        assert (failed.may_exist, failed.final) == (True, True)


@pytest.mark.parametrize("payment_id", ["7", "8"])
def test_a_status_is_of_the_payment_that_was_asked_for(payment_id: str) -> None:
    with acquirer(answer(body(payment_id, resultCode="Success"))) as paymaster:
        found = paymaster.status("7", 3)
        if payment_id == "8":
            text = "asked about payment 7, PayMaster answered about 8"
            assert found == m.StatusUnavailable(NOW_MS, 3, text)
        else:
            paid, words = m.PaymentStatus.PAID, "Settled/Success"
            assert found == m.PaymentStatusReceived(NOW_MS, 3, "7", paid, words, 25_300, "RUB", True, None)


@pytest.mark.parametrize("status", ["400 Bad Request", "403 Forbidden", "422 Unprocessable Content"])
@pytest.mark.bank("B6")
def test_a_plain_refusal_has_created_nothing(status: str) -> None:
    with acquirer(answer({"code": "validation_error", "message": "no"}, status)) as paymaster:
        failed = paymaster.create(PLAN, 1)
        assert isinstance(failed, m.CreateFailed)
        assert (failed.may_exist, failed.final) == (False, True)


@pytest.mark.parametrize(
    ("status", "code", "result"),
    [
        ("401 Unauthorized", "not_authorized", m.Cancel.NOT_ASKED),
        ("403 Forbidden", "", m.Cancel.NOT_ASKED),
        ("400 Bad Request", "payment_token_revoked", m.Cancel.NOT_ASKED),
        ("429 Too Many Requests", "", m.Cancel.NOT_ASKED),
        ("400 Bad Request", "invalid_operation", m.Cancel.REFUSED),
        ("400 Bad Request", "validation_error", m.Cancel.REFUSED),
        ("404 Not Found", "not_found", m.Cancel.UNANSWERED),
        ("503 Service Unavailable", "", m.Cancel.UNANSWERED),
        ("200 OK", "", m.Cancel.ACCEPTED),
    ],
)
@pytest.mark.bank("B15", "B18")
def test_what_the_answer_to_a_cancellation_means(status: str, code: str, result: m.Cancel) -> None:
    """A cancellation that met a wrong token was not looked at: it is still to be sent."""
    with acquirer(answer({"code": code, "message": "no"} if code else None, status)) as paymaster:
        assert paymaster.cancel("7", 1).result is result


# --- how long to wait -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
@pytest.mark.bank("B15", "B17")
def test_every_call_passes_on_how_long_to_wait(status: str) -> None:
    with acquirer(answer(None, status, Retry_After="15")) as paymaster:
        failed = paymaster.create(PLAN, 1)
        assert isinstance(failed, m.CreateFailed)
        assert (failed.wait_ms, failed.may_exist, failed.final) == (15_000, status.startswith("503"), False)
        for found in (paymaster.status("7", 2), paymaster.find(PLAN, 3, ())):
            assert isinstance(found, m.StatusUnavailable)
            assert found.wait_ms == 15_000
        assert paymaster.cancel("7", 4).wait_ms == 15_000


@pytest.mark.parametrize("status", ["500 Oops", "502 Bad Gateway", "401 Unauthorized", "400 Bad Request"])
@pytest.mark.bank("B17")
def test_other_answers_do_not_hold_a_payment_up(status: str) -> None:
    with acquirer(answer(None, status, Retry_After="15")) as paymaster:
        found = paymaster.status("7", 1)
        assert isinstance(found, m.StatusUnavailable)
        assert (found.wait_ms, paymaster.cancel("7", 2).wait_ms) == (0, 0)


def test_a_request_that_cannot_be_written_waits_for_nothing() -> None:
    with acquirer(answer(None, "500 Oops")) as paymaster:
        found = paymaster.status("..", 1)
        assert isinstance(found, m.StatusUnavailable)
        assert (found.wait_ms, paymaster.cancel("..", 2).wait_ms) == (0, 0)


@pytest.mark.parametrize("bank_ahead_s", [-3_000, 0, 400])
@pytest.mark.bank("B4", "B17")
def test_a_date_to_wait_for_is_by_the_clock_that_wrote_it(bank_ahead_s: int) -> None:
    now = datetime.now(UTC) + timedelta(seconds=bank_ahead_s)
    date, until = (format_datetime(moment, usegmt=True) for moment in (now, now + timedelta(seconds=15)))
    with acquirer(answer(None, "429 Too Many Requests", Date=date, Retry_After=until)) as paymaster:
        found = paymaster.status("7", 1)
        assert isinstance(found, m.StatusUnavailable)
        assert found.wait_ms == 15_000
