"""What must survive power loss: every step of every attempt, and every case.

`store` writes and reads the file, `codec` fixes what is on disk, `schema` has its tables, `verify` checks it, `archive`
moves closed years into a file of their own. `location` checks where a journal is to be kept, `resolutions` passes
decisions on cases to a running lane, `describe` puts a record into words.
"""

from sco_payment.journal.errors import (
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalLost,
    JournalTooNew,
    JournalUnwritable,
    NoSuchCase,
    RowsArchived,
    WrongAnchor,
)
from sco_payment.journal.records import Case, Record
from sco_payment.journal.store import Journal

__all__ = [
    "Case",
    "Journal",
    "JournalBusy",
    "JournalDamaged",
    "JournalError",
    "JournalLost",
    "JournalTooNew",
    "JournalUnwritable",
    "NoSuchCase",
    "Record",
    "RowsArchived",
    "WrongAnchor",
]
