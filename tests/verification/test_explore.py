"""Every world within the bounds keeps the invariants, and planted mistakes do not."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sco_payment import attempt as m
from tests.verification.explore.faults import FAULTS, Fault, planted
from tests.verification.explore.model import SCENARIOS, Scenario
from tests.verification.explore.search import Report, explore

# Complete within these bounds in some seconds each; `make explore` walks wider ones.
BOUNDS = [
    replace(SCENARIOS["screen"], life=1),
    replace(SCENARIOS["plate"], life=1, lies=False),
    replace(SCENARIOS["plate"], life=1, crashes=0),
    replace(SCENARIOS["untold"], life=1, crashes=0),
    replace(SCENARIOS["untold plate"], life=1, lies=False),
    replace(SCENARIOS["silent dialog"], life=2, lies=False),
    replace(SCENARIOS["screen"], life=2, crashes=0),
    replace(SCENARIOS["screen"], life=1, lies=False, disk_fails=True, duplicates=True),
]


REPORTS: dict[Scenario, Report] = {}


def report_of(scenario: Scenario) -> Report:
    if scenario not in REPORTS:
        REPORTS[scenario] = explore(scenario)
    return REPORTS[scenario]


@pytest.mark.parametrize(
    "scenario", BOUNDS, ids=lambda s: f"{s.name}-life{s.life}-crashes{s.crashes}{'-worse' * s.disk_fails}"
)
def test_every_world_keeps_the_invariants(scenario: Scenario) -> None:
    report = report_of(scenario)
    print(report.line())
    assert report.story is None, f"{report.line()}\n{report.story}"
    assert report.complete


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_mistake_is_caught(fault: Fault) -> None:
    """In a world that lies, in one that loses power, or in a longer one that does neither."""
    scenario = SCENARIOS[fault.scenario]
    with planted(fault):
        for bounds in ({"crashes": 0, "life": 1}, {"lies": False, "life": 1}, {"crashes": 0, "lies": False}):
            report = explore(replace(scenario, **bounds))
            if report.story is not None:
                break
    assert report.story is not None, f"nobody noticed: {fault.name}"
    print(report.story)
    assert report.violated in fault.breaks, report.story


def test_planting_leaves_no_trace() -> None:
    before = {phase: dict(rules) for phase, rules in m.TABLE.items()}
    names = {name: getattr(m, name) for fault in FAULTS for name in fault.functions}
    for fault in FAULTS:
        with planted(fault):
            pass
    assert before == m.TABLE
    assert names == {name: getattr(m, name) for name in names}


def test_the_exploration_uses_every_arc_of_the_table() -> None:
    """An arc that no world can take is either dead or hides a world that the model cannot make."""
    taken = set().union(*(report_of(scenario).arcs for scenario in BOUNDS))
    arcs = {(phase, event, to) for phase, rules in m.TABLE.items() for event, r in rules.items() for to in r.leads_to}
    assert {f"{a.value} {e.__name__} {b.value}" for a, e, b in arcs - taken} == set()
