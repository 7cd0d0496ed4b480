"""The framebuffer driver against a kernel that is played at the ioctl, with memory that is a mapped file.

A plain file replaces the device's memory, `fcntl.ioctl` answers as include/uapi/linux/fb.h says.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sco_drivers.errors import DeviceBusy, DeviceGone, DeviceNotFound, ScreenError
from sco_drivers.registry import open_screen
from sco_drivers.screen import Drawing, UnsupportedScreen, console, fbdev
from sco_drivers.screen.formats import FORMATS, PixelFormat
from sco_drivers.screen.renderer import DrawnScreen
from sco_drivers.urls import DeviceUrl
from sco_hwtest.contracts.screen import LINK, decoded, scenes


class Kernel:
    """One framebuffer: memory in a file, state as the kernel keeps it."""

    def __init__(self, path: Path, form: PixelFormat, *, size=(640, 480), pages=1, pad=0, visual=2, start=0) -> None:
        wide, high = size
        self.line = form.row_bytes(wide) + pad
        self.pan_step = 1
        self.pans: list[int] = []
        self.requests: list[int] = []
        self.gone = False
        self.virtual = high
        self.pages = pages
        self.visual = visual
        self.start = start
        self.length = self.line * high * pages
        words = [0] * 40
        words[0], words[1], words[2], words[3], words[6] = wide, high, wide, high, form.bits
        for number, field in enumerate((form.red, form.green, form.blue, form.alpha)):
            words[8 + 3 * number], words[9 + 3 * number] = field.offset, field.length
        words[22], words[23] = 120, 160  # mm
        self.words = words
        whole = -(-(self.length + start % mmap.PAGESIZE) // mmap.PAGESIZE) * mmap.PAGESIZE
        path.write_bytes(bytes(whole))
        self.path = path

    def ioctl(self, fd: int, request: int, data=0):
        self.requests.append(request)
        if self.gone:
            raise OSError(errno.ENODEV, "No such device")
        if request == fbdev.FBIOGET_VSCREENINFO:
            data[:] = fbdev.VARIABLE.pack(*self.words)
        elif request == fbdev.FBIOGET_FSCREENINFO:
            values = (b"test fb", self.start, self.length, 0, 0, self.visual, 0, self.pan_step, 0, self.line, 0, 0, 0)
            data[:] = fbdev.FIXED.pack(*values, 0, 0, 0)
        elif request == fbdev.FBIOPUT_VSCREENINFO:
            words = list(fbdev.VARIABLE.unpack(data))
            if words[3] * self.line > self.length:
                raise OSError(errno.EINVAL, "Invalid argument")
            self.words = words
        elif request == fbdev.FBIOPAN_DISPLAY:
            offset = fbdev.VARIABLE.unpack(data)[5]
            if offset + self.words[1] > self.words[3]:
                raise OSError(errno.EINVAL, "Invalid argument")
            self.words[5] = offset
            self.pans.append(offset)
        elif request == fbdev.FBIO_WAITFORVSYNC:
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        elif request == fbdev.FBIOPUTCMAP:
            start, count, *addresses, transparency = fbdev.COLOUR_MAP.unpack(data)
            assert (start, transparency) == (0, 0)
            self.colours = [list((ctypes.c_uint16 * count).from_address(address)) for address in addresses]
        return 0

    def open(self, monkeypatch: pytest.MonkeyPatch, query: str = "") -> DrawnScreen:
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)
        url = DeviceUrl.parse(f"fb://{self.path}?{query}")
        return DrawnScreen(url, fbdev.FramebufferMemory(url, os.open(self.path, os.O_RDWR)), guard_ms=0)


def test_structures_have_the_kernels_sizes() -> None:
    assert fbdev.VARIABLE.size == 160
    assert fbdev.FIXED.size == (80 if sys.maxsize > 1 << 32 else 68)
    assert fbdev.COLOUR_MAP.size == (40 if sys.maxsize > 1 << 32 else 24)


@pytest.mark.parametrize("name", ["rgb565", "bgr565", "xrgb8888", "argb8888", "rgb888", "bgr888"])
def test_format_comes_from_the_bitfields_and_the_code_reads(name: str, tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS[name], pad=64)
    with kernel.open(monkeypatch) as screen:
        assert screen._memory.geometry.format is FORMATS[name]
        screen.show(scenes()[1])
        assert decoded(screen.image()) == [LINK]
        assert screen.module_mm == pytest.approx(8 * 0.25, rel=0.3)


def test_two_pages_are_panned_and_the_mode_is_restored(tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"], pages=2)
    before = list(kernel.words)
    with kernel.open(monkeypatch) as screen:
        assert screen._memory.pages == 2
        for scene in scenes()[:9]:
            screen.show(scene)
        assert kernel.pans[1:] == [480, 0] * 4 + [480]
    assert kernel.words == before


def test_memory_that_was_tall_enough_is_panned_back_without_setting_the_mode(tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"], pages=2)
    kernel.words[3], kernel.words[5] = 960, 480
    with kernel.open(monkeypatch) as screen:
        assert screen._memory.pages == 2
        screen.show(scenes()[5])
    assert kernel.words[5] == 480
    assert fbdev.FBIOPUT_VSCREENINFO not in kernel.requests


def test_a_display_blanked_by_the_console_timer_is_unblanked_for_the_next_scene(tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"])
    with kernel.open(monkeypatch) as screen:
        before = kernel.requests.count(fbdev.FBIOBLANK)
        screen.show(scenes()[5])
        assert kernel.requests.count(fbdev.FBIOBLANK) == before + 1


def test_the_memory_of_an_unplugged_display_is_not_written(tmp_path, monkeypatch) -> None:
    """Its pages may be gone with it, and a write would be a SIGBUS."""
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"])
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[5])
        seen = kernel.path.read_bytes()
        kernel.gone = True
        with pytest.raises(DeviceGone):
            screen.show(scenes()[6])
        with pytest.raises(DeviceGone):
            screen.mark(320, 240)
    assert kernel.path.read_bytes() == seen


def test_two_pages_where_the_driver_cannot_pan_are_one(tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"], pages=2)
    kernel.pan_step = 0
    with kernel.open(monkeypatch) as screen:
        assert screen._memory.pages == 1
        screen.show(scenes()[1])
        assert decoded(screen.image()) == [LINK]
    assert kernel.pans == []


def test_offsets_of_memory_and_of_the_picture_are_honoured(tmp_path, monkeypatch) -> None:
    form = FORMATS["xrgb8888"]
    kernel = Kernel(tmp_path / "fb", form, pages=2, start=0x1000_0100)
    kernel.pan_step = 0
    kernel.words[3], kernel.words[5] = 960, 7
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[1])
        raw = kernel.path.read_bytes()[0x100 + 7 * kernel.line :]
        seen = form.image(raw, 640, 480, kernel.line)
        assert decoded(seen) == [LINK]


def test_colour_map_is_set_where_colours_are_looked_up(tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS["gray8"], visual=3)
    for number in range(3):
        kernel.words[9 + 3 * number] = 8
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[1])
        assert decoded(screen.image()) == [LINK]
    assert kernel.colours == [[level * 257 for level in range(256)]] * 3


def test_unplugged(tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"])
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[5])
        kernel.gone = True
        with pytest.raises(DeviceGone):
            screen.show(scenes()[6])


@pytest.mark.parametrize("change", [{0: 320}, {1: 400}, {3: 480}, {6: 32}, {8: 0}])
def test_a_mode_that_another_program_set_is_not_drawn_into(change: dict[int, int], tmp_path, monkeypatch) -> None:
    """Rows of another length would tear the picture; opened again the screen has the new mode."""
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"], pages=2)
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[5])
        for place, value in change.items():
            kernel.words[place] = value
        seen = kernel.path.read_bytes()
        with pytest.raises(DeviceGone, match="mode"):
            screen.show(scenes()[1])
        with pytest.raises(DeviceGone, match="mode"):
            screen.check()
        set_by_another = list(kernel.words)
    assert kernel.path.read_bytes() == seen
    assert kernel.words == set_by_another


@pytest.mark.parametrize("change", [{6: 4}, {7: 0x34325258}, {8: 0, 9: 0, 11: 0}, {0: 2000}, {9: 7}])
def test_unsupported_formats_report_what_was_found(change: dict[int, int], tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"])
    for place, value in change.items():
        kernel.words[place] = value
    with pytest.raises(UnsupportedScreen, match="test fb"):
        kernel.open(monkeypatch)


def test_no_device_and_no_framebuffer(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DeviceNotFound):
        open_screen("fb:///dev/no-such-fb")
    with pytest.raises(ScreenError, match="not a framebuffer"):
        open_screen("fb:///dev/null?tty=none")
    with pytest.raises(ScreenError, match="not a device"):
        open_screen(f"fb://{tmp_path}/file?tty=none")


class Terminal:
    """A virtual terminal at the ioctl: its mode, its keyboard's, and who decides on a switch to another."""

    def __init__(self, mode: int = 0) -> None:
        self.mode = mode
        self.keyboard = console.K_UNICODE
        self.switching = console.VT_AUTO
        self.active = 3
        self.opened_for = -1
        self.hung_up: set[int] = set()
        self.fds: set[int] = set()

    def reset(self) -> None:
        """What systemd does before it starts a getty (TTYReset)."""
        self.mode, self.keyboard, self.switching = console.KD_TEXT, console.K_UNICODE, console.VT_AUTO

    def ioctl(self, fd: int, request: int, data=0):
        self.opened_for = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
        self.fds.add(fd)
        if fd in self.hung_up:
            raise OSError(errno.EIO, "Input/output error")
        if request == console.VT_GETSTATE:
            data[:2] = self.active.to_bytes(2, "little")
        elif request == console.VT_ACTIVATE:
            self.active = data
        elif request == console.KDGETMODE:
            data[:] = self.mode.to_bytes(4, "little")
        elif request == console.KDSETMODE:
            self.mode = data
        elif request == console.KDGKBMODE:
            data[:] = self.keyboard.to_bytes(4, "little")
        elif request == console.KDSKBMODE:
            self.keyboard = data
        elif request == console.VT_GETMODE:
            data[:] = console.VT_MODE.pack(self.switching, 0, 0, 0, 0)
        elif request == console.VT_SETMODE:
            self.switching, _, *signals = console.VT_MODE.unpack(data)
            assert not any(signals), "a switch would send an unexpected signal"
        return 0

    @property
    def state(self) -> tuple[int, int, int]:
        return self.mode, self.keyboard, self.switching


