"""The fleet's database: connections, and the migrations that keep its schema up to date."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

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


def _distribute(db: psycopg.Connection[Any]) -> None:
    """Where Citus is, spread each table that has a lane over its servers by lane: all of a lane are in one place.

    `create_distributed_table` is what the extension brings (Citus 11 and later). A table that is distributed already,
    and one without a column `lane_id`, stays as it is.
    """
    there = db.execute("SELECT to_regproc('create_distributed_table'), to_regclass('pg_dist_partition')").fetchone()
    if there is None or None in there:
        return
    tables = db.execute(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
        "WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') AND NOT c.relispartition "
        "AND a.attname = 'lane_id' AND NOT EXISTS (SELECT 1 FROM pg_dist_partition d WHERE d.logicalrelid = c.oid) "
        "ORDER BY c.relname <> 'lanes', c.relname"
    ).fetchall()
    for (table,) in tables:
        together = "default" if table == "lanes" else "lanes"
        db.execute("SELECT create_distributed_table(%s, 'lane_id', colocate_with => %s)", (table, together))


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
                raise DatabaseError(f"migration {max(newer)} belongs to a newer release: update sco-paymaster")
            done = []
            for number, name, sql in known:
                if number in applied:
                    continue
                with db.transaction():
                    db.execute(sql.encode())
                    db.execute("INSERT INTO migrations (number, name) VALUES (%s, %s)", (number, name))
                done.append(f"{number:04}_{name}")
            _distribute(db)
            return done
    except psycopg.Error as error:
        raise DatabaseError(f"the database: {str(error).strip()}") from None
