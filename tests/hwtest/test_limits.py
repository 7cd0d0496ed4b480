"""Limits of measurements: bands, models, every error of a file at once, and verdicts."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_drivers import DeviceIdentity
from sco_drivers.screen.layout import MIN_MODULE_MM
from sco_hwtest import Figure, LimitsError, Verdict, load_limits, run_suite
from sco_hwtest.cli.main import main
from sco_hwtest.limits import Limits, judge
from sco_hwtest.limits_file import default_limits, default_text, limits_from_text
from sco_hwtest.measurements import MEASUREMENTS, figure
from sco_hwtest.results import DeviceReport
from sco_sim.printer import VirtualPrinter

pytestmark = pytest.mark.usefixtures("idle_time")
HEAD = "format = 1\n"
BANDS = HEAD + '[nfc.read]\nunit = "ms"\nfail_below = 1\nmarginal_below = 2\nmarginal_above = 50\nfail_above = 100\n'


def limits(text: str) -> Limits:
    return limits_from_text(HEAD + text, "limits.toml")


def problems(text: str) -> list[str]:
    with pytest.raises(LimitsError) as caught:
        limits_from_text(text, "limits.toml")
    return caught.value.problems


def verdict_of(limits: Limits, value: float, model: str | None = None) -> Verdict | None:
    limit = limits.of("printer", "status", model)
    return None if limit is None else limit.verdict(value)


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.99, Verdict.FAILED),
        (1, Verdict.MARGINAL),
        (1.99, Verdict.MARGINAL),
        (2, Verdict.PASSED),
        (50, Verdict.PASSED),
        (50.1, Verdict.MARGINAL),
        (100, Verdict.MARGINAL),
        (100.1, Verdict.FAILED),
        (math.nan, Verdict.FAILED),
        (math.inf, Verdict.FAILED),
    ],
)
def test_a_value_at_a_limit_is_within_it(value: float, verdict: Verdict) -> None:
    limit = limits_from_text(BANDS, "limits.toml").of("nfc", "read")
    assert limit is not None
    assert limit.verdict(value) is verdict


def test_the_most_specific_limit_wins() -> None:
    bands = {"": 10, '.model."TM-*"': 20, '.model."TM-T88*"': 30, '.model."TM-T88V"': 40, '.model."*"': 15}
    text = "".join(f'[printer.status{model}]\nunit = "ms"\nfail_above = {bound}\n' for model, bound in bands.items())
    found = limits(text)

    def bound(model: str | None) -> float | None:
        limit = found.of("printer", "status", model)
        return None if limit is None else limit.fail_above

    assert (bound("TM-T88V"), bound("tm-t88v"), bound("TM-T88VI"), bound("TM-T20")) == (40, 40, 30, 20)
    assert (bound("SP700"), bound(None), bound("")) == (15, 10, 10)


def test_a_limit_for_a_model_says_nothing_of_others() -> None:
    found = limits('[printer.status.model."TM-T88V"]\nunit = "ms"\nfail_above = 10\n')
    assert verdict_of(found, 11, "TM-T88V") is Verdict.FAILED
    assert verdict_of(found, 11, "SP700") is verdict_of(found, 11) is None


def test_a_file_comes_before_the_default_limits(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(HEAD + '[printer.status.model."SP700"]\nunit = "ms"\nmarginal_above = 10\nfail_above = 400\n')
    found = load_limits(path)
    assert [verdict_of(found, value, "SP700") for value in (9, 300, 500)] == [
        *(Verdict.PASSED, Verdict.MARGINAL, Verdict.FAILED)
    ]
    assert verdict_of(found, 300, "TM-T88V") is Verdict.MARGINAL, "the default limit"
    path.write_text(HEAD + '[printer.status]\nunit = "ms"\nfail_above = 400\n')
    assert verdict_of(load_limits(path), 300, "TM-T88V") is Verdict.PASSED


def test_every_error_of_a_file_is_reported_at_once() -> None:
    text = """
