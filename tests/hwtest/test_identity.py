"""Which device it is: by its own word, by its descriptor, and never by a guess."""

from __future__ import annotations

from pathlib import Path

import pytest

from sco_drivers import DeviceIdentity
from sco_hwtest import run, run_suite, write_html
from sco_hwtest.discovery.displays import parse_edid
from sco_hwtest.discovery.sysfs import Machine
from sco_hwtest.identity import described, identify
from sco_hwtest.results import Kind
from sco_sim import VirtualDisplay
from sco_sim.printer import VirtualPrinter
from tests.hwtest.machine_tree import MachineTree
from tests.hwtest.test_discover import edid

pytestmark = pytest.mark.usefixtures("idle_time")
NOTHING = DeviceIdentity()
EPSON = DeviceIdentity("EPSON", "TM-T88V", "S1")


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return MachineTree(tmp_path / "machine")


def of(tree: MachineTree, kind: Kind, url: str) -> DeviceIdentity:
    return described(kind, url, Machine(tree.root))


def test_a_printer_reports_its_own_identity() -> None:
    with VirtualPrinter(model="TM-T20III", serial="X2CD012345") as paper:
        assert identify("printer", paper.url) == DeviceIdentity("EPSON", "TM-T20III", "X2CD012345", "SIM 1.00")
        assert identify("printer", f"spy+{paper.url}").serial == "X2CD012345"


def test_a_printer_without_an_identity_has_none() -> None:
    with VirtualPrinter(identity=False) as paper:
        assert run_suite("printer", f"{paper.url}?identity=no", only=["reports-its-status"]).identity == NOTHING


def test_a_chip_on_a_line_reports_its_firmware_and_no_serial_number() -> None:
    report = run_suite("nfc", "sim://", only=["reads-the-tag"])
    assert report.identity.known == {"model": "PN532", "firmware": "1.6"}
    assert report.as_json()["identity"] == {"model": "PN532", "firmware": "1.6"}


def test_a_device_that_reports_nothing_has_no_identity() -> None:
    with VirtualDisplay() as display:
        assert identify("display", display.url) == NOTHING


def test_what_a_device_reports_comes_before_its_descriptor() -> None:
    reported = DeviceIdentity("EPSON", serial="J5FF", firmware="13.11 ESC/POS")
    usb = DeviceIdentity("Seiko Epson", "TM-T88V", "4A35", "USB release 1.00")
    assert reported.or_else(usb) == DeviceIdentity("EPSON", "TM-T88V", "J5FF", "13.11 ESC/POS")


@pytest.mark.parametrize("url", ["usb://04b8:0202/S1", "usb://04b8:0202?port=1-1", "lp:///dev/usb/lp0"])
def test_a_usb_printer_is_found_by_its_url(tree: MachineTree, url: str) -> None:
    tree.usb_printer("1-1", serial="S1", lp=0)
    tree.usb_printer("1-2", serial="S2", lp=1)
    assert of(tree, "printer", url) == EPSON
    assert of(tree, "printer", f"spy+{url}") == EPSON


def test_one_of_two_that_the_url_does_not_tell_apart_is_not_guessed(tree: MachineTree) -> None:
    tree.usb_printer("1-1", serial="S1")
    assert of(tree, "printer", "usb://04b8:0202") == EPSON
    tree.usb_printer("1-2", serial="S2")
    assert of(tree, "printer", "usb://04b8:0202") == NOTHING


@pytest.mark.parametrize("url", ["usb://", "usb://072f:2200", "usb:///001/001", "usb:///dev/bus/usb/001/001"])
def test_a_usb_reader_is_found_by_its_url(tree: MachineTree, url: str) -> None:
    tree.usb("1-2", "072f", "2200", manufacturer="ACS", product="ACR122U PICC Interface", bcdDevice="0214")
    tree.usb_printer("1-1", serial="S1")
    assert of(tree, "nfc", url) == DeviceIdentity("ACS", "ACR122U PICC Interface", None, "USB release 2.14")


def test_an_adapter_is_not_the_device_at_its_end(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0", serial="FT-ADAPTER")
    for kind, url in (("printer", "serial:///dev/ttyUSB0?baud=9600"), ("nfc", "pn532:///dev/ttyUSB0")):
        assert of(tree, kind, url) == NOTHING  # type: ignore[arg-type]


def test_a_device_that_is_a_serial_line_itself_has_its_descriptor(tree: MachineTree) -> None:
    device = tree.usb("1-3", "1eab", "1a03", serial="QR77", manufacturer="Mertech", product="QR-PAY")
    interface = tree.interface(device, 0, "02")
    path = (interface / "tty/ttyACM0").relative_to(tree.root / "sys/devices")
    folder = tree.device(str(path), "tty", uevent="DEVNAME=ttyACM0\n")
    (folder / "device").symlink_to("../..")
    tree.link("sys/class/tty/ttyACM0", folder)
    tree.link("dev/sco/display", tree.node("ttyACM0"))
    assert of(tree, "display", "mertech:///dev/sco/display") == DeviceIdentity("Mertech", "QR-PAY", "QR77")


def test_a_display_is_known_by_its_edid(tree: MachineTree) -> None:
    block = bytearray(edid())
    block[8:10] = bytes.fromhex("15ef")  # EOO
    block[12:16] = (4711).to_bytes(4, "little")
    tree.card(0, {"HDMI-A-1": "1024x768", "DP-1": ""}, edid=bytes(block))
    elo = DeviceIdentity("EOO", "ELO 1502L", "4711")
    for url in ("drm:///dev/dri/card0", "drm:///dev/dri/card0?connector=HDMI-A-1", "fb:///dev/fb0"):
        assert of(tree, "screen", url) == elo
    assert of(tree, "screen", "drm:///dev/dri/card0?connector=DP-1") == NOTHING
    assert of(tree, "screen", "fb:///dev/fb7") == NOTHING


def test_the_serial_number_of_a_display_as_text_comes_first() -> None:
    block = bytearray(edid())
    block[12:16] = (4711).to_bytes(4, "little")
    block[90:108] = b"\0\0\0\xff\0" + b"K22C000123\n  "
    assert parse_edid(bytes(block)).serial == "K22C000123"
    assert parse_edid(edid()).serial == parse_edid(edid()).maker == ""


def test_a_panel_without_usb_has_its_kernel_name(tree: MachineTree) -> None:
    tree.event(2, "ELO TouchSystems", ev="b", abs_="3", key="400 0 0 0 0 0", properties="2")
    assert of(tree, "touch", "evdev:///dev/input/event2") == DeviceIdentity(model="ELO TouchSystems")


@pytest.mark.parametrize(
    "url", ["nonsense", "tcp://10.0.0.5:9100", "usb://04b8", "serial://", "sim://", "lp:///dev/\0"]
)
def test_a_url_without_a_local_device_has_no_descriptor(tree: MachineTree, url: str) -> None:
    assert of(tree, "printer", url) == NOTHING


def test_the_page_shows_it(tmp_path: Path) -> None:
    with VirtualPrinter(serial="X2CD012345") as paper:
        report = run([("printer", paper.url), ("screen", "fb:///dev/no-such-fb")], only=["reports-its-status"])
    write_html(report, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text("utf-8")
    assert page.count("<dt>serial number</dt>") == page.count("<dd>X2CD012345</dd>") == 1
