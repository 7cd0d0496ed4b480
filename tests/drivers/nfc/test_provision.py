# ruff: noqa: PT017  (a tear may or may not surface: the sweep needs both branches)
"""Making a tag a lane's own: with lock bits, or with a password of its own; and interrupted runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sco_drivers import open_nfc
from sco_drivers.errors import BadDeviceUrl
from sco_drivers.nfc import NfcError, TagLocked, TagWriteFailed, UnsupportedTag
from sco_drivers.nfc.keys import TagKey
from sco_drivers.nfc.reader import NfcpyReader, Protection
from sco_sim.nfc.ntag import TEARS, VirtualTag
from sco_sim.nfc.pn532 import VirtualReader

OLD = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
NEW = OLD.replace("LJL2", "LJX9")


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(bytes(range(32)))
    file.chmod(0o600)
    return file


@pytest.fixture(params=["ntag213", "ntag215", "ntag216"])
def bench(request: pytest.FixtureRequest) -> Iterator[VirtualReader]:
    with VirtualReader(VirtualTag(request.param, uri=OLD)) as reader:
        yield reader


def opened(bench: VirtualReader, key: Path | None = None) -> NfcpyReader:
    reader = open_nfc(bench.url + (f"?key={key}" if key else ""))
    assert isinstance(reader, NfcpyReader)
    return reader


def config(tag: VirtualTag) -> bytes:
    return bytes(tag.memory[-16:])


def test_a_password_stops_others_and_not_us(bench: VirtualReader, key: Path) -> None:
    tag = bench.tag
    with opened(bench, key) as nfc:
        after = nfc.provision(OLD, protection="password")
        assert (after.protected, after.locked, after.writable) == (True, False, True)
        assert nfc.write_uri(NEW).uri == NEW
        assert nfc.provision(OLD, protection="password").uri == OLD
    cfg = config(tag)
    assert cfg[3] == 2  # AUTH0: the lock bits too
    assert cfg[4] & 0x87 == 0  # reading is free, and wrong passwords are not counted
    assert cfg[8:14] == b"".join(TagKey(bytes(range(32))).password(tag.uid))
    with opened(bench) as nfc:
        with pytest.raises(TagLocked, match="key=FILE"):
            nfc.write_uri(NEW)
        assert nfc.verify(OLD).writable is False


def test_each_tag_has_a_password_of_its_own() -> None:
    key = TagKey(bytes(range(32)))
    assert key.password(b"1234567")[0] != key.password(b"1234568")[0]
    assert "0001" not in repr(key)


def test_another_shops_key_does_not_open_it(bench: VirtualReader, key: Path, tmp_path: Path) -> None:
    with opened(bench, key) as nfc:
        nfc.provision(OLD, protection="password")
    other = tmp_path / "other"
    other.write_bytes(bytes(32))
    other.chmod(0o600)
    with opened(bench, other) as nfc:
        for _ in range(10):
            with pytest.raises(TagLocked, match="password"):
                nfc.write_uri(NEW)
    with opened(bench, key) as nfc:  # wrong guesses by others do not lock us out
        assert nfc.write_uri(NEW).uri == NEW


def test_lock_bits_are_permanent(bench: VirtualReader) -> None:
    with opened(bench) as nfc:
        assert nfc.provision(NEW, protection="forever").locked
        assert nfc.provision(NEW, protection="forever").locked  # again: nothing to do
        for call in (nfc.clear, lambda: nfc.write_uri(OLD)):
            with pytest.raises(TagLocked):
                call()
        assert bench.tag.uri() == NEW
    bench.tag._trusted = True
    for page in range(3, bench.tag._user_end):
        assert bench.tag._write(page, b"\0\0\0\0") != b"\x0a", f"page {page} can still be written"


@pytest.mark.parametrize("left", [None, *TEARS.values()], ids=["untouched", *TEARS])
@pytest.mark.parametrize(
    ("protection", "writes"),
    [("password", (("none", 3), ("password", 0))), ("forever", (("none", 4), ("password", 5)))],
)
def test_an_interrupted_run_is_completed_by_the_next_one(
    bench: VirtualReader,
    key: Path,
    protection: Protection,
    writes: tuple[tuple[Protection, int], ...],
    left: Callable[[bytes, bytes], bytes] | None,
) -> None:
    """Also one that protects a tag which is protected already: its password must never be torn."""
    factory = bytes(bench.tag.memory)
    for before, expected in writes:
        bench.tag.memory[:] = factory
        with opened(bench, key) as nfc:
            nfc.provision(OLD, protection=before)
            fresh = bytes(bench.tag.memory)
            cut = 0
            while True:
                bench.tag.memory[:] = fresh
                bench.tag.tear(cut, left)
                try:
                    nfc.provision(OLD, protection=protection)
                except TagWriteFailed as error:
                    assert error.may_carry == (OLD,)
                    assert bench.tag.uri() == OLD
                    after = nfc.provision(OLD, protection=protection)
                    assert after.locked if protection == "forever" else after.protected
                    if protection == "forever":
                        assert all(bench.tag._locked(page) for page in range(3, bench.tag._user_end))
                else:
                    break
                cut += 1
            bench.tag.tear(1000)
            assert (cut, bench.tag.uri()) == (expected, OLD)


def test_what_cannot_be_provisioned_is_refused_before_any_write(bench: VirtualReader, key: Path) -> None:
    before = bytes(bench.tag.memory)
    with opened(bench) as nfc:
        with pytest.raises(TagLocked, match="needs a key"):
            nfc.provision(OLD, protection="password")
        with pytest.raises(ValueError, match="can never carry one"):
            nfc.provision("", protection="forever")
    bench.tag.fast = False
    with opened(bench, key) as nfc:
        for protection in ("password", "forever"):
            with pytest.raises(UnsupportedTag, match="generic"):
                nfc.provision(OLD, protection=protection)
    assert bytes(bench.tag.memory) == before


@pytest.mark.parametrize(("content", "mode", "words"), [(b"short", 0o600, "16 bytes"), (bytes(32), 0o644, "read by")])
def test_unusable_key_files_are_refused(
    bench: VirtualReader, tmp_path: Path, content: bytes, mode: int, words: str
) -> None:
    file = tmp_path / "bad"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(BadDeviceUrl, match=words):
        opened(bench, file)
    with pytest.raises(BadDeviceUrl, match=r"none' cannot be read: No such file"):
        opened(bench, tmp_path / "none")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for endless in (pipe, Path("/dev/urandom"), tmp_path):
        with pytest.raises(BadDeviceUrl, match="not a regular file"):
            opened(bench, endless)


def blank(product: str = "ntag213") -> VirtualTag:
    """A tag as some dealers sell them: no capability container, nothing in the data area."""
    tag = VirtualTag(product)
    tag.memory[12:40] = bytes(28)
    return tag


@pytest.mark.parametrize("product", ["ntag213", "ntag215", "ntag216"])
def test_a_blank_tag_is_formatted(product: str) -> None:
    with VirtualReader(blank(product)) as bench, opened(bench) as nfc:
        with pytest.raises(UnsupportedTag, match=r"no NDEF capability container.*sco-hwtest nfc format"):
            nfc.read()
        found = nfc.format()
        assert (found.ndef, found.writable, found.damaged) == (b"", True, False)
        assert bytes(bench.tag.memory[12:24]) == bytes(VirtualTag(product).memory[12:24])
        writes = bench.tag.page_writes.copy()
        assert nfc.format() == found
        assert bench.tag.page_writes == writes
        assert nfc.write_uri(OLD).uri == OLD
        assert not bench.field_on


@pytest.mark.parametrize("protection", ["none", "password", "forever"])
def test_a_blank_tag_is_provisioned(protection: Protection, key: Path) -> None:
    with VirtualReader(blank()) as bench, opened(bench, key) as nfc:
        assert nfc.provision(OLD, protection=protection).uri == OLD
        assert bench.tag.uri() == OLD


@pytest.mark.parametrize("writes", range(4))
def test_interrupted_formatting_is_completed_by_the_next_run(writes: int) -> None:
    with VirtualReader(blank()) as bench, opened(bench) as nfc:
        bench.tag.tear(writes, TEARS["all ones"])
        try:
            nfc.format()
        except NfcError as error:
            assert error.retryable
        assert nfc.format().ndef == b""
        assert nfc.write_uri(OLD).uri == OLD
        assert bench.tag.uri() == OLD


def test_a_tag_that_cannot_be_formatted_is_left_as_it_is() -> None:
    other, locked, generic = blank(), blank(), blank()
    other.memory[12:16] = bytes.fromhex("ff000000")
    locked.lock()
    generic.fast = False
    for tag, error in ((other, UnsupportedTag), (locked, TagLocked), (generic, UnsupportedTag)):
        with VirtualReader(tag) as bench, opened(bench) as nfc:
            before = bytes(tag.memory)
            with pytest.raises(error):
                nfc.format()
            assert bytes(tag.memory) == before
