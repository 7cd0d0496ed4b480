"""Who may see and do what: users, roles, sessions in the database, a brake on guessing, and the audit.

Connections are in autocommit mode. What changes something and notes it in the audit does both or neither.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import Final, Literal

from psycopg_pool import ConnectionPool

from sco_fleet.office import passwords
from sco_fleet.query import Connection, one, run

ROLES: Final = ("viewer", "decider", "administrator")
"""Each may do what those before it may."""
Action = Literal[
    "login", "login_failed", "logout", "password", "user_added", "user_disabled", "user_enabled", "decision",
    "case_closed_here", "alarm_seen", "reconcile", "export", "lane_added", "lane_token", "lane_disabled",
    "lane_enabled", "lane_moved", "erased",
]  # fmt: skip
"""What the audit has."""
_NAME = re.compile(r"[a-z0-9][a-z0-9._@-]{0,63}")
_BRAKE_MINUTES = 15
_PAIR, _ADDRESS, _USER = 5, 30, 100
"""Failed logins in that time after which no further one is tried: of a user from an address, from an address to any
user, of a user from anywhere."""


class UserError(ValueError):
    """A user cannot be added or changed: what was found, and what to write."""


class LoginRefused(Exception):
    """Wrong name or password, or too many tries; `code` names the sentence for it."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class User:
    """Who is logged in.

    Attributes:
        csrf: what every form of the session carries.
    """

    name: str
    full_name: str
    role: str
    csrf: str

    def may(self, role: str) -> bool:
        """Whether the user may do what `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    @property
    def operator(self) -> str:
        """What a lane journals with the user's decision."""
        return f"{self.full_name} ({self.name})" if self.full_name not in ("", self.name) else self.name


# --- sessions ---------------------------------------------------------------------------------------------------------


def log_in(pool: ConnectionPool[Connection], name: str, password: str, address: str) -> str:
    """Begin a session; returns the secret for the browser's cookie. Holds no connection while the password is hashed.

    Raises:
        LoginRefused: `wrong_login`, or `too_many_logins`.
    """
    name = name.strip().lower()[:64].replace("\0", "")
    with pool.connection() as db:
        stored, disabled = _admit(db, name, address)
    right = passwords.matches(password, stored) and not disabled
    with pool.connection() as db:
        if not right:
            audit(db, name, address, "login_failed", name)
            raise LoginRefused("wrong_login")
        return _begin_session(db, name, address)


def _admit(db: Connection, name: str, address: str) -> tuple[str | None, bool]:
    """The user's password as it is stored, and whether the user is disabled. Raises LoginRefused: too many tries."""
    failed = one(
        db,
        "SELECT count(*) FILTER (WHERE user_name = %(name)s AND address = %(address)s) AS pair,"
        " count(*) FILTER (WHERE address = %(address)s) AS address,"
        " count(*) FILTER (WHERE user_name = %(name)s) AS name"
        " FROM office_login_failures WHERE at > now() - make_interval(mins => %(minutes)s)",
        name=name, address=address, minutes=_BRAKE_MINUTES,
    )  # fmt: skip
    if failed["pair"] >= _PAIR or failed["address"] >= _ADDRESS or failed["name"] >= _USER:
        raise LoginRefused("too_many_logins")
    # Counted before the password is looked at: many tries at once are many tries.
    run(
        db,
        "INSERT INTO office_login_failures (user_name, address) VALUES (%(name)s, %(address)s)",
        name=name,
        address=address,
    )
    found = one(db, "SELECT password, disabled FROM office_users WHERE name = %(name)s", name=name)
    return found.get("password"), bool(found.get("disabled"))


def _begin_session(db: Connection, name: str, address: str) -> str:
    secret = secrets.token_urlsafe(32)
    with db.transaction():
        run(
            db,
            "DELETE FROM office_login_failures WHERE (user_name = %(name)s AND address = %(address)s)"
            " OR at < now() - interval '1 day'",
            name=name,
            address=address,
        )
        begun = run(
            db,
            "INSERT INTO office_sessions (secret_hash, user_name, address)"
            " SELECT %(hash)s, name, %(address)s FROM office_users WHERE name = %(name)s AND NOT disabled",
            hash=_hash(secret),
            name=name,
            address=address,
        )
        if not begun:  # disabled or gone while the password was hashed
            raise LoginRefused("wrong_login")
        audit(db, name, address, "login", name)
    return secret


