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
from sco_payment.attempt import View
from sco_payment.customer.texts import Texts
from sco_payment.devices import ReopeningDevice
from sco_payment.money import format_amount

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often a lane looks whether its display and touch panel are there; costs a system call each time."""


class Choice(Enum):
    """What the customer may choose."""

    RETRY = "retry"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class ScreenState:
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
class Dialog:
    """A question with two buttons. It stands until it is answered or another screen is shown."""

    headline: str
    retry: str
    cancel: str
    kopecks: int
    expires_at: float


@runtime_checkable
class LaneUI(Protocol):
    """The lane's screen. Calls come from one thread, must return soon, and may raise `DeviceError`."""

    def show(self, screen: ScreenState) -> None:
        """Show it until the next call."""
        ...

    def ask(self, dialog: Dialog, answer: Callable[[Choice], None]) -> None:
        """Ask, and return at once; call `answer` from any thread when the customer has chosen."""
        ...

    def close(self) -> None:
        """The lane is done with the screen."""
        ...


class NoUI:
    """Nobody is looking: recovery, and integrators who only want the outcome."""

    def show(self, screen: ScreenState) -> None:
        """Nothing."""

    def ask(self, dialog: Dialog, answer: Callable[[Choice], None]) -> None:
        """Nothing: the question stays unanswered."""

    def close(self) -> None:
        """Nothing."""


class SeveralUIs:
    """Shows the same on several screens: the first one is the customer's, and its errors are the lane's. What another
    one raises is logged and keeps nothing from the customer."""

    def __init__(self, first: LaneUI, others: Sequence[LaneUI]) -> None:
        self._first = first
        self._others = tuple(others)

    def show(self, screen: ScreenState) -> None:
        """Show on all, the others first, so that they tell what was tried when the first one fails."""
        self._on_others(lambda other: other.show(screen))
        self._first.show(screen)

    def ask(self, dialog: Dialog, answer: Callable[[Choice], None]) -> None:
        """Ask on all; each may answer, and the machine takes the first answer only."""
        self._on_others(lambda other: other.ask(dialog, answer))
        self._first.ask(dialog, answer)

    def close(self) -> None:
        """Close all."""
        self._on_others(lambda other: other.close())
        self._first.close()

    def _on_others(self, call: Callable[[LaneUI], None]) -> None:
        for other in self._others:
            try:
                call(other)
            except Exception as error:
                log.error("a further screen failed: %s: %s", type(error).__name__, error)


_DRAWINGS = {
    View.WAIT: Drawing.SPINNER,
    View.PAID: Drawing.TICK,
    View.UNPAID: Drawing.CROSS,
    View.ATTENDANT: Drawing.ATTENDANT,
}


class ScreenUI:
    """The lane's screens on a driver's screen, with its touch panel.

    A thread of its own looks after both once in `LOOK_S`: a display or panel that was pulled out in the middle of a
    payment shows and hears again, what is to stand by then, as soon as it is plugged in.
    """

    def __init__(self, screen: ReopeningDevice[Screen], touch: ReopeningDevice[Touch] | None, texts: Texts) -> None:
        self._screen = screen
        self._touch = touch
        self._texts = texts
        self._drawing = threading.RLock()  # one at a time opens and draws; taps do not wait for it
        self._mutex = threading.Lock()
        self._actions: dict[str, Callable[[], None]] = {}
        self._wanted: tuple[Scene, dict[str, Callable[[], None]]] | None = None
        self._stands = False
        self._listening = False
        self._tapped_size = (0, 0)
        self._touch_fault = ""
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None

    def show(self, screen: ScreenState) -> None:
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
                amount="" if screen.kopecks is None else format_amount(screen.kopecks),
                qr=screen.link,
                drawing=drawing,
                buttons=buttons,
                deadline=screen.expires_at,
                deadline_label=self._texts.time_left if screen.expires_at is not None else "",
            ),
            actions,
        )

    def ask(self, dialog: Dialog, answer: Callable[[Choice], None]) -> None:
        """Draw the dialog with its two buttons."""
        self._put(
            Scene(
                name="dialog",
                headline=dialog.headline,
                amount=format_amount(dialog.kopecks),
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
        with self._drawing:
            self._wanted = scene, actions
            if self._keeper is None and not self._closing.is_set():
                self._keep()
            try:
                self._stand()
            finally:
                self._listen()

    def _keep(self) -> None:
        """Without a thread to look after it the screen still shows; the next scene tries again."""
        keeper = threading.Thread(target=self._look_after, name="lane screen", daemon=True)
        try:
            keeper.start()
        except RuntimeError as error:
            log.error("nobody looks after the screen: %s", error)
        else:
            self._keeper = keeper

    def _stand(self) -> None:
        """Draw what is wanted. No tap of the scene before may act on this one."""
        assert self._wanted is not None
        scene, actions = self._wanted
        self._stands = False
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
        self._stands = True

    def _look_after(self) -> None:
        told = ""
        while not self._closing.wait(LOOK_S):
            with self._drawing:
                if self._closing.is_set():
                    return
                try:
                    self._look()
                except Exception as error:  # a mistake of ours or of a driver's; who looks after it goes on doing so
                    if repr(error) != told:
                        log.exception("the screen failed")
                    told = repr(error)
                    self._stands = False

    def _look(self) -> None:
        try:
            if self._stands:
                self._screen.get().check()
            else:
                self._stand()
                log.warning("the screen is there again")
        except DeviceError as error:
            if self._stands:
                log.error("the screen failed: %s", error)
            self._stands = False
            self._screen.lost(error)
        self._listen()

    def _listen(self) -> None:
        """The panel is opened with the first scene, again when it was lost, and again when a display of another size
        was plugged in, to which its taps must be scaled; a lane without touch still shows."""
        if self._touch is None or not self._stands:
            return
        try:
            size = self._screen.get().size
        except DeviceError:  # it left just now; whoever looks next will find out
            return
        if self._listening:
            if size == self._tapped_size:
                return
            self._touch.release()
        self._listening = True  # before the panel can say that it is lost, which it may at once
        self._tapped_size = size
        try:
            self._touch.get().start(size, self._tapped, self._touch_lost)
        except DeviceError as error:
            self._listening = False
            self._touch.lost(error)
            if str(error) != self._touch_fault:
                log.error("the touch panel does not work: %s", error)
            self._touch_fault = str(error)
        else:
            self._touch_fault = ""

    def _tapped(self, tap: Tap) -> None:
        with self._mutex:
            actions = self._actions
        try:
            action = self._screen.get().button_at(tap.x, tap.y, tap.pressed_at)
        except DeviceError as error:
            log.error("a tap is lost with the screen: %s", error)
            return
        with self._mutex:
            # What stands now may be another scene than the one that said what lies under the finger.
            act = actions.get(action) if action is not None and self._actions is actions else None
        if act is not None:
            act()

    def _touch_lost(self, error: Exception) -> None:
        log.error("the touch panel is lost: %s", error)
        if self._touch is not None:
            self._touch.lost(error)
        self._listening = False

    def close(self) -> None:
        """Give screen and touch panel back."""
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join(5.0)
        if self._touch is not None:
            self._touch.close()
        self._screen.close()


def _bound(answer: Callable[[Choice], None], choice: Choice) -> Callable[[], None]:
    return lambda: answer(choice)
