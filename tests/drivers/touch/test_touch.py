"""From the kernel's bytes to a tap on the scene: contacts, calibration, turns, faults, and the whole way by a FIFO."""

from __future__ import annotations

import errno
import fcntl
import os
import queue
import stat
import struct
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sco_drivers.errors import BadDeviceUrl, DeviceBusy, DeviceClosed, DeviceGone, DeviceNotFound, TouchError
from sco_drivers.registry import open_screen, open_touch
from sco_drivers.screen import Box
from sco_drivers.screen.formats import FORMATS
from sco_drivers.screen.memory import Geometry
from sco_drivers.screen.surface import Surface
from sco_drivers.touch import Tap
from sco_drivers.touch.calibration import Axis, Calibration
from sco_drivers.touch.contact import Contact
from sco_drivers.touch.events import EVENT, Dropped, EventReader, KeyPressed, Report, State
from sco_drivers.urls import DeviceUrl
from sco_hwtest.contracts.screen import scenes
from sco_sim.touch import VirtualTouch
from tests.simulators import uinput


def packet(*events: tuple[int, int, int]) -> bytes:
    return b"".join(EVENT.pack(0, 0, *event) for event in (*events, (0, 0, 0)))


def tapped(reader: EventReader, data: bytes, debounce_s: float = 0.08) -> list[tuple[float, float, float]]:
    """The taps in a stream of events."""
    contact, taps = Contact(slop=10, debounce_s=debounce_s), []
    for report in reader.feed(data):
        if isinstance(report, Dropped):
            contact.lost()
            continue
        assert isinstance(report, Report)
        if report.down:
            contact.down(report.x, report.y, report.at, stale=report.stale)
        elif tap := contact.up(report.at):
            taps.append(tap)
    return taps


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


def test_a_resting_palm_does_not_give_a_tap_its_place() -> None:
    """A palm in slot 1, then a finger in slot 0: the kernel's single-touch axes report the palm's place."""
    finger, palm = (3, 0x2F, 0), (3, 0x2F, 1)
    data = (
        packet(finger, (3, 0x39, 7), (3, 0x35, 10), (3, 0x36, 20), (1, 0x14A, 1), (3, 0, 10), (3, 1, 20))
        + packet(palm, (3, 0x39, 8), (3, 0x35, 900), (3, 0x36, 900))
        + packet(finger, (3, 0x39, -1), (3, 0, 900), (3, 1, 900))
        # The finger is back elsewhere, and the palm stirs meanwhile.
        + packet(finger, (3, 0x39, 9), (3, 0x35, 300), (3, 0x36, 40), palm, (3, 0x35, 905), (3, 0, 905))
        + packet(finger, (3, 0x39, -1))
        + packet(palm, (3, 0x39, -1), (1, 0x14A, 0))
        # With both gone a finger is followed as before.
        + packet(finger, (3, 0x39, 10), (3, 0x35, 50), (3, 0x36, 60), (1, 0x14A, 1), (3, 0, 50), (3, 1, 60))
        + packet((3, 0x39, -1), (1, 0x14A, 0))
    )
    taps = tapped(EventReader(), data, debounce_s=0)
    assert [tap[:2] for tap in taps] == [(10, 20), (300, 40), (50, 60)]


def test_a_panel_without_single_touch_axes_is_followed_by_its_slots() -> None:
    reader = EventReader()
    data = packet((3, 0x39, 7), (3, 0x35, 10), (3, 0x36, 20)) + packet((3, 0x35, 12)) + packet((3, 0x39, -1))
    assert list(reader.feed(data)) == [Report(10, 20, True), Report(12, 20, True), Report(12, 20, False)]


def test_a_contact_that_a_panel_loses_for_a_moment_slides_on() -> None:
    data = packet((3, 0x39, 7), (3, 0x35, 10), (3, 0x36, 20)) + packet((3, 0x39, 8), (3, 0x35, 300))
    assert tapped(EventReader(), data + packet((3, 0x39, -1)), debounce_s=0) == []


