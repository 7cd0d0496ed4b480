"""`sco-hwtest run` and its Python API on simulated devices, and on devices that are missing, busy or forbidden."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

from sco_drivers.errors import DeviceBusy, DeviceTimeout
from sco_hwtest import Answer, Question, Report, Verdict, run, run_page, run_suite, write_html, write_json
from sco_hwtest.advice import advice
from sco_hwtest.cli.main import main
from sco_hwtest.contracts.check import Check
from sco_hwtest.manual import tap_the_buttons
from sco_hwtest.measure import dump
from sco_hwtest.pictures import contact_sheet, png_of
from sco_hwtest.results import CheckResult, DeviceReport, Picture
from sco_hwtest.run_page import number
from sco_hwtest.suites import Suite
from sco_sim import VirtualDisplay
from sco_sim.printer import VirtualPrinter
from sco_sim.printer.control import change

pytestmark = pytest.mark.usefixtures("idle_time")


def yes(question: Question) -> Answer:
    return Answer.YES


def by_name(report: DeviceReport) -> dict[str, CheckResult]:
    return {check.name: check for check in report.checks}


@pytest.fixture
def suite(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A suite of the test's own checks, on a device that opens as the test says."""

    def use(*checks: Any, opens: Any = lambda url: None) -> None:
        @contextmanager
        def open_it(url: str) -> Iterator[Any]:
            opens(url)
            yield SimpleNamespace(close=lambda: None)

        def opener(kind: str) -> Any:
            def opened(url: str) -> Any:
                opens(url)
                return SimpleNamespace(close=lambda: None)

            return opened

        monkeypatch.setattr("sco_hwtest.runner.opener", opener)
        monkeypatch.setattr(
            "sco_hwtest.runner.suite_of", lambda kind: Suite(kind, tuple(Check(check) for check in checks), open_it)
        )

    return use


# --- what passes ----------------------------------------------------------------------------------------------------


def test_an_nfc_reader_passes_and_its_tag_is_restored() -> None:
    link = "https://qr.nspk.ru/AS10003P3RH0LJ2A9ROO038L6NT5RU1M?type=01&bank=000000000001&sum=10000&cur=RUB&crc=F3D0"
    report = run_suite("nfc", "sim://?uri=" + link.replace("&", "%26").replace("?", "%3F"), operator=yes)
    assert report.verdict is Verdict.PASSED, by_name(report)
    assert report.about["carries"] == link
    assert report.dumps["Tag memory: the message"].startswith("000  d1 01")
    assert {figure.unit for figure in report.figures if figure.measurement != "cpu-waiting"} == {"ms"}
    assert [picture.png[:4] for picture in report.pictures] == [b"\x89PNG"]


def test_a_printer_is_measured_and_its_paper_is_in_the_report() -> None:
    report = run_suite("printer", "sim://?paper_mm=58", operator=yes)
    checks = by_name(report)
    assert checks["prints-a-payment-ticket"].verdict is Verdict.PASSED
    assert checks["decoder-reads-the-paper"].verdict is Verdict.PASSED
    assert report.about["reports printed tickets"] == "yes"
    assert checks["code-on-paper"].asked
    figures = {figure.name: figure for figure in report.figures}
    assert figures["bytes sent for a payment ticket"].value > 100
    assert report.pictures[0].caption == "The paper"


def test_a_screen_whose_code_is_too_small_fails() -> None:
    report = run_suite("screen", "sim://?size=480x320&mm=24x16", operator=yes)
    check = by_name(report)["module-limit"]
    assert check.verdict is Verdict.FAILED
    assert re.fullmatch(r"it is 0\.\d+ mm; fails below 0\.5 mm", check.found)
    assert check.to_do == "use a larger display, or a lower resolution"
    assert len(report.pictures) == 3


def test_a_touch_panel_passes_with_the_simulated_finger() -> None:
    report = run_suite("touch", "sim://", operator=yes)
    assert report.verdict is Verdict.PASSED, by_name(report)


def test_a_customer_display_is_looked_at_by_the_operator() -> None:
    asked: list[str] = []

    def operator(question: Question) -> Answer:
        asked.append(question.name)
        return Answer.NO if question.name == "display-is-clear" else Answer.YES

    report = run_suite("display", "sim://", operator=operator)
    checks = by_name(report)
    assert asked == ["code-on-display", "paid-on-display", "failed-on-display", "display-is-clear"]
    assert [check.name for check in report.checks if check.verdict is not Verdict.PASSED] == ["display-is-clear"]
    assert "do not use it on a lane" in checks["display-is-clear"].to_do
    assert [picture.png[:4] for picture in report.pictures] == [b"\x89PNG"]


