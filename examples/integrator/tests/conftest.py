"""The shop's own fixtures, on top of those that come with sco-paymaster (`lane`, `paymaster_simulator`, ...)."""

from __future__ import annotations

import pytest
from corner_till import Receipt, Till, TillScreen

from sco_sim import LaneBench


@pytest.fixture
def screen() -> TillScreen:
    return TillScreen()


@pytest.fixture
def till(lane: LaneBench, screen: TillScreen) -> Till:
    """A till on the bench's lane, with the shop's own screen and a card terminal that always agrees."""
    return Till(lane.open(ui=screen), card=lambda kopecks: True)


@pytest.fixture
def receipt() -> Receipt:
    return Receipt("7-0042", [("Хлеб", 53_00), ("Кофе", 200_00)])
