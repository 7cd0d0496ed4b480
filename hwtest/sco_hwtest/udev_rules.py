"""The lane's udev rules: put in place, compared with ours, and looked at in the running system.

Works on a file tree (`Tree`), so that an image for lanes can be prepared as well as the running machine.
"""

from __future__ import annotations

import grp
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import files
from itertools import chain, zip_longest
from pathlib import Path
from uuid import uuid4

GROUP = "sco"
KINDS = ("printer", "printer-usb", "nfc", "serial", "screen", "screen-drm", "touch")
"""Kinds of devices that the rules know, by the names that they give."""

KERNEL_NFC = ("pn533_usb", "pn533", "port100")
"""The kernel's own NFC drivers, which must stay off."""

_HUB = "09"
_SUBSYSTEMS = ("usb", "usbmisc", "tty", "graphics", "drm", "input")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class UdevProblem(Exception):
    """The rules cannot be installed or looked at; says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A file of ours and its place in the system."""

    name: str
    folder: str

    def text(self) -> str:
        """As we ship it: in the package, or in `udev/` of a checkout, which the wheel takes it from."""
        packed = files("sco_hwtest").joinpath("udev", self.name)
        if packed.is_file():
            return packed.read_text("utf-8")
        return (Path(__file__).parents[2] / "udev" / self.name).read_text("utf-8")


RULES = RulesFile("60-sco.rules", "etc/udev/rules.d")
BLACKLIST = RulesFile("sco-nfc.conf", "etc/modprobe.d")
FILES = (RULES, BLACKLIST)
UNIT = RulesFile("sco-lane.service", "etc/systemd/system")
"""Printed only: which program runs a lane is its integrator's word."""

NAMES = "etc/udev/rules.d/59-sco-names.rules"


@dataclass(frozen=True, slots=True)
class Link:
    """A name under /dev/sco as it stands.

    Attributes:
        name: below /dev/sco: `printer`, `by-port/touch-...`.
        node: what it leads to; None when that has gone.
        mode: access bits of the node, and its group.
        openable: whether this process may read and write it.
        claims: how many devices want this name.
    """

    name: str
    node: Path | None
    mode: int
    group: str
    openable: bool
    claims: int


