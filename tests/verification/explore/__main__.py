"""Explore every scenario, or one, within the given bounds. The exit status is 1 when an invariant is broken."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from tests.verification.explore.model import SCENARIOS
from tests.verification.explore.search import explore
from tests.verification.verdict import print_searches


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
    scenarios = [
        replace(
            SCENARIOS[name],
            crashes=options.crashes,
            life=options.life,
            disk_fails=options.worse,
            duplicates=options.worse,
        )
        for name in names
    ]
    return print_searches(explore(scenario, limit=options.limit) for scenario in scenarios)


if __name__ == "__main__":
    sys.exit(main())
