"""Faults of display and touch panel in the middle of a payment, at the wire: typed errors, and the payment goes on by
what the mode allows. The lane's own screens, on mapped files, FIFOs and played kernels.
"""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import zxingcpp

from sco_drivers.errors import DeviceGone
from sco_drivers.registry import open_screen, open_touch
from sco_drivers.screen import Screen, console, fbdev
from sco_hwtest.contracts.screen import scenes
from sco_payment.attempt import Outcome, View
from sco_payment.customer import ui
from sco_payment.customer.texts import RUSSIAN
from sco_payment.customer.ui import Button, ScreenState, ScreenUI
from sco_payment.devices import ReopeningDevice
from sco_payment.events import LaneEvent, NoteAdded, ScreenFailed, StateChanged
from sco_payment.order import Order
from sco_sim.nfc import Fault, VirtualReader, VirtualTag
from sco_sim.paymaster.bank import Bank
from sco_sim.printer import VirtualPrinter
from sco_sim.screen import VirtualScreen
from sco_sim.touch import VirtualTouch
from tests.payment.lane_kit import OwnUI, bench

pytestmark = pytest.mark.usefixtures("idle_time")

ORDER = Order("42", 25300)


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ui, "LOOK_S", 0.05)


def codes(monitor: VirtualScreen) -> list[str]:
    return (
        [str(found.text) for found in zxingcpp.read_barcodes(monitor.image(), zxingcpp.BarcodeFormat.QRCode)]
        if monitor.path.exists()
        else []
    )


def until(true: Callable[[], Any], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def at(lane: Any, phase: str, act: Callable[[], None]) -> None:
    """Call `act` once, in a thread of its own, when the payment reaches `phase`."""
    done: list[str] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, StateChanged) and event.phase.value == phase and not done:
            done.append(phase)
            threading.Thread(target=act).start()

    lane._loop.observer = observe


def test_display_pulled_out_for_good_and_the_customer_had_scanned(tmp_path: Path) -> None:
    with (
        VirtualScreen((800, 480)) as monitor,
        bench(tmp_path, "pays after=6", devices={"screen": monitor.url}) as (lane, paymaster),
    ):
        at(lane, "waiting", monitor.unplug)
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert (paymaster.bank.creates, paymaster.bank.cancels, lane.journal.cases()) == (1, 0, [])


def test_display_pulled_out_and_plugged_in_shows_the_code_again(tmp_path: Path) -> None:
    with (
        VirtualScreen((800, 480)) as monitor,
        bench(tmp_path, "leaves", devices={"screen": monitor.url}) as (lane, paymaster),
    ):
        seen: list[list[str]] = []

        def out_and_in() -> None:
            (payment,) = paymaster.bank.payments.values()
            seen.append(codes(monitor))
            monitor.unplug()
            time.sleep(0.2)
            monitor.plug()
            until(lambda: codes(monitor) == [payment.link])
            seen.append(codes(monitor))
            paymaster.phone.pay(payment.link)

        at(lane, "waiting", out_and_in)
        assert lane.pay(ORDER).outcome is Outcome.PAID
        (payment,) = paymaster.bank.payments.values()
        assert seen == [[payment.link]] * 2
        assert paymaster.bank.cancels == 0


def test_without_a_display_mode_1_is_not_presented(tmp_path: Path) -> None:
    with VirtualScreen((800, 480)) as monitor:
        monitor.unplug()
        with bench(tmp_path, devices={"screen": monitor.url}) as (lane, paymaster):
            result = lane.pay(ORDER)
            assert (result.outcome, paymaster.bank.cancels) == (Outcome.NOT_PRESENTED, 1)
            said = [str(record.body) for record in lane.journal.timeline(result.key)]
            assert any("no display is connected" in body for body in said)


@pytest.mark.parametrize("back", [True, False])
def test_a_screen_that_fails_is_asked_for_no_code_that_counts_as_not_seen(tmp_path: Path, back: bool) -> None:
    """Such a screen tries by itself what it was asked for last: when it is back, there must not be a code on it."""

    class Fails(OwnUI):
        failed = False

        def show(self, state: ScreenState) -> None:
            order.append(state.view)
            if state.view is View.PAY and not self.failed:
                self.failed = True
                raise DeviceGone("the panel is gone", url="fb:///dev/fb0")
            if self.failed and not back:
                raise DeviceGone("the panel is gone", url="fb:///dev/fb0")

    order: list[object] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, ScreenFailed) or (isinstance(event, NoteAdded) and "not presented" in event.text):
            order.append(type(event))

    with bench(tmp_path, "pays after=2", ui=Fails(), observer=observe) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, paymaster.bank.cancels) == (Outcome.NOT_PRESENTED, 1)
    first = order.index(View.PAY)
    assert order[first : first + 4] == [View.PAY, ScreenFailed, View.WAIT, NoteAdded]
    assert View.PAY not in order[first + 1 :]


