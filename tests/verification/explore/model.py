"""The world around one attempt: bank, network, customer, devices, clock and power, all of them as hostile as allowed.

It runs the production `begin`, `step`, `due`, `gate` and `significant`, and nothing in their place. It never judges by
what the machine believes: invariants are checked against the ground truth, which only the model knows.

What the world may do, at any moment and in any order:

* bank: creates once per key; hands out a wrong link; takes another sum; declines; expires late; refuses a cancellation;
  accepts one and is paid all the same; says "not found" or lists nothing of what it has; answers about another
  payment, or lists another till's of the same number and sum; tells the attempt again that it was given, or does not
* network: loses a request, or its answer after it took effect; delivers a request after the client gave up; an answer
  that was true when it was given arrives when it is true no longer; two answers arrive in the other order; a
  cancellation that was answered arrives a second time
* customer: pays whenever the link was ever seen, in part, too late, or never; chooses Повторить or Отменить; leaves
* devices: show and report, show and never report, report that nothing can have been seen
* disk: cannot take a step; the runner then performs none of it, and starts the attempt over from what it knew before
* power: is cut between any two of these, between a step's write and its effects, and between two effects

The clock has whole ticks. It waits for what the lane must do at a tick; while the lane is down it waits for nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from sco_payment import attempt as m
from sco_payment import link as links

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
    "other sum": _link(DYNAMIC, f"&sum={OTHER_KOPECKS}&cur=RUB"),
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
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is explored: an attempt's plan and the bounds of the world around it.

    Attributes:
        plate: whether a static plate is armed, which any passer-by can pay as soon as the bank has the payment.
        life, grace: of the invoice, in ticks.
        call: ticks within which the client gives every call an answer.
        crashes: how often the power may be cut, or a step not be written.
        disk_fails: whether a step may not be written.
        duplicates: whether a cancellation may arrive twice.
        lies: whether the bank may hand out wrong links, take other sums and answer about other payments.
        tells: whether the bank tells again, in a list, the attempt that it was given with a payment.
        refunds: whether the bank answers the cancellation of a paid payment with a refund. Its adapter then reports no
            payment as paid that a cancellation of its own, not answered yet, may still refund (see `acquirer`).
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
    tells: bool = True
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
        Scenario("untold", tells=False),
        Scenario("untold plate", plate=True, tells=False),
        Scenario("refunding", refunds=True),
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


# What the bank holds of the attempt.
NOTHING, OPEN, CLOSING, PAID, SHORT, CLOSED = "nothing", "open", "closing", "paid", "paid another sum", "closed"
REFUNDED, UNKNOWN = "refunded", "unknown"
TOOK_MONEY = (PAID, SHORT, REFUNDED)
ANOTHERS = "another payment is "
TAKES_MONEY = (OPEN, CLOSING)  # CLOSING: the cancellation was accepted, and a payment under way may still win


class Call(NamedTuple):
    """A request of the lane that has no answer yet. `latest`: it is the one the machine waits for."""

    kind: str
    latest: bool
    limit: int
    reply: str | None  # None while it is on its way to the bank


class World(NamedTuple):
    """All that is, at one moment. `memory` and `disk` number machine states (see `Machine`); -1 is none."""

    now: int
    memory: int
    disk: int
    status: str
    accepted: bool  # the bank accepted a cancellation
    issued: str  # which of LINKS the bank gave
    seen: bool  # somebody can pay by the link
    device: str  # "", "shows", "shown", "orphan": what presenting has come to
    calls: tuple[Call, ...]
    late_create: bool  # a create that the client gave up may still reach the bank
    late_cancel: bool
    told: bool  # the lane's software was told PAID and has not acted on it
    goods: bool
    cancels: int
    crashes: int
    up_since: int
    kept: int = -1  # the state in memory of a runner that could not write the step after it


Move = tuple[str, World]


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


_LATEST = 1


def _relabelled(state: m.State) -> m.State:
    """The machine only compares `seq` and counts it up, so that any number will do: the latest is always 1."""
    if state.phase in m.FINAL:
        return replace(state, seq=_LATEST, busy=False, next_at_ms=0, until_ms=0, last_status_at_ms=0)
    return replace(state, seq=_LATEST)


def _on_disk(state: m.State) -> m.State:
    """The clockwork is said to be lost without harm: so lose it."""
    return replace(state, seq=_LATEST, busy=False, next_at_ms=0, until_ms=0, last_status_at_ms=0)


class Model:
    """All moves of a scenario's world."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.machine = Machine()
        self.plan = scenario.plan()
        timing = self.plan.timing
        self.end = scenario.life + scenario.grace
        # the longest way of an attempt that wakes at its invoice's end: present, cancel or find, confirm, last question
        self.slack = 3 * scenario.call + timing.confirm_ms + timing.present_ms
        self.horizon = self.end + self.slack + 2

    def start(self) -> World:
        memory, disk, effects = self.machine.begin(self.plan)
        world = World(
            0, memory, disk, NOTHING, False, "none", False, "", (), False, False, False, False, 0,
            self.scenario.crashes, 0,
        )  # fmt: skip
        for effect in effects:
            world = self._perform(world, effect)
        return world

    # --- moves -----------------------------------------------------------------------------------------------

    def moves(self, world: World) -> Iterator[Move]:
        """Every world that may come next, with what happened."""
        yield from self._bank(world)
        yield from self._network(world)
        yield from self._devices(world)
        if world.memory >= 0:
            yield from self._customer(world)
            yield from self._till(world)
            yield from self._clock(world)
            if world.crashes:
                yield "the power is cut", self._crashed(world)
        else:
            yield from self._down(world)

    def _bank(self, w: World) -> Iterator[Move]:
        if w.status in TAKES_MONEY:
            if w.seen or self.scenario.plate:
                yield "the customer pays; the bank has the money", w._replace(status=PAID)
                if self.scenario.lies:
                    yield "the bank takes another sum", w._replace(status=SHORT)
            yield "the bank closes the payment unpaid", w._replace(status=CLOSED)
        if w.late_create:
            rest = w._replace(late_create=False)
            yield "a create that the lane gave up reaches the bank", self._creates(rest, self._links()[0])
        if w.late_cancel:
            for _, after in self._cancels(w._replace(late_cancel=False)):
                yield "a cancellation that the lane gave up reaches the bank", after

    def _links(self) -> tuple[str, ...]:
        good = "plate" if self.scenario.plate else "good"
        bad = ("another plate",) if self.scenario.plate else ("other sum", "none")
        return (good, *bad) if self.scenario.lies else (good,)

    def _creates(self, w: World, issued: str) -> World:
        """Once per key, and never what is expired already."""
        if w.status != NOTHING or w.now >= self.plan.expires_at_ms:
            return w
        return w._replace(status=OPEN, issued=issued)

    def _cancels(self, w: World) -> Iterator[tuple[str, World]]:
        if w.status == OPEN:
            yield "accepted", w._replace(status=CLOSED, accepted=True)
            yield "accepted", w._replace(status=CLOSING, accepted=True)
            yield "refused", w
        elif w.status == CLOSING:
            yield "accepted", w
        elif self.scenario.refunds and w.status in (PAID, SHORT):
            yield "refunded instead", w._replace(status=REFUNDED)
            yield "refused", w
        else:
            yield "refused", w

    def _network(self, w: World) -> Iterator[Move]:
        for index, call in enumerate(w.calls):
            rest = w._replace(calls=w.calls[:index] + w.calls[index + 1 :])
            if call.reply is None:
                for reply, after in self._arrives(rest, call.kind):
                    answered = call._replace(reply=reply)
                    # a bank that refunds gets the cancellation with a key: it does nothing when it comes again
                    copied = self.scenario.duplicates and not self.scenario.refunds
                    if call.kind == "cancel" and copied and not after.late_cancel:
                        yield (
                            f"the cancel reaches the bank, which answers: {reply}; a copy of it is still on its way",
                            after._replace(calls=tuple(sorted((*after.calls, answered), key=str)), late_cancel=True),
                        )
                    yield (
                        f"the {call.kind} reaches the bank, which answers: {reply}",
                        after._replace(calls=tuple(sorted((*after.calls, answered), key=str))),
                    )
                late = rest._replace(
                    late_create=rest.late_create or call.kind == "create",
                    late_cancel=rest.late_cancel or call.kind == "cancel",
                )
                yield from self._deliver(late, call, "lost", f"no answer to the {call.kind}; it may still arrive")
                if call.kind == "create":
                    yield from self._deliver(rest, call, "not sent", "the create cannot be sent")
            else:
                yield from self._deliver(rest, call, call.reply, f"the answer to the {call.kind} arrives: {call.reply}")
                if call.reply != "silent":
                    yield from self._deliver(rest, call, "lost", f"the answer to the {call.kind} is lost")

    def _arrives(self, w: World, kind: str) -> Iterator[tuple[str, World]]:
        if kind == "create":
            yield from self._create_arrives(w)
        elif kind == "cancel":
            yield from self._cancels(w)
        else:
            if w.status != NOTHING:
                yield from ((status, w) for status in self._reported(w))
            yield "silent", w
            if self.scenario.lies and kind == "poll":
                yield ANOTHERS + PAID, w
            if kind == "find" and (w.status == NOTHING or w.now < self.end):
                yield "nothing", w  # lists may lag behind
                if self.scenario.lies:  # another till's, under the same number and sum
                    yield from ((ANOTHERS + status, w) for status in (OPEN, PAID, CLOSED))

    def _reported(self, w: World) -> Iterator[str]:
        """What the adapter makes of the payment's status."""
        if w.status in (PAID, SHORT) and self.scenario.refunds and self._cancel_in_doubt(w):
            yield UNKNOWN
            if w.crashes == self.scenario.crashes:
                return
            # the process that sent the cancellation is gone, and with it what its adapter knew
        yield w.status if w.status in (*TOOK_MONEY, CLOSED) else OPEN

    def _cancel_in_doubt(self, w: World) -> bool:
        """Whether a cancellation was sent whose answer, as far as the adapter knows, may be a refund."""
        cancel = m.Cancel.NOT_ASKED if w.memory < 0 else self.machine.states[w.memory].cancel
        return cancel in (m.Cancel.ASKED, m.Cancel.UNANSWERED)

    def _create_arrives(self, w: World) -> Iterator[tuple[str, World]]:
        if w.status != NOTHING:
            yield "created", w
            yield "refused: the key was used", w
        elif w.now >= self.plan.expires_at_ms:
            yield "refused", w
        else:
            for issued in self._links():
                yield "created", self._creates(w, issued)
            yield "refused", w

    def _deliver(self, w: World, call: Call, reply: str, label: str) -> Iterator[Move]:
        if w.memory < 0:
            return
        event = _event(w, call, reply, self.scenario.tells)
        for _, after in self._apply(w, event):
            yield label, after

    def _devices(self, w: World) -> Iterator[Move]:
        if w.device in ("shows", "orphan"):
            shown = "shown" if w.device == "shows" else ""
            yield "the customer can see the link", w._replace(seen=True, device=shown)
        if w.memory < 0:
            return
        if w.device == "shows":
            for _, after in self._apply(w._replace(device=""), m.PresentFailed(w.now, "")):
                yield "the device reports that nobody can see the link", after
        if w.device == "shown":
            for _, after in self._apply(w._replace(device=""), m.Presented(w.now, "")):
                yield "the device reports the link presented", after

    def _customer(self, w: World) -> Iterator[Move]:
        for _, after in self._apply(w, m.CancelWanted(w.now)):
            yield "the customer chooses Отменить", after
        if self.machine.states[w.memory].phase is m.Phase.ASKING:
            for _, after in self._apply(w, m.Retry(w.now)):
                yield "the customer chooses Повторить", after

    def _till(self, w: World) -> Iterator[Move]:
        state = self.machine.states[w.memory]
        if w.told:
            yield "the goods are released", w._replace(told=False, goods=True)
        elif state.outcome is not None and not state.delivered and (state.outcome is not m.Outcome.PAID or w.goods):
            for _, after in self._apply(w, m.Delivered(w.now)):
                yield "the lane's software has taken the outcome", after

    def _clock(self, w: World) -> Iterator[Move]:
        due = self.machine.due(w.memory)
        if due is not None and due <= w.now:
            for _, after in self._apply(w, m.Tick(w.now), must_act=True):
                yield "a tick", after
        elif w.now < self.horizon and all(call.limit > w.now for call in w.calls):
            yield "time passes", w._replace(now=w.now + 1)

    def _down(self, w: World) -> Iterator[Move]:
        if w.now < self.end + 1:
            yield "time passes, the lane is down", w._replace(now=w.now + 1)
        known = w.disk if w.kept < 0 else w.kept
        back = w._replace(memory=known, kept=-1, up_since=w.now if w.now + self.slack > self.end else 0)
        if w.kept < 0 and not m.needs_recovery(self.machine.states[w.disk]):
            yield "the lane starts again and has nothing to look after", back
            return
        for _, after in self._apply(back, m.Recovered(w.now)):
            yield "the lane starts again", after

    # --- the runner's order: step, disk, effects -------------------------------------------------------------

    def _apply(self, w: World, event: m.Event, *, must_act: bool = False) -> Iterator[Move]:
        memory, durable, effects = self.machine.step(w.memory, event)
        if memory == w.memory and not effects and must_act:
            raise Violation(5, f"a tick is due and changes nothing: the lane spins in {self._phase(w)}")
        if durable >= 0 and self.scenario.disk_fails and w.crashes:
            yield "", self._crashed(w)._replace(kept=w.memory)
        calls = w.calls
        if any(isinstance(effect, m.SendCreate | m.SendPoll | m.SendFind | m.SendCancel) for effect in effects):
            calls = tuple(call._replace(latest=False) for call in calls)
        after = w._replace(memory=memory, disk=w.disk if durable < 0 else durable, calls=calls)
        had_case = self.machine.states[w.memory].case is not None
        for effect in effects:
            if isinstance(effect, m.OpenCase) and had_case:
                raise Violation(
                    2, "a second case is opened for the attempt: the journal takes one, and the lane stands"
                )
            if isinstance(effect, m.NoteCase) and not had_case:
                raise Violation(2, "a remark is made on a case that nobody has opened")
            if after.crashes and isinstance(effect, _REACH_OUT):
                yield "", self._crashed(after)
            after = self._perform(after, effect)
        yield "", after

    def _perform(self, w: World, effect: m.Effect) -> World:
        match effect:
            case m.SendCreate():
                return self._sends(w, "create")
            case m.SendPoll(payment_id=payment_id):
                if payment_id != ID:
                    raise Violation(7, f"the lane asks about {payment_id}, which is not its payment")
                return self._sends(w, "poll")
            case m.SendFind():
                return self._sends(w, "find")
            case m.SendCancel(payment_id=payment_id):
                if payment_id != ID:
                    raise Violation(7, f"the lane cancels {payment_id}, which is not its payment")
                if w.cancels:
                    raise Violation(4, "a second cancellation is sent")
                return self._sends(w._replace(cancels=w.cancels + 1), "cancel")
            case m.Present(link=link):
                good = LINKS["plate" if self.scenario.plate else "good"]
                if link != good:
                    raise Violation(7, f"a link is presented that is not the attempt's own: {link}")
                return w._replace(device="shows")
            case m.Finish(outcome=outcome):
                return self._told(w, outcome)
        return w

    def _sends(self, w: World, kind: str) -> World:
        call = Call(kind, True, w.now + self.scenario.call, None)
        return w._replace(calls=tuple(sorted((*w.calls, call), key=str)))

    def _told(self, w: World, outcome: m.Outcome) -> World:
        if outcome is m.Outcome.PAID:
            if self.machine.states[w.disk].phase is not m.Phase.PAID:
                raise Violation(1, "the goods are to be released and PAID is not on disk")
            if w.status != PAID:
                raise Violation(1, f"the goods are to be released and the bank says: {w.status}")
            return w._replace(told=True)
        if outcome is m.Outcome.UNKNOWN:
            if self.machine.states[w.disk].case is None:
                raise Violation(2, "the customer is sent away without an outcome and without a case")
        elif not w.accepted and self._may_be_paid(w):
            raise Violation(4, f"the customer is told that it is not paid; the bank says: {w.status}")
        return w

    def _crashed(self, w: World) -> World:
        """Requests that have left may still arrive; what has not reached the disk is gone."""
        kinds = {call.kind for call in w.calls if call.reply is None}
        return w._replace(
            memory=-1,
            calls=(),
            late_create=w.late_create or "create" in kinds,
            late_cancel=w.late_cancel or "cancel" in kinds,
            device="orphan" if w.device == "shows" else "",
            told=False,
            crashes=w.crashes - 1,
        )

    # --- invariants ------------------------------------------------------------------------------------------

    def _may_be_paid(self, w: World) -> bool:
        if w.status == NOTHING:
            coming = w.late_create or any(call.kind == "create" and call.reply is None for call in w.calls)
            return coming and w.now < self.plan.expires_at_ms
        return w.status != CLOSED

    def check(self, w: World) -> None:
        """Raise a Violation when an invariant does not hold in `w`; those of one effect stand where it is performed."""
        disk = self.machine.states[w.disk]
        if w.goods and (disk.phase is not m.Phase.PAID or w.status != PAID):
            raise Violation(1, f"goods were released, on disk is {disk.phase.value}, the bank says: {w.status}")
        at_rest = disk.phase in m.FINAL and not m.needs_recovery(disk) and w.memory >= 0
        if at_rest and disk.case is None and w.status in TOOK_MONEY and not w.goods:
            raise Violation(2, f"the bank has the money, no goods, no case: {disk.phase.value} in silence")
        if disk.phase is m.Phase.UNPAID and self._may_be_paid(w):
            raise Violation(4, f"the attempt is closed as unpaid; the bank says: {w.status}")
        if disk.phase is m.Phase.PAID and w.status != PAID:
            raise Violation(1, f"the attempt is closed as paid; the bank says: {w.status}")
        same_order, same_plate = self.machine.gates(w.disk)
        if same_order and self._may_be_paid(w):
            raise Violation(3, f"a second attempt of the order may begin; the bank says of the first: {w.status}")
        payable = self._may_be_paid(w) and w.status not in TOOK_MONEY
        if same_plate and payable and self.scenario.plate:
            raise Violation(7, f"the plate may be armed for another order; the bank says of this one: {w.status}")
        if w.memory >= 0:
            self._check_awake(w)

    def _check_awake(self, w: World) -> None:
        state = self.machine.states[w.memory]
        if m.significant(self.machine.states[w.disk], _on_disk(state), ()):
            raise Violation(1, "what the lane knows of the money is not what stands on disk")
        if state.phase in m.FINAL:
            return
        if self.machine.due(w.memory) is None and not any(call.latest for call in w.calls):
            raise Violation(5, f"nothing will ever wake the attempt: {state.phase.value}")
        limit = max(self.end, w.up_since, self.plan.expires_at_ms) + self.slack
        if w.now > limit and state.case is None:
            raise Violation(5, f"neither final nor a case at tick {w.now}: {state.phase.value}")

    def _phase(self, w: World) -> str:
        return self.machine.states[w.memory].phase.value

    def describe(self, w: World) -> str:
        """One line for a story."""
        memory = "lane down" if w.memory < 0 else _state_line(self.machine.states[w.memory])
        return f"{memory} | bank: {w.status}{', cancellation accepted' if w.accepted else ''}"


