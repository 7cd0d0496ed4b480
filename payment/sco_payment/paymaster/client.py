"""PayMaster's client: one HTTP request for each call, no retry, no redirect, an exception for what each failure means.

The one exception: where PayMaster refuses the token, or the proxy the login, and its file has another one by now, the
request is sent once more with that. The refused one had no effect.

The time of a call is limited as a whole: a server that sends its headers or body byte by byte holds no call longer than
the connect and read time-outs together. In addition, each dead address of PayMaster's host may take one connect
time-out, so may a proxy's answer, and the resolver its own time: 10 s for each name server that does not answer, 2 s as
the lane's unit sets it. No connection is kept: one that died unnoticed would leave a cancellation, which is sent once,
without an answer. TLS is verified, through a proxy too, which sees no request; plain http goes to this machine only.
The environment's proxy variables are not used.
"""

from __future__ import annotations

import contextlib
import logging
import re
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    ReadTimeoutError,
)

from sco_payment.paymaster import transport, wire
from sco_payment.paymaster.errors import (
    BadRequest,
    ListTooLong,
    LoginRefused,
    NoAnswer,
    NotAuthorised,
    NotSent,
    PayMasterError,
    PaymentNotFound,
    RequestRefused,
    TooManyRequests,
)
from sco_payment.paymaster.token import ProxyLogin, Token, TokenError
from sco_payment.paymaster.wire import NewPayment, Payment, Sticker
from sco_payment.tls import client_context

log = logging.getLogger(__name__)

API = "/api/v2"
MAX_ANSWER = 4 * 1024 * 1024
"""Bytes. Longer answers are refused."""
MAX_PAGES = 100
"""Pages. Longer lists are refused."""
MAX_LIST_S = 60.0
"""Seconds after which no further page of a list is asked for."""
LONGEST_WAIT_S = 3600.0
"""Seconds. A longer Retry-After counts as this."""

_LONGEST_TEXT = 300
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BLOCK = 16 * 1024
_DIGITS = re.compile(r"[0-9]+")
_NOT_AUTHORISED = frozenset({"not_authorized", "payment_token_revoked", "payment_token_blocked"})
_OUR_FAULT = frozenset({"validation_error", "idempotency_key_violation"})

_TEXTS: tuple[tuple[type[Exception], str], ...] = (
    (ReadTimeoutError, "no answer in time"),
    (ProtocolError, "the connection was cut"),
)

