"""A simulated NFC reader: a PN532 on a serial line, with NTAG tags in its field.

`VirtualReader` is the simulator; `sim://` opens one in this process with the driver for real readers::

    with VirtualReader(VirtualTag("ntag215")) as reader, open_nfc(reader.url) as nfc:
        reader.inject(Fault.TAG_LEAVES, at_command=3)
        nfc.read()
"""

from __future__ import annotations

from sco_sim.nfc.ntag import TEARS, VirtualTag
from sco_sim.nfc.opening import SimulatedReader, open_sim
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.nfc.simulated_field import Fault, SimulatedField

__all__ = ["TEARS", "Fault", "SimulatedField", "SimulatedReader", "VirtualReader", "VirtualTag", "open_sim"]
