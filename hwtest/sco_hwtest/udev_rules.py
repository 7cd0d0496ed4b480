"""Installs the lane's udev rules, and compares them with the package's; what udev makes of them: `udev_system`.

Works on a file tree (`Tree`): the running machine, or an image for lanes.
"""

from __future__ import annotations

import grp
import os
import re
import subprocess
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

GROUP = "sco"
KINDS = ("printer", "printer-usb", "nfc", "serial", "screen", "screen-drm", "touch", "display")
"""The kinds of devices that the rules know: their names under /dev/sco."""

OF_THE_SYSTEM = ("serial", "screen", "screen-drm")
"""Kinds whose device files keep the system's group: any serial line may be the till's own, until it is named."""

SYSTEM_GROUPS = ("dialout", "video")
"""Those groups."""

KERNEL_NFC = ("pn533_usb", "pn533", "port100")
"""The kernel's own NFC drivers, which must not be loaded."""

SUBSYSTEMS = ("usb", "usbmisc", "tty", "graphics", "drm", "input")
_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


class UdevProblem(Exception):
    """The rules cannot be installed or checked; the message says what was found and what to do."""


@dataclass(frozen=True, slots=True)
class RulesFile:
    """A file of the package and where it is installed."""

    name: str
    folder: str

    @property
    def places(self) -> tuple[str, ...]:
        """Where the system looks for it; a file in an earlier folder overrides those in later ones."""
        below = self.folder.removeprefix("etc/")
        return tuple(f"{above}/{below}/{self.name}" for above in ("etc", "run", "usr/local/lib", "usr/lib", "lib"))

    def text(self) -> str:
        """Its content: from the package, or from `udev/` of a source checkout."""
        packed = files("sco_hwtest").joinpath("udev", self.name)
        if packed.is_file():
            return packed.read_text("utf-8")
        return (Path(__file__).parents[2] / "udev" / self.name).read_text("utf-8")


RULES = RulesFile("60-sco.rules", "etc/udev/rules.d")
BLACKLIST = RulesFile("sco-nfc.conf", "etc/modprobe.d")
FILES = (RULES, BLACKLIST)
UNIT = RulesFile("sco-lane.service", "etc/systemd/system")
"""Only printed, not installed: the integrator decides which program runs a lane."""

NAMES = "etc/udev/rules.d/59-sco-names.rules"


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

    def paths(self, file: RulesFile) -> list[Path]:
        """Where it is installed, the one in force first: `udev install` writes to /etc, a package to /usr/lib."""
        found: dict[Path, Path] = {}  # /lib may be /usr/lib
        for place in file.places:
            path = self.root / place
            if os.path.exists(path):  # noqa: PTH110 - False where a folder is closed to this user
                found.setdefault(path.resolve(), path)
        return list(found.values())

    def state(self, file: RulesFile) -> str:
        """`installed`, `missing` or `differs`."""
        paths = self.paths(file)
        if not paths:
            return "missing"
        try:
            found = paths[0].read_text("utf-8", "replace")
        except OSError as error:
            raise UdevProblem(f"{paths[0]} cannot be read: {error.strerror}") from error
        return "installed" if found == file.text() else "differs"

    def write(self, path: str, text: str) -> None:
        """Write `text` to `path` atomically and durably, readable by all users.

        Raises:
            UdevProblem: no permission, or no space.
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
        """Install the files; returns those that changed."""
        changed = []
        for file in FILES:
            if self.state(file) != "installed":
                self.write(f"{file.folder}/{file.name}", file.text())
                changed.append(self.root / file.folder / file.name)
        return changed

    def remove(self) -> list[Path]:
        """Remove the files; returns those that existed. Names given by `sco-hwtest udev name` stay."""
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

    def group_exists(self, name: str = GROUP) -> bool:
        """Whether there is such a group."""
        if self.live:
            try:
                grp.getgrnam(name)
            except KeyError:
                return False
            return True
        try:
            lines = (self.root / "etc/group").read_text("utf-8", "replace").splitlines()
        except OSError:
            return False
        return any(line.startswith(f"{name}:") for line in lines)

    def create_group(self) -> None:
        """Create the system group `sco`. Raises UdevProblem."""
        prefix = [] if self.live else ["--prefix", str(self.root)]
        run(["groupadd", "--system", *prefix, GROUP], f"the group {GROUP} cannot be created")

    def names(self) -> dict[str, str]:
        """Names given by `sco-hwtest udev name`: name -> line of the rules file."""
        try:
            lines = (self.root / NAMES).read_text("utf-8", "replace").splitlines()
        except OSError:
            return {}
        return {match[1]: line for line in lines if (match := re.search(r'ENV\{SCO_NAME\}="([^"]+)"', line))}

    def set_name(self, name: str, line: str | None) -> None:
        """Write the file of names with `line` for `name`, or without `name` if None."""
        known = self.names()
        known.pop(name, None)
        if line is not None:
            known[name] = line
        taken = ":".join(sorted(set(known) & set(KINDS)))
        subsystems = "|".join(SUBSYSTEMS)
        lines = [
            "# Written by `sco-hwtest udev name`. No other device gets a name that is given here.",
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
    """Raise UdevProblem if `name` cannot be a name under /dev/sco."""
    if _NAME.fullmatch(name) is None or name == "by-port":
        raise UdevProblem(f"invalid name {name!r}: use lower-case letters, digits and dashes, e.g. printer-left")


def join(user: str, tree: Tree) -> str:
    """Add `user` to the group `sco` and to those of serial lines and screens; returns them. Raises UdevProblem."""
    prefix = [] if tree.live else ["--prefix", str(tree.root)]
    groups = ",".join([GROUP, *filter(tree.group_exists, SYSTEM_GROUPS)])
    run(["usermod", *prefix, "--append", "--groups", groups, user], f"{user} cannot be added to the groups {groups}")
    return groups


def run(command: list[str], what: str) -> str:
    """Run a program; its output. Raises UdevProblem, which begins with `what`."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except FileNotFoundError as error:
        raise UdevProblem(f"{what}: {command[0]} is not on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise UdevProblem(f"{what}: {command[0]} did not finish within a minute") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise UdevProblem(f"{what}: {lines[-1] if lines else f'{command[0]} ended with {done.returncode}'}")
    return done.stdout
