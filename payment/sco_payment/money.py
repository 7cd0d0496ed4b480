"""Amounts of money: whole kopecks inside, Decimal roubles on the wire, Russian notation to read."""

from __future__ import annotations

import re
from decimal import Context, Decimal, Inexact

_LARGEST = Decimal(10) ** 13  # roubles: a broken number must not cost memory or time
_EXACT = Context(prec=50, traps=[Inexact])
"""Python's own rounds what has more than 28 digits."""
_GROUPED = "[0-9]{1,3}(?:[ \u00a0\u202f][0-9]{3})+"
_ROUBLES = re.compile(rf"([0-9]{{1,9}}|{_GROUPED})(?:[.,]([0-9]{{1,2}}))?")
_TOO_LARGE = re.compile(r"[0-9]{10,}(?:[.,][0-9]{1,2})?")
_DIGITS = re.compile("[^0-9]")
_LARGEST_TYPED = 10**11 - 1
NO_BREAK_SPACE = "\u00a0"


def kopecks_from_text(text: str) -> int:
    """An amount as it is typed ("253", "2.53", "2,5", "1 000,50") in kopecks.

    Thousands may be set apart by spaces. Digits are 0 to 9 only: what looks like another amount to a reader is none.

    Raises:
        ValueError: not a positive amount of roubles with at most two digits of kopecks.
    """
    text = text.strip(" ")
    match = _ROUBLES.fullmatch(text)
    kopecks = 0 if match is None else int(_DIGITS.sub("", match[1])) * 100 + int((match[2] or "0").ljust(2, "0"))
    if kopecks > _LARGEST_TYPED or _TOO_LARGE.fullmatch(text):
        raise ValueError(f"{text!r} is more than {format_amount(_LARGEST_TYPED)}, the largest amount possible")
    if match is None:
        raise ValueError(
            f"{text!r} is not an amount: write roubles in digits 0 to 9 with at most two digits of kopecks, "
            "e.g. 253, 2.53 or 1 000,50"
        )
    if kopecks == 0:
        raise ValueError("the amount must be more than zero")
    return kopecks


def kopecks_from_wire(value: Decimal) -> int:
    """PayMaster's `10.5000` in kopecks.

    Raises:
        ValueError: a fraction of a kopeck, not a finite number, or far too large.
    """
    if not value.is_finite() or abs(value) > _LARGEST:
        raise ValueError(f"{value} is not an amount")
    try:
        kopecks = _EXACT.multiply(value, Decimal(100))
    except Inexact:
        kopecks = None
    if kopecks is None or kopecks != kopecks.to_integral_value():
        raise ValueError(f"{value} has a fraction of a kopeck")
    return int(kopecks)


def roubles(kopecks: int) -> Decimal:
    """Kopecks as a Decimal of roubles with two digits."""
    return (Decimal(kopecks) / 100).quantize(Decimal("0.01"))


def format_amount(kopecks: int, *, currency: str = "RUB") -> str:
    """`123456` -> `1 234,56 ₽`, with no-break spaces; another currency than the rouble has its code for a sign."""
    whole, fraction = divmod(kopecks, 100)
    sign = "₽" if currency == "RUB" else currency
    return f"{whole:,}".replace(",", NO_BREAK_SPACE) + f",{fraction:02d}{NO_BREAK_SPACE}{sign}"
