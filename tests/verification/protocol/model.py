"""A till, the lane's service, the bank and a customer, with everything that may come between them.

The attempts are the production machine: `begin`, `step`, `due`, `gate`, `needs_recovery` and `significant` decide here
as they do in the lane, and what the service decides about a request is decided by its own functions (`rules`). The till
is a reference till: it writes an id to its disk and PUTs it until it is answered, reads events with a cursor that it
keeps on its disk, asks for the payment when an outcome is among them, stores that outcome, releases the goods only for
"paid" without a case, then reports the outcome as taken until that is answered. When it starts again and does not know
whether its payment has begun, it asks for it, as the Java client does, and takes other money when it never did. In one
scenario it PUTs it again, reports the outcome as taken first, and releases by the answer, as the till of the guide
does. What it cannot store, or does not release after all, it reports as not accepted.

What may happen, at any moment and in any order, as often as a scenario says:

* till: dies and starts again from its disk, which may be lost; cannot store an outcome
* service: dies between any two steps, between a record and its effects, and between a record and its answer; lets a
  PUT wait for the lane
* between them: a request or its answer is lost; a request is doubled, and a copy arrives at any later time
* customer: pays what can be paid, presses a button that the screen shows, on a page that may be old when the choice
  arrives; the attendant cancels by the till
* bank: creates, or fails with the payment made or not; closes; refuses a cancellation; is silent

How hostile a bank, its clock, the devices and the disk can be is explored for the machine itself (`explore`). Here the
bank answers about the payment as it is, and each attempt has a clock of its own, which only ticks move. What a till has
sent before it died is read before what it asks when it is back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from sco_payment import attempt as m
from tests.verification.explore.model import DYNAMIC, LINKS, Machine, Violation, _link
from tests.verification.protocol import rules

LANE = "lane-1"
TIMING = m.Timing(
    poll_ms=1,
    poll_timeout_ms=1,
    create_window_ms=1,
    create_retry_ms=1,
    present_ms=1,
    confirm_ms=1,
    watch_ms=1,
    grace_ms=0,
    overdue_ms=1,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What the till wants paid, and the bounds of what may go wrong.

    Attributes:
        wanted: what the till pays one after the other: the id that it makes, the order, its amount in kopecks.
        till_dies, service_dies: how often.
        loses_disk: whether a dying till loses its disk as well: it then goes on with the next of `wanted`.
        losses: how often a request or its answer is lost between till and service.
        copies: how many copies of requests may be on the wire, which arrive later.
        presses: how often a button is pressed, or the attendant cancels.
        silences: how often the bank does not answer a question.
        till_full: how often the till cannot store an outcome; with `taken_first`, how often it voids the sale.
        waits: how often a PUT waits for the lane.
        decisions: how often an operator closes a case.
        life: of an invoice, in ticks.
        taken_first: the till releases the goods by the answer to `taken`, not before: where that names a case, never.
            It PUTs again what may have begun.
    """

    name: str
    wanted: tuple[tuple[str, str, int], ...]
    till_dies: int = 1
    service_dies: int = 1
    loses_disk: bool = False
    losses: int = 1
    copies: int = 1
    presses: int = 1
    silences: int = 1
    till_full: int = 0
    waits: int = 0
    decisions: int = 0
    life: int = 2
    taken_first: bool = False


_A1, _A2, _B1 = ("a1", "A-1", 25_300), ("a2", "A-1", 25_300), ("b1", "B-2", 9_900)
SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("one payment", (_A1,), presses=0),
        Scenario("one payment, pressed", (_A1,), losses=0, silences=0),
        Scenario("one payment, bad storage", (_A1,), presses=0, silences=0, till_full=1, decisions=1),
        Scenario("again", (_A1, _A2), life=1, till_dies=0, losses=0, silences=0),
        Scenario("again, deaths", (_A1, _A2), life=1, losses=0, copies=0, presses=0),
        Scenario("next order", (_A1, _B1), life=1, till_dies=0, losses=0, presses=0, silences=0),
        Scenario("lost disk", (_A1, _A2), loses_disk=True, life=1, losses=0, presses=0, silences=0, decisions=1),
        Scenario(
            "id used again", (_A1, ("a1", "B-2", 9_900)), loses_disk=True, life=1, losses=0, presses=0, silences=0
        ),
        Scenario("taken first", (_A1,), presses=0, silences=0, decisions=1, till_dies=2, taken_first=True),
        Scenario("voided", (_A1,), presses=0, silences=0, losses=0, decisions=1, till_full=1, taken_first=True),
        Scenario("waits to begin", (_A1,), life=1, losses=0, silences=0, waits=1),
    )
}
"""The bounds of `make verify`."""
_MORE: dict[str, dict[str, int]] = {
    "one payment": {"losses": 2, "copies": 2},
    "one payment, pressed": {"losses": 1, "presses": 2},
    "one payment, bad storage": {"losses": 2, "copies": 2},
    "again": {"till_dies": 1},
    "again, deaths": {"copies": 1},
    "next order": {"till_dies": 1, "losses": 1},
    "lost disk": {"losses": 1},
    "id used again": {"losses": 1, "presses": 1},
    "taken first": {"losses": 2, "service_dies": 2},
    "voided": {"losses": 1, "till_dies": 2},
    "waits to begin": {"waits": 2, "losses": 1},
}


