"""`sim://`: a virtual printer in this process, and the driver that ships on its TCP wire."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sco_drivers.printer.escpos import EscPosPrinter, check_parameters, profile_of
from sco_drivers.printer.memory import Memory
from sco_drivers.printer.transports import open_tcp_wire
from sco_drivers.urls import DeviceUrl, checked_by
from sco_sim.printer.device import VirtualPrinter


class SimulatedPrinter(EscPosPrinter):
    """A driver with the virtual printer that it prints on: `simulator`."""

    def __init__(self, url: DeviceUrl, simulator: VirtualPrinter) -> None:
        self.simulator = simulator
        wire = DeviceUrl.parse(simulator.url)
        # The driver's own settings stand in the simulator's URL; the wire's address comes from the simulator.
        driver = replace(url, params={name: text for name, text in url.params.items() if name != "out"})
        super().__init__(driver, partial(open_tcp_wire, wire, 3.0), memory=Memory())

    def close(self) -> None:
        """Close the driver, then the printer."""
        super().close()
        self.simulator.stop()


def _paper_mm(url: DeviceUrl) -> int:
    return int(url.choice("paper_mm", "80", ("58", "80")))


def _check(url: DeviceUrl) -> None:
    _paper_mm(url)
    check_parameters(url, "out")


@checked_by(_check)
def open_sim(url: DeviceUrl) -> SimulatedPrinter:
    """`sim://[?paper_mm=58&out=DIR]` and the driver's own parameters.

    Raises:
        BadDeviceUrl: an unknown parameter.
    """
    dpi = profile_of(url).dpi
    simulator = VirtualPrinter(paper_mm=_paper_mm(url), dpi=dpi, out=url.params.get("out")).start()
    try:
        return SimulatedPrinter(url, simulator)
    except BaseException:
        simulator.stop()
        raise
