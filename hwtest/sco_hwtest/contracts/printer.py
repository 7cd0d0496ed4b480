"""What any receipt printer must do, on any URL. Each check takes an open printer and raises AssertionError.

`CHECKS` need nothing but the printer with paper in it, and use about half a metre of it; the tickets say that they are
no payment. `FAULT_CHECKS` need somebody at the printer, or a simulator's knobs: they take a `Faulty`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sco_drivers import open_printer
from sco_drivers.errors import DeviceClosed, DeviceError
from sco_drivers.printer import (
    CoverOpen,
    DuplicateTicket,
    Line,
    PaperOut,
    Printer,
    PrintOutcome,
    PrintResult,
    SensorState,
    Style,
    Ticket,
    TicketDoesNotFit,
)
from sco_hwtest.contracts.check import CannotRun, Check
from sco_hwtest.questions import Answer, Person, Question
from sco_sim.printer.control import change

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
"""A published link of the usual length."""

STATUS_S = 2.0
"""A status is known, or known to be unknown, within this time."""


def ticket(name: str, valid_until: float | None = None, qr_mm: float = 35.0) -> Ticket:
    """A ticket that nobody can take for a payment; its id is never used again."""
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
    assert result.evidence, "it says printed and not why"
    assert result.error is None, f"printed, and yet {result.error}"


def says_how_it_is(printer: Printer) -> None:
    """It answers for every sensor, that all is well, in time."""
    start = time.monotonic()
    status = printer.status()
    took = time.monotonic() - start
    assert took < STATUS_S, f"a status took {took:.1f} s"
    assert status.ready is SensorState.YES, f"it is not ready, or does not say: {status}"


def is_well(printer: Printer) -> None:
    """The check of health finds a printer that can print, and says how long it takes to answer."""
    health = printer.health()
    assert health.ready is SensorState.YES, "; ".join(health.findings) or str(health.status)
    assert health.answers_ms is not None, "it is silent"


def prints(printer: Printer) -> None:
    """A ticket comes out, it is known that it did, and on what that rests."""
    _printed(printer.print_ticket(ticket("prints")))


def says_what_it_cannot_set(printer: Printer) -> None:
    """Characters that the code page lacks are printed visibly and told."""
    odd = Ticket(f"odd-{time.time_ns()}", LINK, above=(Line("Цена 1 \u20bd, \u5186"), Line("Этот чек не для оплаты")))
    result = printer.print_ticket(odd)
    _printed(result)
    assert result.replaced in ("\u5186", ""), f"it replaced {result.replaced!r}"


def never_prints_twice(printer: Printer) -> None:
    """The same ticket is refused once it is out, before a byte is sent."""
    one = ticket("never-prints-twice")
    _printed(printer.print_ticket(one))
    try:
        printer.print_ticket(one)
    except DuplicateTicket:
        return
    raise AssertionError("it printed the same ticket a second time")


def refuses_what_has_expired(printer: Printer) -> None:
    """A ticket that can no longer be paid is not printed."""
    result = printer.print_ticket(ticket("expired", valid_until=time.time() - 1))
    assert result.outcome is PrintOutcome.NOT_PRINTED, f"{result.outcome.value}: {result.evidence}"
    assert not result.fragment, "a part of it came out"


def refuses_what_does_not_fit(printer: Printer) -> None:
    """A code that cannot be read at that size is refused, and says how much it needs."""
    words = ""
    try:
        printer.print_ticket(ticket("small", qr_mm=8.0))
    except TicketDoesNotFit as error:
        words = str(error)
    assert words, "it took a code of 8 mm"
    assert "mm" in words, f"it does not say how much is needed: {words}"


def answers_several_threads(printer: Printer) -> None:
    """Questions from several threads while a ticket prints neither disturb it nor fail."""
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
    """`close` may be called twice, and what comes after is told so. Leaves the printer closed."""
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
        says_how_it_is,
        is_well,
        prints,
        says_what_it_cannot_set,
        never_prints_twice,
        refuses_what_has_expired,
        refuses_what_does_not_fit,
        answers_several_threads,
        closes_twice,
    )
)
"""In this order; the last one leaves the printer closed."""


@dataclass(frozen=True, slots=True)
class Faulty:
    """A printer whose faults can be made: by a person who is told what to do, or by a simulator.

    Attributes:
        printer: open, with short deadlines.
        do: makes a fault, or mends it, named as `sco-hwtest printer control` names it: "open-cover".
    """

    printer: Printer
    do: Callable[[str], None]


_MANUAL = {
    "run-out-of-paper": Question("do-run-out-of-paper", "Take the paper out of the printer. Is it out?"),
    "load-paper": Question("do-load-paper", "Put the paper in again and close the cover. Is it in?"),
    "open-cover": Question("do-open-cover", "Open the printer's cover. Is it open?"),
    "close-cover": Question("do-close-cover", "Close the printer's cover. Is it closed?"),
    "unplug": Question("do-unplug", "Pull the printer's data cable. Is it out?"),
    "plug-in": Question("do-plug-in", "Plug the data cable in again, and wait three seconds. Is it in?"),
}


@contextmanager
def open_faulty(url: str, person: Person) -> Iterator[Faulty]:
    """Open a printer whose faults its simulator makes, or else the operator at the bench."""
    with open_printer(url) as printer:
        simulator = getattr(printer, "simulator", None)

        def do(command: str) -> None:
            if simulator is not None:
                change(simulator, command.split())()
            elif command not in _MANUAL:
                raise CannotRun("this fault comes too fast for a person's hand; simulated printers make it")
            elif person(_MANUAL[command]) is not Answer.YES:
                raise CannotRun("nobody at the printer did what was asked for")

        yield Faulty(printer, do)


def _back(printer: Printer) -> PrintResult:
    """A ticket once the printer is there again: it may take a moment, and the dead wire may be found by this call."""
    for _ in range(40):
        result = printer.print_ticket(ticket("again"))
        if result.outcome is not PrintOutcome.NOT_PRINTED:
            return result
        time.sleep(0.25)
    return result


def _refused(bench: Faulty, fault: str, mend: str, kind: type[DeviceError]) -> None:
    one = ticket(fault)
    bench.do(fault)
    try:
        result = bench.printer.print_ticket(one)
        assert result.outcome is PrintOutcome.NOT_PRINTED, f"{result.outcome.value}: {result.evidence}"
        assert isinstance(result.error, kind), f"the error is {result.error!r}"
        assert result.error.hint, "the error does not say what to do"
        assert bench.printer.status().ready is SensorState.NO, "it says that it is ready"
        assert bench.printer.health().findings, "the check of health finds nothing"
    finally:
        bench.do(mend)
    result = _back(bench.printer)
    _printed(result)
    _printed(bench.printer.print_ticket(one))


def paper_out_is_told(bench: Faulty) -> None:
    """Without paper a ticket is refused, and comes out after the paper was put in, when it is asked for again."""
    _refused(bench, "run-out-of-paper", "load-paper", PaperOut)


def open_cover_is_told(bench: Faulty) -> None:
    """With the cover open a ticket is refused, and comes out after the cover was closed, when it is asked for again."""
    _refused(bench, "open-cover", "close-cover", CoverOpen)


def silence_is_not_well(bench: Faulty) -> None:
    """A printer that answers nothing is unknown, never ready."""
    bench.printer.status()  # what it had to say before is out of the way
    bench.do("mute on")
    try:
        status = bench.printer.status()
        assert status.ready is SensorState.UNKNOWN, f"silence reads as {status}"
    finally:
        bench.do("mute off")
    _printed(_back(bench.printer))


def _broken(bench: Faulty, *faults: str, mends: tuple[str, ...]) -> None:
    one = ticket("broken")
    for fault in faults:
        bench.do(fault)
    start = time.monotonic()
    result = bench.printer.print_ticket(one)
    took = time.monotonic() - start
    assert took < 30, f"it took {took:.0f} s to say so"
    if result.outcome is not PrintOutcome.PRINTED:
        assert result.error is not None, f"{result.outcome.value}, and no error"
    for mend in mends:
        bench.do(mend)
    if result.outcome is not PrintOutcome.NOT_PRINTED:
        try:
            bench.printer.print_ticket(one)
        except DuplicateTicket:
            pass
        else:
            raise AssertionError("a ticket that may be out was printed again")
    _printed(_back(bench.printer))


def paper_out_in_mid_ticket(bench: Faulty) -> None:
    """When the paper runs out in mid-ticket, that is told, and the ticket is not printed again unless it is not out."""
    _broken(bench, "after 200 run-out-of-paper", mends=("load-paper",))


def unplugged_in_mid_ticket(bench: Faulty) -> None:
    """When the cable is pulled in mid-ticket, that is told, and the printer is found again when it is back."""
    _broken(bench, "after 150 unplug", mends=("plug-in",))


def power_lost_in_mid_ticket(bench: Faulty) -> None:
    """When the power is lost in mid-ticket, that is told, and the printer is found again when it is back."""
    _broken(bench, "after 250 power-off", mends=("power-on",))


def unplugged_while_idle(bench: Faulty) -> None:
    """A cable that was pulled and put back between two tickets costs no ticket."""
    bench.do("unplug")
    try:
        assert bench.printer.print_ticket(ticket("gone")).outcome is PrintOutcome.NOT_PRINTED
    finally:
        bench.do("plug-in")
    _printed(_back(bench.printer))


FAULT_CHECKS: tuple[Check[Faulty], ...] = tuple(
    Check(run)
    for run in (
        paper_out_is_told,
        open_cover_is_told,
        silence_is_not_well,
        paper_out_in_mid_ticket,
        unplugged_in_mid_ticket,
        power_lost_in_mid_ticket,
        unplugged_while_idle,
    )
)
"""In any order; each leaves the printer well."""