@pytest.mark.parametrize(
    ("places", "query", "is_tap"),
    [
        ([(200, 100), (201, 100), (700, 400), (200, 101), (201, 101)], "", True),  # one wild place
        ([(200, 100), (201, 100), (700, 400), (200, 101), (201, 101)], "&median=1", False),
        ([(700, 400), (200, 100), (201, 100), (200, 101)], "&skip=1", True),  # the last contact's place first
        ([(700, 400), (200, 100), (201, 100), (200, 101)], "", False),
        ([(700, 400), (200, 100)], "&skip=1", True),
        ([(200, 100)], "&skip=1", True),  # no other came
        ([(200, 100), (260, 100), (320, 100), (380, 100), (440, 100)], "", False),  # a swipe
        ([(200, 100), (400, 100)], "", False),
        ([(200, 100), (300, 100), (400, 100)], "", False),
    ],
)
def test_wild_and_stale_places_are_filtered(
    places: list[tuple[int, int]], query: str, is_tap: bool, tmp_path: Path
) -> None:
    taps = Taps()
    with (
        VirtualTouch((800, 480), axis_max=800, path=tmp_path / "panel") as finger,
        open_touch(f"sim://{finger.path}?range=800x480{query}&debounce_ms=0") as touch,
    ):
        touch.start((800, 480), taps.taps.put, taps.lost.put)
        for number, (x, y) in enumerate(places):
            finger.send(*(((1, 0x14A, 1),) if not number else ()), (3, 0, x), (3, 1, y))
        finger.lift()
        finger.key(28)
        found = [taps.next()]
        if is_tap:
            assert max(abs(found[0][0] - 200), abs(found[0][1] - 100)) <= 1
            found.append(taps.next())
        assert found[-1] == (-1, -1)


MT = (0, 2, 0)  # SYN_MT_REPORT


@pytest.mark.parametrize("lifted", [packet(MT), packet((3, 0x30, 0), (3, 0x35, 12), (3, 0x36, 20), MT)])
def test_protocol_a_without_btn_touch(lifted: bytes) -> None:
    """Documentation/input/multi-touch-protocol.rst, protocol A; the last way to lift is that of old drivers."""
    reader = EventReader()
    data = (
        packet((3, 0x30, 5), (3, 0x35, 10), (3, 0x36, 20), MT)
        + packet((3, 0x30, 5), (3, 0x35, 12), (3, 0x36, 20), MT)
        + lifted
        + packet((3, 0x30, 5), (3, 0x35, 300), (3, 0x36, 40), MT)
        + lifted
    )
    assert list(reader.feed(data)) == [
        *(Report(10, 20, True), Report(12, 20, True), Report(12, 20, False)),
        *(Report(300, 40, True), Report(300, 40, False)),
    ]


def test_protocol_a_follows_one_finger_in_whatever_order_contacts_are_sent() -> None:
    reader = EventReader()
    first, second = ((3, 0x35, 10), (3, 0x36, 20), MT), ((3, 0x35, 900), (3, 0x36, 900), MT)
    data = packet(*first) + packet(*second, *first) + packet(*first, *second) + packet(*first) + packet(MT)
    assert {(report.x, report.y) for report in reader.feed(data)} == {(10, 20)}


def test_a_panel_that_reports_pressure_only() -> None:
    data = (
        packet((3, 0, 500), (3, 1, 600), (3, 0x18, 90))
        + packet((3, 0, 501))
        + packet((3, 0x18, 0))
        + packet((3, 0, 100), (3, 0x18, 20))
        + packet((3, 0x18, 0))
    )
    pressed = [Report(500, 600, True), Report(501, 600, True), Report(501, 600, False)]
    assert list(EventReader().feed(data)) == [*pressed, Report(100, 600, True), Report(100, 600, False)]
    assert [report for report in EventReader(min_pressure=50).feed(data) if report.down] == pressed[:2]


