"""One contract over every wire and model of printer that can be had without hardware."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
import zxingcpp

from sco_drivers import open_printer
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.printer import BARCODE, CHECKS, FAULT_CHECKS, LINK, Faulty, Printer
from sco_sim.printer import VirtualPrinter
from sco_sim.printer.control import change
from sco_sim.printer.wire import Wire
from tests.simulators.usb_printer import VirtualUsb

pytestmark = pytest.mark.usefixtures("idle_time")


@dataclass(frozen=True)
class Way:
    """A wire and a model."""

    wire: str | Callable[[], Wire]
    params: str = ""
    scheme: str = ""
    paper_mm: int = 80
    traits: dict[str, object] = field(default_factory=dict)


WAYS = {
    "tcp": Way("tcp"),
    "tcp-slow-small-buffer": Way("tcp", traits={"head_mm_s": 250, "buffer_bytes": 96}),
    "serial": Way("pty", "profile=TM-T88V&dpi=203"),
    "serial-xonxoff": Way("pty", "flow=xonxoff", traits={"xoff_offline": True}),
    "lp": Way("pty", scheme="lp"),
    "usb": Way(VirtualUsb, "profile=TM-T20II"),
    "cheap-58": Way(
        "tcp",
        "profile=POS-5890&paper_mm=58",
        paper_mm=58,
        traits={"process_id": False, "clear_buffer": False, "asb": False, "native_qr": False},
    ),
    "kiosk": Way("tcp", "profile=CUSTOM-VKP80", traits={"presenter": True, "process_id": False, "clear_buffer": False}),
    "spied": Way("tcp", scheme="spy+tcp"),
}
SHORT = "status_s=0.3&write_s=1&done_s=3&settle_s=0.05&head_mm_s=1000"


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def paper(way: Way) -> Iterator[VirtualPrinter]:
    with VirtualPrinter(wire=way.wire, paper_mm=way.paper_mm, **way.traits) as paper:  # type: ignore[arg-type]
        yield paper


@pytest.fixture
def printer(way: Way, paper: VirtualPrinter) -> Iterator[Printer]:
    with open_printer(url_of(way, paper)) as printer:
        yield printer


def url_of(way: Way, paper: VirtualPrinter) -> str:
    scheme, rest = paper.url.split("://")
    if way.scheme == "lp":
        rest = rest.split("?")[0]
    url = f"{way.scheme or scheme}://{rest}"
    params = "&".join(filter(None, (way.params, SHORT)))
    return f"{url}{'&' if '?' in url else '?'}{params}"


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_contract(way: Way, printer: Printer, paper: VirtualPrinter, check: Check[Printer]) -> None:
    check.run(printer)
    assert paper.wait_idle()
    for one in paper.tickets:
        assert one.cut or "POS-5890" in way.params  # which has no cutter
        picture = one.image()
        links = [code.text for code in zxingcpp.read_barcodes(picture, zxingcpp.BarcodeFormat.QRCode)]
        goods = [code.text for code in zxingcpp.read_barcodes(picture, zxingcpp.BarcodeFormat.EAN13)]
        assert (links, goods) in (([LINK], []), ([], [BARCODE]))


@pytest.mark.parametrize("check", FAULT_CHECKS, ids=lambda check: check.name)
def test_faults(printer: Printer, paper: VirtualPrinter, check: Check[Faulty]) -> None:
    check.run(Faulty(printer, lambda command: change(paper, command.split())()))
