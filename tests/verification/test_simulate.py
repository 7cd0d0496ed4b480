"""The real lane under seeds: the invariants hold, a seed is the same everywhere, seeded faults are caught."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.verification.seeded import SeededFault, current, seeded
from tests.verification.simulate.faults import KINDS, Focus
from tests.verification.simulate.report import RERUN
from tests.verification.simulate.run import run_seed
from tests.verification.simulate.seeded_faults import FAULTS

CHUNKS, SEEDS = 40, 50
BASE = 1_000_000
"""Far from the seeds that `make simulate` begins with."""
MAX_SEEDS = 400
"""Within so many seeds each seeded fault must be caught."""


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.requirement("R16", "R18")
def test_the_invariants_hold(chunk: int, record_property: pytest.RecordProperty) -> None:
    faults: Counter[str] = Counter()
    events = sales = 0
    for seed in range(BASE + chunk * SEEDS, BASE + (chunk + 1) * SEEDS):
        run = run_seed(seed)
        assert run.broken is None, "\n".join([*run.trace, run.broken, f"again: {RERUN.format(seed=seed)}"])
        faults.update(run.faults)
        events += run.events
        sales += run.sales
    record_property("faults", dict(faults))
    print(f"{SEEDS} seeds, {events} events, {sum(faults.values())} faults of {len(faults)} kinds: {dict(faults)}")
    assert len(faults) > len(KINDS) / 4, "the faults have become too rare"
    # 20 to 49 sales were counted in the 40 chunks; some draw many runs of hard faults.
    assert sales > SEEDS / 5, "a lane that sells nothing breaks no other invariant"


EVIDENCE = {0: "ticket printed", 1: "presented: on the screen", 2: "on the tag, read back"}


@pytest.mark.parametrize("mode", EVIDENCE)
@pytest.mark.requirement("R1")
def test_each_mode_sells_by_its_own_device(mode: int) -> None:
    """A device that never works breaks no invariant: the lane goes on without it."""
    runs = [run_seed(seed, Focus(mode)) for seed in range(BASE, BASE + 2 * SEEDS)]
    presented = sum(EVIDENCE[mode] in line for run in runs for line in run.trace)
    print(f"mode {mode}: {presented} presented, {sum(run.sales for run in runs)} sales in {len(runs)} runs")
    assert presented > SEEDS / 5
    assert sum(run.sales for run in runs) > SEEDS / 5


@pytest.mark.parametrize(
    "focus",
    [
        Focus(rates={"bank link late": 1.0}),
        Focus(2, {"bank refuses keys": 1.0, "cut after": 0.3}),
        Focus(rates={"bank stays open": 1.0, "bank refunds": 1.0}),
    ],
    ids=lambda focus: ", ".join(focus.rates),
)
def test_a_lane_sells_whatever_its_bank_is_like(focus: Focus) -> None:
    """A bank that is never paid breaks no invariant either."""
    runs = [run_seed(seed, focus) for seed in range(BASE, BASE + SEEDS // 2)]
    assert [run.broken for run in runs if run.broken is not None] == []
    sales = sum(run.sales for run in runs)
    print(f"{sales} sales in {len(runs)} runs")
    assert sales > SEEDS / 10


_HASHES = """
from tests.verification.simulate.run import run_seed
print([run_seed(seed).trace_hash for seed in range(1, 13)])
"""


def test_a_seed_is_the_same_in_every_process() -> None:
    seen = {
        subprocess.run(
            [sys.executable, "-c", _HASHES],
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONHASHSEED": salt},
            capture_output=True,
            text=True,
            check=True,
            timeout=110,
        ).stdout
        for salt in ("0", "4711")
    }
    assert len(seen) == 1


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_caught(fault: SeededFault) -> None:
    with seeded(fault):
        for seed in range(1, MAX_SEEDS):
            report = run_seed(seed, fault.where or Focus())
            if report.broken is not None:
                break
    assert report.broken is not None, f"not caught in {MAX_SEEDS} seeds: {fault.name}"
    print(f"seed {seed}: {report.broken}")
    assert report.invariant in fault.breaks, "\n".join(report.trace)


def test_a_seeded_fault_is_removed_again() -> None:
    for fault in FAULTS:
        original = current(fault)
        with seeded(fault):
            assert all(new is not old for new, old in zip(current(fault), original, strict=True))
        assert current(fault) == original
