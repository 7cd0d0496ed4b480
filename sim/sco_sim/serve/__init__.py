"""Mock devices for tests in any language: what `sco-sim serve` runs, and its API on HTTP.

The devices are at their wires, so the lane is another process, the one that ships: printer on TCP, NFC reader and
customer display on serial lines, screen in mapped memory, touch panel in a FIFO, PayMaster on HTTP.
"""

from sco_sim.serve.bench import MockBench
from sco_sim.serve.faults import CATALOGUE, Fault

__all__ = ["CATALOGUE", "Fault", "MockBench"]
