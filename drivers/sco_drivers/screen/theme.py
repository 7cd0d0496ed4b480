"""The colours and the logo of a screen's scenes, and what contrast they need.

People must be able to read every theme: a text has at least 4.5 times the luminance of its ground or the reverse, a
drawing and the edge of a button at least 3 times (WCAG 2.2, level AA). The code is black on white in every theme.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Rgb = tuple[int, int, int]

TEXT_CONTRAST = 4.5
GRAPHICS_CONTRAST = 3.0

_WHITE: Rgb = (0xFF, 0xFF, 0xFF)
_BLACK: Rgb = (0x00, 0x00, 0x00)


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture next to the hint.

    Attributes:
        size: width and height in px.
        rgba: its pixels, four bytes each, row by row.
    """

    size: tuple[int, int]
    rgba: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of a screen, each as red, green, blue of 0 to 255.

    Attributes:
        page: the ground of everything.
        panel: the ground of plain buttons, and the white of drawings.
        text: headlines and amounts.
        muted: lines that are less important.
        line: the edge of plain buttons.
        accent: the button that stands out, the spinner, drawings.
        good, bad, attention: the grounds of the tick, the cross, and the attendant.
        logo: None for none.
    """

    page: Rgb = (0xF4, 0xF6, 0xF8)
    panel: Rgb = _WHITE
    text: Rgb = (0x12, 0x1C, 0x26)
    muted: Rgb = (0x3F, 0x4B, 0x57)
    line: Rgb = (0x5F, 0x6B, 0x77)
    accent: Rgb = (0x0B, 0x57, 0xA8)
    good: Rgb = (0x17, 0x73, 0x3A)
    bad: Rgb = (0xB3, 0x26, 0x1E)
    attention: Rgb = (0x8A, 0x50, 0x00)
    logo: Logo | None = None

    def problems(self) -> list[str]:
        """What cannot be read in these colours: the colours, their contrast, what it must be; none if all is well."""
        found = []
        for name, ground, least in (
            ("text", "page", TEXT_CONTRAST),
            ("text", "panel", TEXT_CONTRAST),
            ("muted", "page", TEXT_CONTRAST),
            ("line", "page", GRAPHICS_CONTRAST),
            ("accent", "page", GRAPHICS_CONTRAST),
            ("accent", "panel", GRAPHICS_CONTRAST),
            ("good", "page", GRAPHICS_CONTRAST),
            ("bad", "page", GRAPHICS_CONTRAST),
            ("attention", "page", GRAPHICS_CONTRAST),
        ):
            ink, paper = getattr(self, name), getattr(self, ground)
            reached = contrast(ink, paper)
            if reached < least:
                found.append(
                    f"{name} {as_hex(ink)} on {ground} {as_hex(paper)} has a contrast of {reached:.1f}:1, less than "
                    f"{least:g}:1: choose a {'darker' if _luminance(paper) > 0.18 else 'lighter'} {name}"
                )
        return found


DEFAULT_THEME = Theme()


def readable_on(ground: Rgb) -> Rgb:
    """White or black, whichever is easier to read on `ground`: one of them always has the contrast of a text."""
    return _WHITE if contrast(_WHITE, ground) >= TEXT_CONTRAST else _BLACK


def _luminance(colour: Rgb) -> float:
    def linear(level: int) -> float:
        share = level / 255
        return float(share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = (linear(level) for level in colour)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Rgb, other: Rgb) -> float:
    """The contrast of two colours as WCAG 2.2 defines it, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def as_hex(colour: Rgb) -> str:
    """`(11, 87, 168)` -> `#0b57a8`."""
    return "#" + bytes(colour).hex()


def from_hex(text: str) -> Rgb | None:
    """`#0b57a8` -> `(11, 87, 168)`; None if it is not a colour."""
    digits = text.removeprefix("#")
    if len(digits) != 6 or len(text) != 7 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
        return None
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue
