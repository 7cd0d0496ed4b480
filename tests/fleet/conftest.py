"""One PostgreSQL for a worker's tests, an empty migrated database for each test that asks for one."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import psycopg
import pytest

from sco_fleet import embedded
from sco_fleet.app import create_app
from sco_fleet.database import migrate
from sco_fleet.pool import open_pool
from tests.fleet.kit import Fleet, listening

_NUMBERS = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[embedded.Server]:
    """A server for all tests of this worker. Tests that stop or crash one start their own."""
    if embedded.programs() is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    with embedded.temporary() as server:
        with psycopg.connect(server.url(), autocommit=True) as db:
            db.execute("CREATE DATABASE template_fleet")
        migrate(server.url("template_fleet"))
        yield server


@pytest.fixture
def new_database(postgres: embedded.Server) -> Iterator[Callable[[], str]]:
    """Makes an empty database with the current tables at each call; returns its URL."""
    names = []
    with psycopg.connect(postgres.url(), autocommit=True) as db:

        def make() -> str:
            names.append(f"fleet_{next(_NUMBERS)}")
            db.execute(f"CREATE DATABASE {names[-1]} TEMPLATE template_fleet")  # type: ignore[call-overload]
            return postgres.url(names[-1])

        yield make
        for name in names:
            db.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """The URL of an empty database with the current tables."""
    return new_database()


@pytest.fixture
def fleet(database: str) -> Iterator[Fleet]:
    """The server over an empty database, at a socket."""
    with listening(create_app(open_pool(database, most=4))) as url:
        yield Fleet(url, database)
