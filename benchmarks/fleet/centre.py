"""The centre as it is run, on this machine: a PostgreSQL that syncs, and server processes in front of it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from sco_fleet import embedded, lanes
from sco_fleet.database import migrate
from sco_sim.local import free_port

_NUMBERS = itertools.count(1)
_WITHIN_S = 120.0
"""How long a server may take to begin, and to end."""


class Centre:
    """A PostgreSQL for a benchmark. Databases and servers come and go.

    Args:
        folder: on a real disk.
    """

    def __init__(self, folder: Path) -> None:
        memory = ("-c shared_buffers=512MB", "-c max_wal_size=8GB", "-c checkpoint_timeout=30min")
        self.postgres = embedded.Server(folder / "postgres", durable=True, options=memory)
        self._folder = folder

    def __enter__(self) -> Centre:
        return self

    def __exit__(self, *exc: object) -> None:
        self.postgres.stop("immediate")

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """An empty one with the present tables; its URL."""
        name = f"bench_{next(_NUMBERS)}"
        with psycopg.connect(self.postgres.url(), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}")  # type: ignore[call-overload]
            migrate(self.postgres.url(name))
            yield self.postgres.url(name)
            db.execute(f"DROP DATABASE {name} WITH (FORCE)")  # type: ignore[call-overload]

    @contextlib.contextmanager
    def servers(self, database: str, number: int) -> Iterator[list[int]]:
        """So many server processes; their ports."""
        ports, processes = [free_port() for _ in range(number)], []
        try:
            for port in ports:
                with (self._folder / "server.log").open("ab") as log:
                    command = [sys.executable, "-m", "sco_fleet.cli.main", "serve"]
                    command += ["--database", database, "--port", str(port)]
                    processes.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
            end = time.monotonic() + _WITHIN_S
            for port in ports:
                while not _listens(port):
                    assert time.monotonic() < end, (self._folder / "server.log").read_text()[-2000:]
                    time.sleep(0.05)
            self.pids = [process.pid for process in processes]
            yield ports
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(_WITHIN_S)


def add_lanes(database: str, count: int) -> dict[str, str]:
    """Let so many lanes send: each one's id and its token."""
    with psycopg.connect(database) as db:
        return {lane_id: lanes.add(db, lane_id, "S") for lane_id in (f"L{number:05}" for number in range(count))}


def pgbench(database: str, *arguments: str) -> float:
    """Transactions a second, by pgbench's own account, without the time to connect; 0 where it only prepares."""
    found = embedded.programs()
    assert found is not None
    command = [str(found / "pgbench"), *arguments, database]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rates = [float(row.split()[2]) for row in done.stdout.splitlines() if row.startswith("tps = ")]
    return rates[0] if rates else 0.0


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False
