"""The simulated printer as a product: a process of its own, its fault controls on a socket, its roll as a picture."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from sco_drivers import open_printer
from sco_drivers.printer import PaperOut, Ticket
from sco_sim.printer import VirtualPrinter
from sco_sim.printer.control import FAULTS, ControlSocket, send

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[VirtualPrinter, Path]]:
    with VirtualPrinter() as paper, ControlSocket(paper, tmp_path / "control") as control:
        yield paper, control.path


def test_a_process_of_its_own(tmp_path: Path) -> None:
    control, roll = tmp_path / "control", tmp_path / "roll.png"
    command = [Path(sys.executable).parent / "sco-hwtest", "printer", "simulate", f"pty://{tmp_path}/tty"]
    with subprocess.Popen(
        [*command, "--control", control, "--roll", roll, "--roll-mm", "300"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        with open_printer(url) as printer:
            printer.print_ticket(Ticket("t1", LINK))
            assert send(control, "wait-cuts 1 5")["ok"]
            state = send(control, "state")
            assert (state["codes"], state["cuts"]) == ([LINK], 1)
            assert 150 < state["paper_left_mm"] < 300
            send(control, "run-out-of-paper")
            assert isinstance(printer.print_ticket(Ticket("t2", LINK)).error, PaperOut)
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    with Image.open(roll) as image:
        assert [found.text for found in zxingcpp.read_barcodes(image, zxingcpp.BarcodeFormat.QRCode)] == [LINK]
    assert not (tmp_path / "tty").is_symlink()
    assert not control.exists()


def test_every_fault_by_name(served: tuple[VirtualPrinter, Path]) -> None:
    paper, path = served
    for command in [
        *FAULTS,
        "stall",
        "stall off",
        "mute on",
        "mute off",
        "vanish",
        "vanish off",
        "jam-output",
        "hold-ticket",
        "load-paper 12.5",
        "answer-late 0.1",
        "answer-late",
        "garbage ff00",
    ]:
        answer = send(path, command)
        assert answer == {"ok": True}, command
    assert paper.state()["paper_left_mm"] == 12.5
    assert send(path, "after 3 jam-cutter") == {"ok": True}
    with open_printer(paper.url) as printer:
        printer.status()
    assert paper.state()["cutter_jam"]


@pytest.mark.parametrize(
    "command",
    ["nonsense", "load-paper much", "garbage xyz", "after 3", "after -1 stall", "stall maybe", "png /no/way.png"],
)
def test_a_bad_command_is_reported_and_changes_nothing(served: tuple[VirtualPrinter, Path], command: str) -> None:
    paper, path = served
    before = paper.state()
    answer = send(path, command)
    assert not answer["ok"]
    assert answer["error"]
    assert paper.state() == before


def test_a_long_run_keeps_the_last_tickets_only() -> None:
    with VirtualPrinter(keep_tickets=2) as paper, open_printer(paper.url) as printer:
        for n in range(5):
            printer.print_ticket(Ticket(f"t{n}", f"{LINK}&n={n}"))
        assert paper.wait_for(lambda one: one.cuts == 5)
        assert [code.text[-1] for code in paper.codes] == ["3", "4"]


@pytest.mark.parametrize(
    "where",
    [
        "fax",
        "tcp://127.0.0.1:many",
        "tcp://127.0.0.1:99999",
        "tcp://127.0.0.1:²",
        "/nowhere/g_printer0",
        "pty:///nowhere/tty",
    ],
)
def test_a_wire_that_cannot_be_made(where: str) -> None:
    with pytest.raises((ValueError, OSError), match=r"wire|port|nowhere"):
        VirtualPrinter(wire=where).start()
