"""What the service decides about a request: its own functions, and the order of its steps where a seeded fault changes
them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import SimpleNamespace
from typing import Any, cast

from sco_payment import attempt as m
from sco_payment.customer.screens import Surroundings, screen_of
from sco_payment.customer.texts import RUSSIAN
from sco_payment.journal import codec
from sco_payment.lane import Lane
from sco_payment.order import Order
from sco_service import payments, problems, records

RECORDS_FIRST = True
"""A PUT is answered when the payment is on disk (`Lane.pay`, `begun`)."""
READS_ROW_FIRST = True
"""A payment's last row is read before its state, so that no row is among them that the state does not know of."""
COUNTS_ROWS = True
"""Events have the numbers of the journal's rows; a fault counts them from the service's start."""
TAKEN_BY_REPORT = True
"""An outcome counts as taken when the till has reported that; by a fault, when it was read."""
TAKEN_IN_TIME = True
"""An outcome of paid that is not taken in time becomes a case."""


def attempt_key(lane_id: str, till_id: str) -> str:
    """The key of the attempt that a till's id means."""
    return payments.key_of(lane_id, till_id)


def known(keys: Sequence[str], key: str) -> int:
    """Which attempt a till's id means; -1 for none."""
    return keys.index(key) if key in keys else -1


def same_payment(known: m.State, order_no: str, kopecks: int) -> bool:
    """Whether a PUT means the payment that has its id."""
    return records.order_of(known) == payments._spelled_out(Order(order_no, kopecks))


def refused(plan: m.Plan, others: list[m.State]) -> str:
    """Why no attempt may begin: the problem's code; empty when it may."""
    if m.gate(plan.order_no, None, others, plan.tendered_by_sbp, plan.total_kopecks) is None:
        return ""
    journal = SimpleNamespace(archived_payment=lambda order_no: None, conflicting_attempts=lambda order_no: others)
    return payments._CODES[Lane._refusal(cast(Lane, SimpleNamespace(journal=journal)), plan)]


def asked_for(till_id: str, waits: bool) -> str:
    """The code that answers for a payment that the journal lacks; `waits`: the service holds a request to begin it."""
    held = {till_id: payments.Job(till_id, "", Order("A-1", 1))} if waits else {}
    try:
        payments.Payments.check_begun(cast(payments.Payments, SimpleNamespace(_open=held)), till_id)
    except problems.Problem as problem:
        return problem.code
    return "no_such_payment"


def try_again(code: str) -> bool:
    """Whether the till may send the same request again."""
    return problems.KINDS[code].retry


def names_case(there: bool, closed: bool) -> bool:
    """Whether a payment that has a case names it."""
    return there


def events(
    event: m.Event | None, before: m.State | None, after: m.State, effects: Iterable[m.Effect]
) -> tuple[str, ...]:
    """The types of the events that the journal's record of a step means."""
    kind = "attempt_started" if event is None else "attempt_step"
    body: dict[str, Any] = codec.encode_body(kind, event=event, state=after, effects=tuple(effects))
    found = records._of_step(body, before and codec.PHASES[before.phase], lambda: None)
    return tuple(one["type"] for one in found)


def buttons(state: m.State, view: m.View) -> tuple[str, ...]:
    """The ids of the buttons that the screen shows."""
    return tuple(button.id for button in screen_of(RUSSIAN, state, view, Surroundings(expires_at_ms=0)).buttons)


def choice_target(offered: tuple[int, Iterable[str]] | None, foreground: int, attempt: int, button: str) -> int:
    """The attempt that a choice is applied to, as `CustomerDisplay.choose`; -1 for none."""
    return attempt if offered is not None and offered[0] == attempt and button in offered[1] else -1


def cancel_target(foreground: int, attempt: int) -> int:
    """The attempt that is cancelled for a till, as `Lane.cancel_attempt`."""
    return attempt
