"""How PayMaster is reached: one connection for each request, and one deadline for all of a call.

A socket's own time-out starts again with every byte; these connections end with the call. Each request comes after a
`begin_call` in its thread.
"""

from __future__ import annotations

import http.client
import io
import time
from contextvars import ContextVar
from typing import Any

import urllib3

_deadline: ContextVar[tuple[float, float]] = ContextVar("deadline")
_connected: ContextVar[bool] = ContextVar("connected")


def open_pool(proxy: str | None, proxy_headers: dict[str, str], **options: Any) -> urllib3.PoolManager:
    """Connections as `urllib3.PoolManager` makes them with these options, each for one request."""
    pool = (
        urllib3.PoolManager(**options)
        if proxy is None
        else urllib3.ProxyManager(proxy, proxy_headers=proxy_headers, **options)
    )
    pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
    return pool


def begin_call(deadline: float, answer_s: float) -> None:
    """The requests of this thread end by `deadline`, on the monotonic clock, from now on.

    An answer to a request that was sent has `answer_s` seconds in any case.
    """
    _deadline.set((deadline, answer_s))
    _connected.set(False)


def was_connected() -> bool:
    """Whether the call had its connection, including TLS. Before that its request was certainly not sent."""
    return _connected.get()


class _UntilDeadline(io.RawIOBase):
    """A socket's bytes until the call's deadline: the socket's own time-out starts again with every byte."""

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw = raw
        self._sock = sock
        self._pace: float | None = sock.gettimeout()
        deadline, least = _deadline.get()
        if not _connected.get() and self._pace is not None:  # a proxy's answer: part of connecting
            self._deadline = time.monotonic() + self._pace
        else:
            # However long dead addresses took: the answer to a request that was sent still gets its time.
            self._deadline = max(deadline, time.monotonic() + least)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("the answer came too slowly")
        self._sock.settimeout(left if self._pace is None else min(left, self._pace))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Answer(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_UntilDeadline(self.fp.detach(), sock))


class _PlainConnection(urllib3.connection.HTTPConnection):
    response_class = _Answer

    def connect(self) -> None:
        super().connect()
        _connected.set(True)


class _TlsConnection(urllib3.connection.HTTPSConnection):
    response_class = _Answer

    def connect(self) -> None:
        super().connect()
        _connected.set(True)


class _OnceEach:
    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.close()
        super()._put_conn(conn)  # type: ignore[misc]


class _PlainPool(_OnceEach, urllib3.HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(_OnceEach, urllib3.HTTPSConnectionPool):
    ConnectionCls = _TlsConnection
