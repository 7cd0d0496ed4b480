"""The lane's screen as data: what the customer sees, which buttons there are, and the protocol of what shows it.

`ScreenUI` draws on a driver's screen and reads its touch panel. `SeveralUIs` shows the same on several screens.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from sco_drivers.errors import DeviceError
from sco_drivers.screen import DEFAULT_THEME, Drawing, Scene, Screen, Theme
from sco_drivers.screen import Button as SceneButton
from sco_drivers.touch import Tap, Touch
from sco_payment.attempt import View
from sco_payment.customer.texts import Texts
from sco_payment.devices import ReopeningDevice
from sco_payment.money import format_amount

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often a lane checks that its display and touch panel are there; costs a system call each time."""

RETRY: Final = "retry"
CANCEL: Final = "cancel"


@dataclass(frozen=True, slots=True)
class Button:
    """A button on the lane's screen.

    Attributes:
        id: "retry" or "cancel": what `Lane.choose` takes.
        text: the words on it, exact.
        primary: whether it is the one to stand out.
    """

    id: str
    text: str
    primary: bool = False


@dataclass(frozen=True, slots=True)
class ScreenState:
    """What the customer must see. Plain data: it can be sent to a browser or a till in another language.

    Attributes:
        view: which of the lane's views.
        headline: the main words, exact.
        lines: further words.
        amount_kopecks: the amount, where it must be on the screen; None otherwise.
        link: the content of the QR code; None for no code.
        expires_at_ms: wall-clock time at which the countdown ends, ms since the epoch; None for no countdown.
        case: number of the case that the attendant will ask for.
        buttons: left to right. What the customer chooses goes to `Lane.choose` with `attempt`.
        attempt: key of the attempt on the screen.
        plate: whether the customer pays at the plate or tag next to the screen; the code on it is the second way.
        ticket: whether the customer pays by the code on the printed ticket.
        prominent: how many of `lines`, from the first, are as important as the headline: show them as large.
        status: what the lane is doing meanwhile ("Проверяем оплату"); show it with something that moves. It comes and
            goes while the rest of the screen stays: keep the code in its place.
        hint: the first step on the customer's phone, next to the logo of the payment system if there is one.
        amount_text: `amount_kopecks` as people read it ("253,00 ₽"); empty where there is none.
        expires_text: the words before the countdown ("Осталось"); empty where there is none.
        case_text: the words with the case's number ("Обращение № 12"), the largest on the screen; empty without a case.
        idle: whether there is no payment: nothing of the one before is left.
    """

    view: View
    headline: str
    lines: tuple[str, ...] = ()
    amount_kopecks: int | None = None
    link: str | None = None
    expires_at_ms: int | None = None
    case: int | None = None
    buttons: tuple[Button, ...] = ()
    attempt: str = ""
    plate: bool = False
    ticket: bool = False
    prominent: int = 0
    status: str = ""
    hint: str = ""
    amount_text: str = ""
    expires_text: str = ""
    case_text: str = ""
    idle: bool = False

    def offers(self, button: str) -> bool:
        """Whether a button with that id is on the screen."""
        return any(one.id == button for one in self.buttons)


Choose = Callable[[str, str], bool]
"""`Lane.choose`: takes the attempt's key and the button's id, returns whether the choice was accepted."""


@runtime_checkable
class LaneUI(Protocol):
    """The lane's screen. Calls come from one thread, must return soon, and may raise `DeviceError`.

    What the customer chooses goes to `Lane.choose`. A screen that has a method `bind` receives that function when the
    lane is opened.
    """

    def show(self, state: ScreenState) -> None:
        """Show it until the next call."""
        ...

    def close(self) -> None:
        """The lane no longer uses the screen."""
        ...


