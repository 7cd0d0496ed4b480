"""The centre dies, restarts and has no room: what it has acknowledged stays, and the lanes go on where they were."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from sco_fleet import embedded
from sco_fleet.database import migrate
from sco_payment.fleet.client import Client, FleetError
from sco_payment.fleet.shipper import Shipper
from sco_payment.journal import Journal
from sco_payment.settings import FleetSettings
from tests.fleet.faults.judge import Head, as_on_the_lane, is_stored, stored_chains
from tests.fleet.faults.kit import LANE, Centre, ServerProcess, add_lane, opened, payment, power_off
from tests.fleet.faults.wire import FleetWire

pytestmark = pytest.mark.program("pg_createcluster")

# A transaction that is not synced stays in memory for as long as a test may take: what a power cut loses, it shows.
LAZY = ("-c synchronous_commit=off", "-c wal_writer_delay=10s", "-c bgwriter_delay=10s")


@pytest.fixture
def server() -> Iterator[embedded.Server]:
    """A PostgreSQL of the test's own, to be crashed. Its administrator thinks that a late sync will do."""
    with embedded.temporary(durable=True, options=LAZY) as server:
        with psycopg.connect(server.url(), autocommit=True) as db:
            db.execute("CREATE DATABASE fleet")
        migrate(server.url("fleet"))
        yield server


def journal_of(folder: Path, payments: int = 3) -> Journal:
    journal = opened(folder / "journal.db")
    for number in range(payments):
        payment(journal, f"p{number}", number % 3)
    return journal


def shipper_of(fleet: FleetSettings, folder: Path) -> Shipper:
    return Shipper(Client(fleet), folder / "journal.db", fleet.batch_rows)


def ship_all(shipper: Shipper, limit_s: float = 90.0) -> None:
    """Until there is nothing more, whatever goes wrong meanwhile."""
    end = time.monotonic() + limit_s
    while True:
        try:
            if not shipper.ship_batch():
                return
        except FleetError:
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


def _ship_on(shipper: Shipper) -> None:
    while shipper.ship_batch():
        pass


def check(database: str, journal: Journal, receipts: list[Head]) -> None:
    lost = [problem for head in receipts if (problem := is_stored(database, LANE, head)) is not None]
    assert lost == []
    assert stored_chains(database) == []
    assert as_on_the_lane(database, LANE, journal) == []


def test_a_power_cut_loses_nothing_that_was_acknowledged(server: embedded.Server, tmp_path: Path) -> None:
    """Whatever the database's administrator has chosen for `synchronous_commit`."""
    database, receipts = server.url("fleet"), list[Head]()
    with journal_of(tmp_path, 6) as journal:
        with Centre(database) as centre, FleetWire(centre.url, receipts.append) as wire:
            shipper = shipper_of(add_lane(database, tmp_path, wire.base_url), tmp_path)
            while len(receipts) < 4:
                shipper.ship_batch()
            power_off(server)
            with pytest.raises(FleetError):
                shipper.ship_batch()
            server.start()
            with psycopg.connect(database) as db:  # the token, too, is there still
                assert db.execute("SELECT count(*) FROM lanes").fetchall() == [(1,)]
            assert [is_stored(database, LANE, head) for head in receipts] == [None] * len(receipts)
            ship_all(shipper)
        check(database, journal, receipts)


@pytest.mark.parametrize("how", ["fast", "immediate", "power"])
def test_postgresql_restarts_in_mid_batch(server: embedded.Server, tmp_path: Path, how: str) -> None:
    """The batch waits in its transaction, for a lock of the test's, when the database goes."""
    database, receipts = server.url("fleet"), list[Head]()
    with journal_of(tmp_path) as journal, Centre(database) as centre, FleetWire(centre.url, receipts.append) as wire:
        shipper = shipper_of(add_lane(database, tmp_path, wire.base_url), tmp_path)
        shipper.ship_batch()
        failures: list[str] = []

        def ship() -> None:
            try:
                shipper.ship_batch()
            except FleetError as error:
                failures.append(str(error))

        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(database) as db:
            db.execute("LOCK TABLE attempts IN ACCESS EXCLUSIVE MODE")
            shipping = threading.Thread(target=ship)
            shipping.start()
            with psycopg.connect(database, autocommit=True) as other:
                end = time.monotonic() + 30
                while not other.execute(
                    "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'attempts'::regclass"
                ).fetchone():
                    assert time.monotonic() < end
                    time.sleep(0.02)
            power_off(server) if how == "power" else server.stop(how)
        shipping.join()
        assert failures
        server.start()
        with psycopg.connect(database) as db:
            assert db.execute("SELECT count(*) FROM records").fetchall() == [(receipts[-1].seq,)]
        ship_all(shipper)
        check(database, journal, receipts)


