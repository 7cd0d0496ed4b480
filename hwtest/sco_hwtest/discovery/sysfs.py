"""The kernel's description of its devices, read from files under a root.

It opens no device and needs neither permissions nor udev. With a root other than `/` it reads a copy of a machine's
`sys`, `dev`, `proc`, `etc` and `run`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path


class Machine:
    """A machine's files under `root`."""

    def __init__(self, root: str | Path = "/") -> None:
        self.root = Path(root).resolve()

    def path(self, name: str) -> Path:
        """The path of the machine's file `name` (absolute)."""
        return self.root / name.lstrip("/")

    def name(self, path: Path) -> str:
        """The machine's name of a file under the root."""
        return "/" + str(path.relative_to(self.root))

    def exists(self, name: str) -> bool:
        """Whether there is such a file; one in an inaccessible folder counts as missing."""
        try:
            return self.path(name).exists()
        except OSError:
            return False

    def text(self, name: str) -> str | None:
        """The content of the file `name`; None if it cannot be read."""
        return read(self.path(name))

    def devices(self, folder: str) -> list[SysDevice]:
        """The devices in a folder of /sys, sorted by name; empty if there is no such folder."""
        try:
            entries = sorted(self.path(folder).iterdir(), key=lambda path: _natural(path.name))
        except OSError:
            return []
        return [SysDevice(self, entry.resolve()) for entry in entries if entry.is_dir()]

    def links(self, folder: str) -> dict[str, list[str]]:
        """Symbolic links in a folder of /dev: the device file's name -> the links to it."""
        found: dict[str, list[str]] = {}
        try:
            entries = sorted(self.path(folder).iterdir())
        except OSError:
            return found
        for entry in entries:
            target = entry.resolve()
            if entry.is_symlink() and target.is_relative_to(self.root):
                found.setdefault(self.name(target), []).append(self.name(entry))
        return found


def read(path: Path) -> str | None:
    """A small text file without trailing white space; None if it cannot be read."""
    try:
        return path.read_text("utf-8", "replace").rstrip()
    except OSError:
        return None


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Sorts `event10` after `event9`."""
    parts: list[tuple[int, str]] = []
    digits = text = ""
    for character in name + "\0":
        if character.isdigit():
            digits += character
            continue
        if digits:
            parts.append((int(digits), text))
            digits = text = ""
        text += character
    return (*parts, (0, text))


@dataclass(frozen=True)
class SysDevice:
    """One device of /sys. `path` is its real folder."""

    machine: Machine
    path: Path

    @property
    def kernel(self) -> str:
        """Its kernel name: `ttyUSB0`, `1-1.2`, `1-1.2:1.0`."""
        return self.path.name

    def attr(self, name: str) -> str | None:
        """An attribute; None if it is missing or cannot be read."""
        return read(self.path / name)

    def octets(self, name: str) -> bytes:
        """A binary attribute; empty if it is missing or cannot be read."""
        try:
            return (self.path / name).read_bytes()
        except OSError:
            return b""

    def number(self, name: str) -> int | None:
        """A hexadecimal attribute."""
        try:
            return int(self.attr(name) or "", 16)
        except ValueError:
            return None

    def _link(self, name: str) -> str | None:
        link = self.path / name
        return link.resolve().name if link.is_symlink() else None

    @cached_property
    def subsystem(self) -> str | None:
        """`usb`, `tty`, `usbmisc`, `drm`, ..."""
        return self._link("subsystem")

    @property
    def driver(self) -> str | None:
        """Its kernel driver."""
        return self._link("driver")

    @property
    def devtype(self) -> str | None:
        """`usb_device`, `usb_interface`, `drm_minor`; None for most."""
        return self._uevent.get("DEVTYPE")

    @property
    def node(self) -> str | None:
        """Its file in /dev; None if it has none."""
        name = self._uevent.get("DEVNAME")
        return None if name is None else f"/dev/{name}"

    @cached_property
    def _uevent(self) -> dict[str, str]:
        lines = (self.attr("uevent") or "").splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)

    @cached_property
    def chain(self) -> tuple[SysDevice, ...]:
        """Itself and its parents, as udev walks them: up to /sys/devices, which is not included."""
        found: list[SysDevice] = []
        top = self.machine.path("/sys/devices")
        path = self.path
        while path != top and path not in (self.machine.root, path.parent):
            if (path / "uevent").exists():
                found.append(self if path == self.path else SysDevice(self.machine, path))
            path = path.parent
        return tuple(found)

    def parent(self, subsystem: str, devtype: str | None = None) -> SysDevice | None:
        """The nearest parent of that subsystem and type."""
        return next(
            (
                device
                for device in self.chain[1:]
                if device.subsystem == subsystem and (devtype is None or device.devtype == devtype)
            ),
            None,
        )

    @property
    def bus_place(self) -> str:
        """The nearest PCI or platform parent as in udev's path_id: `pci-0000:00:14.0`; empty if there is none."""
        found = (one for one in self.chain[1:] if one.subsystem in ("pci", "platform"))
        return next((f"{one.subsystem}-{one.kernel}" for one in found), "")

    def below(self) -> Iterator[SysDevice]:
        """The devices directly below it."""
        try:
            entries = sorted(self.path.iterdir())
        except OSError:
            return
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink() and (entry / "uevent").exists():
                yield SysDevice(self.machine, entry)

    def all_below(self) -> Iterator[SysDevice]:
        """The devices below it at any depth, including those in folders such as `tty/` that are not devices."""
        try:
            entries = sorted(self.path.iterdir())
        except OSError:
            return
        for entry in entries:
            if entry.is_dir() and not entry.is_symlink():
                child = SysDevice(self.machine, entry)
                if (entry / "uevent").exists():
                    yield child
                yield from child.all_below()
