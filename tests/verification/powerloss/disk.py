"""What may be on a disk after the power is cut, given what was written and synced before.

The rules are those that SQLite counts on: a sync makes all earlier writes of its file durable; before it each sector of
512 bytes holds, independently of the others, any content it has had since the last sync (so writes are lost, torn and
reordered); the file's length likewise; new sectors that were never written hold zeros or garbage. Names are durable
when the directory was synced: the unix VFS does that at the first sync of a new WAL or rollback journal. A sync that
failed makes nothing durable, and what it should have written is never written unless it is written again, as Linux
does it.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.verification.powerloss.recorder import Op

SECTOR = 512
_SYNCS_ITS_NAME = ("-wal", "-journal")
Image = dict[str, bytes]


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[Op] = field(default_factory=list)
    fresh: bool = True  # its name was never synced

    def sync(self) -> None:
        for op in self.pending:
            _put(self.durable, op)
        self.pending.clear()

    def content(self, rng: random.Random | None) -> bytes:
        """All that is pending, where `rng` is None; else any of its histories, sector by sector."""
        data = bytearray(self.durable)
        if rng is None:
            for op in self.pending:
                _put(data, op)
            return bytes(data)
        sizes = [len(data)]
        histories: dict[int, list[bytes]] = {}
        for op in self.pending:
            before = len(data)
            _put(data, op)
            sizes.append(len(data))
            touched = range(op.at // SECTOR, -(-(op.at + len(op.data)) // SECTOR)) if op.kind == "write" else range(0)
            for sector in touched:
                old = bytes(self.durable[sector * SECTOR : (sector + 1) * SECTOR])
                filler = bytes(SECTOR) if rng.random() < 0.5 else rng.randbytes(SECTOR)
                first = (old + filler)[:SECTOR] if sector * SECTOR >= before else (old + bytes(SECTOR))[:SECTOR]
                history = histories.setdefault(sector, [first])
                history.append(bytes(data[sector * SECTOR : (sector + 1) * SECTOR]).ljust(SECTOR, b"\0"))
        size = rng.choice(sizes)
        result = bytearray(self.durable[:size].ljust(size, b"\0"))
        for sector, history in histories.items():
            if sector * SECTOR < size:
                result[sector * SECTOR : (sector + 1) * SECTOR] = rng.choice(history)
        return bytes(result[:size])


def _put(data: bytearray, op: Op) -> None:
    if op.kind == "truncate":
        data[:] = data[: op.at].ljust(op.at, b"\0")
        return
    if len(data) < op.at:
        data.extend(bytes(op.at - len(data)))
    data[op.at : op.at + len(op.data)] = op.data


class Platter:
    """The disk while a record is replayed on it, operation by operation."""

    def __init__(self) -> None:
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}  # durable
        self._renames: list[Op] = []  # creations and deletions since the directory was synced
        self.acknowledged = 0

    def play(self, op: Op) -> None:
        """One more operation."""
        match op.kind:
            case "ack":
                self.acknowledged = op.at
            case "found":
                self._files[op.ino] = _File(durable=bytearray(op.data))
                self._names[op.name] = op.ino
            case "create":
                self._files[op.ino] = _File()
                self._renames.append(op)
            case "write" | "truncate":
                self._files[op.ino].pending.append(op)
            case "delete":
                self._renames.append(op)
                if op.whole:
                    self._sync_names()
            case "sync" if not op.whole:
                self._files[op.ino].pending.clear()
            case "sync":
                self._sync(op)

    def _sync(self, op: Op) -> None:
        file = self._files[op.ino]
        file.sync()
        if file.fresh and op.name.endswith(_SYNCS_ITS_NAME):
            self._sync_names()
        file.fresh = False

    def _sync_names(self) -> None:
        _rename(self._names, self._renames)
        self._renames.clear()

    def lost(self) -> Image:
        """Only what was synced."""
        return {name: bytes(self._files[ino].durable) for name, ino in self._names.items()}

    def kept(self) -> Image:
        """All of it, as after a kill."""
        names = dict(self._names)
        _rename(names, self._renames)
        return {name: self._files[ino].content(None) for name, ino in names.items()}

    def torn(self, rng: random.Random) -> Image:
        """Something in between."""
        names = dict(self._names)
        _rename(names, self._renames[: rng.randint(0, len(self._renames))])
        return {name: self._files[ino].content(rng) for name, ino in names.items()}


def _rename(names: dict[str, int], ops: Iterable[Op]) -> None:
    for op in ops:
        if op.kind == "create":
            names[op.name] = op.ino
        else:
            names.pop(op.name, None)
