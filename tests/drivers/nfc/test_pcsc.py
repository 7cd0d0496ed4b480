"""`pcsc://` through pyscard, libpcsclite, a real pcscd and its virtual reader; the readers' firmware is simulated."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from sco_drivers import check_url, open_nfc
from sco_drivers.errors import (
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceProtocolError,
    DeviceTimeout,
    DriverUnavailable,
)
from sco_drivers.nfc import NoTag, SeveralTags, TagGarbled, TagLocked, TagReader, TagWriteFailed, UnsupportedTag
from sco_drivers.nfc import pcsc as pcsc_driver
from sco_drivers.nfc.pcsc_channel import WantedReader
from sco_drivers.nfc.reader import NfcpyReader
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.simulated_field import Fault
from tests.drivers.nfc.fault_sweep import Action, sweep
from tests.simulators.pcsc import (
    BANK_CARD,
    CLASSIC,
    DirectReader,
    OmnikeyReader,
    Pcscd,
    PcscReader,
    TransparentReader,
    until,
)

OLD = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
NEW = OLD.replace("LJL2", "LJX9")
SECOND = bytes.fromhex("04ffeeddccbbaa")
Make = type[PcscReader]
PASSING: tuple[Make, ...] = (TransparentReader, OmnikeyReader, DirectReader)
READERS: tuple[Make, ...] = (PcscReader, *PASSING)

real = [pytest.mark.program("pcscd"), pytest.mark.program("smartcard")]


def marked(test: Callable[..., None]) -> Callable[..., None]:
    """Needs pcscd and pyscard."""
    for mark in real:
        test = mark(test)
    return test


def each(*makes: Make) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("make", makes, ids=lambda make: make.__name__)


@pytest.fixture(autouse=True)
def _waits_for_no_clock() -> None:
    """In place of the folder's: pcscd is another process, whose time cannot be skipped."""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(bytes(range(32)))
    file.chmod(0o600)
    return file


# -- URLs and what is missing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("pcsc://ACR1252", "takes no host"),
        ("pcsc:///ACR1252", "takes no path"),
        ("pcsc://?reader=ACR1252", "unknown parameter reader"),
        ("pcsc://?name=", "is empty"),
        ("pcsc://?index=-1", "out of range"),
        ("pcsc://?index=first", "not a whole number"),
        ("pcsc://?attempts=0", "out of range"),
    ],
)
def test_a_wrong_url(url: str, words: str) -> None:
    (found,) = check_url("nfc", url)
    assert words in str(found)
    with pytest.raises(DeviceError, match=words):
        open_nfc(url)


def test_a_url_is_checked_without_pyscard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    assert check_url("nfc", "pcsc://?name=ACR&index=1&attempts=3") == []


def test_a_missing_pyscard_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "smartcard.scard", None)
    with pytest.raises(DriverUnavailable, match=r"pcsc://: pyscard .*pip install 'sco-paymaster\[pcsc\]'"):
        open_nfc("pcsc://")


@marked
def test_no_pcscd() -> None:
    with Pcscd() as pcscd:
        pcscd.stop()
        with pytest.raises(DeviceNotFound, match=r"pcsc://: pcscd is not running .*systemctl enable --now pcscd"):
            open_nfc("pcsc://")


@marked
def test_no_reader() -> None:
    with Pcscd(""), pytest.raises(DeviceNotFound, match=r"no reader; it lists none .*check the cable.*libccid"):
        open_nfc("pcsc://")


@marked
def test_readers_by_name_and_index() -> None:
    first, second = PcscReader(uri=OLD), PcscReader(uri=NEW)
    with Pcscd("ACS ACR1252 CL") as pcscd:
        for bench, (slot, port) in zip((first, second), pcscd.slots.items(), strict=True):
            bench.connect(slot, port)
        for query, link in (
            ("", OLD),
            ("?name=acr1252", OLD),
            ("?name=ACS+ACR1252+CL+00+01", NEW),
            ("?index=1", NEW),
            ("?name=CL&index=1&attempts=1", NEW),
        ):
            with open_nfc(f"pcsc://{query}") as nfc:
                assert nfc.read().uri == link
        for query, words in (
            ("?name=ACR1552", "no reader whose name contains 'ACR1552'; it lists ACS ACR1252 CL 00 00, ACS"),
            ("?index=2", "no reader number 2; it lists"),
            ("?name=acs&index=2", "no reader number 2 whose name contains 'acs'"),
        ):
            with pytest.raises(DeviceNotFound, match=words):
                open_nfc(f"pcsc://{query}")
        first.remove()
        second.remove()


