"""The journal's file: SQLite in WAL mode with synchronous=FULL, written and read.

It holds every step of every attempt and every case. Each record carries the SHA-256 of itself and of the record before
it; the head and the tables of attempts and cases are kept in the same transaction (see `schema`).

One process writes, through one connection, under a lock file: SQLite before 3.51.3 can lose a WAL reset when two
connections write at once. Any number of processes may read meanwhile. What another process wants written it leaves to
the one that writes (see `resolutions`). The journal sends nothing anywhere and decides nothing.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, Self, overload

from sco_payment.attempt import CaseReason, Effect, Event, NoteCase, OpenCase, Phase, State, needs_recovery
from sco_payment.journal import acknowledged, archive, codec, integrity, location, lock, salvage, schema, verify
from sco_payment.journal.errors import (
    JournalDamaged,
    JournalError,
    JournalLost,
    JournalTooNew,
    JournalUnwritable,
    NoSuchCase,
    RowsArchived,
)
from sco_payment.journal.records import Case, Record

_CHECK_S = 3.0
"""How long SQLite may check the file when it is opened; `verify` checks all of it."""
_SALVAGE = "see 'The journal is damaged' in the handbook: sco-pay journal salvage"


class Journal:
    """The journal of one lane. Calls are serialised; each that writes returns only when its records are on disk.

    Args:
        path: the SQLite file; it is made when absent, its folder must exist.
        lane_id: the lane (PosID) that writes, for each record. Needed for writing.
        acquirer: the name of the acquirer that the lane works with, for each record. Needed for writing.
        read_only: only read; another process may write meanwhile.
        anchor: a second place that remembers the last row, best on another disk: see `lock`; None for none.
        new: begin a journal where an earlier one was lost.
        cache_kib: how much of the file SQLite may keep in memory; None for its own default.

    Raises:
        JournalError: see `errors`. ValueError: no lane id or acquirer for writing.

    Attributes:
        on_commit: called after each transaction that is on disk, by the thread that wrote it. It must return soon.
    """

    @overload
    def __init__(
        self,
        path: str | Path,
        *,
        lane_id: str,
        acquirer: str,
        read_only: Literal[False] = ...,
        anchor: Path | None = ...,
        new: bool = ...,
    ) -> None: ...
    @overload
    def __init__(self, path: str | Path, *, read_only: Literal[True], cache_kib: int | None = ...) -> None: ...

    def __init__(
        self,
        path: str | Path,
        *,
        lane_id: str = "",
        acquirer: str = "",
        read_only: bool = False,
        anchor: Path | None = None,
        new: bool = False,
        cache_kib: int | None = None,
    ) -> None:
        if not read_only and not (lane_id and acquirer):
            raise ValueError("lane_id and acquirer are needed for writing: they are in each record")
        self.path = lock.resolve(Path(path))
        self._lane_id, self._acquirer = lane_id, acquirer
        self._mutex = threading.RLock()
        self._lock: lock.Lock | None = None
        self._anchors = lock.Anchors(self.path, anchor)
        self.on_commit: Callable[[], None] = _nothing
        exists = self.path.exists()
        if read_only and not exists:
            raise JournalError(f"{self.path}: there is no journal; the first payment makes it")
        if not self.path.parent.is_dir():
            raise JournalUnwritable(
                f"{self.path.parent}: there is no such folder; make it, on a disk that survives power loss"
            )
        if not read_only:
            self._lock = lock.Lock(self.path)
        try:
            if not read_only:
                self._check_traces(new)
            self._db = self._open(read_only)
            if cache_kib is not None:
                self._db.execute(f"PRAGMA cache_size=-{cache_kib}")
            if not read_only:
                self._check_contents()
                self.announce("")
        except BaseException:
            self._release()
            raise

    def announce(self, service: str) -> None:
        """Leave the address of this process's service, or nothing, for whoever finds the journal busy."""
        assert self._lock is not None
        self._lock.announce(service)

    def _release(self) -> None:
        self._anchors.close()
        if self._lock is not None:
            self._lock.release()

    def _check_traces(self, new: bool) -> None:
        """Begin a journal only where none was, or on purpose. Raises JournalLost."""
        if self.path.exists() and self.path.stat().st_size:
            return
        if new:
            self._anchors.forget()
        self._anchors.check_lost()

    def _check_contents(self) -> None:
        """Is it whole, and the latest? Raises JournalDamaged, JournalLost."""
        with self._sqlite():
            if found := integrity.problems(self._db, _CHECK_S):
                raise JournalDamaged(f"{self.path}: {found[0]}; {_SALVAGE}")
        seq, digest, place = self._anchors.newest()
        last, last_hash = self._head(self._db) or (0, codec.GENESIS)
        if seq > last:
            raise JournalLost(
                f"{self.path}: it ends at row {last}, but row {seq} was written, says {place}: an older copy is in its "
                f"place, or its disk lost what it had confirmed; find the newer file, or {_SALVAGE}"
            )
        fleet = acknowledged.read(self.path)
        if fleet.seq > last and fleet.epoch == self.id():
            raise JournalLost(
                f"{self.path}: it ends at row {last}, but the fleet has its row {fleet.seq}: an older copy is in its "
                f"place, or its disk lost what it had confirmed; find the newer file, or {_SALVAGE}"
            )
        rows = self._all("SELECT hash FROM records WHERE seq = ?", seq)
        if seq and rows and rows[0][0] != digest:  # a row that is not there is in an archive, or damage
            raise JournalLost(
                f"{self.path}: row {seq} is not the one that was written, says {place}: another journal is in its "
                f"place; find the right file, or {_SALVAGE}"
            )
        if last:
            self._anchors.remember(last, last_hash)

    def _open(self, read_only: bool) -> sqlite3.Connection:
        with self._sqlite():
            uri = f"{self.path.absolute().as_uri()}?mode={'ro' if read_only else 'rwc'}"
            db = self._connect(uri)
            try:
                version = schema.version_of(db, self.path)  # before anything changes the file
                if not read_only:
                    if schema.segment(db.execute).sealed:
                        raise JournalError(f"{self.path}: it is an archive, which is only read")
                    mode = db.execute("PRAGMA journal_mode=WAL").fetchone()[0]
                    if mode != "wal":  # SQLite stays in another mode without an error, and may then lose a commit
                        raise JournalUnwritable(
                            f"{self.path}: SQLite keeps no write-ahead log here (mode {mode}): check the disk; "
                            "a network file system will not do"
                        )
                    db.execute("PRAGMA synchronous=FULL")
                schema.bring_up_to_date(db, self.path, version, read_only=read_only)
            except BaseException:
                db.close()
                raise
        return db

    def _connect(self, uri: str) -> sqlite3.Connection:
        """The only place that knows which SQLite: the tests of power loss put one over a recorded disk here."""
        return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=2.0)

    @contextmanager
    def _sqlite(self, path: Path | None = None) -> Iterator[None]:
        """Turn SQLite's errors into ours; `path` is the file that they are about where it is not the journal."""
        path = path or self.path
        try:
            yield
        except UnicodeDecodeError as error:  # SQLite's own message quotes what is damaged
            raise JournalDamaged(f"{path}: it holds text that is not UTF-8; {_SALVAGE}") from error
        except sqlite3.Error as error:
            if isinstance(error, sqlite3.ProgrammingError) and "closed database" in str(error):
                raise JournalUnwritable(f"{path}: it is already closed, with its lane") from error
            name = getattr(error, "sqlite_errorname", "") or ""
            no_text = isinstance(error, sqlite3.OperationalError) and "decode" in str(error) and not name
            if "malformed JSON" in str(error) or no_text or name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
                raise JournalDamaged(f"{path}: {error}; {_SALVAGE}") from error
            if name.startswith("SQLITE_IOERR_READ") or name in ("SQLITE_IOERR", "SQLITE_IOERR_SHORT_READ"):
                raise JournalUnwritable(
                    f"{path}: {error} ({name}): the disk did not give the data this time; nothing is known to be lost: "
                    "try again, and see dmesg for the disk's health"
                ) from error
            places = [one for one in (path, path.parent) if one.exists()]
            mine = all(os.access(one, os.R_OK | os.W_OK, effective_ids=True) for one in places)
            to_do = "check the disk's free space and that it is writable" if mine else lock.not_yours(path)
            if location.is_read_only(path.parent):
                to_do = location.READ_ONLY
            raise JournalUnwritable(f"{path}: {error} ({name or 'SQLite'}): {to_do}") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex, self._sqlite():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                last = self._head(self._db)  # before the end: nothing may fail after it
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            if last is not None:
                self._anchors.remember(*last)
        self.on_commit()

    # --- writing ---------------------------------------------------------------------------------------------

    def record(self, event: Event | None, state: State, effects: Iterable[Effect], *, at_ms: int) -> int | None:
        """Put one step on disk, before its effects are performed; `event` is None for an attempt's first step.

        Returns:
            The number of the case that the step opened or reopened; None for none.
        """
        key, effects = state.plan.key, tuple(effects)
        kind = "attempt_started" if event is None else "attempt_step"
        body = codec.encode_body(kind, event=event, state=state, effects=effects)
        case_number: int | None = None
        with self._transaction() as db:
            self._append(db, at_ms, key, kind, body)
            db.execute(
                "INSERT INTO attempts VALUES (?, ?, ?, ?, ?) ON CONFLICT (attempt) "
                "DO UPDATE SET open = excluded.open, version = excluded.version, state = excluded.state",
                (
                    key,
                    state.plan.order_no,
                    int(needs_recovery(state)),
                    codec.RECORD_VERSION,
                    codec.to_json(body["state"]),
                ),
            )
            for effect in effects:
                if isinstance(effect, OpenCase):
                    case_number = self._open_case(db, at_ms, key, effect)
                elif isinstance(effect, NoteCase):
                    self._append(db, at_ms, key, "case_note", codec.encode_body("case_note", detail=effect.detail))
                    if effect.reopens:
                        case_number = self._reopen_case(db, at_ms, key)
        return case_number

    def _open_case(self, db: sqlite3.Connection, at_ms: int, key: str, effect: OpenCase) -> int:
        number = int(
            db.execute(
                "SELECT max(last_case, (SELECT coalesce(max(number), 0) FROM cases)) + 1 FROM segment"
            ).fetchone()[0]
        )
        body = codec.encode_body("case_opened", case_number=number, reason=effect.reason, detail=effect.detail)
        self._append(db, at_ms, key, "case_opened", body)
        db.execute(
            "INSERT INTO cases (number, attempt, opened_at_ms, reason, detail) VALUES (?, ?, ?, ?, ?)",
            (number, key, at_ms, body["reason"], effect.detail),
        )
        return number

    def _reopen_case(self, db: sqlite3.Connection, at_ms: int, key: str) -> int | None:
        """The number of the attempt's case if it was closed: the operator's decision no longer holds."""
        row = db.execute("SELECT number FROM cases WHERE attempt = ? AND closed_at_ms IS NOT NULL", (key,)).fetchone()
        if row is None:
            return None
        number = int(row[0])
        self._append(db, at_ms, key, "case_reopened", codec.encode_body("case_reopened", case_number=number))
        db.execute(
            "UPDATE cases SET closed_at_ms = NULL, operator = NULL, resolution = NULL WHERE number = ?", (number,)
        )
        return number

    def note(self, key: str, text: str, *, at_ms: int) -> None:
        """Put a remark on the attempt's timeline: what was asked, answered, shown."""
        with self._transaction() as db:
            self._append(db, at_ms, key, "note", codec.encode_body("note", text=text))

    def close_case(self, number: int, *, operator: str, resolution: str, at_ms: int) -> Case:
        """Close a case with the operator's name and decision. Nothing is deleted; late money reopens it.

        Raises:
            NoSuchCase: no such number, or closed before. ValueError: an empty name or resolution, or no text.
        """
        check_decision(operator, resolution)
        with self._transaction() as db:
            row = db.execute("SELECT attempt, closed_at_ms FROM cases WHERE number = ?", (_fitting(number),)).fetchone()
            if row is None:
                raise self._no_case(number)
            if row[1] is not None:
                raise NoSuchCase(f"case {number} is already closed")
            body = codec.encode_body("case_closed", case_number=number, operator=operator, resolution=resolution)
            self._append(db, at_ms, row[0], "case_closed", body)
            db.execute(
                "UPDATE cases SET closed_at_ms = ?, operator = ?, resolution = ? WHERE number = ?",
                (at_ms, operator, resolution, number),
            )
        return self.case(number)

    def _append(self, db: sqlite3.Connection, at_ms: int, attempt: str, kind: str, body: dict[str, Any]) -> None:
        last_seq, last_hash = self._head(db) or (0, codec.GENESIS)
        seq, text = last_seq + 1, codec.to_json(body)
        row = (seq, at_ms, attempt, kind, codec.RECORD_VERSION, self._lane_id, self._acquirer, text, last_hash)
        digest = codec.row_hash(*row)
        db.execute("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, digest))
        db.execute(
            "INSERT INTO head VALUES (1, ?, ?) "
            "ON CONFLICT (one) DO UPDATE SET seq = excluded.seq, hash = excluded.hash",
            (seq, digest),
        )

    @staticmethod
    def _head(db: sqlite3.Connection) -> tuple[int, str] | None:
        """The last row by the head, not by the rows: what is appended after rows were lost must show the gap."""
        row = db.execute("SELECT seq, hash FROM head").fetchone()
        return None if row is None else (int(row[0]), str(row[1]))

    def take_over(self, found: salvage.Salvaged, damaged: str, *, at_ms: int) -> int | None:
        """Fill this new, empty journal with what `found` has of the file `damaged`, in one transaction.

        Returns:
            The number of the case about what is lost; None where nothing is.
        """
        loss = salvage.describe_loss(found)
        with self._transaction() as db:
            part = found.part
            db.execute(
                "UPDATE segment SET base_seq = ?, base_hash = ?, base_file = ?, last_case = ?",
                (part.base_seq, part.base_hash, part.base_file, part.last_case),
            )
            if part.base_seq:
                db.execute("INSERT INTO head VALUES (1, ?, ?)", (part.base_seq, part.base_hash))
            db.executemany("INSERT OR IGNORE INTO archived VALUES (?, ?, ?, ?)", found.archived)
            if part.base_seq:
                body = codec.encode_body(
                    "archived",
                    last_row=part.base_seq,
                    last_hash=part.base_hash,
                    file=part.base_file,
                    kept_rows_hash=verify.kept_rows_hash(self._each, part.base_seq),
                    attempts_hash=verify.attempts_hash(self._each),
                )
                self._append(db, at_ms, "", "archived", body)
            for key, before in found.states.items():
                state = salvage.reopened(before) if key in found.doubtful else before
                self._take_over_attempt(db, state, at_ms)
                note = f"taken over from {damaged}" + (", which contradicts itself about it" * (key in found.doubtful))
                self._append(db, at_ms, key, "note", codec.encode_body("note", text=note))
            for row in found.cases:
                self._take_over_case(db, row)
            if not loss:
                return None
            lost = salvage.loss_state(found, at_ms)
            self._take_over_attempt(db, lost, at_ms)
            detail = (
                f"{loss} of the journal are lost (kept in {damaged}): compare the acquirer's list of the time before "
                "now with the till's receipts"
            )
            return self._open_case(db, at_ms, lost.plan.key, OpenCase(CaseReason.CREATE_UNKNOWN, detail))

    def _take_over_attempt(self, db: sqlite3.Connection, state: State, at_ms: int) -> None:
        body = codec.encode_body("attempt_started", event=None, state=state, effects=())
        self._append(db, at_ms, state.plan.key, "attempt_started", body)
        row = (state.plan.key, state.plan.order_no, int(needs_recovery(state)), codec.RECORD_VERSION)
        db.execute("INSERT INTO attempts VALUES (?, ?, ?, ?, ?)", (*row, codec.to_json(body["state"])))

    def _take_over_case(self, db: sqlite3.Connection, row: tuple[Any, ...]) -> None:
        number, key, opened_at_ms, reason, detail, closed_at_ms, operator, resolution = row
        db.execute("INSERT INTO cases VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._append(db, opened_at_ms, key, "case_opened", {"case_number": number, "reason": reason, "detail": detail})
        if closed_at_ms is not None:
            body = codec.encode_body("case_closed", case_number=number, operator=operator, resolution=resolution)
            self._append(db, closed_at_ms, key, "case_closed", body)

    # --- reading ---------------------------------------------------------------------------------------------

    def records(self, *, after: int = 0, limit: int = 1_000, attempt: str | None = None) -> list[Record]:
        """The records that follow number `after`, in order, at most `limit` of them; empty when there are none yet.

        With `attempt` only those of one attempt, which is either in this file or in an archive as a whole.

        A reader that asks again with the last record's `seq` gets every record exactly once, while the lane writes.

        Raises:
            RowsArchived: the next record is in an archive. JournalTooNew: a newer release wrote one of them.
            JournalDamaged: one of them cannot be read. ValueError: `after` is negative, or `limit` is less than 1.
        """
        if after < 0 or limit < 1:
            raise ValueError(f"records after {after}, at most {limit}: expected 0 or more, and 1 or more")
        after, limit = min(after, _LARGEST), min(limit, _LARGEST)
        if attempt is not None:
            rows = self._all(_RECORDS + " WHERE attempt = ? AND seq > ? ORDER BY seq LIMIT ?", attempt, after, limit)
            return [_record(row) for row in rows]
        rows = self._all(_RECORDS + " WHERE seq > ? ORDER BY seq LIMIT ?", after, limit)
        last_row, file = self.archived()  # after the rows: an archive may take them in between
        if after < last_row:
            raise RowsArchived(
                f"{self.path}: rows up to {last_row} are in archives, the last of them in {file}: read them there, and "
                f"what follows here, after row {last_row}",
                last_row,
            )
        return [_record(row) for row in rows]

    def id(self) -> str:
        """The journal's own random id; empty for a file of an older release that is only read."""
        return schema.journal_id(self._all)

    def raw_rows(self, after: int, *, limit: int, max_bytes: int) -> list[RawRow]:
        """The rows that follow row `after` as they are in the file, at most `limit` of them.

        They end before the bodies come to `max_bytes`, but there is always one.

        Raises:
            RowsArchived: the next row is in an archive. JournalError: they cannot be read.
        """
        found: list[RawRow] = []
        size = 0
        with self._snapshot():
            last_row, file = self.archived()
            if after < last_row:
                raise RowsArchived(
                    f"{self.path}: rows up to {last_row} are in archives, at the latest {file}", last_row
                )
            for row in self._each(_RAW + " WHERE seq > ? ORDER BY seq LIMIT ?", after, limit):
                size += len(row[7])
                if found and size > max_bytes:
                    break
                found.append(row)
        return found

    def timeline(self, key: str) -> list[Record]:
        """All records of an attempt, in order: the evidence of a case.

        Raises:
            JournalTooNew, JournalDamaged: as of `records`.
        """
        return [_record(row) for row in self._all(_RECORDS + " WHERE attempt = ? ORDER BY seq", key)]

    def last_row(self, key: str) -> int:
        """Number of the attempt's last record; 0 for none."""
        return int(self._all("SELECT coalesce(max(seq), 0) FROM records WHERE attempt = ?", key)[0][0])

    def phase_before(self, key: str, seq: int) -> str | None:
        """The phase, as it is on disk, that the attempt was in before record `seq`; None before its first one."""
        rows = self._all(_PHASE_BEFORE, key, seq)
        return str(rows[0][0]) if rows else None

    def case_number(self, key: str, *, until: int = 2**63 - 1) -> int | None:
        """Number of the attempt's case, open or closed, if it was opened up to record `until`."""
        rows = self._all(_CASE_NUMBER, key, until)
        return int(rows[0][0]) if rows else None

    def attempts(self, *, open_only: bool = False) -> list[State]:
        """The states of all attempts, or of those that a starting lane must look after, oldest first."""
        return [_state(*row) for row in self._all(_OPEN if open_only else _ATTEMPTS)]

    def attempt(self, key: str) -> State | None:
        """The state of one attempt, or None."""
        rows = self._all("SELECT version, state FROM attempts WHERE attempt = ?", key)
        return _state(*rows[0]) if rows else None

    def of_order(self, order_no: str) -> list[State]:
        """The states of all attempts of an order, oldest first."""
        rows = self._all("SELECT version, state FROM attempts WHERE order_no = ? ORDER BY rowid", order_no)
        return [_state(*row) for row in rows]

    def archived_payment(self, order_no: str) -> str | None:
        """The key of the attempt that paid an order, where it is in an archive; None for none."""
        rows = self._all("SELECT attempt FROM archived WHERE order_no = ? AND paid = 1 LIMIT 1", order_no)
        return str(rows[0][0]) if rows else None

    def has_archived(self, key: str) -> bool:
        """Whether the attempt is in an archive."""
        return bool(self._all("SELECT 1 FROM archived WHERE attempt = ? LIMIT 1", key))

    def payment_ids(self, order_no: str) -> dict[str, str]:
        """The acquirer's payment of each attempt of an order that has one, by the attempt's key; archives included."""
        found = self._all("SELECT attempt, payment_id FROM archived WHERE order_no = ?", order_no)
        found += [(state.plan.key, state.payment_id) for state in self.of_order(order_no)]
        return {key: payment_id for key, payment_id in found if payment_id}

    def conflicting_attempts(self, order_no: str) -> list[State]:
        """What `gate` must look at for a new attempt: all of the order, and all that may still hold money.

        An attempt that the acquirer did not settle in time no longer counts once an operator has closed its case.
        """
        rows = self._all(_CONFLICTING, order_no)
        states = [(_state(version, text), closed_at_ms) for version, text, closed_at_ms in rows]
        decided = (Phase.OVERDUE, Phase.UNSETTLED)
        return [state for state, closed in states if state.phase not in decided or closed is None]

    def cases(self, *, include_closed: bool = False) -> list[Case]:
        """The cases, oldest first."""
        where = "" if include_closed else " WHERE c.closed_at_ms IS NULL"
        return [_case(row) for row in self._all(_CASES + where + " ORDER BY c.number")]

    def case(self, number: int) -> Case:
        """One case.

        Raises:
            NoSuchCase: there is none of that number.
        """
        rows = self._all(_CASES + " WHERE c.number = ?", _fitting(number))
        if not rows:
            raise self._no_case(number)
        return _case(rows[0])

    def _no_case(self, number: int) -> NoSuchCase:
        part = schema.segment(self._all)
        if 0 < number <= part.last_case:
            return NoSuchCase(f"case {number} is closed, and in an archive, at the latest {part.base_file}")
        return NoSuchCase(f"there is no case {number}")

    def head(self) -> str:
        """The last row's number and hash, `SEQ:HASH`: an anchor for `verify`, to be kept elsewhere. Empty for none."""
        row = self._all("SELECT seq, hash FROM records ORDER BY seq DESC LIMIT 1")
        return f"{row[0][0]}:{row[0][1]}" if row else ""

    def count(self) -> int:
        """How many records there are in this file."""
        return int(self._all("SELECT count(*) FROM records")[0][0])

    def verify(self, anchor: str | None = None) -> list[str]:
        """Check the chain, the head, attempts and cases; returns what is wrong, row by row; empty when nothing is.

        Args:
            anchor: an earlier `head` of this journal. Whoever can write the file can rewrite the whole chain, or put
                back an old copy of it: only an anchor that is kept elsewhere shows that.

        Raises:
            WrongAnchor: `anchor` is not an anchor.
        """
        anchored = verify.parse_anchor(anchor) if anchor is not None else None
        with self._snapshot():
            with self._sqlite():
                found = integrity.problems(self._db)
            return found or verify.problems(self._each, anchored)

    def lacks(self, seq: int, digest: str) -> str | None:
        """Why row `seq` with that hash is not in this journal; None where it is, or where an archive has it."""
        rows = self._all("SELECT hash FROM records WHERE seq = ?", _fitting(seq))
        base_seq, base_hash = self.base()
        stored = rows[0][0] if rows else base_hash if seq == base_seq else None
        if stored == digest or (stored is None and seq < base_seq):
            return None
        if stored is not None:
            return f"row {seq} is not the row that was written: the journal was rewritten, or is another copy"
        return f"row {seq} is missing: rows were cut off, or an old copy was put back"

    def archived(self) -> tuple[int, str]:
        """The last row that an archive took out of this journal, and that archive's name; 0 and "" for none."""
        part = schema.segment(self._all)
        return part.base_seq, part.base_file

    def base(self) -> tuple[int, str]:
        """The last row before those that this file holds, and its hash; 0 and 64 zeros where it holds all."""
        part = schema.segment(self._all)
        return part.base_seq, part.base_hash

    # --- archives --------------------------------------------------------------------------------------------

    def find_cut(self, before_ms: int) -> archive.Cut | None:
        """Where to cut so that only rows from before `before_ms` leave; None when no attempt could leave."""
        with self._mutex, self._sqlite():
            return archive.find_cut(self._db, before_ms)

    def move_to_archive(self, cut: archive.Cut, file: Path, *, at_ms: int) -> None:
        """Move the rows up to `cut`, which is of this journal as it is now, into the archive `file`.

        The archive is on disk and verified before a row leaves the journal, and so is what stays. A run that was
        interrupted is finished by the next one with the same `file`.

        Raises:
            JournalUnwritable: the archive or the journal cannot be written; nothing left the journal. JournalDamaged:
                one of them does not verify; nothing left the journal.
        """
        if self.path.stat().st_uid != os.geteuid():
            raise JournalUnwritable(f"{self.path}: {lock.not_yours(self.path)}")
        location.check_room(file, cut.archive_bytes, self.path, 2 * cut.journal_bytes)
        existed = file.exists()
        try:
            with self._mutex, self._sqlite(file):
                archive.write(self._db, cut, file)
            with Journal(file, read_only=True) as written:
                found = written.verify(f"{cut.last_row}:{cut.last_hash}")
            if found:
                raise JournalDamaged(f"{file}: {found[0]}: nothing left the journal; {_SEE_VERIFY}")
        except BaseException:
            if not existed:
                file.unlink(missing_ok=True)
            raise
        # From here on the archive stays whatever happens: a commit that is reported as failed may be on disk.
        with self._transaction() as db:
            body = archive.remove(db, cut, file.name, self._each)
            self._append(db, at_ms, "", "archived", body)
            found = verify.problems(self._each, None)
            if found:
                raise JournalDamaged(f"{self.path}: {found[0]}: nothing left the journal; {_SEE_VERIFY}")

    def shrink(self) -> None:
        """Give the space that an archive has left free in the file back to the disk.

        For a time it needs as much room again as the journal that remains, and that in the folder for temporary files.

        Raises:
            JournalUnwritable: there is no room for that; nothing is lost, and later records use the free space.
        """
        with self._mutex, self._sqlite():
            if self._db.execute("PRAGMA freelist_count").fetchone()[0] > _WORTH_SHRINKING_PAGES:
                self._db.execute("VACUUM")
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

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

    def _each(self, query: str, *parameters: object) -> Iterator[Any]:
        with self._sqlite():
            yield from self._db.execute(query, parameters)

    def _all(self, query: str, *parameters: object) -> list[Any]:
        with self._mutex, self._sqlite():
            return self._db.execute(query, parameters).fetchall()

    def close(self) -> None:
        """Close the file and release the lock. May be called twice."""
        with self._mutex:
            self._db.close()
            self._release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def check_decision(operator: str, resolution: str) -> None:
    """Check what closes a case.

    Raises:
        ValueError: an empty name or resolution, or one that cannot be written.
    """
    if not operator.strip() or not resolution.strip():
        raise ValueError("a case is closed with the operator's name and the reason")
    try:
        (operator + resolution).encode()
    except UnicodeEncodeError:
        raise ValueError("the operator's name and the reason must be text: the terminal does not send UTF-8") from None


def _nothing() -> None:
    """Where nobody waits for a commit."""


_LARGEST = 2**63 - 1
_WORTH_SHRINKING_PAGES = 100


def _fitting(number: int) -> int | None:
    """A number as SQLite can take it; None for a larger one, which equals nothing there."""
    return number if abs(number) < 2**63 else None


RawRow = tuple[int, int, str, str, int, str, str, str, str, str]
"""seq, at_ms, attempt, kind, version, lane_id, acquirer, body (JSON text), prev_hash, hash."""
_RAW = "SELECT seq, at_ms, attempt, kind, version, lane_id, acquirer, body, prev_hash, hash FROM records"
_RECORDS = "SELECT seq, at_ms, attempt, kind, version, lane_id, acquirer, body, hash FROM records"
_ATTEMPTS = "SELECT version, state FROM attempts ORDER BY rowid"
_OPEN = (
    "SELECT version, state FROM attempts WHERE attempt IN (SELECT attempt FROM attempts WHERE open = 1) ORDER BY rowid"
)
_CONFLICTING = """
SELECT a.version, a.state, c.closed_at_ms FROM attempts a LEFT JOIN cases c ON c.attempt = a.attempt
WHERE a.attempt IN (
    SELECT attempt FROM attempts WHERE order_no = ?
    UNION SELECT attempt FROM attempts WHERE open = 1
    UNION SELECT attempt FROM cases WHERE closed_at_ms IS NULL
) ORDER BY a.rowid
"""
"""By the indexes, as `_OPEN`: they are asked before every payment, and a journal only grows."""
_PHASE_BEFORE = """
SELECT json_extract(body, '$.state.phase') FROM records
WHERE attempt = ? AND seq < ? AND kind IN ('attempt_started', 'attempt_step') ORDER BY seq DESC LIMIT 1
"""
_CASE_NUMBER = """
SELECT json_extract(body, '$.case_number') FROM records
WHERE attempt = ? AND seq <= ? AND kind = 'case_opened' LIMIT 1
"""
_CASES = """
SELECT c.number, c.attempt, c.opened_at_ms, c.reason, c.detail, c.closed_at_ms, c.operator, c.resolution,
    a.version, a.state
FROM cases c JOIN attempts a ON a.attempt = c.attempt
"""


def _record(row: tuple[Any, ...]) -> Record:
    seq, at_ms, attempt, kind, version, lane_id, acquirer, text, digest = row
    try:
        body = codec.from_json(text)
        codec.decode_body(version, kind, body)
    except JournalDamaged as error:
        raise JournalDamaged(f"row {seq} of the journal cannot be read: {error}; {_SEE_VERIFY}") from None
    except JournalTooNew as error:
        raise JournalTooNew(f"row {seq} of the journal: {error}") from None
    return Record(seq, at_ms, attempt, kind, lane_id, acquirer, version, body, digest)


_SEE_VERIFY = "see `sco-pay journal verify`"


def _state(version: int, text: str) -> State:
    try:
        return codec.decode_state(version, codec.from_json(text))
    except JournalDamaged as error:
        raise JournalDamaged(f"the journal holds an attempt that cannot be read: {error}; {_SEE_VERIFY}") from None


def _case(row: tuple[Any, ...]) -> Case:
    number, attempt, opened_at_ms, reason, detail, closed_at_ms, operator, resolution, version, text = row
    state = _state(version, text)
    return Case(
        number=number,
        attempt=attempt,
        order_no=state.plan.order_no,
        amount_kopecks=state.plan.kopecks,
        payment_id=state.payment_id,
        phase=codec.PHASES[state.phase],
        opened_at_ms=opened_at_ms,
        reason=reason,
        detail=detail,
        closed_at_ms=closed_at_ms,
        operator=operator,
        resolution=resolution,
    )
