"""A receipt printer without hardware: takes ESC/POS on a real wire and prints on a roll that can be viewed and read.

`VirtualPrinter` is the simulator; `sim://` opens one in this process, and a driver on it::

    with VirtualPrinter(paper_mm=58, head_mm_s=100) as paper, open_printer(paper.url) as printer:
        paper.after(100, paper.run_out_of_paper)
        printer.print_ticket(ticket)

It shares no code with the driver except the QR library.
"""

from __future__ import annotations

from sco_sim.printer.device import PrintedTicket, VirtualPrinter
from sco_sim.printer.machine import Traits
from sco_sim.printer.opening import SimulatedPrinter, open_sim
from sco_sim.printer.roll import Code, Paper

__all__ = ["Code", "Paper", "PrintedTicket", "SimulatedPrinter", "Traits", "VirtualPrinter", "open_sim"]
