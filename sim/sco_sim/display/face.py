"""What a simulated display shows, and its picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sco_drivers import qr
from sco_drivers.screen.typography import drawn, fit, line_height

if TYPE_CHECKING:
    from PIL.Image import Image

SIZE = (240, 320)
"""Width and height of the picture, px."""

_MARGIN = 8
_TEXT_PX = (14, 9)  # largest and smallest
_PAID, _FAILED = (0, 140, 60), (200, 30, 30)


@dataclass(frozen=True, slots=True)
class Face:
    """What is shown.

    Attributes:
        link: content of the code; empty for none.
        above, below: the texts around it.
        paid: the picture of a payment; None for none.
    """

    link: str = ""
    above: str = ""
    below: str = ""
    paid: bool | None = None

    def image(self, scale: int = 1) -> Image:
        """The picture, `scale` times `SIZE`. A display too small for the code cannot show it: `scale` magnifies it."""
        import PIL.Image

        image = PIL.Image.new("RGB", (SIZE[0] * scale, SIZE[1] * scale), "white")
        top = _write(image, self.above, _MARGIN)
        if self.paid is not None:
            _sign(image, paid=self.paid)
        elif self.link:
            top = _code(image, self.link, top)
        _write(image, self.below, top)
        return image


def _write(image: Image, text: str, top: int) -> int:
    """Write `text` from `top` on; returns where the next thing may begin."""
    if not text:
        return top
    paragraph = fit(text, image.width - 2 * _MARGIN, 3, *_TEXT_PX)
    for line in paragraph.lines:
        mask = drawn(line, paragraph.size, paragraph.bold)
        image.paste("black", ((image.width - mask.width) // 2, top), mask)
        top += line_height(paragraph.size)
    return top + _MARGIN


def _code(image: Image, link: str, top: int) -> int:
    import PIL.Image

    matrix = qr.encode(link, "L")
    code = PIL.Image.new("L", (matrix.full_size, matrix.full_size), 255)
    for y, row in enumerate(matrix.rows):
        for x, dark in enumerate(row):
            if dark:
                code.putpixel((x + qr.QUIET_ZONE, y + qr.QUIET_ZONE), 0)
    module = max(1, image.width // matrix.full_size)
    code = code.resize((matrix.full_size * module, matrix.full_size * module), PIL.Image.Resampling.NEAREST)
    image.paste(code, ((image.width - code.width) // 2, top))
    return top + code.height


def _sign(image: Image, *, paid: bool) -> None:
    from PIL import ImageDraw

    canvas, unit = ImageDraw.Draw(image), image.width // 12
    strokes = (((3, 8), (5, 10), (9, 5)),) if paid else (((3, 5), (9, 11)), ((9, 5), (3, 11)))
    for stroke in strokes:
        canvas.line([(x * unit, y * unit) for x, y in stroke], fill=_PAID if paid else _FAILED, width=unit)
