"""Finds serial ports, built in or of a USB adapter. What is connected to one cannot be detected."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sco_hwtest.discovery.access import Holder
from sco_hwtest.discovery.found import Address, Found, Problem, Scan
from sco_hwtest.discovery.known import SERIAL_ADAPTERS
from sco_hwtest.discovery.sysfs import SysDevice
from sco_hwtest.discovery.usb import describe, environment, identity, where

_PLAIN = "serial"
"""The name under /dev/sco of the line that came first."""

_LOCKS = ("/run/lock", "/var/lock")


def find(scan: Scan) -> Iterator[Found]:
    """Every port that has hardware."""
    lines = [line for line in scan.machine.devices("/sys/class/tty") if _is_real(line)]
    adapters = [(line, line.parent("usb", "usb_device")) for line in lines]
    alike = Counter((identity(usb), _interface(line)) for line, usb in adapters if usb is not None)
    consoles = (scan.machine.text("/sys/class/tty/console/active") or "").split()
    for line, usb in adapters:
        node = line.node or f"/dev/{line.kernel}"
        sure = usb is None or alike[identity(usb), _interface(line)] == 1
        names = scan.stable(node, by_id=sure)
        notes = (
            [] if sure else ["several adapters of this model have one serial number: only the port tells them apart"]
        )
        if usb is not None and not names:
            notes.append("the number in its name depends on the order of plugging in")
        if names[:1] == [f"/dev/sco/{_PLAIN}"] and _PLAIN not in scan.given:
            notes.append(
                f"after a restart /dev/sco/{_PLAIN} may be another line, of the till's scanner or fiscal printer: "
                f"name this one by its port: sudo sco-hwtest udev name reader {node}"
            )
        rule, given = scan.rule_for(line, _environment(line, usb))
        problems = scan.held(node, f"stop it, then check: fuser -v {node}")
        problems = [Problem(one.found, one.to_do.replace("{tty}", line.kernel)) for one in problems]
        if not problems:
            problems += _locked(scan, line.kernel, node)
        if line.kernel in consoles:
            problems.append(
                Problem(
                    f"the kernel's console uses {node}",
                    f"remove console={line.kernel} from the kernel's command line",
                )
            )
        files, missing = scan.reach(node, given)
        problems += missing
        path = names[0] if names else node
        yield Found(
            "serial",
            "serial port of the machine" if usb is None else describe(usb, SERIAL_ADAPTERS.get(identity(usb)[:2])),
            line.kernel if usb is None else f"{line.kernel}, {where(usb)}",
            _addresses(path),
            files,
            rule,
            tuple(problems),
            tuple(notes),
        )


def _addresses(path: str) -> tuple[Address, ...]:
    """By what may be connected; a line that an operator has named as a display is one."""
    display = Address(f"mertech://{path}", "a Mertech QR-PAY; a QR-Screen is qrscreen://")
    if path.startswith("/dev/sco/display"):
        return (display,)
    return (
        Address(f"serial://{path}?baud=9600", "a receipt printer, at the baud rate that its self-test prints"),
        Address(f"pn532://{path}", "a PN532 reader"),
        display,
    )


def _environment(line: SysDevice, usb: SysDevice | None) -> dict[str, str]:
    return {} if usb is None else environment(usb, line.parent("usb", "usb_interface"))


def _is_real(line: SysDevice) -> bool:
    """The 8250 driver lists ports that do not exist, with type 0; consoles and ptys have no device."""
    return (line.path / "device").exists() and line.attr("type") != "0"


def _interface(line: SysDevice) -> str | None:
    found = line.parent("usb", "usb_interface")
    return None if found is None else found.attr("bInterfaceNumber")


def _locked(scan: Scan, kernel: str, node: str) -> list[Problem]:
    """Lock files of old programs (`LCK..ttyUSB0` with a process number) whose process is running."""
    for folder in _LOCKS:
        text = scan.machine.text(f"{folder}/LCK..{kernel}") or ""
        number = text.split()[0] if text.split() else ""
        if number.isdigit() and scan.machine.exists(f"/proc/{number}"):
            holder = Holder(int(number), scan.machine.text(f"/proc/{number}/comm") or "?")
            return [Problem(f"{node} is locked by {holder} in {folder}/LCK..{kernel}", "stop that program")]
    return []
