"""Who may open a device file, and who has it open now: from modes, owners and /proc, without opening it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from sco_hwtest.discovery.sysfs import Machine


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the lane's software runs as.

    Attributes:
        name: its name, or its number if it has none.
        uid: its number; 0 may open everything.
        gids: the numbers of all its groups.
        own: whether it is the account of this process, for which the kernel checks access lists (ACL) too.
    """

    name: str
    uid: int
    gids: frozenset[int]
    own: bool = False

    @classmethod
    def current(cls) -> Account:
        """The account of this process."""
        import pwd

        uid = os.geteuid()
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = str(uid)
        return cls(name, uid, frozenset({os.getegid(), *os.getgroups()}), own=True)

    @classmethod
    def named(cls, name: str, machine: Machine) -> Account:
        """The account `name` of `machine`, as it will be at its next login.

        Raises:
            KeyError: there is no such account.
        """
        if machine.root == Path("/"):
            import pwd

            entry = pwd.getpwnam(name)
            return cls(name, entry.pw_uid, frozenset(os.getgrouplist(name, entry.pw_gid)))
        for fields in _fields(machine.text("/etc/passwd")):
            if fields[0] == name and len(fields) > 3 and fields[2].isdigit() and fields[3].isdigit():
                groups = [
                    int(group[2])
                    for group in _fields(machine.text("/etc/group"))
                    if len(group) > 3 and group[2].isdigit() and name in group[3].split(",")
                ]
                return cls(name, int(fields[2]), frozenset({int(fields[3]), *groups}))
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class Rights:
    """A device file's owner, group and mode, and whether the account may use it."""

    path: str
    owner: str
    group: str
    mode: int
    may: bool

    def __str__(self) -> str:
        return f"{self.path} {self.owner}:{self.group} {self.mode:04o}"


class Groups:
    """Users and groups of a machine, from its etc/passwd and etc/group."""

    def __init__(self, machine: Machine) -> None:
        self._users = _numbers(machine.text("/etc/passwd"))
        self._groups = _numbers(machine.text("/etc/group"))

    def gid(self, name: str) -> int | None:
        """The number of a group; None if there is no such group."""
        return next((number for number, known in self._groups.items() if known == name), None)

    def owner(self, uid: int) -> str:
        """A user's name, or the number."""
        return self._users.get(uid, str(uid))

    def group(self, gid: int) -> str:
        """A group's name, or the number."""
        return self._groups.get(gid, str(gid))


def _target(link: Path) -> str | None:
    """The path of an open file; None if it was closed meanwhile."""
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return None


def _fields(text: str | None) -> list[list[str]]:
    return [line.split(":") for line in (text or "").splitlines()]


def _numbers(text: str | None) -> dict[int, str]:
    found: dict[int, str] = {}
    for fields in _fields(text):
        if len(fields) > 2 and fields[2].isdigit():
            found.setdefault(int(fields[2]), fields[0])
    return found


def rights(machine: Machine, name: str, account: Account, groups: Groups, *, write: bool = True) -> Rights | None:
    """The permissions of the device file `name`; None if there is no such file.

    Args:
        write: whether the device is written to, or only read.
    """
    path = machine.path(name)
    try:
        found = path.stat()
    except OSError:
        return None
    bits = (stat.S_IROTH | (stat.S_IWOTH if write else 0)) & 0o7
    if account.uid == 0:
        may = True
    elif account.uid == found.st_uid:
        may = found.st_mode >> 6 & bits == bits
    elif found.st_gid in account.gids:
        may = found.st_mode >> 3 & bits == bits
    else:
        may = found.st_mode & bits == bits
    if not may and account.own:
        may = os.access(path, os.R_OK | (os.W_OK if write else 0), effective_ids=True)
    return Rights(name, groups.owner(found.st_uid), groups.group(found.st_gid), stat.S_IMODE(found.st_mode), may)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has a device file open."""

    pid: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} (process {self.pid})"


@dataclass(frozen=True, slots=True)
class Holders:
    """Who has which device file open.

    Attributes:
        by_name: device file -> processes.
        hidden: number of processes whose open files this account may not see.
    """

    by_name: dict[str, tuple[Holder, ...]]
    hidden: int

    @classmethod
    def of(cls, machine: Machine) -> Holders:
        """Search /proc. Only root sees the open files of other accounts' processes."""
        found: dict[str, list[Holder]] = {}
        hidden = 0
        try:
            processes = [entry for entry in machine.path("/proc").iterdir() if entry.name.isdigit()]
        except OSError:
            processes = []
        for process in sorted(processes, key=lambda entry: int(entry.name)):
            try:
                files = {target for entry in (process / "fd").iterdir() if (target := _target(entry)) is not None}
            except PermissionError:
                hidden += 1
                continue
            except OSError:  # the process has ended meanwhile
                continue
            name = machine.text(f"/proc/{process.name}/comm") or "?"
            for file in files:
                if file.startswith("/dev/"):
                    found.setdefault(file, []).append(Holder(int(process.name), name))
        return cls({name: tuple(holders) for name, holders in found.items()}, hidden)

    def of_file(self, name: str) -> tuple[Holder, ...]:
        """Who has the device file open."""
        return self.by_name.get(name, ())
