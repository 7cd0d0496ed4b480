"""What to do about a device file that this user may not open."""

from __future__ import annotations

import errno
import grp
import os
import re
from pathlib import Path

from sco_drivers.errors import RULES_HINT
from sco_drivers.urls import DeviceUrl

_OF_THE_RULES = re.compile(r"/dev/(bus/usb/.*|usb/lp\d+|input/event\d+)")
"""Device files that 60-sco.rules gives to the group sco. Serial lines and screens have a group of their own."""


def access_hint(url: str, number: int | None) -> str:
    """The hint for the device at `url`, whose file was not opened for lack of permission.

    Args:
        url: of the device; its path is looked at, without being opened.
        number: the error number. The kernel answers EPERM where a service or a container may not use the device.
    """
    parsed, _ = DeviceUrl.read(url)
    node = os.path.realpath(parsed.path) if parsed is not None else ""
    if not node.startswith("/dev/"):
        return RULES_HINT
    if number == errno.EPERM:
        return f"a service needs DeviceAllow={node} rw in its unit, a container --device={node}"
    ours = _OF_THE_RULES.fullmatch(node) is not None
    try:
        found = Path(node).stat()
        group = grp.getgrgid(found.st_gid).gr_name
    except (OSError, KeyError):
        return RULES_HINT
    group_may = found.st_gid != 0 and found.st_mode & 0o060 == 0o060
    if ours:
        return f"{RULES_HINT}, or the group {group}" if group_may and group != "sco" else RULES_HINT
    if group_may:
        return f"join the group {group}, which may open it (a service: SupplementaryGroups={group})"
    return f"let a group open it: it is {group} {found.st_mode & 0o777:04o}; a login on a serial port sets it so"
