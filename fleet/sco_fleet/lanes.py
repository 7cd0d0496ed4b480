"""Lanes and their tokens. A token names its lane; only its hash is stored."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from typing import Any

from psycopg import Connection

_PREFIX = "sco1."
_LONGEST = 64
"""Characters of a PosID, as in a lane's settings."""
_TOKEN = re.compile(r"sco1\.([A-Za-z0-9_-]{1,400})\.([A-Za-z0-9_-]{43})")


class LaneError(ValueError):
    """No such lane, or it is there already."""


def token_hash(token: str) -> bytes:
    """What is stored of a token. Its secret is random and long: it needs no salt and no slow hash."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


def _new_token(lane_id: str) -> str:
    name = base64.urlsafe_b64encode(lane_id.encode()).decode().rstrip("=")
    return f"{_PREFIX}{name}.{secrets.token_urlsafe(32)}"


def _named(token: str) -> str | None:
    """The lane that a token names; None where it is not a token."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    try:
        name = base64.b64decode(match[1] + "=" * (-len(match[1]) % 4), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return name if "\0" not in name else None


def authenticate(db: Connection[Any], token: str) -> str | None:
    """The lane whose token this is; None where it is nobody's, was replaced, or the lane is disabled.

    The first use of a lane's next token ends the one before.
    """
    lane_id = _named(token)
    if lane_id is None:
        return None
    row = db.execute(
        "SELECT token_hash, next_token_hash FROM lanes WHERE lane_id = %s AND NOT disabled", (lane_id,)
    ).fetchone()
    if row is None:
        return None
    given = token_hash(token)
    present, following = (found is not None and hmac.compare_digest(found, given) for found in row)
    if following:
        db.execute(
            "UPDATE lanes SET token_hash = next_token_hash, next_token_hash = NULL "
            "WHERE lane_id = %s AND next_token_hash = %s",
            (lane_id, given),
        )
    return lane_id if present or following else None


def add(db: Connection[Any], lane_id: str, shop: str, profile: str = "") -> str:
    """Add a lane; returns its token, which is not kept. Raises LaneError."""
    for what, text, shortest in (("PosID", lane_id, 1), ("shop", shop, 1), ("profile", profile, 0)):
        if not shortest <= len(text) <= _LONGEST or not text.isprintable():
            raise LaneError(f"{what} {text!r}: must be {shortest} to {_LONGEST} printable characters")
    token = _new_token(lane_id)
    added = db.execute(
        "INSERT INTO lanes (lane_id, shop, profile, token_hash) VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (lane_id, shop, profile, token_hash(token)),
    ).rowcount
    if not added:
        raise LaneError(f"lane {lane_id} already exists; `sco-fleet lane token {lane_id}` gives it a new token")
    return token


def renew_token(db: Connection[Any], lane_id: str, *, at_once: bool = False) -> str:
    """A new token for a lane. The present one works until the new one is used, or no longer with `at_once`.

    Raises:
        LaneError: there is no such lane.
    """
    token = _new_token(lane_id)
    change = "token_hash = %s, next_token_hash = NULL" if at_once else "next_token_hash = %s"
    _change(db, lane_id, change, token_hash(token))
    return token


def set_disabled(db: Connection[Any], lane_id: str, disabled: bool) -> None:
    """A disabled lane's token is refused; what it has sent stays. Raises LaneError."""
    _change(db, lane_id, "disabled = %s", disabled)


def move(db: Connection[Any], lane_id: str, shop: str | None, profile: str | None) -> None:
    """Give a lane another shop or profile. Raises LaneError."""
    _change(db, lane_id, "shop = coalesce(%s, shop), profile = coalesce(%s, profile)", shop, profile)


def _change(db: Connection[Any], lane_id: str, assignments: str, *values: object) -> None:
    query = f"UPDATE lanes SET {assignments} WHERE lane_id = %s"  # noqa: S608 - our own texts
    if not db.execute(query.encode(), (*values, lane_id)).rowcount:
        raise LaneError(f"there is no lane {lane_id}")
