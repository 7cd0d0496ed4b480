"""The lock of a journal's file, and what is left of an earlier journal where there is none.

One process writes a journal. Its lock is a file next to the journal's own, which is resolved first: a journal that is
reached by two names has one lock. The lock's content is the process's number and, for a lane's service, its address.

An *anchor* is a row's number and hash. The journal leaves that of its last row in a file next to it and, where there is
one, in a second place (`journal.anchor`, or the folder that systemd gives the lane's unit). It is written after each
transaction and not synced: it is never ahead of the journal, and may be behind after a power cut. A journal that
lacks the row of its anchor is an older copy; one that is not there at all while its anchor is has been lost.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from sco_payment.journal import location
from sco_payment.journal.errors import JournalBusy, JournalError, JournalLost, JournalUnwritable

UNIT_STATE = Path("/var/lib/sco")
"""What STATE_DIRECTORY is for the unit that is shipped: a command by hand does not get that variable."""
SALVAGED = ".salvaged"
"""Ends the name of the journal that salvage makes, until it takes the damaged one's place."""
ACKNOWLEDGED = ".acknowledged"
"""Ends the name of the file with the last row that the fleet has: see `acknowledged`."""
_LONGEST = 512
"""Bytes of a lock or an anchor."""


def not_yours(path: Path) -> str:
    """Why this user cannot use `path`, and what to do."""
    try:
        owner, folder = path.stat().st_uid, path.parent.stat().st_uid
    except OSError:
        owner = folder = -1
    if owner == 0 != os.geteuid() and folder != 0:
        return f"it belongs to root, who ran a command once: chown --reference={path.parent} {path}*"
    return "this user may not use it: run the command as the lane's own user, e.g. sudo -u sco"


