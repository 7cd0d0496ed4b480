"""What must survive power loss: every step of every attempt, and every case."""

from sco_payment.journal.store import (
    Case,
    Journal,
    JournalBusy,
    JournalDamaged,
    JournalError,
    JournalTooNew,
    JournalUnwritable,
    NoSuchCase,
    Record,
    WrongAnchor,
)

__all__ = [
    "Case",
    "Journal",
    "JournalBusy",
    "JournalDamaged",
    "JournalError",
    "JournalTooNew",
    "JournalUnwritable",
    "NoSuchCase",
    "Record",
    "WrongAnchor",
]
