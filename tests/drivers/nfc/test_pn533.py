"""What a PN533 has of its own, over its frames: see `test_usb` for the rest, `tests.simulators.pn533` for sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sco_drivers import open_nfc
from sco_drivers.errors import DeviceGone, DeviceNotFound
from sco_sim.nfc.pn53x_frame import ACK, ERROR, NACK, information
from tests.simulators.pn533 import IDENTITY, SCL3711, VirtualPn533, eeprom_of
from tests.simulators.usb_bus import Identity, NotTaken

LINK = "https://example.org/1"


@pytest.fixture
def bench() -> VirtualPn533:
    return VirtualPn533(uri=LINK)


def ask(bench: VirtualPn533, command: str) -> list[bytes | None]:
    """What the command `command` (code and data) is answered by, transfer for transfer."""
    bench.bulk_out(information(b"\xd4" + bytes.fromhex(command)))
    return list(iter_answers(bench))


def iter_answers(bench: VirtualPn533) -> Iterator[bytes]:
    while (answer := bench.bulk_in()) is not None:
        yield answer


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("02", "d503 33020707"),
        ("06 6303", "d507 00 00"),
        ("08 6303 80", "d509 00"),
        ("06 a000", "d507 10"),
        ("08 a000 00", "d509 10"),
        ("32 01 02", "d533"),
        ("4a 01 04", "d54b 00"),
        ("00 00" + "ab" * 262, "d501 00" + "ab" * 262),
        ("06 63", None),
        ("08 6303", None),
        ("32 03 00", None),  # an item that there is not
        ("32 01", None),  # an item without its data
        ("4a 02 00", None),  # two targets at once
        ("10 00", None),  # commands of the PN532 alone
        ("14 01", None),
        ("16 00", None),
    ],
)
def test_each_command_is_acknowledged_and_answered_in_a_transfer_of_its_own(
    bench: VirtualPn533, command: str, answer: str | None
) -> None:
    assert ask(bench, command) == [ACK, ERROR if answer is None else information(bytes.fromhex(answer))]
    assert bench.unknown == (answer is None)


def test_registers_keep_what_is_written_to_them(bench: VirtualPn533) -> None:
    ask(bench, "08 6303 80 6302 12")
    assert ask(bench, "06 6302 6303")[1] == information(bytes.fromhex("d507 00 12 80"))


def test_a_frame_that_is_not_understood_is_sent_again(bench: VirtualPn533) -> None:
    bench.bulk_out(NACK)
    assert bench.bulk_in() is None
    answer = ask(bench, "02")[1]
    bench.bulk_out(NACK)
    assert list(iter_answers(bench)) == [answer]


def test_two_frames_in_one_transfer_are_more_than_it_knows(bench: VirtualPn533) -> None:
    bench.bulk_out(information(b"\xd4\x02") + b"\x00")
    assert bench.unknown == 1


@pytest.mark.parametrize("identity", [IDENTITY, SCL3711], ids=lambda identity: identity.product)
def test_a_reader_with_an_eeprom_and_one_without(identity: Identity) -> None:
    for eeprom in (None, eeprom_of(identity)):
        with VirtualPn533(uri=LINK, identity=identity, eeprom=eeprom).on_the_bus() as url, open_nfc(url) as nfc:
            assert nfc.read().uri == LINK


@pytest.mark.parametrize(
    "eeprom", [b"\xff", b"\x00", b"\x03\x03\xd8\x00\xd8", b"\x04\x04\x00\x00\x00\xd8", b"\x07\xfe"]
)
def test_an_invalid_eeprom_does_not_prevent_opening(eeprom: bytes) -> None:
    with VirtualPn533(uri=LINK, eeprom=(eeprom * 256)[:256]).on_the_bus() as url, open_nfc(url) as nfc:
        assert nfc.read().uri == LINK


@pytest.mark.parametrize("answer", ["33", "", "3302070707"])
def test_a_firmware_version_of_another_length_is_reported(answer: str) -> None:
    with (
        VirtualPn533(firmware=bytes.fromhex(answer)).on_the_bus() as url,
        pytest.raises(DeviceNotFound, match="no known NFC reader"),
    ):
        open_nfc(url)


def test_an_answer_without_its_acknowledgement_is_accepted(bench: VirtualPn533) -> None:
    with bench.on_the_bus() as url, open_nfc(url) as nfc:
        bench.acknowledges = False
        assert nfc.write_uri(LINK + "23").uri == LINK + "23"


def test_a_second_abort_in_a_row_does_not_prevent_opening(bench: VirtualPn533) -> None:
    bench.bulk_out(ACK)
    with pytest.raises(NotTaken):
        bench.bulk_out(ACK)
    bench.bulk_out(ACK)
    with bench.on_the_bus() as url, open_nfc(url) as nfc:
        assert nfc.read().uri == LINK


@pytest.mark.parametrize("error", ["USBErrorIO", "USBErrorPipe", "USBErrorTimeout", "USBErrorOther"])
def test_it_can_be_opened_after_its_strings_were_overwritten(bench: VirtualPn533, error: str) -> None:
    bench.loses_strings_by = error
    with bench.on_the_bus() as url:
        for _ in range(2):
            with open_nfc(url) as nfc:
                assert nfc.read().uri == LINK
        assert bench.string_error == error


def test_it_is_found_after_a_warm_start_if_it_was_closed(bench: VirtualPn533) -> None:
    """Its descriptors lie where long frames go, see `sco_drivers.nfc.pn533`."""
    with bench.on_the_bus() as url:
        with open_nfc(url) as nfc:
            nfc.write_uri(LINK + "23")
        bench.reset()
        with open_nfc(url) as nfc:
            assert nfc.read().uri == LINK + "23"
            bench.reset()  # while a lane has it: as when the machine's watchdog bites
            with pytest.raises((DeviceNotFound, DeviceGone)):
                nfc.read()
            bench.unplug()
            bench.replug()
            assert nfc.read().uri == LINK + "23"