class NoUI:
    """No screen: recovery, and integrators who only want the outcome."""

    def show(self, state: ScreenState) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Nothing to close."""


class SeveralUIs:
    """Shows the same on several screens.

    The first one is the customer's, and its errors are the lane's. Errors of the others are logged and keep nothing
    from the customer.
    """

    def __init__(self, first: LaneUI, others: Sequence[LaneUI]) -> None:
        self._first = first
        self._others = tuple(others)

    def show(self, state: ScreenState) -> None:
        """Show on all, the others first, so that they show what was tried when the first one fails."""
        self._on_others(lambda other: other.show(state))
        self._first.show(state)

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


# --- the lane's own screen ------------------------------------------------------------------------------------------

_DRAWINGS = {
    View.WAIT: Drawing.SPINNER,
    View.PAID: Drawing.TICK,
    View.UNPAID: Drawing.CROSS,
    View.ATTENDANT: Drawing.ATTENDANT,
}


def scene_of(state: ScreenState, texts: Texts, theme: Theme = DEFAULT_THEME) -> Scene:
    """The scene in which a driver's screen shows `state`; `texts` for words that the state lacks."""
    name, drawing = state.view.value, _DRAWINGS.get(state.view, Drawing.NONE)
    if state.view is View.PAY:
        drawing = Drawing.TAP_OR_SCAN if state.plate else Drawing.TICKET if state.ticket else Drawing.NONE
        name = "plate" if state.plate else "paper" if state.ticket else "qr" if state.link else "pay"
        if drawing is Drawing.NONE and state.link is None:
            drawing = Drawing.SPINNER
    if state.idle:
        name, drawing = "idle", Drawing.NONE
    return Scene(
        name=name,
        headline=state.headline,
        lines=state.lines,
        amount="" if state.amount_kopecks is None else state.amount_text or format_amount(state.amount_kopecks),
        qr=state.link,
        drawing=drawing,
        buttons=tuple(SceneButton(button.id, button.text, primary=button.primary) for button in state.buttons),
        deadline=None if state.expires_at_ms is None else state.expires_at_ms / 1000,
        deadline_label="" if state.expires_at_ms is None else state.expires_text or texts.time_left,
        prominent=state.prominent,
        number="" if state.case is None else state.case_text or texts.case.format(number=state.case),
        hint=state.hint,
        status=state.status,
        busy=state.ticket,
        theme=theme,
    )


def _not_bound(attempt: str, button: str) -> bool:
    log.warning("%s was tapped on a screen that belongs to no lane", button)
    return False


class _Panel:
    """One touch panel, keypad or set of buttons: opened, and opened again, whatever becomes of the others."""

    def __init__(self, device: ReopeningDevice[Touch], tapped: Callable[[Tap], None]) -> None:
        self.device = device
        self._tapped = tapped
        self._size = (0, 0)
        self._fault = ""
        self.listening = False

    def listen(self, size: tuple[int, int]) -> None:
        """Report taps, scaled to a screen of that size, from now on."""
        if self.listening:
            if size == self._size:
                return
            self.device.release()
        self.listening = True  # before the panel can report that it is lost, which may happen at once
        self._size = size
        try:
            self.device.get().start(size, self._tapped, self._lost)
        except Exception as error:  # a third party's driver may raise anything
            self.listening = False
            self.device.lost(error)
            if repr(error) != self._fault:
                unforeseen = None if isinstance(error, DeviceError) else error
                log.error("the touch panel does not work: %s", error, exc_info=unforeseen)
            self._fault = repr(error)
        else:
            self._fault = ""

    def _lost(self, error: Exception) -> None:
        log.error("the touch panel is lost: %s", error)
        self.device.lost(error)
        self.listening = False

    def close(self) -> None:
        """Release it."""
        self.device.close()


