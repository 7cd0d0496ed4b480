"""The pictures of the scenes: a few shapes each, in fractions of a unit square."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sco_drivers.screen import Drawing, palette
from sco_drivers.screen.palette import Pair

if TYPE_CHECKING:
    from PIL.Image import Image

Point = tuple[float, float]


class Pen:
    """One layer: white shapes on a mask that is drawn `fine` times larger, in fractions of the square."""

    def __init__(self, side: int, fine: int) -> None:
        from PIL import Image, ImageDraw

        self._big = side * fine
        self._fine = fine
        self._mask = Image.new("L", (self._big, self._big), 0)
        self._draw = ImageDraw.Draw(self._mask)

    def _px(self, *values: float) -> list[float]:
        return [value * self._big for value in values]

    def disc(self, x: float, y: float, radius: float, fill: int = 255) -> None:
        self._draw.ellipse(self._px(x - radius, y - radius, x + radius, y + radius), fill=fill)

    def box(self, x: float, y: float, width: float, height: float, radius: float = 0.0, fill: int = 255) -> None:
        self._draw.rounded_rectangle(self._px(x, y, x + width, y + height), radius * self._big, fill=fill)

    def line(self, points: list[Point], thick: float, fill: int = 255) -> None:
        """A polyline with round ends and corners."""
        flat = [(x * self._big, y * self._big) for x, y in points]
        self._draw.line(flat, fill=fill, width=round(thick * self._big))
        for x, y in points:
            self.disc(x, y, thick / 2, fill)

    def arc(self, x: float, y: float, radius: float, start: float, end: float, thick: float) -> None:
        """Degrees run clockwise from three o'clock."""
        outer = radius + thick / 2
        self._draw.arc(
            self._px(x - outer, y - outer, x + outer, y + outer), start, end, fill=255, width=round(thick * self._big)
        )

    def pie(self, x: float, y: float, radius: float, start: float, end: float) -> None:
        self._draw.pieslice(self._px(x - radius, y - radius, x + radius, y + radius), start, end, fill=255)

    def polygon(self, points: list[Point], fill: int = 255) -> None:
        self._draw.polygon([(x * self._big, y * self._big) for x, y in points], fill=fill)

    def lay_on(self, image: Image, pair: Pair) -> None:
        """Draw this layer onto `image` in the pair's shades; `image` is unchanged elsewhere."""
        mask = self._mask.reduce(self._fine)
        image.paste(mask.point(palette.shades(pair)), (0, 0), mask.point([0] + [255] * 255))


def draw(drawing: Drawing, side: int) -> Image:
    """`drawing` on the page's ground, `side` px square; drawn larger and reduced for smooth edges."""
    from PIL import Image

    image = Image.new("L", (side, side), Pair.PAGE_INK.ground)
    fine = 4 if side <= 320 else 3 if side <= 480 else 2  # a layer needs (side x fine) squared bytes

    def pen() -> Pen:
        return Pen(side, fine)

    match drawing:
        case Drawing.TICK:
            ground, sign = pen(), pen()
            ground.disc(0.5, 0.5, 0.5)
            sign.line([(0.28, 0.52), (0.44, 0.67), (0.73, 0.36)], 0.085)
            ground.lay_on(image, Pair.PAGE_GREEN)
            sign.lay_on(image, Pair.GREEN_WHITE)
        case Drawing.CROSS:
            ground, sign = pen(), pen()
            ground.disc(0.5, 0.5, 0.5)
            sign.line([(0.34, 0.34), (0.66, 0.66)], 0.085)
            sign.line([(0.66, 0.34), (0.34, 0.66)], 0.085)
            ground.lay_on(image, Pair.PAGE_RED)
            sign.lay_on(image, Pair.RED_WHITE)
        case Drawing.ATTENDANT:
            ground, sign = pen(), pen()
            ground.disc(0.5, 0.5, 0.5)
            sign.disc(0.5, 0.36, 0.135)
            sign.pie(0.5, 0.775, 0.235, 180, 360)
            ground.lay_on(image, Pair.PAGE_AMBER)
            sign.lay_on(image, Pair.AMBER_WHITE)
        case Drawing.WRENCH:
            _wrench(pen, image)
        case Drawing.TAP_OR_SCAN:
            _tap_or_scan(pen, image)
        case Drawing.TICKET:
            _ticket(pen, image)
        case Drawing.NONE | Drawing.SPINNER:
            pass
    return image


