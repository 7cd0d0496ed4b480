"""What must survive power loss: every step of every attempt, and every case. SQLite, WAL, synchronous=FULL.

The table `records` is append-only (triggers refuse anything else) and hash-chained: each row carries the SHA-256 of the
row before it and of itself. `head` remembers the last row, so that rows cut off at the end are missed. `attempts` and
`cases` are views of it for quick reading. All are kept in the same transaction.
One process, one connection, a lock file: SQLite before 3.51.3 can lose a WAL reset when two connections write at once.
What another process has to say comes by way of the one that writes (`closings`).
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

from sco_payment.attempt import Effect, Event, NoteCase, OpenCase, Phase, State, needs_recovery
from sco_payment.customer.texts import is_utf8
from sco_payment.journal import location

SCHEMA_VERSION = 2
_GENESIS = "0" * 64
NOT_YOURS = "this user may not use it: run the command as the lane's own user, e.g. sudo -u sco"
_HEAD = "CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;"
_MIGRATIONS = {
    1: f"{_HEAD}INSERT INTO head SELECT 1, n, hash FROM records ORDER BY n DESC LIMIT 1;",  # noqa: S608 - all of it ours
}
"""Schema version -> what makes the next one of it."""
_SCHEMA = f"""
{_HEAD}
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


