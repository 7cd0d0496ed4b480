"""The simulated PayMaster with assertions."""

from __future__ import annotations

from typing import Any

from sco_sim.paymaster import BankPayment, PayMasterSimulator


class BenchPayMaster(PayMasterSimulator):
    """PayMaster on real HTTP, with the customer's phone; `use("...")` scripts customer, bank and network."""

    def goes_offline(self) -> None:
        """Fault: the lane's network fails. Phones stay online."""
        self.go_offline()

    def comes_online(self) -> None:
        """The lane's network is back."""
        self.go_online()

    @property
    def payments(self) -> list[BankPayment]:
        """All payments in the bank's books, in order."""
        return list(self.bank.payments.values())

    @property
    def paid_kopecks(self) -> int:
        """All money that customers have paid."""
        return sum(payment.kopecks for payment in self.payments if payment.status == "Settled")

    def assert_created_once(self, *, kopecks: int | None = None) -> BankPayment:
        """Exactly one payment was created, with that amount. Returns it."""
        count = len(self.payments)
        assert count == 1, f"expected one payment at the bank, found {count}"
        [payment] = self.payments
        found = payment.kopecks
        assert kopecks is None or found == kopecks, f"expected a payment of {kopecks} kopecks, found {found}"
        return payment

    def assert_nothing_created(self) -> None:
        """No payment was created."""
        assert not self.payments, f"expected no payment at the bank, found {len(self.payments)}"

    def assert_cancelled_once(self) -> None:
        """Exactly one cancellation reached the bank."""
        assert self.bank.cancels == 1, f"expected one cancellation at the bank, found {self.bank.cancels}"

    def assert_not_cancelled(self) -> None:
        """No cancellation reached the bank."""
        assert self.bank.cancels == 0, f"expected no cancellation at the bank, found {self.bank.cancels}"

    def assert_paid(self, kopecks: int) -> None:
        """Customers have paid that much in total, and the lane has asked for no refund."""
        assert self.paid_kopecks == kopecks, f"expected {kopecks} kopecks paid, found {self.paid_kopecks}"
        assert self.bank.refunds == 0, f"a self-checkout makes no refunds; the bank was asked for {self.bank.refunds}"

    def settings(self) -> dict[str, Any]:
        """The section `[paymaster]` of a lane's settings."""
        return {"base_url": self.base_url, "merchant_id": self.merchant_id}
