"""The results of `sco-hwtest` on devices of a real kernel: identity, limits, JUnit XML, history, comparison."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import devices
from kernel import settle, wait_for
from report import Report
from usb_reader import UsbReader

from sco_drivers import DeviceIdentity
from sco_hwtest.identity import described, identify
from tests.simulators.uinput import UinputTouch

LIMITS = """
format = 1
[printer.status]
unit = "ms"
marginal_above = 0
[printer.ticket-bytes.model."TM-*"]
unit = "B"
fail_above = 1
"""


def hwtest(*arguments: object) -> subprocess.CompletedProcess[str]:
    """`sco-hwtest` as a process."""
    command = [sys.executable, "-m", "sco_hwtest.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Tablet:
    """What the page of `sco-hwtest run --web` sends from a tablet."""

    def __init__(self, address: str) -> None:
        self._root, _, self._token = address.partition("/?token=")
        self._name = "tablet-of-the-bench"

    def state(self) -> dict[str, Any]:
        """What the page shows."""
        return self._ask(f"/state?client={self._name}")

    def post(self, path: str, **body: object) -> dict[str, Any]:
        """Press a button."""
        return self._ask(path, json.dumps({"client": self._name, **body}).encode())

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        with urllib.request.urlopen(urllib.request.Request(self._root + path, body, headers), timeout=60) as answer:
            found: dict[str, Any] = json.loads(answer.read())
            return found


def verdicts(report: Path) -> dict[str, str]:
    """What each check of the only device came to."""
    document: dict[str, Any] = json.loads(report.read_text("utf-8"))
    return {check["name"]: check["verdict"] for check in document["devices"][0]["checks"]}


def run_all(report: Report, printer: devices.UsbPrinter, line: devices.SerialGadget, reader: UsbReader) -> None:
    """All of them."""

    def check(function: Callable[[], object]) -> None:
        report.check("results", function.__name__.replace("_", "-"), function)

    def devices_are_known_by_their_descriptors() -> None:
        """As the kernel has read them; the serial number that the printer itself reports comes first."""
        usb = DeviceIdentity("virtual bench", "printer", "S1")
        with printer.on(serial="SIM42"):
            for url in (printer.usb_url, f"usb://{printer.gadget.ids}", f"lp://{printer.lp}"):
                found = described("printer", url)
                assert (found.maker, found.model, found.serial) == (usb.maker, usb.model, usb.serial), (url, found)
            own = identify("printer", printer.usb_url)
            assert (own.maker, own.model, own.serial) == ("EPSON", "TM-T88V", "SIM42"), own
        reader.plug()
        found = identify("nfc", reader.url)
        assert found.serial == "acr122u", found
        assert found.firmware is not None, found
        line.gadget.plug()
        assert described("display", f"mertech://{line.node}").serial == line_serial(), described
        with UinputTouch() as panel:
            wait_for(lambda: Path("/dev/sco/touch").exists(), "/dev/sco/touch")
            name = described("touch", "evdev:///dev/sco/touch").model
            assert name, f"the panel at {panel.node} has no name"

    def line_serial() -> str:
        return f"L{line.gadget.port}"

    def a_run_writes_verdicts_by_limits_and_junit() -> None:
        """On usblp: one measurement is marginal, one fails by the limit of its model; both are in JUnit XML."""
        with tempfile.TemporaryDirectory() as folder, printer.on():
            settle()
            files = {name: Path(folder, name) for name in ("limits.toml", "a.json", "b.json", "junit.xml", "h.db")}
            files["limits.toml"].write_text(LIMITS)
            run = ("run", "--printer", f"lp://{printer.lp}", "--no-questions", "--history", files["h.db"])
            strict = ("--limits", files["limits.toml"], "--json", files["a.json"], "--junit", files["junit.xml"])
            done = hwtest(*run, *strict)
            found = verdicts(files["a.json"])
            assert done.returncode == 1, done.stdout + done.stderr
            assert (found["status-limit"], found["ticket-bytes-limit"]) == ("marginal", "failed"), found
            assert [name for name, verdict in found.items() if verdict == "failed"] == ["ticket-bytes-limit"], found
            [suite] = ET.parse(files["junit.xml"]).getroot()
            failed = [case.attrib["name"] for case in suite.iter("testcase") if case.find("failure") is not None]
            assert failed == ["ticket-bytes-limit"], failed
            properties = {one.attrib["name"]: one.attrib["value"] for one in suite.iter("property")}
            assert properties["serial"] == "SIM0000001", properties
            again = hwtest(*run, "--unanswered-ok", "--marginal-ok", "--json", files["b.json"])
            assert again.returncode == 0, again.stdout + again.stderr
            worse = hwtest("compare", files["b.json"], files["b.json"])
            assert worse.returncode == 0, worse.stdout
            history = hwtest("history", files["h.db"], "--serial", "SIM0000001", "--json")
            series = {one["measurement"]: one for one in json.loads(history.stdout)}
            assert len(series["status"]["points"]) == 2, series

    def a_tablet_answers_what_a_run_asks() -> None:
        """On usblp, by the page of `--web`: each question gets its yes, and the run passes."""
        with tempfile.TemporaryDirectory() as folder, printer.on():
            settle()
            document = Path(folder, "report.json")
            words = ("run", "--web", "--printer", f"lp://{printer.lp}", "--json", document, "--marginal-ok")
            command = [sys.executable, "-u", "-m", "sco_hwtest.cli.main", *map(str, words)]
            with subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as run:
                assert run.stdout is not None
                try:
                    tablet = Tablet(next(line for line in run.stdout if "Open http" in line).split()[-1])
                    answered = 0
                    for question in asked(tablet):
                        tablet.post("/answer", question=question["number"], answer="yes")
                        answered += 1
                    tablet.post("/close")
                    said = run.stdout.read()
                finally:
                    if run.poll() is None:
                        run.terminate()
            assert run.returncode == 0, said
            found = verdicts(document)
            assert answered >= 3, answered
            assert "not answered" not in found.values(), found

    def asked(tablet: Tablet) -> Iterator[dict[str, Any]]:
        """Each question, until the run is over."""
        last = 0
        while not (state := tablet.state())["report"]:
            question = state["question"]
            if question and question["number"] != last:
                last = question["number"]
                yield question
            time.sleep(0.2)

    if report.wanted("results"):
        check(devices_are_known_by_their_descriptors)
        check(a_run_writes_verdicts_by_limits_and_junit)
        check(a_tablet_answers_what_a_run_asks)
