"""A network printer whose cable is pulled: nobody notices, and the kernel goes on taking bytes."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sco_drivers import open_printer
from sco_drivers.errors import DeviceError, DeviceTimeout
from sco_drivers.printer import DuplicateTicket, PrintOutcome, SensorState, Ticket
from sco_drivers.printer.transports import open_tcp_wire
from sco_drivers.urls import DeviceUrl
from sco_sim.printer import VirtualPrinter

LINK = "https://qr.nspk.ru/AD1?type=02&sum=100&cur=RUB&crc=0000"
SHORT = "connect_s=0.3&status_s=0.3&write_s=1&done_s=1&settle_s=0.05"


@pytest.fixture(autouse=True)
def _waits_for_no_clock() -> None:
    """These tests do: what is on its way to nobody never arrives."""


@pytest.fixture
def paper() -> Iterator[VirtualPrinter]:
    with VirtualPrinter() as paper:
        yield paper


def test_all_bytes_are_taken_and_none_arrives_until_the_network_is_back(paper: VirtualPrinter) -> None:
    url = DeviceUrl.parse(paper.url)
    wire = open_tcp_wire(url.host, url.port or 0, paper.url, 5.0)
    assert wire.write(b"before", 5.0) == 6
    assert paper.wait_for(lambda one: one.bytes_received == 6)
    paper.vanish()
    assert wire.write(b"Hello\n", 5.0) == 6
    assert wire.read(0.0) == b""
    assert not paper.wait_for(lambda one: one.bytes_received != 6, 0.2)
    paper.vanish(False)
    assert paper.wait_for(lambda one: one.bytes_received == 12)
    wire.close()


def test_a_connection_is_waited_for_no_longer_than_connect_s(paper: VirtualPrinter) -> None:
    paper.vanish()
    start = time.monotonic()
    with pytest.raises(DeviceTimeout, match="no connection in time"):
        open_printer(f"{paper.url}?{SHORT}")
    assert time.monotonic() - start < 60, "the kernel would try for two minutes"
    paper.vanish(False)
    with open_printer(paper.url) as printer:
        assert printer.print_ticket(Ticket("back", LINK)).outcome is PrintOutcome.PRINTED


def test_a_ticket_that_went_nowhere_is_neither_printed_nor_printed_twice(paper: VirtualPrinter) -> None:
    with open_printer(f"{paper.url}?{SHORT}") as printer:
        assert printer.status().ready is SensorState.YES
        paper.after(150, paper.vanish)
        result = printer.print_ticket(Ticket("lost", LINK))
        assert result.outcome is PrintOutcome.UNKNOWN, result
        assert isinstance(result.error, DeviceError)
        with pytest.raises(DuplicateTicket):
            printer.print_ticket(Ticket("lost", LINK))
        paper.vanish(False)
        assert printer.print_ticket(Ticket("next", LINK)).outcome is PrintOutcome.PRINTED


def test_only_a_network_loses_its_printer_without_notice() -> None:
    with VirtualPrinter(wire="pty") as line, pytest.raises(OSError, match="use unplug"):
        line.vanish()
