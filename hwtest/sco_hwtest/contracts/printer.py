"""The contract of a receipt printer. Each check takes an open printer and raises AssertionError.

`CHECKS` need only a printer with paper and use about half a metre of it; the tickets say that they are not for payment.
`FAULT_CHECKS` need an operator at the printer, or the fault controls of a simulated one: they take a `Faulty`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from sco_drivers import open_printer
from sco_drivers.errors import DeviceClosed, DeviceError
from sco_drivers.printer import (
    Alignment,
    Barcode,
    Columns,
    CoverOpen,
    Document,
    DocumentRefused,
    DuplicateTicket,
    Font,
    Line,
    PaperOut,
    Printer,
    PrintOutcome,
    PrintResult,
    SensorState,
    Style,
    Symbology,
    Text,
    Ticket,
    TicketDoesNotFit,
)
from sco_hwtest.contracts.check import CannotRun, Check, only_simulated
from sco_hwtest.questions import Answer, Operator, Question
from sco_sim.printer.control import change

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
"""A published link of the usual length."""

BARCODE = "2000000000008"
"""Of the range for a shop's own use."""

STATUS_S = 2.0
"""The longest time that a status query may take, in s."""


def ticket(name: str, valid_until: float | None = None, qr_mm: float = 35.0) -> Ticket:
    """A ticket that cannot be mistaken for a payment, with an id that is never reused."""
    return Ticket(
        f"{name}-{time.time_ns()}",
        LINK,
        above=(Line("ПРОВЕРКА ПЕЧАТИ", Style.BOLD), Line(name)),
        below=(Line("Этот чек не для оплаты", Style.BOLD),),
        valid_until=valid_until,
        qr_mm=qr_mm,
    )


def _printed(result: PrintResult) -> None:
    assert result.outcome is PrintOutcome.PRINTED, f"{result.outcome.value}: {result.evidence}; {result.error}"
    assert result.evidence, "it reports printed without evidence"
    assert result.error is None, f"printed, but with the error {result.error}"


def reports_its_status(printer: Printer) -> None:
    """It reports every sensor in time, and that it is ready."""
    start = time.monotonic()
    status = printer.status()
    took = time.monotonic() - start
    assert took < STATUS_S, f"a status took {took:.1f} s"
    assert status.ready is SensorState.YES, f"it does not report that it is ready: {status}"


def health_check_passes(printer: Printer) -> None:
    """The health check finds that it can print, and how long it takes to answer."""
    health = printer.health()
    assert health.ready is SensorState.YES, "; ".join(health.findings) or str(health.status)
    assert health.answers_ms is not None, "it does not answer"


def prints(printer: Printer) -> None:
    """A ticket is printed, and the result says how this is known."""
    _printed(printer.print_ticket(ticket("prints")))


def prints_a_receipt(printer: Printer) -> None:
    """A receipt with columns, both fonts and a bar code is printed, and its id is refused the next time."""
    one = Document(
        f"receipt-{time.time_ns()}",
        (
            Text("ПРОВЕРКА ПЕЧАТИ", bold=True, width=2, height=2, alignment=Alignment.CENTRE),
            Text("Этот чек не для оплаты", font=Font.B, underline=True),
            Columns(("Товар с длинным названием в две строки", "2 x 45,00", "90,00")),
            Columns(("ИТОГО", "90,00"), bold=True, height=2),
            Barcode(BARCODE, Symbology.EAN13),
        ),
    )
    _printed(printer.print_document(one))
    try:
        printer.print_document(one)
    except DuplicateTicket:
        return
    raise AssertionError("it printed the same receipt a second time")


def prints_what_python_escpos_makes(printer: Printer) -> None:
    """Code for python-escpos prints, and its commands leave nothing behind."""
    job = ExitStack()
    try:
        p = job.enter_context(printer.escpos(f"escpos-{time.time_ns()}"))
    except DocumentRefused as error:
        raise CannotRun(error.message) from error
    with job:
        p.set(align="right", bold=True)
        p.text("Этот чек не для оплаты\n")
        p.barcode(BARCODE, "EAN13", 64, 2)
        p.cut()
    assert p.result is not None, "there is no result"
    _printed(p.result)


def refuses_an_empty_document(printer: Printer) -> None:
    """A document without anything to print is refused."""
    try:
        printer.print_document(Document(f"empty-{time.time_ns()}", ()))
    except DocumentRefused:
        return
    raise AssertionError("it printed nothing, and reported it as done")


