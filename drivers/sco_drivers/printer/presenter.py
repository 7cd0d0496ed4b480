"""The presenter of CUSTOM's kiosk printers: a ticket in the output is taken, retracted, or jammed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal

from sco_drivers.printer import PresenterStatus, SensorState, TicketEnd, commands
from sco_drivers.printer.session import EscPosSession
from sco_drivers.tap import Clock

Leftover = Literal["retract", "eject", "keep"]
"""What to do with a ticket that is still in the output when the next one is to be printed."""

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
        return _until_gone(self._session.clock, self.status, timeout_s, TicketEnd.TAKEN)

    def retract(self) -> TicketEnd:
        """See `TicketPresenter.retract`."""
        return self._move(commands.RETRACT, TicketEnd.RETRACTED)

    def eject(self) -> TicketEnd:
        """See `TicketPresenter.eject`."""
        return self._move(commands.EJECT, TicketEnd.EJECTED)

    def make_room(self, way: Leftover) -> TicketEnd:
        """Clear the output for the next ticket, or keep what is there. The caller locks. Raises DeviceError."""
        seen = _end_of(self._session.presenter())
        if seen is not TicketEnd.STILL_THERE or way == "keep":
            return seen
        command = commands.RETRACT if way == "retract" else commands.EJECT
        self._session.send(command, self._session.answer_s)
        return _until_gone(self._session.clock, self._session.presenter, _MOVES_S, TicketEnd.NONE)

    def _move(self, command: bytes, end: TicketEnd) -> TicketEnd:
        before = _end_of(self.status())
        if before is not TicketEnd.STILL_THERE:
            return before
        with self._using():
            self._session.send(command, self._session.answer_s)
        return _until_gone(self._session.clock, self.status, _MOVES_S, end)


def _until_gone(clock: Clock, ask: Callable[[], PresenterStatus], timeout_s: float, gone: TicketEnd) -> TicketEnd:
    """`gone` once there is no ticket in the output, or how it is instead after `timeout_s`."""
    end = clock.monotonic() + timeout_s
    seen = _end_of(ask())
    if seen is TicketEnd.NONE and gone is not TicketEnd.TAKEN:
        return gone
    there = False
    while seen is TicketEnd.STILL_THERE:
        there = True
        left = end - clock.monotonic()
        if left <= 0:
            return TicketEnd.STILL_THERE
        clock.sleep(min(_LOOK_S, left))
        seen = _end_of(ask())
    return gone if seen is TicketEnd.NONE and there else seen


def _end_of(status: PresenterStatus) -> TicketEnd:
    if status.jammed is SensorState.YES:
        return TicketEnd.JAMMED
    return {
        SensorState.YES: TicketEnd.STILL_THERE,
        SensorState.NO: TicketEnd.NONE,
        SensorState.UNKNOWN: TicketEnd.UNKNOWN,
    }[status.ticket_in_output]
