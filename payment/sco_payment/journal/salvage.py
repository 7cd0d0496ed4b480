"""Take what can be read of a damaged or outdated journal into a new one.

The damaged file is kept under another name. Each attempt comes over with its latest state that can be trusted; one that
was open, or of which two places say different things, is open in the new journal: the lane asks the acquirer about it
before it takes a payment of that order. Cases keep their numbers. What is lost becomes a case of its own: somebody has
to compare the acquirer's list with the till's receipts for that time.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sco_payment import attempt as m
from sco_payment.journal import codec, location, schema
from sco_payment.journal.errors import JournalDamaged, JournalError, JournalTooNew
from sco_payment.journal.verify import ReplayedCases

_PAGE = 256
_ROW = "seq, at_ms, attempt, kind, version, lane_id, acquirer, body, prev_hash, hash"
_MONEY = frozenset({m.Phase.PAID, m.Phase.PAID_LATE, m.Phase.REFUNDABLE})


@dataclass(slots=True)
class Salvaged:
    """What was found in a damaged journal.

    Attributes:
        states: each attempt's latest state, oldest attempt first.
        cases: rows of the table of cases.
        archived: rows of the table of archived attempts.
        part: which part of the chain the file held.
        last_seq: the last row that can be read; `lost` says which rows before it cannot.
        last_at_ms: when that was written.
        lost: the numbers of lost rows, as ranges.
        doubtful: attempts of which two places say different things, or which lack a row.
    """

    states: dict[str, m.State] = field(default_factory=dict)
    cases: list[tuple[Any, ...]] = field(default_factory=list)
    archived: list[tuple[Any, ...]] = field(default_factory=list)
    part: schema.Segment = field(default_factory=lambda: schema.Segment(False, 0, codec.GENESIS, "", 0))
    last_seq: int = 0
    last_at_ms: int = 0
    lost: list[tuple[int, int]] = field(default_factory=list)
    doubtful: set[str] = field(default_factory=set)


def read(path: Path, expected_seq: int = 0) -> Salvaged:
    """What can be read of the journal at `path`, which should reach row `expected_seq`.

    Raises:
        JournalDamaged: nothing can be read at all.
    """
    try:
        db = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise JournalDamaged(f"{path}: {error}: nothing can be read") from None
    db.text_factory = lambda data: data.decode("utf-8", "replace")  # such a row fails its hash
    found = Salvaged()
    try:
        try:
            found.part = schema.segment(db.execute)
        except sqlite3.Error:
            found.lost.append((0, 0))
        _read_records(db, found, expected_seq)
        _read_attempts(db, found)
        _read_cases(db, found)
        kept = [case for case in found.cases if case[1] in found.states]
        if len(kept) < len(found.cases):
            found.lost.append((0, 0))
        found.cases = kept
        found.archived = list(_rows(db, "archived", "order_no, attempt, payment_id, paid", found))
    finally:
        db.close()
    return found


def _read_records(db: sqlite3.Connection, found: Salvaged, expected_seq: int) -> None:
    latest: dict[str, m.State] = {}
    cases = ReplayedCases()
    try:
        last = db.execute("SELECT max(seq) FROM records").fetchone()[0] or 0
    except sqlite3.Error:
        last = 0
    with contextlib.suppress(sqlite3.Error, TypeError):
        last = max(last, db.execute("SELECT seq FROM head").fetchone()[0])
    last = max(last, expected_seq)
    next_seq = found.part.base_seq + 1
    for row in _each_record(db, last):
        seq, at_ms, attempt, kind, version, *_, body, _, digest = row
        if digest != codec.row_hash(*row[:-1]):
            continue
        try:
            data = codec.from_json(body)
            decoded = codec.decode_body(version, kind, data)
        except (JournalDamaged, JournalTooNew):
            continue
        cases.apply(at_ms, attempt, kind, data)
        if "state" in decoded:
            latest[attempt] = decoded["state"]
        if seq < found.part.base_seq + 1:
            continue
        if seq > next_seq:
            found.lost.append((next_seq, seq - 1))
        next_seq, found.last_seq, found.last_at_ms = seq + 1, seq, at_ms
    if last >= next_seq:
        found.lost.append((next_seq, last))
    found.states, found.cases = latest, list(cases.rows())


def _each_record(db: sqlite3.Connection, last: int) -> Iterator[tuple[Any, ...]]:
    """Page by page; of a page that cannot be read, row by row."""
    for first in range(0, last + 1, _PAGE):
        page = f"SELECT {_ROW} FROM records WHERE seq BETWEEN ? AND ? ORDER BY seq"  # noqa: S608 - our own names
        try:
            rows = db.execute(page, (first, first + _PAGE - 1)).fetchall()
        except sqlite3.Error:
            rows = []
            for seq in range(first, first + _PAGE):
                try:
                    rows += db.execute(page, (seq, seq)).fetchall()
                except sqlite3.Error:
                    continue
        yield from rows


def _read_attempts(db: sqlite3.Connection, found: Salvaged) -> None:
    """Compare with the table of attempts, which may know what lost records said."""
    for attempt, version, text in _rows(db, "attempts", "attempt, version, state", found):
        try:
            state = codec.decode_state(version, codec.from_json(text))
        except (JournalDamaged, JournalTooNew):
            found.doubtful.add(attempt)
            continue
        recorded = found.states.get(attempt)
        if recorded is None:
            found.states[attempt] = state
        elif recorded != state:
            found.doubtful.add(attempt)
            found.states[attempt] = _more_cautious(recorded, state)


def _read_cases(db: sqlite3.Connection, found: Salvaged) -> None:
    """Add the cases whose records are lost, and open those of which only a record says that they are closed."""
    recorded = {row[0]: row for row in found.cases}
    attempts = {row[1] for row in found.cases}
    columns = "number, attempt, opened_at_ms, reason, detail, closed_at_ms, operator, resolution"
    for row in list(_rows(db, "cases", columns, found)):
        number, attempt, _, reason, detail, closed_at_ms, *_ = row
        known = recorded.get(number)
        if known is not None:
            if known[1] == attempt and closed_at_ms is None:
                recorded[number] = (*known[:5], None, None, None)
            continue
        try:
            codec.decode_body(
                codec.RECORD_VERSION, "case_opened", {"case_number": number, "reason": reason, "detail": detail}
            )
        except JournalDamaged:
            found.lost.append((0, 0))
            continue
        if attempt not in attempts:
            attempts.add(attempt)
            recorded[number] = row
    found.cases = [recorded[number] for number in sorted(recorded)]


def _more_cautious(one: m.State, other: m.State) -> m.State:
    """The state that forgets no money: paid, else the one that still has to be asked about."""
    for state in (one, other):
        if state.phase in _MONEY:
            return state
    return one if one.phase not in m.FINAL else other


def _rows(db: sqlite3.Connection, table: str, columns: str, found: Salvaged) -> Iterator[tuple[Any, ...]]:
    try:
        cursor = db.execute(f"SELECT {columns} FROM {table} NOT INDEXED")  # noqa: S608 - our own names
    except sqlite3.Error:
        found.lost.append((0, 0))
        return
    while True:
        try:
            row = cursor.fetchone()
        except sqlite3.Error:
            found.lost.append((0, 0))
            return
        if row is None:
            return
        yield row


_SUFFIXES = ("-wal", "-shm", "")
"""Of SQLite's files; the journal itself comes last."""


