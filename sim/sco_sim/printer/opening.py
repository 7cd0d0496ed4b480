"""`sim://`: a virtual printer in this process, and the driver that ships on its TCP wire."""

from __future__ import annotations

from functools import partial

from sco_drivers.printer.escpos import PARAMETERS, EscPosPrinter, Options
from sco_drivers.printer.memory import Memory
from sco_drivers.printer.transports import TCP_PORT, open_tcp_wire
from sco_drivers.urls import DeviceUrl, opener
from sco_sim.printer.device import VirtualPrinter


class SimulatedPrinter(EscPosPrinter):
    """A driver with the virtual printer that it prints on: `simulator`."""

    def __init__(self, url: DeviceUrl, options: Options, simulator: VirtualPrinter) -> None:
        self.simulator = simulator
        wire = DeviceUrl.parse(simulator.url)
        connect = partial(open_tcp_wire, wire.host, wire.port or TCP_PORT, url.text, options.connect_s)
        super().__init__(url, options, connect, memory=Memory())

    def close(self) -> None:
        """Close the driver, then the printer."""
        super().close()
        self.simulator.stop()


def _options(url: DeviceUrl) -> tuple[Options, int, str | None]:
    """The driver's own options, the paper's width in mm, the directory for pictures of the tickets."""
    paper_mm = int(url.choice("paper_mm", "80", ("58", "80")))
    return Options.of(url), paper_mm, url.params.get("out")


@opener(_options, example="sim://?paper_mm=58", params=("out", *PARAMETERS), simulated=True)
def open_sim(url: DeviceUrl, found: tuple[Options, int, str | None]) -> SimulatedPrinter:
    """`sim://[?paper_mm=58&out=DIR]` and the driver's own parameters.

    Raises:
        BadDeviceUrl: an unknown parameter.
    """
    options, paper_mm, out = found
    simulator = VirtualPrinter(paper_mm=paper_mm, dpi=options.profile.dpi, out=out).start()
    try:
        return SimulatedPrinter(url, options, simulator)
    except BaseException:
        simulator.stop()
        raise
