"""What each kind of NFC reader reports about itself."""

from __future__ import annotations

import pytest

from sco_drivers import DeviceIdentity, open_nfc
from sco_drivers.errors import DeviceClosed
from sco_drivers.nfc.pcsc_channel import Channel, WantedReader
from sco_drivers.nfc.reader import NfcpyReader
from sco_sim.nfc.pn532 import VirtualReader
from tests.simulators.acr122 import VirtualAcr122
from tests.simulators.pn533 import VirtualPn533
from tests.simulators.rcs380 import VirtualRcs380


def identity_at(url: str) -> DeviceIdentity:
    with open_nfc(url) as reader:
        assert isinstance(reader, NfcpyReader)
        return reader.identity()


def test_a_pn532_reports_its_version() -> None:
    with VirtualReader() as bench:
        assert identity_at(bench.url) == DeviceIdentity(model="PN532", firmware="1.6")


def test_an_acr122u_reports_the_version_of_its_controller() -> None:
    with VirtualAcr122(firmware=b"ACR122U214").on_the_bus() as url:
        found = identity_at(url)
    assert (found.maker, found.firmware) == ("ACS", "214")
    assert found.model is not None
    assert found.model.startswith("ACR122U")


def test_usb_readers_report_the_version_of_their_chip() -> None:
    for bench, model in ((VirtualPn533(), ""), (VirtualRcs380(), "RC-S380")):
        with bench.on_the_bus() as url:
            found = identity_at(url)
        assert found.model is not None
        assert found.model.startswith(model)
        assert found.firmware is not None
        assert found.firmware[0].isdigit()


def test_asking_leaves_the_tag_alone_and_the_field_off() -> None:
    with VirtualReader(uri="https://qr.nspk.ru/AS10") as bench, open_nfc(bench.url) as reader:
        assert isinstance(reader, NfcpyReader)
        before = reader.read()
        reader.identity()
        assert not bench.field_on
        assert reader.read() == before


def test_a_closed_reader_is_not_asked() -> None:
    with VirtualReader() as bench:
        reader = open_nfc(bench.url)
        reader.close()
        assert isinstance(reader, NfcpyReader)
        with pytest.raises(DeviceClosed):
            reader.identity()


class Scard:
    """winscard with one reader; `values` are its attributes by tag, the others are unknown."""

    SCARD_SCOPE_SYSTEM = SCARD_SHARE_DIRECT = SCARD_LEAVE_CARD = 0

    def __init__(self, name: str, values: dict[int, bytes]) -> None:
        self._name, self._values = name, values

    def SCardEstablishContext(self, scope: int) -> tuple[int, int]:  # noqa: N802 - as winscard names it
        return 0, 1

    def SCardListReaders(self, context: int, groups: list[str]) -> tuple[int, list[str]]:  # noqa: N802
        return 0, [self._name]

    def SCardConnect(self, *arguments: object) -> tuple[int, int, int]:  # noqa: N802
        return 0, 2, 0

    def SCardDisconnect(self, *arguments: object) -> int:  # noqa: N802
        return 0

    def SCardGetAttrib(self, card: int, tag: int) -> tuple[int, list[int]]:  # noqa: N802
        value = self._values.get(tag)
        return (0, list(value)) if value is not None else (-0x7FEFFFEA, [])


@pytest.mark.parametrize(
    ("name", "values", "found"),
    [
        (
            "ACS ACR1252 1S CL Reader [ACR1252 Reader PICC] (RR330-000123) 00 00",
            {0x10100: b"ACS\0", 0x10102: bytes([0, 0, 0x07, 0x01]), 0x10103: b"RR330-000123\0"},
            DeviceIdentity("ACS", "ACS ACR1252 1S CL Reader [ACR1252 Reader PICC]", "RR330-000123", "1.07"),
        ),
        ("HID OMNIKEY 5422 01 00", {}, DeviceIdentity(model="HID OMNIKEY 5422")),
        ("Virtual PCD", {0x10100: b"", 0x10102: bytes(4)}, DeviceIdentity(model="Virtual PCD")),
    ],
)
def test_a_reader_behind_pcsc_reports_what_its_driver_knows(
    name: str, values: dict[int, bytes], found: DeviceIdentity
) -> None:
    assert Channel(Scard(name, values), WantedReader()).identity() == found
