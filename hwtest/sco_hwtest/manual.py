"""Taps by the operator: the screen shows two buttons, and the panel must report each tap on the right one."""

from __future__ import annotations

import queue
import time

from sco_drivers import open_screen, open_touch
from sco_drivers.screen import Scene, Screen
from sco_drivers.touch import Tap
from sco_hwtest.contracts.screen import CANCEL, RETRY
from sco_hwtest.questions import Answer, Operator, Question
from sco_hwtest.results import CheckResult, DeviceReport, Verdict

WAIT_S = 30.0
_BUTTONS = {"retry": "Повторить", "cancel": "Отменить"}
TAPS = tuple(
    (f"tap-{action}", f"A tap of the operator on «{label}» is reported on that button.")
    for action, label in _BUTTONS.items()
)
"""Name and meaning of each check."""
READY = Question("ready-to-tap", "The screen will show two buttons to tap, one after the other. Are you at the panel?")


def tap_the_buttons(report: DeviceReport, screen_url: str, operator: Operator, *, wait_s: float = WAIT_S) -> None:
    """Show the dialog, wait for a tap on each button, and add a check for each.

    Raises:
        DeviceError: screen or panel cannot be opened.
    """
    if operator(READY) is not Answer.YES:
        report.checks += [
            CheckResult(name, what, Verdict.NOT_ANSWERED, found="no answer", asked=True) for name, what in TAPS
        ]
        return
    with open_screen(screen_url) as screen, open_touch(report.url) as touch:
        taps: queue.Queue[Tap | Exception] = queue.Queue()
        touch.start(screen.size, taps.put, taps.put)
        for (action, label), (name, what) in zip(_BUTTONS.items(), TAPS, strict=True):
            start = time.perf_counter()
            found = _one(screen, taps, action, label, wait_s)
            report.checks.append(
                CheckResult(
                    name,
                    what,
                    Verdict.FAILED if found else Verdict.PASSED,
                    time.perf_counter() - start,
                    found,
                    "set rotate=, swap_xy=, flip_x= or calibration= in the panel's URL" if found else "",
                    asked=True,
                )
            )


def _one(screen: Screen, taps: queue.Queue[Tap | Exception], action: str, label: str, wait_s: float) -> str:
    """What was wrong with the tap; empty if it hit the button."""
    screen.show(Scene(f"tap-{action}", f"Нажмите «{label}»", (f"Tap «{label}»",), buttons=(RETRY, CANCEL)))
    try:
        tap = taps.get(timeout=wait_s)
    except queue.Empty:
        return f"no tap came in {wait_s:.0f} s"
    if isinstance(tap, Exception):
        return str(tap)
    hit = screen.button_at(tap.x, tap.y, tap.pressed_at)
    if hit == action:
        return ""
    return f"it was reported at {tap.x}, {tap.y}, " + (
        f"on «{_BUTTONS[hit]}»" if hit in _BUTTONS else "outside the button"
    )
