"""The best mask of a QR symbol (ISO/IEC 18004, 7.8), many times faster than making and judging eight symbols.

A symbol with one mask differs from the same symbol with another in places that depend on its version and level only,
never on its text. So one symbol is made, the other seven follow by XOR with differences that are kept, and the four
penalties are counted on whole symbols held as single integers, once by rows and once by columns. The choice is the
standard's; only the way is shorter.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

Rows = tuple[bytes, ...]

PAD = 4
"""Light modules after every line that is packed into an integer: what the standard takes to lie outside the symbol."""

Packed = tuple[int, int]
"""A symbol as two integers: its rows and its columns, one after another, each line with `PAD` zeros behind it."""

_TO_DIGITS = bytes.maketrans(b"\0\1", b"01")
_TO_MODULES = bytes.maketrans(b"01", b"\0\1")


def packed(rows: Iterable[bytes | bytearray]) -> Packed:
    """Rows of bytes, 1 dark and 0 light, as integers."""
    lines = [bytes(row).translate(_TO_DIGITS).decode("ascii") for row in rows]
    columns = ["".join(column) for column in zip(*lines, strict=True)]
    return _joined(lines), _joined(columns)


def _joined(lines: Sequence[str]) -> int:
    gap = "0" * PAD
    return int(gap.join(lines) + gap, 2)


def unpacked(by_rows: int, size: int) -> Rows:
    """The rows of bytes again."""
    line = size + PAD
    modules = f"{by_rows:0{line * size}b}".encode("ascii").translate(_TO_MODULES)
    return tuple(modules[at : at + size] for at in range(0, len(modules), line))


def best(first: Packed, changes: Sequence[Packed], size: int) -> int:
    """The symbol `first` with the mask of least penalty; by its rows.

    Args:
        first: the symbol with mask 0.
        changes: what to XOR to it to have it with masks 0..7.
        size: modules on a side.
    """
    valid = _valid(size)
    by_rows, by_columns = first
    masked = [(by_rows ^ rows, by_columns ^ columns) for rows, columns in changes]
    return min(masked, key=lambda symbol: _penalty(symbol, size, valid))[0]


@lru_cache(maxsize=8)
def _valid(size: int) -> int:
    """Ones where there are modules, zeros between the lines."""
    return int(("1" * size + "0" * PAD) * size, 2)


def penalty(digits: str, size: int) -> int:
    """The penalty of a symbol given as `size` rows of `size` digits 0 and 1, row after row."""
    rows = [digits[at : at + size] for at in range(0, len(digits), size)]
    columns = [digits[at::size] for at in range(size)]
    return _penalty((_joined(rows), _joined(columns)), size, _valid(size))


def _penalty(symbol: Packed, size: int, valid: int) -> int:
    line = size + PAD
    share = symbol[0].bit_count() * 100 / (size * size)
    total = 10 * int(abs(share - 50) / 5)
    for number, dark in enumerate(symbol):
        light = valid ^ dark
        for colour in (dark, light):
            # A run of n >= 5 holds n - 4 windows of five, and costs n - 2.
            two = colour & colour >> 1
            five = two & two >> 2 & colour >> 4
            total += five.bit_count() + 2 * (five & ~(five << 1)).bit_count()
            if number == 0:
                total += 3 * (two & two >> line).bit_count()
        finder = dark & light << 1 & dark << 2 & dark << 3 & dark << 4 & light << 5 & dark << 6
        if finder:
            before = ~(dark >> 1 | dark >> 2 | dark >> 3 | dark >> 4)
            after = ~(dark << 7 | dark << 8 | dark << 9 | dark << 10)
            total += 40 * (finder & (before | after)).bit_count()
    return total
