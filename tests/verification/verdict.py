"""The last line that every engine prints: what was counted, then what is broken."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

HOLD = "all invariants hold"
_NAMED = 3


def verdict(counts: str, broken: Sequence[str], *, good: str = HOLD) -> str:
    """One line.

    Args:
        counts: what was played, with the time it took.
        broken: each violation as a clause; the first three are named.
        good: what is reported when there is none.
    """
    if not broken:
        return f"{counts}: {good}"
    more = f"; and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return f"{counts}: BROKEN: {'; '.join(broken[:_NAMED])}{more}"


class Report(Protocol):
    """What an exhaustive search of one scenario has seen."""

    @property
    def scenario(self) -> str: ...
    @property
    def states(self) -> int: ...
    @property
    def transitions(self) -> int: ...
    @property
    def seconds(self) -> float: ...
    @property
    def violated(self) -> int | None: ...
    @property
    def trace(self) -> str | None: ...

    def line(self) -> str:
        """One line to print."""


def print_searches(reports: Iterable[Report]) -> int:
    """Print each report as it comes, with the way to a violation, then the verdict. Returns the exit status."""
    count = states = transitions = 0
    seconds = 0.0
    broken = []
    for report in reports:
        count += 1
        states, transitions, seconds = (
            states + report.states,
            transitions + report.transitions,
            seconds + report.seconds,
        )
        print(report.line(), flush=True)
        if report.trace is not None:
            broken.append(f"invariant {report.violated} in {report.scenario}")
            print(report.trace, flush=True)
    print(verdict(f"{count} scenarios, {states} states, {transitions} transitions, {seconds:.1f} s", broken))
    return int(bool(broken))
