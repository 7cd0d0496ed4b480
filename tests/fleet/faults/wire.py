"""The network between lanes and the centre, with its faults; it reads every acknowledgement on its way."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable
from typing import Literal, get_args

from sco_sim.testing.http_faults import Fault, HttpFaults, _read, _Request, _reset
from tests.fleet.faults.judge import Head

FleetFault = (
    Fault
    | Literal[
        "twice",  # the server gets the request twice at once; the lane one answer
        "half",  # the server gets half of the request, then the connection is reset
        "again later",  # the lane is answered; the server gets the request again on `release`
    ]
)
FAULTS: tuple[str, ...] = (
    "cut before",
    "cut after",
    "held",
    "500 before",
    "500 after",
    "429",
    "404",
    "garbage",
    "page",
    "twice",
    "half",
    "again later",
)
"""Those that can happen to any request of a lane; a `drip` only takes long."""
assert set(FAULTS) - {"twice", "half", "again later"} < set(get_args(Fault))


class FleetWire(HttpFaults):
    """As `HttpFaults`; whatever was held and is released comes after later requests: late, reordered.

    Args:
        server: base address of the centre.
        acknowledged: called with each head that the server has acknowledged, before the lane has the answer.
        failed: called with each answer that says that the server has a bug.
    """

    def __init__(
        self,
        server: str,
        acknowledged: Callable[[Head], None] = lambda head: None,
        failed: Callable[[str], None] = lambda answer: None,
    ) -> None:
        self._acknowledged, self._failed = acknowledged, failed
        self.plan: list[str | None] = []
        """What happens to the next requests, one each; None for nothing."""
        super().__init__(server)

    def point_at(self, server: str) -> None:
        """The server is elsewhere now."""
        host, _, port = server.removeprefix("http://").partition(":")
        self._server = host, int(port)

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.settimeout(30.0)
            request = _read(client)
            if request is None:
                return
            with self._mutex:
                self.requests += 1
                fault = self.plan.pop(0) if self.plan else None
                if fault in ("held", "again later"):
                    self._held.append(request)
            match fault:
                case "twice":
                    other = threading.Thread(target=self._quietly, args=(request,))
                    other.start()
                    answer = self._ask(request)
                    other.join()
                    client.sendall(answer)
                case "half":
                    self._ask_half(request)
                    _reset(client)
                case "again later":
                    client.sendall(self._ask(request))
                case _:
                    self._answer(client, request, fault)  # type: ignore[arg-type]

    def release(self) -> None:
        """The server gets what was held now; nobody waits for the answers."""
        with contextlib.suppress(OSError):
            super().release()

    def _quietly(self, request: _Request) -> None:
        with contextlib.suppress(OSError):
            self._ask(request)

    def _ask_half(self, request: _Request) -> None:
        with contextlib.suppress(OSError), socket.create_connection(self._server, 30.0) as server:
            server.sendall(request.head + b"\r\n\r\n" + request.body[: len(request.body) // 2])

    def _ask(self, request: _Request) -> bytes:
        answer = super()._ask(request)
        head, _, body = answer.partition(b"\r\n\r\n")
        if request.target.split("?")[0] == "/lane/v1/records" and re.match(rb"HTTP/1.1 200 ", head):
            data = json.loads(body)
            self._acknowledged(Head(data["epoch"], data["seq"], data["hash"]))
        if head.startswith(b"HTTP/1.1 500 "):
            self._failed(f"{request.target}: {body[:200].decode('utf-8', 'replace')}")
        return answer


class LyingCentre:
    """A server that answers every request at once with something that is no truth. `say` makes the answer's JSON."""

    def __init__(self, say: Callable[[str, object], object]) -> None:
        self._say = say
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.requests = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> LyingCentre:
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            request = _read(client)
            if request is None:
                return
            self.requests += 1
            body = json.dumps(self._say(request.target, request.body)).encode()
            client.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
