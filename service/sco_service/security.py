"""Who may do what: tokens and roles, the hosts and origins that are answered, and attendants' PINs with throttling."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from sco_payment.paymaster.token import Token, TokenError, read_secret_file
from sco_service.messages import Request
from sco_service.problems import Problem

log = logging.getLogger(__name__)

TILL: Final = "till"
ATTENDANT: Final = "attendant"
MONITOR: Final = "monitor"
SCREEN: Final = "screen"
"""A browser on the lane's own machine, without a token."""
ROLES = (TILL, ATTENDANT, MONITOR)
_LOOK_S = 0.5
"""Between two looks at the files of tokens."""
EVERYBODY: frozenset[str] = frozenset(ROLES)


@dataclass(frozen=True, slots=True)
class Client:
    """Who sent a request."""

    name: str
    role: str


class Clients:
    """The clients of the settings, by their tokens. A file that was replaced is read again, within a second.

    Args:
        files: role and token file of each client, by its name.

    Raises:
        TokenError: a file cannot be used.
    """

    def __init__(self, files: Mapping[str, tuple[str, str]]) -> None:
        self._files = dict(files)
        self._mutex = threading.Lock()
        self._looked_at = 0.0
        self._seen: tuple[object, ...] = ()
        self._by_hash = self._read()

    def _read(self) -> dict[bytes, Client]:
        self._looked_at, self._seen = time.monotonic(), self._look()
        found: dict[bytes, Client] = {}
        for name, (role, path) in self._files.items():
            digest = _digest(Token.from_file(path).header())
            if digest in found:
                raise TokenError(f"{path}: {found[digest].name} has the same token: each client needs its own")
            found[digest] = Client(name, role)
        return found

    def _look(self) -> tuple[object, ...]:
        return tuple(_version(path) for _, path in self._files.values())

    def of(self, authorization: str) -> Client | None:
        """The client with this Authorization header; None for none."""
        self._read_again()
        return self._find(_digest(authorization))

    def _read_again(self) -> None:
        with self._mutex:
            if time.monotonic() - self._looked_at < _LOOK_S:
                return
            self._looked_at = time.monotonic()
            if self._look() == self._seen:
                return
            try:
                self._by_hash = self._read()
            except TokenError as error:
                log.error("the tokens of the service are as they were before: %s", error)

    def _find(self, digest: bytes) -> Client | None:
        found = None
        for known, client in self._by_hash.items():
            if hmac.compare_digest(known, digest):
                found = client
        return found


def _version(path: str) -> object:
    """Another value when the file was replaced or written."""
    try:
        found = Path(path).stat()
    except OSError as error:
        return error.errno
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _digest(header: str) -> bytes:
    scheme, _, token = header.strip().partition(" ")
    return hashlib.sha256(f"{scheme.lower()} {token.strip()}".encode("utf-8", "surrogateescape")).digest()


# --- hosts and origins ----------------------------------------------------------------------------------------------

_LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


def is_local(address: str) -> bool:
    """Whether a client is on this machine."""
    return address in _LOOPBACK or address.startswith("127.")


class Doorkeeper:
    """Refuses what a page of another site may have sent: such a page reaches the service through the browser.

    Args:
        names: by which clients reach the service, besides the names of this machine for itself.
        port: where the service listens.
        any_address: let every address in figures through: no page of another site can make its own name one.
        hint: what a client can do whose name is not known.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        port: int,
        *,
        any_address: bool = False,
        hint: str = "see service.host_names",
    ) -> None:
        self._names = {"127.0.0.1", "localhost", "::1", *(name.lower() for name in names)}
        self._port = port
        self._any_address = any_address
        self._hint = hint

    def check(self, request: Request) -> None:
        """Raise Problem for a request to another host, or from another site's page."""
        host = request.headers.get("host", "")
        scheme = "https" if request.secure else "http"
        found = _split(f"{scheme}://{host}")
        if found is None or not self._knows(found[0]) or found[1] not in (None, self._port):
            raise Problem("host_refused", f"the Host header is {host[:100]!r}; {self._hint}")
        origin = request.headers.get("origin")
        if origin is not None and origin.lower() != f"{scheme}://{host}".lower():
            raise Problem("origin_refused", f"a page of {origin[:100]!r} may not use this service")
        if origin is None and request.headers.get("sec-fetch-site") == "cross-site":
            raise Problem("origin_refused", "a page of another site may not use this service")

    def _knows(self, name: str) -> bool:
        return name in self._names or (self._any_address and _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _split(text: str) -> tuple[str, int | None] | None:
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if "@" in parts.netloc or parts.path or parts.query or parts.fragment or not parts.hostname:
        return None
    return parts.hostname.rstrip("."), port


# --- PINs -----------------------------------------------------------------------------------------------------------

_FREE_TRIES = 5
_FIRST_WAIT_S = 30.0
_LONGEST_WAIT_S = 900.0
_FORGOTTEN_S = 3600.0
"""After a wait that is over: slips of other days do not count, and guessing has become no faster."""


class Pins:
    """Attendants' PINs, one `name: PIN` a line in a file that only its owner may read; read for each check.

    After five wrong ones a name must wait, and longer with each further one, until it has been left alone for an hour.
    All names that are not in the file count as one.

    Args:
        path: the file; empty: no PIN is asked for.
        now: monotonic time, in s.

    Raises:
        TokenError: the file cannot be used.
    """

    def __init__(self, path: str, now: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._now = now
        self._mutex = threading.Lock()
        self._wrong: dict[str, tuple[int, float]] = {}
        if path:
            self._read()

    def _read(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for line in read_secret_file(self._path, "utf-8").splitlines():
            name, colon, pin = line.partition(":")
            if not line.strip() or line.startswith("#"):
                continue
            if not colon or not name.strip() or not pin.strip():
                raise TokenError(f"{Path(self._path)}: write one name and PIN a line, as in Иванова А.: 4821")
            found[name.strip().casefold()] = pin.strip()
        return found

    def check(self, operator: str, pin: str | None) -> None:
        """Raise Problem unless the PIN is this person's, or none is asked for."""
        if not self._path:
            return
        name = operator.strip().casefold()
        try:
            known = self._read()
        except TokenError as error:
            raise Problem("internal", f"PINs: {error}") from None
        counted = name if name in known else ""
        with self._mutex:
            wrong, until = self._wrong.get(counted, (0, 0.0))
            wait_s = until - self._now()
            if wait_s < -_FORGOTTEN_S:
                wrong = 0
            if wait_s > 0:
                seconds = str(round(wait_s) + 1)
                raise Problem(
                    "pin_throttled", f"wait {seconds} s before the next PIN", headers=(("Retry-After", seconds),)
                )
            right = hmac.compare_digest(known.get(name, "").encode(), (pin or "").encode("utf-8", "replace"))
            if right and name in known:
                self._wrong.pop(counted, None)
                return
            wrong += 1
            self._wrong[counted] = wrong, self._now() + _wait_s(wrong)
        log.warning("a wrong PIN, the %d. for this name", wrong)
        raise Problem("wrong_pin", field="pin")


def _wait_s(wrong: int) -> float:
    """How long the next try must wait after so many wrong ones."""
    doublings = min(wrong - _FREE_TRIES, 10)  # the longest wait comes sooner
    return min(_FIRST_WAIT_S * 2.0**doublings, _LONGEST_WAIT_S) if doublings >= 0 else 0.0
