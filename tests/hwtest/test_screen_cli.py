"""`sco-hwtest screen` on a simulated screen."""

from __future__ import annotations

from click.testing import CliRunner
from PIL import Image

from sco_hwtest.contracts.screen import CHECKS, LINK, decoded
from sco_hwtest.screen_cli import screen_group


def test_walk_saves_a_contact_sheet(tmp_path) -> None:
    sheet = tmp_path / "sheet.png"
    done = CliRunner().invoke(screen_group, ["walk", "sim://?size=800x480&mm=154x86", "--sheet", str(sheet)])
    assert done.exit_code == 0, done.output
    assert "mm a module" in done.output
    with Image.open(sheet) as image:
        assert image.width == 2400
        assert decoded(image) == [LINK]


def test_check_passes_and_names_every_check() -> None:
    done = CliRunner().invoke(screen_group, ["check", "sim://?size=640x480"])
    assert done.exit_code == 0, done.output
    assert all(f"ok   {check.name}" in done.output for check in CHECKS)


def test_check_fails_where_nothing_is_drawn() -> None:
    done = CliRunner().invoke(screen_group, ["walk", "none://", "--sheet", "unused.png"])
    assert done.exit_code == 1
    assert "there is no screen" in done.output


def test_wrong_names_are_refused() -> None:
    assert CliRunner().invoke(screen_group, ["walk", "sim://", "--scene", "x"]).exit_code == 2
    done = CliRunner().invoke(screen_group, ["walk", "fb:///dev/no-such-fb"])
    assert done.exit_code == 1
    assert "no such device" in done.output
