"""Words on the screen: fonts, widths, wrapping. Texts are never cut: they wrap, then shrink.

The fonts are Roboto (see `fonts/README.md`): full Cyrillic, the rouble sign, digits of one width.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont

NO_BREAK_SPACE = "\u00a0"
_FONTS = Path(__file__).parent / "fonts"
# A short word hangs badly at the end of a line, and a number parted from its sign reads as another thing.
_SHORT_WORD = re.compile(r"(?<!\S)(\w{1,2}|или|для|при|нет|№)[ ](?=\S)", re.IGNORECASE)

LINE_HEIGHT = 1.22
"""Distance of base lines, in sizes of the font."""


@cache
def font(size: int, bold: bool) -> FreeTypeFont:
    """Roboto at `size` px (of the em square)."""
    from PIL import ImageFont

    # Basic layout: Cyrillic and Latin need no shaping, and it draws the same wherever Pillow was built.
    name = "Roboto-Bold.ttf" if bold else "Roboto-Regular.ttf"
    return ImageFont.truetype(str(_FONTS / name), size, layout_engine=ImageFont.Layout.BASIC)


@lru_cache(maxsize=4096)
def width(text: str, size: int, bold: bool) -> int:
    """Width of `text` in px, rounded up."""
    return -int(-font(size, bold).getlength(text) // 1)


@lru_cache(maxsize=128)
def mask(text: str, size: int, bold: bool) -> Image:
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
    """A text, wrapped: `lines` at `size` px. `broken` when a word had to be cut in two, or lines added."""

    lines: tuple[str, ...]
    size: int
    bold: bool
    broken: bool = False

    @property
    def width(self) -> int:
        """Width of the widest line in px."""
        return max((width(line, self.size, self.bold) for line in self.lines), default=0)

    @property
    def height(self) -> int:
        """Height of all lines in px."""
        return len(self.lines) * line_height(self.size)


@lru_cache(maxsize=256)
def fit(text: str, room: int, most_lines: int, largest: int, least: int, *, bold: bool = False) -> Paragraph:
    """Wrap `text` to `room` px in at most `most_lines` lines at the largest size of `largest`..`least` that does it.

    When even `least` does not, words are broken and lines added rather than anything lost.
    """
    glued = _SHORT_WORD.sub(lambda match: match[1] + NO_BREAK_SPACE, text)
    for wording in (glued, text):
        for size in range(max(largest, least), least - 1, -1):
            lines = _wrap(wording.split(" "), room, size, bold)
            if lines is not None and len(lines) <= most_lines:
                return Paragraph(_balanced(wording, lines, size, bold), size, bold)
    return Paragraph(_broken(text, room, least, bold), least, bold, broken=True)


def _wrap(words: list[str], room: int, size: int, bold: bool) -> list[str] | None:
    """Greedy lines; None when a word is wider than the room."""
    lines: list[str] = []
    for word in words:
        if width(word, size, bold) > room:
            return None
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and width(longer, size, bold) <= room:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _balanced(text: str, lines: list[str], size: int, bold: bool) -> tuple[str, ...]:
    """As many lines, as even as may be: the narrowest room that still takes no more of them."""
    words = text.split(" ")
    low, high = 1, max(width(line, size, bold) for line in lines)
    best = lines
    while low < high:
        middle = (low + high) // 2
        tried = _wrap(words, middle, size, bold)
        if tried is not None and len(tried) <= len(lines):
            best, high = tried, middle
        else:
            low = middle + 1
    return tuple(best)


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
