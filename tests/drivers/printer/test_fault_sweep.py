"""Every fault of the virtual printer at every 64th byte of a ticket: a typed answer that is true, in time, never two
tickets, nothing that comes out later unless it was said so, and a printer that is usable afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
import zxingcpp

from sco_drivers import open_printer
from sco_drivers.errors import DeviceError
from sco_drivers.printer import DuplicateTicket, Line, Printer, PrintOutcome, PrintResult, Style, Ticket, memory
from sco_sim.printer import VirtualPrinter

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
IMPATIENT = "status_s=0.06&write_s=0.15&done_s=0.4&settle_s=0.02&head_mm_s=1000"
PATIENT = "status_s=0.3&write_s=5&done_s=10&settle_s=0.02&head_mm_s=1000"
LONGEST_S = 5.0
STEP = 64

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


@dataclass(frozen=True)
class Model:
    """A printer, and how it is spoken to."""

    wire: str = "tcp"
    params: str = "profile=TM-T88V&dpi=203"
    link: str = LINK
    traits: dict[str, object] = field(default_factory=dict)


MODELS = {
    "tcp": Model(),
    "slow-head": Model(traits={"head_mm_s": 400, "buffer_bytes": 128}),
    "serial": Model(wire="pty"),
    "unknown-model": Model(params="profile=default"),
    # No process id, no clearing, no ASB, no QR code of its own: the code goes as a raster.
    "cheap": Model(
        params="profile=POS-5890&paper_mm=58",
        link="https://qr.nspk.ru/AD1",
        traits={"process_id": False, "clear_buffer": False, "asb": False, "native_qr": False},
    ),
}


def url(paper: VirtualPrinter, model: Model, more: str) -> str:
    return f"{paper.url}{'&' if '?' in paper.url else '?'}{model.params}&{more}"


def ticket(name: str = "t1", link: str = LINK, valid_until: float | None = None) -> Ticket:
    above = (Line("Магазин", Style.BOLD), Line("253,00\u00a0₽", Style.LARGE), Line("Оплатите до 12:34"))
    return Ticket(
        name,
        link,
        above=above,
        below=(Line("Отсканируйте QR-код"),),
        valid_until=valid_until,
    )


def serve(paper: VirtualPrinter, *, power: bool) -> None:
    """What a technician does: everything that can be put right is."""
    paper._triggers.clear()  # a fault that this ticket never reached is not the next one's
    paper.free_cutter()
    paper.repair_head()
    paper.load_paper()
    paper.close_cover()
    paper.stall(False)
    paper.mute(False)
    if power:
        paper.power_off()
    paper.power_on()


def seen(paper: VirtualPrinter) -> list[str]:
    """Codes that a phone reads from the whole roll, cut by cut."""
    return [
        code.text
        for one in paper.tickets
        for code in zxingcpp.read_barcodes(one.image(), zxingcpp.BarcodeFormat.QRCode)
    ]


def print_when_it_is_back(printer: Printer, other: Ticket) -> PrintResult:
    """The lost connection may be noticed only by this call, and a printer needs a moment to come up."""
    for _ in range(20):
        result = printer.print_ticket(other)
        if result.outcome is not PrintOutcome.NOT_PRINTED:
            break
        time.sleep(0.05)
    return result


def one_case(model: Model, strike: Callable[[VirtualPrinter], None], after: int, *, power: bool) -> PrintResult:
    memory.forget()
    code, other_code = model.link, model.link + "9"
    one, other = ticket("t1", code), ticket("t2", other_code)
    with printer_of(model) as paper:
        with open_printer(url(paper, model, IMPATIENT)) as printer:
            printer.status()
            paper.after(12 + after, lambda: strike(paper))  # 12: the status before the ticket
            start = time.monotonic()
            first = printer.print_ticket(one)
            assert time.monotonic() - start < LONGEST_S
            at_once = seen(paper)
            assert at_once.count(code) <= 1
            if first.outcome is PrintOutcome.PRINTED:
                assert at_once == [code]
            elif first.outcome is PrintOutcome.NOT_PRINTED:
                assert at_once == []
                assert isinstance(first.error, DeviceError)
            else:
                assert isinstance(first.error, DeviceError)
                with pytest.raises(DuplicateTicket):
                    printer.print_ticket(one)
        serve(paper, power=power)
        with open_printer(url(paper, model, PATIENT)) as printer:  # another object, as after a loss: it must know
            if first.outcome is not PrintOutcome.NOT_PRINTED:
                with pytest.raises(DuplicateTicket):
                    printer.print_ticket(one)
            later = print_when_it_is_back(printer, other)
            assert later.outcome is PrintOutcome.PRINTED, later
            if first.outcome is PrintOutcome.NOT_PRINTED:
                again = printer.print_ticket(one)
                assert again.outcome is PrintOutcome.PRINTED, again
        assert paper.wait_idle()
        codes = seen(paper)
        assert codes.count(other_code) == 1
        if first.outcome is PrintOutcome.NOT_PRINTED:
            assert codes.count(code) == 1
            assert ("ПОВТОР" in paper.text) == first.fragment
        elif not first.may_come_later:
            assert codes.count(code) == at_once.count(code)
        assert codes.count(code) <= 1
    return first


def printer_of(model: Model) -> VirtualPrinter:
    return VirtualPrinter(wire=model.wire, paper_mm=58 if "58" in model.params else 80, **model.traits)  # type: ignore[arg-type]


def size_of(model: Model) -> int:
    """Bytes that an undisturbed ticket takes, the last question included."""
    with printer_of(model) as paper, open_printer(url(paper, model, PATIENT)) as printer:
        printer.status()
        before = paper.bytes_received
        assert printer.print_ticket(ticket("t1", model.link)).outcome is PrintOutcome.PRINTED
        return paper.bytes_received - before - 12


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("model", MODELS)
def test_a_fault_anywhere(model: str, name: str) -> None:
    size = size_of(MODELS[model])
    for n, at in enumerate([*range(0, size, STEP), size - 1, size]):
        power = n % 2 == 1  # every other time the printer is switched off and on before it is used again
        try:
            one_case(MODELS[model], FAULTS[name], at, power=power)
        except BaseException as error:
            error.add_note(f"{name} after byte {at} of {size}, power cycled: {power}")
            raise
