"""What PayMaster gets: each request, octet by octet, and the limits at which the client stops."""

from __future__ import annotations

import contextlib
import gc
import gzip
import json
import socket
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from sco_payment.paymaster.client import PayMaster, retry_after_s
from sco_payment.paymaster.errors import (
    BadRequest,
    ListTooLong,
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
from tests.payment.paymaster.raw_server import PAYMENT, RawServer, http

pytestmark = pytest.mark.usefixtures("idle_time")

STICKER = b'{"id":"s1","payload":"https://qr.nspk.ru/AS1","cashlink":true,"status":"active"}'
ANSWERED = {"Accept": "application/json", "Accept-Encoding": "identity", "Authorization": "Bearer t"}
EXPIRES = datetime(2026, 11, 30, 12, 0, 5, tzinfo=UTC)
LEAST = NewPayment("A-1", "Магазин", 25_310, EXPIRES)
WHOLE = NewPayment("A-1", "Магазин", 25_310, EXPIRES, "s1", "https://shop/r", "https://shop/c", {"lane": "7"})
INVOICE = {"description": "Магазин", "orderNo": "A-1", "expires": "2026-11-30T12:00:05Z"}
ENCODED: dict[str, Any] = {
    "merchantId": "m-1",
    "testMode": False,
    "dualMode": False,
    "invoice": INVOICE | {"params": {}},
    "amount": {"value": Decimal("253.10"), "currency": "RUB"},
    "paymentData": {"paymentMethod": "SBP"},
}
STICKER_FIELDS = {"merchantId": "m-1", "stickerType": "SBP", "cashlink": True, "description": "КСО 7"}


@pytest.fixture
def server() -> Iterator[RawServer]:
    with RawServer(http(PAYMENT)) as server:
        yield server


def client_of(server: RawServer, **more: Any) -> PayMaster:
    return PayMaster(server.url + "/", Token("t"), "m-1", **({"read_timeout_s": 2.0} | more))


def page(*payments: bytes, cursor: str | None = None) -> bytes:
    after = b"" if cursor is None else b',"cursor":' + json.dumps(cursor).encode()
    return http(b'{"items":[' + b",".join(payments) + b"]" + after + b"}")


def a_list(client: PayMaster) -> list[str]:
    return [one.id for one in client.list_payments(EXPIRES, EXPIRES)]


CALLS: list[tuple[Callable[[PayMaster], object], bytes, str, Any]] = [
    (lambda c: c.create_payment(LEAST, "k"), PAYMENT, "POST /api/v2/payments", ENCODED),
    (
        lambda c: c.create_payment(WHOLE, "k"),
        PAYMENT,
        "POST /api/v2/payments",
        ENCODED
        | {
            "invoice": INVOICE | {"params": {"lane": "7"}},
            "paymentData": {"paymentMethod": "SBP", "stickerId": "s1"},
            "protocol": {"returnUrl": "https://shop/r", "callbackUrl": "https://shop/c"},
        },
    ),
    (lambda c: c.get_payment("a/1"), PAYMENT, "GET /api/v2/payments/a%2F1", None),
    (lambda c: c.cancel_payment("a/1"), b"", "PUT /api/v2/payments/a%2F1/cancel", None),
    (lambda c: c.create_sticker(description="КСО 7", purpose="Покупка"), STICKER, "POST /api/v2/stickers",
     STICKER_FIELDS | {"paymentPurpose": "Покупка"}),
    (lambda c: c.create_sticker(description="КСО 7", cashlink=False), STICKER, "POST /api/v2/stickers",
     STICKER_FIELDS | {"paymentPurpose": "КСО 7", "cashlink": False}),
    (lambda c: c.get_sticker("s/1"), STICKER, "GET /api/v2/stickers/s%2F1", None),
    (lambda c: c.activate_sticker("s/1"), STICKER, "PUT /api/v2/stickers/s%2F1", {"active": True}),
    (lambda c: c.activate_sticker("s/1", active=False), STICKER, "PUT /api/v2/stickers/s%2F1", {"active": False}),
]  # fmt: skip


@pytest.mark.parametrize(("call", "answer", "first", "sent"), CALLS)
def test_each_request_as_it_is_sent(call: Callable[[PayMaster], Any], answer: bytes, first: str, sent: Any) -> None:
    with RawServer(http(answer)) as server:
        found = call(client_of(server))
    [(line, headers, body)] = server.requests
    assert line == f"{first} HTTP/1.1"
    headers = {name: value for name, value in headers.items() if name not in ("Host", "Content-Length", "User-Agent")}
    extra = {} if sent is None else {"Content-Type": "application/json"}
    assert headers == ANSWERED | extra | ({"Idempotency-Key": "k"} if first.endswith("/payments") else {})
    assert (json.loads(body, parse_float=Decimal) if body else None) == sent
    if answer:
        assert found.id == json.loads(answer)["id"]


def test_a_test_payment_says_so(server: RawServer) -> None:
    client_of(server, test_mode=True).create_payment(LEAST, "k")
    assert json.loads(server.requests[0][2])["testMode"] is True


def test_a_list_names_the_merchant_and_the_times_and_follows_the_cursor(server: RawServer) -> None:
    server.script([page(PAYMENT, cursor="a&b"), page(PAYMENT.replace(b'"1"', b'"2"'))])
    assert a_list(client_of(server)) == ["1", "2"]
    window = "merchantId=m-1&start=2026-11-30T12%3A00%3A05Z&end=2026-11-30T12%3A00%3A05Z"
    assert [line for line, _, _ in server.requests] == [
        f"GET /api/v2/payments?{window} HTTP/1.1",
        f"GET /api/v2/payments?{window}&cursor=a%26b HTTP/1.1",
    ]


def test_a_list_that_goes_in_circles_is_no_list(server: RawServer) -> None:
    server.script([page(cursor="a"), page(cursor="b"), page(cursor="a")])
    with pytest.raises(NoAnswer, match="repeats at cursor 'a'"):
        a_list(client_of(server))
    assert len(server.requests) == 3


@pytest.mark.parametrize("pages", [100, 101])
def test_a_list_of_more_pages_than_anyone_has_is_refused(server: RawServer, pages: int) -> None:
    server.script([*(page(cursor=str(n)) for n in range(pages - 1)), page(PAYMENT)])
    if pages == 100:
        assert a_list(client_of(server)) == ["1"]
    else:
        with pytest.raises(ListTooLong, match="more than 100 pages"):
            a_list(client_of(server))
    assert len(server.requests) == 100


def test_the_time_is_asked_for_without_a_body(server: RawServer) -> None:
    client_of(server).ask_for_the_time()
    assert [line for line, _, _ in server.requests] == ["HEAD /api/v2/ HTTP/1.1"]


@pytest.mark.parametrize("key", ["", "ключ", "a\nb", "a\x7fb"])
def test_a_key_that_no_header_can_carry_is_not_sent(server: RawServer, key: str) -> None:
    with pytest.raises(ValueError, match="printable ASCII"):
        client_of(server).create_payment(LEAST, key)
    assert not server.requests


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
def test_plain_http_goes_to_this_machine_by_any_of_its_names(host: str) -> None:
    PayMaster(f"http://{host}:8080", Token("t"), "m")


@pytest.mark.parametrize("status", ["200 OK", "201 Created", "299 Whatever"])
def test_any_success_is_one(status: str) -> None:
    with RawServer(http(PAYMENT, status)) as server:
        assert client_of(server).get_payment("1").id == "1"


@pytest.mark.parametrize("status", ["300 Multiple Choices", "302 Found", "399 Whatever"])
def test_a_redirect_is_no_answer_whatever_its_body_says(server: RawServer, status: str) -> None:
    server.script([http(PAYMENT, status, "Location: /api/v2/payments/2")])
    with pytest.raises(NoAnswer, match=status[:3]):
        client_of(server).get_payment("1")
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", ["not_authorized", "payment_token_revoked", "payment_token_blocked"])
def test_a_refused_token_by_its_code(server: RawServer, code: str) -> None:
    server.script([http(json.dumps({"code": code, "message": "нет"}).encode(), "400 Bad Request")])
    with pytest.raises(NotAuthorised, match="нет"):
        client_of(server).get_payment("1")


@pytest.mark.parametrize(("length", "shown"), [(300, "x" * 300), (301, "x" * 300 + "...")])
def test_a_long_message_is_cut(server: RawServer, length: int, shown: str) -> None:
    server.script([http(json.dumps({"code": "no", "message": "x" * length}).encode(), "409 Conflict")])
    with pytest.raises(PayMasterError) as caught:
        client_of(server).get_payment("1")
    assert caught.value.message == shown


@pytest.mark.parametrize("over", [0, 1])
def test_the_longest_answer_that_is_read(over: int) -> None:
    with RawServer(http(PAYMENT + b" " * (4 * 1024 * 1024 - len(PAYMENT) + over))) as server:
        client = client_of(server, read_timeout_s=30.0)
        if over:
            with pytest.raises(NoAnswer, match="longer than 4194304 bytes"):
                client.get_payment("1")
        else:
            assert client.get_payment("1").id == "1"


def test_the_time_of_a_call_is_that_of_connecting_and_reading_together() -> None:
    """A body that comes in pieces, each in time, may take as long as both."""
    whole = http(PAYMENT)
    at = [round(number * len(whole) / 8) for number in range(9)]
    with RawServer(*(whole[one:next_one] for one, next_one in pairwise(at)), pause_s=3.65, hold=True) as server:
        client = client_of(server, connect_timeout_s=20.0, read_timeout_s=6.0)
        assert client.get_payment("1").id == "1"  # the last piece comes 25.5 s after the first


@pytest.mark.parametrize(
    ("pieces", "connect_s", "read_s", "least_s", "most_s"),
    [
        (0, 60.0, 10.0, 9.0, 40.0),  # it waits for data as long as a wait may take
        (9, 5.0, 30.0, 34.0, 50.0),  # and, after much of the time, as long as the call may take
    ],
)
def test_a_server_that_falls_silent(
    pieces: int, connect_s: float, read_s: float, least_s: float, most_s: float
) -> None:
    with RawServer(*(http(PAYMENT)[:9][at : at + 1] for at in range(pieces)), pause_s=3.0, hold=True) as server:
        client = client_of(server, connect_timeout_s=connect_s, read_timeout_s=read_s)
        begun = time.monotonic()
        with pytest.raises(NoAnswer, match="in time"):
            client.get_payment("1")
        assert least_s < time.monotonic() - begun < most_s


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        ("400 Bad Request", "", BadRequest),
        ("400 Bad Request", "validation_error", BadRequest),
        ("400 Bad Request", "no_such_thing", RequestRefused),
        ("401 Unauthorized", "", NotAuthorised),
        ("402 Payment Required", "", RequestRefused),
        ("403 Forbidden", "", NotAuthorised),
        ("404 Not Found", "", PaymentNotFound),
        ("405 Method Not Allowed", "", BadRequest),
        ("406 Not Acceptable", "", RequestRefused),
        ("408 Request Timeout", "", NoAnswer),
        ("409 Conflict", "", RequestRefused),
        ("409 Conflict", "idempotency_key_violation", BadRequest),
        ("410 Gone", "", RequestRefused),
        ("411 Length Required", "", BadRequest),
        ("412 Precondition Failed", "", RequestRefused),
        ("413 Content Too Large", "", BadRequest),
        ("414 URI Too Long", "", RequestRefused),
        ("415 Unsupported Media Type", "", BadRequest),
        ("416 Range Not Satisfiable", "", RequestRefused),
        ("422 Unprocessable Content", "", BadRequest),
        ("423 Locked", "", RequestRefused),
        ("429 Too Many Requests", "", TooManyRequests),
        ("500 Internal Server Error", "validation_error", NoAnswer),
    ],
)
def test_what_each_failure_means(server: RawServer, status: str, code: str, kind: type[PayMasterError]) -> None:
    server.script([http(json.dumps({"code": code, "message": "нет"}).encode(), status)])
    with pytest.raises(PayMasterError) as caught:
        client_of(server).get_payment("1")
    assert (type(caught.value), caught.value.status, caught.value.code) == (kind, int(status[:3]), code)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP ", "br"])
