"""The words of a discovery: what was found, by which URL it is opened, what is in the way and what to do about it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from sco_hwtest.discovery import rules
from sco_hwtest.discovery.access import Account, Groups, Holders, Rights, rights
from sco_hwtest.discovery.sysfs import Machine, SysDevice
from sco_hwtest.udev_rules import KINDS

Kind = Literal["printer", "nfc", "serial", "screen", "touch", "keyboard"]
GROUP = "sco"
RULES_FILE = "60-sco.rules"
_BY_PORT = "/dev/sco/by-port/"
_RULES_FOLDERS = ("/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is in the way, and what to do."""

    found: str
    to_do: str


@dataclass(frozen=True, slots=True)
class Address:
    """A device URL, and what speaks for or against it."""

    url: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One thing that is plugged in.

    Attributes:
        kind: `serial` is a line of which nobody can tell what hangs on it.
        what: maker, model, numbers.
        where: the port or connector that it is plugged into.
        urls: how to open it, the best first; empty when it cannot be used.
        files: its files in /dev with their rights.
        rule: which line of our udev rules fits and what it gives; empty when none does.
        problems: what is in the way.
        notes: what is good to know and in nobody's way.
    """

    kind: Kind
    what: str
    where: str
    urls: tuple[Address, ...] = ()
    files: tuple[Rights, ...] = ()
    rule: str = ""
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Discovery:
    """All that was found for one account. `problems` and `notes` are the machine's own, not one device's."""

    account: str
    found: tuple[Found, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def usable(self) -> tuple[Found, ...]:
        """What can be opened now."""
        return tuple(one for one in self.found if one.urls and not one.problems)

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        document = asdict(self)
        for one in document["found"]:
            for file in one["files"]:
                file["mode"] = f"{file['mode']:04o}"
        return document


@dataclass
class Looking:
    """What every finder needs: the machine, the account, who holds what, the udev rules."""

    machine: Machine
    account: Account
    packaged_rules: Callable[[], str | None]
    addresses_in_use: dict[str, int] = field(default_factory=dict)

    @cached_property
    def groups(self) -> Groups:
        """The machine's users and groups."""
        return Groups(self.machine)

    @cached_property
    def holders(self) -> Holders:
        """Who has which device open."""
        return Holders.of(self.machine)

    @cached_property
    def links(self) -> dict[str, list[str]]:
        """Stable names of device files: ours first, then those by serial number, then those by port."""
        found: dict[str, list[str]] = {}
        for folder in (
            "/dev/sco",
            "/dev/sco/by-port",
            "/dev/serial/by-id",
            "/dev/serial/by-path",
            "/dev/input/by-id",
            "/dev/input/by-path",
        ):
            for name, links in self.machine.links(folder).items():
                found.setdefault(name, []).extend(links)
        return found

    @cached_property
    def udev_runs(self) -> bool:
        """Whether udev runs."""
        return self.machine.exists("/run/udev/control")

    @cached_property
    def rules_path(self) -> str | None:
        """Where our rules are installed; None when they are not."""
        paths = (f"{folder}/{RULES_FILE}" for folder in _RULES_FOLDERS)
        return next((path for path in paths if self.machine.exists(path)), None)

    @cached_property
    def rules_text(self) -> str:
        """Our rules: the installed ones, else those of the package."""
        installed = self.machine.text(self.rules_path) if self.rules_path else None
        return installed or self.packaged_rules() or ""

    def stable(self, node: str, *, by_id: bool = True) -> list[str]:
        """The stable names of a device file, the best first; without `by_id` none that rests on a serial number.

        `/dev/sco/printer` belongs to the printer that came first: with two of them the port is the better name.
        """
        names = [name for name in self.links.get(node, []) if by_id or "/by-id/" not in name]
        return sorted(names, key=lambda name: self._ports[name.removeprefix("/dev/sco/")] > 1)

    @cached_property
    def _ports(self) -> Counter[str]:
        """How many devices of each of the rules' kinds have a name by port."""
        names = [name for links in self.links.values() for name in links if name.startswith(_BY_PORT)]
        return Counter(kind for name in names if (kind := _kind_of(name)) is not None)

    def rule_for(self, device: SysDevice, environment: dict[str, str]) -> tuple[str, rules.Given]:
        """Which line fits, in words."""
        if set(self.links.get(device.node or "", ())) & {f"/dev/sco/{kind}" for kind in KINDS}:
            environment = environment | {"SCO_FIRST": "1"}  # as udev's database has it
        given = rules.given(self.rules_text, device, environment)
        if not given.lines:
            return "", given
        lines = ", ".join(map(str, given.lines))
        words = [*given.names, *([f"group {given.group}"] if given.group else [])]
        state = "" if self.rules_path else " (not installed)"
        return f"{RULES_FILE} line {lines}: {', '.join(words) or 'mode ' + str(given.mode)}{state}", given

    def rights(self, node: str, *, write: bool = True) -> Rights | None:
        """The rights of a device file for the account."""
        return rights(self.machine, node, self.account, self.groups, write=write)

    def reach(self, node: str, given: rules.Given, *, write: bool = True) -> tuple[tuple[Rights, ...], list[Problem]]:
        """The file's rights, and what keeps the account from opening it."""
        file = self.rights(node, write=write)
        if file is None:
            return (), [Problem(f"{node} is not there", f"in a container, start it with --device={node}")]
        return (file,), [] if file.may else [self.not_allowed(file, given)]

    def not_allowed(self, file: Rights, given: rules.Given) -> Problem:
        """What to do about a file that the account may not open."""
        name = self.account.name
        found = f"user {name} may not open {file}"
        join = f"sudo usermod -aG {{}} {name}, then log in again (a service: SupplementaryGroups={{}})"
        if given.group and self.rules_path and self.udev_runs:
            if file.group == given.group:
                return Problem(found, join.replace("{}", given.group))
            return Problem(
                found, "the rules came after the device: unplug it and plug it in again, or run: sudo udevadm trigger"
            )
        if given.group and self.udev_runs:
            return Problem(found, "sudo sco-hwtest udev install, then " + join.replace("{}", given.group))
        if not self.udev_runs:
            new = "" if self.groups.gid(GROUP) is not None else f"sudo groupadd --system {GROUP}; "
            by_hand = f"{new}sudo chgrp {GROUP} {file.path}; sudo chmod 0660 {file.path}; "
            return Problem(
                found,
                f"udev does not run, so rules do nothing; by hand, until the next start: {by_hand}"
                + join.replace("{}", GROUP),
            )
        if file.group != "root" and file.mode & 0o060 == 0o060:
            return Problem(found, join.replace("{}", file.group))
        return Problem(found, f"no rule of ours knows it: sudo chgrp {GROUP} {file.path}; sudo chmod 0660 {file.path}")

    def held(self, node: str, what_to_stop: str = "stop it") -> list[Problem]:
        """Who has a device file open that only one may have."""
        holders = self.holders.of_file(node)
        if not holders:
            return []
        return [Problem(f"{node} is open in {', '.join(map(str, holders))}", _stopping(holders[0].name, what_to_stop))]


def _kind_of(name: str) -> str | None:
    """The rules' kind in a name by port: `printer-usb` in `printer-usb-pci-0000:00:14.0-usb-0:1`."""
    words = name.removeprefix(_BY_PORT)
    return max((kind for kind in KINDS if words.startswith(f"{kind}-")), key=len, default=None)


_SERVICES = {
    "cupsd": "sudo systemctl stop cups.socket cups.service, and keep CUPS off the receipt printer",
    "usb": "the CUPS usb backend holds it: remove the printer from CUPS",
    "pcscd": "sudo systemctl disable --now pcscd.socket pcscd.service",
    "ModemManager": "sudo systemctl disable --now ModemManager",
    "agetty": "sudo systemctl disable --now serial-getty@{tty}",
    "brltty": "sudo apt-get remove brltty",
}


def _stopping(name: str, otherwise: str) -> str:
    return _SERVICES.get(name, otherwise)
