"""What every USB reader keeps, over the octets of its endpoints: see `tests.simulators.usb_bus`."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import nfc.clf.device
import nfc.clf.transport
import pytest

from sco_drivers import open_nfc
from sco_drivers.errors import (
    BadDeviceUrl,
    DeviceBusy,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceProtocolError,
    DeviceTimeout,
)
from sco_drivers.nfc import NoTag, SeveralTags, TagLocked, TagReader
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532_chip import Fault
from tests.drivers.nfc.fault_sweep import Action, sweep
from tests.simulators.acr122 import VirtualAcr122
from tests.simulators.pn533 import VirtualPn533
from tests.simulators.rcs380 import VirtualRcs380
from tests.simulators.usb_bus import usb_bus

OLD = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
NEW = OLD.replace("LJL2", "LJX9")
SECOND = bytes.fromhex("04ffeeddccbbaa")

Bench = VirtualAcr122 | VirtualPn533 | VirtualRcs380
Make = Callable[..., Bench]
PN53X: tuple[Make, ...] = (VirtualAcr122, VirtualPn533)
READERS: tuple[Make, ...] = (*PN53X, VirtualRcs380)
FRAMED: tuple[type[VirtualPn533 | VirtualRcs380], ...] = (VirtualPn533, VirtualRcs380)
# A transfer from the host that asks for the firmware's version.
QUESTIONS = {
    VirtualAcr122: bytes.fromhex("6f050000000000000000 ff00480000"),
    VirtualPn533: bytes.fromhex("0000ff02fed4022a00"),
    VirtualRcs380: bytes.fromhex("0000ffffff0200fed6200a00"),
}


@pytest.fixture(params=READERS, ids=lambda make: make.__name__)
def make(request: pytest.FixtureRequest) -> Make:
    found: Make = request.param
    return found


@pytest.fixture
def bench(make: Make) -> Bench:
    return make(uri=OLD)


@pytest.fixture
def url(bench: Bench) -> Iterator[str]:
    with bench.on_the_bus() as url:
        yield url


@pytest.fixture
def reader(url: str) -> Iterator[TagReader]:
    with open_nfc(url) as reader:
        yield reader


@pytest.mark.parametrize("tag", ["ntag213", "ntag215", "ntag216"])
def test_a_link_is_written_read_and_cleared(make: Make, tag: str) -> None:
    bench = make(VirtualTag(tag))
    with bench.on_the_bus() as url, open_nfc(url) as nfc:
        assert nfc.write_uri(OLD, uid=bench.tag.uid).uri == OLD
        assert bench.tag.uri() == OLD
        assert nfc.verify(OLD).product == tag.upper()
        assert not bench.field_on
        assert nfc.clear().uri is None
        assert bench.tag.uri() is None
        assert bench.unknown == 0, "the driver said something that the reader does not know"


def test_a_long_link_on_a_large_tag_and_on_a_generic_one(make: Make) -> None:
    long = "https://example.org/" + "x" * 400
    generic = VirtualTag(uri=OLD)
    generic.fast = False
    for tag, link in ((VirtualTag("ntag216"), long), (generic, NEW)):
        bench = make(tag)
        with bench.on_the_bus() as url, open_nfc(url) as nfc:
            assert nfc.write_uri(link).uri == link
            assert nfc.verify(link).uri == link
            assert (tag.uri(), bench.field_on, bench.unknown) == (link, False, 0)


def test_forbidden_writes_are_refused(bench: Bench, reader: TagReader) -> None:
    bench.tags.append(VirtualTag(uid=SECOND))
    for call in (reader.read, reader.clear, lambda: reader.write_uri(NEW)):
        with pytest.raises(SeveralTags):
            call()
        assert not bench.field_on
    bench.tags.pop()
    bench.tag.protect(b"1234", b"56")
    with pytest.raises(TagLocked, match="password"):
        reader.write_uri(NEW)
    bench.tag.lock()
    with pytest.raises(TagLocked, match="permanently"):
        reader.write_uri(NEW)
    assert reader.verify(OLD).locked
    assert not bench.tag.page_writes
    bench.tags.clear()
    with pytest.raises(NoTag):
        reader.read()
    assert not bench.field_on


@pytest.mark.parametrize("make", PN53X, ids=lambda make: make.__name__)
def test_an_unreadable_collision_is_no_tag_and_no_reader_failure(bench: Bench, reader: TagReader) -> None:
    reader.read()
    opened = bench.commands[0x00]
    bench.inject(Fault.AIR_NOISE, at_command=1)
    with pytest.raises(NoTag):
        reader.read()
    assert reader.read().uri == OLD
    assert bench.commands[0x00] == opened, "the reader was opened again"


def test_a_tag_with_the_shops_password(make: Make, tmp_path: Path) -> None:
    key = tmp_path / "tag.key"
    key.write_bytes(bytes(range(32)))
    key.chmod(0o600)
    bench = make()
    with bench.on_the_bus() as url, open_nfc(f"{url}?key={key}") as nfc:
        assert nfc.provision(OLD, protection="password").protected  # type: ignore[attr-defined]
        assert nfc.write_uri(NEW).uri == NEW
        with pytest.raises(DeviceBusy):
            open_nfc(url)
    with bench.on_the_bus() as url, open_nfc(url) as other:
        with pytest.raises(TagLocked):
            other.write_uri(OLD)
        assert other.verify(NEW).protected


def test_a_url_without_ids_opens_any_reader(bench: Bench) -> None:
    with bench.on_the_bus(), open_nfc("usb://") as nfc:
        assert nfc.read().uri == OLD


def test_one_owner_and_hot_unplug(bench: Bench, url: str, reader: TagReader) -> None:
    for other in (url, "usb://"):
        with pytest.raises(DeviceBusy, match="stop the lane"):
            open_nfc(other)
    bench.unplug()
    with pytest.raises((DeviceGone, DeviceNotFound)):
        reader.read()
    with pytest.raises(DeviceNotFound):
        reader.read()
    bench.replug()
    assert reader.read().uri == OLD


def test_a_reader_replugged_between_two_calls_is_found_at_its_new_address(bench: Bench, reader: TagReader) -> None:
    bench.unplug()
    bench.replug()
    with pytest.raises(DeviceGone):
        reader.read()
    assert reader.read().uri == OLD


def test_a_late_answer_is_not_taken_for_that_of_the_next_command(bench: Bench, url: str) -> None:
    """It waits in the reader, whoever opens it next."""
    for late in range(1, 4):
        for _ in range(late):
            bench.bulk_out(QUESTIONS[type(bench)])
        with open_nfc(url) as nfc:
            assert nfc.read().uri == OLD


@pytest.mark.parametrize("late", [1, 2])
@pytest.mark.parametrize("kind", FRAMED)
def test_a_slow_command_is_aborted_and_leaves_no_stale_answer(
    kind: type[VirtualPn533 | VirtualRcs380], late: int
) -> None:
    """With 1 the answer has come when the host ends the command, with 2 it never comes."""
    bench = kind(uri=OLD)
    with bench.on_the_bus() as url, open_nfc(url + "?attempts=1") as nfc:
        nfc.read()
        bench.late = late
        with pytest.raises(DeviceTimeout, match="did not answer"):
            nfc.read()
        bench.late = 0
        assert nfc.read().uri == OLD
    assert bench.bulk_in() is None


def test_a_permission_error_names_the_udev_rules(bench: Bench, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nfc.clf.device.os, "access", lambda path, mode: mode == os.F_OK)
    for wanted in (url, "usb://"):
        with pytest.raises(DevicePermission, match=r"60-sco\.rules.*sco-hwtest udev install") as caught:
            open_nfc(wanted)
        assert caught.value.__cause__ is not None
        assert caught.value.__cause__.errno == errno.EACCES  # type: ignore[attr-defined]


def test_a_device_file_that_is_not_there_yet_is_no_missing_permission(
    bench: Bench, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nfc.clf.device.os, "access", lambda path, mode: False)
    with pytest.raises(DeviceNotFound, match="No such file") as caught:
        open_nfc(url)
    assert caught.value.retryable


def _unlisted(monkeypatch: pytest.MonkeyPatch) -> None:
    """libusb as in a process with too many open files: it cannot even begin."""
    import usb1  # type: ignore[import-untyped]

    def fail() -> None:
        raise usb1.USBErrorOther

    monkeypatch.setattr(nfc.clf.transport.libusb, "USBContext", fail)


def test_a_bus_that_cannot_be_listed_is_a_device_error(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _unlisted(monkeypatch)
    for wanted in (url, "usb://"):
        with pytest.raises(DeviceNotFound, match=r"USB bus cannot be read.*too many files") as caught:
            open_nfc(wanted)
        assert caught.value.url == wanted


def test_a_reader_that_fails_is_not_called_unplugged_where_the_bus_cannot_be_listed(
    bench: Bench, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import usb1

    def fail(*_: object, **__: object) -> None:
        raise usb1.USBErrorOther

    with open_nfc(f"{url}?attempts=1") as reader:
        with monkeypatch.context() as patched:
            _unlisted(patched)
            patched.setattr(bench.owner, "bulkWrite", fail)
            with pytest.raises(DeviceProtocolError):
                reader.read()
        assert reader.read().uri == OLD


def test_no_error_of_libusb_leaves_a_call(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever raises it, of nfcpy or of ours."""
    import usb1

    def fail(*_: object) -> None:
        raise usb1.USBErrorPipe

    with open_nfc(f"{url}?attempts=1") as reader:
        with monkeypatch.context() as patched:
            patched.setattr(reader._radio._transport, "select", fail)  # type: ignore[attr-defined]
            with pytest.raises(DeviceProtocolError, match="PIPE"):
                reader.read()
        assert reader.read().uri == OLD


