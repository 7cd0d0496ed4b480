"""Move closed years out of a journal into an archive, a file of its own that verifies by itself.

An archive holds the chain up to a row, whole, and the tables as they were at that row. The journal goes on after it:
its chain begins at the archive's last hash. Attempts that were not closed then, or that have later rows, keep their
earlier rows in the journal too. What a lane must never forget of the others stays in the table `archived`: which orders
are paid, and the payments that cannot belong to another attempt. A row `archived`, in the chain, carries the hashes of
that.

The order is: `write` the archive, durably; the caller verifies it; `remove` its rows in one transaction. A power cut
leaves the rows in both files, or in the archive alone. The journal is whole in both, and the next run finishes the job.
"""

from __future__ import annotations

import re
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sco_payment.attempt import Phase, needs_recovery
from sco_payment.journal import codec, schema, verify
from sco_payment.journal.errors import JournalUnwritable


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a journal can be cut: after the last row before the first one that is too young.

    Attributes:
        last_row: the archive's last row; `last_hash` is its hash, `last_at_ms` when it was written.
        attempts: how many attempts leave the journal.
        open_attempts, open_cases: how many with rows up to there stay because they, or their cases, are open.
        continued: how many stay because they have later rows, for one because their cases were closed later.
        archive_bytes, journal_bytes: about how long both files will be.
    """

    last_row: int
    last_hash: str
    last_at_ms: int
    attempts: int
    open_attempts: int
    open_cases: int
    continued: int
    archive_bytes: int
    journal_bytes: int


def start_of(year: int) -> int:
    """When `year` begins, by this machine's time zone, in ms since the epoch."""
    return round(time.mktime((year, 1, 1, 0, 0, 0, 0, 1, -1))) * 1000


def find_cut(db: sqlite3.Connection, before_ms: int) -> Cut | None:
    """Where to cut so that no row of `before_ms` or later leaves the journal; None when no attempt could leave it.

    A row that a wrong clock has dated too late therefore holds back all rows after it.
    """

    def count(query: str, *parameters: object) -> int:
        return int(db.execute(query, parameters).fetchone()[0])

    base = schema.segment(db.execute).base_seq
    young = db.execute(
        "SELECT seq FROM records WHERE seq > ? AND at_ms >= ? ORDER BY seq LIMIT 1", (base, before_ms)
    ).fetchone()
    last = db.execute(
        "SELECT seq, hash, at_ms FROM records WHERE seq > ? AND seq < ? ORDER BY seq DESC LIMIT 1",
        (base, young[0] if young else 2**63 - 1),
    ).fetchone()
    if last is None:
        return None
    last_row, last_hash, last_at_ms = last
    _find_staying(db, last_row)
    attempts = count("SELECT count(*) FROM attempts WHERE attempt NOT IN (SELECT attempt FROM temp.staying)")
    if not attempts:
        return None
    open_attempts, open_cases, continued = (count(_EARLIER, reason, last_row) for reason in (_OPEN, _CASE, _LATER))
    rows, moved = count("SELECT count(*) FROM records"), count("SELECT count(*) FROM records WHERE seq <= ?", last_row)
    kept = count(
        "SELECT count(*) FROM records WHERE seq <= ? AND attempt IN (SELECT attempt FROM temp.staying)", last_row
    )
    used_bytes = count("PRAGMA page_size") * (count("PRAGMA page_count") - count("PRAGMA freelist_count"))
    return Cut(
        last_row=last_row,
        last_hash=last_hash,
        last_at_ms=last_at_ms,
        attempts=attempts,
        open_attempts=open_attempts,
        open_cases=open_cases,
        continued=continued,
        archive_bytes=used_bytes * moved // rows,
        journal_bytes=used_bytes * (rows - moved + kept) // rows,
    )


_OPEN, _CASE, _LATER = "open", "case", "later"
_EARLIER = """
SELECT count(*) FROM temp.staying s
WHERE s.reason = ? AND EXISTS (SELECT 1 FROM records r WHERE r.attempt = s.attempt AND r.seq <= ?)
"""
_UNSETTLED = """
SELECT attempt FROM main.attempts
WHERE json_extract(state, '$.phase') = ? AND attempt NOT IN (SELECT attempt FROM main.cases)
"""
"""They count until an operator has closed their case: see `Journal.conflicting_attempts`."""


