"""What a client can do to the server: nothing that costs the lane, or another client, anything."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trustme

from sco_payment.journal import Journal
from sco_service.http import Limits, Server
from sco_service.messages import Answer, Handler, Later, Request, Response
from sco_service.problems import problem
from tests.service.service_kit import ORDER, Bench, Json, Till, at_once, serving, until


@contextlib.contextmanager
def connected(bench: Bench) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", bench.till.port), timeout=10) as line:
        yield line


def server_of(bench: Bench) -> Server:
    assert bench.service._server is not None
    return bench.service._server


def request(method: str, path: str, *headers: str, token: str = "till-token") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {token}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def everything(line: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := line.recv(65_536):
            found += data
    return found


@pytest.mark.attack("A26")
def test_five_hundred_idle_connections_and_slow_ones_keep_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path) as bench, contextlib.ExitStack() as held:
        for number in range(500):
            line = held.enter_context(socket.create_connection(("127.0.0.1", bench.till.port)))
            if number % 2:
                line.sendall(b"GET /healthz HT")
        assert bench.till.put("T-1").status == 201
        assert bench.till.outcome("T-1")["outcome"] == "paid"


@pytest.mark.attack("A26")
def test_new_half_requests_all_the_time_keep_nobody_out(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(connections=4)) as bench, contextlib.ExitStack() as held:
        for _ in range(20):
            for _ in range(4):
                line = held.enter_context(connected(bench))
                line.sendall(b"GET /healthz HT")
            assert bench.till.get("/healthz").status == 200


@pytest.mark.attack("A26")
def test_one_octet_a_second_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(request_s=1.0)) as bench, connected(bench) as line:
        began = time.monotonic()
        with contextlib.suppress(OSError):
            for octet in request("GET", "/v1/lane"):
                line.sendall(bytes([octet]))
                time.sleep(0.1)
                if time.monotonic() - began > 1.5:
                    break
        answer = everything(line)
        assert b" 408 " in answer.splitlines()[0]
        assert b'"code":"timeout"' in answer


@pytest.mark.attack("A26")
def test_a_client_that_does_not_read_is_dropped(tmp_path: Path) -> None:
    """It asks for much, pipelined, and takes nothing."""
    with serving(tmp_path, limits=Limits(write_s=1.0)) as bench, connected(bench) as line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        many = request("GET", "/v1/openapi.yaml") * 400
        line.settimeout(3.0)
        with pytest.raises(OSError):  # noqa: PT012 - whichever send meets the closed connection
            for _ in range(100):
                line.sendall(many)
                time.sleep(0.05)
        assert bench.till.get("/healthz").status == 200


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"NONSENSE\r\n\r\n", 400, "bad_request"),
        (request("GET", "/v1/lane", "X: " + "a" * 20_000), 431, "head_too_large"),
        (request("PUT", "/v1/payments/T-1", "Content-Length: 999999999"), 413, "body_too_large"),
        (request("PUT", "/v1/payments/T-1", "Content-Length: 1", "Content-Length: 2"), 400, "bad_request"),
        (request("PUT", "/v1/payments/T-1", "Transfer-Encoding: gzip, chunked"), 400, "bad_request"),
        (request("GET", "/v1/nothing"), 404, "no_such_path"),
        (request("DELETE", "/v1/lane"), 405, "method_not_allowed"),
        (request("GET", "/v1/payments/..%2f..%2fetc"), 400, "bad_field"),
        (request("GET", "/pages/..%2f..%2fetc%2fpasswd"), 404, "no_such_path"),
        (request("GET", "/v1/lane", token="wrong"), 401, "unauthorized"),
    ],
)
@pytest.mark.attack("A26")
def test_a_request_that_cannot_be_served(tmp_path: Path, sent: bytes, status: int, code: str) -> None:
    with serving(tmp_path) as bench, connected(bench) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        answer = everything(line)
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.split()[1] == str(status).encode(), answer
        data = json.loads(body)
        assert data["code"] == code
        assert {"type", "title", "status", "detail", "detail_ru", "retry"} <= set(data)
        assert data["nothing_done"] is True


def test_requests_on_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    with serving(tmp_path) as bench, connected(bench) as line:
        line.sendall(
            request("GET", "/healthz")
            + request("GET", "/v1/nothing")
            + request("HEAD", "/healthz", "Connection: close")
        )
        answer = everything(line)
        statuses = [part.split()[0] for part in answer.split(b"HTTP/1.1 ")[1:]]
        assert statuses == [b"200", b"404", b"200"]
        assert answer.endswith(b"\r\n\r\n")  # no body after HEAD


def test_a_client_that_closes_its_side_gets_its_answer(tmp_path: Path) -> None:
    with serving(tmp_path) as bench, connected(bench) as line:
        line.sendall(request("GET", "/v1/lane"))
        line.shutdown(socket.SHUT_WR)
        assert everything(line).startswith(b"HTTP/1.1 200")


def test_a_body_is_announced_and_asked_for(tmp_path: Path) -> None:
    body = json.dumps(ORDER).encode()
    with serving(tmp_path) as bench, connected(bench) as line:
        head = ("Content-Type: application/json", f"Content-Length: {len(body)}", "Expect: 100-continue")
        line.sendall(request("PUT", "/v1/payments/T-1", *head, "Connection: close"))
        assert line.recv(1000).startswith(b"HTTP/1.1 100")
        line.sendall(body)
        assert b" 201 " in everything(line).splitlines()[0]


def test_waiting_clients_are_bounded_and_woken(tmp_path: Path) -> None:
    with serving(tmp_path, "leaves", limits=Limits(waiting=4)) as bench:
        wait = "/v1/events?after=0&wait_s=10"
        replies = at_once(*[lambda: bench.till.get(wait)] * 8)
        assert sorted({reply.status for reply in replies}) == [200, 503]
        assert {reply.code for reply in replies if reply.status == 503} == {"too_many_connections"}
        empty = next(reply for reply in replies if reply.status == 200)
        with Journal(tmp_path / "journal.db", read_only=True) as journal:
            assert empty.json == {"events": [], "next_after": 0, "journal": journal.id()}


def test_a_vanished_waiter_frees_its_place(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(waiting=1)) as bench:
        with connected(bench) as line:
            line.sendall(request("GET", "/v1/events?wait_s=25"))
            until(lambda: server_of(bench).waiting == 1)
            assert bench.till.get("/v1/events?wait_s=1").status == 503
        until(lambda: server_of(bench).waiting == 0)
        assert bench.till.get("/v1/events?wait_s=0.1").status == 200


def test_server_sent_events_go_on_after_the_last_id(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        with connected(bench) as line:
            line.sendall(request("GET", "/v1/events", "Accept: text/event-stream"))
            bench.till.put("T-1")
            bench.till.outcome("T-1")
            found = b""
            while b"event: outcome_reached" not in found:
                found += line.recv(65_536)
            assert b"content-type: text/event-stream" in found.lower()
            ids = [int(part.split(b"\n")[0]) for part in found.split(b"\nid: ")[1:]] or [0]
        with connected(bench) as line:
            line.sendall(request("GET", "/v1/events", "Accept: text/event-stream", f"Last-Event-ID: {ids[-1]}"))
            bench.till.post("/v1/payments/T-1/taken")
            found = b""
            while b"event: outcome_taken" not in found:
                found += line.recv(65_536)
            assert b"event: outcome_reached" not in found


def tls(tmp_path: Path) -> tuple[Json, ssl.SSLContext]:
    """Settings of a service with TLS, and a client's trust in it."""
    ca = trustme.CA()
    own = ca.issue_cert("127.0.0.1", "lane.shop.example")
    own.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    (tmp_path / "key.pem").touch(0o600)
    own.private_key_pem.write_to_path(tmp_path / "key.pem")
    section = {
        "listen": "0.0.0.0:0",
        "tls_certificate": str(tmp_path / "cert.pem"),
        "tls_key": str(tmp_path / "key.pem"),
        "host_names": "lane.shop.example",
    }
    context = ssl.create_default_context()
    ca.configure_trust(context)
    return section, context


