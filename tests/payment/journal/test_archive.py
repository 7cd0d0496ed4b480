"""Closed years leave the journal for a file of their own: both verify, nothing is forgotten, nothing can be lost."""

from __future__ import annotations

import shutil
import sqlite3
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import (
    Journal,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalUnwritable,
    NoSuchCase,
    RowsArchived,
    WrongAnchor,
    archive,
    location,
    store,
)
from sco_payment.journal.archive import Cut, start_of
from sco_payment.journal.describe import describe
from tests.payment.journal.kit import opened, plan, tamper

YEAR = 2025
BEGIN = start_of(YEAR)
OLD, NEW = BEGIN - 30 * 86_400_000, BEGIN + 86_400_000
NOW = start_of(YEAR + 1) + 1_000


def ends(journal: Journal, key: str, phase: m.Phase, at_ms: int, *, case: m.CaseReason | None = None) -> None:
    """An attempt of the order of the same name that begins and ends at once."""
    began = m.State(replace(plan(key, f"order {key}"), begun_at_ms=at_ms))
    journal.record(None, began, (), at_ms=at_ms)
    journal.note(key, "shown", at_ms=at_ms + 1)
    ended = replace(began, phase=phase, payment_id=f"payment {key}", case=case, delivered=phase is m.Phase.PAID)
    effects = () if case is None else (m.OpenCase(case, f"detail of {key}"),)
    journal.record(m.Tick(at_ms + 2), ended, effects, at_ms=at_ms + 2)


def close(journal: Journal, key: str, at_ms: int) -> None:
    (number,) = [case.number for case in journal.cases() if case.attempt == key]
    journal.close_case(number, operator="Иванова", resolution="выяснено", at_ms=at_ms)


def lived(path: Path) -> None:
    """A journal with attempts of every fate in the old year and the new one, interleaved."""
    with opened(path) as journal:
        ends(journal, "paid", m.Phase.PAID, OLD)
        ends(journal, "case open", m.Phase.PAID_LATE, OLD + 10, case=m.CaseReason.LATE_MONEY)
        ends(journal, "unpaid", m.Phase.UNPAID, OLD + 20)
        journal.record(None, m.State(plan("going on", "order going on")), (), at_ms=OLD + 30)
        ends(journal, "paid late", m.Phase.PAID_LATE, OLD + 40, case=m.CaseReason.LATE_MONEY)
        close(journal, "paid late", OLD + 50)
        ends(journal, "unsettled", m.Phase.UNSETTLED, OLD + 60, case=m.CaseReason.EXPIRED_UNCONFIRMED)
        close(journal, "unsettled", OLD + 70)
        ends(journal, "unsettled, no case", m.Phase.UNSETTLED, OLD + 80)
        ends(journal, "closed later", m.Phase.PAID_LATE, OLD + 90, case=m.CaseReason.LATE_MONEY)
        ends(journal, "new", m.Phase.PAID, NEW)
        close(journal, "closed later", NEW + 10)
        assert journal.verify() == []


MOVED = ["paid", "unpaid", "paid late", "unsettled"]
STAYED = ["case open", "going on", "unsettled, no case", "closed later", "new"]


def keys(path: Path) -> list[str]:
    with Journal(path, read_only=True) as journal:
        return [state.plan.key for state in journal.attempts()]


def rows(path: Path) -> dict[int, tuple[object, ...]]:
    db = sqlite3.connect(path)
    found = {row[0]: row for row in db.execute("SELECT * FROM records ORDER BY seq")}
    db.close()
    return found


def move(path: Path, file: Path, before_ms: int = BEGIN, at_ms: int = NOW) -> Cut:
    with opened(path) as journal:
        cut = journal.find_cut(before_ms)
        assert cut is not None
        journal.move_to_archive(cut, file, at_ms=at_ms)
        journal.shrink()
    return cut


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """The journal, and where its archive is to be."""
    lived(tmp_path / "j")
    return tmp_path / "j", tmp_path / "j.before"


def problems(path: Path, anchor: str | None = None) -> list[str]:
    with Journal(path, read_only=True) as journal:
        return journal.verify(anchor)


