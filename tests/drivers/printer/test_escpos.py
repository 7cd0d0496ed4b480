"""The driver on the virtual printer's wires: what came out, what is reported, and that nothing comes out twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import zxingcpp

from sco_drivers import open_printer
from sco_drivers.errors import BadDeviceUrl, DeviceClosed, DeviceError, DeviceNotFound
from sco_drivers.printer import (
    DuplicateTicket,
    Line,
    PaperOut,
    Printer,
    PrintOutcome,
    SensorState,
    Style,
    Ticket,
    TicketDoesNotFit,
)
from sco_sim.printer import VirtualPrinter
from tests.simulators.usb_printer import VirtualUsb

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


def ticket(name: str = "t1", **changes: object) -> Ticket:
    values: dict[str, object] = {
        "above": (Line("Магазин «У дома»", Style.BOLD), Line("253,00 ₽", Style.LARGE)),
        "below": (Line("Оплатите до 12:34"), Line("Ёлка № 7 – ünï", centred=False)),
    }
    return Ticket(name, **({"qr": LINK} | values | changes))  # type: ignore[arg-type]


def read(paper: VirtualPrinter) -> list[str]:
    return [
        code.text
        for one in paper.tickets
        for code in zxingcpp.read_barcodes(one.image(), zxingcpp.BarcodeFormat.QRCode)
    ]


@pytest.fixture(params=["tcp", "pty"])
def paper(request: pytest.FixtureRequest) -> Iterator[VirtualPrinter]:
    with VirtualPrinter(wire=request.param) as printer:
        yield printer


def opened(paper: VirtualPrinter, more: str = "") -> Printer:
    joint = "&" if "?" in paper.url else "?"
    return open_printer(f"{paper.url}{joint}write_s=0.6&done_s=1.5&status_s=0.3{more}")


def test_a_ticket_comes_out_and_its_code_is_the_link(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        result = printer.print_ticket(ticket())
        assert (result.outcome, result.error) == (PrintOutcome.PRINTED, None)
        assert "process id" in result.evidence
        assert result.replaced == "üï"
    assert read(paper) == [LINK]
    (one,) = paper.tickets
    assert one.text.splitlines()[:2] == ['Магазин "У дома"', "253,00 руб."]
    assert "Ёлка" in one.text
    assert one.cut


@pytest.mark.parametrize("width", [58, 80])
@pytest.mark.parametrize("profile", ["default", "TM-T88V", "POS-5890"])
def test_papers_and_profiles(width: int, profile: str) -> None:
    traits = {} if profile != "POS-5890" else {"native_qr": False, "process_id": False, "clear_buffer": False}
    with VirtualPrinter(paper_mm=width, **traits) as paper:  # type: ignore[arg-type]
        dpi = "&dpi=203" if profile == "TM-T88V" else ""
        with opened(paper, f"&profile={profile}&paper_mm={width}{dpi}") as printer:
            assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert read(paper) == [LINK]


def test_the_same_ticket_is_never_printed_twice(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        printer.print_ticket(ticket())
        with pytest.raises(DuplicateTicket):
            printer.print_ticket(ticket())
        assert printer.print_ticket(ticket("t2")).outcome is PrintOutcome.PRINTED
    assert len(read(paper)) == 2


def test_an_expired_ticket_is_not_sent(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        printer.status()  # what it is greeted with has arrived
        before = paper.bytes_received
        assert printer.print_ticket(ticket(valid_until=time.time() - 1)).outcome is PrintOutcome.NOT_PRINTED
        assert paper.bytes_received == before


@pytest.mark.parametrize("repair", [("run_out_of_paper", "load_paper"), ("open_cover", "close_cover")])
def test_a_fault_before_the_ticket_is_reported_and_nothing_is_sent(
    paper: VirtualPrinter, repair: tuple[str, str]
) -> None:
    fault, remedy = repair
    with opened(paper) as printer:
        getattr(paper, fault)()
        result = printer.print_ticket(ticket())
        assert result.outcome is PrintOutcome.NOT_PRINTED
        assert isinstance(result.error, DeviceError)
        assert result.error.hint
        assert printer.status().ready is SensorState.NO
        getattr(paper, remedy)()
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
    assert read(paper) == [LINK]


def test_status_is_unknown_when_the_printer_is_silent(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        assert printer.status().ready is SensorState.YES
        paper.mute()
        assert printer.status().paper_out is SensorState.UNKNOWN
        assert printer.status().ready is SensorState.UNKNOWN


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"qr_mm": 10.0}, "mm"),
        ({"qr_mm": float("nan")}, "qr_mm"),
        ({"qr_mm": float("inf")}, "qr_mm"),
        ({"qr": "https://qr.nspk.ru/\ud800"}, "cannot be encoded"),
        ({"below": tuple(Line("x") for _ in range(300))}, "lines"),
    ],
)
def test_what_does_not_fit_is_refused_before_a_byte(
    paper: VirtualPrinter, changes: dict[str, object], words: str
) -> None:
    with opened(paper) as printer:
        printer.status()  # what it is greeted with has arrived
        before = paper.bytes_received
        with pytest.raises(TicketDoesNotFit, match=words):
            printer.print_ticket(ticket(**changes))
        assert paper.bytes_received == before


@pytest.mark.parametrize(
    ("url", "kind", "words"),
    [
        ("tcp://127.0.0.1:1", DeviceNotFound, "refuses the connection"),
        ("tcp://", BadDeviceUrl, "host"),
        ("lp:///nowhere/lp9", DeviceNotFound, "nothing answers"),
        ("serial:///nowhere/tty9", DeviceError, "nowhere"),
        ("serial:///dev/null?baud=fast", BadDeviceUrl, "baud"),
        ("usb://xyz", BadDeviceUrl, "hex"),
        ("usb://dead:beef", DeviceError, "dead:beef"),
        ("sim://?profile=dot-matrix", BadDeviceUrl, "known"),
        ("sim://?paper_mm=77", BadDeviceUrl, "58, 80"),
        ("sim://?colour=red", BadDeviceUrl, "colour"),
        ("sim://?done_s=1e300", BadDeviceUrl, "done_s"),
        (f"tcp://{'a' * 70}:9100", BadDeviceUrl, "host"),
        ("tcp://..", BadDeviceUrl, "host"),
        ("lp:///dev/lp%00", BadDeviceUrl, "NUL"),
        ("serial:///dev/tty%00", BadDeviceUrl, "NUL"),
    ],
)
def test_urls_that_open_nothing(url: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        open_printer(url).close()


def test_a_ticket_whose_deadline_is_not_a_number_is_not_printed() -> None:
    with VirtualPrinter() as paper, opened(paper) as printer:
        assert printer.print_ticket(ticket(valid_until=float("nan"))).outcome is PrintOutcome.NOT_PRINTED


def test_a_code_that_reads_as_a_command_is_sent_as_a_picture() -> None:
    """A printer obeys real-time commands wherever they occur, in a code's data too: it would print no code at all."""
    text = "https://qr.nspk.ru/\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"
    with VirtualPrinter() as paper, opened(paper) as printer:
        assert printer.print_ticket(ticket(qr=text)).outcome is PrintOutcome.PRINTED
        assert [code.bytes for code in zxingcpp.read_barcodes(paper.image(), zxingcpp.BarcodeFormat.QRCode)] == [
            text.encode()
        ]


def test_closing_does_not_wait_for_a_printer_that_takes_nothing() -> None:
    with VirtualPrinter(wire=VirtualUsb, buffer_bytes=64) as paper:
        printer = open_printer(f"{paper.url}?write_s=60&status_s=0.2&qr=raster")
        printer.status()
        paper.after(100, paper.stall)
        closing = threading.Timer(0.5, printer.close)
        closing.start()
        start = time.monotonic()
        result = printer.print_ticket(ticket())
        closing.join()
        assert time.monotonic() - start < 20
        assert result.outcome is PrintOutcome.NOT_PRINTED or result.may_come_later


def test_a_closed_printer_is_reported_as_closed() -> None:
    printer = open_printer("sim://")
    printer.close()
    printer.close()
    with pytest.raises(DeviceClosed):
        printer.status()


def test_paper_out_is_an_error_of_its_own() -> None:
    with VirtualPrinter() as paper, opened(paper) as printer:
        paper.run_out_of_paper()
        assert isinstance(printer.print_ticket(ticket()).error, PaperOut)
