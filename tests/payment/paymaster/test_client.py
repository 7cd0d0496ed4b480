"""The client against the simulator, and against a raw socket that answers as no bank should."""

from __future__ import annotations

import json
import logging
import pickle
import socket
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sco_payment.paymaster import client as paymaster_client
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.errors import (
    BadRequest,
    NoAnswer,
    NotAuthorised,
    NotSent,
    PayMasterError,
    PaymentNotFound,
    RequestRefused,
    TooManyRequests,
)
from sco_payment.paymaster.token import Token
from sco_payment.paymaster.wire import NewPayment
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.paymaster.raw_server import PAYMENT, RawServer, http

pytestmark = pytest.mark.usefixtures("idle_time")

SECRET = "very-secret-token"


def new_payment(kopecks: int = 25300, **changes: object) -> NewPayment:
    values: dict[str, object] = {
        "order_no": "42",
        "description": "Магазин",
        "amount_kopecks": kopecks,
        "expires": datetime.now(UTC) + timedelta(minutes=5),
    }
    return NewPayment(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def bank() -> Iterator[PayMasterSimulator]:
    with PayMasterSimulator(token=SECRET) as paymaster:
        yield paymaster


def client_of(bank: PayMasterSimulator) -> PayMaster:
    return PayMaster(bank.base_url, Token(SECRET), bank.merchant_id, read_timeout_s=2.0)


@pytest.mark.requirement("R6")
def test_create_get_cancel_list(bank: PayMasterSimulator) -> None:
    client = client_of(bank)
    payment = client.create_payment(new_payment(), "key-1")
    assert (payment.status, payment.amount_kopecks, payment.currency, payment.order_no) == (
        "Confirmation",
        25300,
        "RUB",
        "42",
    )
    assert payment.link is not None
    assert client.get_payment(payment.id) == payment
    client.cancel_payment(payment.id)
    assert client.get_payment(payment.id).status == "Cancelled"
    now = datetime.now(UTC)
    assert [one.id for one in client.list_payments(now - timedelta(hours=1), now + timedelta(hours=1))] == [payment.id]
    assert client.clock_ahead_s is not None
    assert abs(client.clock_ahead_s) < 60


def test_lists_are_followed_page_by_page(bank: PayMasterSimulator) -> None:
    client = client_of(bank)
    ids = [client.create_payment(new_payment(order_no=str(n)), f"k{n}").id for n in range(60)]
    now = datetime.now(UTC)
    assert [one.id for one in client.list_payments(now - timedelta(hours=1), now + timedelta(hours=1))] == ids
    assert bank.bank.calls["list"] == 2


def test_a_list_that_takes_too_long_is_an_error(bank: PayMasterSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    client = client_of(bank)
    for n in range(60):
        client.create_payment(new_payment(order_no=str(n)), f"k{n}")
    monkeypatch.setattr(paymaster_client, "MAX_LIST_S", 0.0)
    now = datetime.now(UTC)
    with pytest.raises(NoAnswer, match="took more than 0 s"):
        client.list_payments(now - timedelta(hours=1), now + timedelta(hours=1))


def test_idempotency(bank: PayMasterSimulator) -> None:
    client, new = client_of(bank), new_payment()
    first = client.create_payment(new, "key")
    assert client.create_payment(new, "key") == first
    with pytest.raises(BadRequest) as caught:
        client.create_payment(new_payment(100), "key")
    assert caught.value.code == "idempotency_key_violation"
    assert bank.bank.creates == 1


def test_a_sticker_takes_one_amount_at_a_time(bank: PayMasterSimulator) -> None:
    client = client_of(bank)
    sticker = client.create_sticker(description="plate")
    payment = client.create_payment(new_payment(sticker_id=sticker.id), "a")
    assert payment.link == sticker.payload == client.get_sticker(sticker.id).payload
    with pytest.raises(RequestRefused, match="pending"):
        client.create_payment(new_payment(sticker_id=sticker.id), "b")
    client.cancel_payment(payment.id)
    client.create_payment(new_payment(sticker_id=sticker.id), "c")
    client.activate_sticker(sticker.id, active=False)
    with pytest.raises(RequestRefused):
        client.create_payment(new_payment(sticker_id=sticker.id), "d")


def test_each_kind_of_failure_has_its_own_error(bank: PayMasterSimulator) -> None:
    client = client_of(bank)
    with pytest.raises(PaymentNotFound):
        client.get_payment("unknown")
    with pytest.raises(PaymentNotFound):
        client.get_payment("../payments/x?y=1")
    payment = client.create_payment(new_payment(), "k")
    assert payment.link is not None
    bank.phone.pay(payment.link)
    with pytest.raises(RequestRefused, match="Settled"):
        client.cancel_payment(payment.id)
    with pytest.raises(BadRequest) as caught:
        client.create_payment(new_payment(0), "z")
    assert caught.value.errors
    bank.use("429 wait=7")
    with pytest.raises(TooManyRequests) as waits:
        client.get_payment(payment.id)
    assert waits.value.wait_s == 7.0
    bank.use("500")
    with pytest.raises(NoAnswer):
        client.get_payment(payment.id)
    bank.token = "other"
    with pytest.raises(NotAuthorised):
        client.get_payment(payment.id)
    bank.go_offline()
    with pytest.raises(NoAnswer):
        client.get_payment(payment.id)
    bank.close()
    with pytest.raises(NotSent, match=r"no connection to PayMaster \(Connection refused\)"):
        client.get_payment(payment.id)


def test_a_host_name_that_cannot_be_resolved() -> None:
    with pytest.raises(NotSent, match=r"cannot be resolved: bank\.invalid"):
        PayMaster("https://bank.invalid", Token(SECRET), "m").get_payment("1")


@pytest.mark.parametrize(
    ("pieces", "words"),
    [
        ([], "cut"),
        ([b"garbage\r\n\r\n"], "cut"),
        ([http(PAYMENT)[:-5]], "cut"),
        ([http(b"<html>")], "not JSON"),
        ([http(PAYMENT.replace(b'"1"', b"[]"))], "id must be a text"),
        ([http(PAYMENT.replace(b"253.0000", b'"much"'))], "amount.value"),
        ([http(PAYMENT.replace(b"253.0000", b"253.001"))], "fraction of a kopeck"),
        ([http(PAYMENT.replace(b"253.0000", b"true"))], "amount.value"),
        ([http(b"[" * 100_000)], "not JSON"),
        ([http(b"", "302 Found", "Location: http://127.0.0.1:9/")], "302"),
        ([http(b"oops", "503 Service Unavailable")], "503"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", *[b"x" * 1_000_000] * 6], "longer|cut"),
    ],
)
def test_after_an_unusable_answer_the_request_may_have_taken_effect(pieces: list[bytes], words: str) -> None:
    server = RawServer(*pieces)
    client = PayMaster(server.url, Token(SECRET), "m", read_timeout_s=2.0)
    try:
        with pytest.raises(NoAnswer, match=words):
            client.create_payment(new_payment(), "k")
    finally:
        server.close()


@pytest.mark.parametrize(
    "answer",
    [
        http(
            json.dumps({"code": "x\r", "message": "\x1b[2Jno\n" + "x" * 90_000, "errors": ["y\x07"]}).encode(),
            "500 Oops",
        ),
        http(json.dumps({"id": "\x1b[2J" + "x" * 90_000}).encode()),
    ],
    ids=["failure", "another payment"],
)
def test_text_from_the_server_is_short_and_printable(answer: bytes) -> None:
    """They appear in the journal, in logs and on the administrator's terminal."""
    server = RawServer(answer)
    try:
        with pytest.raises(NoAnswer) as caught:
            PayMaster(server.url, Token(SECRET), "m").cancel_payment("p-1")
    finally:
        server.close()
    assert str(caught.value).isprintable()
    assert 2 < len(str(caught.value)) < 400


@pytest.mark.parametrize("drip", [False, True])
def test_a_slow_server_cannot_hold_a_call(drip: bool) -> None:
    pieces = [http(PAYMENT)[i : i + 1] for i in range(len(http(PAYMENT)))] if drip else []
    server = RawServer(*pieces, pause_s=0.1 if drip else 0, hold=True)
    client = PayMaster(server.url, Token(SECRET), "m", connect_timeout_s=0.5, read_timeout_s=0.5)
    started = time.monotonic()
    with pytest.raises(NoAnswer):
        client.get_payment("1")
    assert time.monotonic() - started < 5  # the whole drip would take longer than half a minute with its header
    server.close()


def test_dead_addresses_of_the_server_cost_no_answer(bank: PayMasterSimulator, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them together take longer to fail than a call may; the last one is the bank's."""
    dead = [f"127.9.9.{n}" for n in range(1, 7)]

    def resolve(host: str, port: int, *_: object, **__: object) -> list[tuple[object, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in (*dead, "127.0.0.1")]

    class Socket(socket.socket):
        def connect(self, address: tuple[str, int]) -> None:  # type: ignore[override]
            if address[0] in dead:
                time.sleep(float(self.gettimeout() or 0.0))
                raise TimeoutError("timed out")
            super().connect(address)

    client = PayMaster(bank.base_url, Token(bank.token), bank.merchant_id, connect_timeout_s=0.5, read_timeout_s=2.0)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "socket", Socket)
    assert client.create_payment(new_payment(), "k").status == "Confirmation"
    assert bank.bank.creates == 1


def test_a_body_sent_byte_by_byte_cannot_hold_a_call() -> None:
    head, _, body = http(PAYMENT).partition(b"\r\n\r\n")
    pieces = [head + b"\r\n\r\n", *(body[i : i + 1] for i in range(len(body)))]
    server = RawServer(*pieces, pause_s=0.1, hold=True)
    client = PayMaster(server.url, Token(SECRET), "m", connect_timeout_s=0.5, read_timeout_s=0.5)
    started = time.monotonic()
    with pytest.raises(NoAnswer, match="in time"):
        client.get_payment("1")
    assert time.monotonic() - started < 5
    server.close()


def test_no_connection_is_kept() -> None:
    """The server would keep it; one that dies unseen in between would cost the one cancellation its answer."""
    server = RawServer(http(PAYMENT), hold=True)
    client = PayMaster(server.url, Token(SECRET), "m", read_timeout_s=2.0)
    pool = client._pool.connection_from_url(server.url)
    assert client.get_payment("1").id == "1"
    assert all(kept is None or kept.sock is None for kept in pool.pool.queue)
    server.close()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>please accept our terms", "cannot be read"),
        (PAYMENT.replace(b'"id":"1"', b'"id":"2"'), "about payment 2"),
        (b"[]", "must be an object"),
    ],
)
def test_a_page_or_another_payment_accepts_no_cancellation(body: bytes, words: str) -> None:
    server = RawServer(http(body))
    client = PayMaster(server.url, Token(SECRET), "m", read_timeout_s=2.0)
    with pytest.raises(NoAnswer, match=words):
        client.cancel_payment("1")
    server.close()


@pytest.mark.parametrize("body", [b"", b" ", b"{}", b"\xef\xbb\xbf{}", PAYMENT])
def test_these_answers_accept_a_cancellation(body: bytes) -> None:
    server = RawServer(http(body))
    PayMaster(server.url, Token(SECRET), "m", read_timeout_s=2.0).cancel_payment("1")
    server.close()


@pytest.mark.parametrize(
    "url", ["http://paymaster.ru", "ftp://127.0.0.1", "paymaster.ru", "http://127.0.0.1.evil.example"]
)
def test_plain_http_goes_to_this_machine_only(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        PayMaster(url, Token(SECRET), "m")


def test_a_certificate_that_is_not_trusted_is_never_sent_anything(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="certificate authorities"):
        PayMaster("https://127.0.0.1:1", Token(SECRET), "m", ca_file=str(tmp_path / "none.pem"))


@pytest.mark.attack("A23")
def test_the_token_is_never_shown(bank: PayMasterSimulator, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = Token(SECRET)
    assert SECRET not in repr(token) + str(token)
    with pytest.raises(TypeError):
        pickle.dumps(token)
    client = PayMaster(bank.base_url, token, bank.merchant_id)
    bank.token = "other"
    try:
        client.get_payment("1")
    except PayMasterError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=False).format()) + repr(error)
    assert SECRET not in shown
    assert SECRET not in caplog.text