def test_servers_are_killed_while_lanes_ship(database: str, tmp_path: Path) -> None:
    """Two processes behind one address, killed and started again and again until all is stored."""
    receipts: list[Head] = []
    with (
        journal_of(tmp_path, 40) as journal,
        ServerProcess(database, tmp_path / "a.log") as first,
        ServerProcess(database, tmp_path / "b.log") as second,
        FleetWire(first.url, receipts.append) as wire,
    ):
        fleet = replace(add_lane(database, tmp_path, wire.base_url), batch_rows=3, timeout_s=5.0)
        shipper = shipper_of(fleet, tmp_path)
        over = threading.Event()

        def kill() -> None:
            servers = [first, second]
            while not over.is_set():
                count = len(receipts)
                while len(receipts) < count + 3 and not over.wait(0.005):
                    pass
                wire.point_at(servers[1].url)
                servers[0].kill()
                servers[0].start()
                servers.reverse()

        killing = threading.Thread(target=kill)
        killing.start()
        try:
            ship_all(shipper)
        finally:
            over.set()
            killing.join()
        check(database, journal, receipts)


def test_a_batch_comes_to_both_servers_at_once(database: str, tmp_path: Path) -> None:
    receipts: list[Head] = []
    with journal_of(tmp_path, 10) as journal, Centre(database) as one, Centre(database) as two:
        fleet = add_lane(database, tmp_path, one.url)
        clients = [Client(replace(fleet, url=centre.url)) for centre in (one, two) for _ in range(3)]
        rows = journal.raw_rows(0, limit=500, max_bytes=1 << 20)

        def send(client: Client) -> None:
            for number in range(0, len(rows), 7):
                with contextlib.suppress(FleetError):
                    receipts.append(Head(*client.send_rows(journal.id(), rows[number : number + 7])))

        threads = [threading.Thread(target=send, args=(client,)) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        ship_all(shipper_of(fleet, tmp_path))
        check(database, journal, receipts)
        with psycopg.connect(database) as db:
            assert db.execute("SELECT kind, detail FROM alarms").fetchall() == []


@pytest.mark.program("mount")
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a small file system")
def test_a_full_disk_at_the_centre_loses_nothing(server: embedded.Server, tmp_path: Path) -> None:
    """The tables are on a file system of 24 MB that something else fills; then there is room again."""
    small, receipts = Path("/tmp") / f"sco-small-{os.getpid()}", list[Head]()
    small.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", str(small)], check=True)
    try:
        (small / "space").mkdir(mode=0o700)
        for place in (small, small / "space"):
            shutil.chown(place, "postgres")
        with psycopg.connect(server.url(), autocommit=True) as db:
            db.execute(f"CREATE TABLESPACE small LOCATION '{small}/space'")
            db.execute("CREATE DATABASE full_soon TABLESPACE small")
        database = server.url("full_soon")
        migrate(database)
        with (
            journal_of(tmp_path, 40) as journal,
            Centre(database) as centre,
            FleetWire(centre.url, receipts.append) as wire,
        ):
            shipper = shipper_of(replace(add_lane(database, tmp_path, wire.base_url), batch_rows=20), tmp_path)
            shipper.ship_batch()
            ballast = small / "ballast"
            with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
                while True:
                    file.write(bytes(4096))
            with pytest.raises(FleetError, match="the fleet's database"):
                _ship_on(shipper)
            held = len(receipts)
            with contextlib.suppress(FleetError):
                shipper.ship_batch()
            assert len(receipts) == held
            assert [is_stored(database, LANE, head) for head in receipts] == [None] * held
            ballast.unlink()
            ship_all(shipper)
            check(database, journal, receipts)
    finally:
        server.stop("immediate")
        subprocess.run(["umount", str(small)], check=True)
        small.rmdir()
