"""The database's migrations, on a real PostgreSQL."""

from __future__ import annotations

import psycopg
import pytest

from sco_fleet.database import DatabaseError, migrate, migrations

pytestmark = pytest.mark.program("pg_createcluster")


def test_migrations_are_applied_once(database: str) -> None:
    assert migrate(database) == []


def test_migrations_are_numbered_without_gaps() -> None:
    assert [number for number, _, _ in migrations()] == list(range(1, len(migrations()) + 1))


def test_a_database_of_a_newer_release_is_refused(database: str) -> None:
    with psycopg.connect(database) as db:
        db.execute("INSERT INTO migrations (number, name) VALUES (9999, 'future')")
    with pytest.raises(DatabaseError, match="newer release"):
        migrate(database)


def test_a_database_that_cannot_be_reached_is_an_error_of_ours() -> None:
    with pytest.raises(DatabaseError, match="the database: "):
        migrate("postgresql://nobody@127.0.0.1:1/none?connect_timeout=2")
