"""The presenter of CUSTOM's kiosk printers: a ticket in the output is taken, retracted, or jammed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager

from sco_drivers.printer import PresenterStatus, SensorState, TicketEnd, commands
from sco_drivers.printer.session import EscPosSession

_LOOK_S = 0.2
_MOVES_S = 3.0
"""A ticket is retracted or ejected within this time, or it is jammed."""


class EscPosPresenter:
    """See `sco_drivers.printer.TicketPresenter`.

    Args:
        session: the printer's session.
        using: a context in which no other call uses the session.
    """

    def __init__(self, session: EscPosSession, using: Callable[[], AbstractContextManager[None]]) -> None:
        self._session = session
        self._using = using

    def status(self) -> PresenterStatus:
        """See `TicketPresenter.status`."""
        with self._using():
            return self._session.presenter()

    def wait_taken(self, timeout_s: float) -> TicketEnd:
        """See `TicketPresenter.wait_taken`."""
        return self._until_gone(timeout_s, TicketEnd.TAKEN)

    def retract(self) -> TicketEnd:
        """See `TicketPresenter.retract`."""
        return self._move(commands.RETRACT, TicketEnd.RETRACTED)

    def eject(self) -> TicketEnd:
        """See `TicketPresenter.eject`."""
        return self._move(commands.EJECT, TicketEnd.EJECTED)

    def _move(self, command: bytes, end: TicketEnd) -> TicketEnd:
        before = _end_of(self.status())
        if before is not TicketEnd.STILL_THERE:
            return before
        with self._using():
            self._session.send(command, self._session.answer_s)
        return self._until_gone(_MOVES_S, end)

    def _until_gone(self, timeout_s: float, gone: TicketEnd) -> TicketEnd:
        end = time.monotonic() + timeout_s
        seen = _end_of(self.status())
        if seen is TicketEnd.NONE and gone is not TicketEnd.TAKEN:
            return gone
        there = False
        while seen is TicketEnd.STILL_THERE:
            there = True
            left = end - time.monotonic()
            if left <= 0:
                return TicketEnd.STILL_THERE
            time.sleep(min(_LOOK_S, left))
            seen = _end_of(self.status())
        return gone if seen is TicketEnd.NONE and there else seen


def _end_of(status: PresenterStatus) -> TicketEnd:
    if status.jammed is SensorState.YES:
        return TicketEnd.JAMMED
    return {
        SensorState.YES: TicketEnd.STILL_THERE,
        SensorState.NO: TicketEnd.NONE,
        SensorState.UNKNOWN: TicketEnd.UNKNOWN,
    }[status.ticket_in_output]