def test_only_wholly_closed_attempts_leave_and_both_files_verify(files: tuple[Path, Path]) -> None:
    path, file = files
    before, timelines = rows(path), {}
    with Journal(path, read_only=True) as journal:
        old_head = journal.head()
        timelines = {key: journal.timeline(key) for key in STAYED}
        states = {key: journal.attempt(key) for key in [*MOVED, *STAYED]}
        cases = {case.attempt: case for case in journal.cases(include_closed=True)}
    cut = move(path, file)
    assert (cut.attempts, cut.open_attempts, cut.open_cases, cut.continued) == (4, 1, 2, 1)
    assert keys(path) == STAYED
    assert problems(path) == problems(path, old_head) == problems(file) == []
    old = {seq: row for seq, row in before.items() if seq <= cut.last_row}
    assert rows(file) == old, "the archive holds the whole chain up to its end"
    kept = {seq: row for seq, row in before.items() if seq > cut.last_row or row[2] in STAYED}
    after = rows(path)
    assert {seq: row for seq, row in after.items() if seq in before} == kept
    assert list(after) == [*kept, len(before) + 1], "one row was added, and numbers go on"
    with Journal(path, read_only=True) as journal:
        assert {key: journal.timeline(key) for key in STAYED} == timelines
        assert {key: journal.attempt(key) for key in STAYED} == {key: states[key] for key in STAYED}
        assert journal.archived() == (cut.last_row, file.name)
        (said,) = journal.records(after=len(before))
        assert (said.kind, said.attempt, said.at_ms) == ("archived", "", NOW)
        assert describe(said) == f"rows up to {cut.last_row} were moved to the archive {file.name}"
        assert {case.attempt for case in journal.cases(include_closed=True)} == {"case open", "closed later"}
        name = journal.id()
    with Journal(file, read_only=True) as journal:
        assert journal.id() == name
        assert {key: journal.attempt(key) for key in MOVED} == {key: states[key] for key in MOVED}
        there = {case.attempt: case for case in journal.cases(include_closed=True)}
        assert {key: there[key] for key in ("paid late", "unsettled")} == {
            key: cases[key] for key in ("paid late", "unsettled")
        }
        assert there["closed later"].closed_at_ms is None, "as it was at the archive's end"
        assert journal.head() == f"{cut.last_row}:{cut.last_hash}"


def test_what_was_paid_stays_paid_and_payments_stay_known(files: tuple[Path, Path]) -> None:
    path, file = files
    move(path, file)
    with opened(path) as journal:
        assert journal.archived_payment("order paid") == "paid"
        assert journal.archived_payment("order paid late") == "paid late"
        for order in ("order unpaid", "order unsettled", "order new", "none"):
            assert journal.archived_payment(order) is None
        assert journal.payment_ids("order unpaid") == {"unpaid": "payment unpaid"}
        assert journal.payment_ids("order new") == {"new": "payment new"}
        assert journal.payment_ids("order going on") == {}
        ends(journal, "again", m.Phase.UNPAID, NOW)
        assert journal.verify() == []


def test_numbers_of_cases_are_not_given_twice(tmp_path: Path) -> None:
    path, file = tmp_path / "j", tmp_path / "a"
    with opened(path) as journal:
        ends(journal, "k", m.Phase.PAID_LATE, OLD, case=m.CaseReason.LATE_MONEY)
        close(journal, "k", OLD + 5)
    move(path, file)
    with opened(path) as journal:
        assert journal.cases(include_closed=True) == []
        for look in (journal.case, lambda number: journal.close_case(number, operator="x", resolution="y", at_ms=1)):
            with pytest.raises(NoSuchCase, match=r"case 1 is closed, and in an archive, at the latest a$"):
                look(1)
            for number in (0, 2, -1):
                with pytest.raises(NoSuchCase, match=f"there is no case {number}$"):
                    look(number)
        ends(journal, "l", m.Phase.PAID_LATE, NEW, case=m.CaseReason.LATE_MONEY)
        assert [case.number for case in journal.cases()] == [2]


