"""What this process has created at PayMaster, for as long as it runs: lane time does not jump meanwhile."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import datetime

_KEPT = 256


@dataclass(slots=True)
class Creation:
    """The creation of an attempt's payment.

    Attributes:
        expires: the invoice's end as it is sent, the same in each try.
        clock_ahead_s: how far PayMaster's clock was ahead of lane time; None where that was not known.
        payment_id: as PayMaster returned it, in an answer that named the attempt or its order.
    """

    expires: datetime
    clock_ahead_s: float | None = None
    payment_id: str | None = None


class Creations:
    """The latest creations by the attempts' keys. Can be used from several threads."""

    def __init__(self) -> None:
        self._found: dict[str, Creation] = {}
        self._mutex = threading.Lock()

    def get(self, key: str) -> Creation | None:
        """That of an attempt; None where another process began it, or too many came after it."""
        with self._mutex:
            return self._found.get(key)

    def add(self, key: str, creation: Creation) -> Creation:
        """Keep an attempt's; returns the one that is kept."""
        with self._mutex:
            while len(self._found) >= _KEPT:
                del self._found[next(iter(self._found))]
            return self._found.setdefault(key, creation)

    def others(self, key: str) -> set[str]:
        """The payments of all attempts but this one."""
        with self._mutex:
            return {one.payment_id for other, one in self._found.items() if one.payment_id and other != key}
