"""Decisions on cases that an operator makes while the lane runs.

Only the lane's process writes the journal (`store` says why). Another process therefore leaves each decision in a file
of its own in the folder `<journal>.resolutions`, on disk; the lane applies them between two payments.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from sco_payment.attempt import Phase
from sco_payment.journal import codec, location
from sco_payment.journal.errors import JournalDamaged, JournalTooNew, JournalUnwritable, NoSuchCase
from sco_payment.journal.lock import not_yours
from sco_payment.journal.store import Journal, check_decision

log = logging.getLogger(__name__)

_LONGEST = 64 * 1024
"""Bytes of a decision."""


@dataclass(frozen=True, slots=True)
class Resolution:
    """An operator's decision on a case.

    `phase` is where the payment was when it was made. `attempt` is the case's, empty where an older release wrote it:
    a journal that is begun or salvaged meanwhile may give the number to another case.
    """

    number: int
    operator: str
    resolution: str
    at_ms: int
    phase: str
    attempt: str = ""


def _folder(journal: Path) -> Path:
    return journal.with_name(journal.name + ".resolutions")


def submit(journal: Path, decision: Resolution) -> None:
    """Leave a decision for the lane that has `journal` open; it is on disk when this returns.

    Raises:
        NoSuchCase: a decision on this case waits already. JournalUnwritable: it cannot be left there, or the lane,
            which runs as the journal's owner, could not read it. ValueError: an empty name or resolution, or no text.
    """
    check_decision(decision.operator, decision.resolution)
    if decision.number in pending(journal):
        raise NoSuchCase(f"case {decision.number} was closed just now; the lane records it after the payment")
    folder = _folder(journal)
    name = folder / f"{decision.at_ms}-{decision.number}-{secrets.token_hex(4)}"
    part = name.with_suffix(".part")
    try:
        if journal.stat().st_uid != os.geteuid():
            raise JournalUnwritable(f"{journal}: {not_yours(journal)}")
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            _write(part, codec.to_json(codec.encode_resolution(decision)).encode())
            part.rename(name.with_suffix(".json"))
        finally:
            part.unlink(missing_ok=True)
        for changed in (folder, folder.parent):
            location.sync_folder(changed)
    except OSError as error:
        raise JournalUnwritable(f"{folder}: {error.strerror}") from error


def _write(path: Path, data: bytes) -> None:
    with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _read(path: Path) -> Resolution:
    """The decision in a file.

    Raises:
        OSError, JournalDamaged, JournalTooNew, ValueError: there is none that can be read.
    """
    decision = Resolution(**codec.decode_resolution(codec.from_json(location.read_short(path, _LONGEST))))
    check_decision(decision.operator, decision.resolution)
    return decision


def _pending_files(journal: Path) -> list[tuple[Path, Resolution | None]]:
    """The files that wait, oldest first, and their decisions; None for what cannot be read."""
    found: list[tuple[Path, Resolution | None]] = []
    for path in sorted(_folder(journal).glob("*.json")):
        try:
            found.append((path, _read(path)))
        except (OSError, JournalDamaged, JournalTooNew, ValueError) as error:
            log.error("%s is not a decision on a case: %s", path, error)
            found.append((path, None))
    return found


def pending(journal: Path) -> dict[int, Resolution]:
    """The decisions that wait for the lane and are not in `journal` yet, by the case's number."""
    return {decision.number: decision for _, decision in _pending_files(journal) if decision is not None}


NEWS = tuple(codec.PHASES[one] for one in (Phase.PAID_LATE, Phase.OVERDUE, Phase.REFUNDABLE, Phase.UNSETTLED))
"""What a payment has become when an earlier decision on its case no longer holds."""


def overtaken(seen: str, now: str) -> bool:
    """Whether a decision made while the payment was in the phase `seen` no longer holds in the phase `now`."""
    return seen != now and now in NEWS


def _close(journal: Journal, decision: Resolution) -> None:
    journal.close_case(
        decision.number, operator=decision.operator, resolution=decision.resolution, at_ms=decision.at_ms
    )
    log.info("case %d was closed by %s", decision.number, decision.operator)


def apply_pending(journal: Journal) -> None:
    """Close the cases whose decisions wait for `journal`, which is open for writing.

    A decision is dropped when money, or the end of the watch, came before it was applied: its case stays open.

    Raises:
        JournalError: it cannot be written; the decisions keep waiting.
    """
    if not _folder(journal.path).is_dir():  # as nearly always, and checked several times a second
        return
    for path, decision in _pending_files(journal.path):
        if decision is None:
            with contextlib.suppress(OSError):
                path.rename(path.with_suffix(".unreadable"))  # for an operator to look at
            continue
        try:
            case = journal.case(decision.number)
            phase = case.phase
            if decision.attempt not in ("", case.attempt):
                log.error("case %d stays open: what was decided is of another journal's case", decision.number)
            elif overtaken(decision.phase, phase):
                log.error(
                    "case %d stays open: its payment was %s, and is %s now", decision.number, decision.phase, phase
                )
            else:
                _close(journal, decision)
        except NoSuchCase as error:  # also after a power cut between the journal and the file
            log.warning("%s: %s", path.name, error)
        with contextlib.suppress(OSError):
            path.unlink()
