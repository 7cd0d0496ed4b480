"""TLS in front of a simulated PayMaster, as in front of the real one; inside it are the simulator's own bytes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit


class TlsFront:
    """A TLS endpoint on a port of this machine that passes everything on to a plain one.

        with PayMasterSimulator() as bank, TlsFront(bank.base_url, "server.pem") as front:
            client = PayMaster(front.base_url, ..., ca_file="ca.pem")

    Args:
        backend: the plain address, as `PayMasterSimulator.base_url`.
        certificate: PEM file of the private key and the certificate chain.
        name: the host's name in `base_url`; must lead to this machine.

    Attributes:
        handshakes: how many were made.
    """

    def __init__(self, backend: str, certificate: str | Path, *, name: str = "localhost") -> None:
        parts = urlsplit(backend)
        self._backend = str(parts.hostname), int(parts.port or 80)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._name = name
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="paymaster-tls", daemon=True)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self.handshakes = 0

    @property
    def base_url(self) -> str:
        """Where the API is."""
        return f"https://{self._name}:{self._listener.getsockname()[1]}"

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(lambda loop, context: None)  # a lane that refuses the certificate hangs up
        async with await asyncio.start_server(self._accept, sock=self._listener, ssl=self._context):
            await self._stop.wait()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.handshakes += 1
        with contextlib.suppress(OSError):
            backend = await asyncio.open_connection(*self._backend)
            await asyncio.gather(_pass_on(reader, backend[1]), _pass_on(backend[0], writer))

    def close(self) -> None:
        """Stop. May be called twice."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(5.0)
        self._listener.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the end or a reset, which is passed on too."""
    with contextlib.suppress(OSError, ssl.SSLError):
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            writer.transport.abort()
            raise
        writer.close()
