"""Decisions on cases that were made in the office: they go to the lane, which journals them or has a reason not to."""

from __future__ import annotations

import logging
from typing import Any

from sco_payment.fleet.outbox import Outbox
from sco_payment.journal import Case, JournalDamaged, NoSuchCase, codec, resolutions
from sco_payment.journal.resolutions import Resolution

log = logging.getLogger(__name__)

Json = dict[str, Any]

_LONGEST = 4_000
"""Characters of name and reason together: a longer decision could not be read where it waits."""
_LONGEST_REASON = 1_000
"""Characters. Longer answers are refused, and every report of the lane with them."""


def handle(outbox: Outbox, epoch: str, decisions: object) -> list[Json]:
    """Pass decisions on to whoever writes the journal; returns the answers to those whose end is known.

    The server sends a decision until it is answered. So nothing is remembered here: what became of one is in the
    journal, or in the decisions that wait for the lane.

    Args:
        outbox: of the journal.
        epoch: the journal's id.
        decisions: as the server sent them.

    Raises:
        JournalError: the journal cannot be read.
    """
    answers = []
    for decision in decisions if isinstance(decisions, list) else ():
        try:
            number = decision["id"]
            answer = _answer(outbox, epoch, decision)
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            log.error("the fleet sent no decision on a case: %r", error)
            continue
        if answer is not None:
            status, reason = answer
            reason = reason.replace("\0", "\ufffd")[:_LONGEST_REASON]
            answers.append({"id": number, "status": status, "reason": reason})
    return answers


def _answer(outbox: Outbox, epoch: str, data: Json) -> tuple[str, str] | None:
    """Status and reason; None while the decision waits for the lane."""
    decision = Resolution(
        int(data["case"]),
        str(data["operator"]),
        str(data["resolution"]),
        int(data["at_ms"]),
        str(data["phase"]),
        str(data["attempt"] or ""),
    )
    if len(decision.operator) + len(decision.resolution) > _LONGEST:
        return "refused", f"name and reason are longer than {_LONGEST} characters"
    try:
        codec.decode_resolution(codec.encode_resolution(decision))
    except JournalDamaged as error:  # no lane could read it where it waits
        return "refused", str(error)
    if data["epoch"] != epoch:
        return "refused", "the lane has another journal now: see the case in that one"
    try:
        case = outbox.journal.case(decision.number)
    except NoSuchCase as error:
        return "refused", str(error)
    bound = _bound(decision, case)
    if bound is None:
        return "refused", f"case {case.number} of this journal is another payment's: an older copy is in use"
    if case.closed_at_ms is not None:
        return _closed(case, decision)
    if decision.number in resolutions.pending(outbox.journal.path):
        return None
    if resolutions.overtaken(decision.phase, case.phase):
        return "refused", f"the payment was {decision.phase} when this was decided, and is {case.phase} now"
    try:
        resolutions.submit(outbox.journal.path, bound)
    except NoSuchCase:
        return None
    except ValueError as error:
        return "refused", str(error)
    log.info("case %d: the office's decision waits for the lane", decision.number)
    return None


def _bound(decision: Resolution, case: Case) -> Resolution | None:
    """The decision where it is on this case: a copy of a disk has the journal's id, and gives out its numbers again."""
    return decision if decision.attempt == case.attempt else None


def _closed(case: Case, decision: Resolution) -> tuple[str, str]:
    if (case.operator, case.resolution, case.closed_at_ms) == (
        decision.operator,
        decision.resolution,
        decision.at_ms,
    ):
        return "applied", ""
    return "refused", f"{case.operator} has closed it: {case.resolution}"