def _wrench(pen: Callable[[], Pen], image: Image) -> None:
    ground, sign = pen(), pen()
    ground.disc(0.5, 0.5, 0.5)
    sign.line([(0.32, 0.68), (0.57, 0.43)], 0.115)
    sign.disc(0.62, 0.38, 0.155)
    sign.polygon([(0.595, 0.405), (0.705, 0.145), (0.855, 0.295)], fill=0)  # the jaw
    sign.disc(0.61, 0.39, 0.052, fill=0)
    sign.disc(0.32, 0.68, 0.03, fill=0)
    ground.lay_on(image, Pair.PAGE_LINE)
    sign.lay_on(image, Pair.LINE_WHITE)


def _tap_or_scan(pen: Callable[[], Pen], image: Image) -> None:
    """A phone held to a plate: waves between them, and a code on the plate. One layer at a time, to save memory."""
    layer = pen()
    for radius in (0.10, 0.18, 0.26):
        layer.arc(0.37, 0.5, radius, -38, 38, 0.036)
    layer.lay_on(image, Pair.PAGE_BLUE)
    _phone(pen, image)
    for box, radius, pair in (
        ((0.66, 0.24, 0.34, 0.52), 0.05, Pair.PAGE_BLUE),  # the plate
        ((0.685, 0.265, 0.29, 0.47), 0.03, Pair.BLUE_WHITE),
    ):
        layer = pen()
        layer.box(*box, radius)
        layer.lay_on(image, pair)
    _code(pen, image, 0.715, 0.355, 0.24)


def _ticket(pen: Callable[[], Pen], image: Image) -> None:
    """A phone before a printed ticket: a torn end, lines of text, a code."""
    _phone(pen, image)
    layer = pen()
    layer.box(0.50, 0.06, 0.50, 0.07, 0.035)  # the printer's slot
    layer.lay_on(image, Pair.PAGE_LINE)
    teeth = 8
    left, right, top, end = 0.56, 0.94, 0.10, 0.90
    step = (right - left) / teeth
    torn = [(right - step * (n + 0.5), end + 0.03) for n in range(teeth)]
    valleys = [(right - step * n, end) for n in range(teeth + 1)]
    edge = [point for pair in zip(valleys, [*torn, torn[-1]], strict=True) for point in pair][:-1]
    layer = pen()
    layer.polygon([(left, top), (right, top), *edge])
    layer.lay_on(image, Pair.PAGE_LINE)
    inset = 0.014
    layer = pen()
    layer.polygon(
        [
            (left + inset, top),
            (right - inset, top),
            *((min(max(x, left + inset), right - inset), y - 1.6 * inset) for x, y in edge),
        ]
    )
    layer.lay_on(image, Pair.LINE_WHITE)
    layer = pen()
    for y, share in ((0.20, 0.7), (0.26, 0.5), (0.72, 0.7), (0.78, 0.6)):
        middle, half = (left + right) / 2, (right - left) / 2 * share
        layer.line([(middle - half, y), (middle + half, y)], 0.024)
    layer.lay_on(image, Pair.WHITE_INK)
    _code(pen, image, 0.615, 0.345, 0.27)


def _phone(pen: Callable[[], Pen], image: Image) -> None:
    """A phone whose camera looks for a code: it shows the corners of a viewfinder."""
    for box, radius, pair in (
        ((0.03, 0.10, 0.36, 0.80), 0.065, Pair.PAGE_INK),
        ((0.065, 0.165, 0.29, 0.67), 0.02, Pair.PAGE_WHITE),
    ):
        layer = pen()
        layer.box(*box, radius)
        layer.lay_on(image, pair)
    layer = pen()
    for x, across in ((0.125, 0.055), (0.295, -0.055)):
        for y, down in ((0.415, 0.055), (0.585, -0.055)):
            layer.line([(x + across, y), (x, y), (x, y + down)], 0.03)
    layer.lay_on(image, Pair.WHITE_BLUE)


def _code(pen: Callable[[], Pen], image: Image, left: float, top: float, side: float) -> None:
    """Three finder patterns and a few modules: people recognise a code, phones do not read it."""
    layer = pen()

    def box(x: float, y: float, size: float, radius: float = 0.0, fill: int = 255) -> None:
        layer.box(left + x * side, top + y * side, size * side, size * side, radius * side, fill)

    for x, y in ((0.0, 0.0), (0.583, 0.0), (0.0, 0.792)):
        box(x, y, 0.417, 0.033)
        box(x + 0.092, y + 0.092, 0.233, fill=0)
        box(x + 0.15, y + 0.15, 0.117)
    for x, y in (
        (0.604, 0.813),
        (0.833, 0.813),
        (0.717, 0.946),
        (0.604, 1.083),
        (0.875, 1.083),
        (0.479, 0.604),
        (0.271, 0.563),
    ):
        box(x, y, 0.117)
    layer.lay_on(image, Pair.WHITE_INK)