class Tree:
    """The system's files under `root`; `/` is the running machine.

    Args:
        root: of the file tree.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    @property
    def live(self) -> bool:
        """Whether this is the running machine."""
        return self.root == Path("/")

    def state(self, file: RulesFile) -> str:
        """`installed`, `missing` or `differs`."""
        try:
            found = (self.root / file.folder / file.name).read_text("utf-8", "replace")
        except FileNotFoundError:
            return "missing"
        except OSError as error:
            raise UdevProblem(f"/{file.folder}/{file.name} cannot be read: {error.strerror}") from error
        return "installed" if found == file.text() else "differs"

    def write(self, path: str, text: str) -> None:
        """Put `text` at `path` whole or not at all, readable for everybody; it outlives a power cut from here on.

        Raises:
            UdevProblem: no rights, no room.
        """
        target = self.root / path
        fresh = target.with_name(f".{target.name}.new")
        try:
            _make(target.parent)
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())
            fresh.replace(target)
            _sync(target.parent)
        except PermissionError as error:
            raise UdevProblem(f"this user may not write {target}; run it as root: sudo sco-hwtest udev ...") from error
        except OSError as error:
            raise UdevProblem(f"{target} cannot be written: {error.strerror}") from error
        finally:
            if fresh.exists():
                fresh.unlink()

    def install(self) -> list[Path]:
        """Copy our files; returns those that changed."""
        changed = []
        for file in FILES:
            if self.state(file) != "installed":
                self.write(f"{file.folder}/{file.name}", file.text())
                changed.append(self.root / file.folder / file.name)
        return changed

    def remove(self) -> list[Path]:
        """Take our files away; returns those that were there. Names given by hand stay."""
        gone = []
        for file in FILES:
            path = self.root / file.folder / file.name
            try:
                path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise UdevProblem(f"{path} cannot be removed: {error.strerror}; run it as root") from error
            gone.append(path)
        return gone

    def group_exists(self) -> bool:
        """Whether the group `sco` is known."""
        if self.live:
            try:
                grp.getgrnam(GROUP)
            except KeyError:
                return False
            return True
        try:
            lines = (self.root / "etc/group").read_text("utf-8", "replace").splitlines()
        except OSError:
            return False
        return any(line.startswith(f"{GROUP}:") for line in lines)

    def create_group(self) -> None:
        """Make the system group `sco`. Raises UdevProblem."""
        prefix = [] if self.live else ["--prefix", str(self.root)]
        _run(["groupadd", "--system", *prefix, GROUP], f"the group {GROUP} cannot be created")

    def names(self) -> dict[str, str]:
        """Names given by hand: name -> the rule's line."""
        try:
            lines = (self.root / NAMES).read_text("utf-8", "replace").splitlines()
        except OSError:
            return {}
        return {match[1]: line for line in lines if (match := re.search(r'ENV\{SCO_NAME\}="([^"]+)"', line))}

    def give(self, name: str, line: str | None) -> None:
        """Write the names again, with `name` as `line` says, or without it."""
        known = self.names()
        known.pop(name, None)
        if line is not None:
            known[name] = line
        taken = ":".join(sorted(set(known) & set(KINDS)))
        subsystems = "|".join(_SUBSYSTEMS)
        lines = [
            "# Written by `sco-hwtest udev name`. A plain name that is given here is given to nobody else.",
            'ACTION=="remove", GOTO="sco_names_end"',
            f'SUBSYSTEM!="{subsystems}", GOTO="sco_names_end"',
            'ENV{ID_PATH}=="", IMPORT{builtin}="path_id"',
            *([f'ENV{{SCO_TAKEN}}=":{taken}:"'] if taken else []),
            *known.values(),
            'LABEL="sco_names_end"',
        ]
        self.write(NAMES, "\n".join(lines) + "\n")


def _make(folder: Path) -> None:
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync(folder.parent)


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def check_name(name: str) -> None:
    """Raises UdevProblem for what cannot be a name under /dev/sco."""
    if _NAME.fullmatch(name) is None or name == "by-port":
        raise UdevProblem(f"{name!r} cannot be a name: small letters, digits and dashes, e.g. printer or printer-left")


def naming_line(name: str, node: str) -> str:
    """The rule that gives `name` to whatever is plugged in where `node` is now.

    Raises:
        UdevProblem: a bad name, no such device, a device without a port.
    """
    check_name(name)
    if not Path(node).exists():
        raise UdevProblem(f"{node} is not there; plug the device in, and see `sco-hwtest udev check`")
    told = _run(["udevadm", "info", "--query=property", f"--name={node}"], f"{node} is no device")
    found = dict(line.split("=", 1) for line in told.splitlines() if "=" in line)
    subsystem, port = found.get("SUBSYSTEM", ""), found.get("ID_PATH", "")
    if subsystem not in _SUBSYSTEMS:
        raise UdevProblem(f"{node} is of the kind {subsystem or 'unknown'!r}; the rules name {', '.join(_SUBSYSTEMS)}")
    if not port:
        raise UdevProblem(f"{node} sits on no port, so nothing tells it from another one of its kind")
    match = [f'SUBSYSTEM=="{subsystem}"', f'ENV{{ID_PATH}}=="{port}"']
    kernel = re.sub(r"[0-9]+$", "", Path(found.get("DEVNAME", node)).name)
    if subsystem == "usb":
        match.append('ENV{DEVTYPE}=="usb_device"')
    else:
        match.append(f'KERNEL=="{kernel}[0-9]*"')
    if subsystem == "input":  # a touch screen and its mouse emulation share a port
        told = _run(["udevadm", "info", "--attribute-walk", f"--name={node}"], f"{node} is no device")
        words = re.search(r'ATTRS\{name\}=="([^"]*)"', told)
        if words:
            match.append(f'ATTRS{{name}}=="{words[1]}"')
    return ", ".join([*match, f'ENV{{SCO_NAME}}="{name}"'])


