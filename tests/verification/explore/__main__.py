"""Explore every scenario, or one, within the given bounds. The exit status is 1 when an invariant is broken."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from tests.verification.explore.model import SCENARIOS
from tests.verification.explore.search import explore
from tests.verification.verdict import verdict


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.explore", description=__doc__)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="only this one")
    parser.add_argument("--crashes", type=int, default=1, help="how often the power may be cut (1)")
    parser.add_argument("--life", type=int, default=3, help="of the invoice, in ticks (3)")
    parser.add_argument("--limit", type=int, help="stop after so many states")
    parser.add_argument("--worse", action="store_true", help="the disk may fail and cancellations may arrive twice")
    options = parser.parse_args()
    names = [options.scenario] if options.scenario else list(SCENARIOS)
    states = transitions = 0
    seconds = 0.0
    broken = []
    for name in names:
        scenario = replace(
            SCENARIOS[name],
            crashes=options.crashes,
            life=options.life,
            disk_fails=options.worse,
            duplicates=options.worse,
        )
        report = explore(scenario, limit=options.limit)
        states, transitions, seconds = (
            states + report.states,
            transitions + report.transitions,
            seconds + report.seconds,
        )
        print(report.line(), flush=True)
        if report.trace is not None:
            broken.append(f"invariant {report.violated} in {name}")
            print(report.trace, flush=True)
    print(verdict(f"{len(names)} scenarios, {states} states, {transitions} transitions, {seconds:.1f} s", broken))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
