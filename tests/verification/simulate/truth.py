"""The invariants of `sco_payment.attempt`, checked against what really happened: the acquirer's books, the paper, the
screen, the journal on disk. What the lane believes counts only where it has reported it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from sco_drivers.screen import Scene
from sco_payment import attempt as m
from sco_payment.customer.texts import RUSSIAN
from sco_payment.journal import codec
from sco_payment.money import format_amount

PAYABLE = frozenset({"qr", "plate", "paper", "pay"})
"""Scenes that ask the customer to pay."""

if TYPE_CHECKING:
    from sco_payment.journal import Journal
    from sco_payment.order import Order, Result
    from sco_sim.paymaster import BankPayment
    from tests.verification.simulate.run import Run
    from tests.verification.simulate.wire import Request


class Violation(AssertionError):
    """An invariant is broken. `number` is the invariant's; 0 for the lane's own failure."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


class Truth:
    """What really happened to the money in a run."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._bodies: dict[str, bytes] = {}
        self._flying: Counter[str] = Counter()  # creates on their way to the bank, by key
        self._orders: dict[str, Order] = {}
        self._cancels: Counter[str] = Counter()
        self._delivered: dict[str, Result] = {}
        self._roll = 0
        self.goods: dict[str, str] = {}  # order -> the attempt that paid for it, or for its last leg
        self.legs: dict[str, str] = {}  # attempt that paid for a leg, and the till knows it -> order
        self.decided: set[int] = set()  # cases that the administrator has closed

    # --- the acquirer's side ---

    def payment_of(self, key: str) -> BankPayment | None:
        """The bank's payment of an attempt."""
        for payment in self._run.bank.payments.values():
            if payment.invoice.get("params", {}).get("attempt") == key:
                return payment
        return None

    def closed(self, key: str) -> bool:
        """Whether the attempt was not paid and cannot be paid any more."""
        payment = self.payment_of(key)
        if payment is not None:
            return payment.final and payment.status != "Settled"
        if not self._flying[key]:
            return True
        expires = msgspec.json.decode(self._bodies[key])["invoice"]["expires"]
        return datetime.fromisoformat(expires).timestamp() <= self._run.clock.s

    # --- what leaves the lane ---

    def leaves(self, request: Request) -> None:
        """A request has left the lane: invariants 3, 4, 7, and that its step was on disk before."""
        match request.what:
            case "create":
                self._create_leaves(request)
            case "cancel":
                self._cancel_leaves(str(request.payment_id))
            case "get" | "list" | "time":
                pass
            case other:
                raise Violation(0, f"the lane requests {other}")

    def _create_leaves(self, request: Request) -> None:
        key = request.header("idempotency-key") or ""
        data = msgspec.json.decode(request.body)
        order_no, params = data["invoice"]["orderNo"], data["invoice"]["params"]
        state = self._on_disk(key)
        if state is None:
            raise Violation(3, f"a payment is created and its attempt {key} is not on disk")
        if params["attempt"] != key:
            raise Violation(3, f"a payment is created with the key {key} and states the attempt {params['attempt']}")
        if self._bodies.setdefault(key, request.body) != request.body:
            raise Violation(3, f"the same key {key} with another body")
        sums = round(data["amount"]["value"] * 100), state.plan.total_kopecks
        order = self._run.order_of(order_no)
        if sums != (order.due_kopecks, order.kopecks):
            raise Violation(6, f"the legs do not add up to order {order_no}: {sums}, {order}")
        by_sbp = sum(self.asked_of(leg) for leg, number in self.legs.items() if number == order_no)
        if by_sbp + sums[0] + order.tendered_elsewhere > order.kopecks:
            raise Violation(6, f"order {order_no} is charged more than its total: {by_sbp} are paid by SBP, {order}")
        for other, body in self._bodies.items():
            if other == key or other in self.legs or self.closed(other):
                continue
            before = msgspec.json.decode(body)
            if before["invoice"]["orderNo"] == order_no:
                raise Violation(3, f"a second payment of order {order_no} ({key}); {self._describe(other)}")
            if state.plan.sticker_id is not None and not self._settled(other):
                raise Violation(7, f"the plate is armed for {order_no} ({key}); {self._describe(other)}")
        self._orders[key] = order
        self._flying[key] += 1

    def over(self, request: Request) -> None:
        """A request can have no further effect."""
        if request.what == "create":
            self._flying[request.header("idempotency-key") or ""] -= 1

    def _settled(self, key: str) -> bool:
        payment = self.payment_of(key)
        return payment is not None and payment.status == "Settled"

    def _describe(self, key: str) -> str:
        payment = self.payment_of(key)
        if payment is None:
            return f"a create of {key} has not arrived yet"
        return f"at the bank {payment.id} of {key} is {payment.status}"

    def _cancel_leaves(self, payment_id: str) -> None:
        payment = self._run.bank.payments.get(payment_id)
        key = payment.invoice.get("params", {}).get("attempt", "") if payment is not None else ""
        if key not in self._bodies:
            raise Violation(4, f"the lane cancels {payment_id}, which is none of its payments")
        self._cancels[key] += 1
        if self._cancels[key] > 1:
            raise Violation(4, f"a second cancellation of {payment_id}")
        state = self._on_disk(key)
        if state is None or state.cancel is not m.Cancel.ASKED:
            raise Violation(4, f"{payment_id} is cancelled and that is not on disk")

    def turned_away(self, request: Request) -> None:
        """The bank answers "too many requests": it has not looked at the request, which may be sent again."""
        payment = self._run.bank.payments.get(str(request.payment_id))
        if request.what == "cancel" and payment is not None:
            self._cancels[payment.invoice["params"]["attempt"]] -= 1

    def _on_disk(self, key: str) -> m.State | None:
        db = self._run.process.db
        query = "SELECT version, state FROM attempts WHERE attempt = ?"
        row = None if db is None else db.execute(query, (key,)).fetchone()
        return None if row is None else codec.decode_state(row[0], codec.from_json(row[1]))

    def _case_on_disk(self, key: str) -> int | None:
        db = self._run.process.db
        row = None if db is None else db.execute("SELECT number FROM cases WHERE attempt = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    # --- what the lane's software gets ---

    def delivered(self, result: Result) -> None:
        """The outcome of an attempt: invariants 1, 2, 4."""
        key, payment = result.key, self.payment_of(result.key)
        if key in self._delivered:
            raise Violation(1, f"the outcome of {key} is delivered twice")
        self._delivered[key] = result
        state = self._on_disk(key)
        if state is None or state.outcome is not result.outcome:
            raise Violation(1, f"{result.outcome} is delivered and is not on disk")
        match result.outcome:
            case m.Outcome.PAID:
                if state.phase is not m.Phase.PAID or payment is None or payment.status != "Settled":
                    raise Violation(1, f"paid is delivered; {self._describe(key)}")
                if payment.kopecks != result.kopecks:
                    raise Violation(1, f"paid is delivered; the bank took {payment.kopecks} of {result.kopecks}")
            case m.Outcome.UNKNOWN:
                if result.case is None or self._case_on_disk(key) != result.case:
                    raise Violation(2, f"unknown is delivered without a case on disk ({result.case})")
            case _:
                accepted = payment is not None and payment.id in self._run.bank.accepted
                if not accepted and not self.closed(key):
                    raise Violation(4, f"{result.outcome} is delivered; {self._describe(key)}")
                if result.outcome is m.Outcome.NOT_PRESENTED and payment is not None:
                    self._not_presented(payment)

    def _not_presented(self, payment: BankPayment) -> None:
        if payment.link in self._run.printer.codes:
            raise Violation(7, f"{payment.id} is reported as not presented, and its ticket came out")

    def goods_released(self, order: Order, key: str) -> None:
        """The lane's software releases the goods."""
        if order.number in self.goods:
            raise Violation(1, f"the goods of {order.number} are released twice")
        self.goods[order.number] = key

    def leg_counted(self, order: Order, key: str) -> None:
        """The lane's software knows that a leg is paid which is not the order's last one."""
        self.legs[key] = order.number

    # --- what a customer sees ---

    def shown(self, scene: Scene, order: Order | None) -> None:
        """The screen shows a scene: invariants 2 and 7."""
        numbered = scene.number.startswith("Обращение №") or RUSSIAN.out_of_service in scene.lines
        if scene.name == "attendant" and not numbered:
            raise Violation(2, "the customer is sent to the attendant without the number of a case")
        if scene.name not in PAYABLE or order is None:
            return
        due = order.due_kopecks
        if scene.amount != format_amount(due):
            raise Violation(7, f"the screen shows {scene.amount}, the leg is {format_amount(due)}")
        if scene.qr is not None and scene.qr != self._run.plate_link:
            matching = [p for p in self._run.bank.payments.values() if p.link == scene.qr]
            if (
                not matching
                or matching[0].invoice["orderNo"] != order.number
                or self._run.bank.asked[matching[0].id] != due
            ):
                raise Violation(7, f"the code on the screen is not one for {order.number} and {format_amount(due)}")

    def scanned(self, payment: BankPayment, order: Order) -> None:
        """A phone has found `payment` while the lane asked the customer to pay `order`: invariant 7."""
        due = order.due_kopecks
        if payment.invoice["orderNo"] != order.number or self._run.bank.asked[payment.id] != due:
            raise Violation(
                7,
                f"the lane asks for {order.number}, {due}; "
                f"the phone shows {payment.invoice['orderNo']}, {payment.kopecks}",
            )

    # --- at every step, and at the end ---

    def check(self) -> None:
        """After every event."""
        length = len(self._run.printer.machine.roll)
        if length == self._roll:
            return
        self._roll = length
        twice = [link for link, n in Counter(self._run.printer.codes).items() if n > 1]
        if twice:
            raise Violation(7, f"a ticket came out twice: {twice[0]}")

    def audit(self, journal: Journal) -> None:
        """After an invoice's life and the grace without faults: invariants 1, 2, 5, and the journal itself."""
        problems = journal.verify()
        if problems:
            raise Violation(0, f"the journal: {problems}")
        cases = {case.attempt: case for case in journal.cases(include_closed=True)}
        for state in journal.attempts():
            settled = state.phase in m.FINAL or state.phase is m.Phase.CLOSED
            if not settled and state.plan.key not in cases:
                raise Violation(5, f"{state.plan.key} of {state.plan.order_no} is still {state.phase.value}")
            if state.phase is m.Phase.UNPAID and self._settled(state.plan.key):
                raise Violation(4, f"{state.plan.key} is closed as unpaid; {self._describe(state.plan.key)}")
            if state.phase is m.Phase.PAID and not self._settled(state.plan.key):
                raise Violation(1, f"{state.plan.key} is closed as paid; {self._describe(state.plan.key)}")
        for key in self._bodies:
            payment = self.payment_of(key)
            released = key in self.goods.values() or key in self.legs
            if payment is None or payment.status != "Settled":
                if released:
                    raise Violation(1, f"goods were released; {self._describe(key)}")
                continue
            if not released and (key not in cases or cases[key].closed_at_ms is not None):
                raise Violation(2, f"the bank has the money of {payment.id}, no goods, no case that is open")
            if payment.kopecks != self.asked_of(key) and key not in cases:
                raise Violation(2, f"the bank took another amount for {payment.id}, no case")
        came_to: dict[str, set[str]] = defaultdict(set)
        for record in journal.records(limit=100_000):
            came_to[record.attempt].add(record.body.get("state", {}).get("phase", ""))
        for number in self.decided:
            case = journal.case(number)
            overtaken = came_to[case.attempt] & {"paid_late", "overdue", "refundable", "unsettled"}
            if case.closed_at_ms is None and not overtaken:
                raise Violation(2, f"the administrator closed case {number}, and the journal does not know it")
        for number, case in ((case.number, case) for case in cases.values()):
            if not journal.timeline(case.attempt):
                raise Violation(2, f"case {number} has no evidence")

    def asked_of(self, key: str) -> int:
        """The amount of the attempt, in kopecks."""
        return self._orders[key].due_kopecks
