"""What `sco-hwtest discover` says of machines laid out in a folder: each bad case says what it found and what to do."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from sco_drivers import check_url
from sco_drivers.urls import DeviceUrl
from sco_hwtest.cli.discover import as_text
from sco_hwtest.cli.main import main
from sco_hwtest.discovery import Account, Discovery, Found, discover
from sco_hwtest.discovery.displays import parse_edid
from sco_hwtest.discovery.known import PRINTER_VENDORS, PRINTERS, is_printer
from sco_hwtest.discovery.rules import Given, given
from sco_hwtest.discovery.sysfs import Machine, SysDevice
from sco_hwtest.udev_rules import RULES as RULES_FILE
from sco_hwtest.udev_rules import Tree
from tests.hwtest.machine_tree import TILL, MachineTree

RULES = """\
# receipt printers
ACTION=="remove", GOTO="end"
SUBSYSTEM!="usb|usbmisc|tty|drm|graphics|input", GOTO="end"
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", ATTR{idVendor}=="04b8", \\
  GROUP="sco", MODE="0660"
SUBSYSTEM=="usbmisc", KERNEL=="lp*", ATTRS{idVendor}=="04b8", SYMLINK+="sco/printer sco/lp-$attr{serial}", GROUP="sco"
SUBSYSTEM=="tty", ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6001", SYMLINK+="sco/serial-%n", GROUP="sco"
SUBSYSTEM=="input", KERNEL=="event*", ENV{ID_INPUT_TOUCHSCREEN}=="1", SYMLINK+="sco/touch", GROUP="sco"
SUBSYSTEM=="drm", KERNEL=="card[0-9]*", GROUP="sco"
LABEL="end"
SUBSYSTEM=="nothing", GROUP="other"
"""


def edid(name: str = "ELO 1502L", mm: tuple[int, int] = (304, 228)) -> bytes:
    block = bytearray(128)
    block[:8] = bytes.fromhex("00ffffffffffff00")
    block[21:23] = bytes((mm[0] // 10, mm[1] // 10))
    block[54:56] = b"\x64\x19"
    block[66], block[67] = mm[0] & 0xFF, mm[1] & 0xFF
    block[68] = mm[0] >> 8 << 4 | mm[1] >> 8
    block[72:90] = b"\0\0\0\xfc\0" + name.encode().ljust(12, b"\n") + b"\n"
    return bytes(block)


def look(tree: MachineTree, account: Account = TILL) -> Discovery:
    return discover(tree.root, account)


def one(found: Discovery, kind: str) -> Found:
    [only] = [one for one in found.found if one.kind == kind]
    return only


def urls(found: Found) -> list[str]:
    return [address.url for address in found.urls]


@pytest.fixture
def tree(tmp_path: Path) -> MachineTree:
    return MachineTree(tmp_path / "machine")


def install_rules(tree: MachineTree) -> None:
    tree.write("etc/udev/rules.d/60-sco.rules", RULES)
    tree.write("etc/group", "root:x:0:\nsco:x:777:\n")


# --- what is plugged in -------------------------------------------------------------------------------------------


def test_a_printer_with_a_serial_number(tree: MachineTree) -> None:
    tree.usb_printer("1-1.2", serial="J5K1 #234", lp=0)
    printer = one(look(tree, Account("root", 0, frozenset())), "printer")
    assert urls(printer) == ["usb://04b8:0202/J5K1%20%23234", "lp:///dev/usb/lp0"]
    assert printer.what == "EPSON TM-T88V, USB 04b8:0202, serial number J5K1 #234"
    assert printer.where == "USB port 1-1.2"
    assert not printer.problems


def test_the_driver_understands_the_discovered_url(tree: MachineTree) -> None:
    from sco_drivers.urls import DeviceUrl

    tree.usb_printer("1-1.2", serial="J5K1 #234")
    url = DeviceUrl.parse(urls(one(look(tree), "printer"))[0])
    assert (url.host, url.path) == ("04b8:0202", "/J5K1 #234")


def test_two_identical_printers_are_distinguished_by_serial_number(tree: MachineTree) -> None:
    tree.usb_printer("1-1", serial="A1")
    tree.usb_printer("1-2", serial="A2")
    assert [urls(found) for found in look(tree).found] == [["usb://04b8:0202/A1"], ["usb://04b8:0202/A2"]]


@pytest.mark.parametrize("serial", ["", "0000"])
def test_two_identical_printers_without_numbers_are_distinguished_by_port(tree: MachineTree, serial: str) -> None:
    tree.usb_printer("1-1", serial=serial)
    tree.usb_printer("1-2.1", serial=serial)
    found = look(tree).found
    assert [urls(printer) for printer in found] == [["usb://04b8:0202?port=1-1"], ["usb://04b8:0202?port=1-2.1"]]
    assert all("only the port tells them apart" in printer.notes[0] for printer in found)


@pytest.mark.parametrize(
    ("vendor", "product"), [("04b8", "0202"), ("04b8", "0e28"), ("0519", "0003"), ("0416", "5011")]
)
def test_a_printer_in_vendor_mode_has_its_url(tree: MachineTree, vendor: str, product: str) -> None:
    """The driver opens it: a printer need not state the printer class."""
    tree.interface(tree.usb("1-1", vendor, product, serial="A1", mode=0o666), 0, "ff")
    printer = one(look(tree), "printer")
    assert urls(printer) == [f"usb://{vendor}:{product}/A1"]
    assert not printer.problems
    assert "vendor-specific mode" in printer.notes[0]
    assert "USB printer class" in printer.notes[0]


@pytest.mark.parametrize(("vendor", "product"), [("04b8", "0142"), ("1cbe", "0003"), ("20d1", "0001")])
def test_other_devices_of_those_makers_are_no_printers(tree: MachineTree, vendor: str, product: str) -> None:
    """A scanner, a board of Texas Instruments: their interfaces are of a vendor's class too."""
    tree.interface(tree.usb("1-1", vendor, product), 0, "ff")
    assert look(tree).found == ()


