"""The invariants of `sco_payment.attempt`, checked against what really happened: the acquirer's books, the paper, the
screen, the journal on disk. What the lane believes counts only where it has reported it.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from sco_drivers.screen import Scene
from sco_payment import attempt as m
from sco_payment.customer.texts import RUSSIAN
from sco_payment.events import NoteAdded, StateChanged
from sco_payment.journal import codec
from sco_payment.money import format_amount

PAYABLE = frozenset({"qr", "plate", "paper", "pay"})
"""Scenes that ask the customer to pay."""

if TYPE_CHECKING:
    from sco_payment.events import LaneEvent
    from sco_payment.order import Order, Result
    from sco_sim.paymaster import BankPayment
    from tests.verification.simulate.run import Process, Run
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
        self._flying: Counter[str] = Counter()  # creates on their way to the bank, by key
        self._orders: dict[str, Order] = {}
        self._begun: dict[str, float] = {}  # attempt -> when its first create left
        self._delivered: dict[str, Result] = {}
        self._roll = 0
        self.bodies: dict[str, bytes] = {}  # attempt -> the create that left
        self.cancels: Counter[str] = Counter()  # cancellations that left, by attempt
        self.goods: dict[str, str] = {}  # order -> the attempt that paid for it, or for its last leg
        self.legs: dict[str, str] = {}  # attempt that paid for a leg, and the till knows it -> order
        self.known_as_paid: set[str] = set()  # attempts of which the lane has heard that they are paid
        self.ended: dict[str, float] = {}  # attempt -> when it came to a final phase
        self.decided: dict[int, m.Phase] = {}  # cases that the administrator has closed, and in which phase
        self.warned: Process | None = None  # the last process that reported a wrong clock

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
        expires = msgspec.json.decode(self.bodies[key])["invoice"]["expires"]
        return datetime.fromisoformat(expires).timestamp() <= self._run.clock.s

    def life_ends(self, payment: BankPayment) -> float:
        """When a payment is over for the customer who saw it, by the bank's clock."""
        begun = self._begun.get(payment.invoice.get("params", {}).get("attempt"), payment.created)
        end = begun + self._run.settings.timing.invoice_life_s
        return end if payment.expires is None else min(end, payment.expires)

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
        if self.bodies.setdefault(key, request.body) != request.body:
            raise Violation(3, f"the same key {key} with another body")
        sums = round(data["amount"]["value"] * 100), state.plan.total_kopecks
        order = self._run.order_of(order_no)
        if sums != (order.due_kopecks, order.kopecks):
            raise Violation(6, f"the legs do not add up to order {order_no}: {sums}, {order}")
        by_sbp = sum(self.asked_of(leg) for leg, number in self.legs.items() if number == order_no)
        if by_sbp + sums[0] + order.tendered_elsewhere > order.kopecks:
            raise Violation(6, f"order {order_no} is charged more than its total: {by_sbp} are paid by SBP, {order}")
        others = {} if key in self._begun else self.bodies  # a create that is sent again is no second payment
        for other, body in others.items():
            if other == key or other in self.legs or self.closed(other) or self._was_closed(other):
                continue
            before = msgspec.json.decode(body)
            if before["invoice"]["orderNo"] == order_no:
                raise Violation(3, f"a second payment of order {order_no} ({key}); {self.describe(other)}")
            if state.plan.sticker_id is not None and not self.settled(other):
                raise Violation(7, f"the plate is armed for {order_no} ({key}); {self.describe(other)}")
        self._orders[key] = order
        self._begun.setdefault(key, self._run.clock.s)
        self._flying[key] += 1

    def over(self, request: Request) -> None:
        """A request can have no further effect."""
        if request.what == "create":
            self._flying[request.header("idempotency-key") or ""] -= 1

    def _was_closed(self, key: str) -> bool:
        """Whether the acquirer said that the attempt is closed, and the lane has not heard of the money that came all
        the same: that money is a case."""
        payment, state = self.payment_of(key), self._on_disk(key)
        words = () if payment is None else tuple(word for _, word in payment.history)
        said = "Rejected" in words or "Cancelled" in words
        gone = state is not None and state.phase in (m.Phase.CLOSED, m.Phase.UNPAID)
        return said and gone and key not in self.known_as_paid

    def settled(self, key: str) -> bool:
        """Whether the bank has the money of an attempt."""
        payment = self.payment_of(key)
        return payment is not None and payment.status == "Settled"

    def describe(self, key: str) -> str:
        """What the bank knows of an attempt, for a report."""
        payment = self.payment_of(key)
        if payment is None:
            return f"a create of {key} has not arrived yet"
        return f"at the bank {payment.id} of {key} is {payment.status}"

    def _cancel_leaves(self, payment_id: str) -> None:
        payment = self._run.bank.payments.get(payment_id)
        key = payment.invoice.get("params", {}).get("attempt", "") if payment is not None else ""
        if key not in self.bodies:
            raise Violation(4, f"the lane cancels {payment_id}, which is none of its payments")
        self.cancels[key] += 1
        if self.cancels[key] > 1:
            raise Violation(4, f"a second cancellation of {payment_id}")
        state = self._on_disk(key)
        if state is None or state.cancel is not m.Cancel.ASKED:
            raise Violation(4, f"{payment_id} is cancelled and that is not on disk")

    def turned_away(self, request: Request) -> None:
        """The bank answers "too many requests": it has not looked at the request, which may be sent again."""
        payment = self._run.bank.payments.get(str(request.payment_id))
        if request.what == "cancel" and payment is not None:
            self.cancels[payment.invoice["params"]["attempt"]] -= 1

    def _on_disk(self, key: str) -> m.State | None:
        db = self._run.process.db
        query = "SELECT version, state FROM attempts WHERE attempt = ?"
        row = None if db is None else db.execute(query, (key,)).fetchone()
        return None if row is None else codec.decode_state(row[0], codec.from_json(row[1]))

    def _case_on_disk(self, key: str) -> int | None:
        db = self._run.process.db
        row = None if db is None else db.execute("SELECT number FROM cases WHERE attempt = ?", (key,)).fetchone()
        return None if row is None else int(row[0])

    # --- what the lane reports ---

    def observed(self, event: LaneEvent) -> None:
        """The lane reports an event: invariant 4."""
        key = event.attempt or ""
        if isinstance(event, StateChanged) and event.phase in m.FINAL:
            self.ended.setdefault(key, self._run.clock.s)
        if not isinstance(event, NoteAdded):
            return
        if event.text.startswith("acquirer: paid "):
            self.known_as_paid.add(key)
        if "clock is" in event.text:
            self.warned = self._run.process
        sent = event.text.startswith(("cancel: accepted", "cancel: refused", "cancel: unanswered"))
        if sent and not self.cancels[key]:
            raise Violation(4, f"the lane counts a cancellation of {key} that never left it: {event.text}")

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
                    raise Violation(1, f"paid is delivered; {self.describe(key)}")
                if payment.id in self._run.bank.unseen:
                    raise Violation(1, f"paid is delivered; nobody could see the link of {payment.id}")
                if payment.kopecks != result.kopecks:
                    raise Violation(1, f"paid is delivered; the bank took {payment.kopecks} of {result.kopecks}")
            case m.Outcome.UNKNOWN:
                if result.case is None or self._case_on_disk(key) != result.case:
                    raise Violation(2, f"unknown is delivered without a case on disk ({result.case})")
            case _:
                accepted = payment is not None and payment.id in self._run.bank.accepted
                if not accepted and not self.closed(key):
                    raise Violation(4, f"{result.outcome} is delivered; {self.describe(key)}")
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

    # --- at every step ---

    def check(self) -> None:
        """After every event."""
        length = len(self._run.printer.machine.roll)
        if length == self._roll:
            return
        self._roll = length
        twice = [link for link, n in Counter(self._run.printer.codes).items() if n > 1]
        if twice:
            raise Violation(7, f"a ticket came out twice: {twice[0]}")

    def asked_of(self, key: str) -> int:
        """The amount of the attempt, in kopecks."""
        return self._orders[key].due_kopecks
