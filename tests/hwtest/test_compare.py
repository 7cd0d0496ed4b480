"""Two runs compared: a planted regression is found, another run of the same device is none."""

from __future__ import annotations

import dataclasses
import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_drivers import DeviceIdentity, open_nfc
from sco_hwtest import Change, Report, ReportError, Verdict, compare, read_report, run, write_json
from sco_hwtest.cli.main import main
from sco_hwtest.comparison import worsened
from sco_hwtest.measure import MEASURES
from sco_hwtest.measurements import MEASUREMENTS, Measurement, figure
from sco_hwtest.questions import unattended
from sco_hwtest.results import CheckResult, DeviceReport, Kind, Picture
from sco_sim.nfc.pn532 import VirtualReader

READ = MEASUREMENTS["nfc", "read"]


def noisy(median: float, count: int, seed: int, spread: float = 0.1) -> list[float]:
    """Times as a busy machine measures them: skewed, with an outlier now and then."""
    values = random.Random(seed)
    return [
        median * (1 + spread * values.expovariate(1.5) - spread / 3) * (20 if values.random() < 0.05 else 1)
        for _ in range(count)
    ]


def device(
    kind: Kind = "nfc",
    url: str = "x://",
    serial: str | None = None,
    *,
    read: list[float] | None = None,
    **checks: Verdict,
) -> DeviceReport:
    report = DeviceReport(kind, url, identity=DeviceIdentity(serial=serial))
    report.checks = [CheckResult(name, "It works.", verdict) for name, verdict in checks.items()]
    report.figures = [] if read is None else [figure(kind, "read", read)]
    return report


def changes(before: DeviceReport, after: DeviceReport) -> set[tuple[str, str]]:
    return {(change.what, change.name) for change in compare([Report([before])], Report([after])).changes}


# --- measurements ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [5, 10, 20])
def test_noise_is_no_change_and_a_regression_is_one(count: int) -> None:
    false = [worsened(READ, noisy(50, count, seed), noisy(50, count, seed + 1000)) for seed in range(300)]
    assert sum(found is not None for found in false) == 0
    true = [worsened(READ, noisy(50, count, seed), noisy(80, count, seed + 1000)) for seed in range(300)]
    assert sum(found is True for found in true) >= (270 if count >= 10 else 210)
    better = [worsened(READ, noisy(80, count, seed), noisy(50, count, seed + 1000)) for seed in range(300)]
    assert sum(found is False for found in better) >= (270 if count >= 10 else 210)


@pytest.mark.parametrize(
    ("before", "after", "worse"),
    [
        ([50.0] * 10, [60.0] * 10, None),  # clear, and less than a quarter
        ([0.2] * 10, [0.9] * 10, None),  # less than the clock's step
        ([50.0, 51, 52], [80.0, 81, 82], True),
        ([50.0, 51, 90], [80.0, 81, 82], None),  # they overlap, and three are too few to say more
        ([50.0], [90.0], None),  # one sample must double
        ([50.0], [101.0], True),
        ([101.0], [50.0], False),
    ],
)
def test_few_samples_say_little(before: list[float], after: list[float], worse: bool | None) -> None:
    assert worsened(READ, before, after) is worse


def test_an_exact_figure_has_no_noise() -> None:
    module = MEASUREMENTS["screen", "module"]
    assert worsened(module, [0.52], [0.51]) is True, "a smaller module is worse"
    assert worsened(module, [0.51], [0.52]) is False
    assert worsened(module, [0.51], [0.51]) is None
    assert worsened(MEASUREMENTS["touch", "position-error"], [0.0], [3.0]) is True


def test_a_busy_machine_may_be_the_reason() -> None:
    before, after = [10.0] * 10, [30.0] * 10
    assert worsened(READ, before, after, waiting=(0.0, 0.5)) is True, "15 ms without the waiting"
    assert worsened(READ, before, after, waiting=(0.0, 0.6)) is None
    assert worsened(READ, before, after, waiting=(0.0, 0.9)) is None, "and not better"
    assert worsened(READ, after, before, waiting=(0.6, 0.0)) is None
    assert worsened(READ, after, before, waiting=(0.0, 0.6)) is False
    assert worsened(MEASUREMENTS["screen", "module"], [0.5], [0.4], waiting=(0.9, 0.9)) is True, "no time"