class Lock:
    """Held until `release`.

    Raises:
        JournalBusy: another process holds it. JournalUnwritable: the lock's file cannot be used.
    """

    def __init__(self, journal: Path) -> None:
        self._path = journal.with_name(journal.name + ".lock")
        self._journal = journal
        try:
            found = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600)
        except PermissionError:
            raise JournalUnwritable(f"{self._path}: {not_yours(self._path)}") from None
        except OSError as error:
            reason = location.READ_ONLY if location.is_read_only(journal.parent) else error.strerror
            if self._path.is_symlink():
                reason = "it is a link, which no lane makes: remove it"
            raise JournalUnwritable(f"{self._path}: {reason}") from None
        try:
            self._take(found)
        except BaseException:
            os.close(found)
            raise
        self._file: int | None = found

    def _take(self, file: int) -> None:
        is_file = os.fstat(file)
        if not stat.S_ISREG(is_file.st_mode) or is_file.st_nlink > 1:
            raise JournalUnwritable(f"{self._path}: it is not a regular file of its own: remove it")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            content = os.pread(file, _LONGEST, 0).decode("ascii", "replace").strip()
            owner, _, service = content.partition(" ")
            where = f", the lane's service at {service}" if service else ""
            raise JournalBusy(
                f"{self._journal}: process {owner or '?'}{where} has it open; one lane, one journal, one process",
                service,
            ) from None

    def announce(self, service: str) -> None:
        """Leave this process's number and the address of its service, or none, for whoever finds the journal busy."""
        assert self._file is not None
        try:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, f"{os.getpid()} {service}".strip().encode(), 0)
        except OSError:
            pass  # only the owner's number is lost (disk full); the lock itself holds

    def release(self) -> None:
        """May be called twice."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class Anchors:
    """The places that remember the journal's last row.

    Args:
        journal: its resolved path.
        second: the file on another disk; None for none.
    """

    def __init__(self, journal: Path, second: Path | None) -> None:
        self._journal = journal
        self.paths = [journal.with_name(journal.name + ".anchor"), *([] if second is None else [second])]
        self._files: dict[Path, int] = {}

    def traces(self) -> list[Path]:
        """What is left of an earlier journal: its anchors, SQLite's log, and what a salvage or a fleet has left."""
        beside = [self._journal.with_name(self._journal.name + suffix) for suffix in ("-wal", SALVAGED, ACKNOWLEDGED)]
        return [path for path in (*self.paths, *beside) if os.path.exists(path)]  # noqa: PTH110 - False, never an error

    def check_lost(self) -> None:
        """Refuse to begin a journal where there was one. Raises JournalLost."""
        if found := self.traces():
            raise JournalLost(
                f"{self._journal}: there is no journal, but there was one ({', '.join(map(str, found))} is left): "
                "is its disk mounted? A new one would forget every payment and open case: see 'The journal is lost' in "
                "the handbook; `sco-pay journal new` begins one on purpose"
            )

    def newest(self) -> tuple[int, str, Path | None]:
        """The latest row that a place remembers, and the place; 0, "" and None where none does."""
        seq, digest, path = max(((*self._read(path), path) for path in self.paths), default=(0, "", None))
        return seq, digest, path if seq else None

    @staticmethod
    def _read(path: Path) -> tuple[int, str]:
        try:
            text = location.read_short(path, _LONGEST).decode("ascii", "replace")
        except OSError:
            return 0, ""
        anchor, _, check = text.strip().partition(" ")
        seq, _, digest = anchor.partition(":")
        if check != checksum(anchor) or not seq.isdigit():
            return 0, ""  # cut by a power loss
        return int(seq), digest

    def remember(self, seq: int, digest: str) -> None:
        """The journal's last row is this one, on disk. What cannot be written is left out: see `newest`."""
        anchor = f"{seq}:{digest}"
        data = f"{anchor} {checksum(anchor)}".ljust(128).encode() + b"\n"
        for path in self.paths:
            try:
                if path not in self._files:
                    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
                    self._files[path] = os.open(path, flags, 0o600)
                os.pwrite(self._files[path], data, 0)
            except OSError:
                continue

    def forget(self) -> None:
        """Move the anchors of a lost journal out of the way. Raises JournalUnwritable."""
        for path in self.traces():
            try:
                path.rename(path.with_name(f"{path.name}.lost-{path.stat().st_mtime_ns // 1_000_000_000}"))
            except OSError as error:
                raise JournalUnwritable(f"{path}: {error.strerror}") from None

    def close(self) -> None:
        """May be called twice."""
        for file in self._files.values():
            os.close(file)
        self._files.clear()


def checksum(anchor: str) -> str:
    """Tells a whole anchor from one that a power loss has cut."""
    return hashlib.sha256(anchor.encode()).hexdigest()[:16]


def second_place(journal: Path, configured: str, environment: Mapping[str, str]) -> Path | None:
    """Where the second anchor is kept: as the settings say, or in the folder that systemd gives the unit.

    A command by hand goes on with the anchor that the unit has left in the folder of the shipped unit.
    """
    if configured:
        return Path(configured)
    folder = environment.get("STATE_DIRECTORY", "").partition(":")[0]
    place = Path(folder) if folder else UNIT_STATE
    if place.resolve() == journal.parent:
        return None
    anchor = place / f"{hashlib.sha256(str(journal).encode()).hexdigest()[:16]}.anchor"
    return anchor if folder or os.path.exists(anchor) else None  # noqa: PTH110 - False, never an error


def resolve(path: Path) -> Path:
    """The file itself, however it is reached.

    Raises:
        JournalError: it has hard links, or is not a regular file.
    """
    try:
        real = path.resolve(strict=False)
        found = real.stat()
    except FileNotFoundError:
        return real
    except PermissionError:
        raise JournalUnwritable(f"{path}: {not_yours(path)}") from None
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links; a NUL in the name
        raise JournalError(f"{path}: it cannot be a journal: {error}") from None
    if not stat.S_ISREG(found.st_mode):
        raise JournalError(f"{path}: not a regular file; a journal is a file on a disk that survives power loss")
    if found.st_nlink > 1:
        raise JournalError(
            f"{path}: the file has {found.st_nlink} names (hard links), under which two lanes could write it at once: "
            "remove the others"
        )
    return real
