"""Explore every scenario of the protocol, or one. The exit status is 1 when an invariant is broken."""

from __future__ import annotations

import argparse
import sys

from tests.verification.protocol.model import SCENARIOS, wider
from tests.verification.protocol.search import explore
from tests.verification.verdict import print_searches


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.protocol", description=__doc__)
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), help="only this one")
    parser.add_argument("--wider", action="store_true", help="more faults than `make verify` allows")
    parser.add_argument("--limit", type=int, help="stop a scenario after so many states")
    options = parser.parse_args()
    names = [options.scenario] if options.scenario else list(SCENARIOS)
    scenarios = [wider(SCENARIOS[name]) if options.wider else SCENARIOS[name] for name in names]
    return print_searches(explore(scenario, limit=options.limit) for scenario in scenarios)


if __name__ == "__main__":
    sys.exit(main())
