"""A fleet's server at a socket, lanes with journals, and what they send."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import urllib3
import uvicorn
from starlette.applications import Starlette

from sco_fleet import lanes
from sco_fleet.protocol import Protocol
from sco_payment.fleet.client import Client
from sco_payment.fleet.shipper import Shipper
from sco_payment.settings import FleetSettings


@contextlib.contextmanager
def listening(app: Starlette) -> Iterator[str]:
    """The application at a free port of this machine, until the end of the block; yields its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", http=Protocol, loop="asyncio")
    )
    started = threading.Event()
    startup = server.startup

    async def startup_then_tell(sockets: Any = None) -> None:
        await startup(sockets)
        started.set()

    server.startup = startup_then_tell  # type: ignore[method-assign]
    thread = threading.Thread(target=server.run, name="fleet-server")
    thread.start()
    try:
        assert started.wait(30)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Any
    body: Any


class Fleet:
    """The server's address, its database, and requests to it as a lane sends them."""

    def __init__(self, url: str, database: str) -> None:
        self.url, self.database = url, database
        self._pool = urllib3.PoolManager()

    def add_lane(self, lane_id: str = "lane-1", shop: str = "Shop 7") -> str:
        """Its token."""
        with psycopg.connect(self.database, autocommit=True) as db:
            return lanes.add(db, lane_id, shop)

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database, autocommit=True) as db:
            return db.execute(query.encode(), parameters).fetchall()

    def execute(self, query: str, *parameters: object) -> None:
        with psycopg.connect(self.database, autocommit=True) as db:
            db.execute(query.encode(), parameters)

    def request(
        self, method: str, path: str, token: str = "", body: Any = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """One request below /lane/v1; a `body` that is not bytes is sent as JSON."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        found = self._pool.request(
            method,
            self.url + "/lane/v1" + path,
            body=data,
            headers={"Authorization": f"Bearer {token}", **(headers or {})},
            retries=False,
        )
        try:
            return Answer(found.status, found.headers, json.loads(found.data))
        except ValueError:
            return Answer(found.status, found.headers, found.data)

    def settings(self, folder: Path, token: str, **changes: Any) -> FleetSettings:
        """A lane's settings for this server; its token is in a file in `folder`."""
        file = folder / "fleet.token"
        file.write_text(token)
        file.chmod(0o600)
        return FleetSettings(url=self.url, token_file=str(file), **changes)

    def shipper(self, journal: Path, token: str, *, batch_rows: int = 200) -> Shipper:
        return Shipper(Client(self.settings(journal.parent, token)), journal, batch_rows)


def ship(shipper: Shipper) -> None:
    """Send all."""
    while shipper.ship_batch():
        pass
