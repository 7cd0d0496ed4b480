"""What may go wrong around the lane in a run, how often, and how often it did.

Mistakes in our own code are in `seeded_faults`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random

HTTP = {
    "refused": "the connection is refused",
    "unreachable": "the connection attempt times out",
    "no name": "the bank's name is not resolved",
    "send cut": "the connection is cut while the request is sent",
    "cut before": "the connection is cut before the bank has the request",
    "cut after": "the connection is cut after the bank has done it",
    "lost": "the request is lost on its way",
    "answer lost": "the bank does it and the answer is lost",
    "late": "the request reaches the bank up to a minute later",
    "slow": "the bank does it at once and the answer takes up to 30 s",
    "twice": "the request reaches the bank twice, the second time up to 30 s later",
    "repeated": "a gateway repeats the request and passes on the second answer",
    "429": "too many requests, with Retry-After",
    "500": "HTTP 5xx, not done",
    "500 after": "HTTP 5xx, done nevertheless",
    "redirect": "a captive portal answers with a redirect",
    "garbage": "HTTP 200 and a page of HTML, done nevertheless",
    "portal": "HTTP 200 and a captive portal's page, not done",
    "404": "not found, although it is there",
    "truncated": "the answer stops in the middle",
    "drip": "the answer comes byte by byte",
    "wrong payment": "the answer is about another payment",
}
DISK = {
    "disk error": "one write fails with an I/O error",
    "disk full": "no write works for some seconds",
    "disk full for long": "no write works for minutes",
    "disk read": "one read fails",
}
DEVICES = {
    "paper out": "the roll ends in mid-ticket or before it",
    "cover": "the cover is opened",
    "printer mute": "the printer prints and sends no status",
    "printer stalls": "the printer takes no bytes for a while",
    "printer gone": "the printer's cable is pulled in mid-ticket, or before it",
    "printer power": "the printer loses power in mid-ticket",
    "reader": "one reader command meets a fault",
    "reader gone": "the reader's cable is pulled",
    "screen hangs": "the display takes up to a minute and a half to show a scene",
    "screen gone": "the display is unplugged for a while",
    "touch gone": "the touch panel is absent",
}
POWER = {
    "killed": "the process is killed at some moment",
    "killed at disk": "the process is killed before or after a commit",
    "killed at wire": "the process is killed as a request leaves",
    "long outage": "a killed process comes back after hours",
    "clock at boot": "the wall clock was set while the process was down, right or wrong, or it stood still",
    "offline": "the lane's network is down for up to some minutes",
    "clock skew": "the lane's clock is wrong from the beginning, by seconds or hours",
    "clock jump": "the wall clock is set, by seconds or hours",
    "till fails": "the lane's software fails while it takes the outcome",
}
BANK = {
    "bank declines": "the bank rejects the payment",
    "bank refuses cancel": "a cancellation of an open payment is refused",
    "bank closes late": "a cancellation is accepted and closes the payment later, unless it is paid before",
    "bank takes after cancel": "a cancellation is accepted, and the customer's money comes all the same",
    "bank refunds": "the cancellation of a paid payment is accepted: a refund, visible at once or minutes later",
    "bank declines a try": "a customer's try is declined; another one may be paid before the invoice's end",
    "bank stays open": "an unpaid payment stays open for long after its invoice's end",
    "bank settles at once": "the create is answered with a payment that is settled already",
    "bank link late": "the create is answered without a link, which is there up to 25 s later",
    "bank refuses keys": "a create that is sent again is refused, since its key was used",
    "bank other amount": "the bank takes another amount",
    "bank pending": "the payment is in processing for up to half a minute",
    "bank expires late": "the invoice ends at the bank up to a minute late",
    "list lags": "the bank's list does not show young payments",
    "get lags": "a young payment is not found by its id",
    "bad link": "the bank gives a link for another amount, or none",
    "unknown status": "the bank uses a status that no document names",
    "namesake": "another lane of the merchant sells under the same order number",
    "unattributed": "the bank's list omits which attempt a payment was made for",
    "nameless": "the bank's list names neither orders nor attempts",
    "crowd": "the merchant has many payments: the list has several pages",
}
KINDS = {**HTTP, **DISK, **DEVICES, **POWER, **BANK}


@dataclass(frozen=True, slots=True)
class Focus:
    """What a run has for certain, in addition to what its seed draws: the display mode, kinds of faults with their
    rates, and a request that always meets the same fault."""

    mode: int | None = None
    rates: Mapping[str, float] = field(default_factory=dict)
    persistent: tuple[str, str] | None = None


class Faults:
    """The kinds of faults in a run. Each seed draws them, so that some runs meet one kind often and others many kinds.

    Attributes:
        count: how often each kind happened.
        fair: whether nothing goes wrong any more.
    """

    def __init__(self, random: Random, focus: Focus) -> None:
        self.random = random
        self.count: Counter[str] = Counter()
        self.fair = False
        share = random.choice((0.0, 0.08, 0.2, 0.4))
        self.rates = {kind: random.choice((0.02, 0.1, 0.3, 0.8)) for kind in KINDS if random.random() < share}
        self.persistent = (random.choice(("create", "get", "cancel", "list")), random.choice(tuple(HTTP)[3:]))
        self._has_persistent = random.random() < 0.25
        only = random.choice((1.0, 1.0, 0.3))
        self.rates = {kind: rate * only for kind, rate in self.rates.items()} | focus.rates
        if focus.persistent is not None:
            self.persistent, self._has_persistent = focus.persistent, True

    def persistent_fault_of(self, call: str) -> str | None:
        """In some runs one kind of request always meets the same fault."""
        if not self._has_persistent or self.fair or call != self.persistent[0]:
            return None
        self.count[self.persistent[1]] += 1
        return self.persistent[1]

    def has(self, kind: str) -> bool:
        """Whether it may happen in this run."""
        return kind in self.rates and not self.fair

    def strikes(self, kind: str, weight: float = 1.0) -> bool:
        """Whether it happens now; counted when it does."""
        if not self.has(kind) or self.random.random() >= self.rates[kind] * weight:
            return False
        self.count[kind] += 1
        return True

    def one_of(self, kinds: tuple[str, ...] | dict[str, str], weight: float = 1.0) -> str | None:
        """The one kind that happens now, or None."""
        found = [kind for kind in kinds if self.has(kind)]
        self.random.shuffle(found)
        return next((kind for kind in found if self.strikes(kind, weight)), None)
