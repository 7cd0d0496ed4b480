"""Check a journal's file as SQLite sees it: its pages, its indexes, and the tables and triggers that must be there."""

from __future__ import annotations

import sqlite3
import time
from functools import lru_cache

from sco_payment.journal import schema

_EVERY = 20_000
"""Steps of SQLite between two looks at the clock."""
_QUICK_FIRST = ("segment", "head", "archived", "attempts", "cases", "records")
"""What decides about money first: the records are nearly all of the file."""


def problems(db: sqlite3.Connection, limit_s: float | None = None) -> list[str]:
    """What is wrong with the file, as sentences; empty when nothing is found.

    Args:
        db: the open journal, with the present schema.
        limit_s: for how long to look at most; None to look at all of it.

    Raises:
        sqlite3.Error: it cannot be read.
    """
    found = _schema_problems(db)
    until = None if limit_s is None else time.monotonic() + limit_s
    if until is not None:
        db.set_progress_handler(lambda: time.monotonic() > until, _EVERY)
    try:
        there = {name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        for table in _QUICK_FIRST:
            if found or table not in there:  # an older schema, or one that is reported already
                break
            for (text,) in db.execute(f"PRAGMA integrity_check({table})"):
                if text != "ok":
                    found.append(f"SQLite finds it damaged: {text.splitlines()[0]}")
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorname", "") != "SQLITE_INTERRUPT":
            raise
    finally:
        if until is not None:
            db.set_progress_handler(None, 0)
    return found


def _schema_problems(db: sqlite3.Connection) -> list[str]:
    if db.execute("PRAGMA user_version").fetchone()[0] != schema.VERSION:
        return []  # an older release's, which is only read
    there = {
        (kind, name): _plain(sql)
        for kind, name, sql in db.execute(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
        )
    }
    wanted = _wanted(schema.TABLES + schema.INDEXES)
    found = [f"the {kind} {name} is missing" for kind, name in wanted if (kind, name) not in there]
    found += [f"the {kind} {name} was added" for kind, name in there if (kind, name) not in wanted]
    return found + [
        f"the {kind} {name} is not as this package makes it"
        for (kind, name), sql in wanted.items()
        if there.get((kind, name), sql) != sql
    ]


@lru_cache(maxsize=1)
def _wanted(statements: str) -> dict[tuple[str, str], str]:
    """The tables, indexes and triggers of a journal, as SQLite itself writes them down."""
    with sqlite3.connect(":memory:") as empty:
        empty.executescript(statements)
        rows = empty.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    empty.close()
    return {(kind, name): _plain(sql) for kind, name, sql in rows}


def _plain(sql: str) -> str:
    """Without the differences that an older release's statements or an archive's (`archive.records`) have."""
    return " ".join(sql.replace("archive.", "").replace('"', "").split())
