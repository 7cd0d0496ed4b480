"""How a measurement of one device moves over many runs."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from enum import Enum

from sco_hwtest import robust
from sco_hwtest.comparison import THRESHOLD
from sco_hwtest.history import Series
from sco_hwtest.measurements import MEASUREMENTS

MIN_RUNS = 5
"""The test of Mann and Kendall says nothing about fewer."""
_CHANCE = 0.05


class Direction(Enum):
    """Which way a series moves."""

    WORSE = "getting worse"
    BETTER = "getting better"
    STEADY = "steady"
    UNKNOWN = "too few runs"


@dataclass(frozen=True, slots=True)
class Trend:
    """What a series does.

    Attributes:
        direction: of the whole series; WORSE and BETTER only if chance is an unlikely reason and it matters.
        change: from the first run to the last one along the median slope, as a share of the median; 0 if unknown.
    """

    direction: Direction
    change: float = 0.0


def trend_of(series: Series) -> Trend:
    """The trend: Theil and Sen's slope, believed if the test of Mann and Kendall finds an order (5 % chance).

    A change that is smaller than a quarter of the median, or than the measurement's step, counts as steady.
    """
    values = [point.value for point in series.points]
    times = [point.started for point in series.points]
    if len(values) < MIN_RUNS:
        return Trend(Direction.UNKNOWN)
    moved = robust.slope(times, values) * (times[-1] - times[0])
    base = abs(statistics.median(values))
    change = moved / base if base else 0.0
    measurement = MEASUREMENTS.get((series.kind, series.measurement))
    step = 0.0 if measurement is None else measurement.step
    if not moved or abs(moved) < max(THRESHOLD * base, step) or robust.trend_test(values) > _CHANCE:
        return Trend(Direction.STEADY, change)
    worse = moved > 0 if measurement is None else measurement.worsens(moved)
    return Trend(Direction.WORSE if worse else Direction.BETTER, change)
