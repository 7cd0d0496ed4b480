"""The rows that the fleet lacks: from the journal, or from the archives next to it that they were moved to."""

from __future__ import annotations

from pathlib import Path

from sco_payment.journal import Journal, JournalError, RowsArchived
from sco_payment.journal.acknowledged import Head
from sco_payment.journal.store import RawRow

MAX_BYTES = 128 * 1024
"""Of bodies in one batch: what shipping may hold in memory."""
CACHE_KIB = 64
"""Of SQLite: rows are read once, and in order."""


class Outbox:
    """Reads from a journal that another part of the program, or another process, writes.

    Args:
        path: the journal's file. It is opened when it is first needed, and again after an error.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._opened: Journal | None = None

    @property
    def journal(self) -> Journal:
        """The journal, to read. Raises JournalError."""
        if self._opened is None:
            self._opened = Journal(self._path, read_only=True, cache_kib=CACHE_KIB)
        return self._opened

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def head(self) -> tuple[str, int, str]:
        """The journal's id, its last row's number and that row's hash; 0 and an empty text for no row.

        Raises:
            JournalError: it cannot be read.
        """
        seq, _, digest = self.journal.head().partition(":")
        return self.journal.id(), int(seq or 0), digest

    def base(self) -> tuple[int, str]:
        """The row after which this file begins, and its hash."""
        return self.journal.base()

    def has(self, head: Head) -> bool:
        """Whether it is a row of this file. Raises JournalError."""
        found = self.journal.raw_rows(head.seq - 1, limit=1, max_bytes=1) if head.seq > self.base()[0] else []
        return head.epoch == self.journal.id() and [(row[0], row[9]) for row in found] == [(head.seq, head.hash)]

    def rows(self, after: int, limit: int) -> list[RawRow]:
        """The rows that follow row `after`, at most `limit`.

        Raises:
            RowsArchived: they are in an archive that is not next to the journal. JournalError: they cannot be read.
        """
        try:
            return self.journal.raw_rows(after, limit=limit, max_bytes=MAX_BYTES)
        except RowsArchived as error:
            return self._from_archive(after, limit, error)

    def _from_archive(self, after: int, limit: int, error: RowsArchived) -> list[RawRow]:
        (last_row, digest), (_, name) = self.journal.base(), self.journal.archived()
        while True:
            file = self.journal.path.with_name(name)
            try:
                with Journal(file, read_only=True, cache_kib=CACHE_KIB) as archive:
                    if archive.head() != f"{last_row}:{digest}":
                        raise RowsArchived(f"{file} is not the archive that ends at row {last_row}", last_row)
                    (last_row, digest), (_, name) = archive.base(), archive.archived()
                    if after >= last_row:
                        return archive.raw_rows(after, limit=limit, max_bytes=MAX_BYTES)
            except RowsArchived:
                raise
            except JournalError as problem:
                raise RowsArchived(f"{error}; put it next to the journal: {problem}", error.last_row) from None
