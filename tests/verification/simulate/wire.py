"""The wire between lane and acquirer: sockets of bytes in simulated time, in place of the operating system's.

The production client's urllib3 and http.client run above it unchanged; below it are the routes of the shipped
simulator.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

from tests.verification.clock import US, Clock, Killed, Signal
from tests.verification.simulate.faults import HTTP, Faults

if TYPE_CHECKING:
    from sco_sim.paymaster import PayMasterSimulator

_REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 409: "Conflict"}
_CONNECTING = ("refused", "unreachable", "no name")
_EXCHANGING = tuple(kind for kind in HTTP if kind not in _CONNECTING)


class Request:
    """One whole request, as a server reads it."""

    def __init__(self, raw: bytes) -> None:
        head, _, self.body = raw.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        self.method, target, _ = first.decode("ascii").split(" ")
        self.path, _, self.query = target.partition("?")
        pairs = (line.partition(b":") for line in lines)
        self.headers = [(name.strip().lower(), value.strip()) for name, _, value in pairs]
        self.missing = int(self.header("content-length") or 0) - len(self.body)

    def header(self, name: str) -> str | None:
        return next((value.decode("latin-1") for found, value in self.headers if found == name.encode()), None)

    @property
    def payment_id(self) -> str | None:
        """Of a status request or a cancellation."""
        parts = self.path.removeprefix("/api/v2/").split("/")
        return parts[1] if parts[0] == "payments" and len(parts) > 1 else None

    @property
    def what(self) -> str:
        """create, get, list, cancel, time, or the path."""
        if (self.method, self.path) == ("HEAD", "/api/v2/"):
            return "time"
        if self.path == "/api/v2/payments":
            return "create" if self.method == "POST" else "list"
        if self.payment_id is not None:
            return "cancel" if self.path.endswith("/cancel") else "get"
        return self.path


def answer_of(app: Any, request: Request) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """The answer of the simulator's application: status, headers, body. It never waits, so it needs no event loop."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "path": request.path,
        "raw_path": request.path.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": request.query.encode(),
        "headers": request.headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    running = app(scope, receive, send)
    try:
        running.send(None)
    except StopIteration:
        return sent[0]["status"], sent[0]["headers"], b"".join(part.get("body", b"") for part in sent[1:])
    running.close()
    raise AssertionError("the simulator waits")


