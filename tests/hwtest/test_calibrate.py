"""However a touch panel is mounted on its display, taps on the crosses shown there find it out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from click.testing import CliRunner

from sco_drivers.errors import TouchError
from sco_drivers.registry import open_screen, open_touch
from sco_hwtest import calibrate
from sco_hwtest.cli.screen import screen_group
from sco_hwtest.contracts.touch import TouchBench, taps_are_where_the_finger_is
from sco_sim.screen import VirtualScreen
from sco_sim.touch import VirtualTouch

pytestmark = pytest.mark.usefixtures("idle_time")

Turn = Callable[[float, float], tuple[float, float]]

MOUNTS: dict[str, Turn] = {
    "as it should": lambda u, v: (u, v),
    "mirrored": lambda u, v: (1 - u, v),
    "upside down": lambda u, v: (1 - u, 1 - v),
    "on its side": lambda u, v: (v, 1 - u),
    "swapped": lambda u, v: (v, u),
    "larger than the display": lambda u, v: (0.1 + 0.8 * u, 0.15 + 0.7 * v),
    "askew": lambda u, v: (0.1 + 0.8 * u + 0.05 * v, 0.12 + 0.75 * v),
}
GLUED: dict[int, Turn] = {
    0: lambda u, v: (u, v),
    90: lambda u, v: (1 - v, u),
    270: lambda u, v: (v, 1 - u),
}


def follow(monitor: VirtualScreen, finger: VirtualTouch, stop: threading.Event, *, miss: int = 0) -> None:
    """The operator: sees a cross, taps its middle, and waits for the next one."""
    last, taps = None, 0
    while not stop.wait(0.03):
        image = monitor.image().convert("L") if monitor.frames else None
        box = image.point([255] * 100 + [0] * 156).getbbox() if image is not None else None
        if box is None or box == last or box[2] - box[0] > 80:
            continue
        time.sleep(0.1)  # longer than a bounce
        taps += 1
        finger.tap((box[0] + box[2] - 1) // 2 + (miss if taps == 3 else 0), (box[1] + box[3] - 1) // 2)
        last = box


@pytest.mark.parametrize("rotate", GLUED)
@pytest.mark.parametrize("mount", MOUNTS)
def test_every_mounting_is_calibrated(mount: str, rotate: int) -> None:
    size = (800, 480) if rotate == 0 else (480, 800)
    stop = threading.Event()
    with (
        VirtualScreen((800, 480), rotate=rotate) as monitor,
        VirtualTouch(size, turn=lambda u, v: MOUNTS[mount](*GLUED[rotate](u, v))) as finger,
        open_screen(monitor.url) as screen,
    ):
        operator = threading.Thread(target=follow, args=(monitor, finger, stop))
        operator.start()
        progress: list[str] = []
        try:
            found = calibrate.calibrate(screen, f"{finger.url}&flip_x=1&debounce_ms=50", progress.append, wait_s=20)
        finally:
            stop.set()
            operator.join()
        assert len(progress) == 5
        assert found.error < 0.01
        assert ("calibration=" in found.url) == (mount in ("larger than the display", "askew"))
        assert "debounce_ms=50" in found.url
        with open_touch(found.url) as touch:
            taps_are_where_the_finger_is(TouchBench(touch, finger, slack=3))


KEPT = ("debounce_ms=50", "pressure=7", "median=1", "skip=0")


def test_what_is_not_of_the_mounting_is_kept() -> None:
    """A panel that needs it cannot be calibrated without it, and cannot be used by a URL that has lost it."""
    stop = threading.Event()
    with (
        VirtualScreen((800, 480)) as monitor,
        VirtualTouch((800, 480), turn=lambda u, v: (1 - u, v)) as finger,
        open_screen(monitor.url) as screen,
    ):
        operator = threading.Thread(target=follow, args=(monitor, finger, stop))
        operator.start()
        given = "&".join((finger.url, "swap_xy=1", *KEPT))
        try:
            found = calibrate.calibrate(screen, given, lambda words: None, wait_s=20)
        finally:
            stop.set()
            operator.join()
    assert found.url == "&".join((finger.url, *KEPT, "flip_x=1"))


def test_missed_crosses_and_missing_taps_are_reported() -> None:
    stop = threading.Event()
    with (
        VirtualScreen((800, 480)) as monitor,
        VirtualTouch((800, 480)) as finger,
        open_screen(monitor.url) as screen,
    ):
        with pytest.raises(TouchError, match="no tap came"):
            calibrate.calibrate(screen, finger.url, lambda words: None, wait_s=0.2)
        operator = threading.Thread(target=follow, args=(monitor, finger, stop), kwargs={"miss": -200})
        screen.mark(400, 240)
        operator.start()
        try:
            with pytest.raises(TouchError, match="the taps do not fit"):
                calibrate.calibrate(screen, finger.url, lambda words: None, wait_s=20)
        finally:
            stop.set()
            operator.join()


@pytest.mark.parametrize("spy", ["", "spy+"])
def test_the_command_prints_the_setting(spy: str) -> None:
    stop = threading.Event()
    with VirtualScreen((800, 480)) as monitor, VirtualTouch((800, 480), turn=lambda u, v: (1 - u, v)) as finger:
        operator = threading.Thread(target=follow, args=(monitor, finger, stop))
        operator.start()
        try:
            done = CliRunner().invoke(screen_group, ["calibrate", spy + monitor.url, finger.url, "--seconds", "20"])
        finally:
            stop.set()
            operator.join()
        assert done.exit_code == 0, done.output
        assert f'touch = "{finger.url}&flip_x=1"' in done.output
    done = CliRunner().invoke(screen_group, ["calibrate", "none://", "sim://"])
    assert (done.exit_code, "cannot show crosses" in done.output) == (2, True)
