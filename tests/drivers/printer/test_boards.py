"""Boards as they are sold: what they do not know, print by mistake, or answer late."""

from __future__ import annotations

import socket
import time

import pytest
import zxingcpp

from sco_drivers.printer import Line, PrintOutcome, SensorState, Ticket
from sco_drivers.printer.escpos import Options
from sco_drivers.printer.replies import QrSize, ReplyReader
from sco_drivers.urls import DeviceUrl
from sco_sim.printer import VirtualPrinter
from tests.drivers.printer.test_session import LINK, opened, ticket

ECHOING = {
    "native_qr": False,
    "process_id": False,
    "identity": False,
    "asb": False,
    "utf8": False,
    "clear_buffer": False,
    "echoes_unknown": True,
}
"""A board that prints the parameters of all commands that it does not know, and answers DLE EOT and GS r."""


# --- a board without QR codes of its own ---


@pytest.mark.parametrize("echoes", [False, True])
@pytest.mark.parametrize("profile", ["default", "CUSTOM-VKP80"])
def test_an_unknown_board_without_qr_codes_prints_a_picture(profile: str, echoes: bool) -> None:
    board = ECHOING | {"echoes_unknown": echoes}
    with VirtualPrinter(**board) as paper, opened(paper, f"profile={profile}") as printer:
        for name in ("t1", "t2"):
            assert printer.print_ticket(ticket(name)).outcome is PrintOutcome.PRINTED
        assert paper.wait_idle()
        for one in paper.tickets:
            assert [code.text for code in zxingcpp.read_barcodes(one.image(), zxingcpp.BarcodeFormat.QRCode)] == [LINK]
            assert "qr.nspk.ru" not in one.text
        assert any("draws QR codes" in finding for finding in printer.health().findings)


def test_an_unknown_board_that_proves_its_qr_codes_is_sent_them() -> None:
    with VirtualPrinter() as paper, opened(paper, "profile=default") as printer:
        assert not any("QR" in finding for finding in printer.health().findings)
        assert not paper.tickets
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert [code.text for code in paper.codes] == [LINK]


def test_the_question_for_qr_codes_is_not_answered_while_the_cover_is_open() -> None:
    with VirtualPrinter() as paper, opened(paper, "profile=default") as printer:
        paper.open_cover()
        printer.health()
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.NOT_PRINTED
        paper.close_cover()
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert [code.text for code in paper.codes] == [LINK]


def test_a_choice_in_the_url_is_not_questioned() -> None:
    with VirtualPrinter() as paper, opened(paper, "profile=default&qr=native") as printer:
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert [code.text for code in paper.codes] == [LINK]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"\x37\x36117\x1f117\x1f1\x1f0\x00", [QrSize(True)]),
        (b"\x37\x360\x1f0\x1f1\x1f1\x00", [QrSize(False)]),
        (b"\x37\x36117\x1f117\x00", []),
        (b"\x37\x36" + b"1" * 40, []),
    ],
)
def test_the_size_of_a_code_is_recognised(data: bytes, found: list[QrSize]) -> None:
    reader = ReplyReader()
    assert [reply for byte in data for reply in reader.feed(bytes((byte,))) if isinstance(reply, QrSize)] == found
    assert reader.noise == (0 if found else len(data)) or not found


# --- a board that prints the letters of commands that it does not know ---


@pytest.mark.parametrize("profile", ["default", "POS-5890"])
def test_health_prints_nothing_and_leaves_nothing_for_the_next_ticket(profile: str) -> None:
    with VirtualPrinter(**ECHOING) as paper, opened(paper, f"profile={profile}&status_s=0.1") as printer:
        for name in ("t1", "t2"):
            for _ in range(10):
                printer.health()
            printer.print_ticket(ticket(name))
        for _ in range(10):
            printer.health()
        assert paper.wait_for(lambda one: one._machine.idle and not one._machine._editor.runs)
        assert paper.text.split() == ["Магазин", "Спасибо"] * 2


def test_health_leaves_no_letters_even_under_a_wrong_profile() -> None:
    with VirtualPrinter(**ECHOING) as paper, opened(paper, "profile=TM-T88V&status_s=0.1") as printer:
        for _ in range(30):
            printer.health()
        assert paper.wait_for(lambda one: one._machine.idle and not one._machine._editor.runs)
        assert not paper.tickets


