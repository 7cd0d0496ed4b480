"""The receipt printer on its real wires: USB by pyusb, USB by the kernel's usblp, a USB serial line by cdc_acm."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import devices
from kernel import settle, wait_for
from report import Report

from sco_drivers import open_printer
from sco_drivers.errors import DeviceBusy, DeviceError, DeviceNotFound
from sco_drivers.printer import Line, Printer, PrintOutcome, SensorState, Style, Ticket
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.printer import CHECKS, FAULT_CHECKS, Faulty
from sco_hwtest.recording import recorded_url
from sco_sim.printer import VirtualPrinter
from sco_sim.printer.control import change
from sco_sim.replay.run import play
from sco_sim.replay.trace import TraceDiffers

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


def ticket(text: str = "Оплата по QR-коду") -> Ticket:
    """A ticket of a name of its own."""
    return Ticket(f"vm-{time.monotonic_ns()}", LINK, above=(Line(text, Style.BOLD),), below=(Line("253,00 руб."),))


def the_paper_bears_the_code(url: str, paper: VirtualPrinter) -> None:
    """A ticket comes out, its code is read from the paper, and the printer says that it is printed."""
    before = len(paper.tickets)
    with open_printer(url) as printer:
        result = printer.print_ticket(ticket())
    assert result.outcome is PrintOutcome.PRINTED, f"{result.outcome} ({result.evidence}; {result.error})"
    assert len(paper.tickets) == before + 1, f"{len(paper.tickets) - before} tickets came out"
    last = paper.tickets[-1]
    assert [code.text for code in last.codes] == [LINK], f"the paper says {last.codes}"
    assert "Оплата по QR-коду" in last.text, f"the paper says {last.text!r}"


def opens_again(url: str, paper: VirtualPrinter) -> None:
    """Ten openings in a row: nothing is left behind in the kernel."""
    for _ in range(10):
        with open_printer(url) as printer:
            assert printer.status().ready is SensorState.YES, f"{printer.status()}"


def a_stalled_printer_holds_nobody(url: str, paper: VirtualPrinter) -> None:
    """A printer that takes no bytes ends the call in time, with an outcome that is not "printed"."""
    with open_printer(url) as printer:
        paper.stall()
        start = time.monotonic()
        try:
            result = printer.print_ticket(ticket("стоит " * 3000))
            assert result.outcome is not PrintOutcome.PRINTED, f"{result.outcome} ({result.evidence})"
        except DeviceError:
            pass
        took = time.monotonic() - start
        paper.stall(False)
    assert took < 60, f"the call took {took:.0f} s"
    wait_for(lambda: paper.wait_idle(1.0), "the printer has digested what it got")


def a_recording_of_it_is_the_printer_again(url: str, paper: VirtualPrinter) -> None:
    """The wire is recorded while the code comes out; the trace fits the driver, and does not say what was printed."""
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder, "printer.trace")
        with open_printer(recorded_url(url, trace)) as printer:
            result = printer.print_ticket(ticket("Магазин у дома"))
            assert result.outcome is PrintOutcome.PRINTED, f"{result.outcome} ({result.evidence}; {result.error})"
            printer.health()
        assert [code.text for code in paper.tickets[-1].codes] == [LINK], "the recorded printer printed another code"
        (played,) = play(trace)
        assert not played.difference, played.difference
        assert not played.note, played.note
        assert played.calls == 2, f"{played.calls} calls were replayed"
        with open_printer(f"replay://{trace}") as printer:
            try:
                printer.print_ticket(ticket("Другой чек"))
            except TraceDiffers as error:
                assert "expected octet" in str(error), f"{error}"
            else:
                raise AssertionError("another ticket is taken for the recorded one")
        content = trace.read_bytes()
        for secret in (LINK.encode(), "Магазин у дома".encode("cp866")):
            assert secret not in content, f"the trace holds {secret!r}"
            assert secret.hex().encode() not in content, f"the trace holds {secret!r} in hexadecimal"


OWN = (the_paper_bears_the_code, opens_again, a_stalled_printer_holds_nobody, a_recording_of_it_is_the_printer_again)


def suites(report: Report, device: str, url: str, paper: VirtualPrinter, ready: Callable[[], None]) -> None:
    """Our own checks, the contract that every printer passes, and its faults, made by the simulator's knobs.

    Args:
        ready: waits until the printer is there.
    """

    def run(check: Check[Printer]) -> None:
        ready()
        with open_printer(url) as printer:
            check.run(printer)

    def fault(check: Check[Faulty]) -> None:
        ready()
        with open_printer(url) as printer:
            check.run(Faulty(printer, lambda command: change(paper, command.split())()))

    def own(check: Callable[[str, VirtualPrinter], None]) -> None:
        ready()
        check(url, paper)

    for one in OWN:
        report.check(device, one.__name__.replace("_", "-"), lambda one=one: own(one))
    for two in CHECKS:
        report.check(device, two.name, lambda two=two: run(two))
    for three in FAULT_CHECKS:
        report.check(device, three.name, lambda three=three: fault(three))


def run_all(report: Report, printer: devices.UsbPrinter, twin: devices.UsbPrinter, line: devices.SerialGadget) -> None:
    """Every wire in turn."""

    def ready() -> None:
        wait_for(lambda: printer.gadget.on_bus and printer.lp, "the printer is on the bus")
        settle()

    with printer.on() as paper:
        suites(report, "printer-lp", "lp:///dev/sco/printer", paper, ready)
    with printer.on() as paper:
        suites(report, "printer-usb", printer.usb_url, paper, ready)
    report.check("printer-usb", "two-of-them-are-distinguished", lambda: distinguished(printer, twin))
    report.check("printer-usb", "the-kernel-gets-it-back", lambda: given_back(printer))
    with serial_printer(line) as (url, paper):
        for check in OWN:
            report.check("printer-serial", check.__name__.replace("_", "-"), lambda check=check: check(url, paper))
        for one in CHECKS:
            report.check("printer-serial", one.name, lambda one=one: on_line(url, one))
        report.check("printer-serial", "unplugged-while-printing", lambda: serial_unplugged(line, url, paper))


def on_line(url: str, check: Check[Printer]) -> None:
    """One check of the contract."""
    with open_printer(url) as printer:
        check.run(printer)


def distinguished(printer: devices.UsbPrinter, twin: devices.UsbPrinter) -> None:
    """Two equal printers: without a serial number it is refused, with it the right one prints."""
    with printer.on() as first, twin.on() as second:
        try:
            open_printer(f"usb://{printer.gadget.ids}").close()
            raise AssertionError("one of two equal printers was taken")
        except DeviceBusy as error:
            assert "2 of them" in str(error), str(error)
        the_paper_bears_the_code(twin.usb_url, second)
        assert not first.tickets, "the other printer printed"
        the_paper_bears_the_code(printer.usb_url, first)
    twin.gadget.unplug()


def given_back(printer: devices.UsbPrinter) -> None:
    """After our driver has closed it, usblp has the printer again."""
    with printer.on():
        with open_printer(printer.usb_url):
            assert printer.lp is None, "usblp and we both hold the printer"
        wait_for(lambda: printer.lp is not None, "usblp has it again")


@contextmanager
def serial_printer(line: devices.SerialGadget) -> Iterator[tuple[str, VirtualPrinter]]:
    """A printer at the other end of the USB serial line: a pty's virtual printer, joined to the gadget byte by byte."""
    line.gadget.plug()
    with VirtualPrinter(wire="pty") as paper:
        path = paper.url.removeprefix("serial://").split("?")[0]
        with devices.joined(line.inside, path):
            yield f"serial://{line.node}?baud=115200", paper


def serial_unplugged(line: devices.SerialGadget, url: str, paper: VirtualPrinter) -> None:
    """The line is pulled out in mid-ticket: never "printed"; the next opening after replugging prints."""
    printer = open_printer(url)
    puller = threading.Thread(target=line.gadget.unplug, daemon=True)
    paper.after(60, puller.start)
    try:
        result = printer.print_ticket(ticket("стоит " * 200))
        assert result.outcome is not PrintOutcome.PRINTED, f"{result.outcome} ({result.evidence})"
    except DeviceError as error:
        assert error.url == url, f"the error names {error.url!r}"
    finally:
        printer.close()
    puller.join()
    try:
        open_printer(url).close()
        raise AssertionError("a line that is not there was opened")
    except DeviceNotFound:
        pass
    line.gadget.plug()
    wait_for(lambda: line.node.exists(), "the line is back")
