"""Barcodes that a printer draws itself: `GS k` by python-barcode, which python-escpos brings, PDF417 by zxing-cpp.

Takes a command's data and gives dots. Widths follow Epson's reference of `GS w`.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import Any

KINDS = (
    "UPC-A",
    "UPC-E",
    "EAN-13",
    "EAN-8",
    "CODE39",
    "ITF",
    "CODABAR",
    "CODE93",
    "CODE128",
    "GS1-128",
    "GS1 DataBar Omnidirectional",
    "GS1 DataBar Truncated",
    "GS1 DataBar Limited",
    "GS1 DataBar Expanded",
    "CODE128 auto",
)
"""By the number m of `GS k`: from 0 in the form that ends with NUL (to CODABAR), from 65 in that with a length."""

_WIDE_DOTS = {2: 5, 3: 8, 4: 10, 5: 13, 6: 16}
"""Thick bars of CODE39, ITF and CODABAR by the dots of thin ones."""

_SHIFT = 98
_TO = {"A": 101, "B": 100, "C": 99}
_FUNCTION = {
    "A": {"1": 102, "2": 97, "3": 96, "4": 101},
    "B": {"1": 102, "2": 97, "3": 96, "4": 100},
    "C": {"1": 102},
}


class NotDrawn(ValueError):
    """The data make no such barcode, or it is of a kind that is not drawn here; the message says which."""


@dataclass(frozen=True, slots=True)
class Barcode:
    """A barcode: its kind, the text that a scanner reads and one row of dots, each 0 or 1."""

    kind: str
    text: str
    row: bytes


def linear(m: int, data: bytes, dots: int) -> Barcode:
    """The barcode of `GS k`.

    Args:
        m: its kind: 0 to 6, or 65 to 79.
        data: of the command, without length or NUL.
        dots: width of a module, or of a thin bar (`GS w`).

    Raises:
        NotDrawn: see there.
    """
    number = m - 65 if m >= 65 else m
    if not 0 <= number < (len(KINDS) if m >= 65 else 7):
        raise NotDrawn(f"barcode {m} is not known")
    kind = KINDS[number]
    text = data.decode("latin-1")
    if kind in ("UPC-A", "EAN-13", "EAN-8"):
        return Barcode(kind, *_article_number(kind, text, dots))
    if kind in ("CODE39", "ITF", "CODABAR"):
        text, bars = _two_widths(kind, text)
        wide = _WIDE_DOTS.get(dots, round(2.5 * dots))
        row = b"".join(
            (b"\x01" if bar == "1" else b"\x00") * (dots if len(list(run)) == 1 else wide) for bar, run in groupby(bars)
        )
        return Barcode(kind, text, row)
    if kind == "CODE128":
        text, values = _code128(text)
        return Barcode(kind, text, _modules(_code128_bars(values), dots))
    raise NotDrawn(f"{kind} is not drawn")


def _modules(bars: str, dots: int) -> bytes:
    return b"".join((b"\x01" if bar == "1" else b"\x00") * dots for bar in bars)


def _article_number(kind: str, text: str, dots: int) -> tuple[str, bytes]:
    from barcode.ean import EuropeanArticleNumber8, EuropeanArticleNumber13

    digits = {"UPC-A": 11, "EAN-13": 12, "EAN-8": 7}[kind]
    if not (text.isascii() and text.isdigit() and len(text) in (digits, digits + 1)):
        raise NotDrawn(f"{kind} takes {digits} or {digits + 1} digits, not {text!r}")
    full = "0" + text if kind == "UPC-A" else text  # it is the EAN-13 that begins with 0
    symbol = (EuropeanArticleNumber8 if kind == "EAN-8" else EuropeanArticleNumber13)(full)
    whole = str(symbol.get_fullcode())
    if len(text) > digits and text[-1] != whole[-1]:
        raise NotDrawn(f"{kind} {text}: its check digit should be {whole[-1]}")
    return whole[1:] if kind == "UPC-A" else whole, _modules(symbol.build()[0], dots)


def _two_widths(kind: str, text: str) -> tuple[str, str]:
    """The text as read, and its bars with thin ones of one digit."""
    from barcode.codabar import CODABAR
    from barcode.codex import Code39
    from barcode.errors import BarcodeError
    from barcode.itf import ITF

    try:
        if kind == "CODE39":
            text = text.strip("*")
            if not text:
                raise NotDrawn("CODE39 without data")
            if text != text.upper():
                raise NotDrawn(f"CODE39 has no small letters: {text!r}")
            return text, Code39(text, add_checksum=False).build()[0]
        if kind == "ITF":
            text = text[: len(text) // 2 * 2]  # the last of an odd number of digits is ignored
            return text, ITF(text, narrow=1, wide=2).build()[0]
        return text.upper(), CODABAR(text.upper(), narrow=1, wide=2).build()[0]
    except (BarcodeError, IndexError) as error:
        raise NotDrawn(f"{kind} cannot hold {text!r}: {error}") from None


def _code128(text: str) -> tuple[str, list[int]]:
    """The text as read, and the symbol's values. The data name their code sets: {A, {B, {C; {S, {1 to {4, {{."""
    if text[:2] not in ("{A", "{B", "{C") or len(text) < 3:
        raise NotDrawn(f"CODE128 begins with {{A, {{B or {{C, not {text[:2]!r}")
    code_set, shifted = text[1], False
    values, read, at = [103 + "ABC".index(code_set)], "", 2
    while at < len(text):
        char = text[at]
        command = text[at + 1 : at + 2] if char == "{" else ""
        at += 2 if command else 1
        if command in _TO and command != code_set:
            code_set = command
            values.append(_TO[command])
        elif command == "S" and code_set != "C":
            values.append(_SHIFT)
            shifted = True
        elif command in _FUNCTION[code_set]:
            values.append(_FUNCTION[code_set][command])
        elif command and command != "{":
            raise NotDrawn(f"CODE128 has no {{{command} in code set {code_set}")
        else:
            value, chars = _code128_value(char, {"A": "B", "B": "A"}.get(code_set, "C") if shifted else code_set)
            values.append(value)
            read += chars
            shifted = False
    return read, values


