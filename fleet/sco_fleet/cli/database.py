"""How a command finds the database, and what it says when that cannot be used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import click
import psycopg
from psycopg import Connection

from sco_fleet.database import DatabaseError
from sco_fleet.lanes import LaneError

database_option = click.option(
    "--database",
    "url",
    envvar="FLEET_DATABASE",
    required=True,
    help="PostgreSQL, e.g. postgresql://sco@db.example.ru/fleet; put a password into ~/.pgpass. "
    "Also from FLEET_DATABASE.",
)


@contextlib.contextmanager
def errors() -> Iterator[None]:
    """Turn what a user can correct into a message."""
    try:
        yield
    except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn):
        raise click.ClickException("the database schema is not up to date: run `sco-fleet migrate`") from None
    except psycopg.Error as error:
        raise click.ClickException(f"the database: {str(error).strip()}") from None
    except (DatabaseError, LaneError) as error:
        raise click.ClickException(str(error)) from None


@contextlib.contextmanager
def connected(url: str) -> Iterator[Connection[Any]]:
    """A connection in autocommit mode, until the end of the block."""
    with errors(), psycopg.connect(url, autocommit=True, connect_timeout=10) as db:
        yield db
