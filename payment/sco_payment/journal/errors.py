"""What can go wrong with a journal.

JournalError
├── JournalBusy          another process has it open for writing
├── JournalUnwritable    disk full, read-only, no permission, an I/O error
├── JournalDamaged       not a journal, or damaged
├── JournalLost          there was a journal, and it or its last rows are gone
├── JournalTooNew        a newer release wrote it
├── RowsArchived         the rows that are asked for are in an archive
└── NoSuchCase           no open case has that number
"""

from __future__ import annotations


class JournalError(Exception):
    """The journal cannot be used; no payment may begin. The message says why and what to do."""


class JournalBusy(JournalError):
    """Another process has it open for writing; `service` is its address where that is a lane's service, or empty."""

    def __init__(self, message: str, service: str = "") -> None:
        super().__init__(message)
        self.service = service


class JournalUnwritable(JournalError):
    """Disk full, read-only file system, no permission, or an I/O error."""


class JournalDamaged(JournalError):
    """The file is not a journal, or what is in it cannot be read."""


class JournalLost(JournalError):
    """There was a journal here: it is gone, or an older copy of it is in its place. A new one would forget payments."""


class JournalTooNew(JournalError):
    """A newer release of this package wrote it."""


class RowsArchived(JournalError):
    """The rows that are asked for are in an archive, which the message names; `last_row` is the last one there."""

    def __init__(self, message: str, last_row: int) -> None:
        super().__init__(message)
        self.last_row = last_row


class NoSuchCase(JournalError, LookupError):
    """No case has that number, or it is already closed."""


class WrongAnchor(ValueError):
    """Not an anchor. An anchor is a row's number, a colon and the row's hash, as `Journal.head` returns it."""
