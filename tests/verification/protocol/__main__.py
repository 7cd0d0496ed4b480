"""Explore every scenario of the protocol, or one. The exit status is 1 when an invariant is broken."""

from __future__ import annotations

import argparse
import sys

from tests.verification.protocol.model import SCENARIOS, wider
from tests.verification.protocol.search import explore
from tests.verification.verdict import verdict


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.protocol", description=__doc__)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="only this one")
    parser.add_argument("--wider", action="store_true", help="more faults than `make verify` allows")
    parser.add_argument("--limit", type=int, help="stop a scenario after so many states")
    options = parser.parse_args()
    names = [options.scenario] if options.scenario else list(SCENARIOS)
    states = transitions = 0
    seconds = 0.0
    broken = []
    for name in names:
        scenario = wider(SCENARIOS[name]) if options.wider else SCENARIOS[name]
        report = explore(scenario, limit=options.limit)
        states, transitions = states + report.states, transitions + report.transitions
        seconds += report.seconds
        print(report.line(), flush=True)
        if report.trace is not None:
            broken.append(f"invariant {report.violated} in {name}")
            print(report.trace, flush=True)
    print(verdict(f"{len(names)} scenarios, {states} states, {transitions} transitions, {seconds:.1f} s", broken))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
