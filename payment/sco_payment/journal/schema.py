"""The tables of the journal's file, and how a file that an older release wrote gets the present ones.

`records` is append-only (triggers refuse anything else). `head` repeats the number and hash of its last row, so that
rows cut off at the end are noticed. `attempts` and `cases` are derived from `records`, for quick reading.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

from sco_payment.journal.errors import JournalDamaged, JournalError, JournalTooNew

VERSION = 1
MIGRATIONS: dict[int, str] = {}
"""Schema version -> the statements that turn it into the next one. They run in one transaction."""
TABLES = """
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
CREATE TRIGGER records_are_never_deleted BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE INDEX records_by_attempt ON records (attempt, seq);
CREATE TABLE attempts (
    attempt TEXT PRIMARY KEY,
    order_no TEXT NOT NULL,
    open INTEGER NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL
) STRICT;
CREATE INDEX attempts_by_order ON attempts (order_no);
CREATE INDEX attempts_open ON attempts (attempt) WHERE open = 1;
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
"""


def bring_up_to_date(db: sqlite3.Connection, path: Path, *, read_only: bool) -> None:
    """Give `db` the present tables: make them in an empty file, migrate those of an older release.

    A file of an older release that is opened read-only stays as it is; the next lane that writes migrates it.

    Raises:
        JournalTooNew: a newer release wrote it. JournalDamaged: an SQLite file of something else. JournalError: there
            is nothing to read in it yet.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise JournalTooNew(f"{path}: schema {version}, this package knows {VERSION}: update the package")
    if version == VERSION:
        return
    if version == 0:
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise JournalDamaged(f"{path}: an SQLite file, but not a lane's journal")
        if read_only:
            raise JournalError(f"{path}: the journal is empty")
        changes = TABLES
    elif read_only:
        return
    else:
        changes = "".join(MIGRATIONS[older] for older in range(version, VERSION))
    db.executescript(f"BEGIN IMMEDIATE;{changes}PRAGMA user_version={VERSION};COMMIT;")