def test_a_panel_with_a_button_is_not_judged_by_its_pressure() -> None:
    data = (
        packet((3, 0, 5), (3, 1, 6), (1, 0x14A, 1), (3, 0x18, 90))
        + packet((3, 0x18, 0))
        + packet((3, 0x18, 50))
        + packet((3, 0x18, 0), (1, 0x14A, 0))
    )
    assert [report.down for report in EventReader().feed(data)] == [True, False]


def test_pressure_and_protocol_a_on_the_wire(tmp_path) -> None:
    taps, fifo = Taps(), tmp_path / "fifo"
    os.mkfifo(fifo)
    fd = os.open(fifo, os.O_RDWR)
    try:
        with open_touch(f"sim://{fifo}?range=800x480&debounce_ms=0&pressure=50") as touch:
            touch.start((800, 480), taps.taps.put, taps.lost.put)
            os.write(fd, packet((3, 0, 400), (3, 1, 240), (3, 0x18, 30)) + packet((3, 0x18, 0)))  # too light
            os.write(fd, packet((3, 0, 200), (3, 1, 120), (3, 0x18, 60)) + packet((3, 0x18, 0)))
            assert taps.next() == (200, 120)
            os.write(fd, packet((3, 0x35, 600), (3, 0x36, 360), MT) + packet(MT))
            assert taps.next() == (600, 360)
    finally:
        os.close(fd)


def timed(at: float, *events: tuple[int, int, int]) -> bytes:
    return b"".join(EVENT.pack(int(at), round(at % 1 * 1e6), *event) for event in (*events, (0, 0, 0)))


@pytest.mark.parametrize("single", [False, True], ids=["slots only", "single-touch axes too"])
def test_a_contact_that_rests_on_the_panel_does_not_keep_fingers_from_tapping(single: bool) -> None:
    """A drop in slot 0; fingers come in slot 1. The kernel's single-touch axes and button follow the drop."""
    drop = ((1, 0x14A, 1), (3, 0, 700), (3, 1, 30)) if single else ()
    stirs = ((3, 0, 701),) if single else ()
    data = timed(1.0, (3, 0x2F, 0), (3, 0x39, 1), (3, 0x35, 700), (3, 0x36, 30), *drop)
    for at, x in ((10.0, 100), (12.0, 300)):
        data += timed(at, (3, 0x2F, 1), (3, 0x39, round(at)), (3, 0x35, x), (3, 0x36, 200))
        data += timed(at + 0.05, (3, 0x2F, 0), (3, 0x35, 701), *stirs)
        data += timed(at + 0.1, (3, 0x2F, 1), (3, 0x39, -1))
    # The drop is wiped away, and a finger comes in slot 0.
    data += timed(20.0, (3, 0x2F, 0), (3, 0x39, -1), *(((1, 0x14A, 0),) if single else ()))
    down = ((1, 0x14A, 1), (3, 0, 50), (3, 1, 60)) if single else ()
    data += timed(21.0, (3, 0x39, 40), (3, 0x35, 50), (3, 0x36, 60), *down)
    data += timed(21.1, (3, 0x39, -1), *(((1, 0x14A, 0),) if single else ()))
    assert tapped(EventReader(), data) == [(100, 200, 10.0), (300, 200, 12.0), (50, 60, 21.0)]


def test_overflow_of_the_kernels_buffer_voids_the_contact() -> None:
    reader = EventReader()
    data = packet((3, 0, 5), (3, 1, 6), (1, 0x14A, 1)) + packet((0, 3, 0), (1, 0x14A, 0))
    assert list(reader.feed(data)) == [Report(5, 6, True), Dropped()]


def test_keys_press_once() -> None:
    reader = EventReader()
    data = packet((1, 3, 1)) + packet((1, 3, 2)) + packet((1, 3, 0)) + packet((1, 200, 1))
    assert list(reader.feed(data)) == [KeyPressed(3)]


@given(cuts=st.lists(st.integers(1, 30), min_size=1, max_size=40))
def test_events_may_arrive_in_pieces(cuts: list[int]) -> None:
    data = b"".join(packet((3, 0, n), (3, 1, n), (1, 0x14A, n % 2)) for n in range(12))
    whole = list(EventReader().feed(data))
    reader, found, at = EventReader(), [], 0
    for cut in cuts:
        found += list(reader.feed(data[at : at + cut]))
        at += cut
    found += list(reader.feed(data[at:]))
    assert found == whole


