"""Neva on a real socket, for tests: its books, and what its customers do."""

from __future__ import annotations

import binascii
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

API_KEY = "neva-simulator"
_FINAL = ("DONE", "VOID", "LAPSED", "RETURNED")


@dataclass(slots=True)
class Order:
    """An order in Neva's books. The amount is in kopecks."""

    number: int
    reference: str
    amount: int
    expires_s: float
    state: str = "NEW"

    def body(self) -> dict[str, Any]:
        """As the API returns it."""
        text = f"https://qr.nspk.ru/AD{self.number:030d}?type=02&bank=100000000222&sum={self.amount}&cur=RUB"
        return {
            "order": self.number,
            "reference": self.reference,
            "amount": self.amount,
            "currency": "RUB",
            "state": self.state,
            "qr": f"{text}&crc={binascii.crc_hqx(text.encode(), 0xFFFF):04X}",
        }


class NevaSimulator:
    """The bank.

        with NevaSimulator() as bank:
            ... # bank.base_url, bank.pay(number)

    Args:
        clock: seconds since the epoch.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.orders: dict[int, Order] = {}
        self.voids = 0
        self.on_create: Callable[[Order], object] = lambda order: None
        self._clock = clock
        self._answered: dict[str, tuple[int, dict[str, Any]]] = {}
        self._mutex = threading.RLock()
        bank = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                bank._handle(self)

            def do_POST(self) -> None:
                bank._handle(self)

            def log_message(self, *args: object) -> None:
                """Tests read no access log."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    # --- customers -------------------------------------------------------------------------------------------

    def pay(self, number: int) -> bool:
        """The customer pays; whether that was still possible."""
        return self._end(number, "DONE")

    def lapse(self, number: int) -> bool:
        """The order's time is over."""
        return self._end(number, "LAPSED")

    def _end(self, number: int, state: str) -> bool:
        with self._mutex:
            order = self.orders[number]
            if order.state in _FINAL:
                return False
            order.state = state
            return True

    # --- the API ---------------------------------------------------------------------------------------------

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        raw = request.rfile.read(int(request.headers.get("Content-Length", "0")))
        if request.headers.get("X-Api-Key") != API_KEY:
            status, body = 401, {"error": "KEY"}
        else:
            with self._mutex:
                status, body = self._answer(request, raw)
        data = json.dumps(body).encode()
        request.send_response(status)
        request.send_header("Content-Type", "application/json")
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def _answer(self, request: BaseHTTPRequestHandler, raw: bytes) -> tuple[int, dict[str, Any]]:
        for order in self.orders.values():
            if order.state not in _FINAL and order.expires_s <= self._clock():
                order.state = "LAPSED"
        match [request.command, *request.path.strip("/").split("/")]:
            case ["POST", "v1", "orders"]:
                return self._create(json.loads(raw))
            case ["GET", "v1", "references", reference]:
                found = [order for order in self.orders.values() if order.reference == reference]
                missing = {"error": "UNKNOWN_REFERENCE", "reference": reference}
                return (200, found[0].body()) if found else (404, missing)
            case ["GET", "v1", "orders", number] if number.isdigit() and int(number) in self.orders:
                return 200, self.orders[int(number)].body()
            case ["POST", "v1", "orders", number, "void"] if number.isdigit() and int(number) in self.orders:
                key = request.headers.get("X-Request-Key", "")
                if key not in self._answered:
                    self._answered[key] = self._void(self.orders[int(number)])
                return self._answered[key]
        return 404, {"error": "UNKNOWN_ORDER"}

    def _create(self, data: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if any(order.reference == data["reference"] for order in self.orders.values()):
            return 409, {"error": "DUPLICATE_REFERENCE"}
        if type(data["amount"]) is not int or data["amount"] <= 0:
            return 422, {"error": "AMOUNT"}
        number = 700_001 + len(self.orders)
        order = Order(number, data["reference"], data["amount"], self._clock() + data["lifetime_s"])
        self.orders[number] = order
        body = order.body()
        self.on_create(order)  # while the answer is on its way
        return 201, body

    def _void(self, order: Order) -> tuple[int, dict[str, Any]]:
        """An open order is closed; a paid one is refunded, and that is a success too."""
        self.voids += 1
        if order.state == "DONE":
            order.state = "RETURNED"
        elif order.state in _FINAL:
            return 409, {"error": "CLOSED"}
        else:
            order.state = "VOID"
        return 200, {"result": "OK", **order.body()}
