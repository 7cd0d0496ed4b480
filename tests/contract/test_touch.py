"""One contract over every touch panel that can be had without hardware: one finger and many, all turns, odd ranges.

The turns are written out here by hand, so that the driver's own arithmetic is not judged by itself.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sco_drivers.registry import open_touch
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.touch import CHECKS, TouchBench, taps_are_where_the_finger_is
from sco_sim.touch import VirtualTouch

pytestmark = pytest.mark.usefixtures("idle_time")

Turn = Callable[[float, float], tuple[float, float]]

# From where the customer sees the finger to where the panel, glued on a display turned clockwise, feels it.
TURNS: dict[str, Turn] = {
    "rotate=0": lambda u, v: (u, v),
    "rotate=90": lambda u, v: (1 - v, u),
    "rotate=180": lambda u, v: (1 - u, 1 - v),
    "rotate=270": lambda u, v: (v, 1 - u),
    "swap_xy=1": lambda u, v: (v, u),
    "flip_x=1": lambda u, v: (1 - u, v),
    "flip_y=1&swap_xy=1": lambda u, v: (1 - v, u),
    "calibration=-1,0,1,0,1,0": lambda u, v: (1 - u, v),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("multi", [False, True], ids=["one finger", "many fingers"])
def test_contract(multi: bool, check: Check[TouchBench]) -> None:
    with VirtualTouch((800, 480), multi=multi) as finger, open_touch(finger.url) as touch:
        check.run(TouchBench(touch, finger, finger.unplug, finger.drop))


@pytest.mark.parametrize("query", TURNS)
def test_taps_are_where_the_finger_is_for_every_mounting(query: str) -> None:
    with (
        VirtualTouch((480, 800), axis_max=32767, turn=TURNS[query]) as finger,
        open_touch(f"spy+{finger.url}&{query}") as touch,
    ):
        taps_are_where_the_finger_is(TouchBench(touch, finger))
