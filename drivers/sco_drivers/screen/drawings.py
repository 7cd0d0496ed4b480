"""The pictures of the scenes: a few shapes each, in fractions of a unit square."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sco_drivers.screen import Drawing, palette
from sco_drivers.screen.palette import Pair

if TYPE_CHECKING:
    from PIL.Image import Image

Point = tuple[float, float]


class Pen:
    """One layer: white shapes on a mask drawn `fine` times too large, given in fractions of the square."""

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
        """A broken line with round ends and corners."""
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
        """Where this layer covers, `image` takes the pair's shades; elsewhere it keeps what it has."""
        mask = self._mask.reduce(self._fine)
        image.paste(mask.point(palette.shades(pair)), (0, 0), mask.point([0] + [255] * 255))


def draw(drawing: Drawing, side: int, fine: int) -> Image:
    """`drawing` on the page's ground, `side` px square, drawn `fine` times larger and reduced."""
    from PIL import Image

    image = Image.new("L", (side, side), Pair.PAGE_INK.ground)

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
            _wrench(pen(), image)
        case Drawing.TAP_OR_SCAN:
            _tap_or_scan(side, fine, image)
        case Drawing.NONE | Drawing.SPINNER:
            pass
    return image


def _wrench(pen: Pen, image: Image) -> None:
    pen.line([(0.26, 0.74), (0.62, 0.38)], 0.17)
    pen.disc(0.68, 0.32, 0.225)
    pen.polygon([(0.64, 0.36), (0.80, -0.02), (1.02, 0.20)], fill=0)  # the jaw
    pen.disc(0.665, 0.335, 0.075, fill=0)
    pen.disc(0.26, 0.74, 0.045, fill=0)
    pen.lay_on(image, Pair.PAGE_MUTED)


def _tap_or_scan(side: int, fine: int, image: Image) -> None:
    """A phone held to a plate: waves between them, and a code on the plate."""
    body, glass, tick, waves, plate, face, code = (Pen(side, fine) for _ in range(7))
    body.box(0.03, 0.10, 0.36, 0.80, 0.065)
    glass.box(0.065, 0.165, 0.29, 0.67, 0.02)
    tick.line([(0.14, 0.51), (0.19, 0.56), (0.29, 0.45)], 0.035)
    for radius in (0.10, 0.18, 0.26):
        waves.arc(0.37, 0.5, radius, -38, 38, 0.036)
    plate.box(0.66, 0.24, 0.34, 0.52, 0.05)
    face.box(0.685, 0.265, 0.29, 0.47, 0.03)
    # Three finder patterns and a few modules: read by people as "a code", and by no phone.
    for x, y in ((0.715, 0.355), (0.855, 0.355), (0.715, 0.545)):
        code.box(x, y, 0.10, 0.10, 0.008)
        code.box(x + 0.022, y + 0.022, 0.056, 0.056, fill=0)
        code.box(x + 0.036, y + 0.036, 0.028, 0.028)
    for x, y in (
        (0.86, 0.55),
        (0.915, 0.55),
        (0.887, 0.582),
        (0.86, 0.615),
        (0.925, 0.615),
        (0.83, 0.50),
        (0.78, 0.49),
    ):
        code.box(x, y, 0.028, 0.028)
    waves.lay_on(image, Pair.PAGE_BLUE)
    body.lay_on(image, Pair.PAGE_INK)
    glass.lay_on(image, Pair.PAGE_WHITE)
    tick.lay_on(image, Pair.WHITE_BLUE)
    plate.lay_on(image, Pair.PAGE_BLUE)
    face.lay_on(image, Pair.BLUE_WHITE)
    code.lay_on(image, Pair.WHITE_INK)
