"""`kill -9` on the real process at chosen points and at random moments; recovery keeps every invariant."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.verification.kill.rounds import STORIES, Story, play

# Of some 50 points of each story every seventeenth, another one in each story; `make kill` takes all of them.
_STEP = 17
POINTS = [(story, point) for n, story in enumerate(STORIES) for point in range(1 + 5 * n % _STEP, 58, _STEP)]


@pytest.mark.parametrize(("story", "point"), POINTS, ids=lambda value: getattr(value, "name", None))
def test_a_kill_at_a_point(tmp_path: Path, story: Story, point: int) -> None:
    result = play(tmp_path / "round", story, kill_at=point)
    print(result.line())
    assert result.problem is None, result.line()


@pytest.mark.parametrize("seed", range(10))
def test_kills_at_random_moments(tmp_path: Path, seed: int) -> None:
    result = play(tmp_path / "round", STORIES[seed % len(STORIES)], rng=random.Random(seed))
    print(result.line())
    assert result.problem is None, result.line()


@pytest.mark.parametrize(
    ("mistake", "story", "points", "found"),
    [
        ("a restart forgets the create that was under way", STORIES[0], range(8, 14), "the journal says unpaid"),
        ("PAID is told before it is on disk", STORIES[0], range(40, 46), "paid was told"),
        (
            "an unanswered cancellation is sent again",
            Story("", "leaves + cut-after on=cancel first=1", 1),
            range(1),
            "cancellations",
        ),
    ],
)
def test_a_planted_mistake_is_caught(tmp_path: Path, mistake: str, story: Story, points: range, found: str) -> None:
    """The judge can fail: at one of the points at least."""
    problems = []
    for point in points:
        problems.append(play(tmp_path / str(point), story, kill_at=point, mistake=mistake).problem)
        if problems[-1] is not None and found in problems[-1]:
            return
    pytest.fail(f"nobody noticed: {problems}")
