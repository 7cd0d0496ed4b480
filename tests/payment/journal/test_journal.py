"""What must survive: the chain, the triggers, the lock, a full disk, a kill."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import (
    Journal,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalTooNew,
    JournalUnwritable,
    NoSuchCase,
    Record,
    WrongAnchor,
    codec,
    verify,
)
from tests.payment.journal.kit import KINDS, full, opened, plan, tamper, written


def test_states_come_back_as_they_were(tmp_path: Path) -> None:
    state, effects = m.begin(plan())
    with opened(tmp_path / "j") as journal:
        journal.record(None, state, effects, at_ms=1_000)
    with opened(tmp_path / "j") as journal:
        assert journal.attempt("k1") == state
        assert journal.attempts(open_only=True) == [state]
        assert journal.verify() == []
        assert [record.kind for record in journal.timeline("k1")] == ["attempt_started"]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE records SET body = replace(body, '25300', '100') WHERE seq = 1", "row 1 was changed"),
        ("UPDATE records SET at_ms = at_ms + 1 WHERE seq = 2", "row 2 was changed"),
        ("DELETE FROM records WHERE seq = 2", "row 2 is missing"),
        ("DELETE FROM records WHERE seq BETWEEN 2 AND 3", "rows 2 to 3 are missing"),
        ("DELETE FROM records WHERE seq >= 5", "attempt k2 does not agree"),
        (
            "UPDATE attempts SET state = replace(state, '25300', '100') WHERE attempt = 'k1'",
            "attempt k1 does not agree",
        ),
        ("DELETE FROM attempts WHERE attempt = 'k1'", "attempt k1 is missing"),
    ],
)
@pytest.mark.attack("A4")
def test_verify_finds_what_was_done_to_it(tmp_path: Path, statement: str, found: str) -> None:
    written(tmp_path / "j")
    with Journal(tmp_path / "j", read_only=True) as journal:
        assert journal.verify() == []
    tamper(tmp_path / "j", statement)
    with Journal(tmp_path / "j", read_only=True) as journal:
        assert any(found in problem for problem in journal.verify()), journal.verify()


def kinds_of(path: Path) -> dict[str, list[int]]:
    db = sqlite3.connect(path)
    rows = db.execute("SELECT kind, seq FROM records ORDER BY seq").fetchall()
    db.close()
    return {kind: [seq for found, seq in rows if found == kind] for kind in {row[0] for row in rows}}


def problems_of(path: Path, anchor: str | None = None) -> list[str]:
    with Journal(path, read_only=True) as journal:
        return journal.verify(anchor)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "column", ["at_ms", "attempt", "kind", "version", "lane_id", "acquirer", "body", "prev_hash", "hash"]
)
@pytest.mark.attack("A4")
def test_a_changed_row_of_any_kind_is_found(tmp_path: Path, kind: str, column: str) -> None:
    full(tmp_path / "j")
    seq = kinds_of(tmp_path / "j")[kind][-1]
    tamper(tmp_path / "j", f"UPDATE records SET {column} = {column} || '1' WHERE seq = {seq}")
    assert any(f"row {seq} was changed" in problem for problem in problems_of(tmp_path / "j"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_row_of_any_kind_is_found(tmp_path: Path, kind: str) -> None:
    full(tmp_path / "j")
    seq = kinds_of(tmp_path / "j")[kind][-1]
    tamper(tmp_path / "j", f"DELETE FROM records WHERE seq = {seq}")
    assert any(f"row {seq} is missing" in problem for problem in problems_of(tmp_path / "j"))


@pytest.mark.attack("A4")
def test_rows_cut_off_at_the_end_are_missed_wherever_the_cut_is(tmp_path: Path) -> None:
    count = full(tmp_path / "j")
    assert set(kinds_of(tmp_path / "j")) == set(KINDS)
    for cut in range(1, count + 1):
        copy = tmp_path / f"cut{cut}"
        shutil.copy(tmp_path / "j", copy)
        tamper(copy, f"DELETE FROM records WHERE seq >= {cut}")
        assert any("cut off at the end" in problem for problem in problems_of(copy)), cut


@pytest.mark.attack("A4")
def test_rows_that_are_added_after_a_cut_do_not_hide_it(tmp_path: Path) -> None:
    count = full(tmp_path / "j")
    tamper(tmp_path / "j", f"DELETE FROM records WHERE seq > {count - 2}")
    with opened(tmp_path / "j") as journal:
        journal.note("k1", "as if nothing had happened", at_ms=3_000_000)
        assert f"rows {count - 1} to {count} are missing" in journal.verify()


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DELETE FROM cases", "case 1 is missing"),
        ("UPDATE cases SET reason = 'late_money'", "case 1 does not agree"),
        ("UPDATE cases SET operator = 'Petrov'", "case 1 does not agree"),
        ("UPDATE cases SET closed_at_ms = NULL, operator = NULL, resolution = NULL", "case 1 does not agree"),
        (
            "INSERT INTO cases VALUES (2, 'k1', 5, 'late_money', '', NULL, NULL, NULL)",
            "case 2 is in the table of cases and in no row",
        ),
        (
            "UPDATE attempts SET open = 1 - open WHERE attempt = 'k1'",
            "attempt k1 has another order number",
        ),
        (
            "UPDATE attempts SET order_no = 'B-1' WHERE attempt = 'k1'",
            "attempt k1 has another order number",
        ),
        ("UPDATE attempts SET version = 2 WHERE attempt = 'k1'", "attempt k1 does not agree"),
        ("UPDATE attempts SET state = 'x' WHERE attempt = 'k1'", "attempt k1 does not agree"),
        (
            "INSERT INTO attempts SELECT 'forged', order_no, open, version, state FROM attempts WHERE attempt = 'k1'",
            "attempt forged does not agree",
        ),
        ("DELETE FROM head", "the head does not agree"),
        ("UPDATE head SET seq = seq - 1", "the head does not agree"),
        ("UPDATE head SET seq = seq + 1", "cut off at the end"),
        ("UPDATE head SET hash = ''", "the head does not agree"),
    ],
)
def test_the_tables_next_to_the_rows_are_checked(tmp_path: Path, statement: str, found: str) -> None:
    full(tmp_path / "j")
    tamper(tmp_path / "j", statement)
    assert any(found in problem for problem in problems_of(tmp_path / "j")), problems_of(tmp_path / "j")


@pytest.mark.attack("A4")
def test_an_anchor_detects_an_old_copy_and_a_new_chain(tmp_path: Path) -> None:
    written(tmp_path / "j")
    shutil.copy(tmp_path / "j", tmp_path / "old")
    with opened(tmp_path / "j") as journal:
        early = journal.head()
        journal.note("k1", "more", at_ms=3_000_000)
        late = journal.head()
        assert journal.verify(early) == journal.verify(late) == []
        for wrong in ("", "7", "x:" + "0" * 64, early[:-1]):
            with pytest.raises(WrongAnchor):
                journal.verify(wrong)
    assert problems_of(tmp_path / "old", early) == []
    assert any("an old copy was put back" in problem for problem in problems_of(tmp_path / "old", late))
    written(tmp_path / "rewritten", ("k3", "k2"))
    assert any("was rewritten" in problem for problem in problems_of(tmp_path / "rewritten", early))


@pytest.mark.parametrize("statement", ["UPDATE records SET at_ms = 0", "DELETE FROM records"])
def test_rows_can_neither_change_nor_leave(tmp_path: Path, statement: str) -> None:
    written(tmp_path / "j")
    db = sqlite3.connect(tmp_path / "j")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    db.close()


def test_a_case_is_closed_once_and_stays(tmp_path: Path) -> None:
    written(tmp_path / "j")
    with opened(tmp_path / "j") as journal:
        assert [case.number for case in journal.cases()] == [1]
        with pytest.raises(ValueError, match="operator"):
            journal.close_case(1, operator=" ", resolution="refunded", at_ms=70_000)
        closed = journal.close_case(1, operator="Ivanova", resolution="refunded", at_ms=70_000)
        assert (closed.operator, closed.resolution, closed.closed_at_ms) == ("Ivanova", "refunded", 70_000)
        with pytest.raises(NoSuchCase):
            journal.close_case(1, operator="Ivanova", resolution="again", at_ms=71_000)
        assert journal.cases() == []
        assert [case.number for case in journal.cases(include_closed=True)] == [1]
        assert journal.verify() == []


def test_a_case_that_does_not_exist_is_reported_as_such(tmp_path: Path) -> None:
    written(tmp_path / "j")
    with opened(tmp_path / "j") as journal:
        with pytest.raises(NoSuchCase, match="there is no case 2"):
            journal.case(2)
        with pytest.raises(NoSuchCase, match="there is no case 2"):
            journal.close_case(2, operator="Ivanova", resolution="refunded", at_ms=2_100_000)


def test_attempts_lists_all_unless_only_the_open_ones_are_requested(tmp_path: Path) -> None:
    state, effects = m.begin(plan())
    final, _ = m.step(state, m.CreateFailed(2_000, state.seq, "refused", may_exist=False, final=True))
    with opened(tmp_path / "j") as journal:
        journal.record(None, final, effects, at_ms=1_000)
        assert final.phase in m.FINAL
        final = m.step(final, m.Delivered(3_000))[0]
        journal.record(m.Delivered(3_000), final, (), at_ms=3_000)
        assert (journal.attempts(), journal.attempts(open_only=True)) == ([final], [])


def test_a_row_has_the_event_the_state_after_it_and_the_effects(tmp_path: Path) -> None:
    """Its fields stay on the disks of shops for years."""
    state, effects = m.begin(plan())
    with opened(tmp_path / "j") as journal:
        journal.record(None, state, effects, at_ms=1_000)
        (row,) = journal.timeline("k1")
    assert sorted(row.body) == ["effects", "state"]
    assert len(row.body["effects"]) == len(effects)
    full(tmp_path / "full")
    with opened(tmp_path / "full") as journal:
        rows = [*journal.timeline("k1"), *journal.timeline("k2")]
    bodies = {row.kind: row.body for row in rows}
    assert bodies["note"] == {"text": "bank: Confirmation"}
    assert bodies["case_note"] == {"detail": "money came"}
    assert bodies["case_reopened"] == {"case_number": 1}
    named = [row.body["event"]["name"] for row in rows if row.kind == "attempt_step"]
    assert named == ["recovered", "tick", "payment_not_listed", "payment_not_listed"]


def test_a_case_that_was_opened_again_is_open(tmp_path: Path) -> None:
    written(tmp_path / "j")
    with opened(tmp_path / "j") as journal:
        journal.close_case(1, operator="Ivanova", resolution="nothing came", at_ms=70_000)
        state = journal.attempts()[-1]
        assert journal.record(m.Tick(1), state, (m.NoteCase("money came", reopens=True),), at_ms=80_000) == 1
        case = journal.case(1)
        assert (case.closed_at_ms, case.operator, case.resolution) == (None, None, None)
        assert journal.verify() == []
        assert journal.record(m.Tick(1), state, (m.NoteCase("once more", reopens=True),), at_ms=90_000) is None


def test_decisions_and_case_numbers_that_a_journal_cannot_hold_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "j")
    with opened(tmp_path / "j") as journal:
        for operator, resolution in (("\ud800", "refunded"), ("Ivanova", "\udcd0")):
            with pytest.raises(ValueError, match="must be text"):
                journal.close_case(1, operator=operator, resolution=resolution, at_ms=70_000)
        for number in (2**63 - 1, 2**63, -(2**64)):
            with pytest.raises(NoSuchCase, match=f"there is no case {number}"):
                journal.case(number)
        assert [case.number for case in journal.cases()] == [1]


def test_threads_of_the_lane_share_its_journal(tmp_path: Path) -> None:
    """The bank's and the devices' threads note and read what the loop writes."""
    written(tmp_path / "j")
    with opened(tmp_path / "j") as journal, ThreadPoolExecutor(1) as thread:
        thread.submit(journal.note, "k1", "from another thread", at_ms=3_000).result()
        assert len(thread.submit(journal.of_order, "A-1").result()) == 2
        assert journal.verify() == []


def test_an_empty_file_is_not_read_as_a_journal(tmp_path: Path) -> None:
    (tmp_path / "j").touch()
    with pytest.raises(JournalError, match="the journal is empty"):
        Journal(tmp_path / "j", read_only=True)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = "import sys; from tests.payment.journal.kit import opened; opened(sys.argv[1])"
    with opened(tmp_path / "j"):
        second = subprocess.run([sys.executable, "-c", code, str(tmp_path / "j")], capture_output=True, text=True)
        assert "JournalBusy" in second.stderr
        assert str(os.getpid()) in second.stderr
        with pytest.raises(JournalBusy):
            opened(tmp_path / "j")
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "j")]).returncode == 0


def test_a_newer_schema_and_foreign_files_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "newer")
    db = sqlite3.connect(tmp_path / "newer")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(JournalTooNew, match="schema 99"):
        opened(tmp_path / "newer")
    db = sqlite3.connect(tmp_path / "other")
    db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(JournalDamaged):
        opened(tmp_path / "other")
    (tmp_path / "text").write_bytes(b"not a database at all" * 100)
    with pytest.raises(JournalDamaged):
        opened(tmp_path / "text")
    with pytest.raises(JournalUnwritable, match="no such folder"):
        opened(tmp_path / "absent" / "j")
    with pytest.raises(JournalError, match="no journal"):
        Journal(tmp_path / "absent-file", read_only=True)


_FILLS = """
import resource, signal, sys
from sco_payment import attempt as m
from sco_payment.journal import Journal, JournalUnwritable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(sys.argv[1], lane_id="lane-1", acquirer="paymaster")
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for n in range(100_000):
    plan = m.Plan(f"k{n}", f"A-{n}", 100, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=300_000)
    try:
        journal.record(None, *m.begin(plan), at_ms=n)
    except JournalUnwritable as error:
        print(n, "refused:", error, flush=True)
        sys.exit(0)
