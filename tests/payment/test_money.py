"""Amounts as people type them, and as they come on the wire."""

from __future__ import annotations

from decimal import Decimal

import pytest

from sco_payment.money import format_amount, kopecks_from_text, kopecks_from_wire


@pytest.mark.parametrize(
    ("text", "kopecks"),
    [
        ("253", 25300),
        ("2.5", 250),
        ("1000.50", 100050),
        ("1 000,50", 100050),
        ("1 000.50", 100050),
        ("1 000 000", 100000000),
        ("1\u00a0000,50", 100050),
        ("12\u202f345", 1234500),
        (" 253 ", 25300),
        ("999999999,99", 99999999999),
        ("999 999 999,99", 99999999999),
    ],
)
def test_an_amount_as_it_is_typed(text: str, kopecks: int) -> None:
    assert kopecks_from_text(text) == kopecks


@pytest.mark.parametrize("kopecks", [1, 100, 123456, 123456789, 99999999999])
def test_an_amount_as_it_is_shown_can_be_typed(kopecks: int) -> None:
    assert kopecks_from_text(format_amount(kopecks).removesuffix("\u00a0₽")) == kopecks


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "1,000", "1,000.50", "10 00", "1 0000", "1  000", "1000 000", "1 000 00", "1 000 ,50", "+5", "-5",
        "253\n", "253\r\n", "\n253", "253\u2028", "253\x0b", "\t253",
        "２５３", "٢٥٣", "२५३", "2５3", "253．50", "²53", "1e3", "1_000", "0x10",
    ],
)  # fmt: skip
def test_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="is not an amount: write roubles in digits 0 to 9"):
        kopecks_from_text(text)


@pytest.mark.parametrize("text", ["1000000000", "1 000 000 000", "1 000 000 000,00", "9999999999,99"])
def test_too_large_an_amount(text: str) -> None:
    with pytest.raises(ValueError, match="the largest amount possible"):
        kopecks_from_text(text)


@pytest.mark.parametrize("text", ["0", "0.00", "0,0", "000"])
def test_nothing_is_no_amount_to_pay(text: str) -> None:
    with pytest.raises(ValueError, match="more than zero"):
        kopecks_from_text(text)


@pytest.mark.parametrize(
    ("value", "kopecks"),
    [
        ("253.0000", 25_300),
        ("0.01", 1),
        ("-0.01", -1),
        ("0", 0),
        ("1E+3", 100_000),
        ("1." + "0" * 60, 100),
        ("10000000000000", 10**15),
        ("-10000000000000", -(10**15)),
    ],
)
def test_an_amount_on_the_wire(value: str, kopecks: int) -> None:
    assert kopecks_from_wire(Decimal(value)) == kopecks


@pytest.mark.parametrize(
    "value", ["NaN", "sNaN", "Infinity", "-Infinity", "10000000000000.01", "-10000000000000.01", "1E+999999"]
)
def test_no_amount_on_the_wire(value: str) -> None:
    with pytest.raises(ValueError, match="is not an amount"):
        kopecks_from_wire(Decimal(value))


@pytest.mark.parametrize("value", ["0.001", "253.005", "1." + "0" * 60 + "1"])
def test_a_fraction_of_a_kopeck_on_the_wire(value: str) -> None:
    with pytest.raises(ValueError, match="fraction of a kopeck"):
        kopecks_from_wire(Decimal(value))
