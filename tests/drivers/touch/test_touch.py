"""From the kernel's bytes to a tap on the scene: contacts, calibration, turns, faults, and the whole way by a FIFO."""

from __future__ import annotations

import queue
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sco_drivers.errors import BadDeviceUrl, DeviceBusy, DeviceClosed, DeviceGone, DeviceNotFound, TouchError
from sco_drivers.registry import open_screen, open_touch
from sco_drivers.screen import Box
from sco_drivers.screen.formats import FORMATS
from sco_drivers.screen.memory import Geometry
from sco_drivers.screen.surface import Surface
from sco_drivers.sim.touch import VirtualTouch
from sco_drivers.touch import Tap
from sco_drivers.touch.calibration import Axis, Calibration
from sco_drivers.touch.contact import Contact
from sco_drivers.touch.events import EVENT, Dropped, EventReader, KeyPressed, Report
from sco_drivers.urls import DeviceUrl
from sco_hwtest.contracts.screen import scenes


def packet(*events: tuple[int, int, int]) -> bytes:
    return b"".join(EVENT.pack(0, 0, *event) for event in (*events, (0, 0, 0)))


class Taps:
    """What a panel reports, in order."""

    def __init__(self) -> None:
        self.taps: queue.Queue[Tap] = queue.Queue()
        self.lost: queue.Queue[Exception] = queue.Queue()

    def next(self) -> tuple[int, int]:
        tap = self.taps.get(timeout=20)
        return tap.x, tap.y


def test_contact_down_and_up_is_a_tap_where_it_came_down() -> None:
    contact = Contact(slop=10)
    contact.down(100, 100, 1.0)
    contact.move(105, 95)
    assert contact.up(1.2) == (100, 100, 1.0)


def test_bounce_swipe_and_lost_contact_are_no_taps() -> None:
    contact = Contact(slop=10, debounce_s=0.08)
    contact.down(0, 0, 1.0)
    assert contact.up(1.01) is not None
    contact.down(0, 0, 1.05)
    assert contact.up(1.06) is None  # a bounce
    contact.down(0, 0, 1.2)
    contact.move(30, 0)
    contact.move(0, 0)
    assert contact.up(1.3) is None  # a swipe, even when it comes back
    contact.down(0, 0, 2.0)
    contact.lost()
    assert contact.up(2.1) is None
    assert contact.up(2.2) is None
    contact.down(5, 5, 3.0)
    assert contact.up(3.1) == (5, 5, 3.0)


def test_single_touch_panel() -> None:
    reader = EventReader()
    data = packet((3, 0, 500), (3, 1, 600), (1, 0x14A, 1)) + packet((1, 0x14A, 0))
    assert list(reader.feed(data)) == [Report(500, 600, True), Report(500, 600, False)]


def test_multi_touch_panel_follows_the_first_finger() -> None:
    reader = EventReader()
    data = (
        packet((3, 0x2F, 0), (3, 0x39, 7), (3, 0x35, 10), (3, 0x36, 20))
        + packet((3, 0x2F, 1), (3, 0x39, 8), (3, 0x35, 900), (3, 0x36, 900))
        + packet((3, 0x39, -1))
        + packet((3, 0x2F, 0), (3, 0x39, -1))
    )
    assert list(reader.feed(data)) == [Report(10, 20, True), Report(10, 20, False)]


def test_overflow_of_the_kernels_buffer_voids_the_contact() -> None:
    reader = EventReader()
    data = packet((3, 0, 5), (3, 1, 6), (1, 0x14A, 1)) + packet((0, 3, 0), (1, 0x14A, 0))
    assert list(reader.feed(data)) == [Report(5, 6, True), Dropped()]


def test_keys_press_once() -> None:
    reader = EventReader()
    data = packet((1, 3, 1)) + packet((1, 3, 2)) + packet((1, 3, 0)) + packet((1, 200, 1))
    assert list(reader.feed(data)) == [KeyPressed(3)]


@given(cuts=st.lists(st.integers(1, 30), min_size=1, max_size=40))
@settings(deadline=None)
def test_cuts_may_fall_anywhere(cuts: list[int]) -> None:
    data = b"".join(packet((3, 0, n), (3, 1, n), (1, 0x14A, n % 2)) for n in range(12))
    whole = list(EventReader().feed(data))
    reader, found, at = EventReader(), [], 0
    for cut in cuts:
        found += list(reader.feed(data[at : at + cut]))
        at += cut
    found += list(reader.feed(data[at:]))
    assert found == whole


@given(data=st.binary(max_size=400))
@settings(deadline=None)
def test_any_bytes_are_borne(data: bytes) -> None:
    list(EventReader().feed(data))


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_panel_glued_on_the_display_turns_with_the_picture(rotate: int) -> None:
    surface = Surface(Geometry(800, 480, 1600, FORMATS["rgb565"]), rotate)
    calibration = Calibration(Axis(0, 800), Axis(0, 480), rotate)
    for x, y in ((0, 0), (10, 400), (300, 20), (479, 479)):
        device = surface.to_device(Box(x, y, 1, 1))
        assert calibration.to_person(device.x + 0.5, device.y + 0.5, surface.size) == (x, y)


