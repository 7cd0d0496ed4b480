"""Play seeds, or one of them with its trace. The exit status is 1 when an invariant is broken."""

from __future__ import annotations

import argparse
import sys

from tests.verification.simulate.report import simulate
from tests.verification.simulate.run import run_seed
from tests.verification.verdict import verdict


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds (1000)")
    parser.add_argument("--base", type=int, default=1, help="the first one (1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="with --seed: print what happened, line by line")
    options = parser.parse_args()
    if options.seed is None:
        return simulate(options.seeds, options.base, options.jobs)
    report = run_seed(options.seed)
    if options.trace or report.broken is not None:
        print("\n".join(report.trace))
    broken = [] if report.broken is None else [f"invariant {report.invariant}: {report.broken}"]
    print(verdict(f"seed {report.seed}, {report.events} events, hash of the trace {report.trace_hash[:16]}", broken))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
