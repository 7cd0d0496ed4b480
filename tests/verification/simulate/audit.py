"""The invariants of `sco_payment.attempt` when a run is over, checked against what really happened."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from sco_payment import attempt as m
from tests.verification.simulate.truth import Truth, Violation

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sco_payment.journal import Case, Journal
    from sco_sim.paymaster import BankPayment
    from tests.verification.simulate.run import Run

_SURELY_WRONG_S = 10.0
"""A clock that is so far off is reported whatever time the answers took."""
_HEARD_AFTER_S = 60.0
"""Within this time the lane has asked once more: a refund is heard of if it shows so long before the watch may end."""


class Audit:
    """The last look at a run: `journal` is that of its last process."""

    def __init__(self, run: Run, truth: Truth, journal: Journal) -> None:
        self._run = run
        self._truth = truth
        self._journal = journal

    def __call__(self) -> None:
        """After an invoice's life and the grace without faults: invariants 1, 2, 5, and the journal itself."""
        journal, truth = self._journal, self._truth
        problems = journal.verify()
        if problems:
            raise Violation(0, f"the journal: {problems}")
        self._clock_is_reported()
        cases = {case.attempt: case for case in journal.cases(include_closed=True)}
        for state in journal.attempts():
            self._still_open(state, cases)
            settled = state.phase in m.FINAL or state.phase is m.Phase.CLOSED
            if not settled and state.plan.key not in cases:
                raise Violation(5, f"{state.plan.key} of {state.plan.order_no} is still {state.phase.value}")
            if state.phase is m.Phase.UNPAID and truth.settled(state.plan.key):
                raise Violation(4, f"{state.plan.key} is closed as unpaid; {truth.describe(state.plan.key)}")
            if state.phase is m.Phase.PAID and not truth.settled(state.plan.key):
                raise Violation(1, f"{state.plan.key} is closed as paid; {truth.describe(state.plan.key)}")
        for key in truth.bodies:
            payment = truth.payment_of(key)
            released = key in truth.goods.values() or key in truth.legs
            if payment is None or payment.status != "Settled":
                if released:
                    raise Violation(1, f"goods were released; {truth.describe(key)}")
                if payment is not None and payment.id in self._run.bank.refunded:
                    self._refund_is_recorded(key, payment, cases.get(key))
                continue
            if not released and not self._is_for_an_operator(cases.get(key)) and not self._still_looks(key):
                raise Violation(2, f"the bank has the money of {payment.id}, no goods, no case that is open")
            if payment.kopecks != truth.asked_of(key) and key not in cases:
                raise Violation(2, f"the bank took another amount for {payment.id}, no case")
        came_to: dict[str, set[str]] = defaultdict(set)
        for record in journal.records(limit=100_000):
            came_to[record.attempt].add(record.body.get("state", {}).get("phase", ""))
        for number in truth.decided:
            case = journal.case(number)
            overtaken = came_to[case.attempt] & {"paid_late", "overdue", "refundable", "unsettled"}
            if case.closed_at_ms is None and not overtaken:
                raise Violation(2, f"the administrator closed case {number}, and the journal does not know it")
        for number, case in ((case.number, case) for case in cases.values()):
            if not journal.timeline(case.attempt):
                raise Violation(2, f"case {number} has no evidence")

    def _is_for_an_operator(self, case: Case | None) -> bool:
        """Whether an operator sees the money, or has decided on it."""
        return case is not None and (
            case.closed_at_ms is None
            or self._truth.decided.get(case.number) is m.Phase.REFUNDABLE  # which says: it is there
        )

    def _is_over(self, state: m.State) -> bool:
        """Whether the invoice and the grace period are over by the lane's clock, which may have been put back."""
        return self._run.process.runtime.now() > state.plan.over_at_ms + state.plan.timing.watch_ms

    def _still_looks(self, key: str) -> bool:
        """Whether the lane has not heard of the money yet, and will: its case was closed too early."""
        state = self._journal.attempt(key)
        watching = state is not None and state.phase is m.Phase.WATCHING and not self._is_over(state)
        return watching and key not in self._truth.known_as_paid

    def _clock_is_reported(self) -> None:
        """A wrong clock is shown and logged, once the acquirer has said what time it is."""
        process = self._run.process
        assert process.lane is not None
        health = process.lane.health()
        ahead = self._run.clock.s - process.runtime.now() / 1000
        if health.last_contact_ms is None or abs(ahead) < _SURELY_WRONG_S:
            return
        if health.clock_ahead_s is None or abs(health.clock_ahead_s - ahead) > _SURELY_WRONG_S:
            raise Violation(0, f"the lane's clock is {ahead:+.0f} s wrong, and {health.clock_ahead_s} is shown")
        if self._truth.warned is not process:
            raise Violation(0, f"the lane's clock is {ahead:+.0f} s wrong, and nothing warns of it")

    def _still_open(self, state: m.State, cases: Mapping[str, Case]) -> None:
        """A payment that can still be paid: its one cancellation is spent, or a case is open; and the lane gives up
        only with the cancellation spent. Until the invoice and the grace period are over by its clock, it watches."""
        key = state.plan.key
        payment = self._truth.payment_of(key)
        if payment is None or payment.final:
            return
        spent = self._truth.cancels[key] > 0 or state.cancel is not m.Cancel.NOT_ASKED
        has_case = key in cases and cases[key].closed_at_ms is None
        if not spent and not has_case and self._is_over(state):
            raise Violation(2, f"no cancellation was sent, no case is open; {self._truth.describe(key)}")
        if not spent and state.phase in m.FINAL and state.payment_id is not None:
            raise Violation(5, f"the lane has given up without a cancellation; {self._truth.describe(key)}")

    def _refund_is_recorded(self, key: str, payment: BankPayment, case: Case | None) -> None:
        """Invariant 2: the bank has returned the money, and an operator reads it where the lane could hear of it."""
        heard = payment.status == "Refunded" or key in self._truth.known_as_paid
        if case is None and heard:
            raise Violation(2, f"the bank has refunded {payment.id}, no case")
        refunded, grace_s = self._run.bank.refunded[payment.id], self._run.settings.timing.grace_s
        ended = max(self._truth.ended.get(key, self._run.clock.s), self._truth.life_ends(payment) + grace_s)
        state = self._journal.attempt(key)
        if heard and refunded < ended - _HEARD_AFTER_S and (state is None or state.phase is not m.Phase.UNSETTLED):
            phase = None if state is None else state.phase.value
            raise Violation(2, f"the bank has refunded {payment.id}, and its case does not say so ({phase})")
        before = case is not None and self._truth.decided.get(case.number) in (m.Phase.WATCHING, m.Phase.REFUNDABLE)
        told = state is not None and state.phase is m.Phase.UNSETTLED
        if told and before and case is not None and case.closed_at_ms is not None:
            raise Violation(2, f"the bank has refunded {payment.id}, and the case that was closed before stays closed")
