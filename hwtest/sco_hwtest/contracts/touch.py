"""What any touch panel must do, on any URL. Each check takes a panel that is open but not started, and a finger on it.

The finger is whatever can put events where the panel reads them: `VirtualTouch` (a FIFO), `UinputTouch` (the kernel).
A panel of glass has no such finger; a person taps it by `sco-hwtest touch`.
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
from sco_hwtest.contracts.check import CannotRun, Check
from sco_sim.touch import Finger, VirtualTouch

WAIT_S = 10.0
"""For a tap that must come."""

QUIET_S = 0.3
"""For a tap that must not come. A known one is sent after it: a slow machine must not pass for a quiet panel."""

PAUSE_S = 0.12
"""Between two taps that both count: longer than a bounce."""

ESC, ENTER, DIGIT_1, LETTER_A = 1, 28, 2, 30


@dataclass(slots=True)
class TouchBench:
    """A panel under test.

    Attributes:
        touch: open, not started; its `debounce_ms` is the usual 80.
        finger: on that panel.
        unplug: pulls the panel out; None where that cannot be done.
        drop: makes the kernel lose events; None where that cannot be done.
        slack: px by which a place may be off: panels are coarser or finer than pictures.
    """

    touch: Touch
    finger: Finger
    unplug: Callable[[], None] | None = None
    drop: Callable[[], None] | None = None
    slack: int = 1
    taps: queue.Queue[Tap] = field(default_factory=queue.Queue)
    lost: queue.Queue[Exception] = field(default_factory=queue.Queue)

    def start(self) -> None:
        """Begin to listen, with the finger's size of the screen."""
        self.touch.start(self.finger.size, self.taps.put, self.lost.put)

    def next(self) -> Tap:
        """The next tap; AssertionError when none comes."""
        try:
            return self.taps.get(timeout=WAIT_S)
        except queue.Empty:
            raise AssertionError(f"no tap came in {WAIT_S:.0f} s") from None

    def at(self, tap: Tap, x: int, y: int) -> None:
        """AssertionError unless `tap` is at (x, y)."""
        off = max(abs(tap.x - x), abs(tap.y - y))
        assert off <= self.slack, f"a finger at {x}, {y} was reported at {tap.x}, {tap.y}"

    def middle(self) -> tuple[int, int]:
        """The middle of the glass."""
        return self.finger.size[0] // 2, self.finger.size[1] // 2

    def nothing_but_the_next(self, what: str) -> None:
        """AssertionError when anything was reported before a tap that is sent now."""
        time.sleep(QUIET_S)
        wide, high = self.finger.size
        x, y = wide // 8, high // 8
        self.finger.tap(x, y)
        tap = self.next()
        assert max(abs(tap.x - x), abs(tap.y - y)) <= self.slack, f"{what} was reported as a tap at {tap.x}, {tap.y}"


@contextmanager
def open_bench(url: str) -> Iterator[TouchBench]:
    """A panel with a finger on it: a simulated one, since a panel of glass has none that a program commands."""
    parsed = DeviceUrl.parse(url)
    if parsed.scheme != "sim" or parsed.path:
        raise CannotRun(
            "a panel of glass has no finger that a program commands",
            "give --screen too, and a person at the bench taps what is asked for",
        )
    # The finger outlives the panel, since some checks tap a panel that is closed.
    with VirtualTouch() as finger:
        query = "".join(f"&{name}={value}" for name, value in parsed.params.items() if name != "range")
        with open_touch(("spy+" if parsed.spied else "") + finger.url + query) as touch:
            yield TouchBench(touch, finger, finger.unplug, finger.drop)


