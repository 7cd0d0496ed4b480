"""An HTTP/1.1 server for a few clients on a lane: h11 on plain sockets.

One thread moves all bytes and never blocks; a few worker threads, started when they are needed, call the handler. A
client that is idle, slow, or waits for an event holds a socket and no thread. Everything that a client can make grow is
bounded: connections, heads, bodies, waiting clients, unread output, and the time for each. This module knows nothing of
payments.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import queue
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

import h11

from sco_service.messages import Answer, Handler, Later, Request, Response, Stream

if TYPE_CHECKING:
    import ssl

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client can make the server hold, and for how long."""

    connections: int = 64
    waiting: int = 32
    workers: int = 4
    queued: int = 64
    head_bytes: int = 16_384
    body_bytes: int = 131_072
    pipelined_bytes: int = 65_536
    request_s: float = 10.0  # from a request's first byte to its last
    idle_s: float = 60.0  # between two requests
    write_s: float = 20.0  # without any byte of output taken
    linger_s: float = 2.0  # for a client to read a refusal while it is still sending
    heartbeat_s: float = 15.0


class _State(Enum):
    IDLE = "idle"  # between two requests
    READING = "reading"
    WORKING = "working"  # the handler has the request
    WAITING = "waiting"  # the answer is not there yet
    STREAMING = "streaming"
    CLOSING = "closing"  # the last output goes out
    DRAINING = "draining"  # output is out; what still comes in is thrown away


_EVICTED = (_State.IDLE, _State.READING, _State.CLOSING, _State.DRAINING)
_READ = 65_536


class _Connection:
    __slots__ = (
        "again", "body", "eof", "later", "mask", "out", "peer", "polling", "protocol", "request", "since", "socket",
        "state", "streamed_at", "written_at",
    )  # fmt: skip

    def __init__(self, connected: socket.socket, peer: str, now: float, head_bytes: int) -> None:
        self.socket = connected
        self.peer = peer
        self.protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=head_bytes)
        self.state = _State.IDLE
        self.since = now
        self.written_at = now
        self.streamed_at = now
        self.out = bytearray()
        self.request: h11.Request | None = None
        self.body = bytearray()
        self.later: Later | Stream | None = None
        self.polling = False  # a worker looks for the answer
        self.again = False  # something changed meanwhile
        self.eof = False
        self.mask = selectors.EVENT_READ


