"""Journals that older versions of this package wrote, kept as files, are read and brought up to date; no cut in the
middle of it loses anything. A new schema version needs the file of the one before it here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal.store import SCHEMA_VERSION, Journal
from tests.verification.powerloss.check import cut_everywhere, fail_everywhere_opening, print_of
from tests.verification.powerloss.recorder import Disk, RecordedJournal

KEPT = Path(__file__).parents[2] / "corpora" / "journal"
OLDER = range(1, SCHEMA_VERSION)


@pytest.fixture(params=OLDER, ids=lambda version: f"schema {version}")
def older(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy, in a folder of its own, of the journal that the older version wrote."""
    (tmp_path / "older").mkdir()
    return Path(shutil.copy(KEPT / f"schema-{request.param}.db", tmp_path / "older" / "j"))


def test_it_is_read_as_it_is_and_brought_up_to_date(older: Path) -> None:
    with Journal(older, read_only=True) as journal:
        assert journal.verify() == []
        before = (journal.attempts(), journal.cases(include_closed=True), journal.timeline("k1"), journal.head())
    with Journal(older) as journal:
        now = (journal.attempts(), journal.cases(include_closed=True), journal.timeline("k1"), journal.head())
        assert now == before
        assert journal.verify() == []
        assert journal._all("PRAGMA user_version") == [(SCHEMA_VERSION,)]
        plan = m.Plan("k9", "Z-9", 100, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=300_000)
        journal.record(None, *m.begin(plan), at=80_000)
        assert journal.verify(before[3]) == []
    assert [case.operator for case in before[1]] == ["Иванова"]
    assert [state.plan.key for state in before[0]] == ["k1", "k2"]


def test_power_loss_and_a_failing_disk_in_the_middle_lose_nothing(older: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    shutil.copy(older, whole / "j")
    with Journal(whole / "j") as journal:
        print_ = print_of(journal)
    begun = tmp_path / "begun"
    shutil.copytree(older.parent, begun)
    disk = Disk()
    disk.adopt(begun)
    RecordedJournal(begun / "j", disk).close()
    report = cut_everywhere(disk.log, [print_], tmp_path / "image", torn=6)
    print(report.line())
    assert report.failures == []
    assert report.points > 10
    failing = fail_everywhere_opening(older.parent, [print_], tmp_path / "image")
    print(failing.line())
    assert failing.failures == []
    assert failing.points > 10
