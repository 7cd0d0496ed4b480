"""Customers: each looks for a code, reads it from the picture or the tag as a phone does, and acts on it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

from sco_sim.paymaster import NothingToPay, Phone, Seen
from sco_sim.paymaster.bank import OPEN
from sco_sim.serve.bench import PLACES, MockBench, Place

Deed = Literal["pays", "declines", "pays-regardless", "scans"]
_LOOK_S = 0.2
_END_S = 5.0


class Customer:
    """One customer.

    Args:
        number: by which tests refer to it.
        bench: what it looks at.
        does: `pays`; `declines`; `pays-regardless`: confirms at once, and the money arrives `after_s` later whatever
            became of the payment; `scans`: reads the code only.
        places: where it looks, in this order.
        after_s: time between reading the code and that.
        patience_s: how long it looks for a code that can be paid.

    Attributes:
        state: `looking`, `scanned`, then `done`, `failed` (see `problem`) or `left` (a reset, or it was sent away).
    """

    def __init__(
        self, number: int, bench: MockBench, does: Deed, places: tuple[Place, ...], after_s: float, patience_s: float
    ) -> None:
        self.number, self._bench, self._does, self._places = number, bench, does, places
        self._after_s, self._patience_s = after_s, patience_s
        self.state, self.problem = "looking", ""
        self._place: Place | None = None
        self._seen: Seen | None = None
        self._over, self._leaving = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"customer-{number}", daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Go away, unless all is done already; returns when that is so."""
        self._leaving.set()
        self._thread.join(_END_S)

    def wait(self, timeout_s: float) -> None:
        """Wait until it has done all, failed or left, at most so long."""
        self._over.wait(timeout_s)

    def as_json(self) -> dict[str, Any]:
        """What became of it."""
        seen = self._seen
        return {
            "id": self.number,
            "does": self._does,
            "state": self.state,
            "place": self._place,
            "link": seen.link if seen else None,
            "payment": seen.payment_id if seen else None,
            "amount_kopecks": seen.kopecks if seen else None,
            "status": seen.status if seen else None,
            "problem": self.problem or None,
        }

    def _run(self) -> None:
        try:
            self.state = self._act(self._bench.paymaster.phone)
        except NothingToPay as error:
            self.state, self.problem = "failed", str(error)
        finally:
            self._over.set()

    def _act(self, phone: Phone) -> str:
        end = time.monotonic() + self._patience_s
        while not self._look(phone):
            if time.monotonic() >= end:
                self.problem = f"no code that can be paid within {self._patience_s:g} s; last: {self.problem or 'none'}"
                return "failed"
            if self._leaving.wait(_LOOK_S):
                return "left"
        assert self._seen is not None
        self.state, self.problem = "scanned", ""
        if self._does == "pays-regardless":
            phone.pay_later(self._seen.link, self._after_s)
        elif self._leaving.wait(self._after_s):
            return "left"
        deeds: dict[Deed, Callable[[str | bytes], Seen]] = {"pays": phone.pay, "declines": phone.decline}
        self._seen = deeds.get(self._does, phone.scan)(self._seen.link)
        return "done"

    def _look(self, phone: Phone) -> bool:
        """Whether a code was read that can be paid."""
        for place in self._places:
            link = self._bench.read(place)
            if link is None:
                continue
            try:
                seen = phone.scan(link)
            except NothingToPay as error:
                self.problem = str(error)
                continue
            if seen.status in OPEN:
                self._place, self._seen = place, seen
                return True
            self.problem = f"the payment is {seen.status}"
        return False


class Customers:
    """All customers since the last reset."""

    def __init__(self, bench: MockBench) -> None:
        self._bench = bench
        self._numbers = itertools.count(1)
        self._all: dict[int, Customer] = {}

    def come(self, does: Deed, place: Place | None, after_s: float, patience_s: float) -> Customer:
        """Another customer, who looks in that place, or everywhere."""
        places = PLACES if place is None else (place,)
        number = next(self._numbers)
        self._all[number] = Customer(number, self._bench, does, places, after_s, patience_s)
        return self._all[number]

    def find(self, number: int) -> Customer | None:
        """The customer of that number."""
        return self._all.get(number)

    def as_json(self) -> list[dict[str, Any]]:
        """What became of each."""
        return [one.as_json() for one in list(self._all.values())]

    def leave(self) -> None:
        """All of them go, and are forgotten."""
        for one in list(self._all.values()):
            one.leave()
        self._all.clear()