"""


@pytest.mark.attack("A6")
def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _FILLS, str(tmp_path / "j"), "300000"], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    acknowledged = int(run.stdout.split()[0])
    assert acknowledged > 0
    assert "free space" in run.stdout
    with opened(tmp_path / "j") as journal:
        assert len(journal.attempts()) == acknowledged
        assert journal.verify() == []
        journal.record(None, *m.begin(plan("after")), at_ms=1)


_WRITES = """
import sys
import tempfile
import tracemalloc
from sco_payment import attempt as m
from sco_payment.journal import Journal
journal = Journal(sys.argv[1], lane_id="lane-1", acquirer="paymaster")
for n in range(len(journal.attempts()), 1_000_000):
    plan = m.Plan(f"k{n}", f"A-{n}", 100, "RUB", m.Mode.SCREEN, begun_at_ms=0, expires_at_ms=300_000)
    journal.record(None, *m.begin(plan), at_ms=n)
    print(n + 1, flush=True)
"""


def test_kill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    for after in (1, 3, 7, 12, 20):
        writer = subprocess.Popen(
            [sys.executable, "-c", _WRITES, str(tmp_path / "j")], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        for _ in range(after):
            acknowledged = int(writer.stdout.readline())
        writer.send_signal(signal.SIGKILL)
        rest = [line for line in writer.stdout.read().split("\n") if line]
        writer.wait()
        writer.stdout.close()
        acknowledged = max([acknowledged, *(int(line) for line in rest)])
        with opened(tmp_path / "j") as journal:
            assert len(journal.attempts()) in (acknowledged, acknowledged + 1)
            assert journal.verify() == []


_AS_ANOTHER = """
import os, sys, sqlite3
from sco_payment.journal import Journal, JournalUnwritable
if os.geteuid() == 0:
    os.setegid(65534)
    os.seteuid(65534)
