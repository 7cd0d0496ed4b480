"""`sco-pay pay` on the console that the lane's screen would take."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_payment.cli.main import main
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import settings_file


@pytest.mark.parametrize(
    ("screen", "more", "refused"),
    [("fb:///dev/fb9", (), True), ("fb:///dev/fb9?tty=none", (), False), ("fb:///dev/fb9", ("--json",), False)],
)
def test_a_screen_that_takes_the_console_of_whoever_must_cancel_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, screen: str, more: tuple[str, ...], refused: bool
) -> None:
    monkeypatch.setattr(os, "ttyname", lambda fd: "/dev/tty1")
    with PayMasterSimulator(script="pays") as paymaster:
        file = Path(settings_file(tmp_path, paymaster))
        file.write_text(f'{file.read_text("utf-8")}\n[devices]\nscreen = "{screen}"\n', "utf-8")
        monkeypatch.setenv("SCO_PAYMASTER_TOKEN", paymaster.token)
        done = CliRunner().invoke(main, ["pay", "253", "--settings", str(file), "--order", "42", *more])
    words = done.output + done.stderr
    assert ("would take /dev/tty1" in words) == refused, words
    assert (done.exit_code == 2) == refused, words