class Server:
    """Serves one address.

    Args:
        listening: a bound and listening socket.
        handler: answers a request, in a worker thread.
        problem: the answer to what is not a request, by the problem's code.
        tls: for a connection that is not to be plain.
        limits: see `Limits`.

    Attributes:
        counts: answers by status, `connections`, `refused` connections: for metrics.
    """

    def __init__(
        self,
        listening: socket.socket,
        handler: Handler,
        problem: Callable[[str], Response],
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._listening = listening
        self._handler = handler
        self._problem = problem
        self._tls = tls
        self._limits = limits or Limits()
        self._selector = selectors.DefaultSelector()
        self._ours, self._wakers = socket.socketpair()
        self._ours.setblocking(False)
        self._wakers.setblocking(False)
        self._connections: set[_Connection] = set()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._results: deque[tuple[_Connection, Any]] = deque()
        self._workers: list[threading.Thread] = []
        self._busy = 0  # jobs that were handed out and not taken back
        self._changed = False
        self._woken_at = 0.0
        self._closing = threading.Event()
        self._paused_until = 0.0
        self._thread: threading.Thread | None = None
        self.counts: dict[str, int] = {}
        self.turned_at = time.monotonic()

    # --- from any thread --------------------------------------------------------------------------------------

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    @property
    def connected(self) -> int:
        """How many connections there are."""
        return len(self._connections)

    @property
    def waiting(self) -> int:
        """How many clients wait for an answer or an event."""
        waiting = [one.later for one in list(self._connections)]
        return sum(1 for one in waiting if isinstance(one, Stream) or (one is not None and one.counted))

    def start(self) -> None:
        """Begin to serve."""
        self._listening.setblocking(False)
        self._selector.register(self._listening, selectors.EVENT_READ, None)
        self._selector.register(self._ours, selectors.EVENT_READ, self)
        self._thread = threading.Thread(target=self._run, name="sco-http", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something changed that a waiting client may wait for."""
        if not self._changed:
            self._woken_at = time.monotonic()
            self._changed = True
            self._interrupt()

    def stalled_for_s(self) -> float:
        """For how long the server's own loop has not answered a `wake`."""
        return time.monotonic() - max(self.turned_at, self._woken_at) if self._changed else 0.0

    def close(self) -> None:
        """Answer those who wait, let output go out for a moment, then close all."""
        self._closing.set()
        self._interrupt()
        if self._thread is not None:
            self._thread.join(self._limits.linger_s + 1.0)
        for _ in self._workers:
            self._jobs.put(None)

    def _interrupt(self) -> None:
        with contextlib.suppress(OSError):  # a full pipe wakes as well
            self._wakers.send(b"\0")

    # --- the loop ---------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            while not self._closing.is_set():
                self._turn(self._timeout())
            self._end()
        except Exception:
            log.exception("the HTTP server failed")
        finally:
            for connection in list(self._connections):
                self._drop(connection)
            for one in (self._listening, self._ours, self._wakers):
                one.close()
            self._selector.close()

    def _turn(self, timeout: float | None) -> None:
        for key, mask in self._selector.select(timeout):
            self.turned_at = time.monotonic()
            if key.data is None:
                self._accept()
            elif key.data is self:
                with contextlib.suppress(OSError):
                    self._ours.recv(4096)
            else:
                self._guarded(key.data, self._serve, mask)
        self.turned_at = time.monotonic()
        while self._results:
            connection, result = self._results.popleft()
            self._busy -= 1
            if connection in self._connections:
                self._guarded(connection, self._take, result)
        if self._changed:
            self._changed = False
            for connection in list(self._connections):
                if connection.later is not None:
                    self._guarded(connection, self._poll)
        self._sweep()

    def _end(self) -> None:
        """The listening socket is closed first: a client of a service that stops must not wait for an answer."""
        if not self._paused_until:
            self._selector.unregister(self._listening)
        self._paused_until = 0.0
        self._listening.close()
        until = time.monotonic() + self._limits.linger_s
        for connection in list(self._connections):
            if isinstance(connection.later, Later):
                self._guarded(connection, self._finish_waiting)
            elif connection.state in (_State.IDLE, _State.STREAMING):
                self._drop(connection)
        while self._connections and time.monotonic() < until:
            self._turn(0.1)
            for connection in list(self._connections):
                if connection.state is _State.IDLE and not connection.out:
                    self._drop(connection)

    def _guarded(self, connection: _Connection, call: Callable[..., None], *arguments: Any) -> None:
        """Whatever goes wrong with one connection does not affect the others."""
        try:
            call(connection, *arguments)
        except OSError:
            self._drop(connection)
        except h11.LocalProtocolError:
            self._drop(connection)
        except Exception:
            log.exception("a connection failed in an unforeseen way")
            self._drop(connection)

    def _timeout(self) -> float | None:
        """Until something is due; None while there are no connections."""
        if self._results or self._changed:
            return 0.0
        dues = [due for one in self._connections if (due := self._due(one)) is not None]
        if self._paused_until:
            dues.append(self._paused_until)
        return max(0.0, min(dues) - time.monotonic()) if dues else None

    def _due(self, connection: _Connection) -> float | None:
        limits = self._limits
        if connection.out:
            return connection.written_at + limits.write_s
        match connection.state:
            case _State.IDLE:
                return connection.since + limits.idle_s
            case _State.READING:
                return connection.since + limits.request_s
            case _State.WAITING:
                assert isinstance(connection.later, Later)
                return None if connection.polling else connection.later.until
            case _State.STREAMING:
                return connection.streamed_at + limits.heartbeat_s
            case _State.WORKING:
                return None
            case _:
                return connection.since + limits.linger_s

    def _sweep(self) -> None:
        now = time.monotonic()
        if self._paused_until and now >= self._paused_until:
            self._paused_until = 0.0
            self._selector.register(self._listening, selectors.EVENT_READ, None)
        for connection in [one for one in self._connections if (due := self._due(one)) is not None and due <= now]:
            if connection.out or connection.state in (_State.IDLE, _State.CLOSING, _State.DRAINING):
                self._drop(connection)
            elif connection.state is _State.READING:
                self._guarded(connection, self._refuse, "timeout")
            elif connection.state is _State.WAITING:
                self._guarded(connection, self._finish_waiting)
            else:
                self._guarded(connection, self._beat)

    # --- connections ------------------------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            try:
                connected, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    log.error("no more connections: %s", error.strerror)
                    self._selector.unregister(self._listening)  # it would be reported as ready all the time
                    self._paused_until = time.monotonic() + 1.0
                return
            self._admit(connected, str(address[0]))

    def _admit(self, connected: socket.socket, peer: str) -> None:
        full = len(self._connections) >= self._limits.connections and not self._evict()
        if full and len(self._connections) >= self._limits.connections + 8:
            connected.close()
            return
        try:
            connected.setblocking(False)
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # for a client that vanished: TCP would repeat heartbeats, and keep its place, for a quarter of an hour
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(self._limits.write_s * 1000))
            if self._tls is not None:
                connected = self._tls.wrap_socket(connected, server_side=True, do_handshake_on_connect=False)
        except OSError:
            connected.close()
            return
        connection = _Connection(connected, peer, time.monotonic(), self._limits.head_bytes)
        self._connections.add(connection)
        self._selector.register(connected, connection.mask, connection)
        self._count("connections")
        if full:
            self._count("refused")
            self._guarded(connection, self._refuse, "too_many_connections")

    def _evict(self) -> bool:
        """Make room: close the one that has been idle, in a request, or at an unread last answer, for longest.

        However young that one is: a client that sends a whole request at once gets its answer among any number of
        clients that do not.
        """
        silent = [one for one in self._connections if one.state in _EVICTED]
        if not silent:
            return False
        self._drop(min(silent, key=lambda one: one.since))
        return True

    def _drop(self, connection: _Connection) -> None:
        if connection not in self._connections:
            return
        self._connections.discard(connection)
        connection.later = None
        with contextlib.suppress(KeyError, ValueError, OSError):
            self._selector.unregister(connection.socket)
        connection.socket.close()

    def _want(self, connection: _Connection, mask: int) -> None:
        """Be called for these events from now on."""
        before = connection.mask
        if mask == before or connection not in self._connections:
            return
        connection.mask = mask
        if not before:
            self._selector.register(connection.socket, mask, connection)
        elif mask:
            self._selector.modify(connection.socket, mask, connection)
        else:
            self._selector.unregister(connection.socket)

    def _serve(self, connection: _Connection, mask: int) -> None:
        if mask & selectors.EVENT_WRITE or connection.out:  # TLS may have to read before it can write
            self._flush(connection)
        if mask & selectors.EVENT_READ and connection in self._connections:
            self._read(connection)

    def _read(self, connection: _Connection) -> None:
        while connection in self._connections and not connection.eof:
            try:
                data = connection.socket.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return
            except OSError as error:
                if _is(error, "SSLWantReadError"):
                    return
                if _is(error, "SSLWantWriteError"):
                    self._want(connection, selectors.EVENT_READ | selectors.EVENT_WRITE)
                    return
                raise
            self._received(connection, data)
            if self._tls is None or len(data) == 0:
                return

    def _received(self, connection: _Connection, data: bytes) -> None:
        if not data:
            connection.eof = True
            if connection.state in (_State.WORKING, _State.CLOSING):  # it may have closed its own side only
                return self._want(connection, selectors.EVENT_WRITE if connection.out else 0)
            return self._drop(connection)
        if connection.state is _State.DRAINING or connection.state is _State.CLOSING:
            return None
        if connection.state is _State.IDLE:
            connection.state, connection.since = _State.READING, time.monotonic()
        connection.protocol.receive_data(data)
        if connection.state is _State.READING:
            return self._advance(connection)
        if len(connection.protocol.trailing_data[0]) > self._limits.pipelined_bytes:
            return self._drop(connection)
        return None

    # --- a request --------------------------------------------------------------------------------------------

    def _advance(self, connection: _Connection) -> None:
        """Take from what came in, up to the end of one request."""
        while connection.state is _State.READING:
            try:
                event = connection.protocol.next_event()
            except h11.RemoteProtocolError as error:
                status = error.error_status_hint
                return self._refuse(connection, "head_too_large" if status == 431 else "bad_request")
            if event is h11.NEED_DATA:
                if connection.protocol.they_are_waiting_for_100_continue:
                    go_on = h11.InformationalResponse(status_code=100, headers=[])
                    self._send(connection, connection.protocol.send(go_on))
                return None
            if isinstance(event, h11.Request):
                connection.request = event
                connection.body.clear()
                if _size(event) > self._limits.head_bytes:  # h11 measures only what has not come whole
                    return self._refuse(connection, "head_too_large")
                if self._declared(event) > self._limits.body_bytes:
                    return self._refuse(connection, "body_too_large")
            elif isinstance(event, h11.Data):
                connection.body += event.data
                if len(connection.body) > self._limits.body_bytes:
                    return self._refuse(connection, "body_too_large")
            elif isinstance(event, h11.EndOfMessage):
                return self._dispatch(connection)
            else:
                return self._drop(connection)
        return None

    @staticmethod
    def _declared(request: h11.Request) -> int:
        for name, value in request.headers:
            if name == b"content-length":
                return int(value)
        return 0

    def _dispatch(self, connection: _Connection) -> None:
        assert connection.request is not None
        path, _, query = connection.request.target.decode("latin-1").partition("?")
        headers: dict[str, str] = {}
        for raw_name, raw_value in connection.request.headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        request = Request(
            connection.request.method.decode("latin-1"),
            path,
            query,
            headers,
            bytes(connection.body),
            connection.peer,
            self._tls is not None,
        )
        connection.body.clear()
        connection.state = _State.WORKING
        if self._busy >= self._limits.queued:
            return self._refuse(connection, "too_many_connections")
        return self._work(connection, lambda: self._handler(request))

    def _work(self, connection: _Connection, call: Callable[[], Any]) -> None:
        """Let a worker do it, later where all are busy: what the handler has begun is never refused for that."""

        def job() -> None:
            try:
                result: Any = call()
            except Exception:
                log.exception("a request failed in an unforeseen way")
                result = self._problem("internal")
            self._results.append((connection, result))
            self._interrupt()

        self._busy += 1
        self._jobs.put(job)
        if self._busy > len(self._workers) and len(self._workers) < self._limits.workers:
            worker = threading.Thread(target=self._serve_jobs, name="sco-http-worker", daemon=True)
            try:
                worker.start()
            except RuntimeError as error:
                log.error("no thread for a request: %s", error)
                if not self._workers:
                    self._serve_one()
            else:
                self._workers.append(worker)

    def _serve_jobs(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job  # it holds the request, and the worker waits for long

    def _serve_one(self) -> None:
        job = self._jobs.get()
        if job is not None:
            job()

    # --- an answer --------------------------------------------------------------------------------------------

    def _take(self, connection: _Connection, result: Any) -> None:
        """What a worker has found, for a request or for one that waits."""
        connection.polling = False
        if isinstance(result, Later | Stream):
            self._begin_waiting(connection, result)
        elif isinstance(result, Response):
            if connection.state in (_State.WORKING, _State.WAITING):
                connection.later = None
                self._respond(connection, result)
            else:
                self._drop(connection)  # a stream that failed
        elif connection.state is _State.STREAMING and isinstance(result, bytes):
            if result:
                self._stream(connection, result)
                connection.again = True  # there may be more
            if connection.again:
                self._poll(connection)
        elif connection.state is _State.WAITING and connection.again:
            self._poll(connection)

    def _begin_waiting(self, connection: _Connection, later: Answer) -> None:
        assert isinstance(later, Later | Stream)
        bounded = isinstance(later, Stream) or later.counted
        if bounded and (self._closing.is_set() or self.waiting >= self._limits.waiting):
            return self._refuse(connection, "too_many_connections")
        if connection.eof:
            return self._drop(connection)
        connection.later, connection.since = later, time.monotonic()
        connection.again = False
        if isinstance(later, Later) and self._closing.is_set():
            return self._finish_waiting(connection)
        if isinstance(later, Stream):
            connection.state = _State.STREAMING
            connection.streamed_at = time.monotonic()
            head = h11.Response(
                status_code=200,
                headers=[("Content-Type", later.content_type), *later.headers],
            )
            self._count("200")
            self._send(connection, connection.protocol.send(head))
        else:
            connection.state = _State.WAITING
        return self._poll(connection)

    def _poll(self, connection: _Connection) -> None:
        """Let a worker look whether there is an answer now."""
        later = connection.later
        if later is None:
            return
        if connection.polling or connection.out:  # one at a time, and none for a client that does not read
            connection.again = True
            return
        connection.polling, connection.again = True, False
        self._work(connection, later.poll)

    def _finish_waiting(self, connection: _Connection) -> None:
        assert isinstance(connection.later, Later)
        later, connection.later = connection.later, None
        connection.polling, connection.state = False, _State.WORKING
        self._work(connection, later.at_end)

    def _beat(self, connection: _Connection) -> None:
        assert isinstance(connection.later, Stream)
        self._stream(connection, connection.later.heartbeat)

    def _stream(self, connection: _Connection, data: bytes) -> None:
        connection.streamed_at = time.monotonic()
        self._send(connection, connection.protocol.send(h11.Data(data=data)))

    def _refuse(self, connection: _Connection, code: str) -> None:
        """Answer what cannot be served, and close."""
        connection.later = None
        if connection.protocol.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            response = self._problem(code)
            self._respond(connection, response, close=True)
        else:
            self._drop(connection)

    def _respond(self, connection: _Connection, response: Response, *, close: bool = False) -> None:
        protocol = connection.protocol
        headers = [
            ("Content-Length", str(len(response.body))),
            *([("Content-Type", response.content_type)] if response.body else []),
            *response.headers,
            *([("Connection", "close")] if close or connection.eof or self._closing.is_set() else []),
        ]
        self._count(str(response.status))
        is_head = connection.request is not None and connection.request.method == b"HEAD"
        out = protocol.send(h11.Response(status_code=response.status, headers=headers)) or b""
        if response.body and not is_head:
            out += protocol.send(h11.Data(data=response.body)) or b""
        out += protocol.send(h11.EndOfMessage()) or b""
        connection.request = None
        connection.since = time.monotonic()
        unread = protocol.their_state not in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)
        if protocol.our_state is h11.MUST_CLOSE or close or unread:
            connection.state = _State.CLOSING
            self._send(connection, out)
            return
        protocol.start_next_cycle()
        connection.state = _State.IDLE
        self._send(connection, out)
        if connection in self._connections and protocol.trailing_data[0]:
            connection.state = _State.READING
            self._advance(connection)

    def _send(self, connection: _Connection, data: bytes | None) -> None:
        if data:
            if not connection.out:
                connection.written_at = time.monotonic()
            connection.out += data
        self._flush(connection)

    def _flush(self, connection: _Connection) -> None:
        needed = selectors.EVENT_WRITE
        while connection.out:
            try:
                sent = connection.socket.send(connection.out)
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if _is(error, "SSLWantReadError"):  # its handshake has not come yet
                    needed = 0
                    break
                if _is(error, "SSLWantWriteError"):
                    break
                raise
            connection.written_at = time.monotonic()
            del connection.out[:sent]
        if connection.out:
            self._want(connection, (0 if connection.eof else selectors.EVENT_READ) | needed)
            return
        if connection.state is _State.CLOSING:
            self._linger(connection)
        elif connection.eof:
            if connection.state is not _State.WORKING:
                self._drop(connection)
        else:
            self._want(connection, selectors.EVENT_READ)
            if connection.state is _State.STREAMING and connection.again and not connection.polling:
                self._poll(connection)

    def _linger(self, connection: _Connection) -> None:
        """A client that is still sending would lose the answer if its data met a closed socket."""
        if connection.eof or self._tls is not None:
            return self._drop(connection)
        connection.state, connection.since = _State.DRAINING, time.monotonic()
        self._want(connection, selectors.EVENT_READ)
        connection.socket.shutdown(socket.SHUT_WR)
        return None

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


def _size(request: h11.Request) -> int:
    return len(request.target) + sum(len(name) + len(value) + 4 for name, value in request.headers)


def _is(error: OSError, *names: str) -> bool:
    """Whether it is one of ssl's errors by name: without TLS that module is not needed here."""
    return type(error).__name__ in names