def on_the_wire(status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> bytes:
    """The bytes of an answer."""
    lines = [f"HTTP/1.1 {status} {_REASONS.get(status, 'Something')}".encode()]
    lines += [name.title() + b": " + value for name, value in headers if name != b"content-length"]
    lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


class Network:
    """The network of the lane. `sent` is called with each request that has left the lane, before its fault is drawn;
    `over` when it can have no further effect."""

    def __init__(
        self, clock: Clock, faults: Faults, paymaster: PayMasterSimulator, note: Callable[[str], None]
    ) -> None:
        self._clock = clock
        self._faults = faults
        self._paymaster = paymaster
        self._app = paymaster._app()
        self._note = note
        self.sent: Callable[[Request], None] = lambda request: None
        self.over: Callable[[Request], None] = lambda request: None
        self.turned_away: Callable[[Request], None] = lambda request: None
        self.alive: Callable[[], bool] = lambda: True
        self.offline = False
        self.flying = 0  # requests that may still have an effect

    # --- in place of urllib3.util.connection.create_connection ---

    def connect(self, address: tuple[str, int], timeout: Any = None, **_: Any) -> Wire:
        if not self.alive():
            raise Killed
        fault = ("refused" if self._faults.random.random() < 0.5 else "unreachable") if self.offline else None
        fault = fault or self._faults.one_of(_CONNECTING)
        if fault == "unreachable":
            self._clock.sleep(float(timeout))
        else:
            self._clock.sleep(self._faults.random.uniform(0.002, 0.08))
        if not self.alive():
            raise Killed
        if fault is not None:
            self._note(f"net: {HTTP[fault]}")
        if fault == "refused":
            raise ConnectionRefusedError(111, "Connection refused")
        if fault == "unreachable":
            raise TimeoutError("timed out")
        if fault == "no name":
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return Wire(self, self._clock)

    # --- what happens to a request ---

    def take(self, wire: Wire, request: Request) -> None:
        """A whole request has left the lane."""
        self.sent(request)
        random = self._faults.random
        fault = self._faults.persistent_fault_of(request.what) or self._faults.one_of(_EXCHANGING)
        fault = "answer lost" if self.offline else fault
        name = f"{request.what}{f' {request.payment_id}' if request.payment_id else ''}"
        self._note(f"net: {name} leaves" + (f"; {HTTP[fault]}" if fault else ""))
        there = random.uniform(0.002, 0.2)
        if fault == "late":
            there = random.uniform(5.0, 60.0)
        reached = self._clock.us + round(there * US)
        back = random.uniform(0.002, 0.2) if fault != "slow" else random.uniform(1.0, 30.0)
        if fault in ("send cut", "cut before", "lost", "429", "500", "redirect", "portal", "404"):
            self.over(request)
        if fault == "429":
            self.turned_away(request)
        if fault in ("send cut", "cut before"):
            wire.cut_at(reached)
            if fault == "send cut":
                raise ConnectionResetError(104, "Connection reset by peer")
            return
        if fault in ("lost", "429", "500", "redirect", "portal", "404"):
            if fault != "lost":
                wire.answer(reached + round(back * US), self._refusal(fault))
            return

        self.flying += 1

        def is_over() -> None:
            self.flying -= 1
            self.over(request)

        def at_the_bank() -> None:
            if fault == "repeated":
                self._done(request, None)
            answer = self._done(request, fault)
            if fault != "twice":
                is_over()
            if fault == "cut after":
                wire.cut_at(self._clock.us)
            elif fault != "answer lost":
                wire.answer(self._clock.us + round(back * US), answer, drip=fault == "drip")
                if fault == "truncated":
                    wire.end_at(self._clock.us + round(back * US))

        self._clock.at(reached, at_the_bank)
        if fault == "twice":
            self._clock.after(there + random.uniform(0.01, 30.0), lambda: (self._done(request, None), is_over()))

    def _done(self, request: Request, fault: str | None) -> bytes:
        status, headers, body = answer_of(self._app, request)
        name = f"{request.what}{f' {request.payment_id}' if request.payment_id else ''}"
        self._note(
            f"bank: {name} -> {status} {body[:120].decode('utf-8', 'replace') if status != 200 else ''}".rstrip()
        )
        if fault == "500 after":
            return self._refusal("500")
        if fault == "garbage":
            return on_the_wire(200, [(b"content-type", b"text/html")], b"<html>maintenance")
        if fault == "wrong payment":
            other = self._another(request.payment_id)
            if other is not None:
                status, headers, body = other
        if fault == "truncated":
            whole = on_the_wire(status, headers, body)
            return whole[: self._faults.random.randrange(1, len(whole))]
        return on_the_wire(status, headers, body)

    def _another(self, payment_id: str | None) -> tuple[int, list[tuple[bytes, bytes]], bytes] | None:
        """The acquirer's answer about another payment, a paid one if possible."""
        bank = self._paymaster.bank
        others = [payment for payment in bank.payments.values() if payment.id != payment_id]
        if not others:
            return None
        chosen = next((payment for payment in others if payment.status == "Settled"), others[0])
        token = f"Bearer {self._paymaster.token}".encode()
        raw = b"GET /api/v2/payments/%b HTTP/1.1\r\nAuthorization: %b\r\n\r\n" % (chosen.id.encode(), token)
        return answer_of(self._app, Request(raw))

    def _refusal(self, fault: str) -> bytes:
        random = self._faults.random
        kind = [(b"content-type", b"application/json")]
        match fault:
            case "429":
                wait = random.choice((b"1", b"5", b"20", b"120", b"soon", b""))
                if wait == b"":
                    wait = formatdate(self._clock.s + 15, usegmt=True).encode()
                return on_the_wire(429, [*kind, (b"retry-after", wait)], b'{"code":"too_many","message":"Slow down"}')
            case "404":
                return on_the_wire(404, kind, b'{"code":"not_found","message":"There is no such payment"}')
            case "portal":
                return on_the_wire(200, [(b"content-type", b"text/html")], b"<html>Please accept our terms")
            case "redirect":
                return on_the_wire(302, [(b"location", b"http://portal.example/login")], b"")
            case _:
                return on_the_wire(random.choice((500, 502, 503, 504)), kind, b"<html>Bad gateway</html>")


class Wire:
    """A socket, as http.client and urllib3 use one."""

    def __init__(self, network: Network, clock: Clock) -> None:
        self._network = network
        self._clock = clock
        self._out = b""
        self._came: list[tuple[int, bytes | None]] = []  # when, and what: bytes, b"" the end, None a reset
        self._signal = Signal(clock)
        self._timeout: float | None = None
        self._closed = False

    # --- the network's side ---

    def answer(self, at_us: int, data: bytes, *, drip: bool = False) -> None:
        if drip:
            step = 1 + len(data) // 40
            for i in range(0, len(data), step):
                self._put(at_us + i // step * 900_000, data[i : i + step])
            return
        self._put(at_us, data)

    def cut_at(self, at_us: int) -> None:
        self._put(at_us, None)

    def end_at(self, at_us: int) -> None:
        self._put(at_us, b"")

    def _put(self, at_us: int, data: bytes | None) -> None:
        self._came.append((at_us, data))
        self._clock.at(at_us, self._signal.fire)

    # --- the lane's side ---

    def settimeout(self, timeout: float | None) -> None:
        self._timeout = timeout

    def gettimeout(self) -> float | None:
        return self._timeout

    def setsockopt(self, *_: Any) -> None:
        """There is nothing to do."""

    def sendall(self, data: Any) -> None:
        self._check()
        self._out += bytes(data)
        if b"\r\n\r\n" not in self._out:
            return
        request = Request(self._out)
        if request.missing <= 0:
            self._out = b""
            self._network.take(self, request)

    def fileno(self) -> int:
        """Only a client that keeps a connection asks for it, to see whether the connection was closed meanwhile."""
        raise ValueError("a simulated socket has no descriptor: the lane keeps a connection")

    def makefile(self, mode: str, *_: Any, **__: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self))

    def recv_into(self, buffer: Any) -> int:
        limit = None if self._timeout is None else self._clock.us + round(self._timeout * US)
        while True:
            self._check()
            if self._came and self._came[0][0] <= self._clock.us:
                at, data = self._came[0]
                if data is None:
                    raise ConnectionResetError(104, "Connection reset by peer")
                if data == b"":
                    return 0
                count = min(len(buffer), len(data))
                buffer[:count] = data[:count]
                if count == len(data):
                    self._came.pop(0)
                else:
                    self._came[0] = (at, data[count:])
                return count
            if limit is not None and self._clock.us >= limit:
                raise TimeoutError("timed out")
            self._signal.wait(limit)

    def _check(self) -> None:
        if not self._network.alive():
            raise Killed
        if self._closed:
            raise OSError(9, "Bad file descriptor")

    def shutdown(self, how: int) -> None:
        """There is nothing to do."""

    def close(self) -> None:
        self._closed = True


class _Reading(io.RawIOBase):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._wire.recv_into(memoryview(buffer).cast("B"))
