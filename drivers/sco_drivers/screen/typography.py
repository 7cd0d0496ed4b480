"""Text on the screen: fonts, widths, wrapping. Texts are never truncated: they wrap, then shrink.

The fonts are Roboto (see `fonts/README.md`): full Cyrillic, the rouble sign, digits of one width.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

NO_BREAK_SPACE = "\u00a0"
_FONTS = Path(__file__).parent / "fonts"
# A short word should not end a line, and a number must not be separated from its sign.
_SHORT_WORD = re.compile(r"(?<!\S)(\w{1,2}|или|для|при|нет|№|the|and)[ ](?=\S)", re.IGNORECASE)

LINE_HEIGHT = 1.22
"""Distance of base lines, as a multiple of the font size."""

_UNITS = 2048
"""Size of the em square in the fonts' own units."""

_ORPHAN = 0.5
"""A last line shorter than this share of the widest is an orphan."""

_ORPHAN_SHRINK = 0.85
"""Letters may shrink to this share to avoid an orphan."""

_MAX_BALANCED = 40
"""Longer texts (in words) are wrapped greedily: balancing is slow, and makes no visible difference."""


@lru_cache(maxsize=2)  # a face costs 0.06 ms and 0.3 MiB
def font(size: int, bold: bool) -> FreeTypeFont:
    """Roboto at `size` px (of the em square)."""
    from PIL import ImageFont

    # Basic layout: Cyrillic and Latin need no shaping, and it draws the same wherever Pillow was built.
    name = "Roboto-Bold.ttf" if bold else "Roboto-Regular.ttf"
    return ImageFont.truetype(str(_FONTS / name), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=1024)
def width(text: str, size: int, bold: bool) -> int:
    """Width of `text` in px, rounded up."""
    return -int(-font(size, bold).getlength(text) // 1)


def _about(text: str, size: int, bold: bool) -> float:
    """A lower bound of `width`, without a font of that size."""
    return 0.97 * size * sum(_share(letter, bold) for letter in text)


@lru_cache(maxsize=512)
def _share(letter: str, bold: bool) -> float:
    """Width of a letter as a share of the font size."""
    return font(_UNITS, bold).getlength(letter) / _UNITS


def drawn(text: str, size: int, bold: bool) -> Image:
    """One line of text as coverage 0..255; `LINE_HEIGHT` sizes high, the base line at one size from the top."""
    from PIL import Image, ImageDraw

    image = Image.new("L", (max(1, width(text, size, bold)), line_height(size)), 0)
    ImageDraw.Draw(image).text((0, size), text, font=font(size, bold), fill=255, anchor="ls")
    return image


def line_height(size: int) -> int:
    """Height of one line in px."""
    return round(size * LINE_HEIGHT)


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A text, wrapped: `lines` at `size` px. `broken` if a word had to be split, or lines added."""

    lines: tuple[str, ...]
    size: int
    bold: bool
    broken: bool = False

    @property
    def orphaned(self) -> bool:
        """Whether the last line is an orphan: much shorter than the others."""
        return len(self.lines) > 1 and width(self.lines[-1], self.size, self.bold) < _ORPHAN * self.width

    @property
    def width(self) -> int:
        """Width of the widest line in px."""
        return max((width(line, self.size, self.bold) for line in self.lines), default=0)

    @property
    def height(self) -> int:
        """Height of all lines in px."""
        return len(self.lines) * line_height(self.size)


@lru_cache(maxsize=256)
def fit(text: str, room: int, max_lines: int, largest: int, smallest: int, *, bold: bool = False) -> Paragraph:
    """Wrap `text` to `room` px in at most `max_lines` lines, at the largest size of `largest`..`smallest` that fits.

    If even `smallest` does not fit, words are split and lines added: no text is lost.
    """
    glued = _SHORT_WORD.sub(lambda match: match[1] + NO_BREAK_SPACE, text)
    for wording in (glued, text):
        found: Paragraph | None = None
        for size in range(max(largest, smallest), smallest - 1, -1):
            if found is not None and size < found.size * _ORPHAN_SHRINK:
                break
            lines = _lines(wording.split(" "), room, max_lines, size, bold)
            if lines is None:
                continue
            paragraph = Paragraph(_balanced(wording.split(" "), lines, room, size, bold), size, bold)
            if not paragraph.orphaned:
                return paragraph
            found = found or paragraph
        if found is not None:
            return found
    return Paragraph(_broken(text, room, smallest, bold), smallest, bold, broken=True)


def _lines(words: list[str], room: int, max_lines: int, size: int, bold: bool) -> list[str] | None:
    """At max_lines `max_lines` greedy lines; None if they do not fit.

    Rejects impossible sizes without their font: the first letter of each size costs the font library 1 ms.
    """
    lines: list[str] | None = None
    for measure in (_about, width) if size >= 16 else (width,):  # small letters are rounded by more
        lines = _wrap(words, room, partial(measure, size=size, bold=bold))
        if lines is None or len(lines) > max_lines:
            return None
    return lines


def _wrap(words: list[str], room: int, measure: Callable[[str], float]) -> list[str] | None:
    """Greedy lines; None if a word is wider than the room."""
    lines: list[str] = []
    for word in words:
        if measure(word) > room:
            return None
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and measure(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _balanced(words: list[str], lines: list[str], room: int, size: int, bold: bool) -> tuple[str, ...]:
    """Balance `lines` without changing their number: minimise the sum of squares of the unused widths.

    A line that ends with punctuation may leave more unused.
    """
    if not 1 < len(lines) <= len(words) <= _MAX_BALANCED:
        return tuple(lines)
    # `best[n]` after k rounds: the cost of the first n words in k lines, and those lines.
    pause = (room * 35 // 100) ** 2
    best: dict[int, tuple[int, tuple[str, ...]]] = {0: (0, ())}
    for _ in lines:
        longer: dict[int, tuple[int, tuple[str, ...]]] = {}
        for begin, (cost, before) in best.items():
            for end in range(begin + 1, len(words) + 1):
                line = " ".join(words[begin:end])
                left = room - width(line, size, bold)
                if left < 0:
                    break
                price = left * left - (pause if line.endswith((",", ":", ";", ".")) else 0)
                if end not in longer or cost + price < longer[end][0]:
                    longer[end] = cost + price, (*before, line)
        best = longer
    return best[len(words)][1]


def _broken(text: str, room: int, size: int, bold: bool) -> tuple[str, ...]:
    lines = [""]
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines[-1] else word
        if width(longer, size, bold) <= room:
            lines[-1] = longer
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            if lines[-1] and width(lines[-1] + letter, size, bold) > room:
                lines.append("")
            lines[-1] += letter
    return tuple(lines)
