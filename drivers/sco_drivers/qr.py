"""Text -> QR matrix -> whatever rows a device wants. Symbols are ISO/IEC 18004 model 2, as segno makes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

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


@lru_cache(maxsize=8)
def encode(text: str, error_level: ErrorLevel = "M") -> QrMatrix:
    """Encode `text` (UTF-8 when it is not Latin) at exactly `error_level`, in the smallest version that holds it.

    Raises:
        ValueError: empty text, or text too long for a version 40 symbol at that level.
    """
    from sco_drivers import qr_mask, qr_symbol

    if not text:
        raise ValueError("there is nothing to encode")
    version, first = qr_symbol.first_mask(text, error_level) or _general(text, error_level)
    size = 17 + 4 * version
    chosen = qr_mask.best(first, qr_symbol.changes(version, error_level), size)
    return QrMatrix(text, error_level, qr_mask.unpacked(chosen, size))


def _general(text: str, error_level: ErrorLevel) -> tuple[int, tuple[int, int]]:
    """Version and symbol with mask 0, of any text."""
    import segno

    from sco_drivers import qr_mask

    try:
        symbol = segno.make_qr(text, error=error_level.lower(), mask=0, boost_error=False)
    except segno.DataOverflowError:
        raise ValueError(
            f"{len(text.encode())} bytes do not fit a QR code at level {error_level} (at most {MAX_BYTES[error_level]})"
        ) from None
    return int(symbol.version), qr_mask.packed(symbol.matrix)
