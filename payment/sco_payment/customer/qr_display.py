"""The lane's customer QR display: the code of the payment under way in display mode 1, then its outcome, then nothing.

No display of this kind reports what it shows. What was sent may be seen; only what was certainly not sent is not.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from sco_drivers.display import CodeMayShow, DisplayedCode, QrDisplay
from sco_drivers.errors import DeviceError
from sco_payment import unforeseen
from sco_payment.attempt import Mode, View
from sco_payment.customer.ui import ScreenState
from sco_payment.devices import ReopeningDevice
from sco_payment.money import format_amount
from sco_payment.settings import Settings

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often the display is checked, and sent again what it has missed."""

_RESULTS = {View.PAID: True, View.UNPAID: False}


@dataclass(frozen=True, slots=True)
class Sending:
    """What became of sending something.

    Attributes:
        may_be_seen: False only when it is certain that the display did not get it.
        evidence: how that is known, for the journal.
    """

    may_be_seen: bool
    evidence: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the display should show; nothing if both are None."""

    code: DisplayedCode | None = None
    paid: bool | None = None
    text: str = ""


_NOTHING = _Wanted()
Report = Callable[[str | None, str], None]
"""Takes the key of the attempt, or None, and what happened to the display."""


def _log_only(key: str | None, text: str) -> None:
    """Report to nobody: each fault is in the log."""


class CodeDisplay:
    """The customer display of one lane. Never raises: a fault is logged, reported, and in the evidence.

    A thread of its own checks it once in `LOOK_S`: a display that was unplugged shows what is current as soon as it is
    plugged in, and a code that could not be cleared is cleared then.

    Args:
        settings: of the lane.
        display: opened when first used.

    Attributes:
        report: receives each fault, and its end, from any thread.
    """

    def __init__(self, settings: Settings, display: ReopeningDevice[QrDisplay]) -> None:
        self._display = display
        self._shows_codes = settings.mode is Mode.SCREEN
        self._result_s = settings.lane.result_s
        self.report: Report = _log_only
        self._lock = threading.RLock()
        self._wanted = _NOTHING
        self._key: str | None = None  # of the attempt that was shown last; None where that is not known
        self._last: Sending | None = None  # of what is wanted; None until it was sent: a crash may have left a code
        self._clear_at = 0.0
        self._fault = ""
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None

    def present(self, state: ScreenState, *, alone: bool) -> Sending:
        """Send the code of `state`.

        Args:
            state: the screen with the code.
            alone: no other place shows the code. Then one that was not sent is not sent later either: the attempt ends.
        """
        with self._lock:
            sending = self.show(state)
            if alone and not sending.may_be_seen:
                self._wanted, self._last = _NOTHING, None
            return sending

    def show(self, state: ScreenState) -> Sending:
        """Show what belongs to `state`: its code, its outcome, or nothing."""
        code = None
        if state.link is not None and self._shows_codes:
            amount = "" if state.amount_kopecks is None else format_amount(state.amount_kopecks)
            code = DisplayedCode(state.link, amount, state.headline)
        return self._want(_Wanted(code, _RESULTS.get(state.view), state.headline), state.attempt)

    def withdraw(self, key: str | None = None) -> None:
        """Clear the display.

        Args:
            key: of the attempt whose code is removed; what a later attempt shows stays. None for whatever is there.
        """
        with self._lock:
            if key is None or self._key in (key, None):
                self._want(_NOTHING, self._key)

    def _want(self, wanted: _Wanted, key: str | None) -> Sending:
        if wanted.code is None and wanted.paid is None:
            wanted = _NOTHING
        with self._lock:
            self._key = key
            if self._last is not None and wanted == self._wanted:
                return self._last
            self._wanted, self._last = wanted, None
            self._clear_at = time.monotonic() + self._result_s
            if self._keeper is None and not self._closing.is_set():
                self._start_keeper()
            return self._send()

    def _send(self) -> Sending:
        """Send what is wanted; after the display was lost once more, since it may be back."""
        seen = False
        for again in (True, False):
            try:
                self._transmit(self._display.get())
            except CodeMayShow as error:
                seen, problem, gone = True, str(error), self._display.lost(error.__cause__)
            except DeviceError as error:
                problem, gone = str(error), self._display.lost(error)
            except Exception as error:  # of a third party's driver
                log.exception("the customer display failed in an unforeseen way")
                seen, problem, gone = True, unforeseen.describe(error), False
            else:
                self._last = Sending(True, "sent to the customer display")
                self._report("")
                return self._last
            if not (again and gone):
                break
        self._report(problem)
        return Sending(seen, f"{'may be' if seen else 'not'} on the customer display: {problem}")

    def _transmit(self, display: QrDisplay) -> None:
        wanted = self._wanted
        if wanted.code is not None:
            display.show_code(wanted.code)
        elif wanted.paid is not None:
            display.show_result(paid=wanted.paid, text=wanted.text)
        else:
            display.clear()

    def _report(self, problem: str) -> None:
        if problem == self._fault:
            return
        self._fault = problem
        text = f"the customer display failed: {problem}" if problem else "the customer display works again"
        log.log(logging.ERROR if problem else logging.WARNING, "%s", text)
        self.report(self._key, text)

    # --- its thread ---------------------------------------------------------------------------------------------------

    def _start_keeper(self) -> None:
        """Without a thread that checks it the display still works; the next scene tries again."""
        keeper = threading.Thread(target=self._keep_checking, name="customer display", daemon=True)
        try:
            keeper.start()
        except RuntimeError as error:
            log.error("the customer display is not checked: %s", error)
        else:
            self._keeper = keeper

    def _keep_checking(self) -> None:
        while not self._closing.wait(LOOK_S):
            with self._lock:
                if not self._closing.is_set():
                    self._check()

    def _check(self) -> None:
        if self._wanted.paid is not None and time.monotonic() >= self._clear_at:
            self._wanted, self._last = _NOTHING, None
        if self._last is not None:
            try:
                self._display.get().check()
            except Exception as error:  # a third party's driver may raise anything
                log.warning("the customer display: %s", error)
                self._display.lost(error)
                self._last = None
        if self._last is None:
            self._send()

    def close(self) -> None:
        """Clear the display and release it."""
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join(5.0)
        self.withdraw()
        self._display.close()