def session_of(db: Connection, secret: str, *, idle_s: int, session_s: int, used: bool = True) -> User | None:
    """Whose session it is; None for none, or one that has ended. It ends later where it is `used` now."""
    found = one(
        db,
        "SELECT u.name, u.full_name, u.role, now() - s.last_at > interval '1 minute' AS stale"
        " FROM office_sessions s JOIN office_users u ON u.name = s.user_name"
        " WHERE s.secret_hash = %(hash)s AND NOT u.disabled AND s.last_at > now() - make_interval(secs => %(idle)s)"
        " AND s.begun_at > now() - make_interval(secs => %(whole)s)",
        hash=_hash(secret), idle=idle_s, whole=session_s,
    )  # fmt: skip
    if not found:
        return None
    if found["stale"] and used:
        run(db, "UPDATE office_sessions SET last_at = now() WHERE secret_hash = %(hash)s", hash=_hash(secret))
        run(
            db, "DELETE FROM office_sessions WHERE begun_at < now() - make_interval(secs => %(whole)s)", whole=session_s
        )
    csrf = hmac.new(secret.encode(), b"forms of this session", hashlib.sha256).hexdigest()
    return User(found["name"], found["full_name"], found["role"], csrf)


def log_out(db: Connection, secret: str) -> None:
    """End a session."""
    run(db, "DELETE FROM office_sessions WHERE secret_hash = %(hash)s", hash=_hash(secret))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


# --- users ------------------------------------------------------------------------------------------------------------


def add_user(db: Connection, name: str, role: str, password: str, *, full_name: str, by: str) -> None:
    """Add a user. Raises UserError."""
    if not _NAME.fullmatch(name):
        raise UserError(f"{name!r}: a name has small Latin letters, digits, dots, dashes or @, at most 64")
    if role not in ROLES:
        raise UserError(f"{role!r} is not a role; expected one of {', '.join(ROLES)}")
    if len(full_name) > 100:
        raise UserError("a full name has at most 100 characters")
    stored = new_password(password)
    with db.transaction():
        done = run(
            db,
            "INSERT INTO office_users (name, full_name, role, password)"
            " VALUES (%(name)s, %(full)s, %(role)s, %(password)s) ON CONFLICT DO NOTHING",
            name=name,
            full=full_name.strip(),
            role=role,
            password=stored,
        )
        if not done:
            raise UserError(f"user {name} already exists")
        audit(db, by, "", "user_added", name, role)


def set_password(db: Connection, name: str, stored: str, *, by: str, address: str = "", keep: str = "") -> None:
    """Give a user another password, which `new_password` has hashed, and end all sessions but the one whose secret is
    `keep`. Raises UserError."""
    _change(db, name, "password", "password = %(value)s", stored, by, address, keep)


def disable(db: Connection, name: str, *, by: str, yes: bool = True) -> None:
    """Stop a user from logging in, at once; or allow it again. Raises UserError."""
    _change(db, name, "user_disabled" if yes else "user_enabled", "disabled = %(value)s", yes, by)


def _change(
    db: Connection, name: str, action: Action, change: str, value: object, by: str, address: str = "", keep: str = ""
) -> None:
    with db.transaction():
        text = " ".join(("UPDATE office_users SET", change, "WHERE name = %(name)s"))
        if not run(db, text, name=name, value=value):
            raise UserError(f"there is no user {name}")
        _end_sessions(db, name, keep)
        audit(db, by, address, action, name)


def _end_sessions(db: Connection, name: str, keep: str = "") -> None:
    run(db, "DELETE FROM office_sessions WHERE user_name = %(name)s AND secret_hash <> %(keep)s",
        name=name, keep=_hash(keep))  # fmt: skip


def new_password(password: str) -> str:
    """What is stored of a new password. Raises UserError: it is too short or too long."""
    try:
        passwords.check_password(password)
    except ValueError as error:
        raise UserError(str(error)) from None
    return passwords.hashed(password)


# --- audit ------------------------------------------------------------------------------------------------------------


def audit(db: Connection, user: str, address: str, action: Action, subject: str, detail: str = "") -> None:
    """Write down who did what, in the caller's transaction."""
    run(
        db,
        "INSERT INTO office_audit (user_name, address, action, subject, detail)"
        " VALUES (%(user)s, %(address)s, %(action)s, %(subject)s, %(detail)s)",
        user=user, address=address, action=action, subject=subject[:300], detail=detail[:2000],
    )  # fmt: skip
