"""The touch panel by evdev: panels that the kernel makes (uinput), of one finger and of many."""

from __future__ import annotations

from kernel import run, settle
from report import Report

from sco_drivers import open_touch
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.touch import CHECKS, TouchBench
from tests.simulators.uinput import UinputTouch


def run_all(report: Report) -> None:
    """One finger, then many."""
    for device, multi in (("touch-single", False), ("touch-multi", True)):
        for check in CHECKS:
            report.check(device, check.name, lambda check=check, multi=multi: one(check, multi))
    report.check("touch-single", "by-its-stable-name", by_name)


def one(check: Check[TouchBench], multi: bool) -> None:
    """One check of the contract, on a panel of its own."""
    with UinputTouch(multi=multi) as finger:
        settle()
        with open_touch(finger.url) as touch:
            check.run(TouchBench(touch, finger, finger.unplug))


def by_name() -> None:
    """A panel that comes back as another event node is found under the name that udev gave it."""
    nodes = []
    for _ in range(2):
        with UinputTouch() as finger:
            run("udevadm", "trigger", "--settle", "--action=change", f"/sys/class/input/{finger.node.name}")
            with open_touch("evdev:///dev/sco/touch") as touch:
                bench = TouchBench(touch, finger)
                bench.start()
                finger.tap(*bench.middle())
                bench.at(bench.next(), *bench.middle())
            nodes.append(finger.node)
        settle()
