"""Breadth-first search of a model's whole world; the first violation it meets has the shortest story."""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass

from sco_payment.attempt import Phase
from tests.verification.explore.model import Model, Scenario, Violation, World


@dataclass(frozen=True, slots=True)
class Report:
    """What a search has seen. `story` is None when every invariant holds in every world."""

    scenario: str
    worlds: int
    moves: int
    machine_states: int
    machine_steps: int
    seconds: float
    complete: bool
    violated: int | None = None
    story: str | None = None
    arcs: frozenset[tuple[Phase, type, Phase]] = frozenset()

    def line(self) -> str:
        """One line for people."""
        rate = self.worlds / self.seconds if self.seconds else 0.0
        verdict = "all invariants hold" if self.story is None else f"invariant {self.violated} is broken"
        bound = "" if self.complete else " (stopped at its bound)"
        return (
            f"{self.scenario}: {self.worlds} worlds, {self.moves} moves, {self.machine_states} states and "
            f"{self.machine_steps} steps of the machine, {self.seconds:.1f} s, {rate:.0f} worlds/s{bound}: {verdict}"
        )


def explore(scenario: Scenario, *, limit: int | None = None) -> Report:
    """Walk every world of `scenario`, or `limit` worlds, shortest ways first."""
    model = Model(scenario)
    started = time.process_time()
    came_from: dict[World, tuple[World, str] | None] = {}
    moves = 0
    violated: int | None = None
    story: str | None = None
    world = model.start()
    came_from[world] = None
    queue = deque([world])
    try:
        model.check(world)
        while queue and (limit is None or len(came_from) < limit):
            here = world = queue.popleft()
            for label, there in model.moves(here):
                moves += 1
                if there in came_from:
                    continue
                came_from[there] = (here, label)
                queue.append(there)
                world = there
                model.check(there)
                world = here
    except Violation as violation:
        violated = violation.number
        story = tell(model, came_from, world, violation)
    return Report(
        scenario.name,
        len(came_from),
        moves,
        len(model.machine.states),
        model.machine.steps,
        time.process_time() - started,
        not queue,
        violated,
        story,
        frozenset(model.machine.arcs()),
    )


def tell(model: Model, came_from: dict[World, tuple[World, str] | None], last: World, violation: Violation) -> str:
    """The way to `last`, one line a move, with the state after each; the violation is there or in the move after it."""
    lines = []
    world = last
    while (origin := came_from.get(world)) is not None:
        lines.append(f"  tick {world.now:2}  {origin[1]}\n           -> {model.describe(world)}")
        world = origin[0]
    lines.append("  tick  0  the attempt begins")
    return "\n".join([*reversed(lines), f"  invariant {violation.number} is broken: {violation}"])
