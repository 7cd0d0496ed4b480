"""`sco-hwtest discover` on real devices, and what a run says of them when it cannot open them."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import re
from collections.abc import Callable
from pathlib import Path

import devices
from kernel import settle, wait_for
from report import Report
from usb_reader import UsbReader

from sco_hwtest import run
from sco_hwtest.discovery import Found, discover
from sco_hwtest.results import Kind
from tests.simulators.uinput import UinputTouch


def of_kind(kind: str) -> list[Found]:
    """What is found of that kind now."""
    settle()
    return [one for one in discover().found if one.kind == kind]


def urls(found: Found) -> list[str]:
    """Its URLs, the best first."""
    return [address.url for address in found.urls]


def as_nobody(look: Callable[[], dict[str, list[str]]]) -> dict[str, list[str]]:
    """What is reported to a user without groups, by kind; in a process of its own."""
    user = pwd.getpwnam("nobody")
    look()  # what a user may not read on this machine is read before
    back, out = os.pipe()
    if os.fork() == 0:
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        os.write(out, json.dumps(look()).encode())
        os._exit(0)
    os.close(out)
    with os.fdopen(back, "rb") as file:
        answer: dict[str, list[str]] = json.loads(file.read())
    os.wait()
    return answer


def problems() -> dict[str, list[str]]:
    """What is to be done, by kind."""
    reported: dict[str, list[str]] = {}
    for one in discover().found:
        reported.setdefault(one.kind, []).extend(problem.to_do for problem in one.problems)
    return reported


def failures_of(kind: Kind, url: str) -> list[str]:
    """What a run of that device's suite finds and tells to do; the one check that is asked for prints nothing."""
    report = run([(kind, url)], only=["reports-its-status"])
    return [f"{check.found}: {check.to_do}" for _, check in report.failures]


def run_all(
    report: Report,
    printer: devices.UsbPrinter,
    twin: devices.UsbPrinter,
    line: devices.SerialGadget,
    reader: UsbReader,
) -> None:
    """All of them, with the rules installed."""

    def check(function: Callable[[], object]) -> None:
        report.check("discover", function.__name__.replace("_", "-"), function)

    def sees_each_kind() -> None:
        """Each kind of device is found, with the URL that opens it."""
        with UinputTouch() as panel:
            wait_for(lambda: Path("/dev/sco/touch").exists(), "/dev/sco/touch")
            assert urls(of_kind("touch")[0]) == ["evdev:///dev/sco/touch"], of_kind("touch")
            assert panel.node is not None
        [found] = of_kind("printer")
        assert urls(found) == [printer.usb_url, *urls(found)[1:]], found
        assert urls(found)[1] == "lp:///dev/sco/printer", found
        assert not found.problems, found
        [nfc] = of_kind("nfc")
        assert urls(nfc) == ["usb://072f:2200"], nfc
        serial = [one for one in of_kind("serial") if line.node.name in one.where]
        assert [one.urls[0].url.startswith("serial:///dev/sco/") for one in serial] == [True], serial
        screens = [url for one in of_kind("screen") for url in urls(one)]
        assert any(url.startswith("drm:///dev/sco/screen-drm?connector=Virtual-1") for url in screens), screens
        assert any(url.startswith("fb:///dev/sco/") for url in screens), screens

    def the_rules_give_what_is_foretold() -> None:
        """Every name that a rule is said to give is there, for every device, and no other under /dev/sco."""
        foretold = {name.rstrip(",;") for one in discover().found for name in re.findall(r"/dev/sco/\S+", one.rule)}
        settle()
        there = {str(path) for path in Path("/dev/sco").rglob("*") if path.is_symlink()}
        assert foretold == there, f"foretold only: {foretold - there}; there only: {there - foretold}"

    def twins_are_told_apart() -> None:
        """Two equal printers get a URL each."""
        twin.gadget.plug()
        wait_for(lambda: twin.lp is not None, "usblp has the twin")
        found = of_kind("printer")
        assert {urls(one)[0] for one in found} == {printer.usb_url, twin.usb_url}, found
        lps = [urls(one)[1] for one in found]
        assert all(url.startswith("lp:///dev/sco/by-port/") for url in lps), lps
        assert len(set(lps)) == 2, lps
        twin.gadget.unplug()
        wait_for(lambda: twin.lp is None, "the twin goes")

    def says_who_holds_a_port() -> None:
        """A port that is open somewhere is reported with the process."""
        held = os.open(line.node, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            words = [problem.found for one in of_kind("serial") for problem in one.problems]
            assert any(f"{line.node} is open in" in found and str(os.getpid()) in found for found in words), words
        finally:
            os.close(held)

    def tells_a_user_what_to_do() -> None:
        """A user who is not in the group gets it reported for each device."""
        reported = as_nobody(problems)
        for kind, group in {"printer": "sco", "nfc": "sco", "serial": "dialout", "screen": "video"}.items():
            assert any(f"sudo usermod -aG {group} nobody" in to_do for to_do in reported[kind]), reported

    def a_run_on_a_busy_port_says_who_has_it() -> None:
        """The suite's failure names the process that holds the line."""
        held = os.open(line.node, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        try:
            fcntl.flock(held, fcntl.LOCK_EX)  # as every program does that wants a line for itself
            [words] = failures_of("printer", f"serial://{line.node}?baud=9600")
            assert "another process has the line" in words, words
            assert f"is open in {Path('/proc/self/comm').read_text().strip()} (process {os.getpid()})" in words, words
        finally:
            os.close(held)

    def a_run_without_rights_says_what_to_do() -> None:
        """The suite's failure tells a user how to come by the rights."""
        reported = as_nobody(lambda: {"printer": failures_of("printer", "lp:///dev/sco/printer")})
        assert len(reported["printer"]) == 1, reported
        assert "may not open it" in reported["printer"][0], reported
        assert "sudo usermod -aG sco nobody" in reported["printer"][0], reported

    def gone_is_gone() -> None:
        """What was pulled out is no longer found."""
        printer.gadget.unplug()
        wait_for(lambda: printer.lp is None, "the printer goes")
        assert of_kind("printer") == []
        printer.gadget.plug()
        wait_for(lambda: printer.lp is not None, "the printer is back")

    if not report.wanted("discover"):
        return
    printer.gadget.plug()
    line.gadget.plug()
    reader.plug()
    wait_for(lambda: printer.lp is not None, "usblp has the printer")
    check(sees_each_kind)
    check(the_rules_give_what_is_foretold)
    check(twins_are_told_apart)
    check(says_who_holds_a_port)
    check(tells_a_user_what_to_do)
    check(a_run_on_a_busy_port_says_who_has_it)
    check(a_run_without_rights_says_what_to_do)
    check(gone_is_gone)