def remove(path: Path) -> None:
    """Remove a journal that was never used, with what belongs to it. Raises JournalError."""
    for suffix in (".anchor", ".lock", *_SUFFIXES):
        try:
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        except OSError as error:
            raise JournalError(f"{path}: {error.strerror}") from None


def exchange(path: Path, aside: Path, fresh: Path) -> None:
    """Give the damaged journal at `path` the name `aside`, and the one at `fresh` its place.

    A power cut in between leaves no journal at `path`, which no lane takes for a reason to begin one.

    Raises:
        JournalError: one of them cannot be renamed.
    """
    try:
        for suffix in _SUFFIXES:
            part = path.with_name(path.name + suffix)
            if part.exists():
                part.rename(aside.with_name(aside.name + suffix))
        fresh.rename(path)
        location.sync_folder(path.parent)
    except OSError as error:
        raise JournalError(f"{path}: {error.strerror}: the damaged one is {path} or {aside}") from None
    remove(fresh)


def describe_loss(found: Salvaged) -> str:
    """Which rows are lost, for people; empty for none."""
    rows = [f"{first}" if first == last else f"{first} to {last}" for first, last in found.lost if last]
    lost = [f"rows {', '.join(rows)}"] if rows else []
    if any(not last for _, last in found.lost):
        lost.append("a part of its tables")
    return " and ".join(lost)


def loss_state(found: Salvaged, at_ms: int, currency: str = "RUB") -> m.State:
    """The state of the attempt that carries the case of the loss: no payment of its own."""
    plan = m.Plan(
        f"salvage-{at_ms}", f"salvage-{at_ms}", 0, currency, m.Mode.SCREEN, begun_at_ms=at_ms, expires_at_ms=at_ms
    )
    return m.State(
        plan,
        m.Phase.UNSETTLED,
        outcome=m.Outcome.UNKNOWN,
        case=m.CaseReason.CREATE_UNKNOWN,
        delivered=True,
        last_status_at_ms=found.last_at_ms,
    )


def reopened(state: m.State) -> m.State:
    """The state from which the lane asks the acquirer again."""
    if state.phase is m.Phase.UNPAID and state.payment_id is not None:
        return replace(state, phase=m.Phase.CLOSED)
    return state
