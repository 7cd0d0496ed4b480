"""What is said between tickets: automatic status, health, identity, presenter, flaps, greetings, memory."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlencode

import pytest
import zxingcpp

from sco_drivers import open_printer
from sco_drivers.errors import DeviceClosed, DeviceError, DeviceTimeout
from sco_drivers.printer import (
    CoverOpen,
    DuplicateTicket,
    Line,
    PaperOut,
    Printer,
    PrinterIdentity,
    PrinterStatus,
    PrintOutcome,
    SensorState,
    Ticket,
    TicketEnd,
    escpos,
    memory,
)
from sco_drivers.printer.escpos import EscPosPrinter
from sco_drivers.printer.layout import build
from sco_drivers.printer.watch import Debounce, Seen, StatusWatch
from sco_drivers.urls import DeviceUrl
from sco_sim.printer import VirtualPrinter
from tests.simulators.usb_printer import VirtualUsb

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
SHORT = {"status_s": "0.2", "write_s": "0.5", "done_s": "1.5", "settle_s": "0.3", "head_mm_s": "1000"}


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert condition()


REPEAT = Line("ДУБЛИКАТ")


def ticket(name: str = "t1", valid_until: float | None = None, repeat: Line | None = REPEAT) -> Ticket:
    return Ticket(name, LINK, (Line("Магазин"),), (Line("Спасибо"),), valid_until=valid_until, repeat=repeat)


def opened(paper: VirtualPrinter, more: str = "profile=TM-T88V&dpi=203") -> EscPosPrinter:
    params = SHORT | dict(parse_qsl(more))
    printer = open_printer(f"{paper.url}?{urlencode(params)}")
    assert isinstance(printer, EscPosPrinter)
    return printer


def opened_serial(paper: VirtualPrinter) -> EscPosPrinter:
    printer = open_printer(f"{paper.url}&status_s=0.2&done_s=1.5")
    assert isinstance(printer, EscPosPrinter)
    return printer


@pytest.fixture
def paper() -> Iterator[VirtualPrinter]:
    with VirtualPrinter() as one:
        yield one


# --- automatic status ---


def test_automatic_status_reports_a_fault_at_once(paper: VirtualPrinter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The status is not polled here, so only the automatic status can report it so soon."""
    monkeypatch.setattr(escpos, "_LOOK_S", 60)
    monkeypatch.setattr(escpos, "_LOOK_WITH_ASB_S", 60)
    paper._machine.traits.head_mm_s = 8
    with opened(paper, "profile=TM-T88V&dpi=203&settle_s=0&done_s=60") as printer:
        printer.status()
        paper.after(12 + 150, paper.open_cover)
        start = time.monotonic()
        result = printer.print_ticket(ticket())
        assert isinstance(result.error, CoverOpen)
        assert time.monotonic() - start < 30


