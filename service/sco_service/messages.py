"""What passes between the HTTP server and the resources: a request, and one of three answers. Plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Request:
    """A whole request.

    Attributes:
        method, path, query: of the request line; the path and the query as they came, percent-encoded.
        headers: by lower-case name; several of one name are joined by commas.
        body: at most as long as the server's limit.
        peer: the client's address.
        secure: whether it came over TLS.
    """

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes
    peer: str
    secure: bool = False


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Later:
    """An answer that is not there yet. While it waits, the client costs a socket and no thread.

    Attributes:
        poll: the answer, or None; called after each `Server.wake`.
        until: monotonic time, in s, at which the client has waited long enough.
        at_end: the answer then.
        counted: whether it is one of the waiting clients that are bounded, and refused above the bound; not for what
            must be answered, since it was done or may have been.
    """

    poll: Callable[[], Response | None]
    until: float
    at_end: Callable[[], Response]
    counted: bool = True


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer without an end: server-sent events.

    Attributes:
        poll: the next bytes, or none; called after each `Server.wake`.
        content_type, headers: of the answer.
        heartbeat: sent when nothing else was for a while, so that a vanished client is noticed.
    """

    poll: Callable[[], bytes]
    content_type: str = "text/event-stream"
    headers: tuple[tuple[str, str], ...] = ()
    heartbeat: bytes = field(default=b": still here\n\n")


Answer = Response | Later | Stream
Handler = Callable[[Request], Answer]