def wider(scenario: Scenario) -> Scenario:
    """The same within the bounds of `make protocol`."""
    return replace(scenario, **_MORE[scenario.name])  # type: ignore[arg-type]


# The bank's word about a payment.
NOTHING, OPEN, PAID, CLOSED = "nothing", "open", "paid", "closed"
# How far the till has come with a payment, on its disk.
NEW, MEANT, BEGUN, SOLD, VOIDED, ENDED, DONE = "new", "meant", "begun", "sold", "voided", "ended", "done"
REFUSED, LOST, NEVER = "refused", "lost", "never"  # the last one: it has read that its payment never began


class Attempt(NamedTuple):
    """An attempt in the journal. `wanted` is the number of what the till wanted; `disk`, `memory`: of a machine state,
    -1 where the service has none in memory; `now`: its clock; `decided`: whether an operator has closed its case."""

    wanted: int
    key: str
    disk: int
    memory: int
    bank: str
    now: int
    seen: bool
    decided: bool = False


class Request(NamedTuple):
    """On its way to the service: what, about which attempt's or payment's number, with what (a cursor, a button)."""

    what: str
    about: int
    extra: str | int = 0


class Answer(NamedTuple):
    """On its way to the till. `case`: whether it names a case; `had_case`: whether there was one when it was made."""

    status: str  # "payment", "events", "refused", "busy"
    outcome: m.Outcome | None = None
    case: bool = False
    had_case: bool = False
    cursor: int = 0


class Till(NamedTuple):
    """The till's disk, then its memory: what it does now, and the answer that has come."""

    stages: tuple[str, ...]
    goods: tuple[int, ...]  # the numbers of `wanted` whose goods are released
    cursor: int
    doing: str  # "down", "idle", "release", or what it asks: "put", "events", "get", "taken", "not_accepted"
    answer: Answer | None = None


class Service(NamedTuple):
    """The service's memory: whether it is up, has looked after what it found, and what is on the screen."""

    up: bool = True
    recovered: bool = True
    foreground: int = -1
    screen: tuple[int, m.View, tuple[str, ...]] | None = None
    offered: bool = False  # whether its buttons may be pressed: a page that shows them may be older
    first_row: int = 0  # how many rows there were when it started, where it counts from there
    promised: int = -1  # whose PUT waits for the lane; a seeded fault answers it before it is on disk


class Left(NamedTuple):
    """How much may still go wrong."""

    till_dies: int
    service_dies: int
    losses: int
    copies: int
    presses: int
    silences: int
    till_full: int
    waits: int
    decisions: int


