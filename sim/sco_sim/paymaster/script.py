"""Scripted outcomes of the simulator: what the customer does, and what the network and the bank do to a request.

A script is words: `pays after=2`, `429 wait=5 first=2 on=get`, joined by `+`: `pays after=2 + cut-after on=create`.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Literal

Call = Literal["create", "get", "cancel", "list"]
CALLS: tuple[Call, ...] = ("create", "get", "cancel", "list")

CUSTOMERS = {
    "leaves": "does not pay; the invoice expires",
    "pays": "pays `after` s after creation (0)",
    "declines": "declines `after` s after creation (0)",
    "declines-then-pays": "a try is declined `after` s after creation (0), and the next one is paid 20 s later",
    "pays-after-cancel": "the money arrives although the cancellation was taken",
    "pays-at-cancel": "pays just before the cancellation arrives, which is then refused",
    "pays-late": "the money arrives `after` s after the invoice's end (1)",
}
FAULTS = {
    "500": "HTTP 500 before the request takes effect",
    "500-after": "HTTP 500 although the request took effect",
    "429": "too many requests, Retry-After `wait` s (5)",
    "503": "HTTP 503 before the request takes effect, Retry-After `wait` s (5)",
    "401": "the token is refused before the request takes effect",
    "slow": "the answer comes after `wait` s (1)",
    "cut-before": "the connection is cut before the request takes effect",
    "cut-after": "the connection is cut after the request took effect",
    "late": "the connection is cut, and the request takes effect `wait` s later (5)",
    "repeated": "a gateway sends the request twice: the answer is the second one's, HTTP 409 with a code of its own",
    "down": "after the answer the port refuses connections for `wait` s (5)",
    "404": "not found",
    "garbage": "HTTP 200 with a body that is not JSON, after the request took effect",
}
ALIASES = {
    "cancel-lost": "cut-after on=cancel",
    "cancel-unanswered": "cut-before on=cancel",
    "404-first": "404 on=get",
}


BEHAVIOURS = {
    "cancel-in-use": "the cancellation of an open payment is refused, because the customer is paying it",
    "cancel-refunds": "the cancellation of a paid payment is accepted and refunds it",
    "cancel-refunds-later": "the same, but the payment is shown as settled for 20 s more",
    "cancel-refused": "every cancellation is refused",
    "foreign-link": "the link leads to a host that is neither NSPK's nor PayMaster's",
    "key-refused": "a repeated idempotency key is refused with `idempotency_key_violation`",
    "link-later": "the answer to the create is `Pending` without a link; the link is there 3 s later",
    "settled-at-once": "the answer to the create is a payment that is settled already",
    "stays-open": "an unpaid payment stays open after its invoice's end",
    "list-nameless": "the list shows neither order numbers nor parameters, as in PayMaster's documented example",
    "plate-rewritten": "a plate's link comes back with an amount, in another order and with its crc in lower case",
    "test-page": "a test account: each payment is a test payment, and its link is a page of PayMaster's own",
    "unknown-code": "the link is NSPK's, and its id is of a kind that is neither static nor dynamic",
    "token-replaced": "the token is refused; the one that replaced it, `next_token`, is accepted",
}
CLOCK = "clock"
"""The word for PayMaster's own clock, by which it dates its answers, creates and expires: it is `ahead` s ahead."""


class BadScript(ValueError):
    """A word of the script is not known; the message lists the known ones."""


@dataclass(slots=True)
class Fault:
    """What happens to requests of the kinds `on`: the first `first` of them, or those within `within` s of creation."""

    kind: str
    on: tuple[Call, ...] = CALLS
    first: int | None = None
    within_s: float | None = None
    wait_s: float = 0.0
    met: int = 0


@dataclass(slots=True)
class Script:
    """A parsed script."""

    text: str = "leaves"
    customer: str = "leaves"
    after_s: float = 0.0
    clock_ahead_s: float = 0.0
    behaviours: set[str] = field(default_factory=set)
    faults: list[Fault] = field(default_factory=list)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def parse(cls, text: str) -> Script:
        """Parse `text`. Raises BadScript."""
        script = cls(text=text)
        for part in text.split("+"):
            words = part.split()
            if not words:
                raise BadScript(f"{text!r}: an empty part")
            name, *rest = ALIASES.get(words[0], words[0]).split() + words[1:]
            options = dict(_option(text, word) for word in rest)
            if name in BEHAVIOURS:
                script.behaviours.add(name)
            elif name in CUSTOMERS:
                script.customer = name
                script.after_s = _number(text, options.pop("after", "1" if name == "pays-late" else "0"))
            elif name in FAULTS:
                script.faults.append(_fault(text, name, options))
            elif name == CLOCK:
                script.clock_ahead_s = _number(text, options.pop("ahead", "0"))
            else:
                known = ", ".join([*CUSTOMERS, *FAULTS, *BEHAVIOURS, CLOCK, *ALIASES])
                raise BadScript(f"{name!r} is not known in a script; expected one of {known}")
            if options:
                raise BadScript(f"{name} has no option {', '.join(options)}")
        return script

    def fault_for(self, call: Call, age_s: float | None) -> Fault | None:
        """The fault that this request meets, counted; `age_s` is the age of its payment."""
        with self._mutex:
            for fault in self.faults:
                if call not in fault.on or (fault.first is not None and fault.met >= fault.first):
                    continue
                if fault.within_s is not None and (age_s is None or age_s > fault.within_s):
                    continue
                fault.met += 1
                return fault
        return None


def _option(text: str, word: str) -> tuple[str, str]:
    name, equals, value = word.partition("=")
    if not equals:
        raise BadScript(f"{text!r}: {word!r} must be name=value")
    return name, value


def _number(text: str, value: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise BadScript(f"{text!r}: {value!r} is not a number") from None


def _fault(text: str, name: str, options: dict[str, str]) -> Fault:
    fault = Fault(name, wait_s=1.0 if name == "slow" else 5.0)
    if "on" in options:
        calls = options.pop("on").split(",")
        unknown = [call for call in calls if call not in CALLS]
        if unknown:
            raise BadScript(f"{text!r}: on={unknown[0]} is none of {', '.join(CALLS)}")
        fault.on = tuple(call for call in CALLS if call in calls)
    if "first" in options:
        fault.first = int(_number(text, options.pop("first")))
    if "s" in options:
        fault.within_s = _number(text, options.pop("s"))
    if "wait" in options:
        fault.wait_s = _number(text, options.pop("wait"))
    return fault
