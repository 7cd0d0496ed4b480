"""Play seeds, or one of them with its trace. The exit status is 1 when an invariant is broken."""

from __future__ import annotations

import argparse
import sys

from tests.verification.simulate.faults import HTTP, KINDS, Focus
from tests.verification.simulate.report import simulate
from tests.verification.simulate.run import run_seed
from tests.verification.verdict import verdict


def _rate(text: str) -> tuple[str, float]:
    kind, _, rate = text.partition("=")
    if kind not in KINDS:
        raise argparse.ArgumentTypeError(f"{kind!r} is not one of {', '.join(KINDS)}")
    return kind, float(rate)


def _always(text: str) -> tuple[str, str]:
    call, _, kind = text.partition("=")
    if kind not in HTTP:
        raise argparse.ArgumentTypeError(f"{kind!r} is not one of {', '.join(HTTP)}")
    return call, kind


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds (1000)")
    parser.add_argument("--base", type=int, default=1, help="the first one (1)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (1)")
    parser.add_argument("--seed", type=int, help="only this one")
    parser.add_argument("--trace", action="store_true", help="with --seed: print what happened, line by line")
    parser.add_argument("--mode", type=int, choices=(0, 1, 2), help="with --seed: the display mode")
    parser.add_argument(
        "--rate",
        type=_rate,
        action="append",
        default=[],
        metavar="KIND=RATE",
        help="with --seed: a kind's rate, 0 to 1",
    )
    parser.add_argument(
        "--always", type=_always, metavar="CALL=KIND", help="with --seed: what each create, get, cancel or list meets"
    )
    options = parser.parse_args()
    if options.seed is None:
        return simulate(options.seeds, options.base, options.jobs)
    report = run_seed(options.seed, Focus(options.mode, dict(options.rate), options.always))
    if options.trace or report.broken is not None:
        print("\n".join(report.trace))
    broken = [] if report.broken is None else [f"invariant {report.invariant}: {report.broken}"]
    print(verdict(f"seed {report.seed}, {report.events} events, hash of the trace {report.trace_hash[:16]}", broken))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