def test_automatic_status_is_asked_for_again_after_a_loss(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        printer.status()
        for _ in range(2):
            assert paper._machine._asb_mask
            paper.power_off()
            assert not paper._machine._asb_mask
            paper.power_on()
            printer.status()
            assert paper.wait_for(lambda one: one._machine._asb_mask != 0)
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert paper._machine._asb_mask  # though the ticket began with ESC @


def test_a_model_without_it_is_not_asked(paper: VirtualPrinter) -> None:
    with opened(paper, "profile=POS-5890") as printer:
        printer.print_ticket(ticket())
        assert "GS a" not in paper.commands


@pytest.mark.parametrize("flap", ["open_cover close_cover", "run_out_of_paper load_paper"])
def test_a_brief_status_change_is_not_a_fault(paper: VirtualPrinter, flap: str) -> None:
    begin, end = (getattr(paper, name) for name in flap.split())
    with opened(paper, "profile=TM-T88V&dpi=203&settle_s=5&done_s=30") as printer:
        printer.status()
        begin()
        threading.Timer(0.1, end).start()
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        paper._machine.traits.head_mm_s = 50
        paper.after(12 + 150, lambda: (begin(), threading.Timer(0.15, end).start()))
        assert printer.print_ticket(ticket("t2")).outcome is PrintOutcome.PRINTED


def test_a_watch_reports_steady_states_only(paper: VirtualPrinter) -> None:
    reported: list[Seen] = []
    with opened(paper) as printer, StatusWatch(printer, reported.append, every_s=0.02, steady_s=1.5):
        until(lambda: bool(reported))
        for _ in range(3):
            paper.open_cover()
            time.sleep(0.05)
            paper.close_cover()
            time.sleep(0.05)
        assert len(reported) == 1
        paper.run_out_of_paper()
        until(lambda: len(reported) == 2)
        paper.unplug()
        until(lambda: len(reported) == 3)
    first, second, third = reported
    assert isinstance(first, PrinterStatus)
    assert isinstance(second, PrinterStatus)
    assert (first.ready, second.paper_out) == (SensorState.YES, SensorState.YES)
    assert isinstance(third, DeviceError)


def test_debounce() -> None:
    well, out = PrinterStatus(paper_out=SensorState.NO), PrinterStatus(paper_out=SensorState.YES)
    steady = Debounce(1.0)
    said = [steady.feed(state, at) for state, at in ((well, 0), (out, 1), (well, 1.5), (out, 2), (out, 2.9), (out, 3))]
    assert said == [well, None, None, None, None, out]
    assert not steady.pending


def test_a_printer_that_fell_silent_gets_no_ticket() -> None:
    """A serial line to a printer that was switched off takes any ticket, and it is never printed."""
    with VirtualPrinter(wire="pty") as paper, opened_serial(paper) as printer:
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        paper.mute()
        paper.stall()
        result = printer.print_ticket(ticket("t2"))
        assert (result.outcome, type(result.error)) == (PrintOutcome.NOT_PRINTED, DeviceTimeout)
        assert not result.fragment
        paper.mute(False)
        paper.stall(False)
        assert printer.print_ticket(ticket("t2")).outcome is PrintOutcome.PRINTED
        assert len(paper.codes) == 2


def test_a_printer_without_a_back_channel_prints_anyway() -> None:
    with VirtualPrinter(status=False, process_id=False, clear_buffer=False, asb=False) as paper:
        with opened(paper, "profile=POS-5890") as printer:
            result = printer.print_ticket(ticket())
            assert (result.outcome, type(result.error)) == (PrintOutcome.UNKNOWN, DeviceTimeout)
        assert zxingcpp.read_barcodes(paper.image(), zxingcpp.BarcodeFormat.QRCode)[0].text == LINK


@pytest.mark.parametrize("model", ["TM-T88V&dpi=203", "POS-5890"])  # with automatic status, and without
def test_answers_that_come_late_answer_no_other_question(paper: VirtualPrinter, model: str) -> None:
    """Each answer is one byte that does not say which question it answers: a drawer's pin would read as an open cover,
    and a cutter that is well as paper that is there."""
    with opened(paper, f"profile={model}&status_s=0.3") as printer:
        printer.status()
        paper.answer_late(0.45)
        for _ in range(4):
            said = printer.status()
            assert said.cover_open is not SensorState.YES
        assert said.ready is SensorState.YES  # it is waited for longer, once it is known to be late
        paper.run_out_of_paper()
        said = printer.status()
        assert (said.paper_out, said.cover_open) == (SensorState.YES, SensorState.NO)
        paper.load_paper()
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED


@pytest.mark.parametrize("said", [b"\x00\x00", b"OK\r\n"])
def test_garbage_in_place_of_a_status_does_not_prove_printing(said: bytes) -> None:
    """Where "printed" rests on the state after the ticket, that state must have been reported."""
    board = VirtualPrinter(process_id=False, clear_buffer=False, asb=False, head_mm_s=10)
    with board as paper, opened(paper, "profile=POS-5890") as printer:
        printer.status()
        paper.after(12 + 200, lambda: (paper.mute(), paper.send_garbage(said)))
        result = printer.print_ticket(ticket())
        assert not paper.codes
        assert result.outcome is PrintOutcome.UNKNOWN
        assert isinstance(result.error, DeviceTimeout)


def test_an_early_answer_does_not_end_printing() -> None:
    """Many boards answer `GS r` when they have read it, while the head still prints."""
    board = VirtualPrinter(process_id=False, clear_buffer=False, asb=False, reads_ahead=True, head_mm_s=4)
    with board as paper, opened(paper, "profile=POS-5890&head_mm_s=10&done_s=60") as printer:
        printer.status()
        paper.after(12 + 100, threading.Timer(0.3, paper.run_out_of_paper).start)
        result = printer.print_ticket(ticket())
        assert result.outcome is PrintOutcome.UNKNOWN
        assert isinstance(result.error, PaperOut)
        assert not zxingcpp.read_barcodes(paper.image(), zxingcpp.BarcodeFormat.QRCode)


# --- health and identity ---


def test_health_of_a_good_printer(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        health = printer.health()
        assert health.ready is SensorState.YES
        assert health.findings == ()
        assert health.identity == PrinterIdentity("EPSON", "TM-T88V", "SIM0000001", "SIM 1.00")
        assert (health.reports_printed, health.clears) == (SensorState.YES, SensorState.YES)
        assert health.answers_ms is not None
        assert health.presenter is None
        assert not paper.tickets
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("run_out_of_paper", "new roll"),
        ("open_cover", "close it"),
        ("break_head", "head"),
        ("mute", "no status question"),
        ("unplug", "refuses the connection"),
    ],
)
def test_health_says_what_to_do(paper: VirtualPrinter, fault: str, words: str) -> None:
    with opened(paper) as printer:
        printer.status()
        getattr(paper, fault)()
        health = printer.health()
        assert health.ready is not SensorState.YES
        assert words in "; ".join(health.findings)


