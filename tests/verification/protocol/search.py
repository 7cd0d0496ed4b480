"""Every state of the protocol, shortest traces first; then, of each, whether it can still come to an end without a
further fault."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from tests.verification.explore.model import Violation
from tests.verification.protocol.model import FAULT, Model, Scenario, State
from tests.verification.verdict import HOLD

STUCK = 5
"""The invariant that no outcome is lost: from every state, without a further fault, all come to rest."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a search has seen.

    Attributes:
        states, transitions: of all parties together.
        at_rest: in how many states till, service and bank had done all that they had to.
        seconds: of CPU.
        complete: whether every reachable state was visited; only then it is known that each can come to an end.
        violated, trace: the number of the invariant that is broken and the way there; None when all hold.
    """

    scenario: str
    states: int
    transitions: int
    at_rest: int
    seconds: float
    complete: bool = True
    violated: int | None = None
    trace: str | None = None

    def line(self) -> str:
        """One line to print."""
        verdict = HOLD if self.trace is None else f"invariant {self.violated} is broken"
        bound = "" if self.complete else " (stopped at its bound)"
        return (
            f"{self.scenario}: {self.states} states, {self.transitions} transitions, {self.at_rest} at rest, "
            f"{self.seconds:.1f} s{bound}: {verdict}"
        )


class _Graph:
    """The states in the order in which they were found, how each was reached, and what leads to it without a fault."""

    def __init__(self, first: State) -> None:
        self.numbers = {first: 0}
        self.states = [first]
        self.came_from: list[tuple[int, str]] = [(-1, "")]
        self.before: list[list[int]] = [[]]

    def add(self, state: State, origin: int, label: str) -> tuple[int, bool]:
        number = self.numbers.setdefault(state, len(self.states))
        new = number == len(self.states)
        if new:
            self.states.append(state)
            self.came_from.append((origin, label))
            self.before.append([])
        if not label.startswith(FAULT):
            self.before[number].append(origin)
        return number, new

    def without_end(self, ends: list[int]) -> int | None:
        """The first state from which none of `ends` can be reached without a fault; None when there is none."""
        good = bytearray(len(self.states))
        for end in ends:
            good[end] = 1
        queue = list(ends)
        while queue:
            for number in self.before[queue.pop()]:
                if not good[number]:
                    good[number] = 1
                    queue.append(number)
        found = good.find(0)
        return None if found < 0 else found


def explore(scenario: Scenario, *, limit: int | None = None) -> Report:
    """Visit every state of `scenario`; stop after `limit` states, of which then no end is asked."""
    started = time.process_time()
    model = Model(scenario)
    graph = _Graph(model.start())
    queue = deque([0])
    ends: list[int] = []
    transitions = 0
    violated: int | None = None
    trace: str | None = None
    here = 0
    try:
        while queue and (limit is None or len(graph.states) < limit):
            here = queue.popleft()
            state = graph.states[here]
            if model.at_rest(state):
                ends.append(here)
            for label, after in model.transitions(state):
                transitions += 1
                number, new = graph.add(after, here, label)
                if new:
                    queue.append(number)
                    here, before = number, here
                    model.check(after)
                    here = before
        if not queue and (stuck := graph.without_end(ends)) is not None:
            here = stuck
            raise Violation(STUCK, "without any further fault, it never comes to an end")
    except Violation as violation:
        violated, trace = violation.number, _trace_to(model, graph, here, violation)
    seconds = time.process_time() - started
    return Report(scenario.name, len(graph.states), transitions, len(ends), seconds, not queue, violated, trace)


def _trace_to(model: Model, graph: _Graph, last: int, violation: Violation) -> str:
    lines = []
    while last >= 0:
        origin, label = graph.came_from[last]
        lines.append(
            f"  {label or 'a till with something to be paid'}\n           -> {model.describe(graph.states[last])}"
        )
        last = origin
    return "\n".join([*reversed(lines), f"  invariant {violation.number} is broken: {violation}"])
