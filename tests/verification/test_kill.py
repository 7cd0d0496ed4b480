"""`kill -9` on the real process at chosen points and at random moments; recovery keeps every invariant."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.verification.kill.rounds import SCENARIOS, Scenario, play

# Of some 50 points of each scenario every seventeenth, from another start in each; `make kill` takes all of them.
_STEP = 17
POINTS = [(scenario, point) for n, scenario in enumerate(SCENARIOS) for point in range(1 + 5 * n % _STEP, 58, _STEP)]


@pytest.mark.parametrize(("scenario", "point"), POINTS, ids=lambda value: getattr(value, "name", None))
def test_a_kill_at_a_point(tmp_path: Path, scenario: Scenario, point: int) -> None:
    result = play(tmp_path / "round", scenario, kill_at=point)
    print(result.line())
    assert result.problem is None, result.line()


@pytest.mark.parametrize("seed", range(10))
def test_kills_at_random_moments(tmp_path: Path, seed: int) -> None:
    result = play(tmp_path / "round", SCENARIOS[seed % len(SCENARIOS)], rng=random.Random(seed))
    print(result.line())
    assert result.problem is None, result.line()


@pytest.mark.parametrize(
    ("fault", "scenario", "points", "found"),
    [
        ("a restart forgets the create that was under way", SCENARIOS[0], range(8, 14), "the journal says unpaid"),
        ("PAID is reported before it is on disk", SCENARIOS[0], range(40, 46), "paid was reported"),
        (
            "an unanswered cancellation is sent again",
            Scenario("", "leaves + cut-after on=cancel first=1", 1),
            range(1),
            "cancellations",
        ),
        (
            "a cancellation without an answer is taken for one that did nothing",
            next(scenario for scenario in SCENARIOS if scenario.pays_meanwhile),
            range(1),
            "the bank says Refunded",
        ),
    ],
)
def test_a_seeded_fault_is_caught(tmp_path: Path, fault: str, scenario: Scenario, points: range, found: str) -> None:
    """The engine can fail: at one of the points at least."""
    problems = []
    for point in points:
        problems.append(play(tmp_path / str(point), scenario, kill_at=point, fault=fault).problem)
        if problems[-1] is not None and found in problems[-1]:
            return
    pytest.fail(f"not caught: {problems}")
