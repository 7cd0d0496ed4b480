"""What the lane, the fleet and the service ask a journal for, before and after its first years are in an archive."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import Journal, JournalLost, RowsArchived, acknowledged, archive, codec, schema, verify
from sco_payment.journal.acknowledged import Head
from sco_payment.journal.opening import salvage_journal
from sco_payment.settings import JournalSettings, LaneSettings, Settings
from tests.payment.journal.kit import full, opened, plan, tamper

OLD, BEGIN = archive.start_of(2025) - 1_000, archive.start_of(2025)
WIDE = 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j"


def archived(path: Path) -> archive.Cut:
    """k1 is in an archive with rows 1 and 2; k2 has rows 3 to 5 and case 1; row 6 says that rows were archived."""
    with opened(path) as journal:
        one, two = m.State(plan("k1", "o1"), payment_id="p1"), m.State(plan("k2", "o2"))
        journal.record(None, one, (), at_ms=OLD)
        journal.record(m.Tick(1), replace(one, phase=m.Phase.PAID, delivered=True), (), at_ms=OLD)
        journal.record(None, two, (), at_ms=BEGIN)
        journal.record(m.Tick(2), replace(two, phase=m.Phase.PAID_LATE),
                       (m.OpenCase(m.CaseReason.LATE_MONEY, "late"),), at_ms=BEGIN)  # fmt: skip
    with opened(path) as journal:
        cut = journal.find_cut(BEGIN)
        assert cut is not None
        journal.move_to_archive(cut, path.with_name("archive"), at_ms=BEGIN + 1)
    return cut


def read(path: Path) -> Journal:
    return Journal(path, read_only=True)


def test_an_attempts_rows_and_case(path: Path) -> None:
    cut = archived(path)
    with read(path) as journal:
        assert (cut.last_row, journal.count(), journal.base()) == (2, 4, (2, cut.last_hash))
        assert [journal.last_row(key) for key in ("k1", "k2", "none")] == [0, 5, 0]
        assert [journal.phase_before("k2", seq) for seq in (3, 4, 5)] == [None, "creating", "paid_late"]
        assert [journal.case_number(key) for key in ("k1", "k2", "none")] == [None, 1, None]
        assert [journal.case_number("k2", until=seq) for seq in (4, 5, 6)] == [None, 1, 1]
        assert [journal.has_archived(key) for key in ("k1", "k2", "none")] == [True, False, False]


def test_rows_as_they_are_in_the_file(path: Path) -> None:
    archived(path)
    with read(path) as journal:
        rows = journal.raw_rows(2, limit=10, max_bytes=WIDE)
        assert [row[0] for row in rows] == [3, 4, 5, 6]
        assert all(codec.row_hash(*row[:-1]) == row[-1] for row in rows)
        for after in (0, 1):
            with pytest.raises(RowsArchived, match="rows up to 2 are in archives, at the latest archive") as caught:
                journal.raw_rows(after, limit=10, max_bytes=WIDE)
            assert caught.value.last_row == 2
        assert journal.raw_rows(2, limit=2, max_bytes=WIDE) == rows[:2]
        assert journal.raw_rows(6, limit=2, max_bytes=WIDE) == []
        sizes = [len(row[7]) for row in rows]
        for number in range(1, 5):
            assert journal.raw_rows(2, limit=10, max_bytes=sum(sizes[:number])) == rows[:number]
            assert journal.raw_rows(2, limit=10, max_bytes=sum(sizes[:number]) - 1) == rows[: max(1, number - 1)]


def test_whether_a_row_is_here(path: Path) -> None:
    cut = archived(path)
    with read(path) as journal:
        fifth = journal.raw_rows(4, limit=1, max_bytes=WIDE)[0][-1]
        assert journal.lacks(5, fifth) is None
        assert journal.lacks(2, cut.last_hash) is None
        assert journal.lacks(1, "f" * 64) is None, "its archive has it, or not: nobody can tell here"
        for seq in (2, 5):
            assert f"row {seq} is not the row that was written" in str(journal.lacks(seq, "f" * 64))
        for seq in (7, 2**70):
            assert "is missing: rows were cut off, or an old copy was put back" in str(journal.lacks(seq, fifth))


def test_a_copy_that_is_older_than_what_the_fleet_has(path: Path) -> None:
    count = full(path)
    with read(path) as journal:
        name = journal.id()
    for epoch, seq, lost in ((name, count, False), ("another", count + 1, False), (name, count + 1, True)):
        acknowledged.write(path, Head(epoch, seq, "a" * 64))
        if lost:
            with pytest.raises(JournalLost, match=f"ends at row {count}, but the fleet has its row {count + 1}"):
                opened(path)
        else:
            opened(path).close()


def test_each_commit_is_told(path: Path) -> None:
    told: list[int] = []
    with opened(path) as journal:
        journal.on_commit = lambda: told.append(journal.count())
        journal.note("k", "x", at_ms=1)
        journal.note("k", "y", at_ms=2)
    assert told == [1, 2]


def test_an_overdue_attempt_counts_until_its_case_is_closed(path: Path) -> None:
    with opened(path) as journal:
        for number, phase in enumerate((m.Phase.OVERDUE, m.Phase.UNSETTLED, m.Phase.REFUNDABLE), 1):
            key = f"k{number}"
            state = m.State(plan(key, "o"), phase=phase)
            journal.record(None, state, (m.OpenCase(m.CaseReason.EXPIRED_UNCONFIRMED, ""),), at_ms=1)
            assert key in [one.plan.key for one in journal.conflicting_attempts("o")]
            journal.close_case(number, operator="x", resolution="y", at_ms=2)
        assert [one.plan.key for one in journal.conflicting_attempts("o")] == ["k3"]


# --- taken over from a damaged one ------------------------------------------------------------------------------------


def salvaged(path: Path, at_ms: int = BEGIN + 2_000) -> int | None:
    settings = Settings(lane=LaneSettings(pos_id="l"), journal=JournalSettings(path=str(path)))
    return salvage_journal(settings, at_ms)[2]


def test_a_salvaged_journal_still_begins_where_its_archive_ends(path: Path) -> None:
    cut = archived(path)
    assert salvaged(path) is None
    with read(path) as journal:
        assert journal.verify() == []
        assert journal.base() == (2, cut.last_hash)
        assert journal.archived() == (2, "archive")
        assert journal.archived_payment("o1") == "k1"
        assert journal.payment_ids("o1") == {"k1": "p1"}
        said = journal.records(after=2)
        assert [(one.kind, one.attempt) for one in said] == [
            ("archived", ""), ("attempt_started", "k2"), ("note", "k2"), ("case_opened", "k2"),
        ]  # fmt: skip
        assert journal.case_number("k2") == 1


def test_what_is_doubted_is_asked_about_again_and_says_so(path: Path) -> None:
    """The bank is asked only about those: another that ended unpaid stays as it was."""
    unpaid = {key: m.State(plan(key, key), phase=m.Phase.UNPAID, payment_id="p") for key in ("k1", "k2")}
    with opened(path) as journal:
        for state in unpaid.values():
            journal.record(None, state, (), at_ms=1)
    tamper(path, "UPDATE attempts SET state = '{' WHERE attempt = 'k2'")
    assert salvaged(path, 5_000) is None
    with read(path) as journal:
        assert journal.attempts() == [unpaid["k1"], replace(unpaid["k2"], phase=m.Phase.CLOSED)]
        notes = [journal.timeline(key)[-1].body["text"] for key in ("k1", "k2")]
    assert notes == ["taken over from j.damaged-5", "taken over from j.damaged-5, which contradicts itself about it"]


def test_what_is_lost_is_a_case(path: Path) -> None:
    full(path)
    tamper(path, "DELETE FROM records WHERE seq = 2")
    number = salvaged(path)
    with read(path) as journal:
        assert number is not None
        case = journal.case(number)
        assert (case.reason, case.phase, case.closed_at_ms) == ("create_unknown", "unsettled", None)
        assert case.detail.startswith("rows 2 of the journal are lost (kept in j.damaged-")


# --- checked ----------------------------------------------------------------------------------------------------------


def test_an_anchor_at_the_end_of_an_archive(path: Path) -> None:
    """Its row is not in the journal: only where the journal begins tells."""
    with opened(path) as journal:
        journal.record(None, m.State(plan("k1", "o1"), phase=m.Phase.PAID, delivered=True), (), at_ms=OLD)
        cut = journal.find_cut(BEGIN)
        assert cut is not None
        journal.move_to_archive(cut, path.with_name("archive"), at_ms=BEGIN)
    with read(path) as journal:
        assert journal.verify(f"1:{cut.last_hash}") == []
        assert journal.verify("1:" + "f" * 64) == ["row 1 is not the row of the anchor: the journal was rewritten"]


def test_a_row_about_an_archive_that_cannot_be_read(path: Path) -> None:
    archived(path)
    tamper(path, "UPDATE records SET body = '{}' WHERE kind = 'archived'")
    with read(path) as journal:
        found = journal.verify()
    assert any(one.startswith("row 6 cannot be read") for one in found)
    assert "no row says that the rows up to 2 were archived: they are missing" in found


def test_a_table_of_cases_with_numbers_that_are_none() -> None:
    rows = [(number, *[None] * 7) for number in ("x", 2, None, -1)]
    found = verify.ReplayedCases().differences(iter(rows))
    assert [one.split()[1] for one in found] == ["-1", "x", "None", "2"]


def test_the_hash_of_what_was_archived_never_changes() -> None:
    """Journals of years have it in a row."""
    rows = [("заказ", "k1", None, 1), ("\ud800", "k2", b"\xff", 0)]
    assert verify.attempts_hash(lambda _: iter(rows)) == (
        "fa97e3d3fd0660e00b8b89a32163ba0f9c7780339ad5bef91a818ae9a4d3d1b7"
    )


@pytest.mark.parametrize("table", ["DROP TABLE segment", "DELETE FROM segment"])
def test_a_journal_that_does_not_say_which_part_it_is_holds_all(path: Path, table: str) -> None:
    full(path)
    tamper(path, table)
    with read(path) as journal:
        assert schema.segment(journal._all) == (False, 0, codec.GENESIS, "", 0)
