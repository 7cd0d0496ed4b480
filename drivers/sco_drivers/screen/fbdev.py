"""`fb:///dev/fb0`: a Linux framebuffer, by its own ioctls (include/uapi/linux/fb.h). Little-endian, packed pixels.

The pixel format comes from the bitfields and the visual, never from the depth alone; rows are `line_length` apart.
If there is memory for two pages and the driver can pan, a scene is drawn off-screen and then shown at once. The mode
is not changed: setting one is up to the system (see `drm://` for displays without a framebuffer).

Parameters: those of every screen (`rotate`, `mm`, `guard_ms`) and `tty` (`/dev/tty0`; `none` does not take the
console), `pages` (2; 1 never pans), `detect` (1; 0 for a display that the card cannot detect).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import mmap
import os
import stat
import struct
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sco_drivers.access import access_hint
from sco_drivers.errors import (
    FIND_HINT,
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    ScreenError,
)
from sco_drivers.screen import Box, UnsupportedScreen
from sco_drivers.screen.connectors import Connectors
from sco_drivers.screen.console import Console
from sco_drivers.screen.formats import Bits, PixelFormat, from_bitfields
from sco_drivers.screen.memory import Geometry
from sco_drivers.screen.options import PARAMETERS, check_parameters, panel_of
from sco_drivers.screen.renderer import DrawnScreen
from sco_drivers.urls import DeviceUrl, opener

FBIOGET_VSCREENINFO, FBIOPUT_VSCREENINFO, FBIOGET_FSCREENINFO = 0x4600, 0x4601, 0x4602
FBIOPUTCMAP, FBIOPAN_DISPLAY, FBIOBLANK = 0x4605, 0x4606, 0x4611
FBIO_WAITFORVSYNC = 0x40044620
_TYPE_PACKED_PIXELS = 0
_MONO01, _MONO10, _TRUECOLOR, _PSEUDOCOLOR, _DIRECTCOLOR = 0, 1, 2, 3, 4
_UNBLANK = 0
_ACTIVATE_VBL = 16
_BUSY = (errno.EAGAIN, errno.EBUSY)
log = logging.getLogger(__name__)

VARIABLE = struct.Struct("=40I")
"""struct fb_var_screeninfo: 160 bytes, all of them 32-bit words."""

FIXED = struct.Struct("@16sLIIIIHHHILIIHHH0L")
"""struct fb_fix_screeninfo: 80 bytes on a 64-bit machine, 68 on a 32-bit one."""

COLOUR_MAP = struct.Struct("@IIPPPP")
"""struct fb_cmap: start, count, addresses of 16-bit levels of red, green, blue and transparency."""


@dataclass(frozen=True, slots=True)
class Variable:
    """What we use of struct fb_var_screeninfo. `words` is all of it, to pass back to the kernel."""

    words: tuple[int, ...]

    @classmethod
    def parse(cls, data: bytes | bytearray) -> Variable:
        """From the 160 bytes of the ioctl."""
        return cls(VARIABLE.unpack(data))

    def pack(self) -> bytearray:
        """The 160 bytes for the ioctl."""
        return bytearray(VARIABLE.pack(*self.words))

    def with_words(self, **words: int) -> Variable:
        """A copy with some words changed: `yres_virtual`, `xoffset`, `yoffset`, `activate`."""
        places = {"yres_virtual": 3, "xoffset": 4, "yoffset": 5, "activate": 21}
        changed = list(self.words)
        for name, value in words.items():
            changed[places[name]] = value
        return replace(self, words=tuple(changed))

    @property
    def size(self) -> tuple[int, int]:
        """The visible px."""
        return self.words[0], self.words[1]

    @property
    def yres_virtual(self) -> int:
        """Rows in memory."""
        return self.words[3]

    @property
    def offset(self) -> tuple[int, int]:
        """The first visible px."""
        return self.words[4], self.words[5]

    @property
    def bits(self) -> int:
        """Bits a pixel."""
        return self.words[6]

    @property
    def grayscale(self) -> int:
        """0 colour, 1 gray, else a FOURCC."""
        return self.words[7]

    def field(self, number: int) -> Bits:
        """Bitfield `number`: red, green, blue, alpha."""
        return Bits(self.words[8 + 3 * number], self.words[9 + 3 * number])

    @property
    def panel_mm(self) -> tuple[int, int] | None:
        """Width and height of the picture in mm; None if the driver does not know."""
        high, wide = self.words[22], self.words[23]
        return (wide, high) if 0 < wide < 0x7FFF and 0 < high < 0x7FFF else None


@dataclass(frozen=True, slots=True)
class Fixed:
    """What we use of struct fb_fix_screeninfo."""

    name: str
    start: int
    length: int
    type: int
    visual: int
    pan_step: int
    line: int

    @classmethod
    def parse(cls, data: bytes | bytearray) -> Fixed:
        """From the bytes of the ioctl."""
        name, start, length, kind, _, visual, _, pan_step, _, line, *_ = FIXED.unpack(data)
        return cls(name.split(b"\0")[0].decode("ascii", "replace"), start, length, kind, visual, pan_step, line)


def format_of(variable: Variable, fixed: Fixed, url: str = "") -> PixelFormat:
    """The pixel format that a framebuffer describes.

    Raises:
        UnsupportedScreen: planes, a FOURCC, or invalid bitfields; the message contains what was found.
    """
    if fixed.type != _TYPE_PACKED_PIXELS:
        raise UnsupportedScreen(f"{fixed.name}: pixels of type {fixed.type} are not packed", url=url)
    if variable.grayscale > 1:
        code = variable.grayscale.to_bytes(4, "little").decode("ascii", "replace")
        raise UnsupportedScreen(f"{fixed.name}: pixels of the FOURCC {code!r}", url=url)
    red, green, blue, alpha = (variable.field(number) for number in range(4))
    if variable.bits == 8 and (variable.grayscale == 1 or fixed.visual == _PSEUDOCOLOR):
        red = green = blue = Bits()  # the colour map is set to gray
    form = from_bitfields(variable.bits, red, green, blue, alpha, inverted=fixed.visual == _MONO01)
    if form is None:
        fields = " ".join(f"{field.offset}:{field.length}" for field in (red, green, blue, alpha))
        raise UnsupportedScreen(
            f"{fixed.name}: {variable.bits} bits a pixel with the fields (offset:length) {fields}",
            url=url,
            hint="set another depth, e.g. by fbset -depth 32",
        )
    return form


def _mode_in(variable: bytearray) -> bytes:
    """The part of struct fb_var_screeninfo that determines the mode: sizes, depth, bitfields; not the offsets."""
    return bytes(variable[:16] + variable[24:80])


class FramebufferMemory:
    """An open framebuffer as a display's memory.

    Args:
        url: as it was opened.
        fd: of the device; closed with this object, and on failure.
        pages: 2 to draw off-screen where memory allows.
        console: released on closing; None for none.
        connectors: of its card, closed with this object; None if the card cannot detect displays.

    Raises:
        UnsupportedScreen: its pixels are not supported. ScreenError: not a framebuffer, or it cannot be mapped.
    """

    def __init__(
        self,
        url: DeviceUrl,
        fd: int,
        *,
        pages: int = 2,
        console: Console | None = None,
        connectors: Connectors | None = None,
    ) -> None:
        self._url = url
        self._connectors = connectors
        self._fd = fd
        self._console = console
        self._closed = False
        self.damaged = False
        self._vsync = True
        self._scratch = bytearray(VARIABLE.size)
        self._first = self._variable = Variable.parse(self._ask(FBIOGET_VSCREENINFO, VARIABLE.size))
        fixed = Fixed.parse(self._ask(FBIOGET_FSCREENINFO, FIXED.size))
        form = format_of(self._variable, fixed, url.text)
        wide, high = self._variable.size
        x, y = self._variable.offset
        if wide < 64 or high < 64 or fixed.line < form.row_bytes(wide):
            raise UnsupportedScreen(
                f"{fixed.name}: {wide}x{high} with rows of {fixed.line} bytes", url=url.text, hint="set a larger mode"
            )
        self._geometry = Geometry(wide, high, fixed.line, form, panel_of(url) or self._variable.panel_mm)
        self._set_colours(form, fixed)
        self._unblank()
        self._page = fixed.line * high
        two = pages == 2 and self._can_pan(fixed)
        # Memory that does not start on a page boundary is mapped from the start of the page.
        ahead = fixed.start % mmap.PAGESIZE
        try:
            self._map = mmap.mmap(fd, fixed.length + ahead)
        except (OSError, ValueError) as error:
            raise ScreenError(f"{fixed.name}: {fixed.length} bytes cannot be mapped: {error}", url=url.text) from error
        whole = memoryview(self._map)
        if two:
            starts = [ahead, ahead + self._page]
            self._offsets = [0, high]
        else:
            starts = [ahead + y * fixed.line + x * form.bits // 8]
            self._offsets = [y]
        # The last row ends with its last px: the next page may start within its stride.
        need = self._page - fixed.line + form.row_bytes(wide)
        if starts[-1] + need > len(whole):
            whole.release()
            self._map.close()
            raise UnsupportedScreen(f"{fixed.name}: the picture does not fit {fixed.length} bytes", url=url.text)
        self._pages = [whole[start : min(start + self._page, len(whole))] for start in starts]
        self._whole = whole
        self._seen = 0
        self._mode = _mode_in(self._ask(FBIOGET_VSCREENINFO, VARIABLE.size))

    @property
    def geometry(self) -> Geometry:
        """As reported by the device."""
        return self._geometry

    @property
    def pages(self) -> int:
        """2 if scenes are drawn off-screen."""
        return len(self._pages)

    def front(self) -> memoryview:
        """The visible page."""
        return self._pages[self._seen]

    def back(self) -> memoryview:
        """The hidden page; if there is only one, that one, after the next vertical blank."""
        if len(self._pages) == 1:
            self._wait()
        return self._pages[self._seen - 1]

    def flip(self) -> None:
        """Show the back page.

        Raises:
            DeviceGone: the display was unplugged.
        """
        if self._console is None:
            self._unblank()  # the timer of the console, which we have not taken, may have blanked it
        self.check()
        if len(self._pages) == 1:
            return
        target = 1 - self._seen
        moved = self._variable.with_words(xoffset=0, yoffset=self._offsets[target], activate=_ACTIVATE_VBL)
        try:
            ioctl(self._fd, FBIOPAN_DISPLAY, moved.pack(), again=_BUSY)
        except OSError as error:
            if error.errno not in _BUSY:
                raise self._failed(error) from error
            self._stop_panning()
            return
        self._variable, self._seen = moved, target
        self._wait()  # until then the old page is still visible

    def _stop_panning(self) -> None:
        """Move the back page into the visible one, and use only that from now on."""
        log.warning("%s: the driver stays busy; drawing without panning", self._url.text)
        front, back = self._pages[self._seen], self._pages[1 - self._seen]
        size = min(len(front), len(back))
        front[:size] = back[:size]
        back.release()
        self._pages, self._offsets, self._seen = [front], [self._offsets[self._seen]], 0

    def check(self) -> None:
        """Check the device's mode, and whether a display is connected to its card.

        Raises:
            DeviceGone: the display was unplugged, or another program has set another mode.
        """
        if self._console is not None and self._console.hold():
            self.damaged = True
            self._unblank()
        self._call(FBIOGET_VSCREENINFO, self._scratch)
        if _mode_in(self._scratch) != self._mode:
            raise DeviceGone("another mode was set", url=self._url.text, hint="open it again to use that mode")
        if self._connectors is not None and not self._connectors.any_display():
            raise DeviceGone("the display was unplugged", url=self._url.text, hint="plug it in and open it again")

    def changed(self, boxes: Sequence[Box]) -> None:
        """The pixels are in memory already; checks that the device is still there.

        Raises:
            DeviceGone: the display was unplugged.
        """
        self.check()

    def close(self) -> None:
        """Unmap, restore the mode, release the console. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            for view in (*self._pages, self._whole):
                view.release()
            self._map.close()
            if self._variable is not self._first:
                # Only what was changed is changed back: a display may go dark for seconds when its mode is set.
                taller = self._variable.yres_virtual != self._first.yres_virtual
                with contextlib.suppress(DeviceError, OSError):
                    self.check()  # a mode that another program has set is kept
                    ioctl(self._fd, FBIOPUT_VSCREENINFO if taller else FBIOPAN_DISPLAY, self._first.pack())
        finally:
            os.close(self._fd)
            if self._connectors is not None:
                self._connectors.close()
            if self._console is not None:
                self._console.release()

    def _unblank(self) -> None:
        with contextlib.suppress(OSError):
            ioctl(self._fd, FBIOBLANK, _UNBLANK)

    def _ask(self, request: int, size: int) -> bytearray:
        data = bytearray(size)
        self._call(request, data)
        return data

    def _call(self, request: int, data: bytearray) -> None:
        try:
            ioctl(self._fd, request, data)
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> DeviceError:
        if error.errno in (errno.ENODEV, errno.ENXIO, errno.EIO):
            return DeviceGone("the display was unplugged", url=self._url.text, hint="plug it in and open it again")
        if error.errno in (errno.ENOTTY, errno.EINVAL):
            return ScreenError("not a framebuffer", url=self._url.text, hint=f"{FIND_HINT}; a plain file is sim://")
        return ScreenError(f"the framebuffer refused: {error.strerror}", url=self._url.text)

    def _wait(self) -> None:
        """Wait for the vertical blank, if the driver supports it."""
        if self._vsync:
            try:
                ioctl(self._fd, FBIO_WAITFORVSYNC, bytearray(4))
            except OSError:
                self._vsync = False

    def _can_pan(self, fixed: Fixed) -> bool:
        """Whether two pages fit and the driver can pan; enlarges the virtual screen if memory allows it."""
        high = self._geometry.height
        if not fixed.pan_step or high % fixed.pan_step or fixed.length < 2 * self._page:
            return False
        try:
            if self._variable.yres_virtual < 2 * high:
                wanted = self._variable.with_words(yres_virtual=2 * high).pack()
                ioctl(self._fd, FBIOPUT_VSCREENINFO, wanted)
                given = Variable.parse(wanted)
                line = Fixed.parse(self._ask(FBIOGET_FSCREENINFO, FIXED.size)).line
                if given.size != self._variable.size or given.yres_virtual < 2 * high or line != fixed.line:
                    ioctl(self._fd, FBIOPUT_VSCREENINFO, self._first.pack())
                    return False
                self._variable = given
            # A driver that cannot pan refuses even to pan to the present place.
            ioctl(self._fd, FBIOPAN_DISPLAY, self._variable.with_words(xoffset=0, yoffset=0).pack(), again=_BUSY)
        except OSError:
            return False
        self._variable = self._variable.with_words(xoffset=0, yoffset=0)
        return True

    def _set_colours(self, form: PixelFormat, fixed: Fixed) -> None:
        """Set linear ramps if the hardware uses a colour map."""
        if fixed.visual == _PSEUDOCOLOR and form.name == "gray8":
            ramps = [8, 8, 8]
        elif fixed.visual == _DIRECTCOLOR:
            ramps = [form.red.length, form.green.length, form.blue.length]
        else:
            return
        entries = 1 << max(ramps)
        levels = [
            array("H", [min(entry, (1 << bits) - 1) * 0xFFFF // ((1 << bits) - 1) for entry in range(entries)])
            for bits in ramps
        ]
        colours = COLOUR_MAP.pack(0, entries, *(level.buffer_info()[0] for level in levels), 0)
        with contextlib.suppress(OSError):  # a fixed map: the picture has other shades
            ioctl(self._fd, FBIOPUTCMAP, colours)


def ioctl(fd: int, request: int, data: Any, *, again: tuple[int, ...] = (errno.EAGAIN,)) -> None:
    """An ioctl, repeated after a signal (calls may wait for a vertical blank) and after the errors `again`, for a
    second.

    Raises:
        OSError: from the kernel.
    """
    failed = OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    for _ in range(1000):
        try:
            fcntl.ioctl(fd, request, data)
            return
        except InterruptedError:
            continue
        except OSError as error:
            if error.errno not in again:
                raise
            failed = error
            time.sleep(0.001)
    raise failed


def open_node(url: DeviceUrl) -> int:
    """Open a display's device node for reading and writing.

    Raises:
        DeviceNotFound, DevicePermission, DeviceBusy, ScreenError.
    """
    try:
        fd = os.open(url.path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        raise DeviceNotFound("no such device", url=url.text, hint=FIND_HINT) from None
    except PermissionError as error:
        raise DevicePermission(
            "this user may not open the display", url=url.text, hint=access_hint(url.text, error.errno)
        ) from None
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise DeviceBusy("another program has the display", url=url.text) from None
        if error.errno in (errno.ENODEV, errno.ENXIO):
            raise DeviceNotFound("the display was unplugged", url=url.text) from None
        raise ScreenError(f"cannot be opened: {error.strerror}", url=url.text) from error
    if not stat.S_ISCHR(os.fstat(fd).st_mode):
        os.close(fd)
        raise ScreenError("not a device", url=url.text, hint="a plain file is sim:///path?size=WxH&format=NAME")
    return fd


def take_console(url: DeviceUrl) -> Console | None:
    """Take the console that the URL's `tty` names; None for `tty=none` or if the default one cannot be taken.

    Raises:
        DeviceBusy, DeviceNotFound: see `Console.take`.
    """
    tty = url.params.get("tty", "/dev/tty0")
    return None if tty == "none" else Console.take(tty, url=url.text, asked="tty" in url.params)


def _pages(url: DeviceUrl) -> int:
    return url.integer("pages", 2, min=1, max=2)


def _detects(url: DeviceUrl) -> bool:
    return url.integer("detect", 1, min=0, max=1) == 1


def _check(url: DeviceUrl) -> None:
    _pages(url)
    _detects(url)
    check_parameters(url)


@opener(
    _check,
    example="fb:///dev/fb0",
    params=("tty", "pages", "detect", *PARAMETERS),
    needs=("path",),
    owns_console=True,
)
def open_fb(url: DeviceUrl, _options: None) -> DrawnScreen:
    """Open `fb:///dev/fbN`.

    Raises:
        BadDeviceUrl, DeviceNotFound, DevicePermission, DeviceBusy, UnsupportedScreen, ScreenError.
    """
    fd = open_node(url)
    console: Console | None = None
    connectors = Connectors(os.fstat(fd).st_rdev) if _detects(url) else None
    try:
        if connectors is not None and not connectors.any_display():
            raise DeviceNotFound(
                "no display is connected", url=url.text, hint="plug it in; one that the card cannot detect: detect=0"
            )
        console = take_console(url)
        memory = FramebufferMemory(url, fd, pages=_pages(url), console=console, connectors=connectors)
    except BaseException:
        os.close(fd)
        if connectors is not None:
            connectors.close()
        if console is not None:
            console.release()
        raise
    try:
        return DrawnScreen(url, memory)
    except BaseException:
        memory.close()
        raise
