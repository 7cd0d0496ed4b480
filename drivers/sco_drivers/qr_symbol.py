"""A QR symbol of plain text in byte mode, many times faster than by a general encoder (ISO/IEC 18004, 7.4 to 7.10).

A payment link is ASCII, and its version and level are nearly always those of the link before: all that differs is what
the code words put into their places. So the fixed patterns, the format and the place of every bit are worked out once
for a version and level; a new text costs its code words, one division by the generator for each block, and one look-up
for each module. All other texts are segno's, which is not even loaded for a link (6 MiB and 25 ms on a lane); that
both make the same symbols is tested for every version and level.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from itertools import chain, zip_longest
from operator import itemgetter

from sco_drivers.qr_mask import PAD, Packed, packed

_BYTE_MODE = re.compile(r"[^0-9A-Z $%*+\-./:]")

MASKS = 8

# Table 9: for versions 1 to 40, error correction code words of a block, and blocks.
_CORRECTION = {
    "L": (
        bytes.fromhex("070a0f141a1214181e1214181a1e16181c1e1c1c1c1c1e1e1a1c1e1e1e1e1e1e1e1e1e1e1e1e1e1e"),
        bytes.fromhex("01010101010202020204040404040606060607080809090a0c0c0c0d0e0f10111213131415161819"),
    ),
    "M": (
        bytes.fromhex("0a101a1218101216161a1e161618181c1c1a1a1a1a1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c1c"),
        bytes.fromhex("01010102020404040505050809090a0a0b0d0e10111112141517191a1c1d1f21232526282b2d2f31"),
    ),
    "Q": (
        bytes.fromhex("0d16121a1218121614181c1a18141e181c1c1a1e1c1e1e1e1e1c1e1e1e1e1e1e1e1e1e1e1e1e1e1e"),
        bytes.fromhex("01010202040406060808080a0c100c11101215141717191b1d22222326282b2d303335383b3e4144"),
    ),
    "H": (
        bytes.fromhex("111c1610161c1a1a181c181c1618181e1c1c1a1c1e181e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e"),
        bytes.fromhex("010102040404050608080b0b101012101315191919221e202325282a2d303336393c3f42464a4d51"),
    ),
}
_LEVEL_BITS = {"L": 1, "M": 0, "Q": 3, "H": 2}

Block = tuple[int, int]
"""Code words of data and of error correction."""

Modules = list[list[int | None]]
"""1 dark, 0 light, None where data go."""


def first_mask(text: str, level: str) -> tuple[int, Packed] | None:
    """Version and symbol of `text` with mask 0; None when the general encoder is to make it.

    Args:
        text: what it says.
        level: L, M, Q or H.
    """
    if not text.isascii() or not _BYTE_MODE.search(text):
        return None
    version = _version(len(text), level)
    return None if version is None else (version, _template(version, level).symbol(text.encode("ascii")))


@lru_cache(maxsize=4)
def changes(version: int, level: str) -> tuple[Packed, ...]:
    """What to XOR to a symbol of mask 0 to have it with masks 0..7."""
    masked = [packed(_filled(_fixed(version, level, mask), mask)) for mask in range(MASKS)]
    return tuple((rows ^ masked[0][0], columns ^ masked[0][1]) for rows, columns in masked)


@lru_cache(maxsize=128)
def _version(length: int, level: str) -> int | None:
    """The smallest version that holds `length` bytes."""
    fitting = (version for version in range(1, 41) if length <= room(version, level))
    return next(fitting, None)


def room(version: int, level: str) -> int:
    """Bytes that a symbol holds in byte mode."""
    return sum(data for data, _ in _blocks(version, level)) - (2 if version < 10 else 3)


def _blocks(version: int, level: str) -> tuple[Block, ...]:
    """The blocks of a symbol, in order: the shorter ones first."""
    check, count = (column[version - 1] for column in _CORRECTION[level])
    shorter, longer = divmod(_code_words(version), count)
    return tuple((shorter + (number >= count - longer) - check, check) for number in range(count))


@lru_cache(maxsize=40)
def _code_words(version: int) -> int:
    """Whole bytes that the modules without a fixed pattern hold."""
    return sum(line.count(None) for line in _fixed(version, "L", 0)) // 8


def _alignment(version: int) -> list[int]:
    """Rows, which are also columns, of the middles of alignment patterns (annex E)."""
    if version == 1:
        return []
    count = version // 7 + 2
    step = 26 if version == 32 else -(-(4 * version + 4) // (2 * count - 2)) * 2
    return [6, *(10 + 4 * version - step * at for at in range(count - 2, -1, -1))]


def _fixed(version: int, level: str, mask: int) -> Modules:
    """Everything that does not depend on the text."""
    size = 17 + 4 * version
    modules: Modules = [[None] * size for _ in range(size)]
    for at in range(8, size - 8):
        modules[6][at] = modules[at][6] = 1 - at % 2
    for top, left in ((-1, -1), (-1, size - 8), (size - 8, -1)):
        _square(modules, top, left, 9, (0, 1, 0, 1, 1))
    middles = _alignment(version)
    for row in middles:
        for column in middles:
            if (row, column) not in ((6, 6), (6, middles[-1]), (middles[-1], 6)):  # there the finder patterns are
                _square(modules, row - 2, column - 2, 5, (1, 0, 1))
    form = _LEVEL_BITS[level] << 3 | mask
    form = (form << 10 | _rest(form << 10, 0x537)) ^ 0x5412
    for bit in range(15):
        value = form >> bit & 1
        # Once around the finder pattern at the top left, once shared between the other two.
        row = bit if bit < 6 else bit + 1 if bit < 8 else size - 15 + bit
        column = size - 1 - bit if bit < 8 else 7 if bit == 8 else 14 - bit
        modules[row][8] = modules[8][column] = value
    modules[size - 8][8] = 1
    if version >= 7:
        said = version << 12 | _rest(version << 12, 0x1F25)
        for bit in range(18):
            row, column = bit // 3, size - 11 + bit % 3
            modules[row][column] = modules[column][row] = said >> bit & 1
    return modules


def _square(modules: Modules, top: int, left: int, side: int, rings: tuple[int, ...]) -> None:
    """A pattern of squares, one in another, from the outermost; what lies outside the symbol is left out."""
    for y in range(side):
        for x in range(side):
            if 0 <= top + y < len(modules) and 0 <= left + x < len(modules):
                modules[top + y][left + x] = rings[min(x, y, side - 1 - x, side - 1 - y)]


def _rest(value: int, divisor: int) -> int:
    """Remainder of polynomials over GF(2)."""
    while value.bit_length() >= divisor.bit_length():
        value ^= divisor << value.bit_length() - divisor.bit_length()
    return value


def _is_dark(mask: int, row: int, column: int) -> bool:
    """Whether `mask` turns a module (table 10)."""
    product = row * column
    return not (
        (row + column) % 2,
        row % 2,
        column % 3,
        (row + column) % 3,
        (row // 2 + column // 3) % 2,
        product % 2 + product % 3,
        (product % 2 + product % 3) % 2,
        ((row + column) % 2 + product % 3) % 2,
    )[mask]


def _filled(modules: Modules, mask: int) -> Iterable[bytes]:
    """Rows of the symbol whose code words are all zero."""
    for row, line in enumerate(modules):
        yield bytes(_is_dark(mask, row, at) if module is None else module for at, module in enumerate(line))


class _Template:
    """All that symbols of one version and level have in common."""

    def __init__(self, version: int, level: str) -> None:
        self._version = version
        self._blocks = _blocks(version, level)
        modules = _fixed(version, level, 0)
        self._bits = 8 * _code_words(version)
        self._empty = packed(_filled(modules, 0))
        size = len(modules)
        # The number of the bit in each module, and of the zero behind the last one where there is none.
        bit_of = dict(zip(_places(modules), range(self._bits), strict=False))
        gap = [self._bits] * PAD
        rows: list[int] = []
        columns: list[int] = []
        for line in range(size):
            rows += [bit_of.get((line, at), self._bits) for at in range(size)] + gap
            columns += [bit_of.get((at, line), self._bits) for at in range(size)] + gap
        self._rows, self._columns = itemgetter(*rows), itemgetter(*columns)

    def symbol(self, data: bytes) -> Packed:
        """The symbol of `data`, with mask 0."""
        bits = f"{int.from_bytes(self._message(data), 'big'):0{self._bits}b}0"
        by_rows, by_columns = self._empty
        return int("".join(self._rows(bits)), 2) ^ by_rows, int("".join(self._columns(bits)), 2) ^ by_columns

    def _message(self, data: bytes) -> bytes:
        """The code words: data and error correction, the blocks interleaved."""
        count = 8 if self._version < 10 else 16
        # Mode 0100, the count, the data and a terminator of four zeros end on a whole byte. segno lets one more zero
        # byte follow before the pad words, which readers do not look at; so do we, to be comparable with it.
        message = (0x4 << count | len(data)) << 8 * len(data) | int.from_bytes(data, "big")
        stream = (message << 4).to_bytes(1 + count // 8 + len(data), "big") + b"\0"
        space = sum(size for size, _ in self._blocks)
        stream = (stream + b"\xec\x11" * (space // 2))[:space]
        blocks, checks, at = [], [], 0
        for size, check in self._blocks:
            blocks.append(stream[at : at + size])
            checks.append(_remainder(blocks[-1], check))
            at += size
        return bytes(chain(_interleaved(blocks), _interleaved(checks)))


def _places(modules: Modules) -> Iterable[tuple[int, int]]:
    """Row and column of every bit, in the order of the code words: in pairs of columns from the right, up and down."""
    size = len(modules)
    upwards = True
    for right in (*range(size - 1, 6, -2), 5, 3, 1):  # column 6 is the timing pattern's
        for row in range(size - 1, -1, -1) if upwards else range(size):
            for column in (right, right - 1):
                if modules[row][column] is None:
                    yield row, column
        upwards = not upwards


def _interleaved(blocks: Sequence[bytes]) -> Iterable[int]:
    if len(blocks[0]) == len(blocks[-1]):
        return chain.from_iterable(zip(*blocks, strict=True))
    return (word for words in zip_longest(*blocks) for word in words if word is not None)


def _remainder(block: bytes, check: int) -> bytes:
    """The error correction code words of a block: its remainder by the generator polynomial over GF(256)."""
    table, shift = _multiples(check), 8 * (check - 1)
    mask = (1 << shift) - 1
    rest = 0
    for word in block:
        rest = (rest & mask) << 8 ^ table[rest >> shift ^ word]
    return rest.to_bytes(check, "big")


@lru_cache(maxsize=4)
def _multiples(check: int) -> tuple[int, ...]:
    """The generator polynomial of degree `check` without its first term, times 0..255, each as one integer."""
    powers = [1]
    for _ in range(254):
        powers.append(powers[-1] << 1 ^ (0x11D if powers[-1] & 0x80 else 0))  # x^8 + x^4 + x^3 + x^2 + 1
    logarithms = {power: exponent for exponent, power in enumerate(powers)}

    def times(one: int, other: int) -> int:
        return powers[(logarithms[one] + logarithms[other]) % 255] if one and other else 0

    generator = [1]
    for exponent in range(check):  # times (x - 2^exponent)
        root = powers[exponent]
        generator = [high ^ times(low, root) for high, low in zip([*generator, 0], [0, *generator], strict=True)]
    return tuple(int.from_bytes(bytes(times(by, term) for term in generator[1:]), "big") for by in range(256))


@lru_cache(maxsize=4)
def _template(version: int, level: str) -> _Template:
    return _Template(version, level)