def test_an_empty_bus_is_reported(bench: Bench, url: str) -> None:
    bench.unplug()
    for wanted in (url, "usb://"):
        with pytest.raises(DeviceNotFound, match="no such device"):
            open_nfc(wanted)


def test_two_like_readers_on_one_bus_are_opened_in_order(make: Make) -> None:
    left, right = make(uri=OLD), make(uri=NEW)
    with usb_bus(left, right), open_nfc("usb://") as first:
        with open_nfc(left.identity.url) as second:
            assert (first.read().uri, second.read().uri) == (OLD, NEW)
            with pytest.raises(DeviceBusy):
                open_nfc("usb://")
        left.unplug()
        with open_nfc("usb://") as only:
            assert only.read().uri == NEW


@pytest.fixture
def pair(make: Make) -> Iterator[tuple[Bench, Bench]]:
    """Two readers of one model on a bus: at port 1-1 with OLD on its tag, at port 1-2 with NEW."""
    left, right = make(uri=OLD), make(uri=NEW)
    left.identity, right.identity = replace(left.identity, serial="L1"), replace(right.identity, serial="R2")
    with usb_bus(left, right):
        yield left, right


NODE = "/dev/sco/by-port/nfc-1-2"


@pytest.mark.parametrize("ids", [True, False], ids=["with ids", "without ids"])
@pytest.mark.parametrize("by", ["serial", "port", "place", "node"])
def test_of_two_like_readers_the_one_that_the_url_names_is_used(
    pair: tuple[Bench, Bench], by: str, ids: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, right = pair
    real = os.path.realpath
    udev = lambda path: f"/dev/bus/usb/001/{right.address:03}" if path == NODE else real(path)  # noqa: E731
    monkeypatch.setattr(os.path, "realpath", udev)
    open_nfc(left.identity.url).close()  # the bus assigns addresses when it is listed
    suffix = {"serial": "/R2", "port": "?port=1-2", "place": f"/001/{right.address:03}", "node": NODE}[by]
    url = ("usb://" if not ids else right.identity.url) + suffix
    with open_nfc(url) as nfc:
        assert nfc.read().uri == NEW
        assert nfc.clear().uri is None
        assert (left.tag.uri(), right.tag.uri()) == (OLD, None)
        right.unplug()
        with pytest.raises(DeviceGone):
            nfc.read()
        with pytest.raises(DeviceNotFound):  # the other one is not used instead
            nfc.read()
        assert not left.owner
        right.replug()
        if by in ("serial", "port"):
            assert nfc.read().uri is None
    with pytest.raises(DeviceNotFound, match="no such device"):
        open_nfc(url.replace("R2", "R3").replace(NODE, NODE + "0").replace("1-2", "1-3").replace("/001/", "/002/"))


def test_a_named_reader_that_is_in_use_is_busy_though_another_is_free(pair: tuple[Bench, Bench]) -> None:
    url = pair[0].identity.url + "?port=1-1"
    with open_nfc(url), pytest.raises(DeviceBusy):
        open_nfc(url)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("usb://dev/sco/by-port/nfc-x", r"not a vendor and product \(write usb:///dev/sco/by-port/nfc-x\)"),
        ("usb://072f:2200/a/b", "'/a/b' does not name a USB reader"),
        ("usb://072f:2200/001/002/3", "does not name a USB reader"),
        ("usb://072f:2200/", "'/' does not name a USB reader"),
        ("usb://072f:2200?port=x", "port='x' is not a USB port"),
        ("udp://localhost/abc", "takes no path"),
        ("pn532://host/dev/ttyS1", "in the place of a host"),
        ("pn532://:1/dev/ttyS1", "takes no port"),
        ("sim://host", "takes no host"),
    ],
)
def test_a_part_of_a_url_that_is_not_used_is_an_error(url: str, found: str) -> None:
    with pytest.raises(BadDeviceUrl, match=found):
        open_nfc(url)