def join(user: str, tree: Tree) -> None:
    """Put `user` into the group `sco`. Raises UdevProblem."""
    prefix = [] if tree.live else ["--prefix", str(tree.root)]
    _run(["usermod", *prefix, "--append", "--groups", GROUP, user], f"{user} cannot be put into the group {GROUP}")


def present() -> None:
    """Raises UdevProblem unless udev is here and runs."""
    if shutil.which("udevadm") is None:
        raise UdevProblem(
            "udevadm is not on this machine (a container?); install the package udev, or use --root IMAGE"
        )
    if not Path("/run/udev/control").exists():
        raise UdevProblem("udev does not run on this machine (a container?); nothing names devices here")


def reload() -> list[str]:
    """Make udev read the rules, let the kernel's NFC drivers go, and apply the rules to what is plugged in.

    Plain names are given up first, then one device of a kind comes after the other, by port, so that the same one is
    the first each time. Returns what a person should know.

    Raises:
        UdevProblem: udev does not do it.
    """
    notes = []
    _run(["udevadm", "control", "--reload"], "udev cannot be told to read the rules")
    for module in loaded(KERNEL_NFC):
        try:
            _run(["modprobe", "--remove", module], f"the kernel's module {module} cannot be unloaded")
        except UdevProblem as problem:
            notes.append(f"{problem}; unplug the reader and plug it in again")
    _run(["udevadm", "settle", "--timeout=10"], "udev does not come to rest")
    rows = list(zip_longest(*(_devices(subsystem) for subsystem in _SUBSYSTEMS)))
    for device in chain.from_iterable(rows):
        if device is not None:
            with suppress(OSError):  # it has just left
                (device / "uevent").write_text(f"change {uuid4()} SCORESET=1")
    _run(["udevadm", "settle", "--timeout=30"], "udev does not come to rest")
    for row in rows:
        devices = [str(device) for device in row if device is not None]
        _run(["udevadm", "trigger", "--settle", "--action=change", *devices], "devices cannot be triggered")
    return notes


def _devices(subsystem: str) -> list[Path]:
    """Devices of one subsystem that the rules may name, in the order of their ports."""
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
    except OSError:  # it has just left
        return True


def loaded(modules: Iterable[str]) -> list[str]:
    """Which of `modules` the kernel has loaded, in this order."""
    return [module for module in modules if Path("/sys/module", module).is_dir()]


def rest(queue: Path = Path("/run/udev/queue"), seconds: float = 5.0) -> None:
    """Wait while udev still works on what was plugged in or pulled out, at most `seconds`; any user may."""
    end = time.monotonic() + seconds
    while queue.exists() and time.monotonic() < end:
        time.sleep(0.05)


def links(folder: Path = Path("/dev/sco"), claims: Path = Path("/run/udev/links")) -> list[Link]:
    """All names under /dev/sco, plain ones first."""
    found = []
    for path in sorted(folder.rglob("*"), key=lambda path: (path.parent != folder, path.name)):
        if not path.is_symlink():
            continue
        name = str(path.relative_to(folder))
        wanted = claims / f"sco/{name}".replace("\\", "\\x5c").replace("/", "\\x2f")
        # An entry a device, and udev's own lock.
        count = sum(not entry.name.startswith(".") for entry in wanted.iterdir()) if wanted.is_dir() else 1
        try:
            state = path.stat()
        except OSError:
            found.append(Link(name, None, 0, "", False, count))
            continue
        try:
            group = grp.getgrgid(state.st_gid).gr_name
        except KeyError:
            group = str(state.st_gid)
        openable = os.access(path, os.R_OK | os.W_OK, effective_ids=True)
        found.append(Link(name, path.resolve(), state.st_mode & 0o777, group, openable, count))
    return found


def _run(command: list[str], what: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError as error:
        raise UdevProblem(f"{what}: {command[0]} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise UdevProblem(f"{what}: {command[0]} did not end in a minute") from error
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise UdevProblem(f"{what}: {said[-1] if said else f'{command[0]} ended with {done.returncode}'}")
    return done.stdout