@given(data=st.binary(max_size=400))
def test_any_bytes_are_accepted(data: bytes) -> None:
    list(EventReader().feed(data))


CODES = [(0, 0), (0, 2), (0, 3), (1, 0x14A), (3, 0), (3, 0x18), (3, 0x2F), (3, 0x30), (3, 0x35), (3, 0x36), (3, 0x39)]


@given(
    events=st.lists(st.tuples(st.sampled_from(CODES), st.integers(-1, 3)), max_size=40),
    state=st.sampled_from([None, State(), State(contacts=((3, 1, 1), (-1, 0, 0)), slot=1), State(1, 1, pressure=3)]),
)
@settings(max_examples=300)
def test_any_events_are_accepted(events: list[tuple[tuple[int, int], int]], state: State | None) -> None:
    reader = EventReader(None if state is None else lambda: state)
    data = b"".join(EVENT.pack(at, 0, *code, value) for at, (code, value) in enumerate(events))
    assert all(isinstance(report, Report | Dropped) for report in reader.feed(data))


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_panel_glued_on_the_display_turns_with_the_picture(rotate: int) -> None:
    surface = Surface(Geometry(800, 480, 1600, FORMATS["rgb565"]), rotate)
    calibration = Calibration(Axis(0, 800), Axis(0, 480), rotate)
    for x, y in ((0, 0), (10, 400), (300, 20), (479, 479)):
        device = surface.to_device(Box(x, y, 1, 1))
        assert calibration.to_screen(device.x + 0.5, device.y + 0.5, surface.size) == (x, y)


def test_matrix_swap_and_flips() -> None:
    def at(query: str) -> tuple[int, int]:
        url = DeviceUrl.parse(f"sim://?{query}")
        return Calibration.of(url, Axis(0, 1000), Axis(0, 1000)).to_screen(100, 300, (1000, 1000))

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


def test_a_tap_chooses_a_button_of_the_dialog() -> None:
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


def test_a_touch_that_began_on_the_previous_scene_is_ignored() -> None:
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


def test_unplugging_is_reported_once() -> None:
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


def test_a_panel_that_meets_a_bug_is_reported_as_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def bug(reader: EventReader, data: bytes) -> list[Report]:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(EventReader, "feed", bug)
    taps = Taps()
    with VirtualTouch((800, 480)) as finger, open_touch(finger.url) as touch:
        touch.start((800, 480), taps.taps.put, taps.lost.put)
        finger.tap(400, 240)
        lost = taps.lost.get(timeout=20)
    assert isinstance(lost, DeviceGone)
    assert "a bug" in str(lost)


def test_one_listener_only_and_close_from_it() -> None:
    done: queue.Queue[bool] = queue.Queue()
    with open_touch("sim://") as touch:
        touch.start((800, 480), lambda tap: (touch.close(), done.put(True)), lambda error: done.put(False))
        with pytest.raises(DeviceBusy):
            touch.start((800, 480), print, print)
        touch.simulator.tap(1, 1)
        assert done.get(timeout=20) is True


