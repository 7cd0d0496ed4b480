"""Count writes of a tag's most frequently written page over its lifetime, and warn before its write endurance ends.

A page of an NTAG213/215/216 is rated for 100,000 writes (NXP's data sheet, write endurance). On a tag that carries
each payment's link, the page with the length is written twice per payment.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

RATED_WRITES = 100_000
"""Writes that a page is rated for."""
WARN_AT = 80_000
"""Writes after which the operator should have a new tag ready."""
WARN_EVERY = 1_000
SAVE_EVERY = 20
"""At most so many writes are lost from the count by a power cut."""


@dataclass(frozen=True, slots=True)
class EnduranceExceeded:
    """A tag approaches its write endurance: `writes` of its most frequently written page, which is rated for `life`."""

    uid: bytes
    writes: int
    life: int = RATED_WRITES


class WriteEndurance:
    """Counts the writes of each tag of a lane, by UID, in a file. Never raises: this must not end a payment.

    Args:
        path: the JSON file; created when absent.
        on_exceeded: called after `WARN_AT` writes, and again every `WARN_EVERY`.
    """

    def __init__(self, path: str | Path, on_exceeded: Callable[[EnduranceExceeded], None]) -> None:
        self._path = Path(path)
        self._on_worn = on_exceeded
        self._writes = self._load()
        self._reported: dict[str, int] = {}
        self._unsaved = 0

    def _load(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_bytes())
            return {str(uid): max(0, int(writes)) for uid, writes in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            log.error("%s: the count of the tag's writes cannot be read and starts again at 0: %s", self._path, error)
            with suppress(OSError):
                self._path.rename(self._path.with_name(self._path.name + ".unreadable"))
            return {}

    def of(self, uid: bytes) -> int:
        """Writes so far of the most frequently written page of the tag `uid`."""
        return self._writes.get(uid.hex(), 0)

    def add(self, uid: bytes, writes: int) -> None:
        """Add `writes` to the count of the tag `uid`."""
        if not writes:
            return
        key, total = uid.hex(), self.of(uid) + writes
        self._writes[key] = total
        self._unsaved += writes
        if self._unsaved >= SAVE_EVERY:
            self.save()
        if total >= max(WARN_AT, self._reported.get(key, 0) + WARN_EVERY):
            self._reported[key] = total
            self._on_worn(EnduranceExceeded(uid, total))

    def save(self) -> None:
        """Write the count to disk, atomically."""
        if not self._unsaved:
            return
        part = self._path.with_name(self._path.name + ".part")
        try:
            with part.open("w") as file:
                json.dump(self._writes, file, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError as error:
            log.error("%s: the count of the tag's writes cannot be saved: %s", self._path, error.strerror)
        self._unsaved = 0