def _find_staying(db: sqlite3.Connection, last_row: int) -> None:
    """Make the temporary table of the attempts that stay, each with one reason."""
    db.execute("DROP TABLE IF EXISTS temp.staying")
    db.execute("CREATE TEMP TABLE staying (attempt TEXT PRIMARY KEY, reason TEXT NOT NULL)")
    for reason, query, parameters in (
        (_OPEN, "SELECT attempt FROM main.attempts WHERE open = 1", ()),
        (_CASE, "SELECT attempt FROM main.cases WHERE closed_at_ms IS NULL", ()),
        (_CASE, _UNSETTLED, (codec.PHASES[Phase.UNSETTLED],)),
        (_LATER, "SELECT attempt FROM main.records WHERE seq > ? AND attempt <> ''", (last_row,)),
    ):
        db.execute(f"INSERT OR IGNORE INTO temp.staying SELECT attempt, '{reason}' FROM ({query})", parameters)  # noqa: S608


# --- the archive --------------------------------------------------------------------------------------------------


def write(db: sqlite3.Connection, cut: Cut, file: Path) -> None:
    """Write the archive, in one transaction that is on disk on return. One that an interrupted run has left is kept.

    Raises:
        JournalUnwritable: `file` is something else. sqlite3.Error: it cannot be written; nothing is in it then.
    """
    db.execute("ATTACH ? AS archive", (f"{file.absolute().as_uri()}?mode=rwc",))
    try:
        there = db.execute("SELECT count(*) FROM archive.sqlite_master").fetchone()[0]
        if there and not _is_same(db, cut):
            raise JournalUnwritable(f"{file}: there is a file already: move it away, or name another one with --to")
        # In this mode the file is whole by itself, and a cut while it is written leaves it empty. EXTRA syncs the
        # folder when a transaction ends: without it a cut could bring the rollback journal back, and empty the file
        # after its rows have left the journal. Therefore one is made where the archive is there already, too.
        db.execute("PRAGMA archive.journal_mode=DELETE")
        db.execute("PRAGMA archive.synchronous=EXTRA")
        if there:
            db.execute("PRAGMA archive.application_id=0")  # as it is; SQLite writes the page all the same
        else:
            _fill(db, cut)
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.execute("DETACH archive")


def _is_same(db: sqlite3.Connection, cut: Cut) -> bool:
    """Whether the attached file is the archive of this cut."""
    if db.execute("SELECT 1 FROM archive.sqlite_master WHERE name = 'segment'").fetchone() is None:
        return False
    sealed, base = db.execute("SELECT sealed, base_seq FROM archive.segment").fetchone()
    head = db.execute("SELECT seq, hash FROM archive.head").fetchone()
    return bool(sealed) and base == schema.segment(db.execute).base_seq and head == (cut.last_row, cut.last_hash)


def _fill(db: sqlite3.Connection, cut: Cut) -> None:
    def attached(statements: str) -> str:
        return re.sub(r"(CREATE (?:TABLE|TRIGGER|INDEX)|INSERT INTO) ", r"\1 archive.", statements)

    db.executescript(f"BEGIN;{attached(schema.TABLES)}PRAGMA archive.user_version={schema.VERSION};")
    db.execute("UPDATE archive.identity SET journal_id = (SELECT journal_id FROM main.identity)")
    db.execute("INSERT INTO archive.head VALUES (1, ?, ?)", (cut.last_row, cut.last_hash))
    db.execute("INSERT INTO archive.records SELECT * FROM main.records WHERE seq <= ? ORDER BY seq", (cut.last_row,))
    for index in attached(schema.INDEXES).split(";"):  # at once: a row at a time would be far slower
        db.execute(index)
    db.execute(
        "INSERT INTO archive.attempts (rowid, attempt, order_no, open, version, state) "
        "SELECT rowid, attempt, order_no, open, version, state FROM main.attempts "
        "WHERE attempt NOT IN (SELECT attempt FROM temp.staying)"
    )
    db.execute(
        "INSERT INTO archive.cases SELECT * FROM main.cases WHERE attempt NOT IN (SELECT attempt FROM temp.staying)"
    )
    for rowid, attempt, order_no in db.execute(
        "SELECT rowid, attempt, order_no FROM main.attempts WHERE attempt IN (SELECT attempt FROM temp.staying)"
    ):
        _add_as_it_was(db, rowid, attempt, order_no)
    db.execute(
        "UPDATE archive.segment SET sealed = 1, (base_seq, base_hash, base_file, last_case) = "
        "(SELECT base_seq, base_hash, base_file, last_case FROM main.segment)"
    )
    db.execute("COMMIT")


