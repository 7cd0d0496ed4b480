"""The lane's end fails, killed or without power; and the lane pays whatever the centre does."""

from __future__ import annotations

import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import apsw
import psycopg
import pytest

from sco_payment.fleet.client import Client
from sco_payment.fleet.shipper import Shipper
from sco_payment.journal import Journal, acknowledged
from sco_payment.paymaster.token import Token
from sco_payment.settings import TOKEN_VARIABLE
from sco_payment.settings_reader import settings_from_mapping
from sco_service import Service
from sco_sim.local import settings_text, write_private
from sco_sim.paymaster import PayMasterSimulator
from tests.fleet.faults.judge import Head, as_on_the_lane, is_stored, stored_chains
from tests.fleet.faults.kit import LANE, Centre, add_lane, opened, payment
from tests.fleet.faults.wire import FleetWire
from tests.service.service_kit import Till
from tests.verification.powerloss.check import life
from tests.verification.powerloss.disk import Image, Platter
from tests.verification.powerloss.recorder import Disk, RecordedJournal

needs_postgres = pytest.mark.program("pg_createcluster")


@needs_postgres
def test_the_shipper_is_killed_again_and_again(database: str, tmp_path: Path) -> None:
    """`sco-pay ship`, killed after each few receipts while the lane writes; whatever it knew is in the journal."""
    receipts: list[Head] = []
    path = tmp_path / "lane.toml"
    with Centre(database) as centre, FleetWire(centre.url, receipts.append) as wire:
        fleet = add_lane(database, tmp_path, wire.base_url)
        write_private(tmp_path / "paymaster.token", "t")
        document = {
            "lane": {"pos_id": LANE, "shop": "S"},
            "paymaster": {"merchant_id": "m", "token_file": str(tmp_path / "paymaster.token")},
            "journal": {"path": str(tmp_path / "journal.db")},
            "fleet": {
                "url": fleet.url,
                "token_file": fleet.token_file,
                "batch_rows": 3,
                "ship_interval_s": 0.1,
                "longest_wait_s": 1.0,
            },
        }
        path.write_text(settings_text(document), "utf-8")
        with opened(tmp_path / "journal.db") as journal:
            for number in range(12):
                payment(journal, f"p{number}", number % 3)
            last, kills, end = 0, 0, time.monotonic() + 240
            while last < int(journal.head().partition(":")[0]):
                count = len(receipts)
                shipping = subprocess.Popen(
                    [sys.executable, "-m", "sco_payment.cli.main", "ship", "--settings", str(path)],
                    stdin=subprocess.DEVNULL,
                )
                enough = count + 7
                while len(receipts) < enough and last < int(journal.head().partition(":")[0]):
                    assert shipping.poll() is None
                    assert time.monotonic() < end
                    time.sleep(0.002)
                    last = receipts[-1].seq if receipts else 0
                shipping.send_signal(signal.SIGKILL)
                shipping.wait()
                kills += 1
                if kills < 3:
                    payment(journal, f"between-{kills}")
            assert kills > 3
            assert [one for head in receipts if (one := is_stored(database, LANE, head)) is not None] == []
            assert stored_chains(database) == []
            assert as_on_the_lane(database, LANE, journal) == []


