"""PayMaster's client: one HTTP request a call, no retry, no redirect, every failure told by what it means for money.

A call is bounded in time as a whole: a server that drips its answer holds no call much longer than the connect and read
time-outs together. TLS is verified; plain http goes to this machine only.
"""

from __future__ import annotations

import logging
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
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

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

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_BLOCK = 16 * 1024
_NOT_AUTHORISED = frozenset({"not_authorized", "payment_token_revoked", "payment_token_blocked"})
_OUR_FAULT = frozenset({"validation_error", "idempotency_key_violation"})
_NEVER_LEFT = (NewConnectionError, NameResolutionError, ConnectTimeoutError)

_WORDS: tuple[tuple[type[Exception], str], ...] = (
    (NameResolutionError, "the bank's name cannot be resolved"),
    (ConnectTimeoutError, "no connection to the bank in time"),
    (NewConnectionError, "no connection to the bank"),
    (ReadTimeoutError, "no answer in time"),
    (ProtocolError, "the connection was cut"),
)

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
        self._token = token
        self._merchant_id = merchant_id
        self._test_mode = test_mode
        self._deadline_s = connect_timeout_s + read_timeout_s
        self._timeout = urllib3.Timeout(connect=connect_timeout_s, read=read_timeout_s)
        self._pool = urllib3.PoolManager(
            num_pools=2, maxsize=4, retries=False, cert_reqs="CERT_REQUIRED", ca_certs=ca_file, ssl_context=None
        )
        if ca_file is not None:
            _check_ca_file(ca_file)

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
        self._call("PUT", f"/payments/{_segment(payment_id)}/cancel", lambda body: None)

    def list_payments(self, start: datetime, end: datetime) -> list[Payment]:
        """All payments created from `start` to `end` (aware), page by page.

        Raises:
            BankError: any page failed; there are no half lists.
        """
        query = {"merchantId": self._merchant_id, "start": wire.to_wire_time(start), "end": wire.to_wire_time(end)}
        found: list[Payment] = []
        seen: set[str] = set()
        for _ in range(MAX_PAGES):
            page, cursor = self._call("GET", "/payments?" + urlencode(query), wire.parse_page)
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
        """Drop kept-alive connections."""
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
                raise NoAnswer(f"the bank's answer cannot be read: {error}", status=status) from None
        raise self._failure(status, headers, data)

    def _exchange(
        self, method: str, path: str, body: bytes | None, key: str | None, deadline: float
    ) -> tuple[int, Any, bytes]:
        headers = {"Authorization": self._token.header(), "Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
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
                data = _read(answer, deadline)
            finally:
                answer.close()  # a connection is not kept: one that died unseen would make a refusal look like silence
        except BankError:
            raise
        except (HTTPError, OSError, ValueError) as error:
            raise (NotSent if _never_left(error) else NoAnswer)(self._words(error)) from None
        return answer.status, answer.headers, data

    def _words(self, error: Exception) -> str:
        """What happened, in the same words each time, without the library's addresses and without the token."""
        cause = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
        for kind, words in _WORDS:
            if isinstance(cause, kind):
                return words
        return self._token.hide(f"{type(cause).__name__}: {cause}")

    def _failure(self, status: int, headers: Any, data: bytes) -> BankError:
        failure = wire.parse_failure(data)
        words = failure.message or failure.code or f"HTTP {status}"
        text = self._token.hide("; ".join([words, *failure.errors]))
        if status == 429:
            return TooManyRequests(
                text, wait_s=_wait(headers.get("Retry-After")), code=failure.code, errors=failure.errors
            )
        kind: type[BankError]
        if status in (401, 403) or failure.code in _NOT_AUTHORISED:
            kind = NotAuthorised
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


def _never_left(error: Exception) -> bool:
    """Whether the request certainly stayed here. A TLS session may break after it was sent; a certificate is
    refused before."""
    cause = error.reason if isinstance(error, MaxRetryError) else error
    if isinstance(cause, SSLError):
        import ssl

        return any(isinstance(arg, ssl.SSLCertVerificationError) for arg in cause.args)
    return isinstance(cause, _NEVER_LEFT)


def _check_ca_file(path: str) -> None:
    import ssl

    try:
        ssl.create_default_context(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ValueError(f"{path}: no usable file of certificate authorities: {error}") from None


def _read(answer: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    data = b""
    for block in answer.stream(_BLOCK):
        data += block
        if len(data) > MAX_ANSWER:
            raise NoAnswer(f"the answer is longer than {MAX_ANSWER} bytes")
        if time.monotonic() > deadline:
            raise NoAnswer("the answer came too slowly")
    return data


def _segment(identifier: str) -> str:
    if not identifier:
        raise ValueError("an empty id")
    return quote(identifier, safe="")


def _http_date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except (TypeError, ValueError):
        return None
    return moment if moment is None or moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _wait(text: str | None) -> float | None:
    """Retry-After: seconds, or a date."""
    if not text:
        return None
    if text.strip().isdigit():
        return float(text)
    moment = _http_date(text)
    return None if moment is None else max(0.0, moment.timestamp() - time.time())
