"""The contract of a touch panel. Each check takes a panel that is open but not started, and a finger on it.

The finger is whatever can put events where the panel reads them: `VirtualTouch` (a FIFO) or uinput (the kernel). A real
panel has none: `sco-hwtest run --touch URL --screen URL` asks the operator to tap it.
"""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from sco_drivers import open_touch
from sco_drivers.errors import DeviceBusy, DeviceClosed, DeviceGone
from sco_drivers.touch import Tap, Touch
from sco_drivers.urls import DeviceUrl
from sco_hwtest.contracts.check import CannotRun, Check, only_simulated
from sco_sim.touch import Finger, VirtualTouch

WAIT_S = 10.0
"""How long to wait for a tap that must come."""

QUIET_S = 0.3
"""How long to wait for a tap that must not come. A known tap follows, so a slow machine is not a quiet panel."""

PAUSE_S = 0.12
"""Pause between two taps that both count: longer than a bounce."""

ESC, ENTER, DIGIT_1, LETTER_A = 1, 28, 2, 30


@dataclass(slots=True)
class TouchBench:
    """A panel under test.

    Attributes:
        touch: open, not started; its `debounce_ms` is the usual 80.
        finger: on that panel.
        unplug: unplugs the panel; None if that cannot be done.
        drop: makes the kernel lose events; None if that cannot be done.
        slack: allowed position error in px: the resolution of a panel differs from the screen's.
    """

    touch: Touch
    finger: Finger
    unplug: Callable[[], None] | None = None
    drop: Callable[[], None] | None = None
    slack: int = 1
    taps: queue.Queue[Tap] = field(default_factory=queue.Queue)
    lost: queue.Queue[Exception] = field(default_factory=queue.Queue)

    def start(self) -> None:
        """Start the panel, with the finger's screen size."""
        self.touch.start(self.finger.size, self.taps.put, self.lost.put)

    def next(self) -> Tap:
        """The next tap; raises AssertionError if none comes."""
        try:
            return self.taps.get(timeout=WAIT_S)
        except queue.Empty:
            raise AssertionError(f"no tap came in {WAIT_S:.0f} s") from None

    def at(self, tap: Tap, x: int, y: int) -> None:
        """Raise AssertionError unless `tap` is at (x, y)."""
        off = max(abs(tap.x - x), abs(tap.y - y))
        assert off <= self.slack, f"a finger at {x}, {y} was reported at {tap.x}, {tap.y}"

    def middle(self) -> tuple[int, int]:
        """The middle of the screen."""
        return self.finger.size[0] // 2, self.finger.size[1] // 2

    def no_tap_but_the_next(self, what: str) -> None:
        """Raise AssertionError if `what` was reported as a tap before one that is sent now."""
        time.sleep(QUIET_S)
        wide, high = self.finger.size
        x, y = wide // 8, high // 8
        self.finger.tap(x, y)
        tap = self.next()
        assert max(abs(tap.x - x), abs(tap.y - y)) <= self.slack, f"{what} was reported as a tap at {tap.x}, {tap.y}"


_REAL = "a program cannot tap a real panel; the operator is asked to"


@contextmanager
def open_bench(url: str) -> Iterator[TouchBench]:
    """Open a simulated panel with its finger: a program cannot tap a real one."""
    parsed = DeviceUrl.parse(url)
    if parsed.scheme != "sim" or parsed.path:
        raise CannotRun(_REAL)
    # The finger outlives the panel: some checks tap a closed panel.
    with VirtualTouch() as finger:
        query = "".join(f"&{name}={value}" for name, value in parsed.params.items() if name != "range")
        with open_touch(("spy+" if parsed.spied else "") + finger.url + query) as touch:
            yield TouchBench(touch, finger, finger.unplug, finger.drop)


