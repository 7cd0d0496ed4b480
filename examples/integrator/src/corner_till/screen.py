"""The shop's own screen. Here it is text; yours may be Qt, a browser, or a customer display."""

from __future__ import annotations

from collections.abc import Callable

from sco_payment.customer.ui import Choice, Dialog, ScreenState
from sco_payment.money import format_amount

CANCEL = "Отменить"


class TillScreen:
    """A `sco_payment.customer.ui.LaneUI`. Calls come from one thread and must return soon.

    Attributes:
        lines: what the customer reads now.
        code: what the QR code on the screen says; None for none.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.code: str | None = None
        self._buttons: dict[str, Callable[[], None]] = {}

    def show(self, screen: ScreenState) -> None:
        """Draw the lane's screen."""
        sum_to_pay = [] if screen.kopecks is None else [format_amount(screen.kopecks)]
        case = [] if screen.case is None else [f"Обращение № {screen.case}"]
        self.lines = [screen.headline, *screen.lines, *sum_to_pay, *case]
        self.code = screen.link
        self._buttons = {} if screen.cancel is None else {CANCEL: screen.cancel}

    def ask(self, dialog: Dialog, answer: Callable[[Choice], None]) -> None:
        """Draw the dialog; the answer comes when a button is pressed."""
        self.lines = [dialog.headline, format_amount(dialog.kopecks)]
        self.code = None
        self._buttons = {
            dialog.retry: lambda: answer(Choice.RETRY),
            dialog.cancel: lambda: answer(Choice.CANCEL),
        }

    def close(self) -> None:
        """The lane is done with the screen."""
        self.lines, self.code, self._buttons = [], None, {}

    @property
    def buttons(self) -> list[str]:
        """The buttons that stand on the screen."""
        return list(self._buttons)

    def press(self, label: str) -> None:
        """The customer presses a button.

        Raises:
            KeyError: there is no such button.
        """
        self._buttons[label]()
