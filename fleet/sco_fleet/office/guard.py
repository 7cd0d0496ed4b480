"""What guards every page: headers that keep it to itself, and an end to what a client may send."""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


def bounded(receive: Receive, largest: int, within_s: float) -> Receive:
    """The request's body, as long as it is not too long and is there in time, counted from where it is first read."""
    seen = 0
    due: float | None = None
    ended = False

    async def received() -> Message:
        nonlocal seen, due, ended
        if ended:  # what comes now is that the client has gone
            return await receive()
        if due is None:
            due = asyncio.get_running_loop().time() + within_s
        try:
            async with asyncio.timeout_at(due):
                message = await receive()
        except TimeoutError:
            raise HTTPException(408) from None
        seen += len(message.get("body", b""))
        if seen > largest:
            raise HTTPException(413)
        ended = not message.get("more_body", False)
        return message

    return received


class SafeHeaders:
    """Puts the headers on every answer that keep a page to itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def safe(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
                if scope.get("scheme") == "https":
                    headers["Strict-Transport-Security"] = "max-age=31536000"
            await send(message)

        await self._app(scope, receive, safe if scope["type"] == "http" else send)
