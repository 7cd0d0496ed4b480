"""The DRM driver against a card that is played at the ioctl, with buffers in a mapped file."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os

import pytest

from sco_drivers.errors import DeviceGone, DeviceNotFound, DevicePermission, ScreenError
from sco_drivers.registry import open_screen
from sco_drivers.screen import ModeRefused, UnsupportedScreen, drm
from sco_drivers.screen.renderer import DrawnScreen
from sco_drivers.urls import DeviceUrl
from sco_hwtest.contracts.screen import LINK, decoded, scenes

BUFFER = 1 << 21


def mode(wide: int, high: int, rate: int = 60, *, preferred: bool = False) -> drm.ModeInfo:
    return drm.ModeInfo(hdisplay=wide, vdisplay=high, vrefresh=rate, type=8 if preferred else 0)


class CardKernel:
    """One card, one CRTC, an empty VGA connector and a panel; as drm_mode.h describes."""

    def __init__(self, path) -> None:
        path.write_bytes(bytes(4 * BUFFER))
        self.path = path
        self.modes = [mode(640, 480), mode(800, 480, preferred=True), mode(800, 480, 75)]
        self.connection = 1
        self.refuse = 0
        self.depths = {16, 32}
        self.dumb: dict[int, int] = {}
        self.frames: dict[int, int] = {}
        self.scanned = 77  # the console's
        self.set: list[int] = []
        self.dirty: list[tuple[int, int]] = []
        self.next = 1

    def _put(self, address: int, values, kind) -> None:
        if address:
            array = (kind * len(values))(*values)
            ctypes.memmove(address, array, ctypes.sizeof(array))

    def ioctl(self, fd: int, request: int, data=0):
        if self.refuse:
            raise OSError(self.refuse, os.strerror(self.refuse))
        if request == drm.GET_RESOURCES:
            self._put(data.crtc_ptr if data.crtcs else 0, [40], ctypes.c_uint32)
            self._put(data.connector_ptr if data.connectors else 0, [30, 31], ctypes.c_uint32)
            data.crtcs, data.connectors = 1, 2
        elif request == drm.GET_CONNECTOR:
            panel = data.connector_id == 31
            modes = self.modes if panel and self.connection == 1 else []
            if data.modes >= len(modes):
                self._put(data.modes_ptr, modes, drm.ModeInfo)
            self._put(data.encoders_ptr if data.encoders else 0, [50], ctypes.c_uint32)
            data.modes, data.encoders, data.encoder_id = len(modes), 1, 0
            data.type, data.type_id = (14, 1) if panel else (1, 1)
            data.connection, data.mm_width, data.mm_height = (self.connection if panel else 2), 160, 96
        elif request == drm.GET_ENCODER:
            data.crtc_id, data.possible_crtcs = 0, 1
        elif request == drm.GET_CRTC:
            data.fb_id, data.mode_valid = self.scanned, 1
        elif request == drm.SET_CRTC:
            assert data.crtc_id == 40
            self.scanned = data.fb_id
            self.set.append(data.fb_id)
        elif request == drm.CREATE_DUMB:
            data.handle, self.next = self.next, self.next + 1
            data.pitch = -(-data.width * data.bpp // 8 // 256) * 256
            data.size = data.pitch * data.height
            self.dumb[data.handle] = (data.handle - 1) * BUFFER
        elif request == drm.MAP_DUMB:
            data.offset = self.dumb[data.handle]
        elif request == drm.ADD_FB:
            if data.bpp not in self.depths:
                raise OSError(errno.EINVAL, "Invalid argument")
            data.fb_id = 100 + data.handle
            self.frames[data.fb_id] = data.handle
        elif request == drm.RM_FB:
            del self.frames[data.value]
        elif request == drm.DESTROY_DUMB:
            del self.dumb[data.value]
        elif request == drm.DIRTY_FB:
            self.dirty.append((data.fb_id, data.clips))
        return 0

    def open(self, monkeypatch: pytest.MonkeyPatch, query: str = "") -> DrawnScreen:
        monkeypatch.setattr(fcntl, "ioctl", self.ioctl)
        url = DeviceUrl.parse(f"drm://{self.path}?{query}")
        card = drm.Card(url.text, os.open(self.path, os.O_RDWR))
        try:
            return DrawnScreen(url, drm.DumbMemory(url, card), guard_ms=0)
        except BaseException:
            os.close(card.fd)
            raise


@pytest.fixture
def kernel(tmp_path) -> CardKernel:
    return CardKernel(tmp_path / "card")


def test_ioctl_numbers_match_the_kernel_headers() -> None:
    # Computed from the C headers' _IOWR on x86-64; the sizes of the structures are in bits 16..29.
    assert {
        "GET_RESOURCES": hex(drm.GET_RESOURCES),
        "GET_CRTC": hex(drm.GET_CRTC),
        "SET_CRTC": hex(drm.SET_CRTC),
        "GET_ENCODER": hex(drm.GET_ENCODER),
        "GET_CONNECTOR": hex(drm.GET_CONNECTOR),
        "ADD_FB": hex(drm.ADD_FB),
        "RM_FB": hex(drm.RM_FB),
        "DIRTY_FB": hex(drm.DIRTY_FB),
        "CREATE_DUMB": hex(drm.CREATE_DUMB),
        "MAP_DUMB": hex(drm.MAP_DUMB),
        "DESTROY_DUMB": hex(drm.DESTROY_DUMB),
    } == {
        "GET_RESOURCES": "0xc04064a0",
        "GET_CRTC": "0xc06864a1",
        "SET_CRTC": "0xc06864a2",
        "GET_ENCODER": "0xc01464a6",
        "GET_CONNECTOR": "0xc05064a7",
        "ADD_FB": "0xc01c64ae",
        "RM_FB": "0xc00464af",
        "DIRTY_FB": "0xc01864b1",
        "CREATE_DUMB": "0xc02064b2",
        "MAP_DUMB": "0xc01064b3",
        "DESTROY_DUMB": "0xc00464b4",
    }
    assert ctypes.sizeof(drm.ModeInfo) == 68
    assert ctypes.sizeof(drm.Clip) == 8


@pytest.mark.parametrize("query", ["", "format=rgb565&rotate=90", "connector=eDP-1&mode=640x480"])
def test_code_reads_from_the_buffer_that_is_scanned_out(kernel: CardKernel, query: str, monkeypatch) -> None:
    with kernel.open(monkeypatch, query) as screen:
        geometry = screen._memory.geometry
        assert (geometry.width, geometry.height) == ((640, 480) if "640" in query else (800, 480))
        for scene in (scenes()[4], scenes()[1]):
            screen.show(scene)
            start = kernel.dumb[kernel.frames[kernel.scanned]]
            raw = kernel.path.read_bytes()[start : start + geometry.stride * geometry.height]
            assert decoded(screen._surface.picture(memoryview(raw))) == ([LINK] if scene.qr else [])
        assert screen.module_mm is not None
        assert kernel.dirty[-1] == (kernel.scanned, 1)


def test_closing_releases_everything(kernel: CardKernel, monkeypatch) -> None:
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[0])
    assert kernel.scanned == 77
    assert not kernel.frames
    assert not kernel.dumb


def test_display_unplugged_and_plugged_in_again(kernel: CardKernel, monkeypatch) -> None:
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[5])
        kernel.connection = 2
        with pytest.raises(DeviceGone):
            screen.show(scenes()[1])
        kernel.connection = 1
        screen.show(scenes()[1])
        assert decoded(screen.image()) == [LINK]


def test_a_display_of_another_size_plugged_in_instead_is_not_sent_a_mode_it_lacks(
    kernel: CardKernel, monkeypatch
) -> None:
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[5])
        kernel.connection = 2
        with pytest.raises(DeviceGone, match="unplugged"):
            screen.show(scenes()[1])
        kernel.connection, kernel.modes = 1, [mode(720, 400, preferred=True), mode(640, 480)]
        before = list(kernel.set)
        for _ in range(2):
            with pytest.raises(DeviceGone, match="another display"):
                screen.show(scenes()[1])
        assert kernel.set == before
    with kernel.open(monkeypatch) as screen:
        assert screen.size == (720, 400)


def test_no_display_connected(kernel: CardKernel, monkeypatch) -> None:
    kernel.connection = 2
    with pytest.raises(DeviceNotFound, match="VGA-1 empty, eDP-1 empty"):
        kernel.open(monkeypatch)


def test_no_such_mode(kernel: CardKernel, monkeypatch) -> None:
    with pytest.raises(ModeRefused, match="640x480, 800x480"):
        kernel.open(monkeypatch, "mode=1920x1080")


def test_compositor_is_master(kernel: CardKernel, monkeypatch) -> None:
    kernel.refuse = errno.EACCES
    with pytest.raises(DevicePermission):
        kernel.open(monkeypatch)


def test_rate_is_chosen() -> None:
    modes = [mode(800, 480, 50), mode(800, 480, 60), mode(640, 480)]
    assert drm.choose_mode(modes, "800x480").vrefresh == 60
    assert drm.choose_mode(modes, "800x480@50").vrefresh == 50
    assert drm.choose_mode(modes, "800x480@75") is None


def test_not_a_card() -> None:
    with pytest.raises(DeviceNotFound):
        open_screen("drm:///dev/dri/no-such-card")
    with pytest.raises(ScreenError):
        open_screen("drm:///dev/null?tty=none")


def refuse_once(kernel: CardKernel, number: int, code: int, times: int = 1):
    """An ioctl that fails `times` times and then does as the kernel does."""
    true, left = kernel.ioctl, [times]

    def ioctl(fd: int, request: int, data=0):
        if request == number and left[0]:
            left[0] -= 1
            raise OSError(code, os.strerror(code))
        return true(fd, request, data)

    kernel.ioctl = ioctl
    return left


@pytest.mark.parametrize("code", [errno.EINTR, errno.EAGAIN])
def test_calls_interrupted_by_a_signal_are_repeated(kernel: CardKernel, code: int, monkeypatch) -> None:
    for number in (drm.GET_RESOURCES, drm.CREATE_DUMB, drm.SET_CRTC, drm.DIRTY_FB):
        refuse_once(kernel, number, code, times=3)
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[1])
        assert decoded(screen.image()) == [LINK]
        assert kernel.dirty


def test_a_driver_that_is_always_busy_ends_in_an_error(kernel: CardKernel, monkeypatch) -> None:
    refuse_once(kernel, drm.SET_CRTC, errno.EAGAIN, times=1 << 30)
    with pytest.raises(ScreenError):
        kernel.open(monkeypatch)
    assert not kernel.dumb


def test_mode_refused_by_the_card_frees_the_buffers(kernel: CardKernel, monkeypatch) -> None:
    refuse_once(kernel, drm.SET_CRTC, errno.EINVAL)
    with pytest.raises(ModeRefused, match="800x480@60"):
        kernel.open(monkeypatch)
    assert not kernel.dumb
    assert not kernel.frames


def test_lost_drm_master_is_taken_again(kernel: CardKernel, monkeypatch) -> None:
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[0])
        asked: list[int] = []
        true = kernel.ioctl

        def ioctl(fd: int, request: int, data=0):
            asked.append(request)
            if request == drm.SET_CRTC and drm.SET_MASTER not in asked:
                raise OSError(errno.EACCES, "Permission denied")
            return true(fd, request, data)

        monkeypatch.setattr(fcntl, "ioctl", ioctl)
        screen.show(scenes()[1])
        assert decoded(screen.image()) == [LINK]


def test_drm_master_kept_by_another_program_is_reported(kernel: CardKernel, monkeypatch) -> None:
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[0])
        for number in (drm.SET_MASTER, drm.SET_CRTC):
            refuse_once(kernel, number, errno.EACCES, times=1 << 30)
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        with pytest.raises(DevicePermission, match="master"):
            screen.show(scenes()[1])


def test_a_display_with_more_modes_connected_between_two_queries(kernel: CardKernel, monkeypatch) -> None:
    """Where there are more modes than room was given for, the kernel writes none: they must be asked for again."""
    kernel.modes = [mode(640, 480)]
    true, asked = kernel.ioctl, []

    def ioctl(fd: int, request: int, data=0):
        if request == drm.GET_CONNECTOR and data.connector_id == 31:
            asked.append(data.modes)
            if len(asked) == 2:
                kernel.modes = [mode(640, 480), mode(800, 480, preferred=True), mode(1024, 600)]
        return true(fd, request, data)

    kernel.ioctl = ioctl
    with kernel.open(monkeypatch) as screen:
        assert screen.size == (800, 480)


def test_a_panel_with_unknown_connection_state_is_used(kernel: CardKernel, monkeypatch) -> None:
    kernel.connection = 3
    true = kernel.ioctl

    def ioctl(fd: int, request: int, data=0):
        if request == drm.GET_CONNECTOR and data.connector_id == 31:
            kernel.connection = 1  # its modes are listed
            try:
                return true(fd, request, data)
            finally:
                kernel.connection = data.connection = 3
        return true(fd, request, data)

    kernel.ioctl = ioctl
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[1])
        assert decoded(screen.image()) == [LINK]


def test_progressive_modes_go_before_interlaced_ones() -> None:
    modes = [mode(1920, 1080, 60), mode(1920, 1080, 120)]
    modes[1].flags = 1 << 4
    assert drm.choose_mode(modes, "1920x1080").vrefresh == 60


def test_a_failed_dirty_call_is_repeated_unless_unsupported(kernel: CardKernel, monkeypatch) -> None:
    with kernel.open(monkeypatch) as screen:
        refuse_once(kernel, drm.DIRTY_FB, errno.ENOMEM)
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        screen.show(scenes()[5])
        reported = len(kernel.dirty)
        screen.show(scenes()[6])
        assert len(kernel.dirty) == reported + 1
        left = refuse_once(kernel, drm.DIRTY_FB, errno.ENOSYS, times=5)
        monkeypatch.setattr(fcntl, "ioctl", kernel.ioctl)
        screen.show(scenes()[5])
        screen.show(scenes()[6])
        assert left == [4]


def test_an_idle_crtc_is_preferred(kernel: CardKernel, monkeypatch) -> None:
    """Two CRTCs can drive the panel, and the first shows something on another display: that one is left alone."""
    true, set_on = kernel.ioctl, []

    def ioctl(fd: int, request: int, data=0):
        if request == drm.GET_RESOURCES:
            kernel._put(data.crtc_ptr if data.crtcs else 0, [40, 41], ctypes.c_uint32)
            kernel._put(data.connector_ptr if data.connectors else 0, [30, 31], ctypes.c_uint32)
            data.crtcs, data.connectors = 2, 2
            return 0
        if request == drm.GET_ENCODER:
            data.crtc_id, data.possible_crtcs = 0, 3
            return 0
        if request == drm.GET_CRTC:
            data.mode_valid = int(data.crtc_id == 40)
            return 0
        if request == drm.SET_CRTC:
            set_on.append(data.crtc_id)
            kernel.scanned = data.fb_id
            return 0
        return true(fd, request, data)

    kernel.ioctl = ioctl
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[5])
    assert set(set_on) == {41}


def test_check_reports_an_unplugged_display_without_drawing(kernel: CardKernel, monkeypatch) -> None:
    with kernel.open(monkeypatch) as screen:
        screen.show(scenes()[5])
        screen.check()
        kernel.connection = 2
        with pytest.raises(DeviceGone):
            screen.check()


def test_a_format_that_the_card_lacks_is_named(kernel: CardKernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """As bochs and most virtual cards: 32 bits only."""
    kernel.depths = {32}
    with pytest.raises(UnsupportedScreen, match="rgb565") as caught:
        kernel.open(monkeypatch, "format=rgb565")
    assert "format" in caught.value.hint
    assert not kernel.dumb, "a buffer was not freed"
    kernel.open(monkeypatch).close()
