from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_drivers.sim.printer import VirtualPrinter
from sco_hwtest.cli import main


@pytest.mark.parametrize("group", ["nfc", "printer", "screen"])
def test_every_device_has_its_commands(group: str) -> None:
    done = CliRunner().invoke(main, [group, "--help"])
    assert done.exit_code == 0
    assert "Commands" in done.output


def test_a_preview_of_the_ticket(tmp_path: Path) -> None:
    png = tmp_path / "ticket.png"
    done = CliRunner().invoke(main, ["printer", "preview", str(png), "--paper-mm", "58"])
    assert done.exit_code == 0, done.output
    assert png.stat().st_size > 500


def test_status_and_print_tell_the_truth() -> None:
    with VirtualPrinter() as paper:
        assert CliRunner().invoke(main, ["printer", "status", paper.url]).exit_code == 0
        assert CliRunner().invoke(main, ["printer", "print", paper.url]).exit_code == 0
        paper.run_out_of_paper()
        done = CliRunner().invoke(main, ["printer", "status", paper.url])
        assert (done.exit_code, "paper out              yes" in done.output) == (1, True)


@pytest.mark.parametrize("url", ["tcp://127.0.0.1:1", "nonsense", "fax://x"])
def test_what_is_no_printer_is_said_in_one_line(url: str) -> None:
    done = CliRunner().invoke(main, ["printer", "status", url])
    assert done.exit_code == 1
    assert url in done.output
    assert "Traceback" not in done.output
