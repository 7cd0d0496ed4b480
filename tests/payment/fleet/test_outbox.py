"""Rows come from the journal, or from the archives next to it, each as it was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.fleet import outbox as fleet_outbox
from sco_payment.fleet.outbox import Outbox
from sco_payment.journal import Journal, JournalError, JournalLost, RowsArchived, acknowledged
from sco_payment.journal.acknowledged import Head
from sco_payment.journal.archive import start_of
from sco_payment.journal.store import RawRow
from tests.payment.journal.kit import full, opened
from tests.payment.journal.test_archive import ends, lived, move, rows


def all_rows(path: Path, limit: int = 3) -> list[RawRow]:
    outbox, found = Outbox(path), list[RawRow]()
    while page := outbox.rows(found[-1][0] if found else 0, limit):
        found += page
    outbox.close()
    return found


@pytest.fixture
def archived(tmp_path: Path) -> tuple[Path, dict[int, tuple[object, ...]]]:
    """A journal with two archives next to it, and every row that it ever had."""
    path = tmp_path / "j"
    lived(path)
    written = rows(path)
    move(path, tmp_path / "j.before-2025", at_ms=start_of(2026) + 1_000)
    with opened(path) as journal:
        ends(journal, "third year", m.Phase.UNPAID, start_of(2026) + 2_000)
    written |= rows(path)
    move(path, tmp_path / "j.before-2027", start_of(2027), at_ms=start_of(2027) + 1_000)
    written |= rows(path)
    return path, written


def test_a_journal_without_archives_is_read_in_pages(tmp_path: Path) -> None:
    count = full(tmp_path / "j")
    for limit in (1, 4, 500):
        assert {row[0]: row for row in all_rows(tmp_path / "j", limit)} == rows(tmp_path / "j")
    outbox = Outbox(tmp_path / "j")
    assert outbox.head()[1] == count
    assert outbox.rows(count, 10) == []


def test_a_page_has_bounded_bytes_and_always_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = full(tmp_path / "j")
    monkeypatch.setattr(fleet_outbox, "MAX_BYTES", 1)
    assert len(Outbox(tmp_path / "j").rows(0, 500)) == 1
    assert len(all_rows(tmp_path / "j")) == count
    monkeypatch.setattr(fleet_outbox, "MAX_BYTES", 1_000)
    assert 1 < len(Outbox(tmp_path / "j").rows(0, 500)) < count


def test_rows_that_were_archived_before_they_were_sent_come_from_the_archives(
    archived: tuple[Path, dict[int, tuple[object, ...]]],
) -> None:
    path, written = archived
    found = all_rows(path)
    assert {row[0]: row for row in found} == written
    assert [row[0] for row in found] == list(range(1, len(written) + 1))
    hashes = {row[0]: row[9] for row in found}
    assert all(row[8] == hashes[row[0] - 1] for row in found[1:])


def test_a_journal_and_its_archives_have_one_id(archived: tuple[Path, dict[int, tuple[object, ...]]]) -> None:
    path, _ = archived
    ids = set()
    for file in (path, path.with_name("j.before-2025"), path.with_name("j.before-2027")):
        with Journal(file, read_only=True) as journal:
            ids.add(journal.id())
    assert len(ids) == 1
    assert len(ids.pop()) == 32


def test_an_archive_that_is_elsewhere_is_named(archived: tuple[Path, dict[int, tuple[object, ...]]]) -> None:
    path, _ = archived
    path.with_name("j.before-2025").unlink()
    with pytest.raises(RowsArchived, match=r"put it next to the journal: .*j\.before-2025"):
        Outbox(path).rows(0, 10)
    base, _ = Outbox(path).base()
    assert Outbox(path).rows(base, 500)[0][0] == base + 1
    full(path.with_name("j.other"))
    path.with_name("j.other").rename(path.with_name("j.before-2025"))
    with pytest.raises(RowsArchived, match="is not the archive that ends at row"):
        Outbox(path).rows(0, 10)


def test_there_is_no_journal_yet(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / "j")
    with pytest.raises(JournalError, match="there is no journal"):
        outbox.head()
    full(tmp_path / "j")
    assert outbox.head()[1] == 15


def test_each_journal_has_an_id_of_its_own(tmp_path: Path) -> None:
    full(tmp_path / "a")
    full(tmp_path / "b")
    with Journal(tmp_path / "a", read_only=True) as one, Journal(tmp_path / "b", read_only=True) as other:
        assert one.id() != other.id()


def test_a_journal_behind_what_the_fleet_acknowledged_is_not_opened(tmp_path: Path) -> None:
    count = full(tmp_path / "j")
    with Journal(tmp_path / "j", read_only=True) as journal:
        epoch = journal.id()
    acknowledged.write(tmp_path / "j", Head("of another journal", count + 7, "a" * 64))
    opened(tmp_path / "j").close()
    acknowledged.write(tmp_path / "j", Head(epoch, count, "a" * 64))
    opened(tmp_path / "j").close()
    acknowledged.write(tmp_path / "j", Head(epoch, count + 7, "a" * 64))
    with pytest.raises(JournalLost, match=f"ends at row {count}, but the fleet has its row {count + 7}"):
        opened(tmp_path / "j")
    file = acknowledged.place(tmp_path / "j")
    file.write_bytes(file.read_bytes()[:60])  # cut by a power loss
    assert acknowledged.read(tmp_path / "j") == acknowledged.NOTHING
    opened(tmp_path / "j").close()


def test_a_journal_that_is_gone_is_noticed_by_what_the_fleet_has(tmp_path: Path) -> None:
    acknowledged.write(tmp_path / "j", Head("e", 7, "a" * 64))
    with pytest.raises(JournalLost, match="there was one"):
        opened(tmp_path / "j")
    Journal(tmp_path / "j", lane_id="lane-1", acquirer="paymaster", new=True).close()
    opened(tmp_path / "j").close()