for how in ({"read_only": True}, {"lane_id": "lane-1", "acquirer": "paymaster"}):
    try:
        Journal(sys.argv[1], **how)
    except JournalUnwritable as error:
        print(error)
"""


@pytest.mark.parametrize("mode", [0o000, 0o755], ids=["folder closed", "folder open"])
def test_another_user_is_shown_who_owns_it(tmp_path: Path, mode: int) -> None:
    """The administrator at the lane is not the lane's own user: no raw error, no talk of a full disk."""
    folder = Path(tempfile.mkdtemp(prefix="sco-other-"))  # pytest's own folders are closed to others
    try:
        opened(folder / "journal.db").close()
        (folder / "journal.db").chmod(0o400 if os.geteuid() == 0 else 0o000)
        folder.chmod(mode)
        done = subprocess.run(
            [sys.executable, "-c", _AS_ANOTHER, str(folder / "journal.db")], capture_output=True, text=True, timeout=60
        )
        lines = done.stdout.splitlines()
        assert len(lines) == 2, done.stderr
        assert all("the lane's own user" in line for line in lines), lines
    finally:
        folder.chmod(0o700)
        shutil.rmtree(folder)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_the_lock_names_its_holder_and_is_released(tmp_path: Path) -> None:
    lock = tmp_path / "j.lock"
    lock.write_bytes(b"9" * 40)
    with opened(tmp_path / "j"):
        assert lock.read_bytes() == str(os.getpid()).encode()
        before = open_files()
        with pytest.raises(JournalBusy, match=rf"process {os.getpid()} has it open"):
            opened(tmp_path / "j")
        lock.write_bytes(b"\xff7")
        with pytest.raises(JournalBusy):
            opened(tmp_path / "j")
        lock.write_bytes(b"")
        with pytest.raises(JournalBusy, match=r"process \? has it open"):
            opened(tmp_path / "j")
        assert open_files() == before
    lock.unlink()
    opened(tmp_path / "j").close()
    assert lock.stat().st_mode & 0o777 == 0o600


