"""What a customer makes of a picture: the code that a phone reads, and where the buttons are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from sco_drivers.screen.theme import DEFAULT_THEME, Rgb
from sco_sim.testing.devices import codes_in

if TYPE_CHECKING:
    from PIL.Image import Image

Button = Literal["retry", "cancel"]
_GRID_PX = 8  # side of the squares in which buttons are looked for
_NEAR = 7  # levels by which a pixel format of 16 bits or more may change a colour
_WIDE = 2.0  # a button is at least so many times as wide as high: the code's ground is not
_LEAST_SHARE = 0.1  # of the picture's width


def code_in(image: Image) -> str | None:
    """The one QR code in a picture; None for none or several."""
    codes = codes_in(image)
    return codes[0] if len(codes) == 1 else None


def button_in(image: Image, button: Button) -> tuple[int, int] | None:
    """The middle of a button of the standard theme, in px; None if the picture shows none.

    `retry` is the one that stands out, `cancel` the plain one.
    """
    colour = DEFAULT_THEME.accent if button == "retry" else DEFAULT_THEME.panel
    for left, top, right, bottom in _patches(image, colour):
        wide, high = right - left, bottom - top
        if wide >= _WIDE * high and wide * _GRID_PX >= _LEAST_SHARE * image.width:
            return (left + right) * _GRID_PX // 2, (top + bottom) * _GRID_PX // 2
    return None


def _patches(image: Image, colour: Rgb) -> list[tuple[int, int, int, int]]:
    """Boxes of connected squares in that colour that are mostly full, in squares; the lowest first."""
    small = image.convert("RGB").resize((image.width // _GRID_PX, image.height // _GRID_PX), resample=0)
    pixels = small.load()
    assert pixels is not None
    todo = set()
    for x in range(small.width):
        for y in range(small.height):
            found = pixels[x, y]
            assert isinstance(found, tuple)
            if all(abs(have - want) <= _NEAR for have, want in zip(found, colour, strict=True)):
                todo.add((x, y))
    boxes = []
    while todo:
        patch, edge = set(), {todo.pop()}
        while edge:
            x, y = edge.pop()
            patch.add((x, y))
            more = {(x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)} & todo
            todo -= more
            edge |= more
        xs, ys = {x for x, _ in patch}, {y for _, y in patch}
        box = min(xs), min(ys), max(xs) + 1, max(ys) + 1
        if len(patch) >= 0.6 * (box[2] - box[0]) * (box[3] - box[1]) and len(ys) > 2:
            boxes.append(box)
    return sorted(boxes, key=lambda box: -box[3])