def test_a_packed_answer_is_not_unpacked(server: RawServer, encoding: str) -> None:
    server.script([http(gzip.compress(PAYMENT), "200 OK", f"Content-Encoding: {encoding}")])
    with pytest.raises(
        NoAnswer, match=f"the answer is packed \\({encoding.strip().lower()}\\), which was not asked for"
    ):
        client_of(server).get_payment("1")


@pytest.mark.parametrize("identifier", ["", ".", ".."])
def test_an_id_that_leads_elsewhere_is_not_asked_for(server: RawServer, identifier: str) -> None:
    for call in (PayMaster.get_payment, PayMaster.cancel_payment, PayMaster.get_sticker, PayMaster.activate_sticker):
        with pytest.raises(ValueError, match="not a valid payment id"):
            call(client_of(server), identifier)
    assert not server.requests


@pytest.mark.parametrize("moment", ["12:00:10 GMT", "12:00:10 -0000", "15:00:10 +0300", "12:00:10"])
def test_retry_after_as_a_date_of_any_zone(moment: str) -> None:
    assert retry_after_s(f"Mon, 30 Nov 2026 {moment}", "Mon, 30 Nov 2026 12:00:00 GMT") == 10


def test_a_service_below_a_path() -> None:
    with RawServer(http(PAYMENT)) as server:
        PayMaster(server.url + "/X/", Token("t"), "m").get_payment("1")
    assert server.requests[0][0] == "GET /X/api/v2/payments/1 HTTP/1.1"


