"""`python -m tests.verification.simulate`: play seeds, and print what was seen; the exit status is 1 when an invariant is broken."""

from __future__ import annotations

import argparse
import sys

from tests.verification.simulate.report import simulate
from tests.verification.simulate.world import run_seed


def main() -> int:
    """Many seeds, or one with its story."""
    parser = argparse.ArgumentParser(prog="simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds")
    parser.add_argument("--base", type=int, default=1, help="the first one")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--story", action="store_true", help="print what happened in it, line by line")
    options = parser.parse_args()
    if options.seed is None:
        return simulate(options.seeds, options.base, options.jobs)
    run = run_seed(options.seed)
    if options.story or run.broken is not None:
        print("\n".join(run.story))
    print(f"seed {run.seed}: {run.events} events, trace {run.trace_hash[:16]}, {run.broken or 'all invariants hold'}")
    return int(run.broken is not None)


if __name__ == "__main__":
    sys.exit(main())