def taps_are_where_the_finger_is(bench: TouchBench) -> None:
    """Each tap is reported where the finger is seen, in the corners too, once and in order."""
    bench.start()
    wide, high = bench.finger.size
    for x, y in ((0, 0), (wide - 1, 0), (wide - 1, high - 1), (0, high - 1), bench.middle(), (wide // 3, high // 5)):
        bench.finger.tap(x, y)
        bench.at(bench.next(), x, y)
        time.sleep(PAUSE_S)
    assert bench.taps.empty(), "a tap was reported twice"


def the_same_place_twice(bench: TouchBench) -> None:
    """Two taps at the same place are two taps, though the kernel does not repeat unchanged values."""
    bench.start()
    x, y = bench.middle()
    for _ in range(2):
        bench.finger.tap(x, y)
        bench.at(bench.next(), x, y)
        time.sleep(PAUSE_S)


def reported_when_lifted(bench: TouchBench) -> None:
    """A tap is reported when the finger is lifted, with the time when it touched."""
    bench.start()
    x, y = bench.middle()
    before = time.monotonic()
    bench.finger.press(x, y)
    after = time.monotonic()
    time.sleep(QUIET_S)
    assert bench.taps.empty(), "a tap was reported before the finger was lifted"
    bench.finger.lift()
    tap = bench.next()
    bench.at(tap, x, y)
    assert tap.pressed_at is not None, "the tap has no time of touching"
    assert before - 0.01 <= tap.pressed_at <= after + 0.1, f"the time is {tap.pressed_at - before:+.3f} s off"


def bounces_are_ignored(bench: TouchBench) -> None:
    """A second contact of a worn panel right after lifting is not a tap."""
    bench.start()
    x, y = bench.middle()
    for _ in range(3):
        bench.finger.tap(x, y)
    bench.at(bench.next(), x, y)
    bench.no_tap_but_the_next("a bounce")


def swipes_are_ignored(bench: TouchBench) -> None:
    """A finger that slides across the screen is not a tap, even if it comes back."""
    bench.start()
    wide, _ = bench.finger.size
    x, y = bench.middle()
    for place in (x, x + wide // 6, x + wide // 3, x):
        bench.finger.press(place, y)
    bench.finger.lift()
    bench.no_tap_but_the_next("a swipe")


def second_fingers_are_ignored(bench: TouchBench) -> None:
    """A second finger is not a tap while one is down, and the first one's tap keeps its position."""
    if not bench.finger.multi:
        return
    bench.start()
    x, y = bench.middle()
    bench.finger.press(x, y)
    far = bench.finger.axis_max // 10
    bench.finger.send((3, 0x2F, 1), (3, 0x39, 60_000), (3, 0x35, far), (3, 0x36, far))
    bench.finger.send((3, 0x2F, 1), (3, 0x39, -1))
    time.sleep(QUIET_S)
    assert bench.taps.empty(), "the second finger was reported"
    bench.finger.lift()
    bench.at(bench.next(), x, y)


def lost_events_make_no_tap(bench: TouchBench) -> None:
    """After the kernel lost events, the finger that was down is not a tap; the next tap counts."""
    if bench.drop is None:
        return
    bench.start()
    x, y = bench.middle()
    bench.finger.press(x, y)
    bench.drop()
    bench.finger.lift()
    bench.no_tap_but_the_next("half a tap")


def keys_press_buttons(bench: TouchBench) -> None:
    """Enter and 1 press the first button, Esc the second; other keys press nothing."""
    bench.start()
    for code, x in ((ENTER, -1), (ESC, -2), (DIGIT_1, -1)):
        bench.finger.key(code)
        tap = bench.next()
        assert (tap.x, tap.y) == (x, -1), f"key {code} was reported as {tap.x}, {tap.y}"
        assert tap.pressed_at is not None, "the key has no time"
    bench.finger.key(LETTER_A)
    bench.no_tap_but_the_next("a letter")


def a_caller_that_fails_costs_one_tap(bench: TouchBench) -> None:
    """If reporting a tap raises an exception, the panel goes on and reports the next tap."""
    reported: queue.Queue[Tap] = queue.Queue()

    def fail_once(tap: Tap) -> None:
        reported.put(tap)
        if reported.qsize() == 1:
            raise RuntimeError("the caller of the panel failed, as this check wants it to")

    bench.touch.start(bench.finger.size, fail_once, bench.lost.put)
    x, y = bench.middle()
    for count in (1, 2):
        bench.finger.tap(x, y)
        end = time.monotonic() + WAIT_S
        while reported.qsize() < count:
            assert time.monotonic() < end, (
                "after an exception of its caller it reports no tap" if count == 2 else "no tap"
            )
            time.sleep(0.01)
        time.sleep(PAUSE_S)
    assert bench.lost.empty(), "an exception of its caller was reported as a lost panel"


def one_listener(bench: TouchBench) -> None:
    """A panel can be started once; a second start raises DeviceBusy."""
    bench.start()
    try:
        bench.start()
    except DeviceBusy:
        return
    raise AssertionError("the panel was started twice")


def unplugging_is_reported_once(bench: TouchBench) -> None:
    """An unplugged panel reports DeviceGone once, and can be closed. Leaves the panel unplugged."""
    if bench.unplug is None:
        return
    bench.start()
    bench.finger.tap(*bench.middle())
    bench.next()
    bench.unplug()
    try:
        error = bench.lost.get(timeout=WAIT_S)
    except queue.Empty:
        raise AssertionError(f"nothing was reported in {WAIT_S:.0f} s") from None
    assert isinstance(error, DeviceGone), f"it was reported as {error!r}"
    assert error.url == bench.touch.url, f"the error names {error.url}"
    bench.touch.close()
    assert bench.lost.empty(), "it was reported twice"


def closes_twice(bench: TouchBench) -> None:
    """`close` may be called twice; nothing is reported after it, and `start` is refused. Leaves the panel closed."""
    bench.start()
    bench.touch.close()
    bench.touch.close()
    bench.finger.tap(*bench.middle())
    time.sleep(QUIET_S)
    assert bench.taps.empty(), "a closed panel reported a tap"
    assert bench.lost.empty(), "a closed panel was reported as unplugged"
    try:
        bench.start()
    except DeviceClosed:
        return
    raise AssertionError("a closed panel was started")


CHECKS: tuple[Check[TouchBench], ...] = tuple(
    Check(run, only_simulated(_REAL))
    for run in (
        taps_are_where_the_finger_is,
        the_same_place_twice,
        reported_when_lifted,
        bounces_are_ignored,
        swipes_are_ignored,
        second_fingers_are_ignored,
        lost_events_make_no_tap,
        keys_press_buttons,
        a_caller_that_fails_costs_one_tap,
        one_listener,
        unplugging_is_reported_once,
        closes_twice,
    )
)
"""Each needs its own panel, open and not started."""
