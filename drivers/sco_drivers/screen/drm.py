"""`drm:///dev/dri/card0`: a display with DRM/KMS dumb buffers, by plain ioctls (include/uapi/drm/drm.h, drm_mode.h).

For machines without a framebuffer device. Two buffers: a scene is drawn into the one that is not shown. Closing
restores what the display showed before. If the display is unplugged, the next scene fails with `DeviceGone`; once it is
connected again, the following scene is shown; a display without the mode must be opened again. No acceleration, no
planes, no atomic mode setting.

Parameters: those of every screen (`rotate`, `mm`, `guard_ms`), `connector` (`HDMI-A-1`; else the first that is
connected), `mode` (`1920x1080` or `1920x1080@60`; else the display's preferred one), `format` (`xrgb8888`,
`rgb565`), `tty` (see `fb://`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import mmap
import os
import re
from collections.abc import Sequence
from ctypes import c_char, c_uint16, c_uint32, c_uint64
from typing import TypeVar

from sco_drivers.errors import (
    FIND_HINT,
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    ScreenError,
)
from sco_drivers.screen import Box, ModeRefused, UnsupportedScreen
from sco_drivers.screen.console import Console
from sco_drivers.screen.fbdev import ioctl, open_node, take_console
from sco_drivers.screen.formats import FORMATS
from sco_drivers.screen.memory import Geometry
from sco_drivers.screen.options import PARAMETERS, check_parameters, panel_of
from sco_drivers.screen.renderer import DrawnScreen
from sco_drivers.urls import DeviceUrl, opener

_T = TypeVar("_T", bound=ctypes.Structure | c_uint32)


class ModeInfo(ctypes.Structure):
    """struct drm_mode_modeinfo."""

    _fields_ = [
        ("clock", c_uint32),
        *((name, c_uint16) for name in ("hdisplay", "hsync_start", "hsync_end", "htotal", "hskew")),
        *((name, c_uint16) for name in ("vdisplay", "vsync_start", "vsync_end", "vtotal", "vscan")),
        ("vrefresh", c_uint32),
        ("flags", c_uint32),
        ("type", c_uint32),
        ("name", c_char * 32),
    ]


class Resources(ctypes.Structure):
    """struct drm_mode_card_res."""

    _fields_ = [
        *((name, c_uint64) for name in ("fb_ptr", "crtc_ptr", "connector_ptr", "encoder_ptr")),
        *((name, c_uint32) for name in ("fbs", "crtcs", "connectors", "encoders")),
        *((name, c_uint32) for name in ("min_width", "max_width", "min_height", "max_height")),
    ]


class Crtc(ctypes.Structure):
    """struct drm_mode_crtc."""

    _fields_ = [
        ("connectors_ptr", c_uint64),
        *((name, c_uint32) for name in ("connectors", "crtc_id", "fb_id", "x", "y", "gamma_size", "mode_valid")),
        ("mode", ModeInfo),
    ]


class Encoder(ctypes.Structure):
    """struct drm_mode_get_encoder."""

    _fields_ = [
        (name, c_uint32) for name in ("encoder_id", "encoder_type", "crtc_id", "possible_crtcs", "possible_clones")
    ]


class Connector(ctypes.Structure):
    """struct drm_mode_get_connector."""

    _fields_ = [
        *((name, c_uint64) for name in ("encoders_ptr", "modes_ptr", "props_ptr", "prop_values_ptr")),
        *((name, c_uint32) for name in ("modes", "props", "encoders", "encoder_id", "connector_id", "type", "type_id")),
        *((name, c_uint32) for name in ("connection", "mm_width", "mm_height", "subpixel", "pad")),
    ]


class CreateDumb(ctypes.Structure):
    """struct drm_mode_create_dumb."""

    _fields_ = [
        *((name, c_uint32) for name in ("height", "width", "bpp", "flags", "handle", "pitch")),
        ("size", c_uint64),
    ]


class MapDumb(ctypes.Structure):
    """struct drm_mode_map_dumb."""

    _fields_ = [("handle", c_uint32), ("pad", c_uint32), ("offset", c_uint64)]


class Framebuffer(ctypes.Structure):
    """struct drm_mode_fb_cmd."""

    _fields_ = [(name, c_uint32) for name in ("fb_id", "width", "height", "pitch", "bpp", "depth", "handle")]


class Dirty(ctypes.Structure):
    """struct drm_mode_fb_dirty_cmd."""

    _fields_ = [
        *((name, c_uint32) for name in ("fb_id", "flags", "color", "clips")),
        ("clips_ptr", c_uint64),
    ]


class Clip(ctypes.Structure):
    """struct drm_clip_rect."""

    _fields_ = [(name, c_uint16) for name in ("x1", "y1", "x2", "y2")]


def _iowr(number: int, kind: type[ctypes.Structure] | type[c_uint32]) -> int:
    return 0xC0000000 | ctypes.sizeof(kind) << 16 | ord("d") << 8 | number


SET_MASTER, DROP_MASTER = 0x641E, 0x641F
GET_RESOURCES = _iowr(0xA0, Resources)
GET_CRTC, SET_CRTC = _iowr(0xA1, Crtc), _iowr(0xA2, Crtc)
GET_ENCODER = _iowr(0xA6, Encoder)
GET_CONNECTOR = _iowr(0xA7, Connector)
ADD_FB = _iowr(0xAE, Framebuffer)
RM_FB = _iowr(0xAF, c_uint32)
DIRTY_FB = _iowr(0xB1, Dirty)
CREATE_DUMB, MAP_DUMB = _iowr(0xB2, CreateDumb), _iowr(0xB3, MapDumb)
DESTROY_DUMB = _iowr(0xB4, c_uint32)

_CONNECTED, _UNKNOWN = 1, 3
_PREFERRED = 1 << 3
_INTERLACED = 1 << 4
_DEPTHS = {"xrgb8888": (32, 24), "rgb565": (16, 16)}
_TYPES = (
    *("Unknown", "VGA", "DVI-I", "DVI-D", "DVI-A", "Composite", "SVIDEO", "LVDS", "Component", "DIN", "DP", "HDMI-A"),
    *("HDMI-B", "TV", "eDP", "Virtual", "DSI", "DPI", "Writeback", "SPI", "USB"),
)
"""Names of DRM_MODE_CONNECTOR_*, as in /sys/class/drm."""


def connector_name(connector: Connector) -> str:
    """The name as in /sys/class/drm: `HDMI-A-1`."""
    kind = _TYPES[connector.type] if connector.type < len(_TYPES) else "Unknown"
    return f"{kind}-{connector.type_id}"


def choose_mode(modes: Sequence[ModeInfo], wanted: str) -> ModeInfo | None:
    """The mode `wanted` (`WxH` or `WxH@Hz`), the display's preferred one if empty; None if there is none."""
    if not wanted:
        return next((mode for mode in modes if mode.type & _PREFERRED), modes[0] if modes else None)
    match = re.fullmatch(r"(\d+)x(\d+)(?:@(\d+))?", wanted)
    if match is None:
        return None
    wide, high, rate = int(match[1]), int(match[2]), int(match[3] or 0)
    fitting = [
        mode for mode in modes if (mode.hdisplay, mode.vdisplay) == (wide, high) and (not rate or mode.vrefresh == rate)
    ]
    return max(fitting, key=lambda mode: (not mode.flags & _INTERLACED, mode.vrefresh), default=None)