def _lay_out(image: Image, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in image.items():
        (folder / name).write_bytes(data)


def test_no_row_that_a_shipper_has_read_is_lost_in_a_power_cut(tmp_path: Path) -> None:
    """It reads at every operation of the lane's disk, also in mid-commit: what it may have sent must be there later."""
    seen: list[tuple[int, int, str]] = []
    (tmp_path / "lane").mkdir()
    path = tmp_path / "lane" / "j"

    def read() -> None:
        """As `Outbox.head` does in another process. The writer's own SQLite: it knows of the writer's locks."""
        db = apsw.Connection(f"file:{path}?mode=ro", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        try:
            ((seq, digest),) = db.execute("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1")
        except (apsw.Error, ValueError):  # it is being made
            return
        finally:
            db.close()
        if not seen or seen[-1][1:] != (seq, digest):
            seen.append((len(disk.log), seq, digest))

    disk = Disk(lambda call, kind: read())
    with RecordedJournal(path, disk) as journal:
        for work in life(3):
            work(journal)
            read()
    assert len({seq for _, seq, _ in seen}) > 10
    platter, rng, cuts = Platter(), random.Random(1), 0
    for number, op in enumerate(disk.log, 1):
        platter.play(op)
        before = [one for one in seen if one[0] <= number]
        if not before:
            continue
        _, seq, digest = before[-1]
        for image in (platter.lost(), platter.torn(rng)):
            _lay_out(image, tmp_path / "after")
            with Journal(tmp_path / "after" / "j", lane_id="lane-1", acquirer="paymaster") as journal:
                assert [row[9] for row in journal.raw_rows(seq - 1, limit=1, max_bytes=1)] == [digest], (number, op[:4])
            cuts += 1
    print(f"{cuts} power cuts, {len(seen)} heads read")


@needs_postgres
def test_a_lane_without_its_receipts_sends_nothing_twice(database: str, tmp_path: Path) -> None:
    """The receipt is written without a sync: a power cut may leave an old one, half of one, or none."""
    receipts: list[Head] = []
    with Centre(database) as centre, FleetWire(centre.url, receipts.append) as wire:
        fleet = add_lane(database, tmp_path, wire.base_url)
        place = acknowledged.place(tmp_path / "journal.db")
        with opened(tmp_path / "journal.db") as journal:
            for spoil in (place.unlink, lambda: place.write_bytes(place.read_bytes()[:20]), lambda: None):
                payment(journal, f"p{len(receipts)}")
                shipper = Shipper(Client(fleet), tmp_path / "journal.db", 500)
                while shipper.ship_batch():
                    pass
                shipper.close()
                spoil()
            with psycopg.connect(database) as db:
                assert db.execute("SELECT count(*) FROM records").fetchall() == [(journal.count(),)]
                assert db.execute("SELECT kind FROM alarms").fetchall() == []


def _refuses(wire: FleetWire) -> None:
    wire.down()


def _holds(wire: FleetWire) -> None:
    wire.plan = ["held"] * 1000


def _drips(wire: FleetWire) -> None:
    wire.plan = ["drip"] * 1000


def _page(wire: FleetWire) -> None:
    wire.plan = ["page"] * 1000


@pytest.fixture
def bank() -> Iterator[PayMasterSimulator]:
    with PayMasterSimulator(script="pays after=0") as bank:
        yield bank


@needs_postgres
@pytest.mark.parametrize("centre_does", [_refuses, _holds, _drips, _page])
def test_a_lane_pays_while_the_centre_is_dead_slow_or_lies(
    database: str, tmp_path: Path, bank: PayMasterSimulator, centre_does: Callable[[FleetWire], None]
) -> None:
    """Whole payments, each of them between two answers of the centre that do not come."""
    with Centre(database) as centre, FleetWire(centre.url) as wire:
        centre_does(wire)
        fleet = replace(add_lane(database, tmp_path, wire.base_url), timeout_s=60.0)
        write_private(tmp_path / "till.token", "till-token")
        settings = settings_from_mapping(
            {
                "lane": {"pos_id": LANE, "shop": "S"},
                "paymaster": {"base_url": bank.base_url, "merchant_id": bank.merchant_id},
                "timing": {"poll_interval_s": 0.1},
                "journal": {"path": str(tmp_path / "journal.db")},
                "fleet": {
                    "url": fleet.url,
                    "token_file": fleet.token_file,
                    "timeout_s": 60.0,
                    "ship_interval_s": 0.1,
                },
                "service": {
                    "listen": "127.0.0.1:0",
                    "clients": {"till": {"role": "till", "token_file": str(tmp_path / "till.token")}},
                },
            },
            {TOKEN_VARIABLE: bank.token},
        )
        with Service(settings, token=Token(bank.token)) as service:
            till = Till(service.port, host="127.0.0.1")
            if centre_does in (_holds, _drips):
                end = time.monotonic() + 60
                while not wire.requests:
                    assert time.monotonic() < end
                    time.sleep(0.01)
            for number in range(3):
                till.put(f"T-{number}", {"order": f"T-{number}", "total_kopecks": 100})
                assert till.outcome(f"T-{number}")["outcome"] == "paid"
                assert till.post(f"/v1/payments/T-{number}/taken").json["taken"] is True
            assert service.problems() == []
            assert service._agent is not None
            assert service._agent.acknowledged_row == 0  # nothing has come through meanwhile
        with Journal(tmp_path / "journal.db", read_only=True) as journal:
            assert len(journal.attempts()) == 3
            assert journal.verify() == []