def test_a_secure_module_is_no_reader_unless_it_is_named() -> None:
    names = ["ACS ACR1252 1S CL Reader SAM 00 00", "ACS ACR1252 1S CL Reader PICC 01 00"]
    assert WantedReader().among(names) == names[1]
    assert WantedReader("sam").among(names) == names[0]
    assert WantedReader().among(names[:1]) == names[0]
    with pytest.raises(DeviceNotFound, match="no reader number 1;"):
        WantedReader(index=1).among(names)


# -- tags ------------------------------------------------------------------------------------------------------------


@marked
@each(*READERS)
def test_a_tag_comes_and_goes(make: Make) -> None:
    bench = make(uri=OLD)
    with bench.behind_pcscd() as url:
        bench.remove()
        with open_nfc(url) as nfc:
            with pytest.raises(NoTag, match=f"{url}: the tag does not answer"):
                nfc.read()
            bench.insert()
            assert nfc.verify(OLD).product == ("NTAG213" if make in PASSING else "Type 2")
            bench.remove()
            with pytest.raises(NoTag):
                nfc.write_uri(NEW)
            assert bench.tag.uri() == OLD


@marked
@each(*READERS)
def test_only_a_type_2_tag_is_touched(make: Make) -> None:
    for atr in (BANK_CARD, CLASSIC):
        bench = make(uri=OLD)
        bench.atr = atr
        with bench.behind_pcscd() as url, open_nfc(url) as nfc:
            with pytest.raises(UnsupportedTag, match="phone, a bank card or another kind"):
                nfc.write_uri(NEW)
            assert not bench.command_count
            assert not bench.field_on


@marked
@each(TransparentReader, DirectReader)
def test_a_second_tag_is_noticed(make: Make) -> None:
    bench = make(VirtualTag(uri=OLD), VirtualTag(uid=SECOND, uri=NEW))
    with bench.behind_pcscd() as url, open_nfc(url) as nfc:
        for call in (nfc.read, nfc.clear, lambda: nfc.write_uri(NEW)):
            with pytest.raises(SeveralTags):
                call()
            assert not bench.field_on
        assert not any(tag.page_writes for tag in bench.tags)
        bench.tags.pop()
        assert nfc.write_uri(NEW).uri == NEW


@marked
@each(*PASSING)
def test_password_and_lock(make: Make, key: Path) -> None:
    bench = make(uri=OLD)
    with bench.behind_pcscd() as url:
        with opened(f"{url}?key={key}") as nfc:
            assert nfc.provision(OLD, protection="password").protected
            assert nfc.write_uri(NEW).uri == NEW
        with opened(url) as nfc, pytest.raises(TagLocked, match="key=FILE"):
            nfc.write_uri(OLD)
        bench.tag.protect(b"else", b"xx")
        with opened(f"{url}?key={key}") as nfc, pytest.raises(TagLocked, match="another password"):
            nfc.write_uri(OLD)
        assert bench.tag.uri() == NEW
        bench.tags[:] = [VirtualTag("ntag215", uri=OLD)]
        with opened(url) as nfc:
            locked = nfc.provision(NEW, protection="forever")
            assert (locked.uri, locked.locked, locked.writable, locked.product) == (NEW, True, False, "NTAG215")
            with pytest.raises(TagLocked, match="permanently locked"):
                nfc.write_uri(OLD)


def opened(url: str) -> NfcpyReader:
    reader = open_nfc(url)
    assert isinstance(reader, NfcpyReader)
    return reader


@marked
def test_a_reader_without_pass_through_does_not_know_passwords(key: Path) -> None:
    bench = PcscReader(uri=OLD)
    with bench.behind_pcscd() as url, opened(f"{url}?key={key}") as nfc:
        with pytest.raises(UnsupportedTag, match="no known password"):
            nfc.provision(OLD, protection="password")
        bench.tag.protect(b"1234", b"56")
        bench.tag.field_off()
        with pytest.raises(TagWriteFailed) as caught:  # the reader does not say why the tag refused
            nfc.write_uri(NEW)
        assert OLD in caught.value.may_carry
        assert bench.tag.uri() == OLD


