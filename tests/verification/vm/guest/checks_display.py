"""The customer display on a USB serial line by cdc_acm, under the name that an operator gives it."""

from __future__ import annotations

import time
from pathlib import Path

import devices
from checks_udev import cli, expect, name
from kernel import wait_for
from report import Report

from sco_drivers import DisplayedCode, QrDisplay, open_display
from sco_drivers.display import CodeMayShow
from sco_drivers.errors import DeviceBusy, DeviceGone, DeviceNotFound
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.display import CHECKS, LINK, DisplayBench, link_of
from sco_sim.display import VirtualDisplay

URL = "mertech:///dev/sco/display"


def run_all(report: Report, line: devices.SerialGadget) -> None:
    """Named, the contract, pulled out; at the end the line has its own name again."""
    if not report.wanted("display"):
        return
    line.gadget.plug()
    devices.drain(line)
    with VirtualDisplay() as panel, devices.joined(line.inside, panel.path):
        report.check("display", "named-by-hand", lambda: named(line))
        for check in CHECKS:
            report.check("display", check.name, lambda check=check: contract(check, panel))
        report.check("display", "one-program-at-a-time", one_at_a_time)
        report.check("display", "unplugged-and-back", lambda: unplugged(line, panel))
    report.check("display", "takes-nothing", takes_nothing)
    report.check("display", "name-forgotten", lambda: forgotten(line))


def named(line: devices.SerialGadget) -> None:
    """`udev name display` makes a serial line the display, which then is not a reader's line."""
    wait_for(lambda: name("serial") == line.node, "it is a serial line")
    expect(cli("name", "display", str(line.node)), 0)
    assert name("display") == line.node
    assert name("serial") is None, "a display has the name of the reader's line"
    assert list(Path("/dev/sco/by-port").glob("display-*")), "it has no name by port"


def contract(check: Check[DisplayBench], panel: VirtualDisplay) -> None:
    """One check of the suite that every display passes."""
    with open_display(URL) as display:
        check.run(DisplayBench(display, panel))


def one_at_a_time() -> None:
    """A second program is refused; the line can be opened again after the first."""
    for _ in range(5):
        with open_display(URL):
            try:
                open_display(URL).close()
                raise AssertionError("two programs have the display")
            except DeviceBusy:
                pass


def unplugged(line: devices.SerialGadget, panel: VirtualDisplay) -> None:
    """Pulled out: every call reports it. Back under its name, it shows a code again."""
    with open_display(URL) as display:
        display.show_code(DisplayedCode(LINK))
        DisplayBench(display, panel).shows(LINK)
        line.gadget.unplug()
        wait_for(lambda: gone(display), "the driver sees that it has gone")
        for call in (display.clear, lambda: display.show_code(DisplayedCode(LINK))):
            try:
                call()
                raise AssertionError("a display that is not there took a command")
            except DeviceGone:
                pass
    try:
        open_display(URL).close()
        raise AssertionError("a display that is not there was opened")
    except DeviceNotFound:
        pass
    line.gadget.plug()
    wait_for(lambda: name("display") == line.node, "its name is back")
    with open_display(URL) as display:
        display.show_code(DisplayedCode(LINK + "&n=2"))
        DisplayBench(display, panel).shows(LINK + "&n=2")
        display.clear()
        DisplayBench(display, panel).shows(None)


def takes_nothing() -> None:
    """Nobody reads at the other end. Codes count as sent while its USB controller takes them; then the kernel holds
    one, which may still be shown, and closing waits for nobody."""
    start = time.monotonic()
    with open_display(URL) as display:
        try:
            for _ in range(100):
                display.show_code(DisplayedCode(link_of(1200)))
            raise AssertionError("codes that the kernel holds count as sent")
        except CodeMayShow:
            pass
    took = time.monotonic() - start
    assert took < 60, f"it took {took:.0f} s"


def gone(display: QrDisplay) -> bool:
    """Whether `check` reports that the display was unplugged."""
    try:
        display.check()
    except DeviceGone:
        return True
    return False


def forgotten(line: devices.SerialGadget) -> None:
    """Without the name it is a serial line again."""
    expect(cli("name", "display", "--forget"), 0)
    wait_for(lambda: name("serial") == line.node, "it is a serial line again")
    assert name("display") is None
