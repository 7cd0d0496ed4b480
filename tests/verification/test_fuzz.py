"""The kept corpora are replayed, and mixed and mutated a little; `make fuzz` searches for longer."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.verification.fuzz.__main__ import mutated
from tests.verification.fuzz.targets import TARGETS, corpus

_ROUNDS = {"journal_file": 60, "settings": 150}


@pytest.mark.parametrize("name", TARGETS)
def test_the_kept_corpus(name: str) -> None:
    kept = corpus(name)
    assert kept
    for path in kept:
        TARGETS[name](path.read_bytes())


@pytest.mark.parametrize("name", TARGETS)
def test_near_the_corpus(name: str) -> None:
    rng = random.Random(name)
    pool = [path.read_bytes() for path in corpus(name)]
    for _ in range(_ROUNDS.get(name, 400)):
        data = mutated(rng, pool)
        try:
            TARGETS[name](data)
        except Exception as error:
            raise AssertionError(f"{name} fails for {data[:200]!r}... ({len(data)} octets)") from error


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in _ROUNDS])
def test_far_from_it(name: str) -> None:
    @settings(max_examples=60, derandomize=True)
    @given(st.binary(max_size=400) | st.text(max_size=80).map(str.encode))
    def any_octets(data: bytes) -> None:
        TARGETS[name](data)

    any_octets()
