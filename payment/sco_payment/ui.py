"""The interface to the lane's own screen: two calls, `show` and `ask`. An integrator's software may stand behind it.

`ScreenUI` is ours: it draws on a driver's screen and hears its touch panel. `SeveralUIs` shows the same on many.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, runtime_checkable

from sco_drivers.errors import DeviceError
from sco_drivers.screen import Button, Drawing, Scene, Screen
from sco_drivers.touch import Tap, Touch
from sco_payment.devices import Held
from sco_payment.machine import View
from sco_payment.money import for_people
from sco_payment.texts import Texts

log = logging.getLogger(__name__)


class Choice(Enum):
    """What the customer may choose."""

    RETRY = "retry"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class LaneScreen:
    """What the customer shall see.

    Attributes:
        view: which of the lane's views.
        headline: the main words, exact.
        lines: further words.
        kopecks: the sum, where it must be on the screen; None otherwise.
        link: what the QR says; None where no code is shown.
        expires_at: seconds since the epoch to which time runs out; None where it does not.
        case: number of the case that the attendant will ask for.
        cancel: call it when the customer cancels; None where that is not possible.
    """

    view: View
    headline: str
    lines: tuple[str, ...] = ()
    kopecks: int | None = None
    link: str | None = None
    expires_at: float | None = None
    case: int | None = None
    cancel: Callable[[], None] | None = None


@dataclass(frozen=True, slots=True)
class LaneDialog:
    """A question with two buttons. It stands until it is answered or another screen is shown."""

    headline: str
    retry: str
    cancel: str
    kopecks: int
    expires_at: float


@runtime_checkable
class LaneUI(Protocol):
    """The lane's screen. Calls come from one thread, must return soon, and may raise `DeviceError`."""

    def show(self, screen: LaneScreen) -> None:
        """Show it until the next call."""
        ...

    def ask(self, dialog: LaneDialog, answer: Callable[[Choice], None]) -> None:
        """Ask, and return at once; call `answer` from any thread when the customer has chosen."""
        ...

    def close(self) -> None:
        """The lane is done with the screen."""
        ...


class NoUI:
    """Nobody is looking: recovery, and integrators who only want the outcome."""

    def show(self, screen: LaneScreen) -> None:
        """Nothing."""

    def ask(self, dialog: LaneDialog, answer: Callable[[Choice], None]) -> None:
        """Nothing: the question stays unanswered."""

    def close(self) -> None:
        """Nothing."""


class SeveralUIs:
    """Shows the same on several screens: the first one is the customer's, and its errors are the lane's."""

    def __init__(self, first: LaneUI, others: Sequence[LaneUI]) -> None:
        self._first = first
        self._others = tuple(others)

    def show(self, screen: LaneScreen) -> None:
        """Show on all, the others first, so that they tell what was tried when the first one fails."""
        for other in self._others:
            other.show(screen)
        self._first.show(screen)

    def ask(self, dialog: LaneDialog, answer: Callable[[Choice], None]) -> None:
        """Ask on all; each may answer, and the machine takes the first answer only."""
        for other in self._others:
            other.ask(dialog, answer)
        self._first.ask(dialog, answer)

    def close(self) -> None:
        """Close all."""
        for ui in (self._first, *self._others):
            ui.close()


_DRAWINGS = {
    View.WAIT: Drawing.SPINNER,
    View.PAID: Drawing.TICK,
    View.UNPAID: Drawing.CROSS,
    View.ATTENDANT: Drawing.ATTENDANT,
}


class ScreenUI:
    """The lane's screens on a driver's screen, with its touch panel."""

    def __init__(self, screen: Held[Screen], touch: Held[Touch] | None, texts: Texts) -> None:
        self._screen = screen
        self._touch = touch
        self._texts = texts
        self._mutex = threading.Lock()
        self._actions: dict[str, Callable[[], None]] = {}
        self._listening = False

    def show(self, screen: LaneScreen) -> None:
        """Draw it."""
        actions = {} if screen.cancel is None else {Choice.CANCEL.value: screen.cancel}
        drawing = _DRAWINGS.get(screen.view, Drawing.NONE)
        if screen.view is View.PAY and screen.link is None:
            drawing = Drawing.SPINNER if screen.headline == self._texts.wait else Drawing.TAP_OR_SCAN
        buttons = () if screen.cancel is None else (Button(Choice.CANCEL.value, self._texts.cancel),)
        case = () if screen.case is None else (self._texts.case.format(number=screen.case),)
        self._put(
            Scene(
                name=screen.view.value if screen.view is not View.PAY else ("qr" if screen.link else "plate"),
                headline=screen.headline,
                lines=(*screen.lines, *case),
                amount="" if screen.kopecks is None else for_people(screen.kopecks),
                qr=screen.link,
                drawing=drawing,
                buttons=buttons,
                deadline=screen.expires_at,
                deadline_label=self._texts.time_left if screen.expires_at is not None else "",
            ),
            actions,
        )

    def ask(self, dialog: LaneDialog, answer: Callable[[Choice], None]) -> None:
        """Draw the dialog with its two buttons."""
        self._put(
            Scene(
                name="dialog",
                headline=dialog.headline,
                amount=for_people(dialog.kopecks),
                buttons=(
                    Button(Choice.RETRY.value, dialog.retry, primary=True),
                    Button(Choice.CANCEL.value, dialog.cancel),
                ),
                deadline=dialog.expires_at,
                deadline_label=self._texts.time_left,
            ),
            {choice.value: _bound(answer, choice) for choice in Choice},
        )

    def _put(self, scene: Scene, actions: dict[str, Callable[[], None]]) -> None:
        """No tap of the scene before may act on this one."""
        with self._mutex:
            self._actions = {}
        try:
            self._screen.get().show(scene)
        except DeviceError as error:
            if not self._screen.lost(error):
                raise
            self._screen.get().show(scene)  # it may be back already
        with self._mutex:
            self._actions = actions
        self._listen()

    def _listen(self) -> None:
        """The panel is opened with the first scene, and again when it was lost; a lane without touch still shows."""
        if self._touch is None or self._listening:
            return
        try:
            self._touch.get().start(self._screen.get().size, self._tapped, self._touch_lost)
        except DeviceError as error:
            self._touch.lost(error)
            log.error("the touch panel does not work: %s", error)
        else:
            self._listening = True

    def _tapped(self, tap: Tap) -> None:
        try:
            action = self._screen.get().button_at(tap.x, tap.y)
        except DeviceError as error:
            log.error("a tap is lost with the screen: %s", error)
            return
        with self._mutex:
            act = self._actions.get(action) if action is not None else None
        if act is not None:
            act()

    def _touch_lost(self, error: Exception) -> None:
        log.error("the touch panel is lost: %s", error)
        self._listening = False
        if self._touch is not None:
            self._touch.lost(error)

    def close(self) -> None:
        """Give screen and touch panel back."""
        if self._touch is not None:
            self._touch.close()
        self._screen.close()


def _bound(answer: Callable[[Choice], None], choice: Choice) -> Callable[[], None]:
    return lambda: answer(choice)
