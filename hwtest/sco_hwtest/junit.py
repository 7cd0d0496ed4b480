"""A run or a burn-in as JUnit XML, for CI servers. It is valid for Jenkins's schema and for that of Ant's JUnit task.

A device is a test suite, a check is a test case. What failed is a `failure`; what was not run or not answered is
`skipped`. The formats have no word for marginal: such a check passed, and its text is in the suite's output. Identity
and figures are properties of the suite.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from xml.etree import ElementTree as ET

from sco_drivers.identity import DeviceIdentity
from sco_hwtest.burn_in_results import BurnInReport, Tally
from sco_hwtest.results import CheckResult, Report, Verdict

_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold; a device may report any."""
_SKIPPED = (Verdict.NOT_RUN, Verdict.NOT_ANSWERED)


@dataclass(frozen=True, slots=True)
class _Suite:
    group: str
    url: str
    checks: Sequence[CheckResult]
    properties: dict[str, str]


def junit_xml(report: Report | BurnInReport) -> bytes:
    """The document, in UTF-8."""
    suites = _suites_of_run(report) if isinstance(report, Report) else _suites_of_burn_in(report)
    root = ET.Element("testsuites")
    host = _clean(report.machine.get("host", "")) or "localhost"
    started = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(report.started))
    for number, suite in enumerate(suites):
        root.append(_element(suite, number, host, started, report.machine))
    ET.indent(root)
    document: bytes = ET.tostring(root, "utf-8", xml_declaration=True)
    return document + b"\n"


def _suites_of_run(report: Report) -> Iterable[_Suite]:
    for device in report.devices:
        figures = {
            f"measurement.{figure.measurement or figure.name}": f"{figure.value:.6g} {figure.unit}"
            for figure in device.figures
        }
        properties = {"verdict": device.verdict.value} | device.identity.known | figures
        yield _Suite(device.kind, device.url, device.checks, properties)
    if report.interrupted:
        what, found = "The run is not stopped before its end.", "it was stopped; later checks are missing"
        yield _Suite("run", "", [CheckResult("runs-to-its-end", what, Verdict.FAILED, 0.0, found)], {})


def _suites_of_burn_in(report: BurnInReport) -> Iterable[_Suite]:
    """A check over all rounds is one test case; its time is the median."""
    for kind, url in report.devices:
        checks = [
            CheckResult(
                tally.name,
                tally.what,
                tally.verdict,
                tally.times.percentile(0.5),
                _how_often(tally),
            )
            for tally in report.tallies.values()
            if (tally.kind, tally.url) == (kind, url)
        ]
        identity = report.identities.get((kind, url), DeviceIdentity())
        yield _Suite(kind, url, checks, {"rounds": str(report.rounds)} | identity.known)
    if growth := report.growth_checks:
        yield _Suite("burn-in", "", growth, {})


def _how_often(tally: Tally) -> str:
    if tally.verdict is Verdict.PASSED:
        return ""
    return f"{tally.verdicts[tally.verdict]} of {tally.verdicts.total()} times: {tally.last_found}"


def _element(suite: _Suite, number: int, host: str, started: str, machine: dict[str, str]) -> ET.Element:
    seconds = sum(check.seconds for check in suite.checks)
    counts = {
        "tests": len(suite.checks),
        "failures": sum(check.verdict is Verdict.FAILED for check in suite.checks),
        "errors": 0,
        "skipped": sum(check.verdict in _SKIPPED for check in suite.checks),
    }
    element = ET.Element(
        "testsuite",
        {
            "name": _token(f"{suite.group} {suite.url}"),
            "package": "sco-hwtest",
            "id": str(number),
            "hostname": _token(host),
            "timestamp": started,
            "time": _seconds(seconds),
            **{name: str(count) for name, count in counts.items()},
        },
    )
    properties = ET.SubElement(element, "properties")
    for name, value in {"device": suite.group, "url": suite.url, **suite.properties, **machine}.items():
        ET.SubElement(properties, "property", name=_token(name), value=_clean(value))
    for check in suite.checks:
        element.append(_case(suite.group, check))
    ET.SubElement(element, "system-out").text = "\n".join(map(_line, suite.checks))
    ET.SubElement(element, "system-err")
    return element


def _case(group: str, check: CheckResult) -> ET.Element:
    case = ET.Element(
        "testcase", name=_token(check.name), classname=f"sco-hwtest.{group}", time=_seconds(check.seconds)
    )
    if check.verdict is Verdict.FAILED:
        failure = ET.SubElement(case, "failure", type="failed", message=_clean(check.found))
        failure.text = _clean("\n".join((check.what, check.found, f"Do: {check.to_do}" if check.to_do else "")).strip())
    elif check.verdict in _SKIPPED:
        ET.SubElement(case, "skipped", message=_clean(f"{check.verdict.value}: {check.found}".removesuffix(": ")))
    return case


def _line(check: CheckResult) -> str:
    return _clean(f"{check.verdict.value}: {check.name}" + (f": {check.found}" if check.found else ""))


def _clean(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)


def _token(text: str) -> str:
    """Text without line ends and double blanks, as the schema's names must be."""
    return " ".join(_clean(text).split()) or "-"


def _seconds(seconds: float) -> str:
    """Seconds as a decimal number without an exponent."""
    return f"{max(0.0, seconds):.3f}"