class WrongAnchor(ValueError):
    """What was given as an anchor is none: it is a row's number, a colon and its hash, as `Journal.head` says it."""


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
        try:
            self.path.stat()
        except PermissionError:
            raise JournalUnwritable(f"{self.path}: {NOT_YOURS}") from None
        except OSError:
            if read_only:
                raise JournalError(f"{self.path}: there is no journal; it is made by the first payment") from None
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
        except PermissionError:
            raise JournalUnwritable(f"{name}: {NOT_YOURS}") from None
        except OSError as error:
            words = location.READ_ONLY if location.is_read_only(self.path.parent) else error.strerror
            raise JournalUnwritable(f"{name}: {words}") from None
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
            db = self._connect(uri)
            try:
                if not read_only:
                    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                    if mode != "wal":  # SQLite stays in another mode without an error, and may then lose a commit
                        raise JournalUnwritable(
                            f"{self.path}: SQLite keeps no write-ahead log here (mode {mode}): check the disk; "
                            "a network file system will not do"
                        )
                    db.execute("PRAGMA synchronous=FULL")
                self._bring_up_to_date(db, read_only)
            except BaseException:
                db.close()
                raise
        return db

    def _connect(self, uri: str) -> sqlite3.Connection:
        """The only place that knows which SQLite: the tests of power loss put one over a recorded disk here."""
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=2.0)

    def _bring_up_to_date(self, db: sqlite3.Connection, read_only: bool) -> None:
        version = int(db.execute("PRAGMA user_version").fetchone()[0])
        if version > SCHEMA_VERSION:
            raise JournalTooNew(
                f"{self.path}: schema {version}, this package knows {SCHEMA_VERSION}: update the package"
            )
        if version == SCHEMA_VERSION:
            return
        if version == 0:
            if db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                raise JournalDamaged(f"{self.path}: an SQLite file, but no journal of a lane")
            if read_only:
                raise JournalError(f"{self.path}: the journal is empty")
            changes = _SCHEMA
        elif read_only:
            return  # an older one can be read as it is; the next lane that writes brings it up to date
        else:
            changes = "".join(_MIGRATIONS[older] for older in range(version, SCHEMA_VERSION))
        db.executescript(f"BEGIN IMMEDIATE;{changes}PRAGMA user_version={SCHEMA_VERSION};COMMIT;")

    @contextmanager
    def _sqlite(self) -> Iterator[None]:
        """Turn SQLite's errors into ours."""
        try:
            yield
        except UnicodeDecodeError as error:  # SQLite's own message quotes what is damaged
            raise JournalDamaged(
                f"{self.path}: it holds what is no text; keep the file, start a new one, and call support"
            ) from error
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.ProgrammingError) and "closed database" in str(error):
                raise JournalUnwritable(f"{self.path}: it is closed already, with its lane") from error
            name = getattr(error, "sqlite_errorname", "") or ""
            no_text = isinstance(error, sqlite3.OperationalError) and "decode" in str(error) and not name
            if no_text or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
                raise JournalDamaged(
                    f"{self.path}: {error}; keep the file, start a new one, and call support"
                ) from error
            places = [path for path in (self.path, self.path.parent) if path.exists()]
            mine = all(os.access(path, os.R_OK | os.W_OK, effective_ids=True) for path in places)
            to_do = "check the disk's free space and that it is writable" if mine else NOT_YOURS
            if location.is_read_only(self.path.parent):
                to_do = location.READ_ONLY
            raise JournalUnwritable(f"{self.path}: {error} ({name or 'SQLite'}): {to_do}") from error

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
            The number of the case that the step opened, or opened again; None for none.
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
                    if effect.reopens:
                        case_number = self._reopen_case(db, at, key)
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

    def _reopen_case(self, db: sqlite3.Connection, at: int, key: str) -> int | None:
        """The number of the attempt's case if it was closed: what a person has decided is overtaken."""
        row = db.execute("SELECT number FROM cases WHERE attempt = ? AND closed_at IS NOT NULL", (key,)).fetchone()
        if row is None:
            return None
        number = int(row[0])
        self._append(db, at, key, "case_reopened", {"number": number})
        db.execute("UPDATE cases SET closed_at = NULL, operator = NULL, resolution = NULL WHERE number = ?", (number,))
        return number

    def note(self, key: str, text: str, *, at: int) -> None:
        """Put a remark on the attempt's timeline: what was asked, answered, shown."""
        with self._transaction() as db:
            self._append(db, at, key, "note", {"text": text})

    def close_case(self, number: int, *, operator: str, resolution: str, at: int) -> Case:
        """Close a case with the operator's name and decision. Nothing is deleted; late money opens it again.

        Raises:
            NoSuchCase: no such number, or closed before. ValueError: an empty name or resolution, or no text.
        """
        check_decision(operator, resolution)
        with self._transaction() as db:
            row = db.execute("SELECT attempt, closed_at FROM cases WHERE number = ?", (_fitting(number),)).fetchone()
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
        last = self._head(db) or (0, _GENESIS)
        text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        n = last[0] + 1
        digest = _hash(n, at, attempt, kind, text, last[1])
        db.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", (n, at, attempt, kind, text, last[1], digest))
        db.execute(
            "INSERT INTO head VALUES (1, ?, ?) ON CONFLICT (one) DO UPDATE SET n = excluded.n, hash = excluded.hash",
            (n, digest),
        )

    @staticmethod
    def _head(db: sqlite3.Connection) -> tuple[int, str] | None:
        """The last row by the head, not by the rows: what is appended after rows were lost must show the gap."""
        row = db.execute("SELECT n, hash FROM head").fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    # --- reading ---------------------------------------------------------------------------------------------

    def attempts(self, *, open_only: bool = False) -> list[State]:
        """The states of all attempts, or of those that a starting lane must look after, oldest first."""
        return [_state(row[0]) for row in self._all(_OPEN if open_only else _ATTEMPTS)]

    def attempt(self, key: str) -> State | None:
        """The state of one attempt, or None."""
        rows = self._all("SELECT state FROM attempts WHERE key = ?", key)
        return _state(rows[0][0]) if rows else None

    def of_order(self, order_no: str) -> list[State]:
        """The states of all attempts of an order, oldest first."""
        rows = self._all("SELECT state FROM attempts WHERE order_no = ? ORDER BY rowid", order_no)
        return [_state(row[0]) for row in rows]

    def conflicting_attempts(self, order_no: str) -> list[State]:
        """What `machine.gate` must look at for a new attempt: all of the order, and all that may still hold money.

        An attempt that the bank never settled stops to count when a person has closed its case.
        """
        rows = self._all(_RIVALS, order_no)
        states = [(_state(row[0]), row[1]) for row in rows]
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
        rows = self._all(_CASES + " WHERE c.number = ?", _fitting(number))
        if not rows:
            raise NoSuchCase(f"there is no case {number}")
        return _case(rows[0])

    def timeline(self, key: str) -> list[Record]:
        """All that was recorded of an attempt, in order: the evidence of a case."""
        rows = self._all("SELECT n, at, attempt, kind, body FROM records WHERE attempt = ? ORDER BY n", key)
        return [Record(n, at, attempt, kind, json.loads(body)) for n, at, attempt, kind, body in rows]

    def head(self) -> str:
        """The last row's number and hash, `N:HASH`, to be kept elsewhere as an anchor for `verify`; empty for none."""
        row = self._all("SELECT n, hash FROM records ORDER BY n DESC LIMIT 1")
        return f"{row[0][0]}:{row[0][1]}" if row else ""

    def verify(self, anchor: str | None = None) -> list[str]:
        """Check the chain, the head, attempts and cases; returns what is wrong, row by row; empty when nothing is.

        Args:
            anchor: a `head` of this journal that was written down earlier. Who can write the file can make a whole new
                chain, or put back an old copy of it: only an anchor kept elsewhere betrays that.

        Raises:
            WrongAnchor: `anchor` is none.
        """
        anchored = _parse_anchor(anchor) if anchor is not None else None
        with self._snapshot():
            return self._verify(anchored)

    def _verify(self, anchored: tuple[int, str] | None) -> list[str]:
        problems: list[str] = []
        expected, previous = 1, _GENESIS
        latest: dict[str, int] = {}
        cases = _CasesRetold()
        for n, at, attempt, kind, body, prev, digest in self._each(
            "SELECT n, at, attempt, kind, body, prev, hash FROM records ORDER BY n"
        ):
            if n != expected:
                problems.append(_missing(expected, n - 1))
            if prev != previous and n == expected:
                problems.append(f"row {n} does not follow row {n - 1}")
            if digest != _hash(n, at, attempt, kind, body, prev):
                problems.append(f"row {n} was changed")
            if anchored is not None and n == anchored[0] and digest != anchored[1]:
                problems.append(f"row {n} is not the row of the anchor: the journal was written anew")
            if kind in ("begin", "step"):
                latest[attempt] = n
            cases.hear(at, attempt, kind, body)
            expected, previous = n + 1, digest
        if anchored is not None and anchored[0] >= expected:
            problems.append(f"row {anchored[0]} of the anchor is missing: the journal was cut or an old copy put back")
        problems += self._verify_head(expected - 1, previous)
        problems += self._verify_attempts(latest)
        rows = self._all(
            "SELECT number, attempt, opened_at, reason, detail, closed_at, operator, resolution FROM cases"
        )
        return problems + cases.differences(rows)

    def _verify_head(self, last: int, digest: str) -> list[str]:
        if not self._all("SELECT 1 FROM sqlite_master WHERE name = 'head'"):
            return []  # schema 1, opened read-only: it has none
        rows = self._all("SELECT n, hash FROM head")
        n, hashed = rows[0] if rows else (0, _GENESIS)
        if n > last:
            return [_missing(last + 1, n) + ": cut off at the end"]
        return [] if (n, hashed) == (last, digest) else ["the head does not agree with the last row"]

    def _verify_attempts(self, latest: dict[str, int]) -> list[str]:
        """Whether the table of attempts says what their last rows, by number, say; `latest` is used up."""
        problems = []
        for key, order_no, is_open, text in self._each("SELECT key, order_no, open, state FROM attempts"):
            last = self._all("SELECT body FROM records WHERE n = ?", latest.pop(key, 0))
            told = _decoded(last[0][0]).get("state") if last else None
            state = _state_or_none(text)
            if state is None or told != _decoded(text):
                problems.append(f"attempt {key} does not agree with its last row: rows were cut off, or it was changed")
            elif (order_no, is_open) != (state.plan.order_no, int(needs_recovery(state))):
                problems.append(f"attempt {key} stands in the table with another order or as no longer open")
        return problems + [f"attempt {key} is missing from the table of attempts" for key in latest]

    @contextmanager
    def _snapshot(self) -> Iterator[None]:
        """Everything that is read inside is of one moment, whatever another process writes meanwhile."""
        with self._mutex:
            with self._sqlite():
                self._db.execute("BEGIN")
            try:
                yield
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def _each(self, query: str) -> Iterator[Any]:
        """Row by row: a journal of some years does not fit into a lane's memory."""
        with self._sqlite():
            yield from self._db.execute(query)

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