def test_a_real_display_is_never_passed_by_a_program_alone() -> None:
    with VirtualDisplay() as display:
        report = run_suite("display", display.url)
    assert report.verdict is Verdict.NOT_ANSWERED, by_name(report)


def test_a_simulated_printer_makes_its_own_faults() -> None:
    report = run_suite("printer", "sim://", faults=True, only=["open-cover-is-reported", "unplugged-while-printing"])
    assert [(check.name, check.verdict) for check in report.checks] == [
        ("opens", Verdict.PASSED),
        ("open-cover-is-reported", Verdict.PASSED),
        ("unplugged-while-printing", Verdict.PASSED),
    ]


def hands_of(paper: VirtualPrinter, asked: list[str]) -> Callable[[Question], Answer]:
    """An operator at a printer that the test bench sees on its wire only."""

    def hands(question: Question) -> Answer:
        if question.name.startswith("do-"):
            asked.append(command := question.name.removeprefix("do-"))
            change(paper, [command])()
        return Answer.YES

    return hands


def test_the_operator_is_asked_to_make_faults_and_can_make_each() -> None:
    asked: list[str] = []
    with VirtualPrinter() as paper:
        report = run_suite("printer", f"{paper.url}?done_s=3", operator=hands_of(paper, asked), faults=True)
        left = run_suite("printer", f"{paper.url}?done_s=3", faults=True, only=["open-cover-is-reported"])
    assert report.verdict is Verdict.PASSED, [check for check in report.checks if check.verdict is not Verdict.PASSED]
    assert asked == [
        *("run-out-of-paper", "load-paper", "open-cover", "close-cover"),
        *("unplug", "plug-in", "power-off", "power-on"),
    ]
    assert re.fullmatch(
        r"silence-is-not-ready, .* \(this fault cannot be caused by hand; .*", report.about["not checked"]
    )
    assert by_name(left)["open-cover-is-reported"].found == "the operator did not cause the fault"


def test_what_a_fault_shows_counts_though_the_operator_does_not_clear_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    with VirtualPrinter() as paper:
        hands = hands_of(paper, asked)

        def leaves_it(question: Question) -> Answer:
            if question.name == "do-open-cover":
                return Answer.YES  # it is not open
            return Answer.NONE if question.name == "do-close-cover" else hands(question)

        report = run_suite("printer", paper.url, operator=leaves_it, faults=True, only=["open-cover-is-reported"])
    check = by_name(report)["open-cover-is-reported"]
    assert (check.verdict, "printed" in check.found) == (Verdict.FAILED, True), check


# --- questions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(Answer.YES, Verdict.PASSED), (Answer.NO, Verdict.FAILED), (Answer.NONE, Verdict.NOT_ANSWERED)],
)
def test_the_operators_answer_is_the_verdict(answer: Answer, verdict: Verdict) -> None:
    report = run_suite("printer", "sim://", operator=lambda question: answer)
    check = by_name(report)["letters-on-paper"]
    assert check.verdict is verdict
    assert bool(check.to_do) == (answer is Answer.NO)


def test_no_answer_never_counts_as_passed() -> None:
    report = run([("screen", "sim://?size=480x320")])
    assert report.verdict is Verdict.NOT_ANSWERED
    assert not report.passed
    assert report.summary == "Nothing failed, but 2 questions were not answered."


def test_manual_taps(tmp_path: Path) -> None:
    """The operator of this test taps the middle of the button that the screen shows."""
    from sco_sim.screen import VirtualScreen
    from sco_sim.touch import VirtualTouch

    with VirtualScreen() as monitor, VirtualTouch() as finger:
        report = DeviceReport("touch", finger.url)
        stop = threading.Event()

        def tap() -> None:
            for action in ("retry", "retry"):  # the second one is on the wrong button
                while monitor.button(action) is None and not stop.wait(0.02):
                    pass
                box = monitor.button(action)
                time.sleep(0.1)
                frames = monitor.frames  # before the tap: the next question may be shown before this thread goes on
                if box is not None:
                    finger.tap(box.x + box.width // 2, box.y + box.height // 2)
                while monitor.frames <= frames and not stop.wait(0.02):
                    pass

        operator = threading.Thread(target=tap, daemon=True)
        operator.start()
        tap_the_buttons(report, monitor.url, yes, wait_s=20.0)
        stop.set()
    checks = by_name(report)
    assert checks["tap-retry"].verdict is Verdict.PASSED, checks
    assert checks["tap-cancel"].verdict is Verdict.FAILED
    assert "Повторить" in checks["tap-cancel"].found


# --- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "url", "found"),
    [
        ("printer", "nonsense", "not a device URL"),
        ("printer", "fax://x", "no printer driver has the scheme 'fax'"),
        ("printer", "tcp://127.0.0.1:1", "the host answers, and refuses"),
        ("nfc", "pn532:///dev/no-such-line", "no such"),
        ("screen", "fb:///dev/no-such-fb", "no such device"),
        ("touch", "evdev:///dev/no-such-event", "no such"),
        ("screen", "sim://?colour=red", "unknown parameter colour"),
    ],
)
def test_a_device_that_cannot_be_opened_is_a_failure_with_advice(kind: Any, url: str, found: str) -> None:
    report = run([(kind, url)])
    [failed] = [check for _, check in report.failures]
    assert (failed.name, found in failed.found, failed.to_do != "") == ("opens", True, True), failed
    assert report.count(Verdict.PASSED) == 0
    assert "could not be opened" in report.devices[0].checks[-1].found


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_no_rights(tmp_path: Path) -> None:
    (tmp_path / "fb0").touch(mode=0)
    assert "may not" in run([("screen", f"fb://{tmp_path}/fb0")]).failures[0][1].found


