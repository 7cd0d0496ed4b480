"""`python -m killing`: a payment killed at every point of every story, then at random moments."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.verification.kill.rounds import STORIES, play, points_of


def main() -> int:
    """The exit code is 1 when an invariant is broken."""
    parser = argparse.ArgumentParser(prog="killing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=100, help="rounds at random moments")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=1, help="every n-th point only; 0 for none")
    options = parser.parse_args()
    started, kills, bad, rounds = time.monotonic(), 0, 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for story in STORIES if options.every else ():
            points = points_of(folder / story.name, story)
            for point in range(1, points + 1, options.every):
                result = play(folder / f"{story.name} {point}", story, kill_at=point)
                rounds, kills = rounds + 1, kills + len(result.deaths)
                if result.problem is not None:
                    bad += 1
                    print(result.line(), flush=True)
            print(f"{story.name}: killed at {len(range(1, points + 1, options.every))} points", flush=True)
        for number in range(options.rounds):
            seed = options.seed + number
            rng = random.Random(seed)
            result = play(folder / f"random {number}", rng.choice(STORIES), rng=rng)
            rounds, kills = rounds + 1, kills + len(result.deaths)
            if result.problem is not None:
                bad += 1
                print(f"seed {seed}: {result.line()}", flush=True)
    seconds = time.monotonic() - started
    print(f"{rounds} rounds, {kills} kills, {seconds:.0f} s: {f'{bad} broken' if bad else 'every invariant holds'}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
