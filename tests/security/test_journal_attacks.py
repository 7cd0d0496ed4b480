"""What can happen to a journal's file from outside: lost, replaced, damaged, reached by two names."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import (
    Journal,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalLost,
    JournalUnwritable,
    codec,
    lock,
    resolutions,
    schema,
)
from sco_payment.journal.lock import not_yours
from sco_payment.journal.opening import open_journal, salvage_journal
from sco_payment.settings import JournalSettings, LaneSettings, Settings
from tests.payment.journal.kit import full, opened, plan, tamper
from tests.payment.lane_kit import bare_settings_file, run

NOW = 9_000_000


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        lane=LaneSettings(pos_id="lane-1"),
        journal=JournalSettings(path=str(tmp_path / "data" / "j"), anchor=str(tmp_path / "state" / "anchor")),
    )


@pytest.fixture
def journal(settings: Settings) -> Path:
    """A journal that has lived, opened once as a lane opens it."""
    path = Path(settings.journal.path)
    path.parent.mkdir()
    Path(settings.journal.anchor).parent.mkdir()
    full(path)
    open_journal(settings).close()
    return path


# --- lost -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["deleted", "emptied", "with its anchor", "disk not mounted", "only the log is left"])
@pytest.mark.attack("A1")
def test_a_lost_journal_is_not_begun_again_by_itself(journal: Path, settings: Settings, how: str) -> None:
    match how:
        case "deleted":
            journal.unlink()
        case "emptied":
            journal.write_bytes(b"")
        case "with its anchor":
            journal.unlink()
            journal.with_name("j.anchor").unlink()
        case "disk not mounted":
            shutil.rmtree(journal.parent)
            journal.parent.mkdir()
        case _:
            journal.unlink()
            journal.with_name("j-wal").write_bytes(b"x")
            journal.with_name("j.anchor").unlink()
            Path(settings.journal.anchor).unlink()
    with pytest.raises(JournalLost, match="is its disk mounted"):
        open_journal(settings)
    assert not journal.exists() or journal.stat().st_size == 0
    with open_journal(settings, new=True) as begun:
        assert begun.count() == 0
        begun.note("k", "x", at_ms=1)
    open_journal(settings).close()


@pytest.mark.attack("A1")
def test_the_units_state_folder_remembers_it_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").mkdir()
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    settings = Settings(lane=LaneSettings(pos_id="l"), journal=JournalSettings(path=str(tmp_path / "disk" / "j")))
    with open_journal(settings) as journal:
        journal.note("k", "x", at_ms=1)
    shutil.rmtree(tmp_path / "disk")
    (tmp_path / "disk").mkdir()
    with pytest.raises(JournalLost):
        open_journal(settings)


@pytest.mark.attack("A2")
def test_a_power_cut_that_takes_the_anchor_costs_nothing(journal: Path, settings: Settings) -> None:
    for anchor in (journal.with_name("j.anchor"), Path(settings.journal.anchor)):
        for left in (b"", b"12", anchor.read_bytes()[:50], b"\x00" * 129):
            anchor.write_bytes(left)
            open_journal(settings).close()


@pytest.mark.attack("A1")
def test_the_command_begins_a_new_one_only_where_none_is(tmp_path: Path) -> None:
    path = tmp_path / "j"
    file = bare_settings_file(tmp_path, path)
    full(path)
    refused = run("journal", "new", "--settings", file)
    assert (refused.returncode, "there is a journal" in refused.stderr) == (2, True)
    path.unlink()
    lost = run("recover", "--settings", file, SCO_PAYMASTER_TOKEN="t")
    assert lost.returncode != 0
    assert "there was one" in lost.stderr
    begun = run("journal", "new", "--settings", file)
    assert begun.returncode == 0, begun.stderr
    assert list(tmp_path.glob("j.anchor.lost-*"))
    assert "no payment is open" in run("recover", "--settings", file, SCO_PAYMASTER_TOKEN="t").stdout


# --- replaced -------------------------------------------------------------------------------------------------------


@pytest.mark.attack("A2")
def test_an_older_copy_is_noticed(journal: Path, settings: Settings, tmp_path: Path) -> None:
    shutil.copy(journal, tmp_path / "copy")
    with open_journal(settings) as now:
        now.note("k1", "later", at_ms=NOW)
        last = now.count()
    shutil.copy(tmp_path / "copy", journal)
    with pytest.raises(
        JournalLost, match=f"ends at row {last - 1}, but row {last} was written, says .*: an older copy"
    ):
        open_journal(settings)
    _, found, case = salvage_journal(settings, NOW)
    assert found.lost == [(last, last)]
    with open_journal(settings) as salvaged:
        assert salvaged.verify() == []
        assert case is not None
        assert f"rows {last}" in salvaged.case(case).detail


@pytest.mark.attack("A2")
def test_a_copy_with_another_last_row_is_noticed(journal: Path, settings: Settings, tmp_path: Path) -> None:
    shutil.copy(journal, tmp_path / "copy")
    with open_journal(settings) as now:
        now.note("k1", "one", at_ms=NOW)
    shutil.copy(tmp_path / "copy", journal)
    other = Settings(lane=settings.lane, journal=JournalSettings(path=str(tmp_path / "other")))
    shutil.copy(tmp_path / "copy", tmp_path / "other")
    with open_journal(other) as elsewhere:
        elsewhere.note("k1", "two", at_ms=NOW)
    shutil.copy(tmp_path / "other", journal)
    with pytest.raises(JournalLost):
        open_journal(settings)


@pytest.mark.attack("A2")
def test_a_journal_that_grew_from_another_one_is_noticed(journal: Path, settings: Settings, tmp_path: Path) -> None:
    """It is longer than the one that was lost, so that the anchored row is there, with another content."""
    shutil.copy(journal, tmp_path / "copy")
    with open_journal(settings) as now:
        now.note("k1", "one", at_ms=NOW)
    other = Settings(lane=settings.lane, journal=JournalSettings(path=str(tmp_path / "other")))
    shutil.copy(tmp_path / "copy", tmp_path / "other")
    with open_journal(other) as elsewhere:
        for text in ("two", "three", "four"):
            elsewhere.note("k1", text, at_ms=NOW)
    shutil.copy(tmp_path / "other", journal)
    with pytest.raises(JournalLost, match="another journal"):
        open_journal(settings)


@pytest.mark.parametrize("command", ["salvage", "new"])
@pytest.mark.attack("A1")
def test_a_command_by_hand_knows_the_units_state_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Else the unit would refuse the new journal permanently: it alone sees the second anchor."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "state").mkdir()
    monkeypatch.setattr(lock, "UNIT_STATE", tmp_path / "state")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    path = tmp_path / "disk" / "j"
    settings = Settings(lane=LaneSettings(pos_id="l"), journal=JournalSettings(path=str(path)))
    with open_journal(settings) as journal:
        for number in range(9):
            journal.note("k", str(number), at_ms=1)
    monkeypatch.delenv("STATE_DIRECTORY")
    if command == "salvage":
        tamper(path, "UPDATE records SET at_ms = 7 WHERE seq = 5")
        salvage_journal(settings, NOW)
    else:
        path.unlink()
        open_journal(settings, new=True).close()
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    open_journal(settings).close()


@pytest.mark.attack("A2")
def test_a_second_anchor_that_may_not_be_read_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The unit's folder is closed to other users: a command of theirs must not end in a traceback."""

    def refused(*arguments: object, **options: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied")

    anchors = lock.Anchors(tmp_path / "j", tmp_path / "closed" / "anchor")
    monkeypatch.setattr(Path, "stat", refused)
    monkeypatch.setattr(Path, "exists", refused)
    assert anchors.traces() == []


@pytest.mark.attack("A1")
def test_an_interrupted_salvage_is_a_trace_of_a_journal(journal: Path, settings: Settings) -> None:
    """A journal of an earlier release has no anchors yet."""
    journal.rename(journal.with_name("j.salvaged"))
    journal.with_name("j.anchor").unlink()
    Path(settings.journal.anchor).unlink()
    with pytest.raises(JournalLost, match=r"j\.salvaged"):
        open_journal(settings)


# --- damaged --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DROP TRIGGER records_are_never_changed", "trigger records_are_never_changed is missing"),
        ("DROP TRIGGER records_are_never_deleted", "trigger records_are_never_deleted is missing"),
        ("DROP INDEX attempts_by_order", "index attempts_by_order is missing"),
        ("DROP TABLE head", "table head is missing"),
        ("DROP TABLE cases", "table cases is missing"),
        ("CREATE TRIGGER x AFTER INSERT ON records BEGIN DELETE FROM cases; END", "trigger x was added"),
        ("ALTER TABLE cases ADD COLUMN y TEXT", "table cases is not as this package makes it"),
    ],
)
@pytest.mark.attack("A3")
def test_a_changed_schema_is_damage(journal: Path, settings: Settings, statement: str, words: str) -> None:
    with sqlite3.connect(journal) as db:
        db.execute(statement)
    db.close()
    with pytest.raises(JournalDamaged, match=words):
        open_journal(settings)
    with Journal(journal, read_only=True) as read:
        try:
            found = read.verify()
        except JournalError as error:
            found = [str(error)]
    assert any(words in one for one in found)


