"""An acquirer on a raw socket that answers "paid" to the first status request, and records when the answer was sent."""

from __future__ import annotations

import json
import socket
import threading
import time

LINK = "https://paymaster.ru/i/1"


class InstantBank:
    """Use as a context manager.

    Attributes:
        answered: order number -> when, by `time.perf_counter`, the status "Settled" was about to go into the socket.
        created: when the first create had been read from the socket, by `time.monotonic`; None before it.
    """

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.answered: dict[str, float] = {}
        self.created: float | None = None
        self.first_create = threading.Event()
        self._orders: dict[str, dict[str, object]] = {}
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> InstantBank:
        return self

    def __exit__(self, *exc: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        while True:
            try:
                wire, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(wire,), daemon=True).start()

    def _answer(self, wire: socket.socket) -> None:
        with wire:
            data = b""
            while b"\r\n\r\n" not in data:
                data += wire.recv(65536)
            head, _, body = data.partition(b"\r\n\r\n")
            length = next(
                (int(row.split(b":")[1]) for row in head.split(b"\r\n") if b"ontent-" in row[:9] and b"ength" in row), 0
            )
            while len(body) < length:
                body += wire.recv(65536)
            if head.startswith(b"HEAD"):  # a lane that starts looks at the bank's clock
                wire.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                return
            if head.startswith(b"POST"):
                payment = self._create(json.loads(body))
            else:
                payment = {**self._orders[head.split()[1].rsplit(b"/", 1)[1].decode()], "status": "Settled"}
            answer = json.dumps(payment).encode()
            reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(answer)
            if payment["status"] == "Settled":
                self.answered[str(payment["id"])] = time.perf_counter()
            wire.sendall(reply + answer)

    def _create(self, asked: dict[str, object]) -> dict[str, object]:
        if self.created is None:
            self.created = time.monotonic()
            self.first_create.set()
        invoice = asked["invoice"]
        assert isinstance(invoice, dict)
        number = str(invoice["orderNo"])
        self._orders[number] = {
            "id": number,
            "status": "Confirmation",
            "amount": asked["amount"],
            "invoice": {"orderNo": number},
            "confirmation": {"paymentUrl": LINK},
        }
        return self._orders[number]
