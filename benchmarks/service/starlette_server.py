"""The peer: starlette and uvicorn in place of `sco_service.http.Server`. All else of the service is the same."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import starlette.requests
import starlette.responses
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.routing import Route

from sco_service import service
from sco_service.messages import Handler, Later, Request, Response

_METHODS = ["GET", "PUT", "POST"]


class StarletteServer:
    """As `sco_service.http.Server`, as far as a till needs it."""

    def __init__(
        self, listening: socket.socket, handler: Handler, problem: Callable[[str], Response], **unused: Any
    ) -> None:
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio leaves it out for such a socket
        self._handler = handler
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self.counts: dict[str, int] = {}
        self.connected = self.waiting = 0
        app = Starlette(routes=[Route("/{path:path}", self._answer, methods=_METHODS)])
        config = uvicorn.Config(app, log_level="error", http="h11", ws="none", lifespan="off", access_log=False)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [listening]}, daemon=True)

    def start(self) -> None:
        """Begin to serve."""
        self._thread.start()
        while not self._server.started:
            time.sleep(0.01)

    def wake(self) -> None:
        """Something changed that a waiting client may wait for."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._notify)

    def _notify(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def stalled_for_s(self) -> float:
        """Not measured."""
        return 0.0

    def close(self) -> None:
        """End."""
        self._server.should_exit = True
        self._thread.join(5)

    async def _answer(self, asked: starlette.requests.Request) -> starlette.responses.Response:
        self._loop = asyncio.get_running_loop()
        request = Request(
            asked.method, asked.url.path, asked.url.query, dict(asked.headers), await asked.body(), "127.0.0.1"
        )
        found = await run_in_threadpool(self._handler, request)
        if isinstance(found, Later):
            found = await self._later(found)
        assert isinstance(found, Response)
        headers = {"content-type": found.content_type, **dict(found.headers)}
        return starlette.responses.Response(found.body, found.status, headers)

    async def _later(self, later: Later) -> Response:
        while True:
            changed = self._changed  # before the look: what changes after it is noticed
            response = await run_in_threadpool(later.poll)
            if response is not None:
                return response
            try:
                await asyncio.wait_for(changed.wait(), max(0.0, later.until - time.monotonic()))
            except TimeoutError:
                return await run_in_threadpool(later.at_end)


@contextmanager
def by_starlette() -> Iterator[None]:
    """A `Service` that is made in this block has this server."""
    with mock.patch.object(service, "Server", StarletteServer):
        yield