class _CasesRetold:
    """The table of cases as the rows tell it."""

    def __init__(self) -> None:
        self._cases: dict[int, list[Any]] = {}

    def hear(self, at: int, attempt: str, kind: str, body: str) -> None:
        if kind not in ("case_opened", "case_closed", "case_reopened"):
            return
        told = _decoded(body)
        number = told.get("number")
        if kind == "case_opened" and isinstance(number, int):
            self._cases[number] = [attempt, at, told.get("reason"), told.get("detail"), None, None, None]
        elif kind == "case_reopened" and number in self._cases:
            self._cases[number][4:] = [None, None, None]
        elif number in self._cases:
            self._cases[number][4:] = [at, told.get("operator"), told.get("resolution")]

    def differences(self, rows: list[Any]) -> list[str]:
        found = {row[0]: list(row[1:]) for row in rows}
        return [
            f"case {number} is missing from the table of cases"
            if number not in found
            else f"case {number} stands in the table and in no row"
            if number not in self._cases
            else f"case {number} does not agree with its rows: it was changed"
            for number in sorted({*found, *self._cases})
            if found.get(number) != self._cases.get(number)
        ]


def check_decision(operator: str, resolution: str) -> None:
    """Raises ValueError for what closes no case: an empty name or resolution, or one that cannot be written down."""
    if not operator.strip() or not resolution.strip():
        raise ValueError("a case is closed with the operator's name and the reason")
    if not is_utf8(operator + resolution):
        raise ValueError("the operator's name and the reason must be text: the terminal does not send UTF-8")