class State(NamedTuple):
    """One state of the model. `rows` of the journal: of each the attempt, and the types of its events."""

    till: Till
    service: Service
    attempts: tuple[Attempt, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    wire: tuple[Request, ...]
    left: Left


Transition = tuple[str, State]
# Labels that begin so are what goes wrong: a state must be able to come to an end without them.
FAULT = "! "


class Model:
    """All transitions of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.machine = Machine()
        self._refusals: dict[tuple[int, tuple[int, ...]], str] = {}
        self._events: dict[tuple[int, m.Event], tuple[str, ...]] = {}
        self._asked = self._silent = False
        self._plans = [self._plan(*wanted) for wanted in scenario.wanted]

    def _plan(self, till_id: str, order_no: str, kopecks: int) -> m.Plan:
        return m.Plan(
            key=rules.attempt_key(LANE, till_id),
            order_no=order_no,
            kopecks=kopecks,
            currency="RUB",
            mode=m.Mode.SCREEN,
            begun_at_ms=0,
            expires_at_ms=self.scenario.life,
            timing=TIMING,
        )

    def start(self) -> State:
        s = self.scenario
        return State(
            Till((NEW,) * len(s.wanted), (), 0, "idle"),
            Service(),
            (),
            (),
            (),
            Left(*(getattr(s, name) for name in Left._fields)),
        )

    def transitions(self, s: State) -> Iterator[Transition]:
        """Every state that may come next, with what happened."""
        yield from self._till(s)
        yield from self._wire(s)
        yield from self._people(s)
        if s.service.up:
            yield from self._service(s)
            if s.left.service_dies:
                yield from self._service_dies(s)
        else:
            yield (
                "the service starts again",
                s._replace(
                    service=Service(
                        recovered=False, screen=s.service.screen, first_row=0 if rules.COUNTS_ROWS else len(s.rows)
                    )
                ),
            )

    # --- the till --------------------------------------------------------------------------------------------

    def _current(self, till: Till) -> int:
        """Which of `wanted` the till works on; -1 for none."""
        for number, stage in enumerate(till.stages):
            if stage not in (DONE, REFUSED, LOST, NEVER):
                return number
        return -1

    def _till(self, s: State) -> Iterator[Transition]:
        till, left = s.till, s.left
        number = self._current(till)
        if till.doing == "down":
            yield "the till starts again", s._replace(till=self._resumed(till))
            return
        if left.till_dies and not (till.doing == "idle" and number < 0):
            yield from self._till_dies(s)
        if till.answer is not None:
            yield from self._answered(s, number, till.answer)
            if left.losses:
                lost = till._replace(answer=None)
                yield (
                    f"{FAULT}the answer is lost, and the till asks again",
                    s._replace(till=lost, left=left._replace(losses=left.losses - 1)),
                )
        elif till.doing == "idle":
            if number >= 0:
                yield from self._next(s, number)
        elif till.doing == "release":
            goods = tuple(sorted({*till.goods, number}))
            self._check_goods(s, number)
            released = till._replace(goods=goods, doing="taken")
            if self.scenario.taken_first:
                released = self._at(released, number, DONE, "idle")
            yield "the goods are released", s._replace(till=released)
        elif left.copies and till.doing in _COPIED:
            late = self._copied(s, till.doing, number)
            yield f"{FAULT}the {till.doing} is late or doubled, and the till sends it again", late

    @staticmethod
    def _copied(s: State, what: str, number: int) -> State:
        wire = tuple(sorted((*s.wire, Request(what, number))))
        return s._replace(wire=wire, left=s.left._replace(copies=s.left.copies - 1))

    @staticmethod
    def _request(till: Till, number: int) -> Request:
        return Request(till.doing, number, till.cursor if till.doing == "events" else 0)

    def _next(self, s: State, number: int) -> Iterator[Transition]:
        order = self.scenario.wanted[number][1]
        sold = any(self.scenario.wanted[other][1] == order for other in s.till.goods)
        if sold and LOST not in s.till.stages:
            yield "the till has nothing more to be paid", s._replace(till=self._at(s.till, number, DONE, "idle"))
        else:
            yield "the till stores the id of its payment", s._replace(till=self._at(s.till, number, MEANT, "put"))

    @staticmethod
    def _at(till: Till, number: int, stage: str, doing: str) -> Till:
        stages = (*till.stages[:number], stage, *till.stages[number + 1 :])
        return till._replace(stages=stages, doing=doing, answer=None)

    def _resumed(self, till: Till) -> Till:
        number = self._current(till)
        stage = till.stages[number] if number >= 0 else DONE
        if stage == MEANT:
            return till._replace(doing="put" if self.scenario.taken_first else "get")
        return till._replace(doing=self._sold() if stage == SOLD else _AFTER_RESTART[stage])

    def _sold(self) -> str:
        """What follows when the till has stored PAID."""
        return "taken" if self.scenario.taken_first else "release"

    def _till_dies(self, s: State) -> Iterator[Transition]:
        till, number = s.till, self._current(s.till)
        left = s.left._replace(till_dies=s.left.till_dies - 1)
        dead = s._replace(till=till._replace(doing="down", answer=None), left=left)
        if self.scenario.loses_disk:
            if number >= 0 and till.stages[number] != NEW:
                # what it has stored is stored no longer: a copy of its "taken" would tell a lie that nobody can find
                wire = tuple(request for request in s.wire if request.what != "taken")
                dead = dead._replace(till=self._at(dead.till, number, LOST, "down")._replace(cursor=0), wire=wire)
            yield f"{FAULT}the till dies, and its disk is lost", dead
        else:
            yield f"{FAULT}the till dies", dead

    def _answered(self, s: State, number: int, answer: Answer) -> Iterator[Transition]:
        till = s.till
        if answer.status == "busy":
            yield "the till hears that it must try again", s._replace(till=till._replace(answer=None))
        elif answer.status == "refused" and till.doing == "get" and till.stages[number] == MEANT:
            yield "the till reads that its payment never began", s._replace(till=self._at(till, number, NEVER, "idle"))
        elif answer.status == "refused":
            if till.doing != "put":
                raise Violation(5, f"{till.doing} is refused, and the till has done nothing wrong")
            yield "the till hears that its payment is refused", s._replace(till=self._at(till, number, REFUSED, "idle"))
        elif answer.status == "events":
            yield "the till reads events", s._replace(till=self._reads(till, number, answer))
        elif till.doing == "taken" and self.scenario.taken_first and till.stages[number] == SOLD and not answer.case:
            yield (
                "the till hears that it may release",
                s._replace(till=self._at(till, number, SOLD, "release")),
            )
            yield from self._not_accepted(s, number, VOIDED, "the till voids the sale")
        elif till.doing in ("taken", "not_accepted"):
            yield f"{till.doing} is answered", s._replace(till=self._at(till, number, DONE, "idle"))
        elif answer.outcome is None:
            begun = self._at(till, number, BEGUN, "events")
            yield "the till hears that its payment is under way", s._replace(till=begun._replace(cursor=answer.cursor))
        elif answer.outcome is m.Outcome.PAID and not answer.case:
            if answer.had_case:
                raise Violation(8, "the till reads PAID without a case, and there is a case for the operator")
            yield "the till stores PAID", s._replace(till=self._at(till, number, SOLD, self._sold()))
            if not self.scenario.taken_first:
                yield from self._not_accepted(s, number, till.stages[number], "the till cannot store PAID")
        else:
            yield f"the till stores {answer.outcome.value}", s._replace(till=self._at(till, number, ENDED, "taken"))

    def _not_accepted(self, s: State, number: int, stage: str, why: str) -> Iterator[Transition]:
        if s.left.till_full:
            left = s.left._replace(till_full=s.left.till_full - 1)
            yield f"{FAULT}{why}", s._replace(till=self._at(s.till, number, stage, "not_accepted"), left=left)

    def _reads(self, till: Till, number: int, answer: Answer) -> Till:
        """The cursor goes to the disk when what was read is acted on: an outcome not before it is stored."""
        if answer.outcome is None:
            return self._at(till, number, BEGUN, "events")._replace(cursor=answer.cursor)
        return self._at(till, number, BEGUN, "get")

    # --- the wires between till, screen and service ------------------------------------------------------------

    def _wire(self, s: State) -> Iterator[Transition]:
        if not s.service.up:
            return
        till, number = s.till, self._current(s.till)
        if till.doing in _ASKS and till.answer is None:
            request = self._request(till, number)
            for label, after, answer in self._handle(s, request):
                yield label, after if answer is None else after._replace(till=after.till._replace(answer=answer))
        for index, request in enumerate(s.wire):
            if index and s.wire[index - 1] == request:
                continue
            rest = s._replace(wire=s.wire[:index] + s.wire[index + 1 :])
            for label, after, _ in self._handle(rest, request):
                yield f"late: {label}", after

    def _people(self, s: State) -> Iterator[Transition]:
        for index, attempt in enumerate(s.attempts):
            if attempt.bank == OPEN:
                if attempt.seen:
                    yield "the customer pays", self._with(s, index, bank=PAID)
                yield "the bank closes the payment", self._with(s, index, bank=CLOSED)
            if s.left.decisions and not attempt.decided and self.machine.states[attempt.disk].case is not None:
                decided = self._with(s, index, decided=True)
                yield (
                    f"{FAULT}an operator closes the case",
                    decided._replace(left=s.left._replace(decisions=s.left.decisions - 1)),
                )
        if not s.left.presses:
            return
        left = s.left._replace(presses=s.left.presses - 1)
        if s.service.screen is not None:
            index, _, buttons = s.service.screen
            for button in buttons:
                wire = tuple(sorted((*s.wire, Request("choice", index, button))))
                yield f"{FAULT}somebody presses {button}", s._replace(wire=wire, left=left)
        number = self._current(s.till)
        if number >= 0 and s.till.stages[number] in (MEANT, BEGUN) and s.till.doing in ("put", "events"):
            wire = tuple(sorted((*s.wire, Request("cancel", number))))
            yield f"{FAULT}the attendant cancels", s._replace(wire=wire, left=left)

    # --- the service: its answers ------------------------------------------------------------------------------

    def _handle(self, s: State, request: Request) -> Iterator[tuple[str, State, Answer | None]]:
        """What a request does when it arrives, and its answer; None while the request waits."""
        what, about = request.what, request.about
        if what == "choice":
            yield from self._chosen(s, about, str(request.extra))
            return
        key, keys = self._plans[about].key, [attempt.key for attempt in s.attempts]
        index = keys.index(key) if key in keys else -1
        if what == "put":
            yield from self._put(s, about, rules.known(keys, key))
        elif what == "cancel":
            if index >= 0 or s.service.promised != about:  # else it is answered when that has begun
                yield from self._cancelled(s, index)
        elif index < 0 and what == "get" and s.till.stages[about] == MEANT:
            if Request("put", about) not in s.wire:
                code = rules.asked_for(self.scenario.wanted[about][0], s.service.promised == about)
                yield f"asked for: {code}", s, Answer("busy" if rules.try_again(code) else "refused")
        elif index < 0:
            raise Violation(5, f"{what}: the service does not know the payment, and has answered that it began")
        elif what == "get":
            yield from self._read("the payment is asked for", s, index)
        elif what == "events":
            first = s.service.first_row
            rows, after = s.rows[first + int(request.extra) :], len(s.rows) - first
            mine = [types for of, types in rows if of == index]
            if mine:
                known = self._payment(s, index)
                news = known.outcome if any("outcome_reached" in types for types in mine) else None
                yield "events are answered", s, Answer("events", news, had_case=known.had_case, cursor=after)
        elif what == "taken":
            yield from self._taken(s, index)
        elif what == "not_accepted":
            yield from self._refused_outcome(s, index)

    def _payment(self, s: State, index: int) -> Answer:
        attempt = s.attempts[index]
        disk = self.machine.states[attempt.disk]
        named = rules.names_case(disk.case is not None, attempt.decided)
        return Answer("payment", disk.outcome, named, disk.case is not None, len(s.rows))

    def _read(self, label: str, s: State, index: int) -> Iterator[tuple[str, State, Answer | None]]:
        if not rules.TAKEN_BY_REPORT and self.machine.states[s.attempts[index].disk].outcome is not None:
            yield from self._taken(s, index)
            return
        answer = self._payment(s, index)
        yield label, s, answer
        if not rules.READS_ROW_FIRST and answer.outcome is not None:
            yield f"{label}, while it ends", s, answer._replace(outcome=None)

    def _put(self, s: State, number: int, index: int) -> Iterator[tuple[str, State, Answer | None]]:
        plan = self._plans[number]
        if index >= 0:
            if rules.same_payment(self.machine.states[s.attempts[index].disk], plan.order_no, plan.kopecks):
                yield from self._read("the payment is there already", s, index)
            else:
                yield "the id belongs to another payment", s, Answer("refused")
            return
        if s.service.promised == number and rules.RECORDS_FIRST:
            return
        if s.service.foreground >= 0 or s.service.promised >= 0:
            yield "the lane is busy", s, Answer("busy")
            return
        s = self._recovered(s)
        code = self._refused(number, tuple(attempt.disk for attempt in s.attempts))
        if code:
            yield f"refused: {code}", s, Answer("busy" if rules.try_again(code) else "refused")
            return
        if not rules.RECORDS_FIRST:
            promised = s._replace(service=s.service._replace(promised=number))
            yield "a payment that is not on disk is answered", promised, Answer("payment", cursor=len(s.rows))
            return
        if s.left.waits:
            left = s.left._replace(waits=s.left.waits - 1)
            yield "the PUT waits", s._replace(service=s.service._replace(promised=number), left=left), None
        s = self._begin(s, number)
        yield "the payment begins", s, self._payment(s, s.service.foreground)

    def _refused(self, number: int, disks: tuple[int, ...]) -> str:
        key = (number, disks)
        if key not in self._refusals:
            self._refusals[key] = rules.refused(self._plans[number], [self.machine.states[disk] for disk in disks])
        return self._refusals[key]

    def _promised(self, s: State, number: int) -> Iterator[Transition]:
        dropped = s._replace(service=s.service._replace(promised=-1))
        if self._refused(number, tuple(attempt.disk for attempt in s.attempts)):
            yield "the payment that waits is refused", dropped
        else:
            yield "the payment that waits begins", self._begin(s, number)
        if rules.RECORDS_FIRST:
            yield "the payment that waits is given up", dropped

    def _begin(self, s: State, number: int) -> State:
        if s.till.stages[number] == NEVER:
            raise Violation(9, "the till has read that its payment never began, and it begins")
        plan = self._plans[number]
        memory, disk, effects = self.machine.begin(plan)
        attempt = Attempt(number, plan.key, disk, memory, NOTHING, 0, False)
        index = len(s.attempts)
        service = s.service._replace(foreground=index, screen=None, offered=False, promised=-1)
        s = s._replace(attempts=(*s.attempts, attempt), service=service)
        return self._record(s, index, rules.events(None, None, self.machine.states[disk], effects))

    def _chosen(self, s: State, about: int, button: str) -> Iterator[tuple[str, State, Answer | None]]:
        screen = s.service.screen if s.service.offered else None
        index = rules.choice_target(screen and (screen[0], screen[2]), s.service.foreground, about, button)
        if index < 0:
            yield f"the choice {button} is not offered", s, Answer("refused")
            return
        self._check_meant(s, index, about)
        s = s._replace(service=s.service._replace(offered=False))
        event = m.Retry if button == "retry" else m.CancelWanted
        yield f"the choice {button} is taken", self._apply(s, index, event(s.attempts[index].now)), Answer("payment")

    def _cancelled(self, s: State, index: int) -> Iterator[tuple[str, State, Answer | None]]:
        target = rules.cancel_target(s.service.foreground, index)
        if index < 0 or target < 0 or s.attempts[target].memory < 0:
            yield "there is nothing to cancel", s, Answer("refused")
            return
        self._check_meant(s, target, index)
        yield "the payment is cancelled", self._apply(s, target, m.CancelWanted(s.attempts[target].now)), Answer("")

    def _taken(self, s: State, index: int) -> Iterator[tuple[str, State, Answer | None]]:
        attempt = s.attempts[index]
        state = self.machine.states[attempt.disk]
        if state.outcome is None:
            yield "there is no outcome yet", s, Answer("refused")
            return
        if s.till.stages[attempt.wanted] not in _STORED:
            raise Violation(6, "the outcome is taken, and the till has not stored it")
        if attempt.memory < 0:
            s = self._with(s, index, memory=attempt.disk)
        s = self._apply(s, index, m.Delivered(attempt.now))
        yield "the outcome is taken", s, self._payment(s, index)

    def _refused_outcome(self, s: State, index: int) -> Iterator[tuple[str, State, Answer | None]]:
        if self.machine.states[s.attempts[index].disk].outcome is not m.Outcome.PAID:
            yield "there is no paid outcome", s, Answer("refused")
            return
        s = self._given_back(s, index)
        yield "the outcome is not accepted", s, self._payment(s, index)

    # --- the service: its lane ---------------------------------------------------------------------------------

    def _service(self, s: State) -> Iterator[Transition]:
        if not s.service.recovered:
            yield "the service looks after what it found", self._recovered(s)
            return
        if s.service.promised >= 0:
            yield from self._promised(s, s.service.promised)
        for index, attempt in enumerate(s.attempts):
            if attempt.memory < 0:
                state = self.machine.states[attempt.disk]
                if rules.TAKEN_IN_TIME and state.phase is m.Phase.PAID and m.needs_recovery(state):
                    yield "the till has not taken the outcome in time", self._given_back(s, index)
                continue
            state = self.machine.states[attempt.memory]
            if state.busy:
                yield from self._bank_answers(s, index, attempt, state)
            elif self.machine.due(attempt.memory) is not None:
                yield from self._ways(f"time passes for attempt {index}", s, lambda one, n=index: self._ticks(one, n))

    def _ticks(self, s: State, index: int) -> State:
        """What is due next; in the background, where nobody waits, all that is due while nothing new happens."""
        while True:
            attempt = s.attempts[index]
            due = self.machine.due(attempt.memory) if attempt.memory >= 0 else None
            if due is None:
                return s
            at = max(due, attempt.now)
            s = self._apply(self._with(s, index, now=at), index, m.Tick(at))
            memory = s.attempts[index].memory
            if memory < 0 or self.machine.states[memory].phase not in m.BACKGROUND:
                return s

    def _given_back(self, s: State, index: int) -> State:
        attempt = s.attempts[index]
        s = self._with(s, index, memory=attempt.disk)
        return self._apply(s, index, m.Recovered(attempt.now, not_accepted=True))

    def _ways(self, label: str, s: State, act: Callable[[State], State]) -> Iterator[Transition]:
        """What an act leads to when the bank answers each question in it, and when it does not answer the first."""
        self._asked, self._silent = False, False
        yield label, act(s)
        if self._asked and s.left.silences:
            self._silent = True
            silent = s._replace(left=s.left._replace(silences=s.left.silences - 1))
            yield f"{FAULT}{label}; the bank is silent", act(silent)
            self._silent = False

    def _recovered(self, s: State) -> State:
        if s.service.recovered:
            return s
        s = s._replace(service=s.service._replace(recovered=True))
        for index, attempt in enumerate(s.attempts):
            if m.needs_recovery(self.machine.states[attempt.disk]):
                s = self._apply(self._with(s, index, memory=attempt.disk), index, m.Recovered(attempt.now))
        return s

    def _bank_answers(self, s: State, index: int, attempt: Attempt, state: m.State) -> Iterator[Transition]:
        at, bank, key = attempt.now, attempt.bank, attempt.key
        amount = state.plan.kopecks
        silent = s._replace(left=s.left._replace(silences=s.left.silences - 1)) if s.left.silences else None
        asked = _pending(state)
        if asked == "create":
            there = self._with(s, index, bank=OPEN) if bank == NOTHING else s
            status = _STATUS[there.attempts[index].bank]
            made = m.Created(at, state.seq, key, status, amount, "RUB", self._link(state))
            yield "the bank has created the payment", self._apply(there, index, made)
            if silent is not None:
                lost = m.CreateFailed(at, state.seq, "", may_exist=True, final=False)
                yield f"{FAULT}the create is lost", self._apply(silent, index, lost)
                there = self._with(silent, index, bank=OPEN) if bank == NOTHING else silent
                yield f"{FAULT}the answer to the create is lost", self._apply(there, index, lost)
                if bank == NOTHING:
                    no = m.CreateFailed(at, state.seq, "", may_exist=False, final=True)
                    yield f"{FAULT}the bank refuses the create", self._apply(silent, index, no)
        elif asked == "cancel":
            after = self._with(s, index, bank=CLOSED) if bank == OPEN else s
            result = m.Cancel.ACCEPTED if bank == OPEN else m.Cancel.REFUSED
            answered = m.CancelAnswered(at, state.seq, result)
            yield from self._ways(
                f"the cancellation is {result.value}", after, lambda one: self._apply(one, index, answered)
            )
            if silent is not None:
                lost_cancel = m.CancelAnswered(at, state.seq, m.Cancel.UNANSWERED)
                yield f"{FAULT}the cancellation is lost", self._apply(silent, index, lost_cancel)
                after = self._with(silent, index, bank=CLOSED) if bank == OPEN else silent
                yield f"{FAULT}the answer to the cancellation is lost", self._apply(after, index, lost_cancel)

    def _question(self, s: State, index: int, state: m.State) -> State:
        """The bank answers a question at once, by its books; or is silent."""
        attempt = s.attempts[index]
        at, bank = attempt.now, attempt.bank
        event: m.Event = m.PaymentNotListed(at, state.seq)
        self._asked = True
        if self._silent:
            self._silent = False
            event = m.StatusUnavailable(at, state.seq, "")
        elif bank != NOTHING:
            event = m.PaymentStatusReceived(
                at, state.seq, attempt.key, _STATUS[bank], bank, state.plan.kopecks, "RUB", link=self._link(state)
            )
        return self._apply(s, index, event)

    @staticmethod
    def _link(state: m.State) -> str | None:
        return LINKS["good"] if state.plan.kopecks == 25_300 else _OTHER_LINK

    def _service_dies(self, s: State) -> Iterator[Transition]:
        left = s.left._replace(service_dies=s.left.service_dies - 1)
        ways = [("", s)]
        for index, attempt in enumerate(s.attempts):
            asked = _pending(self.machine.states[attempt.memory]) if attempt.memory >= 0 else ""
            if asked == "create" and attempt.bank == NOTHING:
                ways += [(f"{label}; its create arrives", self._with(one, index, bank=OPEN)) for label, one in ways]
            elif asked == "cancel" and attempt.bank == OPEN:
                ways += [(f"{label}; its cancel arrives", self._with(one, index, bank=CLOSED)) for label, one in ways]
        for label, one in ways:
            attempts = tuple(attempt._replace(memory=-1) for attempt in one.attempts)
            dead = one._replace(service=Service(up=False, screen=one.service.screen), attempts=attempts, left=left)
            if dead.till.answer is None:
                yield f"{FAULT}the service dies{label}", dead
            else:
                lost = dead._replace(till=dead.till._replace(answer=None))
                yield f"{FAULT}the service dies{label}; its answer is lost", lost
                yield f"{FAULT}the service dies{label}; its answer is on its way", dead

    # --- step, disk, effects -------------------------------------------------------------------------------------

    @staticmethod
    def _with(s: State, index: int, **changes: object) -> State:
        attempts = list(s.attempts)
        attempts[index] = attempts[index]._replace(**changes)  # type: ignore[arg-type]
        return s._replace(attempts=tuple(attempts))

    def _apply(self, s: State, index: int, event: m.Event) -> State:
        """Step, record, effects: in this order. A presentation is reported at once."""
        attempt = s.attempts[index]
        before = self.machine.states[attempt.memory]
        memory, durable, effects = self.machine.step(attempt.memory, event)
        if durable >= 0:
            known = (attempt.memory, event)
            if known not in self._events:
                self._events[known] = rules.events(event, before, self.machine.states[durable], effects)
            s = self._record(self._with(s, index, disk=durable), index, self._events[known])
        s = self._with(s, index, memory=memory)
        state = self.machine.states[memory]
        for effect in effects:
            match effect:
                case m.Present():
                    s = self._with(s, index, seen=True)
                    return self._apply(s, index, m.Presented(attempt.now, ""))
                case m.Show(view=view):
                    if s.service.foreground in (index, -1):
                        buttons = rules.buttons(state, view)
                        s = s._replace(service=s.service._replace(screen=(index, view, buttons), offered=bool(buttons)))
        if state.busy and _pending(state) == "poll":
            return self._question(s, index, state)
        if state.outcome is not None:
            if s.service.foreground == index:
                s = s._replace(service=s.service._replace(foreground=-1))
            if state.phase in m.FINAL:
                s = self._with(s, index, memory=-1, now=0)
        self._check(s, index)
        return s

    @staticmethod
    def _record(s: State, index: int, events: tuple[str, ...]) -> State:
        types = tuple(name for name in events if name in _READ)
        return s._replace(rows=(*s.rows, (index, types))) if types else s

    # --- invariants ------------------------------------------------------------------------------------------------

    def _check_goods(self, s: State, number: int) -> None:
        mine = [attempt for attempt in s.attempts if attempt.wanted == number]
        if not mine:
            raise Violation(1, "goods are released for a payment that never began")
        if not any(attempt.bank == PAID for attempt in mine):
            raise Violation(1, f"goods are released, at the bank the payment is {mine[0].bank}")
        if not any(self.machine.states[attempt.disk].phase is m.Phase.PAID for attempt in mine):
            raise Violation(1, "goods are released, and PAID is not on disk")
        if self.scenario.taken_first and any(self.machine.states[attempt.disk].case for attempt in mine):
            raise Violation(8, "goods are released, and there is a case for the operator")

    def _check_meant(self, s: State, index: int, about: int) -> None:
        if index != about:
            raise Violation(7, f"a choice for attempt {about} is applied to attempt {index}")

    def _check(self, s: State, index: int) -> None:
        ids = [self.scenario.wanted[attempt.wanted][0] for attempt in s.attempts]
        if len(set(ids)) < len(ids):
            raise Violation(3, "a second attempt for one id of the till")
        took = [self.scenario.wanted[a.wanted][1] for a in s.attempts if a.bank in (OPEN, PAID)]
        if len(set(took)) < len(took):
            raise Violation(4, "two payments of one order can be paid")

    def check(self, s: State) -> None:
        """Raise a Violation when an invariant does not hold in `s`."""
        if s.attempts:
            self._check(s, 0)
        if self.at_rest(s):
            for attempt in s.attempts:
                sold = attempt.wanted in s.till.goods
                if attempt.bank == PAID and not sold and self.machine.states[attempt.disk].case is None:
                    raise Violation(2, "the bank has the money, no goods, no case")
                if attempt.bank != PAID and sold:
                    raise Violation(1, f"goods were released, at the bank the payment is {attempt.bank}")

    def at_rest(self, s: State) -> bool:
        """Whether till and service have done all that they had to, and each attempt has its end."""
        till, service = s.till, s.service
        if till.doing != "idle" or self._current(till) >= 0 or not (service.up and service.recovered):
            return False
        if service.foreground >= 0 or service.promised >= 0:
            return False
        disks = [self.machine.states[attempt.disk] for attempt in s.attempts]
        return all(disk.phase in m.FINAL and not m.needs_recovery(disk) for disk in disks)

    def describe(self, s: State) -> str:
        """One line of a trace."""
        attempts = ", ".join(
            f"{a.key}: {self.machine.states[a.disk].phase.value}"
            f"{' ' + case.value if (case := self.machine.states[a.disk].case) else ''} (bank: {a.bank})"
            for a in s.attempts
        )
        up = "up" if s.service.up else "down"
        return f"till {s.till.doing} {'/'.join(s.till.stages)} cursor {s.till.cursor} | service {up} | {attempts}"


_ASKS = frozenset({"put", "events", "get", "taken", "not_accepted"})
_COPIED = frozenset({"put", "taken", "not_accepted"})  # a copy of the others changes nothing
_AFTER_RESTART = {NEW: "idle", BEGUN: "events", VOIDED: "not_accepted", ENDED: "taken", DONE: "idle"}
_STORED = frozenset({SOLD, VOIDED, ENDED, DONE})
_OTHER_LINK = _link(DYNAMIC, "&sum=9900&cur=RUB")
_READ = ("outcome_reached",)
_STATUS = {OPEN: m.PaymentStatus.OPEN, PAID: m.PaymentStatus.PAID, CLOSED: m.PaymentStatus.CLOSED}


def _pending(state: m.State) -> str:
    """The request that has no answer yet; empty for none."""
    if not state.busy:
        return ""
    if state.phase is m.Phase.CREATING:
        return "create"
    if state.cancel is m.Cancel.ASKED:
        return "cancel"
    return "poll"
