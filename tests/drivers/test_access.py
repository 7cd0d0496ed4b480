"""The hint for a device file that may not be opened names what gives access to this very file."""

from __future__ import annotations

import errno
import grp
import os
import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from sco_drivers.access import access_hint
from sco_drivers.errors import RULES_HINT
from sco_drivers.nfc.radio import device_error
from sco_drivers.printer.transports import from_os_error

NAMES = {0: "root", 5: "tty", 20: "dialout", 777: "sco"}


@pytest.fixture
def ttys(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What is in the place of every device file: a serial port of Debian's."""
    found = SimpleNamespace(st_mode=stat.S_IFCHR | 0o660, st_gid=20)
    monkeypatch.setattr(os, "stat", lambda path, **_: found)
    monkeypatch.setattr(grp, "getgrgid", lambda number: SimpleNamespace(gr_name=NAMES[number]))
    return found


@pytest.mark.parametrize("node", ["/dev/ttyS0", "/dev/ttyAMA0", "/dev/ttymxc2", "/dev/ttyUSB0", "/dev/ttyACM1"])
def test_a_serial_line_names_its_own_group(node: str, ttys: SimpleNamespace) -> None:
    denied = PermissionError(errno.EACCES, "Permission denied")
    printer = from_os_error(denied, f"serial://{node}?baud=9600", opening=True)
    reader = device_error(denied, f"pn532://{node}", opening=True, present=lambda: True)
    for error in (printer, reader):
        assert "join the group dialout" in error.hint
        assert "SupplementaryGroups=dialout" in error.hint


def test_a_port_that_a_login_has_taken_from_its_group(ttys: SimpleNamespace) -> None:
    ttys.st_mode, ttys.st_gid = stat.S_IFCHR | 0o620, 5
    assert "it is tty 0620; a login" in access_hint("serial:///dev/ttyS0", errno.EACCES)


@pytest.mark.parametrize(
    "url",
    [
        "lp:///dev/usb/lp0",
        "evdev:///dev/input/event4",
    ],
)
def test_a_device_of_the_rules_names_them_first(url: str, ttys: SimpleNamespace) -> None:
    assert access_hint(url, errno.EACCES) == f"{RULES_HINT}, or the group dialout"
    ttys.st_gid = 777  # the rules are there
    assert access_hint(url, errno.EACCES) == RULES_HINT


@pytest.mark.parametrize("url", ["mertech:///dev/ttyACM1", "fb:///dev/fb0?rotate=90", "drm:///dev/dri/card1"])
@pytest.mark.parametrize("group", [20, 777])
def test_a_named_line_and_a_screen_name_the_group_that_may_open_them(
    url: str, group: int, ttys: SimpleNamespace
) -> None:
    ttys.st_gid = group
    assert access_hint(url, errno.EACCES).startswith(f"join the group {NAMES[group]}")


@pytest.mark.parametrize("url", ["usb://04b8:0202/J5K1", "usb:///dev/bus/usb/001/004"])
def test_a_device_that_root_alone_may_open_names_the_rules(url: str, ttys: SimpleNamespace) -> None:
    ttys.st_mode, ttys.st_gid = stat.S_IFCHR | 0o664, 0
    assert access_hint(url, errno.EACCES) == RULES_HINT


def test_a_name_is_followed_to_its_device(tmp_path: Path, ttys: SimpleNamespace) -> None:
    name = tmp_path / "printer"
    name.symlink_to("/dev/ttyS0")
    assert "join the group dialout" in access_hint(f"serial://{name}", errno.EACCES)


def test_a_service_that_may_not_use_the_device_needs_it_in_its_unit() -> None:
    """systemd's DevicePolicy=closed: the kernel answers EPERM, whatever the file's permissions are."""
    assert "DeviceAllow=/dev/ttyO1 rw" in access_hint("serial:///dev/ttyO1", errno.EPERM)