def test_the_url_selects_one_of_two_kinds_of_readers() -> None:
    benches = [make(uri=f"https://example.org/{make.__name__}") for make in READERS]
    for order in (benches, benches[::-1]):
        with usb_bus(*order):
            for bench in benches:
                with open_nfc(bench.identity.url) as nfc:
                    assert nfc.read().uri == bench.tag.uri()


def test_one_lost_answer_does_not_fail_the_call(bench: Bench, reader: TagReader) -> None:
    reader.read()
    for fault in (Fault.DEAF, Fault.SILENT, Fault.CORRUPT, Fault.SHORT, Fault.ERROR_FRAME):
        for at in (0, 2, 4):
            bench.inject(fault, at_command=at)
            assert reader.verify(OLD).uri == OLD
            bench.inject(fault, at_command=at)
            reader.write_uri(NEW)
            assert bench.tag.uri() == NEW
            reader.write_uri(OLD)


@pytest.mark.parametrize("fault", [Fault.DEAF, Fault.SILENT])
def test_a_reader_that_does_not_answer_is_reported_as_such(bench: Bench, url: str, fault: Fault) -> None:
    with open_nfc(url + "?attempts=1") as nfc:
        nfc.read()
        bench.inject(fault)
        with pytest.raises(DeviceTimeout, match="did not answer"):
            nfc.read()


@pytest.mark.parametrize("fault", list(Fault))
@pytest.mark.parametrize("action", ["write", "verify"])
def test_every_fault_at_every_command_raises_a_typed_error_and_is_survived(
    bench: Bench, url: str, action: Action, fault: Fault
) -> None:
    failed = sweep(bench, url, fault, action, OLD, NEW)
    # Noise at one frame costs an RC-S380 no reading: each tag is read once more.
    borne = (type(bench), action, fault) == (VirtualRcs380, "verify", Fault.AIR_NOISE)
    assert (failed == 0) == borne


def test_tags_lose_their_power_whenever_the_field_goes_off(bench: Bench, reader: TagReader) -> None:
    """Else one that was put to sleep would not answer when the field is on again (NFC Forum Digital: 5 ms)."""
    reader.read()
    reader.verify(OLD)
    reader.write_uri(NEW)
    reader.clear()
    assert bench.switched_on >= 6
    assert bench.shortest_off_s >= 0.005
