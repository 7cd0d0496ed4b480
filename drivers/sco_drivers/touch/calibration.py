"""A panel's raw coordinates -> px of the screen in the viewer's orientation. Pure arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

from sco_drivers.touch.contact import DEBOUNCE_S
from sco_drivers.urls import DeviceUrl

MOUNTING = ("rotate", "calibration", "swap_xy", "flip_x", "flip_y")
"""Query parameters that say how a panel is mounted on its display."""

PARAMETERS = (*MOUNTING, "range", "debounce_ms", "pressure", "median", "skip")
"""Query parameters of every panel."""

Matrix = tuple[float, float, float, float, float, float]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)


@dataclass(frozen=True, slots=True)
class Axis:
    """The range of values that the panel reports."""

    low: int = 0
    high: int = 4095

    def share(self, value: float) -> float:
        """The position of `value` in the range: 0 to 1, and beyond."""
        return (value - self.low) / max(1, self.high - self.low)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How the touch panel is mounted on the display.

    Raw values become shares of their axes; `matrix` (a b c d e f, as libinput's LIBINPUT_CALIBRATION_MATRIX:
    x' = a x + b y + c, y' = d x + e y + f) is applied; then axes are swapped and flipped; last, the picture's rotation
    by `rotate` degrees clockwise is undone, so that the point is in the viewer's orientation.
    """

    x: Axis = Axis()
    y: Axis = Axis()
    rotate: int = 0
    matrix: Matrix = IDENTITY
    swap_xy: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of(cls, url: DeviceUrl, x: Axis, y: Axis) -> Calibration:
        """From the URL, for the axes of the device.

        Raises:
            BadDeviceUrl: a parameter has a wrong value.
        """
        text = url.params.get("calibration")
        matrix = IDENTITY
        if text is not None:
            try:
                values = tuple(float(word) for word in text.replace(",", " ").split())
            except ValueError:
                values = ()
            if len(values) != 6 or not all(abs(value) < 1000 for value in values):
                raise url.wrong("calibration", "is not six numbers", hint="e.g. calibration=1,0,0,0,1,0")
            matrix = values
            if abs(matrix[0] * matrix[4] - matrix[1] * matrix[3]) < 1e-9:
                raise url.wrong("calibration", "maps the panel onto a line")
        flags = {name: url.choice(name, "0", ("0", "1")) == "1" for name in ("swap_xy", "flip_x", "flip_y")}
        rotate = int(url.choice("rotate", "0", ("0", "90", "180", "270")))
        return cls(x, y, rotate, matrix, **flags)

    def to_screen(self, raw_x: float, raw_y: float, size: tuple[int, int]) -> tuple[int, int]:
        """The px at a raw point, on a screen of `size` px in the viewer's orientation; limited to the screen."""
        u, v = self.x.share(raw_x), self.y.share(raw_y)
        a, b, c, d, e, f = self.matrix
        u, v = a * u + b * v + c, d * u + e * v + f
        if self.swap_xy:
            u, v = v, u
        if self.flip_x:
            u = 1 - u
        if self.flip_y:
            v = 1 - v
        if self.rotate == 90:
            u, v = v, 1 - u
        elif self.rotate == 180:
            u, v = 1 - u, 1 - v
        elif self.rotate == 270:
            u, v = 1 - v, u
        wide, high = size
        return min(max(int(u * wide), 0), wide - 1), min(max(int(v * high), 0), high - 1)


def check_parameters(url: DeviceUrl) -> None:
    """Check the query parameters that every panel takes.

    Raises:
        BadDeviceUrl: a parameter has a wrong value.
    """
    Calibration.of(url, *range_of(url, (Axis(), Axis())))
    debounce_of(url)
    min_pressure_of(url)
    filter_of(url)


def filter_of(url: DeviceUrl) -> tuple[int, int]:
    """The URL's `median` (3 by default) and `skip` (0 by default); see `Contact`.

    Raises:
        BadDeviceUrl: not a whole number, or out of range.
    """
    return int(url.choice("median", "3", ("1", "3", "5", "7"))), url.integer("skip", 0, min=0, max=10)


def min_pressure_of(url: DeviceUrl) -> int:
    """The URL's `pressure`: on a panel that reports pressure and no BTN_TOUCH, less counts as lifted; 1 by default.

    Raises:
        BadDeviceUrl: not a whole number, or out of range.
    """
    return url.integer("pressure", 1, min=1, max=65535)


def debounce_of(url: DeviceUrl) -> float:
    """The URL's `debounce_ms`, in s.

    Raises:
        BadDeviceUrl: not a whole number, or out of range.
    """
    return url.integer("debounce_ms", round(DEBOUNCE_S * 1000), min=0, max=2000) / 1000


def range_of(url: DeviceUrl, default: tuple[Axis, Axis]) -> tuple[Axis, Axis]:
    """The URL's `range=XxY`: the highest raw values of both axes, counted from 0; `default` when absent.

    Raises:
        BadDeviceUrl: not two whole numbers separated by `x`.
    """
    text = url.params.get("range")
    if text is None:
        return default
    wide, cross, high = text.partition("x")
    if not (cross and wide.isascii() and wide.isdigit() and high.isascii() and high.isdigit()):
        raise url.wrong("range", "is not MAXxMAX", hint="e.g. range=4095x4095")
    if not (0 < int(wide) < 1 << 31 and 0 < int(high) < 1 << 31):
        raise url.wrong("range", "is out of range")
    return Axis(0, int(wide)), Axis(0, int(high))
