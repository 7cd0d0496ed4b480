"""The runner of one lane: performs the machine's effects on the acquirer, devices, screen and journal, and feeds back
the answers. It decides nothing about money: every decision is made by `attempt.step`.

The order is always the same: step, write the step to disk, perform its effects. An effect whose step is not on disk is
not performed. One thread at a time runs the loop; requests and devices run in threads of the runtime.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from functools import partial

from sco_drivers.plain import one_line
from sco_payment import attempt as m
from sco_payment import unforeseen
from sco_payment.acquirer import CLOCKS_AGREE_S, Acquirer
from sco_payment.attempt import Message
from sco_payment.customer.display import CustomerDisplay
from sco_payment.customer.presenter import Presenter
from sco_payment.customer.ui import LaneUI
from sco_payment.events import (
    CancelSent,
    CaseOpened,
    NoteAdded,
    Observer,
    OutcomeReached,
    OutcomeTaken,
    StateChanged,
)
from sco_payment.journal import Journal, JournalError, resolutions
from sco_payment.money import format_amount
from sco_payment.order import NotAcceptable, Result, UnknownAttempt
from sco_payment.runtime import Runtime
from sco_payment.settings import Settings

log = logging.getLogger(__name__)

_JOURNAL_TRIES = 10
_JOURNAL_RETRY_MS = 1_000
_HEARD = (m.Created, m.PaymentStatusReceived, m.PaymentNotListed)
"""Answers that are certainly the acquirer's."""
_UNANSWERED = 2
"""From that many polls in a row without a status on, the customer reads that the payment is being checked."""
LINK_REFUSED = "the link is not shown: "
"""How the note begins that says why."""
_PAYABLE = frozenset({m.Phase.PRESENTING, m.Phase.WAITING, m.Phase.ASKING})


def _create_broken(seq: int, at: int, detail: str) -> m.Event:
    return m.CreateFailed(at, seq, detail, may_exist=True, final=False)


def _no_status(seq: int, at: int, detail: str) -> m.Event:
    return m.StatusUnavailable(at, seq, detail)


def _unanswered(seq: int, at: int, detail: str) -> m.Event:
    return m.CancelAnswered(at, seq, m.Cancel.UNANSWERED, detail)


