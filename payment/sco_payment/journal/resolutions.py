"""Cases that a person closes while the lane runs. Its process alone writes the journal (`journal` says why), so that a
decision is left beside it, one file each, on disk; the lane writes it down between two payments.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from sco_payment.attempt import Phase
from sco_payment.journal.store import NOT_YOURS, Journal, JournalUnwritable, NoSuchCase, check_decision

log = logging.getLogger(__name__)


_Text = Annotated[str, msgspec.Meta(pattern=r"\S")]


@dataclass(frozen=True, slots=True)
class Resolution:
    """A person's decision on a case; `at` in ms since the epoch, `phase` where the payment stood by then."""

    number: Annotated[int, msgspec.Meta(ge=1, le=2**31)]
    operator: _Text
    resolution: _Text
    at: Annotated[int, msgspec.Meta(ge=0, le=2**53)]
    phase: str


def _folder(journal: Path) -> Path:
    return journal.with_name(journal.name + ".resolutions")


def submit(journal: Path, closing: Resolution) -> None:
    """Leave a decision for the lane that has `journal` open; it is on disk when this returns.

    Raises:
        NoSuchCase: a decision on this case waits already. JournalUnwritable: it cannot be left there, or the lane,
            which runs as the journal's owner, could not read it. ValueError: an empty name or resolution, or no text.
    """
    check_decision(closing.operator, closing.resolution)
    if closing.number in pending(journal):
        raise NoSuchCase(f"case {closing.number} was closed just now; the lane writes it down after the payment")
    folder = _folder(journal)
    name = folder / f"{closing.at}-{closing.number}-{secrets.token_hex(4)}"
    part = name.with_suffix(".part")
    try:
        if journal.stat().st_uid != os.geteuid():
            raise JournalUnwritable(f"{journal}: {NOT_YOURS}")
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            _write(part, msgspec.json.encode(closing))
            part.rename(name.with_suffix(".json"))
        finally:
            part.unlink(missing_ok=True)
        for changed in (folder, folder.parent):
            _sync(changed)
    except OSError as error:
        raise JournalUnwritable(f"{folder}: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _pending_files(journal: Path) -> list[tuple[Path, Resolution | None]]:
    """The files that wait, oldest first, and their decisions; None for what is none or cannot be read."""
    found: list[tuple[Path, Resolution | None]] = []
    for path in sorted(_folder(journal).glob("*.json")):
        try:
            found.append((path, msgspec.json.decode(path.read_bytes(), type=Resolution)))
        except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
            log.error("%s is no decision on a case: %s", path, error)
            found.append((path, None))
    return found


def pending(journal: Path) -> dict[int, Resolution]:
    """The decisions that are left beside `journal` and not yet written down in it, by the case's number."""
    return {closing.number: closing for _, closing in _pending_files(journal) if closing is not None}


_NEWS = (Phase.PAID_LATE.value, Phase.UNSETTLED.value)
"""What a payment has become when its case must be decided anew."""


def _close(journal: Journal, closing: Resolution) -> None:
    journal.close_case(closing.number, operator=closing.operator, resolution=closing.resolution, at=closing.at)
    log.info("case %d was closed by %s", closing.number, closing.operator)


def apply_pending(journal: Journal) -> None:
    """Close the cases whose decisions wait beside `journal`, which is open for writing.

    A decision that money, or the end of the watch, came before is dropped: its case stays open.

    Raises:
        JournalError: it cannot be written; the decisions wait on.
    """
    if not _folder(journal.path).is_dir():  # as nearly always, and asked for some times a second
        return
    for path, closing in _pending_files(journal.path):
        if closing is None:
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".unreadable"))  # for a person to look at
            continue
        try:
            phase = journal.case(closing.number).phase
            if phase != closing.phase and phase in _NEWS:
                log.error("case %d stays open: its payment was %s, and is %s now", closing.number, closing.phase, phase)
            else:
                _close(journal, closing)
        except NoSuchCase as error:  # also after a power cut between the journal and the file
            log.warning("%s: %s", path.name, error)
        with contextlib.suppress(OSError):
            path.unlink()
