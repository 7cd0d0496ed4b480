"""`python -m explore`: explore every scenario, or one, and print what was seen."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from tests.verification.explore.model import SCENARIOS
from tests.verification.explore.search import explore


def main() -> int:
    """The exit code is 1 when an invariant is broken."""
    parser = argparse.ArgumentParser(prog="explore")
    parser.add_argument("--scenario", choices=sorted(SCENARIOS))
    parser.add_argument("--crashes", type=int, default=1)
    parser.add_argument("--life", type=int, default=3)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--worse", action="store_true", help="the disk may fail and cancellations arrive twice")
    options = parser.parse_args()
    names = [options.scenario] if options.scenario else list(SCENARIOS)
    bad = 0
    for name in names:
        scenario = replace(
            SCENARIOS[name],
            crashes=options.crashes,
            life=options.life,
            disk_fails=options.worse,
            duplicates=options.worse,
        )
        report = explore(scenario, limit=options.limit)
        print(report.line(), flush=True)
        if report.story is not None:
            bad = 1
            print(report.story, flush=True)
    return bad


if __name__ == "__main__":
    sys.exit(main())
