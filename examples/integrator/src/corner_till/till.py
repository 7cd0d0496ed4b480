"""The shop's receipt and how it is paid: any part by card, any part by SBP."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from sco_payment import Lane, Order, Outcome, PaymentRefused, Result

CardTerminal = Callable[[int], bool]
"""Takes an amount in kopecks; returns whether it was paid."""


class NotPayable(Exception):
    """This receipt cannot be paid this way; the message is for the customer."""


@dataclass(slots=True)
class Receipt:
    """A customer's receipt. Amounts in kopecks.

    Attributes:
        number: unique in the shop.
        goods: name and price.
        legs: what has been paid, by "card" or "sbp".
        released: whether the customer may go.
        case: number of the case for which it waits for an operator; None for none.
    """

    number: str
    goods: list[tuple[str, int]] = field(default_factory=list)
    legs: list[tuple[str, int]] = field(default_factory=list)
    released: bool = False
    case: int | None = None

    @property
    def total(self) -> int:
        """The total of the goods."""
        return sum(price for _, price in self.goods)

    def paid_by(self, means: str) -> int:
        """The total of the legs by these means."""
        return sum(kopecks for by, kopecks in self.legs if by == means)

    @property
    def rest(self) -> int:
        """What is still to be paid."""
        return self.total - self.paid_by("card") - self.paid_by("sbp")


class Till:
    """One till: a receipt at a time.

    Args:
        lane: takes SBP payments.
        card: takes card payments.
    """

    def __init__(self, lane: Lane, card: CardTerminal) -> None:
        self._lane = lane
        self._card = card

    def pay_by_card(self, receipt: Receipt, kopecks: int) -> bool:
        """One leg by card. Returns whether it was paid."""
        self._check(receipt)
        if not 0 < kopecks <= receipt.rest:
            raise NotPayable(f"Можно оплатить от 0,01 до {receipt.rest / 100:.2f}")
        if not self._card(kopecks):
            return False
        self._add(receipt, "card", kopecks)
        return True

    def pay_by_sbp(self, receipt: Receipt, kopecks: int | None = None) -> Outcome | None:
        """One leg by SBP: all that is left, or `kopecks`. With UNKNOWN the receipt waits for an operator."""
        self._check(receipt)

        def deliver(result: Result) -> None:
            """The outcome is on disk: now, and only now, may the goods go."""
            if result.outcome is Outcome.PAID:
                self._add(receipt, "sbp", result.kopecks)
            elif result.outcome is Outcome.UNKNOWN:
                receipt.case = result.case

        order = Order(
            receipt.number,
            receipt.total,
            tendered_elsewhere=receipt.paid_by("card"),
            tendered_by_sbp=receipt.paid_by("sbp"),
            leg_kopecks=kopecks,
        )
        try:
            return self._lane.pay(order, deliver=deliver).outcome
        except PaymentRefused as error:
            raise NotPayable("Этот чек сейчас нельзя оплатить по СБП") from error  # `error` is for the log

    @staticmethod
    def _check(receipt: Receipt) -> None:
        if receipt.case is not None:
            raise NotPayable(f"Позовите сотрудника магазина, обращение № {receipt.case}")
        if receipt.released:
            raise NotPayable("Чек уже оплачен")

    @staticmethod
    def _add(receipt: Receipt, means: str, kopecks: int) -> None:
        receipt.legs.append((means, kopecks))
        receipt.released = receipt.rest == 0
