"""Serial lines, built in and by USB adapter. What hangs on a line nobody can tell but by asking it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from sco_hwtest.discovery.access import Holder
from sco_hwtest.discovery.found import Address, Found, Looking, Problem
from sco_hwtest.discovery.known import SERIAL_ADAPTERS
from sco_hwtest.discovery.sysfs import SysDevice
from sco_hwtest.discovery.usb import describe, environment, identity, where

_LOCKS = ("/run/lock", "/var/lock")


def find(looking: Looking) -> Iterator[Found]:
    """Every line that has hardware behind it."""
    lines = [line for line in looking.machine.devices("/sys/class/tty") if _is_real(line)]
    adapters = [(line, line.parent("usb", "usb_device")) for line in lines]
    alike = Counter((identity(usb), _interface(line)) for line, usb in adapters if usb is not None)
    consoles = (looking.machine.text("/sys/class/tty/console/active") or "").split()
    for line, usb in adapters:
        node = line.node or f"/dev/{line.kernel}"
        sure = usb is None or alike[identity(usb), _interface(line)] == 1
        names = looking.stable(node, by_id=sure)
        notes = (
            [] if sure else ["adapters of this model with the same serial number are plugged in: only the port tells"]
        )
        if usb is not None and not names:
            notes.append("the number in its name changes with the order of plugging in")
        rule, given = looking.rule_for(line, _environment(line, usb))
        problems = looking.held(node, f"stop it, then look again: fuser -v {node}")
        problems = [Problem(one.found, one.to_do.replace("{tty}", line.kernel)) for one in problems]
        if not problems:
            problems += _locked(looking, line.kernel, node)
        if line.kernel in consoles:
            problems.append(
                Problem(
                    f"the kernel writes its console to {node}",
                    f"take console={line.kernel} off the kernel's command line",
                )
            )
        files, missing = looking.reach(node, given)
        problems += missing
        path = names[0] if names else node
        yield Found(
            "serial",
            "serial port of the machine" if usb is None else describe(usb, SERIAL_ADAPTERS.get(identity(usb)[:2])),
            line.kernel if usb is None else f"{line.kernel}, {where(usb)}",
            (
                Address(f"serial://{path}?baud=9600", "a receipt printer, at the speed that its self-test prints"),
                Address(f"pn532://{path}", "a PN532 reader"),
            ),
            files,
            rule,
            tuple(problems),
            tuple(notes),
        )


def _environment(line: SysDevice, usb: SysDevice | None) -> dict[str, str]:
    return {} if usb is None else environment(usb, line.parent("usb", "usb_interface"))


def _is_real(line: SysDevice) -> bool:
    """The 8250 driver lists ports that are not there, as type 0; consoles and ptys have no device behind them."""
    return (line.path / "device").exists() and line.attr("type") != "0"


def _interface(line: SysDevice) -> str | None:
    found = line.parent("usb", "usb_interface")
    return None if found is None else found.attr("bInterfaceNumber")


def _locked(looking: Looking, kernel: str, node: str) -> list[Problem]:
    """Lock files of old programs (`LCK..ttyUSB0` with a process number), where that process lives."""
    for folder in _LOCKS:
        text = looking.machine.text(f"{folder}/LCK..{kernel}") or ""
        number = text.split()[0] if text.split() else ""
        if number.isdigit() and looking.machine.exists(f"/proc/{number}"):
            holder = Holder(int(number), looking.machine.text(f"/proc/{number}/comm") or "?")
            return [Problem(f"{node} is locked by {holder} in {folder}/LCK..{kernel}", "stop that program")]
    return []
