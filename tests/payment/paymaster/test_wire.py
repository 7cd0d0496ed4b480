"""PayMaster's JSON, field by field: what is taken from it, what may be missing, and what each mistake is called."""

from __future__ import annotations

import contextlib
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sco_payment.paymaster import wire
from sco_payment.paymaster.wire import Failure, NewPayment, Payment, Sticker, WireError
from tests.payment.paymaster.raw_server import PAYMENT

LEAST: dict[str, Any] = {"id": "1", "status": "Settled", "amount": {"value": "253.10", "currency": "RUB"}}
MOSCOW = timezone(timedelta(hours=3))


def test_a_payment_with_all_its_fields() -> None:
    data = LEAST | {
        "testMode": True,
        "resultCode": "approved",
        "message": "Спасибо",
        "created": "2026-11-30T15:00:05+03:00",
        "invoice": {"orderNo": "A-1", "description": "x", "params": {"lane": "7", "n": 7}},
        "confirmation": {"paymentUrl": "https://qr.nspk.ru/AS1"},
    }
    assert wire.parse_payment(json.dumps(data).encode()) == Payment(
        id="1",
        status="Settled",
        amount_kopecks=25_310,
        currency="RUB",
        result_code="approved",
        message="Спасибо",
        order_no="A-1",
        created=datetime(2026, 11, 30, 15, 0, 5, tzinfo=MOSCOW),
        link="https://qr.nspk.ru/AS1",
        test_mode=True,
        params={"lane": "7"},
    )


def test_a_payment_with_nothing_that_can_be_missing() -> None:
    found = wire.payment_from(LEAST | {"testMode": "true", "invoice": None, "confirmation": None})
    assert found == wire.payment_from(LEAST) == Payment("1", "Settled", 25_310, "RUB")
    assert found.test_mode is False


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "payment must be an object, found list []"),
        (LEAST | {"amount": None}, "amount must be an object, found none"),
        (LEAST | {"invoice": "x"}, "invoice must be an object, found str 'x'"),
        (LEAST | {"invoice": {"params": [1]}}, "invoice.params must be an object, found list [1]"),
        (LEAST | {"invoice": {"orderNo": 7}}, "invoice.orderNo must be a text, found int 7"),
        (LEAST | {"confirmation": 7}, "confirmation must be an object, found int 7"),
        (LEAST | {"confirmation": {"paymentUrl": 7}}, "confirmation.paymentUrl must be a text, found int 7"),
        (LEAST | {"amount": {"value": 1, "currency": 7}}, "amount.currency must be a text, found int 7"),
        (LEAST | {"id": True}, "id must be a text, found bool True"),
        (LEAST | {"id": None}, "id must be a text, found none"),
        (LEAST | {"status": 7}, "status must be a text, found int 7"),
        (LEAST | {"status": ""}, "status must be a text, found str ''"),
        (LEAST | {"id": "."}, "id cannot be '.'"),
        (LEAST | {"id": ".."}, "id cannot be '..'"),
        (LEAST | {"id": "a\tb"}, "id must be at most 100 printable characters, found str 'a\\tb'"),
        (LEAST | {"id": "x" * 101}, f"id must be at most 100 printable characters, found str '{'x' * 101}'"),
    ],
)
def test_each_mistake_names_its_field_and_what_was_found(data: Any, words: str) -> None:
    with pytest.raises(WireError) as caught:
        wire.payment_from(data)
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [("id", 7, "7"), ("id", "x" * 100, "x" * 100), ("id", "...", "..."), ("status", ".", "."), ("status", "..", "..")],
)
def test_unusual_words_that_are_accepted(name: str, value: object, found: str) -> None:
    assert getattr(wire.payment_from(LEAST | {name: value}), name) == found


def test_what_was_found_is_shown_up_to_a_length_that_holds_a_whole_token() -> None:
    with pytest.raises(WireError) as caught:
        wire.payment_from(LEAST | {"amount": {"value": "x" * 9_000}})
    assert str(caught.value) == "amount.value must be a number, found " + ("str '" + "x" * 9_000)[:8_192]


@pytest.mark.parametrize(
    ("value", "found"),
    [(None, None), (17, "17"), (True, "True"), ({}, None), ([1], None), ("a\nb", "a b"), ("x" * 101, "x" * 100)],
)
@pytest.mark.parametrize(("name", "attribute"), [("resultCode", "result_code"), ("message", "message")])
def test_remarks_for_people(name: str, attribute: str, value: object, found: str | None) -> None:
    assert getattr(wire.payment_from(LEAST | {name: value}), attribute) == found


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-30T12:00:05Z", datetime(2026, 11, 30, 12, 0, 5, tzinfo=UTC)),
        ("2026-11-30T12:00:05", datetime(2026, 11, 30, 12, 0, 5, tzinfo=UTC)),
        ("2026-11-30T12:00:05+03:00", datetime(2026, 11, 30, 12, 0, 5, tzinfo=MOSCOW)),
    ],
)
def test_times(text: str, moment: datetime) -> None:
    found = wire.payment_from(LEAST | {"created": text}).created
    assert (found, found and found.utcoffset()) == (moment, moment.utcoffset())


def test_times_that_are_sent() -> None:
    assert wire.to_wire_time(datetime(2026, 11, 30, 15, 0, 5, 900_000, MOSCOW)) == "2026-11-30T12:00:05Z"
    with pytest.raises(ValueError, match="without a time zone"):
        wire.to_wire_time(datetime(2026, 11, 30))  # noqa: DTZ001 - the mistake


