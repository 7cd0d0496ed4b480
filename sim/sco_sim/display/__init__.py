"""A simulated customer QR display: a pseudo-terminal that takes its commands, and a picture of what it shows."""

from sco_sim.display.device import VirtualDisplay
from sco_sim.display.opening import open_sim

__all__ = ["VirtualDisplay", "open_sim"]
