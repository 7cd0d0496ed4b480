"""A lane under test: settings, virtual devices, the simulated PayMaster and a customer, on simulated time."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from sco_payment.assemble import bind_screen, open_lane, screen_ui
from sco_payment.attempt import Message, Phase, View
from sco_payment.customer.ui import Choose, LaneUI, ScreenState
from sco_payment.events import LaneEvent, StateChanged
from sco_payment.lane import Lane
from sco_payment.order import Order, Result
from sco_payment.paymaster.token import Token
from sco_payment.settings import TOKEN_VARIABLE, Settings
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.testing.bank import BenchPayMaster
from sco_sim.testing.clock import BenchRuntime, BenchTime
from sco_sim.testing.devices import BenchDisplay, BenchPrinter, BenchScreen, BenchTag, BenchTouch, codes_in

_TAP_S = 20.0
Act = Callable[[], object]
Answer = str | Act
"""What is done at a dialog: `"retry"` or `"cancel"` for the button to tap, or a function of the test's own, for example
one that presses a button on the integrator's screen."""


class _Watched:
    """The lane's UI, remembering what was shown."""

    def __init__(self, inner: LaneUI) -> None:
        self._inner = inner
        self.shown: list[ScreenState] = []

    def bind(self, choose: Choose) -> None:
        bind_screen(self._inner, choose)

    def show(self, state: ScreenState) -> None:
        self._inner.show(state)
        self.shown.append(state)

    def close(self) -> None:
        self._inner.close()