def pages_of(journal: Path, name: str) -> tuple[int, list[int]]:
    """The size of a page, and the numbers of the pages of a table or index."""
    db = sqlite3.connect(journal)
    size = db.execute("PRAGMA page_size").fetchone()[0]
    root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchone()[0]
    db.close()
    return size, [root]


@pytest.mark.parametrize("index", ["attempts_by_order", "attempts_open", "records_by_attempt"])
@pytest.mark.attack("A3")
def test_a_page_of_an_index_of_an_earlier_time_is_damage(journal: Path, settings: Settings, index: str) -> None:
    """So an order's paid attempt was not found, and the order was paid a second time."""
    size, (root,) = pages_of(journal, index)
    before = journal.read_bytes()[(root - 1) * size : root * size]
    with open_journal(settings) as now:
        new = m.Plan("new", "Z-1", 100, "RUB", m.Mode.SCREEN, begun_at_ms=NOW, expires_at_ms=NOW + 1)
        now.record(None, *m.begin(new), at_ms=NOW)
    data = bytearray(journal.read_bytes())
    assert data[(root - 1) * size : root * size] != before
    data[(root - 1) * size : root * size] = before
    journal.write_bytes(data)
    with pytest.raises(JournalDamaged, match="journal salvage"):
        open_journal(settings)
    with Journal(journal, read_only=True) as read:
        assert any("damaged" in one for one in read.verify())


