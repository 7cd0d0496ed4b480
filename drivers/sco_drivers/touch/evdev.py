"""`evdev:///dev/input/eventN` (or `/dev/input/by-id/...`): a touch panel, a mouse button or a keyboard, by the kernel's
own interface. Nothing but the standard library.

Parameters: `rotate` (as the screen's), `calibration=a,b,c,d,e,f`, `swap_xy`, `flip_x`, `flip_y`, `range=MAXxMAX` (else
as the device says), `debounce_ms`, `grab=0` to leave the events to others as well (by default nobody else
gets them, so that the desktop or console behind does not react).
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct

from sco_drivers.errors import DeviceBusy, DeviceNotFound, DevicePermission, TouchError
from sco_drivers.touch.calibration import PARAMETERS, Axis, Calibration, range_of
from sco_drivers.touch.events import ABS_MT_POSITION_X, ABS_MT_POSITION_Y, ABS_X, ABS_Y
from sco_drivers.touch.reader import EventTouch
from sco_drivers.urls import DeviceUrl

_ABSINFO = struct.Struct("@6i")  # value, minimum, maximum, fuzz, flat, resolution
_EVIOCGRAB = 0x40044590  # _IOW('E', 0x90, int)


def _eviocgabs(axis: int) -> int:
    return 0x80184540 + axis  # _IOR('E', 0x40 + axis, struct input_absinfo)


def open_evdev(url: DeviceUrl) -> EventTouch:
    """Open an input device.

    Raises:
        BadDeviceUrl, DeviceNotFound, DevicePermission, DeviceBusy (another process has grabbed it), TouchError (no
        input device).
    """
    url.only("grab", *PARAMETERS)
    grab = url.choice("grab", "1", ("0", "1")) == "1"
    try:
        fd = os.open(url.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except FileNotFoundError:
        raise DeviceNotFound("no such input device", url=url.text, hint="see /dev/input/by-id") from None
    except PermissionError:
        raise DevicePermission(
            "this user may not read the device", url=url.text, hint="add the user to the group input"
        ) from None
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENXIO):
            raise DeviceNotFound("the input device has left", url=url.text) from None
        raise TouchError(f"cannot be opened: {error.strerror}", url=url.text) from error
    try:
        if not stat.S_ISCHR(os.fstat(fd).st_mode):
            raise TouchError("not an input device", url=url.text, hint="see /dev/input/by-id")
        x, y = range_of(url, _axes(fd))
        calibration = Calibration.of(url, x, y)
        if grab:
            try:
                fcntl.ioctl(fd, _EVIOCGRAB, 1)
            except OSError as error:
                if error.errno == errno.EBUSY:
                    raise DeviceBusy(
                        "another process has grabbed it", url=url.text, hint="stop it, or add grab=0"
                    ) from None
                raise TouchError("not an input device", url=url.text, hint="see /dev/input/by-id") from error
        return EventTouch(url, fd, calibration)
    except BaseException:
        os.close(fd)
        raise


def _axes(fd: int) -> tuple[Axis, Axis]:
    """The ranges as the device says: single-touch axes first, multi-touch ones else; none (a keyboard) give 0..4095."""
    found: list[Axis] = []
    for single, multi in ((ABS_X, ABS_MT_POSITION_X), (ABS_Y, ABS_MT_POSITION_Y)):
        axis = Axis()
        for code in (single, multi):
            data = bytearray(_ABSINFO.size)
            try:
                fcntl.ioctl(fd, _eviocgabs(code), data)
            except OSError:
                continue
            _, least, most, *_ = _ABSINFO.unpack(data)
            if most > least:
                axis = Axis(least, most)
                break
        found.append(axis)
    return found[0], found[1]
