"""The runner of one lane: performs the machine's effects on the bank, devices, screen and journal, and feeds back what
happened. It decides nothing about money: every decision is `machine.step`'s.

The order of things is always the same: step, put the step on disk, perform its effects. An effect whose step is not on
disk is not performed. One thread at a time runs the loop; requests and devices work in threads of the runtime.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Self

from sco_payment import attempt as m
from sco_payment.acquirer import Acquirer
from sco_payment.attempt import Message
from sco_payment.customer.display import CustomerDisplay
from sco_payment.customer.presenter import Presenter
from sco_payment.customer.ui import LaneUI
from sco_payment.events import Observer, null_observer
from sco_payment.journal import Journal, JournalError, resolutions
from sco_payment.money import format_amount
from sco_payment.runtime import Runtime
from sco_payment.settings import Settings

log = logging.getLogger(__name__)

_JOURNAL_TRIES = 10
_MOST_KOPECKS = 10**12
_JOURNAL_RETRY_MS = 1_000
_WATCH_S = 0.2
REFUNDS_ELSEWHERE = (
    "На кассах самообслуживания нет функциональности возврата чека. Для осуществления возврата средств воспользуйтесь "
    "кассами pos/touch. (A self-checkout makes no refunds: use a pos/touch till.)"
)
_PAYABLE = frozenset({m.Phase.PRESENTING, m.Phase.WAITING, m.Phase.ASKING})


class LaneError(Exception):
    """Base of what a lane refuses. Nothing was sent to the bank."""


class PaymentRefused(LaneError, ValueError):
    """This payment may not begin; the message says why and what to do."""


class RefundRefused(LaneError, NotImplementedError):
    """A self-checkout makes no refunds."""


@dataclass(frozen=True, slots=True)
class Order:
    """A customer's receipt: its number, its total, and what legs before this one have paid. Sums in kopecks."""

    number: str
    kopecks: int
    tendered_elsewhere: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt.

    Attributes:
        outcome: paid, unpaid, unknown, or not presented; None for one that still runs (in recovery).
        reason: why it ended so.
        case: number of the case that a person must decide; None for none.
        key, payment_id, order_no, kopecks: of the attempt.
        phase: where the attempt stands now.
        detail: of one that was not presented: what kept it from that, in words for the staff; else, and where that is
            not known, empty.
    """

    outcome: m.Outcome | None
    reason: m.EndReason
    case: int | None
    key: str
    payment_id: str | None
    order_no: str
    kopecks: int
    phase: m.Phase
    detail: str = ""


def _is_number(text: str) -> bool:
    return 1 <= len(text) <= 64 and text.isprintable() and text == text.strip()


def check_order(order: Order, settings: Settings) -> None:
    """Raises PaymentRefused for an order that no payment can be made of on a lane with these settings."""
    number = order.number
    if not isinstance(number, str) or not _is_number(number):
        raise PaymentRefused(f"the order number {number!r} must be a text of 1 to 64 printable characters")
    for name, value in (("kopecks", order.kopecks), ("tendered_elsewhere", order.tendered_elsewhere)):
        if type(value) is not int or abs(value) > _MOST_KOPECKS:  # 19.99 * 100 is 1998.9999999999998
            raise PaymentRefused(f"order {number}: {name} = {value!r} must be a whole number (int) of kopecks")
    if order.kopecks <= 0 or order.tendered_elsewhere < 0:
        raise PaymentRefused("the order's total must be more than zero, and what is paid otherwise not less than zero")
    if order.kopecks <= order.tendered_elsewhere:
        raise PaymentRefused(
            f"order {number}: {format_amount(order.tendered_elsewhere)} of {format_amount(order.kopecks)} "
            "are paid otherwise, nothing is left to pay"
        )
    if order.tendered_elsewhere and not (settings.lane.profile == "4:3" and settings.mode is m.Mode.SCREEN):
        raise PaymentRefused(
            "a mixed payment needs lane.profile 4:3 and display.mode 1; "
            f"this lane has {settings.lane.profile} and mode {settings.display.mode}"
        )


def _create_broken(seq: int, at: int, detail: str) -> m.Event:
    return m.CreateFailed(at, seq, detail, may_exist=True, final=False)


def _silent(seq: int, at: int, detail: str) -> m.Event:
    return m.StatusUnavailable(at, seq, detail)


def _unanswered(seq: int, at: int, detail: str) -> m.Event:
    return m.CancelAnswered(at, seq, m.Cancel.UNANSWERED, detail)


class Lane:
    """One self-checkout.

    Args:
        settings: validated settings.
        journal: the lane's journal, open for writing.
        acquirer: who is asked for payments.
        presenter: printer and tag.
        ui: the lane's screen.
        runtime: time and threads.
        observer: is told of each state, word of the bank, presentation and case.
        new_key: makes idempotency keys; random by default.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        journal: Journal,
        acquirer: Acquirer,
        presenter: Presenter,
        ui: LaneUI,
        runtime: Runtime[Message],
        observer: Observer = null_observer,
        new_key: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self.settings = settings
        self.journal = journal
        self._acquirer = acquirer
        self._runtime = runtime
        self._observer = observer
        self._new_key = new_key
        self._customer = CustomerDisplay(
            settings,
            presenter=presenter,
            ui=ui,
            runtime=runtime,
            observer=observer,
            remark=self._remark,
            payable=self._payable,
        )
        self._running = threading.RLock()
        self._attempts: dict[str, m.State] = {}
        self._recovered = False
        self._stuck: dict[str, None] = {}  # attempts, in order, whose last step could not be put on disk
        self._foreground: str | None = None
        self._cancel_wanted = False  # since `pay` was called; there may be no attempt to tell it yet
        self._left_standing: str | None = None  # the attempt that a crash may have left on the screen
        self._cases: dict[str, int] = {}
        self._heard: dict[str, str] = {}
        self._resolutions_wait_for = ""
        self._failed: dict[str, str] = {}
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None
        self._expected_by_ms: int | None = None  # lane time by which a loop of ours comes round; None while none must

    # --- paying ----------------------------------------------------------------------------------------------

    def pay(self, order: Order, *, deliver: Callable[[Result], None] | None = None) -> Result:
        """Take one SBP leg: what the order still lacks. Returns when the customer has an outcome.

        Args:
            order: its number, total, and what is paid otherwise.
            deliver: is called once with the result when that is on disk; when it returns, the outcome counts as taken
                by the lane's software. A lane that dies before that leaves a case for a paid attempt.

        Raises:
            PaymentRefused: it may not begin; nothing was sent.
            JournalError: the journal cannot be written. Before the first step nothing was sent; after it the attempt is
                in the journal as open, and `recover` finishes it.
        """
        with self._running_loop():
            if self._foreground is not None:  # the same thread once more: from `deliver`, or from an observer
                raise PaymentRefused("a payment is under way: begin the next one when `pay` has returned")
            self._cancel_wanted = False
            plan = self._plan(order)
            self._load_open()
            self._pass_gate(plan)
            plan = self._plan(order)  # the gate takes its time: the schedule begins behind it
            state, effects = m.begin(plan)
            self.journal.record(None, state, effects, at_ms=self._runtime.now())
            self._attempts[plan.key] = state
            self._foreground, self._left_standing = plan.key, None
            taken = False
            try:
                self._tell_state(None, state)
                if self._cancel_wanted:
                    self.cancel()  # heard before any answer of the bank: what is not wanted any more is not shown
                self._perform(state, effects)
                while self._attempts[plan.key].outcome is None:
                    self._run_once(None)
                result = self._result(self._attempts[plan.key])
                self._expected_by_ms = None  # how long that takes is not ours
                if deliver is not None:
                    deliver(result)
                self._apply(plan.key, m.Delivered(self._runtime.now()))
                taken = True
            finally:
                self._foreground = None
                if plan.key in self._stuck:
                    self._customer.stop_asking(self._attempts[plan.key])
                elif not taken:  # as if the lane had died there
                    self._interrupted(self._attempts[plan.key])
                self._forget_final()
        return result

    def linger(self) -> None:
        """Leave the outcome before the customer for `lane.result_s`. The outcome itself was delivered before."""
        self._runtime.pause(round(self.settings.lane.result_s * 1000))

    def cancel(self) -> None:
        """The customer or the attendant cancels the payment under way. From any thread or a signal handler."""
        self._cancel_wanted = True  # before the look at the attempt: one of `pay` and this sees the other
        key = self._foreground
        if key is not None:
            self._runtime.post((key, m.CancelWanted(self._runtime.now())))

    def enable_tag(self) -> None:
        """A person has looked at the NFC tag that was put out of use: it may be used again if it is found well."""
        self._customer.enable_tag()

    def refund(self, order_no: str) -> None:
        """Refuse.

        Raises:
            RefundRefused: always; says where refunds are made.
        """
        raise RefundRefused(f"{order_no}: {REFUNDS_ELSEWHERE}")

    def _plan(self, order: Order) -> m.Plan:
        settings = self.settings
        check_order(order, settings)
        now = self._runtime.now()
        static = settings.mode is m.Mode.PLATE and settings.display.plate == "static"
        return m.Plan(
            key=self._new_key(),
            order_no=order.number,
            kopecks=order.kopecks - order.tendered_elsewhere,
            currency="RUB",
            mode=settings.mode,
            begun_at_ms=now,
            # whole seconds: `expires` has no more on the wire, and both sides must mean the same moment
            expires_at_ms=(now + round(settings.timing.invoice_life_s * 1000)) // 1000 * 1000,
            sticker_id=settings.display.sticker_id if static else None,
            plate_link=settings.display.plate_link if static else None,
            tendered_elsewhere=order.tendered_elsewhere,
            timing=settings.machine_timing,
        )

    def _pass_gate(self, plan: m.Plan) -> None:
        """No new attempt beside one that may be paid. One left by a crash is first asked about at the bank."""
        reason = self._gate(plan)
        limit = self._runtime.now() + plan.timing.confirm_ms
        while reason is not None and self._settling(plan) and self._runtime.now() < limit:
            self._run_once(limit)
            reason = self._gate(plan)
        if reason is not None:
            raise PaymentRefused(reason + ": see `sco-pay cases` and `sco-pay recover`")

    def _gate(self, plan: m.Plan) -> str | None:
        return m.gate(plan.order_no, plan.sticker_id, self.journal.conflicting_attempts(plan.order_no))

    def _settling(self, plan: m.Plan) -> bool:
        """Whether the loop can still learn something about what stands in the plan's way."""
        return any(
            state.phase not in m.FINAL
            and (state.plan.order_no == plan.order_no or state.plan.sticker_id == plan.sticker_id is not None)
            for state in self._attempts.values()
        )

    # --- recovery and watching -------------------------------------------------------------------------------

    def recover(self, *, follow: bool = False) -> list[Result]:
        """Look after every open attempt of the journal: ask the bank, cancel once what nobody can pay any more.

        Args:
            follow: go on until every attempt is final, at most to the last invoice's end plus grace; else until each
                has an outcome and has been asked about once.

        Returns:
            Where each attempt that was open stands now.

        Raises:
            JournalError: the journal cannot be written.
        """
        with self._running_loop():
            self._load_open()
            keys = list(self._attempts)
            while any(self._unfinished(self._attempts[key], follow) for key in keys):
                self._run_once(None)
            results = [self._result(self._attempts[key]) for key in keys]
            self._forget_final()
        return results

    def _unfinished(self, state: m.State, follow: bool) -> bool:
        if state.phase in m.FINAL:
            return False
        return follow or state.outcome is None or state.busy

    def start(self) -> None:
        """Look after open attempts and the tag in a thread of its own, while no payment is under way, until `close`."""
        if self._watcher is None:
            watcher = threading.Thread(target=self._watch, name="sco-watch", daemon=True)
            watcher.start()
            self._watcher = watcher
            self._expected_by_ms = self._runtime.now()

    def stalled_for_s(self) -> float:
        """How long ago the lane's own loop should have come round, in s; 0 while nothing is late. From any thread.

        A watchdog asks it: `pay` and the thread of `start` hang, or have ended, when this grows. Ten seconds or so pass
        while a full disk is waited for, and `deliver` does not count. A device or a screen that hangs is not seen here:
        the payment goes on without it.
        """
        by = self._expected_by_ms
        return 0.0 if by is None else max(0.0, (self._runtime.now() - by) / 1000)

    @contextmanager
    def _running_loop(self) -> Iterator[None]:
        """The one loop that runs now. Behind it only the watcher must come round, where there is one."""
        with self._running:
            self._expected_by_ms = self._runtime.now()
            try:
                yield
            finally:
                idle = self._watcher is None or self._foreground is not None  # or back in `deliver`, which had called
                self._expected_by_ms = None if idle else self._runtime.now()

    def _watch(self) -> None:
        while not self._closed.wait(_WATCH_S):
            try:
                self.run_pending()
            except Exception:  # no thread to be had, a fault of ours: late money is watched for all the same
                log.exception("open attempts could not be looked after this time")

    def run_pending(self) -> None:
        """Do for open attempts and the tag what is due, and return at once; `start` calls it in a thread of its own.

        For integrators with a loop of their own: to be called some times a second while no payment is under way.
        """
        with self._running_loop():
            if self._closed.is_set():
                return
            try:
                self._load_open()
                while self._run_once(self._runtime.now()):
                    pass
                self._forget_final()
                self._customer.look_at_tag()
                self._customer.look_at_printer()
            except JournalError as error:
                log.critical("open attempts cannot be looked after: %s", error)

    def _apply_resolutions(self) -> None:
        """What persons have decided meanwhile: while no payment is under way, before the next one, and at the end."""
        problem = ""
        try:
            resolutions.apply_pending(self.journal)
        except JournalError as error:
            problem = str(error)
        if problem and problem != self._resolutions_wait_for:  # a full disk is not filled with this
            log.critical("decisions on cases wait on: %s", problem)
        self._resolutions_wait_for = problem

    def _load_open(self) -> None:
        """Once a process: take the journal's open attempts over, and clear what a crash may have left on the tag."""
        self._apply_resolutions()
        for key in list(self._stuck):
            self._apply(key, m.Recovered(self._runtime.now()))
            self._stuck.pop(key, None)
        if self._recovered:
            return
        self._cases.update({case.attempt: case.number for case in self.journal.cases()})
        if self._cases:
            log.warning("open cases, which a person must decide: %s", ", ".join(map(str, self._cases.values())))
        for state in self.journal.attempts(open_only=True):
            if state.plan.key not in self._attempts:
                self._attempts[state.plan.key] = state
                self._interrupted(state)
        self._recovered = True
        self._customer.withdraw(None)

    def _interrupted(self, state: m.State) -> None:
        """Go on with an attempt whose lane died, or whose software failed. No code of it stays on the screen, and its
        customer, who may still stand there, sees what comes of it."""
        key = state.plan.key
        if state.phase is not m.Phase.WATCHING:
            self._left_standing = key
        if state.phase in m.FOREGROUND:
            self._show(replace(state, phase=m.Phase.CONFIRMING), m.View.WAIT)
        self._apply(key, m.Recovered(self._runtime.now()))
        if self._attempts[key].phase is m.Phase.PAID and key in self._cases:
            self._show(self._attempts[key], m.View.ATTENDANT)

    def _forget_final(self) -> None:
        """A final attempt lives in the journal only, once `pay` is done with it."""
        kept = {*self._stuck, self._foreground}
        self._attempts = {
            key: state for key, state in self._attempts.items() if state.phase not in m.FINAL or key in kept
        }
        for memory in (self._cases, self._heard, self._failed):
            for key in [key for key in memory if key not in self._attempts]:
                del memory[key]

    # --- the loop --------------------------------------------------------------------------------------------

    def _run_once(self, until: int | None) -> bool:
        """One message or one round of ticks. Returns whether anything happened before `until`."""
        dues = [due for state in self._attempts.values() if (due := m.due(state)) is not None]
        wake = min([*dues, *([] if until is None else [until])], default=None)
        self._expected_by_ms = wake  # without one nothing is due: it waits for an answer, or for a person
        message = self._runtime.receive(wake)
        self._expected_by_ms = self._runtime.now()
        if message is not None:
            key, event = message
            if key in self._attempts:
                self._apply(key, event)
            return True
        now = self._runtime.now()
        late = [key for key, state in self._attempts.items() if (due := m.due(state)) is not None and due <= now]
        for key in late:
            self._apply(key, m.Tick(now))
        return bool(late)

    def _apply(self, key: str, event: m.Event) -> None:
        before = self._attempts[key]
        after, effects = m.step(before, event)
        self._note_word(key, event)
        if m.significant(before, after, effects):
            self._record(event, after, effects)
        self._attempts[key] = after
        self._tell_state(before, after)
        self._perform(after, effects)

    def _record(self, event: m.Event, after: m.State, effects: Iterable[m.Effect]) -> None:
        """On disk, or nothing happens. A full disk is waited for, since the money is on its way all the same."""
        key = after.plan.key
        for remaining in reversed(range(_JOURNAL_TRIES)):
            try:
                case = self.journal.record(event, after, effects, at_ms=self._runtime.now())
            except JournalError as error:
                log.critical("the journal cannot be written: %s", error)
                if not remaining:
                    self._stuck[key] = None  # an answer is lost with its step: the attempt starts over as after a crash
                    raise
                self._runtime.pause(_JOURNAL_RETRY_MS)
            else:
                if case is not None:
                    self._cases[key] = case
                    self._observer("case", {"number": case, "attempt": key, "order": after.plan.order_no})
                return

    def _note_word(self, key: str, event: m.Event) -> None:
        """The bank's words go on the timeline when they change: a case must show what was asked and answered."""
        match event:
            case m.PaymentStatusReceived():
                amount = format_amount(event.kopecks, sign=event.currency)
                text = f"acquirer: {event.status.value} ({event.acquirer_status}), {amount}"
                if not event.proved:
                    text += f"; that is payment {event.payment_id}, which agrees in order and sum and names no attempt"
            case m.StatusUnavailable():
                text = f"no word from the bank: {event.detail}"
            case m.PaymentNotListed():
                text = "bank: no payment of this order"
            case m.CreateFailed():
                text = f"create: {event.detail}"
                self._failed[key] = event.detail
            case m.CancelAnswered():
                text = f"cancel: {event.result.value} {event.detail}".rstrip()
            case m.Presented():
                text = f"presented: {event.evidence}"
            case m.PresentFailed():
                text = f"not presented: {event.detail}"
                self._failed[key] = event.detail
            case _:
                return
        if self._heard.get(key) == text:
            return
        self._heard[key] = text
        self._remark(key, text, event.at_ms)

    def _remark(self, key: str | None, text: str, at: int) -> None:
        """On the attempt's timeline, where it belongs to one; from any thread."""
        self._observer("note", {"attempt": key, "text": text})
        if key is None:
            return
        try:
            self.journal.note(key, text, at_ms=at)
        except JournalError as error:
            log.error("a remark is lost (%s): %s", text, error)

    def _tell_state(self, before: m.State | None, after: m.State) -> None:
        if before is None or before.phase is not after.phase:
            self._observer(
                "state",
                {
                    "attempt": after.plan.key,
                    "order": after.plan.order_no,
                    "phase": after.phase.value,
                    "payment_id": after.payment_id,
                    "expires_at": after.plan.expires_at_ms / 1000,
                },
            )

    # --- effects ---------------------------------------------------------------------------------------------

    def _perform(self, state: m.State, effects: Iterable[m.Effect]) -> None:
        key, plan = state.plan.key, state.plan
        for effect in effects:
            match effect:
                case m.SendCreate(seq=seq):
                    self._ask(key, partial(self._create, plan, seq), partial(_create_broken, seq))
                case m.SendPoll(seq=seq, payment_id=payment_id):
                    self._ask(key, partial(self._acquirer.status, payment_id, seq), partial(_silent, seq))
                case m.SendFind(seq=seq):
                    self._ask(key, partial(self._find, plan, seq), partial(_silent, seq))
                case m.SendCancel(seq=seq, payment_id=payment_id):
                    self._observer("cancel", {"attempt": key, "payment_id": payment_id})
                    self._ask(key, partial(self._acquirer.cancel, payment_id, seq), partial(_unanswered, seq))
                case m.Present(link=link, verified=verified):
                    self._customer.present(state, link, verified)
                case m.Withdraw():
                    self._customer.withdraw(key, background=key != self._foreground)
                case m.Show(view=view):
                    self._show(state, view)
                case m.Finish() | m.OpenCase() | m.NoteCase():
                    pass  # on disk by now; `pay` returns the outcome

    def _ask(self, key: str, request: Callable[[], m.Event], broken: Callable[[int, str], m.Event]) -> None:
        """`broken` makes the event for a request that fails in an unforeseen way: no attempt waits for ever."""

        def work() -> Message:
            try:
                return key, request()
            except Exception as error:
                log.exception("a request to the bank failed in an unforeseen way")
                return key, broken(self._runtime.now(), f"unforeseen: {type(error).__name__}")

        self._runtime.submit("bank", work)

    def _create(self, plan: m.Plan, seq: int) -> m.Event:
        return self._acquirer.create(plan, seq, self._foreign(plan))

    def _find(self, plan: m.Plan, seq: int) -> m.Event:
        return self._acquirer.find(plan, seq, self._foreign(plan))

    def _foreign(self, plan: m.Plan) -> list[str]:
        """The ids of the order's other attempts: no answer about one of them is about this one."""
        others = self.journal.of_order(plan.order_no)
        return [other.payment_id for other in others if other.payment_id and other.plan.key != plan.key]

    def _payable(self, key: str) -> bool:
        state = self._attempts.get(key)
        return state is not None and state.phase in _PAYABLE

    def _show(self, state: m.State, view: m.View) -> None:
        """Only the payment under way is on the screen, or the one that a crash interrupted and whose customer may still
        stand there; attempts watched in the background are not."""
        if state.plan.key == (self._foreground or self._left_standing):
            self._customer.show(state, view, self._cases.get(state.plan.key))

    def _result(self, state: m.State) -> Result:
        return Result(
            outcome=state.outcome,
            reason=state.reason,
            case=self._cases.get(state.plan.key),
            key=state.plan.key,
            payment_id=state.payment_id,
            order_no=state.plan.order_no,
            kopecks=state.plan.kopecks,
            phase=state.phase,
            detail=self._failed.get(state.plan.key, "") if state.outcome is m.Outcome.NOT_PRESENTED else "",
        )

    # --- end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let the devices finish, then give all back, the journal too when a screen or driver raises at that. Open
        attempts stay in the journal."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join(5.0)
        self._expected_by_ms = None
        with ExitStack() as closing:  # the last one named is the first one closed
            for owned in (self.journal, self._acquirer, self._customer, self._runtime):
                closing.callback(owned.close)
            closing.callback(self._apply_resolutions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
