"""What is plugged in, which URL opens it, which udev rule fits, what is missing and what to do.

Reads /sys, /dev, /proc and /etc only: it opens no device, needs no rights and no running udev, and disturbs no payment.
What hangs on a serial line or in the network cannot be seen so; `sco-hwtest run` asks it.
"""

from __future__ import annotations

from pathlib import Path

from sco_hwtest.discovery import displays, inputs, serial, usb
from sco_hwtest.discovery.access import Account
from sco_hwtest.discovery.found import GROUP, RULES_FILE, Address, Discovery, Found, Looking, Problem
from sco_hwtest.discovery.sysfs import Machine
from sco_hwtest.udev_rules import RULES

__all__ = ["Account", "Address", "Discovery", "Found", "Problem", "discover"]


def discover(root: str | Path = "/", account: Account | None = None) -> Discovery:
    """Look at the machine whose files lie under `root`, for `account` (that of this process when None)."""
    machine = Machine(root)
    account = Account.current() if account is None else account
    looking = Looking(machine, account, packaged_rules)
    found = [*usb.find(looking), *serial.find(looking), *displays.find(looking), *inputs.find(looking)]
    order = ("printer", "nfc", "serial", "screen", "touch", "keyboard")
    found.sort(key=lambda one: order.index(one.kind))
    return Discovery(account.name, tuple(found), tuple(_of_machine(looking, found)), _notes(looking))


def packaged_rules() -> str | None:
    """The text of our udev rules as the package carries them; None where it carries none."""
    try:
        return RULES.text()
    except OSError:
        return None


def _of_machine(looking: Looking, found: list[Found]) -> list[Problem]:
    problems: list[Problem] = []
    machine = looking.machine
    if not machine.exists("/sys/class"):
        problems.append(Problem("/sys is not mounted, so nothing can be seen", "sudo mount -t sysfs sysfs /sys"))
    elif not machine.exists("/sys/bus/usb"):
        problems.append(
            Problem(
                "this machine shows no USB (/sys/bus/usb is not there)",
                "in a virtual machine, hand the devices through; on hardware, see: sudo dmesg | grep -i usb",
            )
        )
    if not looking.udev_runs:
        problems.append(
            Problem(
                "udev does not run here (/run/udev/control is not there)",
                "device files keep the kernel's names and rights; in a container that is so by design: "
                "install the rules on the host",
            )
        )
    elif looking.rules_path is None and any(one.rule for one in found):
        problems.append(Problem(f"our udev rules ({RULES_FILE}) are not installed", "sudo sco-hwtest udev install"))
    if looking.rules_path is not None and looking.groups.gid(GROUP) is None:
        problems.append(
            Problem(f"there is no group {GROUP}, so the rules give nothing", f"sudo groupadd --system {GROUP}")
        )
    return problems


def _notes(looking: Looking) -> tuple[str, ...]:
    hidden = looking.holders.hidden
    if not hidden:
        return ()
    return (
        f"processes of other accounts that do not show which devices they have open: {hidden}; root sees them: "
        "sudo sco-hwtest discover",
    )
