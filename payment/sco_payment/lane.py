"""The runner of one lane: performs the machine's effects on the bank, devices, screen and journal, and feeds back what
happened. It decides nothing about money: every decision is `machine.step`'s.

The order of things is always the same: step, put the step on disk, perform its effects. An effect whose step is not on
disk is not performed. One thread at a time runs the loop; requests and devices work in threads of the runtime.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, Self

from sco_drivers.errors import DeviceError
from sco_payment import machine as m
from sco_payment.acquirer import Bank
from sco_payment.journal import Journal, JournalError
from sco_payment.money import for_people
from sco_payment.present import Presentation, Presenter
from sco_payment.runtime import Runtime
from sco_payment.settings import Settings
from sco_payment.texts import LANGUAGES
from sco_payment.ui import Choice, LaneDialog, LaneScreen, LaneUI

log = logging.getLogger(__name__)

Message = tuple[str, m.Event]
_JOURNAL_TRIES = 10
_JOURNAL_RETRY_MS = 1_000
REFUNDS_ELSEWHERE = (
    "На кассах самообслуживания нет функциональности возврата чека. Для осуществления возврата средств воспользуйтесь "
    "кассами pos/touch. (A self-checkout makes no refunds: use a pos/touch till.)"
)
_CANCELLABLE = frozenset({m.Phase.CREATING, m.Phase.PRESENTING, m.Phase.WAITING})


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
    paid_otherwise: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an attempt.

    Attributes:
        outcome: paid, unpaid, unknown, or not presented; None for one that still runs (in recovery).
        why: why it ended so.
        case: number of the case that a person must decide; None for none.
        key, payment_id, order_no, kopecks: of the attempt.
        phase: where the attempt stands now.
    """

    outcome: m.Outcome | None
    why: m.Why
    case: int | None
    key: str
    payment_id: str | None
    order_no: str
    kopecks: int
    phase: m.Phase


class Observer(Protocol):
    """Is told what happens, for logs and live output. Must not raise and must return soon."""

    def __call__(self, name: str, data: Mapping[str, Any]) -> None: ...


def _create_broken(seq: int, at: int, detail: str) -> m.Event:
    return m.CreateFailed(at, seq, detail, may_exist=True, final=False)


def _silent(seq: int, at: int, detail: str) -> m.Event:
    return m.BankSilent(at, seq, detail)


def _unanswered(seq: int, at: int, detail: str) -> m.Event:
    return m.CancelAnswered(at, seq, m.Cancel.UNANSWERED, detail)


def nobody(name: str, data: Mapping[str, Any]) -> None:
    """The observer of a lane that nobody watches."""