def test_without_a_display_mode_2_goes_on_by_the_plate(tmp_path: Path) -> None:
    plate = Bank(lambda: 0.0).add_sticker().payload  # what the plate carries is known before the lane is set up
    display = {"mode": 2, "plate": "static", "sticker_id": "st-000001", "plate_link": plate}
    with VirtualScreen((800, 480)) as monitor:
        monitor.unplug()
        with bench(tmp_path, "pays after=2", devices={"screen": monitor.url}, display=display) as (lane, paymaster):
            paymaster.bank.add_sticker()
            result = lane.pay(ORDER)
            assert (result.outcome, paymaster.bank.cancels) == (Outcome.PAID, 0)
            said = [str(record.body) for record in lane.journal.timeline(result.key)]
            assert any("on the plate; no screen" in body for body in said)


@pytest.mark.parametrize("readable", [True, False])
def test_without_a_display_mode_2_goes_on_by_the_tag_where_it_carries_the_link(tmp_path: Path, readable: bool) -> None:
    with VirtualScreen((800, 480)) as monitor, VirtualReader(VirtualTag("ntag215")) as reader:
        monitor.unplug()
        if not readable:
            reader.inject(Fault.TAG_LEAVES)
        devices = {"screen": monitor.url, "nfc": reader.url}
        with bench(tmp_path, "pays after=9", devices=devices, display={"mode": 2, "plate": "dynamic"}) as (lane, _):
            assert lane.pay(ORDER).outcome is (Outcome.PAID if readable else Outcome.NOT_PRESENTED)


def test_without_a_display_mode_0_goes_on_by_the_ticket(tmp_path: Path) -> None:
    with VirtualScreen((800, 480)) as monitor, VirtualPrinter() as printer:
        monitor.unplug()
        devices = {"screen": monitor.url, "printer": printer.url}
        with bench(tmp_path, "pays after=9", devices=devices, display={"mode": 0}) as (lane, paymaster):
            assert (lane.pay(ORDER).outcome, paymaster.bank.cancels) == (Outcome.PAID, 0)


class Framebuffer:
    """/dev/null played as a framebuffer, at the ioctl."""

    def __init__(self, *, bits: int = 16, refuse: int = 0) -> None:
        self.bits, self.refuse = bits, refuse

    def ioctl(self, fd: int, request: int, data: Any = 0) -> int:
        if self.refuse:
            raise OSError(self.refuse, os.strerror(self.refuse))
        if request == fbdev.FBIOGET_VSCREENINFO:
            words = [800, 480, 800, 480, 0, 0, self.bits] + [0] * 33
            data[:] = fbdev.VARIABLE.pack(*words)
        elif request == fbdev.FBIOGET_FSCREENINFO:
            data[:] = fbdev.FIXED.pack(b"odd fb", 0, 800 * 480, 0, 0, 2, 0, 0, 0, 400, 0, 0, 0, 0, 0, 0)
        return 0


