"""A placed scene -> a palette image (one byte a pixel, see `palette`). Knows nothing of devices or pixel formats."""

from __future__ import annotations

from functools import lru_cache
from math import cos, radians, sin
from typing import TYPE_CHECKING

from sco_drivers.qr import QUIET_ZONE, QrMatrix
from sco_drivers.screen import Drawing, lettering, palette
from sco_drivers.screen.layout import Layout, PlacedButton, PlacedCountdown
from sco_drivers.screen.palette import Pair

if TYPE_CHECKING:
    from PIL.Image import Image

SPINNER_FRAMES = 20
"""Pictures of one turn of the spinner."""

_FINE = 4
"""Shapes are drawn this many times larger and reduced, which makes their edges smooth."""


def paint(layout: Layout, canvas: Image) -> None:
    """Paint all that stands still (no digits of the countdown, no spinner, no code) over the whole `canvas`."""
    canvas.paste(Pair.PAGE_INK.ground, (0, 0, *canvas.size))
    for text in layout.texts:
        pair = Pair.PAGE_MUTED if text.muted else Pair.PAGE_INK
        height = lettering.line_height(text.paragraph.size)
        for number, line in enumerate(text.paragraph.lines):
            mask = lettering.mask(line, text.paragraph.size, text.paragraph.bold)
            x = text.box.x + round((text.box.width - mask.width) * text.align)
            ink(canvas, mask, x, text.box.y + number * height, pair)
    if layout.drawing_box is not None and layout.drawing is not Drawing.SPINNER:
        box = layout.drawing_box
        canvas.paste(picture(layout.drawing, box.width), (box.x, box.y))
    for button in layout.buttons:
        _paint_button(canvas, button)


def ink(canvas: Image, mask: Image, x: int, y: int, pair: Pair) -> None:
    """Lay a coverage mask on the canvas in the colours of `pair`; what was under it is taken to be its ground."""
    canvas.paste(mask.point(palette.shades(pair)), (x, y))


def paint_countdown(placed: PlacedCountdown, text: str) -> Image:
    """The digits `text` in the countdown's box, right-aligned."""
    from PIL import Image

    image = Image.new("L", (placed.box.width, placed.box.height), Pair.PAGE_INK.ground)
    mask = lettering.mask(text, placed.size, True)
    ink(image, mask, image.width - mask.width, 0, Pair.PAGE_INK)
    return image


def paint_code(matrix: QrMatrix, module: int) -> Image:
    """A code with its quiet zone, black on white, `module` px a module."""
    from PIL import Image

    full = matrix.full_size
    image = Image.new("L", (full, full), palette.WHITE_INDEX)
    dark = bytes((palette.WHITE_INDEX, Pair.WHITE_INK.ink)) + bytes(254)
    image.paste(
        Image.frombytes("L", (matrix.size, matrix.size), b"".join(matrix.rows).translate(dark)),
        (QUIET_ZONE, QUIET_ZONE),
    )
    return image.resize((full * module, full * module), Image.Resampling.NEAREST)


def _paint_button(canvas: Image, placed: PlacedButton) -> None:
    box, radius = placed.box, round(placed.box.height * 0.2)
    if placed.button.primary:
        ink(canvas, _rounded(box.width, box.height, radius), box.x, box.y, Pair.PAGE_BLUE)
        pair = Pair.BLUE_WHITE
    else:
        border = max(2, round(box.height * 0.035))
        ink(canvas, _rounded(box.width, box.height, radius), box.x, box.y, Pair.PAGE_LINE)
        inner = _rounded(box.width - 2 * border, box.height - 2 * border, radius - border)
        # The inside covers the border's colour; outside its own round corners the border stays.
        mask = inner.point(palette.shades(Pair.LINE_WHITE))
        canvas.paste(mask, (box.x + border, box.y + border), inner.point([0] + [255] * 255))
        pair = Pair.WHITE_INK
    label = placed.label
    mask = lettering.mask(label.lines[0], label.size, True)
    # Centred on the height of capitals, not on the line: it is capitals that the eye sees.
    y = box.y + (box.height - round(label.size * 0.71)) // 2 - (label.size - round(label.size * 0.71))
    ink(canvas, mask, box.x + (box.width - mask.width) // 2, y, pair)


@lru_cache(maxsize=16)
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


@lru_cache(maxsize=4)
def spinner(side: int) -> tuple[Image, ...]:
    """The pictures of one turn of the spinner: a ring whose ink runs out behind its head."""
    from PIL import Image, ImageDraw

    fine = side * _FINE
    thick = fine * 11 // 100
    slots = 90
    masks = []
    for frame in range(SPINNER_FRAMES // 4):
        ring = Image.new("L", (fine, fine), 0)
        draw = ImageDraw.Draw(ring)
        head = 360 * frame / SPINNER_FRAMES
        for slot in range(slots):
            start = head + 360 * slot / slots
            level = round(255 * (0.1 + 0.9 * (slot / (slots - 1)) ** 1.5))
            draw.arc((0, 0, fine - 1, fine - 1), start, start + 360 / slots + 0.6, fill=level, width=thick)
        reach = (fine - thick) / 2
        x, y = fine / 2 + reach * cos(radians(head)), fine / 2 + reach * sin(radians(head))
        draw.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=255)
        masks.append(ring.reduce(_FINE).point(palette.shades(Pair.PAGE_BLUE)))
    turns = (None, Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_90)
    return tuple(mask.transpose(turn) if turn is not None else mask for turn in turns for mask in masks)


@lru_cache(maxsize=8)
def picture(drawing: Drawing, side: int) -> Image:
    """A drawing as a palette image of `side` x `side` px on the page's ground."""
    from sco_drivers.screen import drawings

    return drawings.draw(drawing, side, _FINE)
