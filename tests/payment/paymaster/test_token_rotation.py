"""A token that is replaced in its file while the lane runs: one refusal, one repeat, and no secret shown."""

from __future__ import annotations

import logging
import os
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sco_payment.assemble import open_lane
from sco_payment.attempt import Message, Outcome
from sco_payment.order import Order
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.errors import NoAnswer, NotAuthorised
from sco_payment.paymaster.token import Token
from sco_payment.paymaster.wire import NewPayment
from sco_payment.runtime import ThreadRuntime
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import SPEED, OwnUI, document
from tests.payment.paymaster.raw_server import PAYMENT, RawServer, http

OLD, NEW = "first-secret", "first-secret-2"
"""The longer one contains the other: hiding must not leave a rest of it."""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    put(path, OLD)
    return path


def put(path: Path, token: str) -> None:
    """As an administrator does it: the file is there as a whole, or not at all."""
    fresh = path.with_suffix(".new")
    fresh.touch(0o600)
    fresh.write_text(token + "\n", "ascii")
    fresh.replace(path)


@pytest.fixture
def bank() -> Iterator[PayMasterSimulator]:
    with PayMasterSimulator(token=OLD) as bank:
        assert bank.next_token == NEW
        yield bank


def client_of(bank: PayMasterSimulator, file: Path) -> PayMaster:
    return PayMaster(bank.base_url, Token.from_file(file), bank.merchant_id, read_timeout_s=2.0)


def new_payment() -> NewPayment:
    return NewPayment("42", "x", 25_300, datetime.now(UTC) + timedelta(minutes=5))


def replace(bank: PayMasterSimulator, file: Path) -> None:
    put(file, NEW)
    bank.use("leaves + token-replaced")


CALLS: dict[str, Callable[[PayMaster, str], object]] = {
    "create": lambda client, _: client.create_payment(new_payment(), "k2"),
    "get": lambda client, payment_id: client.get_payment(payment_id),
    "cancel": lambda client, payment_id: client.cancel_payment(payment_id),
    "list": lambda client, _: client.list_payments(datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC)),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.bank("B10")
def test_each_call_goes_on_with_the_new_token(bank: PayMasterSimulator, file: Path, call: str) -> None:
    client = client_of(bank, file)
    payment = client.create_payment(new_payment(), "k1")
    replace(bank, file)
    before = bank.bank.calls[call]
    CALLS[call](client, payment.id)
    assert bank.bank.calls[call] == before + 1
    client.get_payment(payment.id)


def answering(*answers: bytes) -> RawServer:
    """A server that answers each request with the next of `answers`."""
    server = RawServer()
    server.script(answers)
    return server


GOOD = http(PAYMENT)
REFUSALS = {
    "401": http(
        f'{{"code":"not_authorized","message":"no {OLD} {NEW}","errors":["{NEW}","{OLD}"]}}'.encode(),
        "401 Unauthorized",
    ),
    "403": http(b"", "403 Forbidden"),
    "revoked": http(b'{"code":"payment_token_revoked","message":"revoked"}', "400 Bad Request"),
}


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.bank("B10")
def test_the_refused_request_is_repeated_as_it_was(file: Path, refusal: str) -> None:
    with answering(REFUSALS[refusal], GOOD, GOOD) as server:
        client = PayMaster(server.url, Token.from_file(file), "m")
        put(file, NEW)
        client.create_payment(new_payment(), "k1")
        client.get_payment("1")
        (line, first, body), (line_again, second, again), (_, third, _) = server.requests
        assert [one["Authorization"] for one in (first, second, third)] == [
            f"Bearer {OLD}", f"Bearer {NEW}", f"Bearer {NEW}",
        ]  # fmt: skip
        assert first["Idempotency-Key"] == "k1"
        del first["Authorization"], second["Authorization"]
        assert (line_again, second.items(), again) == (line, first.items(), body)


@pytest.mark.parametrize("other", [http(b"", "500 Oops"), b""], ids=["500", "cut"])
@pytest.mark.bank("B10")
def test_nothing_but_a_refused_token_is_repeated(file: Path, other: bytes) -> None:
    with answering(other, GOOD) as server:
        client = PayMaster(server.url, Token.from_file(file), "m")
        put(file, NEW)
        with pytest.raises(NoAnswer):
            client.create_payment(new_payment(), "k1")
        assert len(server.requests) == 1