def test_a_busy_device_names_the_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from sco_hwtest import advice as module
    from tests.hwtest.machine_tree import MachineTree

    tree = MachineTree(tmp_path / "machine")
    tree.usb_serial("1-4", "ttyUSB0", mode=0o666)
    tree.process(633, "ModemManager", "/dev/ttyUSB0")
    real = module.discover
    monkeypatch.setattr(module, "discover", lambda: real(tree.root))
    busy = DeviceBusy("another process has the line", url="serial:///dev/ttyUSB0", hint="stop it")
    words = advice("printer", "serial:///dev/ttyUSB0?baud=9600", busy)
    assert words.startswith("stop it; /dev/ttyUSB0 is open in ModemManager (process 633): sudo systemctl disable")


def test_a_missing_suite_is_reported_loudly_and_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    import sco_hwtest.suites

    def gone(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sco_hwtest.suites, "importlib", SimpleNamespace(import_module=gone))
    report = run_suite("nfc", "sim://", operator=yes)
    checks = by_name(report)
    assert checks["suite"].verdict is Verdict.NOT_RUN
    assert "NO CONTRACT SUITE FOR NFC" in checks["suite"].found
    assert report.figures


def test_a_missing_library_is_named(suite: Any) -> None:
    def wants_a_decoder(device: Any) -> None:
        raise ImportError("No module named 'zxingcpp'", name="zxingcpp")

    suite(wants_a_decoder)
    check = by_name(run_suite("screen", "sim://", only=["wants-a-decoder"]))["wants-a-decoder"]
    assert (check.verdict, check.found) == (Verdict.NOT_RUN, "the library zxingcpp is not installed")


def test_failed_checks_and_unexpected_errors_are_reported_differently(suite: Any) -> None:
    def finds(device: Any) -> None:
        raise AssertionError("the paper is blue")

    def breaks(device: Any) -> None:
        raise KeyError("oops")

    def times_out(device: Any) -> None:
        raise DeviceTimeout("no answer", hint="switch it on")

    suite(finds, breaks, times_out)
    checks = by_name(run_suite("printer", "x://", only=["finds", "breaks", "times-out"]))
    assert checks["finds"].found == "the paper is blue"
    assert "unexpected error in the driver or the check: KeyError" in checks["breaks"].found
    assert (checks["times-out"].found, checks["times-out"].to_do) == ("no answer", "switch it on")


def test_a_check_that_hangs_does_not_hang_the_bench(suite: Any) -> None:
    never = threading.Event()

    def hangs(device: Any) -> None:
        never.wait()

    def comes_after(device: Any) -> None:
        raise AssertionError("must not run")

    suite(hangs, comes_after)
    checks = by_name(run_suite("printer", "x://", only=["hangs", "comes-after"], check_timeout_s=0.2))
    never.set()
    assert "did not return" in checks["hangs"].found
    assert checks["comes-after"].verdict is Verdict.NOT_RUN
    assert "hangs hangs and keeps the device open" in checks["comes-after"].found


def test_a_stop_ends_the_run_after_the_current_check(suite: Any) -> None:
    stop = threading.Event()

    def first(device: Any) -> None:
        stop.set()

    def second(device: Any) -> None:
        raise AssertionError("must not run")

    suite(first, second)
    report = run([("printer", "x://"), ("nfc", "x://")], only=["first", "second"], stop=stop)
    assert list(by_name(report.devices[0])) == ["opens", "first"]
    assert (len(report.devices), report.interrupted, report.passed) == (1, True, False)
    assert report.summary.startswith("Stopped before the end.")