def test_health_finds_a_wrong_profile() -> None:
    with VirtualPrinter(process_id=False, clear_buffer=False) as paper, opened(paper) as printer:
        health = printer.health()
        assert (health.reports_printed, health.clears) == (SensorState.NO, SensorState.NO)
        assert "choose another profile" in "; ".join(health.findings)


def test_a_wrong_profile_never_says_that_a_ticket_did_not_come_out() -> None:
    """It promises process ids that the printer does not give: what came out is unknown, not denied."""
    with VirtualPrinter(process_id=False) as paper, opened(paper) as printer:
        result = printer.print_ticket(ticket())
        assert len(paper.codes) == 1
        assert result.outcome is PrintOutcome.UNKNOWN
        assert isinstance(result.error, DeviceTimeout)
        assert "choose another profile" in result.error.hint


def test_a_wrong_profile_never_denies_a_code_that_came_out() -> None:
    """It can be cleared, and gives no process ids though the profile promises them: their absence proves nothing."""
    with VirtualPrinter(process_id=False, head_mm_s=60) as paper, opened(paper) as printer:
        printer.status()

        def fail_below_the_code() -> None:
            assert paper.wait_for(lambda one: bool(one.codes), 20)
            paper.run_out_of_paper()

        failing = threading.Thread(target=fail_below_the_code)
        failing.start()
        result = printer.print_ticket(ticket())
        failing.join()
        assert isinstance(result.error, PaperOut)
        assert result.outcome is PrintOutcome.UNKNOWN
        paper.load_paper()
        with pytest.raises(DuplicateTicket):
            printer.print_ticket(ticket())


def test_near_the_end_of_the_paper() -> None:
    with VirtualPrinter(roll_mm=300) as paper, opened(paper) as printer:
        health = printer.health()
        assert (health.ready, health.status.paper_near_end) == (SensorState.YES, SensorState.YES)
        assert "near its end" in "; ".join(health.findings)


@pytest.mark.parametrize(
    ("level", "state"), [("high", SensorState.YES), ("low", SensorState.NO), ("", SensorState.UNKNOWN)]
)
def test_the_drawer_is_known_when_its_level_is(paper: VirtualPrinter, level: str, state: SensorState) -> None:
    with opened(paper, f"drawer={level}" if level else "") as printer:
        assert printer.status().drawer_open is state


# --- presenter ---


@pytest.fixture
def kiosk() -> Iterator[VirtualPrinter]:
    with VirtualPrinter(presenter=True, process_id=False, clear_buffer=False) as one:
        yield one


def test_presenter(kiosk: VirtualPrinter) -> None:
    with opened(kiosk, "profile=CUSTOM-VKP80") as printer:
        mouth = printer.presenter
        assert mouth is not None
        assert mouth.wait_taken(0.1) is TicketEnd.NONE
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert mouth.status().ticket_in_output is SensorState.YES
        assert mouth.wait_taken(0.1) is TicketEnd.STILL_THERE
        threading.Timer(0.2, kiosk.ticket_taken).start()
        assert mouth.wait_taken(5.0) is TicketEnd.TAKEN
        printer.print_ticket(ticket("t2"))
        assert (mouth.retract(), kiosk.retracted) == (TicketEnd.RETRACTED, 1)
        assert mouth.retract() is TicketEnd.NONE
        printer.print_ticket(ticket("t3"))
        assert mouth.eject() is TicketEnd.EJECTED
        kiosk.jam_output()
        assert mouth.retract() is TicketEnd.JAMMED
        assert "jammed in the presenter" in "; ".join(printer.health().findings)
        kiosk.mute()
        assert mouth.wait_taken(0.5) is TicketEnd.UNKNOWN


