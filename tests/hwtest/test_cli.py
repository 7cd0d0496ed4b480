from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_hwtest.cli.exit_status import ExitStatus
from sco_hwtest.cli.main import main
from sco_sim.printer import VirtualPrinter


@pytest.mark.parametrize("group", ["nfc", "printer", "screen", "udev"])
def test_every_device_has_its_commands(group: str) -> None:
    done = CliRunner().invoke(main, [group, "--help"])
    assert done.exit_code == 0
    commands = done.output.partition("Commands:\n")[2].splitlines()
    assert commands
    assert not [line for line in commands if line.endswith("...")], "cut off: give it a short_help"


def test_a_preview_of_the_ticket(tmp_path: Path) -> None:
    png = tmp_path / "ticket.png"
    done = CliRunner().invoke(main, ["printer", "preview", str(png), "--paper-mm", "58"])
    assert done.exit_code == 0, done.output
    assert png.stat().st_size > 500


def test_status_and_print_report_the_printers_state() -> None:
    with VirtualPrinter() as paper:
        assert CliRunner().invoke(main, ["printer", "status", paper.url]).exit_code == 0
        assert CliRunner().invoke(main, ["printer", "print", paper.url]).exit_code == 0
        paper.run_out_of_paper()
        done = CliRunner().invoke(main, ["printer", "status", paper.url])
        assert (done.exit_code, "paper out              yes" in done.output) == (1, True)


@pytest.mark.parametrize(("url", "status"), [("tcp://127.0.0.1:1", 1), ("nonsense", 2), ("fax://x", 2)])
def test_a_url_that_is_not_a_printer_is_refused(url: str, status: int) -> None:
    done = CliRunner().invoke(main, ["printer", "status", url])
    assert done.exit_code == status
    assert url in done.output
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["printer", "status", "tcp://?profile=nope&dpi=1"], ("host is missing", "profile='nope'", "dpi='1'")),
        (["printer", "health", "lp://dev/lp0?dpi=1"], ("'dev' is in the place of a host", "dpi='1'")),
        (["printer", "print", "serial://?baud=0"], ("baud='0'", "path is missing")),
        (["nfc", "read", "pn532://?baud=1&attempts=9"], ("baud='1'", "attempts='9'", "path is missing")),
        (["nfc", "watch", "usb://x?attempts=9"], ("attempts='9'", "vendor and product")),
        (
            ["nfc", "provision", "usb://x?attempts=9", "https://example.org", "--protection", "forever"],  # no question
            ("attempts='9'", "vendor and product"),
        ),
        (["screen", "walk", "fb://?rotate=1&pages=9"], ("rotate='1'", "pages='9'", "path is missing")),
        (["screen", "check", "sim://?size=x&format=y"], ("size='x'", "format='y'")),
        (
            ["screen", "calibrate", "sim://?size=x&rotate=1", "evdev://?grab=7"],
            ("size='x'", "rotate='1'", "grab='7'", "path is missing"),
        ),
    ],
)
def test_every_mistake_in_a_url_is_reported_at_once(arguments: list[str], words: tuple[str, ...]) -> None:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == ExitStatus.WRONG_USAGE, done.output
    mistakes = done.output.partition("Error: ")[2]
    assert all(word in mistakes for word in words), done.output
    assert len(mistakes.splitlines()) == len(words)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["printer", "preview", "/nowhere/a.png"], "/nowhere/a.png cannot be written"),
        (
            ["screen", "walk", "sim://?size=640x480", "--scene", "paid", "--sheet", "/nowhere/a.png"],
            "cannot be written",
        ),
        (["nfc", "write", "sim://", "not a link"], "is not a link"),
    ],
)
def test_errors_are_reported_in_one_line(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, words in done.output, isinstance(done.exception, SystemExit)) == (1, True, True), (
        done.output
    )


def test_verbose_shows_the_bytes_of_a_spied_device() -> None:
    with VirtualPrinter() as paper:
        command = ["printer", "status", f"spy+{paper.url}"]
        for verbose, seen in (([], False), (["-vv"], True)):
            done = subprocess.run(
                [sys.executable, "-m", "sco_hwtest.cli.main", *verbose, *command],
                capture_output=True,
                text=True,
                check=True,
            )
            assert ("10 04 01" in done.stderr) is seen
