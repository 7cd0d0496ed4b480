"""The till's payments on one lane: one thread takes them, whoever asks reads the journal.

A till's id gives the attempt's key, so that one id can never be two attempts, whatever is lost, doubled or delayed, and
whichever process dies. Nothing here decides about money: the lane does.
"""

from __future__ import annotations

import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable

from sco_payment.attempt import Outcome
from sco_payment.journal import JournalError
from sco_payment.lane import Lane
from sco_payment.order import Order, PaymentRefused, Refusal, check_order
from sco_service.problems import Problem
from sco_service.records import Records, order_of

log = logging.getLogger(__name__)

_TICK_S = 1.0
_TAKES_S = 5.0  # for a till to take an outcome of paid before the service stops and makes it a case
_CODES = {
    Refusal.ORDER: "order_refused",
    Refusal.BUSY: "lane_busy",
    Refusal.PAID: "order_paid",
    Refusal.OPEN: "order_open",
    Refusal.KNOWN: "id_conflict",
}


def key_of(lane_id: str, till_id: str) -> str:
    """The key of the attempt that a till's id means on a lane."""
    return hashlib.sha256(f"{lane_id}\0{till_id}".encode()).hexdigest()[:32]


class Job:
    """A payment that is handed to the payment thread, until its first step is on disk or refused."""

    def __init__(self, till_id: str, key: str, order: Order) -> None:
        self.till_id = till_id
        self.key = key
        self.order = order
        self.begun = False
        self.cancelled = False
        self.problem: Problem | None = None
        self._mutex = threading.Lock()
        self._is_beginning: bool | None = None

    def claim(self) -> bool:
        """Whether it may begin: not where it was withdrawn."""
        return self._decide(is_beginning=True)

    def withdraw(self) -> bool:
        """Whether it will never begin; False where it has begun, or is about to."""
        return not self._decide(is_beginning=False)

    def _decide(self, *, is_beginning: bool) -> bool:
        with self._mutex:
            if self._is_beginning is None:
                self._is_beginning = is_beginning
            return self._is_beginning

    @property
    def waits(self) -> bool:
        """Whether it may still begin: neither begun, nor refused, nor withdrawn."""
        return not self.begun and self.problem is None and self._is_beginning is not False

    def is_for(self, order: Order) -> bool:
        """Whether a request with this order means the same payment."""
        return _spelled_out(self.order) == _spelled_out(order)