def test_a_journal_that_does_not_open_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"no database" * 1_000)
    before = open_files()
    with pytest.raises(JournalDamaged):
        opened(tmp_path / "j")
    assert open_files() == before
    (tmp_path / "j").unlink()
    opened(tmp_path / "j").close()
    assert open_files() == before


@pytest.mark.parametrize(
    ("error", "words"),
    [(PermissionError(errno.EACCES, "Permission denied"), "user"), (OSError(errno.EROFS, "Read-only"), "Read-only")],
)
def test_a_lock_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, words: str
) -> None:
    def fails(*arguments: object) -> int:
        raise error

    monkeypatch.setattr(os, "open", fails)
    with pytest.raises(JournalUnwritable, match=words):
        opened(tmp_path / "j")


def test_a_journal_that_was_closed_may_be_closed_again(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    journal.close()
    journal.close()
    opened(tmp_path / "j").close()


def test_which_attempts_conflict_with_a_new_one(tmp_path: Path) -> None:
    """An attempt that the bank never settled counts until its case is closed; one still watched counts on."""
    ends = {
        "settled": m.State(plan("settled", "S-1"), m.Phase.UNPAID),
        "unsettled": m.State(plan("unsettled", "U-1"), m.Phase.UNSETTLED, case=m.CaseReason.EXPIRED_UNCONFIRMED),
        "watched": m.State(plan("watched", "W-1"), m.Phase.WATCHING, case=m.CaseReason.CANCEL_UNANSWERED),
    }
    with opened(tmp_path / "j") as journal:
        for state in ends.values():
            effects = (m.OpenCase(state.case, "detail"),) if state.case is not None else ()
            journal.record(None, state, effects, at_ms=1)

        def conflicting_attempts(order_no: str) -> set[str]:
            return {state.plan.key for state in journal.conflicting_attempts(order_no)}

        assert conflicting_attempts("Z-9") == {"unsettled", "watched"}
        assert conflicting_attempts("S-1") == {"settled", "unsettled", "watched"}
        for case in journal.cases():
            journal.close_case(case.number, operator="Ivanova", resolution="asked the bank", at_ms=2)
        assert conflicting_attempts("Z-9") == {"watched"}
        assert conflicting_attempts("U-1") == {"watched"}


def test_a_step_that_fails_halfway_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written(tmp_path / "j")
    with opened(tmp_path / "j") as journal:
        before = journal.count()
        state = m.State(plan("k3", "C-1"), m.Phase.UNSETTLED, case=m.CaseReason.AMOUNT_MISMATCH)

        def fails(*arguments: object) -> int:
            raise RuntimeError("in the middle")

        with monkeypatch.context() as patched:
            patched.setattr(Journal, "_open_case", fails)
            with pytest.raises(RuntimeError, match="in the middle"):
                journal.record(None, state, (m.OpenCase(m.CaseReason.AMOUNT_MISMATCH, ""),), at_ms=1)
        assert journal.count() == before
        assert journal.attempt("k3") is None
        journal.record(None, state, (m.OpenCase(m.CaseReason.AMOUNT_MISMATCH, ""),), at_ms=1)
        assert journal.verify() == []


def test_what_a_lane_writes_while_its_journal_is_checked_is_no_damage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal.db"
    full(path)
    check = verify._head_problems

    def meanwhile(query: verify.Query, last: int, digest: str) -> list[str]:
        state, effects = m.begin(plan("k9", "A-9"))
        lane.record(None, state, effects, at_ms=3_000_000)
        return check(query, last, digest)

    with opened(path) as lane, Journal(path, read_only=True) as journal:
        count = lane.count()
        monkeypatch.setattr(verify, "_head_problems", meanwhile)
        assert journal.verify() == []
        monkeypatch.undo()
        assert (journal.count(), journal.verify()) == (count + 1, [])


def test_a_journal_of_years_is_checked_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with opened(path) as journal:
        state, effects = m.begin(plan())
        journal.record(None, state, effects, at_ms=1_000)
        for n in range(300):
            journal.note("k1", "x" * 20_000, at_ms=n)
        tracemalloc.start()
        try:
            assert journal.verify() == []
            assert tracemalloc.get_traced_memory()[1] < 1_000_000, "it has 6 MB"
        finally:
            tracemalloc.stop()


def test_a_journal_of_years_is_asked_by_its_indexes(tmp_path: Path) -> None:
    """Before every payment, and at every start: no table of attempts is read through."""
    asked: list[str] = []
    with opened(tmp_path / "journal.db") as journal:
        journal._db.set_trace_callback(asked.append)
        journal.conflicting_attempts("A-1")
        journal.attempts(open_only=True)
        journal.of_order("A-1")
        journal.attempt("k1")
        journal.cases()
        journal._db.set_trace_callback(None)
        plans = [row[3] for query in asked for row in journal._all("EXPLAIN QUERY PLAN " + query)]
    assert len(asked) == 5
    assert [line for line in plans if line in ("SCAN a", "SCAN attempts")] == []


def test_a_row_with_a_good_hash_that_follows_another_one_is_found(tmp_path: Path) -> None:
    written(tmp_path / "j")
    db = sqlite3.connect(tmp_path / "j")
    row = db.execute(
        "SELECT seq, at_ms, attempt, kind, version, lane_id, acquirer, body, ? FROM records WHERE seq = 3", ["f" * 64]
    ).fetchone()
    db.close()
    tamper(
        tmp_path / "j",
        f"UPDATE records SET prev_hash = '{row[-1]}', hash = '{codec.row_hash(*row)}' WHERE seq = 3",
    )
    assert "row 3 does not follow row 2" in problems_of(tmp_path / "j")


def test_damage_that_python_quotes_is_reported_as_damage(tmp_path: Path) -> None:
    written(tmp_path / "j")
    tamper(tmp_path / "j", "UPDATE records SET body = CAST(x'ff' AS TEXT) WHERE seq = 1")
    with Journal(tmp_path / "j", read_only=True) as journal, pytest.raises(JournalDamaged, match="journal salvage"):
        journal.timeline("k1")


def test_damage_that_python_cannot_even_quote_is_reported_as_damage(tmp_path: Path) -> None:
    kept = Path(__file__).parents[2] / "corpora" / "journal_file" / "message-no-text"
    shutil.copy(kept, tmp_path / "j")
    with Journal(tmp_path / "j", read_only=True) as journal, pytest.raises(JournalDamaged, match="journal salvage"):
        journal.verify()


def test_a_page_that_the_disk_has_corrupted_is_reported_as_damage(tmp_path: Path) -> None:
    written(tmp_path / "j", tuple(f"k{n}" for n in range(40)))
    octets = bytearray((tmp_path / "j").read_bytes())
    size = int.from_bytes(octets[16:18], "big")
    octets[size:] = b"\xa5" * (len(octets) - size)
    (tmp_path / "j").write_bytes(octets)
    with Journal(tmp_path / "j", read_only=True) as journal, pytest.raises(JournalDamaged, match="journal salvage"):
        journal.verify()


def test_a_file_that_is_not_ours_in_a_folder_that_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "j").touch()
    monkeypatch.setattr(Journal, "_connect", _no_sqlite)
    monkeypatch.setattr(os, "access", lambda path, *arguments, **options: path == tmp_path)
    with pytest.raises(JournalUnwritable, match="the lane's own user"):
        opened(tmp_path / "j")


def _no_sqlite(journal: Journal, uri: str) -> sqlite3.Connection:
    raise sqlite3.OperationalError("unable to open database file")


def test_the_advice_depends_on_who_owns_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Journal, "_connect", _no_sqlite)
    with pytest.raises(JournalUnwritable, match="free space"):
        opened(tmp_path / "j")
    monkeypatch.setattr(os, "access", lambda *arguments, **options: False)
    with pytest.raises(JournalUnwritable, match="the lane's own user"):
        opened(tmp_path / "j")

    def forbidden(self: Path, **options: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "stat", forbidden)
    with pytest.raises(JournalUnwritable, match="the lane's own user"):
        opened(tmp_path / "j")


def test_an_attempt_that_cannot_be_read_is_damage(tmp_path: Path) -> None:
    written(tmp_path / "j")
    tamper(tmp_path / "j", "UPDATE attempts SET state = '{}' WHERE attempt = 'k1'")
    with Journal(tmp_path / "j", read_only=True) as journal:
        for read in (journal.attempts, lambda: journal.attempt("k1"), lambda: journal.of_order("A-1")):
            with pytest.raises(JournalDamaged, match="cannot be read"):
                read()
        assert journal.attempt("k2") is not None


def test_records_come_in_order_page_by_page(tmp_path: Path) -> None:
    count = full(tmp_path / "j")
    with Journal(tmp_path / "j", read_only=True) as journal:
        records = journal.records()
        assert [record.seq for record in records] == list(range(1, count + 1))
        assert journal.records(after=0, limit=3) + journal.records(after=3, limit=1_000) == records
        assert journal.records(after=count) == journal.records(after=2**70) == []
        assert journal.records(limit=2**70) == records
        assert journal.records(after=1, limit=1) == [records[1]]
        assert f"{records[-1].seq}:{records[-1].hash}" == journal.head()
        assert [record for record in records if record.attempt == "k1"] == journal.timeline("k1")
        for after, limit in ((-1, 1), (0, 0), (0, -1)):
            with pytest.raises(ValueError, match="expected 0 or more, and 1 or more"):
                journal.records(after=after, limit=limit)


