"""How a touch panel sits on its glass, found out by five taps of a person: the URL's parameters for `open_touch`.

The panel's raw places are fitted to those of five crosses by least squares; what is a plain turn, mirror or identity is
said in those words, anything else as libinput's six numbers.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from sco_drivers import open_touch
from sco_drivers.errors import TouchError
from sco_drivers.screen.renderer import DrawnScreen
from sco_drivers.touch import Tap
from sco_drivers.urls import DeviceUrl

Point = tuple[float, float]

CROSSES: tuple[Point, ...] = ((0.1, 0.1), (0.9, 0.1), (0.9, 0.9), (0.1, 0.9), (0.5, 0.5))
"""Where a person sees them, in shares of the glass."""

WAIT_S = 60.0
_FINE = 10_000
_KEPT = ("range", "debounce_ms", "grab")
_PLAIN = 0.05
"""A panel that is off by no more than this share of the glass is as good as plain: a finger is no finer."""

_LOOSE = 0.04
"""Taps that miss their own fit by more were not on the crosses."""


@dataclass(frozen=True, slots=True)
class Fit:
    """What was found.

    Attributes:
        url: of the panel, with the parameters that put taps where a person makes them.
        off: the largest distance between a cross and its tap by that URL, in shares of the glass.
    """

    url: str
    off: float


def calibrate(screen: DrawnScreen, touch_url: str, tell: Callable[[str], None], *, wait_s: float = WAIT_S) -> Fit:
    """Show five crosses on `screen` and hear a tap on each from the panel at `touch_url`.

    Args:
        screen: open.
        touch_url: of its panel; only `range`, `debounce_ms` and `grab` are taken from the query.
        tell: is given what to do next, in words.
        wait_s: how long to wait for each tap.

    Raises:
        DeviceError: the panel cannot be opened or leaves. TouchError: no tap came, or the taps fit no panel.
    """
    given = DeviceUrl.parse(touch_url)
    kept = {name: given.params[name] for name in _KEPT if name in given.params}
    base = touch_url.partition("?")[0]
    heard: queue.Queue[Tap | Exception] = queue.Queue()
    taps: list[Point] = []
    with open_touch(_url(base, kept)) as touch:
        touch.start((_FINE, _FINE), heard.put, heard.put)
        for number, (u, v) in enumerate(CROSSES, 1):
            screen.mark(round(u * screen.size[0]), round(v * screen.size[1]))
            tell(f"tap the middle of the cross, {number} of {len(CROSSES)}")
            taps.append(_next(heard, touch_url, wait_s))
    turned = [_to_device(cross, screen.rotation) for cross in CROSSES]
    return _fit(base, kept, screen.rotation, taps, turned)


def _next(heard: queue.Queue[Tap | Exception], url: str, wait_s: float) -> Point:
    while True:
        try:
            tap = heard.get(timeout=wait_s)
        except queue.Empty:
            raise TouchError(
                f"no tap came in {wait_s:.0f} s", url=url, hint="is it this panel? see sco-hwtest discover"
            ) from None
        if isinstance(tap, Exception):
            raise tap
        if tap.y >= 0:  # a keyboard has no place
            return (tap.x + 0.5) / _FINE, (tap.y + 0.5) / _FINE


def _to_device(point: Point, rotation: int) -> Point:
    """Where on the unturned display a person's point lies, when the picture is turned clockwise."""
    u, v = point
    return {0: (u, v), 90: (1 - v, u), 180: (1 - u, 1 - v), 270: (v, 1 - u)}[rotation]


def _fit(base: str, kept: dict[str, str], rotation: int, taps: Sequence[Point], turned: Sequence[Point]) -> Fit:
    rows = [_least_squares(taps, [point[axis] for point in turned]) for axis in (0, 1)]
    off = _off(rows, taps, turned)
    if off > _LOOSE:
        raise TouchError(
            f"the taps fit no panel: one is {off:.0%} of the glass beside its cross",
            url=base,
            hint="tap the middle of each cross, with one finger, and again from the start",
        )
    turn = {"rotate": str(rotation)} if rotation else {}
    for words, plain in _plain_ways():
        if _off(plain, taps, turned) <= _PLAIN:
            return Fit(_url(base, kept | turn | words), _off(plain, taps, turned))
    numbers = ",".join(f"{number:.4f}" for row in rows for number in row)
    return Fit(_url(base, kept | turn | {"calibration": numbers}), off)


def _url(base: str, query: dict[str, str]) -> str:
    return base + (f"?{urlencode(query, safe=',')}" if query else "")


def _plain_ways() -> list[tuple[dict[str, str], list[list[float]]]]:
    """The eight ways to glue a panel on, as parameters and as matrices; the plainest first."""
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


def _off(rows: Sequence[Sequence[float]], taps: Sequence[Point], turned: Sequence[Point]) -> float:
    """How far the farthest tap is from its cross."""
    return max(
        abs(row[0] * tap[0] + row[1] * tap[1] + row[2] - cross[axis])
        for tap, cross in zip(taps, turned, strict=True)
        for axis, row in enumerate(rows)
    )


def _least_squares(points: Sequence[Point], values: Sequence[float]) -> list[float]:
    """a, b, c that make a x + b y + c nearest to `values`; zeros where the points lie on one line."""
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