@pytest.mark.bank("B10")
def test_a_token_that_was_not_replaced_is_not_sent_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCO_PAYMASTER_TOKEN", NEW)
    for token in (Token.from_file(file), Token(OLD)):
        with answering(REFUSALS["401"], GOOD) as server:
            with pytest.raises(NotAuthorised):
                PayMaster(server.url, token, "m").get_payment("1")
            assert len(server.requests) == 1


def make_public(file: Path) -> None:
    put(file, NEW)
    file.chmod(0o644)


def make_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file, 0o600)


@pytest.mark.attack("A8")
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (Path.unlink, "No such file"),
        (make_public, "chmod 600"),
        (make_pipe, "not a regular file"),
        (lambda file: put(file, f"{NEW} {OLD}"), "one word"),
        (lambda file: put(file, ""), "one word"),
    ],
    ids=["gone", "public", "pipe", "two words", "empty"],
)
@pytest.mark.bank("B10")
def test_a_file_that_cannot_be_read_again_leaves_the_refusal(
    file: Path, spoil: Callable[[Path], None], words: str
) -> None:
    """And the next request looks again."""
    with answering(REFUSALS["401"], REFUSALS["401"], GOOD) as server:
        client = PayMaster(server.url, Token.from_file(file), "m")
        spoil(file)
        with pytest.raises(NotAuthorised, match=words) as caught:
            client.get_payment("1")
        assert OLD not in str(caught.value) + repr(caught.value.errors)
        assert str(file) in str(caught.value)
        assert len(server.requests) == 1
        put(file, NEW)
        client.get_payment("1")
        assert len(server.requests) == 3


def test_one_repeat_and_no_secret_in_what_is_reported(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with answering(*[REFUSALS["401"]] * 4) as server:
        client = PayMaster(server.url, Token.from_file(file), "m")
        put(file, NEW)
        with pytest.raises(NotAuthorised) as caught:
            client.get_payment("1")
        assert len(server.requests) == 2
        shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.errors) + caplog.text
        assert OLD not in shown
        assert "no *** ***" in shown
        assert "the token file has another one now" in caplog.text


def test_no_secret_in_what_is_reported_of_an_answer_that_cannot_be_read(file: Path) -> None:
    unreadable = f'{{"id":"1","status":"x","amount":{{"value":["{OLD}","{NEW}"],"currency":"RUB"}}}}'
    with answering(REFUSALS["401"], http(unreadable.encode())) as server:
        client = PayMaster(server.url, Token.from_file(file), "m")
        put(file, NEW)
        with pytest.raises(NoAnswer, match=r"amount\.value must be a number, found list \['\*\*\*', '\*\*\*'\]"):
            client.get_payment("1")


def test_a_token_that_is_replaced_again_and_again(bank: PayMasterSimulator, file: Path) -> None:
    client = client_of(bank, file)
    for n in range(3):
        bank.token = f"secret-{n}"
        put(file, bank.token)
        client.list_payments(datetime.now(UTC), datetime.now(UTC))


def test_requests_of_several_threads(bank: PayMasterSimulator, file: Path) -> None:
    client = client_of(bank, file)
    replace(bank, file)
    with ThreadPoolExecutor(8) as pool:
        payments = list(pool.map(lambda n: client.create_payment(new_payment(), f"k{n}"), range(16)))
    assert len({payment.id for payment in payments}) == bank.bank.creates == 16


@pytest.mark.parametrize("when", ["between payments", "while the customer pays"])
@pytest.mark.bank("B10")
def test_a_lane_takes_payments_across_a_rotation(tmp_path: Path, file: Path, when: str) -> None:
    runtime: ThreadRuntime[Message] = ThreadRuntime(SPEED)
    with PayMasterSimulator(token=OLD, clock=lambda: runtime.now() / 1000) as bank:

        def rotate_and_pay(link: str | None) -> None:
            replace(bank, file)
            bank.phone.pay(str(link))

        during = when == "while the customer pays"
        ui = OwnUI(
            on_pay=lambda state: rotate_and_pay(state.link) if during else bank.phone.pay(str(state.link)) and None
        )
        data = document(bank, tmp_path / "journal.db", paymaster={"token_file": str(file)})
        with open_lane(settings_from_mapping(data), ui=ui, runtime=runtime) as lane:
            assert lane.pay(Order("42", 25_300)).outcome is Outcome.PAID
            if not during:
                replace(bank, file)
            assert lane.pay(Order("43", 25_300)).outcome is Outcome.PAID
        assert (bank.bank.creates, bank.bank.cancels) == (2, 0)
