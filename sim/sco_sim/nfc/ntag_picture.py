"""A picture of a simulated tag: its UID, the link that a phone would open, its pages in hex."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

_COLUMNS = 3
_INK, _FAINT, _LINK, _PAPER, _CHANGED = "#1b2430", "#7a8794", "#0b5fa5", "#ffffff", "#fff0c9"


class Drawable(Protocol):
    """What the picture shows of a tag."""

    product: str
    uid: bytes

    @property
    def pages(self) -> Mapping[int, bytes]: ...

    @property
    def page_writes(self) -> Mapping[int, int]: ...

    def uri(self) -> str | None: ...


def render(tag: Drawable, path: Path) -> None:
    """Draw `tag` into the PNG file `path`."""
    image(tag).save(path)


def image(tag: Drawable) -> Image:
    """The picture of `tag`; pages that were written are highlighted."""
    from PIL import Image, ImageDraw, ImageFont

    title, text, small = (ImageFont.load_default(size) for size in (24, 16, 13))
    pages = len(tag.pages)
    rows = -(-pages // _COLUMNS)
    width, top, step, column = 760, 150, 19, 240
    picture = Image.new("RGB", (width, top + rows * step + 20), _PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((20, 14), f"{tag.product}   UID {tag.uid.hex(':')}", _INK, font=title)
    draw.text((20, 50), "A phone opens:", _FAINT, font=small)
    uri = tag.uri() or "nothing"
    lines = [uri[i : i + 80] for i in range(0, len(uri), 80)][:3]
    for i, line in enumerate(lines):
        draw.text((20, 68 + i * 22), line, _LINK if tag.uri() else _INK, font=text)
    for page in range(pages):
        x, y = 20 + page // rows * column, top + page % rows * step
        octets = tag.pages[page]
        if tag.page_writes.get(page):
            draw.rectangle((x - 4, y - 1, x + column - 14, y + step - 3), _CHANGED)
        draw.text((x, y), f"{page:3d}", _FAINT, font=small)
        for i, octet in enumerate(octets):
            draw.text((x + 34 + i * 26, y), f"{octet:02x}", _INK, font=small)
        shown = "".join(chr(octet) if 32 <= octet < 127 else "." for octet in octets)
        for i, character in enumerate(shown):
            draw.text((x + 150 + i * 14, y), character, _FAINT if character == "." else _LINK, font=small)
    return picture