def test_only_a_closed_journal_is_reported_as_closed(tmp_path: Path) -> None:
    journal = opened(tmp_path / "j")
    with pytest.raises(JournalUnwritable, match="bindings"):
        journal._all("SELECT ?")
    journal.close()
    with pytest.raises(JournalUnwritable, match="it is already closed"):
        journal.count()


def test_an_empty_journal_is_in_order(tmp_path: Path) -> None:
    with opened(tmp_path / "j") as journal:
        assert (journal.verify(), journal.head(), journal.records(), journal.count()) == ([], "", [], 0)


def test_each_record_says_who_wrote_it(tmp_path: Path) -> None:
    for lane_id, acquirer in (("", "paymaster"), ("lane-1", "")):
        with pytest.raises(ValueError, match="lane_id and acquirer are needed"):
            Journal(tmp_path / "j", lane_id=lane_id, acquirer=acquirer)
    assert not (tmp_path / "j").exists()
    full(tmp_path / "j")
    with Journal(tmp_path / "j", lane_id="касса 2", acquirer="example") as journal:
        count = journal.count()
        journal.note("k1", "moved to another lane", at_ms=7)
        records = journal.records()
        assert {(record.lane_id, record.acquirer, record.version) for record in records[:count]} == {
            ("lane-1", "paymaster", 1)
        }
        last = records[-1]
        assert (last.lane_id, last.acquirer, last.at_ms, last.kind) == ("касса 2", "example", 7, "note")
        assert journal.verify() == []


