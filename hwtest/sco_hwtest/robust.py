"""Statistics that one outlier does not move: medians and ranks. For few samples, without a library."""

from __future__ import annotations

import functools
import itertools
import math
import statistics
from collections import Counter
from collections.abc import Sequence

_EXACT = 30
"""Up to how many samples a side the rank test counts every order; beyond, the normal approximation is as good."""


def shift(before: Sequence[float], after: Sequence[float]) -> float:
    """By how much `after` differs from `before`: the median of all differences (Hodges and Lehmann, 1963)."""
    return statistics.median(b - a for a, b in itertools.product(before, after))


def rank_test(before: Sequence[float], after: Sequence[float]) -> float:
    """How likely it is that chance alone puts `after` as high above `before`, from 0 to 1.

    The one-sided test of Mann and Whitney (1947): exact, or with the normal approximation where values are equal.
    """
    m, n = len(before), len(after)
    above = sum((a < b) + (a == b) / 2 for a, b in itertools.product(before, after))
    if len(set(before) | set(after)) == m + n and max(m, n) <= _EXACT:
        counts = [_orders(u, m, n) for u in range(m * n + 1)]
        return sum(counts[round(above) :]) / sum(counts)
    size = m + n
    ties = sum(count**3 - count for count in Counter([*before, *after]).values())
    variance = m * n / 12 * (size + 1 - ties / (size * (size - 1)))
    if variance <= 0:
        return 1.0  # every value is the same
    return _normal_tail((above - m * n / 2 - 0.5) / math.sqrt(variance))


@functools.cache
def _orders(u: int, m: int, n: int) -> int:
    """In how many orders of m and n values just u pairs have the second one higher."""
    if u < 0:
        return 0
    if m == 0 or n == 0:
        return int(u == 0)
    return _orders(u - n, m - 1, n) + _orders(u, m, n - 1)


def _normal_tail(z: float) -> float:
    return math.erfc(z / math.sqrt(2)) / 2


def slope(times: Sequence[float], values: Sequence[float]) -> float:
    """The change of a series a unit of time: the median slope between two points (Theil, 1950; Sen, 1968)."""
    points = itertools.combinations(zip(times, values, strict=True), 2)
    slopes = [(later[1] - one[1]) / (later[0] - one[0]) for one, later in points if later[0] != one[0]]
    return statistics.median(slopes) if slopes else 0.0


def trend_test(values: Sequence[float]) -> float:
    """How likely it is that chance alone orders a series so, in either direction, from 0 to 1.

    The test of Mann (1945) and Kendall: it needs five values or more to say anything.
    """
    n = len(values)
    score = sum((b > a) - (b < a) for a, b in itertools.combinations(values, 2))
    ties = sum(count * (count - 1) * (2 * count + 5) for count in Counter(values).values())
    variance = (n * (n - 1) * (2 * n + 5) - ties) / 18
    if variance <= 0 or score == 0:
        return 1.0
    return min(1.0, 2 * _normal_tail((abs(score) - 1) / math.sqrt(variance)))
