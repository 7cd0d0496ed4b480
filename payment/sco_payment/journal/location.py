"""Check where a journal is to be kept, before there is one: may this user write there, and would it survive?"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from sco_payment.journal.errors import JournalUnwritable

_IN_MEMORY = {"tmpfs", "ramfs", "overlay", "aufs"}
"""Kinds of file systems that are in memory, or may be."""
_REMOTE = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs"}


READ_ONLY = (
    "its disk is mounted read-only, as the kernel does with one that fails: see dmesg; to read what is in it, copy it "
    "and its -wal to another disk and name the copy in SCO_JOURNAL_PATH"
)


def is_read_only(path: Path) -> bool:
    """Whether no user can write at `path`, whatever the permissions."""
    try:
        return bool(os.statvfs(path).f_flag & os.ST_RDONLY)
    except OSError:
        return False


def sync_folder(folder: Path) -> None:
    """Put the names in it on disk. Raises OSError."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def read_short(path: Path, longest: int) -> bytes:
    """What a regular file of at most `longest` bytes holds: a link, a pipe or a disk image in its place is not read.

    Raises:
        OSError: it is not such a file, or cannot be read.
    """
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        found = os.fstat(file)
        if not stat.S_ISREG(found.st_mode) or found.st_size > longest:
            raise OSError(errno.EINVAL, f"it is not a regular file of at most {longest} bytes")
        return os.read(file, longest)
    finally:
        os.close(file)


def problems(path: Path) -> list[str]:
    """Why this user can have no journal at `path`; empty when nothing is known against it."""
    if "~" in path.parts:
        return [f"{path}: write the folder in full: ~ is not expanded here"]
    try:
        is_folder, exists = path.is_dir(), path.exists()
        has_folder = path.parent.is_dir()
    except ValueError:  # Python 3.11 and 3.12, for a NUL in the name
        return [f"{str(path)!r} is not a file name"]
    except OSError as error:
        return [f"{path}: {error.strerror}: is this the lane's own user?"]
    if exists and not is_folder and not path.is_file():
        return [f"{path} is not a file on a disk: name one, e.g. /var/lib/sco/journal.db"]
    if is_folder:
        return [f"{path} is a folder; name a file in it, e.g. {path / 'journal.db'}"]
    if not has_folder:
        return [f"{path.parent}: there is no such folder; make it, on a disk that survives power loss"]
    if is_read_only(path.parent):
        return [f"{path}: {READ_ONLY}"]
    closed = [one for one in (path.parent, *([path] if exists else [])) if not os.access(one, os.W_OK)]
    return [f"{one}: this user may not write there; on a lane: sudo -u sco" for one in closed]


def check_room(archive: Path, archive_bytes: int, journal: Path, journal_bytes: int) -> None:
    """Check that this user can make a file `archive`, and that there is room for it and for what `journal` needs.

    Raises:
        JournalUnwritable: says why not.
    """
    if found := problems(archive):
        raise JournalUnwritable(found[0])
    same = archive.parent.stat().st_dev == journal.parent.stat().st_dev
    for folder, needed in ((archive.parent, archive_bytes + same * journal_bytes), (journal.parent, journal_bytes)):
        disk = os.statvfs(folder)
        free = disk.f_bavail * disk.f_frsize
        if free < needed:
            raise JournalUnwritable(
                f"{folder}: about {needed / 1e6:.0f} MB are needed there, {free / 1e6:.0f} MB are free: make room, or "
                "put the archive on another disk with --to"
            )


def warning(path: Path, mounts: str = "/proc/self/mountinfo") -> str | None:
    """How the file system under `path` may lose the journal; None for a disk."""
    kind = _file_system(path, mounts)
    if kind in _IN_MEMORY:
        return f"{path} is on {kind}: what it holds may be gone when the power goes; put it on a disk"
    if kind in _REMOTE:
        return f"{path} is on {kind}, in the network: put it on a disk of this machine"
    return None


def _file_system(path: Path, mounts: str) -> str:
    """Kind of the file system that holds `path`; empty where that is not known. Of two mounts on a folder the later."""
    try:
        full = path.parent.resolve() / path.name
        lines = Path(mounts).read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return ""
    longest, kind = -1, ""
    for line in lines:
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = Path(fields[4].replace("\\040", " "))
        if full.is_relative_to(point) and len(point.parts) >= longest:
            longest, kind = len(point.parts), after.split(" ", 1)[0]
    return kind
