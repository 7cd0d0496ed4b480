"""The tables of the journal's file, and how a file that an older release wrote gets the current ones.

`records` is append-only (triggers refuse anything else). `head` repeats the number and hash of its last row, so that
rows cut off at the end are noticed. `attempts` and `cases` are derived from `records`, for quick reading.

`segment` says which part of the chain the file holds: it goes on after row `base_seq`, whose hash is `base_hash` and
which is in the archive `base_file`; a journal that was never archived starts after row 0. Rows up to `base_seq` that
are here as well belong to attempts that were not closed then. `last_case` is the highest number of an archived case.
`archived` is what the lane must remember of the attempts that it gave away.

`identity` has the journal's id, which is random: a journal that is begun or salvaged has a new one, an archive has that
of the journal it was taken from, and so has a copy.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sco_payment.journal.codec import GENESIS
from sco_payment.journal.errors import JournalDamaged, JournalError, JournalTooNew

VERSION = 3
_SEGMENT = """
CREATE TABLE segment (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    sealed INTEGER NOT NULL,
    base_seq INTEGER NOT NULL,
    base_hash TEXT NOT NULL,
    base_file TEXT NOT NULL,
    last_case INTEGER NOT NULL
) STRICT;
INSERT INTO segment VALUES (1, 0, 0, '0000000000000000000000000000000000000000000000000000000000000000', '', 0);
CREATE TABLE archived (
    order_no TEXT NOT NULL,
    attempt TEXT NOT NULL,
    payment_id TEXT,
    paid INTEGER NOT NULL,
    PRIMARY KEY (order_no, attempt)
) STRICT, WITHOUT ROWID;
"""
_IDENTITY = """
CREATE TABLE identity (one INTEGER PRIMARY KEY CHECK (one = 1), journal_id TEXT NOT NULL) STRICT;
INSERT INTO identity VALUES (1, lower(hex(randomblob(16))));
"""
MIGRATIONS: dict[int, str] = {1: _SEGMENT, 2: _IDENTITY}
"""Schema version -> the statements that turn it into the next one. They run in one transaction."""
NEVER_DELETED = (
    "CREATE TRIGGER records_are_never_deleted BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'append-only'); END;"
)
TABLES = f"""
CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
CREATE TABLE records (
    seq INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    attempt TEXT NOT NULL,
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    lane_id TEXT NOT NULL,
    acquirer TEXT NOT NULL,
    body TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER records_are_never_changed BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'append-only'); END;
{NEVER_DELETED}
CREATE TABLE attempts (
    attempt TEXT PRIMARY KEY,
    order_no TEXT NOT NULL,
    open INTEGER NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL
) STRICT;
CREATE TABLE cases (
    number INTEGER PRIMARY KEY,
    attempt TEXT NOT NULL UNIQUE,
    opened_at_ms INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    closed_at_ms INTEGER,
    operator TEXT,
    resolution TEXT
) STRICT;
{_SEGMENT}
{_IDENTITY}
"""
INDEXES = """
CREATE INDEX records_by_attempt ON records (attempt, seq);
CREATE INDEX attempts_by_order ON attempts (order_no);
CREATE INDEX attempts_open ON attempts (attempt) WHERE open = 1;
"""
_FRESH = (False, 0, GENESIS, "", 0)


class Segment(NamedTuple):
    """The table `segment`: see above. `last_case` is the highest number of a case that is in an archive."""

    sealed: bool
    base_seq: int
    base_hash: str
    base_file: str
    last_case: int


def segment(query: Callable[..., Iterable[tuple[Any, ...]]]) -> Segment:
    """Which part of the chain the file holds that `query` reads; an older file holds all of it."""
    if not [*query("SELECT 1 FROM sqlite_master WHERE name = 'segment'")]:
        return Segment(*_FRESH)
    rows = [*query("SELECT sealed, base_seq, base_hash, base_file, last_case FROM segment")]
    return Segment(*(rows[0] if rows else _FRESH))


def journal_id(query: Callable[..., Iterable[tuple[Any, ...]]]) -> str:
    """The id of the journal that `query` reads; empty for a file of an older release that is only read."""
    if not [*query("SELECT 1 FROM sqlite_master WHERE name = 'identity'")]:
        return ""
    return "".join(str(row[0]) for row in query("SELECT journal_id FROM identity"))


def version_of(db: sqlite3.Connection, path: Path) -> int:
    """The version of the tables that `db` holds; 0 for an empty file.

    Raises:
        JournalTooNew: a newer release wrote it. JournalDamaged: an SQLite file of something else.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise JournalTooNew(f"{path}: schema {version}, this package knows {VERSION}: update the package")
    if version == 0 and db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        raise JournalDamaged(f"{path}: an SQLite file, but not a lane's journal")
    return version


def bring_up_to_date(db: sqlite3.Connection, path: Path, version: int, *, read_only: bool) -> None:
    """Give `db`, whose tables are of `version`, the current ones: make them in an empty file, migrate older ones.

    A file of an older release that is opened read-only stays as it is; the next lane that writes migrates it.

    Raises:
        JournalError: there is nothing to read in it yet.
    """
    if version == VERSION:
        return
    if version == 0:
        if read_only:
            raise JournalError(f"{path}: the journal is empty")
        changes = TABLES + INDEXES
    elif read_only:
        return
    else:
        changes = "".join(MIGRATIONS[older] for older in range(version, VERSION))
    db.executescript(f"BEGIN IMMEDIATE;{changes}PRAGMA user_version={VERSION};COMMIT;")