def damaged_pages(journal: Path) -> Iterator[tuple[int, bytes]]:
    whole = journal.read_bytes()
    size = int.from_bytes(whole[16:18], "big")
    for page in range(1, len(whole) // size):
        yield page + 1, whole[: page * size] + b"\xa5" * size + whole[(page + 1) * size :]


@pytest.mark.attack("A5")
def test_of_any_damaged_page_no_paid_order_is_forgotten_in_silence(journal: Path, settings: Settings) -> None:
    """Salvaged, each attempt is there with its outcome, or open, or the loss is a case."""
    with open_journal(settings) as whole:
        states = {state.plan.key: state for state in whole.attempts()}
        cases = {case.number: case.attempt for case in whole.cases(include_closed=True)}
    lost = 0
    for page, data in list(damaged_pages(journal)):
        for left in journal.parent.iterdir():
            left.unlink()
        Path(settings.journal.anchor).unlink(missing_ok=True)
        journal.write_bytes(data)
        try:
            open_journal(settings).close()
        except JournalError:
            pass
        else:
            continue  # a page that nothing uses
        _, _, case = salvage_journal(settings, NOW + page)
        with open_journal(settings) as salvaged:
            assert salvaged.verify() == [], page
            found = {state.plan.key: state for state in salvaged.attempts()}
            missing = [key for key in states if key not in found]
            assert not missing or case is not None, page
            for key, state in states.items():
                if key in found and state.phase in (m.Phase.PAID, m.Phase.PAID_LATE):
                    assert found[key].phase in (m.Phase.PAID, m.Phase.PAID_LATE) or case is not None
            numbers = {one.number: one.attempt for one in salvaged.cases(include_closed=True)}
            assert case is not None or numbers == cases
            lost += case is not None
    assert lost


@pytest.mark.attack("A5")
def test_a_journal_that_says_two_things_keeps_the_money(journal: Path, settings: Settings) -> None:
    with open_journal(settings) as whole:
        first = whole.attempts()[0]
        paid = replace(first, phase=m.Phase.PAID, outcome=m.Outcome.PAID, delivered=True)
        whole.record(m.Tick(NOW), paid, (), at_ms=NOW)
        older = codec.to_json(codec.encode_state(first))
    tamper(journal, f"UPDATE attempts SET open = 1, state = '{older}' WHERE attempt = '{first.plan.key}'")
    _, found, _ = salvage_journal(settings, NOW)
    assert found.doubtful == {first.plan.key}
    with open_journal(settings) as salvaged:
        taken_over = salvaged.attempt(first.plan.key)
        assert taken_over is not None
        assert taken_over.phase is m.Phase.PAID


@pytest.mark.attack("A5")
def test_a_case_whose_record_is_lost_stays_open(journal: Path, settings: Settings) -> None:
    """The table of cases has it: an open case must not turn into a general one about lost rows."""
    with open_journal(settings) as whole:
        state, effects = m.begin(plan("k9", "A-9"))
        whole.record(None, state, effects, at_ms=NOW)
        case = whole.record(m.Tick(NOW), state, (m.OpenCase(m.CaseReason.LATE_MONEY, "late"),), at_ms=NOW)
        seq = whole.records(after=0, attempt="k9")[-1].seq
    tamper(journal, f"UPDATE records SET at_ms = 7 WHERE seq = {seq}")
    salvage_journal(settings, NOW)
    with open_journal(settings) as salvaged:
        assert case is not None
        assert salvaged.case(case).attempt == "k9"
        assert salvaged.case(case).closed_at_ms is None
        assert salvaged.verify() == []


@pytest.mark.attack("A5")
def test_a_case_that_was_opened_again_stays_open(journal: Path, settings: Settings) -> None:
    """The record that says so is lost, the table has it."""
    with open_journal(settings) as whole:
        state = next(one for one in whole.attempts() if one.plan.key == "k2")
        whole.record(m.Tick(NOW), state, (m.NoteCase("money came", reopens=True),), at_ms=NOW)
        assert whole.case(1).closed_at_ms is None
        seq = whole.count()
    tamper(journal, f"UPDATE records SET at_ms = 7 WHERE seq = {seq}")
    salvage_journal(settings, NOW)
    with open_journal(settings) as salvaged:
        assert salvaged.case(1).closed_at_ms is None
        assert salvaged.verify() == []


@pytest.mark.attack("A5")
def test_nothing_is_salvaged_while_the_lane_runs(journal: Path, settings: Settings) -> None:
    with open_journal(settings), pytest.raises(JournalBusy):
        salvage_journal(settings, NOW)


@pytest.mark.parametrize("code", ["SQLITE_IOERR", "SQLITE_IOERR_READ", "SQLITE_IOERR_SHORT_READ"])
@pytest.mark.attack("A6")
def test_a_disk_that_did_not_answer_once_is_not_called_damaged(
    journal: Path, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    def fails(*arguments: object, **options: object) -> sqlite3.Connection:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorname = code
        raise error

    monkeypatch.setattr(Journal, "_connect", fails)
    with pytest.raises(JournalUnwritable, match="try again"):
        opened(journal)


@pytest.mark.attack("A6")
def test_what_is_on_disk_is_never_called_unwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After the commit nothing can fail: a step that is called lost would be written twice."""

    class Fails(sqlite3.Connection):
        def execute(self, sql: str, *arguments: object) -> sqlite3.Cursor:  # type: ignore[override]
            if "FROM head" in sql and not self.in_transaction and failing:
                raise sqlite3.OperationalError("disk I/O error")
            return super().execute(sql, *arguments)  # type: ignore[arg-type]

    failing: list[bool] = []
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **named: connect(*args, factory=Fails, **named))
    with opened(tmp_path / "j") as journal:
        failing.append(True)
        journal.note("k", "x", at_ms=1)
        assert len(journal.timeline("k")) == 1


# --- names ----------------------------------------------------------------------------------------------------------


@pytest.mark.attack("A7")
def test_a_journal_that_is_reached_by_two_names_has_one_lock(journal: Path, settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(journal)
    (tmp_path / "folder").symlink_to(journal.parent)
    with open_journal(settings):
        for name in (tmp_path / "link", tmp_path / "folder" / "j", journal.parent / ".." / "data" / "j"):
            with pytest.raises(JournalBusy):
                opened(name)
    os.link(journal, tmp_path / "second")
    with pytest.raises(JournalError, match="2 names"):
        open_journal(settings)


@pytest.mark.parametrize("kind", ["symlink", "pipe", "folder", "hard link"])
@pytest.mark.attack("A8")
def test_the_lock_is_a_file_of_its_own(tmp_path: Path, kind: str) -> None:
    lock, other = tmp_path / "j.lock", tmp_path / "precious"
    other.write_text("precious", "utf-8")
    match kind:
        case "symlink":
            lock.symlink_to(other)
        case "pipe":
            os.mkfifo(lock)
        case "folder":
            lock.mkdir()
        case _:
            os.link(other, lock)
    with pytest.raises(JournalUnwritable, match=re.escape(str(lock))):
        opened(tmp_path / "j")
    assert other.read_text("utf-8") == "precious"


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full", "j\x00k", "."])
@pytest.mark.attack("A18")
def test_what_is_no_file_is_no_journal(tmp_path: Path, path: str) -> None:
    with pytest.raises(JournalError, match=r"not a regular file|cannot be a journal"):
        opened(tmp_path / path)


@pytest.mark.parametrize("kind", ["pipe", "large", "symlink", "folder"])
@pytest.mark.attack("A8")
def test_what_is_no_decision_holds_no_lane(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "j"
    full(path)
    folder = tmp_path / "j.resolutions"
    folder.mkdir()
    stranger = folder / "1-1-aa.json"
    match kind:
        case "pipe":
            os.mkfifo(stranger)
        case "large":
            with stranger.open("wb") as file:
                file.truncate(2 << 30)
        case "symlink":
            stranger.symlink_to("/dev/zero")
        case _:
            stranger.mkdir()
    with opened(path) as journal:
        resolutions.apply_pending(journal)
    assert not stranger.exists()
    assert list(folder.glob("*.unreadable"))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to make root's files")
@pytest.mark.attack("A9")
def test_a_file_that_root_has_left_is_named_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "lane"
    folder.mkdir()
    (folder / "j").touch()
    os.chown(folder, 12345, 12345)
    assert "lane's own user" in not_yours(folder / "j")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    assert f"chown --reference={folder} {folder / 'j'}*" in not_yours(folder / "j")


@pytest.mark.attack("A3")
def test_the_schema_of_the_check_is_the_one_that_is_made(tmp_path: Path) -> None:
    opened(tmp_path / "j").close()
    with Journal(tmp_path / "j", read_only=True) as journal:
        assert journal.verify() == []
    assert schema.TABLES.count("CREATE TRIGGER") == 2
