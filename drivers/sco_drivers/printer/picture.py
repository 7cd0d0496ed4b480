"""A picture file -> rows of dots for the head. The one place that needs Pillow, which is loaded with the first picture.

A picture is scaled, put on white where it is transparent, and dithered to black and white.
"""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path

from sco_drivers.printer import DocumentRefused

MAX_BYTES = 5_000_000
_MAX_PIXELS = 40_000_000


def rows_of(source: str | bytes, width_dots: int | None, most_dots: int) -> list[bytes]:
    """The picture as packed bits, 1 for black, one row per line of dots.

    Args:
        source: the path of a picture file, or its content.
        width_dots: width to scale it to; None for one dot a pixel.
        most_dots: the width of the head; a wider picture is made smaller.

    Raises:
        DocumentRefused: it cannot be read, or is not a picture.
    """
    if isinstance(source, bytes):
        return _rows(source, width_dots, most_dots, "the picture")
    try:
        path = Path(source)
        if path.stat().st_size > MAX_BYTES:
            raise DocumentRefused(f"{source}: the picture is larger than {MAX_BYTES // 1_000_000} MB")
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise DocumentRefused(f"the picture {source} cannot be read: {reason}") from error
    return _rows(content, width_dots, most_dots, source)


@lru_cache(maxsize=2)
def _rows(content: bytes, width_dots: int | None, most_dots: int, name: str) -> list[bytes]:
    from PIL import Image

    try:
        with Image.open(BytesIO(content)) as file:
            if file.width * file.height > _MAX_PIXELS:
                raise DocumentRefused(f"{name} has {file.width} x {file.height} pixels, which are too many")
            picture = file.convert("RGBA")
    except DocumentRefused:
        raise
    except Exception as error:  # Pillow's decoders raise anything for a damaged file
        raise DocumentRefused(f"{name} is not a readable picture", hint="use a PNG file") from error
    paper = Image.new("L", picture.size, 255)
    paper.paste(picture.convert("L"), mask=picture.getchannel("A"))
    width = min(width_dots or picture.width, most_dots)
    if width != picture.width:
        height = max(1, round(picture.height * width / picture.width))
        paper = paper.resize((width, height), Image.Resampling.LANCZOS)
    packed = paper.convert("1").tobytes("raw", "1;I")
    across = (width + 7) // 8
    return [packed[at : at + across] for at in range(0, len(packed), across)]