def reports_missing_characters(printer: Printer) -> None:
    """Characters that the code page lacks are replaced visibly and reported."""
    odd = Ticket(f"odd-{time.time_ns()}", LINK, above=(Line("Цена 1 \u20bd, \u5186"), Line("Этот чек не для оплаты")))
    result = printer.print_ticket(odd)
    _printed(result)
    assert result.replaced in ("\u5186", ""), f"it reports {result.replaced!r} as replaced"


def never_prints_a_ticket_twice(printer: Printer) -> None:
    """A ticket that was printed is refused the next time, before a byte is sent."""
    one = ticket("never-prints-a-ticket-twice")
    _printed(printer.print_ticket(one))
    try:
        printer.print_ticket(one)
    except DuplicateTicket:
        return
    raise AssertionError("it printed the same ticket a second time")


def refuses_an_expired_ticket(printer: Printer) -> None:
    """A ticket that can no longer be paid is not printed."""
    result = printer.print_ticket(ticket("expired", valid_until=time.time() - 1))
    assert result.outcome is PrintOutcome.NOT_PRINTED, f"{result.outcome.value}: {result.evidence}"
    assert not result.fragment, "a part of it was printed"


def refuses_a_code_too_small_to_read(printer: Printer) -> None:
    """A code too small to be read is refused, and the error says how large it must be."""
    words = ""
    try:
        printer.print_ticket(ticket("small", qr_mm=8.0))
    except TicketDoesNotFit as error:
        words = str(error)
    assert words, "it accepted a code of 8 mm"
    assert "mm" in words, f"the error does not say how large it must be: {words}"


def answers_several_threads(printer: Printer) -> None:
    """Status queries from several threads during printing neither fail nor disturb the ticket."""
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(3):
                printer.status()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    result = printer.print_ticket(ticket("threads"))
    for thread in threads:
        thread.join(60)
    _printed(result)
    assert not failures, f"a status failed: {failures[0]}"


def closes_twice(printer: Printer) -> None:
    """`close` may be called twice; later calls raise DeviceClosed. Leaves the printer closed."""
    printer.close()
    printer.close()
    try:
        printer.status()
    except DeviceClosed:
        return
    raise AssertionError("a closed printer answered")


