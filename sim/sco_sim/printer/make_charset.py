"""Redraw `charset.png` and `charset.txt`: the simulated printer's 12 x 24 character set.

Run it with a monospaced TrueType font whose licence allows embedding (DejaVu Sans Mono Bold was used):
`python -m sco_sim.printer.make_charset FONT.ttf`. Not used while the simulator runs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from sco_sim.printer.roll import CODE_PAGES

COLUMNS = 32


def characters() -> str:
    """All printable characters of the code pages that the simulator knows, and the replacement character."""
    found = {"\ufffd"}
    for page in {*CODE_PAGES.values()}:
        found |= {bytes((n,)).decode(page, "ignore") for n in range(0x20, 0x100)}
    found |= set("₽₸—–“”„…№«»•")
    return "".join(sorted(c for c in found if c.isprintable() or c == "\u00a0"))


def main(font_path: str) -> None:
    """Write both files next to this module."""
    from PIL import Image, ImageDraw, ImageFont

    text = characters()
    font = ImageFont.truetype(font_path, 20)
    rows = -(-len(text) // COLUMNS)
    atlas = Image.new("L", (12 * COLUMNS, 24 * rows), 255)
    for at, character in enumerate(text):
        cell = Image.new("L", (12, 24), 255)
        ImageDraw.Draw(cell).text((0, 19), character, font=font, fill=0, anchor="ls")
        atlas.paste(cell.point(lambda grey: 0 if grey < 140 else 255), (at % COLUMNS * 12, at // COLUMNS * 24))
    folder = Path(__file__).parent
    atlas.convert("1").save(folder / "charset.png", optimize=True)
    (folder / "charset.txt").write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
