"""What the acquirer says of a payment, whether it answers a request or writes a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from sco_fleet.reconcile.days import Day
from sco_payment.attempt import PaymentStatus


@dataclass(frozen=True, slots=True)
class BankRow:
    """One payment at the acquirer.

    Attributes:
        status: what its word means; `word` is the word.
        at_ms: when it was created, by the acquirer's clock; None where it does not say so.
        test: a test payment, which is not money.
    """

    payment_id: str
    status: PaymentStatus
    word: str
    kopecks: int
    currency: str
    order_no: str | None
    at_ms: int | None
    test: bool = False


class NotKnown(Exception):
    """The acquirer certainly has no such payment."""


class NoAnswerAbout(Exception):
    """The acquirer did not say anything about a payment."""


class Source(Protocol):
    """Where the acquirer's payments come from.

    Attributes:
        name: for the list of reconciliations: `list`, or the file's name.
        acquirer: whose payments they are, as lanes call it.
        problem: after `rows`: why not all of the day's payments were there; empty where they were.
        can_be_asked: whether `ask` asks the acquirer.
    """

    name: str
    acquirer: str
    problem: str
    can_be_asked: bool

    def rows(self, day: Day) -> Iterator[BankRow]:
        """The payments of the day and of some hours around it; one may come twice. Never raises for what is missing:
        `problem` says so."""

    def ask(self, payment_id: str) -> BankRow:
        """One payment. Raises NotKnown, NoAnswerAbout."""
