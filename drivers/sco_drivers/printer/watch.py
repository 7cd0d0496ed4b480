"""Watches a printer between tickets and reports lasting changes of its state.

Works with any `Printer`. Each status question is also a contact at which a printer that came back is cleared of what an
earlier ticket may have left in it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Self

from sco_drivers.errors import DeviceClosed, DeviceError
from sco_drivers.printer import Printer, PrinterStatus

log = logging.getLogger(__name__)

Seen = PrinterStatus | DeviceError
"""The state, or the error in its place."""


class Debounce:
    """Reports a state once it has lasted. Has no clock of its own.

    Args:
        steady_s: how long a state must last to be reported.
    """

    def __init__(self, steady_s: float) -> None:
        self._steady_s = steady_s
        self._reported: Seen | None = None
        self._candidate: Seen | None = None
        self._since = 0.0

    def feed(self, seen: Seen, at: float) -> Seen | None:
        """Take the state `seen` at `at`, s of any clock; returns what to report now, None for nothing.

        The first state is reported at once.
        """
        if self._reported is None:
            self._reported = self._candidate = seen
            return seen
        if _same(seen, self._reported):
            self._candidate = seen
            return None
        if self._candidate is None or not _same(seen, self._candidate):
            self._candidate, self._since = seen, at
        if at - self._since < self._steady_s:
            return None
        self._reported = seen
        return seen

    @property
    def pending(self) -> bool:
        """Whether the state differs from the one reported: ask again soon."""
        return self._reported is not None and self._candidate is not None and not _same(self._candidate, self._reported)


def _same(a: Seen, b: Seen) -> bool:
    return type(a) is type(b) if isinstance(a, DeviceError) else a == b


class StatusWatch:
    """Asks `printer` for its state in a thread of its own. Use as a context manager, inside the printer's.

    Args:
        printer: an open printer.
        changed: is called with each lasting state, also with the first; must return soon.
        every_s: time between two questions.
        steady_s: how long a state must last to be reported; until then it is asked for more often.
    """

    def __init__(
        self, printer: Printer, changed: Callable[[Seen], None], *, every_s: float = 5.0, steady_s: float = 1.0
    ) -> None:
        self._printer = printer
        self._changed = changed
        self._every_s, self._steady_s = every_s, steady_s
        self._debounce = Debounce(steady_s)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="printer-watch", daemon=True)

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                seen: Seen = self._printer.status()
            except DeviceClosed:
                return
            except DeviceError as error:
                seen = error
            report = self._debounce.feed(seen, time.monotonic())
            if report is not None:
                try:
                    self._changed(report)
                except Exception:
                    log.exception("the watcher of %s failed", self._printer.url)
            self._stop.wait(min(self._steady_s / 3, self._every_s) if self._debounce.pending else self._every_s)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
