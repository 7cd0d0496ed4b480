# ruff: noqa: PT017  (a fault may or may not surface: the sweep needs both branches)
"""The driver over a simulated PN532: content, order of writes, wear, tearing, faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sco_drivers import open_nfc
from sco_drivers.errors import (
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DeviceProtocolError,
    DeviceTimeout,
    NfcError,
)
from sco_drivers.nfc import (
    ForeignTag,
    NoTag,
    SeveralTags,
    TagLocked,
    TagTooSmall,
    TagWriteFailed,
    WrongContent,
    uart,
)
from sco_drivers.nfc.message import uri_message, uri_of
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532 import Fault, VirtualReader
from tests.drivers.nfc.fault_sweep import Action, sweep, usable_again

OLD = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
NEW = OLD.replace("LJL2", "LJX9")
SECOND = bytes.fromhex("04ffeeddccbbaa")


@pytest.fixture
def bench() -> Iterator[VirtualReader]:
    with VirtualReader(uri=OLD) as reader:
        yield reader


@pytest.mark.parametrize("product", ["ntag213", "ntag215", "ntag216"])
def test_a_link_is_written_read_verified_and_cleared(product: str) -> None:
    with open_nfc(f"sim://?tag={product}") as nfc:
        sim = nfc.simulator
        assert nfc.read().uri is None
        assert nfc.write_uri(OLD, uid=sim.tag.uid).uri == OLD
        assert sim.tag.uri() == OLD
        assert nfc.verify(OLD).product == product.upper()
        assert not sim.field_on
        assert nfc.clear().uri is None
        assert sim.tag.uri() is None


def test_a_generic_type_2_tag_works_too() -> None:
    tag = VirtualTag(uri=OLD)
    tag.fast = False
    with VirtualReader(tag) as bench, open_nfc(bench.url) as nfc:
        assert nfc.write_uri(NEW).product == "Type 2"
        assert tag.uri() == NEW


def test_identical_content_writes_nothing_and_a_change_writes_little(bench: VirtualReader) -> None:
    with open_nfc(bench.url) as nfc:
        nfc.write_uri(OLD)
        assert not bench.tag.page_writes
        before = bytes(bench.tag.memory)
        nfc.write_uri(NEW)
        changed = sum(before[i : i + 4] != bench.tag.memory[i : i + 4] for i in range(0, len(before), 4))
        assert sum(bench.tag.page_writes.values()) == changed + 2
        assert bench.tag.page_writes.most_common(1) == [(5, 2)]


def test_a_long_message_on_a_large_tag() -> None:
    link = "https://example.org/" + "x" * 400
    with open_nfc("sim://?tag=ntag216") as nfc:
        assert nfc.write_uri(link).uri == link
        assert nfc.simulator.tag.uri() == link
        assert nfc.clear().ndef == b""


def test_refusals_come_before_any_write(bench: VirtualReader) -> None:
    with open_nfc(bench.url) as nfc:
        with pytest.raises(TagTooSmall):
            nfc.write_uri("https://example.org/" + "x" * 200)
        with pytest.raises(ForeignTag):
            nfc.write_uri(NEW, uid=SECOND)
        with pytest.raises(WrongContent):
            nfc.verify(NEW)
        bench.tags.append(VirtualTag(uid=SECOND))
        for call in (nfc.read, lambda: nfc.write_uri(NEW), nfc.clear):
            with pytest.raises(SeveralTags):
                call()
        bench.tags.pop()
        bench.tag.lock()
        with pytest.raises(TagLocked):
            nfc.write_uri(NEW)
        bench.tags.clear()
        with pytest.raises(NoTag):
            nfc.read()
    with VirtualReader() as other:
        other.tag.protect(b"1234", b"56")
        with open_nfc(other.url) as nfc, pytest.raises(TagLocked):
            nfc.write_uri(NEW)
    assert not bench.tag.page_writes if bench.tags else True


def test_one_owner_and_hot_unplug(bench: VirtualReader) -> None:
    with open_nfc(bench.url) as nfc:
        with pytest.raises(DeviceBusy):
            open_nfc(bench.url)
        bench.unplug()
        with pytest.raises((DeviceGone, DeviceNotFound)):
            nfc.read()
        bench.replug()
        assert nfc.read().uri == OLD


def test_a_chip_left_at_high_speed_is_found(bench: VirtualReader) -> None:
    bench.baud = 921600
    with open_nfc(bench.url) as nfc:
        assert nfc.read().uri == OLD


@pytest.mark.parametrize("acknowledges", [False, True])
@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.0, 1.5])
def test_a_chip_whose_first_answer_is_late_is_found(bench: VirtualReader, seconds: float, acknowledges: bool) -> None:
    bench.start_slowly(seconds, acknowledges=acknowledges)
    with open_nfc(bench.url) as nfc:
        assert nfc.read().uri == OLD
        assert bench.baud == 921600
        assert nfc.write_uri(NEW).uri == NEW
        assert bench.unknown == 0


def test_a_chip_that_answers_at_once_is_opened_without_the_slow_round(bench: VirtualReader, monkeypatch) -> None:
    monkeypatch.setattr(uart, "_answers_slowly", pytest.fail)
    bench.baud = 230400  # a killed process left it so
    with open_nfc(bench.url) as nfc:
        assert nfc.read().uri == OLD


@pytest.mark.parametrize("holds", [115200, 230400, 460800, 921600])
@pytest.mark.parametrize("asked", [115200, 460800, 921600])
def test_the_line_runs_at_the_highest_speed_that_works(holds: int, asked: int) -> None:
    with VirtualReader(uri=OLD, highest_baud=holds) as bench:
        for left_by_others in (115200, min(holds, 460800)):
            bench.baud = left_by_others
            with open_nfc(f"{bench.url}?baud={asked}") as nfc:
                assert bench.baud == min(holds, asked)
                assert nfc.write_uri(NEW).uri == NEW


BUSY = 3  # calls: on a busy machine the simulated chip may miss its time as well


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("action", ["write", "verify"])
def test_every_fault_at_every_command_raises_a_typed_error_and_is_survived(fault: Fault, action: Action) -> None:
    with VirtualReader(uri=OLD) as bench:
        assert sweep(bench, bench.url, fault, action, OLD, NEW, tries=BUSY) > 0


@pytest.mark.parametrize("action", ["write", "verify"])
def test_a_tag_that_is_removed_at_any_of_its_commands(action: str) -> None:
    """Its power is gone until the field is switched on again: it was moved, and lies right again."""
    with VirtualReader(uri=OLD) as bench, open_nfc(bench.url + "?attempts=1") as nfc:
        failed = 0
        for commands in range(60):
            nfc.write_uri(OLD)
            before = bench.tag.commands.total()
            bench.tag.leave_after(commands)
            try:
                nfc.write_uri(NEW) if action == "write" else nfc.verify(OLD)
            except DeviceError as error:
                failed += 1
                assert isinstance(error, NfcError)
                if isinstance(error, TagWriteFailed):
                    assert (bench.tag.uri() or "") in error.may_carry
            if bench.tag._leave_in is not None:
                break
            assert not bench.field_on
            assert bench.tag.commands.total() >= before
        bench.tag._leave_in = None
        assert nfc.write_uri(NEW).uri == NEW
        assert failed >= (4 if action == "write" else 1)


def test_a_slow_chip_is_waited_for_and_a_stuck_one_is_reported(bench: VirtualReader) -> None:
    with open_nfc(bench.url + "?attempts=1") as nfc:
        bench.slow(0.04)
        usable_again(nfc, BUSY)
        bench.slow(1.5)
        with pytest.raises((DeviceTimeout, DeviceProtocolError)):
            nfc.verify(OLD)
        bench.slow(0)
        usable_again(nfc, BUSY)


def test_one_lost_answer_does_not_fail_the_call(bench: VirtualReader) -> None:
    with open_nfc(bench.url) as nfc:
        nfc.read()
        for fault in (Fault.SILENT, Fault.CORRUPT, Fault.SHORT, Fault.ERROR_FRAME):
            for at in (0, 3):
                bench.inject(fault, at_command=at)
                assert nfc.verify(OLD).uri == OLD
                bench.inject(fault, at_command=at)
                nfc.write_uri(NEW)
                nfc.write_uri(OLD)


@pytest.mark.parametrize("uri", [OLD, "https://www.example.org/", "x:", "http://e/" + "y" * 300])
def test_the_message_round_trips(uri: str) -> None:
    assert uri_of(uri_message(uri)) == uri
    assert uri_of(uri_message(uri)[:-1]) is None
    assert uri_of(uri_message(uri) + b"\0") is None


def test_tags_lose_their_power_whenever_the_field_goes_off(bench: VirtualReader) -> None:
    """Else one that was put to sleep would not answer when the field is on again (NFC Forum Digital: 5 ms)."""
    with open_nfc(bench.url) as nfc:
        nfc.verify(OLD)
        nfc.write_uri(NEW)
        nfc.clear()
        assert bench.switched_on >= 5
        assert bench.shortest_off_s >= 0.005
