"""The client through a real proxy at the socket, over real TLS: what the proxy sees, and what its failures mean."""

from __future__ import annotations

import base64
import contextlib
import logging
import socket
import struct
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from sco_payment.assemble import open_lane
from sco_payment.attempt import Outcome
from sco_payment.order import Order
from sco_payment.paymaster.adapter import open_client
from sco_payment.paymaster.client import PayMaster
from sco_payment.paymaster.errors import NoAnswer, NotSent, PaymentNotFound
from sco_payment.paymaster.token import ProxyLogin, Token, TokenError
from sco_payment.paymaster.wire import NewPayment
from sco_payment.settings_reader import load_settings
from sco_sim.paymaster import PayMasterSimulator, TlsFront
from tests.payment.lane_kit import OwnUI

LOGIN = "lane:p:ss wörd"
ENCODED = base64.b64encode(LOGIN.encode()).decode()


class ConnectProxy:
    """An HTTP proxy that only does CONNECT, to wherever it is asked.

    Args:
        login: `user:password` that it wants; None for everybody. May be changed.
        answer: what it answers to every CONNECT, instead of connecting; None to connect.
        pause_s: between two octets of `answer`.
        cuts: reset the connection instead of passing on the client's first octets.

    Attributes:
        heads: the head of each request, as it came.
        passed_on: all that clients sent after it.
    """

    def __init__(
        self, login: str | None = None, *, answer: bytes | None = None, pause_s: float = 0.0, cuts: bool = False
    ) -> None:
        self.heads: list[str] = []
        self.passed_on = b""
        self.login = login
        self._answer, self._pause_s, self._cuts = answer, pause_s, cuts
        self._stop = threading.Event()
        self._wires: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                wire, _ = self._listener.accept()
                self._wires.append(wire)
                threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: socket.socket) -> None:
        with contextlib.suppress(OSError):
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += wire.recv(1)
            self.heads.append(head.decode("ascii"))
            if self._answer is not None:
                self._send_slowly(wire, self._answer)
                return
            if self.login is not None and f"Basic {base64.b64encode(self.login.encode()).decode()}" not in str(head):
                wire.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n")
                wire.close()
                return
            host, _, port = head.split()[1].decode("ascii").rpartition(":")
            target = socket.create_connection((host, int(port)))
            self._wires.append(target)
            wire.sendall(b"HTTP/1.1 200 Connection established\r\nVia: 1.1 shop\r\n\r\n")
            if self._cuts:
                wire.recv(1)
                self._reset(wire)
                return
            threading.Thread(target=self._pass_on, args=(target, wire, False), daemon=True).start()
            self._pass_on(wire, target, True)

    def _send_slowly(self, wire: socket.socket, answer: bytes) -> None:
        for octet in answer if self._pause_s else [answer]:
            wire.sendall(octet if isinstance(octet, bytes) else bytes([octet]))
            self._stop.wait(self._pause_s)
        if answer:
            wire.close()
        else:
            self._reset(wire)

    def _pass_on(self, source: socket.socket, target: socket.socket, outwards: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if outwards:
                    self.passed_on += data
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

    @staticmethod
    def _reset(wire: socket.socket) -> None:
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()

    def die(self) -> None:
        """Reset every connection, and accept no other."""
        self._stop.set()
        self._listener.close()
        for wire in self._wires:
            with contextlib.suppress(OSError):
                wire.shutdown(socket.SHUT_RDWR)
                self._reset(wire)

    def __enter__(self) -> ConnectProxy:
        return self

    def __exit__(self, *_: object) -> None:
        self.die()


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def bank() -> Iterator[PayMasterSimulator]:
    with PayMasterSimulator() as bank:
        yield bank


@pytest.fixture
def front(tmp_path: Path, ca: trustme.CA, bank: PayMasterSimulator) -> Iterator[TlsFront]:
    ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    with TlsFront(bank.base_url, tmp_path / "server.pem") as front:
        yield front


def through(
    proxy: str,
    front: TlsFront,
    tmp_path: Path,
    login: str | ProxyLogin | None = None,
    *,
    connect_timeout_s: float = 10.0,
    read_timeout_s: float = 5.0,
) -> PayMaster:
    return PayMaster(
        front.base_url,
        Token("simulator-token"),
        "simulator-merchant",
        connect_timeout_s=connect_timeout_s,
        read_timeout_s=read_timeout_s,
        ca_file=str(tmp_path / "ca.pem"),
        proxy=proxy,
        proxy_login=ProxyLogin(login) if isinstance(login, str) else login,
    )


def new_payment() -> NewPayment:
    return NewPayment("42", "x", 25_300, datetime.now(UTC) + timedelta(minutes=5))


@pytest.mark.parametrize("login", [None, LOGIN])
@pytest.mark.bank("B11")
def test_payments_through_a_proxy(tmp_path: Path, bank: PayMasterSimulator, front: TlsFront, login: str | None) -> None:
    """The proxy sees the host, and nothing of the requests."""
    with ConnectProxy(login) as proxy:
        client = through(proxy.url, front, tmp_path, login)
        payment = client.create_payment(new_payment(), "k1")
        assert client.get_payment(payment.id) == payment
        client.cancel_payment(payment.id)
        assert client.get_payment(payment.id).status == "Cancelled"
        assert (front.handshakes, len(proxy.heads)) == (4, 4), "a connection was kept"
        target = front.base_url.removeprefix("https://")
        for head in proxy.heads:
            assert head.startswith(f"CONNECT {target} HTTP/1.")
            assert (f"Proxy-Authorization: Basic {ENCODED}\r\n" in head) is (login is not None)
            assert "simulator-token" not in head
        assert b"simulator-token" not in proxy.passed_on
        assert b"api/v2" not in proxy.passed_on


@pytest.mark.bank("B11")
def test_the_settings_proxy(tmp_path: Path, bank: PayMasterSimulator, front: TlsFront) -> None:
    """As a settings file describes it: its login is next to the token."""
    with ConnectProxy(LOGIN) as proxy:
        for name, secret in (("token", bank.token), ("login", LOGIN + "\n")):
            (tmp_path / name).touch(0o600)
            (tmp_path / name).write_text(secret, "utf-8")
        (tmp_path / "lane.toml").write_text(
            f'[lane]\npos_id = "K"\nshop = "S"\n[paymaster]\nmerchant_id = "m"\ntoken_file = "token"\n'
            f'ca_file = "ca.pem"\nbase_url = "{front.base_url}"\nproxy = "{proxy.url}"\nproxy_login_file = "login"\n'
            '[journal]\npath = "journal.db"\n',
            "utf-8",
        )
        settings = load_settings(tmp_path / "lane.toml", {})
        open_client(settings).create_payment(new_payment(), "k1")
        assert (bank.bank.creates, len(proxy.heads)) == (1, 1)
        bank.use("pays after=0")
        with open_lane(settings, ui=OwnUI()) as lane:
            result = lane.pay(Order("43", 25_300))
        assert (result.outcome, result.case) == (Outcome.PAID, None)
        assert bank.bank.creates == 2, "the first payment of a lane asks for the time before it"


def test_the_login_is_not_sent_to_paymaster(tmp_path: Path, ca: trustme.CA) -> None:
    """It is the proxy's: in the tunnel are only the request's own headers."""
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            wire, _ = listener.accept()
            with wire:
                requests.append(wire.recv(65536))
                wire.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=serve, daemon=True).start()
        ca.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
        ca.cert_pem.write_to_path(tmp_path / "ca.pem")
        plain = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with (
            TlsFront(plain, tmp_path / "server.pem") as front,
            ConnectProxy(LOGIN) as proxy,
            pytest.raises(PaymentNotFound),
        ):
            through(proxy.url, front, tmp_path, LOGIN).get_payment("1")
    [request] = requests
    assert b"Bearer simulator-token" in request
    assert b"proxy" not in request.lower()