@marked
def test_a_reader_that_knows_a_tags_first_pages_only() -> None:
    bench = PcscReader(uri=OLD)
    bench.pages = 16
    with bench.behind_pcscd() as url, open_nfc(url) as nfc, pytest.raises(UnsupportedTag, match="refuses command 3010"):
        nfc.read()


# -- faults ----------------------------------------------------------------------------------------------------------


@marked
@each(*READERS)
@pytest.mark.parametrize("action", ["write", "verify"])
@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.ERROR_FRAME, Fault.SHORT, Fault.TAG_MUTE])
def test_a_fault_at_any_command(make: Make, fault: Fault, action: Action) -> None:
    bench = make(uri=OLD)
    with bench.behind_pcscd() as url:
        assert sweep(bench, url, fault, action, OLD, NEW, tries=3)


@marked
@each(*READERS)
@pytest.mark.parametrize("writes", [1, 2, 3])
def test_the_tag_leaves_during_a_write(make: Make, writes: int) -> None:
    """Before the answer to the first page write (the message is off), the second (its body), the last (it is on)."""
    bench = make(uri=OLD)
    with bench.behind_pcscd() as url, open_nfc(url) as nfc:
        bench.leave_after_writes = writes
        with pytest.raises(
            TagWriteFailed, match=f"{url}: the write was interrupted: the tag does not answer"
        ) as caught:
            nfc.write_uri(NEW)
        assert (bench.tag.uri() or "") in caught.value.may_carry
        assert bench.tag.page_writes.total() == writes
        with pytest.raises(NoTag):
            nfc.read()
        bench.insert()
        assert nfc.write_uri(NEW).uri == NEW


@marked
@pytest.mark.program("gcc")
@each(*PASSING)
def test_the_reader_is_unplugged(make: Make) -> None:
    bench = make(uri=OLD)
    with bench.with_escapes() as url, open_nfc(f"{url}?attempts=1") as nfc:
        assert nfc.write_uri(NEW).uri == NEW
        bench.remove()
        until(lambda: isinstance(error_of(nfc.read), DeviceGone), "it is not reported")
        with pytest.raises(DeviceGone, match=r"the reader was unplugged \(check its cable"):
            nfc.read()


def error_of(call: Callable[[], object]) -> DeviceError | None:
    try:
        call()
    except DeviceError as error:
        return error
    return None


@marked
@pytest.mark.program("gcc")
def test_by_escape_commands_the_field_is_ours() -> None:
    bench = DirectReader(VirtualTag(uri=OLD), VirtualTag(uid=SECOND, uri=NEW))
    with bench.with_escapes() as url:
        with open_nfc(url) as nfc:
            assert not bench.polls
            with pytest.raises(SeveralTags):
                nfc.read()
            tags = [bench.tags.pop(), bench.tags.pop()]
            with pytest.raises(NoTag):
                nfc.read()
            bench.tags.append(tags[0])
            assert nfc.write_uri(OLD).uri == OLD  # at once: pcscd need not notice it
            assert not bench.field_on
        assert bench.polls


@marked
@pytest.mark.program("gcc")
@pytest.mark.parametrize("action", ["write", "verify"])
@pytest.mark.parametrize("fault", [Fault.SILENT, Fault.ERROR_FRAME, Fault.SHORT, Fault.TAG_MUTE, Fault.TAG_LEAVES])
def test_a_fault_at_any_escape_command(fault: Fault, action: Action) -> None:
    bench = DirectReader(uri=OLD)
    with bench.with_escapes() as url:
        assert sweep(bench, url, fault, action, OLD, NEW, tries=3)


@marked
def test_pcscd_is_restarted() -> None:
    bench = PcscReader(uri=OLD)
    with bench.behind_pcscd() as url, open_nfc(f"{url}?attempts=1") as nfc:
        assert nfc.read().uri == OLD
        bench.pcscd.stop()
        with pytest.raises(DeviceGone, match="pcscd was stopped"):
            nfc.read()
        with pytest.raises(DeviceNotFound, match="pcscd is not running"):
            nfc.read()
        bench.remove()
        bench.pcscd.start()
        bench.insert()
        assert nfc.read().uri == OLD


