"""One contract over every customer display that can be had without hardware, looked at by an independent decoder."""

from __future__ import annotations

import pytest

from sco_drivers import open_display
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.display import CHECKS, DisplayBench, open_bench
from sco_sim.display import VirtualDisplay

URLS = ("sim://", "sim://?protocol=qrscreen", "spy+sim://", "none://", "spy+none://")


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("url", URLS)
def test_contract(url: str, check: Check[DisplayBench]) -> None:
    with open_bench(url) as bench:
        check.run(bench)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
@pytest.mark.parametrize("protocol", ["mertech", "qrscreen"])
@pytest.mark.parametrize("baud", ["", "?baud=9600"])
def test_contract_over_a_serial_line(protocol: str, baud: str, check: Check[DisplayBench]) -> None:
    with VirtualDisplay(protocol) as simulator, open_display(simulator.url + baud) as display:
        check.run(DisplayBench(display, simulator))
