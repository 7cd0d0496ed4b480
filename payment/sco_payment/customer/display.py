"""What stands before the customer: the ticket, the code or the tag, and the screen's scenes; and that it goes again.

All of it is done in the runtime's thread of devices, in the order in which it was asked for. Which text and which
button belong to which state is known here; what happens to the money is not decided here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from sco_drivers.errors import DeviceError
from sco_payment import attempt as m
from sco_payment.attempt import Message
from sco_payment.customer.presenter import Presentation, Presenter
from sco_payment.customer.texts import LANGUAGES
from sco_payment.customer.ui import Choice, Dialog, LaneUI, ScreenState
from sco_payment.events import Observer
from sco_payment.runtime import Runtime
from sco_payment.settings import Settings

log = logging.getLogger(__name__)

_PRINTER_CHECK_MS = 30_000
_CANCELLABLE = frozenset({m.Phase.CREATING, m.Phase.PRESENTING, m.Phase.WAITING})


class CustomerDisplay:
    """The printer, the tag and the screen of one lane, as its customer meets them.

    Args:
        settings: validated settings.
        presenter: printer and tag.
        ui: the lane's screen.
        runtime: time and threads; what devices and the customer answer become its messages.
        observer: is told of each link that is presented, and of a screen that fails.
        remark: puts a text on an attempt's timeline (key, or None for no attempt's; text; lane time), from any thread.
        payable: whether the attempt of a key may still be put before its customer; from the thread of devices.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        presenter: Presenter,
        ui: LaneUI,
        runtime: Runtime[Message],
        observer: Observer,
        remark: Callable[[str | None, str, int], None],
        payable: Callable[[str], bool],
    ) -> None:
        self._settings = settings
        self._presenter = presenter
        self._ui = ui
        self._runtime = runtime
        self._observer = observer
        self._remark = remark
        self._payable = payable
        self._texts = LANGUAGES[settings.lane.language]
        self._shown: tuple[str, ScreenState, bool] | None = None
        self._scenes = 0  # how many were asked for: a slow display shows the latest one only
        self._presented: Presentation | None = None
        self._tag_check_at = 0
        self._printer_check_at = 0

    # --- presenting a link ------------------------------------------------------------------------------------

    def present(self, state: m.State, link: str, verified: bool) -> None:
        """Put the link before the customer by the display mode; `Presented` or `PresentFailed` comes of it."""
        plan = state.plan
        if not verified:
            log.warning("the bank's link cannot be verified and is presented all the same: %s", link)
        self._observer("link", {"attempt": plan.key, "link": link, "verified": verified})

        def work() -> Message | None:
            if not self._payable(plan.key):
                return None  # the devices were busy for so long that it is over
            self._presented = None  # of the customer before
            try:
                presentation = self._presenter.present(plan, link)
                self._presented = presentation
                if presentation.seen and plan.mode is not m.Mode.PRINT and self._payable(plan.key):
                    presentation = self._put_on_screen(replace(state, phase=m.Phase.WAITING), presentation)
            except Exception as error:  # of a driver or screen of somebody else's; the customer may see the link
                log.exception("presenting failed in an unforeseen way")
                presentation = Presentation(True, f"unforeseen: {type(error).__name__}; it counts as seen")
            now = self._runtime.now()
            if presentation.seen:
                return plan.key, m.Presented(now, presentation.evidence)
            return plan.key, m.PresentFailed(now, presentation.evidence)

        self._runtime.submit("devices", work)

    def _put_on_screen(self, state: m.State, presentation: Presentation) -> Presentation:
        """The code on the screen is part of presenting in modes 1 and 2; a plate is there without any screen."""
        try:
            self._draw(state, self._screen_for(state, m.View.PAY, None))
        except DeviceError as error:
            log.error("the screen failed: %s", error)
            by_other_means = presentation.tag_ok is True or state.plan.plate_link is not None
            return replace(presentation, seen=by_other_means, evidence=f"{presentation.evidence}; no screen: {error}")
        return presentation

    def withdraw(self, key: str | None, *, background: bool = False) -> None:
        """Clear the tag.

        Args:
            key: of the attempt that it is cleared for; None for whatever a crash has left there.
            background: another attempt may be under way: only a link of this one is cleared.
        """

        def work() -> None:
            problem = self._presenter.withdraw(key if background else None)
            if problem is not None:
                self._remark(key, f"the tag was not cleared: {problem}", self._runtime.now())

        self._runtime.submit("devices", work)

    # --- between payments -------------------------------------------------------------------------------------

    def enable_tag(self) -> None:
        """See `Lane.enable_tag`."""
        self._presenter.enable_tag()

    def look_at_tag(self) -> None:
        """Now and then, between payments."""
        now = self._runtime.now()
        if self._presenter.has_tag and now >= self._tag_check_at:
            self._tag_check_at = now + round(self._settings.timing.tag_check_s * 1000)
            self._runtime.submit("devices", self._presenter.check_tag)

    def look_at_printer(self) -> None:
        """Now and then, between payments."""
        now = self._runtime.now()
        if self._presenter.has_printer and now >= self._printer_check_at:
            self._printer_check_at = now + _PRINTER_CHECK_MS
            self._runtime.submit("devices", self._presenter.check_printer)

    # --- the screen -------------------------------------------------------------------------------------------

    def show(self, state: m.State, view: m.View, case: int | None) -> None:
        """Show the view of this state; of several that wait for a slow display, the last one only."""
        self._scenes += 1
        latest = self._scenes

        def work() -> None:
            if latest != self._scenes:
                return
            try:
                if view is m.View.DIALOG:
                    self._ask_customer(state)
                else:
                    self._draw(state, self._screen_for(state, view, case))
            except DeviceError as error:
                log.error("the screen failed: %s", error)
                self._observer("note", {"attempt": state.plan.key, "text": f"the screen failed: {error}"})

        self._runtime.submit("devices", work)

    def stop_asking(self, state: m.State) -> None:
        """The journal failed in mid-payment: nobody shall be asked to pay what cannot be written down."""
        screen = ScreenState(m.View.ATTENDANT, self._texts.attendant, (self._texts.out_of_service,))
        self._scenes += 1

        def work() -> None:
            try:
                self._draw(state, screen)
            except DeviceError as error:
                log.error("the screen failed: %s", error)

        self._runtime.submit("devices", work)
        self.withdraw(None)

    def _draw(self, state: m.State, screen: ScreenState) -> None:
        shown = (state.plan.key, replace(screen, cancel=None), screen.cancel is not None)
        if self._shown == shown:
            return
        self._shown = None  # where it fails, nobody knows what stands
        self._ui.show(screen)
        self._shown = shown

    def _ask_customer(self, state: m.State) -> None:
        key, texts, plan = state.plan.key, self._texts, state.plan
        cancel = self._canceller(key)

        def answer(choice: Choice) -> None:
            if choice is Choice.RETRY:
                self._runtime.post((key, m.Retry(self._runtime.now())))
            else:
                cancel()

        self._shown = None
        self._ui.ask(
            Dialog(texts.dialog, texts.retry, texts.cancel, plan.kopecks, self._deadline(plan)),
            answer,
        )

    def _screen_for(self, state: m.State, view: m.View, case: int | None) -> ScreenState:
        texts, plan = self._texts, state.plan
        cancel = self._canceller(plan.key) if state.phase in _CANCELLABLE else None
        if view is m.View.PAY:
            headline, lines, link = self._how_to_pay(state)
            return ScreenState(view, headline, lines, plan.kopecks, link, self._deadline(plan), cancel=cancel)
        if view is m.View.ATTENDANT:
            return ScreenState(view, texts.attendant, kopecks=plan.kopecks, case=case)
        headline = {m.View.WAIT: texts.wait, m.View.PAID: texts.paid, m.View.UNPAID: texts.unpaid}[view]
        return ScreenState(view, headline, kopecks=plan.kopecks if view is m.View.PAID else None, cancel=cancel)

    def _how_to_pay(self, state: m.State) -> tuple[str, tuple[str, ...], str | None]:
        """Headline, further lines and the code, by display mode; the texts are the mission's."""
        texts, mode = self._texts, state.plan.mode
        if mode is m.Mode.PRINT:
            return texts.wait, (texts.scan_ticket,), None
        if mode is m.Mode.SCREEN:
            return texts.pay, (), state.link
        link = state.link if self._settings.display.qr_with_plate else None
        if self._presented is not None and self._presented.tag_ok is False:
            return texts.pay, ((texts.use_qr,) if link or state.plan.plate_link else ()), link
        return texts.pay, (() if link else (texts.scan_plate,)), link

    def _deadline(self, plan: m.Plan) -> float:
        """To the whole second, so that the same screen is the same when asked for twice."""
        return float(round(self._runtime.wall(plan.expires_at_ms)))

    def _canceller(self, key: str) -> Callable[[], None]:
        return lambda: self._runtime.post((key, m.CancelWanted(self._runtime.now())))

    # --- end --------------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Give the devices and the screen back, each of them also when another one raises at that."""
        with ExitStack() as closing:  # the last one named is the first one closed
            closing.callback(self._ui.close)
            closing.callback(self._presenter.close)
