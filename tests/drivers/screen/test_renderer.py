"""What is in memory over time: only moving parts change, countdowns run, faults are reported, threads may call."""

from __future__ import annotations

import contextlib
import threading
import time
import tracemalloc
import weakref
from collections.abc import Callable
from dataclasses import replace

import pytest
from PIL import ImageChops

from sco_drivers.errors import BadDeviceUrl, DeviceClosed, DeviceGone, DeviceNotFound, ScreenError
from sco_drivers.registry import open_screen
from sco_drivers.screen import Button, Drawing, Scene, UnsupportedScreen, paint
from sco_drivers.screen.formats import FORMATS
from sco_drivers.screen.layout import MIN_MODULE_MM
from sco_hwtest.contracts.screen import LINK, scenes
from sco_sim.screen import VirtualScreen


def until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.01)


@pytest.mark.parametrize("url", ["sim://?format=rgb565", "sim://?format=xrgb8888&rotate=90", "sim://?format=mono"])
def test_spinner_moves_and_touches_nothing_else(url: str) -> None:
    with open_screen(url) as screen:
        screen.show(Scene("wait", "Пожалуйста, подождите", drawing=Drawing.SPINNER))
        box = screen._layout.drawing_box
        first = screen.image()
        until(lambda: ImageChops.difference(first, screen.image()).getbbox() is not None)
        left, top, right, bottom = ImageChops.difference(first, screen.image()).getbbox()
        assert left >= box.x
        assert top >= box.y
        assert right <= box.x + box.width
        assert bottom <= box.y + box.height


def test_a_turn_of_the_spinner_allocates_no_pixels() -> None:
    with open_screen("sim://?size=1024x768&format=xrgb8888") as screen:
        screen.show(Scene("wait", "Пожалуйста, подождите", drawing=Drawing.SPINNER))
        peaks = []
        with screen._lock:
            screen._step()
            for _ in range(5):  # other threads of this process allocate too
                tracemalloc.start()
                for _ in range(40):
                    screen._step()
                peaks.append(tracemalloc.get_traced_memory()[1])
                tracemalloc.stop()
        assert min(peaks) < 4096 < len(screen._spinner.frames) // screen._spinner.count


def test_spinner_stops_with_its_scene() -> None:
    with open_screen("sim://?size=640x480") as screen:
        screen.show(Scene("wait", "Ждите", drawing=Drawing.SPINNER))
        pictures = weakref.ref(screen._spinner.frames)
        screen.show(Scene("paid", "Оплата прошла успешно", drawing=Drawing.TICK))
        assert pictures() is None  # their memory is the system's again
        frames, image = screen.simulator.frames, screen.image()
        time.sleep(0.3)
        assert screen.simulator.frames == frames
        assert screen.image().tobytes() == image.tobytes()


