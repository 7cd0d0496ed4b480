"""Two identical USB printers without serial numbers are distinguished by their port."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import usb.core

from sco_drivers import open_printer
from sco_drivers.errors import DeviceBusy, DeviceNotFound
from sco_drivers.printer.usb_wire import usb_port


class _Plugged(SimpleNamespace):
    """What pyusb finds; asking it for its configuration says which one was chosen."""

    iSerialNumber = 0  # noqa: N815 - pyusb's name

    def get_active_configuration(self) -> Any:
        raise usb.core.USBError(f"chose {self.port_numbers}", errno=19)


@pytest.fixture
def _two(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged = [_Plugged(bus=1, port_numbers=(1,)), _Plugged(bus=1, port_numbers=(2, 1))]
    monkeypatch.setattr(usb.core, "find", lambda **_: iter(plugged))


@pytest.mark.usefixtures("_two")
def test_the_port_chooses() -> None:
    with pytest.raises(DeviceNotFound, match=r"chose \(2, 1\)"):
        open_printer("usb://04b8:0202?port=1-2.1")
    with pytest.raises(DeviceNotFound, match="no such printer"):
        open_printer("usb://04b8:0202?port=1-3")


@pytest.mark.usefixtures("_two")
def test_without_it_the_choice_is_refused() -> None:
    with pytest.raises(DeviceBusy, match=r"2 of them are plugged in .*port="):
        open_printer("usb://04b8:0202")


def test_a_port_is_written_as_the_kernel_does() -> None:
    assert usb_port(1, (1, 2)) == "1-1.2"
    assert usb_port(2, None) == "2-"