class ScreenUI:
    """The lane's screens on a driver's screen, with its touch panel, keypad and buttons.

    A thread of its own checks them once in `LOOK_S`: a display or panel that was pulled out during a payment works
    again as soon as it is plugged in, and then shows what is current by that time.
    """

    def __init__(
        self,
        screen: ReopeningDevice[Screen],
        touch: Sequence[ReopeningDevice[Touch]],
        texts: Texts,
        choose: Choose = _not_bound,
        *,
        theme: Theme = DEFAULT_THEME,
    ) -> None:
        self._screen = screen
        self._panels = tuple(_Panel(device, self._tapped) for device in touch)
        self._texts = texts
        self._theme = theme
        self._choose = choose
        self._drawing = threading.RLock()  # one at a time opens and draws; taps do not wait for it
        self._mutex = threading.Lock()
        self._tappable: ScreenState | None = None
        self._wanted: ScreenState | None = None
        self._drawn = False
        self._closing = threading.Event()
        self._keeper: threading.Thread | None = None

    @property
    def screen(self) -> ReopeningDevice[Screen]:
        """The driver's screen."""
        return self._screen

    @property
    def panels(self) -> list[ReopeningDevice[Touch]]:
        """The touch panels, in the order given."""
        return [panel.device for panel in self._panels]

    def bind(self, choose: Choose) -> None:
        """Report taps on buttons to `choose` from now on."""
        self._choose = choose

    def show(self, state: ScreenState) -> None:
        """Draw it."""
        with self._drawing:
            self._wanted = state
            if self._keeper is None and not self._closing.is_set():
                self._start_keeper()
            try:
                self._draw()
            finally:
                self._listen()

    def _start_keeper(self) -> None:
        """Without a thread that checks it the screen still works; the next scene tries again."""
        keeper = threading.Thread(target=self._keep_checking, name="lane screen", daemon=True)
        try:
            keeper.start()
        except RuntimeError as error:
            log.error("the screen is not checked: %s", error)
        else:
            self._keeper = keeper

    def _draw(self) -> None:
        """Draw what is wanted. A tap on the scene before must not act on this one."""
        assert self._wanted is not None
        state, scene = self._wanted, scene_of(self._wanted, self._texts, self._theme)
        self._drawn = False
        with self._mutex:
            self._tappable = None
        try:
            self._screen.get().show(scene)
        except DeviceError as error:
            if not self._screen.lost(error):
                raise
            self._screen.get().show(scene)  # it may be back already
        self._screen.lost(None)
        with self._mutex:
            self._tappable = state
        self._drawn = True

    def _keep_checking(self) -> None:
        reported = ""
        while not self._closing.wait(LOOK_S):
            with self._drawing:
                if self._closing.is_set():
                    return
                try:
                    self._check()
                except Exception as error:  # a bug of ours or of a driver's must not end the checks
                    if repr(error) != reported:
                        log.exception("the screen failed")
                    reported = repr(error)
                    self._drawn = False

    def _check(self) -> None:
        try:
            if self._drawn:
                self._screen.get().check()
            else:
                self._draw()
                log.warning("the screen works again")
        except DeviceError as error:
            if self._drawn:
                log.error("the screen failed: %s", error)
            self._drawn = False
            self._screen.lost(error)
        self._listen()

    def _listen(self) -> None:
        """Open the panels: with the first scene, after one was lost, and when a display of another size was plugged in,
        to which taps must be scaled. A lane without touch still shows."""
        if not self._panels or not self._drawn:
            return
        try:
            size = self._screen.get().size
        except DeviceError:  # it left just now; the next check finds out
            return
        for panel in self._panels:
            panel.listen(size)

    def _tapped(self, tap: Tap) -> None:
        """Runs in the panel's thread. Raises nothing: that would end the thread of a driver that does not expect it."""
        try:
            self._press(tap)
        except DeviceError as error:
            log.error("a tap is lost with the screen: %s", error)
        except Exception:  # a bug of ours or of a driver's
            log.exception("a tap is lost")

    def _press(self, tap: Tap) -> None:
        with self._mutex:
            state = self._tappable
        button = self._screen.get().button_at(tap.x, tap.y, tap.pressed_at)
        with self._mutex:
            # The scene may have changed while the screen looked up what is under the finger.
            current = state is not None and self._tappable is state
        if button is not None and current and state is not None and state.offers(button):
            self._choose(state.attempt, button)

    def close(self) -> None:
        """Release screen and touch panels."""
        self._closing.set()
        if self._keeper is not None:
            self._keeper.join(5.0)
        for panel in self._panels:
            panel.close()
        self._screen.close()
