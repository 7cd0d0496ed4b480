"""The fleet's database: connections, and the migrations that give it the present tables."""

from __future__ import annotations

from importlib.resources import files

import psycopg

_LOCK = 7_266_334
"""An advisory lock's number: one migration at a time, whoever starts it."""


class DatabaseError(RuntimeError):
    """The database cannot be used: what was found, and what to do."""


def migrations() -> list[tuple[int, str, str]]:
    """Number, name and SQL of each migration, in order: the files `migrations/NNNN_name.sql`."""
    found = []
    for entry in files("sco_fleet").joinpath("migrations").iterdir():
        if entry.name.endswith(".sql"):
            number, _, name = entry.name.removesuffix(".sql").partition("_")
            found.append((int(number), name, entry.read_text("utf-8")))
    return sorted(found)


def migrate(url: str) -> list[str]:
    """Bring the database up to date, each migration in a transaction of its own.

    Returns:
        The names of those that were applied now.

    Raises:
        DatabaseError: it cannot be reached, a newer release made it, or a migration failed.
    """
    try:
        with psycopg.connect(url, autocommit=True) as db:
            db.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
            db.execute(
                "CREATE TABLE IF NOT EXISTS migrations ("
                "number integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())"
            )
            applied = {number for (number,) in db.execute("SELECT number FROM migrations").fetchall()}
            known = migrations()
            if newer := applied - {number for number, _, _ in known}:
                raise DatabaseError(f"migration {max(newer)} is of a newer release: update sco-paymaster")
            done = []
            for number, name, sql in known:
                if number in applied:
                    continue
                with db.transaction():
                    db.execute(sql.encode())
                    db.execute("INSERT INTO migrations (number, name) VALUES (%s, %s)", (number, name))
                done.append(f"{number:04}_{name}")
            return done
    except psycopg.Error as error:
        raise DatabaseError(f"the database: {str(error).strip()}") from None