def test_a_ticket_that_cannot_be_retracted_is_still_there(kiosk: VirtualPrinter) -> None:
    with opened(kiosk, "profile=CUSTOM-VKP80") as printer:
        assert printer.presenter is not None
        printer.print_ticket(ticket())
        kiosk.hold_ticket()
        assert printer.presenter.retract() is TicketEnd.STILL_THERE
        kiosk.ticket_taken()
        assert printer.presenter.retract() is TicketEnd.NONE


def test_a_sensor_that_does_not_answer_moves_nothing_and_claims_nothing() -> None:
    with VirtualPrinter(presenter=True, process_id=False, clear_buffer=False, output_sensor=False) as kiosk:
        with opened(kiosk, "profile=CUSTOM-VKP80") as printer:
            assert printer.presenter is not None
            assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
            assert printer.presenter.retract() is TicketEnd.UNKNOWN
            kiosk.ticket_taken()
            assert printer.presenter.wait_taken(0.1) is TicketEnd.UNKNOWN
        assert kiosk.retracted == 0


def test_most_printers_have_none(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        assert printer.presenter is None


# --- what is left in the printer, and on the paper ---


def test_a_new_process_clears_what_the_one_before_left(paper: VirtualPrinter) -> None:
    """The lane died while its ticket waited for paper: the ticket must not come out when the roll is changed."""
    paper.run_out_of_paper()
    with opened(paper) as printer:
        printer._session.send(b"\x1b@ old ticket\n", 1.0)
        assert paper.wait_for(lambda one: one.state()["waiting"] > 0)
    memory.forget()
    with opened(paper):
        paper.load_paper()
        assert paper.wait_idle()
        assert paper.text == ""


def test_a_ticket_that_expires_in_the_printer_never_comes_out(paper: VirtualPrinter) -> None:
    paper._machine.traits.head_mm_s = 2
    with opened(paper, "profile=TM-T88V&dpi=203&done_s=60") as printer:
        printer.status()
        start = time.monotonic()
        result = printer.print_ticket(ticket(valid_until=time.time() + 1.0))
        assert time.monotonic() - start < 30  # long before the driver's own deadline
        assert (result.outcome, result.may_come_later) == (PrintOutcome.NOT_PRINTED, False)
        paper._machine.traits.head_mm_s = 0
        assert paper.wait_idle()
        assert not paper.codes


def test_the_bytes_of_a_ticket_are_not_given_after_its_end() -> None:
    """A printer with a full buffer takes the rest when its cover is closed: by then the ticket has expired."""
    with VirtualPrinter(buffer_bytes=128, wire=VirtualUsb) as paper, opened(paper, "write_s=30") as printer:
        printer.status()
        paper.after(12 + 20, paper.stall)
        link = LINK + "&x=" + "0" * 400
        build(Ticket("t0", link, qr_mm=72), printer.profile, codec="cp866")  # the code is drawn by now
        start = time.monotonic()
        result = printer.print_ticket(Ticket("t1", link, valid_until=time.time() + 2.0, qr_mm=72))
        assert time.monotonic() - start < 10
        assert (result.outcome, result.fragment) == (PrintOutcome.NOT_PRINTED, True)
        paper.stall(False)
        assert printer.print_ticket(ticket("t2")).outcome is PrintOutcome.PRINTED
        assert [code.text for code in paper.codes] == [LINK]


def test_the_code_is_not_given_when_the_end_comes_after_the_heading(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        looks = iter((0.0, 0.0, 0.0))  # before the build, before the first byte, for the deadline
        printer._clock = lambda: next(looks, 100.0)
        result = printer.print_ticket(ticket(valid_until=50.0))
        assert (result.outcome, result.may_come_later) == (PrintOutcome.NOT_PRINTED, False)
        assert paper.wait_idle()
        assert not paper.codes


def test_clearing_that_cannot_be_proven_is_reported(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        printer.status()
        paper.after(12 + 200, paper.mute)
        result = printer.print_ticket(ticket())
        assert (result.outcome, result.may_come_later) == (PrintOutcome.UNKNOWN, True)
        assert "may still contain the rest" in result.evidence


def test_a_mark_whose_answer_may_be_lost_proves_nothing(paper: VirtualPrinter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The printer was mute while the code came out, and answers again from the command to clear its buffer on."""
    with opened(paper, "done_s=1") as printer:
        assert printer.print_ticket(ticket("t1")).outcome is PrintOutcome.PRINTED
        clear = printer._session.clear

        def speaks_again() -> bool:
            paper.mute(False)
            return clear()

        monkeypatch.setattr(printer._session, "clear", speaks_again)
        paper.after(12 + 200, paper.mute)
        result = printer.print_ticket(ticket("t2"))
        assert len(paper.codes) == 2
        assert (result.outcome, result.may_come_later) == (PrintOutcome.UNKNOWN, False)


def test_known_not_printed_when_the_mark_before_the_code_was_not_reached(paper: VirtualPrinter) -> None:
    """The whole ticket was taken, the paper ended above the code, the buffer was cleared: it did not come out."""
    paper._machine.traits.head_mm_s = 8
    with opened(paper) as printer:
        printer.status()
        paper.after(12 + 150, paper.run_out_of_paper)
        first = printer.print_ticket(ticket())
        assert (first.outcome, first.fragment, first.may_come_later) == (PrintOutcome.NOT_PRINTED, True, False)
        assert "before the code was reached" in first.evidence
        paper.load_paper()
        paper._machine.traits.head_mm_s = 0
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
    torn, again = paper.tickets
    assert (torn.codes, torn.cut) == ((), True)
    assert again.text.splitlines()[0] == "ДУБЛИКАТ"
    assert [code.text for code in zxingcpp.read_barcodes(again.image(), zxingcpp.BarcodeFormat.QRCode)] == [LINK]


@pytest.mark.parametrize("heading", [None, Line("ПОВТОР ДЛЯ КАССЫ 7")])
def test_the_heading_can_be_chosen(paper: VirtualPrinter, heading: Line | None) -> None:
    paper._machine.traits.head_mm_s = 8
    with opened(paper) as printer:
        printer.status()
        paper.after(12 + 150, paper.run_out_of_paper)
        assert printer.print_ticket(ticket(repeat=heading)).outcome is PrintOutcome.NOT_PRINTED
        paper.load_paper()
        paper._machine.traits.head_mm_s = 0
        assert printer.print_ticket(ticket(repeat=heading)).outcome is PrintOutcome.PRINTED
        assert paper.tickets[-1].text.splitlines()[0] == (heading.text if heading else "Магазин")


def test_another_ticket_after_a_fragment_is_cut_off_it_and_has_no_heading(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        printer.status()
        paper.after(12 + 150, paper.run_out_of_paper)
        printer.print_ticket(ticket())
        paper.load_paper()
        assert printer.print_ticket(ticket("t2")).outcome is PrintOutcome.PRINTED
    assert paper.tickets[-1].text.splitlines()[0] == "Магазин"


def test_a_cutter_that_was_freed_needs_no_power_cycle(paper: VirtualPrinter) -> None:
    paper.jam_cutter()
    with opened(paper) as printer:
        first = printer.print_ticket(ticket())
        assert first.outcome is PrintOutcome.UNKNOWN  # it lies uncut in the printer's mouth
        paper.free_cutter()
        assert printer.print_ticket(ticket("t2")).outcome is PrintOutcome.PRINTED
        assert len(paper.codes) == 2


def test_a_second_object_knows_the_ticket(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        printer.print_ticket(ticket())
    with opened(paper, "profile=default") as printer, pytest.raises(DuplicateTicket):
        printer.print_ticket(ticket())


def test_a_device_is_the_same_with_and_without_the_usual_port() -> None:
    one, other = (memory.memory_of(DeviceUrl.parse(f"tcp://10.0.0.5{port}?status_s=1")) for port in ("", ":9100"))
    assert one is other
    assert one is not memory.memory_of(DeviceUrl.parse("tcp://10.0.0.5:9101"))


def test_close_ends_a_ticket_under_way(paper: VirtualPrinter) -> None:
    paper._machine.traits.head_mm_s = 10
    with opened(paper, "done_s=60") as printer:
        threading.Timer(0.5, printer.close).start()
        start = time.monotonic()
        assert printer.print_ticket(ticket()).outcome is not PrintOutcome.PRINTED
        assert time.monotonic() - start < 5
        with pytest.raises(DeviceClosed):
            printer.status()


def test_spy_logs_the_bytes(paper: VirtualPrinter, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sco_drivers.spy")
    with open_printer(f"spy+{paper.url}?status_s=0.2") as printer:
        printer.status()
    assert "-> 3: 10 04 01" in caplog.text
    assert "<- " in caplog.text


def test_it_is_a_printer() -> None:
    with open_printer("sim://") as printer:
        assert isinstance(printer, Printer)
