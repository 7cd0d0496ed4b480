"""JUnit XML: valid by schema, and what other people's readers find in it.

`junit.xsd` allows what the schemas of Jenkins (junit-10.xsd of its xUnit plugin) and of Ant's JUnit task both allow.
"""

from __future__ import annotations

import importlib
import threading
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from sco_drivers import DeviceIdentity
from sco_hwtest import BurnInReport, Figure, Report, Verdict, run, run_burn_in, write_junit
from sco_hwtest.burn_in_results import Sample, Tally
from sco_hwtest.cli.main import main
from sco_hwtest.junit import junit_xml
from sco_hwtest.results import CheckResult, DeviceReport
from sco_sim.nfc.pn532 import VirtualReader

pytestmark = pytest.mark.usefixtures("idle_time")
EVIL = "a\x00b\x1b[2J<&\"'>]]>\ud800\uffff  two  blanks\n\tline"


def every_verdict(words: str = "no paper") -> Report:
    checks = [CheckResult(f"is-{one.value}", "It works.", one, 1.25, words, "load a roll") for one in Verdict]
    checks[0] = CheckResult("is-passed", "It works.", Verdict.PASSED, 1.25)
    device = DeviceReport(
        "printer", "tcp://10.0.0.5:9100", checks=checks, identity=DeviceIdentity("EPSON", serial="S1")
    )
    device.figures = [Figure("status, median of 3", 3.14159, "ms", "", "status", (3.0, 3.14159, 9.0))]
    return Report([device], {"host": "bench"}, started=1_700_000_000.0)


def evil() -> Report:
    device = DeviceReport("printer", EVIL, {EVIL: EVIL}, identity=DeviceIdentity(EVIL, EVIL, EVIL, EVIL))
    device.checks = [CheckResult(EVIL, EVIL, verdict, 1e-9, EVIL, EVIL) for verdict in Verdict]
    device.checks.append(CheckResult("", "", Verdict.FAILED, 1e7))
    device.figures = [Figure(EVIL, 1e300, "ms")]
    return Report([device, DeviceReport("nfc", "")], {"host": " ", EVIL: EVIL}, interrupted=True)


def leaking() -> BurnInReport:
    report = BurnInReport([("nfc", "sim://")], 1.0, rounds=9)
    report.samples = [Sample(float(at), 50 + at / 20, 10) for at in range(0, 1000, 10)]
    tally = report.tallies["nfc", "sim://", "clears"] = Tally("nfc", "sim://", "clears", "It clears.")
    tally.verdicts.update({Verdict.PASSED: 7, Verdict.FAILED: 2})
    tally.last_found = "no tag"
    return report


DOCUMENTS = {"every verdict": every_verdict, "evil": evil, "no device": Report, "leaking": leaking}


def suites_in(report: Report | BurnInReport) -> list[ET.Element]:
    return list(ET.fromstring(junit_xml(report)))


def results_of(suite: ET.Element) -> dict[str, tuple[str, str]]:
    """Name of each case -> tag and message of its result."""
    return {
        case.attrib["name"]: (case[0].tag, case[0].attrib["message"]) if len(case) else ("", "")
        for case in suite.iter("testcase")
    }


@pytest.mark.program("xmlschema")
@pytest.mark.parametrize("make", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_document_is_valid(make: Any, tmp_path: Path) -> None:
    schema = importlib.import_module("xmlschema").XMLSchema(str(Path(__file__).with_name("junit.xsd")))
    write_junit(make(), tmp_path / "junit.xml")
    assert [str(error.reason) for error in schema.iter_errors(str(tmp_path / "junit.xml"))] == []


@pytest.mark.program("junitparser")
def test_another_reader_finds_the_same(tmp_path: Path) -> None:
    """By junitparser, which CI tools use."""
    junitparser = importlib.import_module("junitparser")
    write_junit(every_verdict(), tmp_path / "junit.xml")
    [suite] = junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (suite.tests, suite.failures, suite.errors, suite.skipped) == (5, 1, 0, 2)
    assert {one.name: one.value for one in suite.properties()}["serial"] == "S1"
    kinds = {case.name: type(case.result[0]).__name__ if case.result else "" for case in suite}
    assert kinds == {
        "is-passed": "",
        "is-marginal": "",
        "is-failed": "Failure",
        "is-not answered": "Skipped",
        "is-not run": "Skipped",
    }


def test_a_case_says_what_was_found_and_what_to_do() -> None:
    [suite] = suites_in(every_verdict())
    assert results_of(suite) == {
        "is-passed": ("", ""),
        "is-marginal": ("", ""),
        "is-failed": ("failure", "no paper"),
        "is-not answered": ("skipped", "not answered: no paper"),
        "is-not run": ("skipped", "not run: no paper"),
    }
    assert suite.findtext("testcase/failure") == "It works.\nno paper\nDo: load a roll"
    assert "marginal: is-marginal: no paper" in (suite.findtext("system-out") or "")
    assert suite.attrib["timestamp"] == "2023-11-14T22:13:20"
    properties = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
    assert properties["measurement.status"] == "3.14159 ms"
    assert (properties["maker"], properties["serial"]) == ("EPSON", "S1")
    assert "firmware" not in properties


def test_a_run_that_was_stopped_never_looks_complete() -> None:
    stopped = every_verdict()
    stopped.interrupted = True
    assert results_of(suites_in(stopped)[-1])["runs-to-its-end"][0] == "failure"


def test_a_burn_in_has_a_case_for_each_check_over_all_rounds() -> None:
    suite, growth = suites_in(leaking())
    assert results_of(suite)["clears"] == ("failure", "2 of 9 times: no tag")
    assert results_of(growth)["memory-growth-limit"][0] == "failure"
    assert results_of(growth)["open-files-growth-limit"] == ("", "")


def test_the_devices_of_a_burn_in_are_identified_once() -> None:
    stop = threading.Event()
    with VirtualReader() as bench:
        report = run_burn_in(
            [("nfc", bench.url)], 1.0, pause_s=0, only=["reads-the-tag"], stop=stop, on_round=lambda _: stop.set()
        )
    assert report.as_json()["devices"][0]["identity"] == {"model": "PN532", "firmware": "1.6"}
    [suite] = suites_in(report)
    assert {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}["firmware"] == "1.6"


def test_a_run_has_what_its_report_has() -> None:
    report = run([("screen", "sim://?size=480x320&mm=24x16"), ("nfc", "pn532:///dev/no-such-line")])
    screen, reader = suites_in(report)
    assert results_of(screen)["module-limit"][0] == "failure"
    assert results_of(reader)["opens"][0] == "failure"
    assert results_of(reader)["clears"] == ("skipped", "not run: the device could not be opened")
    assert [int(suite.attrib["tests"]) for suite in (screen, reader)] == [len(one.checks) for one in report.devices]


@pytest.mark.parametrize("command", [["run"], ["burn-in", "--hours", "0.0001"]])
def test_the_commands_write_it(command: list[str], tmp_path: Path) -> None:
    path = tmp_path / "junit.xml"
    done = CliRunner().invoke(main, [*command, "--nfc", "sim://", "--only", "reads-the-tag", "--junit", str(path)])
    assert done.exit_code == 0, done.output
    assert set(results_of(ET.parse(path).getroot()[0])) == {"opens", "reads-the-tag"}
    refused = CliRunner().invoke(main, [*command, "--nfc", "sim://", "--junit", "/no/such/folder/junit.xml"])
    assert (refused.exit_code, "no such folder" in refused.output) == (2, True)
