"""Seeds of what may go wrong between lanes and the centre, and the mistakes that they must find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.fleet.faults.search import Round, play
from tests.fleet.faults.seeded_faults import FAULTS
from tests.verification.seeded import SeededFault, current, seeded

pytestmark = pytest.mark.program("pg_createcluster")
_TRIES = 25


@pytest.mark.parametrize("seed", range(1, 7))
def test_nothing_that_was_acknowledged_is_lost(new_database: Callable[[], str], tmp_path: Path, seed: int) -> None:
    result = play(seed, new_database(), tmp_path)
    assert result.problem is None, result.line()


@pytest.mark.verify
@pytest.mark.parametrize("base", range(1_000, 1_200, 25))
def test_many_seeds(new_database: Callable[[], str], tmp_path: Path, base: int) -> None:
    broken = []
    for seed in range(base, base + 25):
        result = play(seed, new_database(), tmp_path / str(seed))
        if result.problem is not None:
            broken.append(result.line())
    assert broken == []


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_caught(new_database: Callable[[], str], tmp_path: Path, fault: SeededFault) -> None:
    before = current(fault)
    found: Round | None = None
    with seeded(fault):
        for seed in range(1, _TRIES + 1):
            found = play(seed, new_database(), tmp_path / str(seed), fault.where or "")
            if found.problem is not None:
                break
    assert found is not None
    assert found.problem is not None, f"{_TRIES} seeds have not found it"
    assert any(str(word) in found.problem for word in fault.breaks), found.line()
    assert current(fault) == before
    print(f"{fault.name}: found by seed {found.seed}: {found.problem}")
