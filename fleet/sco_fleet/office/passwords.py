"""Passwords of the office's users: scrypt with a salt of its own for each, never the text."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading

_COST, _BLOCK, _PARALLEL = 2**14, 8, 5
"""16 MiB and about 0.2 s: one of the settings that OWASP's Password Storage Cheat Sheet recommends (2026)."""
_MEMORY = 64 * 1024 * 1024
_AT_ONCE = threading.BoundedSemaphore(2)
"""So that a hundred logins at once cost neither memory nor every core."""
SHORTEST, LONGEST = 10, 200


def check_password(password: str) -> None:
    """Raises ValueError: it is too short or too long."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(f"a password has {SHORTEST} to {LONGEST} characters")


def hashed(password: str) -> str:
    """What is stored of a password: `scrypt$cost$block$parallel$salt$hash`."""
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, _COST, _BLOCK, _PARALLEL)
    return "$".join(("scrypt", str(_COST), str(_BLOCK), str(_PARALLEL), _text(salt), _text(digest)))


def matches(password: str, stored: str | None) -> bool:
    """Whether it is that password. Takes as long where there is no user: None."""
    _, cost, block, parallel, salt, digest = (stored or _NOBODYS).split("$")
    found = _scrypt(password, _bytes(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, _bytes(digest)) and stored is not None


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    with _AT_ONCE:
        return hashlib.scrypt(
            password[:LONGEST].encode("utf-8", "surrogatepass"),
            salt=salt, n=cost, r=block, p=parallel, maxmem=_MEMORY, dklen=32,
        )  # fmt: skip


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


_NOBODYS = "$".join(("scrypt", str(_COST), str(_BLOCK), str(_PARALLEL), _text(bytes(16)), _text(bytes(32))))
