"""The order of things in the guest: devices once, then suite by suite."""

from __future__ import annotations

import checks_discover
import checks_display
import checks_getty
import checks_nfc
import checks_printer
import checks_results
import checks_screen
import checks_service
import checks_touch
import checks_udev
import devices
import kernel
from manager import Manager
from report import Report
from usb_reader import UsbReader

from sco_hwtest import udev_rules, udev_system
from tests.simulators.acr122 import VirtualAcr122
from tests.simulators.pn533 import VirtualPn533
from tests.simulators.rcs380 import VirtualRcs380


def run(report: Report) -> None:
    """Make the devices, run every suite."""
    devices.make()
    kernel.run("mount", "-t", "configfs", "configfs", "/sys/kernel/config", check=False)
    kernel.start_udev()
    printer = devices.UsbPrinter("printer", devices.PRINTER_PORT, "S1")
    twin = devices.UsbPrinter("twin", devices.TWIN_PORT, "S2")
    twin.gadget.unplug()
    line = devices.SerialGadget("line", devices.SERIAL_PORT)
    reader = UsbReader("acr122u", devices.READER_PORT, VirtualAcr122())
    stick = UsbReader("pn533", devices.PN533_PORT, VirtualPn533())
    pad = UsbReader("rcs380", devices.RCS380_PORT, VirtualRcs380())
    report.send(note="the devices are made")
    checks_udev.run_all(report, printer, twin, line, reader, stick, pad)
    tree = udev_rules.Tree()
    if tree.state(udev_rules.RULES) != "installed":  # the checks that install them were not asked for
        if not tree.group_exists():
            tree.create_group()
        tree.install()
        udev_system.reload()
    checks_discover.run_all(report, printer, twin, line, reader)
    checks_printer.run_all(report, printer, twin, line)
    checks_results.run_all(report, printer, line, reader)
    checks_nfc.run_all(report, reader, stick, pad, line)
    checks_display.run_all(report, line)
    checks_screen.run_all(report)
    checks_touch.run_all(report)
    if report.wanted("payment"):
        import checks_payment

        checks_payment.run_all(report, printer, reader)
    manager = Manager()
    checks_service.run_all(report, manager, printer, reader, line)
    checks_getty.run_all(report, manager)
