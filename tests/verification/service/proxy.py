"""A proxy between till and service that loses, doubles, delays and slows down requests and answers.

It knows nothing of the protocol but where a request ends. One request a connection.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from random import Random

FAULTS = (
    "dropped",  # before the service has it
    "answer dropped",
    "doubled",  # both at once
    "repeated later",
    "delayed",
    "answered late",  # when the till has given up
    "octet by octet",
    "answer octet by octet",
    "cut in the middle",
)
_SLOW_S = 0.002
_LATE_S = 4.5
_LINE_S = 60.0


class Proxy:
    """Listens on a port of its own; `port` is where. Use as a context manager.

    Args:
        upstream: port of the service.
        choose: what happens to the n-th request (from 1): one of `FAULTS`, or "" for nothing.
        random: for how long, where.
    """

    def __init__(self, upstream: int, choose: Callable[[int], str], random: Random) -> None:
        self._upstream = upstream
        self._choose = choose
        self._random = random
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = int(self._listening.getsockname()[1])
        self.faults: Counter[str] = Counter()
        self.requests = 0
        self._mutex = threading.Lock()

    def __enter__(self) -> Proxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(line,), daemon=True).start()

    def _serve(self, line: socket.socket) -> None:
        with line, contextlib.suppress(OSError):
            line.settimeout(_LINE_S)
            request = _whole_request(line)
            if request is None:
                return
            with self._mutex:
                self.requests += 1
                fault = self._choose(self.requests)
                wait = self._random.uniform(0.1, 1.5)
                if fault:
                    self.faults[fault] += 1
            self._pass(line, request, fault, wait)

    def _pass(self, line: socket.socket, request: bytes, fault: str, wait: float) -> None:
        match fault:
            case "":
                line.sendall(self._forward(request))
            case "dropped":
                pass
            case "answer dropped":
                self._forward(request)
            case "doubled":
                copy = threading.Thread(target=self._quietly, args=(request,), daemon=True)
                copy.start()
                line.sendall(self._forward(request))
            case "repeated later":
                line.sendall(self._forward(request))
                line.close()
                time.sleep(wait)
                self._quietly(request)
            case "delayed":
                time.sleep(wait)
                line.sendall(self._forward(request))
            case "answered late":
                answer = self._forward(request)
                time.sleep(_LATE_S)
                line.sendall(answer)
            case "octet by octet":
                line.sendall(self._forward(request, slowly=True))
            case "answer octet by octet":
                for octet in self._forward(request):
                    line.sendall(bytes([octet]))
                    time.sleep(_SLOW_S)
            case "cut in the middle":
                with self._service() as service:
                    service.sendall(request[: len(request) // 2])

    def _service(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._upstream), timeout=_LINE_S)

    def _quietly(self, request: bytes) -> None:
        with contextlib.suppress(OSError):
            self._forward(request)

    def _forward(self, request: bytes, *, slowly: bool = False) -> bytes:
        with self._service() as service:
            if slowly:
                for octet in request:
                    service.sendall(bytes([octet]))
                    time.sleep(_SLOW_S)
            else:
                service.sendall(request)
            answer = b""
            while data := service.recv(65_536):
                answer += data
            return answer


def _whole_request(line: socket.socket) -> bytes | None:
    data = b""
    while b"\r\n\r\n" not in data:
        if not (more := line.recv(65_536)):
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    length = re.search(rb"(?i)content-length: (\d+)", head)
    while length is not None and len(body) < int(length[1]):
        if not (more := line.recv(65_536)):
            return None
        body += more
    return head + b"\r\n\r\n" + body
