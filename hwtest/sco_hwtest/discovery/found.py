"""The result of a discovery, and what every finder needs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

from sco_hwtest.discovery import rules
from sco_hwtest.discovery.access import Account, Groups, Holders, Rights, rights
from sco_hwtest.discovery.sysfs import Machine, SysDevice
from sco_hwtest.udev_rules import KINDS, RULES, Tree

Kind = Literal["printer", "nfc", "serial", "screen", "touch", "keyboard"]
GROUP = "sco"
RULES_FILE = "60-sco.rules"
_BY_PORT = "/dev/sco/by-port/"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem, and what to do about it."""

    found: str
    to_do: str


@dataclass(frozen=True, slots=True)
class Address:
    """A device URL, and when to use it."""

    url: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """One device that is plugged in.

    Attributes:
        kind: `serial` is a serial line; what is connected to it cannot be detected.
        what: maker, model, numbers.
        where: the port or connector that it is plugged into.
        urls: how to open it, the best first; empty if it cannot be used.
        files: its files in /dev with their permissions.
        rule: the line of our udev rules that matches, and what it gives; empty if none matches.
        problems: what prevents its use.
        notes: other things to know.
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
    """All devices found, for one account. `problems` and `notes` are of the machine, not of a device."""

    account: str
    found: tuple[Found, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def usable(self) -> tuple[Found, ...]:
        """The devices that can be opened now."""
        return tuple(one for one in self.found if one.urls and not one.problems)

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        document = asdict(self)
        for one in document["found"]:
            for file in one["files"]:
                file["mode"] = f"{file['mode']:04o}"
        return document


@dataclass
class Scan:
    """What every finder needs: the machine, the account, who has which device open, the udev rules."""

    machine: Machine
    account: Account
    packaged_rules: Callable[[], str | None]

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
        """Stable names of device files: ours first, then by serial number, then by port."""
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
        """Whether udev is running."""
        return self.machine.exists("/run/udev/control")

    @cached_property
    def rules_path(self) -> str | None:
        """Where our rules are installed; None if they are not."""
        return next((f"/{place}" for place in RULES.places if self.machine.exists(f"/{place}")), None)

    @cached_property
    def rules_text(self) -> str:
        """Our rules: the installed ones, or those of the package."""
        installed = self.machine.text(self.rules_path) if self.rules_path else None
        return installed or self.packaged_rules() or ""

    def stable(self, node: str, *, by_id: bool = True) -> list[str]:
        """The stable names of a device file, the best first; without `by_id` none by serial number.

        A name that an operator has given is the best. `/dev/sco/printer` is the printer that came first: with two
        printers the name by port is better.
        """

        def order(name: str) -> tuple[bool, bool]:
            ours = name.removeprefix("/dev/sco/")
            given = ours != name and not ours.startswith("by-port/") and (ours not in KINDS or ours in self.given)
            return not given, self.ports[ours] > 1

        names = [name for name in self.links.get(node, []) if by_id or "/by-id/" not in name]
        return sorted(names, key=order)

    @cached_property
    def given(self) -> frozenset[str]:
        """The names that `sco-hwtest udev name` has given."""
        return frozenset(Tree(self.machine.root).names())

    @cached_property
    def ports(self) -> Counter[str]:
        """How many devices of each kind have a name by port."""
        names = [name for links in self.links.values() for name in links if name.startswith(_BY_PORT)]
        return Counter(kind for name in names if (kind := _kind_of(name)) is not None)

    def rule_for(self, device: SysDevice, environment: dict[str, str]) -> tuple[str, rules.Given]:
        """The line of our rules that matches, as text, and what it gives."""
        if set(self.links.get(device.node or "", ())) & {f"/dev/sco/{kind}" for kind in KINDS}:
            environment = environment | {"SCO_FIRST": "1"}  # as in udev's database
        given = rules.given(self.rules_text, device, environment)
        if not given.lines:
            return "", given
        lines = ", ".join(map(str, given.lines))
        words = [*given.names, *([f"group {given.group}"] if given.group else [])]
        state = "" if self.rules_path else " (not installed)"
        return f"{RULES_FILE} line {lines}: {', '.join(words) or 'mode ' + str(given.mode)}{state}", given

    def rights(self, node: str, *, write: bool = True) -> Rights | None:
        """The permissions of a device file for the account."""
        return rights(self.machine, node, self.account, self.groups, write=write)

    def reach(self, node: str, given: rules.Given, *, write: bool = True) -> tuple[tuple[Rights, ...], list[Problem]]:
        """The file's permissions, and what prevents the account from opening it."""
        file = self.rights(node, write=write)
        if file is None:
            return (), [Problem(f"{node} is missing", f"in a container, start it with --device={node}")]
        return (file,), [] if file.may else [self.not_allowed(file, given)]

    def not_allowed(self, file: Rights, given: rules.Given) -> Problem:
        """The problem of a file that the account may not open."""
        name = self.account.name
        found = f"user {name} may not open {file}"
        join = f"sudo usermod -aG {{}} {name}, then log in again (a service: SupplementaryGroups={{}})"
        if given.group and self.rules_path and self.udev_runs:
            if file.group == given.group:
                return Problem(found, join.replace("{}", given.group))
            return Problem(
                found, "the rules were installed after the device: plug it in again, or run: sudo udevadm trigger"
            )
        if given.group and self.udev_runs:
            return Problem(found, "sudo sco-hwtest udev install, then " + join.replace("{}", given.group))
        if not self.udev_runs:
            new = "" if self.groups.gid(GROUP) is not None else f"sudo groupadd --system {GROUP}; "
            commands = f"{new}sudo chgrp {GROUP} {file.path}; sudo chmod 0660 {file.path}; "
            return Problem(
                found,
                f"udev is not running, so rules have no effect; until the next start run: {commands}"
                + join.replace("{}", GROUP),
            )
        if file.group != "root" and file.mode & 0o060 == 0o060:
            return Problem(found, join.replace("{}", file.group))
        return Problem(found, f"our rules do not match it: sudo chgrp {GROUP} {file.path}; sudo chmod 0660 {file.path}")

    def held(self, node: str, advice: str = "stop it") -> list[Problem]:
        """The problem of an exclusive device file that a process has open."""
        holders = self.holders.of_file(node)
        if not holders:
            return []
        return [Problem(f"{node} is open in {', '.join(map(str, holders))}", _stopping(holders[0].name, advice))]


def _kind_of(name: str) -> str | None:
    """The kind in a name by port: `printer-usb` in `printer-usb-pci-0000:00:14.0-usb-0:1`."""
    words = name.removeprefix(_BY_PORT)
    return max((kind for kind in KINDS if words.startswith(f"{kind}-")), key=len, default=None)


_SERVICES = {
    "cupsd": "sudo systemctl stop cups.socket cups.service, and keep CUPS off the receipt printer",
    "usb": "the CUPS usb backend has it: remove the printer from CUPS",
    "pcscd": "sudo systemctl disable --now pcscd.socket pcscd.service",
    "ModemManager": "sudo systemctl disable --now ModemManager",
    "agetty": "sudo systemctl disable --now serial-getty@{tty}",
    "brltty": "sudo apt-get remove brltty",
}


def _stopping(name: str, otherwise: str) -> str:
    return _SERVICES.get(name, otherwise)
