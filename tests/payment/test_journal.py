"""What must survive: the chain, the triggers, the lock, a full disk, a kill."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from sco_payment import machine as m
from sco_payment.journal import (
    Journal,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalTooNew,
    JournalUnwritable,
    NoSuchCase,
)


def plan(key: str = "k1", order_no: str = "A-1") -> m.Plan:
    return m.Plan(key, order_no, 25_300, "RUB", m.Mode.SCREEN, begun_at=1_000, expires_at=301_000)


def written(path: Path, keys: tuple[str, ...] = ("k1", "k2")) -> None:
    """A journal with some begun attempts, the last of which has a case."""
    with Journal(path) as journal:
        for key in keys:
            state, effects = m.begin(plan(key))
            journal.record(None, state, effects, at=1_000)
            journal.note(key, "bank: Confirmation", at=2_000)
        event = m.Recovered(5_000)
        state, effects = m.step(state, event)
        journal.record(event, state, effects, at=5_000)
        tick = m.Tick(60_000)
        state, effects = m.step(m.step(state, m.BankSilent(20_000, state.seq, "no network"))[0], tick)
        assert journal.record(tick, state, effects, at=60_000) == 1


def tamper(path: Path, *statements: str) -> None:
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER records_never_change")
    db.execute("DROP TRIGGER records_never_leave")
    for statement in statements:
        db.execute(statement)
    db.commit()
    db.close()


def test_states_come_back_as_they_were(tmp_path: Path) -> None:
    state, effects = m.begin(plan())
    with Journal(tmp_path / "j") as journal:
        journal.record(None, state, effects, at=1_000)
    with Journal(tmp_path / "j") as journal:
        assert journal.attempt("k1") == state
        assert journal.attempts(open_only=True) == [state]
        assert journal.verify() == []
        assert [record.kind for record in journal.timeline("k1")] == ["begin"]


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("UPDATE records SET body = replace(body, '25300', '100') WHERE n = 1", "row 1 was changed"),
        ("UPDATE records SET at = at + 1 WHERE n = 2", "row 2 was changed"),
        ("DELETE FROM records WHERE n = 2", "row 2 is missing"),
        ("DELETE FROM records WHERE n BETWEEN 2 AND 3", "rows 2 to 3 are missing"),
        ("DELETE FROM records WHERE n >= 5", "attempt k2 does not agree"),
        ("UPDATE attempts SET state = replace(state, '25300', '100') WHERE key = 'k1'", "attempt k1 does not agree"),
        ("DELETE FROM attempts WHERE key = 'k1'", "attempt k1 is missing"),
    ],
)
def test_verify_finds_what_was_done_to_it(tmp_path: Path, statement: str, found: str) -> None:
    written(tmp_path / "j")
    with Journal(tmp_path / "j", read_only=True) as journal:
        assert journal.verify() == []
    tamper(tmp_path / "j", statement)
    with Journal(tmp_path / "j", read_only=True) as journal:
        assert any(found in problem for problem in journal.verify()), journal.verify()


@pytest.mark.parametrize("statement", ["UPDATE records SET at = 0", "DELETE FROM records"])
def test_rows_can_neither_change_nor_leave(tmp_path: Path, statement: str) -> None:
    written(tmp_path / "j")
    db = sqlite3.connect(tmp_path / "j")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    db.close()


def test_a_case_is_closed_once_and_stays(tmp_path: Path) -> None:
    written(tmp_path / "j")
    with Journal(tmp_path / "j") as journal:
        assert [case.number for case in journal.cases()] == [1]
        with pytest.raises(ValueError, match="operator"):
            journal.close_case(1, operator=" ", resolution="refunded", at=70_000)
        closed = journal.close_case(1, operator="Ivanova", resolution="refunded", at=70_000)
        assert (closed.operator, closed.resolution, closed.closed_at) == ("Ivanova", "refunded", 70_000)
        with pytest.raises(NoSuchCase):
            journal.close_case(1, operator="Ivanova", resolution="again", at=71_000)
        assert journal.cases() == []
        assert [case.number for case in journal.cases(include_closed=True)] == [1]
        assert journal.verify() == []


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    code = "import sys; from sco_payment.journal import Journal; Journal(sys.argv[1])"
    with Journal(tmp_path / "j"):
        second = subprocess.run([sys.executable, "-c", code, str(tmp_path / "j")], capture_output=True, text=True)
        assert "JournalBusy" in second.stderr
        assert str(os.getpid()) in second.stderr
        with pytest.raises(JournalBusy):
            Journal(tmp_path / "j")
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path / "j")]).returncode == 0


def test_a_newer_schema_and_foreign_files_are_refused(tmp_path: Path) -> None:
    written(tmp_path / "newer")
    db = sqlite3.connect(tmp_path / "newer")
    db.execute("PRAGMA user_version=99")
    db.close()
    with pytest.raises(JournalTooNew, match="schema 99"):
        Journal(tmp_path / "newer")
    db = sqlite3.connect(tmp_path / "other")
    db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(JournalDamaged):
        Journal(tmp_path / "other")
    (tmp_path / "text").write_bytes(b"not a database at all" * 100)
    with pytest.raises(JournalDamaged):
        Journal(tmp_path / "text")
    with pytest.raises(JournalUnwritable, match="no such folder"):
        Journal(tmp_path / "absent" / "j")
    with pytest.raises(JournalError, match="no journal"):
        Journal(tmp_path / "absent-file", read_only=True)


_FILLS = """
import resource, signal, sys
from sco_payment import machine as m
from sco_payment.journal import Journal, JournalUnwritable
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
for n in range(100_000):
    plan = m.Plan(f"k{n}", f"A-{n}", 100, "RUB", m.Mode.SCREEN, begun_at=0, expires_at=300_000)
    try:
        journal.record(None, *m.begin(plan), at=n)
    except JournalUnwritable as error:
        print(n, "refused:", error, flush=True)
        sys.exit(0)
"""


def test_a_full_disk_refuses_and_loses_nothing(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", _FILLS, str(tmp_path / "j"), "300000"], capture_output=True, text=True, timeout=60
    )
    assert run.returncode == 0, run.stderr
    acknowledged = int(run.stdout.split()[0])
    assert acknowledged > 0
    assert "free space" in run.stdout
    with Journal(tmp_path / "j") as journal:
        assert len(journal.attempts()) == acknowledged
        assert journal.verify() == []
        journal.record(None, *m.begin(plan("after")), at=1)


_WRITES = """
import sys
from sco_payment import machine as m
from sco_payment.journal import Journal
journal = Journal(sys.argv[1])
for n in range(len(journal.attempts()), 1_000_000):
    plan = m.Plan(f"k{n}", f"A-{n}", 100, "RUB", m.Mode.SCREEN, begun_at=0, expires_at=300_000)
    journal.record(None, *m.begin(plan), at=n)
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
        with Journal(tmp_path / "j") as journal:
            assert len(journal.attempts()) in (acknowledged, acknowledged + 1)
            assert journal.verify() == []
