"""The environment of one attempt: acquirer, network, customer, devices, clock, power, as hostile as the bounds allow.

It runs the production `begin`, `step`, `due`, `gate` and `significant` themselves. It never judges by what the machine
believes: invariants are checked against the ground truth, which only the model knows.

What may happen, at any moment and in any order:

* acquirer: creates once per key; gives a wrong link, or the link later; takes another amount; declines a try and says
  that the payment is closed, which is paid all the same; expires late; refuses a cancellation, because it is paid or in
  use; accepts one and is paid nevertheless; refunds instead of cancelling, says so, says "accepted" or gives no answer,
  and shows it at once, later, or as "closed"; answers "not found" or omits payments from its list; answers about
  another payment, or lists another till's of the same number and amount; names in its list the attempt of a payment, or
  omits it
* network: loses a request, or its answer after it took effect; delivers a request after the client gave up; an answer
  arrives when it is no longer true; two answers arrive in the wrong order; an answered cancellation arrives a second
  time
* customer: pays at any time after the link was seen, in part, too late, or never; chooses Повторить or Отменить; leaves
* devices: show and report, show and never report, report that nothing can have been seen
* disk: cannot write a step; the runner then performs none of its effects, and restarts the attempt from what it knew
  before
* power: is cut between any two of these, between a step's write and its effects, and between two effects
* clock: the acquirer's is ahead of the lane's or behind it; the lane's is set forward or back while the lane is down

Time has whole ticks. It waits for what the lane must do at a tick; while the lane is down it waits for nothing.
Time is a number in each state that is explored, so there is no clock object to share with other engines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from sco_payment import attempt as m
from sco_payment import link as links
from sco_payment.attempt import _handlers, machine

ORDER, OTHER_ORDER, STICKER = "A-1", "B-2", "sticker"
KOPECKS, OTHER_KOPECKS = 25_300, 100
ID, OTHER_ID = "p1", "p2"


def _link(qrc: str, rest: str) -> str:
    body = f"https://{links.HOST}/{qrc}?type={'01' if qrc[1] == 'S' else '02'}&bank=100000000007{rest}"
    return f"{body}&crc={links.crc_of(body)}"


DYNAMIC, STATIC = "AD" + "1" * 30, "AS" + "1" * 30
PLATE_LINK = _link(STATIC, "")
LINKS: dict[str, str | None] = {
    "good": _link(DYNAMIC, f"&sum={KOPECKS}&cur=RUB"),
    "other amount": _link(DYNAMIC, f"&sum={OTHER_KOPECKS}&cur=RUB"),
    "plate": PLATE_LINK,
    "another plate": _link("AS" + "2" * 30, ""),
    "none": None,
}


TICKS = m.Timing(
    poll_ms=1,
    poll_timeout_ms=1,
    create_window_ms=2,
    create_retry_ms=1,
    present_ms=1,
    confirm_ms=1,
    watch_ms=1,
    grace_ms=2,
    overdue_ms=1,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is explored: an attempt's plan and the bounds of its environment.

    Attributes:
        plate: whether a static plate is armed, which any passer-by can pay as soon as the acquirer has the payment.
        life, grace: of the invoice, in ticks.
        call: ticks within which the client gives every call an answer.
        crashes: how often the power may be cut, or a step may not be written.
        disk_fails: whether a step may not be written.
        duplicates: whether a cancellation may arrive twice.
        lies: whether the acquirer may give wrong links, take other amounts and answer about other payments.
        declines: whether a declined try leaves a payment payable that the acquirer reports as closed.
        behind: how many ticks the acquirer's clock is behind the lane's: it still creates what is expired here. Less
            than 0: it is ahead.
        jumps: by how many ticks the lane's clock may be set while the lane is down.
        names_attempt: whether the acquirer's list names the attempt that a payment was created for.
        refunds: whether the cancellation of a paid payment refunds it, also when it is processed after the client gave
            up, within the grace period.
    """

    name: str
    plate: bool = False
    life: int = 3
    grace: int = 2
    call: int = 1
    crashes: int = 1
    disk_fails: bool = False
    duplicates: bool = False
    lies: bool = True
    declines: bool = False
    behind: int = 0
    jumps: tuple[int, ...] = ()
    names_attempt: bool = True
    refunds: bool = False
    timing: m.Timing = TICKS

    def plan(self) -> m.Plan:
        """The attempt's plan; it begins at tick 0."""
        return m.Plan(
            key="k1",
            order_no=ORDER,
            kopecks=KOPECKS,
            currency="RUB",
            mode=m.Mode.PLATE if self.plate else m.Mode.SCREEN,
            begun_at_ms=0,
            expires_at_ms=self.life,
            sticker_id=STICKER if self.plate else None,
            plate_link=PLATE_LINK if self.plate else None,
            timing=replace(self.timing, grace_ms=self.grace),
        )


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario("screen"),
        Scenario("plate", plate=True),
        Scenario("unattributed", names_attempt=False),
        Scenario("unattributed plate", plate=True, names_attempt=False),
        Scenario("refunding", refunds=True, timing=replace(TICKS, overdue_ms=0)),
        Scenario("declining", declines=True),
        Scenario("behind", behind=2),
        Scenario("ahead", behind=-1),
        Scenario("jumping", grace=1, jumps=(3, -2), declines=True),
        Scenario(
            "silent dialog",
            timing=replace(TICKS, dialog_again=True, poll_in_dialog=False, poll_timeout_ms=1),
        ),
    )
}


