"""The client over real TLS: who is trusted, what an untrusted one receives, and that the deadline holds there too."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
import urllib3.connection

from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.errors import NoAnswer, NotSent
from sco_payment.paymaster.token import Token
from sco_payment.paymaster.wire import NewPayment
from sco_sim.paymaster import PayMasterSimulator, TlsFront


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bank() -> Iterator[PayMasterSimulator]:
    with PayMasterSimulator() as bank:
        yield bank


def certificate(folder: Path, ca: trustme.CA, name: str = "localhost", **more: datetime) -> Path:
    path = folder / "server.pem"
    ca.issue_cert(name, **more).private_key_and_cert_chain_pem.write_to_path(path)
    return path


def trusting(folder: Path, ca: trustme.CA, url: str, bank: PayMasterSimulator) -> PayMaster:
    ca.cert_pem.write_to_path(folder / "ca.pem")
    return PayMaster(
        url,
        Token(bank.token),
        bank.merchant_id,
        ca_file=str(folder / "ca.pem"),
        connect_timeout_s=2.0,
        read_timeout_s=2.0,
    )


def new_payment() -> NewPayment:
    return NewPayment("42", "x", 25_300, datetime.now(UTC) + timedelta(minutes=5))


def test_a_payment_over_tls(tmp_path: Path, ca: trustme.CA, bank: PayMasterSimulator) -> None:
    with TlsFront(bank.base_url, certificate(tmp_path, ca)) as front:
        client = trusting(tmp_path, ca, front.base_url, bank)
        payment = client.create_payment(new_payment(), "k1")
        assert client.get_payment(payment.id) == payment
        client.cancel_payment(payment.id)
        assert client.get_payment(payment.id).status == "Cancelled"
        assert front.handshakes == 4, "a connection was kept"


def untrusted(folder: Path, ca: trustme.CA, what: str) -> Path:
    past = datetime.now(UTC) - timedelta(days=1)
    match what:
        case "of another authority":
            return certificate(folder, trustme.CA())
        case "of another host":
            return certificate(folder, ca, "bank.example")
        case _:
            return certificate(folder, ca, not_after=past)


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("of another authority", "unable to get local issuer certificate"),
        ("of another host", "not valid for 'localhost'"),
        ("expired", "certificate has expired"),
    ],
)
def test_a_certificate_that_is_not_trusted_is_never_sent_anything(
    tmp_path: Path, ca: trustme.CA, bank: PayMasterSimulator, what: str, words: str
) -> None:
    with TlsFront(bank.base_url, untrusted(tmp_path, ca, what)) as front:
        client = trusting(tmp_path, ca, front.base_url, bank)
        with pytest.raises(NotSent, match="certificate") as caught:
            client.create_payment(new_payment(), "k1")
        assert words in str(caught.value)
        assert "paymaster.ca_file" in str(caught.value)
        assert (bank.bank.creates, front.handshakes) == (0, 0)


def test_a_server_that_speaks_no_tls(tmp_path: Path, ca: trustme.CA, bank: PayMasterSimulator) -> None:
    client = trusting(tmp_path, ca, bank.base_url.replace("http://", "https://"), bank)
    with pytest.raises(NotSent, match="no TLS connection to PayMaster"):
        client.create_payment(new_payment(), "k1")
    assert bank.bank.creates == 0


CLOSE_NOTIFY = bytes.fromhex("15 0303 0002 01 00")
HALF_A_RECORD = bytes.fromhex("16 0303 007a 02 000076 0303")


@pytest.mark.parametrize(
    ("answer", "resets", "holds", "words"),
    [
        pytest.param(b"", False, False, "cut before anything was sent", id="closes"),
        # SSLZeroReturnError on every OpenSSL and Python; some raise it for the other ends too
        pytest.param(CLOSE_NOTIFY, False, False, "cut before anything was sent", id="close_notify"),
        pytest.param(HALF_A_RECORD, False, False, "cut before anything was sent", id="half a record"),
        pytest.param(b"", True, False, "cut before anything was sent", id="resets"),
        pytest.param(b"", False, True, "no connection to PayMaster in time", id="holds"),
    ],
)
def test_what_breaks_in_the_handshake_was_never_sent(
    tmp_path: Path, ca: trustme.CA, bank: PayMasterSimulator, answer: bytes, resets: bool, holds: bool, words: str
) -> None:
    """A middlebox that cuts or swallows TLS leaves no attempt in doubt."""
    with socket.create_server(("localhost", 0)) as listener:
        held: list[socket.socket] = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    wire, _ = listener.accept()
                    wire.recv(4096)
                    wire.sendall(answer)
                    if resets:
                        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    held.append(wire) if holds else wire.close()

        threading.Thread(target=serve, daemon=True).start()
        client = trusting(tmp_path, ca, f"https://localhost:{listener.getsockname()[1]}", bank)
        with pytest.raises(NotSent, match=words):
            client.create_payment(new_payment(), "k1")
        for wire in held:
            wire.close()


def test_an_answer_that_is_cut_is_unusable(tmp_path: Path, ca: trustme.CA, bank: PayMasterSimulator) -> None:
    with TlsFront(bank.base_url, certificate(tmp_path, ca)) as front:
        client = trusting(tmp_path, ca, front.base_url, bank)
        for fault in ("cut-before", "cut-after"):
            bank.use(f"leaves + {fault} on=create")
            with pytest.raises(NoAnswer):
                client.create_payment(new_payment(), "k1")
        assert bank.bank.creates == 1


def test_the_deadline_holds_over_tls(tmp_path: Path, ca: trustme.CA, bank: PayMasterSimulator) -> None:
    with TlsFront(bank.base_url, certificate(tmp_path, ca)) as front:
        client = trusting(tmp_path, ca, front.base_url, bank)
        bank.use("leaves + slow wait=60 on=create")
        begun = time.monotonic()
        with pytest.raises(NoAnswer, match="in time"):
            client.create_payment(new_payment(), "k1")
        assert time.monotonic() - begun < 30


def test_the_authorities_are_read_once(
    tmp_path: Path, ca: trustme.CA, bank: PayMasterSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    def another(**_: object) -> None:
        raise AssertionError("a context of its own for each connection")

    monkeypatch.setattr(urllib3.connection, "create_urllib3_context", another)
    with TlsFront(bank.base_url, certificate(tmp_path, ca)) as front:
        client = trusting(tmp_path, ca, front.base_url, bank)
        for _ in range(3):
            assert client.list_payments(datetime.now(UTC), datetime.now(UTC)) == []
        assert front.handshakes == 3


@pytest.mark.program("openssl")
@pytest.mark.parametrize("by_folder", [True, False])
def test_the_systems_own_authorities(
    tmp_path: Path, ca: trustme.CA, bank: PayMasterSimulator, monkeypatch: pytest.MonkeyPatch, by_folder: bool
) -> None:
    """A folder of them is not read as a whole; a file that the administrator names counts alone."""
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    subprocess.run(["openssl", "rehash", str(tmp_path)], check=True)
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    if not by_folder:
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with TlsFront(bank.base_url, certificate(tmp_path, ca)) as front:
        client = PayMaster(front.base_url, Token(bank.token), bank.merchant_id)
        context = client._pool.connection_pool_kw["ssl_context"]
        assert context.cert_store_stats()["x509_ca"] == (0 if by_folder else 1)
        client.create_payment(new_payment(), "k1")
    with TlsFront(bank.base_url, certificate(tmp_path, trustme.CA())) as front, pytest.raises(NotSent):
        PayMaster(front.base_url, Token(bank.token), bank.merchant_id).create_payment(new_payment(), "k1")


def test_a_machine_without_authorities_is_an_error_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with pytest.raises(ValueError, match="apt-get install ca-certificates"):
        PayMaster("https://paymaster.ru", Token("t"), "m")


@pytest.mark.parametrize("text", [None, "", "no certificate"])
def test_a_file_without_authorities_is_an_error(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(ValueError, match="no usable certificate authorities"):
        PayMaster("https://127.0.0.1:1", Token("t"), "m", ca_file=str(file))
