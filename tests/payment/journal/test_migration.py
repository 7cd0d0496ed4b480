"""A journal of an older schema is read as it is and migrated; no cut or failure in the middle of it loses anything.

Most tests bring the next schema. A release that adds one keeps a file of the one before it in `tests/corpora/journal`
and tests the real migration the same way.
"""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import Journal, JournalTooNew, schema
from tests.payment.journal.kit import full, opened
from tests.verification.powerloss.check import cut_everywhere, fail_everywhere_opening, print_of
from tests.verification.powerloss.recorder import Disk, RecordedJournal

NEXT = schema.VERSION + 1
MIGRATION = """
CREATE TABLE notes (seq INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
INSERT INTO notes SELECT seq, body FROM records WHERE kind = 'note';
ALTER TABLE cases ADD COLUMN shift TEXT;
UPDATE cases SET shift = 'night';
"""


@pytest.fixture
def older(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A journal of this schema, in a folder of its own, and a package that knows the next one."""
    (tmp_path / "older").mkdir()
    full(tmp_path / "older" / "j")
    (tmp_path / "older" / "j.lock").unlink()
    monkeypatch.setattr(schema, "VERSION", NEXT)
    monkeypatch.setitem(schema.MIGRATIONS, NEXT - 1, MIGRATION)
    monkeypatch.setattr(schema, "TABLES", schema.TABLES + MIGRATION)
    return tmp_path / "older" / "j"


def test_it_is_read_as_it_is_and_migrated(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(journal: Journal) -> object:
        return journal.attempts(), journal.cases(include_closed=True), journal.records(), journal.head()

    with Journal(older, read_only=True) as journal:
        assert journal.verify() == []
        before, head = held(journal), journal.head()
        assert journal._all("PRAGMA user_version") == [(NEXT - 1,)]
    with opened(older) as journal:
        assert held(journal) == before
        assert journal.verify() == []
        assert journal._all("PRAGMA user_version") == [(NEXT,)]
        assert journal._all("SELECT count(*) FROM notes") == journal._all(
            "SELECT count(*) FROM records WHERE kind = 'note'"
        )
        plan = m.Plan("k9", "Z-9", 100, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=300_000)
        journal.record(None, *m.begin(plan), at_ms=80_000)
        assert journal.verify(head) == []
    monkeypatch.undo()
    for open_it in (opened, partial(Journal, read_only=True)):
        with pytest.raises(JournalTooNew, match=f"schema {NEXT}, this package knows {NEXT - 1}"):
            open_it(older)


def test_several_migrations_run_in_order(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "VERSION", NEXT + 1)
    later = "DROP TABLE notes; ALTER TABLE cases RENAME COLUMN shift TO period;"
    monkeypatch.setitem(schema.MIGRATIONS, NEXT, later)
    monkeypatch.setattr(schema, "TABLES", schema.TABLES + later)
    with opened(older) as journal:
        assert journal._all("PRAGMA user_version") == [(NEXT + 1,)]
        assert journal._all("SELECT period FROM cases") == [("night",)]
        assert journal._all("SELECT count(*) FROM sqlite_master WHERE name = 'notes'") == [(0,)]


def test_power_loss_and_a_failing_disk_in_the_middle_lose_nothing(older: Path, tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.mkdir()
    shutil.copy(older, whole / "j")
    with opened(whole / "j") as journal:
        fingerprint = print_of(journal)
    begun = tmp_path / "begun"
    shutil.copytree(older.parent, begun)
    disk = Disk()
    disk.adopt(begun)
    RecordedJournal(begun / "j", disk).close()
    report = cut_everywhere(disk.log, [fingerprint], tmp_path / "image", torn=6)
    print(report.line())
    assert report.failures == []
    assert report.points > 10
    failing = fail_everywhere_opening(older.parent, [fingerprint], tmp_path / "image")
    print(failing.line())
    assert failing.failures == []
    assert failing.points > 10


@pytest.mark.parametrize("version", range(1, schema.VERSION))
def test_the_journal_of_an_earlier_schema_is_migrated(tmp_path: Path, version: int) -> None:
    older = tmp_path / "older"
    older.mkdir()
    shutil.copy(Path(__file__).parents[2] / "corpora" / "journal" / f"version-{version}.db", older / "j")
    with Journal(older / "j", read_only=True) as journal:
        assert journal.verify() == []
        assert journal._all("PRAGMA user_version") == [(version,)]
        assert journal.id() == ""
        assert journal.archived() == (0, "")
        records, fingerprint = journal.records(), print_of(journal)
    begun = tmp_path / "begun"
    shutil.copytree(older, begun)
    disk = Disk()
    disk.adopt(begun)
    RecordedJournal(begun / "j", disk).close()
    for report in (
        cut_everywhere(disk.log, [fingerprint], tmp_path / "image", torn=6),
        fail_everywhere_opening(older, [fingerprint], tmp_path / "image"),
    ):
        assert report.failures == []
        assert report.points > 5
    with opened(older / "j") as journal:
        assert journal._all("PRAGMA user_version") == [(schema.VERSION,)]
        assert len(journal.id()) == 32
        assert journal.records() == records
        assert journal.archived_payment("A-0") is None
        assert journal.verify() == []