def _code128_value(char: str, code_set: str) -> tuple[int, str]:
    code = ord(char)
    if code_set == "C" and code < 100:
        return code, f"{code:02}"
    if code_set == "A" and code < 96:
        return (code - 32 if code >= 32 else code + 64), char
    if code_set == "B" and 32 <= code < 128:
        return code - 32, char
    raise NotDrawn(f"CODE128 has no octet {code} in code set {code_set}")


def _code128_bars(values: list[int]) -> str:
    from barcode.charsets import code128

    check = (values[0] + sum(at * value for at, value in enumerate(values))) % 103
    return "".join((*(code128.CODES[value] for value in (*values, check)), code128.STOP, "11"))


@dataclass(slots=True)
class Pdf417:
    """What `GS ( k` has set and stored for a PDF417: sizes in dots and in modules, 0 columns or rows for any number."""

    columns: int = 0
    rows: int = 0
    module: int = 3
    row_height: int = 3
    level: str = ""
    compact: bool = False
    data: bytes = b""

    def set(self, fn: int, p: bytes) -> None:
        """Take a setting, or the data. One that is out of range changes nothing."""
        n = p[0]
        if fn == 65 and n <= 30:
            self.columns = n
        elif fn == 66 and (n == 0 or 3 <= n <= 90):
            self.rows = n
        elif fn == 67 and 2 <= n <= 8:
            self.module = n
        elif fn == 68 and 2 <= n <= 8:
            self.row_height = n
        elif fn == 69 and len(p) > 1:  # a level, or a part of the data: then the usual level for so much data is taken
            self.level = str(p[1] - 48) if n == 48 and 48 <= p[1] <= 56 else ""
        elif fn == 70 and n in (0, 1):
            self.compact = bool(n)
        elif fn == 80 and n == 48:
            self.data = p[1:]

    def symbol(self) -> list[bytes]:
        """Its rows of dots.

        Raises:
            NotDrawn: no symbol of this size holds the data, or zxing-cpp is not installed.
        """
        try:
            import zxingcpp

            formats = zxingcpp.BarcodeFormat
            wanted = {"columns": self.columns, "rows": self.rows, "ecLevel": self.level}
            code = zxingcpp.create_barcode(
                self.data,
                formats.CompactPDF417 if self.compact else formats.PDF417,
                **{name: value for name, value in wanted.items() if value},
            )
            image: Any = code.to_image(scale=1, add_quiet_zones=False)
        except (ImportError, AttributeError):
            raise NotDrawn("PDF417 needs zxing-cpp 3: pip install 'sco-paymaster[simulator]'") from None
        except ValueError as error:
            raise NotDrawn(f"PDF417 cannot hold {len(self.data)} octets so: {error}") from None
        across, grey = image.shape[1], bytes(memoryview(image).cast("B"))
        lines = (grey[at : at + across] for at in range(0, len(grey), across))
        # Each row of the symbol differs from the one before, so that equal lines are one row.
        rows = [bytes(dot for level in line for dot in (int(level < 128),) * self.module) for line, _ in groupby(lines)]
        return [row for row in rows for _ in range(self.row_height * self.module)]