@pytest.mark.parametrize("login", [None, "lane:wrong-word"])
def test_a_proxy_that_wants_another_login(
    tmp_path: Path, bank: PayMasterSimulator, front: TlsFront, login: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with ConnectProxy(LOGIN) as proxy:
        client = through(proxy.url, front, tmp_path, login)
        with pytest.raises(NotSent, match=r"407 Proxy Authentication Required.*paymaster\.proxy_login_file") as caught:
            client.create_payment(new_payment(), "k1")
        assert proxy.url.removeprefix("http://") in str(caught.value)
        shown = "".join(traceback.format_exception(caught.value)) + caplog.text
        assert "wrong-word" not in shown
        assert base64.b64encode(b"lane:wrong-word").decode() not in shown
    assert (bank.bank.creates, front.handshakes) == (0, 0)


def put(file: Path, login: str) -> Path:
    """As an administrator does it: the file is there as a whole, or not at all."""
    fresh = file.with_suffix(".new")
    fresh.touch(0o600)
    fresh.write_text(login + "\n", "utf-8")
    return fresh.replace(file)


@pytest.mark.parametrize("call", ["create", "get", "cancel", "time"])
@pytest.mark.bank("B11")
def test_each_call_goes_on_with_the_login_that_replaced_a_refused_one(
    tmp_path: Path, bank: PayMasterSimulator, front: TlsFront, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    file = put(tmp_path / "login", "lane:old-word")
    with ConnectProxy("lane:old-word") as proxy:
        client = through(proxy.url, front, tmp_path, ProxyLogin.from_file(file))
        payment = client.create_payment(new_payment(), "k1")
        proxy.login = LOGIN
        put(file, LOGIN)
        asked = len(proxy.heads)
        client.clock_ahead_s = None
        calls: dict[str, Callable[[], object]] = {
            "create": lambda: client.create_payment(new_payment(), "k2"),
            "get": lambda: client.get_payment(payment.id),
            "cancel": lambda: client.cancel_payment(payment.id),
            "time": client.ask_for_the_time,
        }
        calls[call]()
        assert client.clock_ahead_s is not None
        client.get_payment(payment.id)
        assert len(proxy.heads) == asked + 3, "refused, repeated, and the next one"
        assert bank.bank.creates == (2 if call == "create" else 1)
        assert "the login file has another one now" in caplog.text


@pytest.mark.bank("B11")
def test_a_login_that_was_not_replaced_is_not_sent_again(tmp_path: Path, front: TlsFront) -> None:
    file = put(tmp_path / "login", "lane:old-word")
    with ConnectProxy(LOGIN) as proxy:
        for login in (ProxyLogin.from_file(file), ProxyLogin("lane:old-word")):
            with pytest.raises(NotSent, match="407"):
                through(proxy.url, front, tmp_path, login).get_payment("1")
        assert len(proxy.heads) == 2


def test_a_login_is_read_again_once_for_a_call_and_neither_is_shown(
    tmp_path: Path, front: TlsFront, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    file = put(tmp_path / "login", "lane:old-word")
    refusal = b"HTTP/1.1 407 no lane:old-word lane:new-word new-word\r\n\r\n"
    with ConnectProxy(answer=refusal) as proxy:
        client = through(proxy.url, front, tmp_path, ProxyLogin.from_file(file))
        put(file, "lane:new-word")
        with pytest.raises(NotSent, match=r"407 no \*\*\* \*\*\* \*\*\*") as caught:
            client.get_payment("1")
        assert len(proxy.heads) == 2
        shown = "".join(traceback.format_exception(caught.value)) + caplog.text
        assert "-word" not in shown
        file.unlink()
        with pytest.raises(NotSent, match=r"407 .*cannot be read again: .*No such file"):
            client.get_payment("1")
        assert len(proxy.heads) == 3


FAILURES = [
    pytest.param(
        b"HTTP/1.1 502 Bad Gateway\r\n\r\n<html>", r"does not connect to PayMaster \(502 Bad Gateway\)", id="502"
    ),
    pytest.param(b"HTTP/1.1 403 \r\n\r\n", r"does not connect to PayMaster \(403 \)", id="403"),
    pytest.param(
        f"HTTP/1.1 403 no {LOGIN} {ENCODED}\x1b[2J\r\n\r\n".encode("latin-1"),
        r"\(403 no \*\*\* \*\*\* \[2J\)$",
        id="echoes the login",
    ),
    pytest.param(b"", "cut before anything was sent", id="resets"),
    pytest.param(b"HTTP/1.1 20", "cut before anything was sent|no connection", id="cut in its answer"),
    pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", "cut before anything was sent", id="no proxy"),
    pytest.param(b"HTTP/1.1 200 OK\r\n\r\nnot TLS at all", "no TLS connection to PayMaster|cut before", id="no tunnel"),
    pytest.param(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", "before anything was sent", id="200 headers"),
    pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, "before anything was sent", id="a long header"),
]


@pytest.mark.parametrize(("answer", "words"), FAILURES)
@pytest.mark.bank("B11")
def test_what_fails_at_the_proxy_was_never_sent(
    tmp_path: Path, bank: PayMasterSimulator, front: TlsFront, answer: bytes, words: str
) -> None:
    with ConnectProxy(answer=answer) as proxy:
        client = through(proxy.url, front, tmp_path, LOGIN)
        for send in (lambda: client.create_payment(new_payment(), "k1"), lambda: client.cancel_payment("1")):
            with pytest.raises(NotSent, match=words) as caught:
                send()
            assert str(caught.value).isprintable()
    assert (bank.bank.creates, bank.bank.cancels, front.handshakes) == (0, 0, 0)


@pytest.mark.parametrize("pause_s", [0.5, 30.0], ids=["octet by octet", "never"])
def test_a_slow_proxy_holds_no_call(tmp_path: Path, bank: PayMasterSimulator, front: TlsFront, pause_s: float) -> None:
    with ConnectProxy(answer=b"HTTP/1.1 200 OK\r\n\r\n", pause_s=pause_s) as proxy:
        client = through(proxy.url, front, tmp_path, connect_timeout_s=1.0, read_timeout_s=40.0)
        begun = time.monotonic()
        with pytest.raises(NotSent, match="no connection to PayMaster in time"):
            client.create_payment(new_payment(), "k1")
        assert time.monotonic() - begun < 20.0
    assert bank.bank.creates == 0


def test_a_proxy_that_cannot_be_reached(tmp_path: Path, front: TlsFront) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(NotSent, match=rf"no connection to the proxy {address} \(Connection refused\)"):
        through(f"http://{address}", front, tmp_path).get_payment("1")
    with pytest.raises(NotSent, match=r"cannot be resolved: proxy\.invalid"):
        through("http://proxy.invalid:3128", front, tmp_path).get_payment("1")


def test_a_proxy_that_cuts_in_the_handshake(tmp_path: Path, bank: PayMasterSimulator, front: TlsFront) -> None:
    with ConnectProxy(cuts=True) as proxy, pytest.raises(NotSent, match="cut before anything was sent"):
        through(proxy.url, front, tmp_path).create_payment(new_payment(), "k1")
    assert bank.bank.creates == 0


@pytest.mark.bank("B11")
def test_a_proxy_that_dies_after_the_request_leaves_it_in_doubt(
    tmp_path: Path, bank: PayMasterSimulator, front: TlsFront
) -> None:
    bank.use("leaves + slow wait=3 on=create")
    with ConnectProxy() as proxy, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(through(proxy.url, front, tmp_path, read_timeout_s=30).create_payment, new_payment(), "k1")
        deadline = time.monotonic() + 20
        while not bank.script.faults[0].met and time.monotonic() < deadline:
            time.sleep(0.01)
        proxy.die()
        with pytest.raises(NoAnswer):
            asked.result(20)


@pytest.mark.bank("B11")
def test_the_certificate_is_verified_through_a_proxy(tmp_path: Path, bank: PayMasterSimulator, front: TlsFront) -> None:
    """One that looks into the traffic is refused, unless its authority is in `ca_file`."""
    trustme.CA().cert_pem.write_to_path(tmp_path / "ca.pem")
    words = r"PayMaster's certificate is refused.*paymaster\.ca_file"
    with ConnectProxy() as proxy, pytest.raises(NotSent, match=words):
        through(proxy.url, front, tmp_path).create_payment(new_payment(), "k1")
    assert bank.bank.creates == 0


@pytest.mark.bank("B11")
def test_the_proxies_of_the_environment_are_not_used(
    tmp_path: Path, bank: PayMasterSimulator, front: TlsFront, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ConnectProxy(answer=b"HTTP/1.1 502 no\r\n\r\n") as unwanted, ConnectProxy() as proxy:
        for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, unwanted.url)
        direct = PayMaster(front.base_url, Token(bank.token), "m", ca_file=str(tmp_path / "ca.pem"))
        direct.create_payment(new_payment(), "k1")
        monkeypatch.setenv("NO_PROXY", "*")
        through(proxy.url, front, tmp_path).create_payment(new_payment(), "k2")
        assert (len(unwanted.heads), len(proxy.heads), bank.bank.creates) == (0, 1, 2)


@pytest.mark.parametrize(
    "proxy",
    ["10.0.0.1:3128", "https://10.0.0.1:3128", "socks5://10.0.0.1:1080", "http://10.0.0.1", "http://u:secret@x:1"],
)
def test_a_proxy_that_cannot_be_used(proxy: str) -> None:
    with pytest.raises(ValueError, match="http://host:port") as caught:
        PayMaster("https://paymaster.ru", Token("t"), "m", proxy=proxy)
    assert "secret" not in str(caught.value)


def test_a_plain_address_takes_no_proxy() -> None:
    """The token would pass the proxy in clear."""
    with pytest.raises(ValueError, match="the proxy is for https"):
        PayMaster("http://127.0.0.1:1", Token("t"), "m", proxy="http://10.0.0.1:3128")


def test_login_files(tmp_path: Path) -> None:
    file = tmp_path / "login"
    file.write_text(LOGIN + "\r\n", "utf-8")
    file.chmod(0o644)
    with pytest.raises(TokenError, match="chmod 600"):
        ProxyLogin.from_file(file)
    file.chmod(0o600)
    login = ProxyLogin.from_file(file)
    assert login.header() == f"Basic {ENCODED}"
    assert LOGIN not in repr(login)
    for text in (b"", b"lane", b":word", b"lane:", b"lane:a\nb", b"lane:\xff"):
        file.write_bytes(text)
        with pytest.raises(TokenError, match="must contain user:password") as caught:
            ProxyLogin.from_file(file)
        assert "lane" not in str(caught.value).replace(str(tmp_path), "")
