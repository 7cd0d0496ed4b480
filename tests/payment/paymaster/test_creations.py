"""What a process remembers of the payments that it has created: enough for the last ones, and no more."""

from __future__ import annotations

from datetime import UTC, datetime

from sco_payment.paymaster.creations import Creation, Creations

AT = datetime(2026, 11, 30, tzinfo=UTC)


def test_the_last_ones_are_remembered() -> None:
    found = Creations()
    for number in range(257):
        found.add(f"k{number}", Creation(AT, payment_id=f"p{number}"))
    assert found.get("k0") is None
    assert found.others("k1") == {f"p{number}" for number in range(2, 257)}
    assert len(found.others("another")) == 256


def test_the_first_one_of_an_attempt_is_kept() -> None:
    found = Creations()
    first = found.add("k", Creation(AT, 5.0))
    assert found.add("k", Creation(AT, 6.0)) is first is found.get("k")


def test_a_payment_whose_id_is_not_known_is_nobodys() -> None:
    found = Creations()
    found.add("k", Creation(AT))
    assert found.others("another") == set()