class InputKernel:
    """An input device at the ioctl: a panel that was touched at (320, 120) before, its slot 0 spoken of last.

    Args:
        multi, single: which axes it has.
        pressure: the present one; None without that axis.
        button: whether it has BTN_TOUCH.
        resting: whether something lies on it, where it was touched.
    """

    def __init__(
        self,
        *,
        multi: bool = False,
        single: bool = False,
        pressure: int | None = None,
        button: bool = True,
        resting: bool = False,
    ) -> None:
        self.multi = multi
        self.single = single
        self.pressure = pressure
        self.button = button
        self.resting = resting
        self.clock: int | None = None
        self.grabbed = False
        self.asked = 0

    def ioctl(self, fd: int, request: int, data=0):
        direction, size, number = request >> 30, request >> 16 & 0x3FFF, request & 0xFFFF
        if request == 0x400445A0:
            (self.clock,) = struct.unpack("@i", data)
        elif request == 0x40044590:
            self.grabbed = data == 1
        elif (direction, number) == (2, 0x450A):
            self.asked += 1
            if not self.multi:
                raise OSError(errno.EINVAL, "Invalid argument")
            (code,) = struct.unpack_from("@I", data)
            first, others = {0x35: (320, 0), 0x36: (120, 0), 0x39: (7 if self.resting else -1, -1)}[code]
            assert size == 4 * (1 + 10), "the panel has 10 slots"
            data[4:] = struct.pack("@10i", first, *[others] * 9)
        elif (direction, number >> 6) == (2, 0x4540 >> 6):
            assert len(data) == size == 24
            axes = {0: (320, 0, 800), 1: (120, 0, 480)} if self.single else {}
            if self.pressure is not None:
                axes[0x18] = (self.pressure, 0, 255)
            if self.multi:
                axes |= {0x2F: (0, 0, 9), 0x35: (0, 0, 800), 0x36: (0, 0, 480)}
            found = axes.get(number & 0x3F)
            if found is None:
                raise OSError(errno.EINVAL, "Invalid argument")
            data[:] = struct.pack("@6i", *found, 0, 0, 0)
        elif request == 0x80084523:  # EVIOCGBIT(EV_ABS, 8)
            axes = [0, 1] if self.single else []
            axes += [0x2F, 0x35, 0x36, 0x39] if self.multi else []
            data[:] = sum(1 << axis for axis in axes).to_bytes(8, sys.byteorder)
        elif request in (0x80604518, 0x80604521):  # EVIOCGKEY, EVIOCGBIT(EV_KEY): 96 bytes
            there = self.button and (request == 0x80604521 or self.resting)
            data[:] = (there << 0x14A).to_bytes(96, "little")
        else:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        return 0


DROP = ((3, 0x2F, 0), (3, 0x35, 321), (1, 0x14A, 1), (3, 0, 321))
"""The drop in slot 0 moves a little, with the kernel's events for programs that know of one finger only."""


@pytest.mark.parametrize("lost", [False, True], ids=["at the opening", "as events are lost"])
@pytest.mark.parametrize("single", [False, True], ids=["slots only", "single-touch axes too"])
def test_a_contact_that_is_there_already_neither_presses_nor_blocks(
    lost: bool, single: bool, tmp_path, monkeypatch
) -> None:
    """A drop in slot 0 before the panel is opened, or put down while the kernel's buffer overflows."""
    kernel, taps = InputKernel(multi=True, single=single, resting=not lost), Taps()
    with VirtualTouch((800, 480), path=tmp_path / "event0", multi=True) as finger:
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        monkeypatch.setattr(stat, "S_ISCHR", stat.S_ISFIFO)
        finger._known[3, 0x39, 0] = 7  # the kernel repeats nothing
        with open_touch(f"evdev://{finger.path}?debounce_ms=0") as touch:
            touch.start((800, 480), taps.taps.put, taps.lost.put)
            if lost:
                finger.key(28)
                assert taps.next() == (-1, -1)
                kernel.resting = True
                finger.drop()
            finger.send(*DROP)
            for x in (100, 300):  # at once: nobody waits until it is known to rest
                finger.send((3, 0x2F, 1), (3, 0x39, x), (3, 0x35, x), (3, 0x36, 200))
                finger.send((3, 0x2F, 0), (3, 0x35, 320), (3, 0, 320), (3, 0x2F, 1), (3, 0x39, -1))
                assert taps.next() == (x, 200)
            finger.send((3, 0x2F, 0), (3, 0x39, -1), (1, 0x14A, 0))  # it is wiped away
            finger.send((3, 0x39, 9), (3, 0x35, 500), (3, 0x36, 60))
            finger.send((3, 0x39, -1))
            assert taps.next() == (500, 60)
            assert taps.taps.empty()


