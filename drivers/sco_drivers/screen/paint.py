"""A placed scene -> palette images (one byte per pixel, see `palette`). Independent of devices and pixel formats."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import cos, radians, sin
from typing import TYPE_CHECKING

from sco_drivers.qr import QUIET_ZONE, QrMatrix
from sco_drivers.screen import Box, Drawing, Logo, drawings, palette, typography
from sco_drivers.screen.layout import Layout, PlacedButton, PlacedCountdown
from sco_drivers.screen.palette import Pair
from sco_drivers.screen.theme import Rgb

if TYPE_CHECKING:
    from PIL.Image import Image

SPINNER_FRAMES = 20
"""Pictures of one turn of the spinner."""

GROUND = Pair.PAGE_INK.ground
"""The page's colour, as a palette index."""

RING = 0.11
"""Thickness of the spinner's ring, as a share of its width."""

_FINE = 4
"""Shapes are drawn this many times larger and reduced, for smooth edges."""


def pieces(layout: Layout) -> Iterator[tuple[Box, Image]]:
    """All static parts of the page (no countdown digits, no spinner, no code): a palette image for each box."""
    for text in layout.texts:
        pair = Pair.PAGE_MUTED if text.muted else Pair.PAGE_BLUE if text.accent else Pair.PAGE_INK
        height = typography.line_height(text.paragraph.size)
        for number, line in enumerate(text.paragraph.lines):
            image = written(line, text.paragraph.size, text.paragraph.bold, pair)
            x = text.box.x + round((text.box.width - image.width) * text.align)
            yield Box(x, text.box.y + number * height, image.width, image.height), image
    if layout.drawing_box is not None and layout.drawing is not Drawing.SPINNER:
        yield layout.drawing_box, picture(layout.drawing, layout.drawing_box.width)
    for button in layout.buttons:
        yield button.box, _button(button)


@lru_cache(maxsize=32)
def written(text: str, size: int, bold: bool, pair: Pair) -> Image:
    """One line of text in the colours of `pair`; cached, since the same words are shown in every payment."""
    return inked(typography.drawn(text, size, bold), pair)


def inked(mask: Image, pair: Pair) -> Image:
    """A coverage mask in the colours of `pair`."""
    return mask.point(palette.shades(pair))


def paint_countdown(placed: PlacedCountdown, text: str) -> Image:
    """The digits `text` in the countdown's box, right-aligned."""
    from PIL import Image

    image = Image.new("L", (placed.box.width, placed.box.height), Pair.PAGE_INK.ground)
    digits = inked(typography.drawn(text, placed.size, True), Pair.PAGE_INK)
    image.paste(digits, (image.width - digits.width, 0))
    return image