def test_a_reader_gets_every_record_once_while_the_lane_writes(tmp_path: Path) -> None:
    """As a service does, and a fleet: with a connection of its own, from the last number it has seen."""
    path = tmp_path / "j"
    opened(path).close()
    written = 300

    def lane() -> None:
        with opened(path) as journal:
            for n in range(written // 3):
                journal.record(None, *m.begin(plan(f"k{n}", f"A-{n}")), at_ms=n)
                journal.note(f"k{n}", "seen", at_ms=n)
                journal.note(f"k{n}", "seen again", at_ms=n)

    seen: list[Record] = []
    with ThreadPoolExecutor(1) as thread, Journal(path, read_only=True) as journal:
        done = thread.submit(lane)
        while len(seen) < written:
            seen += journal.records(after=seen[-1].seq if seen else 0, limit=7)
            assert not done.done() or done.exception() is None
        done.result()
        assert [record.seq for record in seen] == list(range(1, written + 1))
        assert seen == journal.records()
        assert journal.verify(f"{seen[9].seq}:{seen[9].hash}") == []


def test_a_database_of_something_else_is_no_journal(tmp_path: Path) -> None:
    path = tmp_path / "j"
    db = sqlite3.connect(path)
    db.execute("CREATE TABLE customers (name TEXT)")
    db.close()
    before = path.read_bytes()
    with pytest.raises(JournalDamaged, match="an SQLite file, but not a lane's journal"):
        opened(path)
    assert path.read_bytes() == before