def test_a_finger_whose_beginning_is_still_to_be_read_was_not_there_before() -> None:
    """It came between the opening, from which on events wait, and the query of the state."""
    data = timed(1.0, (3, 0x39, 7), (3, 0x35, 10), (3, 0x36, 20)) + timed(1.1, (3, 0x39, -1))
    state = State(contacts=((7, 10, 20), (-1, 0, 0)))
    assert tapped(EventReader(lambda: state), data) == [(10, 20, 1.0)]
    lost = timed(0.9, (0, 3, 0))
    assert tapped(EventReader(lambda: state), lost + data) == [(10, 20, 1.0)]


def test_what_is_there_is_asked_for_before_a_finger_can_come(tmp_path, monkeypatch) -> None:
    kernel = InputKernel(multi=True)
    with VirtualTouch((800, 480), path=tmp_path / "event0", multi=True) as finger:
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        monkeypatch.setattr(stat, "S_ISCHR", stat.S_ISFIFO)
        with open_touch(f"evdev://{finger.path}") as touch:
            monkeypatch.setattr(threading.Thread, "start", lambda thread: None)
            touch.start((800, 480), print, print)
            asked = kernel.asked
            monkeypatch.undo()
            assert asked
            touch._thread = None


@pytest.mark.parametrize("button", [False, True], ids=["pressure only", "button and pressure"])
def test_what_lies_on_a_panel_with_pressure_at_the_opening_does_not_press(button: bool, tmp_path, monkeypatch) -> None:
    kernel, taps = InputKernel(single=True, pressure=90, button=button, resting=True), Taps()
    with VirtualTouch((800, 480), path=tmp_path / "event0") as finger:
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        monkeypatch.setattr(stat, "S_ISCHR", stat.S_ISFIFO)
        finger._known |= {(3, 0x18, 0): 90, (1, 0x14A, 0): 1}
        with open_touch(f"evdev://{finger.path}?debounce_ms=0") as touch:
            touch.start((800, 480), taps.taps.put, taps.lost.put)
            finger.send((3, 0x18, 95))
            finger.send((3, 0x18, 0), *(((1, 0x14A, 0),) if button else ()))
            finger.send((3, 0, 500), (3, 0x18, 80), *(((1, 0x14A, 1),) if button else ()))
            finger.send((3, 0x18, 0), *(((1, 0x14A, 0),) if button else ()))
            assert taps.next() == (500, 120)
            assert taps.taps.empty()


def test_what_lies_on_a_panel_of_protocol_a_at_the_opening_does_not_press() -> None:
    drop, finger = ((3, 0x35, 700), (3, 0x36, 30), MT), ((3, 0x35, 100), (3, 0x36, 200), MT)
    data = timed(1.0, *drop) + timed(1.1, *drop, *finger) + timed(1.2, *drop) + timed(1.3, MT)
    assert tapped(EventReader(lambda: State(has_button=True, held=True)), data) == [(100, 200, 1.1)]
    # Without a button it cannot be known at the opening, but it can when events were lost.
    lost = timed(0.9, (0, 3, 0))
    assert tapped(EventReader(), timed(0.8, *drop) + lost + data) == [(100, 200, 1.1)]


def test_a_contact_that_rests_on_a_panel_of_protocol_a_does_not_keep_fingers_from_tapping() -> None:
    drop, finger = ((3, 0x35, 700), (3, 0x36, 30), MT), ((3, 0x35, 100), (3, 0x36, 200), MT)
    data = timed(1.0, *drop) + timed(3.0, *finger, *drop) + timed(3.1, *drop) + timed(9.0, MT)
    data += timed(10.0, *drop) + timed(10.1, (1, 0x14A, 0))  # a driver that reports the end by the button only
    assert tapped(EventReader(), data) == [(100, 200, 3.0), (700, 30, 10.0)]


@pytest.mark.parametrize("held_s", [4.9, 5.1])
def test_what_rests_on_a_button_and_is_taken_away_does_not_press_it(held_s: float) -> None:
    data = timed(1.0, (3, 0, 700), (3, 1, 30), (1, 0x14A, 1)) + timed(1.0 + held_s, (1, 0x14A, 0))
    assert tapped(EventReader(), data) == ([(700, 30, 1.0)] if held_s < 5 else [])


