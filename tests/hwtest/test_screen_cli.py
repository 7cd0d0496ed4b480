"""`sco-hwtest screen` on a simulated screen."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from sco_drivers.screen import console
from sco_hwtest.cli.screen import screen_group
from sco_hwtest.contracts.screen import CHECKS, LINK, decoded


def test_walk_saves_a_contact_sheet(tmp_path) -> None:
    sheet = tmp_path / "sheet.png"
    done = CliRunner().invoke(screen_group, ["walk", "sim://?size=800x480&mm=154x86", "--sheet", str(sheet)])
    assert done.exit_code == 0, done.output
    assert "mm a module" in done.output
    with Image.open(sheet) as image:
        assert image.width > 2 * 800, "two in a row, at their own size"
        assert set(decoded(image)) == {LINK}


def test_check_passes_and_names_every_check() -> None:
    done = CliRunner().invoke(screen_group, ["check", "sim://?size=640x480"])
    assert done.exit_code == 0, done.output
    assert all(f"ok   {check.name}" in done.output for check in CHECKS)


def test_check_fails_if_nothing_is_drawn() -> None:
    done = CliRunner().invoke(screen_group, ["walk", "none://", "--sheet", "unused.png"])
    assert done.exit_code == 1
    assert "there is no screen" in done.output


def test_wrong_names_are_refused() -> None:
    assert CliRunner().invoke(screen_group, ["walk", "sim://", "--scene", "x"]).exit_code == 2
    done = CliRunner().invoke(screen_group, ["walk", "fb:///dev/no-such-fb"])
    assert done.exit_code == 1
    assert "no such device" in done.output


def test_a_sheet_that_cannot_be_written_is_refused_first() -> None:
    done = CliRunner().invoke(screen_group, ["walk", "sim://", "--sheet", "/no/such/folder/x.png"])
    assert done.exit_code == 1
    assert done.output == "Error: /no/such/folder/x.png cannot be written: no such folder\n"


def test_without_a_decoder_the_suite_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zxingcpp", None)
    done = CliRunner().invoke(screen_group, ["check", "sim://?size=640x480"])
    assert done.exit_code == 1
    assert "pip install 'sco-paymaster[simulator]'" in done.output


def test_a_console_left_dark_is_restored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = [console.KD_GRAPHICS]

    def ioctl(fd: int, request: int, data: Any = 0) -> int:
        if request == console.KDGETMODE:
            data[:] = modes[-1].to_bytes(4, "little")
        elif request == console.KDSETMODE:
            modes.append(data)
        return 0

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    (tmp_path / "tty7").touch()
    command = ["console", "--tty", str(tmp_path / "tty7")]
    done = CliRunner().invoke(screen_group, command)
    assert (done.exit_code, modes) == (1, [console.KD_GRAPHICS])  # somebody else's
    assert "already in graphics mode" in done.output
    (tmp_path / f"sco-console-{os.getuid()}-tty7").write_text("999999999 12345")  # ours, and its process is dead
    done = CliRunner().invoke(screen_group, command)
    assert (done.exit_code, modes[-1]) == (0, console.KD_TEXT)
    assert not list(tmp_path.glob("sco-console-*"))
