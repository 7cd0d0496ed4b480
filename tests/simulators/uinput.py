"""A touch panel created in the kernel (`/dev/uinput`), to test `evdev://` as on a lane.

The events take the whole path: uinput, the kernel's filters and buffers, /dev/input/eventN. Needs the module `uinput`
and permission to write to its node. Uses plain ioctls (include/uapi/linux/uinput.h).
"""

from __future__ import annotations

import fcntl
import os
import struct
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Self

from sco_drivers.errors import DeviceNotFound, DevicePermission, TouchError
from sco_drivers.touch.events import (
    ABS_MT_POSITION_X,
    ABS_MT_POSITION_Y,
    ABS_MT_SLOT,
    ABS_MT_TRACKING_ID,
    ABS_X,
    ABS_Y,
    BTN_TOUCH,
    EV_ABS,
    EV_KEY,
    EVENT,
    KEYS,
)
from sco_sim.touch import Event, Finger

UI_DEV_CREATE, UI_DEV_DESTROY = 0x5501, 0x5502
UI_DEV_SETUP, UI_ABS_SETUP = 0x405C5503, 0x401C5504
UI_SET_EVBIT, UI_SET_KEYBIT, UI_SET_ABSBIT, UI_SET_PROPBIT = 0x40045564, 0x40045565, 0x40045567, 0x4004556E
UI_GET_SYSNAME = 0x8040552C  # with room for 64 bytes
_PROP_DIRECT = 1
_BUS_VIRTUAL = 6
SETUP = struct.Struct("@4H80sI")
"""struct uinput_setup: struct input_id (bus, vendor, product, version), name, count of force-feedback effects."""

ABS_SETUP = struct.Struct("@Hxx6i")
"""struct uinput_abs_setup: the code, then struct input_absinfo (value, minimum, maximum, fuzz, flat, resolution)."""

_NODE_S = 5.0
"""udev sets the node's name and permissions some time after the device exists."""


class UinputTouch(Finger):
    """A finger on a panel that the kernel exposes as a device until `close`.

    Args:
        size, axis_max, multi, turn: see `Finger`.
        name: of the device, e.g. for udev rules.

    Raises:
        DeviceNotFound: no /dev/uinput. DevicePermission. TouchError: the kernel refused to create it.
    """

    def __init__(
        self,
        size: tuple[int, int] = (1024, 768),
        *,
        axis_max: int = 4095,
        multi: bool = False,
        turn: Callable[[float, float], tuple[float, float]] | None = None,
        name: str = "SCO virtual touch panel",
    ) -> None:
        super().__init__(size, axis_max=axis_max, multi=multi, turn=turn)
        url = "evdev:///dev/uinput"
        try:
            self._fd: int | None = os.open("/dev/uinput", os.O_WRONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except PermissionError:
            raise DevicePermission("this user may not create input devices", url=url, hint="run it as root") from None
        except OSError as error:
            raise DeviceNotFound(f"no uinput: {error.strerror}", url=url, hint="sudo modprobe uinput") from None
        try:
            self._make(name)
            self.node = self._find_node()
        except OSError as error:
            self.close()
            raise TouchError(f"the kernel refused to create the panel: {error.strerror}", url=url) from error

    def _make(self, name: str) -> None:
        fd = self._fd
        assert fd is not None
        for kind in (EV_KEY, EV_ABS):
            fcntl.ioctl(fd, UI_SET_EVBIT, kind)
        for code in (BTN_TOUCH, *KEYS):
            fcntl.ioctl(fd, UI_SET_KEYBIT, code)
        axes = {ABS_X: self.axis_max, ABS_Y: self.axis_max}
        if self.multi:
            axes |= {ABS_MT_SLOT: 9, ABS_MT_TRACKING_ID: 65535}
            axes |= {ABS_MT_POSITION_X: self.axis_max, ABS_MT_POSITION_Y: self.axis_max}
        for code, maximum in axes.items():
            fcntl.ioctl(fd, UI_SET_ABSBIT, code)
            fcntl.ioctl(fd, UI_ABS_SETUP, ABS_SETUP.pack(code, 0, 0, maximum, 0, 0, 0))
        fcntl.ioctl(fd, UI_SET_PROPBIT, _PROP_DIRECT)
        fcntl.ioctl(fd, UI_DEV_SETUP, SETUP.pack(_BUS_VIRTUAL, 0, 0, 1, name.encode()[:79], 0))
        fcntl.ioctl(fd, UI_DEV_CREATE)

    def _find_node(self) -> Path:
        assert self._fd is not None
        data = bytearray(64)
        fcntl.ioctl(self._fd, UI_GET_SYSNAME, data)
        folder = Path("/sys/devices/virtual/input") / data.split(b"\0")[0].decode("ascii")
        event = next(folder.glob("event*"), None)
        if event is None:
            raise OSError(0, f"{folder} has no event node")
        node = Path("/dev/input") / event.name
        end = time.monotonic() + _NODE_S
        while not os.access(node, os.R_OK) and time.monotonic() < end:
            time.sleep(0.02)
        return node

    @property
    def url(self) -> str:
        """The URL by which drivers open it."""
        return f"evdev://{self.node}"

    def emit(self, events: Sequence[Event]) -> None:
        """Send events to the kernel, which adds the time."""
        if self._fd is None:
            raise ValueError("the panel was unplugged or closed")
        os.write(self._fd, b"".join(EVENT.pack(0, 0, *event) for event in events))

    def unplug(self) -> None:
        """Fault: the panel is unplugged. Readers get `DeviceGone`."""
        self.close()

    def close(self) -> None:
        """Remove the device. May be called twice."""
        fd, self._fd = self._fd, None
        if fd is not None:
            try:
                fcntl.ioctl(fd, UI_DEV_DESTROY)
            finally:
                os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