def test_a_second_archive_goes_on_where_the_first_one_ends(files: tuple[Path, Path], tmp_path: Path) -> None:
    path, file = files
    first = move(path, file)
    with opened(path) as journal:
        assert journal.find_cut(BEGIN) is None, "a second run has nothing to do"
        close(journal, "case open", NEW + 20)
        head = journal.head()
    second = move(path, tmp_path / "second", before_ms=NOW + 1, at_ms=NOW + 2)
    assert keys(path) == ["going on", "unsettled, no case"]
    assert keys(tmp_path / "second") == STAYED
    for one in (path, file, tmp_path / "second"):
        assert problems(one) == []
    assert problems(path, f"{second.last_row}:{second.last_hash}") == []
    assert problems(tmp_path / "second", f"{first.last_row}:{first.last_hash}") == []
    assert problems(tmp_path / "second", head) == []
    with Journal(tmp_path / "second", read_only=True) as journal:
        assert journal.archived() == (first.last_row, file.name)
        assert len(journal.timeline("closed later")) == 5
    with opened(path) as journal:
        assert journal.archived_payment("order new") == "new"
        assert journal.archived_payment("order paid") == "paid"
        assert journal.archived_payment("order case open") == "case open"


def test_everything_may_leave(tmp_path: Path) -> None:
    with opened(tmp_path / "j") as journal:
        ends(journal, "k", m.Phase.PAID, OLD)
    move(tmp_path / "j", tmp_path / "a")
    assert keys(tmp_path / "j") == []
    assert problems(tmp_path / "j") == problems(tmp_path / "a") == []
    with opened(tmp_path / "j") as journal:
        ends(journal, "l", m.Phase.PAID, NEW)
        assert journal.verify() == []
        with pytest.raises(JournalUnwritable, match="append-only"):
            journal._all("DELETE FROM records")


def test_nothing_leaves_where_nothing_is_closed_or_old(tmp_path: Path) -> None:
    with opened(tmp_path / "j") as journal:
        assert journal.find_cut(BEGIN) is None
        journal.record(None, m.State(plan()), (), at_ms=OLD)
        assert journal.find_cut(BEGIN) is None
        ends(journal, "new", m.Phase.PAID, BEGIN)
        assert journal.find_cut(BEGIN) is None
        ends(journal, "a wrong clock", m.Phase.PAID, OLD)
        assert journal.find_cut(BEGIN) is None, "no row that is too young leaves, so no later one does"
        assert journal.find_cut(BEGIN + 3) is not None


def test_the_first_moment_of_a_year_belongs_to_it(tmp_path: Path) -> None:
    with opened(tmp_path / "j") as journal:
        ends(journal, "old", m.Phase.PAID, BEGIN - 3)
        ends(journal, "new", m.Phase.PAID, BEGIN)
    assert move(tmp_path / "j", tmp_path / "a").attempts == 1
    assert keys(tmp_path / "j") == ["new"]
    assert keys(tmp_path / "a") == ["old"]


def test_the_rows_of_earlier_archives_leave_with_the_others(tmp_path: Path) -> None:
    path = tmp_path / "j"
    lived(path)
    for number, (before_ms, at_ms, said_at_ms) in enumerate(
        (
            (OLD + 5, NEW + 20, [NEW + 20]),
            (BEGIN, NOW, [NEW + 20, NOW]),
            (NEW + 1_000, NOW + 1, [NOW, NOW + 1]),
        )
    ):
        move(path, tmp_path / f"a{number}", before_ms=before_ms, at_ms=at_ms)
        assert problems(path) == problems(tmp_path / f"a{number}") == []
        with Journal(path, read_only=True) as journal:
            assert [record.at_ms for record in journal.timeline("")] == said_at_ms


def test_years_end_by_the_time_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for zone, offset_h in (("Asia/Yekaterinburg", 5), ("UTC", 0)):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        assert start_of(2026) == 1_767_225_600_000 - offset_h * 3_600_000
    monkeypatch.undo()
    time.tzset()


# --- readers -----------------------------------------------------------------------------------------------------


def test_a_reader_is_sent_to_the_archive_and_misses_nothing(files: tuple[Path, Path]) -> None:
    path, file = files
    with Journal(path, read_only=True) as journal:
        before = journal.records()
    cut = move(path, file)
    with Journal(path, read_only=True) as journal:
        for after in (0, cut.last_row - 1):
            with pytest.raises(
                RowsArchived, match=f"up to {cut.last_row} are in archives, the last of them in j.before"
            ):
                journal.records(after=after)
        try:
            journal.records()
        except RowsArchived as error:
            rest = journal.records(after=error.last_row)
    with Journal(file, read_only=True) as journal:
        assert [*journal.records(), *rest][: len(before)] == before


