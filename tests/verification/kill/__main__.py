"""Kill a payment at every point of every scenario, then at random moments. The exit status is 1 when an invariant is
broken."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.verification.kill.rounds import SCENARIOS, play, points_of
from tests.verification.verdict import verdict


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.kill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="rounds at random moments (100)")
    parser.add_argument("--seed", type=int, default=0, help="of the first random round (0)")
    parser.add_argument("--every", type=int, default=1, help="every n-th point only; 0 for none (1)")
    options = parser.parse_args()
    started, kills, points = time.monotonic(), 0, 0
    broken: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for scenario in SCENARIOS if options.every else ():
            last = points_of(folder / scenario.name, scenario)
            chosen = range(1, last + 1, options.every)
            for point in chosen:
                result = play(folder / f"{scenario.name} {point}", scenario, kill_at=point)
                kills += len(result.deaths)
                if result.problem is not None:
                    broken.append(f"{scenario.name} killed at point {point}: {result.problem}")
                    print(result.line(), flush=True)
            points += len(chosen)
            print(f"{scenario.name}: killed at {len(chosen)} of {last} points", flush=True)
        for seed in range(options.seed, options.seed + options.rounds):
            rng = random.Random(seed)
            result = play(folder / f"random {seed}", rng.choice(SCENARIOS), rng=rng)
            kills += len(result.deaths)
            if result.problem is not None:
                broken.append(f"random round {seed}: {result.problem}")
                print(f"seed {seed}: {result.line()}", flush=True)
    seconds = time.monotonic() - started
    print(verdict(f"{points} points, {options.rounds} random rounds, {kills} kills, {seconds:.0f} s", broken))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
