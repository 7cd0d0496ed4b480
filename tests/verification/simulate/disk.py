"""The lane's disk: the production `Journal` on a real SQLite file, with disk errors and killed processes.

A killed process leaves the files as they are at that moment, copied for the next one. What
power loss leaves, unsynced writes dropped, torn or reordered, is tested in `powerloss`.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.verification.clock import Clock, Killed
from tests.verification.simulate.faults import Faults

_WRITES = ("BEGIN", "INSERT", "UPDATE", "COMMIT")


def _error(name: str, text: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorname = name
    return error


class Disk:
    """Where the journal is stored.

    Attributes:
        path: of the journal, for the next process that opens it.
        kill: kills the process; called at a commit.
        alive: whether the process that writes is still alive.
    """

    def __init__(self, folder: Path, clock: Clock, faults: Faults, note: Callable[[str], None]) -> None:
        self._folder = folder
        self._clock = clock
        self._faults = faults
        self._note = note
        self._copies = 0
        self._bad_until = 0
        self.kill: Callable[[str], None] = lambda why: None
        self.path = folder / "journal-0"

    def power_cut(self) -> None:
        """Copy the files for the next process; whatever the dying one still writes is lost."""
        before, self._copies = self.path, self._copies + 1
        self.path = self._folder / f"journal-{self._copies}"
        for suffix in ("", "-wal"):
            source = before.with_name(before.name + suffix)
            if source.exists():
                shutil.copyfile(source, self.path.with_name(self.path.name + suffix))
        decisions = before.with_name(before.name + ".resolutions")
        if decisions.exists():
            shutil.copytree(decisions, self.path.with_name(self.path.name + ".resolutions"))

    def wrap(self, db: sqlite3.Connection, alive: Callable[[], bool]) -> sqlite3.Connection:
        """The connection of an open journal, with the errors of this disk."""
        return _Connection(db, self, alive)  # type: ignore[return-value]

    def before(self, statement: str) -> None:
        """Raise the disk's error, if it has one for this statement."""
        faults, now = self._faults, self._clock.us
        if not statement.startswith(_WRITES):
            if faults.strikes("disk read", 0.02):
                self._note("disk: a read fails")
                raise _error("SQLITE_IOERR_READ", "disk I/O error")
            return
        if statement == "COMMIT" and faults.strikes("killed at disk", 0.03):
            self.kill("before a commit")
            raise Killed
        if now < self._bad_until and not faults.fair:
            raise _error("SQLITE_FULL", "database or disk is full")
        if statement not in ("BEGIN IMMEDIATE", "COMMIT"):
            return
        if faults.strikes("disk error", 0.1):
            self._note(f"disk: {statement} fails")
            raise _error("SQLITE_IOERR_WRITE", "disk I/O error")
        for kind, longest in (("disk full", 15.0), ("disk full for long", 600.0)):
            if faults.strikes(kind, 0.05):
                self._bad_until = now + round(faults.random.uniform(1.0, longest) * 1_000_000)
                self._note(f"disk: full for {(self._bad_until - now) / 1e6:.0f} s")
                raise _error("SQLITE_FULL", "database or disk is full")

    def after_commit(self) -> None:
        if self._faults.strikes("killed at disk", 0.03):
            self.kill("after a commit")
            raise Killed


class _Connection:
    """An sqlite3 connection that fails as its disk does."""

    def __init__(self, db: sqlite3.Connection, disk: Disk, alive: Callable[[], bool]) -> None:
        self.db = db
        self._disk = disk
        self._alive = alive

    def execute(self, statement: str, *parameters: Any) -> sqlite3.Cursor:
        if not self._alive():
            raise Killed
        if statement != "ROLLBACK":
            self._disk.before(statement)
        done = self.db.execute(statement, *parameters)
        if statement == "COMMIT":
            self._disk.after_commit()
        return done

    @property
    def in_transaction(self) -> bool:
        return self.db.in_transaction

    def close(self) -> None:
        self.db.close()
