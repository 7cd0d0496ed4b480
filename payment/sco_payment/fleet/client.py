"""HTTP to the fleet's server: one request a call, answers of bounded length, an error for what each failure means.

TLS is verified; plain http goes to this machine only. The environment's proxy variables are not used. One connection is
kept, so that a lane in a poor network need not begin TLS for each batch.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping
from typing import Any

import msgspec
import urllib3
from urllib3.exceptions import HTTPError

from sco_payment.journal.acknowledged import Head
from sco_payment.journal.store import RawRow
from sco_payment.paymaster.client import retry_after_s
from sco_payment.paymaster.token import Token, TokenError
from sco_payment.settings import FleetSettings
from sco_payment.tls import client_context

_PATH = "/lane/v1"
MAX_ANSWER = 1 << 20
"""Bytes. Longer answers are refused."""
_BLOCK = 16 * 1024
_WORTH_PACKING = 1024
"""Bytes of a body."""

Json = dict[str, Any]


class FleetError(Exception):
    """The server did not do it. What is in the journal is sent again.

    Attributes:
        wait_s: how long the server asks not to be asked again; None where it does not say.
    """

    def __init__(self, message: str, wait_s: float | None = None) -> None:
        super().__init__(message)
        self.wait_s = wait_s


class FleetUnreachable(FleetError):
    """No answer, or one that says to come again later."""


class FleetRefused(FleetError):
    """An answer that asking again does not change: `code` and `details` as the server gave them."""

    def __init__(self, message: str, code: str, details: Json, status: int) -> None:
        super().__init__(message)
        self.code, self.details, self.status = code, details, status


class Client:
    """The lane's connection to the fleet. Used by one thread.

    Args:
        fleet: where the server is, and the lane's token at it.

    Raises:
        TokenError: there is no usable token. ValueError: no usable authorities.
    """

    def __init__(self, fleet: FleetSettings) -> None:
        self._base = fleet.url.rstrip("/") + _PATH
        self._token = Token.from_file(fleet.token_file)
        self._timeout_s = fleet.timeout_s
        self._pool = urllib3.PoolManager(
            num_pools=1,
            maxsize=1,
            retries=False,
            cert_reqs="CERT_REQUIRED",
            ssl_context=client_context(fleet.ca_file or None) if fleet.url.startswith("https") else None,
        )

    def send_rows(self, epoch: str, rows: list[RawRow], base: tuple[int, str] | None = None) -> Head:
        """Send rows in order; returns the last row that the server has stored.

        Args:
            epoch: the journal's id.
            rows: as they are in the journal.
            base: number and hash of the row before the first one, where the earlier ones cannot be sent.

        Raises:
            FleetError: see its subclasses.
        """
        body: Json = {"epoch": epoch, "rows": rows}
        if base is not None:
            body["base"] = base
        return head_of(self.call("POST", "/records", body))

    def head(self, epoch: str) -> Head:
        """The last row that the server has of a journal. Raises FleetError."""
        return head_of(self.call("GET", f"/records/head?epoch={epoch}"))

    def heartbeat(self, report: Json) -> Json:
        """Report the lane's health; returns what the office has for it. Raises FleetError."""
        return self.call("POST", "/heartbeat", report)

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Json:
        """One request below `/lane/v1`; returns the JSON object of the answer.

        Raises:
            FleetError: see its subclasses.
        """
        status, headers, data = self._exchange(method, path, body)
        if status == 401 and self._has_new_token():
            status, headers, data = self._exchange(method, path, body)
        answer = _object(data)
        if status == 200 and answer is not None:
            return answer
        failure = (answer or {}).get("error")
        failure = failure if isinstance(failure, dict) else {}
        text = str(failure.get("message") or f"HTTP {status}")[:300]
        if status in (400, 401, 403, 404, 409, 413, 422) and failure.get("code"):
            raise FleetRefused(f"the fleet refused it: {text}", str(failure["code"]), failure, status)
        raise FleetUnreachable(f"the fleet: {text}", retry_after_s(headers.get("Retry-After"), headers.get("Date")))

    def _has_new_token(self) -> bool:
        try:
            successor = self._token.successor()
        except TokenError:
            return False
        if successor is None:
            return False
        self._token = successor
        return True

    def _exchange(self, method: str, path: str, body: Mapping[str, Any] | None) -> tuple[int, Any, bytes]:
        headers = {"Authorization": self._token.header(), "Accept-Encoding": "identity"}
        data = None
        if body is not None:
            data = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
            if len(data) >= _WORTH_PACKING:
                data = gzip.compress(data, 5, mtime=0)
                headers["Content-Encoding"] = "gzip"
        until = time.monotonic() + self._timeout_s
        try:
            answer = self._pool.request(
                method,
                self._base + path,
                body=data,
                headers=headers,
                timeout=urllib3.Timeout(total=self._timeout_s),
                redirect=False,
                preload_content=False,
            )
            try:
                found = _read(answer, until)
                answer.release_conn()
            except BaseException:
                answer.close()
                raise
        except (HTTPError, OSError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise FleetUnreachable(self._token.hide(f"the fleet cannot be reached: {reason}")[:300]) from None
        return answer.status, answer.headers, found

    def close(self) -> None:
        """Release the connection."""
        self._pool.clear()


def _read(answer: urllib3.BaseHTTPResponse, until: float) -> bytes:
    data = b""
    for block in answer.stream(_BLOCK, decode_content=False):
        data += block
        if len(data) > MAX_ANSWER:
            raise ValueError(f"an answer longer than {MAX_ANSWER} bytes")
        if time.monotonic() > until:
            raise ValueError("the answer came too slowly")
    return data


def _object(data: bytes) -> Json | None:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def head_of(answer: object) -> Head:
    """The head in an answer. Raises FleetUnreachable: there is none."""
    found = answer if isinstance(answer, dict) else {}
    epoch, seq, digest = (found.get(name) for name in ("epoch", "seq", "hash"))
    if not isinstance(epoch, str) or type(seq) is not int or seq < 0 or not isinstance(digest, str):
        raise FleetUnreachable("the fleet's answer has no head: is fleet.url the fleet's server?")
    return Head(epoch, seq, digest)