def test_a_lower_rate_is_worse() -> None:
    spinner: Measurement = MEASUREMENTS["screen", "spinner"]
    assert worsened(spinner, [15.0] * 6, [5.0] * 6) is True
    assert worsened(spinner, [5.0] * 6, [15.0] * 6) is False


def test_a_change_must_be_one_against_every_earlier_run() -> None:
    fast, slow = device(read=[50.0] * 10), device(read=[90.0] * 10)
    assert compare([Report([fast])], Report([slow])).of("worse")
    assert not compare([Report([fast]), Report([slow])], Report([slow])).of("worse")


# --- checks and devices ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (Verdict.PASSED, Verdict.FAILED, "worse"),
        (Verdict.PASSED, Verdict.MARGINAL, "worse"),
        (Verdict.FAILED, Verdict.PASSED, "better"),
        (Verdict.FAILED, Verdict.FAILED, None),
        (Verdict.PASSED, Verdict.NOT_RUN, "disappeared"),
        (Verdict.FAILED, Verdict.NOT_ANSWERED, "disappeared"),
        (Verdict.NOT_RUN, Verdict.FAILED, "appeared"),
        (Verdict.NOT_RUN, Verdict.NOT_ANSWERED, None),
    ],
)
def test_checks_are_compared_by_their_verdict(before: Verdict, after: Verdict, what: str | None) -> None:
    assert changes(device(clears=before), device(clears=after)) == (set() if what is None else {(what, "clears")})


def test_checks_and_measurements_appear_and_disappear() -> None:
    before, after = device(read=[1.0], old=Verdict.PASSED), device(new=Verdict.PASSED)
    assert changes(before, after) == {("disappeared", "old"), ("appeared", "new"), ("disappeared", "read")}


def test_a_limit_that_is_crossed_by_noise_is_no_change() -> None:
    before, after = device(read=[49.9] * 5), device(read=[50.1] * 5)
    before.checks = [CheckResult("read-limit", "Read.", Verdict.PASSED)]
    after.checks = [CheckResult("read-limit", "Read.", Verdict.MARGINAL)]
    assert changes(before, after) == set()


def test_a_device_is_found_again_by_its_serial_number() -> None:
    before = [
        device(url="usb://a", serial="S1", ok=Verdict.PASSED),
        device(url="usb://b", serial="S2", ok=Verdict.FAILED),
    ]
    after = [
        device(url="usb://a", serial="S2", ok=Verdict.FAILED),
        device(url="usb://b", serial="S1", ok=Verdict.PASSED),
    ]
    assert compare([Report(before)], Report(after)).changes == []


def test_other_devices_appear_and_disappear() -> None:
    before = [device(url="usb://a", serial="S1", ok=Verdict.PASSED), device(url="usb://b", serial="S2")]
    after = [device(url="usb://b", serial="S2"), device(url="usb://a", serial="S9"), device("screen", "fb://")]
    found = compare([Report(before)], Report(after)).changes
    assert {(change.what, change.device, change.name) for change in found} == {
        ("changed", "NFC reader and tag usb://a", "serial number"),  # the only one that is left
        ("disappeared", "NFC reader and tag usb://a", "ok"),
        ("appeared", "Screen fb://", ""),
    }


def test_another_firmware_is_reported() -> None:
    before, after = device(), device()
    before.identity, after.identity = DeviceIdentity(firmware="1.0"), DeviceIdentity(firmware="1.1")
    assert compare([Report([before])], Report([after])).changes == [
        Change("changed", "NFC reader and tag x://", "firmware", "1.0", "1.1")
    ]


