"""The power is cut, and the disk fails, at every operation of a journal's life; seeded faults are caught."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from sco_payment.journal import Journal, JournalUnwritable
from tests.verification.powerloss.__main__ import fast_folder
from tests.verification.powerloss.check import cut_again, cut_everywhere, fail_everywhere, life, prints_of, record
from tests.verification.powerloss.faults import FAULTS
from tests.verification.powerloss.recorder import STATEMENTS
from tests.verification.seeded import SeededFault, current, seeded

WORKS = list(life(6))


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as name:
        yield Path(name)


def test_power_loss_at_every_operation_loses_nothing(folder: Path) -> None:
    prints = prints_of(WORKS, folder / "reference")
    report = cut_everywhere(record(WORKS, folder / "record"), prints, folder / "image")
    print(report.line())
    assert report.failures == []
    assert report.points > 700
    assert report.opened > 1_000


def test_power_loss_while_recovering_loses_nothing(folder: Path) -> None:
    prints = prints_of(WORKS, folder / "reference")
    report = cut_again(record(WORKS, folder / "record"), WORKS, prints, folder / "image", points=22)
    print(report.line())
    assert report.failures == []
    assert report.points > 300


@pytest.mark.parametrize("error", [apsw.IOError, apsw.FullError])
@pytest.mark.parametrize("broken_for", [1, 40])
def test_a_disk_that_fails_at_any_operation_loses_nothing(
    folder: Path, error: type[apsw.Error], broken_for: int
) -> None:
    works = WORKS[: len(list(life(3)))]
    prints = prints_of(works, folder / "reference")
    report = fail_everywhere(works, prints, folder / "image", error=error, broken_for=broken_for, every=3)
    print(report.line())
    assert report.failures == []
    assert report.points > 100


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_caught(folder: Path, fault: SeededFault) -> None:
    prints = prints_of(WORKS, folder / "reference")
    with seeded(fault):
        report = cut_everywhere(record(WORKS, folder / "record"), prints, folder / "image")
    print(report.line())
    assert report.failures
    assert any(str(words) in report.failures[0] for words in fault.breaks)


def test_a_seeded_fault_is_removed_again() -> None:
    for fault in FAULTS:
        original = current(fault)
        with seeded(fault):
            assert current(fault) != original
        assert current(fault) == original
    assert not STATEMENTS


class _WithoutSharedMemory(Journal):
    def _connect(self, uri: str) -> sqlite3.Connection:
        return sqlite3.connect(f"{uri}&vfs=unix-none", uri=True, isolation_level=None, check_same_thread=False)


def test_a_disk_without_a_write_ahead_log_is_refused(tmp_path: Path) -> None:
    """SQLite reports nothing: it stays in a mode in which a commit is not durable before the directory is synced."""
    with pytest.raises(JournalUnwritable, match=r"write-ahead log here \(mode delete\)"):
        _WithoutSharedMemory(tmp_path / "j", lane_id="lane-1", acquirer="paymaster")
