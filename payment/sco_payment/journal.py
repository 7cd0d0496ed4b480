"""What must survive power loss: every step of every attempt, and every case. SQLite, WAL, synchronous=FULL.

The table `records` is append-only (triggers refuse anything else) and hash-chained: each row carries the SHA-256 of the
row before it and of itself. `attempts` and `cases` are views of it for quick reading, kept in the same transaction.
One process, one connection, a lock file: SQLite before 3.51.3 can lose a WAL reset when two connections write at once.
It never sends anything anywhere and never decides anything.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from sco_payment.machine import Effect, Event, NoteCase, OpenCase, Phase, State, needs_recovery

SCHEMA_VERSION = 1
_GENESIS = "0" * 64
_SCHEMA = """
CREATE TABLE records (
    n INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    attempt TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    prev TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE TRIGGER records_never_change BEFORE UPDATE ON records BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE TRIGGER records_never_leave BEFORE DELETE ON records BEGIN SELECT RAISE(ABORT, 'append-only'); END;
CREATE INDEX records_by_attempt ON records (attempt, n);
CREATE TABLE attempts (
    key TEXT PRIMARY KEY,
    order_no TEXT NOT NULL,
    open INTEGER NOT NULL,
    state TEXT NOT NULL
) STRICT;
CREATE INDEX attempts_by_order ON attempts (order_no);
CREATE INDEX attempts_open ON attempts (key) WHERE open = 1;
CREATE TABLE cases (
    number INTEGER PRIMARY KEY,
    attempt TEXT NOT NULL UNIQUE,
    opened_at INTEGER NOT NULL,
    reason TEXT NOT NULL,
    detail TEXT NOT NULL,
    closed_at INTEGER,
    operator TEXT,
    resolution TEXT
) STRICT;
"""


class JournalError(Exception):
    """The journal cannot be used; no payment may begin. The message says why and what to do."""


class JournalBusy(JournalError):
    """Another process has it."""


class JournalUnwritable(JournalError):
    """Disk full, read-only file system, no permission, or an I/O error."""


class JournalDamaged(JournalError):
    """It is no journal of ours, or SQLite finds it damaged."""


class JournalTooNew(JournalError):
    """A newer version of this package wrote it."""


class NoSuchCase(JournalError, LookupError):
    """No case has that number, or it is closed already."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row: `at` in ms since the epoch, `kind` of it, `body` as it was written."""

    n: int
    at: int
    attempt: str
    kind: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Case:
    """Money that needs a person's decision. Times in ms since the epoch."""

    number: int
    attempt: str
    order_no: str
    kopecks: int
    payment_id: str | None
    phase: str
    opened_at: int
    reason: str
    detail: str
    closed_at: int | None
    operator: str | None
    resolution: str | None


class Journal:
    """The journal of one lane. Calls are serialised; each that writes returns only when its rows are on disk.

    Args:
        path: the SQLite file; made when absent, its folder must exist.
        read_only: only look; may be opened while another process writes.

    Raises:
        JournalError: see its children.
    """

    def __init__(self, path: str | Path, *, read_only: bool = False) -> None:
        self.path = Path(path)
        self._mutex = threading.RLock()
        self._lock_file: int | None = None
        if read_only and not self.path.exists():
            raise JournalError(f"{self.path}: there is no journal; it is made by the first payment")
        if not self.path.parent.is_dir():
            raise JournalUnwritable(
                f"{self.path.parent}: there is no such folder; make it, on a disk that survives power loss"
            )
        if not read_only:
            self._take_lock()
        try:
            self._db = self._open(read_only)
        except BaseException:
            self._drop_lock()
            raise

    def _take_lock(self) -> None:
        name = self.path.with_name(self.path.name + ".lock")
        try:
            self._lock_file = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise JournalUnwritable(f"{name}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            owner = os.pread(self._lock_file, 32, 0).decode("ascii", "replace").strip()
            os.close(self._lock_file)
            self._lock_file = None
            raise JournalBusy(
                f"{self.path}: process {owner or '?'} has it open; one lane, one journal, one process"
            ) from None
        try:
            os.ftruncate(self._lock_file, 0)
            os.pwrite(self._lock_file, str(os.getpid()).encode(), 0)
        except OSError:
            pass  # only the owner's name is lost (disk full); the lock itself holds

    def _drop_lock(self) -> None:
        if self._lock_file is not None:
            os.close(self._lock_file)
            self._lock_file = None

    def _open(self, read_only: bool) -> sqlite3.Connection:
        with self._sqlite():
            uri = f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            db = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=2.0)
            try:
                if not read_only:
                    db.execute("PRAGMA journal_mode=WAL")
                    db.execute("PRAGMA synchronous=FULL")
                self._bring_up_to_date(db, read_only)
            except BaseException:
                db.close()
                raise
        return db

    def _bring_up_to_date(self, db: sqlite3.Connection, read_only: bool) -> None:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise JournalTooNew(
                f"{self.path}: schema {version}, this package knows {SCHEMA_VERSION}: update the package"
            )
        if version == SCHEMA_VERSION:
            return
        if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            raise JournalDamaged(f"{self.path}: an SQLite file, but no journal of a lane")
        if read_only:
            raise JournalError(f"{self.path}: the journal is empty")
        db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")

    @contextmanager
    def _sqlite(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "") or ""
            if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
                raise JournalDamaged(
                    f"{self.path}: {error}; keep the file, start a new one, and call support"
                ) from error
            raise JournalUnwritable(
                f"{self.path}: {error} ({name or 'SQLite'}): check the disk's free space and that it is writable"
            ) from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex, self._sqlite():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    # --- writing ---------------------------------------------------------------------------------------------

    def record(self, event: Event | None, state: State, effects: Iterable[Effect], *, at: int) -> int | None:
        """Put one step on disk, before its effects are performed; `event` is None for an attempt's first step.

        Returns:
            The number of the case that the step opened, or None.
        """
        key = state.plan.key
        effects = tuple(effects)
        body = {"event": _named(event), "state": msgspec.to_builtins(state), "effects": [_named(e) for e in effects]}
        case_number: int | None = None
        with self._transaction() as db:
            self._append(db, at, key, "begin" if event is None else "step", body)
            db.execute(
                "INSERT INTO attempts VALUES (?, ?, ?, ?) "
                "ON CONFLICT (key) DO UPDATE SET open = excluded.open, state = excluded.state",
                (key, state.plan.order_no, int(needs_recovery(state)), msgspec.json.encode(state).decode()),
            )
            for effect in effects:
                if isinstance(effect, OpenCase):
                    case_number = self._open_case(db, at, key, effect)
                elif isinstance(effect, NoteCase):
                    self._append(db, at, key, "case_note", {"detail": effect.detail})
        return case_number

    def _open_case(self, db: sqlite3.Connection, at: int, key: str, effect: OpenCase) -> int:
        number = int(db.execute("SELECT coalesce(max(number), 0) + 1 FROM cases").fetchone()[0])
        self._append(
            db, at, key, "case_opened", {"number": number, "reason": effect.reason.value, "detail": effect.detail}
        )
        db.execute(
            "INSERT INTO cases (number, attempt, opened_at, reason, detail) VALUES (?, ?, ?, ?, ?)",
            (number, key, at, effect.reason.value, effect.detail),
        )
        return number

    def note(self, key: str, text: str, *, at: int) -> None:
        """Put a remark on the attempt's timeline: what was asked, answered, shown."""
        with self._transaction() as db:
            self._append(db, at, key, "note", {"text": text})

    def close_case(self, number: int, *, operator: str, resolution: str, at: int) -> Case:
        """Close a case with the operator's name and decision. Nothing is deleted.

        Raises:
            NoSuchCase: no such number, or closed before. ValueError: an empty name or resolution.
        """
        if not operator.strip() or not resolution.strip():
            raise ValueError("a case is closed with the operator's name and the reason")
        with self._transaction() as db:
            row = db.execute("SELECT attempt, closed_at FROM cases WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise NoSuchCase(f"there is no case {number}")
            if row[1] is not None:
                raise NoSuchCase(f"case {number} is closed already")
            self._append(
                db, at, row[0], "case_closed", {"number": number, "operator": operator, "resolution": resolution}
            )
            db.execute(
                "UPDATE cases SET closed_at = ?, operator = ?, resolution = ? WHERE number = ?",
                (at, operator, resolution, number),
            )
        return self.case(number)

    def _append(self, db: sqlite3.Connection, at: int, attempt: str, kind: str, body: dict[str, Any]) -> None:
        last = db.execute("SELECT n, hash FROM records ORDER BY n DESC LIMIT 1").fetchone() or (0, _GENESIS)
        text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        n = int(last[0]) + 1
        db.execute(
            "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)",
            (n, at, attempt, kind, text, last[1], _hash(n, at, attempt, kind, text, last[1])),
        )

    # --- reading ---------------------------------------------------------------------------------------------

    def attempts(self, *, open_only: bool = False) -> list[State]:
        """The states of all attempts, or of those that a starting lane must look after, oldest first."""
        rows = self._all("SELECT state FROM attempts WHERE open >= ? ORDER BY rowid", int(open_only))
        return [msgspec.json.decode(row[0], type=State) for row in rows]

    def attempt(self, key: str) -> State | None:
        """The state of one attempt, or None."""
        rows = self._all("SELECT state FROM attempts WHERE key = ?", key)
        return msgspec.json.decode(rows[0][0], type=State) if rows else None

    def of_order(self, order_no: str) -> list[State]:
        """The states of all attempts of an order, oldest first."""
        rows = self._all("SELECT state FROM attempts WHERE order_no = ? ORDER BY rowid", order_no)
        return [msgspec.json.decode(row[0], type=State) for row in rows]

    def rivals(self, order_no: str) -> list[State]:
        """What `machine.gate` must look at for a new attempt: all of the order, and all that may still hold money.

        An attempt that the bank never settled stops to count when a person has closed its case.
        """
        rows = self._all(
            "SELECT a.state, c.closed_at FROM attempts a LEFT JOIN cases c ON c.attempt = a.key "
            "WHERE a.order_no = ? OR a.open = 1 OR (c.number IS NOT NULL AND c.closed_at IS NULL) ORDER BY a.rowid",
            order_no,
        )
        states = [(msgspec.json.decode(row[0], type=State), row[1]) for row in rows]
        return [state for state, closed in states if state.phase is not Phase.UNSETTLED or closed is None]

    def cases(self, *, include_closed: bool = False) -> list[Case]:
        """The cases, oldest first."""
        where = "" if include_closed else " WHERE c.closed_at IS NULL"
        return [_case(row) for row in self._all(_CASES + where + " ORDER BY c.number")]

    def case(self, number: int) -> Case:
        """One case.

        Raises:
            NoSuchCase: there is none of that number.
        """
        rows = self._all(_CASES + " WHERE c.number = ?", number)
        if not rows:
            raise NoSuchCase(f"there is no case {number}")
        return _case(rows[0])

    def timeline(self, key: str) -> list[Record]:
        """All that was recorded of an attempt, in order: the evidence of a case."""
        rows = self._all("SELECT n, at, attempt, kind, body FROM records WHERE attempt = ? ORDER BY n", key)
        return [Record(n, at, attempt, kind, json.loads(body)) for n, at, attempt, kind, body in rows]

    def verify(self) -> list[str]:
        """Check the chain; returns what is wrong, row by row; empty when nothing is.

        Rows cut off at the end cannot be seen in the chain itself: the table of attempts betrays them.
        """
        problems: list[str] = []
        expected, previous = 1, _GENESIS
        latest: dict[str, str] = {}
        for n, at, attempt, kind, body, prev, digest in self._all(
            "SELECT n, at, attempt, kind, body, prev, hash FROM records ORDER BY n"
        ):
            if n != expected:
                problems.append(
                    f"row {expected} is missing" if n == expected + 1 else f"rows {expected} to {n - 1} are missing"
                )
            if prev != previous and n == expected:
                problems.append(f"row {n} does not follow row {n - 1}")
            if digest != _hash(n, at, attempt, kind, body, prev):
                problems.append(f"row {n} was changed")
            if kind in ("begin", "step"):
                latest[attempt] = body
            expected, previous = n + 1, digest
        for key, state in self._all("SELECT key, state FROM attempts"):
            body = latest.pop(key, None)
            if body is None or json.loads(body)["state"] != json.loads(state):
                problems.append(f"attempt {key} does not agree with its last row: rows were cut off, or it was changed")
        problems += [f"attempt {key} is missing from the table of attempts" for key in latest]
        return problems

    def count(self) -> int:
        """How many rows there are."""
        return int(self._all("SELECT count(*) FROM records")[0][0])

    def _all(self, query: str, *parameters: object) -> list[Any]:
        with self._mutex, self._sqlite():
            return self._db.execute(query, parameters).fetchall()

    def close(self) -> None:
        """Close the file and give the lock back. May be called twice."""
        with self._mutex:
            self._db.close()
            self._drop_lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


_CASES = "SELECT c.*, a.state FROM cases c JOIN attempts a ON a.key = c.attempt"


def _case(row: tuple[Any, ...]) -> Case:
    number, attempt, opened_at, reason, detail, closed_at, operator, resolution, text = row
    state = msgspec.json.decode(text, type=State)
    return Case(
        number=number,
        attempt=attempt,
        order_no=state.plan.order_no,
        kopecks=state.plan.kopecks,
        payment_id=state.payment_id,
        phase=state.phase.value,
        opened_at=opened_at,
        reason=reason,
        detail=detail,
        closed_at=closed_at,
        operator=operator,
        resolution=resolution,
    )


def _named(thing: object) -> dict[str, Any] | None:
    if thing is None:
        return None
    return {"name": type(thing).__name__, **msgspec.to_builtins(thing)}


def _hash(n: int, at: int, attempt: str, kind: str, body: str, prev: str) -> str:
    return hashlib.sha256(f"{n}\n{at}\n{attempt}\n{kind}\n{body}\n{prev}".encode()).hexdigest()
