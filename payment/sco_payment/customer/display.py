"""What the lane shows to its customer: the ticket, the code or the tag, the screen and the QR display.

All of it runs in the runtime's device thread, in the order in which it was requested. This module knows which text and
which button belong to which state; it decides nothing about money.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial

from sco_drivers.errors import DeviceError
from sco_drivers.printer import Ticket
from sco_drivers.qr import preload
from sco_payment import attempt as m
from sco_payment import unforeseen
from sco_payment.attempt import Message
from sco_payment.customer.presenter import Presentation, Presenter
from sco_payment.customer.screens import Surroundings, idle_screen, screen_of
from sco_payment.customer.texts import LANGUAGES
from sco_payment.customer.ui import RETRY, LaneUI, NoUI, ScreenState
from sco_payment.events import LinkAccepted, Observer, ScreenFailed
from sco_payment.runtime import Runtime
from sco_payment.settings import Settings

log = logging.getLogger(__name__)

_PRINTER_CHECK_MS = 30_000


class CustomerDisplay:
    """The printer, the tag, the QR display and the screen of one lane.

    Args:
        settings: validated settings.
        presenter: printer, tag and QR display.
        ui: the lane's screen.
        runtime: time and threads; answers of devices and customer become its messages.
        observer: receives each link that is presented, and each fault of the screen.
        note: adds a text to an attempt's timeline (key, or None for no attempt; text; lane time), from any thread.
        payable: whether the attempt with that key may still be presented; called in the device thread.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        presenter: Presenter,
        ui: LaneUI,
        runtime: Runtime[Message],
        observer: Observer,
        note: Callable[[str | None, str, int], None],
        payable: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._presenter = presenter
        self._ui = ui
        self._runtime = runtime
        self._observer = observer
        self._note = note
        self._payable = payable
        self._texts = LANGUAGES[settings.lane.language]
        self._shown: ScreenState | None = None
        self._choosing = threading.Lock()
        self._offered: ScreenState | None = None  # whose buttons the customer may press
        self._scenes = 0  # how many were requested: a slow display shows only the latest
        self._presented: Presentation | None = None
        self._tag_check_at = 0
        self._printer_check_at = 0
        self._encoder_loaded = False
        self._code_on_screen = True
        if presenter.display is not None:
            presenter.display.report = lambda key, text: note(key, text, runtime.now())
            if settings.mode is m.Mode.SCREEN:
                self._code_on_screen = settings.display.qr_on_screen and not isinstance(ui, NoUI)

    # --- presenting a link ------------------------------------------------------------------------------------

    def present(self, state: m.State, link: str, verified: bool) -> None:
        """Present the link by the display mode. `Presented` or `PresentFailed` follows as a message."""
        plan = state.plan
        if not verified:
            log.warning("the acquirer's link cannot be verified; it is presented all the same: %s", link)
        self._observer(LinkAccepted(attempt=plan.key, link=link, verified=verified))

        def work() -> Message | None:
            if not self._payable(plan.key):
                return None  # the devices were busy for so long that the attempt is over
            self._presented = None  # of the customer before
            try:
                presentation = self._presenter.present(plan, link)
                self._presented = presentation
                if presentation.seen and plan.mode is not m.Mode.PRINT and self._payable(plan.key):
                    presentation = self._show_code(state, presentation)
            except Exception as error:  # of a third party's driver or screen; the customer may see the link
                log.exception("presenting failed in an unforeseen way")
                presentation = Presentation(True, f"{unforeseen.describe(error)}; it counts as seen")
            now = self._runtime.now()
            if presentation.seen:
                return plan.key, m.Presented(now, presentation.evidence)
            return plan.key, m.PresentFailed(now, presentation.evidence)

        self._runtime.submit("devices", work)

    def _show_code(self, state: m.State, presentation: Presentation) -> Presentation:
        """The code on the screen is part of presenting in modes 1 and 2; a plate is there without any screen."""
        screen = self._screen_for(state, m.View.PAY, None)
        by_other_means = presentation.tag_ok is True or state.plan.plate_link is not None
        failed: DeviceError | None = None
        try:
            self._draw_screen(screen)
        except DeviceError as error:
            failed = error
            self._screen_failed(state.plan.key, error)
            # A screen may show by itself, when it is back, what it could not show: no code that counts as not seen.
            with suppress(DeviceError):
                self._draw_screen(self._screen_for(state, m.View.WAIT, None))
        if self._presenter.display is not None and state.plan.mode is m.Mode.SCREEN:
            on_screen = failed is None and self._code_on_screen
            sending = self._presenter.display.present(screen, alone=not on_screen)
            by_other_means = sending.may_be_seen
            evidence = f"{presentation.evidence}; {sending.evidence}" if on_screen else sending.evidence
            presentation = Presentation(on_screen or sending.may_be_seen, evidence)
        if failed is None:
            return presentation
        return replace(presentation, seen=by_other_means, evidence=f"{presentation.evidence}; no screen: {failed}")

    def withdraw(self, key: str | None, *, background: bool = False) -> None:
        """Clear the tag and the QR display.

        Args:
            key: of the attempt whose link is cleared; None for whatever a crash has left there.
            background: another attempt may be under way: clear only a link of this one.
        """

        def work() -> None:
            if self._presenter.display is not None:
                self._presenter.display.withdraw(key if background else None)
            problem = self._presenter.withdraw(key if background else None)
            if problem is not None:
                self._note(key, f"the tag was not cleared: {problem}", self._runtime.now())

        self._runtime.submit("devices", work)

    def withdraw_ticket(self, key: str, *, background: bool) -> None:
        """Retract the printed ticket from the printer's output, if nobody took it; arguments as for `withdraw`.

        It takes seconds: request it after the screens that the customer waits for.
        """

        def work() -> None:
            now = self._runtime.now()
            report = self._presenter.withdraw_ticket(key if background else None, now)
            if report is not None:
                self._note(key, report, now)

        if self._presenter.has_printer:
            self._runtime.submit("devices", work)

    # --- between payments -------------------------------------------------------------------------------------

    def enable_tag(self) -> None:
        """See `Lane.enable_tag`."""
        self._presenter.enable_tag()

    def ticket_again(self, state: m.State) -> Ticket | None:
        """See `Lane.ticket_again`."""
        plan, link = state.plan, state.link
        if plan.mode is not m.Mode.PRINT or link is None or not state.presented or not self._payable(plan.key):
            return None
        return self._presenter.ticket_again(plan, link)

    def check_tag(self) -> None:
        """Check the tag if a check is due. Call it between payments."""
        now = self._runtime.now()
        if self._presenter.has_tag and now >= self._tag_check_at:
            self._tag_check_at = now + round(self._settings.timing.tag_check_s * 1000)
            self._runtime.submit("devices", self._presenter.check_tag)

    def check_printer(self) -> None:
        """Check the printer if a check is due. Call it between payments."""
        now = self._runtime.now()
        if self._presenter.has_printer and now >= self._printer_check_at:
            self._printer_check_at = now + _PRINTER_CHECK_MS
            self._runtime.submit("devices", partial(self._presenter.check_printer, now))

    def load_encoder(self) -> None:
        """Load the QR encoder once, so that the first payment does not wait for it. Call it between payments."""
        if not self._encoder_loaded and (self._settings.devices.screen or self._settings.devices.printer):
            self._encoder_loaded = True
            self._runtime.submit("devices", preload)

    # --- the screen -------------------------------------------------------------------------------------------

    def show(self, state: m.State, view: m.View, case: int | None, *, checking: bool) -> None:
        """Show the view of this attempt. Of several that wait for a slow display only the latest is shown.

        `checking`: see `Surroundings`.
        """
        self._show_latest(state.plan.key, lambda: self._screen_for(state, view, case, checking=checking))

    def show_interrupted(self, key: str) -> None:
        """The attempt goes on after an interruption: no code and no button stays on the screen."""
        self._show_latest(key, lambda: ScreenState(m.View.WAIT, self._texts.wait, attempt=key))

    def show_out_of_service(self, key: str) -> None:
        """The journal failed during this attempt: the customer must not pay what cannot be recorded."""
        texts = self._texts
        state = ScreenState(m.View.ATTENDANT, texts.attendant, (texts.out_of_service,), prominent=1, attempt=key)
        self._show_latest(key, lambda: state)
        self.withdraw(None)

    def show_idle(self, key: str) -> None:
        """The outcome of this attempt was shown for long enough. Something else that is there by now stays."""
        latest = self._scenes

        def work() -> None:
            shown = self._shown
            if latest != self._scenes or shown is None or shown.attempt != key:
                return
            try:
                self._draw(idle_screen(self._texts))
            except DeviceError as error:
                self._screen_failed(key, error)

        self._runtime.submit("devices", work)

    def _show_latest(self, key: str, make: Callable[[], ScreenState]) -> None:
        self._scenes += 1
        latest = self._scenes

        def work() -> None:
            if latest != self._scenes:
                return
            try:
                self._draw(make())
            except DeviceError as error:
                self._screen_failed(key, error)

        self._runtime.submit("devices", work)

    def _screen_failed(self, key: str, error: DeviceError) -> None:
        log.error("the screen failed: %s", error)
        self._observer(ScreenFailed(attempt=key, detail=str(error)))

    def _draw(self, screen: ScreenState) -> None:
        try:
            self._draw_screen(screen)
        finally:
            if self._presenter.display is not None:
                self._presenter.display.show(screen)

    def _draw_screen(self, screen: ScreenState) -> None:
        if not self._code_on_screen:
            screen = replace(screen, link=None)
        if self._shown == screen and screen.view is not m.View.DIALOG:  # an answered dialog has lost its buttons
            return
        self._shown = None  # if this fails, what is on the screen is unknown
        with self._choosing:
            self._offered = screen  # also if it fails: another screen may show it, or this one later
        self._ui.show(screen)
        self._shown = screen

    def _screen_for(self, state: m.State, view: m.View, case: int | None, *, checking: bool = False) -> ScreenState:
        around = Surroundings(
            expires_at_ms=self._deadline_ms(state.plan),
            case=case,
            checking=checking,
            qr_with_plate=self._settings.display.qr_with_plate,
            tag_ok=None if self._presented is None else self._presented.tag_ok,
        )
        return screen_of(self._texts, state, view, around)

    def _deadline_ms(self, plan: m.Plan) -> int:
        """To the whole second, so that the same screen is equal when it is requested twice."""
        return round(self._runtime.wall(plan.expires_at_ms)) * 1000

    # --- the customer's choice --------------------------------------------------------------------------------

    def choose(self, key: str, button: str) -> bool:
        """See `Lane.choose`. Each screen takes one choice."""
        with self._choosing:
            offered = self._offered
            accepted = offered is not None and offered.attempt == key and offered.offers(button)
            if accepted:
                self._offered = None
        if not accepted:
            log.info("the choice %r for attempt %s is ignored: the screen does not offer it now", button, key)
            return False
        now = self._runtime.now()
        self._runtime.post((key, m.Retry(now) if button == RETRY else m.CancelWanted(now)))
        return True

    # --- end --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Release the devices and the screen, each of them also when another one raises."""
        with ExitStack() as closing:  # the last one named is the first one closed
            closing.callback(self._ui.close)
            closing.callback(self._presenter.close)