@pytest.mark.parametrize("form", ["rgb565", "mono"])
def test_countdown_runs_to_zero_and_touches_nothing_else(form: str) -> None:
    with open_screen(f"sim://?size=800x480&format={form}") as screen:
        screen.show(
            Scene("qr", "Сканируйте", amount="1,00 ₽", qr=LINK, deadline=time.time() + 2, deadline_label="Осталось")
        )
        box = screen._layout.countdown.box
        first = screen.image()
        until(lambda: screen._left == "0:00")
        last = screen.image()
        left, top, right, bottom = ImageChops.difference(first, last).getbbox()
        assert left >= box.x // 8 * 8
        assert top >= box.y
        assert right <= -(-(box.x + box.width) // 8) * 8
        assert bottom <= box.y + box.height
        frames = screen.simulator.frames
        assert frames in (2, 3)  # the scene, 0:01 unless the machine was busy, 0:00
        # What the thread drew is what a fresh drawing would be.
        screen.show(Scene("qr", "Сканируйте", amount="1,00 ₽", qr=LINK, deadline=0, deadline_label="Осталось"))
        assert screen.image().tobytes() == last.tobytes()


def test_an_unplugged_display_fails_the_next_scene() -> None:
    with VirtualScreen((640, 480)) as panel, open_screen(panel.url) as screen:
        screen.show(scenes()[0])
        panel.unplug()
        with pytest.raises(DeviceGone) as found:
            screen.show(scenes()[1])
        assert found.value.url == panel.url
        assert found.value.retryable
        assert screen.button_at(-1, -1, time.monotonic() + 60) is None
        assert screen.scene is None


def test_unplugging_ends_the_spinner_without_other_effects() -> None:
    with VirtualScreen((640, 480)) as panel, open_screen(panel.url) as screen:
        screen.show(scenes()[0])
        panel.unplug()
        until(lambda: screen._lost is not None)
        assert isinstance(screen._lost, DeviceGone)


def test_the_animation_thread_survives_unexpected_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_screen("sim://?size=320x240") as screen:
        monkeypatch.setattr(screen._memory, "changed", lambda boxes: 1 / 0)
        screen.show(Scene("wait", "Подождите", drawing=Drawing.SPINNER))
        until(lambda: screen._lost is not None)
        with pytest.raises(ScreenError, match="division by zero"):
            screen.check()
        monkeypatch.undo()
        screen.show(Scene("wait", "Подождите", drawing=Drawing.SPINNER))
        frames = screen.simulator.frames
        until(lambda: screen.simulator.frames > frames + 1)


def test_closing_makes_the_panel_black() -> None:
    for form in ("rgb565", "mono", "mono-inverted"):
        with VirtualScreen((640, 480), form) as panel:
            with open_screen(panel.url) as screen:
                screen.show(scenes()[1])
                assert panel.image().getextrema() != ((0, 0),) * 3
            assert panel.image().getextrema() == ((0, 0),) * 3


def test_closed_screen_refuses() -> None:
    screen = open_screen("sim://?size=640x480")
    screen.show(scenes()[4])
    screen.close()
    with pytest.raises(DeviceClosed):
        screen.save_png("/nowhere.png")
    assert screen.button_at(-1, -1) is None


def test_a_picture_that_cannot_be_saved_names_its_path() -> None:
    with open_screen("sim://?size=640x480") as screen, pytest.raises(ScreenError, match="No such file") as caught:
        screen.save_png("/no/such/folder/screen.png")
    assert "/no/such/folder/screen.png" in str(caught.value)


def test_the_guard_time_ignores_a_hasty_second_tap() -> None:
    with open_screen("sim://?size=640x480&guard_ms=5000") as screen:
        screen.show(Scene("dialog", "Повторить?", buttons=(Button("retry", "Повторить"),)))
        assert screen.button_at(-1, -1) is None
        assert screen.button_at(-1, -1, time.monotonic() + 5.1) == "retry"


def test_scenes_from_many_threads_leave_one_whole_scene() -> None:
    chosen = [scenes()[n] for n in (1, 4, 5, 6)]
    with open_screen("sim://?size=640x480") as screen:
        threads = [threading.Thread(target=screen.show, args=(scene,)) for scene in chosen * 4]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        last = screen.scene
        seen = screen.image()
        screen.show(last)
        box = screen._layout.countdown.box if screen._layout.countdown else None
        difference = ImageChops.difference(seen, screen.image()).getbbox()
        assert difference is None or (box is not None and difference[0] >= box.x and difference[1] >= box.y)


def test_module_size_is_known_if_the_panel_size_is(caplog: pytest.LogCaptureFixture) -> None:
    scene = scenes()[1]
    with open_screen("sim://?size=1024x768&mm=304x228") as screen:
        screen.show(scene)
        assert screen.module_mm == pytest.approx(7 * 304 / 1024, rel=0.01)  # 102 mm of at most 110
    with open_screen("sim://?size=800x480&mm=40x24") as screen:
        screen.show(scene)
        assert screen.module_mm < MIN_MODULE_MM
        screen.show(scene)
    assert [record.getMessage() for record in caplog.records if "some phones will not" in record.getMessage()] == [
        f"{screen.url}: a module of the code is {screen.module_mm:.2f} mm, less than 0.5: some phones will not read it"
    ]


def test_a_panel_that_is_too_small_is_refused_and_the_last_scene_stays() -> None:
    with open_screen("sim://?size=320x240") as screen:
        screen.show(Scene("paid", "Оплачено"))
        seen = screen.image()
        with pytest.raises(UnsupportedScreen):
            screen.show(Scene("x", "слово " * 5000))
        assert screen.image().tobytes() == seen.tobytes()


def test_a_refused_scene_does_not_stop_the_present_countdown() -> None:
    with open_screen("sim://?size=320x240") as screen:
        refused = [Scene("x", "слово " * 5000, deadline=deadline) for deadline in (None, time.time() + 500)]
        for again in (False, True):  # to find that it has no room takes seconds, the first time
            if again:
                screen.show(Scene("dialog", "Повторить?", deadline=time.time() + 2.0))
                frames = screen.simulator.frames
            for scene in refused:
                with pytest.raises(UnsupportedScreen):
                    screen.show(scene)
        until(lambda: screen._left == "0:00")
        assert screen.simulator.frames > frames


@pytest.mark.parametrize("size", ["64x64", "128x64", "200x64", "100x4000", "16384x64"])
def test_a_panel_that_is_too_small_is_a_typed_error(size: str) -> None:
    with open_screen(f"sim://?size={size}&format=mono") as screen:
        for scene in scenes():
            with contextlib.suppress(UnsupportedScreen):
                screen.show(scene)


@pytest.mark.parametrize(
    "url",
    [
        "sim://?size=10x10",
        "sim://?size=1024",
        "sim://?size=99999x1",
        "sim://?format=rgb999",
        "sim://?rotate=45",
        "sim://?colour=red",
        "sim://?stride=8",
        "sim://?mm=0x5",
        "none://?format=rgb565",
    ],
)
def test_bad_parameters_are_refused(url: str) -> None:
    with pytest.raises(BadDeviceUrl):
        open_screen(url)


def test_no_such_directory() -> None:
    with pytest.raises(DeviceNotFound):
        open_screen("sim:///no/such/directory/screen.fb")


def test_the_null_screen_accepts_scenes_and_has_no_picture(tmp_path) -> None:
    with open_screen("none://?size=800x480") as screen:
        screen.show(scenes()[4])
        assert screen.size == (800, 480)
        assert screen.button_at(10, 10) is None
        assert screen.button_at(-2, -1) == "cancel"
        with pytest.raises(ScreenError):
            screen.save_png(str(tmp_path / "x.png"))
    with pytest.raises(DeviceClosed):
        screen.show(scenes()[0])


def test_the_virtual_screen_knows_where_buttons_are() -> None:
    with VirtualScreen((640, 480)) as panel:
        assert panel.button("retry") is None
        with open_screen(panel.url) as screen:
            screen.show(scenes()[4])
            box = panel.button("retry")
            assert screen.button_at(box.x, box.y) == "retry"
            assert panel.button("pay") is None


def test_the_virtual_screen_can_be_read_by_other_processes(tmp_path) -> None:
    path = tmp_path / "fb"
    with VirtualScreen((640, 480), "bgr888", rotate=90, stride=2000, path=path) as panel:
        assert panel.frames == 0
        with open_screen(panel.url) as screen:
            screen.show(scenes()[5])
            assert screen.size == (480, 640)
            assert panel.frames == 1
            assert panel.image().tobytes() == screen.image().tobytes()
            panel.save_png(tmp_path / "panel.png")
    assert path.exists()


@pytest.mark.parametrize("rotate", [0, 90])
@pytest.mark.parametrize("form", ["gray8", "rgb565", "bgr888", "xrgb8888", "mono"])
@pytest.mark.parametrize("size", ["1024x768", "801x479"])
def test_a_spinner_step_copies_the_whole_picture(size: str, form: str, rotate: int) -> None:
    """The ring's own pixels are all that is copied; the result is every picture as it was painted."""
    with open_screen(f"sim://?size={size}&format={form}&rotate={rotate}") as screen:
        screen.show(Scene("wait", "Пожалуйста, подождите", drawing=Drawing.SPINNER))
        box = screen._layout.drawing_box
        with screen._lock:
            for number, image in enumerate(paint.spinner(box.width)):
                screen._spinner.show(screen._memory.front(), number)
                seen = screen.image().crop((box.x, box.y, box.x + box.width, box.y + box.height))
                native = FORMATS[form].rows(image)
                whole = FORMATS[form].image(native, box.width, box.height, FORMATS[form].row_bytes(box.width))
                assert seen.tobytes() == whole.tobytes(), number


@pytest.mark.parametrize("form", ["rgb565", "mono"])
def test_a_calibration_cross_is_drawn_alone_at_its_place(form: str) -> None:
    with open_screen(f"sim://?size=640x480&format={form}&rotate=90") as screen:
        screen.show(scenes()[4])
        screen.mark(100, 333)
        left, top, right, bottom = screen.image().convert("L").point([255] * 100 + [0] * 156).getbbox()
        assert ((left + right - 1) / 2, (top + bottom - 1) / 2) == (100, 333)
        assert screen.button_at(-1, -1, time.monotonic() + 60) is None
        with pytest.raises(ValueError, match="does not fit"):
            screen.mark(3, 3)


def test_a_finger_on_a_button_that_stays_presses_it_when_only_the_status_changes() -> None:
    by_name = {scene.name: scene for scene in scenes()}
    with open_screen("sim://?size=800x480&guard_ms=250") as screen:
        screen.show(by_name["qr"])
        box = screen.button_box("cancel")
        assert box is not None
        pressed_at = time.monotonic() + 1.0
        screen._shown_at -= 10.0  # the customer has looked at it for a while
        screen.show(replace(by_name["qr"], status="Проверяем оплату"))
        assert screen.button_at(box.x + 5, box.y + 5, pressed_at - 1.0) == "cancel"
        screen.show(by_name["dialog"])
        assert screen.button_at(box.x + 5, box.y + 5, pressed_at - 1.0) is None