def _look_of(mode: ModeInfo) -> tuple[int, int, int]:
    """What must be equal for two displays' modes to count as the same: px and Hz; timings may differ slightly."""
    return mode.hdisplay, mode.vdisplay, mode.vrefresh


class _Buffer:
    """A dumb buffer: created, mapped, and registered as a framebuffer."""

    def __init__(self, card: Card, wide: int, high: int, bits: int, depth: int) -> None:
        self._card = card
        dumb = card.call(CREATE_DUMB, CreateDumb(height=high, width=wide, bpp=bits))
        self.handle = dumb.handle
        self.pitch: int = dumb.pitch
        self.fb_id = 0
        self._map: mmap.mmap | None = None
        try:
            frame = Framebuffer(width=wide, height=high, pitch=dumb.pitch, bpp=bits, depth=depth, handle=dumb.handle)
            try:
                self.fb_id = card.call(ADD_FB, frame).fb_id
            except ScreenError as error:
                if not isinstance(error.__cause__, OSError) or error.__cause__.errno != errno.EINVAL:
                    raise
                name = next(name for name, both in _DEPTHS.items() if both == (bits, depth))
                raise UnsupportedScreen(
                    f"the card does not support {name} pixels", url=card.url, hint="omit format, or use another"
                ) from error
            offset = card.call(MAP_DUMB, MapDumb(handle=dumb.handle)).offset
            try:
                self._map = mmap.mmap(card.fd, dumb.size, offset=offset)
            except (OSError, ValueError) as error:
                raise ScreenError(f"a buffer cannot be mapped: {error}", url=card.url) from error
        except BaseException:
            self.close()
            raise
        self.rows = memoryview(self._map)[: self.pitch * high]

    def close(self) -> None:
        if self._map is not None:
            self.rows.release()
            self._map.close()
            self._map = None
        with contextlib.suppress(DeviceError):
            if self.fb_id:
                self._card.call(RM_FB, c_uint32(self.fb_id))
        with contextlib.suppress(DeviceError):
            self._card.call(DESTROY_DUMB, c_uint32(self.handle))