def test_the_rules_and_the_discovery_know_the_same_printers() -> None:
    matches = re.findall(
        r'^ATTR\{idVendor\}=="([^"]+)"(?:, ATTR\{idProduct\}=="([^"]+)")?, ENV\{SCO_KIND\}="printer-usb"',
        RULES_FILE.text(),
        re.MULTILINE,
    )
    known = {
        (vendor, product)
        for vendors, products in matches
        for vendor in vendors.split("|")
        for product in (products.split("|") if products else [""])
    }
    assert known == {
        *((f"{vendor:04x}", "") for vendor in PRINTER_VENDORS),
        *((f"{vendor:04x}", f"{product:04x}") for vendor, product in PRINTERS),
        ("04b8", "0e*"),
    }
    assert all(is_printer(int(vendor, 16), int(product.replace("*", "00") or "1", 16)) for vendor, product in known)


@pytest.mark.parametrize(
    ("vendor", "product", "driver"),
    [("04cc", "2533", "pn533_usb"), ("054c", "06c1", "port100"), ("054c", "06c3", "port100")],
)
def test_a_reader_used_by_a_kernel_driver(tree: MachineTree, vendor: str, product: str, driver: str) -> None:
    device = tree.usb("1-3", vendor, product)
    tree.driver(tree.interface(device, 0, "ff"), driver)
    reader = one(look(tree, Account("root", 0, frozenset())), "nfc")
    assert urls(reader) == [f"usb://{vendor}:{product}"]
    assert DeviceUrl.parse(urls(reader)[0]).host == f"{vendor}:{product}"
    assert f"{driver} has it" in reader.problems[0].found
    assert f"echo 1-3:1.0 | sudo tee /sys/bus/usb/drivers/{driver}/unbind" in reader.problems[0].to_do


def test_a_reader_behind_pcscd(tree: MachineTree) -> None:
    tree.interface(tree.usb("1-3", "072f", "223b"), 0, "0b")
    reader = one(look(tree), "nfc")
    assert reader.what.startswith("ACS ACR1252U, USB 072f:223b")
    assert urls(reader) == ["pcsc://?name=ACR1252"]
    assert not check_url("nfc", urls(reader)[0])
    assert "pcscd is not running" in reader.problems[0].found
    tree.write("run/pcscd/pcscd.comm", "")
    assert one(look(tree), "nfc").problems == ()
    tree.interface(tree.usb("1-4", "072f", "223b"), 0, "0b")
    readers = look(tree).usable
    assert [urls(reader) for reader in readers] == 2 * [["pcsc://?name=ACR1252"]]
    assert all("index=1" in reader.notes[0] for reader in readers)