def _add_as_it_was(db: sqlite3.Connection, rowid: int, attempt: str, order_no: str) -> None:
    """Add an attempt that goes on in the journal, and its case, as they were at the archive's last row."""
    cases, latest = verify.ReplayedCases(), None
    for at_ms, kind, version, text in db.execute(
        "SELECT at_ms, kind, version, body FROM archive.records WHERE attempt = ? ORDER BY seq", (attempt,)
    ):
        body = codec.from_json(text)
        cases.apply(at_ms, attempt, kind, body)
        if "state" in body:
            latest = (version, body["state"])
    if latest is None:
        return  # it began later
    is_open = int(needs_recovery(codec.decode_state(*latest)))
    db.execute(
        "INSERT INTO archive.attempts (rowid, attempt, order_no, open, version, state) VALUES (?, ?, ?, ?, ?, ?)",
        (rowid, attempt, order_no, is_open, latest[0], codec.to_json(latest[1])),
    )
    for row in cases.rows():
        db.execute("INSERT INTO archive.cases VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)


# --- the journal --------------------------------------------------------------------------------------------------


def remove(db: sqlite3.Connection, cut: Cut, file: str, query: verify.Query) -> dict[str, Any]:
    """Take out, in a transaction of the caller, what the archive holds; returns the body of the row that says so.

    Tables are emptied and what stays is put back: so SQLite frees the pages without writing them to its log.
    """
    db.execute(_REMEMBER, (codec.PHASES[Phase.PAID], codec.PHASES[Phase.PAID_LATE]))
    db.execute(
        "UPDATE segment SET base_seq = ?, base_hash = ?, base_file = ?, "
        "last_case = max(last_case, (SELECT coalesce(max(number), 0) FROM cases))",
        (cut.last_row, cut.last_hash, file),
    )
    db.execute("DROP TRIGGER IF EXISTS records_are_never_deleted")
    for keep, empty, put_back in _KEEPING:
        db.execute(keep, (cut.last_row,) * keep.count("?"))
        db.execute(empty)
        db.execute(put_back)
        db.execute("DROP TABLE temp.kept")
    db.execute(schema.NEVER_DELETED)
    return codec.encode_body(
        "archived",
        last_row=cut.last_row,
        last_hash=cut.last_hash,
        file=file,
        kept_rows_hash=verify.kept_rows_hash(query, cut.last_row),
        attempts_hash=verify.attempts_hash(query),
    )


_REMEMBER = """
INSERT INTO archived
SELECT order_no, attempt, json_extract(state, '$.payment_id'), json_extract(state, '$.phase') IN (?, ?)
FROM attempts WHERE attempt NOT IN (SELECT attempt FROM temp.staying)
"""
_KEEPING = (
    (
        "CREATE TEMP TABLE kept AS SELECT * FROM main.records "
        "WHERE seq <= ? AND attempt IN (SELECT attempt FROM temp.staying) "
        "UNION ALL SELECT * FROM main.records WHERE seq > ?",
        "DELETE FROM main.records",
        "INSERT INTO main.records SELECT * FROM temp.kept ORDER BY seq",
    ),
    (
        "CREATE TEMP TABLE kept AS SELECT * FROM main.attempts "
        "WHERE attempt IN (SELECT attempt FROM temp.staying) ORDER BY rowid",
        "DELETE FROM main.attempts",
        "INSERT INTO main.attempts SELECT * FROM temp.kept ORDER BY rowid",
    ),
    (
        "CREATE TEMP TABLE kept AS SELECT * FROM main.cases WHERE attempt IN (SELECT attempt FROM temp.staying)",
        "DELETE FROM main.cases",
        "INSERT INTO main.cases SELECT * FROM temp.kept ORDER BY number",
    ),
)
"""For each table: keep what stays, empty the table, put it back."""
