"""A server that answers as no bank should: with given octets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence
from http.client import HTTPMessage, parse_headers
from typing import Self


class RawServer:
    """Reads one request whole, answers with given octets, in pieces, then closes.

    `script` sets whole answers for one request after the other instead; the last one is for all that follow. `requests`
    has what came: the first line, the headers and the body.

    Octets of a request left unread would make the close a reset, which may take the answer with it.
    """

    def __init__(self, *pieces: bytes, pause_s: float = 0.0, hold: bool = False) -> None:
        self.requests: list[tuple[str, HTTPMessage, bytes]] = []
        self._pieces, self._pause_s, self._hold = pieces, pause_s, hold
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._answers: list[bytes] = []
        self._stop = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                wire_, _ = self._listener.accept()
            except OSError:
                return
            with wire_, contextlib.suppress(OSError):
                self.requests.append(self._read_request(wire_))
                for piece in self._next_answer():
                    wire_.sendall(piece)
                    self._stop.wait(self._pause_s)
                if self._hold:
                    self._stop.wait(30)

    def script(self, answers: Sequence[bytes]) -> None:
        self._answers = list(answers)

    def _next_answer(self) -> Sequence[bytes]:
        if not self._answers:
            return self._pieces
        return self._answers[:1] if len(self._answers) == 1 else [self._answers.pop(0)]

    @staticmethod
    def _read_request(wire_: socket.socket) -> tuple[str, HTTPMessage, bytes]:
        with wire_.makefile("rb") as request:
            first, headers = request.readline().decode().rstrip(), parse_headers(request)
            return first, headers, request.read(int(headers.get("Content-Length", "0")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stop.set()
        self._listener.close()


def http(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(head).encode() + body


PAYMENT = b'{"id":"1","status":"Confirmation","amount":{"value":253.0000,"currency":"RUB"},"new":{"x":[1]}}'
"""A payment as PayMaster returns it, with a field that a later release of it may have."""
