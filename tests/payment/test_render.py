"""The picture of a `ScreenState` is the picture of the lane's own screen."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest

from sco_drivers import DeviceError, open_screen
from sco_hwtest.contracts.screen import decoded, look
from sco_payment import Button, ScreenState, View, render
from sco_payment.customer.texts import LANGUAGES, RUSSIAN
from sco_payment.customer.ui import ScreenUI
from sco_payment.devices import ReopeningDevice

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
BUTTONS = (Button("retry", RUSSIAN.retry, primary=True), Button("cancel", RUSSIAN.cancel))
STATES = (
    ScreenState(View.WAIT, RUSSIAN.wait),
    ScreenState(View.PAY, RUSSIAN.pay, amount_kopecks=25300, link=LINK, buttons=BUTTONS[1:]),
    ScreenState(View.PAY, RUSSIAN.pay, lines=(RUSSIAN.scan_plate,), plate=True),
    ScreenState(View.DIALOG, RUSSIAN.dialog, amount_kopecks=25300, buttons=BUTTONS),
    ScreenState(View.ATTENDANT, RUSSIAN.attendant, case=12),
    ScreenState(View.PAID, RUSSIAN.paid, amount_kopecks=25300),
    ScreenState(View.UNPAID, RUSSIAN.unpaid),
)


@pytest.mark.parametrize("size", [(1024, 768), (480, 800), (799, 481)])
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("state", STATES, ids=lambda state: f"{state.view.value}-{state.plate}")
def test_it_is_what_the_screen_shows(state: ScreenState, language: str, size: tuple[int, int]) -> None:
    picture = render(state, size, language)
    assert (picture.size, picture.mode) == (size, "RGB")
    if state.view is View.WAIT:  # turns
        return
    with open_screen(f"sim://?size={size[0]}x{size[1]}&format=xrgb8888") as screen:
        ui = ScreenUI(ReopeningDevice(lambda: screen), (), LANGUAGES[language])
        ui.show(state)
        assert picture.tobytes() == look(screen).tobytes()
        ui.close()


def test_a_phone_reads_its_code_and_the_countdown_goes_on() -> None:
    ends_at_ms = round((time.time() + 100) * 1000)
    state = ScreenState(View.PAY, RUSSIAN.pay, link=LINK, expires_at_ms=ends_at_ms)
    picture = render(state)
    assert decoded(picture) == [LINK]
    later = ScreenState(View.PAY, RUSSIAN.pay, link=LINK, expires_at_ms=ends_at_ms - 60_000)
    assert render(later).tobytes() != picture.tobytes()


def test_the_spinner_is_drawn() -> None:
    assert len(render(STATES[0], (640, 480)).getcolors(1 << 16) or []) > 40


@pytest.mark.parametrize("size", [(0, 480), (800, -1), (800, 480.0), (800,), (1 << 20, 480), ("800", "480")])
def test_a_size_that_is_no_size(size: object) -> None:
    with pytest.raises(ValueError, match="must be width and height"):
        render(STATES[0], size)  # type: ignore[arg-type]


def test_what_does_not_fit_and_an_unknown_language() -> None:
    with pytest.raises(DeviceError, match="use a larger size"):
        render(STATES[1], (40, 30))
    with pytest.raises(ValueError, match="language = 'de': must be one of ru, en"):
        render(STATES[0], language="de")


def test_nothing_is_loaded_for_it_before_it_is_used() -> None:
    code = "import sys, sco_payment; sco_payment.render; print(sorted({'PIL', 'segno'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
