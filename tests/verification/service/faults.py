"""Seeded faults of the service and of its till's ways, which the rounds must catch."""

from __future__ import annotations

import time
from typing import Any

from sco_payment.lane import Lane
from sco_service import payments
from tests.verification.seeded import Patch, SeededFault


def _another_key(original: Any) -> Any:
    numbers = iter(range(10**9))
    return lambda lane_id, till_id: original(lane_id, f"{till_id}/{next(numbers)}")


def _nothing_first(original: Any) -> Any:
    """`begun` is reported before the attempt is on disk."""

    def pay(self: Lane, order: Any, **how: Any) -> Any:
        how["begun"]()
        time.sleep(3.0)  # until the answer is sent
        return original(self, order, **how)

    return pay


def _ignored(original: Any) -> Any:
    return lambda self, attempt: None


FAULTS = (
    SeededFault("the key is not derived from the till's id", frozenset(), (Patch(payments, "key_of", _another_key),)),
    SeededFault("a PUT is answered before the disk", frozenset(), (Patch(Lane, "pay", _nothing_first),)),
    SeededFault("taken is answered and not recorded", frozenset(), (Patch(Lane, "acknowledge", _ignored),)),
)