class Lane:
    """One self-checkout.

    Args:
        settings: validated settings.
        journal: the lane's journal, open for writing.
        bank: PayMaster, through `acquirer.Bank`.
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
        bank: Bank,
        presenter: Presenter,
        ui: LaneUI,
        runtime: Runtime[Message],
        observer: Observer = nobody,
        new_key: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self.settings = settings
        self.journal = journal
        self._bank = bank
        self._presenter = presenter
        self._ui = ui
        self._runtime = runtime
        self._observer = observer
        self._new_key = new_key
        self._texts = LANGUAGES[settings.lane.language]
        self._running = threading.RLock()
        self._attempts: dict[str, m.State] = {}
        self._recovered = False
        self._stuck: set[str] = set()  # attempts whose last step could not be put on disk
        self._foreground: str | None = None
        self._cases: dict[str, int] = {}
        self._heard: dict[str, str] = {}
        self._shown: tuple[str, LaneScreen] | None = None
        self._presented: Presentation | None = None
        self._tag_dirty = True  # until it is known to be clear: a crash may have left a link on it
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

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
        with self._running:
            plan = self._plan(order)
            self._load_open()
            self._pass_gate(plan)
            state, effects = m.begin(plan)
            self.journal.record(None, state, effects, at=self._runtime.now())
            self._attempts[plan.key] = state
            self._foreground = plan.key
            taken = False
            try:
                self._tell_state(None, state)
                self._perform(state, effects)
                while self._attempts[plan.key].outcome is None:
                    self._turn(None)
                result = self._result(self._attempts[plan.key])
                if deliver is not None:
                    deliver(result)
                self._apply(plan.key, m.Delivered(self._runtime.now()))
                taken = True
            finally:
                self._foreground = None
                if not taken and plan.key not in self._stuck:
                    self._apply(plan.key, m.Recovered(self._runtime.now()))  # as if the lane had died there
                self._forget_final()
        return result

    def linger(self) -> None:
        """Leave the outcome before the customer for `lane.result_s`. The outcome itself was delivered before."""
        self._runtime.pause(round(self.settings.lane.result_s * 1000))

    def cancel(self) -> None:
        """The customer or the attendant cancels the payment under way. From any thread or a signal handler."""
        key = self._foreground
        if key is not None:
            self._runtime.post((key, m.CancelWanted(self._runtime.now())))

    def refund(self, order_no: str) -> None:
        """Refuse.

        Raises:
            RefundRefused: always; says where refunds are made.
        """
        raise RefundRefused(f"{order_no}: {REFUNDS_ELSEWHERE}")

    def _plan(self, order: Order) -> m.Plan:
        number, settings = order.number, self.settings
        if not number or len(number) > 64 or not number.isprintable() or number != number.strip():
            raise PaymentRefused(f"the order number {number!r} must be 1 to 64 printable characters")
        if order.kopecks <= 0 or order.paid_otherwise < 0:
            raise PaymentRefused(
                "the order's total must be more than zero, and what is paid otherwise not less than zero"
            )
        rest = order.kopecks - order.paid_otherwise
        if rest <= 0:
            raise PaymentRefused(
                f"order {number}: {for_people(order.paid_otherwise)} of {for_people(order.kopecks)} "
                "are paid otherwise, nothing is left to pay"
            )
        if order.paid_otherwise and not (settings.lane.profile == "4:3" and settings.mode is m.Mode.SCREEN):
            raise PaymentRefused(
                "a mixed payment needs lane.profile 4:3 and display.mode 1; "
                f"this lane has {settings.lane.profile} and mode {settings.display.mode}"
            )
        now = self._runtime.now()
        static = settings.mode is m.Mode.PLATE and settings.display.plate == "static"
        return m.Plan(
            key=self._new_key(),
            order_no=number,
            kopecks=rest,
            currency="RUB",
            mode=settings.mode,
            begun_at=now,
            # whole seconds: `expires` has no more on the wire, and both sides must mean the same moment
            expires_at=(now + round(settings.timing.invoice_life_s * 1000)) // 1000 * 1000,
            sticker_id=settings.display.sticker_id if static else None,
            plate_link=settings.display.plate_link if static else None,
            paid_otherwise=order.paid_otherwise,
            timing=settings.machine_timing,
        )

    def _pass_gate(self, plan: m.Plan) -> None:
        """No new attempt beside one that may be paid. One left by a crash is first asked about at the bank."""
        reason = self._gate(plan)
        limit = self._runtime.now() + plan.timing.confirm_ms
        while reason is not None and self._settling(plan) and self._runtime.now() < limit:
            self._turn(limit)
            reason = self._gate(plan)
        if reason is not None:
            raise PaymentRefused(reason + ": see `sco-pay cases` and `sco-pay recover`")

    def _gate(self, plan: m.Plan) -> str | None:
        return m.gate(plan.order_no, plan.sticker_id, self.journal.rivals(plan.order_no))

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
        with self._running:
            self._load_open()
            keys = list(self._attempts)
            while any(self._unfinished(self._attempts[key], follow) for key in keys):
                self._turn(None)
            results = [self._result(self._attempts[key]) for key in keys]
            self._forget_final()
        return results

    def _unfinished(self, state: m.State, follow: bool) -> bool:
        if state.phase in m.FINAL:
            return False
        return follow or state.outcome is None or state.busy

    def start(self) -> None:
        """Look after open attempts in a thread of its own, whenever no payment is under way, until `close`."""
        if self._watcher is None:
            self._watcher = threading.Thread(target=self._watch, name="sco-watch", daemon=True)
            self._watcher.start()

    def _watch(self) -> None:
        while not self._closed.wait(0.2):
            with self._running:
                if self._closed.is_set():
                    return
                try:
                    self._load_open()
                    while self._turn(self._runtime.now()):
                        pass
                    self._forget_final()
                except JournalError as error:
                    log.critical("open attempts cannot be looked after: %s", error)

    def _load_open(self) -> None:
        """Once a process: take the journal's open attempts over, and clear what a crash may have left on the tag."""
        for key in list(self._stuck):
            self._apply(key, m.Recovered(self._runtime.now()))
            self._stuck.discard(key)
        if self._recovered:
            return
        for state in self.journal.attempts(open_only=True):
            if state.plan.key not in self._attempts:
                self._attempts[state.plan.key] = state
                self._apply(state.plan.key, m.Recovered(self._runtime.now()))
        self._recovered = True
        self._withdraw(None)

    def _forget_final(self) -> None:
        """A final attempt lives in the journal only."""
        self._attempts = {
            key: state for key, state in self._attempts.items() if state.phase not in m.FINAL or key in self._stuck
        }
        for memory in (self._cases, self._heard):
            for key in [key for key in memory if key not in self._attempts]:
                del memory[key]

    # --- the loop --------------------------------------------------------------------------------------------

    def _turn(self, until: int | None) -> bool:
        """One message or one round of ticks. Returns whether anything happened before `until`."""
        dues = [due for state in self._attempts.values() if (due := m.due(state)) is not None]
        wake = min([*dues, *([] if until is None else [until])], default=None)
        message = self._runtime.receive(wake)
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
        self._note_word(key, event, before)
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
                case = self.journal.record(event, after, effects, at=self._runtime.now())
            except JournalError as error:
                log.critical("the journal cannot be written: %s", error)
                if not remaining:
                    self._stuck.add(key)  # an answer is lost with its step: the attempt starts over as after a crash
                    raise
                self._runtime.pause(_JOURNAL_RETRY_MS)
            else:
                if case is not None:
                    self._cases[key] = case
                    self._observer("case", {"number": case, "attempt": key, "order": after.plan.order_no})
                return

    def _note_word(self, key: str, event: m.Event, state: m.State) -> None:
        """The bank's words go on the timeline when they change: a case must show what was asked and answered."""
        match event:
            case m.BankWord():
                text = f"bank: {event.word} ({event.number}), {event.kopecks} {event.currency}"
            case m.BankSilent():
                text = f"no word from the bank: {event.detail}"
            case m.FoundNothing():
                text = "bank: no payment of this order"
            case m.CreateFailed():
                text = f"create: {event.detail}"
            case m.CancelAnswered():
                text = f"cancel: {event.result.value} {event.detail}".rstrip()
            case m.Presented():
                text = f"presented: {event.evidence}"
            case m.PresentFailed():
                text = f"not presented: {event.detail}"
            case _:
                return
        if self._heard.get(key) == text:
            return
        self._heard[key] = text
        self._observer("note", {"attempt": key, "text": text})
        try:
            self.journal.note(key, text, at=event.at)
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
                    "expires_at": after.plan.expires_at / 1000,
                },
            )

    # --- effects ---------------------------------------------------------------------------------------------

    def _perform(self, state: m.State, effects: Iterable[m.Effect]) -> None:
        key, plan = state.plan.key, state.plan
        for effect in effects:
            match effect:
                case m.SendCreate(seq=seq):
                    self._ask(key, partial(self._bank.create, plan, seq), partial(_create_broken, seq))
                case m.SendPoll(seq=seq, payment_id=payment_id):
                    self._ask(key, partial(self._bank.poll, payment_id, seq), partial(_silent, seq))
                case m.SendFind(seq=seq):
                    self._ask(key, partial(self._find, plan, seq), partial(_silent, seq))
                case m.SendCancel(seq=seq, payment_id=payment_id):
                    self._observer("cancel", {"attempt": key, "payment_id": payment_id})
                    self._ask(key, partial(self._bank.cancel, payment_id, seq), partial(_unanswered, seq))
                case m.Present(link=link, verified=verified):
                    self._present(state, link, verified)
                case m.Withdraw():
                    self._withdraw(key)
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

    def _find(self, plan: m.Plan, seq: int) -> m.Event:
        """Payments of the order that belong to its other attempts are not ours."""
        others = self.journal.of_order(plan.order_no)
        foreign = [other.payment_id for other in others if other.payment_id and other.plan.key != plan.key]
        return self._bank.find(plan, seq, foreign)

    def _present(self, state: m.State, link: str, verified: bool) -> None:
        plan = state.plan
        if not verified:
            log.warning("the bank's link cannot be verified and is presented all the same: %s", link)
        self._observer("link", {"attempt": plan.key, "link": link, "verified": verified})
        self._tag_dirty = True

        def work() -> Message:
            presentation = self._presenter.present(plan, link)
            self._presented = presentation
            if presentation.seen and plan.mode is not m.Mode.PRINT:
                presentation = self._put_on_screen(replace(state, phase=m.Phase.WAITING), presentation)
            now = self._runtime.now()
            if presentation.seen:
                return plan.key, m.Presented(now, presentation.evidence)
            return plan.key, m.PresentFailed(now, presentation.evidence)

        self._runtime.submit("devices", work)

    def _put_on_screen(self, state: m.State, presentation: Presentation) -> Presentation:
        """The code on the screen is part of presenting in modes 1 and 2; a plate is there without any screen."""
        try:
            self._draw(state, self._screen_for(state, m.View.PAY, None))
        except DeviceError as error:
            log.error("the screen failed: %s", error)
            by_other_means = presentation.tag_ok is True or state.plan.plate_link is not None
            return replace(presentation, seen=by_other_means, evidence=f"{presentation.evidence}; no screen: {error}")
        return presentation

    def _withdraw(self, key: str | None) -> None:
        if not self._tag_dirty:
            return
        self._tag_dirty = False

        def work() -> None:
            problem = self._presenter.withdraw()
            if problem is not None:
                self._tag_dirty = True
                self._observer("note", {"attempt": key, "text": f"the tag was not cleared: {problem}"})

        self._runtime.submit("devices", work)

    def _show(self, state: m.State, view: m.View) -> None:
        """Only the payment under way is on the screen; attempts watched in the background are not."""
        if state.plan.key != self._foreground:
            return
        case = self._cases.get(state.plan.key)

        def work() -> None:
            try:
                if view is m.View.DIALOG:
                    self._ask_customer(state)
                else:
                    self._draw(state, self._screen_for(state, view, case))
            except DeviceError as error:
                log.error("the screen failed: %s", error)
                self._observer("note", {"attempt": state.plan.key, "text": f"the screen failed: {error}"})

        self._runtime.submit("devices", work)

    def _draw(self, state: m.State, screen: LaneScreen) -> None:
        shown = (state.plan.key, replace(screen, cancel=None))
        if self._shown == shown:
            return
        self._ui.show(screen)
        self._shown = shown

    def _ask_customer(self, state: m.State) -> None:
        key, texts, plan = state.plan.key, self._texts, state.plan

        def answer(choice: Choice) -> None:
            now = self._runtime.now()
            self._runtime.post((key, m.Retry(now) if choice is Choice.RETRY else m.CancelWanted(now)))

        self._shown = None
        self._ui.ask(
            LaneDialog(texts.dialog, texts.retry, texts.cancel, plan.kopecks, self._deadline(plan)),
            answer,
        )

    def _screen_for(self, state: m.State, view: m.View, case: int | None) -> LaneScreen:
        texts, plan = self._texts, state.plan
        cancel = self._canceller(plan.key) if state.phase in _CANCELLABLE else None
        if view is m.View.PAY:
            headline, lines, link = self._how_to_pay(state)
            return LaneScreen(view, headline, lines, plan.kopecks, link, self._deadline(plan), cancel=cancel)
        if view is m.View.ATTENDANT:
            return LaneScreen(view, texts.attendant, kopecks=plan.kopecks, case=case)
        headline = {m.View.WAIT: texts.wait, m.View.PAID: texts.paid, m.View.UNPAID: texts.unpaid}[view]
        return LaneScreen(view, headline, kopecks=plan.kopecks if view is m.View.PAID else None, cancel=cancel)

    def _how_to_pay(self, state: m.State) -> tuple[str, tuple[str, ...], str | None]:
        """Headline, further lines and the code, by display mode; the texts are the mission's."""
        texts, mode = self._texts, state.plan.mode
        if mode is m.Mode.PRINT:
            return texts.wait, (texts.scan_ticket,), None
        if mode is m.Mode.SCREEN:
            return texts.pay, (), state.link
        link = state.link if self.settings.display.qr_with_plate else None
        tag_failed = self._presented is not None and self._presented.tag_ok is False
        return texts.pay, ((texts.use_qr,) if tag_failed else () if link else (texts.scan_plate,)), link

    def _deadline(self, plan: m.Plan) -> float:
        """To the whole second, so that the same screen is the same when asked for twice."""
        return float(round(self._runtime.wall(plan.expires_at)))

    def _canceller(self, key: str) -> Callable[[], None]:
        return lambda: self._runtime.post((key, m.CancelWanted(self._runtime.now())))

    def _result(self, state: m.State) -> Result:
        return Result(
            outcome=state.outcome,
            why=state.why,
            case=self._cases.get(state.plan.key),
            key=state.plan.key,
            payment_id=state.payment_id,
            order_no=state.plan.order_no,
            kopecks=state.plan.kopecks,
            phase=state.phase,
        )

    # --- end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let the devices finish, then give all back. Open attempts stay in the journal."""
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join(5.0)
        self._runtime.close()
        self._presenter.close()
        self._ui.close()
        self.journal.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
