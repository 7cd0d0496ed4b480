"""A disk that is really full, and one that is really read-only: payments are refused in words, nothing is lost.

Mounts small file systems in memory, so it needs root; `test_journal.py` and `test_powerloss.py` need none.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import Journal, JournalError, JournalUnwritable
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.journal.kit import opened
from tests.payment.test_cli import run, settings_file

pytestmark = pytest.mark.program("mount")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True)
    if mounting.returncode:
        pytest.skip("file systems can be mounted by root only")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Write until nothing more goes in."""
    filler = disk / "filler"
    file = os.open(filler, os.O_WRONLY | os.O_CREAT)
    with contextlib.suppress(OSError):
        while True:
            os.write(file, bytes(4096))
    os.close(file)
    return filler


def plan(n: int) -> m.Plan:
    return m.Plan(f"k{n}", f"A-{n}", 100, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=300_000)


def test_a_disk_that_fills_while_the_lane_runs(disk: Path) -> None:
    with opened(disk / "j") as journal:
        journal.record(None, *m.begin(plan(0)), at_ms=0)
        filler = fill(disk)
        written = 0
        with pytest.raises(JournalUnwritable, match="free space"):  # noqa: PT012 - which one fails depends on the disk
            for written in itertools.count(1):
                journal.record(None, *m.begin(plan(written)), at_ms=written)
        for _ in range(3):  # it stays refused, and stays whole
            with pytest.raises(JournalUnwritable):
                journal.record(None, *m.begin(plan(written)), at_ms=written)
        assert len(journal.attempts()) == written
        assert journal.verify() == []
        filler.unlink()
        journal.record(None, *m.begin(plan(written)), at_ms=written)
        assert len(journal.attempts()) == written + 1
    with opened(disk / "j") as journal:
        assert len(journal.attempts()) == written + 1
        assert journal.verify() == []


def test_a_lane_closed_on_a_full_disk_has_lost_nothing(disk: Path) -> None:
    with opened(disk / "j") as journal:
        for n in range(20):
            journal.record(None, *m.begin(plan(n)), at_ms=n)
        fill(disk)
    with opened(disk / "j") as journal:
        assert len(journal.attempts()) == 20
        assert journal.verify() == []


@pytest.mark.parametrize("kind", ["full", "read-only"])
@pytest.mark.parametrize("used", [False, True], ids=["new journal", "used journal"])
def test_sco_pay_refuses_and_sends_the_bank_no_request(disk: Path, tmp_path: Path, kind: str, used: bool) -> None:
    with PayMasterSimulator(script="pays") as paymaster:
        file = settings_file(tmp_path, paymaster)
        path = disk / "journal.db"
        text = Path(file).read_text("utf-8").replace(str(tmp_path / "journal.db"), str(path))
        Path(file).write_text(text, "utf-8")
        token = {"SCO_PAYMASTER_TOKEN": paymaster.token}
        if used:
            assert run("pay", "253", "--settings", file, "--order", "1", **token).returncode == 0
        if kind == "full":
            filler = fill(disk)
        else:
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        before = paymaster.bank.creates
        refused = run("pay", "253", "--settings", file, "--order", "2", **token)
        assert refused.returncode in (2, 4), refused.stderr
        assert "Traceback" not in refused.stderr
        assert str(path) in refused.stderr
        assert any(words in refused.stderr for words in ("free space", "writable", "mounted read-only", "No space"))
        assert paymaster.bank.creates == before
        if kind == "full":
            filler.unlink()
        else:
            subprocess.run(["mount", "-o", "remount,rw", str(disk)], check=True)
        assert run("pay", "253", "--settings", file, "--order", "2", **token).returncode == 0
    with Journal(path, read_only=True) as journal:
        assert [state.phase for state in journal.attempts()] == [m.Phase.PAID] * (1 + used)
        assert journal.verify() == []


def test_a_read_only_journal_is_reported_as_such(disk: Path) -> None:
    with opened(disk / "j") as journal:
        journal.record(None, *m.begin(plan(0)), at_ms=0)
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(JournalUnwritable, match="mounted read-only"):
        opened(disk / "j")
    try:
        with Journal(disk / "j", read_only=True) as journal:
            assert len(journal.attempts()) == 1
    except JournalError as error:
        assert os.fspath(disk / "j") in str(error)  # noqa: PT017 - SQLite may need to make a file next to it