class Violation(Exception):
    """An invariant does not hold. `number` is the invariant's, 0 for the machine's own failure."""

    def __init__(self, number: int, text: str) -> None:
        super().__init__(text)
        self.number = number


# The status of the attempt's payment at the acquirer.
NOTHING, OPEN, CLOSING, PAID, SHORT, CLOSED = "nothing", "open", "closing", "paid", "paid another amount", "closed"
REFUNDED, REFUNDING = "refunded", "paid; the refund does not show yet"
VOIDED = "closed after it was paid: the customer has the money back"
DECLINED = "closed after a declined try, and can be paid all the same"
REOPENED = "open again, after it was reported as closed"
PAID_ANYWAY = "paid after it was reported as closed"
REFUNDED_ANYWAY = "refunded after it was reported as closed"
TOOK_MONEY = (PAID, PAID_ANYWAY, SHORT, REFUNDING, REFUNDED, REFUNDED_ANYWAY)
WENT_BACK = (REFUNDING, REFUNDED, VOIDED)
ANOTHERS = "another payment is "
_NEVER_CHANGES = (CLOSED, REFUNDED, VOIDED, REFUNDED_ANYWAY)
TAKES_MONEY = (OPEN, CLOSING)  # CLOSING: the cancellation was accepted, and a payment under way may still win


class Call(NamedTuple):
    """A request of the lane that has no answer yet. `seq`: whether it is the latest, one that the latest overtook, or
    one that the machine no longer waits for."""

    kind: str
    seq: int
    limit: int
    reply: str | None  # None while it is on its way to the acquirer


class State(NamedTuple):
    """One state of the model. `memory` and `disk` are numbers of machine states (see `Machine`); -1 is none."""

    now: int
    memory: int
    disk: int
    status: str
    accepted: bool  # the acquirer accepted a cancellation
    issued: str  # which of LINKS the acquirer gave
    seen: bool  # somebody can pay by the link
    device: str  # how far presenting has come: "", "shows", "shown", "orphan"
    calls: tuple[Call, ...]
    late_create: bool  # a create that the client gave up may still reach the acquirer
    late_cancel: bool
    cancel_by: int  # when a cancellation has come through and shows, where it can refund
    reported: bool  # the lane's software got PAID and has not acted on it
    goods: bool
    cancels: int
    crashes: int
    up_since: int
    kept: int = -1  # the state in memory of a runner that could not write the step after it
    ahead: int = 0  # how far the lane's clock was set forward since the attempt began


Transition = tuple[str, State]


class Machine:
    """The production machine with memory: states get numbers, and a step that was made once is not made again."""

    def __init__(self) -> None:
        self._numbers: dict[m.State, int] = {}
        self.states: list[m.State] = []
        self._steps: dict[tuple[int, m.Event], tuple[int, int, tuple[m.Effect, ...]]] = {}
        self._dues: dict[int, int | None] = {}
        self._gates: dict[int, tuple[bool, bool]] = {}

    def number(self, state: m.State) -> int:
        if state not in self._numbers:
            self._numbers[state] = len(self.states)
            self.states.append(state)
        return self._numbers[state]

    def begin(self, plan: m.Plan) -> tuple[int, int, tuple[m.Effect, ...]]:
        state, effects = m.begin(plan)
        return self.number(_relabelled(state)), self.number(_on_disk(state)), effects

    def step(self, number: int, event: m.Event) -> tuple[int, int, tuple[m.Effect, ...]]:
        """The next state's number, the number of what must be on disk or -1, and the effects."""
        key = (number, event)
        if key not in self._steps:
            before = self.states[number]
            try:
                after, effects = m.step(before, event)
            except AssertionError as error:
                raise Violation(0, f"the machine fails: {error}") from None
            durable = self.number(_on_disk(after)) if m.significant(before, after, effects) else -1
            self._steps[key] = self.number(_relabelled(after)), durable, effects
        return self._steps[key]

    @property
    def steps(self) -> int:
        """How many different steps were made."""
        return len(self._steps)

    def arcs(self) -> set[tuple[m.Phase, type, m.Phase]]:
        """Which phase went to which by what."""
        return {
            (self.states[before].phase, type(event), self.states[after].phase)
            for (before, event), (after, _, _) in self._steps.items()
        }

    def due(self, number: int) -> int | None:
        if number not in self._dues:
            self._dues[number] = m.due(self.states[number])
        return self._dues[number]

    def gates(self, number: int) -> tuple[bool, bool]:
        """Whether a new attempt of the same order, and one of another order on the same plate, may begin."""
        if number not in self._gates:
            others = [self.states[number]]
            same = m.gate(ORDER, None, others) is None
            self._gates[number] = same, m.gate(OTHER_ORDER, STICKER, others) is None
        return self._gates[number]


