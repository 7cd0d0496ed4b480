"""HTTP at the socket: a client that begins a request and does not end its headers is cut off.

uvicorn limits how long a connection may be idle between two requests, and not how long headers may take. How long a
body may take, `http.read_body` and `office.guard.bounded` limit.

asyncio leaves Nagle's algorithm on for sockets that uvicorn has bound itself. uvicorn writes headers and body one after
the other, so that each answer on a kept connection waited 40 ms for the client's delayed ACK.
"""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS_WITHIN_S = 15.0


class Protocol(H11Protocol):
    """uvicorn's own, with a limit on the time from the first byte, or from connecting, to the end of the headers."""

    _headers_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        line = transport.get_extra_info("socket")
        if line is not None and line.family in (socket.AF_INET, socket.AF_INET6):
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._wait_for_headers()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._headers_came()
        elif self._headers_due is None:
            self._wait_for_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        self._headers_came()
        super().connection_lost(exc)

    def _wait_for_headers(self) -> None:
        self._headers_due = self.loop.call_later(HEADERS_WITHIN_S, self.transport.abort)

    def _headers_came(self) -> None:
        if self._headers_due is not None:
            self._headers_due.cancel()
            self._headers_due = None