# --- runs -----------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("idle_time")
def test_a_report_is_read_back_as_it_was(tmp_path: Path) -> None:
    report = run([("nfc", "sim://"), ("printer", "pn532:///dev/no-such")])
    write_json(report, tmp_path / "report.json")
    again = read_report(tmp_path / "report.json")
    assert again.as_json() == report.as_json()
    assert again.devices[0].pictures == [Picture(one.caption, one.png, one.ours) for one in report.devices[0].pictures]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ("\xff", "is not JSON"),
        ("[]", "is not a report of sco-hwtest run"),
        ('{"devices": []}', "is not a report of sco-hwtest run"),
        ('{"format": 9, "devices": []}', "has format 9; this version of sco-hwtest reads 1"),
        ('{"format": 1, "devices": [], "rounds": 3}', "is the report of a burn-in"),
        ('{"format": 1, "devices": [{"kind": "fridge", "url": "x"}]}', "is not a valid report: .*fridge"),
        ('{"format": 1, "devices": [{"kind": "nfc"}]}', "is not a valid report: .*url"),
    ],
)
def test_what_is_no_report_is_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ReportError, match=words):
        read_report(path)


def test_a_missing_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="No such file"):
        read_report(tmp_path / "none.json")


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., str]:
    """Writes a report and returns its path."""

    def write(name: str, *devices: DeviceReport) -> str:
        write_json(Report(list(devices)), tmp_path / name)
        return str(tmp_path / name)

    return write


@pytest.mark.parametrize(
    ("after", "status", "words"),
    [
        (device(read=[50.0] * 10, clears=Verdict.PASSED), 0, "2 checks and measurements compared, none became worse."),
        (device(read=[90.0] * 10, clears=Verdict.PASSED), 1, "    read: 50 ms -> 90 ms"),
        (device(read=[90.0] * 10), 1, "    clears: passed -> not in the report"),
        (device(read=[50.0] * 10), 3, "Disappeared:"),
        (device("screen", "fb://"), 3, "Nothing can be compared"),
    ],
)
def test_the_exit_status_of_the_command(
    after: DeviceReport, status: int, words: str, written: Callable[..., str]
) -> None:
    before = written("a.json", device(read=[50.0] * 10, clears=Verdict.PASSED))
    done = CliRunner().invoke(main, ["compare", before, written("b.json", after)])
    assert (done.exit_code, words in done.output) == (status, True), done.output


def test_a_file_that_is_no_report_is_wrong_usage(written: Callable[..., str], tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["compare", written("a.json", device()), str(tmp_path / "none.json")])
    assert (done.exit_code, "cannot be read" in done.output) == (2, True)
    assert CliRunner().invoke(main, ["compare", "a.json"]).exit_code == 2


def test_the_command_as_json_and_with_a_threshold(written: Callable[..., str]) -> None:
    before, after = written("a.json", device(read=[50.0] * 10)), written("b.json", device(read=[56.0] * 10))
    assert CliRunner().invoke(main, ["compare", before, after]).exit_code == 0
    done = CliRunner().invoke(main, ["compare", before, after, "--threshold", "10", "--json"])
    assert done.exit_code == 1
    assert json.loads(done.stdout) == {
        "compared": 1,
        "changes": [
            {
                "what": "worse",
                "device": "NFC reader and tag x://",
                "name": "read",
                "before": "50 ms",
                "after": "56 ms",
            }
        ],
    }


def test_a_planted_regression_is_found_and_another_run_is_not() -> None:
    """On a simulated reader that becomes slow: its own wire, real time."""

    def measured(bench: VirtualReader) -> Report:
        report = DeviceReport("nfc", bench.url)
        with open_nfc(bench.url) as reader:
            MEASURES["nfc"](reader, report, unattended)
        return Report([report])

    with VirtualReader() as bench:
        before = measured(bench)
        bench.slow(0.02)
        slow = compare([before], measured(bench))
    worse = {change.name for change in slow.of("worse")}
    assert {"read", "verify", "write", "rewrite"} <= worse, slow
    again = compare([before], dataclasses.replace(before))
    assert again.changes == []
    assert again.compared == 4
