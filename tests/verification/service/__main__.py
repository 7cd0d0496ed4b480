"""Kill till and service at every point of every scenario, then play seeds with a faulty proxy between them. The exit
status is 1 when an invariant is broken."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.verification.service.rounds import SCENARIOS, Round, play
from tests.verification.verdict import verdict


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.verification.service", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many (100)")
    parser.add_argument("--base", type=int, default=1, help="the first seed (1)")
    parser.add_argument("--every", type=int, default=1, help="every n-th point only; 0 for none (1)")
    options = parser.parse_args()
    started = time.monotonic()
    counts: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    broken: list[str] = []

    def note(name: str, result: Round) -> None:
        counts["rounds"] += 1
        counts["kills"] += len(result.deaths)
        counts["orders sold"] += len(result.sold)
        faults.update(result.faults)
        if result.problem is not None:
            broken.append(f"{name}: {result.problem}")
            print(f"{name}: {result.line()}", flush=True)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for scenario in SCENARIOS if options.every else ():
            whole = play(folder / scenario.name, scenario)
            note(scenario.name, whole)
            for party, last in (("service", whole.service_points), ("till", whole.till_points)):
                points = range(1, last + 1, options.every)
                for point in points:
                    place = folder / f"{scenario.name} {party} {point}"
                    result = play(place, scenario, **{f"{party}_dies_at": point})
                    note(f"{scenario.name}, {party} killed at point {point}", result)
                print(f"{scenario.name}: {party} killed at {len(points)} of {last} points", flush=True)
        for seed in range(options.base, options.base + options.seeds):
            scenario = Random(seed).choice(SCENARIOS)
            note(f"seed {seed}", play(folder / f"seed {seed}", scenario, seed=seed))
    what = ", ".join(f"{count} {name}" for name, count in counts.items())
    seconds = time.monotonic() - started
    print(f"faults on the wire: {dict(faults)}")
    print(verdict(f"{what}, {faults.total()} faults on the wire, {seconds:.0f} s", broken))
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
