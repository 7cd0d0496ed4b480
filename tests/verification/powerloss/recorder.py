"""The production `Journal` over an SQLite VFS that records every operation, and may fail one of them.

apsw has an SQLite of its own with a VFS in Python. Only the writing side runs in it; the SQL, the pragmas and the
transactions are those of the production class. The standard library's SQLite opens whatever is recovered later.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from sco_payment.journal import Journal

_numbers = itertools.count()
STATEMENTS: dict[str, str] = {}
"""Statements of the journal -> what runs instead; only seeded faults replace any."""


class Op(NamedTuple):
    """One operation on a file. `ino` distinguishes a file from an older one of the same name.

    `kind` is create, write, truncate, sync, delete; found: the file was there, whole and synced, when the record
    began; ack: transaction `at` was acknowledged to the caller.
    """

    kind: str
    name: str = ""
    ino: int = 0
    at: int = 0
    data: bytes = b""
    whole: bool = True  # sync: False when it failed; delete: whether the directory was synced as well


class Disk(apsw.VFS):  # type: ignore[misc]
    """A VFS over the real one that records into `log`.

    Args:
        fail: called before each write, truncate and sync with the number of the operation; raises what should happen.
    """

    def __init__(self, fail: Callable[[int, str], None] | None = None) -> None:
        self.name = f"recorded-{next(_numbers)}"
        self.log: list[Op] = []
        self.calls = 0
        self._fail = fail
        self._inodes: dict[str, int] = {}
        super().__init__(self.name, base="")

    def adopt(self, folder: Path) -> None:
        """Record what was in `folder` before the record began."""
        for path in sorted(folder.iterdir()):
            self._inodes[str(path)] = next(_numbers)
            self.log.append(Op("found", path.name, self._inodes[str(path)], data=path.read_bytes()))

    def before(self, kind: str) -> None:
        """Count the operation, and let it fail where the test wants it."""
        self.calls += 1
        if self._fail is not None:
            self._fail(self.calls, kind)

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 - SQLite's name
        if name is None:  # a temporary file, which SQLite deletes at once: no cut can show it
            return apsw.VFSFile("", name, flags)
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        new = not Path(path).exists()
        file = _File(self, name, flags)
        if new:
            self._inodes[path] = next(_numbers)
            self.log.append(Op("create", Path(path).name, self._inodes[path]))
        file.name, file.ino = Path(path).name, self._inodes[path]
        return file

    def excepthook(self, *what: object) -> None:
        """Print nothing: apsw would print failures that SQLite ignores."""

    def xDelete(self, path: str, sync: bool) -> None:  # noqa: N802
        super().xDelete(path, sync)
        self.log.append(Op("delete", Path(path).name, self._inodes.pop(path, 0), whole=sync))


class _File(apsw.VFSFile):  # type: ignore[misc]
    name: str
    ino: int

    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("", name, flags)

    def excepthook(self, *what: object) -> None:
        """See `Disk.excepthook`."""

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        try:
            self._disk.before("write")
        except apsw.Error:
            data = data[: len(data) // 2]  # a write that fails may have been done in part
            super().xWrite(data, offset)
            self._disk.log.append(Op("write", self.name, self.ino, offset, bytes(data)))
            raise
        super().xWrite(data, offset)
        self._disk.log.append(Op("write", self.name, self.ino, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        self._disk.before("truncate")
        super().xTruncate(size)
        self._disk.log.append(Op("truncate", self.name, self.ino, size))

    def xSync(self, flags: int) -> None:  # noqa: N802
        try:
            self._disk.before("sync")
        except apsw.Error:
            self._disk.log.append(Op("sync", self.name, self.ino, whole=False))
            raise
        super().xSync(flags)
        self._disk.log.append(Op("sync", self.name, self.ino))


class _Rows(list[tuple[Any, ...]]):
    """A cursor that has been read to its end."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        return self

    def fetchone(self) -> tuple[Any, ...] | None:
        return self[0] if self else None


class _Connection:
    """As much of `sqlite3.Connection` as the journal uses, on apsw.

    SQLite checkpoints after a commit and ignores a failure, but apsw raises what the VFS raised. So this class makes
    the same checkpoint at the same moment.
    """

    def __init__(self, uri: str, disk: Disk, checkpoint_pages: int) -> None:
        flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE | apsw.SQLITE_OPEN_URI
        self._pages, self._checkpoint_pages = 0, checkpoint_pages
        with _as_sqlite3():
            self._db = apsw.Connection(uri, flags=flags, vfs=disk.name)
            self._db.set_wal_hook(self._committed)  # in place of SQLite's own

    def _committed(self, db: object, name: str, pages: int) -> int:
        self._pages = pages
        return int(apsw.SQLITE_OK)

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> _Rows:
        with _as_sqlite3():
            rows = self._db.execute(STATEMENTS.get(sql, sql), parameters).fetchall()
        if self._pages >= self._checkpoint_pages:
            self._pages = 0
            with suppress(apsw.Error):
                self._db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        return _Rows(rows)

    executescript = execute

    def set_progress_handler(self, handler: object, every: int) -> None:
        """The journals of these tests are short: no check of theirs has to be ended."""

    @property
    def in_transaction(self) -> bool:
        return bool(self._db.in_transaction)

    def close(self) -> None:
        with _as_sqlite3():
            self._db.close()


@contextmanager
def _as_sqlite3() -> Iterator[None]:
    try:
        yield
    except apsw.Error as error:
        name = {apsw.FullError: "SQLITE_FULL", apsw.IOError: "SQLITE_IOERR"}.get(type(error), "SQLITE_ERROR")
        ours = sqlite3.OperationalError(str(error))
        ours.sqlite_errorname = name
        raise ours from error


class RecordedJournal(Journal):
    """The production journal with `disk` under it.

    Args:
        checkpoint_pages: pages of the log after which there is a checkpoint; SQLite's default is 1000.
    """

    def __init__(self, path: Path, disk: Disk, *, checkpoint_pages: int = 20) -> None:
        self._disk, self._checkpoint_pages = disk, checkpoint_pages
        super().__init__(path, lane_id="lane-1", acquirer="paymaster")

    def _connect(self, uri: str) -> sqlite3.Connection:
        return _Connection(uri, self._disk, self._checkpoint_pages)  # type: ignore[return-value]
