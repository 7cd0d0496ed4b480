"""What a bank, or whoever stands between, may write into its answers."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.errors import NoAnswer, PayMasterError
from sco_payment.paymaster.token import Token
from sco_payment.paymaster.wire import Payment
from tests.payment.paymaster.raw_server import RawServer, http

SECRET = "a-token-that-nobody-may-read-" + "9f" * 40


def payment(**changes: object) -> bytes:
    data = {"id": "p-1", "status": "Pending", "resultCode": "ok", "amount": {"value": "253.00", "currency": "RUB"}}
    return json.dumps({**data, **changes}).encode()


@contextmanager
def bank(answer: bytes) -> Iterator[PayMaster]:
    server = RawServer(answer)
    try:
        yield PayMaster(server.url, Token(SECRET), "m", read_timeout_s=5.0)
    finally:
        server.close()


def status(answer: bytes) -> Payment:
    with bank(answer) as client:
        return client.get_payment("p-1")


STRANGE = ["\x1b[2Jcase 7 closed", "two\nlines", "\u202edetteS", "x" * 101, "\x00", "\u2028"]


@pytest.mark.parametrize("word", STRANGE)
@pytest.mark.parametrize("field", ["id", "status", "currency"])
@pytest.mark.attack("A11")
def test_a_word_that_no_bank_uses_is_no_answer(field: str, word: str) -> None:
    """Each of them goes into the journal, to the log and before people; a status of 3 MB would do so every 3 s."""
    amount = {"value": "253.00", "currency": word if field == "currency" else "RUB"}
    changes = {} if field == "currency" else {field: word}
    with pytest.raises(NoAnswer, match=f"{field} must be at most 100 printable") as caught:
        status(http(payment(amount=amount, **changes)))
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 400


@pytest.mark.attack("A11")
def test_words_as_long_as_they_may_be_are_accepted() -> None:
    longest = "y" * 100
    assert status(http(payment(id=longest, status=longest))).status == longest


@pytest.mark.parametrize("code", STRANGE)
@pytest.mark.attack("A11")
def test_a_result_code_for_people_is_made_readable(code: str) -> None:
    found = status(http(payment(resultCode=code))).result_code
    assert found is not None
    assert found.isprintable()
    assert len(found) <= 100


@pytest.mark.parametrize("name", [".", ".."])
@pytest.mark.attack("A13")
def test_an_id_cannot_lead_to_another_address(name: str) -> None:
    with pytest.raises(NoAnswer, match="id cannot be"):
        status(http(payment(id=name)))
    with bank(http(payment())) as client, pytest.raises(ValueError, match="is not a valid payment id"):
        client.get_payment(name)
    with bank(http(payment())) as client, pytest.raises(ValueError, match="is not a valid payment id"):
        client.cancel_payment(name)


@pytest.mark.parametrize("encoding", ["gzip", "GZIP, gzip", "deflate", "br", "zstd", "\x01"])
@pytest.mark.attack("A12")
def test_a_packed_answer_is_refused(encoding: str) -> None:
    """A few kilobytes, packed twice, take gigabytes."""
    packed = gzip.compress(gzip.compress(payment(message="x" * 10_000_000)))
    with pytest.raises(NoAnswer, match=r"is packed|cut"):
        status(http(packed, "200 OK", f"Content-Encoding: {encoding}"))


@pytest.mark.attack("A12")
def test_an_answer_that_is_not_packed_may_say_so() -> None:
    assert status(http(payment(), "200 OK", "Content-Encoding: identity")).id == "p-1"


@pytest.mark.parametrize(
    "answer",
    [
        http(payment(status={"Authorization": f"Bearer {SECRET}"})),
        http(payment(status=["x" * (80 - n) + SECRET for n in range(0, 80, 7)])),
        http(payment(id="z" * 70 + SECRET + "z" * 200)),
        http(payment(amount={"value": SECRET, "currency": "RUB"})),
        http(SECRET.encode()),
        http(b'{"code": "x", "message": "' + SECRET.encode() + b'"}', "400 Bad"),
        http(b'{"code": "x", "message": "no", "errors": ["' + SECRET.encode() + b'"]}', "500 Bad"),
    ],
)
@pytest.mark.attack("A23")
def test_an_echo_of_the_request_puts_no_token_into_an_error(answer: bytes) -> None:
    with bank(answer) as client, pytest.raises(PayMasterError) as caught:
        client.get_payment("p-1")
    told = f"{caught.value} {caught.value!r} {caught.value.__dict__}"
    assert not any(SECRET[at : at + 20] in told for at in range(len(SECRET) - 20))


@pytest.mark.attack("A12")
def test_a_cursor_is_not_endless() -> None:
    from datetime import UTC, datetime

    page = json.dumps({"items": [], "cursor": "c" * 1001}).encode()
    with bank(http(page)) as client, pytest.raises(NoAnswer, match="cursor has 1001"):
        client.list_payments(datetime.now(UTC), datetime.now(UTC))


@pytest.mark.parametrize(
    "value", ["253.0" + "0" * 40 + "1", "0.1" + "0" * 30 + "9", "1e-30", "1" * 13 + "." + "9" * 30]
)
@pytest.mark.attack("A16")
def test_an_amount_is_refused_where_it_would_be_rounded(value: str) -> None:
    body = payment().replace(b'"253.00"', value.encode())
    with pytest.raises(NoAnswer, match="fraction of a kopeck"):
        status(http(body))
