"""The colours of the scenes, as one table of 256 entries.

A scene is painted with one byte per pixel: sixteen pairs of (ground, ink), each with sixteen shades between the two for
smooth edges. That is enough for these scenes, and the conversion to any pixel format is one exact look-up.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache

Rgb = tuple[int, int, int]

PAGE: Rgb = (0xF4, 0xF6, 0xF8)
WHITE: Rgb = (0xFF, 0xFF, 0xFF)
INK: Rgb = (0x12, 0x1C, 0x26)
MUTED: Rgb = (0x3F, 0x4B, 0x57)
LINE: Rgb = (0x5F, 0x6B, 0x77)
BLUE: Rgb = (0x0B, 0x57, 0xA8)
GREEN: Rgb = (0x17, 0x73, 0x3A)
RED: Rgb = (0xB3, 0x26, 0x1E)
AMBER: Rgb = (0x8A, 0x50, 0x00)
HALF_PAGE: Rgb = (0xEC, 0xF1, 0xF5)
HALF_INK: Rgb = (0x03, 0x52, 0xA5)
"""Half a shade from page towards blue, and half a shade beyond blue: shades between those of `PAGE_BLUE`."""

SHADES = 16
"""Steps from the ground to the ink of a pair, both ends counted."""


class Pair(IntEnum):
    """A ground and an ink on it."""

    PAGE_INK = 0
    PAGE_MUTED = 1
    PAGE_BLUE = 2
    HALF_BLUE = 3
    PAGE_GREEN = 4
    PAGE_RED = 5
    PAGE_AMBER = 6
    PAGE_LINE = 7
    PAGE_WHITE = 8
    WHITE_INK = 9
    WHITE_BLUE = 10
    LINE_WHITE = 11
    BLUE_WHITE = 12
    GREEN_WHITE = 13
    RED_WHITE = 14
    AMBER_WHITE = 15

    @property
    def ground(self) -> int:
        """Index of the pure ground colour."""
        return int(self) * SHADES

    @property
    def ink(self) -> int:
        """Index of the pure ink colour."""
        return int(self) * SHADES + SHADES - 1


COLOURS: dict[Pair, tuple[Rgb, Rgb]] = {
    Pair.PAGE_INK: (PAGE, INK),
    Pair.PAGE_MUTED: (PAGE, MUTED),
    Pair.PAGE_BLUE: (PAGE, BLUE),
    Pair.HALF_BLUE: (HALF_PAGE, HALF_INK),
    Pair.PAGE_GREEN: (PAGE, GREEN),
    Pair.PAGE_RED: (PAGE, RED),
    Pair.PAGE_AMBER: (PAGE, AMBER),
    Pair.PAGE_LINE: (PAGE, LINE),
    Pair.PAGE_WHITE: (PAGE, WHITE),
    Pair.WHITE_INK: (WHITE, INK),
    Pair.WHITE_BLUE: (WHITE, BLUE),
    Pair.LINE_WHITE: (LINE, WHITE),
    Pair.BLUE_WHITE: (BLUE, WHITE),
    Pair.GREEN_WHITE: (GREEN, WHITE),
    Pair.RED_WHITE: (RED, WHITE),
    Pair.AMBER_WHITE: (AMBER, WHITE),
}

WHITE_INDEX = Pair.WHITE_INK * SHADES
"""Pure white."""


@cache
def table() -> tuple[Rgb, ...]:
    """The 256 colours."""
    colours: list[Rgb] = []
    for pair in Pair:
        ground, ink = COLOURS[pair]
        for shade in range(SHADES):
            share = shade / (SHADES - 1)
            r, g, b = (round(a + (z - a) * share) for a, z in zip(ground, ink, strict=True))
            colours.append((r, g, b))
    return tuple(colours)


@cache
def shades(pair: Pair) -> tuple[int, ...]:
    """Coverage 0..255 -> index, for `pair`."""
    return tuple(int(pair) * SHADES + (level * (SHADES - 1) + 127) // 255 for level in range(256))


@cache
def fine_blue() -> tuple[int, ...]:
    """Coverage 0..255 -> index, page to blue in twice as many steps: for long gradients."""
    steps = 2 * (SHADES - 1)
    found = []
    for level in range(256):
        step = (level * steps + 127) // 255
        found.append(int(Pair.HALF_BLUE if step % 2 else Pair.PAGE_BLUE) * SHADES + step // 2)
    return tuple(found)
