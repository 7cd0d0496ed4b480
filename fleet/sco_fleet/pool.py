"""The server's connections to PostgreSQL."""

from __future__ import annotations

import logging
from typing import Any

import psycopg
from psycopg import Connection
from psycopg_pool import ConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

log = logging.getLogger(__name__)

Pool = ConnectionPool[Connection[Any]]

_OUTDATED = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn)
UNAVAILABLE = (psycopg.OperationalError, psycopg.InterfaceError, psycopg.InternalError, *_OUTDATED)
"""What a request may meet that is no fault of its own, `NO_CONNECTION` too: see `report`."""
NO_CONNECTION = (PoolClosed, PoolTimeout, TooManyRequests)
"""None came free in time, or none can be made."""
NO_ANSWER = "the fleet's database does not answer"

WAIT_S = 5.0
"""How long a request waits for a free connection."""
_SESSION = "-c statement_timeout=30000 -c synchronous_commit=on"
"""A COMMIT that returns is on disk, whatever the database's administrator has chosen: lanes count on it."""


def open_pool(url: str, *, most: int = 10) -> Pool:
    """Connections in autocommit mode, made when they are needed: the server starts without its database, too."""
    return ConnectionPool(
        url,
        min_size=1,
        max_size=most,
        max_waiting=most * 20,
        timeout=WAIT_S,
        open=True,
        kwargs={"autocommit": True, "options": _SESSION, "connect_timeout": 5},
        check=ConnectionPool.check_connection,
        reconnect_timeout=30.0,
    )


def report(error: Exception) -> str:
    """Log one of `UNAVAILABLE` for those who run the server, and return what to answer."""
    if isinstance(error, _OUTDATED):
        log.error("the database schema is not up to date: run `sco-fleet migrate`")
        return "the fleet's database is not up to date"
    log.error("the database: %s", str(error).strip())
    return NO_ANSWER
