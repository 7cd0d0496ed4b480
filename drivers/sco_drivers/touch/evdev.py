"""`evdev:///dev/sco/touch` (a name by udev; `/dev/input/eventN` may be another device after replugging): a touch panel,
with the kernel's own interface. Uses the standard library only.

Parameters: `rotate` (same as the screen's), `calibration=a,b,c,d,e,f`, `swap_xy`, `flip_x`, `flip_y`, `range=MAXxMAX`
(by default from the device), `debounce_ms`, `pressure` (the least that counts, on a panel without BTN_TOUCH; 1),
`median` (places whose median counts; 3) and `skip` (places at the start of a contact that do not; 0), `keys=1` to
accept a keyboard or keypad, which has no axes, `grab=0` to let other programs receive the events too (by default they
do not, so that a desktop or console does not react).
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct
import sys
import time
from functools import partial

from sco_drivers.access import access_hint
from sco_drivers.errors import FIND_HINT, DeviceBusy, DeviceNotFound, DevicePermission, TouchError
from sco_drivers.touch.calibration import PARAMETERS, Axis, check_parameters, range_of
from sco_drivers.touch.events import (
    ABS_MT_POSITION_X,
    ABS_MT_POSITION_Y,
    ABS_MT_SLOT,
    ABS_MT_TRACKING_ID,
    ABS_PRESSURE,
    ABS_X,
    ABS_Y,
    BTN_TOUCH,
    State,
)
from sco_drivers.touch.reader import EventTouch, Panel
from sco_drivers.urls import DeviceUrl, opener

_ABSINFO = struct.Struct("@6i")  # value, minimum, maximum, fuzz, flat, resolution
_EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int)
_EVIOCSCLOCKID = 0x400445A0  # _IOW('E', 0xa0, int)
_EVIOCGBIT_ABS = 0x80084523  # _IOC(_IOC_READ, 'E', 0x20 + EV_ABS, 8)
_EVIOCGKEY, _EVIOCGBIT_KEY = 0x80604518, 0x80604521  # _IOC(_IOC_READ, 'E', 0x18 or 0x20 + EV_KEY, 96)
_MOST_SLOTS = 128


def _eviocgmtslots(slots: int) -> int:
    return 0x8000450A | 4 * (1 + slots) << 16  # _IOC(_IOC_READ, 'E', 0x0a, length): a code, then its values


def _eviocgabs(axis: int) -> int:
    return 0x80184540 + axis  # _IOR('E', 0x40 + axis, struct input_absinfo)


def _check(url: DeviceUrl) -> None:
    _grab(url)
    _keys(url)
    check_parameters(url)


def _grab(url: DeviceUrl) -> bool:
    return url.choice("grab", "1", ("0", "1")) == "1"


def _keys(url: DeviceUrl) -> bool:
    return url.choice("keys", "0", ("0", "1")) == "1"


@opener(_check, example="evdev:///dev/sco/touch", params=("grab", "keys", *PARAMETERS), needs=("path",))
def open_evdev(url: DeviceUrl, _options: None) -> EventTouch:
    """Open an input device.

    Raises:
        BadDeviceUrl, DeviceNotFound, DevicePermission, DeviceBusy (another process has grabbed it), TouchError (not a
        touch panel).
    """
    return EventTouch(url, lambda: _panel(url))


def _panel(url: DeviceUrl) -> Panel:
    try:
        fd = os.open(url.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise DeviceNotFound("no such input device", url=url.text, hint=FIND_HINT) from None
    except PermissionError as error:
        raise DevicePermission(
            "this user may not read the device", url=url.text, hint=access_hint(url.text, error.errno)
        ) from None
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            raise DeviceNotFound("the input device was unplugged", url=url.text) from None
        raise TouchError(f"cannot be opened: {error.strerror}", url=url.text) from error
    try:
        if not stat.S_ISCHR(os.fstat(fd).st_mode):
            raise TouchError("not an input device", url=url.text, hint=FIND_HINT)
        if not _keys(url) and not _has_axes(fd, url):
            # A scanner or keyboard that got the panel's old number: its keys would press buttons.
            hint = "use evdev:///dev/sco/touch; a keyboard or keypad instead of a panel: keys=1"
            raise TouchError("not a touch panel: it has no absolute axes", url=url.text, hint=hint)
        x, y = range_of(url, _axes(fd))
        if _grab(url):
            try:
                fcntl.ioctl(fd, _EVIOCGRAB, 1)
            except OSError as error:
                if error.errno == errno.EBUSY:
                    raise DeviceBusy(
                        "another process has grabbed it", url=url.text, hint="stop it, or add grab=0"
                    ) from None
                raise TouchError("not an input device", url=url.text, hint=FIND_HINT) from error
        with contextlib.suppress(OSError):  # then the time of reading is used
            fcntl.ioctl(fd, _EVIOCSCLOCKID, struct.pack("@i", time.CLOCK_MONOTONIC))
        return Panel(fd, x, y, partial(_state, fd))
    except BaseException:
        os.close(fd)
        raise


def _has_axes(fd: int, url: DeviceUrl) -> bool:
    """Whether the device has both axes, single-touch or multi-touch ones."""
    data = bytearray(8)
    try:
        fcntl.ioctl(fd, _EVIOCGBIT_ABS, data)
    except OSError as error:
        raise TouchError("not an input device", url=url.text, hint=FIND_HINT) from error
    bits = int.from_bytes(data, sys.byteorder)
    return any(bits >> x & bits >> y & 1 for x, y in ((ABS_X, ABS_Y), (ABS_MT_POSITION_X, ABS_MT_POSITION_Y)))


def _absolute(fd: int, code: int) -> tuple[int, int, int] | None:
    """Value, minimum and maximum of an axis; None if the device has no such axis."""
    data = bytearray(_ABSINFO.size)
    try:
        fcntl.ioctl(fd, _eviocgabs(code), data)
    except OSError:
        return None
    value, low, high, *_ = _ABSINFO.unpack(data)
    return value, low, high


def _state(fd: int) -> State:
    """What is on the panel: the kernel does not repeat what has not changed."""
    x, y, pressure = ((_absolute(fd, code) or (0,))[0] for code in (ABS_X, ABS_Y, ABS_PRESSURE))
    slot = _absolute(fd, ABS_MT_SLOT)
    contacts: tuple[tuple[int, int, int], ...] = ()
    if slot is not None:
        count = min(slot[2] + 1, _MOST_SLOTS)
        codes = (ABS_MT_TRACKING_ID, ABS_MT_POSITION_X, ABS_MT_POSITION_Y)
        contacts = tuple(zip(*(_of_slots(fd, code, count) for code in codes), strict=True))
    return State(
        x,
        y,
        pressure=pressure,
        has_button=_has_touch_button(fd, _EVIOCGBIT_KEY),
        held=slot is None and _has_touch_button(fd, _EVIOCGKEY),
        slot=slot[0] if slot is not None else 0,
        contacts=contacts,
    )


def _of_slots(fd: int, code: int, count: int) -> tuple[int, ...]:
    """The value of each slot."""
    nothing = -1 if code == ABS_MT_TRACKING_ID else 0
    data = bytearray(struct.pack(f"@I{count}i", code, *[nothing] * count))
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, _eviocgmtslots(count), data)
    return struct.unpack_from(f"@{count}i", data, 4)


def _has_touch_button(fd: int, request: int) -> bool:
    """Whether BTN_TOUCH is among the keys that the device has, or among those that are down."""
    data = bytearray(96)
    with contextlib.suppress(OSError):
        fcntl.ioctl(fd, request, data)
    return bool(data[BTN_TOUCH // 8] >> BTN_TOUCH % 8 & 1)


def _axes(fd: int) -> tuple[Axis, Axis]:
    """The ranges of the device: of multi-touch axes, else single-touch axes; 0..4095 without axes (a keyboard)."""
    found: list[Axis] = []
    for single, multi in ((ABS_X, ABS_MT_POSITION_X), (ABS_Y, ABS_MT_POSITION_Y)):
        axis = Axis()
        for code in (multi, single):
            found_axis = _absolute(fd, code)
            if found_axis is not None and found_axis[2] > found_axis[1]:
                axis = Axis(*found_axis[1:])
                break
        found.append(axis)
    return found[0], found[1]
