"""What the journal says, as the service's answers say it: payments, events, cases.

Everything here is read through a connection of its own, so that no client holds up the lane.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sco_payment.attempt import FINAL, Mode, Outcome, Phase, State
from sco_payment.cli.story import story
from sco_payment.journal import Case, Journal, Record, codec, resolutions
from sco_payment.journal.describe import describe
from sco_payment.loop import LINK_REFUSED
from sco_payment.order import Order
from sco_service.wording import ADVICE, WHAT_HAPPENED

Json = dict[str, Any]
PAGE = 200
"""About how many events an answer holds."""
_REMEMBERED = 64


def order_of(state: State) -> Order:
    """The order that an attempt was begun with; its leg is always spelled out."""
    plan = state.plan
    return Order(plan.order_no, plan.total_kopecks, plan.tendered_elsewhere, plan.tendered_by_sbp, plan.kopecks)


class NeverWritten(Exception):
    """The journal has no such row yet; `first_row` is the first one that it has."""

    def __init__(self, message: str, first_row: int) -> None:
        super().__init__(message)
        self.first_row = first_row


class Records:
    """Reads one lane's journal for the service.

    Args:
        journal: open for reading.
        wall: the wall clock, in s, of this process's lane time; the journal has lane time.
    """

    def __init__(self, journal: Journal, wall: Callable[[int], float] = lambda at_ms: at_ms / 1000) -> None:
        self._journal = journal
        self._wall = wall
        self._rows_before = int(journal.head().partition(":")[0] or 0)  # of other processes, with a time of their own
        self._plans: dict[str, tuple[str | None, str]] = {}

    @property
    def journal(self) -> Journal:
        """The journal that is read."""
        return self._journal

    def close(self) -> None:
        """Close it."""
        self._journal.close()

    # --- times ------------------------------------------------------------------------------------------------

    def wall_ms(self, at_ms: int) -> int:
        """The wall clock at this lane time of this process."""
        return round(self._wall(at_ms) * 1000)

    def _at_ms(self, record: Record) -> int:
        """When a row was written. A decision comes from outside the lane, and has the wall clock."""
        is_ours = record.seq > self._rows_before and record.kind != "case_closed"
        return self.wall_ms(record.at_ms) if is_ours else record.at_ms

    def _of_plan(self, at_ms: int, key: str) -> int:
        """A time of an attempt's plan."""
        wall_ms = self.wall_ms(at_ms)
        if wall_ms == at_ms:  # as nearly always: the clock was not set
            return at_ms
        [begun] = self._journal.records(attempt=key, limit=1)
        return wall_ms if begun.seq > self._rows_before else at_ms

    # --- payments ---------------------------------------------------------------------------------------------

    def state(self, key: str) -> State | None:
        """The attempt with this key."""
        return self._journal.attempt(key)

    def payment(self, key: str) -> Json | None:
        """A payment as the contract has it; None for none."""
        # In this order, while the lane writes: a client that goes on after `last_seq` must miss nothing that the state
        # does not show, and a case must not be newer than what it is asked for.
        last_seq = self._journal.last_row(key)
        state = self._journal.attempt(key)
        return None if state is None else self._payment(state, last_seq)

    def of_order(self, order_no: str) -> list[Json]:
        """All payments of an order, oldest first."""
        payments = (self.payment(state.plan.key) for state in self._journal.of_order(order_no))
        return [payment for payment in payments if payment is not None]

    def _payment(self, state: State, last_seq: int) -> Json:
        plan = state.plan
        return {
            "id": plan.till_id,
            "attempt": plan.key,
            "order": plan.order_no,
            "amount_kopecks": plan.kopecks,
            "total_kopecks": plan.total_kopecks,
            "tendered_elsewhere_kopecks": plan.tendered_elsewhere,
            "tendered_by_sbp_kopecks": plan.tendered_by_sbp,
            "mode": plan.mode.value,
            "state": "running" if state.outcome is None else "finished",
            "phase": codec.PHASES[state.phase],
            "outcome": None if state.outcome is None else codec.OUTCOMES[state.outcome],
            "reason": codec.END_REASONS[state.reason],
            "detail": self._detail(state),
            "presented": state.presented,
            "payment_id": state.payment_id,
            "case": self._journal.case_number(plan.key),
            "taken": state.delivered,
            "begun_at_ms": self._of_plan(plan.begun_at_ms, plan.key),
            "expires_at_ms": self._of_plan(plan.expires_at_ms, plan.key),
            "last_seq": last_seq,
            "final": state.phase in FINAL,
        }

    def _detail(self, state: State) -> str:
        """What prevented the link from being shown."""
        if state.outcome is not Outcome.NOT_PRESENTED:
            return ""
        detail = ""
        for record in self._journal.timeline(state.plan.key):
            if record.kind == "attempt_step" and record.body["event"]["name"] in ("present_failed", "create_failed"):
                detail = str(record.body["event"]["detail"])
            elif record.kind == "note" and str(record.body["text"]).startswith(LINK_REFUSED):
                detail = str(record.body["text"]).removeprefix(LINK_REFUSED)
        return detail

    # --- events -----------------------------------------------------------------------------------------------

    def events(self, after: int, key: str | None = None) -> tuple[list[Json], int]:
        """The events after a row, of one attempt or of all, and the row to go on after.

        Raises:
            RowsArchived: the next row is in an archive. NeverWritten: this journal has not come to that row yet: it was
                begun, or salvaged, after the row was read.
        """
        found: list[Json] = []
        phases: dict[str, str | None] = {}
        while len(found) < PAGE:
            records = self._journal.records(after=after, limit=PAGE, attempt=key)
            for record in records:
                found += self._events_of(record, phases)
                after = record.seq
                if len(found) >= PAGE:
                    break
            if len(records) < PAGE:
                break
        if after and not found and after > (last := int(self._journal.head().partition(":")[0] or 0)):
            raise NeverWritten(f"this journal ends at row {last}: read its rows from the start", self._first_row())
        return found, after

    def _first_row(self) -> int:
        return self._journal.archived()[0] + 1

    def _events_of(self, record: Record, phases: dict[str, str | None]) -> list[Json]:
        if not record.attempt:
            return []
        body, key = record.body, record.attempt
        common = {"seq": record.seq, "at_ms": self._at_ms(record), "payment": self.till_id(key), "attempt": key}
        if record.kind not in ("attempt_started", "attempt_step"):
            return [{**common, **own} for own in _single(record, self.order_no(key))]
        if key not in phases:
            phases[key] = self._journal.phase_before(key, record.seq)
        before, phases[key] = phases[key], body["state"]["phase"]
        own = _of_step(
            body, before, lambda: self._journal.case_number(key, until=record.seq + 2 * len(body["effects"]))
        )
        return [{**common, **self._by_wall(event, key)} for event in own]

    def _by_wall(self, event: Json, key: str) -> Json:
        at_ms = event.get("expires_at_ms")
        return event if at_ms is None else {**event, "expires_at_ms": self._of_plan(at_ms, key)}

    def till_id(self, key: str) -> str | None:
        """What the till calls an attempt."""
        return self._plan(key)[0]

    def order_no(self, key: str) -> str:
        """The order of an attempt."""
        return self._plan(key)[1]

    def _plan(self, key: str) -> tuple[str | None, str]:
        known = self._plans.get(key)
        if known is None:
            state = self._journal.attempt(key)
            if state is None:
                return None, ""
            known = state.plan.till_id, state.plan.order_no
            if len(self._plans) >= _REMEMBERED:
                self._plans.clear()
            self._plans[key] = known
        return known

    # --- cases ------------------------------------------------------------------------------------------------

    def cases(self, *, include_closed: bool) -> list[Json]:
        """The cases, oldest first."""
        waiting = resolutions.pending(self._journal.path)
        return [self._case(case, waiting) for case in self._journal.cases(include_closed=include_closed)]

    def case(self, number: int) -> Json:
        """A case. Raises NoSuchCase."""
        return self._case(self._journal.case(number), resolutions.pending(self._journal.path))

    def case_with_evidence(self, number: int) -> Json:
        """A case, its timeline, what happened and what to do. Raises NoSuchCase."""
        case = self._journal.case(number)
        return {
            **self.case(number),
            "what_happened": WHAT_HAPPENED[case.reason],
            "what_to_do": ADVICE[case.reason],
            "timeline": self._evidence(self._journal.timeline(case.attempt)),
        }

    def _case(self, case: Case, waiting: Mapping[int, resolutions.Resolution]) -> Json:
        data = codec.case_data(case)
        decision = waiting.get(case.number) if case.closed_at_ms is None else None
        return {
            **{("order" if name == "order_no" else name): value for name, value in data.items()},
            "opened_at_ms": self._opened_at_ms(case),
            "payment": self.till_id(case.attempt),
            "decided_by": None if decision is None else decision.operator,
        }

    def _opened_at_ms(self, case: Case) -> int:
        if self.wall_ms(case.opened_at_ms) == case.opened_at_ms:
            return case.opened_at_ms
        rows = (record for record in self._journal.timeline(case.attempt) if record.kind == "case_opened")
        return next((self._at_ms(record) for record in rows), case.opened_at_ms)

    def _evidence(self, timeline: list[Record]) -> list[Json]:
        """What an attendant must know of a case's records, in both languages."""
        russian, english = (dict(_by_row(timeline, language)) for language in ("ru", "en"))
        return [
            {
                "seq": record.seq,
                "at_ms": self._at_ms(record),
                "kind": record.kind,
                "text": {"ru": russian[record.seq], "en": english.get(record.seq, describe(record))},
            }
            for record in timeline
            if record.seq in russian
        ]