_LATEST, _OVERTAKEN, _STALE = 1, -1, -2


def _relabelled(state: m.State) -> m.State:
    """The machine only compares `seq` and increments it, so that any number is as good: the latest is always 1. Times
    that a phase does not look at are dropped, and of `sent_at_ms` only what it is compared with is kept."""
    if state.phase in m.FINAL:
        return _on_disk(state)
    over = _handlers.complete_at(state)
    return replace(
        state,
        delivered=_delivered(state),
        seq=_LATEST,
        earlier_seq=_OVERTAKEN if state.earlier_seq else 0,
        sent_at_ms=over if state.sent_at_ms >= over else 0,
        until_ms=0 if state.phase in (m.Phase.CLOSED, m.Phase.OVERDUE) else state.until_ms,
        resumed_at_ms=max(0, state.resumed_at_ms),
        last_status_at_ms=state.last_status_at_ms if state.phase in (m.Phase.WAITING, m.Phase.ASKING) else 0,
    )


def _on_disk(state: m.State) -> m.State:
    """The scheduling fields may be lost without harm: so lose them."""
    return replace(machine._without_scheduling(state), delivered=_delivered(state), seq=_LATEST)


def _delivered(state: m.State) -> bool:
    """Whether the goods' release was reported: of the other outcomes the machine does not look at it."""
    return state.delivered and state.outcome is m.Outcome.PAID


