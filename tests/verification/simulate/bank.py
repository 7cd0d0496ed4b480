"""The acquirer of a run: the books of the shipped simulator, with the bad habits that real acquirers have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sco_sim.paymaster.bank import Bank, BankPayment, Refusal
from tests.verification.clock import US, Clock
from tests.verification.simulate.faults import Faults

_FOR_LONG_S = 30 * 86_400.0


class HarshBank(Bank):
    """See `sco_sim.paymaster.bank.Bank`.

    Attributes:
        accepted: payments whose cancellation it accepted, whatever their status became.
        asked: the amount of each payment as it was created.
        scanned: payments that a phone has shown: only for these can money come after a decline or a cancellation.
        unseen: payments that were paid by nobody who could see their link.
        refunded: when a refund became visible, in s since the epoch, by the payment's id.
        undone: how many of its own actions are still to come.
        life_ends: when the invoice of a payment is over for the customer who saw it.
    """

    def __init__(self, clock: Clock, faults: Faults, note: Callable[[str], None]) -> None:
        super().__init__(lambda: clock.s)
        self._time = clock
        self._faults = faults
        self._note = note
        self._lag: dict[str, float] = {}
        self._processing: set[str] = set()
        self._cancelled: dict[str, bool] = {}  # the answer to a cancellation, which is the same when it comes twice
        self.accepted: set[str] = set()
        self.asked: dict[str, int] = {}
        self.scanned: set[str] = set()
        self.unseen: set[str] = set()
        self.refunded: dict[str, float] = {}
        self.undone = 0
        self.life_ends: Callable[[BankPayment], float] = lambda payment: 0.0
        self.on_create = self._created
        self.namesake: Callable[[BankPayment], None] = lambda payment: None

    def plan(self, at: float, what: Callable[[], object]) -> None:
        """See `Bank.plan`. The simulated clock wakes the bank at that time."""
        super().plan(at, what)
        self._time.at(round(at * US) + 1, self.advance)

    def _later(self, at: float, what: Callable[[], object]) -> None:
        """As `plan`, for what the bank itself does to a payment."""
        self.undone += 1

        def do() -> None:
            self.undone -= 1
            what()

        self.plan(at, do)

    def create(self, data: Any, key: str | None, raw: bytes) -> BankPayment:
        """`POST /payments`. Raises Refusal."""
        if key in self._keys and self._faults.strikes("bank refuses keys"):
            raise Refusal(409, "idempotency_key_violation", "The key was used before")
        return super().create(data, key, raw)

    def _created(self, payment: BankPayment) -> None:
        faults, random, now = self._faults, self._faults.random, self.clock()
        self.asked[payment.id] = payment.kopecks
        self._lag[payment.id] = random.uniform(1.0, 60.0) if faults.strikes("bank expires late") else 0.0
        if faults.strikes("bank stays open"):
            self._lag[payment.id] = _FOR_LONG_S
        if payment.expires is not None:
            self.plan(payment.expires + self._lag[payment.id] + 0.001, lambda: None)
        if not payment.invoice.get("params", {}).get("ours", True):
            return
        if faults.strikes("bank declines", 0.5):
            self.plan(now + random.uniform(0.0, 60.0), lambda: self._declines(payment))
        if payment.sticker_id is None and faults.strikes("bad link"):
            payment.link = random.choice(
                (self._dynamic_link(payment.kopecks + 100), "", f"https://evil.example/{payment.id}")
            )
        if faults.strikes("bank link late"):
            payment.status = "Pending"
            self.plan(now + random.uniform(0.1, 25.0), lambda: self._gets_its_link(payment))
        if faults.strikes("bank settles at once", 0.3):
            if payment.sticker_id is None:
                self.unseen.add(payment.id)
            self._takes(payment)
        self.namesake(payment)

    def _gets_its_link(self, payment: BankPayment) -> None:
        if payment.id not in self._processing:
            self._confirm(payment)

    def _declines(self, payment: BankPayment) -> None:
        if not payment.final and payment.id not in self._processing:
            self._note(f"bank: declines {payment.id}")
            self._end(payment, "Rejected", "TransactionDeclined")

    def _expire(self, now: float) -> None:
        for payment in self.payments.values():
            over = payment.expires is not None and payment.expires + self._lag.get(payment.id, 0.0) <= now
            if over and not payment.final and payment.id not in self._processing:
                self._note(f"bank: {payment.id} has expired")
                self._end(payment, "Rejected", "PaymentExpired")

    def payable(self, payment_id: str) -> bool:
        """Whether it may still be paid, or is being paid."""
        self.advance()
        return not self.payments[payment_id].final

    def customer_pays(self, payment_id: str) -> bool:
        """The customer confirms in the bank's app; whether it could still be paid."""
        self.advance()
        payment, faults = self.payments[payment_id], self._faults
        if payment.final or payment_id in self._processing:
            return False
        if faults.strikes("bank declines a try", 0.5):
            self._declines(payment)
            now, last = self.clock(), self.life_ends(payment)
            if now < last and faults.random.random() < 0.7:
                self._later(faults.random.uniform(now, last), lambda: self._takes_all_the_same(payment))
            return False
        if not faults.strikes("bank pending"):
            self._takes(payment)
            return True
        self._processing.add(payment_id)
        payment.status = "Wandering" if faults.strikes("unknown status") else "Pending"
        ends_well = faults.random.random() < 0.8

        def done() -> None:
            if payment_id not in self._processing:
                return
            self._processing.discard(payment_id)
            if ends_well:
                self._takes(payment)
            else:
                self._note(f"bank: {payment_id} fails after all")
                self._end(payment, "Rejected", "InsufficientFunds")

        self._later(self.clock() + faults.random.uniform(0.5, 30.0), done)
        return True

    def _takes_all_the_same(self, payment: BankPayment) -> None:
        if payment.status not in ("Settled", "Refunded"):
            self._processing.discard(payment.id)
            self._takes(payment)

    def _takes(self, payment: BankPayment) -> None:
        if self._faults.strikes("bank other amount", 0.3):
            payment.kopecks -= 100
        self._note(f"bank: {payment.id} is paid, {payment.kopecks} kopecks")
        self._end(payment, "Settled", "Success")

    def cancel(self, payment_id: str) -> None:
        """`PUT /payments/{id}/cancel`. Raises Refusal."""
        self.advance()
        self.calls["cancel"] += 1
        payment = self._payment(payment_id)
        payment.cancel_requests += 1
        if payment_id not in self._cancelled:
            self._cancelled[payment_id] = self._cancels(payment)
        if not self._cancelled[payment_id]:
            raise Refusal(400, "invalid_operation", f"The payment is {payment.status} and cannot be cancelled")
        self.accepted.add(payment_id)

    def _cancels(self, payment: BankPayment) -> bool:
        """What the first cancellation of a payment does; whether it is accepted."""
        faults, now = self._faults, self.clock()
        if payment.status == "Settled" and faults.strikes("bank refunds"):
            at_once = faults.random.random() < 0.5
            self._later(now if at_once else now + faults.random.uniform(1.0, 120.0), lambda: self._refunds(payment))
            self.advance()
            return True
        if payment.final or payment.id in self._processing or faults.strikes("bank refuses cancel"):
            return False
        last = min(now + 45.0, self.life_ends(payment) + 30.0)
        seen = payment.id in self.scanned or payment.sticker_id is not None
        if seen and now < last and faults.strikes("bank takes after cancel"):
            self._later(faults.random.uniform(now, last), lambda: self._takes_all_the_same(payment))
        if faults.strikes("bank closes late"):
            self._later(now + faults.random.uniform(0.5, 60.0), lambda: self._closes(payment))
        else:
            self._closes(payment)
        return True

    def _closes(self, payment: BankPayment) -> None:
        if not payment.final and payment.id not in self._processing:  # a payment under way wins
            self._end(payment, "Cancelled", "CancelledByUser")

    def _refunds(self, payment: BankPayment) -> None:
        self._note(f"bank: refunds {payment.id}")
        self.refunded[payment.id] = self.clock()
        self._end(payment, self._faults.random.choice(("Refunded", "Refunded", "Cancelled")), "Success")

    def get(self, payment_id: str) -> BankPayment:
        """`GET /payments/{id}`. Raises Refusal."""
        payment = super().get(payment_id)
        if self.clock() - payment.created < 6.0 and self._faults.strikes("get lags"):
            raise Refusal(404, "not_found", "There is no such payment")
        return payment

    def list(self, start: float | None, end: float | None) -> list[Any]:
        """`GET /payments`."""
        found = super().list(start, end)
        if self._faults.strikes("list lags"):
            found = [payment for payment in found if self.clock() - payment.created > 20.0]
        if self._faults.strikes("unattributed"):
            found = [replace(payment, invoice={**payment.invoice, "params": {}}) for payment in found]
        if self._faults.strikes("nameless"):
            found = [replace(payment, invoice={"description": ""}) for payment in found]
        return found
