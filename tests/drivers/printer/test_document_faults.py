"""Faults of the virtual printer all over a receipt: what is reported is what is on the paper, no end of it comes out
twice or later unless that was said, and the printer is usable afterwards. As `test_fault_sweep` for a ticket."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from sco_drivers import open_printer
from sco_drivers.errors import DeviceError
from sco_drivers.printer import (
    Bitmap,
    Columns,
    Document,
    DuplicateTicket,
    Font,
    Printer,
    PrintOutcome,
    PrintResult,
    Raw,
    Text,
    memory,
)
from sco_sim.printer import VirtualPrinter
from tests.drivers.printer.test_documents import logo
from tests.drivers.printer.test_fault_sweep import (
    FAULTS,
    IMPATIENT,
    LONGEST_S,
    MODELS,
    PATIENT,
    Model,
    printer_of,
    serve,
    url,
)
from tests.simulators.usb_printer import VirtualUsb

STEP = 240
BEFORE_THE_END, FINE_STEP = 72, 9
"""The last line, the cut and the questions after it are where it is decided whether a receipt is out."""
USB = Model(wire=VirtualUsb, params="profile=TM-T20II", traits={"buffer_bytes": 64})  # type: ignore[arg-type]
"""A wire without a kernel's buffer: the driver knows to the byte what the printer took."""


def receipt(name: str) -> Document:
    """Without a code: it is out when its last line is."""
    return Document(
        name,
        [
            Bitmap(logo(120, 40)),
            Text("Магазин", bold=True, width=2, height=2),
            Columns(["Хлеб бородинский", "90,00"]),
            Text("ИНН 7701234567", font=Font.B),
            Text(f"Конец {name}"),
        ],
    )


def commands(name: str) -> Document:
    """The same as commands, as python-escpos makes them."""
    lines = b"".join(f"line {n}\n".encode() for n in range(40))
    return Document(name, [Raw(b"\x1b@" + lines + f"End {name}\n".encode() + b"\x1dVB\x00")])


KINDS: dict[str, tuple[Callable[[str], Document], str]] = {
    "receipt": (receipt, "Конец {}"),
    "commands": (commands, "End {}"),
}


def print_when_it_is_back(printer: Printer, document: Document) -> PrintResult:
    for _ in range(20):
        result = printer.print_document(document)
        if result.outcome is not PrintOutcome.NOT_PRINTED:
            break
        time.sleep(0.05)
    return result


def one_case(kind: str, model: Model, strike: Callable[[VirtualPrinter], None], after: int, *, power: bool) -> None:
    memory.forget()
    make, end = KINDS[kind]
    one, other = make("r1"), make("r2")
    with printer_of(model) as paper:
        with open_printer(url(paper, model, IMPATIENT)) as printer:
            printer.status()
            paper.after(12 + after, lambda: strike(paper))  # 12: the status before the document
            start = time.monotonic()
            first = printer.print_document(one)
            assert time.monotonic() - start < LONGEST_S
            at_once = paper.text.count(end.format("r1"))
            if first.outcome is PrintOutcome.PRINTED:
                assert at_once == 1
            else:
                assert isinstance(first.error, DeviceError)
                if first.outcome is PrintOutcome.NOT_PRINTED:
                    assert at_once == 0
        serve(paper, power=power)
        with open_printer(url(paper, model, PATIENT)) as printer:  # another object, as after a loss: it must know
            if first.outcome is not PrintOutcome.NOT_PRINTED:
                with pytest.raises(DuplicateTicket):
                    printer.print_document(one)
            later = print_when_it_is_back(printer, other)
            assert later.outcome is PrintOutcome.PRINTED, later
            if first.outcome is PrintOutcome.NOT_PRINTED:
                again = printer.print_document(one)
                assert again.outcome is PrintOutcome.PRINTED, again
        assert paper.wait_idle()
        count = paper.text.count(end.format("r1"))
        assert paper.text.count(end.format("r2")) == 1
        assert count <= 1
        if first.outcome is PrintOutcome.NOT_PRINTED:
            assert count == 1
            assert ("ПОВТОР" in paper.text) == first.fragment
        elif not first.may_come_later:
            assert count == at_once


@pytest.mark.parametrize("after", range(40, 46))
def test_a_short_command_that_was_interrupted_swallows_nothing_of_the_next_receipt(after: int) -> None:
    """On a board that cannot be cleared: the first byte of what comes next would be its parameter."""
    memory.forget()
    model = MODELS["cheap"]
    with printer_of(model) as paper:
        with open_printer(url(paper, model, IMPATIENT)) as printer:
            printer.status()
            paper.after(12 + after, paper.unplug)
            printer.print_document(Document("r1", [Text("x", bold=True)] * 40))
        paper.plug_in()
        with open_printer(url(paper, model, PATIENT)) as printer:
            assert print_when_it_is_back(printer, Document("r2", [Text("END")])).outcome is PrintOutcome.PRINTED
        assert paper.wait_idle()
        assert set(paper.text.split()) <= {"x", "END"}


def size_of(kind: str, model: Model) -> int:
    """Bytes that an undisturbed one takes, the last question included."""
    with printer_of(model) as paper, open_printer(url(paper, model, PATIENT)) as printer:
        printer.status()
        before = paper.bytes_received
        assert printer.print_document(KINDS[kind][0]("r1")).outcome is PrintOutcome.PRINTED
        return paper.bytes_received - before - 12


@pytest.mark.parametrize("name", ["unplug", "power_off", "paper", "cover", "cutter", "stall", "mute"])
@pytest.mark.parametrize(
    ("kind", "model"),
    [("receipt", "usb"), ("receipt", "serial"), ("receipt", "cheap"), ("commands", "slow-head"), ("commands", "usb")],
)
def test_a_fault_anywhere_in_a_receipt(kind: str, model: str, name: str) -> None:
    models = MODELS | {"usb": USB}
    size = size_of(kind, models[model])
    for n, at in enumerate([*range(0, size, STEP), *range(size - BEFORE_THE_END, size + 1, FINE_STEP)]):
        power = n % 2 == 1  # every other time the printer is switched off and on before it is used again
        try:
            one_case(kind, models[model], FAULTS[name], at, power=power)
        except BaseException as error:
            error.add_note(f"{name} after byte {at} of {size}, power cycled: {power}")
            raise