format = 2
[fridge.temperature]
[printer]
flies = 3
[printer.status]
unit = "s"
marginal_above = true
colour = "blue"
[printer.ticket]
unit = "s"
marginal_above = 5
fail_above = 3
[printer.ticket.model."TM*"]
unit = "s"
advice = 7
[nfc.read]
fail_above = nan
[touch]
tap = []
"""
    names = "unit, fail_below, marginal_below, marginal_above, fail_above"
    assert problems(text) == [
        "format is 2; expected format = 1",
        "unknown device [fridge]; expected one of printer, nfc, screen, touch, display, burn-in",
        "[printer.flies]: unknown measurement flies; expected one of opening, cpu-waiting, status, ticket,"
        " ticket-bytes",
        f"[printer.status]: unknown name colour; expected one of {names}, advice, model",
        '[printer.status]: unit is "s"; expected "ms"',
        "[printer.status]: marginal_above is true; expected a number of ms",
        "[printer.ticket]: marginal_above is 5 and fail_above is 3; expected marginal_above <= fail_above",
        '[printer.ticket.model."TM*"]: advice is 7; expected a text',
        '[printer.ticket.model."TM*"]: no limit; expected at least one of fail_below, marginal_below, marginal_above,'
        " fail_above",
        '[nfc.read]: unit is missing; expected "ms"',
        "[nfc.read]: fail_above is nan; expected a number of ms",
        "[touch.tap] is an array; expected a table",
    ]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("format = [", "not TOML"),
        ("", "format is missing; expected format = 1"),
        ("format = true", "format is true"),
        ("format = 1\nprinter = 7", "printer is 7; expected tables [printer.MEASUREMENT]"),
        ("format = 1\n[printer.status]\nmodel = 7", "model is 7; expected tables"),
        ('format = 1\n[printer.status.model."X"]\nunit = 1', 'unit is 1; expected "ms"'),
        ('format = 1\n[printer.status]\nmodel = {" " = {}}', "the name of a model is empty"),
        ('format = 1\n[printer.status]\nmodel = {"X" = 1}', "is 1; expected a table"),
        ("format = 1\n[printer.status]", "no limit; expected at least one of"),
    ],
)
def test_other_errors_of_a_file(text: str, words: str) -> None:
    assert any(words in problem for problem in problems(text)), problems(text)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "latin").write_bytes(b"# \xe9")
    (tmp_path / "long").write_bytes(b"#" * ((1 << 20) + 1))
    for name, words in (("latin", "not UTF-8"), ("long", "longer than"), ("none", "No such file"), (".", "directory")):
        with pytest.raises(LimitsError, match=words):
            load_limits(tmp_path / name)


def test_the_default_limits_hold_what_the_drivers_know() -> None:
    found = default_limits()
    module = found.of("screen", "module")
    assert module is not None
    assert module.fail_below == MIN_MODULE_MM, "what the driver warns of"
    assert "format = 1" in default_text()


def test_every_figure_of_a_run_is_a_known_measurement() -> None:
    for kind, url in (("printer", "sim://"), ("nfc", "sim://"), ("touch", "sim://"), ("display", "sim://")):
        report = run_suite(kind, url)  # type: ignore[arg-type]
        known = {(report.kind, one.measurement): one.unit for one in report.figures}
        assert known.items() <= {key: one.unit for key, one in MEASUREMENTS.items()}.items()
        assert all(one.samples for one in report.figures)


def test_a_figure_is_the_median_of_its_samples() -> None:
    assert figure("nfc", "read", [9.0, 1.0, 2.0]) == Figure(
        *("read, median of 3", 2.0, "ms", "", "read", (9.0, 1.0, 2.0))
    )


def test_a_device_is_judged_by_the_limits_of_its_model() -> None:
    found = limits(
        '[printer.status]\nunit = "ms"\nfail_above = 10\n[printer.status.model."SLOW*"]\nunit = "ms"\n'
        'marginal_above = 5\nfail_above = 40\nadvice = "look at the line"\n'
    )
    report = DeviceReport("printer", "x://", figures=[figure("printer", "status", [20.0])])
    report.identity = DeviceIdentity(model="Slow 1")
    [check] = judge(report, found)
    assert (check.name, check.verdict, check.to_do) == ("status-limit", Verdict.MARGINAL, "look at the line")
    assert check.found == "it is 20 ms; marginal above 5 ms, fails above 40 ms for SLOW*"
    report.identity = DeviceIdentity()
    assert [check.verdict for check in judge(report, found)] == [Verdict.FAILED]


def test_a_marginal_measurement_makes_the_device_marginal() -> None:
    found = limits('[printer.ticket-bytes]\nunit = "B"\nmarginal_above = 1\n')
    with VirtualPrinter() as paper:
        report = run_suite("printer", paper.url, limits=found)
    assert report.count(Verdict.MARGINAL) == 1
    report.checks = [check for check in report.checks if not check.asked]
    assert report.verdict is Verdict.MARGINAL


def test_the_command_prints_the_default_file_and_checks_others(tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, ["limits"])
    assert (shown.exit_code, shown.output) == (0, default_text())
    path = tmp_path / "limits.toml"
    path.write_text(BANDS)
    done = CliRunner().invoke(main, ["limits", str(path)])
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.output.splitlines()]
    assert "nfc read all fails below 1 ms, marginal below 2 ms, marginal above 50 ms, fails above 100 ms" in lines
    assert "screen module all fails below 0.5 mm" in lines
    path.write_text("format = 3\n[a.b]\n")
    for command in (["limits", str(path)], ["run", "--nfc", "sim://", "--limits", str(path)]):
        refused = CliRunner().invoke(main, command)
        assert (refused.exit_code, refused.output.count("expected")) == (2, 2), refused.output


def test_limits_that_another_file_hides_are_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "limits.toml"
    path.write_text(HEAD + '[screen.module]\nunit = "mm"\nfail_below = 0.6\n')
    shown = [one.words for one in load_limits(path).effective if one.group == "screen"]
    assert shown == ["fails below 0.6 mm"]
