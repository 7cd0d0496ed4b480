"""The server's connections to PostgreSQL."""

from __future__ import annotations

from typing import Any

from psycopg import Connection
from psycopg_pool import ConnectionPool

Pool = ConnectionPool[Connection[Any]]

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
