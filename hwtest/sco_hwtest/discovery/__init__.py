"""Finds the devices that are plugged in: the URL of each, the udev rule that matches, problems, and what to do.

Reads only /sys, /dev, /proc and /etc: it opens no device, needs no permissions and no udev, and disturbs no payment.
Devices on a serial line or in the network cannot be found like this; `sco-hwtest run` talks to them.
"""

from __future__ import annotations

from pathlib import Path

from sco_hwtest.discovery import displays, inputs, serial, usb
from sco_hwtest.discovery.access import Account
from sco_hwtest.discovery.found import GROUP, RULES_FILE, Address, Discovery, Found, Problem, Scan
from sco_hwtest.discovery.sysfs import Machine
from sco_hwtest.udev_rules import RULES

__all__ = ["Account", "Address", "Discovery", "Found", "Problem", "discover"]


def discover(root: str | Path = "/", account: Account | None = None) -> Discovery:
    """Find the devices of the machine whose files are under `root`.

    Args:
        root: `/`, or a copy of the sys, dev, proc, etc and run of another machine.
        account: whose access is checked; that of this process if None.
    """
    machine = Machine(root)
    account = Account.current() if account is None else account
    scan = Scan(machine, account, packaged_rules)
    found = [*usb.find(scan), *serial.find(scan), *displays.find(scan), *inputs.find(scan)]
    order = ("printer", "nfc", "serial", "screen", "touch", "keyboard")
    found.sort(key=lambda one: order.index(one.kind))
    return Discovery(account.name, tuple(found), tuple(_of_machine(scan, found)), _notes(scan))


def packaged_rules() -> str | None:
    """The udev rules in the package; None if they are missing."""
    try:
        return RULES.text()
    except OSError:
        return None


def _of_machine(scan: Scan, found: list[Found]) -> list[Problem]:
    problems: list[Problem] = []
    machine = scan.machine
    if not machine.exists("/sys/class"):
        problems.append(Problem("/sys is not mounted, so no device can be found", "sudo mount -t sysfs sysfs /sys"))
    elif not machine.exists("/sys/bus/usb"):
        problems.append(
            Problem(
                "this machine shows no USB (/sys/bus/usb is not there)",
                "in a virtual machine, pass the devices through; on hardware, see: sudo dmesg | grep -i usb",
            )
        )
    if not scan.udev_runs:
        problems.append(
            Problem(
                "udev is not running (/run/udev/control is missing)",
                "device files keep the kernel's names and permissions; in a container this is normal: "
                "install the rules on the host",
            )
        )
    elif scan.rules_path is None and any(one.rule for one in found):
        problems.append(Problem(f"our udev rules ({RULES_FILE}) are not installed", "sudo sco-hwtest udev install"))
    if scan.rules_path is not None and scan.groups.gid(GROUP) is None:
        problems.append(
            Problem(f"there is no group {GROUP}, so the rules give no access", f"sudo groupadd --system {GROUP}")
        )
    problems += [
        Problem(
            f"{count} devices of the kind {kind}: after a restart /dev/sco/{kind} may be another one of them",
            f"choose one: sudo sco-hwtest udev name {kind} DEVICE; or use their names by port",
        )
        for kind, count in sorted(scan.ports.items())
        if count > 1 and kind not in scan.given and kind != "serial"  # each line says so itself
    ]
    return problems


def _notes(scan: Scan) -> tuple[str, ...]:
    hidden = scan.holders.hidden
    if not hidden:
        return ()
    return (
        f"{hidden} processes of other accounts hide which devices they have open; root sees them: "
        "sudo sco-hwtest discover",
    )