def test_matrix_swap_and_flips() -> None:
    def at(query: str) -> tuple[int, int]:
        url = DeviceUrl.parse(f"sim://?{query}")
        return Calibration.of(url, Axis(0, 1000), Axis(0, 1000)).to_person(100, 300, (1000, 1000))

    assert at("") == (100, 300)
    assert at("swap_xy=1") == (300, 100)
    assert at("flip_x=1") == (900, 300)
    assert at("flip_y=1") == (100, 700)
    assert at("calibration=0.5,0,0.25,0,1,0") == (300, 300)
    assert at("calibration=2,0,-1,0,1,0") == (0, 300)  # beyond the edge is on it


@pytest.mark.parametrize(
    "query",
    ["calibration=1,2", "calibration=a,b,c,d,e,f", "calibration=1,0,0,1,0,0", "calibration=nan,0,0,0,1,0", "rotate=1",
     "range=5", "range=0x9", "swap_xy=2", "debounce_ms=-1", "colour=1"],
)  # fmt: skip
def test_bad_parameters_are_refused(query: str) -> None:
    with pytest.raises(BadDeviceUrl):
        open_touch(f"sim://?{query}")


def test_finger_answers_the_dialog() -> None:
    taps = Taps()
    with open_screen("sim://?size=800x480") as screen, open_touch("sim://") as touch:
        screen.show(next(scene for scene in scenes() if scene.name == "dialog"))
        touch.start(screen.size, taps.taps.put, taps.lost.put)
        for placed in screen._layout.buttons:
            middle = placed.box.x + placed.box.width // 2, placed.box.y + placed.box.height // 2
            touch.simulator.tap(*middle)
            tap = taps.taps.get(timeout=20)
            assert (tap.x, tap.y) == middle
            assert screen.button_at(tap.x, tap.y, tap.pressed_at) == placed.button.action
            time.sleep(0.1)  # longer than a bounce
        touch.simulator.key(1)  # Esc
        tap = taps.taps.get(timeout=20)
        assert screen.button_at(tap.x, tap.y, tap.pressed_at) == "cancel"


def test_touch_that_began_on_the_scene_before_answers_nothing() -> None:
    taps = Taps()
    dialog = next(scene for scene in scenes() if scene.name == "dialog")
    with (
        open_screen("sim://?size=800x480") as screen,
        VirtualTouch((800, 480)) as finger,
        open_touch(finger.url) as touch,
    ):
        seen: queue.Queue[bytes] = queue.Queue()
        touch.on_wire = lambda direction, data: seen.put(data)
        touch.start(screen.size, taps.taps.put, taps.lost.put)
        screen.show(dialog)
        box = screen._layout.buttons[0].box
        finger.press(box.x + 5, box.y + 5)
        seen.get(timeout=20)
        time.sleep(0.02)
        screen.show(dialog)
        finger.lift()
        tap = taps.taps.get(timeout=20)
        assert screen.button_at(tap.x, tap.y, tap.pressed_at) is None
        assert screen.button_at(tap.x, tap.y) == "retry"


def test_bounces_and_overflows_on_the_wire() -> None:
    taps = Taps()
    with VirtualTouch((800, 480)) as finger, open_touch(f"{finger.url}&debounce_ms=2000") as touch:
        touch.start((800, 480), taps.taps.put, taps.lost.put)
        finger.tap(10, 10)
        finger.tap(10, 10)
        finger.press(20, 20)
        finger.drop()
        finger.lift()
        finger.key(2)
        assert taps.next() == (10, 10)
        assert taps.next() == (-1, -1)
        assert taps.taps.empty()


def test_unplugged_is_told_once() -> None:
    taps = Taps()
    with VirtualTouch() as finger, open_touch(finger.url) as touch:
        touch.start((800, 480), taps.taps.put, taps.lost.put)
        finger.unplug()
        error = taps.lost.get(timeout=20)
        assert isinstance(error, DeviceGone)
        assert error.url == finger.url
        touch.close()
        assert taps.lost.empty()
        with pytest.raises(DeviceClosed):
            touch.start((800, 480), taps.taps.put, taps.lost.put)


def test_one_listener_only_and_close_from_it() -> None:
    done: queue.Queue[bool] = queue.Queue()
    with open_touch("sim://") as touch:
        touch.start((800, 480), lambda tap: (touch.close(), done.put(True)), lambda error: done.put(False))
        with pytest.raises(DeviceBusy):
            touch.start((800, 480), print, print)
        touch.simulator.tap(1, 1)
        assert done.get(timeout=20) is True


def test_no_panel() -> None:
    with pytest.raises(DeviceNotFound):
        open_touch("evdev:///dev/input/no-such-event")
    with pytest.raises(TouchError, match="not an input device"):
        open_touch("evdev:///dev/null")
    with pytest.raises(TouchError, match="not an input device"):
        open_touch("evdev:///etc/hostname")
    with pytest.raises(DeviceNotFound):
        open_touch("sim:///no/such/fifo")
    with pytest.raises(TouchError, match="not a FIFO"):
        open_touch("sim:///etc/hostname")


def test_none_is_never_touched() -> None:
    with open_touch("none://") as touch:
        touch.start((800, 480), print, print)
    with pytest.raises(DeviceClosed):
        touch.start((800, 480), print, print)
