"""One self-checkout: `Lane` takes payments, and watches what may still become of them. `open_lane` makes one."""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Self

from sco_drivers.errors import DeviceError
from sco_drivers.nfc.guard import TagGuard
from sco_drivers.printer import Printer, Ticket
from sco_payment import attempt as m
from sco_payment.acquirer import Acquirer
from sco_payment.attempt import Message
from sco_payment.customer.presenter import Presenter
from sco_payment.customer.ui import LaneUI
from sco_payment.devices import ReopeningDevice
from sco_payment.events import Observer, null_observer
from sco_payment.journal import Journal, JournalError
from sco_payment.loop import Loop
from sco_payment.order import Order, PaymentRefused, Refusal, Result, check_names, check_order
from sco_payment.runtime import Runtime
from sco_payment.settings import Settings

log = logging.getLogger(__name__)

_WATCH_S = 0.2


@dataclass(frozen=True, slots=True)
class LaneDevice:
    """A device of a lane: its kind and URL as in the settings, and what holds it."""

    kind: str
    url: str
    device: ReopeningDevice[Any]


@dataclass(frozen=True, slots=True)
class DeviceHealth:
    """What is known of a device; nothing is asked of it.

    Attributes:
        kind, url: as in the settings.
        state: "ok", "fault", or "not_opened" before its first use.
        problem: what the last contact found; None for nothing.
    """

    kind: str
    url: str
    state: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class LaneHealth:
    """What is known of a lane and its surroundings.

    Attributes:
        devices: each device of the settings.
        tag: the guard of the tag; None for a lane without one.
        clock_ahead_s: by how many seconds the acquirer's clock is ahead of the lane's; None while that is not known.
        last_contact_ms: lane time of the acquirer's last answer; None before the first one.
        recording: False while a step could not be put on disk.
    """

    devices: tuple[DeviceHealth, ...]
    tag: TagGuard | None
    clock_ahead_s: float | None
    last_contact_ms: int | None
    recording: bool