CHECKS: tuple[Check[Printer], ...] = tuple(
    Check(run)
    for run in (
        reports_its_status,
        health_check_passes,
        prints,
        prints_a_receipt,
        prints_what_python_escpos_makes,
        refuses_an_empty_document,
        reports_missing_characters,
        never_prints_a_ticket_twice,
        refuses_an_expired_ticket,
        refuses_a_code_too_small_to_read,
        answers_several_threads,
        closes_twice,
    )
)
"""In this order; the last one leaves the printer closed."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """A printer and somebody who causes faults: the operator, or its simulator.

    Attributes:
        printer: open, with short deadlines.
        do: makes or clears a fault, by its command in `sco-hwtest printer control`, e.g. "open-cover".
    """

    printer: Printer
    do: Callable[[str], None]


_MANUAL = {
    "run-out-of-paper": Question("do-run-out-of-paper", "Take the paper out of the printer. Is it out?"),
    "load-paper": Question("do-load-paper", "Put the paper back in and close the cover. Is it in?"),
    "open-cover": Question("do-open-cover", "Open the printer's cover. Is it open?"),
    "close-cover": Question("do-close-cover", "Close the printer's cover. Is it closed?"),
    "unplug": Question("do-unplug", "Unplug the printer's data cable. Is it unplugged?"),
    "plug-in": Question("do-plug-in", "Plug the data cable back in and wait three seconds. Is it plugged in?"),
    "power-off": Question("do-power-off", "Switch the printer off. Is it off?"),
    "power-on": Question("do-power-on", "Switch the printer on and wait until it is ready. Is it on?"),
}


_NOT_BY_HAND = "this fault cannot be caused by hand; simulated printers cause it"


@contextmanager
def open_faulty(url: str, operator: Operator) -> Iterator[Faulty]:
    """Open a printer whose faults its simulator makes, or else the operator at the bench."""
    with open_printer(url) as printer:
        simulator = getattr(printer, "simulator", None)

        def do(command: str) -> None:
            if simulator is not None:
                change(simulator, command.split())()
            elif command not in _MANUAL:
                raise CannotRun(_NOT_BY_HAND)
            elif operator(_MANUAL[command]) is not Answer.YES:
                raise CannotRun("the operator did not cause the fault")

        yield Faulty(printer, do)


@contextmanager
def _fault(bench: Faulty, fault: str, fix: str) -> Iterator[None]:
    """Make a fault, and clear it after the block. What the block finds counts more than a fault that is not cleared."""
    bench.do(fault)
    try:
        yield
    except BaseException:
        with suppress(CannotRun):
            bench.do(fix)
        raise
    bench.do(fix)


def _print_when_back(printer: Printer) -> PrintResult:
    """Print a ticket once the printer is back: it may take a moment, and this call may be the first to miss it."""
    for _ in range(40):
        result = printer.print_ticket(ticket("again"))
        if result.outcome is not PrintOutcome.NOT_PRINTED:
            return result
        time.sleep(0.25)
    return result


def _refused(bench: Faulty, fault: str, fix: str, kind: type[DeviceError]) -> None:
    one = ticket(fault)
    with _fault(bench, fault, fix):
        result = bench.printer.print_ticket(one)
        assert result.outcome is PrintOutcome.NOT_PRINTED, f"{result.outcome.value}: {result.evidence}"
        assert isinstance(result.error, kind), f"the error is {result.error!r}"
        assert result.error.hint, "the error has no hint"
        assert bench.printer.status().ready is SensorState.NO, "it reports that it is ready"
        assert bench.printer.health().findings, "the health check finds no problem"
    result = _print_when_back(bench.printer)
    _printed(result)
    _printed(bench.printer.print_ticket(one))


def paper_out_is_reported(bench: Faulty) -> None:
    """Without paper a ticket is refused; the same ticket prints after paper is loaded."""
    _refused(bench, "run-out-of-paper", "load-paper", PaperOut)


def open_cover_is_reported(bench: Faulty) -> None:
    """With the cover open a ticket is refused; the same ticket prints after the cover is closed."""
    _refused(bench, "open-cover", "close-cover", CoverOpen)


def silence_is_not_ready(bench: Faulty) -> None:
    """The state of a printer that does not answer is unknown, never ready."""
    bench.printer.status()  # whatever it had already sent has been read
    with _fault(bench, "mute on", "mute off"):
        status = bench.printer.status()
        assert status.ready is SensorState.UNKNOWN, f"silence was reported as {status}"
    _printed(_print_when_back(bench.printer))


def _broken(bench: Faulty, fault: str, fix: str) -> None:
    one = ticket("broken")
    with _fault(bench, fault, fix):
        start = time.monotonic()
        result = bench.printer.print_ticket(one)
        took = time.monotonic() - start
        assert took < 30, f"it took {took:.0f} s to report the fault"
        if result.outcome is not PrintOutcome.PRINTED:
            assert result.error is not None, f"{result.outcome.value} without an error"
    if result.outcome is not PrintOutcome.NOT_PRINTED:
        try:
            bench.printer.print_ticket(one)
        except DuplicateTicket:
            pass
        else:
            raise AssertionError("a ticket that may have been printed was printed again")
    _printed(_print_when_back(bench.printer))


def paper_out_while_printing(bench: Faulty) -> None:
    """Paper that runs out during a ticket is reported; the ticket is printed again only if it did not come out."""
    _broken(bench, "after 150 run-out-of-paper", "load-paper")


def unplugged_while_printing(bench: Faulty) -> None:
    """A cable unplugged during a ticket is reported; the printer works again once it is back."""
    _broken(bench, "after 150 unplug", "plug-in")


def power_lost_while_printing(bench: Faulty) -> None:
    """A power loss during a ticket is reported; the printer works again once it is back."""
    _broken(bench, "after 150 power-off", "power-on")


def _lost_while_idle(bench: Faulty, fault: str, fix: str) -> None:
    one = ticket("gone")
    with _fault(bench, fault, fix):
        result = bench.printer.print_ticket(one)
        assert result.outcome is PrintOutcome.NOT_PRINTED, f"{result.outcome.value}: {result.evidence}"
        assert bench.printer.health().ready is not SensorState.YES, "it reports that it is ready"
    _printed(_print_when_back(bench.printer))
    _printed(bench.printer.print_ticket(one))


def unplugged_while_idle(bench: Faulty) -> None:
    """A cable unplugged and plugged in again between two tickets loses no ticket."""
    _lost_while_idle(bench, "unplug", "plug-in")


def switched_off_while_idle(bench: Faulty) -> None:
    """A printer that is switched off is not ready; switched on again it prints the same ticket."""
    _lost_while_idle(bench, "power-off", "power-on")


_BY_HAND = (paper_out_is_reported, open_cover_is_reported, unplugged_while_idle, switched_off_while_idle)

FAULT_CHECKS: tuple[Check[Faulty], ...] = (
    *map(Check, _BY_HAND),
    *(
        Check(run, only_simulated(_NOT_BY_HAND))
        for run in (
            silence_is_not_ready,
            paper_out_while_printing,
            unplugged_while_printing,
            power_lost_while_printing,
        )
    ),
)
"""In any order; each leaves the printer working."""
