"""The NFC reader on its real wires: ACR122U, PN533, RC-S380 on the USB by libusb, a PN532 on a USB serial line."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import devices
from kernel import wait_for
from report import Report
from usb_reader import UsbReader

from sco_drivers import open_nfc
from sco_drivers.errors import DeviceError, DeviceGone, DeviceNotFound
from sco_drivers.nfc import TagReader
from sco_hwtest.contracts.check import Check
from sco_hwtest.contracts.nfc import CHECKS, LINK
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.nfc.simulated_field import SimulatedField
from tests.simulators.pn533 import DESCRIPTORS_AT, VirtualPn533


def unplugged(url: str, unplug: Callable[[], None], replug: Callable[[], None], chip: SimulatedField) -> None:
    """Pulled out between two commands: DeviceGone (or not found); after replugging the same object reads again."""
    with open_nfc(url) as nfc:
        nfc.write_uri(LINK)
        unplug()
        try:
            nfc.read()
            raise AssertionError("a reader that is not there has read")
        except (DeviceGone, DeviceNotFound):
            pass
        try:
            open_nfc(url).read()
            raise AssertionError("a reader that is not there was opened and read")
        except DeviceError:
            pass
        replug()
        assert nfc.read().uri == LINK
        nfc.clear()
    assert not chip.field_on, "the field stayed on: no phone can read the tag"


def late_answer(url: str, be_late: Callable[[float], None]) -> None:
    """An answer that comes too late is not taken for that of the next command, nor of the next opening."""
    with open_nfc(url) as nfc:
        uid = nfc.read().uid
        be_late(1.0)
        try:
            nfc.read()
            raise AssertionError("a reader that answers after a second was waited for")
        except DeviceError:
            pass
        finally:
            be_late(0.0)
        time.sleep(1.5)
        assert nfc.read().uid == uid
    with open_nfc(url) as nfc:
        assert nfc.read().uid == uid


def contract(report: Report, device: str, url: str, chip: SimulatedField) -> None:
    """The suite that every reader passes."""

    def run(check: Check[TagReader]) -> None:
        with open_nfc(url) as nfc:
            check.run(nfc)
        assert not chip.field_on, "the field stayed on: no phone can read the tag"

    for check in CHECKS:
        if not check.why_not(url):
            report.check(device, check.name, lambda check=check: run(check))


def usb(report: Report, device: str, reader: UsbReader) -> None:
    """All checks of a reader on the USB; it stays plugged in."""

    def be_late(seconds: float) -> None:
        reader.late_s = seconds

    reader.plug()
    contract(report, device, reader.url, reader.chip)
    report.check(device, "late-answer", lambda: late_answer(reader.url, be_late))
    report.check(device, "unplugged-and-back", lambda: unplugged(reader.url, reader.unplug, reader.plug, reader.chip))


def descriptors_written_back(stick: UsbReader) -> None:
    """After it was let go, the PN533's memory holds the configuration that the kernel has read."""
    with open_nfc(stick.url) as nfc:
        nfc.read()
    kernels = next(
        (path / "descriptors").read_bytes()[18:]
        for path in Path("/sys/bus/usb/devices").glob("*-1")
        if (path / "idProduct").read_text().strip() == f"{stick.chip.identity.product_id:04x}"
    )
    assert isinstance(stick.chip, VirtualPn533)
    assert stick.chip.memory(DESCRIPTORS_AT, len(kernels)) == kernels


def run_all(report: Report, reader: UsbReader, stick: UsbReader, pad: UsbReader, line: devices.SerialGadget) -> None:
    """USB, then serial."""
    if report.wanted("nfc-usb"):
        usb(report, "nfc-usb", reader)
    if report.wanted("nfc-pn533"):
        usb(report, "nfc-pn533", stick)
        report.check("nfc-pn533", "descriptors-written-back", lambda: descriptors_written_back(stick))
        stick.unplug()
    if report.wanted("nfc-rcs380"):
        usb(report, "nfc-rcs380", pad)
        pad.unplug()
    if report.wanted("nfc-serial"):
        line.gadget.plug()
        with VirtualReader() as chip, devices.joined(line.inside, chip.path):
            # The gadget has no speed of its own, and the simulated chip listens to the speed of its pty.
            url = f"pn532://{line.node}?baud=115200"
            contract(report, "nfc-serial", url, chip)

            report.check("nfc-serial", "late-answer", lambda: late_answer(url, chip.slow))

            def back() -> None:
                line.gadget.plug()
                wait_for(line.node.exists, "the line is back")

            report.check("nfc-serial", "unplugged-and-back", lambda: unplugged(url, line.gadget.unplug, back, chip))