def _by_row(timeline: list[Record], language: str) -> Iterable[tuple[int, str]]:
    return ((record.seq, text) for record, text in story(timeline, language))


def _of_step(body: Json, before: str | None, case: Any) -> Iterable[Json]:
    """The events of an attempt's step, in the order of the lane's own."""
    state = body["state"]
    plan, order = state["plan"], {"order": state["plan"]["order_no"]}
    effects = {effect["name"]: effect for effect in body["effects"]}
    if state["phase"] != before:
        yield {
            "type": "state_changed",
            **order,
            "phase": state["phase"],
            "payment_id": state["payment_id"],
            "expires_at_ms": plan["expires_at_ms"],
        }
    if (present := effects.get("present_link")) is not None:
        yield {"type": "link_accepted", "link": present["link"], "verified": present["verified"]}
    if (cancel := effects.get("send_cancel")) is not None:
        yield {"type": "cancel_sent", "payment_id": cancel["payment_id"]}
    if (outcome := effects.get("report_outcome")) is not None:
        yield {
            "type": "outcome_reached",
            **order,
            "outcome": outcome["outcome"],
            "reason": outcome["end_reason"],
            "amount_kopecks": plan["amount_kopecks"],
            "payment_id": state["payment_id"],
            "case": case(),
        }
    if body.get("event", {}).get("name") == "outcome_taken" and state["outcome_taken"]:
        yield {"type": "outcome_taken", **order}


def _single(record: Record, order: str) -> list[Json]:
    """The event of a record that is not a step."""
    body = record.body
    match record.kind:
        case "note":
            return [{"type": "note_added", "text": body["text"]}]
        case "case_opened":
            own = {"case": body["case_number"], "reason": body["reason"], "detail": body["detail"]}
            return [{"type": "case_opened", "order": order, **own}]
        case "case_reopened":
            return [{"type": "case_reopened", "order": order, "case": body["case_number"]}]
        case "case_closed":
            own = {"case": body["case_number"], "operator": body["operator"], "resolution": body["resolution"]}
            return [{"type": "case_closed", "order": order, **own}]
        case _:
            return []


PAYABLE = frozenset({Phase.PRESENTING, Phase.WAITING, Phase.ASKING})
PRINTED = Mode.PRINT
