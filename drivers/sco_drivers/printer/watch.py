"""Watches a printer between tickets: a steady change of its state is told, a flap is not.

Any `Printer` will do. Each look is also the contact at which a printer that came back is cleared of what an earlier
ticket may have left in it.
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
"""What a look gave: the state, or why there is none."""


class Debounce:
    """Lets a state through once it has lasted. No clock of its own.

    Args:
        steady_s: how long a state must last to be told.
    """

    def __init__(self, steady_s: float) -> None:
        self._steady_s = steady_s
        self._told: Seen | None = None
        self._candidate: Seen | None = None
        self._since = 0.0

    def feed(self, seen: Seen, at: float) -> Seen | None:
        """Take what was seen at `at`, s of any clock; returns what is to be told now, None for nothing.

        The first state is told at once: there is nothing that it could be a flap of.
        """
        if self._told is None:
            self._told = self._candidate = seen
            return seen
        if _same(seen, self._told):
            self._candidate = seen
            return None
        if self._candidate is None or not _same(seen, self._candidate):
            self._candidate, self._since = seen, at
        if at - self._since < self._steady_s:
            return None
        self._told = seen
        return seen

    @property
    def pending(self) -> bool:
        """Whether another state than the one told is there now: look again soon."""
        return self._told is not None and self._candidate is not None and not _same(self._candidate, self._told)


def _same(a: Seen, b: Seen) -> bool:
    return type(a) is type(b) if isinstance(a, DeviceError) else a == b


class StatusWatch:
    """Looks at `printer` from a thread of its own. Use as a context manager, inside the printer's.

    Args:
        printer: an open printer.
        changed: is told each steady state, the first one too; must return soon.
        every_s: between two looks.
        steady_s: how long a state must last to be told; while it is not yet, looks are more frequent.
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
            told = self._debounce.feed(seen, time.monotonic())
            if told is not None:
                try:
                    self._changed(told)
                except Exception:
                    log.exception("the watcher of %s failed", self._printer.url)
            self._stop.wait(min(self._steady_s / 3, self._every_s) if self._debounce.pending else self._every_s)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        self._thread.join()
