"""`sco-pay journal archive` as an operator runs it, and what a lane does afterwards."""

from __future__ import annotations

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sco_payment.attempt import Outcome
from sco_payment.journal import Journal, JournalUnwritable
from sco_payment.journal.archive import start_of
from sco_payment.order import Order, PaymentRefused
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.journal.kit import opened, tamper
from tests.payment.journal.test_archive import MOVED, STAYED, YEAR, keys, lived, move, problems
from tests.payment.lane_kit import bench, run, settings_file


@pytest.fixture
def lane(tmp_path: Path) -> tuple[str, Path]:
    """The settings of a lane, and its journal, which has lived through a new year."""
    with PayMasterSimulator() as paymaster:
        file = settings_file(tmp_path, paymaster)
    lived(tmp_path / "journal.db")
    return file, tmp_path / "journal.db"


def archive(file: str, *arguments: str, status: int = 0) -> str:
    done = run("journal", "archive", "--settings", file, *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def verified(*arguments: str, status: int = 0) -> str:
    done = run("journal", "verify", *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_a_dry_run_says_what_would_be_moved_and_moves_nothing(lane: tuple[str, Path]) -> None:
    file, path = lane
    before = path.read_bytes()
    with opened(path):  # also while the lane runs
        text = archive(file, "--before", str(YEAR), "--dry-run")
    assert f"to {path.parent}/journal.before-{YEAR}.db: 4 attempts, rows up to " in text
    assert "older ones that stay: 1 open, 2 with an open case, 1 that went on later" in text
    assert path.read_bytes() == before
    assert not list(path.parent.glob("journal.before*"))


def test_a_year_is_archived_and_both_files_are_verified(lane: tuple[str, Path]) -> None:
    file, path = lane
    before = verified("--settings", file)
    old_anchor = re.findall(r"anchor (\S+)", before)[0]
    text = archive(file, "--before", str(YEAR))
    there = path.with_name(f"journal.before-{YEAR}.db")
    assert f"archived and verified: {there}" in text
    archive_anchor, journal_anchor = re.findall(r"anchor of the \w+ (\S+)", text)
    assert keys(path) == STAYED
    assert "all in order" in verified(str(there), "--anchor", archive_anchor)
    for anchor in (old_anchor, archive_anchor, journal_anchor):
        text = verified("--settings", file, "--anchor", anchor)
        assert f"the chain begins after row {archive_anchor.split(':')[0]}, the last one of {there.name}" in text
    assert "nothing to archive" in archive(file, "--before", str(YEAR))
    tamper(there, "UPDATE records SET at_ms = 0 WHERE seq = 2")
    assert "row 2 was changed" in verified(str(there), status=1)


def test_the_present_year_is_the_default_and_no_later_one_is_taken(lane: tuple[str, Path], tmp_path: Path) -> None:
    file, path = lane
    this_year = datetime.now(UTC).astimezone().year
    assert "only years that are over" in archive(file, "--before", str(this_year + 1), status=2)
    assert start_of(YEAR + 1) <= start_of(this_year), "this test is older than its journal"
    text = archive(file, "--to", str(tmp_path / "old.db"))
    assert "5 attempts" in text or "6 attempts" in text
    assert problems(path) == problems(tmp_path / "old.db") == []


def test_what_cannot_be_done_is_refused_in_words(lane: tuple[str, Path], tmp_path: Path) -> None:
    file, path = lane
    before = path.read_bytes()
    with opened(path):
        text = archive(file, "--before", str(YEAR), status=2)
    assert "one lane, one journal, one process: stop the lane first" in text
    assert "there is no such folder" in archive(file, "--before", str(YEAR), "--to", "/nowhere/a.db", status=2)
    assert path.read_bytes() == before
    (tmp_path / f"journal.before-{YEAR}.db").write_text("a letter" * 100)
    assert "not a database" in archive(file, "--before", str(YEAR), status=2)
    assert keys(path) == [*MOVED[:1], "case open", "unpaid", "going on", *MOVED[2:], *STAYED[2:]]
    assert "what is to be checked?" in verified(status=2)
    assert "what is to be checked?" in verified(str(path), "--settings", file, status=2)


def test_an_order_that_was_paid_in_an_archived_year_is_refused(tmp_path: Path) -> None:
    with bench(tmp_path, "pays after=2") as (lane, _):
        assert lane.pay(Order("42", 25_300)).outcome is Outcome.PAID
    now = start_of(datetime.now(UTC).astimezone().year + 10)
    move(tmp_path / "journal.db", tmp_path / "archive", before_ms=now, at_ms=now)
    assert keys(tmp_path / "journal.db") == []
    with bench(tmp_path, "pays after=2") as (lane, paymaster):
        with pytest.raises(
            PaymentRefused, match=r"order 42 is already paid \(attempt \w+, in an archive of the journal\)"
        ):
            lane.pay(Order("42", 25_300))
        assert paymaster.bank.creates == 0
        assert lane.pay(Order("43", 25_300)).outcome is Outcome.PAID
        assert lane.journal.verify() == []


def test_a_payment_in_an_archive_is_never_taken_for_the_one_that_is_looked_for(lane: tuple[str, Path]) -> None:
    """An order's earlier attempt was not paid, and its number is used again."""
    _, path = lane
    move(path, path.with_name("archive"))
    with bench(path.parent) as (again, _):
        assert again._loop._other_payments(again._plan(Order("order unpaid", 25_300))) == ["payment unpaid"]
        assert again._loop._other_payments(again._plan(Order("43", 25_300))) == []


@pytest.mark.program("mount")
def test_a_disk_that_fills_meanwhile_loses_nothing(lane: tuple[str, Path], tmp_path: Path) -> None:
    """The room was checked before; then something else takes it."""
    _, path = lane
    with opened(path) as journal:
        for n in range(60):
            journal.note("paid", "x" * 20_000, at_ms=start_of(YEAR + 1) + n)
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], capture_output=True)
    if mounting.returncode:
        pytest.skip("file systems can be mounted by root only")
    try:
        done = []
        for limit in (True, False):
            with pytest.MonkeyPatch.context() as patched:
                if not limit:
                    patched.setattr("sco_payment.journal.location.check_room", lambda *_: None)
                with pytest.raises(JournalUnwritable) as failed:
                    move(path, disk / "a", before_ms=start_of(YEAR + 1) + 100)
                done.append(str(failed.value))
        assert re.match(r"\S+/disk: about \d+ MB are needed there, \d+ MB are free", done[0])
        assert re.match(r"\S+/disk/a: .*full.*check the disk's free space", done[1])
        assert not list(disk.iterdir())
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    assert problems(path) == []
    with Journal(path, read_only=True) as journal:
        assert journal.archived() == (0, "")
