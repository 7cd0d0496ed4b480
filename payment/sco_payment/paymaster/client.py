"""PayMaster's client: one HTTP request a call, no retry, no redirect, every failure told by what it means for money.

A call is bounded in time as a whole: a server that drips its answer, headers or body, holds no call longer than the
connect and read time-outs together. Beside that each dead address of the bank's name may take a connect time-out, and
the resolver its own time (10 s for each silent name server, 2 s as the lane's unit sets it). No connection is kept: one
that died unseen would leave a cancellation, which is sent once, without an answer. TLS is verified; plain http goes to
this machine only.
"""

from __future__ import annotations

import http.client
import io
import logging
import os
import re
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Literal, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from urllib3.util.ssl_ import create_urllib3_context

from sco_payment.paymaster import wire
from sco_payment.paymaster.errors import (
    BadRequest,
    BankError,
    BankRefused,
    NoAnswer,
    NotAuthorised,
    NotSent,
    PaymentNotFound,
    TooManyRequests,
)
from sco_payment.paymaster.token import Token
from sco_payment.paymaster.wire import NewPayment, Payment, Sticker

log = logging.getLogger(__name__)

API = "/api/v2"
MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of an answer that are read at most."""
MAX_PAGES = 100
"""Pages of a list that are read at most."""
MAX_LIST_S = 60.0
"""Seconds after which no further page of a list is asked for."""
LONGEST_WAIT_S = 3600.0
"""Seconds that a Retry-After can hold us off at most."""

_LONGEST_WORDS = 300
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BLOCK = 16 * 1024
_DIGITS = re.compile(r"[0-9]+")
_HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")
"""How OpenSSL names an authority in a folder of them."""
_NOT_AUTHORISED = frozenset({"not_authorized", "payment_token_revoked", "payment_token_blocked"})
_OUR_FAULT = frozenset({"validation_error", "idempotency_key_violation"})

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (ConnectTimeoutError, "no connection to the bank in time"),
    (ReadTimeoutError, "no answer in time"),
    (ProtocolError, "the connection was cut"),
)

_CUT = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)
"""What a connection that ends in the handshake raises; which one depends on OpenSSL and Python (3.11.2 takes the bare
end of the stream for an orderly close: it sets SSL_OP_IGNORE_UNEXPECTED_EOF)."""

A = TypeVar("A")


class PayMaster:
    """The API v2 of one merchant. Safe from several threads.

    Args:
        base_url: the service, e.g. https://paymaster.ru.
        token: the bearer token.
        merchant_id: from PayMaster's account page.
        connect_timeout_s, read_timeout_s: how long a connection, and a wait for data, may take.
        test_mode: ask for test payments.
        ca_file: PEM file of certificate authorities in place of the system's.

    Raises:
        ValueError: the address is no https one (http only to this machine), or the CA file cannot be used.
    """

    last_clock_skew_s: float | None = None
    """The bank's clock minus ours at its last answer, in s; None before the first."""

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
    ) -> None:
        parts = urlsplit(base_url)
        if not parts.hostname or parts.scheme not in ("https", "http"):
            raise ValueError(f"{base_url!r} is not an https address")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError(f"{base_url!r}: plain http is allowed only to this machine; write https")
        self._base = base_url.rstrip("/") + API
        self._host = parts.hostname
        self._token = token
        self._merchant_id = merchant_id
        self._test_mode = test_mode
        self._deadline_s = connect_timeout_s + read_timeout_s
        self._read_s = read_timeout_s
        self._timeout = urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s)
        self._pool = urllib3.PoolManager(
            num_pools=2,
            maxsize=4,
            retries=False,
            cert_reqs="CERT_REQUIRED",
            # one for all connections: each would else read the authorities anew
            ssl_context=_tls_context(ca_file) if parts.scheme == "https" else None,
        )
        self._pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def create_payment(self, new: NewPayment, idempotency_key: str) -> Payment:
        """`POST /payments` for an SBP payment. The same `new` and key give the same payment, however often sent.

        Raises:
            BankError: see its children. Only NotSent, BankRefused, BadRequest (but for a violated key), NotAuthorised
                and TooManyRequests say that nothing was created. ValueError: a key that no header may carry.
        """
        if not idempotency_key or not idempotency_key.isascii() or not idempotency_key.isprintable():
            raise ValueError("an idempotency key is printable ASCII")
        body = wire.encode_payment(new, self._merchant_id, test_mode=self._test_mode)
        return self._call("POST", "/payments", wire.parse_payment, body=body, key=idempotency_key)

    def get_payment(self, payment_id: str) -> Payment:
        """`GET /payments/{id}`. Raises BankError."""
        return self._call("GET", f"/payments/{_segment(payment_id)}", wire.parse_payment)

    def cancel_payment(self, payment_id: str) -> None:
        """`PUT /payments/{id}/cancel`. Returns when the bank has said yes.

        Raises:
            BankError: BankRefused says that it is not cancelled; NoAnswer that it may be.
        """
        path = f"/payments/{_segment(payment_id)}/cancel"
        self._call("PUT", path, lambda body: wire.parse_cancelled(body, payment_id))

    def list_payments(self, start: datetime, end: datetime, *, order_no: str | None = None) -> list[Payment]:
        """All payments created from `start` to `end` (aware), page by page.

        `order_no` names the order that is looked for: what cannot be read of others then spoils nothing.

        Raises:
            BankError: any page failed, or all of them took more than `MAX_LIST_S`; there are no half lists.
        """
        query = {"merchantId": self._merchant_id, "start": wire.to_wire_time(start), "end": wire.to_wire_time(end)}
        found: list[Payment] = []
        seen: set[str] = set()
        until = time.monotonic() + MAX_LIST_S
        for _ in range(MAX_PAGES):
            if time.monotonic() > until:
                raise NoAnswer(f"the bank's list took more than {MAX_LIST_S:.0f} s and has further pages")
            page, cursor = self._call(
                "GET", "/payments?" + urlencode(query), lambda body: wire.parse_page(body, order_no)
            )
            found += page
            if cursor is None:
                return found
            if cursor in seen:
                raise NoAnswer(f"the bank's list runs in a circle at cursor {cursor!r}")
            seen.add(cursor)
            query["cursor"] = cursor
        raise NoAnswer(f"the bank's list has more than {MAX_PAGES} pages")

    def create_sticker(self, *, description: str, purpose: str = "", cashlink: bool = True) -> Sticker:
        """`POST /stickers`: a static QR; with `cashlink` one that takes the sum of the payment that arms it."""
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
        """`GET /stickers/{id}`. Raises BankError."""
        return self._call("GET", f"/stickers/{_segment(sticker_id)}", wire.parse_sticker)

    def activate_sticker(self, sticker_id: str, *, active: bool = True) -> Sticker:
        """`PUT /stickers/{id}`. Raises BankError."""
        body = msgspec.json.encode({"active": active})
        return self._call("PUT", f"/stickers/{_segment(sticker_id)}", wire.parse_sticker, body=body)

    def close(self) -> None:
        """Let go of the connections."""
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
        started = time.monotonic()
        status, headers, data = self._exchange(method, path, body, key, started + self._deadline_s)
        self._note_clock(headers)
        log.debug("%s %s -> %d in %d ms", method, path.partition("?")[0], status, (time.monotonic() - started) * 1000)
        if 200 <= status < 300:
            try:
                return parse(data)
            except wire.WireError as error:
                raise NoAnswer(_readable(f"the bank's answer cannot be read: {error}"), status=status) from None
        raise self._failure(status, headers, data)

    def _exchange(
        self, method: str, path: str, body: bytes | None, key: str | None, deadline: float
    ) -> tuple[int, Any, bytes]:
        headers = {"Authorization": self._token.header(), "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        _deadline.set((deadline, self._read_s))
        _connected.set(False)
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
            try:
                data = _read(answer)
            finally:
                answer.close()
        except BankError:
            raise
        except (HTTPError, OSError, ValueError) as error:
            raise (NoAnswer if _connected.get() else NotSent)(self._words(error)) from None
        return answer.status, answer.headers, data

    def _words(self, error: Exception) -> str:
        """What happened, in the same words each time, without the library's addresses and without the token."""
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
        refusal = _refused_certificate(cause)
        if refusal is not None:
            return f"the bank's certificate is refused: {refusal}: check this machine's clock and paymaster.ca_file"
        if isinstance(cause, NameResolutionError):
            return f"the bank's name cannot be resolved: {self._host}"
        if isinstance(cause, NewConnectionError):
            reason = getattr(cause.__cause__, "strerror", None)
            return "no connection to the bank" + (f" ({reason})" if reason else "")
        if not _connected.get():
            broken = next((arg for arg in cause.args if isinstance(arg, ssl.SSLError)), None)
            if isinstance(cause, ProtocolError) or isinstance(broken, _CUT):
                return "the connection was cut before anything was sent"
            if isinstance(cause, ReadTimeoutError):
                return "no connection to the bank in time"
            if broken is not None:
                return f"no TLS connection to the bank ({(broken.reason or 'SSL error').replace('_', ' ').lower()})"
        for kind, words in _WORDS:
            if isinstance(cause, kind):
                return words
        return self._token.hide(f"{type(cause).__name__}: {cause}")

    def _failure(self, status: int, headers: Any, data: bytes) -> BankError:
        failure = wire.parse_failure(data)
        words = failure.message or failure.code or f"HTTP {status}"
        text = _readable(self._token.hide("; ".join([words, *failure.errors])))
        if status == 429:
            return TooManyRequests(
                text, wait_s=_wait(headers.get("Retry-After")), code=failure.code, errors=failure.errors
            )
        kind: type[BankError]
        if status in (401, 403) or failure.code in _NOT_AUTHORISED:
            kind = NotAuthorised
            text = f"PayMaster refused the token ({text}): see paymaster.token_file or SCO_PAYMASTER_TOKEN"
        elif status >= 500 or status < 400:
            kind = NoAnswer  # a redirect or a proxy's page is no word of the bank
        elif status == 404:
            kind = PaymentNotFound
        elif status == 408:
            kind = NoAnswer
        elif failure.code in _OUR_FAULT or (status == 400 and not failure.code) or status in (405, 411, 413, 415, 422):
            kind = BadRequest
        else:
            kind = BankRefused
        return kind(text, code=failure.code, errors=failure.errors, status=status)

    def _note_clock(self, headers: Any) -> None:
        moment = _http_date(headers.get("Date"))
        if moment is not None:
            self.last_clock_skew_s = moment.timestamp() - time.time()


def _readable(text: str) -> str:
    """The bank's words as a person's terminal and the journal can bear them."""
    text = "".join(char if char.isprintable() else " " for char in text[: _LONGEST_WORDS + 1])
    return text if len(text) <= _LONGEST_WORDS else text[:_LONGEST_WORDS] + "..."


def _refused_certificate(error: Exception) -> str | None:
    """Why the server's certificate was refused; None where that is not what happened."""
    found = [arg for arg in error.args if isinstance(arg, ssl.SSLCertVerificationError)]
    return found[0].verify_message.rstrip(".") if found else None


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    """Certificates are verified by the authorities in `ca_file`, or by the system's."""
    context = create_urllib3_context()
    try:
        if ca_file is not None:
            context.load_verify_locations(ca_file)
        else:
            _trust_the_system(context)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{ca_file or 'ca-certificates'}: no usable certificate authorities: {error}") from None
    return context


def _trust_the_system(context: ssl.SSLContext) -> None:
    """By the folder of authorities, where there is one: OpenSSL reads the one that a chain needs.

    The file of them all costs 1.2 MiB and 20 ms.
    """
    places = ssl.get_default_verify_paths()
    folder = places.capath
    if folder and "SSL_CERT_FILE" not in os.environ and any(_HASHED.fullmatch(at.name) for at in os.scandir(folder)):
        context.load_verify_locations(capath=folder)
        return
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"]:
        raise ValueError("this machine has no certificate authorities: apt-get install ca-certificates")


def _read(answer: urllib3.BaseHTTPResponse) -> bytes:
    data = b""
    for block in answer.stream(_BLOCK):
        data += block
        if len(data) > MAX_ANSWER:
            raise NoAnswer(f"the answer is longer than {MAX_ANSWER} bytes")
    return data


# --- one answer a connection, and a deadline for all of it ---------------------------------------------------------

_deadline: ContextVar[tuple[float, float]] = ContextVar("deadline")
"""Of the call under way, on the monotonic clock; and the seconds that an answer has at least."""
_connected: ContextVar[bool] = ContextVar("connected")
"""Whether the call under way has its connection, TLS and all. Before that its request has certainly stayed here."""


class _UntilDeadline(io.RawIOBase):
    """A socket's octets until the call's deadline: a time-out of the socket alone begins anew with every octet."""

    def __init__(self, raw: io.RawIOBase, sock: Any) -> None:
        self._raw = raw
        self._sock = sock
        self._pace: float | None = sock.gettimeout()
        deadline, least = _deadline.get()
        # Whatever time dead addresses took before: what the bank says of a request that it has is heard.
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


def _segment(identifier: str) -> str:
    if not identifier:
        raise ValueError("an empty id")
    return quote(identifier, safe="")


def _http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError, OverflowError):
        return None
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _wait(text: str | None) -> float | None:
    """Retry-After: seconds, or a date; an hour at most, whatever a broken proxy writes."""
    text = (text or "").strip()
    if not text:
        return None
    if _DIGITS.fullmatch(text):
        return min(float(text), LONGEST_WAIT_S)
    moment = _http_date(text)
    return None if moment is None else min(max(0.0, moment.timestamp() - time.time()), LONGEST_WAIT_S)
