"""What an ACR122U has of its own, over CCID octets: see `test_usb` for the rest."""

from __future__ import annotations

import pytest

from sco_drivers import open_nfc
from sco_drivers.errors import DeviceNotFound
from sco_drivers.nfc import UnsupportedReader
from tests.simulators.acr122 import VirtualAcr122
from tests.simulators.usb_bus import Identity, UsbDevice, usb_bus

LINK = "https://qr.nspk.ru/AS10"


@pytest.mark.parametrize("url", ["usb://072f:2200", "usb://"])
def test_an_old_firmware_is_reported(url: str) -> None:
    with VirtualAcr122(firmware=b"ACR122U102").on_the_bus():
        with pytest.raises(UnsupportedReader, match=r"usb://.*ACR122U102 is too old.*2\.x") as caught:
            open_nfc(url)
        assert not caught.value.retryable


def test_a_name_that_is_no_acr122u_is_reported() -> None:
    with VirtualAcr122(firmware=b"\xff" * 10).on_the_bus() as url, pytest.raises(DeviceNotFound, match="firmware"):
        open_nfc(url)


def test_a_reader_that_does_not_answer_the_led_command_is_opened() -> None:
    """Firmware 215."""
    bench = VirtualAcr122(uri=LINK, firmware=b"ACR122U215", led_answers=False)
    with bench.on_the_bus() as url:
        for _ in range(2):
            with open_nfc(url) as nfc:
                assert nfc.read().uri == LINK
                assert nfc.clear().uri is None
                assert not bench.field_on
            assert bench.owner is None
            bench.tag.put_uri(LINK)


class Ccid(UsbDevice):
    """A reader that PC/SC alone can use."""

    def bulk_out(self, message: bytes) -> None:
        raise AssertionError("it must be left alone")

    def _lose_power(self) -> None:
        pass


ACR1252 = Identity(
    *(0x072F, 0x223B, "ACS", "ACR1252 Dual Reader"), endpoint_out=0x02, endpoint_in=0x81, interface_class=(0x0B, 0, 0)
)


@pytest.mark.parametrize("url", ["usb://072f:223b", "usb://", "usb:///001/007", "usb://?port=1-1"])
def test_a_ccid_reader_is_found_and_reported_as_such(url: str) -> None:
    with usb_bus(Ccid(ACR1252)):
        with pytest.raises(UnsupportedReader, match=r"072f:223b .*speaks CCID.*use pcsc://"):
            open_nfc(url)
        with pytest.raises(DeviceNotFound, match="no such device"):
            open_nfc("usb://072f:2200")


def test_a_ccid_reader_next_to_a_usable_one_does_not_matter() -> None:
    with usb_bus(Ccid(ACR1252), VirtualAcr122(uri=LINK)), open_nfc("usb://") as nfc:
        assert nfc.read().uri == LINK


@pytest.mark.parametrize(("asked", "answered"), [("6f", "80"), ("6b", "83")])
def test_a_chip_command_works_in_either_ccid_message(asked: str, answered: str) -> None:
    bench = VirtualAcr122()
    bench.bulk_out(bytes.fromhex(asked + "0700000000 05 000000 ff00000002d402"))
    assert bench.bulk_in() == bytes.fromhex(answered + "0800000000 05 000000 d50332010607 9000")
    assert bench.unknown == 0