@pytest.mark.parametrize(
    ("url", "device", "words"),
    [
        ("fb:///dev/no-such-fb", None, "no such device"),
        ("fb:///dev/null?tty=none", Framebuffer(bits=4), "4 bits a pixel"),
        ("fb:///dev/null?tty=none", Framebuffer(refuse=errno.ENODEV), "unplugged"),
        ("drm:///dev/null?tty=none", Framebuffer(refuse=errno.EACCES), "master"),
        ("drm:///dev/null?tty=none", Framebuffer(refuse=errno.EBUSY), "in use"),
        ("fb:///dev/null?tty=none", PermissionError(errno.EACCES, "Permission denied"), "may not open the display"),
    ],
)
def test_a_display_that_cannot_be_opened_is_reported_and_no_money_is_taken(
    url: str, device: Framebuffer | OSError | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true_open = os.open

    def refused(path: Any, *rest: Any, **named: Any) -> int:
        if str(path) == "/dev/null":
            assert isinstance(device, OSError)
            raise device
        return true_open(path, *rest, **named)

    if isinstance(device, Framebuffer):
        monkeypatch.setattr(fcntl, "ioctl", device.ioctl)
    elif device is not None:
        monkeypatch.setattr(os, "open", refused)
    with bench(tmp_path, devices={"screen": url}) as (lane, paymaster):
        result = lane.pay(ORDER)
        assert (result.outcome, paymaster.bank.creates, paymaster.bank.cancels) == (Outcome.NOT_PRESENTED, 1, 1)
        said = [str(record.body) for record in lane.journal.timeline(result.key)]
        assert any(words in body for body in said), said


class Finger:
    """A customer at the dialog: sees where a button is, and taps it."""

    def __init__(self, monitor: VirtualScreen, touch: VirtualTouch) -> None:
        self.monitor, self.touch = monitor, touch

    def spot(self, action: str) -> tuple[int, int]:
        until(lambda: self.monitor.button(action) is not None)
        box = self.monitor.button(action)
        assert box is not None
        return box.x + box.width // 2, box.y + box.height // 2

    def tap(self, action: str) -> None:
        self.touch.tap(*self.spot(action))


@pytest.mark.parametrize("rotate", [0, 90])
@pytest.mark.parametrize("choice", ["retry", "cancel"])
def test_a_finger_answers_the_dialog(choice: str, rotate: int, tmp_path: Path) -> None:
    size = (800, 480) if rotate == 0 else (480, 800)
    turn = None if rotate == 0 else (lambda u, v: (1 - v, u))
    with (
        VirtualScreen((800, 480), rotate=rotate) as monitor,
        VirtualTouch(size, multi=True, turn=turn) as panel,
        bench(tmp_path, devices={"screen": monitor.url, "touch": f"{panel.url}&rotate={rotate}"}) as (lane, paymaster),
    ):
        finger = Finger(monitor, panel)

        def offline() -> None:
            (payment,) = paymaster.bank.payments.values()
            paymaster.go_offline()
            paymaster.phone.pay(payment.link)
            at(lane, "asking", answer)

        def answer() -> None:
            until(lambda: monitor.button("retry") is not None)
            finger.tap(choice)
            if choice == "retry":  # not before the tap: the status would end the dialog
                paymaster.go_online()

        at(lane, "waiting", offline)
        result = lane.pay(ORDER)
        if choice == "retry":
            assert (result.outcome, paymaster.bank.cancels) == (Outcome.PAID, 0)
        else:
            assert result.outcome is Outcome.UNKNOWN
            assert [case.reason for case in lane.journal.cases()] == ["cancel_unanswered"]


def test_a_panel_pulled_out_and_plugged_in_while_the_dialog_is_shown_answers_it(tmp_path: Path) -> None:
    with (
        VirtualScreen((800, 480)) as monitor,
        VirtualTouch((800, 480)) as panel,
        bench(tmp_path, devices={"screen": monitor.url, "touch": panel.url}) as (lane, paymaster),
    ):
        finger = Finger(monitor, panel)

        def offline() -> None:
            (payment,) = paymaster.bank.payments.values()
            paymaster.go_offline()
            paymaster.phone.pay(payment.link)
            at(lane, "asking", out_and_in)

        def out_and_in() -> None:
            until(lambda: monitor.button("retry") is not None)
            panel.unplug()
            until(lambda: not lane._loop.customer._ui._panels[0].listening)
            panel.plug()
            until(lambda: lane._loop.customer._ui._panels[0].listening)
            finger.tap("retry")
            paymaster.go_online()

        at(lane, "waiting", offline)
        assert lane.pay(ORDER).outcome is Outcome.PAID
        assert paymaster.bank.cancels == 0


@pytest.mark.parametrize("lost", ["panel", "keypad", "both"])
def test_panel_and_keypad_press_the_same_buttons_and_each_is_opened_again_alone(lost: str) -> None:
    chosen: list[str] = []
    with (
        VirtualScreen((800, 480)) as monitor,
        VirtualTouch((800, 480)) as panel,
        VirtualTouch((800, 480)) as keypad,
    ):
        devices = [ReopeningDevice(partial(open_touch, one.url)) for one in (panel, keypad)]
        shown = ScreenUI(ReopeningDevice(lambda: open_screen(monitor.url)), devices, RUSSIAN)
        finger = Finger(monitor, panel)

        def show_and_press(press: Callable[[], None]) -> None:
            chosen.clear()
            shown.show(ScreenState(View.PAY, f"Оплатите {time.monotonic()}", buttons=(Button("cancel", "Отменить"),)))
            until(lambda: all(one.listening for one in shown._panels))
            time.sleep(0.2)  # sooner would count as bounce
            press()
            until(lambda: chosen == ["cancel"])

        try:
            shown.bind(lambda attempt, button: chosen.append(button) is None)
            show_and_press(lambda: finger.tap("cancel"))
            show_and_press(lambda: keypad.key(2))  # the digit 1: the first button
            out = {"panel": (panel,), "keypad": (keypad,), "both": (panel, keypad)}[lost]
            for one in out:
                one.unplug()
            until(lambda: [shown._panels[n].listening for n in (0, 1)] == [panel not in out, keypad not in out])
            kept = [one for one in (panel, keypad) if one not in out]
            opened = [device._device for device, one in zip(devices, (panel, keypad), strict=True) if one in kept]
            if lost != "both":  # the other one works meanwhile
                chosen.clear()
                time.sleep(0.2)  # sooner would count as bounce
                finger.tap("cancel") if lost == "keypad" else keypad.key(2)
                until(lambda: chosen == ["cancel"])
            for one in out:
                one.plug()
            show_and_press(lambda: finger.tap("cancel"))
            show_and_press(lambda: keypad.key(2))
            still = [device._device for device, one in zip(devices, (panel, keypad), strict=True) if one in kept]
            assert still == opened, "a panel that was there was opened again"
        finally:
            shown.close()


def test_one_of_two_panels_is_missing_and_the_customer_cancels_on_the_other(tmp_path: Path) -> None:
    with VirtualScreen((800, 480)) as monitor, VirtualTouch((800, 480)) as panel:
        touch = ["evdev:///dev/no-such-keypad?keys=1", panel.url]
        with bench(tmp_path, devices={"screen": monitor.url, "touch": touch}) as (lane, paymaster):
            finger = Finger(monitor, panel)

            def cancel() -> None:
                until(lambda: monitor.button("cancel") is not None)
                finger.tap("cancel")

            at(lane, "waiting", cancel)
            assert lane.pay(ORDER).outcome is Outcome.UNPAID
            assert paymaster.bank.cancels == 1


def test_a_finger_that_came_down_on_the_code_presses_nothing_on_the_dialog(tmp_path: Path) -> None:
    """The customer holds "Отменить" of the code's screen while the dialog takes its place, and lifts there."""
    with (
        VirtualScreen((800, 480)) as monitor,
        VirtualTouch((800, 480)) as panel,
        bench(tmp_path, devices={"screen": monitor.url, "touch": panel.url}) as (lane, paymaster),
    ):
        finger = Finger(monitor, panel)
        other: list[tuple[int, int]] = []

        def hold() -> None:
            until(lambda: lane._loop.customer._ui._panels[0].listening)
            panel.press(*held)
            time.sleep(0.05)
            paymaster.go_offline()
            at(lane, "asking", lift)

        def lift() -> None:
            until(lambda: monitor.button("retry") is not None)
            assert finger.spot("cancel") == held
            panel.lift()
            time.sleep(0.3)
            other.append((paymaster.bank.cancels, len(lane.journal.cases())))
            paymaster.go_online()
            (payment,) = paymaster.bank.payments.values()
            paymaster.phone.pay(payment.link)
            finger.tap("retry")

        held = dialog_button_position("cancel")
        at(lane, "waiting", hold)
        result = lane.pay(ORDER)
        assert other == [(0, 0)]
        assert (result.outcome, paymaster.bank.cancels) == (Outcome.PAID, 0)


def dialog_button_position(action: str) -> tuple[int, int]:
    """Determined on a screen of the same size."""
    with VirtualScreen((800, 480)) as monitor, open_screen(monitor.url) as screen:
        screen.show(next(scene for scene in scenes() if scene.name == "dialog"))
        box = monitor.button(action)
        assert box is not None
        return box.x + box.width // 2, box.y + box.height // 2


def test_a_lane_on_a_real_display_is_ready_to_release_the_console(tmp_path: Path) -> None:
    """Its screen is opened in a thread, where no handler can be set: the lane's assembly does it."""
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        for number in kept:
            signal.signal(number, signal.SIG_DFL)
        with bench(tmp_path, devices={"screen": "fb:///dev/no-such-fb"}):
            assert [signal.getsignal(number) for number in kept] == [console._on_signal] * 2
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("trouble", [DeviceGone("the panel was unplugged"), ZeroDivisionError("no axes")])
def test_a_panel_that_fails_as_it_is_started_is_started_again(trouble: Exception) -> None:
    """Its device was being unplugged: it reports that before `start` has returned. Or its driver, a third party's,
    raised something of its own."""

    class Failing:
        starts = 0

        def start(self, size: object, on_tap: object, on_lost: Callable[[Exception], None]) -> None:
            self.starts += 1
            if self.starts == 1:
                if not isinstance(trouble, DeviceGone):
                    raise trouble
                on_lost(trouble)

        def close(self) -> None:
            pass

    panel = Failing()
    with VirtualScreen((800, 480)) as monitor:
        shown = ScreenUI(ReopeningDevice(lambda: open_screen(monitor.url)), [ReopeningDevice(lambda: panel)], RUSSIAN)
        try:
            shown.show(ScreenState(View.WAIT, "Пожалуйста, подождите"))
            until(lambda: panel.starts == 2)
            assert shown._panels[0].listening
        finally:
            shown.close()


def test_a_tap_that_meets_a_bug_leaves_the_panel_working(caplog: pytest.LogCaptureFixture) -> None:
    chosen: list[str] = []

    def choose(attempt: str, button: str) -> bool:
        chosen.append(button)
        if len(chosen) == 1:
            raise ZeroDivisionError("a bug")
        return True

    with VirtualScreen((800, 480)) as monitor, VirtualTouch((800, 480)) as finger:
        panel = ReopeningDevice(lambda: open_touch(finger.url))
        shown = ScreenUI(ReopeningDevice(lambda: open_screen(monitor.url)), [panel], RUSSIAN, choose)
        try:
            shown.show(ScreenState(View.DIALOG, "?", buttons=(Button("retry", "Повторить"),), attempt="42-1"))

            def pressed() -> int:
                finger.key(28)
                return len(chosen)

            until(lambda: pressed() > 1)
        finally:
            shown.close()
    assert "ZeroDivisionError: a bug" in caplog.text


def test_the_screens_thread_survives_unexpected_errors() -> None:
    """A driver of a third party may raise anything; a display that comes back shows again all the same."""
    with VirtualScreen((800, 480)) as monitor:
        openings: list[float] = []

        def opener() -> Screen:
            openings.append(time.monotonic())
            if len(openings) in (2, 3):
                raise RuntimeError("unexpected")
            return open_screen(monitor.url)

        shown = ScreenUI(ReopeningDevice(opener), (), RUSSIAN)
        try:
            shown.show(ScreenState(View.WAIT, "Пожалуйста, подождите"))
            monitor.unplug()
            until(lambda: len(openings) > 3)
            monitor.plug()
            until(lambda: monitor.frames > 0)
        finally:
            shown.close()


def test_taps_are_scaled_to_the_display_that_was_plugged_in_instead() -> None:
    """The shop's spare display has another resolution; the touch panel is the same."""
    cancelled: list[tuple[str, str]] = []
    with (
        VirtualScreen((800, 480)) as old,
        VirtualScreen((1280, 800)) as new,
        VirtualTouch((1280, 800)) as panel,
    ):
        plugged = [old.url]
        shown = ScreenUI(
            ReopeningDevice(lambda: open_screen(plugged[0])), [ReopeningDevice(lambda: open_touch(panel.url))], RUSSIAN
        )
        try:
            shown.bind(lambda attempt, button: cancelled.append((attempt, button)) is None)
            shown.show(ScreenState(View.PAY, "Оплатите", buttons=(Button("cancel", "Отменить"),), attempt="k1"))
            until(lambda: shown._panels[0].listening)
            plugged[0] = new.url
            old.unplug()
            finger, taps = Finger(new, panel), itertools.count()

            def cancel_received() -> bool:
                x, y = finger.spot("cancel")
                tap = next(taps)  # never twice the same place: a panel does not repeat where the finger was
                panel.tap(x + tap, y + tap)
                time.sleep(0.5)  # as a customer taps; sooner would count as bounce
                return bool(cancelled)

            until(cancel_received)
            assert cancelled == [("k1", "cancel")]
        finally:
            shown.close()
