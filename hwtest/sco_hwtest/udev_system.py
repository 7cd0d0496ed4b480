"""The rules' effect on the running system: applies them, gives a port a name, and finds the names under /dev/sco."""

from __future__ import annotations

import grp
import os
import re
import shutil
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from uuid import uuid4

from sco_hwtest.udev_rules import KERNEL_NFC, SUBSYSTEMS, UdevProblem, check_name, run

_HUB = "09"


@dataclass(frozen=True, slots=True)
class Link:
    """A name under /dev/sco.

    Attributes:
        name: below /dev/sco: `printer`, `by-port/touch-...`.
        node: the device file; None if it is gone.
        mode: access bits of the device file.
        group: of the device file.
        openable: whether this process may read and write it.
        claims: how many devices claim this name.
    """

    name: str
    node: Path | None
    mode: int
    group: str
    openable: bool
    claims: int


def naming_line(name: str, node: str) -> str:
    """The rule that gives `name` to any device at the port where `node` is plugged in now.

    Raises:
        UdevProblem: invalid name, no such device, or a device without a port.
    """
    check_name(name)
    if not Path(node).exists():
        raise UdevProblem(f"{node} does not exist; plug the device in, and see `sco-hwtest udev check`")
    output = run(["udevadm", "info", "--query=property", f"--name={node}"], f"{node} is not a device")
    found = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
    subsystem, port = found.get("SUBSYSTEM", ""), found.get("ID_PATH", "")
    if subsystem not in SUBSYSTEMS:
        raise UdevProblem(
            f"{node} has the subsystem {subsystem or 'unknown'!r}; the rules know {', '.join(SUBSYSTEMS)}"
        )
    if subsystem == "tty" and not re.search("/usb|/virtual/", found.get("DEVPATH", "")):
        group = _group_name(Path(node).stat().st_gid)
        raise UdevProblem(
            f"{node} is built in, so its name is the same at each start: use it as it is, e.g. serial://{node}. Its "
            f"group is {group}: sudo usermod -aG {group} USER lets a user open it; the lane's unit has dialout"
        )
    if not port:
        raise UdevProblem(f"{node} has no port, so it cannot be distinguished from another device of its kind")
    match = [f'SUBSYSTEM=="{subsystem}"', f'ENV{{ID_PATH}}=="{port}"']
    kernel = re.sub(r"[0-9]+$", "", Path(found.get("DEVNAME", node)).name)
    if subsystem == "usb":
        match.append('ENV{DEVTYPE}=="usb_device"')
    else:
        match.append(f'KERNEL=="{kernel}[0-9]*"')
    if subsystem == "input":  # a touch screen and its mouse emulation share a port
        output = run(["udevadm", "info", "--attribute-walk", f"--name={node}"], f"{node} is not a device")
        words = re.search(r'ATTRS\{name\}=="([^"]*)"', output)
        if words:
            match.append(f'ATTRS{{name}}=="{words[1]}"')
    return ", ".join([*match, f'ENV{{SCO_NAME}}="{name}"'])


def present() -> None:
    """Raise UdevProblem unless udev is installed and running."""
    if shutil.which("udevadm") is None:
        raise UdevProblem(
            "udevadm is not on this machine (a container?); install the package udev, or use --root IMAGE"
        )
    if not Path("/run/udev/control").exists():
        raise UdevProblem("udev is not running on this machine (a container?), so the rules have no effect")


def reload() -> list[str]:
    """Make udev read the rules, unload the kernel's NFC drivers, and apply the rules to what is plugged in.

    First all plain names are released; then the devices of a kind follow one after another, by port, so that the same
    one comes first each time. Returns notes for the operator.

    Raises:
        UdevProblem: udev refuses, or does not finish.
    """
    notes = []
    run(["udevadm", "control", "--reload"], "udev cannot read the rules")
    for module in loaded(KERNEL_NFC):
        try:
            run(["modprobe", "--remove", module], f"the kernel's module {module} cannot be unloaded")
        except UdevProblem as problem:
            notes.append(f"{problem}; unplug the reader and plug it in again")
    run(["udevadm", "settle", "--timeout=10"], "udev does not finish")
    rows = list(zip_longest(*(_devices(subsystem) for subsystem in SUBSYSTEMS)))
    for device in chain.from_iterable(rows):
        if device is not None:
            with suppress(OSError):  # it was just unplugged
                (device / "uevent").write_text(f"change {uuid4()} SCORESET=1")
    run(["udevadm", "settle", "--timeout=30"], "udev does not finish")
    for row in rows:
        devices = [str(device) for device in row if device is not None]
        run(
            ["udevadm", "trigger", "--settle", "--action=change", *devices],
            "the rules cannot be applied",
        )
    return notes


def _devices(subsystem: str) -> list[Path]:
    """Devices of one subsystem that the rules may name, by port."""
    base = Path("/sys/bus/usb/devices") if subsystem == "usb" else Path("/sys/class") / subsystem
    if not base.is_dir():
        return []
    found = sorted(path.resolve() for path in base.iterdir() if (path / "dev").exists())
    if subsystem == "usb":
        return [path for path in found if not _is_hub(path)]
    return [path for path in found if "/usb" in str(path)] if subsystem == "tty" else found


def _is_hub(device: Path) -> bool:
    try:
        return (device / "bDeviceClass").read_text().strip() == _HUB
    except OSError:  # it was just unplugged
        return True


def loaded(modules: Iterable[str]) -> list[str]:
    """Those of `modules` that the kernel has loaded."""
    return [module for module in modules if Path("/sys/module", module).is_dir()]


def settle(queue: Path = Path("/run/udev/queue"), seconds: float = 5.0) -> None:
    """Wait while udev handles devices that were plugged in or out, at most `seconds`. Needs no permissions."""
    end = time.monotonic() + seconds
    while queue.exists() and time.monotonic() < end:
        time.sleep(0.05)


def links(folder: Path = Path("/dev/sco"), claims: Path = Path("/run/udev/links")) -> list[Link]:
    """All names under /dev/sco, plain names first."""
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: (path.parent != folder, path.name)):
        if not path.is_symlink():
            continue
        name = str(path.relative_to(folder))
        wanted = claims / f"sco/{name}".replace("\\", "\\x5c").replace("/", "\\x2f")
        # One entry for each device, and udev's lock.
        count = sum(not entry.name.startswith(".") for entry in wanted.iterdir()) if wanted.is_dir() else 1
        try:
            state = path.stat()
        except OSError:
            found.append(Link(name, None, 0, "", False, count))
            continue
        group = _group_name(state.st_gid)
        openable = os.access(path, os.R_OK | os.W_OK, effective_ids=True)
        found.append(Link(name, path.resolve(), state.st_mode & 0o777, group, openable, count))
    return found


def _group_name(number: int) -> str:
    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
