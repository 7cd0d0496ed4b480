"""Play many seeds and print what was seen."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from tests.verification.simulate.faults import KINDS
from tests.verification.simulate.run import Report, run_seed
from tests.verification.verdict import verdict

RERUN = ".venv/bin/python -m tests.verification.simulate --seed {seed} --trace"


def _brief(seed: int) -> Report:
    """A run with its trace only where it is printed: it is long, and crosses a pipe."""
    report = run_seed(seed)
    return report if report.broken is not None else replace(report, trace=[])


def runs_of(seeds: int, base: int, jobs: int) -> Iterator[Report]:
    """Every run, as it ends."""
    numbers = range(base, base + seeds)
    if jobs == 1:
        yield from map(_brief, numbers)
        return
    with multiprocessing.get_context("fork").Pool(jobs) as pool:
        yield from pool.imap_unordered(_brief, numbers, chunksize=8)


def simulate(seeds: int, base: int, jobs: int) -> int:
    """Play them and print; returns the exit status."""
    began = time.monotonic()
    faults: Counter[str] = Counter()
    sales: Counter[int] = Counter()
    events = played = 0
    broken: list[str] = []
    for report in runs_of(seeds, base, jobs):
        played += 1
        events += report.events
        faults.update(report.faults)
        sales[report.mode] += report.sales
        if report.broken is not None:
            if not broken:
                print("\n".join(report.trace))
            broken.append(f"invariant {report.invariant} by seed {report.seed}: {report.broken}")
            print(f"seed {report.seed}: invariant {report.invariant} is broken: {report.broken}")
            print(f"again: {RERUN.format(seed=report.seed)}", flush=True)
            if len(broken) >= 20:
                break
    took = time.monotonic() - began
    print(f"{'fault':22} {'times':>8}  what")
    for kind, words in KINDS.items():
        print(f"{kind:22} {faults[kind]:8}  {words}")
    total = sum(faults.values())
    print("sales by display mode:", ", ".join(f"{mode}: {sales[mode]}" for mode in (0, 1, 2)))
    kinds = sum(1 for kind in KINDS if faults[kind])
    print(
        verdict(
            f"{played} seeds from {base}, {events} events, {total} faults of {kinds} kinds, {took:.1f} s, "
            f"{played / took:.1f} seeds/s, {total / took:.0f} faults/s",
            broken,
        )
    )
    return int(bool(broken))
