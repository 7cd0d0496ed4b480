"""The network between lanes and the centre, with its faults; it reads every acknowledgement on its way."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal, get_args

from sco_sim.testing.http_faults import Fault, HttpFaults, _Request, _reset, _response
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
        super().__init__(server)

    @property
    def plan(self) -> list[Any]:
        """What happens to the next requests, one each; None for nothing."""
        return self._next

    @plan.setter
    def plan(self, faults: Sequence[str | None]) -> None:
        self._next[:] = faults  # type: ignore[assignment]

    def point_at(self, server: str) -> None:
        """The server is elsewhere now."""
        host, _, port = server.removeprefix("http://").partition(":")
        self._server = host, int(port)

    def _answer(self, client: socket.socket, request: _Request, fault: Any) -> None:
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
                with self._mutex:
                    self._held.append(request)
                client.sendall(self._ask(request))
            case _:
                super()._answer(client, request, fault)

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
            try:
                data = json.loads(body)
            except json.JSONDecodeError:
                pass  # of a server that was killed in the middle of its answer
            else:
                self._acknowledged(Head(data["epoch"], data["seq"], data["hash"]))
        if head.startswith(b"HTTP/1.1 500 ") and b'"unforeseen"' in body:  # not uvicorn's own at a hasty end
            self._failed(f"{request.target}: {body[:200].decode('utf-8', 'replace')}")
        return answer


class LyingCentre(HttpFaults):
    """A server that answers every request at once with something untrue. `say` makes the answer's JSON."""

    def __init__(self, say: Callable[[str], object]) -> None:
        self._say = say
        super().__init__("http://127.0.0.1:1")  # where nobody is

    def _ask(self, request: _Request) -> bytes:
        return _response("200 OK", json.dumps(self._say(request.target)).encode())
