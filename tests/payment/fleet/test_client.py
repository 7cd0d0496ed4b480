"""What each answer of a fleet's server, and each lack of one, means for the lane."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sco_payment.fleet import client as fleet_client
from sco_payment.fleet.client import Client, FleetError, FleetRefused, FleetUnreachable
from sco_payment.journal.acknowledged import Head
from sco_payment.settings import FleetSettings
from tests.payment.paymaster.raw_server import RawServer, http

OK = b'{"epoch":"e","seq":3,"hash":"abc"}'
ClientOf = Callable[..., Client]


@pytest.fixture
def client_of(tmp_path: Path) -> Iterator[ClientOf]:
    """A client of a server that answers with these octets."""
    token = tmp_path / "token"
    token.touch(0o600)
    token.write_text("sco1.bGFuZQ.secret")
    opened: list[tuple[Client, RawServer]] = []

    def make(*pieces: bytes, timeout_s: float = 10.0, pause_s: float = 0.0, hold: bool = False) -> Client:
        server = RawServer(*pieces, pause_s=pause_s, hold=hold)
        client = Client(FleetSettings(url=server.url, token_file=str(token), timeout_s=timeout_s))
        opened.append((client, server))
        return client

    yield make
    for client, server in opened:
        client.close()
        server.close()


def failure(code: str, **details: object) -> bytes:
    return json.dumps({"error": {"code": code, "message": "it is so", **details}}).encode()


def test_an_answer_has_the_head(client_of: ClientOf) -> None:
    assert client_of(http(OK)).head("e") == Head("e", 3, "abc")


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (http(b"<html>welcome</html>"), "HTTP 200"),
        (http(b"[]"), "HTTP 200"),
        (http(b"{}"), "no head"),
        (http(b'{"epoch":"e","seq":"x","hash":"h"}'), "no head"),
        (http(b"", "302 Found", "Location: http://elsewhere/"), "HTTP 302"),
        (http(b"gateway", "502 Bad Gateway"), "HTTP 502"),
        (http(b"{}", "404 Not Found"), "HTTP 404"),
        (http(b"[" * 100_000), "HTTP 200"),
        (http(b" " * (fleet_client.MAX_ANSWER + 1)), "longer than"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "cannot be reached"),
        (b"no http\r\n\r\n", "cannot be reached"),
        (b"", "cannot be reached"),
    ],
)
def test_what_is_no_answer_is_tried_again(client_of: ClientOf, answer: bytes, text: str) -> None:
    with pytest.raises(FleetUnreachable, match=text) as caught:
        client_of(answer).head("e")
    assert "secret" not in str(caught.value)
    assert len(str(caught.value)) <= 320


@pytest.mark.parametrize(("given", "wait_s"), [("7", 7.0), ("99999999", 3600.0), ("soon", None), ("-1", None)])
def test_the_server_says_when_to_come_again(client_of: ClientOf, given: str, wait_s: float | None) -> None:
    for status in ("503 Service Unavailable", "429 Too Many Requests"):
        with pytest.raises(FleetUnreachable, match="it is so") as caught:
            client_of(http(failure("unavailable"), status, f"Retry-After: {given}")).head("e")
        assert caught.value.wait_s == wait_s


@pytest.mark.parametrize("status", ["401 Unauthorized", "409 Conflict", "413 Too Large", "422 Unprocessable"])
def test_a_refusal_has_its_code_and_details(client_of: ClientOf, status: str) -> None:
    with pytest.raises(FleetRefused, match="it is so") as caught:
        client_of(http(failure("gap", seq=5, hash="h"), status)).head("e")
    assert (caught.value.code, caught.value.details["seq"]) == ("gap", 5)


def test_a_server_that_sends_byte_by_byte_holds_nobody(client_of: ClientOf) -> None:
    client = client_of(
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", *[b" "] * 90, pause_s=0.2, hold=True, timeout_s=1.0
    )
    with pytest.raises(FleetUnreachable):
        client.head("e")


def test_a_server_that_says_nothing_is_left(client_of: ClientOf) -> None:
    with pytest.raises(FleetUnreachable, match="cannot be reached"):
        client_of(hold=True, timeout_s=0.5).head("e")


def test_a_token_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("x")
    (tmp_path / "t").chmod(0o644)
    with pytest.raises(ValueError, match="others may read it"):
        Client(FleetSettings(url="http://127.0.0.1:1", token_file=str(tmp_path / "t")))


def test_nobody_listens(tmp_path: Path) -> None:
    (tmp_path / "t").touch(0o600)
    (tmp_path / "t").write_text("secret-token")
    client = Client(FleetSettings(url="http://127.0.0.1:1", token_file=str(tmp_path / "t")))
    with pytest.raises(FleetError, match="the fleet cannot be reached") as caught:
        client.heartbeat({})
    assert "secret-token" not in str(caught.value)
