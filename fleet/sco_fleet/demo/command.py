"""`sco-fleet demo`: PostgreSQL, the server, simulated lanes, and the office's page, until Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
import subprocess
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import click
import psycopg

from sco_fleet import embedded
from sco_fleet import lanes as fleet_lanes
from sco_fleet.database import DatabaseError, migrate
from sco_fleet.office import access
from sco_sim.local import free_port, write_private

_SHOPS = ("Магазин у дома", "На вокзале", "Гипермаркет", "У метро", "Загородный")
_LANES_A_WORKER = 25
_START_S = 60.0
_STOP_S = 60.0
_REPORT_S = 10.0
_USER = "demo"
_SILENT_S = 60
"""When a lane counts as silent: its reports come every few seconds here."""
# A small machine: what the demo's database needs, not what a chain's does.
_SMALL = ("-c shared_buffers=32MB", "-c max_connections=60", "-c wal_level=minimal", "-c max_wal_senders=0")


@click.command()
@click.option("--lanes", default=50, show_default=True, type=click.IntRange(1, 500), help="Number of lanes.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="Port of the page; any free port by default.")
@click.option("--for", "for_s", type=click.FloatRange(1), metavar="SECONDS", help="End after this time.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="New folder in which everything is kept; by default a temporary one.",
)
def demo(lanes: int, port: int, for_s: float | None, folder: Path | None) -> None:
    """Run a whole fleet on this machine: simulated lanes with customers and troubles, and the office's page.

    It needs PostgreSQL: apt-get install postgresql
    """
    with contextlib.ExitStack() as opened:
        if folder is None:
            place = tempfile.TemporaryDirectory(prefix="sco-fleet-", ignore_cleanup_errors=True)
            folder = Path(opened.enter_context(place))
        elif folder.exists() and any(folder.iterdir()):
            raise click.UsageError(f"{folder} is not empty: name a new folder")
        try:
            click.echo(f"PostgreSQL in {folder} ...")
            database = opened.enter_context(_database(folder / "postgres"))
            plan = _register(database, lanes, folder)
        except (embedded.NoServer, DatabaseError, OSError) as error:
            raise click.ClickException(str(error)) from None
        address = f"http://127.0.0.1:{port or free_port()}"
        opened.enter_context(_server(database, address, folder))
        password = _add_user(database)
        opened.enter_context(_workers(plan, address, folder))
        click.echo(f"\n  {address}/office/    user {_USER}    password {password}\n")
        click.echo(
            f"{lanes} lanes; every sixth has some trouble. Ctrl-C ends it." if for_s is None else f"{lanes} lanes."
        )
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            webbrowser.open(f"{address}/office/")
        with contextlib.suppress(KeyboardInterrupt):
            _watch(database, for_s)
        click.echo("ending ...")


@contextlib.contextmanager
def _database(folder: Path) -> Iterator[str]:
    """A PostgreSQL with an up-to-date schema; its URL. Raises NoServer, DatabaseError."""
    server = embedded.Server(folder, options=_SMALL)
    try:
        with psycopg.connect(server.url(), autocommit=True) as db:
            db.execute("CREATE DATABASE fleet")
        migrate(server.url("fleet"))
        yield server.url("fleet")
    finally:
        server.stop()


def _start(folder: Path, name: str, *arguments: str) -> subprocess.Popen[bytes]:
    """One of our modules in a process of its own; its words go to a file.

    It is in a session of its own: Ctrl-C is for the demo, which ends the others in order.
    """
    with (folder / f"{name}.log").open("ab") as words:
        return subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=words,
            stderr=words,
            start_new_session=True,
        )


def _wait(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def _server(database: str, address: str, folder: Path) -> Iterator[None]:
    """The fleet's server, when it answers."""
    office = folder / "office.toml"
    office.write_text(f"[office]\nsilent_s = {_SILENT_S}\n", "utf-8")
    arguments = ("serve", "--database", database, "--port", address.rpartition(":")[2], "--office", str(office))
    process = _start(folder, "server", "sco_fleet.cli.main", *arguments)
    try:
        end = time.monotonic() + _START_S
        while not _answers(address):
            if process.poll() is not None or time.monotonic() > end:
                words = (folder / "server.log").read_text("utf-8", "replace")[-2000:]
                raise click.ClickException(f"the server does not start: {words}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        _wait(process)


def _answers(address: str) -> bool:
    try:
        with urlopen(f"{address}/health", timeout=5):  # noqa: S310 - an address of our own
            return True
    except OSError:
        return False


@contextlib.contextmanager
def _workers(lanes: list[dict[str, object]], address: str, folder: Path) -> Iterator[None]:
    """The lanes, in as few processes as carry them. They end when their stdin does, also if we are killed."""
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for number in range(0, len(lanes), _LANES_A_WORKER):
            plan = {"server": address, "count": len(lanes), "lanes": lanes[number : number + _LANES_A_WORKER]}
            file = write_private(folder / f"lanes-{number}.json", json.dumps(plan))
            processes.append(_start(folder, f"lanes-{number}", "sco_fleet.demo.worker", str(file)))
        yield
    finally:
        for process in processes:
            assert process.stdin is not None
            process.stdin.close()
        _wait(*processes)


def _register(database: str, count: int, folder: Path) -> list[dict[str, object]]:
    """Give each lane a shop and a token at the server; what the workers must know of them."""
    lanes: list[dict[str, object]] = []
    with psycopg.connect(database) as db:
        for number in range(1, count + 1):
            lane_id, shop = f"KSO-{number:03}", _SHOPS[number % len(_SHOPS)]
            token = fleet_lanes.add(db, lane_id, shop)
            lanes.append(
                {
                    "number": number,
                    "lane_id": lane_id,
                    "shop": shop,
                    "token": token,
                    "folder": str(folder / "lanes" / lane_id),
                }
            )
    return lanes


def _add_user(database: str) -> str:
    """An administrator of the office's page, with a new password; returns it."""
    password = secrets.token_urlsafe(9)
    with psycopg.connect(database, autocommit=True) as db:
        access.add_user(db, _USER, "administrator", password, full_name=_USER, by="demo")
    return password


_COUNTS = """
SELECT (SELECT count(*) FROM lanes WHERE last_seen_at > now() - interval '2 minutes'),
       (SELECT count(*) FROM records),
       (SELECT count(*) FROM attempts WHERE outcome = 'paid'),
       (SELECT count(*) FROM cases WHERE closed_at_ms IS NULL),
       (SELECT count(*) FROM alarms WHERE seen_at IS NULL)
"""


def _watch(database: str, for_s: float | None) -> None:
    """Print what the server has, now and then."""
    end = math.inf if for_s is None else time.monotonic() + for_s
    with psycopg.connect(database, autocommit=True) as db:
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(_REPORT_S, left))
            (lanes, records, paid, cases, alarms) = db.execute(_COUNTS).fetchall()[0]
            click.echo(
                f"{time.strftime('%H:%M:%S')}  {lanes} lanes, {records} records, {paid} paid, "
                f"{cases} open cases, {alarms} alarms"
            )