class Card:
    """An open card and its ioctls, with failures as our errors."""

    def __init__(self, url: str, fd: int) -> None:
        self.url = url
        self.fd = fd

    def call(self, request: int, data: _T) -> _T:
        """An ioctl that fills `data`.

        Raises:
            DeviceGone, DevicePermission, DeviceBusy, ScreenError.
        """
        try:
            ioctl(self.fd, request, data)
        except OSError as error:
            raise self.translated(error) from error
        return data

    def translated(self, error: OSError) -> DeviceError:
        """`error` as one of our errors."""
        if error.errno in (errno.ENODEV, errno.ENXIO):
            return DeviceGone("the display's card was unplugged", url=self.url, hint="open it again")
        if error.errno in (errno.EACCES, errno.EPERM):
            return DevicePermission(
                "another program is master of the display", url=self.url, hint="stop the desktop or compositor"
            )
        if error.errno == errno.EBUSY:
            return DeviceBusy("the display is in use", url=self.url, hint="stop the desktop or compositor")
        if error.errno in (errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS):
            return UnsupportedScreen("the card cannot set modes", url=self.url, hint=f"{FIND_HINT}; try another card")
        return ScreenError(f"the card refused: {error.strerror}", url=self.url)

    def resources(self) -> tuple[list[int], list[int]]:
        """Ids of the card's CRTCs and connectors."""
        count = self.call(GET_RESOURCES, Resources())
        crtcs, connectors = (c_uint32 * count.crtcs)(), (c_uint32 * count.connectors)()
        got = self.call(
            GET_RESOURCES,
            Resources(
                crtc_ptr=ctypes.addressof(crtcs),
                connector_ptr=ctypes.addressof(connectors),
                crtcs=count.crtcs,
                connectors=count.connectors,
            ),
        )
        # Fewer than requested if something was unplugged in between; more are not written.
        return list(crtcs[: got.crtcs]), list(connectors[: got.connectors])

    def connector(self, number: int) -> tuple[Connector, list[ModeInfo], list[int]]:
        """A connector, its modes and its encoders; probes the display."""
        got = self.call(GET_CONNECTOR, Connector(connector_id=number))
        while True:
            modes, encoders = (ModeInfo * got.modes)(), (c_uint32 * got.encoders)()
            got = self.call(
                GET_CONNECTOR,
                Connector(
                    connector_id=number,
                    modes=len(modes),
                    modes_ptr=ctypes.addressof(modes),
                    encoders=len(encoders),
                    encoders_ptr=ctypes.addressof(encoders),
                ),
            )
            # If there are more than fit, nothing is written: another display was plugged in meanwhile.
            if got.modes <= len(modes) and got.encoders <= len(encoders):
                return got, list(modes[: got.modes]), list(encoders[: got.encoders])

    def connected(self, number: int) -> bool:
        """Whether a display is connected, by the kernel's present state: with room for one mode it does not probe."""
        mode = ModeInfo()
        asked = Connector(connector_id=number, modes=1, modes_ptr=ctypes.addressof(mode))
        return self.call(GET_CONNECTOR, asked).connection in (_CONNECTED, _UNKNOWN)


