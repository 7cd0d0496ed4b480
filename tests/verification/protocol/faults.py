"""The seeded faults of the protocol, on both of its sides, each of which the search must catch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sco_payment import attempt as m
from sco_service import payments
from tests.verification.explore.faults import taken_is_taken
from tests.verification.protocol import model, rules
from tests.verification.protocol.model import BEGUN, SCENARIOS, SOLD, Answer, Model, Scenario, Till
from tests.verification.seeded import Patch, SeededFault

LOST_OUTCOME, GOODS, MONEY, TWICE, DOUBLE, UNREAD, ANOTHER, DECIDED, NEVER_BEGAN = 5, 1, 2, 3, 4, 6, 7, 8, 9


_ONE = replace(SCENARIOS["one payment"], life=1, losses=0, copies=0, silences=0)
_CASE = replace(SCENARIOS["one payment, bad storage"], life=1, copies=0)
_AGAIN = SCENARIOS["again"]
_LOST = replace(SCENARIOS["lost disk"], copies=0, decisions=0)
_FIRST = SCENARIOS["taken first"]
_ID = SCENARIOS["id used again"]
_VOIDED = replace(SCENARIOS["voided"], copies=0, decisions=0)
_WAITS = replace(SCENARIOS["waits to begin"], presses=0)


def _fault(name: str, scenario: Scenario, owner: Any, attribute: Any, new: Any, *breaks: int) -> SeededFault:
    return SeededFault(name, frozenset(breaks), (Patch(owner, attribute, lambda original: new),), scenario)


def _reads_at_once(self: Model, till: Till, number: int, answer: Answer) -> Till:
    doing = "events" if answer.outcome is None else "get"
    return self._at(till, number, BEGUN, doing)._replace(cursor=answer.cursor)


def _acts_on_event(self: Model, till: Till, number: int, answer: Answer) -> Till:
    if answer.outcome is m.Outcome.PAID:
        if answer.had_case:
            raise model.Violation(DECIDED, "the till acts on an event, and there is a case for the operator")
        return self._at(till, number, SOLD, "release")
    return self._at(till, number, BEGUN, "events" if answer.outcome is None else "get")


def _takes_at_once(self: Model, till: Till, number: int, answer: Answer) -> Till:
    return self._at(till, number, BEGUN, "events" if answer.outcome is None else "taken")


def _forgets(state: m.State, event: object) -> m.Step:
    return state, ()


FAULTS = (
    _fault("a PUT is answered before the disk", _ONE, rules, "RECORDS_FIRST", False, LOST_OUTCOME),
    _fault("the cursor of events is kept in memory only", _ONE, rules, "COUNTS_ROWS", False, LOST_OUTCOME),
    _fault("the last row is read after the state", _ONE, rules, "READS_ROW_FIRST", False, LOST_OUTCOME),
    _fault("an outcome is taken when it was answered", _ONE, rules, "TAKEN_BY_REPORT", False, UNREAD),
    _fault("an outcome that nobody takes waits permanently", _LOST, rules, "TAKEN_IN_TIME", False, LOST_OUTCOME),
    _fault("a repeated PUT begins a second attempt", _AGAIN, rules, "known", lambda keys, key: -1, TWICE),
    _fault("another body of the same id is ignored", _ID, rules, "same_payment", lambda *arguments: True, GOODS),
    _fault(
        "a restart forgets that the goods are uncertain", _LOST, m.TABLE[m.Phase.PAID], m.Recovered,
        m.Rule(_forgets), MONEY, LOST_OUTCOME,
    ),
    _fault(
        "a sale that is voided after it was taken is forgotten", _VOIDED, m.TABLE[m.Phase.PAID], m.Recovered,
        m.Rule(taken_is_taken), MONEY,
    ),
    _fault(
        "a payment that waits to begin is answered as one that never began", _WAITS, payments.Payments, "check_begun",
        lambda self, till_id="", order_no="": None, NEVER_BEGAN,
    ),
    _fault(
        "a choice is applied to the payment under way", _AGAIN, rules, "choice_target",
        lambda offered, foreground, attempt, button: foreground, ANOTHER,
    ),
    _fault(
        "a cancellation is applied to the payment under way", _AGAIN, rules, "cancel_target",
        lambda foreground, attempt: foreground, ANOTHER,
    ),
    _fault(
        "a case that an operator has closed is named no longer", _CASE, rules, "names_case",
        lambda there, closed: there and not closed, DECIDED,
    ),
    _fault("the gate lets an order be paid again", _LOST, rules, "refused", lambda plan, others: "", DOUBLE),
    # the till's own
    _fault("the till stores its cursor before it acts", _ONE, Model, "_reads", _reads_at_once, LOST_OUTCOME),
    _fault("the till acts on an event", _ONE, Model, "_reads", _acts_on_event, DECIDED),
    _fault("the till sends taken before it has stored", _ONE, Model, "_reads", _takes_at_once, UNREAD),
    _fault("the till does not wait for the answer to taken", _FIRST, Model, "_sold", lambda self: "release", DECIDED),
)  # fmt: skip