_NOT_TUNNELLED = re.compile(r"Tunnel connection failed: (\d{3} .*)", re.DOTALL)
"""How http.client reports a proxy's refusal."""
_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""What a connection that ends in the handshake raises; which one depends on OpenSSL and Python (3.11.2 takes the bare
end of the stream for an orderly close: it sets SSL_OP_IGNORE_UNEXPECTED_EOF)."""

A = TypeVar("A")
S = TypeVar("S", Token, ProxyLogin)


class PayMaster:
    """The API v2 for one merchant. Can be used from several threads.

    Args:
        base_url: the service, e.g. https://paymaster.ru.
        token: the bearer token. One of `Token.from_file` is read again when PayMaster refuses it.
        merchant_id: from PayMaster's account page.
        connect_timeout_s, read_timeout_s: how long a connection, and a wait for data, may take.
        test_mode: ask for test payments.
        ca_file: PEM file of certificate authorities in place of the system's.
        proxy: `http://host:port` of a proxy that connects to PayMaster; None for a direct connection.
        proxy_login: what the proxy asks for. One of `ProxyLogin.from_file` is read again when the proxy refuses it.
        clock: the lane's clock, in s since the epoch.

    Raises:
        ValueError: the address is not https (http only to this machine), or the CA file or the proxy cannot be used.
    """

    clock_ahead_s: float | None = None
    """How far PayMaster's clock is ahead of the lane's at least, by its last answers, in s; None before the first. What
    an answer's time on the way explains is no difference."""

    def __init__(
        self,
        base_url: str,
        token: Token,
        merchant_id: str,
        *,
        connect_timeout_s: float = 3.0,
        read_timeout_s: float = 7.0,
        test_mode: bool = False,
        ca_file: str | None = None,
        proxy: str | None = None,
        proxy_login: ProxyLogin | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        parts = urlsplit(base_url)
        if not parts.hostname or parts.scheme not in ("https", "http"):
            raise ValueError(f"{base_url!r} is not an https address")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(f"{base_url!r}: plain http is allowed only to this machine; write https")
        self._base = base_url.rstrip("/") + API
        self._host, self._peer = parts.hostname, "PayMaster"
        self._clock = clock
        self._token = token
        self._proxy_login = proxy_login
        self._merchant_id = merchant_id
        self._test_mode = test_mode
        self._deadline_s = connect_timeout_s + read_timeout_s
        self._read_s = read_timeout_s
        self._timeout = urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s)
        options: dict[str, Any] = {
            "num_pools": 2,
            "maxsize": 4,
            "retries": False,
            "cert_reqs": "CERT_REQUIRED",
            # one for all connections: otherwise each would read the authorities again
            "ssl_context": client_context(ca_file) if parts.scheme == "https" else None,
        }
        if proxy is not None:
            self._host = _proxys_host(proxy, parts.scheme)
            self._peer = f"the proxy {urlsplit(proxy).netloc}"
        self._proxy, self._options = proxy, options
        self._pool = self._open_pool(proxy_login)

    def _open_pool(self, login: ProxyLogin | None) -> urllib3.PoolManager:
        headers = {} if login is None else {"Proxy-Authorization": login.header()}
        return transport.open_pool(self._proxy, headers, **self._options)

    def ask_for_the_time(self) -> None:
        """Compare the clocks: any answer says PayMaster's time. Without an answer nothing changes."""
        with contextlib.suppress(PayMasterError):
            self._with_login(lambda: self._exchange(self._token, "HEAD", "/", None, None))

    def create_payment(self, new: NewPayment, idempotency_key: str) -> Payment:
        """`POST /payments` for an SBP payment. The same `new` and key always return the same payment.

        Raises:
            PayMasterError: see its subclasses. Only after NotSent, RequestRefused, BadRequest, NotAuthorised and
                TooManyRequests was certainly nothing created; not even then after a violated key, or HTTP 409, 423 or
                425, since a gateway may repeat a request. ValueError: a key that is not allowed in a header.
        """
        if not idempotency_key or not idempotency_key.isascii() or not idempotency_key.isprintable():
            raise ValueError("an idempotency key is printable ASCII")
        body = wire.encode_payment(new, self._merchant_id, test_mode=self._test_mode)
        return self._call("POST", "/payments", wire.parse_payment, body=body, key=idempotency_key)

    def get_payment(self, payment_id: str) -> Payment:
        """`GET /payments/{id}`. Raises PayMasterError."""
        return self._call("GET", f"/payments/{_segment(payment_id)}", wire.parse_payment)

    def cancel_payment(self, payment_id: str) -> None:
        """`PUT /payments/{id}/cancel`. Returns when PayMaster has accepted it.

        Raises:
            PayMasterError: after RequestRefused it is not cancelled; after NoAnswer it may be.
        """
        path = f"/payments/{_segment(payment_id)}/cancel"
        self._call("PUT", path, lambda body: wire.parse_cancelled(body, payment_id))

    def list_payments(self, start: datetime, end: datetime, *, order_no: str | None = None) -> list[Payment]:
        """All payments created from `start` to `end` (aware), page by page.

        With `order_no`, items of other orders that cannot be read are skipped.

        Raises:
            PayMasterError: a page failed; ListTooLong where there are more than `MAX_PAGES`, or all of them took more
                than `MAX_LIST_S`. A list is never cut short.
        """
        query = {"merchantId": self._merchant_id, "start": wire.to_wire_time(start), "end": wire.to_wire_time(end)}
        found: list[Payment] = []
        seen: set[str] = set()
        until = time.monotonic() + MAX_LIST_S
        for _ in range(MAX_PAGES):
            if time.monotonic() > until:
                raise ListTooLong(f"PayMaster's list took more than {MAX_LIST_S:.0f} s and has further pages")
            page, cursor = self._call(
                "GET", "/payments?" + urlencode(query), lambda body: wire.parse_page(body, order_no)
            )
            found += page
            if cursor is None:
                return found
            if cursor in seen:
                raise NoAnswer(f"PayMaster's list repeats at cursor {cursor!r}")
            seen.add(cursor)
            query["cursor"] = cursor
        raise ListTooLong(f"PayMaster's list has more than {MAX_PAGES} pages")

    def create_sticker(self, *, description: str, purpose: str = "", cashlink: bool = True) -> Sticker:
        """`POST /stickers`: a static QR; with `cashlink`, one that takes the amount of the payment that arms it."""
        body = msgspec.json.encode(
            {
                "merchantId": self._merchant_id,
                "stickerType": "SBP",
                "cashlink": cashlink,
                "description": description,
                "paymentPurpose": purpose or description,
            }
        )
        return self._call("POST", "/stickers", wire.parse_sticker, body=body)

    def get_sticker(self, sticker_id: str) -> Sticker:
        """`GET /stickers/{id}`. Raises PayMasterError."""
        return self._call("GET", f"/stickers/{_segment(sticker_id)}", wire.parse_sticker)

    def activate_sticker(self, sticker_id: str, *, active: bool = True) -> Sticker:
        """`PUT /stickers/{id}`. Raises PayMasterError."""
        body = msgspec.json.encode({"active": active})
        return self._call("PUT", f"/stickers/{_segment(sticker_id)}", wire.parse_sticker, body=body)

    def close(self) -> None:
        """Release the connections."""
        self._pool.clear()

    def _call(
        self,
        method: Literal["GET", "POST", "PUT"],
        path: str,
        parse: Callable[[bytes], A],
        *,
        body: bytes | None = None,
        key: str | None = None,
    ) -> A:
        token = self._token
        try:
            return self._with_login(lambda: self._send(token, method, path, parse, body, key))
        except NotAuthorised as refusal:
            successor = _successor_of(token, refusal)
        log.warning("PayMaster refused the token; the token file has another one now, which is used from here on")
        self._token = successor
        return self._with_login(lambda: self._send(successor, method, path, parse, body, key))

    def _with_login(self, send: Callable[[], A]) -> A:
        """What `send` returns; again with the login that its file has by now, where the proxy refuses this one."""
        login = self._proxy_login
        try:
            return send()
        except LoginRefused as refusal:
            successor = _successor_of(login, refusal)
        log.warning("the proxy refused the login; the login file has another one now, which is used from here on")
        self._pool = self._open_pool(successor)
        self._proxy_login = successor
        return send()

    def _send(
        self,
        token: Token,
        method: str,
        path: str,
        parse: Callable[[bytes], A],
        body: bytes | None,
        key: str | None,
    ) -> A:
        """One request and what its answer means."""
        started = time.monotonic()
        status, headers, data = self._exchange(token, method, path, body, key)
        log.debug("%s %s -> %d in %d ms", method, path.partition("?")[0], status, (time.monotonic() - started) * 1000)
        if 200 <= status < 300:
            try:
                return parse(data)
            except wire.WireError as error:
                text = _readable(token.hide(f"PayMaster's answer cannot be read: {error}"))
                raise NoAnswer(text, status=status) from None
        raise self._failure(token, status, headers, data)

    def _exchange(
        self, token: Token, method: str, path: str, body: bytes | None, key: str | None
    ) -> tuple[int, Any, bytes]:
        headers = {"Authorization": token.header(), "Accept": "application/json", "Accept-Encoding": "identity"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        transport.begin_call(time.monotonic() + self._deadline_s, self._read_s)
        sent = self._clock()
        try:
            answer = self._pool.request(
                method,
                self._base + path,
                body=body,
                headers=headers,
                timeout=self._timeout,
                redirect=False,
                preload_content=False,
            )
            self._compare_clocks(answer.headers, sent)
            try:
                data = _read(answer)
            finally:
                answer.close()
        except PayMasterError:
            raise
        except (HTTPError, OSError, ValueError) as error:
            text = self._text_of(token, error)
            if transport.was_connected():
                raise NoAnswer(text) from None
            refused = _refused_tunnel(_cause_of(error)) or ""
            raise (LoginRefused if refused.startswith("407") else NotSent)(text) from None
        return answer.status, answer.headers, data

    def _text_of(self, token: Token, error: Exception) -> str:
        """What happened, always in the same words, without the library's addresses and without token and login."""
        cause = _cause_of(error)
        refusal = _refused_certificate(cause)
        if refusal is not None:
            return f"PayMaster's certificate is refused: {refusal}: check this machine's clock and paymaster.ca_file"
        if isinstance(cause, NameResolutionError):
            return f"the host name cannot be resolved: {self._host}"
        if isinstance(cause, NewConnectionError):
            reason = getattr(cause.__cause__, "strerror", None)
            return f"no connection to {self._peer}" + (f" ({reason})" if reason else "")
        if isinstance(cause, ConnectTimeoutError):
            return f"no connection to {self._peer} in time"
        if not transport.was_connected():
            if answer := _refused_tunnel(cause):
                return self._not_tunnelled(token, answer)
            broken = next((arg for arg in cause.args if isinstance(arg, ssl.SSLError)), None)
            if isinstance(cause, ProtocolError) or isinstance(broken, _CUT):
                return "the connection was cut before anything was sent"
            if isinstance(cause, ReadTimeoutError):
                return "no connection to PayMaster in time"
            if broken is not None:
                return f"no TLS connection to PayMaster ({(broken.reason or 'SSL error').replace('_', ' ').lower()})"
        for kind, text in _TEXTS:
            if isinstance(cause, kind):
                return text
        return self._hide(token, f"{type(cause).__name__}: {cause}")

    def _not_tunnelled(self, token: Token, answer: str) -> str:
        advice = ": see paymaster.proxy_login_file" if answer.startswith("407") else ""
        return f"{self._peer} does not connect to PayMaster ({_readable(self._hide(token, answer))}){advice}"

    def _hide(self, token: Token, text: str) -> str:
        text = token.hide(text)
        return text if self._proxy_login is None else self._proxy_login.hide(text)

    def _failure(self, token: Token, status: int, headers: Any, data: bytes) -> PayMasterError:
        failure = wire.parse_failure(data)
        errors = tuple(token.hide(error) for error in failure.errors)
        summary = token.hide(failure.message or failure.code) or f"HTTP {status}"
        text = _readable("; ".join([summary, *errors]))
        wait_s = retry_after_s(headers.get("Retry-After"), headers.get("Date")) if status in (429, 503) else None
        kind: type[PayMasterError]
        if status == 429:
            kind = TooManyRequests
        elif status in (401, 403) or failure.code in _NOT_AUTHORISED:
            kind = NotAuthorised
            text = f"PayMaster refused the token ({text}): see paymaster.token_file or SCO_PAYMASTER_TOKEN"
        elif status >= 500 or status < 400:
            kind = NoAnswer  # a redirect or a proxy's page is not PayMaster's answer
        elif status == 404:
            kind = PaymentNotFound
        elif status == 408:
            kind = NoAnswer
        elif failure.code in _OUR_FAULT or (status == 400 and not failure.code) or status in (405, 411, 413, 415, 422):
            kind = BadRequest
        else:
            kind = RequestRefused
        return kind(text, code=failure.code, errors=errors, status=status, wait_s=wait_s)

    def _compare_clocks(self, headers: Any, sent: float) -> None:
        """PayMaster wrote its time between `sent` and now; a cache's answer is of an older time."""
        moment = _http_date(headers.get("Date"))
        if moment is None or "Age" in headers:
            return
        least, most = moment.timestamp() - self._clock(), moment.timestamp() - sent
        self.clock_ahead_s = min(max(self.clock_ahead_s or 0.0, least), most)


def _readable(text: str) -> str:
    """PayMaster's text, made safe for a terminal and the journal: short, and printable."""
    text = wire.printable(text[: _LONGEST_TEXT + 1])
    return text if len(text) <= _LONGEST_TEXT else text[:_LONGEST_TEXT] + "..."


def _successor_of(secret: S | None, refusal: PayMasterError) -> S:
    """What to send instead of the refused token or login. Raises the refusal where there is nothing."""
    try:
        successor = None if secret is None else secret.successor()
    except TokenError as error:
        raise type(refusal)(
            f"{refusal.message}; the file cannot be read again: {error}",
            code=refusal.code,
            errors=refusal.errors,
            status=refusal.status,
        ) from None
    if successor is None:
        raise refusal from None
    return successor


def _cause_of(error: Exception) -> Exception:
    return error.original_error if isinstance(error, ProxyError) else error  # there is no connection to it


def _refused_tunnel(cause: Exception) -> str | None:
    """What the proxy answered instead of connecting, as "407 Proxy Authentication Required"; None where it did not."""
    found = (_NOT_TUNNELLED.fullmatch(str(arg)) for arg in cause.args)
    return next((refused[1] for refused in found if refused), None)


def _refused_certificate(error: Exception) -> str | None:
    """Why the server's certificate was refused; None where that is not what happened."""
    found = [arg for arg in error.args if isinstance(arg, ssl.SSLCertVerificationError)]
    return found[0].verify_message.rstrip(".") if found else None


def _proxys_host(proxy: str, scheme: str) -> str:
    """The host of a proxy for an address of `scheme`. Raises ValueError."""
    parts = urlsplit(proxy)
    if parts.scheme != "http" or not parts.hostname or not parts.port or "@" in parts.netloc:
        raise ValueError("the proxy must be http://host:port, without user and password, which are passed apart")
    if scheme != "https":
        raise ValueError("the proxy is for https: plain http goes to this machine only")
    return parts.hostname


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    encoding = answer.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding != "identity":  # was not asked for; a few kilobytes of it may become gigabytes
        raise NoAnswer(f"the answer is packed ({_readable(encoding)}), which was not asked for")
    data = b""
    for block in answer.stream(_BLOCK, decode_content=False):
        data += block
        if len(data) > MAX_ANSWER:
            raise NoAnswer(f"the answer is longer than {MAX_ANSWER} bytes")
    return data


def _segment(identifier: str) -> str:
    if identifier in ("", ".", ".."):  # the last two would lead to another address
        raise ValueError(f"{identifier!r} is not a valid payment id")
    return quote(identifier, safe="")


def _http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def retry_after_s(text: str | None, date: str | None = None) -> float | None:
    """Retry-After: seconds, or a date; at most an hour, whatever a broken proxy writes.

    Args:
        text: the header; None for an answer without it.
        date: the same answer's Date: whose clock it was, so that this machine's may be wrong.
    """
    text = (text or "").strip()
    if not text:
        return None
    if _DIGITS.fullmatch(text):
        return min(float(text), LONGEST_WAIT_S)
    moment, now = _http_date(text), _http_date(date)
    if moment is None:
        return None
    return min(max(0.0, moment.timestamp() - (time.time() if now is None else now.timestamp())), LONGEST_WAIT_S)
