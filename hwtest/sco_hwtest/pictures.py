"""Pictures for reports: PNG bytes, and many pictures on one sheet."""

from __future__ import annotations

import io

from PIL import Image

_GAP = 12
_LONGEST_SIDE = 3600


def png_of(image: Image.Image) -> bytes:
    """The image as PNG."""
    data = io.BytesIO()
    image.save(data, "PNG", optimize=True)
    return data.getvalue()


def contact_sheet(pictures: list[Image.Image]) -> Image.Image:
    """Pictures of one size on one sheet, two in a row, at most 3600 px on its longer side."""
    wide, high = pictures[0].size
    across = min(2, len(pictures))
    rows = -(-len(pictures) // across)
    sheet = Image.new("RGB", (across * (wide + _GAP) + _GAP, rows * (high + _GAP) + _GAP), (0x78, 0x80, 0x88))
    for number, picture in enumerate(pictures):
        row, column = divmod(number, across)
        sheet.paste(picture, (_GAP + column * (wide + _GAP), _GAP + row * (high + _GAP)))
    share = min(1.0, _LONGEST_SIDE / max(sheet.size))
    small = (round(sheet.width * share), round(sheet.height * share))
    return sheet.resize(small, Image.Resampling.LANCZOS) if share < 1 else sheet