def _fitting(number: int) -> int | None:
    """A number as SQLite can take it; None for a larger one, which equals nothing there."""
    return number if abs(number) < 2**63 else None


def _decoded(text: str) -> dict[str, Any]:
    """The JSON object in `text`; an empty one for what is none, since `verify` reads what others have written."""
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _state(text: str) -> State:
    state = _state_or_none(text)
    if state is None:
        raise JournalDamaged("the journal holds an attempt that cannot be read: see `sco-pay journal verify`")
    return state


def _state_or_none(text: str) -> State | None:
    try:
        return msgspec.json.decode(text, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _missing(first: int, last: int) -> str:
    return f"row {first} is missing" if first == last else f"rows {first} to {last} are missing"


def _parse_anchor(text: str) -> tuple[int, str]:
    number, _, digest = text.strip().partition(":")
    if not (number.isascii() and number.isdigit()) or len(digest) != len(_GENESIS):
        raise WrongAnchor(f"{text!r} is no anchor: write NUMBER:HASH as `sco-pay journal verify` printed it")
    return int(number), digest


_ATTEMPTS = "SELECT state FROM attempts ORDER BY rowid"
_OPEN = "SELECT state FROM attempts WHERE key IN (SELECT key FROM attempts WHERE open = 1) ORDER BY rowid"
_RIVALS = """
SELECT a.state, c.closed_at FROM attempts a LEFT JOIN cases c ON c.attempt = a.key WHERE a.key IN (
    SELECT key FROM attempts WHERE order_no = ?
    UNION SELECT key FROM attempts WHERE open = 1
    UNION SELECT attempt FROM cases WHERE closed_at IS NULL
) ORDER BY a.rowid
"""
"""By the indexes, as `_OPEN`: they are asked before every payment, and a journal only grows."""
_CASES = "SELECT c.*, a.state FROM cases c JOIN attempts a ON a.key = c.attempt"


def _case(row: tuple[Any, ...]) -> Case:
    number, attempt, opened_at, reason, detail, closed_at, operator, resolution, text = row
    state = _state(text)
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
