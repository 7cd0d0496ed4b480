"""How often a tag's busiest page was written, over the life of the tag, and when that is more than it is made for.

NTAG213/215/216 are made for 100,000 writes of a page (NXP's data sheet, write endurance). A tag that carries each
payment's link has the page with the length written twice a payment.
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

LIFE = 100_000
"""Writes that a page is made for."""
EARLY = 80_000
"""Writes at which somebody should be told to have a new tag ready."""
TELL_EVERY = 1_000
SAVE_EVERY = 20
"""Writes that a power cut may leave uncounted."""


@dataclass(frozen=True, slots=True)
class EnduranceExceeded:
    """A tag comes to the end of its life: `writes` of its busiest page of the `life` that it is made for."""

    uid: bytes
    writes: int
    life: int = LIFE


class WriteEndurance:
    """Counts the writes of each tag that a lane has had, by its UID, in a file. Never raises: wear ends no payment.

    Args:
        path: the file, JSON; made when absent.
        on_worn: is told from `EARLY` writes on, and again every `TELL_EVERY`.
    """

    def __init__(self, path: str | Path, on_worn: Callable[[EnduranceExceeded], None]) -> None:
        self._path = Path(path)
        self._on_worn = on_worn
        self._writes = self._load()
        self._told: dict[str, int] = {}
        self._unsaved = 0

    def _load(self) -> dict[str, int]:
        try:
            found = json.loads(self._path.read_bytes())
            return {str(uid): max(0, int(writes)) for uid, writes in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            log.error("%s: the count of the tag's writes cannot be read and begins anew: %s", self._path, error)
            with suppress(OSError):
                self._path.rename(self._path.with_name(self._path.name + ".unreadable"))
            return {}

    def of(self, uid: bytes) -> int:
        """Writes of the busiest page of the tag `uid` so far."""
        return self._writes.get(uid.hex(), 0)

    def add(self, uid: bytes, writes: int) -> None:
        """The busiest page of the tag `uid` was written `writes` times more."""
        if not writes:
            return
        key, total = uid.hex(), self.of(uid) + writes
        self._writes[key] = total
        self._unsaved += writes
        if self._unsaved >= SAVE_EVERY:
            self.save()
        if total >= max(EARLY, self._told.get(key, 0) + TELL_EVERY):
            self._told[key] = total
            self._on_worn(EnduranceExceeded(uid, total))

    def save(self) -> None:
        """Put the count on disk, whole or not at all."""
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
            log.error("%s: the count of the tag's writes cannot be kept: %s", self._path, error.strerror)
        self._unsaved = 0
