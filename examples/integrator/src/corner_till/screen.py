"""The shop's own screen. Here it is text; yours may be Qt, a browser, or a customer display."""

from __future__ import annotations

from collections.abc import Callable

from sco_payment import ScreenState


class TillScreen:
    """A `sco_payment.LaneUI`. Calls come from one thread and must return soon.

    Attributes:
        lines: what the customer reads now.
        code: what the QR code on the screen says; None for none.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.code: str | None = None
        self._attempt = ""
        self._buttons: dict[str, str] = {}  # id by text
        self._choose: Callable[[str, str], bool] | None = None

    def bind(self, choose: Callable[[str, str], bool]) -> None:
        """Called with `Lane.choose` when the lane is opened."""
        self._choose = choose

    def show(self, state: ScreenState) -> None:
        """Draw the lane's screen."""
        amount = [state.amount_text] if state.amount_text else []
        case = [state.case_text] if state.case_text else []
        self.lines = [state.headline, *state.lines, *amount, *case]
        if state.status:
            self.lines.append(state.status)
        self.code = state.link
        self._attempt, self._buttons = state.attempt, {button.text: button.id for button in state.buttons}

    def close(self) -> None:
        """The lane no longer uses the screen."""
        self.lines, self.code, self._buttons = [], None, {}

    @property
    def buttons(self) -> list[str]:
        """The texts of the buttons on the screen."""
        return list(self._buttons)

    def press(self, text: str) -> None:
        """The customer presses a button.

        Raises:
            KeyError: there is no such button.
        """
        assert self._choose is not None, "no lane has been opened with this screen"
        self._choose(self._attempt, self._buttons[text])
