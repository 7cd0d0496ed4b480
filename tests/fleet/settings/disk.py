"""A lane's folder whose process dies, or whose power is cut, before and after each operation on the disk.

The process is a fork of the test, killed with SIGKILL by itself. A power cut takes with it what was not synced: bytes
of files that were never fsynced, and names that the folder was not fsynced after.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sco_payment.fleet import settings_store
from sco_payment.fleet.settings_store import Store
from tests.fleet.settings.kit import LANE
from tests.verification.points import Points

Step = Callable[[Store], object]


def run(folder: Path, step: Step, *, die_at: int = 0, power: bool = False) -> int | None:
    """Do a step on the folder's store in a process that dies at its N-th point; how many it passed, None if it died."""
    child = os.fork()
    if not child:
        status = 255
        try:
            os.close(2)  # what it dies at; a test of hundreds says it by itself
            os.open(os.devnull, os.O_WRONLY)
            disk = _Disk(folder, Points(die_at), power)
            disk.arm()
            step(Store(folder, LANE))
            status = disk.points.passed
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    assert os.WEXITSTATUS(status) != 255, "the step failed"
    return os.WEXITSTATUS(status)


class _Disk:
    def __init__(self, folder: Path, points: Points, power: bool) -> None:
        self._folder, self.points, self._power = folder, points, power
        self._bytes: dict[int, bytes] = {}
        self._names: dict[str, int] = {}
        self._sync_all()

    def arm(self) -> None:
        """Put the points into what the store calls."""
        for owner, name in ((os, "fsync"), (os, "replace"), (Path, "unlink"), (Path, "mkdir")):
            self._around(owner, name)
        opened = open

        def half_written(file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
            self._point()
            found = opened(file, mode, *arguments, **named)
            if "w" in mode:
                write = found.write

                def in_halves(data: bytes) -> int:
                    self._point()
                    write(data[: len(data) // 2])
                    found.flush()
                    self._point()
                    write(data[len(data) // 2 :])
                    return len(data)

                found.write = in_halves
            return found

        settings_store.open = half_written  # type: ignore[attr-defined]

    def _around(self, owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def with_points(*arguments: Any, **named: Any) -> Any:
            self._point()
            found = original(*arguments, **named)
            if name == "fsync":
                self._synced(arguments[0])
            self._point()
            return found

        setattr(owner, name, with_points)

    def _point(self) -> None:
        if self.points.passed + 1 == self.points._at and self._power:
            self._cut()
        self.points("")

    def _synced(self, number: int) -> None:
        found = os.fstat(number)
        if stat.S_ISDIR(found.st_mode):
            if found.st_ino == self._folder.stat().st_ino:
                self._names = {path.name: path.stat().st_ino for path in self._folder.iterdir()}
        else:
            position = os.open(f"/proc/self/fd/{number}", os.O_RDONLY)
            self._bytes[found.st_ino] = os.read(position, 1 << 20)
            os.close(position)

    def _sync_all(self) -> None:
        """What is there when the process starts is on the disk."""
        for path in self._folder.iterdir() if self._folder.exists() else ():
            inode = path.stat().st_ino
            self._bytes[inode], self._names[path.name] = path.read_bytes(), inode

    def _cut(self) -> None:
        if not self._folder.exists():
            return
        for path in list(self._folder.iterdir()):
            os.remove(path)  # noqa: PTH107 - `unlink` has points
        for name, inode in self._names.items():
            (self._folder / name).write_bytes(self._bytes.get(inode, b'{"payload": "{'))
