"""`sim://[?protocol=mertech&out=DIR]`: a simulated customer display, and the driver for real ones on its line."""

from __future__ import annotations

from sco_drivers.display.mertech import Mertech
from sco_drivers.display.qrscreen import QrScreen
from sco_drivers.display.serial_line import Commands, SerialDisplay, open_line
from sco_drivers.urls import DeviceUrl, opener
from sco_sim.display.device import VirtualDisplay

_COMMANDS: dict[str, type[Mertech | QrScreen]] = {"mertech": Mertech, "qrscreen": QrScreen}


class SimulatedDisplay(SerialDisplay):
    """The driver on the line of `simulator`, which is closed with it."""

    def __init__(self, url: DeviceUrl, commands: Commands, simulator: VirtualDisplay) -> None:
        self.simulator = simulator
        super().__init__(url, lambda: open_line(url, str(simulator.path)), commands)

    def close(self) -> None:
        """Close the driver, then the simulator. May be called twice."""
        super().close()
        self.simulator.close()


def _protocol(url: DeviceUrl) -> str:
    return url.choice("protocol", "mertech", tuple(_COMMANDS))


@opener(_protocol, example="sim://?protocol=qrscreen", params=("protocol", "out"), simulated=True)
def open_sim(url: DeviceUrl, protocol: str) -> SimulatedDisplay:
    """A simulated display with the real driver; the simulator is its attribute `simulator`.

    Raises:
        BadDeviceUrl: an unknown parameter or protocol.
    """
    simulator = VirtualDisplay(protocol, out=url.params.get("out"))
    try:
        return SimulatedDisplay(url, _COMMANDS[protocol](), simulator)
    except BaseException:
        simulator.close()
        raise