@pytest.mark.parametrize(
    ("product", "url"),
    [
        ("CL2100 Reader", "pcsc://?name=CL2100"),
        ("Contactless R502", "pcsc://?name=R502"),
        ("Рутокен ЭЦП", "pcsc://?name=%D0%A0%D1%83%D1%82%D0%BE%D0%BA%D0%B5%D0%BD"),
        ("", "pcsc://"),
    ],
)
def test_an_unknown_smart_card_reader_may_be_contactless(tree: MachineTree, product: str, url: str) -> None:
    tree.write("run/pcscd/pcscd.comm", "")
    tree.interface(tree.usb("1-3", "0a89", "0030", product=product), 0, "0b")
    found = look(tree)
    reader = one(found, "nfc")
    assert urls(reader) == [url]
    assert not check_url("nfc", url)
    assert "smart-card reader; usable if it is contactless" in reader.problems[0].found
    assert f"sco-hwtest nfc read '{url}'" in reader.problems[0].to_do
    assert found.usable == (), "a token with a contact chip looks the same"


def test_serial_adapters_by_stable_name(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0", serial="FT1", by=("by-id/usb-FTDI_FT1-if00-port0", "by-path/pci-1-4"))
    line = one(look(tree), "serial")
    assert urls(line)[0].startswith("serial:///dev/serial/by-id/usb-FTDI_FT1-if00-port0?")
    assert urls(line)[1:] == [
        "pn532:///dev/serial/by-id/usb-FTDI_FT1-if00-port0",
        "mertech:///dev/serial/by-id/usb-FTDI_FT1-if00-port0",
    ]


def test_adapters_of_one_model_are_named_by_port(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0", by=("by-id/usb-FTDI-if00-port0", "by-path/pci-1-4"))
    tree.usb_serial("1-5", "ttyUSB1", by=("by-path/pci-1-5",))
    assert [urls(line)[1] for line in look(tree).found] == [
        "pn532:///dev/serial/by-path/pci-1-4",
        "pn532:///dev/serial/by-path/pci-1-5",
    ]


def test_ports_that_the_driver_only_lists_are_left_out(tree: MachineTree) -> None:
    for name, kind in (("ttyS0", "4"), ("ttyS1", "0")):
        folder = tree.device(f"platform/serial8250/tty/{name}", "tty", uevent=f"DEVNAME={name}\n", type=kind)
        (folder / "device").symlink_to("../..")
        tree.link(f"sys/class/tty/{name}", folder)
        tree.node(name)
    tree.link("sys/class/tty/tty0", tree.device("virtual/tty/tty0", "tty"))
    assert one(look(tree), "serial").where == "ttyS0"


def test_a_display_with_its_size_and_framebuffer(tree: MachineTree) -> None:
    tree.card(0, {"HDMI-A-1": "1024x768 800x600", "DP-1": ""}, edid=edid())
    screen = one(look(tree), "screen")
    assert screen.what == "ELO 1502L, 1024x768 px, 304x228 mm"
    assert urls(screen) == ["drm:///dev/dri/card0?connector=HDMI-A-1", "fb:///dev/fb0?mm=304x228"]


def test_a_card_without_display_and_a_framebuffer_of_its_own(tree: MachineTree) -> None:
    tree.card(0, {"HDMI-A-1": ""}, framebuffer=False)
    tree.framebuffer(3)
    card, framebuffer = look(tree).found
    assert "no display is connected to HDMI-A-1" in card.problems[0].found
    assert urls(framebuffer) == ["fb:///dev/fb3"]


def test_an_empty_or_invalid_edid() -> None:
    assert parse_edid(b"").mm is None
    assert parse_edid(os.urandom(128)).mm is None


def test_touch_panels_come_before_mice_and_buttons_are_left_out(tree: MachineTree) -> None:
    tree.event(0, "Power Button", ev="3", key="10000000000000 0")
    tree.event(1, "Mouse", ev="17", key="70000 0 0 0 0")
    tree.event(2, "ELO TouchSystems", ev="b", abs_="3", key="400 0 0 0 0 0", properties="2")
    tree.event(3, "Keyboard", ev="120013", key="fffffffffffffffe")
    assert [(found.kind, urls(found)) for found in look(tree).found] == [
        ("touch", ["evdev:///dev/input/event2"]),
        ("keyboard", ["evdev:///dev/input/event1?keys=1"]),
        ("keyboard", ["evdev:///dev/input/event3?keys=1"]),
    ]


# --- what is missing ------------------------------------------------------------------------------------------------


def test_nothing_plugged_in(tree: MachineTree) -> None:
    words = as_text(look(tree))
    assert "No USB printer found: check cable and power" in words
    assert "0 found, 0 ready" in words


def test_without_rights_before_the_rules_are_installed(tree: MachineTree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sco_hwtest.discovery.packaged_rules", lambda: RULES)
    tree.usb_printer("1-1", serial="A1")
    found = look(tree)
    printer = one(found, "printer")
    assert printer.problems[0].found == f"user till may not open {printer.files[0]}"
    assert printer.problems[0].to_do.startswith("sudo sco-hwtest udev install, then sudo usermod -aG sco till")
    assert printer.rule == "60-sco.rules line 4: group sco (not installed)"
    assert "are not installed" in found.problems[0].found


def test_without_rights_when_the_rules_came_after_the_device(tree: MachineTree) -> None:
    install_rules(tree)
    tree.usb_printer("1-1", serial="A1")
    assert "udevadm trigger" in one(look(tree), "printer").problems[0].to_do


def test_without_rights_where_only_the_group_is_missing(tree: MachineTree) -> None:
    install_rules(tree)
    tree.write("etc/group", f"sco:x:{os.getgid()}:\n")
    tree.usb_printer("1-1", serial="A1", mode=0o660)
    problem = one(look(tree), "printer").problems[0]
    assert problem.to_do == "sudo usermod -aG sco till, then log in again (a service: SupplementaryGroups=sco)"
    member = Account("till", 54321, frozenset({54321, os.getgid()}))
    assert not one(look(tree, member), "printer").problems


def test_without_udev_manual_commands_are_printed(tmp_path: Path) -> None:
    tree = MachineTree(tmp_path / "machine", udev=False)
    tree.usb_serial("1-4", "ttyUSB0")
    found = look(tree)
    assert "udev is not running" in found.problems[0].found
    to_do = one(found, "serial").problems[0].to_do
    assert "sudo groupadd --system sco; sudo chgrp sco /dev/ttyUSB0; sudo chmod 0660 /dev/ttyUSB0" in to_do


def test_without_usb_and_without_sys(tmp_path: Path) -> None:
    assert "/sys/bus/usb is not there" in look(MachineTree(tmp_path / "a", usb=False)).problems[0].found
    (tmp_path / "empty").mkdir()
    assert "/sys is not mounted" in discover(tmp_path / "empty", TILL).problems[0].found


def test_a_device_file_that_a_container_hides(tree: MachineTree) -> None:
    tree.usb_printer("1-1", serial="A1")
    (tree.root / "dev/bus/usb/001/001").unlink()
    assert "start it with --device=/dev/bus/usb/001/001" in one(look(tree), "printer").problems[0].to_do


def test_a_busy_port_names_the_process(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0", mode=0o666)
    tree.process(633, "ModemManager", "/dev/null", "/dev/ttyUSB0")
    problem = one(look(tree), "serial").problems[0]
    assert problem.found == "/dev/ttyUSB0 is open in ModemManager (process 633)"
    assert problem.to_do == "sudo systemctl disable --now ModemManager"


def test_a_port_open_in_this_process(tmp_path: Path) -> None:
    """The real /proc, in which a file may close while it is looked at."""
    import pty

    from sco_hwtest.discovery.access import Holders

    master, slave = pty.openpty()
    try:
        holders = Holders.of(Machine("/")).of_file(os.ttyname(slave))
        assert [holder.pid for holder in holders] == [os.getpid()]
    finally:
        os.close(master)
        os.close(slave)


def test_a_login_on_the_port_names_its_service(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0", mode=0o666)
    tree.process(70, "agetty", "/dev/ttyUSB0")
    assert one(look(tree), "serial").problems[0].to_do.endswith("serial-getty@ttyUSB0")


def test_a_lock_file_of_a_running_process(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0", mode=0o666)
    tree.write("run/lock/LCK..ttyUSB0", "      4711\n")
    assert not one(look(tree), "serial").problems
    tree.process(4711, "minicom")
    assert "locked by minicom (process 4711)" in one(look(tree), "serial").problems[0].found


def test_the_kernels_console_on_the_port(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0", mode=0o666)
    tree.write("sys/class/tty/console/active", "tty0 ttyUSB0\n")
    assert "console=ttyUSB0" in one(look(tree), "serial").problems[0].to_do


@pytest.mark.skipif(os.geteuid() == 0, reason="root sees every process")
def test_processes_that_hide_their_files_are_counted(tree: MachineTree) -> None:
    tree.process(1, "init")
    (tree.root / "proc/1/fd").chmod(0)
    assert look(tree).notes[0].startswith("1 processes of other accounts hide which devices they have open; root sees")


# --- rules ----------------------------------------------------------------------------------------------------------


def test_the_matching_rule_is_reported(tree: MachineTree) -> None:
    install_rules(tree)
    tree.usb_printer("1-1", serial="A 1", lp=0)
    tree.usb_serial("1-4", "ttyUSB7")
    tree.event(2, "ELO TouchSystems", ev="b", abs_="3", key="400 0 0 0 0 0", properties="2")
    tree.card(0, {"HDMI-A-1": "1024x768"})
    rules = {found.kind: found.rule for found in look(tree).found}
    assert rules == {
        "printer": "60-sco.rules line 4: group sco; 60-sco.rules line 6: /dev/sco/printer, /dev/sco/lp-A_1, group sco",
        "serial": "60-sco.rules line 7: /dev/sco/serial-7, group sco",
        "touch": "60-sco.rules line 8: /dev/sco/touch, group sco",
        "screen": "60-sco.rules line 9: group sco",
    }


def test_the_matching_shipped_rule_is_reported(tree: MachineTree) -> None:
    """The rules of the package, as a machine without them would be given them."""
    tree.usb_printer("1-1.2", serial="A1", lp=0)
    tree.usb_serial("1-4", "ttyUSB7")
    tree.interface(tree.usb("1-3", "072f", "2200"), 0, "ff")
    tree.event(2, "ELO TouchSystems", ev="b", abs_="3", key="400 0 0 0 0 0", properties="2")
    tree.card(0, {"HDMI-A-1": "1024x768"})
    rules = {found.kind: re.sub(r" line [0-9, ]+:", ":", found.rule) for found in look(tree).found}
    port, new, state = "/dev/sco/by-port", "group sco (not installed)", "(not installed)"
    assert rules == {
        "printer": (
            f"60-sco.rules: {port}/printer-usb-pci-0000:00:14.0-usb-0:1.2, /dev/sco/printer-usb, {new}; "
            f"60-sco.rules: {port}/printer-pci-0000:00:14.0-usb-0:1.2:1.0, /dev/sco/printer, {new}"
        ),
        "serial": f"60-sco.rules: {port}/serial-pci-0000:00:14.0-usb-0:4:1.0, /dev/sco/serial {state}",
        "nfc": f"60-sco.rules: {port}/nfc-pci-0000:00:14.0-usb-0:3, /dev/sco/nfc, {new}",
        "screen": (
            f"60-sco.rules: {port}/screen-drm-pci-0000:00:02.0, /dev/sco/screen-drm {state}; "
            f"60-sco.rules: {port}/screen-pci-0000:00:02.0, /dev/sco/screen {state}"
        ),
        "touch": f"60-sco.rules: /dev/sco/touch, {new}",
    }


def shipped(tree: MachineTree, tty: str, environment: dict[str, str]) -> Given:
    """What the package's rules give a serial line."""
    line = SysDevice(Machine(tree.root), (tree.root / "sys/class/tty" / tty).resolve())
    return given(RULES_FILE.text(), line, environment)


def test_a_serial_line_is_the_lanes_only_when_it_is_named(tree: MachineTree) -> None:
    """It may be the till's scanner or fiscal printer, whose program is in dialout."""
    tree.usb_serial("1-4", "ttyUSB0")
    assert shipped(tree, "ttyUSB0", {}).names == ["/dev/sco/serial"]
    assert shipped(tree, "ttyUSB0", {}).group is None
    named = shipped(tree, "ttyUSB0", {"SCO_NAME": "reader"})
    assert (named.names[0], named.group, named.mode) == ("/dev/sco/reader", "sco", "0660")


def test_a_printers_own_serial_line_is_the_lanes(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyACM0", vid="04b8")
    found = shipped(tree, "ttyACM0", {})
    assert (found.names, found.group) == (["/dev/sco/printer"], "sco")


def test_the_networks_modem_is_left_alone(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0")
    tree.driver(tree.root / "sys/bus/usb/devices/1-4:1.0", "option")
    assert shipped(tree, "ttyUSB0", {}).lines == []


def test_a_user_without_the_systems_group_is_told_to_join_it(tree: MachineTree) -> None:
    tree.write("etc/udev/rules.d/60-sco.rules", RULES_FILE.text())
    tree.write("etc/group", f"sco:x:777:\ndialout:x:{os.getgid()}:\n")
    tree.usb_serial("1-4", "ttyUSB0", mode=0o660)
    assert "sudo usermod -aG dialout till" in one(look(tree), "serial").problems[0].to_do


def test_a_plain_name_with_two_devices_is_reported_until_it_is_given_to_one(tree: MachineTree) -> None:
    install_rules(tree)
    for port, lp in (("1-1", 0), ("1-2", 1)):
        tree.usb_printer(port, lp=lp)
        tree.link(f"dev/sco/by-port/printer-pci-usb-0:{port}", tree.root / f"dev/usb/lp{lp}")
    [problem] = look(tree).problems
    assert problem.found == "2 devices of the kind printer: after a restart /dev/sco/printer may be another one of them"
    assert "sudo sco-hwtest udev name printer DEVICE" in problem.to_do
    Tree(tree.root).set_name("printer", 'SUBSYSTEM=="usbmisc", ENV{ID_PATH}=="a", ENV{SCO_NAME}="printer"')
    tree.link("dev/sco/printer", tree.root / "dev/usb/lp1")
    assert look(tree).problems == ()
    assert urls(look(tree).found[1])[1] == "lp:///dev/sco/printer", "the name that was given comes first"


def test_a_serial_line_without_a_name_is_advised_to_have_one(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0")
    tree.link("dev/sco/serial", tree.root / "dev/ttyUSB0")
    assert "sudo sco-hwtest udev name reader /dev/ttyUSB0" in one(look(tree), "serial").notes[0]
    tree.link("dev/sco/tag-reader", tree.root / "dev/ttyUSB0")
    assert urls(one(look(tree), "serial"))[1] == "pn532:///dev/sco/tag-reader"
    assert one(look(tree), "serial").notes == ()


def test_with_two_of_a_model_the_name_by_port_comes_first(tree: MachineTree) -> None:
    for port, lp in (("1-1", 0), ("1-2", 1)):
        tree.usb_printer(port, lp=lp)
        tree.link(f"dev/sco/by-port/printer-pci-usb-0:{port}", tree.root / f"dev/usb/lp{lp}")
    tree.link("dev/sco/printer", tree.root / "dev/usb/lp0")
    assert [urls(found)[1] for found in look(tree).found] == [
        "lp:///dev/sco/by-port/printer-pci-usb-0:1-1",
        "lp:///dev/sco/by-port/printer-pci-usb-0:1-2",
    ]


def test_our_own_stable_name_comes_first(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0", serial="FT1", by=("by-id/usb-FTDI_FT1-if00-port0",))
    tree.link("dev/sco/nfc", tree.root / "dev/ttyUSB0")
    assert urls(one(look(tree), "serial"))[1] == "pn532:///dev/sco/nfc"


def test_a_line_that_was_named_as_the_display_is_one(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyACM0", serial="D1", by=("by-id/usb-QR_D1-if00",))
    tree.link("dev/sco/display", tree.root / "dev/ttyACM0")
    assert urls(one(look(tree), "serial")) == ["mertech:///dev/sco/display"]


def test_parents_must_match_together(tree: MachineTree) -> None:
    """udev asks all ATTRS of a line of one and the same parent."""
    tree.usb_serial("1-4", "ttyUSB0")
    line = SysDevice(Machine(tree.root), (tree.root / "sys/class/tty/ttyUSB0").resolve())
    together = 'ATTRS{idVendor}=="0403", ATTRS{idProduct}=="6001", GROUP="sco"'
    apart = 'ATTRS{idVendor}=="0403", ATTRS{bInterfaceNumber}=="00", GROUP="sco"'
    assert given(together, line, {}).group == "sco"
    assert given(apart, line, {}).group is None


def test_the_rule_key_test_checks_for_a_file(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0")
    line = SysDevice(Machine(tree.root), (tree.root / "sys/class/tty/ttyUSB0").resolve())
    for test, holds in (("uevent", True), ("power/control", False), ("/dev/$kernel", True), ("/dev/sco/x", False)):
        assert bool(given(f'TEST=="{test}", GROUP="sco"', line, {}).group) is holds
        assert bool(given(f'TEST!="{test}", GROUP="sco"', line, {}).group) is not holds


def test_what_only_a_running_udev_knows_never_matches(tree: MachineTree) -> None:
    tree.usb_serial("1-4", "ttyUSB0")
    line = SysDevice(Machine(tree.root), (tree.root / "sys/class/tty/ttyUSB0").resolve())
    assert given('KERNEL=="ttyUSB*", PROGRAM=="/bin/true", GROUP="sco"', line, {}).lines == []


# --- the command ----------------------------------------------------------------------------------------------------


def test_json(tree: MachineTree) -> None:
    tree.usb_printer("1-1", serial="A1")
    done = CliRunner().invoke(main, ["discover", "--json", "--root", str(tree.root)])
    assert done.exit_code == 0, done.output
    [printer] = json.loads(done.output)["found"]
    assert printer["urls"][0] == {"url": "usb://04b8:0202/A1", "note": "by its serial number, at any port"}
    assert printer["files"][0]["mode"] == "0600"


def test_discovery_works_on_this_machine() -> None:
    done = CliRunner().invoke(main, ["discover"])
    assert done.exit_code == 0, done.output
    assert "found" in done.output


def test_an_unknown_account() -> None:
    done = CliRunner().invoke(main, ["discover", "--user", "no-such-account"])
    assert done.exit_code == 2
    assert "unknown account 'no-such-account'" in done.output


def test_an_account_of_another_machine(tree: MachineTree) -> None:
    """Its groups are read from that machine's files: this one need not know it."""
    install_rules(tree)
    tree.write("etc/passwd", "lane:x:54321:54321::/:/bin/sh\n")
    tree.write("etc/group", f"sco:x:{os.getgid()}:other,lane\nlane:x:54321:\n")
    tree.usb_printer("1-1", serial="A1", mode=0o660)
    for user, count in (("lane", 0), ("unknown-user", None)):
        done = CliRunner().invoke(main, ["discover", "--json", "--root", str(tree.root), "--user", user])
        if count is None:
            assert done.exit_code == 2
        else:
            assert len(json.loads(done.output)["found"][0]["problems"]) == count


def test_a_member_of_another_group_is_reported(tree: MachineTree) -> None:
    tree.write("etc/passwd", "lane:x:54321:54321::/:/bin/sh\n")
    tree.usb_serial("1-4", "ttyUSB0", mode=0o660)
    done = CliRunner().invoke(main, ["discover", "--root", str(tree.root), "--user", "lane"])
    assert "! user lane may not open /dev/ttyUSB0" in done.output
    assert "1 found, 0 ready for user lane." in done.output