def taps_are_where_the_finger_is(bench: TouchBench) -> None:
    """A tap is reported where a person sees the finger, in the corners too, once each and in order."""
    bench.start()
    wide, high = bench.finger.size
    for x, y in ((0, 0), (wide - 1, 0), (wide - 1, high - 1), (0, high - 1), bench.middle(), (wide // 3, high // 5)):
        bench.finger.tap(x, y)
        bench.at(bench.next(), x, y)
        time.sleep(PAUSE_S)
    assert bench.taps.empty(), "a tap was reported twice"


def the_same_place_twice(bench: TouchBench) -> None:
    """Two taps at exactly one place are two taps there, though the kernel does not repeat what has not changed."""
    bench.start()
    x, y = bench.middle()
    for _ in range(2):
        bench.finger.tap(x, y)
        bench.at(bench.next(), x, y)
        time.sleep(PAUSE_S)


def reported_when_lifted(bench: TouchBench) -> None:
    """A tap is reported when the finger is lifted, and says when it came down."""
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
    assert tap.pressed_at is not None, "the tap does not say when the finger came down"
    assert before - 0.01 <= tap.pressed_at <= after + 0.1, f"came down {tap.pressed_at - before:+.3f} s from the truth"


def bounces_are_none(bench: TouchBench) -> None:
    """A worn panel's second contact within moments of lifting is no tap."""
    bench.start()
    x, y = bench.middle()
    for _ in range(3):
        bench.finger.tap(x, y)
    bench.at(bench.next(), x, y)
    bench.nothing_but_the_next("a bounce")


def swipes_are_none(bench: TouchBench) -> None:
    """A finger that slides across the glass presses nothing, even when it comes back."""
    bench.start()
    wide, _ = bench.finger.size
    x, y = bench.middle()
    for place in (x, x + wide // 6, x + wide // 3, x):
        bench.finger.press(place, y)
    bench.finger.lift()
    bench.nothing_but_the_next("a swipe")


def second_fingers_are_none(bench: TouchBench) -> None:
    """While one finger is down another one presses nothing, and the first one's tap stays where it was."""
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


def lost_events_are_no_tap(bench: TouchBench) -> None:
    """When the kernel lost events, what was down presses nothing; the next tap counts."""
    if bench.drop is None:
        return
    bench.start()
    x, y = bench.middle()
    bench.finger.press(x, y)
    bench.drop()
    bench.finger.lift()
    bench.nothing_but_the_next("half a tap")


def keys_mean_buttons(bench: TouchBench) -> None:
    """Enter and 1 mean the first button, Esc the second; other keys mean nothing."""
    bench.start()
    for code, x in ((ENTER, -1), (ESC, -2), (DIGIT_1, -1)):
        bench.finger.key(code)
        tap = bench.next()
        assert (tap.x, tap.y) == (x, -1), f"key {code} was reported as {tap.x}, {tap.y}"
        assert tap.pressed_at is not None, "the key does not say when"
    bench.finger.key(LETTER_A)
    bench.nothing_but_the_next("a letter")


def one_listener(bench: TouchBench) -> None:
    """A panel reports to one caller; a second one is told so."""
    bench.start()
    try:
        bench.start()
    except DeviceBusy:
        return
    raise AssertionError("two callers listen to one panel")


def unplugging_is_told_once(bench: TouchBench) -> None:
    """A panel that is pulled out tells it once, as DeviceGone, and closes as any other. Leaves the panel gone."""
    if bench.unplug is None:
        return
    bench.start()
    bench.finger.tap(*bench.middle())
    bench.next()
    bench.unplug()
    try:
        error = bench.lost.get(timeout=WAIT_S)
    except queue.Empty:
        raise AssertionError(f"nothing was told in {WAIT_S:.0f} s") from None
    assert isinstance(error, DeviceGone), f"it was told as {error!r}"
    assert error.url == bench.touch.url, f"the error names {error.url}"
    bench.touch.close()
    assert bench.lost.empty(), "it was told twice"


def closes_twice(bench: TouchBench) -> None:
    """`close` may be called twice; nothing is reported after it, and `start` is refused. Leaves the panel closed."""
    bench.start()
    bench.touch.close()
    bench.touch.close()
    bench.finger.tap(*bench.middle())
    time.sleep(QUIET_S)
    assert bench.taps.empty(), "a closed panel reported a tap"
    assert bench.lost.empty(), "a closed panel was told to be lost"
    try:
        bench.start()
    except DeviceClosed:
        return
    raise AssertionError("a closed panel began to listen")


CHECKS: tuple[Check[TouchBench], ...] = tuple(
    Check(run)
    for run in (
        taps_are_where_the_finger_is,
        the_same_place_twice,
        reported_when_lifted,
        bounces_are_none,
        swipes_are_none,
        second_fingers_are_none,
        lost_events_are_no_tap,
        keys_mean_buttons,
        one_listener,
        unplugging_is_told_once,
        closes_twice,
    )
)
"""Each wants a panel of its own, open and not started."""