INFRARED = {
    "one finger": (
        ((3, 0, 700), (3, 1, 400), (1, 0x14A, 1)),
        ((1, 0x14A, 0),),
        ((1, 0x14A, 1),),
        ((3, 0, 200), (3, 1, 100)),
    ),
    "slots": (
        ((3, 0x39, 1), (3, 0x35, 700), (3, 0x36, 400)),
        ((3, 0x39, -1),),
        ((3, 0x39, 2),),
        ((3, 0x35, 200), (3, 0x36, 100)),
    ),
    "protocol A": (
        ((3, 0x35, 700), (3, 0x36, 400), MT),
        (MT,),
        ((3, 0x35, 700), (3, 0x36, 400), MT),
        ((3, 0x35, 200), (3, 0x36, 100), MT),
    ),
}
"""Of each kind of panel: down, up, down where it was last, and the new place."""


@pytest.mark.parametrize("kind", INFRARED)
@pytest.mark.parametrize("median", [1, 3])
def test_an_infrared_panel_that_sends_the_last_place_first_needs_no_parameter(kind: str, median: int) -> None:
    down, up, stale, place = INFRARED[kind]
    reader, contact, taps = EventReader(), Contact(slop=10, median=median), []
    data = timed(1.0, *down) + timed(1.1, *up) + timed(2.0, *stale) + timed(2.01, *place) + timed(2.1, *up)
    # A finger that comes down exactly where the last one was is one too.
    data += timed(3.0, *(down if kind == "protocol A" else stale)) + timed(3.1, *up)
    for report in reader.feed(data):
        assert isinstance(report, Report)
        if report.down:
            contact.down(report.x, report.y, report.at, stale=report.stale)
        elif tap := contact.up(report.at):
            taps.append(tap)
    last = (700, 400, 3.0) if kind == "protocol A" else (200, 100, 3.0)
    assert taps == [(700, 400, 1.0), (200, 100, 2.0), last]


def test_a_swipe_from_the_last_place_is_none_of_an_infrared_panel() -> None:
    down, up, stale, _ = INFRARED["one finger"]
    data = timed(1.0, *down) + timed(1.1, *up) + timed(2.0, *stale)
    data += timed(2.02, (3, 0, 600)) + timed(2.04, (3, 0, 500)) + timed(2.1, *up)
    assert tapped(EventReader(), data) == [(700, 400, 1.0)]


@pytest.mark.parametrize(("multi", "single"), [(False, True), (True, True), (True, False)])
def test_evdev_queries_the_state_that_the_kernel_does_not_repeat(
    multi: bool, single: bool, tmp_path, monkeypatch
) -> None:
    kernel, taps = InputKernel(multi=multi, single=single), Taps()
    with VirtualTouch((800, 480), axis_max=800, path=tmp_path / "event0", multi=multi) as finger:
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        monkeypatch.setattr(stat, "S_ISCHR", stat.S_ISFIFO)
        with open_touch(f"evdev://{finger.path}") as touch:
            assert kernel.grabbed
            assert kernel.clock == time.CLOCK_MONOTONIC
            touch.start((800, 480), taps.taps.put, taps.lost.put)
            # The finger comes down where it was before: its position is not sent.
            contact = ((3, 0x39, 5),) if multi else ()
            finger.send(*contact, (1, 0x14A, 1))
            finger.lift()
            assert taps.next() == (320, 120)
            if multi:
                finger.drop()
                time.sleep(0.1)
                finger.send((3, 0x39, 6), (1, 0x14A, 1))
                finger.lift()
                assert taps.next() == (320, 120)