class Model:
    """All transitions of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.machine = Machine()
        self.plan = scenario.plan()
        timing = self.plan.timing
        self._creates_until = scenario.life + scenario.behind
        self._link_comes_until = min(timing.create_window_ms, scenario.life)
        self.end = scenario.life + scenario.grace
        # the longest way of an attempt that wakes at its invoice's end: present, cancel or find, confirm
        # (with a late cancellation and the poll after it), last question
        self.slack = 5 * scenario.call + timing.confirm_ms + timing.present_ms
        self.horizon = self.end + self.slack + 2

    def start(self) -> State:
        memory, disk, effects = self.machine.begin(self.plan)
        state = State(
            0, memory, disk, NOTHING, False, "none", False, "", (), False, False, 0, False, False, 0,
            self.scenario.crashes, 0,
        )  # fmt: skip
        for effect in effects:
            state = self._perform(state, effect)
        return state

    # --- transitions -----------------------------------------------------------------------------------------------

    def transitions(self, state: State) -> Iterator[Transition]:
        """Every state that may come next, with what happened."""
        for label, after in self._transitions(state):
            yield label, self._without_the_past(after)

    def _transitions(self, state: State) -> Iterator[Transition]:
        yield from self._bank(state)
        yield from self._network(state)
        yield from self._devices(state)
        if state.memory >= 0:
            yield from self._customer(state)
            yield from self._till(state)
            yield from self._clock(state)
            if state.crashes:
                yield "the power is cut", self._crashed(state)
        else:
            yield from self._down(state)

    def _bank(self, s: State) -> Iterator[Transition]:
        declined = s.status in (DECLINED, REOPENED) and s.now < self.end
        if s.status in TAKES_MONEY or declined:
            if s.seen or self.scenario.plate:
                paid = PAID_ANYWAY if declined else PAID
                yield "the customer pays; the acquirer has the money", s._replace(status=paid)
                if self.scenario.lies and not declined:
                    yield "the acquirer takes another amount", s._replace(status=SHORT)
            yield "the acquirer closes the payment unpaid", s._replace(status=CLOSED)
            if s.status == DECLINED:
                yield "the acquirer reports the payment as open again", s._replace(status=REOPENED)
            elif self.scenario.declines and s.seen and not declined:
                yield "a try is declined; the acquirer reports the payment as closed", s._replace(status=DECLINED)
        in_background = s.memory >= 0 and self.machine.states[s.memory].phase in m.BACKGROUND
        if s.status == PAID_ANYWAY and in_background and not any(call.reply for call in s.calls):
            yield "the acquirer refunds what it had reported as closed", s._replace(status=REFUNDED_ANYWAY)
        if s.status == OPEN and s.issued == "none" and self._awaits_link(s):
            yield "the acquirer has the link", s._replace(issued=self._links()[0])
        if s.late_create:
            rest = s._replace(late_create=False)
            yield "a create that the lane gave up reaches the acquirer", self._creates(rest, self._links()[0])
        if s.status == REFUNDING:
            yield "the refund shows", s._replace(status=REFUNDED)
        if s.late_cancel and (s.now < s.cancel_by or not self.scenario.refunds):
            for _, after in self._cancels(s._replace(late_cancel=False)):
                yield "a cancellation that the lane gave up reaches the acquirer", after

    def _links(self) -> tuple[str, ...]:
        good = "plate" if self.scenario.plate else "good"
        bad = ("another plate",) if self.scenario.plate else ("other amount", "none")
        return (good, *bad) if self.scenario.lies else (good,)

    def _creates(self, s: State, issued: str) -> State:
        """Once per key, and never what is expired already."""
        if s.status != NOTHING or s.now >= self._creates_until:
            return s
        return s._replace(status=OPEN, issued=issued)

    def _cancels(self, s: State) -> Iterator[tuple[str, State]]:
        if s.status == OPEN:
            yield "accepted", s._replace(status=CLOSED, accepted=True)
            yield "accepted", s._replace(status=CLOSING, accepted=True)
            yield "refused", s
        elif s.status == CLOSING:
            yield "accepted", s
        elif self.scenario.refunds and s.status in (PAID, SHORT):
            for status in (REFUNDED, *((REFUNDING, VOIDED, PAID) if s.status == PAID else ())):
                yield "accepted", s._replace(status=status, accepted=True)
            yield "refunded instead", s._replace(status=REFUNDED)
            yield "refused", s
        elif s.status in (PAID, PAID_ANYWAY, DECLINED, REOPENED):
            status = s.status if s.status in TOOK_MONEY else CLOSED
            yield "accepted", s._replace(status=status, accepted=True)
            yield "refused", s
        else:
            yield "refused", s

    def _network(self, s: State) -> Iterator[Transition]:
        for index, call in enumerate(s.calls):
            rest = s._replace(calls=s.calls[:index] + s.calls[index + 1 :])
            if call.reply is None:
                for reply, after in self._arrives(rest, call.kind):
                    answered = call._replace(reply=reply)
                    # what a bank has refused it does not accept from a copy, where that would refund
                    copied = self.scenario.duplicates and not self.scenario.refunds
                    if call.kind == "cancel" and copied and not after.late_cancel:
                        yield (
                            f"the cancel reaches the acquirer, which answers: {reply}; a copy is still on its way",
                            after._replace(calls=tuple(sorted((*after.calls, answered), key=str)), late_cancel=True),
                        )
                    yield (
                        f"the {call.kind} reaches the acquirer, which answers: {reply}",
                        after._replace(calls=tuple(sorted((*after.calls, answered), key=str))),
                    )
                late = rest._replace(
                    late_create=rest.late_create or call.kind == "create",
                    late_cancel=rest.late_cancel or call.kind == "cancel",
                )
                yield from self._deliver(late, call, "lost", f"no answer to the {call.kind}; it may still arrive")
                if call.kind == "create":
                    yield from self._deliver(rest, call, "not sent", "the create cannot be sent")
                elif call.kind == "cancel":
                    unsent = rest._replace(cancels=rest.cancels - 1, cancel_by=0)
                    yield from self._deliver(unsent, call, "not sent", "the cancellation cannot be sent")
            else:
                yield from self._deliver(rest, call, call.reply, f"the answer to the {call.kind} arrives: {call.reply}")
                if call.reply != "silent":
                    yield from self._deliver(rest, call, "lost", f"the answer to the {call.kind} is lost")

    def _arrives(self, s: State, kind: str) -> Iterator[tuple[str, State]]:
        if kind == "create":
            yield from self._create_arrives(s)
        elif kind == "cancel":
            yield from self._cancels(s)
        else:
            if s.status == REFUNDING and s.now >= s.cancel_by:
                s = s._replace(status=REFUNDED)
            if s.status != NOTHING:
                yield self._reported(s), s
            yield "silent", s
            if self.scenario.lies and kind == "poll":
                yield ANOTHERS + PAID, s
            if kind == "find" and (s.status == NOTHING or s.now < self.end):
                yield "nothing", s  # lists may lag behind
                if self.scenario.lies:  # another till's, with the same number and amount
                    yield from ((ANOTHERS + status, s) for status in (OPEN, PAID, CLOSED))

    def _reported(self, s: State) -> str:
        """What the acquirer says of the payment."""
        if s.status in (DECLINED, VOIDED):
            return CLOSED
        return s.status if s.status in (*TOOK_MONEY, CLOSED) else OPEN

    def _create_arrives(self, s: State) -> Iterator[tuple[str, State]]:
        if s.status != NOTHING:
            yield "created", s
            yield "refused: the key was used", s
        elif s.now >= self._creates_until:
            yield "refused", s
        else:
            for issued in self._links():
                yield "created", self._creates(s, issued)
            if self.scenario.lies:
                yield "created", self._creates(s, self._links()[0])._replace(status=PAID)
            yield "refused", s

    def _deliver(self, s: State, call: Call, reply: str, label: str) -> Iterator[Transition]:
        if s.memory < 0:
            return
        event = _event(s, call, reply, self.scenario.names_attempt)
        for _, after in self._apply(s, event):
            yield label, after

    def _devices(self, s: State) -> Iterator[Transition]:
        if s.device in ("shows", "orphan"):
            shown = "shown" if s.device == "shows" else ""
            yield "the customer can see the link", s._replace(seen=True, device=shown)
        if s.memory < 0:
            return
        if s.device == "shows":
            for _, after in self._apply(s._replace(device=""), m.PresentFailed(_lane_time(s), "")):
                yield "the device reports that nobody can see the link", after
        if s.device == "shown":
            for _, after in self._apply(s._replace(device=""), m.Presented(_lane_time(s), "")):
                yield "the device reports the link presented", after

    def _customer(self, s: State) -> Iterator[Transition]:
        for _, after in self._apply(s, m.CancelWanted(_lane_time(s))):
            yield "the customer chooses Отменить", after
        if self.machine.states[s.memory].phase is m.Phase.ASKING:
            for _, after in self._apply(s, m.Retry(_lane_time(s))):
                yield "the customer chooses Повторить", after

    def _till(self, s: State) -> Iterator[Transition]:
        state = self.machine.states[s.memory]
        if s.reported:
            yield "the goods are released", s._replace(reported=False, goods=True)
        elif state.outcome is not None and not state.delivered and (state.outcome is not m.Outcome.PAID or s.goods):
            for _, after in self._apply(s, m.Delivered(_lane_time(s))):
                yield "the lane's software has taken the outcome", after
        elif s.goods and state.phase is m.Phase.PAID and state.delivered:  # the receipt is annulled
            for _, after in self._apply(s, m.Recovered(s.now, not_accepted=True)):
                yield "the lane's software gives the outcome back", after._replace(goods=after.kept >= 0)

    def _clock(self, s: State) -> Iterator[Transition]:
        due = self.machine.due(s.memory)
        if due is not None and due <= _lane_time(s):
            for _, after in self._apply(s, m.Tick(_lane_time(s)), must_act=True):
                yield "a tick", after
        elif s.now < self._last_tick(s) and all(call.limit > s.now for call in s.calls):
            yield "time passes", s._replace(now=s.now + 1)

    def _last_tick(self, s: State) -> int:
        """Nothing new can happen later: what the lane keeps asking for days it asks in the same way at each tick."""
        state = self.machine.states[s.memory]
        if state.phase not in (m.Phase.CLOSED, m.Phase.OVERDUE, m.Phase.REFUNDABLE):
            return self.horizon - min(0, s.ahead)
        days = 0 if state.phase is m.Phase.CLOSED else self.plan.timing.overdue_ms
        return max(self.end, max(self.end + days, _handlers.complete_at(state)) - s.ahead) + 1

    def _down(self, s: State) -> Iterator[Transition]:
        if s.now < self.end:
            yield "time passes, the lane is down", s._replace(now=s.now + 1)
        known = s.disk if s.kept < 0 else s.kept
        back = s._replace(memory=known, kept=-1, up_since=s.now if s.now + self.slack > self.end else 0)
        if s.kept < 0 and not m.needs_recovery(self.machine.states[s.disk]):
            yield "the lane starts again and has nothing to recover", back
            return
        for jump in (0, *(self.scenario.jumps if s.kept < 0 else ())):
            jumped = back._replace(ahead=s.ahead + jump)
            for _, after in self._apply(jumped, m.Recovered(_lane_time(jumped))):
                yield f"the lane starts again{f', its clock set by {jump} ticks' if jump else ''}", after

    # --- the runner's order: step, disk, effects -------------------------------------------------------------

    def _apply(self, s: State, event: m.Event, *, must_act: bool = False) -> Iterator[Transition]:
        memory, durable, effects = self.machine.step(s.memory, event)
        if memory == s.memory and not effects and must_act:
            raise Violation(5, f"a tick is due and changes nothing: the lane spins in {self._phase(s)}")
        if durable >= 0 and self.scenario.disk_fails and s.crashes:
            unsent = isinstance(event, m.CancelAnswered) and event.result is m.Cancel.NOT_ASKED  # and nobody knows
            yield "", self._crashed(s._replace(cancels=s.cancels + unsent))._replace(kept=s.memory)
        calls = s.calls
        if any(isinstance(effect, m.SendCreate | m.SendPoll | m.SendFind | m.SendCancel) for effect in effects):
            overtaken = self.machine.states[memory].earlier_seq != 0
            calls = tuple(
                call._replace(seq=_OVERTAKEN if overtaken and call.seq == _LATEST else _STALE) for call in calls
            )
        self._check_step(s, event, self.machine.states[memory], effects)
        after = s._replace(memory=memory, disk=s.disk if durable < 0 else durable, calls=calls)
        had_case = self.machine.states[s.memory].case is not None
        for number, effect in enumerate(effects):
            if isinstance(effect, m.OpenCase) and had_case:
                raise Violation(
                    2, "a second case is opened for the attempt: the journal accepts one, and the lane stops"
                )
            if isinstance(effect, m.NoteCase) and not had_case:
                raise Violation(2, "a note is made on a case that was never opened")
            if after.crashes and isinstance(effect, _REACH_OUT):
                asked = any(isinstance(lost, m.SendCancel) for lost in effects[number:])  # and nobody knows
                yield "", self._crashed(after._replace(cancels=after.cancels + asked))
            after = self._perform(after, effect)
        yield "", after

    def _check_step(self, s: State, event: m.Event, after: m.State, effects: tuple[m.Effect, ...]) -> None:
        """What an answer may end, and when the one cancellation is sent."""
        before = self.machine.states[s.memory]
        if isinstance(event, m.StatusUnavailable) and after.phase in m.FINAL and before.phase not in m.FINAL:
            raise Violation(5, f"silence ends the attempt: {after.phase.value}")
        cancels = any(isinstance(effect, m.SendCancel) for effect in effects)
        waits_for_link = before.phase in _LINK_AWAITED and s.status == OPEN and s.issued == "none"
        if cancels and waits_for_link and after.reason is m.EndReason.LINK_REFUSED and s.now < self._link_comes_until:
            raise Violation(4, "the payment is cancelled for a link that may still come")
        if isinstance(event, m.PaymentStatusReceived):
            counts = event.seq == before.seq and before.busy and event.proved and event.payment_id == ID
            is_open = event.status is m.PaymentStatus.OPEN
            if counts and is_open and before.phase in _NOBODY_WAITS and not s.cancels and not cancels:
                raise Violation(5, "the payment is open, nobody waits for it, and it is not cancelled")

    def _without_the_past(self, s: State) -> State:
        """Drop what nothing looks at any more, so that states that differ in nothing else are one: since when the lane
        is up, once there is a case or the acquirer's word; which link was given, once it was shown or refused; what
        is late and can have no effect; what an outcome was given upon."""
        late_create = s.late_create and s.status == NOTHING and s.now < self._creates_until
        late_cancel = s.late_cancel and (s.now < s.cancel_by or not self.scenario.refunds)
        accepted, seen = s.accepted, s.seen
        if self.machine.states[s.disk].outcome is not None and not s.reported:
            accepted, over = False, s.status in _NEVER_CHANGES
            late_cancel, seen = late_cancel and not over, seen and not over
        cancelling = late_cancel or s.status == REFUNDING or any(call.kind == "cancel" for call in s.calls)
        memory = self.machine.states[s.memory] if s.memory >= 0 else None
        watched = memory is not None and (memory.case is not None or memory.phase is m.Phase.CLOSED)
        return s._replace(
            late_create=late_create,
            late_cancel=late_cancel,
            accepted=accepted,
            seen=seen,
            cancel_by=s.cancel_by if cancelling else 0,
            up_since=0 if watched else s.up_since,
            issued=s.issued if self._awaits_link(s) else "none",
        )

    def _awaits_link(self, s: State) -> bool:
        known = [self.machine.states[number].phase for number in (s.memory, s.disk) if number >= 0]
        return any(phase in _LINK_AWAITED for phase in known)

    def _perform(self, s: State, effect: m.Effect) -> State:
        match effect:
            case m.SendCreate():
                return self._sends(s, "create")
            case m.SendPoll(payment_id=payment_id):
                if payment_id != ID:
                    raise Violation(7, f"the lane asks about {payment_id}, which is not its payment")
                return self._sends(s, "poll")
            case m.SendFind():
                return self._sends(s, "find")
            case m.SendCancel(payment_id=payment_id):
                if payment_id != ID:
                    raise Violation(7, f"the lane cancels {payment_id}, which is not its payment")
                if s.cancels:
                    raise Violation(4, "a second cancellation is sent")
                by = s.now + self.scenario.grace if self.scenario.refunds else 0
                return self._sends(s._replace(cancels=s.cancels + 1, cancel_by=by), "cancel")
            case m.Present(link=link):
                good = LINKS["plate" if self.scenario.plate else "good"]
                if link != good:
                    raise Violation(7, f"a link is presented that is not the attempt's own: {link}")
                return s._replace(device="shows")
            case m.Finish(outcome=outcome):
                return self._report(s, outcome)
        return s

    def _sends(self, s: State, kind: str) -> State:
        call = Call(kind, _LATEST, s.now + self.scenario.call, None)
        return s._replace(calls=tuple(sorted((*s.calls, call), key=str)))

    def _report(self, s: State, outcome: m.Outcome) -> State:
        if outcome is m.Outcome.PAID:
            if self.machine.states[s.disk].phase is not m.Phase.PAID:
                raise Violation(1, "the goods are to be released and PAID is not on disk")
            if not (s.seen or s.device or self.scenario.plate):
                raise Violation(1, "the goods are to be released for a link that nobody could see")
            if s.status not in (PAID, PAID_ANYWAY):
                raise Violation(1, f"the goods are to be released and at the acquirer it is {s.status}")
            return s._replace(reported=True)
        if outcome is m.Outcome.UNKNOWN:
            if self.machine.states[s.disk].case is None:
                raise Violation(2, "the customer is sent away without an outcome and without a case")
        elif not s.accepted and self._may_be_paid(s):
            raise Violation(4, f"the customer gets 'not paid'; at the acquirer it is {s.status}")
        return s

    def _crashed(self, s: State) -> State:
        """Requests that have left may still arrive; what has not reached the disk is gone."""
        kinds = {call.kind for call in s.calls if call.reply is None}
        return s._replace(
            memory=-1,
            calls=(),
            late_create=s.late_create or "create" in kinds,
            late_cancel=s.late_cancel or "cancel" in kinds,
            device="orphan" if s.device == "shows" else "",
            reported=False,
            crashes=s.crashes - 1,
        )

    # --- invariants ------------------------------------------------------------------------------------------

    def _may_be_paid(self, s: State) -> bool:
        if s.status == NOTHING:
            coming = s.late_create or any(call.kind == "create" and call.reply is None for call in s.calls)
            return coming and s.now < self._creates_until
        return s.status not in (CLOSED, DECLINED, REOPENED, PAID_ANYWAY, REFUNDED_ANYWAY, VOIDED)

    def check(self, s: State) -> None:
        """Raise a Violation when an invariant does not hold in `s`; an effect raises its own."""
        disk = self.machine.states[s.disk]
        paid = s.status in (PAID, PAID_ANYWAY)
        if s.goods and (disk.phase is not m.Phase.PAID or not paid):
            raise Violation(1, f"goods were released, on disk is {disk.phase.value}, at the acquirer it is {s.status}")
        at_rest = disk.phase in m.FINAL and not m.needs_recovery(disk) and s.memory >= 0
        if at_rest and disk.case is None and s.status in TOOK_MONEY and not s.goods:
            raise Violation(2, f"the acquirer has the money, no goods, no case: {disk.phase.value} in silence")
        if disk.phase is m.Phase.PAID_LATE and s.status in WENT_BACK:
            raise Violation(2, f"the case says that the money came late; at the acquirer it is {s.status}")
        if disk.phase is m.Phase.UNSETTLED and disk.payment_id == ID and s.status in _OPEN and not s.cancels:
            raise Violation(5, "the attempt has ended, its payment is open, and the one cancellation was never sent")
        if disk.phase is m.Phase.UNPAID and self._may_be_paid(s):
            raise Violation(4, f"the attempt is closed as unpaid; at the acquirer it is {s.status}")
        if disk.phase is m.Phase.UNPAID and s.status in (DECLINED, REOPENED) and s.now < self.end:
            raise Violation(2, "the acquirer has closed what can be paid all the same, and nobody watches it")
        if disk.phase is m.Phase.PAID and not paid:
            raise Violation(1, f"the attempt is closed as paid; at the acquirer it is {s.status}")
        same_order, same_plate = self.machine.gates(s.disk)
        if same_order and self._may_be_paid(s):
            raise Violation(3, f"a second attempt of the order may begin; the acquirer has of the first: {s.status}")
        payable = self._may_be_paid(s) and s.status not in TOOK_MONEY
        if same_plate and payable and self.scenario.plate:
            raise Violation(7, f"the plate may be armed for another order; the acquirer has of this one: {s.status}")
        if s.memory >= 0:
            self._check_awake(s)

    def _check_awake(self, s: State) -> None:
        state = self.machine.states[s.memory]
        if m.significant(self.machine.states[s.disk], _on_disk(state), ()):
            raise Violation(1, "what the lane knows of the money is not on disk")
        if state.phase in m.FINAL:
            return
        if self.machine.due(s.memory) is None and not any(call.seq == _LATEST for call in s.calls):
            raise Violation(5, f"nothing will ever wake the attempt: {state.phase.value}")
        limit = max(self.end - min(0, s.ahead), s.up_since) + self.slack
        if s.now > limit and state.case is None and state.phase is not m.Phase.CLOSED:
            raise Violation(5, f"neither final nor a case at tick {s.now}: {state.phase.value}")

    def _phase(self, s: State) -> str:
        return self.machine.states[s.memory].phase.value

    def describe(self, s: State) -> str:
        """One line of a trace."""
        memory = "lane down" if s.memory < 0 else _state_line(self.machine.states[s.memory])
        return f"{memory} | acquirer: {s.status}{', cancellation accepted' if s.accepted else ''}"


_OPEN = (OPEN, CLOSING, REOPENED)
_NOBODY_WAITS = (m.Phase.CONFIRMING, m.Phase.WATCHING, m.Phase.CLOSED, m.Phase.OVERDUE)
_LINK_AWAITED = (m.Phase.CREATING, m.Phase.FINDING)
_REACH_OUT = (m.SendCreate, m.SendPoll, m.SendFind, m.SendCancel, m.Present, m.Finish)


def _state_line(state: m.State) -> str:
    words = [state.phase.value]
    if state.reason is not m.EndReason.NONE:
        words.append(f"reason {state.reason.value}")
    if state.cancel is not m.Cancel.NOT_ASKED:
        words.append(f"cancel {state.cancel.value}")
    if state.outcome is not None:
        words.append(f"outcome {state.outcome.value}")
    if state.case is not None:
        words.append(f"case {state.case.value}")
    return ", ".join(words)


_STATUSES: dict[str, tuple[m.PaymentStatus, int]] = {
    OPEN: (m.PaymentStatus.OPEN, KOPECKS),
    CLOSING: (m.PaymentStatus.OPEN, KOPECKS),
    PAID: (m.PaymentStatus.PAID, KOPECKS),
    PAID_ANYWAY: (m.PaymentStatus.PAID, KOPECKS),
    SHORT: (m.PaymentStatus.PAID, OTHER_KOPECKS),
    CLOSED: (m.PaymentStatus.CLOSED, KOPECKS),
    REFUNDING: (m.PaymentStatus.PAID, KOPECKS),
    REFUNDED: (m.PaymentStatus.REFUNDED, KOPECKS),
    REFUNDED_ANYWAY: (m.PaymentStatus.REFUNDED, KOPECKS),
}


def _lane_time(s: State) -> int:
    return s.now + s.ahead


def _event(s: State, call: Call, reply: str, names_attempt: bool) -> m.Event:
    """The event that the client makes of a reply. The answer to an older request carries the older number."""
    seq, at = call.seq, _lane_time(s)
    if call.kind == "create":
        if reply == "created":
            status, kopecks = _STATUSES[s.status]
            return m.Created(at, seq, ID, status, kopecks, "RUB", LINKS[s.issued])
        unsure = reply not in ("refused", "not sent")
        return m.CreateFailed(at, seq, reply, may_exist=unsure, final=reply.startswith("refused"))
    if call.kind == "cancel":
        result = {
            "accepted": m.Cancel.ACCEPTED,
            "refused": m.Cancel.REFUSED,
            "not sent": m.Cancel.NOT_ASKED,
        }.get(reply, m.Cancel.UNANSWERED)
        return m.CancelAnswered(at, seq, result)
    if reply in ("lost", "silent"):
        return m.StatusUnavailable(at, seq, reply)
    if reply == "nothing":
        return m.PaymentNotListed(at, seq)
    payment_id, proved, link = ID, names_attempt or call.kind == "poll", LINKS[s.issued]
    if reply.startswith(ANOTHERS):
        payment_id, reply, proved = OTHER_ID, reply.removeprefix(ANOTHERS), call.kind == "poll"
        link = LINKS["other amount"]
    status, kopecks = _STATUSES[reply]
    return m.PaymentStatusReceived(at, seq, payment_id, status, reply, kopecks, "RUB", proved, link)