_REACH_OUT = (m.SendCreate, m.SendPoll, m.SendFind, m.SendCancel, m.Present, m.Finish)


def _state_line(state: m.State) -> str:
    words = [state.phase.value]
    if state.reason is not m.EndReason.NONE:
        words.append(f"why {state.reason.value}")
    if state.cancel is not m.Cancel.NOT_ASKED:
        words.append(f"cancel {state.cancel.value}")
    if state.outcome is not None:
        words.append(f"told {state.outcome.value}")
    if state.case is not None:
        words.append(f"case {state.case.value}")
    return ", ".join(words)


_STATUSES: dict[str, tuple[m.PaymentStatus, int]] = {
    OPEN: (m.PaymentStatus.OPEN, KOPECKS),
    CLOSING: (m.PaymentStatus.OPEN, KOPECKS),
    PAID: (m.PaymentStatus.PAID, KOPECKS),
    SHORT: (m.PaymentStatus.PAID, OTHER_KOPECKS),
    CLOSED: (m.PaymentStatus.CLOSED, KOPECKS),
    REFUNDED: (m.PaymentStatus.REFUNDED, KOPECKS),
    UNKNOWN: (m.PaymentStatus.UNKNOWN, KOPECKS),
}


def _event(w: World, call: Call, reply: str, tells: bool) -> m.Event:
    """What the client makes of a reply. An answer that came from an older request carries the older number."""
    seq = _LATEST if call.latest else 0
    at = w.now
    if call.kind == "create":
        if reply == "created":
            status, kopecks = _STATUSES[w.status]
            return m.Created(at, seq, ID, status, kopecks, "RUB", LINKS[w.issued])
        unsure = reply not in ("refused", "not sent")
        return m.CreateFailed(at, seq, reply, may_exist=unsure, final=reply.startswith("refused"))
    if call.kind == "cancel":
        result = {"accepted": m.Cancel.ACCEPTED, "refused": m.Cancel.REFUSED, "refunded instead": m.Cancel.REFUSED}.get(
            reply, m.Cancel.UNANSWERED
        )
        return m.CancelAnswered(at, seq, result)
    if reply in ("lost", "silent"):
        return m.StatusUnavailable(at, seq, reply)
    if reply == "nothing":
        return m.PaymentNotListed(at, seq)
    payment_id, proved = ID, tells or call.kind == "poll"
    if reply.startswith(ANOTHERS):
        payment_id, reply, proved = OTHER_ID, reply.removeprefix(ANOTHERS), call.kind == "poll"
    status, kopecks = _STATUSES[reply]
    return m.PaymentStatusReceived(at, seq, payment_id, status, reply, kopecks, "RUB", proved)
