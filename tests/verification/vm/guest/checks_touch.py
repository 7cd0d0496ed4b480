"""The touch panel by evdev: panels that the kernel makes (uinput), of one finger and of many."""

from __future__ import annotations

from kernel import run, settle
from report import Report

from sco_drivers import open_touch
from sco_drivers.touch.events import ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_MT_SLOT, ABS_MT_TRACKING_ID, EV_ABS
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.touch import CHECKS, TouchBench
from tests.simulators.uinput import UinputTouch


def run_all(report: Report) -> None:
    """One finger, then many."""
    for device, multi in (("touch-single", False), ("touch-multi", True)):
        for check in CHECKS:
            report.check(device, check.name, lambda check=check, multi=multi: one(check, multi))
    report.check("touch-single", "by-its-stable-name", by_name)
    for multi in (False, True):
        device = "touch-multi" if multi else "touch-single"
        report.check(device, "rests-at-the-opening", lambda multi=multi: rests(multi, lost=False))
        report.check(device, "rests-when-events-are-lost", lambda multi=multi: rests(multi, lost=True))


def one(check: Check[TouchBench], multi: bool) -> None:
    """One check of the contract, on a panel of its own."""
    with UinputTouch(multi=multi) as finger:
        settle()
        with open_touch(finger.url) as touch:
            check.run(TouchBench(touch, finger, finger.unplug))


def rests(multi: bool, *, lost: bool) -> None:
    """A contact that was there before, or came as the kernel's buffer overflowed: no tap, and no other's end."""
    with UinputTouch(multi=multi) as finger:
        settle()
        if not lost:
            finger.press(700, 100)
        with open_touch(finger.url) as touch:
            for step in range(200 if lost else 0):  # nobody reads yet
                finger.press(700 + step % 2, 100)
            bench = TouchBench(touch, finger)
            bench.start()
            if multi:
                x, y = bench.middle()
                at = (
                    (EV_ABS, ABS_MT_POSITION_X, finger.axis_max // 2),
                    (EV_ABS, ABS_MT_POSITION_Y, finger.axis_max // 2),
                )
                finger.send((EV_ABS, ABS_MT_SLOT, 1), (EV_ABS, ABS_MT_TRACKING_ID, 9), *at)
                finger.send((EV_ABS, ABS_MT_TRACKING_ID, -1))
                bench.at(bench.next(), x, y)
            finger.lift()
            bench.no_tap_but_the_next("a resting contact")


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
