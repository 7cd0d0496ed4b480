"""What all routes of the lanes share: answers, errors, bodies of bounded length, and who asks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, TypeVar

import msgspec
from psycopg import Connection
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sco_fleet import lanes
from sco_fleet.pool import NO_ANSWER, NO_CONNECTION, UNAVAILABLE, Pool, report

BODY_WITHIN_S = 30.0
"""How long a body may take to come."""
TURN_WITHIN_S = 10.0
"""How long a request waits for its turn: less than a lane waits for its answer."""
A = TypeVar("A")


class Problem(Exception):
    """An answer that is an error: its status, code and message."""

    def __init__(self, status: int, code: str, message: str, wait_s: int | None = None, **details: Any) -> None:
        super().__init__(message)
        self.status, self.code, self.wait_s, self.details = status, code, wait_s, details

    def response(self) -> Response:
        """As JSON."""
        body = {"error": {"code": self.code, "message": str(self), **self.details}}
        headers = {} if self.wait_s is None else {"Retry-After": str(self.wait_s)}
        if self.status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return answer(body, self.status, headers)


def answer(body: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON object."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return Response(data, status, headers, media_type="application/json")


def unavailable(message: str) -> Problem:
    """Come again, not all at once."""
    return Problem(503, "unavailable", message, wait_s=random.randint(5, 30))  # noqa: S311


async def with_database(request: Request, work: Callable[[Connection[Any]], A]) -> A:
    """The result of `work`, which gets a connection in autocommit mode, in a thread. Raises Problem."""
    pool: Pool = request.app.state.pool

    def run() -> A:
        with pool.connection() as db:
            return work(db)

    try:
        return await run_in_threadpool(run)
    except NO_CONNECTION:  # not in the log: all lanes meet it at once
        raise unavailable(NO_ANSWER) from None
    except UNAVAILABLE as error:
        raise unavailable(report(error)) from None


async def lane_of(request: Request) -> str:
    """The lane whose token the request carries. Raises Problem."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        raise Problem(401, "no_token", "send the lane's token: Authorization: Bearer TOKEN")
    lane_id = await with_database(request, lambda db: lanes.authenticate(db, token.strip()))
    if lane_id is None:
        raise Problem(401, "bad_token", "unknown or replaced token, or the lane is disabled")
    return lane_id


async def read_body(request: Request, max_bytes: int) -> bytes:
    """The body, inflated; at most `max_bytes`, packed and inflated. Raises Problem."""
    return (await read_packed(request, max_bytes))()


async def read_packed(request: Request, max_bytes: int) -> Callable[[], bytes]:
    """The body as it came, in what inflates it: see `read_body`."""
    encoding = request.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise Problem(415, "encoding", f"a body may be packed with gzip only, not {encoding[:40]!r}")
    data = bytearray()
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            async for block in request.stream():
                data += block
                if len(data) > max_bytes:
                    raise _too_large(max_bytes)
    except TimeoutError:
        raise Problem(408, "too_slow", f"the body took more than {BODY_WITHIN_S:.0f} s") from None
    except ClientDisconnect:
        raise Problem(400, "cut", "the body was cut") from None
    return lambda: _inflated(bytes(data), max_bytes) if encoding == "gzip" else bytes(data)


@contextlib.asynccontextmanager
async def turn(turns: asyncio.Semaphore) -> AsyncIterator[None]:
    """One of a few at a time. Raises Problem: no turn came soon."""
    try:
        async with asyncio.timeout(TURN_WITHIN_S):
            await turns.acquire()
    except TimeoutError:
        raise unavailable("the server is busy") from None
    try:
        yield
    finally:
        turns.release()


def _inflated(data: bytes, max_bytes: int) -> bytes:
    packed = zlib.decompressobj(31)
    try:
        found = packed.decompress(data, max_bytes + 1)
    except zlib.error:
        raise Problem(422, "malformed", "the body is not gzip, or was cut") from None
    if len(found) > max_bytes:
        raise _too_large(max_bytes)
    if not packed.eof or packed.unused_data:
        raise Problem(422, "malformed", "the body is not one gzip member, or was cut")
    return found


def _too_large(max_bytes: int) -> Problem:
    return Problem(413, "too_large", f"a body is at most {max_bytes} bytes, packed and inflated")


def decoded(data: bytes, kind: type[A]) -> A:
    """The body as an object of `kind`. Raises Problem."""
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise Problem(422, "malformed", str(error)[:300]) from None
    except (RecursionError, UnicodeDecodeError):
        raise Problem(422, "malformed", "the body is not readable JSON") from None