def test_what_is_read_meanwhile_is_of_one_moment(files: tuple[Path, Path]) -> None:
    path, file = files
    with Journal(path, read_only=True) as reader:
        reader._db.execute("BEGIN")
        before = reader.records()
        move(path, file)
        assert reader.records() == before
        assert reader.archived() == (0, "")
        reader._db.execute("COMMIT")
        assert reader.archived() == (28, "j.before")
        assert reader.verify() == []
    with opened(path) as journal:
        journal.shrink()
    assert problems(path) == []


def test_what_an_archive_left_behind_is_asked_by_its_index(files: tuple[Path, Path]) -> None:
    """Before every payment: the table grows with the years."""
    asked: list[str] = []
    with opened(files[0]) as journal:
        journal._db.set_trace_callback(asked.append)
        journal.archived_payment("A-1")
        journal.payment_ids("A-1")
        journal._db.set_trace_callback(None)
        plans = [row[3] for query in asked for row in journal._all("EXPLAIN QUERY PLAN " + query)]
    assert len(plans) == 3
    assert all(plan.startswith("SEARCH") for plan in plans), plans


def test_an_archive_is_only_read(files: tuple[Path, Path]) -> None:
    path, file = files
    move(path, file)
    content = file.read_bytes()
    with pytest.raises(JournalError, match="it is an archive, which is only read"):
        opened(file)
    assert file.read_bytes() == content
    with Journal(file, read_only=True) as journal:
        assert journal.cases() != []


def test_anchors_from_before_are_checked_where_their_rows_are(files: tuple[Path, Path]) -> None:
    path, file = files
    with Journal(path, read_only=True) as journal:
        anchors = [f"{record.seq}:{record.hash}" for record in journal.records()]
    cut = move(path, file)
    assert problems(file, anchors[0]) == problems(path, anchors[-1]) == problems(path, anchors[cut.last_row - 1]) == []
    with pytest.raises(
        WrongAnchor, match=r"row 1 of the anchor is in an archive, at the latest j\.before: check it there"
    ):
        problems(path, anchors[0])
    assert problems(path, f"{cut.last_row}:{'f' * 64}") != []
    assert problems(file, f"{cut.last_row}:{'f' * 64}") != []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "DELETE FROM records WHERE attempt = 'case open'",
            "which were kept in the journal, are missing or were added",
        ),
        ("UPDATE records SET at_ms = at_ms + 1 WHERE attempt = 'case open'", "was changed"),
        ("DELETE FROM archived WHERE order_no = 'order paid'", "the table of archived attempts was changed"),
        ("UPDATE archived SET paid = 0 WHERE attempt = 'paid late'", "the table of archived attempts was changed"),
        (
            "UPDATE archived SET payment_id = NULL WHERE attempt = 'unpaid'",
            "the table of archived attempts was changed",
        ),
        ("INSERT INTO archived VALUES ('x', 'y', NULL, 1)", "the table of archived attempts was changed"),
        ("UPDATE segment SET base_hash = replace(base_hash, 'a', 'b')", "does not begin where its archive ends"),
        ("UPDATE segment SET base_file = 'another'", "does not begin where its archive ends"),
        ("UPDATE segment SET base_seq = base_seq + 1", "no row says"),
        ("UPDATE segment SET base_seq = 0, base_hash = printf('%064d', 0)", "rows 1 to 3 are missing"),
        ("DELETE FROM segment", "rows 1 to 3 are missing"),
        ("DELETE FROM records WHERE seq = (SELECT base_seq + 1 FROM segment)", "is missing"),
    ],
)
def test_damage_to_what_an_archive_left_behind_is_found(files: tuple[Path, Path], statement: str, found: str) -> None:
    path, file = files
    move(path, file)
    tamper(path, statement)
    assert any(found in problem for problem in problems(path)), problems(path)