@lru_cache(maxsize=2)
def logo(picture: Logo, size: tuple[int, int], page: Rgb) -> Image:
    """The logo at `size` px on the page's colour, as an RGB image."""
    from PIL import Image

    image = Image.frombytes("RGBA", picture.size, picture.rgba)
    ground = Image.new("RGBA", picture.size, (*page, 255))
    return Image.alpha_composite(ground, image).convert("RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def cross(side: int) -> Image:
    """A cross to be tapped in its middle, with an odd number of px per side."""
    from PIL import Image, ImageDraw

    side |= 1
    image = Image.new("L", (side, side), GROUND)
    draw = ImageDraw.Draw(image)
    half, thick = side // 2, max(1, side // 24)
    draw.rectangle((0, half - thick, side, half + thick), fill=Pair.PAGE_INK.ink)
    draw.rectangle((half - thick, 0, half + thick, side), fill=Pair.PAGE_INK.ink)
    return image


def paint_code(matrix: QrMatrix, module: int) -> Image:
    """A code with its quiet zone, black on white, `module` px per module."""
    from PIL import Image

    full = matrix.full_size
    image = Image.new("L", (full, full), palette.WHITE_INDEX)
    dark = bytes((palette.WHITE_INDEX, Pair.WHITE_INK.ink)) + bytes(254)
    image.paste(
        Image.frombytes("L", (matrix.size, matrix.size), b"".join(matrix.rows).translate(dark)),
        (QUIET_ZONE, QUIET_ZONE),
    )
    return image.resize((full * module, full * module), Image.Resampling.NEAREST)


def _button(placed: PlacedButton) -> Image:
    box, radius = placed.box, round(placed.box.height * 0.2)
    if placed.button.primary:
        image, pair = inked(_rounded(box.width, box.height, radius), Pair.PAGE_BLUE), Pair.BLUE_WHITE
    else:
        border = max(2, round(box.height * 0.035))
        image, pair = inked(_rounded(box.width, box.height, radius), Pair.PAGE_LINE), Pair.WHITE_INK
        inner = _rounded(box.width - 2 * border, box.height - 2 * border, radius - border)
        # The inside covers the border's colour; outside its round corners the border stays visible.
        image.paste(inked(inner, Pair.LINE_WHITE), (border, border), inner.point([0] + [255] * 255))
    label = placed.label
    step = typography.line_height(label.size)
    # Centred by the height of capitals, not of the line: that looks centred.
    capitals = round(label.size * 0.71)
    y = (box.height - capitals - (len(label.lines) - 1) * step) // 2 - (label.size - capitals)
    for number, line in enumerate(label.lines):
        words = written(line, label.size, True, pair)
        image.paste(words, ((box.width - words.width) // 2, y + number * step))
    return image


@lru_cache(maxsize=4)
def _rounded(width: int, height: int, radius: int) -> Image:
    """Coverage of a rectangle with rounded corners. Only the corners are drawn fine."""
    from PIL import Image, ImageDraw

    radius = max(0, min(radius, width // 2, height // 2))
    image = Image.new("L", (width, height), 255)
    if not radius:
        return image
    disc = Image.new("L", (2 * radius * _FINE, 2 * radius * _FINE), 0)
    ImageDraw.Draw(disc).ellipse((0, 0, disc.width - 1, disc.height - 1), fill=255)
    disc = disc.reduce(_FINE)
    for x, y, corner in (
        (0, 0, (0, 0, radius, radius)),
        (width - radius, 0, (radius, 0, 2 * radius, radius)),
        (0, height - radius, (0, radius, radius, 2 * radius)),
        (width - radius, height - radius, (radius, radius, 2 * radius, 2 * radius)),
    ):
        image.paste(disc.crop(corner), (x, y))
    return image


def spinner(side: int) -> Iterator[Image]:
    """The pictures of one turn of the spinner: a ring that fades towards its tail."""
    from PIL.Image import Transpose

    for turn in (None, Transpose.ROTATE_270, Transpose.ROTATE_180, Transpose.ROTATE_90):
        for image in _quarter(side):
            yield image.transpose(turn) if turn is not None else image


@lru_cache(maxsize=2)  # a payment by ticket has it in two sizes
def _quarter(side: int) -> tuple[Image, ...]:
    """The pictures of a quarter of a turn; the others are these, turned."""
    from PIL import Image, ImageDraw

    fine = side * _FINE
    thick = round(fine * RING)
    slots = 90
    images = []
    ring = Image.new("L", (fine, fine), 0)
    draw = ImageDraw.Draw(ring)
    for frame in range(SPINNER_FRAMES // 4):
        ring.paste(0, (0, 0, fine, fine))
        head = 360 * frame / SPINNER_FRAMES
        for slot in range(slots):
            start = head + 360 * slot / slots
            level = round(255 * (0.1 + 0.9 * (slot / (slots - 1)) ** 1.5))
            draw.arc((0, 0, fine - 1, fine - 1), start, start + 360 / slots + 0.6, fill=level, width=thick)
        reach = (fine - thick) / 2
        x, y = fine / 2 + reach * cos(radians(head)), fine / 2 + reach * sin(radians(head))
        draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=255)
        images.append(ring.reduce(_FINE).point(palette.fine_blue()))
    return tuple(images)


@lru_cache(maxsize=2)
def picture(drawing: Drawing, side: int) -> Image:
    """A drawing as a palette image of `side` x `side` px on the page's ground."""
    return drawings.draw(drawing, side)