# --- the report -----------------------------------------------------------------------------------------------------


def test_the_page_needs_no_other_file(tmp_path: Path) -> None:
    report = run([("nfc", "sim://"), ("screen", "fb:///dev/no-such-fb")])
    write_html(report, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", page)
    assert "<script" not in page
    assert "url(" not in page
    assert page.index("/dev/no-such-fb") < page.index("NTAG213"), "the first screen says what failed"
    assert 'class="verdict failed"' in page


def page_of(*devices: DeviceReport) -> str:
    return run_page.html(Report([*devices]))


def test_the_first_screen_says_of_each_device_whether_it_passed_and_why_not() -> None:
    failed = [
        CheckResult(f"check-{number}", "It works.", Verdict.FAILED, 0, "no paper", "load a roll") for number in range(5)
    ]
    left_out = [CheckResult("prints", "It prints.", Verdict.NOT_RUN, 0, "the device could not be opened")]
    unanswered = [CheckResult("letters", "Are they right?", Verdict.NOT_ANSWERED, 0, "no answer")]
    good = [CheckResult("opens", "It opens.", Verdict.PASSED)]
    page = page_of(
        DeviceReport("printer", "tcp://10.0.0.5", checks=[*failed, *left_out, *unanswered]),
        DeviceReport("nfc", "sim://", checks=good),
    )
    first = re.sub("<[^>]+>", " ", page[: page.index('id="device-1"')])
    assert first.count("no paper") == 3
    assert "Do: load a roll" in first
    assert "and 2 more, see below" in first
    assert "1 check was not run: the device could not be opened" in first
    assert "1 question was not answered" in first
    assert "1 check passed" in first


def test_checks_that_passed_are_folded_and_others_are_not() -> None:
    passed = [CheckResult(f"good-{number}", "It works.", Verdict.PASSED) for number in range(3)]
    bad = CheckResult("bad", "It works.", Verdict.FAILED, 0, "no paper")
    page = page_of(DeviceReport("printer", "sim://", checks=[*passed, bad]))
    folded = re.findall("<details>.*?</details>", page)
    assert ["<summary>✓ 3 checks passed</summary>" in part for part in folded] == [True]
    assert all(f"good-{number}" in folded[0] for number in range(3))
    assert "no paper" not in folded[0]
    assert "<details" not in page_of(DeviceReport("printer", "sim://", checks=[bad]))


def test_pictures_are_large_enough_to_judge() -> None:
    """A ticket nearly at a dot a px, a screen at its own size or the page's; the whole picture a click away."""
    sizes = {"paper": (640, 900, 520), "screen": (1024, 768, 0), "sheet": (3000, 2000, 0), "tag": (400, 300, 0)}
    pictures = [
        Picture(name, png_of(Image.new("1", (wide, high))), width=shown) for name, (wide, high, shown) in sizes.items()
    ]
    page = page_of(DeviceReport("screen", "sim://", checks=[], pictures=pictures))
    places = {name: place for place, name in re.findall(r'<figure class="(\w*)">.*?alt="(\w+)"', page)}
    assert places == {"paper": "", "screen": "wide", "sheet": "wide", "tag": ""}
    zooms = {name for name in sizes if re.search(rf'class="zoom"[^>]*><img [^>]*alt="{name}"', page)}
    assert zooms == {"paper", "sheet"}


def test_a_contact_sheet_has_two_pictures_in_a_row() -> None:
    sheet = contact_sheet([Image.new("RGB", (1024, 768)) for _ in range(3)])
    assert sheet.width > 2 * 1024
    assert sheet.height < 3 * 768


def test_what_a_device_reports_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>"
    device = DeviceReport("printer", evil, {evil: evil}, [CheckResult(evil, evil, Verdict.FAILED, 0, evil, evil)])
    device.dumps = {evil: evil}
    write_html(Report([device], {evil: evil}), tmp_path / "report.html")
    assert "<script" not in (tmp_path / "report.html").read_text("utf-8")


def test_the_json_has_what_the_page_has(tmp_path: Path) -> None:
    report = run([("nfc", "sim://")])
    write_json(report, tmp_path / "report.json")
    document = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert (document["format"], document["passed"], document["verdict"]) == (1, True, "passed")
    [device] = document["devices"]
    assert device["checks"][0]["name"] == "opens"
    assert {"name", "value", "unit", "note", "measurement", "samples"} == set(device["figures"][0])
    assert device["identity"] == {"model": "PN532", "firmware": "1.6"}


@pytest.mark.parametrize(("value", "text"), [(0, "0"), (0.3141, "0.31"), (31.41, "31.4"), (12345.6, "12\u202f346")])
def test_figures_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_a_dump_has_sixteen_bytes_a_row() -> None:
    assert dump(bytes(range(60, 80))).splitlines()[1] == "010  4c 4d 4e 4f" + " " * 38 + "LMNO"
    assert dump(b"") == "empty"


# --- the command ----------------------------------------------------------------------------------------------------


def test_exit_status_and_files(tmp_path: Path) -> None:
    page, document = tmp_path / "r.html", tmp_path / "r.json"
    done = CliRunner().invoke(main, ["run", "--nfc", "sim://", "--report", str(page), "--json", str(document)])
    assert done.exit_code == 0, done.output
    assert "All 10 checks passed." in done.output
    assert page.stat().st_size > 5000
    assert json.loads(document.read_text("utf-8"))["passed"]


def test_exit_status_1_when_a_device_is_missing() -> None:
    done = CliRunner().invoke(main, ["run", "--nfc", "pn532:///dev/no-such-line", "--no-questions"])
    assert done.exit_code == 1
    assert "Traceback" not in done.output


@pytest.mark.parametrize(("more", "status"), [([], 3), (["--unanswered-ok"], 0)])
def test_exit_status_without_answers(more: list[str], status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    import sco_hwtest.cli.run
    from sco_hwtest.questions import unattended

    report = Report([DeviceReport("screen", "sim://", checks=[CheckResult("q", "?", Verdict.NOT_ANSWERED)])])
    seen: list[Any] = []
    monkeypatch.setattr(sco_hwtest.cli.run, "run", lambda *_, operator, **__: (seen.append(operator), report)[1])
    done = CliRunner().invoke(main, ["run", "--screen", "sim://", "--yes", *more])
    assert (done.exit_code, seen) == (status, [unattended])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "name a device"),
        (["run", "--nfc", "sim://", "--only", "flies"], "unknown check flies; expected one of reads-the-tag"),
        (["run", "--nfc", "sim://", "--report", "/no/such/folder/r.html"], "no such folder"),
        (
            ["run", "--printer", "fax://x", "--nfc", "sim://?tag=x&attempts=9", "--screen", "fb://"],
            "--printer: fax://x: no printer driver",
        ),
        (["run", "--nfc", "sim://?tag=x&attempts=9"], "attempts='9' is out of range 1..5"),
        (
            ["burn-in", "--screen", "sim://?colour=red", "--hours", "1"],
            "--screen: sim://?colour=red: unknown parameter",
        ),
        (["burn-in", "--nfc", "sim://"], "Missing option '--hours'"),
        (["burn-in", "--nfc", "sim://", "--hours", "0"], "0.0 is not in the range"),
    ],
)
def test_wrong_usage_is_2(arguments: list[str], words: str) -> None:
    done = CliRunner().invoke(main, arguments)
    assert (done.exit_code, words in done.output) == (2, True), done.output