class LaneBench:
    """One self-checkout under test; `pay` takes a payment on it.

    The lane is the one that ships, opened from settings. By default its screen is ours, on the virtual screen and
    panel; `open(ui=...)` puts an integrator's own in its place.

    Args:
        folder: for the journal.
        paymaster: the bank, on `clock`.
        clock: the bench's time.
        printer, tag, screen, touch, display: the lane's devices; None for one that it does not have.
        sections: settings over the bench's own, e.g. `{"display": {"mode": 0}}`.
    """

    def __init__(
        self,
        folder: Path,
        paymaster: BenchPayMaster,
        clock: BenchTime,
        *,
        printer: BenchPrinter | None = None,
        tag: BenchTag | None = None,
        screen: BenchScreen | None = None,
        touch: BenchTouch | None = None,
        display: BenchDisplay | None = None,
        sections: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> None:
        self.paymaster = paymaster
        self.printer, self.tag, self.screen, self.touch, self.display = printer, tag, screen, touch, display
        self._folder = folder
        self._clock = clock
        self._sections = dict(sections or {})
        self._numbers = itertools.count(1)
        self._runtime: BenchRuntime[Message] | None = None
        self._lane: Lane | None = None
        self._ui: _Watched | None = None
        self._own_ui: LaneUI | None = None
        self._attempt: str | None = None
        self._phase: Phase | None = None
        self._acted_in: set[Phase] = set()
        self._when_payable: Callable[[str], object] | None = None
        self._customer: Callable[[str], object] | None = None
        self._answers: list[Answer] = []

    # --- the lane ---------------------------------------------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """The settings of the lane, for code of your own that opens it."""
        return settings_from_mapping(self.document, {TOKEN_VARIABLE: self.paymaster.token}, source="lane on the bench")

    @property
    def document(self) -> dict[str, dict[str, Any]]:
        """The same as TOML would give it."""
        devices = {
            "printer": f"{self.printer.url}?write_s=3&done_s=10" if self.printer else "",
            "nfc": self.tag.url if self.tag else "",
            "screen": self.screen.url if self.screen else "",
            "touch": self.touch.url if self.touch else "",
            "display": self.display.url if self.display else "",
        }
        found: dict[str, dict[str, Any]] = {
            "lane": {"pos_id": "BENCH-1", "shop": "Магазин на стенде"},
            "paymaster": self.paymaster.settings(),
            "timing": {"invoice_life_s": 120.0, "poll_timeout_s": 30.0, "grace_s": 60.0},
            "devices": devices,
            "journal": {"path": str(self._folder / "journal.db")},
        }
        for name, values in self._sections.items():
            found[name] = found.get(name, {}) | dict(values)
        return found

    def open(self, *, ui: LaneUI | None = None) -> Lane:
        """Open the lane, with an integrator's own screen if given. `pay` does it when it has not been done.

        Raises:
            SettingsError: the test's settings cannot be used.
        """
        assert self._lane is None, "the lane is already open: close() it, or use restart()"
        self._own_ui = ui
        settings = self.settings
        self._ui = _Watched(screen_ui(settings) if ui is None else ui)
        self._runtime = BenchRuntime(self._clock, self._at_rest)
        self._lane = open_lane(
            settings,
            ui=self._ui,
            runtime=self._runtime,
            observer=self._observe,
            token=Token(self.paymaster.token),
        )
        return self._lane

    @property
    def lane(self) -> Lane:
        """The lane itself, opened if need be."""
        return self.open() if self._lane is None else self._lane

    def close(self) -> None:
        """Close the lane; the bank and the devices stay."""
        if self._lane is not None:
            self._lane.close()
            self._lane = None

    def restart(self) -> Lane:
        """The lane's process ends and starts again with the same journal and the same screen."""
        self.close()
        return self.open(ui=self._own_ui)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    # --- paying -----------------------------------------------------------------------------------------------------

    def pay(
        self,
        kopecks: int,
        *,
        order: str | None = None,
        tendered_elsewhere: int = 0,
        deliver: Callable[[Result], None] | None = None,
        acknowledge_later: bool = False,
    ) -> Result:
        """Take one payment. Returns when the customer has an outcome; the screen shows it by then.

        Args:
            kopecks: the order's total.
            order: its number; a new one when None.
            tendered_elsewhere: what legs by other means have paid, in kopecks; for SBP legs see `pay_order`.
            deliver, acknowledge_later: see `Lane.pay`.

        Raises:
            PaymentRefused: it may not begin.
        """
        return self.pay_order(
            Order(order or f"bench-{next(self._numbers)}", kopecks, tendered_elsewhere),
            deliver=deliver,
            acknowledge_later=acknowledge_later,
        )

    def pay_order(
        self,
        order: Order,
        *,
        deliver: Callable[[Result], None] | None = None,
        acknowledge_later: bool = False,
    ) -> Result:
        """As `pay`, for an `Order`."""
        result = self.lane.pay(order, deliver=deliver, acknowledge_later=acknowledge_later)
        self._settle()
        return result

    def recover(self) -> list[Result]:
        """Follow every open attempt to its end, as `sco-pay recover --follow` does."""
        results = self.lane.recover(follow=True)
        self._settle()
        return results

    def let_time_pass(self, seconds: float) -> None:
        """Let simulated time pass, with all that was planned for it; the lane watches open attempts meanwhile."""
        lane, end = self.lane, self._clock.now() + round(seconds * 1000)
        while self._clock.now() < end:
            self._clock.advance(min(end, self._clock.now() + 1000))
            lane.run_pending()
            self._settle()
            lane.run_pending()

    def _settle(self) -> None:
        if self._runtime is not None:
            self._runtime.settle()

    # --- the customer -----------------------------------------------------------------------------------------------

    def when_payable(self, action: Callable[[str], object]) -> None:
        """Call `action` with the link as soon as the lane waits for the customer and is idle. Time does not pass.

        It applies to every payment until another one is given. What the customer does (`customer_...`) comes after it.
        """
        self._when_payable = action

    def after(self, seconds: float, action: Act) -> None:
        """Call `action` when that much simulated time has passed."""
        self._clock.after(seconds, lambda: _ignored(action()))

    def customer_pays(self, *, after_s: float = 0.0) -> None:
        """The customer scans what the lane presents (paper, screen or tag, by the display mode) and pays."""
        self._customer = lambda link: self.after(after_s, lambda: self.paymaster.phone.pay(link))

    def customer_declines(self, *, after_s: float = 0.0) -> None:
        """The customer scans, and declines in the bank's app."""
        self._customer = lambda link: self.after(after_s, lambda: self.paymaster.phone.decline(link))

    def customer_pays_while_the_network_fails(self) -> None:
        """The hard case: the lane's network fails, then the customer pays."""

        def pay(link: str) -> None:
            self.paymaster.goes_offline()
            self.paymaster.phone.pay(link)

        self._customer = pay

    def customer_cancels(self) -> None:
        """The customer taps «Отменить» while the code is on the screen."""
        self._customer = lambda link: self.tap("cancel")

    def at_dialog(self, *answers: Answer) -> None:
        """What is done at each dialog «Повторить / Отменить», in order; further dialogs stay unanswered.

        `"retry"` and `"cancel"` tap the virtual panel; a function is called.
        """
        self._answers = list(answers)

    def scan(self) -> str | None:
        """What a customer's phone reads of the lane now, by the display mode; None for nothing."""
        mode = self.lane.settings.display.mode
        if mode == 0:
            tickets = self.printer.tickets if self.printer is not None else []
            found = codes_in(tickets[-1].image()) if tickets else []
            return found[0] if len(found) == 1 else None
        if mode == 2 and self.tag is not None:
            return self.tag.link or None
        if self.display is not None and not self.lane.settings.display.qr_on_screen:
            return self.display.code
        if self._own_ui is not None:
            links = [state.link for state in self.shown if state.link]
            return links[-1] if links else None
        return self.screen.code if self.screen is not None else None

    def _observe(self, event: LaneEvent) -> None:
        if not isinstance(event, StateChanged):
            return
        if event.phase is Phase.CREATING:
            self._attempt = event.attempt
            self._acted_in.clear()
        if event.attempt == self._attempt:  # not one that is watched in the background
            self._phase = event.phase
            self._acted_in.discard(Phase.ASKING)  # each dialog is a new one

    def _at_rest(self) -> bool:
        """Everything is idle: the customer's turn, once a phase."""
        if self._phase is None or self._phase in self._acted_in:
            return False
        actions = [action for action in (self._when_payable, self._customer) if action is not None]
        if self._phase is Phase.WAITING and actions:
            self._acted_in.add(Phase.WAITING)
            link = self.scan()
            assert link is not None, "the lane waits for the customer, but there is no link to be seen"
            for action in actions:
                action(link)
            return True
        if self._phase is Phase.ASKING and self._answers:
            self._acted_in.add(Phase.ASKING)
            self._answer(self._answers.pop(0))
            return True
        return False

    def _answer(self, answer: Answer) -> None:
        if isinstance(answer, str):
            self.tap(answer)
        else:
            answer()

    def tap(self, action: str) -> None:
        """Tap a button on the virtual panel, and wait until the lane has received it."""
        assert self._own_ui is None, f"press {action!r} on your own screen: give a function in place of the word"
        assert self.touch is not None, "the lane has no touch panel"
        assert self._runtime is not None
        before = self._runtime.posted
        with self._runtime.standing_still():
            self.touch.tap_button(action)
            assert self._runtime.wait_posted(before + 1, _TAP_S), f"the lane did not receive the tap on {action!r}"

    # --- what was seen ----------------------------------------------------------------------------------------------

    @property
    def shown(self) -> list[ScreenState]:
        """Every state of the customer's screen, in order."""
        return [] if self._ui is None else self._ui.shown

    @property
    def headlines(self) -> list[str]:
        """The headline of each."""
        return [one.headline for one in self.shown]

    def assert_shown(self, *headlines: str) -> None:
        """These headlines were shown, in this order, whatever was shown between them."""
        rest = iter(self.headlines)
        for headline in headlines:
            assert headline in rest, f"expected {headline!r} on the screen in this order; shown: {self.headlines}"

    def assert_never_asked(self) -> None:
        """No dialog was shown."""
        asked = [state.headline for state in self.shown if state.view is View.DIALOG]
        assert not asked, f"expected no dialog, found {asked}"

    def assert_no_case(self) -> None:
        """No case is open: nothing waits for an operator's decision."""
        cases = [f"{case.number}: {case.reason}" for case in self.lane.journal.cases()]
        assert not cases, f"expected no open case, found {cases}"

    def assert_case(self, reason: str) -> None:
        """Exactly one case is open, for that reason, e.g. `cancel_unanswered`."""
        reasons = [case.reason for case in self.lane.journal.cases()]
        assert reasons == [reason], f"expected one case {reason!r}, found {reasons}"


def _ignored(value: object) -> None:
    """Drop the result of a planned action."""