class DumbMemory:
    """Two dumb buffers on one connector, as a display's memory. Closes `card.fd`, unless the constructor fails."""

    def __init__(self, url: DeviceUrl, card: Card, *, console: Console | None = None) -> None:
        self._card = card
        self._console = console
        self._closed = False
        self.damaged = False
        name = _format(url)
        bits, depth = _DEPTHS[name]
        crtcs, connectors = card.resources()
        found, self._mode, encoders = self._choose(url, connectors)
        self._connector = c_uint32(found.connector_id)
        self._crtc = self._crtc_for(found, encoders, crtcs)
        self._before = card.call(GET_CRTC, Crtc(crtc_id=self._crtc))
        wide, high = self._mode.hdisplay, self._mode.vdisplay
        self._buffers: list[_Buffer] = []
        try:
            for _ in range(2):
                self._buffers.append(_Buffer(card, wide, high, bits, depth))
            self._seen = 0
            self._set(self._buffers[0])
        except BaseException:
            self._free()
            raise
        panel = panel_of(url) or ((found.mm_width, found.mm_height) if found.mm_width and found.mm_height else None)
        self._geometry = Geometry(wide, high, self._buffers[0].pitch, FORMATS[name], panel)
        self._dirty = True
        self._was_out = False

    def _choose(self, url: DeviceUrl, connectors: list[int]) -> tuple[Connector, ModeInfo, list[int]]:
        wanted, wanted_mode = url.params.get("connector", ""), _mode(url)
        seen: list[str] = []
        asked = [self._card.connector(number) for number in connectors]
        # Some panels cannot report whether they are connected: try them last.
        asked.sort(key=lambda one: one[0].connection != _CONNECTED)
        for found, modes, encoders in asked:
            name = connector_name(found)
            state = {_CONNECTED: "connected", _UNKNOWN: "unknown"}.get(found.connection, "empty")
            seen.append(f"{name} {state}")
            if found.connection not in (_CONNECTED, _UNKNOWN) or not modes or wanted not in ("", name):
                continue
            mode = choose_mode(modes, wanted_mode)
            if mode is None:
                can = ", ".join(dict.fromkeys(f"{mode.hdisplay}x{mode.vdisplay}" for mode in modes))
                raise ModeRefused(f"{name} has no mode {wanted_mode}", url=url.text, hint=f"it has {can}")
            return found, mode, encoders
        raise DeviceNotFound(
            f"no display is connected{f' at {wanted}' if wanted else ''}",
            url=url.text,
            hint="found: " + (", ".join(seen) or "no connectors"),
        )

    def _crtc_for(self, connector: Connector, encoders: list[int], crtcs: list[int]) -> int:
        """The CRTC that drives the connector now, else an idle one that can, else any that can."""
        able: list[int] = []
        for encoder_id in (connector.encoder_id, *encoders):
            if not encoder_id:
                continue
            encoder = self._card.call(GET_ENCODER, Encoder(encoder_id=encoder_id))
            if encoder.crtc_id and encoder_id == connector.encoder_id:
                return int(encoder.crtc_id)
            able += [crtc for place, crtc in enumerate(crtcs) if encoder.possible_crtcs >> place & 1]
        if not able:
            raise UnsupportedScreen("nothing on the card can drive the connector", url=self._card.url)
        idle = (crtc for crtc in able if not self._card.call(GET_CRTC, Crtc(crtc_id=crtc)).mode_valid)
        return next(idle, able[0])

    def _set(self, buffer: _Buffer) -> None:
        wanted = Crtc(
            connectors_ptr=ctypes.addressof(self._connector),
            connectors=1,
            crtc_id=self._crtc,
            fb_id=buffer.fb_id,
            mode_valid=1,
            mode=self._mode,
        )
        try:
            try:
                ioctl(self._card.fd, SET_CRTC, wanted)
            except PermissionError:
                # Another program was master meanwhile (a console switch); we can take it again once it is released.
                ioctl(self._card.fd, SET_MASTER, 0)
                ioctl(self._card.fd, SET_CRTC, wanted)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOSPC, errno.ERANGE):
                size = f"{self._mode.hdisplay}x{self._mode.vdisplay}@{self._mode.vrefresh}"
                raise ModeRefused(
                    f"the mode {size} was refused: {error.strerror}",
                    url=self._card.url,
                    hint="choose another with mode=WxH",
                ) from error
            raise self._card.translated(error) from error

    @property
    def geometry(self) -> Geometry:
        """The mode and the buffers' pitch."""
        return self._geometry

    def front(self) -> memoryview:
        """The visible buffer."""
        return self._buffers[self._seen].rows

    def back(self) -> memoryview:
        """The other one."""
        return self._buffers[1 - self._seen].rows

    def flip(self) -> None:
        """Show the back buffer.

        Raises:
            DeviceGone: the display or the card was unplugged. ModeRefused.
        """
        self.check()
        self._set(self._buffers[1 - self._seen])
        self._seen = 1 - self._seen
        self.changed((Box(0, 0, self._geometry.width, self._geometry.height),))

    def check(self) -> None:
        """Check the connector's state.

        Raises:
            DeviceGone: the display or the card was unplugged, or replaced by a display that lacks the mode.
        """
        if self._console is not None and self._console.hold():
            self.damaged = True
        if not self._card.connected(self._connector.value):
            self._was_out = True
            raise DeviceGone(
                "the display was unplugged", url=self._card.url, hint="plug it in; the next scene is shown"
            )
        if self._was_out:
            _, modes, _ = self._card.connector(self._connector.value)
            if _look_of(self._mode) not in map(_look_of, modes):
                raise DeviceGone(
                    "another display was plugged in", url=self._card.url, hint="open it again to use its mode"
                )
            self._was_out = False

    def changed(self, boxes: Sequence[Box]) -> None:
        """Report changed areas to drivers that copy (USB displays, virtual ones, e-paper); others ignore it.

        Raises:
            DeviceGone: the card was unplugged.
        """
        if not self._dirty or not boxes:
            return
        clips = (Clip * len(boxes))(*(Clip(box.x, box.y, box.x + box.width, box.y + box.height) for box in boxes))
        dirty = Dirty(fb_id=self._buffers[self._seen].fb_id, clips=len(boxes), clips_ptr=ctypes.addressof(clips))
        try:
            ioctl(self._card.fd, DIRTY_FB, dirty)
        except OSError as error:
            if error.errno in (errno.ENODEV, errno.ENXIO):
                raise self._card.translated(error) from error
            # A driver without this ioctl reports that; other errors (no memory, another master) are temporary.
            self._dirty = error.errno not in (errno.ENOSYS, errno.ENOTTY, errno.EOPNOTSUPP, errno.EINVAL)

    def close(self) -> None:
        """Restore what was shown before, free the buffers, release the console. May be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            with contextlib.suppress(OSError):
                self._before.connectors_ptr = ctypes.addressof(self._connector)
                self._before.connectors = 1 if self._before.mode_valid else 0
                ioctl(self._card.fd, SET_CRTC, self._before)
            self._free()
            with contextlib.suppress(OSError):
                ioctl(self._card.fd, DROP_MASTER, 0)
        finally:
            os.close(self._card.fd)
            if self._console is not None:
                self._console.release()

    def _free(self) -> None:
        for buffer in self._buffers:
            buffer.close()


def _format(url: DeviceUrl) -> str:
    return url.choice("format", "xrgb8888", tuple(_DEPTHS))


def _mode(url: DeviceUrl) -> str:
    wanted = url.params.get("mode", "")
    if wanted and not re.fullmatch(r"\d+x\d+(@\d+)?", wanted):
        raise url.wrong("mode", "is not WIDTHxHEIGHT[@HZ]")
    return wanted


def _check(url: DeviceUrl) -> None:
    _format(url)
    _mode(url)
    check_parameters(url)


@opener(
    _check,
    example="drm:///dev/dri/card0",
    params=("connector", "mode", "format", "tty", *PARAMETERS),
    needs=("path",),
    owns_console=True,
)
def open_drm(url: DeviceUrl, _options: None) -> DrawnScreen:
    """Open `drm:///dev/dri/cardN`.

    Raises:
        BadDeviceUrl, DeviceNotFound (no card, no display), DevicePermission, DeviceBusy (a compositor is
        master), ModeRefused, UnsupportedScreen, ScreenError.
    """
    fd = open_node(url)
    console: Console | None = None
    try:
        console = take_console(url)
        card = Card(url.text, fd)
        try:
            ioctl(fd, SET_MASTER, 0)
        except OSError as error:
            raise card.translated(error) from error
        memory = DumbMemory(url, card, console=console)
    except BaseException:
        os.close(fd)
        if console is not None:
            console.release()
        raise
    try:
        return DrawnScreen(url, memory)
    except BaseException:
        memory.close()
        raise