def test_health_says_nothing_to_an_unknown_board_before_it_has_proved_itself() -> None:
    with VirtualPrinter(**ECHOING) as paper, opened(paper, "profile=default") as printer:
        printer.health()
        assert paper.wait_idle()
        assert not {"GS I", "GS (", "GS a", "text"} & set(paper.commands)


# --- a board that loses what follows a tall picture ---


@pytest.mark.parametrize("way", ["raster", "raster-doubled"])
def test_no_command_has_more_rows_than_the_board_takes(way: str) -> None:
    board = VirtualPrinter(raster_rows=287)
    with board as paper, opened(paper, f"profile=default&qr={way}") as printer:
        tall = Ticket("t1", LINK + "&x=" + "7" * 400, (Line("Магазин"),), (Line("Спасибо"),), qr_mm=72)
        for one in (tall, ticket("t2")):
            assert printer.print_ticket(one).outcome is PrintOutcome.PRINTED
        assert paper.wait_idle()
        assert paper.text.split() == ["Магазин", "Спасибо"] * 2
        codes = zxingcpp.read_barcodes(paper.image(), zxingcpp.BarcodeFormat.QRCode)
        assert sorted(code.text for code in codes) == sorted([tall.qr, LINK])


# --- answers that come late ---

MODELS = ["TM-T88V&dpi=203", "POS-5890"]  # with automatic status, and without


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("lag", [1, 2])
def test_answers_that_lag_behind_answer_no_other_question(model: str, lag: int) -> None:
    with VirtualPrinter(answers_behind=lag) as paper, opened(paper, f"profile={model}&done_s=5") as printer:
        for fault, seen in (
            ("", ""),
            ("run_out_of_paper", "paper_out"),
            ("load_paper", ""),
            ("open_cover", "cover_open"),
        ):
            if fault:
                getattr(paper, fault)()
            for _ in range(2 + lag):
                status = printer.status()
                wrong = [name for name in ("cover_open", "paper_out", "cutter_error") if name != seen]
                assert all(getattr(status, name) is not SensorState.YES for name in wrong), (fault, status)
            assert status.ready is (SensorState.NO if seen else SensorState.YES)
            assert not seen or getattr(status, seen) is SensorState.YES
        paper.close_cover()
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert printer.health().ready is SensorState.YES


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("late_s", [0.7, 1.0, 1.8])  # all later than twice the status time, the last too late
def test_answers_later_than_twice_the_status_time(model: str, late_s: float) -> None:
    with VirtualPrinter() as paper, opened(paper, f"profile={model}&status_s=0.3&done_s=8") as printer:
        printer.status()
        paper.answer_late(late_s)
        for _ in range(3):
            status = printer.status()
            assert SensorState.YES not in (status.cover_open, status.paper_out, status.cutter_error)
        if late_s < 1.2:
            assert status.ready is SensorState.YES
            assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        paper.answer_late(0)
        time.sleep(2)
        for _ in range(2):
            status = printer.status()
            assert SensorState.YES not in (status.cover_open, status.paper_out, status.cutter_error)
        assert printer.status().ready is SensorState.YES
        assert printer.print_ticket(ticket("t2")).outcome is PrintOutcome.PRINTED


def test_answers_that_were_lost_shift_no_later_ones() -> None:
    with VirtualPrinter() as paper, opened(paper, "profile=POS-5890") as printer:
        printer.status()
        paper.mute()
        for _ in range(6):
            assert printer.status().ready is SensorState.UNKNOWN
        paper.mute(False)
        paper.run_out_of_paper()
        status = printer.status()
        assert (status.paper_out, status.cover_open, status.online) == (SensorState.YES, SensorState.NO, SensorState.NO)
        paper.load_paper()
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED


def test_an_answer_without_a_question_is_no_answer() -> None:
    with VirtualPrinter() as paper, opened(paper, "profile=POS-5890") as printer:
        printer.status()
        paper.send_garbage(b"\x16\x72")  # cover open, paper out
        time.sleep(0.1)
        assert printer.status().ready is SensorState.YES


# --- a network printer that serves one computer at a time ---