HELD = (console.KD_GRAPHICS, console.K_OFF, console.VT_PROCESS)
FREE = (console.KD_TEXT, console.K_UNICODE, console.VT_AUTO)


@pytest.fixture
def terminal(tmp_path, monkeypatch) -> Terminal:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "tty0").touch()
    found = Terminal()
    monkeypatch.setattr(fcntl, "ioctl", found.ioctl)
    return found


def test_console_goes_to_graphics_and_back(terminal: Terminal, tmp_path) -> None:
    taken = console.Console.take(str(tmp_path / "tty0"))
    assert terminal.state == HELD
    assert not taken.hold()
    assert [path.name for path in tmp_path.glob("sco-console-*")] == [f"sco-console-{os.getuid()}-tty3"]
    taken.release()
    taken.release()
    assert terminal.state == FREE
    assert not taken.hold()
    assert terminal.state == FREE
    assert not list(tmp_path.glob("sco-console-*"))


def test_console_is_not_opened_for_reading(terminal: Terminal, tmp_path) -> None:
    """A member of the group tty may write to a console and not read from it."""
    console.Console.take(str(tmp_path / "tty0")).release()
    assert terminal.opened_for == os.O_WRONLY


def test_graphics_mode_of_another_program_is_refused(terminal: Terminal, tmp_path) -> None:
    terminal.mode = console.KD_GRAPHICS
    with pytest.raises(DeviceBusy):
        console.Console.take(str(tmp_path / "tty0"))
    assert terminal.mode == console.KD_GRAPHICS


