"""Every fault of the virtual printer at steps of a ticket: a typed answer, never two tickets, usable afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import zxingcpp

from sco_drivers import open_printer
from sco_drivers.printer import DuplicateTicket, Line, PrintOutcome, Style, Ticket
from sco_drivers.sim.printer import VirtualPrinter

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
SHORT = "?status_s=0.2&done_s=3&write_s=1"

FAULTS: dict[str, Callable[[VirtualPrinter], None]] = {
    "unplug": VirtualPrinter.unplug,
    "power_off": VirtualPrinter.power_off,
    "paper": VirtualPrinter.run_out_of_paper,
    "cover": VirtualPrinter.open_cover,
    "cutter": VirtualPrinter.jam_cutter,
    "head": VirtualPrinter.break_head,
    "stall": VirtualPrinter.stall,
    "mute": VirtualPrinter.mute,
    "garbage": lambda printer: printer.send_garbage(b"\xff\x37\x22\x5fabc\x12\x12"),
}


OTHER = LINK.replace("253", "254")


def ticket(name: str = "t1", valid_until: float | None = None) -> Ticket:
    above = (Line("Магазин", Style.BOLD), Line("253,00\u00a0₽", Style.LARGE), Line("Оплатите до 12:34"))
    return Ticket(
        name,
        LINK if name == "t1" else OTHER,
        above=above,
        below=(Line("Отсканируйте QR-код"),),
        valid_until=valid_until,
    )


def serve(paper: VirtualPrinter) -> None:
    """What a technician does: everything that can be put right is."""
    paper._triggers.clear()  # a fault that this ticket never reached is not the next one's
    paper.free_cutter()
    paper.repair_head()
    paper.load_paper()
    paper.close_cover()
    paper.stall(False)
    paper.mute(False)
    paper.power_off()
    paper.power_on()


@pytest.mark.parametrize("width", [58, 80])
def test_the_code_on_the_paper_is_the_link(width: int) -> None:
    with (
        VirtualPrinter(paper_mm=width) as paper,
        open_printer(f"{paper.url}{SHORT}&paper_mm={width}") as printer,
    ):
        result = printer.print_ticket(ticket())
        assert result.outcome is PrintOutcome.PRINTED, result
        assert [found.text for found in zxingcpp.read_barcodes(paper.image())] == [LINK]
        assert "Оплатите до 12:34" in paper.text


# 12 bytes are the status before the ticket; the ticket and its mark end at 291, and status polls follow.
@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize(
    ("after", "speed"),
    [*((n, 0) for n in range(12, 292, 64)), *((n, 100) for n in (204, 289, 292, 295, 301, 307))],
)
def test_a_fault_anywhere(name: str, after: int, speed: float) -> None:
    with VirtualPrinter(head_mm_s=speed) as paper, open_printer(paper.url + SHORT) as printer:
        paper.after(after, lambda: FAULTS[name](paper))
        first = printer.print_ticket(ticket())
        if first.outcome is PrintOutcome.UNKNOWN:
            assert first.error is not None
            with pytest.raises(DuplicateTicket):
                printer.print_ticket(ticket())
        elif first.outcome is PrintOutcome.NOT_PRINTED:
            assert not paper.codes
        serve(paper)
        later = printer.print_ticket(ticket("t2"))
        for _ in range(3):  # the lost connection may be noticed only by this call
            if later.outcome is not PrintOutcome.NOT_PRINTED:
                break
            later = printer.print_ticket(ticket("t2"))
        assert later.outcome is PrintOutcome.PRINTED, later
        texts = [code.text for code in paper.codes]
        assert texts.count(LINK) <= 1
        assert texts.count(OTHER) == 1


def test_a_ticket_that_expires_while_it_waits_is_flushed() -> None:
    now = [1000.0]
    with VirtualPrinter(head_mm_s=20) as paper, open_printer(paper.url + SHORT) as printer:
        printer._clock = lambda: now[0]  # type: ignore[attr-defined]
        paper.after(200, lambda: now.__setitem__(0, 2000.0))
        result = printer.print_ticket(ticket(valid_until=1500.0))
        assert result.outcome is PrintOutcome.UNKNOWN
        assert "cleared" in result.evidence
        assert paper.flushes == 1
        assert paper.wait_idle()
        assert not paper.codes
