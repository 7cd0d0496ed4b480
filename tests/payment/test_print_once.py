"""One attempt, one ticket: neither a restart of the lane nor a printer that was lost prints it a second time."""

from __future__ import annotations

from pathlib import Path

import pytest

from sco_drivers import open_printer
from sco_drivers.printer import DuplicateTicket, Ticket, memory
from sco_payment.attempt import Phase
from sco_payment.devices import ReopeningDevice
from sco_payment.events import LaneEvent, LinkAccepted, StateChanged, null_observer
from sco_payment.order import Order
from sco_sim.printer import VirtualPrinter
from tests.payment.lane_kit import OwnUI, bench


class Killed(BaseException):
    """The lane's process ends here."""


def test_a_lane_that_dies_after_printing_does_not_print_again(tmp_path: Path) -> None:
    with VirtualPrinter() as paper:
        devices = {"printer": paper.url}
        with bench(tmp_path, ui=OwnUI(), display={"mode": 0}, devices=devices) as (lane, _):

            def die(event: LaneEvent) -> None:
                if isinstance(event, StateChanged) and event.phase is Phase.WAITING:
                    lane._loop.observer = null_observer
                    raise Killed

            lane._loop.observer = die
            with pytest.raises(Killed):
                lane.pay(Order("42", 25300))
            assert paper.wait_for(lambda one: len(one.codes) == 1)
            memory.forget()  # a new process knows of no ticket; the journal knows of the attempt
            received = paper.bytes_received
            (result,) = lane.recover()
            assert result.phase is not Phase.PRESENTING
        assert len(paper.codes) == 1
        assert paper.bytes_received == received


def test_a_ticket_can_be_printed_again_for_as_long_as_it_can_be_paid(tmp_path: Path) -> None:
    again: dict[Phase, Ticket | None] = {}
    shown: list[str] = []

    def look(event: LaneEvent) -> None:
        if isinstance(event, StateChanged):
            again[event.phase] = lane.ticket_again(event.attempt)
            if event.phase is Phase.WAITING:
                paymaster.go_offline()
            elif event.phase is Phase.CANCELLING:
                paymaster.go_online()
        elif isinstance(event, LinkAccepted):
            shown.append(event.link)

    with VirtualPrinter() as paper:
        where = {"display": {"mode": 0}, "devices": {"printer": paper.url}}
        with bench(tmp_path, ui=OwnUI("cancel"), observer=look, **where) as (lane, paymaster):
            result = lane.pay(Order("42", 25300))
            again[result.phase] = lane.ticket_again(result.key)
    assert {phase for phase, ticket in again.items() if ticket is not None} == {Phase.WAITING, Phase.ASKING}
    assert {ticket.qr for ticket in again.values() if ticket is not None} == set(shown)
    assert Phase.CANCELLING in again


def test_a_printer_that_was_lost_and_opened_again_knows_the_ticket() -> None:
    with VirtualPrinter() as paper:
        held = ReopeningDevice(lambda: open_printer(f"{paper.url}?status_s=0.1&done_s=0.5"))
        paper.after(300, paper.unplug)
        ticket = Ticket("attempt", "https://qr.nspk.ru/AD1?type=02&sum=100&cur=RUB&crc=0000")
        result = held.get().print_ticket(ticket)
        held.lost(result.error)
        paper.plug_in()
        with pytest.raises(DuplicateTicket):
            held.get().print_ticket(ticket)
        held.close()


def test_an_idle_lane_clears_what_the_one_before_left_in_the_printer(tmp_path: Path) -> None:
    """The lane died while its ticket waited for paper. By the time somebody changes the roll, it must be gone."""
    with VirtualPrinter() as paper:
        paper.run_out_of_paper()
        with open_printer(paper.url) as printer:
            printer._session.send(b"\x1b@ an old ticket\n", 1.0)  # type: ignore[attr-defined]
        memory.forget()
        devices = {"printer": paper.url}
        with bench(tmp_path, ui=OwnUI(), display={"mode": 0}, devices=devices) as (lane, _):
            lane.run_pending()
            assert paper.wait_for(lambda one: one.flushes >= 2, 30.0)
        paper.load_paper()
        assert paper.wait_idle()
        assert paper.text == ""
