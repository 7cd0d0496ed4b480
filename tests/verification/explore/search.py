"""Breadth-first search of a model's state space: the first violation that it meets has the shortest trace."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from sco_payment.attempt import Phase
from tests.verification.explore.model import Model, Scenario, State, Violation
from tests.verification.verdict import HOLD


@dataclass(frozen=True, slots=True)
class Report:
    """What a search has seen.

    Attributes:
        states, transitions: of the model: bank, network, customer, devices, disk, power and the machine.
        machine_states, machine_steps: of the production machine alone.
        seconds: of CPU.
        complete: whether every reachable state was visited.
        violated: the number of the invariant that is broken, or None.
        trace: the way to the violation, one transition a line; None when every invariant holds in every state.
        arcs: which phases of the machine were left for which, by which event.
    """

    scenario: str
    states: int
    transitions: int
    machine_states: int
    machine_steps: int
    seconds: float
    complete: bool
    violated: int | None = None
    trace: str | None = None
    arcs: frozenset[tuple[Phase, type, Phase]] = frozenset()

    def line(self) -> str:
        """One line to print."""
        rate = self.states / self.seconds if self.seconds else 0.0
        verdict = HOLD if self.trace is None else f"invariant {self.violated} is broken"
        bound = "" if self.complete else " (stopped at its bound)"
        return (
            f"{self.scenario}: {self.states} states, {self.transitions} transitions, {self.machine_states} states and "
            f"{self.machine_steps} steps of the machine, {self.seconds:.1f} s, {rate:.0f} states/s{bound}: {verdict}"
        )


def explore(scenario: Scenario, *, limit: int | None = None) -> Report:
    """Visit every state of `scenario`, or `limit` states, shortest traces first."""
    model = Model(scenario)
    started = time.process_time()
    came_from: dict[State, tuple[State, str] | None] = {}
    transitions = 0
    violated: int | None = None
    trace: str | None = None
    state = model.start()
    came_from[state] = None
    queue = deque([state])
    try:
        model.check(state)
        while queue and (limit is None or len(came_from) < limit):
            here = state = queue.popleft()
            for label, there in model.transitions(here):
                transitions += 1
                if there in came_from:
                    continue
                came_from[there] = (here, label)
                queue.append(there)
                state = there
                model.check(there)
                state = here
    except Violation as violation:
        violated = violation.number
        trace = trace_to(model, came_from, state, violation)
    return Report(
        scenario.name,
        len(came_from),
        transitions,
        len(model.machine.states),
        model.machine.steps,
        time.process_time() - started,
        not queue,
        violated,
        trace,
        frozenset(model.machine.arcs()),
    )


def trace_to(model: Model, came_from: dict[State, tuple[State, str] | None], last: State, violation: Violation) -> str:
    """The way to `last`, one transition a line with the state after each. The violation is in `last` or in the
    transition after it."""
    lines = []
    state = last
    while (origin := came_from.get(state)) is not None:
        lines.append(f"  tick {state.now:2}  {origin[1]}\n           -> {model.describe(state)}")
        state = origin[0]
    lines.append("  tick  0  the attempt begins")
    return "\n".join([*reversed(lines), f"  invariant {violation.number} is broken: {violation}"])
