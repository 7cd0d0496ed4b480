"""The TCP side of the simulated PayMaster: connections that are reset in mid-request, and a port that refuses them."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from functools import partial

import uvicorn
from starlette.requests import Request
from uvicorn.protocols.http.h11_impl import H11Protocol


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to the port; 0 takes a free one. Raises OSError."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted sockets inherit it; asyncio sets it only where the protocol number is named, and without it each
    # answer waits some 40 ms for the client's delayed acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    return listener


class Wires:
    """The TCP connections of the server, by the peer's address, so that one can be reset in mid-request."""

    def __init__(self, offline: threading.Event) -> None:
        self.api_port = 0
        self._offline = offline
        self._refuses_until = 0.0
        self._listen: Callable[[], object] | None = None  # from any thread; while connections are refused
        self._transports: dict[tuple[str, int], asyncio.Transport] = {}

    def protocol(self) -> type[H11Protocol]:
        """uvicorn's HTTP/1.1 protocol, with the socket in reach."""
        wires = self

        class Wire(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
                super().connection_made(transport)
                on_api = transport.get_extra_info("sockname")[1] == wires.api_port
                if on_api and wires._offline.is_set():
                    transport.abort()
                elif on_api:
                    wires._transports[transport.get_extra_info("peername")[:2]] = transport

            def connection_lost(self, exc: Exception | None) -> None:
                super().connection_lost(exc)
                for peer in [peer for peer, known in wires._transports.items() if known is self.transport]:
                    del wires._transports[peer]

        return Wire

    def refuse(self, server: uvicorn.Server, until: float) -> None:
        """Stop listening for API connections. In the server's loop."""
        self._refuses_until = until
        loop, [api, *_] = asyncio.get_running_loop(), server.servers
        if api.sockets:
            address = api.sockets[0].getsockname()[:2]
            api.close()
            self._listen = lambda: asyncio.run_coroutine_threadsafe(self._listen_again(server, *address), loop)

    async def _listen_again(self, server: uvicorn.Server, host: str, port: int) -> None:
        config, state = server.config, server.lifespan.state
        protocol = partial(self.protocol(), config=config, server_state=server.server_state, app_state=state)
        loop = asyncio.get_running_loop()
        server.servers[0] = await loop.create_server(protocol, sock=listen(host, port), backlog=config.backlog)

    def listen_soon(self) -> None:
        """Refuse no connections any longer."""
        self._refuses_until = 0.0

    def listen_if_due(self, now: float) -> None:
        """Listen again, where the time to refuse connections is over. Not in the server's loop."""
        if self._listen is not None and now >= self._refuses_until:
            listen_again, self._listen = self._listen, None
            listen_again()

    def cut(self, request: Request) -> None:
        """Reset the connection of `request`: nothing more arrives."""
        assert request.client is not None
        transport = self._transports.get((request.client.host, request.client.port))
        if transport is not None:
            transport.abort()

    def is_cut(self, request: Request) -> bool:
        """Whether nothing can reach whoever sent `request`."""
        assert request.client is not None
        transport = self._transports.get((request.client.host, request.client.port))
        return transport is None or transport.is_closing()

    def cut_all(self) -> None:
        """Reset every connection of the API. From any thread."""
        for transport in list(self._transports.values()):
            loop = getattr(transport, "_loop", None)
            if loop is not None:
                loop.call_soon_threadsafe(transport.abort)
