"""Open a lane's journal as its settings describe it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sco_payment.journal import lock, salvage
from sco_payment.journal.errors import JournalDamaged
from sco_payment.journal.lock import second_place
from sco_payment.journal.store import Journal

if TYPE_CHECKING:
    from sco_payment.settings import Settings


def salvage_journal(settings: Settings, at_ms: int) -> tuple[Path, salvage.Salvaged, int | None]:
    """Take what can be read of the lane's damaged or outdated journal into a new one, and put it aside.

    Returns:
        The damaged file's new name, what was found in it, and the number of the case about what is lost, or None.

    Raises:
        JournalBusy: the lane runs. JournalError: nothing can be read, or no new journal can be written; the damaged
            file is kept in any case.
    """
    path = lock.resolve(Path(settings.journal.path))
    fresh, aside = path.with_name(path.name + lock.SALVAGED), path.with_name(f"{path.name}.damaged-{at_ms // 1000}")
    held = lock.Lock(path)
    try:
        anchors = lock.Anchors(path, second_place(path, settings.journal.anchor, os.environ))
        found = salvage.read(path, anchors.newest()[0])
        salvage.remove(fresh)  # of a run that was interrupted
        with Journal(fresh, lane_id=settings.lane.pos_id, acquirer=settings.lane.acquirer) as journal:
            case = journal.take_over(found, aside.name, at_ms=at_ms)
            if problems := journal.verify():
                raise JournalDamaged(f"{fresh}: {problems[0]}: {path} is as it was")
        salvage.exchange(path, aside, fresh)
        anchors.forget()
    finally:
        held.release()
    return aside, found, case


def open_journal(settings: Settings, acquirer: str = "", *, new: bool = False) -> Journal:
    """The lane's journal, for writing.

    Args:
        settings: of the lane.
        acquirer: the adapter's name; the one in the settings by default.
        new: begin a journal where an earlier one was lost.

    Raises:
        JournalError: it cannot be opened, or what is there is not the latest.
    """
    path = Path(settings.journal.path)
    return Journal(
        path,
        lane_id=settings.lane.pos_id,
        acquirer=acquirer or settings.lane.acquirer,
        anchor=second_place(path.resolve(), settings.journal.anchor, os.environ),
        new=new,
    )