def test_a_host_that_does_not_answer(server: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def silence(*_: object) -> None:
        raise TimeoutError("timed out")

    client = client_of(server)
    monkeypatch.setattr(socket.socket, "connect", silence)
    with pytest.raises(NotSent, match=r"^no connection to PayMaster in time$"):
        client.get_payment("1")


def test_a_failure_that_nobody_has_thought_of_is_named_without_the_token(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError("odd: Bearer secret")

    client = PayMaster(server.url, Token("secret"), "m")
    monkeypatch.setattr(client._pool, "request", fails)
    with pytest.raises(NotSent, match=r"^OSError: odd: Bearer \*\*\*$"):
        client.get_payment("1")


def descriptors() -> set[str]:
    return {one.name for one in Path("/proc/self/fd").iterdir()}


@pytest.mark.parametrize("answer", [http(PAYMENT), http(b" " * 5_000_000), http(PAYMENT)[:-5]])
def test_no_connection_outlives_its_call(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one that something still refers to: a lane runs for months."""
    server, kept = RawServer(answer), []
    client = client_of(server, read_timeout_s=30.0)
    request = client._pool.request

    def keeping(*arguments: Any, **named: Any) -> Any:
        kept.append(request(*arguments, **named))
        return kept[-1]

    monkeypatch.setattr(client._pool, "request", keeping)
    before = descriptors()
    with warnings.catch_warnings(record=True) as left_open:
        warnings.simplefilter("always", ResourceWarning)
        for _ in range(5):
            with contextlib.suppress(NoAnswer):
                client.get_payment("1")
        end = time.monotonic() + 60.0
        while len(descriptors() - before) > 1 and time.monotonic() < end:  # the server closes its own
            time.sleep(0.01)
        assert len(kept) == 5
        assert len(descriptors() - before) <= 1  # the listing's own
        kept.clear()
        gc.collect()
    server.close()
    assert [str(one.message) for one in left_open] == []
