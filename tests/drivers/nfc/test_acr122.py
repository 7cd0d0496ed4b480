"""What an ACR122U has of its own, over CCID octets: see `test_usb` for the rest."""

from __future__ import annotations

import pytest

from sco_drivers import open_nfc
from sco_drivers.errors import DeviceError
from tests.simulators.acr122 import VirtualAcr122


def test_an_old_firmware_is_reported() -> None:
    with VirtualAcr122(firmware=b"ACR122U102").on_the_bus() as url, pytest.raises(DeviceError):
        open_nfc(url)


@pytest.mark.parametrize(("asked", "answered"), [("6f", "80"), ("6b", "83")])
def test_a_chip_command_works_in_either_ccid_message(asked: str, answered: str) -> None:
    bench = VirtualAcr122()
    bench.bulk_out(bytes.fromhex(asked + "0700000000 05 000000 ff00000002d402"))
    assert bench.bulk_in() == bytes.fromhex(answered + "0800000000 05 000000 d50332010607 9000")
    assert bench.unknown == 0