def test_console_left_by_a_killed_run_is_taken_over(terminal: Terminal, tmp_path) -> None:
    terminal.mode, terminal.keyboard = console.KD_GRAPHICS, console.K_OFF
    (tmp_path / f"sco-console-{os.getuid()}-tty3").write_text("999999999 12345")
    taken = console.Console.take(str(tmp_path / "tty0"))
    taken.release()
    assert terminal.state == FREE


def test_no_console_is_an_error_only_when_asked_for(tmp_path) -> None:
    assert console.Console.take(str(tmp_path / "none"), asked=False) is None
    with pytest.raises(DeviceNotFound):
        console.Console.take(str(tmp_path / "none"), asked=True)


@pytest.mark.parametrize(("code", "hint"), [(errno.EPERM, "CAP_SYS_TTY_CONFIG"), (errno.ENOTTY, "tty=none")])
def test_a_console_that_will_not_change_its_mode_says_what_to_do(code: int, hint: str, tmp_path, monkeypatch) -> None:
    def ioctl(fd: int, request: int, data=0):
        if request == console.KDSETMODE:
            raise OSError(code, os.strerror(code))
        return 0

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    (tmp_path / "tty5").touch()
    with pytest.raises(DeviceNotFound, match=hint):
        console.Console.take(str(tmp_path / "tty5"))
    assert console.Console.take(str(tmp_path / "tty5"), asked=False) is None