class Payments:
    """Takes payments on a lane, one at a time, for tills in other processes.

    Args:
        lane: open; nobody else calls its `pay`.
        records: the lane's journal.
        changed: called when something happened that a waiting client may wait for.
        tick: called about once a second, and after each payment.
    """

    def __init__(
        self, lane: Lane, records: Records, changed: Callable[[], None], tick: Callable[[], None] = lambda: None
    ) -> None:
        self._lane = lane
        self._records = records
        self._changed = changed
        self._tick = tick
        self._mutex = threading.Lock()
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._open: dict[str, Job] = {}  # by the till's id: handed over, and not finished
        self._untaken: dict[str, float] = {}  # key of each paid attempt -> when it becomes a case unless it is taken
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="sco-payments", daemon=True)

    def start(self) -> None:
        """Begin to take payments."""
        self._thread.start()

    # --- from any thread --------------------------------------------------------------------------------------

    def key(self, till_id: str) -> str:
        """The key of the attempt that a till's id means."""
        return key_of(self._lane.settings.lane.pos_id, till_id)

    @property
    def under_way(self) -> str | None:
        """The till's id of the payment that has no outcome yet."""
        return next((job.till_id for job in list(self._open.values()) if not self._has_outcome(job)), None)

    def begin(self, till_id: str, order: Order) -> tuple[Job | None, bool]:
        """Begin a payment: its job, or None where the journal has it already, and whether it is a new one.

        Raises:
            Problem: it may not begin. JournalError: the journal cannot be read.
        """
        key = self.key(till_id)
        with self._mutex:
            known = self._records.state(key)
            if known is not None:
                if order_of(known) != _spelled_out(order):
                    raise _conflict(till_id)
                return None, False
            job = self._open.get(till_id)
            if job is not None:
                if not job.is_for(order):
                    raise _conflict(till_id)
                return job, False
            if self._records.journal.has_archived(key):
                raise Problem("id_conflict", f"the payment {till_id} is in an archive of the journal")
            if self._stopping:
                raise Problem("lane_stopping")
            if any(not self._has_outcome(other) for other in self._open.values()):
                raise Problem("lane_busy")
            try:
                check_order(order, self._lane.settings)
            except PaymentRefused as error:
                raise Problem("order_refused", str(error)) from None
            job = self._open[till_id] = Job(till_id, key, order)
            self._jobs.put(job)
            return job, True

    def cancel(self, till_id: str | None, key: str) -> None:
        """Cancel this attempt, and no other, if it has no outcome yet."""
        job = self._open.get(till_id) if till_id is not None else None
        if job is not None:
            job.cancelled = True  # for a call of `pay` that has not begun yet
        self._lane.cancel_attempt(key)

    def job(self, till_id: str) -> Job | None:
        """The payment, while it is on its way to the lane."""
        return self._open.get(till_id)

    def check_begun(self, till_id: str = "", order_no: str = "") -> None:
        """Raise Problem where the payment of this id, or one of this order, waits to begin.

        Ask before the journal, which may have the payment by the time it is read: what it lacks was never begun then.
        """
        for job in list(self._open.values()):
            if job.waits and (job.till_id == till_id or job.order.number == order_no):
                raise Problem("not_begun_yet", f"payment {job.till_id} waits to begin: ask again")

    def _has_outcome(self, job: Job) -> bool:
        """The till may have read the outcome before `pay` has returned: it may begin the next payment then."""
        state = self._records.state(job.key) if job.begun else None
        return state is not None and state.outcome is not None

    def stop_if_idle(self) -> bool:
        """Begin no more payments, unless one is under way or a till has not taken its outcome; whether they stop."""
        with self._mutex:
            if not self._open and all(self._is_taken(key) for key in list(self._untaken)):
                self._stopping = True
            return self._stopping

    # --- the payment thread -----------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                job = self._jobs.get(timeout=_TICK_S)
            except queue.Empty:
                self._ticked()
                continue
            if job is None:
                return
            self._take(job)
            self._ticked()

    def _ticked(self) -> None:
        self._open_cases_of_untaken()
        try:
            self._tick()
        except Exception:
            log.exception("looking after the screen failed")

    def _open_cases_of_untaken(self) -> None:
        """The money of a till that never comes back must not wait for a restart of the service to become a case."""
        now = time.monotonic()
        for key in [key for key, due in self._untaken.items() if due <= now]:
            within_s = self._lane.settings.service.taken_within_s
            try:
                self._lane.refuse_outcome(key, f"not taken within {within_s:g} s", unless_taken=True)
            except JournalError as error:
                log.critical("the outcome of attempt %s, which no till has taken, is not a case yet: %s", key, error)
                continue
            del self._untaken[key]

    def _take(self, job: Job) -> None:
        def begun() -> None:
            job.begun = True
            self._changed()

        try:
            result = self._lane.pay(
                job.order,
                acknowledge_later=True,
                cancelled=lambda: job.cancelled,
                key=job.key,
                till_id=job.till_id,
                may_begin=job.claim,
                begun=begun,
            )
            if result.outcome is Outcome.PAID:
                self._untaken[job.key] = time.monotonic() + self._lane.settings.service.taken_within_s
        except PaymentRefused as error:
            job.problem = Problem(_CODES[error.refusal], str(error))
        except JournalError as error:  # after the first step the lane goes on with it by itself
            log.critical("payment %s: %s", job.till_id, error)
            job.problem = Problem("journal_unavailable", str(error))
        except Exception as error:
            log.exception("payment %s failed in an unforeseen way", job.till_id)
            job.problem = Problem("internal", f"unforeseen: {type(error).__name__}: see the service's log")
        finally:
            with self._mutex:
                self._open.pop(job.till_id, None)
            self._changed()

    # --- end --------------------------------------------------------------------------------------------------

    def stop(self, wait_s: float) -> None:
        """Begin no more payments, cancel the one under way, and wait for its outcome, and for the till to take it."""
        with self._mutex:
            self._stopping = True
            for job in self._open.values():
                job.cancelled = True
        self._lane.cancel()
        self._jobs.put(None)
        if self._thread.ident is not None:
            self._thread.join(wait_s)
        until = time.monotonic() + _TAKES_S
        while any(not self._is_taken(key) for key in list(self._untaken)) and time.monotonic() < until:
            time.sleep(0.05)

    def _is_taken(self, key: str) -> bool:
        try:
            state = self._records.state(key)
        except JournalError:
            return True  # the next start finds out
        return state is None or state.delivered or state.case is not None

    @property
    def stopping(self) -> bool:
        """Whether no payment may begin any more."""
        return self._stopping

    def is_alive(self) -> bool:
        """Whether the payment thread runs."""
        return self._thread.is_alive()


def _conflict(till_id: str) -> Problem:
    return Problem("id_conflict", f"the payment {till_id} was begun with another body: give each payment its own id")


def _spelled_out(order: Order) -> Order:
    """The order with its leg given."""
    return Order(order.number, order.kopecks, order.tendered_elsewhere, order.tendered_by_sbp, order.due_kopecks)