def other_computer(paper: VirtualPrinter) -> socket.socket:
    host, port = paper.url.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)), 5)


def test_an_idle_connection_lets_another_computer_print() -> None:
    with VirtualPrinter() as paper, opened(paper, "profile=TM-T88V&idle_close_s=0.3") as printer:
        assert printer.print_ticket(ticket("t1")).outcome is PrintOutcome.PRINTED
        with other_computer(paper) as other:
            other.settimeout(20)
            other.sendall(b"\x10\x04\x01")
            assert other.recv(1)
        assert printer.status().ready is SensorState.YES
        assert printer.print_ticket(ticket("t2")).outcome is PrintOutcome.PRINTED
        assert len(paper.codes) == 2


def test_a_connection_in_use_is_not_closed() -> None:
    board = VirtualPrinter(head_mm_s=100)
    with board as paper, opened(paper, "profile=TM-T88V&idle_close_s=0.05&done_s=30") as printer:
        for n in range(3):
            assert printer.print_ticket(ticket(f"t{n}")).outcome is PrintOutcome.PRINTED
            time.sleep(0.1 * n)


def test_only_connections_over_tcp_are_closed_by_default() -> None:
    assert Options.of(DeviceUrl.parse("tcp://10.0.0.5")).idle_close_s == 5
    assert Options.of(DeviceUrl.parse("serial:///dev/ttyS0")).idle_close_s == 0
    assert Options.of(DeviceUrl.parse("tcp://10.0.0.5?idle_close_s=0")).idle_close_s == 0


@pytest.mark.parametrize(("profile", "outcome"), [("TM-T88V", "not_printed"), ("default", "unknown")])
def test_a_printer_that_another_computer_holds(profile: str, outcome: str) -> None:
    with VirtualPrinter() as paper, other_computer(paper) as other:
        other.sendall(b"\x10\x04\x01")
        assert other.recv(1)
        with opened(paper, f"profile={profile}") as printer:
            result = printer.print_ticket(ticket())
            assert result.outcome.value == outcome
            assert result.error is not None
            assert "another computer may hold it" in str(result.error)


# --- a kiosk printer that keeps a ticket until it is presented ---


def kiosk() -> VirtualPrinter:
    return VirtualPrinter(presenter=True, process_id=False, clear_buffer=False)


def test_a_ticket_is_presented_when_it_is_printed() -> None:
    with kiosk() as paper, opened(paper, "profile=CUSTOM-VKP80") as printer:
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert paper.wait_for(lambda one: one.state()["in_output"])
        assert paper.state()["in_presenter"] == 0
        assert printer.presenter is not None
        assert printer.presenter.status().ticket_in_output is SensorState.YES


def test_a_ticket_left_in_the_output_is_retracted_before_the_next() -> None:
    with kiosk() as paper, opened(paper, "profile=CUSTOM-VKP80") as printer:
        for n in range(3):
            assert printer.print_ticket(ticket(f"t{n}")).outcome is PrintOutcome.PRINTED
            assert paper.wait_for(lambda one: one.state()["in_output"])
            assert paper.state()["retracted"] == n
        assert paper.cuts == 3


def test_a_ticket_left_in_the_output_may_be_kept() -> None:
    with kiosk() as paper, opened(paper, "profile=CUSTOM-VKP80&leftover=keep") as printer:
        assert printer.print_ticket(ticket("t1")).outcome is PrintOutcome.PRINTED
        result = printer.print_ticket(ticket("t2"))
        assert result.outcome is PrintOutcome.NOT_PRINTED
        assert "still in the output" in str(result.error)
        paper.ticket_taken()
        assert printer.print_ticket(ticket("t2")).outcome is PrintOutcome.PRINTED
        assert paper.state()["retracted"] == 0


def test_no_ticket_is_printed_after_one_that_is_jammed() -> None:
    with kiosk() as paper, opened(paper, "profile=CUSTOM-VKP80") as printer:
        printer.print_ticket(ticket("t1"))
        paper.jam_output()
        result = printer.print_ticket(ticket("t2"))
        assert (result.outcome, paper.cuts) == (PrintOutcome.NOT_PRINTED, 1)
        assert "jammed in the presenter" in str(result.error)