def test_a_full_house_with_tls_costs_no_time(tmp_path: Path) -> None:
    """Whoever is to be refused may never begin a handshake: the refusal waits for it, and the server does not."""
    section, _ = tls(tmp_path)
    with serving(tmp_path, limits=Limits(connections=1), service=section) as bench, contextlib.ExitStack() as held:
        server, turns = server_of(bench), 0
        turn = server._turn

        def counted(timeout: float | None) -> None:
            nonlocal turns
            turns += 1
            turn(timeout)

        held.enter_context(connected(bench))
        until(lambda: server.connected == 1)
        server._evict = lambda: False  # type: ignore[method-assign]
        for _ in range(3):
            held.enter_context(connected(bench))
        until(lambda: server.counts.get("refused") == 3)
        server._turn = counted  # type: ignore[method-assign]
        time.sleep(2.0)
        assert turns < 100, "it waits, and does not turn"


def test_tls_on_another_address(tmp_path: Path) -> None:
    section, context = tls(tmp_path)
    with (
        serving(tmp_path, limits=Limits(request_s=2.0), service=section) as bench,
        connected(bench) as silent,
        connected(bench) as plain,
        context.wrap_socket(plain, server_hostname="lane.shop.example") as line,
    ):
        head = f"GET /v1/lane HTTP/1.1\r\nHost: lane.shop.example:{bench.till.port}\r\n"
        line.sendall(f"{head}Authorization: Bearer monitor-token\r\nConnection: close\r\n\r\n".encode())
        assert everything(line).startswith(b"HTTP/1.1 200")
        silent.sendall(b"\0" * 100)  # no handshake
        everything(silent)  # ends


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Host": "evil.example"}, "host_refused"),
        ({"Host": "127.0.0.1:1"}, "host_refused"),
        ({"Host": "user@127.0.0.1"}, "host_refused"),
        ({"Origin": "https://evil.example"}, "origin_refused"),
        ({"Origin": "null"}, "origin_refused"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin_refused"),
    ],
)
@pytest.mark.attack("A25")
def test_a_page_of_another_site_is_refused(tmp_path: Path, headers: dict[str, str], code: str) -> None:
    """Through the browser on the lane's machine, with a name that leads there (DNS rebinding)."""
    with serving(tmp_path) as bench:
        for path in ("/v1/screen", "/healthz", "/screen"):
            assert bench.browser.get(path, **headers).code == code
        own = {"Origin": f"http://127.0.0.1:{bench.till.port}"}
        answer = bench.browser.get("/v1/screen", **own)
        assert answer.status == 200
        assert not any(name.startswith("access-control") for name in answer.headers)


