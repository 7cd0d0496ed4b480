"""A relay between a client and any HTTP server, with the faults of a real network on real sockets."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self, get_args
from urllib.parse import urlsplit

Fault = Literal[
    "cut before", "cut after", "held", "500 before", "500 after", "429", "404", "garbage", "page", "drip", "another"
]
"""What can happen to a request:

- `cut before`, `cut after`: the connection is reset before the server has the request, or after it acted on it
- `held`: nothing answers; the server gets the request when `release` is called
- `500 before`, `500 after`: HTTP 500 in the server's place, before or after it acted on the request
- `429`: too many requests, `Retry-After: 7`; the server never gets it
- `404`: a bare "not found" in the server's place
- `garbage`, `page`: the server acted, and its answer is replaced by broken JSON, or by a page of HTML
- `drip`: the answer comes byte by byte
- `another`: the server is asked for the payment `another` instead, and its answer is passed on
"""
FAULTS: tuple[Fault, ...] = get_args(Fault)
RETRY_AFTER_S = 7
_DRIP_S = 0.2
_WAIT_S = 30.0


@dataclass(frozen=True, slots=True)
class _Request:
    head: bytes
    body: bytes

    @property
    def target(self) -> str:
        return self.head.split(b" ", 2)[1].decode("ascii")


class HttpFaults:
    """The relay. Without a fault it passes each request on, one for each connection.

        with HttpFaults(simulator.base_url) as wire:
            client = Client(wire.base_url)
            wire.fault("cut after")     # the next request
            wire.down()                 # from now on no connection

    Args:
        server: base address of the server, plain http.
        of_payment: the path at which the server returns the payment with an id, for the fault `another`.
    """

    def __init__(self, server: str, of_payment: Callable[[str], str] = lambda payment_id: f"/{payment_id}") -> None:
        parts = urlsplit(server)
        self._server = str(parts.hostname), int(parts.port or 80)
        self._of_payment = of_payment
        self._listener: socket.socket | None = None
        self._port = 0
        self._next: list[Fault] = []
        self._held: list[_Request] = []
        self._mutex = threading.Lock()
        self._closed = threading.Event()
        self.another = ""
        """Id of the payment that the fault `another` asks for."""
        self.requests = 0
        """How many requests have come."""
        self.up()

    @property
    def base_url(self) -> str:
        """Where clients connect; it stays the same while the network is down."""
        return f"http://127.0.0.1:{self._port}"

    def fault(self, *faults: Fault) -> None:
        """These happen to the next requests, one to each."""
        with self._mutex:
            self._next += faults

    def down(self) -> None:
        """No connection can be made until `up`."""
        if self._listener is not None:
            # A listener in accept() keeps its port until it is woken.
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None

    def up(self) -> None:
        """Accept connections."""
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self._port))
            self._port = self._listener.getsockname()[1]
            threading.Thread(target=self._accept, args=(self._listener,), name="http-faults", daemon=True).start()

    @property
    def held(self) -> int:
        """How many requests are held."""
        return len(self._held)

    def release(self) -> None:
        """The server gets the held requests now; their answers come too late for anybody."""
        with self._mutex:
            late, self._held = self._held, []
        for request in late:
            self._ask(request)

    def close(self) -> None:
        """Stop. May be called twice."""
        self._closed.set()
        self.down()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- one connection --------------------------------------------------------------------------------------

    def _accept(self, listener: socket.socket) -> None:
        while not self._closed.is_set():
            try:
                client, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), name="http-faults", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(_WAIT_S)
            request = _read(client)
            if request is None:
                return
            with self._mutex:
                self.requests += 1
                fault = self._next.pop(0) if self._next else None
                if fault == "held":
                    self._held.append(request)
            self._answer(client, request, fault)

    def _answer(self, client: socket.socket, request: _Request, fault: Fault | None) -> None:
        match fault:
            case "held":
                self._closed.wait(_WAIT_S)
            case "cut before":
                _reset(client)
            case "500 before":
                client.sendall(_response("500 Internal Server Error", b'{"code": "error", "message": "broken"}'))
            case "429":
                wait = f"Retry-After: {RETRY_AFTER_S}"
                client.sendall(_response("429 Too Many Requests", b'{"code": "too_many_requests"}', wait))
            case "404":
                client.sendall(_response("404 Not Found", b"not found", kind="text/plain"))
            case "another":
                line = f"GET {self._of_payment(self.another)} HTTP/1.1".encode("ascii")
                headers = [one for one in request.head.split(b"\r\n")[1:] if not one.lower().startswith(b"content-")]
                client.sendall(self._ask(_Request(b"\r\n".join([line, *headers]), b"")))
            case _:
                self._spoil(client, self._ask(request), fault)

    def _spoil(self, client: socket.socket, answer: bytes, fault: Fault | None) -> None:
        match fault:
            case "cut after":
                _reset(client)
            case "500 after":
                client.sendall(_response("500 Internal Server Error", b'{"code": "error", "message": "broken"}'))
            case "garbage":
                client.sendall(_response("200 OK", b'{"id": "1", "status": '))
            case "page":
                client.sendall(_response("200 OK", b"<html>please accept our terms</html>", kind="text/html"))
            case "drip":
                for n in range(len(answer)):
                    client.sendall(answer[n : n + 1])
                    if self._closed.wait(_DRIP_S):
                        return
            case _:
                client.sendall(answer)

    def _ask(self, request: _Request) -> bytes:
        """The server's whole answer."""
        headers = [one for one in request.head.split(b"\r\n") if not one.lower().startswith(b"connection:")]
        with socket.create_connection(self._server, _WAIT_S) as server:
            server.sendall(b"\r\n".join([*headers, b"Connection: close"]) + b"\r\n\r\n" + request.body)
            pieces = []
            until = time.monotonic() + _WAIT_S
            while (piece := server.recv(65536)) and time.monotonic() < until:
                pieces.append(piece)
        return b"".join(pieces)


def _read(client: socket.socket) -> _Request | None:
    """One request; None where the client has left before it was whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    while len(body) < length:
        piece = client.recv(65536)
        if not piece:
            return None
        body += piece
    return _Request(head, body)


def _response(status: str, body: bytes, *headers: str, kind: str = "application/json") -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Type: {kind}", f"Content-Length: {len(body)}", "Connection: close"]
    return "\r\n".join([*lines, *headers, "", ""]).encode("ascii") + body


def _reset(client: socket.socket) -> None:
    """Close so that the peer sees a reset, not an end."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