def test_a_keyboard_or_scanner_is_no_panel_unless_the_url_says_so(tmp_path, monkeypatch) -> None:
    """Event numbers move to other devices after replugging: a scanned code must not press a button."""
    kernel, taps = InputKernel(multi=False, single=False), Taps()
    with VirtualTouch((800, 480), path=tmp_path / "event0") as keyboard:
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        monkeypatch.setattr(stat, "S_ISCHR", stat.S_ISFIFO)
        url = f"evdev://{keyboard.path}"
        for wanted in (url, f"{url}?keys=0", f"{url}?range=800x480"):
            with pytest.raises(TouchError, match=r"no absolute axes.*/dev/sco/touch.*keys=1"):
                open_touch(wanted)
        assert not kernel.grabbed
        with open_touch(f"{url}?keys=1") as touch:
            touch.start((800, 480), taps.taps.put, taps.lost.put)
            keyboard.key(28)
            assert taps.next() == (-1, -1)


def test_a_tap_has_the_time_of_its_events(tmp_path) -> None:
    taps, fifo = Taps(), tmp_path / "fifo"
    os.mkfifo(fifo)
    fd = os.open(fifo, os.O_RDWR)
    try:
        with open_touch(f"sim://{fifo}?range=800x480") as touch:
            touch.start((800, 480), taps.taps.put, taps.lost.put)
            ago = time.monotonic() - 2.0
            down, up = ((3, 0, 5), (1, 0x14A, 1), (0, 0, 0)), ((1, 0x14A, 0), (0, 0, 0))
            for at, events in ((ago, down), (ago + 0.1, up)):
                os.write(fd, b"".join(EVENT.pack(int(at), int(at % 1 * 1e6), *event) for event in events))
            tap = taps.taps.get(timeout=20)
            assert tap.pressed_at == pytest.approx(ago, abs=0.001)
            # Another clock than ours says nothing; then it is now.
            for events in (down, up):
                os.write(fd, b"".join(EVENT.pack(1_700_000_000, 0, *event) for event in events))
            assert taps.taps.get(timeout=20).pressed_at == pytest.approx(time.monotonic(), abs=15)
    finally:
        os.close(fd)


def test_the_uinput_panel_is_described_as_the_kernel_requires(monkeypatch) -> None:
    requests: list[tuple[int, object]] = []
    written, kept = os.pipe()[::-1]

    def ioctl(fd: int, request: int, data=0):
        requests.append((request, bytes(data) if isinstance(data, bytes | bytearray) else data))
        if request == uinput.UI_GET_SYSNAME:
            data[:8] = b"input99\0"
        return 0

    monkeypatch.setattr(uinput.os, "open", lambda *args: written)
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    monkeypatch.setattr(uinput.UinputTouch, "_find_node", lambda self: Path("/dev/input/event9"))
    with uinput.UinputTouch((800, 480), multi=True) as finger:
        assert finger.url == "evdev:///dev/input/event9"
        finger.tap(400, 240)
        reports = list(EventReader().feed(os.read(kept, 4096)))
        assert reports == [Report(2050, 2052, True), Report(2050, 2052, False)]
    os.close(kept)
    # Sizes and numbers as the C headers give them on x86-64.
    assert (uinput.SETUP.size, uinput.ABS_SETUP.size) == (92, 28)
    abs_x = struct.pack("@Hxx6i", 0, 0, 0, 4095, 0, 0, 0)
    assert (0x401C5504, abs_x) in requests
    assert [request for request, _ in requests][-3:] == [0x405C5503, 0x5501, 0x5502]


def test_no_panel() -> None:
    with pytest.raises(DeviceNotFound):
        open_touch("evdev:///dev/input/no-such-event")
    with pytest.raises(TouchError, match="not an input device"):
        open_touch("evdev:///dev/null")
    with pytest.raises(TouchError, match="not an input device"):
        open_touch("evdev:///etc/hostname?keys=1")
    with pytest.raises(DeviceNotFound):
        open_touch("sim:///no/such/fifo")
    with pytest.raises(TouchError, match="not a FIFO"):
        open_touch("sim:///etc/hostname")


def test_the_null_panel_never_reports_a_tap() -> None:
    with open_touch("none://") as touch:
        touch.start((800, 480), print, print)
    with pytest.raises(DeviceClosed):
        touch.start((800, 480), print, print)