@pytest.mark.attack("A25")
def test_roles_and_their_tokens(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        assert bench.browser.get("/v1/lane").code == "unauthorized"
        assert bench.browser.get("/v1/screen").status == 200
        assert bench.monitor.put("T-1").code == "forbidden"
        assert bench.attendant.put("T-1").code == "forbidden"
        assert bench.till.get("/metrics").code == "forbidden"
        assert b"sco_up 1" in bench.monitor.get("/metrics").body
        assert bench.till.post("/v1/tag/enable").code == "forbidden"
        assert Till(bench.till.port, "till-token ").get("/v1/lane").status == 200
        (tmp_path / "till.token").write_text("another\n")
        time.sleep(1.1)
        assert Till(bench.till.port, "another").get("/v1/lane").status == 200
        assert bench.till.get("/v1/lane").code == "unauthorized"


def test_the_screen_needs_a_token_where_the_settings_say_so(tmp_path: Path) -> None:
    with serving(tmp_path, service={"screen_without_token": False}) as bench:
        assert bench.browser.get("/v1/screen").code == "unauthorized"
        assert bench.monitor.get("/v1/screen").status == 200


def test_a_repeated_body_or_query_is_read_strictly(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        till = bench.till
        for body, code, field in (
            ({**ORDER, "amount": 1}, "unknown_field", "amount"),
            ({**ORDER, "total_kopecks": 253.5}, "bad_field", "total_kopecks"),
            ({**ORDER, "total_kopecks": True}, "bad_field", "total_kopecks"),
            ({**ORDER, "order": "\ud800"}, "bad_field", "order"),
            ({"order": "A-1"}, "bad_field", "total_kopecks"),
            (b'{"order":"A-1","order":"A-2","total_kopecks":1}', "bad_json", None),
            (b'{"order":"A-1","total_kopecks":NaN}', "bad_json", None),
            (b'{"order":"A-1","total_kopecks":' + b"9" * 5000 + b"}", "bad_json", None),
            (b"[" * 50_000, "bad_json", None),
            (b"[]", "bad_json", None),
            (b"\xff", "bad_json", None),
        ):
            reply = till.put("T-1", body)
            assert (reply.code, reply.json.get("field")) == (code, field), (body, reply)
        assert till.ask("PUT", "/v1/payments/T-1", b"a=b", Content_Type="text/plain").code == "unsupported_media"
        assert till.get("/v1/events?before=1").code == "unknown_field"
        assert till.get("/v1/events?after=1&after=2").code == "bad_field"
        assert till.get("/v1/events?after=-1").code == "bad_field"
        assert till.get("/v1/events?wait_s=26").code == "bad_field"
        assert till.get("/v1/events?wait_s=nan").code == "bad_field"
        for path in ("/v1/payments/..", "/v1/payments/a%20b", "/v1/payments/" + "a" * 65, "/v1/payments/%ff"):
            assert till.get(path).code == "bad_field", path


@pytest.mark.attack("A26")
def test_a_full_house_is_told_and_a_payment_still_begins(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(connections=3, waiting=2)) as bench, contextlib.ExitStack() as held:
        for _ in range(2):
            line = held.enter_context(connected(bench))
            line.sendall(request("GET", "/v1/events", "Accept: text/event-stream"))
        until(lambda: server_of(bench).waiting == 2)
        assert bench.till.put("T-1").status == 201, "what must be answered is not one of the waiting clients"
        assert bench.till.get("/v1/events", Accept="text/event-stream").code == "too_many_connections"
        line = held.enter_context(connected(bench))
        line.sendall(request("GET", "/v1/screen?after=1&wait_s=0"))
        assert line.recv(65_536).startswith(b"HTTP/1.1 200")
        assert bench.till.get("/healthz").status == 200, "an idle connection makes room"


def test_a_house_full_of_waiting_clients_is_told(tmp_path: Path) -> None:
    with serving(tmp_path, limits=Limits(connections=2)) as bench, contextlib.ExitStack() as held:
        for _ in range(2):
            line = held.enter_context(connected(bench))
            line.sendall(request("GET", "/v1/events", "Accept: text/event-stream"))
        until(lambda: server_of(bench).waiting == 2)
        assert bench.till.get("/healthz").code == "too_many_connections"
        held.close()
        until(lambda: server_of(bench).connected == 0)
        assert bench.till.get("/healthz").status == 200


@pytest.mark.attack("A26")
def test_noise_harms_nobody(tmp_path: Path) -> None:
    """Octets at random, and requests with octets changed, cut and doubled at random."""
    chance = random.Random(7)
    body = json.dumps(ORDER).encode()
    whole = request("PUT", "/v1/payments/T-1", "Content-Type: application/json", f"Content-Length: {len(body)}") + body
    with serving(tmp_path) as bench:
        for _ in range(300):
            with connected(bench) as line, contextlib.suppress(OSError):
                sent = bytearray(chance.randbytes(chance.randrange(1, 400)) if chance.random() < 0.2 else whole)
                for _ in range(chance.randrange(1, 6)):
                    sent[chance.randrange(len(sent))] = chance.randrange(256)
                line.sendall(bytes(sent[: chance.randrange(1, len(sent) + 1)]) * chance.choice((1, 1, 2)))
                line.shutdown(socket.SHUT_WR)
                answer = everything(line)
                assert b" 500 " not in answer[:20], (bytes(sent), answer)
        assert bench.monitor.get("/healthz").json == {"ok": True, "problems": []}
        assert bench.monitor.get("/v1/lane").status == 200


def test_a_server_that_had_nothing_to_do_is_not_taken_for_one_that_hangs(tmp_path: Path) -> None:
    """A watchdog may look once a minute: what counts is the time since it has woken the server."""
    with serving(tmp_path) as bench:
        server = bench.service._server
        assert server is not None
        for _ in range(50):
            server.turned_at = time.monotonic() - 60
            assert bench.service.is_alive()


def test_clients_that_do_not_read_their_last_answer_keep_nobody_out(tmp_path: Path) -> None:
    """No token is needed for a page: whoever reaches the service could hold all its connections."""
    with serving(tmp_path, limits=Limits(connections=2)) as bench, contextlib.ExitStack() as held:
        for _ in range(2):
            line = held.enter_context(socket.socket())
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            line.connect(("127.0.0.1", bench.till.port))
            line.sendall(request("GET", "/pages/attendant.js", "Connection: close"))
        until(lambda: server_of(bench).counts.get("200") == 2)
        assert bench.till.put("T-1").status == 201


@contextlib.contextmanager
def answering(handler: Handler, limits: Limits) -> Iterator[tuple[Server, Till]]:
    """A server with a handler of the test's own."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(listening, handler, problem, limits=limits)
    server.start()
    try:
        yield server, Till(server.port)
    finally:
        server.close()


def test_what_was_taken_on_is_not_refused_when_the_workers_are_busy(tmp_path: Path) -> None:
    """The till would read that nothing was begun."""
    ready, go_on = threading.Event(), threading.Event()

    def handler(request: Request) -> Answer:
        if request.path == "/busy":
            go_on.wait(30)
            return Response(204)
        done = Response(201)
        return Later(lambda: done if ready.is_set() else None, time.monotonic() + 30, lambda: done, counted=False)

    with answering(handler, Limits(workers=1, queued=1)) as (server, till), ThreadPoolExecutor() as pool:
        begun = pool.submit(till.put, "T-1")
        until(lambda: any(one.later is not None and not one.polling for one in list(server._connections)))
        busy = pool.submit(till.get, "/busy")
        until(lambda: server._busy == 1)
        server.wake()
        until(lambda: not server._changed)
        refused = till.get("/another")
        assert (refused.status, refused.code, refused.json["nothing_done"]) == (503, "too_many_connections", True)
        ready.set()
        go_on.set()
        assert (begun.result().status, busy.result().status) == (201, 204)


def test_what_a_closing_server_has_taken_on_says_how_it_ended(tmp_path: Path) -> None:
    closing, asked = threading.Event(), threading.Event()

    def handler(request: Request) -> Answer:
        asked.set()
        closing.wait(30)
        return Later(lambda: None, time.monotonic() + 30, lambda: Response(201), counted=False)

    with answering(handler, Limits()) as (server, till), ThreadPoolExecutor() as pool:
        begun = pool.submit(till.put, "T-1")
        assert asked.wait(30)
        closed = pool.submit(server.close)
        until(server._closing.is_set)
        closing.set()
        assert begun.result().status == 201
        closed.result()


def test_a_client_that_is_gone_without_a_word_loses_its_place(tmp_path: Path) -> None:
    """TCP alone repeats a heartbeat for a quarter of an hour before it gives a client up."""
    with serving(tmp_path, limits=Limits(write_s=7.0)) as bench, connected(bench) as line:
        line.sendall(request("GET", "/v1/events", "Accept: text/event-stream"))
        assert line.recv(100)
        server = bench.service._server
        assert server is not None
        for connection in list(server._connections):
            assert connection.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000
