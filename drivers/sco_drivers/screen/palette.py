"""The colours of the scenes, as one table of 256 entries.

A scene is painted with one byte per pixel: sixteen pairs of (ground, ink), each with sixteen shades between the two for
smooth edges. That is enough for these scenes, and the conversion to any pixel format is one exact look-up.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache, lru_cache

from sco_drivers.screen.theme import DEFAULT_THEME, Rgb, Theme, readable_on

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


def colours(theme: Theme = DEFAULT_THEME) -> dict[Pair, tuple[Rgb, Rgb]]:
    """Ground and ink of each pair in `theme`."""
    page, panel, text, accent = theme.page, theme.panel, theme.text, theme.accent
    return {
        Pair.PAGE_INK: (page, text),
        Pair.PAGE_MUTED: (page, theme.muted),
        Pair.PAGE_BLUE: (page, accent),
        Pair.HALF_BLUE: (_towards(page, accent, page), _towards(page, accent, accent)),
        Pair.PAGE_GREEN: (page, theme.good),
        Pair.PAGE_RED: (page, theme.bad),
        Pair.PAGE_AMBER: (page, theme.attention),
        Pair.PAGE_LINE: (page, theme.line),
        Pair.PAGE_WHITE: (page, panel),
        Pair.WHITE_INK: (panel, text),
        Pair.WHITE_BLUE: (panel, accent),
        Pair.LINE_WHITE: (theme.line, panel),
        Pair.BLUE_WHITE: (accent, readable_on(accent)),
        Pair.GREEN_WHITE: (theme.good, readable_on(theme.good)),
        Pair.RED_WHITE: (theme.bad, readable_on(theme.bad)),
        Pair.AMBER_WHITE: (theme.attention, readable_on(theme.attention)),
    }


def _towards(begin: Rgb, end: Rgb, start: Rgb) -> Rgb:
    """Half a shade on from `start`, in the direction from `begin` to `end`: between the shades of that pair."""
    half = 2 * (SHADES - 1)
    red, green, blue = (min(255, max(0, round(s + (z - a) / half))) for a, z, s in zip(begin, end, start, strict=True))
    return red, green, blue


COLOURS = colours()
"""Of the default theme."""

WHITE_INDEX = Pair.WHITE_INK * SHADES
"""The panel's colour: pure white in the default theme."""


@lru_cache(maxsize=2)
def table(theme: Theme = DEFAULT_THEME) -> tuple[Rgb, ...]:
    """The 256 colours."""
    found: list[Rgb] = []
    for ground, ink in colours(theme).values():
        for shade in range(SHADES):
            share = shade / (SHADES - 1)
            r, g, b = (round(a + (z - a) * share) for a, z in zip(ground, ink, strict=True))
            found.append((r, g, b))
    return tuple(found)


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
