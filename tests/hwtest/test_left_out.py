"""What a device cannot be given is left out with a note, or refused when it is named, and never counts as passed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_drivers.registry import operators_console
from sco_hwtest import Verdict, run_burn_in, run_suite
from sco_hwtest.cli.main import main
from sco_hwtest.results import DeviceReport
from sco_hwtest.suites import suite_of
from sco_sim import VirtualDisplay
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.screen import VirtualScreen
from sco_sim.touch import VirtualTouch

pytestmark = pytest.mark.usefixtures("idle_time")


def names(report: DeviceReport) -> list[str]:
    return [check.name for check in report.checks]


# --- real devices ---------------------------------------------------------------------------------------------------


def test_a_real_touch_panel_is_only_tapped() -> None:
    with VirtualTouch() as finger, VirtualScreen() as monitor:
        report = run_suite("touch", finger.url, screen=monitor.url)
        alone = run_suite("touch", finger.url)
    taps = ["opens", "tap-retry", "tap-cancel"]
    assert names(report) == names(alone) == taps
    assert report.verdict is Verdict.NOT_ANSWERED
    assert "taps-are-where-the-finger-is" in report.about["not checked"]
    assert [(check.verdict, check.to_do) for check in alone.checks[1:]] == [
        (Verdict.NOT_RUN, "give --screen too: you tap what it shows")
    ] * 2


def test_a_real_display_is_not_said_to_show_anything() -> None:
    with VirtualDisplay() as display:
        report = run_suite("display", display.url)
    passed = [check.name for check in report.checks if check.verdict is Verdict.PASSED]
    assert passed == ["opens", "takes-every-command", "refuses-what-no-code-can-say", "closes-twice"]
    assert "shows-the-code" in report.about["not checked"]


@pytest.mark.parametrize(
    ("kind", "url", "name"),
    [
        ("screen", "drm:///dev/dri/card0", "memory-shows-the-scene"),
        ("nfc", "pcsc://", "has-one-owner"),
        ("nfc", "udp://127.0.0.1", "has-one-owner"),
        ("printer", "usb://04b8:0202", "silence-is-not-ready"),
        ("printer", "spy+tcp://10.0.0.5", "paper-out-while-printing"),
    ],
)
def test_what_proves_nothing_is_left_out(kind: str, url: str, name: str) -> None:
    suite = suite_of(kind)  # type: ignore[arg-type]
    assert suite.why_not(name, url, faults=True)
    assert not suite.why_not(suite.names[0], url, faults=True)


@pytest.mark.parametrize(
    ("kind", "url", "name"),
    [
        ("screen", "fb:///dev/fb0", "memory-shows-the-scene"),
        ("screen", "spy+sim://", "memory-shows-the-scene"),
        ("nfc", "spy+usb://072f:2200", "has-one-owner"),
        ("printer", "record+sim://?trace=x", "silence-is-not-ready"),
        ("touch", "sim://?range=4096", "closes-twice"),
    ],
)
def test_what_can_be_proved_is_not(kind: str, url: str, name: str) -> None:
    assert not suite_of(kind).why_not(name, url, faults=True)  # type: ignore[arg-type]


# --- checks that are named ------------------------------------------------------------------------------------------


def test_a_named_check_that_a_device_cannot_be_given_did_not_run() -> None:
    with VirtualReader() as bench:
        udp = run_suite("nfc", "sim://", only=["has-one-owner"])
        line = run_suite("nfc", bench.url, only=["has-one-owner"])
    assert (udp.verdict, line.verdict) == (Verdict.NOT_RUN, Verdict.PASSED)


def test_a_named_fault_check_did_not_run_without_faults() -> None:
    report = run_suite("printer", "sim://", only=["open-cover-is-reported"])
    assert names(report)[0] == "opens"
    assert {check.name: check.verdict for check in report.checks} == {
        "opens": Verdict.PASSED,
        "open-cover-is-reported": Verdict.NOT_RUN,
    }
    night = run_burn_in([("printer", "sim://")], 1e-9, only=["open-cover-is-reported"])
    assert night.verdict is Verdict.NOT_RUN


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ["run", "--printer", "sim://", "--only", "open-cover-is-reported"],
            "open-cover-is-reported makes a fault: add --faults",
        ),
        (
            ["burn-in", "--printer", "sim://", "--hours", "1", "--only", "open-cover-is-reported"],
            "open-cover-is-reported makes a fault: use run --faults",
        ),
        (
            ["run", "--printer", "tcp://127.0.0.1:1", "--faults", "--only", "silence-is-not-ready"],
            "silence-is-not-ready: this fault cannot be caused by hand",
        ),
        (
            ["run", "--screen", "drm:///dev/dri/card0", "--only", "memory-shows-the-scene"],
            "memory-shows-the-scene: only the driver can read",
        ),
        (["burn-in", "--hours", "1", "--display", "none://"], "--display: none://: no device is there"),
        (["run", "--screen", "spy+none://", "--touch", "none://"], "--touch: none://: no device is there"),
        (["record", "--out", "x", "--display", "none://"], "--display: none://: no device is there"),
    ],
)
def test_what_cannot_be_checked_is_wrong_usage(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, words in done.output) == (2, True), done.output


# --- the operator's own console -------------------------------------------------------------------------------------


@pytest.fixture
def _at_tty1(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "ttyname", lambda fd: "/dev/tty1")


@pytest.mark.usefixtures("_at_tty1")
@pytest.mark.parametrize(
    "command", [["run"], ["run", "--no-questions"], ["burn-in", "--hours", "1"], ["record", "--out", "x"]]
)
@pytest.mark.parametrize("url", ["fb:///dev/fb9", "drm:///dev/dri/card9?format=rgb565", "fb:///dev/fb9?tty=/dev/tty7"])
def test_a_screen_that_takes_the_operators_console_is_refused(
    command: list[str], url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, [*command, "--screen", url])
    assert done.exit_code == 2, done.output
    assert f"{url} would take /dev/tty1, where you type" in done.output
    assert "over SSH" in done.output
    assert ("--web" in done.output) == (command[0] == "run")
    assert not [*tmp_path.iterdir()]


@pytest.mark.usefixtures("_at_tty1")
def test_a_screen_that_leaves_the_console_alone_is_tested_there() -> None:
    for url in ("fb:///dev/fb9?tty=none", "sim://"):
        assert not operators_console(url)
    done = CliRunner().invoke(main, ["run", "--no-questions", "--screen", "fb:///dev/fb9?tty=none"])
    assert (done.exit_code, "no such device" in done.output) == (1, True), done.output


@pytest.mark.parametrize("name", ["/dev/pts/3", "/dev/ttyS0", "/dev/ttyUSB0", ""])
def test_a_terminal_elsewhere_is_not_taken(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def ttyname(fd: int) -> str:
        if not name:
            raise OSError("not a terminal")
        return name

    monkeypatch.setattr(os, "ttyname", ttyname)
    assert not operators_console("fb:///dev/fb0")