def test_stdout_has_only_json() -> None:
    done = CliRunner().invoke(main, ["run", "--nfc", "sim://", "--only", "clears", "--json", "-"])
    assert json.loads(done.stdout)["devices"][0]["checks"][1]["name"] == "clears"


def test_the_drivers_log_goes_to_a_file_or_nowhere(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "sco_hwtest.cli.main", "run", "--nfc", "spy+sim://", "--only", "clears"]
    log = tmp_path / "debug.log"
    done = subprocess.run([*command, "--debug", str(log)], capture_output=True, text=True, timeout=100, check=True)
    assert "nfc sim:// clear(" in log.read_text("utf-8")
    assert (done.stderr, "spy" in done.stdout) == ("", True)
    done = subprocess.run(
        [*command, "--debug", "/no/such/folder/debug.log"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 1
    assert "No such file or directory" in done.stderr


def test_a_terminal_gets_live_output() -> None:
    import io

    from rich.console import Console

    from sco_hwtest.progress import LiveLines

    screen = io.StringIO()
    lines = LiveLines(Console(file=screen, force_terminal=True, width=100))
    lines.device("nfc", "sim://[x]", 2)
    lines.begins("opens")
    lines.ends(CheckResult("opens", "", Verdict.PASSED, 0.2))
    lines.ends(CheckResult("reads", "", Verdict.FAILED, 0.2, "no [tag]", "lay one down"))
    lines.pause()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.getvalue())
    assert "sim://[x]" in text
    assert "✗ reads: no [tag]" in text
    assert "do: lay one down" in text
