"""The best mask of a QR symbol (ISO/IEC 18004, 7.8), several times faster than making and judging eight symbols.

A symbol with one mask differs from the same symbol with another in places that depend on its version and level only,
never on its text. So one symbol is made, the other seven follow by XOR with differences that are kept, and the four
penalties are counted on whole symbols held as single integers. The choice is the standard's; only the way is shorter.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

Rows = tuple[bytes, ...]

_PAD = 4
"""Light modules between lines packed into one integer: what the standard takes to lie outside the symbol."""

_TO_DIGITS = bytes.maketrans(b"\0\1", b"01")
_TO_MODULES = bytes.maketrans(b"01", b"\0\1")


def best(first: Rows, version: int, level: str) -> Rows:
    """The symbol `first`, which has mask 0, with the mask of least penalty.

    Args:
        first: rows of bytes, 1 dark and 0 light.
        version: 1 to 40.
        level: L, M, Q or H.
    """
    size = len(first)
    packed = _packed(first)
    symbols = (_digits(packed ^ change, size) for change in _changes(version, level))
    chosen = min(symbols, key=lambda digits: penalty(digits, size)).encode().translate(_TO_MODULES)
    return tuple(chosen[at : at + size] for at in range(0, len(chosen), size))


@lru_cache(maxsize=16)
def _changes(version: int, level: str) -> tuple[int, ...]:
    """What to XOR to a symbol of mask 0 to have it with masks 0..7."""
    import segno

    masked = [
        _packed(segno.make_qr("0", version=version, error=level.lower(), mask=mask, boost_error=False).matrix)
        for mask in range(8)
    ]
    return tuple(symbol ^ masked[0] for symbol in masked)


def _packed(rows: Iterable[bytes | bytearray]) -> int:
    return int(b"".join(rows).translate(_TO_DIGITS), 2)


def _digits(symbol: int, size: int) -> str:
    return f"{symbol:0{size * size}b}"


def penalty(digits: str, size: int) -> int:
    """The penalty of a symbol given as `size` rows of `size` digits 0 and 1, row after row."""
    rows = [digits[at : at + size] for at in range(0, len(digits), size)]
    columns = [digits[at::size] for at in range(size)]
    share = digits.count("1") * 100 / (size * size)
    total = 10 * int(abs(share - 50) / 5)
    valid = int(("1" * size + "0" * _PAD) * size, 2)
    for number, lines in enumerate((rows, columns)):
        dark = int(("0" * _PAD).join(lines) + "0" * _PAD, 2)
        light = valid & ~dark
        for colour in (dark, light):
            # A run of n >= 5 holds n - 4 windows of five, and costs n - 2.
            five = colour & colour >> 1 & colour >> 2 & colour >> 3 & colour >> 4
            total += five.bit_count() + 2 * (five & ~(five << 1)).bit_count()
            if number == 0:
                two = colour & colour >> 1
                total += 3 * (two & two >> size + _PAD).bit_count()
        finder = dark & light << 1 & dark << 2 & dark << 3 & dark << 4 & light << 5 & dark << 6
        if finder:
            before = ~(dark >> 1 | dark >> 2 | dark >> 3 | dark >> 4)
            after = ~(dark << 7 | dark << 8 | dark << 9 | dark << 10)
            total += 40 * (finder & (before | after)).bit_count()
    return total
