"""Draw a roll as a picture, one pixel a dot, with a printer's own bitmap character set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from importlib import resources
from typing import TYPE_CHECKING

from sco_sim.printer.roll import Mark, Paper, Run

if TYPE_CHECKING:
    from PIL.Image import Image

INK, PAPER = 0, 255
TORN_EDGE_DOTS = 2
_BESIDE = 208
_NOTE_CELL = (9, 17)
_NOTE_CHARS = 80
_AS_MASK = bytes(255 - grey for grey in range(256))


@lru_cache(maxsize=1)
def _character_set() -> tuple[dict[str, int], Image]:
    """The characters of `charset.png` (12 x 24 dots each, side by side) and the position of each."""
    from PIL import Image as Images

    folder = resources.files("sco_sim.printer")
    characters = folder.joinpath("charset.txt").read_text("utf-8").rstrip("\n")
    with folder.joinpath("charset.png").open("rb") as file:
        image = Images.open(file).convert("L")
    return {character: at for at, character in enumerate(characters)}, image


@lru_cache(maxsize=1024)
def _glyph(character: str, width: int, height: int, bold: bool) -> Image:
    from PIL import Image as Images
    from PIL import ImageChops

    where, atlas = _character_set()
    at = where.get(character, where["\ufffd"])
    columns = atlas.width // 12
    x, y = at % columns * 12, at // columns * 24
    glyph = atlas.crop((x, y, x + 12, y + 24))
    if bold:  # emphasised: struck once more, one dot to the right
        glyph = ImageChops.darker(glyph, ImageChops.offset(glyph, 1, 0))
    return glyph if (width, height) == (12, 24) else glyph.resize((width, height), Images.Resampling.NEAREST)


def _draw_text(image: Image, mark: Mark, top: int, paper: Paper) -> None:
    if mark.upside_down:
        from PIL import Image as Images

        line = Images.new("L", (image.width, mark.height), PAPER)
        _draw_text(line, replace(mark, upside_down=False, margin=0), 0, paper)
        room = paper.width_dots - mark.margin
        room = min(room, mark.area) if mark.area else room
        turned = line.crop((0, 0, room, mark.height)).transpose(Images.Transpose.ROTATE_180)
        image.paste(turned, (mark.margin, top))
        return
    x = mark.left(sum(len(run.text) * run.style.cell[0] for run in mark.runs), paper)
    baseline = max(run.style.cell[1] for run in mark.runs)
    for run in mark.runs:
        x = _draw_run(image, run, x, top + baseline)


def _draw_run(image: Image, run: Run, x: int, bottom: int) -> int:
    from PIL import Image as Images
    from PIL import ImageChops

    width, height = run.style.cell
    for character in run.text:
        glyph = _glyph(character, *run.style.upright, run.style.bold)
        if run.style.turned:
            glyph = glyph.transpose(Images.Transpose.ROTATE_270)
        if run.style.inverse:
            glyph = ImageChops.invert(glyph)
        image.paste(glyph, (x, bottom - height))
        if run.style.underline:
            image.paste(INK, (x, bottom - 1, x + width, bottom))
        x += width
    return x


def _draw_bitmap(image: Image, mark: Mark, top: int, paper: Paper) -> None:
    from PIL import Image as Images

    data = b"".join(row.ljust(mark.width, b"\0") for row in mark.rows)
    picture = Images.frombytes("L", (mark.width, len(mark.rows)), data.translate(_BITS))
    image.paste(picture, (mark.left(mark.width, paper), top))


_BITS = bytes((PAPER, *([INK] * 255)))


def draw(marks: Sequence[Mark], paper: Paper) -> Image:
    """The marks as a grey picture: white paper with its margins, black dots, a dashed line at each cut.

    What the head did not print of a mark (paper out in the middle of it) is not drawn. Notes and a drawer's pulses
    stand beside the paper, on grey, where what they name would have been.
    """
    from PIL import Image as Images

    side = round((paper.paper_mm * paper.dpi / 25.4 - paper.width_dots) / 2)
    pad = 24
    height = sum(mark.printed for mark in marks) + sum(2 for mark in marks if mark.kind == "cut") + 2 * pad
    body = Images.new("L", (paper.width_dots, height), PAPER)
    y = pad
    notes: dict[int, Counter[str]] = defaultdict(Counter)
    for mark in marks:
        if mark.note:
            notes[y][mark.note] += 1
            continue
        if mark.kind == "cut":
            for x in range(0, paper.width_dots, 16):
                body.paste(160, (x, y, x + 8, y + 1))
            y += TORN_EDGE_DOTS
            continue
        if mark.kind == "text":
            _draw_text(body, mark, y, paper)
        elif mark.kind == "bitmap":
            _draw_bitmap(body, mark, y, paper)
        y += mark.printed
        body.paste(PAPER, (0, y, paper.width_dots, height))
    image = Images.new("L", (paper.width_dots + 2 * side, height), PAPER)
    image.paste(body, (side, 0))
    return _with_notes(image, notes) if notes else image


def _with_notes(image: Image, notes: Mapping[int, Counter[str]]) -> Image:
    """The picture with a strip beside the paper, as wide as the longest line, one line below another."""
    from PIL import Image as Images

    width, height = _NOTE_CELL
    lines: list[tuple[int, str]] = []
    y = 0
    for at, counts in notes.items():
        for note, times in counts.items():
            y = max(y, at)
            lines.append((y, note[:_NOTE_CHARS] + (f" x{times}" if times > 1 else "")))
            y += height
    strip = max(len(line) for _, line in lines) * width + 2 * width
    whole = Images.new("L", (image.width + strip, max(image.height, y)), _BESIDE)
    whole.paste(image)
    for at, line in lines:
        for n, character in enumerate(line, 1):
            glyph = _glyph(character, width, height, False)
            whole.paste(INK, (image.width + n * width, at), glyph.point(_AS_MASK))
    return whole