def test_rows_cut_off_at_the_beginning_are_missed(files: tuple[Path, Path]) -> None:
    """As an archive would take them, but by hand."""
    path, _ = files
    digest = rows(path)[3][-1]
    tamper(
        path,
        "DELETE FROM records WHERE seq <= 3",
        "DELETE FROM attempts WHERE attempt = 'paid'",
        f"UPDATE segment SET base_seq = 3, base_hash = '{digest}', base_file = 'x'",
    )
    assert problems(path) == ["no row says that the rows up to 3 were archived: they are missing"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE records SET body = replace(body, 'shown', 'drawn') WHERE seq = 2",
        "UPDATE attempts SET state = replace(state, 'payment unpaid', 'payment x') WHERE attempt = 'unpaid'",
        "DELETE FROM records WHERE seq = 5",
        "UPDATE cases SET resolution = 'x' WHERE attempt = 'unsettled'",
    ],
)
def test_a_damaged_journal_is_not_archived(files: tuple[Path, Path], statement: str) -> None:
    path, file = files
    tamper(path, statement)
    before = rows(path)
    with pytest.raises(JournalDamaged, match="nothing left the journal"):
        move(path, file)
    assert rows(path) == before
    assert not file.exists()


@pytest.mark.parametrize("where", ["attempts", "records"])
def test_a_journal_whose_later_part_is_damaged_is_not_archived(files: tuple[Path, Path], where: str) -> None:
    path, file = files
    column, condition = ("state", "attempt = 'new'") if where == "attempts" else ("body", "seq > 30")
    tamper(path, f"UPDATE {where} SET {column} = replace({column}, 'payment new', 'payment x') WHERE {condition}")
    before = rows(path)
    with pytest.raises(JournalDamaged, match="nothing left the journal"):
        move(path, file)
    assert rows(path) == before
    with opened(path) as journal:
        assert journal.archived() == (0, "")


# --- trouble -----------------------------------------------------------------------------------------------------


def test_it_is_refused_while_a_lane_has_the_journal(files: tuple[Path, Path]) -> None:
    path, file = files
    with opened(path), pytest.raises(JournalBusy):
        move(path, file)
    assert not file.exists()


def test_a_file_that_is_there_is_never_overwritten(files: tuple[Path, Path], tmp_path: Path) -> None:
    path, file = files
    other = tmp_path / "other"
    lived(other)
    move(other, tmp_path / "archive of another journal", before_ms=OLD + 5)
    for there in (other, tmp_path / "archive of another journal"):
        shutil.copy(there, file)
        before = file.read_bytes()
        with pytest.raises(JournalUnwritable, match="there is a file already: move it away, or name another one"):
            move(path, file)
        assert file.read_bytes() == before
    file.unlink()
    tamper(file, "CREATE TABLE customers (name TEXT)")
    before = file.read_bytes()
    with pytest.raises(JournalUnwritable, match="there is a file already: move it away, or name another one"):
        move(path, file)
    assert file.read_bytes() == before
    file.write_text("a letter" * 100)
    with pytest.raises(JournalError, match="not a database"):
        move(path, file)
    assert file.read_text() == "a letter" * 100
    with pytest.raises(JournalUnwritable, match="there is a file already"):
        move(path, path)
    assert problems(path) == []
    assert len(keys(path)) == len(MOVED + STAYED)


def test_a_copy_of_the_journal_is_not_taken_for_its_archive(tmp_path: Path) -> None:
    path, file = tmp_path / "j", tmp_path / "a"
    with opened(path) as journal:
        ends(journal, "k", m.Phase.PAID, OLD)
    shutil.copy(path, file)
    before = file.read_bytes()
    with pytest.raises(JournalUnwritable, match="there is a file already"):
        move(path, file)
    assert file.read_bytes() == before