def test_calls_interrupted_by_a_signal_are_repeated(tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"], pages=2)
    true, left = kernel.ioctl, {fbdev.FBIOPAN_DISPLAY: 3, fbdev.FBIO_WAITFORVSYNC: 2, fbdev.FBIOGET_VSCREENINFO: 1}
    waits: list[int] = []

    def ioctl(fd: int, request: int, data=0):
        if left.get(request):
            left[request] -= 1
            raise InterruptedError(errno.EINTR, "Interrupted system call")
        if request == fbdev.FBIO_WAITFORVSYNC:
            waits.append(request)
            return 0
        return true(fd, request, data)

    kernel.ioctl = ioctl
    with kernel.open(monkeypatch) as screen:
        for scene in scenes()[5:8]:
            screen.show(scene)
    assert not any(left.values())
    assert len(waits) == 3  # a signal does not end the waiting for good


@pytest.mark.parametrize("busy", [3, 10_000], ids=["for a moment", "for good"])
def test_a_driver_that_is_busy_panning_still_shows_the_scene(busy: int, tmp_path, monkeypatch, caplog) -> None:
    """A payment must not be cancelled for it: panning is tried again, then the scene is drawn without it."""
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"], pages=2)
    true, left = kernel.ioctl, 0

    def ioctl(fd: int, request: int, data=0):
        nonlocal left
        if request == fbdev.FBIOPAN_DISPLAY and left > 0:
            left -= 1
            raise OSError(errno.EBUSY, "Device or resource busy")
        return true(fd, request, data)

    kernel.ioctl = ioctl
    monkeypatch.setattr(time, "sleep", lambda s: None)
    with kernel.open(monkeypatch) as screen:
        for scene in scenes()[:3]:
            screen.show(scene)
        left = busy
        screen.show(scenes()[1])
        assert decoded(screen.image()) == [LINK]
        seen = kernel.words[5] * kernel.line
        shown = kernel.path.read_bytes()[seen : seen + len(screen._memory.front())]
        assert shown == bytes(screen._memory.front())
        assert screen._memory.pages == (2 if busy == 3 else 1)
        assert ("without panning" in caplog.text) == (busy != 3)
        for scene in scenes():
            screen.show(scene)
    screen.close()


def test_rows_that_would_move_with_a_taller_memory_are_left_as_they_are(tmp_path, monkeypatch) -> None:
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"], pages=2)
    true, line = kernel.ioctl, kernel.line

    def ioctl(fd: int, request: int, data=0):
        kernel.line = line + 64 if kernel.words[3] > 480 else line
        return true(fd, request, data)

    kernel.length += 2 * 480 * 64
    kernel.path.write_bytes(bytes(-(-kernel.length // mmap.PAGESIZE) * mmap.PAGESIZE))
    kernel.ioctl = ioctl
    with kernel.open(monkeypatch) as screen:
        assert screen._memory.pages == 1
        assert kernel.words[3] == 480
        screen.show(scenes()[1])
        assert decoded(screen.image()) == [LINK]


def test_a_keyboard_mode_of_the_user_is_restored(terminal: Terminal, tmp_path) -> None:
    terminal.keyboard = 1  # K_XLATE
    console.Console.take(str(tmp_path / "tty0")).release()
    assert terminal.keyboard == 1


@pytest.mark.parametrize("hang_up", [False, True], ids=["reset", "reset and vhangup"])
@pytest.mark.parametrize("scene", ["idle", "spinner", "next"])
def test_a_console_that_a_getty_resets_is_taken_again_and_the_picture_drawn_again(
    terminal: Terminal, scene: str, hang_up: bool, tmp_path, monkeypatch
) -> None:
    """systemd resets the terminal, and a restarted getty writes its login text into the framebuffer."""
    kernel = Kernel(tmp_path / "fb", FORMATS["rgb565"])
    requests = vars(console).values()
    here = terminal.ioctl
    monkeypatch.setattr(
        fcntl,
        "ioctl",
        lambda fd, request, data=0: (here if request in requests else kernel.ioctl)(fd, request, data),
    )
    taken = console.Console.take(str(tmp_path / "tty0"))
    url = DeviceUrl.parse(f"fb://{kernel.path}")
    memory = fbdev.FramebufferMemory(url, os.open(kernel.path, os.O_RDWR), console=taken)
    shown = next(
        one for one in scenes() if bool(one.drawing is Drawing.SPINNER) == (scene == "spinner") and not one.deadline
    )
    with DrawnScreen(url, memory, guard_ms=0) as screen:
        screen.show(shown)
        before = screen.image() if scene != "spinner" else None
        terminal.reset()
        if hang_up:
            terminal.hung_up = set(terminal.fds)
        memory.front()[:] = b"\x55" * len(memory.front())
        if scene == "idle":
            screen.check()
        elif scene == "next":
            screen.show(shown)
        else:
            end = time.monotonic() + 60
            while terminal.state != HELD and time.monotonic() < end:
                time.sleep(0.02)
        with screen._lock:
            assert terminal.state == HELD
            assert not memory.damaged
            assert before is None or screen.image().tobytes() == before.tobytes()
            assert bytes(memory.front()[:64]) != b"\x55" * 64
        screen.check()
    assert terminal.state == FREE


@pytest.mark.parametrize("hang_up", [False, True], ids=["reset", "reset and vhangup"])
def test_a_reset_console_that_was_switched_away_comes_back(terminal: Terminal, hang_up: bool, tmp_path) -> None:
    """Between the reset and the next check a key switches to another terminal."""
    taken = console.Console.take(str(tmp_path / "tty0"))
    terminal.reset()
    terminal.active = 2
    if hang_up:
        terminal.hung_up = set(terminal.fds)
    taken.hold()
    assert terminal.active == 3
    assert taken.hold(), "the other terminal may have been drawn over the picture until it was gone"
    assert terminal.state == HELD
    assert not taken.hold()
    taken.release()


def test_a_console_that_is_not_on_the_display_is_held_without_showing_it(terminal: Terminal, tmp_path) -> None:
    (tmp_path / "tty5").touch()
    taken = console.Console.take(str(tmp_path / "tty5"))
    terminal.reset()
    assert taken.hold()
    assert (terminal.active, terminal.state) == (3, HELD)
    taken.release()


def test_a_console_that_was_hung_up_is_released_all_the_same(terminal: Terminal, tmp_path) -> None:
    """A getty of another init system hangs the terminal up and resets nothing."""
    taken = console.Console.take(str(tmp_path / "tty0"))
    terminal.hung_up = set(terminal.fds)
    taken.release()
    assert terminal.state == FREE
    assert not list(tmp_path.glob("sco-console-*"))


def test_a_console_without_keyboard_and_switching_is_held_as_far_as_it_can(
    terminal: Terminal, tmp_path, monkeypatch, caplog
) -> None:
    def ioctl(fd: int, request: int, data=0):
        if request in (console.KDGKBMODE, console.KDSKBMODE, console.VT_GETMODE, console.VT_SETMODE):
            raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")
        return terminal.ioctl(fd, request, data)

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    taken = console.Console.take(str(tmp_path / "tty0"))
    assert not taken.hold()
    assert "cannot be disabled" in caplog.text
    taken.release()
    assert terminal.mode == console.KD_TEXT


def test_a_marker_of_another_user_is_not_followed(terminal: Terminal, tmp_path) -> None:
    """A link in the shared folder under our name neither proves that the console is ours nor is written through."""
    victim = tmp_path / "victim"
    victim.write_text("999999999 12345")
    (tmp_path / f"sco-console-{os.getuid()}-tty3").symlink_to(victim)
    terminal.mode = console.KD_GRAPHICS
    with pytest.raises(DeviceBusy):
        console.Console.take(str(tmp_path / "tty0"))
    terminal.mode = console.KD_TEXT
    console.Console.take(str(tmp_path / "tty0")).release()
    assert victim.read_text() == "999999999 12345"


PROGRAM = """
import fcntl, os, signal, sys, time
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # under nohup it would be ignored, and be none
from sco_drivers.screen import console
record = os.open(sys.argv[2], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def ioctl(fd, request, data=0):
    if request == console.KDSETMODE:
        os.write(record, b"text " if data == 0 else b"graphics ")
    return 0
fcntl.ioctl = ioctl
if sys.argv[4] == "thread":
    import threading
    console.watch_exits()
    opener = threading.Thread(target=lambda: kept.append(console.Console.take(sys.argv[1])))
    kept = []
    opener.start()
    opener.join()
else:
    held = console.Console.take(sys.argv[1])
if sys.argv[3] == "exit":
    sys.exit(0)
if sys.argv[3] == "raise":
    raise RuntimeError
print("ready", flush=True)
while True:
    time.sleep(0.1)  # a signal just before a long sleep would be handled after it
"""


@pytest.mark.parametrize("where", ["main", "thread"])
@pytest.mark.parametrize("way", ["exit", "raise", signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT])
def test_the_console_is_released_on_every_exit(way: object, where: str, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    (tmp_path / "tty9").touch()
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "tty9"), str(tmp_path / "record"), str(way), where]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        if isinstance(way, signal.Signals):
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(way)
        process.wait(timeout=100)
    assert (tmp_path / "record").read_text() == "graphics text "
    if way in (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        assert process.returncode == -way
