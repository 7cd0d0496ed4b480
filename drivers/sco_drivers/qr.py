"""Text -> QR matrix, by segno (ISO/IEC 18004, model 2). A text is encoded once: the last few symbols are kept."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, cast

ErrorLevel = Literal["L", "M", "Q", "H"]
QUIET_ZONE = 4
"""Modules of light border that ISO/IEC 18004 asks for on each side."""

MAX_BYTES: dict[ErrorLevel, int] = {"L": 2953, "M": 2331, "Q": 1663, "H": 1273}
"""Capacity of a version 40 symbol in byte mode."""


@dataclass(frozen=True, slots=True)
class QrMatrix:
    """A QR symbol without its quiet zone.

    `rows` holds `size` rows of `size` bytes, 1 for a dark module and 0 for a light one.
    """

    text: str
    error_level: ErrorLevel
    rows: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """Modules on a side, without the quiet zone."""
        return len(self.rows)

    @property
    def full_size(self) -> int:
        """Modules on a side, with the quiet zone on both."""
        return len(self.rows) + 2 * QUIET_ZONE


_MASK = 4
"""ISO/IEC 18004 lets the encoder judge all eight masks, which takes segno three times as long as the rest. Any mask is
a valid symbol; over payment links this one has the least mean penalty and the least maximum."""


@lru_cache(maxsize=8)
def encode(text: str, error_level: ErrorLevel = "M", *, boost: bool = False) -> QrMatrix:
    """Encode `text` (UTF-8 when it is not Latin) in the smallest version that holds it.

    Args:
        text: what readers of the code get.
        error_level: how much of the symbol may be damaged.
        boost: take a higher level when the symbol does not grow by it.

    Raises:
        ValueError: empty text, or text too long for a version 40 symbol at that level.
    """
    import segno

    if not text:
        raise ValueError("there is no text to encode")
    try:
        symbol = segno.make_qr(text, error=error_level.lower(), mask=_MASK, boost_error=boost)
    except segno.DataOverflowError:
        raise ValueError(
            f"{len(text.encode())} bytes do not fit a QR code at level {error_level} (at most {MAX_BYTES[error_level]})"
        ) from None
    return QrMatrix(text, cast(ErrorLevel, symbol.error), tuple(map(bytes, symbol.matrix)))


def preload() -> None:
    """Load the encoder (about 25 ms) while the lane is idle, so that the first payment does not wait for it."""
    import segno  # noqa: F401
