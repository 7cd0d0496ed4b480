"""Neva's API: one HTTP request for each call, each bounded in time as a whole."""

from __future__ import annotations

import http.client
import io
import json
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

MAX_ANSWER = 1024 * 1024
MAX_WAIT_S = 3600


class NotSent(Exception):
    """No connection: the request certainly did not reach Neva."""


class NoAnswer(Exception):
    """The request was sent, or may have been, and no usable answer came."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of Neva: HTTP status and the JSON object. `wait_s` is its Retry-After, 0 for none."""

    status: int
    data: Mapping[str, Any]
    wait_s: int = 0

    @property
    def error(self) -> str:
        """Neva's error code; empty for none."""
        return str(self.data.get("error", ""))


class Client:
    """Calls Neva.

    Args:
        base_url: https, or http to this machine.
        api_key: goes into each request, and into no message.
        timeout_s: for a whole call.
    """

    def __init__(self, base_url: str, api_key: str, timeout_s: float) -> None:
        parts = urlsplit(base_url)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host = str(parts.hostname)
        self._port = parts.port or (443 if self._tls else 80)
        self._key = api_key
        self._timeout_s = timeout_s

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, request_key: str | None = None
    ) -> Answer:
        """Send one request. Neva acts once on a `request_key`, however often the request arrives.

        Raises:
            NotSent, NoAnswer
        """
        deadline = time.monotonic() + self._timeout_s
        data = b"" if body is None else json.dumps(body, ensure_ascii=False).encode()
        lines = [
            f"{method} {path} HTTP/1.1", f"Host: {self._host}", f"X-Api-Key: {self._key}", "Accept: application/json",
            "Connection: close", f"Content-Length: {len(data)}",
            *(() if request_key is None else (f"X-Request-Key: {request_key}",)), "", "",
        ]  # fmt: skip
        with self._connected() as connection:
            try:
                connection.sendall("\r\n".join(lines).encode("ascii") + data)
                raw = _read(connection, deadline)
            except OSError as error:
                raise NoAnswer(f"the connection failed: {error.strerror or error}") from None
        return _parsed(raw)

    def _connected(self) -> socket.socket:
        try:
            connection = socket.create_connection((self._host, self._port), self._timeout_s)
        except OSError as error:
            raise NotSent(f"no connection to {self._host}: {error.strerror or error}") from None
        if self._tls is None:
            return connection
        try:
            return self._tls.wrap_socket(connection, server_hostname=self._host)
        except OSError as error:
            connection.close()
            raise NotSent(f"no TLS connection to {self._host}: {error.strerror or error}") from None


def _read(connection: socket.socket, deadline: float) -> bytes:
    """Everything until the server closes, or the deadline."""
    data = b""
    while True:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("no whole answer in time")
        connection.settimeout(left)
        piece = connection.recv(65536)
        if not piece:
            return data
        data += piece
        if len(data) > MAX_ANSWER:
            raise OSError("the answer is too long")


class _Received:
    """What http.client takes for a socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def _parsed(raw: bytes) -> Answer:
    response = http.client.HTTPResponse(_Received(raw))  # type: ignore[arg-type]
    try:
        response.begin()
        data = json.loads(response.read())
    except (http.client.HTTPException, ValueError, RecursionError, OSError) as error:
        raise NoAnswer(f"the answer cannot be read: {type(error).__name__}") from None
    if not isinstance(data, dict):
        raise NoAnswer("the answer cannot be read: it is not a JSON object")
    wait = response.getheader("Retry-After", "")
    seconds = int(wait) if wait.isascii() and wait.isdigit() and len(wait) < 9 else 0
    return Answer(response.status, data, min(seconds, MAX_WAIT_S))