def test_an_archive_that_begins_elsewhere_is_not_taken_for_this_one(
    files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = files
    with monkeypatch.context() as patched:
        patched.setattr(archive, "remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            move(path, file)
    move(path, tmp_path / "earlier", before_ms=OLD + 3)
    with pytest.raises(JournalUnwritable, match="there is a file already"):
        move(path, file)
    move(path, tmp_path / "another")
    assert problems(path) == []


def test_a_run_that_was_interrupted_is_finished_by_the_next(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = files
    with monkeypatch.context() as patched:
        patched.setattr(archive, "remove", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            move(path, file)
    written = rows(file)
    assert problems(path) == problems(file) == []
    with opened(path) as journal:  # the lane goes on in the meantime
        close(journal, "case open", NEW + 30)
    move(path, file)
    assert rows(file) == written
    assert problems(path) == problems(file) == []
    assert keys(path) == STAYED


def test_an_archive_that_breaks_off_is_empty_and_the_journal_goes_on(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = files
    with opened(path) as journal:
        cut = journal.find_cut(BEGIN)
        assert cut is not None
        with monkeypatch.context() as patched:
            patched.setattr(archive, "_add_as_it_was", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                journal.move_to_archive(cut, file, at_ms=NOW)
        assert not file.exists()
        journal.move_to_archive(cut, file, at_ms=NOW)
    assert problems(path) == problems(file) == []


def test_how_long_both_files_will_be_is_said_before(tmp_path: Path) -> None:
    """A third leaves, a third is old and stays; pages that an earlier archive has freed count for neither."""
    path = tmp_path / "j"
    with opened(path) as journal:
        ends(journal, "earlier", m.Phase.PAID, OLD - 10)
        for part in range(60):
            journal.note("earlier", "x" * 20_000, at_ms=OLD - 8 + part // 10)
        for key, at_ms in (("closed", OLD), ("open", OLD + 10), ("new", NEW)):
            if key == "open":
                journal.record(None, m.State(plan(key, key)), (), at_ms=at_ms)
            else:
                ends(journal, key, m.Phase.PAID, at_ms)
            for _ in range(20):
                journal.note(key, "x" * 20_000, at_ms=at_ms + 3)
    with opened(path) as journal:
        cut = journal.find_cut(OLD - 1)
        assert cut is not None
        journal.move_to_archive(cut, tmp_path / "first", at_ms=NOW)
        cut = journal.find_cut(BEGIN)
        assert cut is not None
        journal.move_to_archive(cut, tmp_path / "second", at_ms=NOW)
        journal.shrink()
    assert (tmp_path / "second").stat().st_size == pytest.approx(cut.archive_bytes, rel=0.25)
    assert path.stat().st_size == pytest.approx(cut.journal_bytes, rel=0.25)


@pytest.mark.parametrize(
    ("folder", "words"),
    [("nowhere/a", "there is no such folder"), ("", "is a folder; name a file in it")],
)
def test_a_place_that_cannot_be_written_is_named(files: tuple[Path, Path], folder: str, words: str) -> None:
    path, _ = files
    with pytest.raises(JournalUnwritable, match=words):
        move(path, path.parent / folder)
    assert len(keys(path)) == len(MOVED + STAYED)
    assert problems(path) == []


def test_another_user_is_sent_away(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Root could, but the archive would be root's."""
    path, file = files
    monkeypatch.setattr(store.os, "geteuid", lambda: 4711)
    with pytest.raises(JournalUnwritable, match="run the command as the lane's own user"):
        move(path, file)
    assert not file.exists()


def test_too_little_room_is_said_before_anything_is_written(
    files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, file = files

    class Full:
        f_bavail, f_frsize, f_flag = 1, 4096, 0

    monkeypatch.setattr(location.os, "statvfs", lambda _: Full)
    with pytest.raises(JournalUnwritable, match=r"about \d+ MB are needed there, 0 MB are free: make room, or put"):
        move(path, file)
    assert not file.exists()
    assert len(keys(path)) == len(MOVED + STAYED)


def test_the_space_is_given_back_and_little_memory_is_used(tmp_path: Path) -> None:
    path, file = tmp_path / "j", tmp_path / "a"
    with opened(path) as journal:
        for n in range(20):
            ends(journal, f"k{n}", m.Phase.PAID, OLD + 10 * n)
            for part in range(20):
                journal.note(f"k{n}", "x" * 20_000, at_ms=OLD + 10 * n + part // 5)
        ends(journal, "new", m.Phase.PAID, NEW)
    assert path.stat().st_size > 8_000_000
    tracemalloc.start()
    try:
        move(path, file)
        assert tracemalloc.get_traced_memory()[1] < 1_500_000, "it has 8 MB"
    finally:
        tracemalloc.stop()
    assert file.stat().st_size > 8_000_000
    assert path.stat().st_size < 200_000
    assert not path.with_name("j-wal").exists()
    assert not file.with_name("a-journal").exists()
    assert problems(path) == problems(file) == []
