"""What can be read of a damaged journal, damage by damage: what is found, what is named as lost, what is doubted."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sco_payment import attempt as m
from sco_payment.journal import Journal, JournalDamaged, JournalError, archive, codec, salvage, schema
from sco_payment.journal.salvage import Salvaged, describe_loss
from tests.payment.journal.kit import full, opened, plan, tamper

BEGUN = m.State(plan())
DRAFT = replace(BEGUN, seq=1)
FATES = {phase: replace(BEGUN, phase=phase) for phase in m.Phase}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "j"


def begun(path: Path, *states: m.State) -> None:
    """A journal whose only attempt has gone through `states`: a row each."""
    with opened(path) as journal:
        for number, state in enumerate(states):
            journal.record(m.Tick(number) if number else None, state, (), at_ms=1_000 + number)


def put_attempt(path: Path, state: m.State) -> None:
    """The table of attempts has this, whatever the records say."""
    tamper(path, f"UPDATE attempts SET state = '{codec.to_json(codec.encode_state(state))}'")


def spoiled(path: Path, *rows: int) -> None:
    tamper(path, *(f"UPDATE records SET at_ms = at_ms + 1 WHERE seq = {seq}" for seq in rows))


def test_nothing_is_lost_of_a_whole_journal(path: Path) -> None:
    count = full(path)
    with Journal(path, read_only=True) as journal:
        states = {state.plan.key: state for state in journal.attempts()}
        last = journal.records()[-1]
    found = salvage.read(path)
    assert found.states == states
    assert list(found.states) == ["k1", "k2"]
    assert [row[:2] for row in found.cases] == [(1, "k2")]
    assert (found.last_seq, found.last_at_ms) == (count, last.at_ms) == (count, 2_200_000)
    assert (found.lost, found.doubtful, found.archived, describe_loss(found)) == ([], set(), [], "")
    assert found.part == (False, 0, codec.GENESIS, "", 0)


@pytest.mark.parametrize(
    ("rows", "lost", "words"),
    [
        ((1,), [(1, 1)], "rows 1"),
        ((2, 3), [(2, 3)], "rows 2 to 3"),
        ((2, 4, 5), [(2, 2), (4, 5)], "rows 2, 4 to 5"),
        ((14, 15), [(14, 15)], "rows 14 to 15"),
    ],
)
def test_rows_that_were_changed_are_lost(path: Path, rows: tuple[int, ...], lost: object, words: str) -> None:
    assert full(path) == 15
    spoiled(path, *rows)
    found = salvage.read(path)
    assert (found.lost, describe_loss(found)) == (lost, words)
    assert found.last_seq == (13 if 15 in rows else 15)


@pytest.mark.parametrize(("expected_seq", "lost"), [(0, [(15, 15)]), (15, [(15, 15)]), (17, [(15, 17)])])
def test_rows_that_were_cut_off_are_missed_by_the_head_and_by_the_anchor(
    path: Path, expected_seq: int, lost: object
) -> None:
    full(path)
    tamper(path, "DELETE FROM records WHERE seq = 15")
    assert salvage.read(path, expected_seq).lost == lost
    tamper(path, "UPDATE head SET seq = 14")
    assert salvage.read(path, expected_seq).lost == (lost if expected_seq else [])


@pytest.mark.parametrize("head", ["DROP TABLE head", "DELETE FROM head", "UPDATE head SET seq = 3"])
def test_a_head_that_says_nothing_costs_nothing(path: Path, head: str) -> None:
    full(path)
    tamper(path, head)
    assert (salvage.read(path).lost, salvage.read(path).last_seq) == ([], 15)


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        ("DROP TABLE attempts", lambda found: set(found.states) == {"k1", "k2"}),
        ("DROP TABLE cases", lambda found: [row[0] for row in found.cases] == [1]),
        ("DROP TABLE archived", lambda found: found.archived == []),
    ],
)
def test_a_table_that_is_lost(path: Path, statement: str, found: Callable[[Salvaged], bool]) -> None:
    full(path)
    tamper(path, statement)
    assert salvage.read(path).lost == [(0, 0)]
    assert describe_loss(salvage.read(path)) == "a part of its tables"
    assert found(salvage.read(path))
    spoiled(path, 2)
    assert describe_loss(salvage.read(path)) == "rows 2 and a part of its tables"


def test_without_its_records_the_tables_still_say_what_was_paid(path: Path) -> None:
    full(path)
    whole = salvage.read(path)
    db = sqlite3.connect(path)
    db.execute("DROP TABLE records")
    db.close()
    found = salvage.read(path)
    assert (found.states, found.cases, found.lost, found.last_seq) == (whole.states, whole.cases, [(1, 15)], 0)
    assert found.doubtful == set()
    tamper(path, "DROP TABLE head")
    assert salvage.read(path).lost == []


def test_of_a_page_that_cannot_be_read_only_its_own_rows_are_lost(path: Path) -> None:
    with opened(path) as journal:
        journal.record(None, BEGUN, (), at_ms=1)
        for number in range(700):
            journal.note("k1", f"note {number}", at_ms=number)
    octets = bytearray(path.read_bytes())
    size = int.from_bytes(octets[16:18], "big")
    place = octets.index(b'"note 300"') // size * size
    octets[place : place + size] = b"\xa5" * size
    path.write_bytes(octets)
    found = salvage.read(path)
    [(first, last)] = found.lost
    assert first <= 302 <= last < first + 40
    assert (found.last_seq, found.states) == (701, {"k1": BEGUN})


def test_of_a_table_of_which_a_page_cannot_be_read_the_records_know_the_rest(path: Path) -> None:
    states = {f"k{number}": m.State(plan(f"k{number}", f"o{number}")) for number in range(60)}
    with opened(path) as journal:
        for state in states.values():
            journal.record(None, state, (), at_ms=1)
    octets = bytearray(path.read_bytes())
    size = int.from_bytes(octets[16:18], "big")
    [page] = [
        at
        for at in range(size, len(octets), size)
        if b'"o30"' in octets[at : at + size] and b"attempt_started" not in octets[at : at + size]
    ]
    octets[page : page + size] = b"\xa5" * size
    path.write_bytes(octets)
    found = salvage.read(path)
    assert (found.lost, found.states, found.doubtful) == ([(0, 0)], states, set())


@pytest.mark.parametrize(("rows", "lost"), [((256,), (256, 256)), ((257,), (257, 257)), ((255, 256), (255, 256))])
def test_long_journals_are_read_in_parts_that_meet(path: Path, rows: tuple[int, ...], lost: object) -> None:
    with opened(path) as journal:
        journal.record(None, BEGUN, (), at_ms=1)
        for number in range(599):
            journal.note("k1", "x", at_ms=number)
    spoiled(path, *rows)
    assert salvage.read(path).lost == [lost]


def test_an_empty_journal(path: Path) -> None:
    opened(path).close()
    assert salvage.read(path) == Salvaged()
    assert Salvaged().part == schema.Segment(False, 0, codec.GENESIS, "", 0)
    assert (Salvaged().last_seq, Salvaged().last_at_ms) == (0, 0)


def test_a_table_that_does_not_say_which_part_it_is(path: Path) -> None:
    full(path)
    tamper(path, "DROP TABLE segment", "CREATE TABLE segment (other TEXT)")
    found = salvage.read(path)
    assert (found.lost, found.part) == ([(0, 0)], Salvaged().part)


def test_a_row_whose_text_is_none(path: Path) -> None:
    full(path)
    tamper(path, "UPDATE records SET body = CAST(x'ff' AS TEXT) WHERE seq = 4")
    assert salvage.read(path).lost == [(4, 4)]


# --- two places say different things ----------------------------------------------------------------------------------

MONEY = [m.Phase.PAID, m.Phase.PAID_LATE, m.Phase.REFUNDABLE]


@pytest.mark.parametrize("other", [m.Phase.UNPAID, m.Phase.WAITING, m.Phase.UNSETTLED])
@pytest.mark.parametrize("money", MONEY)
@pytest.mark.parametrize("recorded", [False, True], ids=["in the table", "in the records"])
def test_money_is_forgotten_by_neither(path: Path, money: m.Phase, other: m.Phase, recorded: bool) -> None:
    row, table = (FATES[money], FATES[other]) if recorded else (FATES[other], FATES[money])
    begun(path, BEGUN, row)
    put_attempt(path, table)
    found = salvage.read(path)
    assert (found.states, found.doubtful, found.lost) == ({"k1": FATES[money]}, {"k1"}, [])


@pytest.mark.parametrize("recorded", [False, True], ids=["in the table", "in the records"])
def test_an_attempt_that_may_be_open_is_asked_about(path: Path, recorded: bool) -> None:
    waiting, unpaid = FATES[m.Phase.WAITING], FATES[m.Phase.UNPAID]
    begun(path, BEGUN, waiting if recorded else unpaid)
    put_attempt(path, unpaid if recorded else waiting)
    found = salvage.read(path)
    assert (found.states, found.doubtful) == ({"k1": waiting}, {"k1"})


def test_an_attempt_of_which_only_the_table_knows(path: Path) -> None:
    begun(path, BEGUN)
    spoiled(path, 1)
    found = salvage.read(path)
    assert (found.states, found.doubtful, found.lost) == ({"k1": BEGUN}, set(), [(1, 1)])


@pytest.mark.parametrize("change", ["state = '{'", "state = '{}'", "version = 99"])
def test_an_attempt_that_the_table_cannot_say_is_doubted(path: Path, change: str) -> None:
    begun(path, BEGUN)
    tamper(path, f"UPDATE attempts SET {change}")
    found = salvage.read(path)
    assert (found.states, found.doubtful, found.lost) == ({"k1": BEGUN}, {"k1"}, [])


def test_the_latest_row_counts(path: Path) -> None:
    """What comes after a row of another release, which cannot be read, does too."""
    begun(path, BEGUN, DRAFT, FATES[m.Phase.WAITING])
    db = sqlite3.connect(path)
    row = list(db.execute("SELECT * FROM records WHERE seq = 2").fetchone())
    db.close()
    row[4] = 99
    tamper(path, f"UPDATE records SET version = 99, hash = '{codec.row_hash(*row[:-1])}' WHERE seq = 2")
    found = salvage.read(path)
    assert (found.states, found.lost) == ({"k1": FATES[m.Phase.WAITING]}, [(2, 2)])


# --- cases ------------------------------------------------------------------------------------------------------------


def with_cases(path: Path) -> None:
    """Case 1 of k1 is closed, case 2 of k2 is open; each has one row for each thing that was said."""
    with opened(path) as journal:
        for key in ("k1", "k2"):
            state = m.State(plan(key, f"order {key}"))
            journal.record(None, state, (m.OpenCase(m.CaseReason.LATE_MONEY, "late"),), at_ms=1_000)
        journal.close_case(1, operator="Иванова", resolution="выяснено", at_ms=2_000)
        assert journal.count() == 5


CLOSED = (1, "k1", 1_000, "late_money", "late", 2_000, "Иванова", "выяснено")
OPEN = (2, "k2", 1_000, "late_money", "late", None, None, None)


@pytest.mark.parametrize(
    ("statements", "cases", "lost"),
    [
        ((), [CLOSED, OPEN], []),
        (("DELETE FROM records WHERE seq = 5",), [(*CLOSED[:5], *(None,) * 3)], None),
        (("DELETE FROM records WHERE seq = 2",), [CLOSED, OPEN], [(2, 2)]),
        (("DELETE FROM records WHERE seq = 4", "DELETE FROM cases WHERE number = 2"), [CLOSED], [(4, 4)]),
        (("UPDATE cases SET closed_at_ms = NULL",), [(*CLOSED[:5], None, None, None), OPEN], []),
        (("UPDATE cases SET closed_at_ms = NULL, attempt = 'k9' WHERE number = 1",), [CLOSED, OPEN], []),
        (("UPDATE cases SET closed_at_ms = 7, operator = 'x' WHERE number = 2",), [CLOSED, OPEN], []),
        (("UPDATE cases SET reason = 'none' WHERE number = 1",), [CLOSED, OPEN], []),
        (("DELETE FROM records WHERE seq = 2", "UPDATE cases SET reason = 'none' WHERE number = 1"), [OPEN],
         [(2, 2), (0, 0)]),
        (("UPDATE cases SET number = 7 WHERE number = 2",), [CLOSED, OPEN], []),
        (("INSERT INTO cases VALUES (7, 'k9', 1, 'late_money', '', NULL, NULL, NULL)",), [CLOSED, OPEN], [(0, 0)]),
    ],
)  # fmt: skip
def test_cases(path: Path, statements: tuple[str, ...], cases: list[object], lost: object) -> None:
    with_cases(path)
    tamper(path, *statements)
    found = salvage.read(path)
    if lost is None:  # the row that closes it is lost, and the table has it: both are kept as they are
        cases, lost = [CLOSED, OPEN], [(5, 5)]
        assert found.cases[1] == OPEN
        assert found.cases[0] in (CLOSED, (*CLOSED[:5], None, None, None))
    else:
        assert found.cases == cases
    assert found.lost == lost


# --- archives ---------------------------------------------------------------------------------------------------------


def test_a_journal_whose_first_years_are_in_an_archive(path: Path, tmp_path: Path) -> None:
    with opened(path) as journal:
        for key, phase in (("k1", m.Phase.PAID), ("k2", m.Phase.WAITING)):
            state = m.State(plan(key, f"order {key}"))
            journal.record(None, state, (), at_ms=1)
            journal.record(m.Tick(2), replace(state, phase=phase, delivered=True), (), at_ms=2)
        journal.note("k2", "later", at_ms=archive.start_of(2025))
    with opened(path) as journal:
        cut = journal.find_cut(archive.start_of(2025))
        assert cut is not None
        journal.move_to_archive(cut, tmp_path / "a", at_ms=archive.start_of(2026))
    found = salvage.read(path)
    assert found.part == schema.Segment(False, 4, cut.last_hash, "a", 0)
    assert found.archived == [("order k1", "k1", None, 1)]
    assert (set(found.states), found.lost, found.doubtful, found.last_seq) == ({"k2"}, [], set(), 6)
    spoiled(path, 4, 5)
    assert salvage.read(path).lost == [(5, 5)], "a row that its archive has is not lost"
    tamper(path, "DROP TABLE segment")
    assert salvage.read(path).part == schema.Segment(False, 0, codec.GENESIS, "", 0)
    assert salvage.read(path).lost == [(1, 2), (4, 5)]


# --- what becomes of it -----------------------------------------------------------------------------------------------


def test_what_cannot_be_opened_is_not_salvaged(path: Path) -> None:
    with pytest.raises(JournalDamaged, match="unable to open"):
        salvage.read(path)
    path.write_bytes(b"a letter" * 600)
    assert describe_loss(salvage.read(path, 5)) == "rows 1 to 5 and a part of its tables"


def test_the_attempt_that_carries_the_case_of_the_loss() -> None:
    state = salvage.loss_state(Salvaged(last_at_ms=7), 9)
    assert (state.plan.key, state.plan.order_no) == ("salvage-9", "salvage-9")
    assert (state.plan.kopecks, state.plan.currency, state.plan.mode) == (0, "RUB", m.Mode.SCREEN)
    assert (state.plan.begun_at_ms, state.plan.expires_at_ms) == (9, 9)
    assert (state.phase, state.outcome) == (m.Phase.UNSETTLED, m.Outcome.UNKNOWN)
    assert (state.case, state.delivered, state.last_status_at_ms) == (m.CaseReason.CREATE_UNKNOWN, True, 7)


def test_what_ended_unpaid_is_asked_about_again_where_there_is_something_to_ask() -> None:
    unpaid = FATES[m.Phase.UNPAID]
    named = replace(unpaid, payment_id="p")
    assert salvage.reopened(named) == replace(named, phase=m.Phase.CLOSED)
    for state in (unpaid, replace(named, phase=m.Phase.PAID)):
        assert salvage.reopened(state) is state


FILES = ("", "-wal", "-shm", ".anchor", ".lock")


def left(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_files_change_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[tuple[Path, str]] = []
    monkeypatch.setattr(
        salvage.location, "sync_folder", lambda folder: synced.append((folder, (folder / "j").read_text()))
    )
    for suffix in FILES:
        (tmp_path / f"j{suffix}").write_text(f"old{suffix}")
        (tmp_path / f"new{suffix}").write_text(f"new{suffix}")
    salvage.exchange(tmp_path / "j", tmp_path / "aside", tmp_path / "new")
    assert left(tmp_path) == {
        "j": "new",
        "j.anchor": "old.anchor",
        "j.lock": "old.lock",
        "aside": "old",
        "aside-wal": "old-wal",
        "aside-shm": "old-shm",
    }
    assert synced == [(tmp_path, "new")]


def test_a_journal_without_a_log_changes_places(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("old")
    (tmp_path / "new").write_text("new")
    salvage.exchange(tmp_path / "j", tmp_path / "aside", tmp_path / "new")
    assert left(tmp_path) == {"j": "new", "aside": "old"}


def test_what_cannot_be_moved_or_removed_is_named(tmp_path: Path) -> None:
    (tmp_path / "j").write_text("old")
    with pytest.raises(JournalError, match=r"the damaged one is .*/j or .*/aside"):
        salvage.exchange(tmp_path / "j", tmp_path / "aside", tmp_path / "new")
    (tmp_path / "k.lock").mkdir()
    with pytest.raises(JournalError, match="k: Is a directory"):
        salvage.remove(tmp_path / "k")