class Loop:
    """The attempts of one lane, and what moves them. `Lane` calls it, from one thread at a time.

    Attributes:
        attempts: state of each attempt that may still change, and of the one under way, by key.
        cases: number of the case of each of them that has one.
        foreground: key of the payment under way.
        last_contact_ms: lane time of the acquirer's last answer; None before the first one.
        left_on_screen: key of the attempt that a crash may have left on the screen.
        unrecorded: keys of the attempts whose last step could not be put on disk.
        expected_by_ms: lane time by which the loop must run again; None while nothing is due.
        customer: printer, tag and screen.
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
        observer: Observer,
    ) -> None:
        self.attempts: dict[str, m.State] = {}
        self.cases: dict[str, int] = {}
        self.foreground: str | None = None
        self.left_on_screen: str | None = None
        self.unrecorded: dict[str, None] = {}
        self.expected_by_ms: int | None = None
        self.last_contact_ms: int | None = None
        self.observer = observer
        self.acquirer = acquirer
        self.customer = CustomerDisplay(
            settings,
            presenter=presenter,
            ui=ui,
            runtime=runtime,
            observer=observer,
            note=self.note,
            payable=self._payable,
        )
        self._journal = journal
        self._runtime = runtime
        self._stepping = threading.RLock()  # held while a state is read, stepped, recorded and stored
        self._recovered = False
        self._last_notes: dict[str, str] = {}
        self._failures: dict[str, str] = {}
        self._unanswered: dict[str, set[int]] = {}  # polls in a row without a status, by their seq
        self._resolutions_problem = ""
        self._clock_ahead_s = 0.0

    # --- attempts --------------------------------------------------------------------------------------------

    def begin(self, plan: m.Plan) -> tuple[m.Effect, ...]:
        """Put a new attempt on disk and in the foreground; returns the effects that are to be performed first."""
        state, effects = m.begin(plan)
        self._journal.record(None, state, effects, at_ms=self._runtime.now())
        self.attempts[plan.key] = state
        self.foreground, self.left_on_screen = plan.key, None
        return effects

    def load_open(self) -> None:
        """Once a process: take the journal's open attempts over, and clear what a crash may have left on the tag."""
        self.apply_resolutions()
        for key in list(self.unrecorded):
            self._start_over(key)
            self.unrecorded.pop(key, None)
        if self._recovered:
            return
        self.cases.update({case.attempt: case.number for case in self._journal.cases()})
        if self.cases:
            log.warning("open cases, which an operator must decide: %s", ", ".join(map(str, self.cases.values())))
        for state in self._journal.attempts(open_only=True):
            key = state.plan.key
            if key not in self.attempts:
                with self._stepping:  # its outcome may have been taken since
                    self.attempts[key] = self._journal.attempt(key) or state
                self.interrupted(self.attempts[key])
        self._recovered = True
        self.customer.withdraw(None)

    def interrupted(self, state: m.State) -> None:
        """Go on with an attempt whose lane died, or whose till failed.

        No code of it stays on the screen, and its customer, who may still be there, sees how it ends.
        """
        key = state.plan.key
        if state.phase not in m.BACKGROUND:
            self.left_on_screen = key
        if state.phase in m.FOREGROUND and self._on_screen(key):
            self.customer.show_interrupted(key)
        self._start_over(key)

    def _start_over(self, key: str) -> None:
        self.apply(key, m.Recovered(self._runtime.now()))
        if self.attempts[key].phase is m.Phase.PAID and key in self.cases:
            self._show(self.attempts[key], m.View.ATTENDANT)

    def forget_final(self) -> None:
        """Keep a final attempt in the journal only, once `pay` has finished with it."""
        kept = {*self.unrecorded, self.foreground}
        with self._stepping:
            self.attempts = {
                key: state for key, state in self.attempts.items() if state.phase not in m.FINAL or key in kept
            }
        for memory in (self.cases, self._last_notes, self._failures, self._unanswered):
            for key in [key for key in list(memory) if key not in self.attempts]:  # other threads add to them
                del memory[key]

    def apply_resolutions(self) -> None:
        """Record the operators' decisions on cases. Call it while no payment is under way."""
        problem = ""
        try:
            resolutions.apply_pending(self._journal)
        except JournalError as error:
            problem = str(error)
        if problem and problem != self._resolutions_problem:  # do not fill a full disk with this message
            log.critical("decisions on cases are not recorded yet: %s", problem)
        self._resolutions_problem = problem

    def choose(self, key: str, button: str) -> bool:
        """See `Lane.choose`. The screen may show the buttons a little longer than the attempt lasts."""
        state = self.attempts.get(key)
        return state is not None and state.outcome is None and self.customer.choose(key, button)

    def acknowledge(self, key: str) -> None:
        """See `Lane.acknowledge`. From any thread, also while another payment is under way."""
        with self._stepping:
            state = self._with_outcome(key)
            if state.delivered:
                return
            after, _ = self._step_apart(state, m.Delivered(self._runtime.now()))
        self.observer(OutcomeTaken(attempt=key, order_no=after.plan.order_no))

    def refuse_outcome(self, key: str, reason: str, *, unless_taken: bool) -> None:
        """See `Lane.refuse_outcome`: as if the lane had died before its till had the outcome."""
        with self._stepping:
            state = self._with_outcome(key)
            if state.outcome is not m.Outcome.PAID:
                raise NotAcceptable(f"attempt {key} is {state.outcome.value if state.outcome else '?'}, not paid")
            if state.case is not None or (state.delivered and unless_taken):
                return
            self.note(key, f"the till did not accept the outcome: {reason}", self._runtime.now())
            event = m.Recovered(self._runtime.now(), not_accepted=True)
            after, case = self._step_apart(state, event)
        self._report(state, event, after, case)
        if self.foreground in (None, key):
            self.left_on_screen = key
            self._show(after, m.View.ATTENDANT)

    def _with_outcome(self, key: str) -> m.State:
        state = self.attempts.get(key) or self._journal.attempt(key)
        if state is None:
            raise UnknownAttempt(f"no attempt {key!r} is in this lane's journal")
        if state.outcome is None:
            raise UnknownAttempt(f"attempt {key} has no outcome yet ({state.phase.value}): wait for its result")
        return state

    def _step_apart(self, state: m.State, event: m.Event) -> tuple[m.State, int | None]:
        """Step an attempt that the loop may have forgotten; its effects are all on disk. Hold `_stepping`."""
        after, effects = m.step(state, event)
        case = self._journal.record(event, after, effects, at_ms=self._runtime.now())
        if state.plan.key in self.attempts:
            self.attempts[state.plan.key] = after
        return after, case

    def result(self, state: m.State) -> Result:
        """The state of an attempt as the till gets it."""
        key = state.plan.key
        return Result(
            outcome=state.outcome,
            reason=state.reason,
            case=self.cases.get(key),
            key=key,
            payment_id=state.payment_id,
            order_no=state.plan.order_no,
            kopecks=state.plan.kopecks,
            phase=state.phase,
            presented=state.presented,
            detail=self._failures.get(key, "") if state.outcome is m.Outcome.NOT_PRESENTED else "",
        )

    # --- running ---------------------------------------------------------------------------------------------

    def run_once(self, until: int | None) -> bool:
        """Process one message or one round of ticks. Returns whether anything happened before `until`."""
        dues = [due for _, due in self._dues()]
        wake = min([*dues, *([] if until is None else [until])], default=None)
        self.expected_by_ms = wake  # None: nothing is due, it waits for an answer or for the customer
        message = self._runtime.receive(wake)
        self.expected_by_ms = self._runtime.now()
        if message is not None:
            key, event = message
            if key in self.attempts and key not in self.unrecorded:
                self._apply_or_set_aside(key, event)
            return True
        now = self._runtime.now()
        late = [key for key, due in self._dues() if due <= now]
        for key in late:
            self._apply_or_set_aside(key, m.Tick(now))
        return bool(late)

    def _dues(self) -> list[tuple[str, int]]:
        """When each attempt wants its next tick. One whose last step is not on disk waits for `load_open`."""
        dues = ((key, m.due(state)) for key, state in self.attempts.items() if key not in self.unrecorded)
        return [(key, due) for key, due in dues if due is not None]

    def _apply_or_set_aside(self, key: str, event: m.Event) -> None:
        """A step of another attempt that cannot be put on disk must not end the payment under way."""
        try:
            self.apply(key, event)
        except JournalError:
            if self.foreground in (None, key):
                raise

    def apply(self, key: str, event: m.Event) -> None:
        """Step the attempt, put the step on disk, and perform its effects.

        Raises:
            JournalError: the step is not on disk, and none of its effects was performed.
        """
        case: int | None = None
        with self._stepping:
            before = self.attempts[key]
            after, effects = m.step(before, event)
            self._note_answer(key, event)
            if after.reason is m.EndReason.LINK_REFUSED is not before.reason:
                self._note_refusal(key, m.refusal(before, event), event.at_ms)
            if isinstance(event, m.ANSWERS):
                self._compare_clocks(key, event.at_ms)
                if isinstance(event, _HEARD):
                    self.last_contact_ms = event.at_ms
            if m.significant(before, after, effects):
                case = self._record(event, after, effects)
            self.attempts[key] = after
        self._report(before, event, after, case)
        checking = self._checking(key)
        self._count_unanswered(before, event, after)
        self.perform(after, effects)
        if after.phase is before.phase is m.Phase.WAITING and checking is not self._checking(key):
            self._show(after, m.View.PAY)

    def _record(self, event: m.Event, after: m.State, effects: Iterable[m.Effect]) -> int | None:
        """Put the step on disk; returns the number of the case that it opened.

        A full disk is waited for, since the money may move all the same.
        """
        key = after.plan.key
        for remaining in reversed(range(_JOURNAL_TRIES)):
            try:
                return self._journal.record(event, after, effects, at_ms=self._runtime.now())
            except JournalError as error:
                log.critical("the journal cannot be written: %s", error)
                if not remaining:
                    # An answer is lost with its step: the attempt starts over as after a crash.
                    self.unrecorded[key] = None
                    raise
                self._runtime.pause(_JOURNAL_RETRY_MS)
        return None

    def _report(self, before: m.State, event: m.Event, after: m.State, case: int | None) -> None:
        key, order_no = after.plan.key, after.plan.order_no
        if case is not None:
            self.cases[key] = case
            self.observer(CaseOpened(attempt=key, order_no=order_no, case=case))
        self.report_state(before, after)
        if before.outcome is None and after.outcome is not None:
            self.observer(
                OutcomeReached(
                    attempt=key,
                    order_no=order_no,
                    outcome=after.outcome,
                    reason=after.reason,
                    amount_kopecks=after.plan.kopecks,
                    payment_id=after.payment_id,
                    case=self.cases.get(key),
                )
            )
        if after.delivered and not before.delivered:
            self.observer(OutcomeTaken(attempt=key, order_no=order_no))

    def report_state(self, before: m.State | None, after: m.State) -> None:
        """Report the phase to the observer if it is a new one."""
        if before is None or before.phase is not after.phase:
            self.observer(
                StateChanged(
                    attempt=after.plan.key,
                    order_no=after.plan.order_no,
                    phase=after.phase,
                    payment_id=after.payment_id,
                    expires_at_ms=after.plan.expires_at_ms,
                )
            )

    def _note_answer(self, key: str, event: m.Event) -> None:
        """Put answers on the timeline when they change: a case must show what was asked and answered."""
        match event:
            case m.PaymentStatusReceived():
                amount = format_amount(event.kopecks, currency=event.currency)
                text = f"acquirer: {event.status.value} ({event.acquirer_status}), {amount}"
                if not event.proved:
                    text += f"; that is payment {event.payment_id}, which agrees in order and sum and names no attempt"
            case m.StatusUnavailable():
                text = f"no answer from the acquirer: {event.detail}"
            case m.PaymentNotListed():
                text = "acquirer: no payment of this order"
            case m.CreateFailed():
                text = f"create: {event.detail}"
                self._failures[key] = event.detail
            case m.CancelAnswered():
                text = f"cancel: {event.result.value} {event.detail}".rstrip()
            case m.Presented():
                text = f"presented: {event.evidence}"
            case m.PresentFailed():
                text = f"not presented: {event.detail}"
                self._failures[key] = event.detail
            case _:
                return
        if self._last_notes.get(key) == text:
            return
        self._last_notes[key] = text
        self.note(key, text, event.at_ms)

    def _note_refusal(self, key: str, why: str, at: int) -> None:
        log.error("the link is not shown: %s", why)
        self._failures[key] = why
        self.note(key, f"{LINK_REFUSED}{why}", at)

    def _count_unanswered(self, before: m.State, event: m.Event, after: m.State) -> None:
        """Count the polls that brought no status: also one that the next overtook, and those before «Повторить»."""
        polls = self._unanswered.setdefault(after.plan.key, set())
        match event:
            case m.PaymentStatusReceived() | m.StatusUnavailable() if event.seq in (before.seq, before.earlier_seq):
                if after.last_status_at_ms != before.last_status_at_ms:
                    polls.clear()
                else:
                    polls.add(event.seq)
            case m.Retry() if after is not before:
                polls.update(range(-_UNANSWERED, 0))
        if after.earlier_seq:
            polls.add(after.earlier_seq)

    def _checking(self, key: str) -> bool:
        return len(self._unanswered.get(key, ())) >= _UNANSWERED

    def _compare_clocks(self, key: str, at: int) -> None:
        """Report a lane whose clock is wrong, and again when that changes."""
        ahead = self.acquirer.clock_ahead_s
        if ahead is None or abs(ahead) < CLOCKS_AGREE_S or abs(ahead - self._clock_ahead_s) < CLOCKS_AGREE_S:
            return
        self._clock_ahead_s = ahead
        text = f"the lane's clock is {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the acquirer's: set it"
        log.warning("%s", text)
        self.note(key, text, at)

    def note(self, key: str | None, text: str, at: int) -> None:
        """Put a note on the timeline of the attempt, if it belongs to one; from any thread."""
        text = one_line(text)
        self.observer(NoteAdded(attempt=key, text=text))
        if key is None:
            return
        try:
            self._journal.note(key, text, at_ms=at)
        except JournalError as error:
            log.error("a note is lost (%s): %s", text, error)

    # --- effects ---------------------------------------------------------------------------------------------

    def perform(self, state: m.State, effects: Iterable[m.Effect]) -> None:
        """Perform effects whose step is on disk."""
        key, plan = state.plan.key, state.plan
        effects = tuple(effects)
        for effect in effects:
            match effect:
                case m.SendCreate(seq=seq):
                    self._request(key, partial(self._create, plan, seq), partial(_create_broken, seq))
                case m.SendPoll(seq=seq, payment_id=payment_id):
                    self._request(key, partial(self.acquirer.status, payment_id, seq), partial(_no_status, seq))
                case m.SendFind(seq=seq):
                    self._request(key, partial(self._find, plan, seq), partial(_no_status, seq))
                case m.SendCancel(seq=seq, payment_id=payment_id):
                    self.observer(CancelSent(attempt=key, payment_id=payment_id))
                    self._request(key, partial(self.acquirer.cancel, payment_id, seq), partial(_unanswered, seq))
                case m.Present(link=link, verified=verified):
                    self.customer.present(state, link, verified)
                case m.Withdraw():
                    self.customer.withdraw(key, background=key != self.foreground)
                case m.Show(view=view):
                    self._show(state, view)
                case m.Finish() | m.OpenCase() | m.NoteCase():
                    pass  # on disk by now; `pay` returns the outcome
        if m.Withdraw() in effects:
            self.customer.withdraw_ticket(key, background=key != self.foreground)

    def _request(self, key: str, send: Callable[[], m.Event], broken: Callable[[int, str], m.Event]) -> None:
        """`broken` makes the event for a request that fails in an unforeseen way, so that no attempt hangs."""

        def work() -> Message:
            try:
                return key, send()
            except Exception as error:
                log.exception("a request to the acquirer failed in an unforeseen way")
                return key, broken(self._runtime.now(), unforeseen.describe(error))

        self._runtime.submit("acquirer", work)

    def _create(self, plan: m.Plan, seq: int) -> m.Event:
        return self.acquirer.create(plan, seq, self._other_payments(plan))

    def _find(self, plan: m.Plan, seq: int) -> m.Event:
        return self.acquirer.find(plan, seq, self._other_payments(plan))

    def _other_payments(self, plan: m.Plan) -> list[str]:
        """The ids of the order's other attempts: no answer about one of them is about this one."""
        found = self._journal.payment_ids(plan.order_no)
        return [payment_id for attempt, payment_id in found.items() if attempt != plan.key]

    def _payable(self, key: str) -> bool:
        state = self.attempts.get(key)
        return state is not None and state.phase in _PAYABLE

    def _on_screen(self, key: str) -> bool:
        """Only the payment under way is on the screen, or one that a crash interrupted and whose customer may still be
        there; attempts watched in the background are not."""
        return key == (self.foreground or self.left_on_screen)

    def _show(self, state: m.State, view: m.View) -> None:
        if self._on_screen(state.plan.key):
            key = state.plan.key
            self.customer.show(state, view, self.cases.get(key), checking=self._checking(key))
