"""The spy logs all that passes and changes nothing."""

from __future__ import annotations

import logging
import queue

import pytest

from sco_drivers.display import QrDisplay
from sco_drivers.errors import DeviceClosed
from sco_drivers.nfc import TagReader
from sco_drivers.printer import Printer
from sco_drivers.registry import BACKENDS, open_display, open_nfc, open_printer, open_screen, open_touch
from sco_drivers.screen import Scene, Screen
from sco_drivers.spy import spy_on
from sco_drivers.touch import Touch
from sco_drivers.urls import DeviceUrl

KINDS = {
    "printer": (Printer, open_printer),
    "nfc": (TagReader, open_nfc),
    "screen": (Screen, open_screen),
    "touch": (Touch, open_touch),
    "display": (QrDisplay, open_display),
}


def test_calls_errors_and_times_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sco_drivers.spy")
    with open_screen("spy+sim://?size=640x480") as screen:
        assert isinstance(screen, Screen)
        screen.show(Scene("paid", "Оплачено"))
        assert screen.size == (640, 480)
        assert screen.url == "sim://?size=640x480"
    with pytest.raises(DeviceClosed):
        screen.show(Scene("paid", "Оплачено"))
    said = [record.getMessage() for record in caplog.records]
    assert any("show(Scene(name='paid'" in line and "-> None in" in line for line in said)
    assert any("close() -> None" in line for line in said)
    assert caplog.records[-1].levelno == logging.WARNING
    assert "DeviceClosed" in said[-1]


def test_raw_bytes_are_logged_where_the_device_gives_them(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "sco_drivers.spy")
    taps: queue.Queue[object] = queue.Queue()
    with open_touch("spy+sim://") as touch:
        assert isinstance(touch, Touch)
        touch.start((640, 480), taps.put, taps.put)
        touch.simulator.tap(1, 1)
        taps.get(timeout=20)
    assert any(" read 24: " in line or (" read " in line and "4a 01" in line) for line in caplog.messages)


def test_long_arguments_are_cut() -> None:
    from sco_drivers.spy import _short

    assert len(_short("x" * 10_000)) < 500
    assert "10002 characters" in _short("x" * 10_000)


@pytest.mark.parametrize("kind", BACKENDS)
def test_a_spied_device_is_still_one_of_its_kind(kind: str) -> None:
    """Since Python 3.12 isinstance() looks for a protocol's members in the class, and no longer asks `__getattr__`."""
    protocol, opener = KINDS[kind]
    with opener("spy+sim://") as device:
        assert isinstance(device, protocol)
        others = [other for other, _ in KINDS.values() if other is not protocol and isinstance(device, other)]
        assert others == [], "it pretends to be another kind too"
        assert device.url == "sim://"


def test_the_spy_lacks_what_the_device_lacks() -> None:
    class Half:
        """A third party's screen that forgot most of it."""

        size = (1, 2)

    spy = spy_on("screen", Half(), DeviceUrl.parse("spy+half://"))
    assert spy.size == (1, 2)
    with pytest.raises(AttributeError, match="'Half' object has no attribute 'show'"):
        spy.show(Scene("paid", "Оплачено"))
