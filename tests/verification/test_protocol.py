"""Every state of the protocol between till, service and bank keeps the invariants, and seeded faults do not."""

from __future__ import annotations

import pytest

from tests.verification.protocol.faults import FAULTS
from tests.verification.protocol.model import SCENARIOS, Scenario
from tests.verification.protocol.search import explore
from tests.verification.seeded import SeededFault, current, seeded


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=lambda scenario: scenario.name)
def test_every_state_keeps_the_invariants(scenario: Scenario) -> None:
    report = explore(scenario)
    print(report.line())
    assert report.trace is None, f"{report.line()}\n{report.trace}"
    assert report.at_rest > 100, "a till that sells nothing breaks no other invariant"


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_caught(fault: SeededFault) -> None:
    with seeded(fault):
        report = explore(fault.where)
    assert report.trace is not None, f"not caught: {fault.name}"
    print(report.line())
    print(report.trace)
    assert report.violated in fault.breaks, report.trace


def test_a_seeded_fault_is_removed_again() -> None:
    for fault in FAULTS:
        original = current(fault)
        with seeded(fault):
            assert all(new is not old for new, old in zip(current(fault), original, strict=True))
        assert current(fault) == original
