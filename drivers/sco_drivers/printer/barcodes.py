"""Bar codes: what may be in them, their width, the printer's own command, and their bars for a picture.

The bars come from python-barcode, which python-escpos brings along; it is loaded with the first code sent as a picture.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from sco_drivers.printer import Barcode, DocumentRefused, Symbology, TicketDoesNotFit, commands
from sco_drivers.printer.profile import Profile


class _Kind(NamedTuple):
    """One symbology.

    Attributes:
        number: for `GS k` in its form a (0 to 6), which has no CODE93 and CODE128; 65 more is form b.
        allowed: what may be in it.
        meaning: the same in words.
        digits: digits with the check digit; 0 for a code without a fixed length.
        drawn: its name in python-barcode; "" where that has none.
    """

    number: int
    allowed: str
    meaning: str
    digits: int = 0
    drawn: str = ""


_ASCII = r"[\x20-\x7e]{1,80}"
_KINDS = {
    Symbology.UPC_A: _Kind(0, r"\d{11,12}", "11 or 12 digits", 12, "upca"),
    Symbology.EAN13: _Kind(2, r"\d{12,13}", "12 or 13 digits", 13, "ean13"),
    Symbology.EAN8: _Kind(3, r"\d{7,8}", "7 or 8 digits", 8, "ean8"),
    Symbology.CODE39: _Kind(4, r"[0-9A-Z $%+./-]{1,80}", "digits, A to Z, and $ % + - . / and blanks", 0, "code39"),
    Symbology.ITF: _Kind(5, r"(\d\d){1,40}", "an even number of digits", 0, "itf"),
    Symbology.CODABAR: _Kind(
        6, r"[A-D][0-9$:/.+-]{1,78}[A-D]", "digits and $ : / . + - between two letters A to D", 0, "codabar"
    ),
    Symbology.CODE93: _Kind(7, _ASCII, "up to 80 characters of ASCII"),
    Symbology.CODE128: _Kind(8, _ASCII, "up to 80 characters of ASCII", 0, "code128"),
    Symbology.PDF417: _Kind(-1, r"(?s).{1,1500}", "up to 1500 characters"),
}
_MIN_MODULE, _MAX_MODULE = 2, 6
"""Dots of the narrowest bar: what `GS w` takes, and what scanners read."""


class BarcodePlan(NamedTuple):
    """How a bar code is printed.

    Attributes:
        data: with its check digit.
        module_dots, height_dots: size of its bars.
        number: for `GS k`; None where it is sent as a picture.
        bars: the rows of one line of the picture; empty where the printer draws it.
    """

    data: str
    module_dots: int
    height_dots: int
    number: int | None
    bars: bytes


def plan(code: Barcode, profile: Profile) -> BarcodePlan:
    """How to print `code`, which is not PDF417.

    Raises:
        DocumentRefused: it cannot be in a code of this kind. TicketDoesNotFit: it is too wide for the paper.
    """
    kind = _KINDS[code.symbology]
    data = checked(code)
    native = profile.barcodes == "b" or (profile.barcodes == "a" and kind.number < 7)
    if not native and not (kind.drawn and profile.raster):
        why = f"the profile {profile.name} prints no {code.symbology.value} codes"
        raise DocumentRefused(why, hint="choose another kind of code, or the printer's own profile")
    bars = "" if native else _bars(kind.drawn, data)
    modules = _modules(code.symbology, data) if native else len(bars)
    wanted = round(code.module_mm * profile.dpi / 25.4)
    module = min(wanted, _MAX_MODULE, profile.width_dots // modules)
    if wanted < _MIN_MODULE <= profile.width_dots // modules:
        finest = _MIN_MODULE * 25.4 / profile.dpi
        why = f"module_mm={code.module_mm:g} is too fine for {profile.dpi} dots per inch"
        raise TicketDoesNotFit(why, hint=f"give module_mm={finest:.2f} or more")
    if module < _MIN_MODULE:
        needed = modules * _MIN_MODULE * 25.4 / profile.dpi
        room = profile.width_dots * 25.4 / profile.dpi
        why = f"the bar code {data!r} needs {needed:.0f} mm, and {room:.0f} mm are available"
        raise TicketDoesNotFit(why, hint="shorten it, use code128, or give a larger module_mm")
    height = min(255, max(8, round(code.height_mm * profile.dpi / 25.4)))
    if native:
        return BarcodePlan(data, module, height, kind.number + (65 if profile.barcodes == "b" else 0), b"")
    wide = "".join(bar * module for bar in bars)
    padded = wide + "0" * (-len(wide) % 8)
    return BarcodePlan(data, module, height, None, int(padded, 2).to_bytes(len(padded) // 8, "big"))


def octets(symbology: Symbology, data: str) -> bytes:
    """`data` as `GS k` takes it: CODE128 in set C where it consists of pairs of digits, else in set B."""
    if symbology is not Symbology.CODE128:
        return data.encode("ascii")
    if _in_pairs(data):
        return b"{C" + bytes(int(data[at : at + 2]) for at in range(0, len(data), 2))
    return b"{B" + data.replace("{", "{{").encode("ascii")


def checked(code: Barcode) -> str:
    """Its data, with the check digit.

    Raises:
        DocumentRefused: it cannot be in a code of this kind.
    """
    kind, data = _KINDS[code.symbology], code.data
    if re.fullmatch(kind.allowed, data) is None or not (data.isascii() or code.symbology is Symbology.PDF417):
        raise DocumentRefused(f"{data!r} cannot be a {code.symbology.value} code: it takes {kind.meaning}")
    if kind.digits:
        digit = _check_digit(data[: kind.digits - 1])
        if len(data) == kind.digits and data[-1] != digit:
            raise DocumentRefused(f"{data!r} ends with a wrong check digit: it should be {digit}")
        data = data[: kind.digits - 1] + digit
    return data


def _check_digit(digits: str) -> str:
    total = sum(int(digit) * (3 if n % 2 == 0 else 1) for n, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def _in_pairs(data: str) -> bool:
    """Whether set C holds `data`, and none of its bytes would be a real-time command to the printer."""
    if not data.isdecimal() or len(data) < 4 or len(data) % 2:
        return False
    return not commands.looks_real_time(bytes(int(data[at : at + 2]) for at in range(0, len(data), 2)))


def _modules(symbology: Symbology, data: str) -> int:
    """Width of a code that the printer draws, in narrow bars, at most: a wide bar has up to three."""
    match symbology:
        case Symbology.UPC_A | Symbology.EAN13:
            return 95
        case Symbology.EAN8:
            return 67
        case Symbology.ITF:
            return 9 * len(data) + 9
        case Symbology.CODABAR:
            return 14 * len(data)
        case Symbology.CODE39:
            return 16 * (len(data) + 2)
        case Symbology.CODE93:
            return 18 * len(data) + 37  # half of ASCII takes two characters
        case _:
            return 11 * (len(data) // 2 if _in_pairs(data) else len(data)) + 35


def _bars(name: str, data: str) -> str:
    """The bars as "1" and their gaps as "0", in narrow bars."""
    import barcode

    options: dict[str, dict[str, int]] = {
        "code39": {"add_checksum": False},
        "itf": {"narrow": 1, "wide": 3},
        "codabar": {"narrow": 1, "wide": 3},
    }
    bars: str = barcode.get_barcode_class(name)(data, **options.get(name, {})).build()[0]
    return bars
