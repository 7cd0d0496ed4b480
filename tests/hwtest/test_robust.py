"""The statistics, against published tables and against themselves."""

from __future__ import annotations

import itertools
import random

import pytest

from sco_hwtest import robust


@pytest.mark.parametrize(
    ("m", "n", "u", "chance"),
    [  # one-sided critical values of U at 1 %: Mann and Whitney's tables
        (5, 5, 1, 0.01),
        (8, 8, 9, 0.01),
        (10, 10, 19, 0.01),
        (20, 20, 114, 0.01),
    ],
)
def test_the_rank_test_agrees_with_the_published_tables(m: int, n: int, u: int, chance: float) -> None:
    counts = [robust._orders(value, m, n) for value in range(m * n + 1)]
    share = [total / sum(counts) for total in itertools.accumulate(counts)]
    assert share[u] <= chance < share[u + 1]


def test_the_rank_test_counts_every_order() -> None:
    values = range(7)
    before = (0, 1, 3)
    after = [value for value in values if value not in before]
    above = sum(a < b for a in before for b in after)
    orders = [
        sum(a < b for a in first for b in values if b not in first) for first in itertools.combinations(values, 3)
    ]
    assert robust.rank_test(before, after) == sum(one >= above for one in orders) / len(orders)


def test_equal_values_prove_nothing() -> None:
    assert robust.rank_test([1, 1, 1, 1, 1], [1, 1, 1, 1, 1]) == 1.0
    assert robust.rank_test([1, 1, 2, 2, 3], [1, 1, 2, 2, 3]) > 0.4
    assert robust.rank_test([1, 1, 2, 2, 2], [3, 3, 4, 4, 4]) < 0.01


def test_the_approximation_agrees_with_the_count() -> None:
    values = random.Random(7)
    before = [values.random() for _ in range(12)]
    after = [values.random() + 0.3 for _ in range(12)]
    exact = robust.rank_test(before, after)
    before.append(before[0])  # a tie
    assert robust.rank_test(before, after) == pytest.approx(exact, abs=0.02)


def test_an_outlier_moves_neither_shift_nor_slope() -> None:
    assert robust.shift([1, 2, 3], [11, 12, 13]) == 10
    assert robust.shift([1, 2, 3, 2, 1e6], [11, 12, 13, 12, 11]) == pytest.approx(10, abs=1)
    assert robust.slope([0, 1, 2, 3, 4], [0, 2, 1e6, 6, 8]) == pytest.approx(2)
    assert robust.slope([5, 5], [1, 2]) == 0


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([1, 2, 3, 4, 5, 6, 7], 0.0, 0.01), ([7, 6, 5, 4, 3, 2, 1], 0.0, 0.01), ([1, 5, 2, 4, 3], 0.5, 1.0)],
)
def test_a_trend_is_an_order(values: list[float], low: float, high: float) -> None:
    assert low <= robust.trend_test(values) <= high


def test_a_constant_series_has_no_trend() -> None:
    assert robust.trend_test([3, 3, 3, 3, 3]) == 1.0