class Lane:
    """One self-checkout.

    Args:
        settings: validated settings.
        journal: the lane's journal, open for writing.
        acquirer: who is asked for payments.
        presenter: printer and tag.
        ui: the lane's screen.
        runtime: time and threads.
        observer: receives the lane's events.
        new_key: makes keys of attempts, which are idempotency keys too; random by default.
        devices: of presenter and screen, for `health`.
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
        devices: Sequence[LaneDevice] = (),
    ) -> None:
        self.settings = settings
        self.journal = journal
        self._devices = tuple(devices)
        self._presenter = presenter
        self._runtime = runtime
        self._new_key = new_key
        self._loop = Loop(
            settings, journal=journal, acquirer=acquirer, presenter=presenter, ui=ui, runtime=runtime, observer=observer
        )
        self._running = threading.RLock()
        self._last_cancel = object()  # another one with each `cancel`: without a lock, none of them is lost
        self._closed = threading.Event()
        self._watcher: threading.Thread | None = None

    # --- paying ----------------------------------------------------------------------------------------------

    def pay(
        self,
        order: Order,
        *,
        deliver: Callable[[Result], None] | None = None,
        acknowledge_later: bool = False,
        cancelled: Callable[[], bool] = lambda: False,
        key: str | None = None,
        till_id: str | None = None,
        may_begin: Callable[[], bool] = lambda: True,
        begun: Callable[[], None] = lambda: None,
    ) -> Result:
        """Take one SBP leg of an order. Returns when the customer has an outcome.

        A lane that dies before the till has taken the outcome of a paid attempt opens a case at its next start.

        Args:
            order: its number and total, what the legs before this one have paid, and the amount of this one.
            deliver: is called once with the result when that is on disk. When it returns, the till has taken the
                outcome; if it raises, the till has not.
            acknowledge_later: for a till in another process: the outcome counts as taken only when `acknowledge` is
                called with `Result.key`. Otherwise it counts as taken when `deliver` or, without it, `pay` returns.
            cancelled: whether the payment was cancelled before this call, for a till whose customer may do so while
                its order is on its way here. `cancel` finds no payment then; once this call has begun, it does.
            key: of the new attempt, from a till's own id; a random one without it. A key is never used twice.
            till_id: what the till calls the payment, for the journal.
            may_begin: is called once before the attempt's first step, after all that this call may have to wait for.
                False refuses the payment: its till no longer waits.
            begun: is called once when the attempt's first step is on disk, before anything is sent. It must not raise.

        Raises:
            PaymentRefused: it may not begin; nothing was sent, and nothing is in the journal.
            JournalError: the journal cannot be written. Before the first step nothing was sent; after it the attempt is
                in the journal as open, and `recover` finishes it.
        """
        check_names(key, till_id)
        loop, last_cancel = self._loop, self._last_cancel  # before the lock, for which this call may have to wait
        with self._running_loop():
            if loop.foreground is not None:  # called by the same thread again: from `deliver` or an observer
                raise PaymentRefused("a payment is under way: begin the next one when `pay` has returned", Refusal.BUSY)
            key = self._new_key() if key is None else key
            plan = self._plan(order, key, till_id)
            loop.load_open()
            self._refuse_known(key)
            self._pass_gate(plan)
            plan = self._plan(order, key, till_id)  # the gate may take a while: the schedule begins after it
            if not may_begin():
                raise PaymentRefused("its till no longer waits for it", Refusal.BUSY)
            effects, taken = loop.begin(plan), False
            try:
                begun()
                loop.report_state(None, loop.attempts[key])
                if self._last_cancel is not last_cancel or cancelled():
                    self.cancel()  # arrives before any answer of the acquirer: no link is shown
                loop.perform(loop.attempts[key], effects)
                while loop.attempts[key].outcome is None:
                    loop.run_once(None)
                result = loop.result(loop.attempts[key])
                loop.expected_by_ms = None  # the till may take its time
                if deliver is not None:
                    deliver(result)
                if not acknowledge_later:
                    loop.apply(key, m.Delivered(self._runtime.now()))
                taken = True
            finally:
                loop.foreground = None
                try:
                    if not taken and key not in loop.unrecorded:  # as if the lane had died there
                        loop.interrupted(loop.attempts[key])
                finally:
                    if key in loop.unrecorded:
                        loop.left_on_screen = key
                        loop.customer.show_out_of_service(key)
                    loop.forget_final()
        return result

    def acknowledge(self, attempt: str) -> None:
        """The till has taken the outcome of an attempt that was paid with `acknowledge_later`. On disk on return.

        From any thread, also while the next payment is under way. Calling it again changes nothing. A case that was
        opened because the lane restarted before this call stays open: an operator must see to the goods.

        Args:
            attempt: `Result.key`.

        Raises:
            UnknownAttempt: no such attempt, or it has no outcome yet.
            JournalError: the journal cannot be written; call again later.
        """
        self._loop.acknowledge(attempt)

    def refuse_outcome(self, attempt: str, reason: str, *, unless_taken: bool = False) -> None:
        """The till could not store the outcome of a paid attempt, or gives it back because it voids the sale: the money
        becomes a case, also after the outcome was taken. On disk on return.

        From any thread, also while the next payment is under way. Calling it again changes nothing. The customer is
        asked to call an attendant, unless the next one is there already.

        Args:
            attempt: `Result.key`.
            reason: for the case's timeline.
            unless_taken: do nothing where the till has taken the outcome.

        Raises:
            UnknownAttempt: no such attempt, or it has no outcome yet. NotAcceptable: it is not paid. JournalError: the
                journal cannot be written; call again later.
        """
        self._loop.refuse_outcome(attempt, reason, unless_taken=unless_taken)

    def choose(self, attempt: str, button: str) -> bool:
        """The customer pressed a button on a screen. From any thread.

        Args:
            attempt, button: `ScreenState.attempt`, and the `id` of one of its buttons.

        Returns:
            Whether the choice was accepted. A choice that comes too late is ignored: for another attempt than the one
            on the screen, or one that has its outcome, for a button that is not there now, or after another choice on
            the same screen.
        """
        return self._loop.choose(attempt, button)

    def cancel_attempt(self, attempt: str) -> None:
        """Cancel this attempt, and no other, if it has no outcome yet; also one that a restart left open.

        From any thread. For one that `pay` has not begun yet nothing happens: see its argument `cancelled`.
        """
        self._runtime.post((attempt, m.CancelWanted(self._runtime.now())))

    def cancel(self) -> None:
        """Cancel the payment under way, for the customer or the attendant. From any thread or a signal handler.

        A call of `pay` that still waits for the lane to finish something else is cancelled too. Where there is none,
        nothing happens, and the next payment is not concerned.
        """
        self._last_cancel = object()  # before the look at the attempt: one of `pay` and this sees the other
        key = self._loop.foreground
        if key is not None:
            self._runtime.post((key, m.CancelWanted(self._runtime.now())))

    def linger(self) -> None:
        """Keep the outcome on the screen for `lane.result_s`. The till has got it before."""
        self._runtime.pause(round(self.settings.lane.result_s * 1000))

    def show_idle(self, attempt: str) -> None:
        """Take the outcome of an attempt, which was there for `lane.result_s`, from the screen. From any thread.

        Nothing happens where the screen shows another attempt, or none, by now. A lane that is closed after each
        payment does not need it.
        """
        self._loop.customer.show_idle(attempt)

    def enable_tag(self) -> None:
        """An operator has checked the NFC tag that was put out of use: use it again if it is found in order."""
        self._loop.customer.enable_tag()

    @property
    def printer(self) -> Printer | None:
        """The lane's printer, for the till's own receipts: only one program can hold its port. None without a printer.

        It is opened if need be, and opened again after a loss: take it for each document. From any thread; a payment's
        ticket waits until a receipt is out. The lane closes it.

        Raises:
            DeviceError: it cannot be opened.
        """
        return self._presenter.printer

    def printer_lost(self, error: DeviceError | None) -> None:
        """What a use of `printer` raised, or None for nothing: a printer that is gone is opened again next time."""
        self._presenter.printer_lost(error)

    def ticket_again(self, attempt: str) -> Ticket | None:
        """The ticket of a payment that the customer can pay now, to be printed once more on `printer`; else None."""
        state = self._loop.attempts.get(attempt)
        return None if state is None else self._loop.customer.ticket_again(state)

    def health(self) -> LaneHealth:
        """What is known of the lane and its surroundings. From any thread; asks nothing of any device."""
        loop = self._loop
        return LaneHealth(
            devices=tuple(
                DeviceHealth(
                    one.kind,
                    one.url,
                    "fault" if one.device.problem else "ok" if one.device.is_open else "not_opened",
                    one.device.problem,
                )
                for one in self._devices
            ),
            tag=self._presenter.guard,
            clock_ahead_s=loop.acquirer.clock_ahead_s,
            last_contact_ms=loop.last_contact_ms,
            recording=not loop.unrecorded,
        )

    def _refuse_known(self, key: str) -> None:
        if self.journal.attempt(key) is not None or self.journal.has_archived(key):
            raise PaymentRefused(f"the attempt {key} is already in the journal: it is not begun twice", Refusal.KNOWN)

    def _plan(self, order: Order, key: str | None = None, till_id: str | None = None) -> m.Plan:
        settings = self.settings
        check_order(order, settings)
        now = self._runtime.now()
        static = settings.mode is m.Mode.PLATE and settings.display.plate == "static"
        return m.Plan(
            key=self._new_key() if key is None else key,
            order_no=order.number,
            kopecks=order.due_kopecks,
            currency="RUB",
            mode=settings.mode,
            begun_at_ms=now,
            # whole seconds: `expires` has no more on the wire, and both sides must mean the same moment
            expires_at_ms=(now + round(settings.timing.invoice_life_s * 1000)) // 1000 * 1000,
            sticker_id=settings.display.sticker_id if static else None,
            plate_link=settings.display.plate_link if static else None,
            tendered_elsewhere=order.tendered_elsewhere,
            tendered_by_sbp=order.tendered_by_sbp,
            remaining=order.lacking_kopecks - order.due_kopecks,
            timing=settings.machine_timing,
            till_id=till_id,
            link_hosts=tuple(dict.fromkeys((*self._loop.acquirer.link_hosts, *settings.display.link_hosts))),
        )

    def _pass_gate(self, plan: m.Plan) -> None:
        """Refuse an attempt while another one may be paid. For one left by a crash, ask the acquirer first."""
        reason = self._gate(plan)
        limit = self._runtime.now() + plan.timing.confirm_ms
        while reason is not None and self._settling(plan) and self._runtime.now() < limit:
            self._loop.run_once(limit)
            reason = self._gate(plan)
        if reason is not None:
            raise PaymentRefused(reason + self._where_to_look(plan), self._refusal(plan))

    def _refusal(self, plan: m.Plan) -> Refusal:
        """The kind of a refusal by the gate."""
        others = self.journal.conflicting_attempts(plan.order_no)
        of_order = [state.phase for state in others if state.plan.order_no == plan.order_no]
        if self.journal.archived_payment(plan.order_no) is not None or m.Phase.PAID_LATE in of_order:
            return Refusal.PAID
        if m.gate(plan.order_no, plan.sticker_id, [one for one in others if one.phase not in m.FINAL]) is not None:
            return Refusal.OPEN
        return Refusal.PAID if m.Phase.PAID in of_order else Refusal.ORDER

    def _where_to_look(self, plan: m.Plan) -> str:
        """Which command has something about the attempts that block the plan."""
        blocking = {state.plan.key: state for state in self.journal.conflicting_attempts(plan.order_no)}
        numbers = [str(case.number) for case in self.journal.cases() if case.attempt in blocking]
        if numbers:
            return f": see `sco-pay cases {numbers[0]}`"
        unfinished = any(state.phase not in m.FINAL for state in blocking.values())
        return ": `sco-pay recover` asks the acquirer again" if unfinished else ""

    def _gate(self, plan: m.Plan) -> str | None:
        archived = self.journal.archived_payment(plan.order_no)
        if archived is not None:
            return f"order {plan.order_no} is already paid (attempt {archived}, in an archive of the journal)"
        others = self.journal.conflicting_attempts(plan.order_no)
        return m.gate(plan.order_no, plan.sticker_id, others, plan.tendered_by_sbp, plan.total_kopecks)

    def _settling(self, plan: m.Plan) -> bool:
        """Whether the loop can still learn something about the attempt that blocks the plan."""
        return any(
            state.phase not in m.FINAL
            and (state.plan.order_no == plan.order_no or state.plan.sticker_id == plan.sticker_id is not None)
            for state in self._loop.attempts.values()
        )

    # --- recovery and watching -------------------------------------------------------------------------------

    def recover(self, *, follow: bool = False) -> list[Result]:
        """Finish every open attempt of the journal: ask the acquirer, cancel once what no customer can pay any more.

        Args:
            follow: go on until every attempt is final, at most to the last invoice's end plus grace; else until each
                has an outcome and its status was asked for once.

        Returns:
            The present state of each attempt that was open.

        Raises:
            JournalError: the journal cannot be written.
        """
        loop = self._loop
        with self._running_loop():
            loop.load_open()
            keys = list(loop.attempts)
            while any(self._unfinished(loop.attempts[key], follow) for key in keys):
                loop.run_once(None)
            results = [loop.result(loop.attempts[key]) for key in keys]
            loop.forget_final()
        return results

    def _unfinished(self, state: m.State, follow: bool) -> bool:
        if state.phase in m.FINAL:
            return False
        over = self._runtime.now() >= state.plan.over_at_ms
        follow = follow and not (over and state.phase in (m.Phase.CLOSED, m.Phase.OVERDUE))
        return follow or state.outcome is None or state.busy

    def start(self) -> None:
        """Watch open attempts and the tag in a thread, while no payment is under way, until `close`."""
        if self._watcher is None:
            watcher = threading.Thread(target=self._watch, name="sco-watch", daemon=True)
            watcher.start()
            self._watcher = watcher
            self._loop.expected_by_ms = self._runtime.now()

    def stalled_for_s(self) -> float:
        """For how long the lane's own loop has been overdue, in s; 0 while nothing is late. From any thread.

        For a watchdog: it grows when `pay` or the thread of `start` hangs or has ended. Waiting for a full disk takes
        about ten seconds; the time in `deliver` does not count. A device or screen that hangs is not seen here: the
        payment goes on without it.
        """
        by = self._loop.expected_by_ms
        return 0.0 if by is None else max(0.0, (self._runtime.now() - by) / 1000)

    @contextmanager
    def _running_loop(self) -> Iterator[None]:
        """The one loop that runs now. After it only the watcher, where there is one, must run again."""
        loop = self._loop
        with self._running:
            loop.expected_by_ms = self._runtime.now()
            try:
                yield
            finally:
                idle = self._watcher is None or loop.foreground is not None  # or back in `deliver`, which called us
                loop.expected_by_ms = None if idle else self._runtime.now()

    def _watch(self) -> None:
        while not self._closed.wait(_WATCH_S):
            try:
                self.run_pending()
            except Exception:  # no thread is available, a bug of ours: keep watching for late money all the same
                log.exception("open attempts could not be checked this time")

    def run_pending(self) -> None:
        """Do what is due for open attempts and devices, and return at once; `start` calls it in a thread of its own.

        For integrators with a loop of their own: call it a few times a second while no payment is under way.
        """
        loop = self._loop
        with self._running_loop():
            if self._closed.is_set():
                return
            try:
                loop.load_open()
                while loop.run_once(self._runtime.now()):
                    pass
                loop.forget_final()
                loop.customer.check_tag()
                loop.customer.check_printer()
                loop.customer.load_encoder()
            except JournalError as error:
                log.critical("open attempts cannot be checked: %s", error)

    # --- end -------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let the devices finish, then release everything, the journal too when a screen or driver raises.

        Open attempts stay in the journal.
        """
        self._closed.set()
        if self._watcher is not None:
            self._watcher.join(5.0)
        self._loop.expected_by_ms = None
        with ExitStack() as closing:  # the last one named is the first one closed
            for owned in (self.journal, self._loop.customer, self._loop.acquirer, self._runtime):
                closing.callback(owned.close)
            closing.callback(self._loop.apply_resolutions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
