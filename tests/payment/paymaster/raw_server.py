"""A server that answers as no bank should: with given octets."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Sequence


class RawServer:
    """Reads one request whole, answers with given octets, in pieces, then closes.

    `script` sets whole answers for one request after the other instead; the last one is for all that follow. `requests`
    has what came: the first line, the headers by their names as sent, and the body.

    Octets of a request left unread would make the close a reset, which may take the answer with it.
    """

    def __init__(self, *pieces: bytes, pause_s: float = 0.0, hold: bool = False) -> None:
        self.connections = 0
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
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
            self.connections += 1
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
    def _read_request(wire_: socket.socket) -> tuple[str, dict[str, str], bytes]:
        with wire_.makefile("rb") as request:
            first, headers = request.readline().decode().rstrip(), {}
            while (line := request.readline()) not in (b"\r\n", b""):
                name, _, value = line.decode().rstrip().partition(": ")
                headers[name] = value
            return first, headers, request.read(int(headers.get("Content-Length", "0")))

    def close(self) -> None:
        self._stop.set()
        self._listener.close()


def http(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    head = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(head).encode() + body
