"""Every state within the bounds keeps the invariants, and seeded faults do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sco_payment import attempt as m
from tests.verification.explore.faults import FAULTS
from tests.verification.explore.model import SCENARIOS, Scenario
from tests.verification.explore.search import Report, explore
from tests.verification.seeded import SeededFault, current, seeded

# Each is complete within these bounds in some seconds; `make explore` walks wider ones.
BOUNDS = [
    replace(SCENARIOS["screen"], life=1),
    replace(SCENARIOS["plate"], life=1, lies=False),
    replace(SCENARIOS["plate"], life=1, crashes=0),
    replace(SCENARIOS["unattributed"], life=1, crashes=0),
    replace(SCENARIOS["unattributed plate"], life=1, lies=False),
    replace(SCENARIOS["silent dialog"], life=2, lies=False),
    replace(SCENARIOS["screen"], life=2, crashes=0),
    replace(SCENARIOS["screen"], life=1, lies=False, disk_fails=True, duplicates=True),
    replace(SCENARIOS["refunding"], life=1, crashes=0),
    replace(SCENARIOS["refunding"], life=1, lies=False),
    replace(SCENARIOS["declining"], life=1, crashes=0),
    replace(SCENARIOS["jumping"], life=1, lies=False),
    replace(SCENARIOS["behind"], life=1, lies=False),
    replace(SCENARIOS["ahead"], life=2, lies=False, crashes=0),
]


REPORTS: dict[Scenario, Report] = {}
"""Of this process: the tests that share it run in one worker."""
SHARED = pytest.mark.xdist_group("exploration")


def report_of(scenario: Scenario) -> Report:
    if scenario not in REPORTS:
        REPORTS[scenario] = explore(scenario)
    return REPORTS[scenario]


@SHARED
@pytest.mark.parametrize(
    "scenario", BOUNDS, ids=lambda s: f"{s.name}-life{s.life}-crashes{s.crashes}{'-worse' * s.disk_fails}"
)
@pytest.mark.requirement("R12", "R16", "R18")
def test_every_state_keeps_the_invariants(scenario: Scenario) -> None:
    report = report_of(scenario)
    print(report.line())
    assert report.trace is None, f"{report.line()}\n{report.trace}"
    assert report.complete


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_seeded_fault_is_caught(fault: SeededFault) -> None:
    """With a bank that lies, with power cuts, or in a longer life without either."""
    scenario = SCENARIOS[fault.where]
    with seeded(fault):
        for bounds in ({"crashes": 0, "life": 1}, {"lies": False, "life": 1}, {"crashes": 0, "lies": False}):
            report = explore(replace(scenario, **bounds))
            if report.trace is not None:
                break
    assert report.trace is not None, f"not caught: {fault.name}"
    print(report.trace)
    assert report.violated in fault.breaks, report.trace


def test_a_seeded_fault_is_removed_again() -> None:
    before = {phase: dict(rules) for phase, rules in m.TABLE.items()}
    for fault in FAULTS:
        original = current(fault)
        with seeded(fault):
            assert all(new is not old for new, old in zip(current(fault), original, strict=True))
        assert current(fault) == original
    assert before == m.TABLE


@SHARED
def test_the_exploration_uses_every_arc_of_the_table() -> None:
    """An arc that no state can take is either dead or hides a state that the model cannot reach."""
    taken = set().union(*(report_of(scenario).arcs for scenario in BOUNDS))
    arcs = {(phase, event, to) for phase, rules in m.TABLE.items() for event, r in rules.items() for to in r.leads_to}
    assert {f"{a.value} {e.__name__} {b.value}" for a, e, b in arcs - taken} == set()
