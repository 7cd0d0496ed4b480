"""Calibrate a touch panel to its screen by five taps: find the parameters of its URL for `open_touch`.

The panel's raw positions are fitted to those of five crosses by least squares. If the fit is a rotation, a mirror image
or the identity, the parameters say so; anything else is given as libinput's calibration matrix of six numbers.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

from sco_drivers import open_touch
from sco_drivers.errors import TouchError
from sco_drivers.screen.renderer import DrawnScreen
from sco_drivers.touch import Tap
from sco_drivers.touch.calibration import MOUNTING

Point = tuple[float, float]

CROSSES: tuple[Point, ...] = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.5, 0.5))
"""Their positions as the operator sees them, as fractions of the screen."""

WAIT_S = 60.0
_FINE = 10_000
_PLAIN = 0.05
"""The largest error, as a fraction of the screen, that needs no matrix: a finger is not more precise."""

_LOOSE = 0.04
"""If the taps miss their own fit by more, they were not on the crosses."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The result of a calibration.

    Attributes:
        url: of the panel, with the parameters found.
        error: the largest distance between a cross and its tap with that URL, as a fraction of the screen.
    """

    url: str
    error: float


def calibrate(screen: DrawnScreen, touch_url: str, prompt: Callable[[str], None], *, wait_s: float = WAIT_S) -> Fit:
    """Show five crosses on `screen` and wait for a tap on each from the panel at `touch_url`.

    Args:
        screen: open.
        touch_url: of its panel; the query's parameters of its mounting are measured, all others are kept.
        prompt: called with what the operator is to do next.
        wait_s: how long to wait for each tap, in s.

    Raises:
        DeviceError: the panel cannot be opened, or is unplugged. TouchError: no tap came, or the taps do not fit.
    """
    base, _, query = touch_url.partition("?")
    kept = {name: value for name, value in parse_qsl(query, keep_blank_values=True) if name not in MOUNTING}
    taps_in: queue.Queue[Tap | Exception] = queue.Queue()
    taps: list[Point] = []
    with open_touch(_url(base, kept)) as touch:
        touch.start((_FINE, _FINE), taps_in.put, taps_in.put)
        for number, (u, v) in enumerate(CROSSES, 1):
            screen.mark(round(u * screen.size[0]), round(v * screen.size[1]))
            prompt(f"tap the middle of the cross, {number} of {len(CROSSES)}")
            taps.append(_next(taps_in, touch_url, wait_s))
    turned = [_to_device(cross, screen.rotation) for cross in CROSSES]
    return _fit(base, kept, screen.rotation, taps, turned)


def _next(taps_in: queue.Queue[Tap | Exception], url: str, wait_s: float) -> Point:
    while True:
        try:
            tap = taps_in.get(timeout=wait_s)
        except queue.Empty:
            raise TouchError(
                f"no tap came in {wait_s:.0f} s", url=url, hint="is it this panel? see sco-hwtest discover"
            ) from None
        if isinstance(tap, Exception):
            raise tap
        if tap.y >= 0:  # a key has no position
            return (tap.x + 0.5) / _FINE, (tap.y + 0.5) / _FINE


def _to_device(point: Point, rotation: int) -> Point:
    """A point as the operator sees it -> the same point on the display without the clockwise rotation."""
    u, v = point
    return {0: (u, v), 90: (1 - v, u), 180: (1 - u, 1 - v), 270: (v, 1 - u)}[rotation]


def _fit(base: str, kept: dict[str, str], rotation: int, taps: Sequence[Point], turned: Sequence[Point]) -> Fit:
    rows = [_least_squares(taps, [point[axis] for point in turned]) for axis in (0, 1)]
    error = _error(rows, taps, turned)
    if error > _LOOSE:
        raise TouchError(
            f"the taps do not fit: one is {error:.0%} of the screen away from its cross",
            url=base,
            hint="start again, and tap the middle of each cross with one finger",
        )
    turn = {"rotate": str(rotation)} if rotation else {}
    for words, plain in _plain_ways():
        if _error(plain, taps, turned) <= _PLAIN:
            return Fit(_url(base, kept | turn | words), _error(plain, taps, turned))
    numbers = ",".join(f"{number:.4f}" for row in rows for number in row)
    return Fit(_url(base, kept | turn | {"calibration": numbers}), error)


def _url(base: str, query: dict[str, str]) -> str:
    return base + (f"?{urlencode(query, safe=',')}" if query else "")


def _plain_ways() -> list[tuple[dict[str, str], list[list[float]]]]:
    """The eight ways to mount a panel, as parameters and as matrices; the simplest first."""
    ways = []
    for swap in (False, True):
        for flip_x in (False, True):
            for flip_y in (False, True):
                words = {"swap_xy": swap, "flip_x": flip_x, "flip_y": flip_y}
                rows = []
                for axis, flip in ((0, flip_x), (1, flip_y)):
                    row = [0.0, 0.0, 1.0 if flip else 0.0]
                    row[1 - axis if swap else axis] = -1.0 if flip else 1.0
                    rows.append(row)
                ways.append(({name: "1" for name, set_ in words.items() if set_}, rows))
    return sorted(ways, key=lambda way: len(way[0]))


def _error(rows: Sequence[Sequence[float]], taps: Sequence[Point], turned: Sequence[Point]) -> float:
    """The largest distance of a tap from its cross."""
    return max(
        abs(row[0] * tap[0] + row[1] * tap[1] + row[2] - cross[axis])
        for tap, cross in zip(taps, turned, strict=True)
        for axis, row in enumerate(rows)
    )


def _least_squares(points: Sequence[Point], values: Sequence[float]) -> list[float]:
    """a, b, c with a x + b y + c nearest to `values`; zeros if the points are on one line."""
    columns = [[x for x, _ in points], [y for _, y in points], [1.0] * len(points)]
    matrix = [
        [sum(p * q for p, q in zip(one, other, strict=True)) for other in columns]
        + [sum(p * q for p, q in zip(one, values, strict=True))]
        for one in columns
    ]
    for at in range(3):
        pivot = max(range(at, 3), key=lambda row: abs(matrix[row][at]))
        if abs(matrix[pivot][at]) < 1e-9:
            return [0.0, 0.0, 0.0]
        matrix[at], matrix[pivot] = matrix[pivot], matrix[at]
        for row in range(3):
            if row != at:
                factor = matrix[row][at] / matrix[at][at]
                matrix[row] = [p - factor * q for p, q in zip(matrix[row], matrix[at], strict=True)]
    return [matrix[at][3] / matrix[at][at] for at in range(3)]
