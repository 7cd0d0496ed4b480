"""`sim://`: a virtual printer in this process, and the driver that ships on its TCP wire."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from sco_drivers.printer.escpos import EscPosPrinter
from sco_drivers.printer.transports import open_tcp_wire
from sco_drivers.sim.printer.device import VirtualPrinter
from sco_drivers.urls import DeviceUrl


class SimulatedPrinter(EscPosPrinter):
    """A driver with the virtual printer that it prints on: `simulator`."""

    def __init__(self, url: DeviceUrl, simulator: VirtualPrinter) -> None:
        self.simulator = simulator
        wire = DeviceUrl.parse(simulator.url)
        # The driver's own settings stand in the simulator's URL; the wire's address comes from the simulator.
        driver = replace(url, params={name: text for name, text in url.params.items() if name != "out"})
        super().__init__(driver, partial(open_tcp_wire, wire, 3.0))

    def close(self) -> None:
        """Close the driver, then the printer."""
        super().close()
        self.simulator.stop()


def open_sim(url: DeviceUrl) -> SimulatedPrinter:
    """`sim://[?paper_mm=58&out=DIR]` and the driver's own parameters.

    Raises:
        BadDeviceUrl: an unknown parameter.
    """
    url.only("paper_mm", "out", "profile", "dpi", "codec", "write_s", "done_s", "status_s")
    paper_mm = int(url.choice("paper_mm", "80", ("58", "80")))
    simulator = VirtualPrinter(paper_mm=paper_mm, dpi=url.integer("dpi", 203), out=url.params.get("out")).start()
    try:
        return SimulatedPrinter(url, simulator)
    except BaseException:
        simulator.stop()
        raise