@marked
def test_the_reader_is_missing_after_a_restart() -> None:
    bench = PcscReader(uri=OLD)
    with bench.behind_pcscd() as url, open_nfc(f"{url}?attempts=1") as nfc:
        bench.pcscd.stop()
        bench.pcscd.forget_reader()
        bench.pcscd.start()
        for _ in range(2):
            with pytest.raises((DeviceGone, DeviceNotFound)):
                nfc.read()
        with pytest.raises(DeviceNotFound, match="no reader; it lists none"):
            nfc.read()


@marked
def test_another_program_has_the_reader() -> None:
    scard = importlib.import_module("smartcard.scard")
    bench = PcscReader(uri=OLD)
    with bench.behind_pcscd() as url, open_nfc(url) as nfc:
        _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
        code, card, _ = scard.SCardConnect(context, "Virtual PCD 00 00", scard.SCARD_SHARE_SHARED, 3)
        assert code == 0
        with pytest.raises(DeviceBusy, match="another program uses the reader"):
            nfc.read()
        scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)
        assert nfc.read().uri == OLD
        scard.SCardReleaseContext(context)


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (0x8010006A, DevicePermission, "may not use pcscd .*polkit"),
        (0x80100027, DevicePermission, "polkit"),
        (0x80100017, DeviceGone, "the reader was unplugged"),
        (0x80100009, DeviceGone, "the reader was unplugged"),
        (0x80100016, DeviceGone, "the reader was unplugged"),  # not transacted, and it is listed no more
        (0x8010000A, DeviceTimeout, "did not answer"),
        (0x80100066, TagGarbled, "cannot activate the tag"),
        (0x80100069, NoTag, "does not answer"),
        (0x80100004, DeviceProtocolError, "PC/SC error 80100004"),
    ],
)
def test_codes_that_this_pcscd_does_not_return(
    code: int, error: type[DeviceError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A virtual reader cannot be unplugged alone, and polkit is off: pyscard's answers are stated here."""
    lists = iter([["HID OMNIKEY 5022 00 00"], []])
    released: list[int] = []
    scard = SimpleNamespace(
        SCARD_SCOPE_SYSTEM=2, SCARD_SHARE_EXCLUSIVE=1, SCARD_PROTOCOL_T0=1, SCARD_PROTOCOL_T1=2,
        SCardEstablishContext=lambda scope: [0, 7],
        SCardListReaders=lambda context, groups: [0, next(lists)],
        SCardConnect=lambda *ignored: [code - (1 << 32), 0, 0],
        SCardReleaseContext=released.append,
    )  # fmt: skip
    monkeypatch.setattr(pcsc_driver, "_load_scard", lambda url: scard)
    nfc: TagReader = open_nfc("pcsc://?attempts=1")
    with pytest.raises(error, match=f"pcsc://.attempts=1: .*{words}"):
        nfc.read()
    nfc.close()
    assert released == [7]


@pytest.mark.parametrize(
    ("code", "error"), [(0x8010000B, DeviceBusy), (0x80100069, DeviceProtocolError), (0x80100017, DeviceGone)]
)
def test_an_opening_that_fails_raises_a_device_error(
    code: int, error: type[DeviceError], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a reader of ACS, which is asked at once whether its driver permits escape commands."""
    released: list[int] = []
    scard = SimpleNamespace(
        SCARD_SCOPE_SYSTEM=2, SCARD_SHARE_DIRECT=3,
        SCardEstablishContext=lambda scope: [0, 7],
        SCardListReaders=lambda context, groups: [0, ["ACS ACR122U PICC Interface 00 00"]],
        SCardConnect=lambda *ignored: [code - (1 << 32), 0, 0],
        SCardReleaseContext=released.append,
    )  # fmt: skip
    monkeypatch.setattr(pcsc_driver, "_load_scard", lambda url: scard)
    with pytest.raises(error, match="pcsc://: "):
        open_nfc("pcsc://")
    assert released == [7]


@marked
def test_pcscd_is_asked_what_the_reader_is() -> None:
    with PcscReader(uri=OLD).behind_pcscd() as url, open_nfc(url) as nfc:
        assert isinstance(nfc, NfcpyReader)
        found = nfc.identity()
        assert (found.model, found.serial) == ("Virtual PCD", None), found
        assert nfc.read().uri == OLD