def test_cursors() -> None:
    def page(cursor: object) -> bytes:
        return json.dumps({"items": [LEAST], "cursor": cursor}).encode()

    for cursor, found in (("c" * 1_000, "c" * 1_000), ("", None), (None, None)):
        assert wire.parse_page(page(cursor)) == ([wire.payment_from(LEAST)], found)
    with pytest.raises(WireError, match="cursor has 1001 characters, at most 1000 are accepted"):
        wire.parse_page(page("c" * 1_001))
    with pytest.raises(WireError, match="cursor must be a text, found int 7"):
        wire.parse_page(page(7))
    with pytest.raises(WireError, match=r"^page must be an object, found list \[\]"):
        wire.parse_page(b"[]")


def test_answers_to_a_cancellation() -> None:
    with pytest.raises(WireError, match=r"^answer must be an object, found int 7"):
        wire.parse_cancelled(b"7", "7")
    wire.parse_cancelled(b'{"id":7}', "7")


@pytest.mark.parametrize(
    ("more", "found"),
    [
        ({}, Sticker("s1", "https://qr.nspk.ru/AS1", False, None)),
        ({"cashlink": True, "status": "active"}, Sticker("s1", "https://qr.nspk.ru/AS1", True, "active")),
        ({"cashlink": False}, Sticker("s1", "https://qr.nspk.ru/AS1", False)),
        ({"cashlink": "true"}, Sticker("s1", "https://qr.nspk.ru/AS1", False)),
    ],
)
def test_stickers(more: dict[str, object], found: Sticker) -> None:
    assert wire.parse_sticker(json.dumps({"id": "s1", "payload": "https://qr.nspk.ru/AS1"} | more).encode()) == found


def test_a_sticker_that_is_none() -> None:
    with pytest.raises(WireError, match=r"^sticker must be an object, found none"):
        wire.parse_sticker(b"null")


@pytest.mark.parametrize(
    ("body", "found"),
    [
        (b'{"code":"x","message":"y","errors":["z",7]}', Failure("x", "y", ("z", "7"))),
        (b'{"code":7,"message":[],"errors":"z"}', Failure("", "", ())),
        (b"{}", Failure("", "", ())),
        (b"[]", Failure("", "", ())),
        (b"<html>", Failure("", "", ())),
    ],
)
def test_failures(body: bytes, found: Failure) -> None:
    assert wire.parse_failure(body) == found


# --- what nobody has thought of --------------------------------------------------------------------------------------


def test_unknown_fields_and_status_words_are_accepted() -> None:
    body = b"\xef\xbb\xbf" + PAYMENT.replace(b"Confirmation", b"Dancing").replace(b"253.0000", b'"253.00"')
    payment = wire.parse_notification(body)
    assert (payment.status, payment.amount_kopecks) == ("Dancing", 25300)


def test_an_unreadable_payment_of_another_order_is_skipped() -> None:
    """But an unreadable one that may be the payment being looked for is an error."""
    odd = PAYMENT.replace(b"253.0000", b'"free"').replace(b'"new"', b'"invoice":{"orderNo":"42"},"new"')
    page = b'{"items":[' + odd + b"," + PAYMENT + b"]}"
    assert [one.id for one in wire.parse_page(page, "43")[0]] == ["1"]
    for wanted in (None, "42"):
        with pytest.raises(WireError, match=r"amount\.value"):
            wire.parse_page(page, wanted)
    for nameless in (b'{"invoice":{"orderNo":7}}', b'{"invoice":[]}', b"{}", b"[]", b"null"):
        with pytest.raises(WireError):
            wire.parse_page(b'{"items":[' + nameless + b"]}", "another")


@given(st.binary(max_size=300) | st.binary(max_size=20).map(lambda noise: PAYMENT[: len(PAYMENT) // 2] + noise))
def test_any_bytes_give_a_payment_or_our_error(body: bytes) -> None:
    for parse in (wire.parse_notification, wire.parse_payment, wire.parse_page, wire.parse_sticker):
        with contextlib.suppress(WireError):
            parse(body)
    with contextlib.suppress(WireError):
        wire.parse_page(body, "42")
    wire.parse_failure(body)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "status", "amount", "value"]), inner)
    ),
    max_leaves=9,
)


@given(JSON)
def test_any_json_gives_a_payment_or_our_error(data: object) -> None:
    try:
        wire.payment_from(data)
    except WireError as error:
        assert str(error)  # noqa: PT017 - either is right


@pytest.mark.parametrize("value", [17, 1.5, True, [], {}, "next Tuesday", None])
@pytest.mark.parametrize("name", ["resultCode", "message", "created"])
def test_a_field_for_people_that_cannot_be_read_is_ignored(name: str, value: object) -> None:
    data = {"id": "1", "status": "Settled", "amount": {"value": "253.00", "currency": "RUB"}, name: value}
    assert wire.payment_from(data).status == "Settled"


@given(st.integers(1, 10**11))
def test_amounts_are_exact_on_the_wire(kopecks: int) -> None:
    body = wire.encode_payment(NewPayment("42", "Магазин", kopecks, datetime.now(UTC)), "m", test_mode=False)
    assert f'"value":{kopecks // 100}.{kopecks % 100:02d}'.encode() in body
