"""Strangers with phones, the edge of the field, odd tags: nothing is taken for what it is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sco_drivers import open_nfc
from sco_drivers.errors import NfcError
from sco_drivers.nfc import NoTag, TagGarbled, TagLocked, TagWriteFailed, UnsupportedTag
from sco_drivers.nfc.reader import NfcpyReader
from sco_sim.nfc.ntag import ACK, VirtualTag
from sco_sim.nfc.pn532 import VirtualReader

OLD = "https://qr.nspk.ru/AS1000670LSS7DN18SJQDNP4B05KLJL2?type=01&bank=100000000001&sum=10000&cur=RUB&crc=C08B"
NEW = OLD.replace("LJL2", "LJX9")
READ, WRITE, FAST_READ, GET_VERSION, PWD_AUTH = 0x30, 0xA2, 0x3A, 0x60, 0x1B
DAMAGED = b"\x01"  # the tag's word for a command that arrived with a wrong parity or CRC


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_bytes(bytes(range(32)))
    file.chmod(0o600)
    return file


@pytest.fixture(params=["ntag213", "ntag215", "ntag216"])
def tag(request: pytest.FixtureRequest) -> VirtualTag:
    return VirtualTag(request.param, uri=OLD)


@pytest.fixture
def bench(tag: VirtualTag) -> Iterator[VirtualReader]:
    with VirtualReader(tag) as reader:
        yield reader


def provisioner(bench: VirtualReader, key: Path) -> NfcpyReader:
    reader = open_nfc(f"{bench.url}?key={key}")
    assert isinstance(reader, NfcpyReader)
    return reader


def instead(tag: VirtualTag, code: int, answers: list[bytes | None]) -> None:
    """Let the tag answer the next commands `code` with `answers`; None: the field was too weak for it, it is gone."""
    plain = tag._answer

    def answer(command: bytes) -> bytes | None:
        if command[0] != code or not answers:
            return plain(command)
        found = answers.pop(0)
        if found is None:
            tag._powerless = True
        return found

    tag._answer = answer  # type: ignore[method-assign]


# --- the edge of the field ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, DAMAGED])
def test_a_lost_get_version_answer_does_not_make_the_tag_generic(
    bench: VirtualReader, tag: VirtualTag, key: Path, answer: bytes | None
) -> None:
    with provisioner(bench, key) as nfc:
        nfc.provision(OLD, protection="password")
    with provisioner(bench, key) as nfc:
        instead(tag, GET_VERSION, [answer])
        assert nfc.read().product == tag.product
        assert nfc.write_uri(NEW).uri == NEW


def test_a_tag_taken_for_a_generic_one_is_identified_again_after_a_failure(
    bench: VirtualReader, tag: VirtualTag, key: Path
) -> None:
    with provisioner(bench, key) as nfc:
        nfc.provision(OLD, protection="password")
    with provisioner(bench, key) as nfc:
        instead(tag, GET_VERSION, [None] * 2)
        with pytest.raises(NfcError):
            nfc.write_uri(NEW)
        assert nfc.write_uri(NEW).product == tag.product


def test_a_tag_removed_during_authentication_does_not_have_another_password(
    bench: VirtualReader, tag: VirtualTag, key: Path
) -> None:
    with provisioner(bench, key) as nfc:
        nfc.provision(OLD, protection="password")
        instead(tag, PWD_AUTH, [None])
        with pytest.raises(NoTag):
            nfc.write_uri(NEW)
        instead(tag, PWD_AUTH, [DAMAGED])
        with pytest.raises(TagGarbled):
            nfc.write_uri(NEW)
        assert tag.uri() == OLD
        assert nfc.write_uri(NEW).uri == NEW


def test_a_page_that_could_not_be_programmed_is_not_a_refusal(bench: VirtualReader, tag: VirtualTag) -> None:
    """NAK 5: the field is too weak for it, or the page is worn out."""
    with open_nfc(bench.url) as nfc:
        instead(tag, WRITE, [b"\x05"])
        assert nfc.write_uri(NEW).uri == tag.uri() == NEW
        instead(tag, WRITE, [b"\x05"] * 2)
        with pytest.raises(TagWriteFailed, match=r"could not program page.*worn out") as caught:
            nfc.write_uri(OLD)
        assert caught.value.retryable
        assert (tag.uri() or "") in caught.value.may_carry


def test_a_refused_first_page_is_a_locked_tag_and_a_later_one_an_interrupted_write(
    bench: VirtualReader, tag: VirtualTag
) -> None:
    """Of a generic tag nothing is known of locks and password until it refuses."""
    tag.fast = False
    with open_nfc(bench.url) as nfc:
        tag.protect(b"1234", b"56", first_page=4)
        with pytest.raises(TagLocked, match="refuses to write page"):
            nfc.write_uri(NEW)
        assert (tag.uri(), tag.page_writes.total()) == (OLD, 0)
        tag.protect(b"1234", b"56", first_page=8)
        with pytest.raises(TagWriteFailed, match="refuses to write page") as caught:
            nfc.write_uri(NEW)
        assert caught.value.may_carry == ("",)
        assert tag.uri() is None


def test_a_command_that_arrived_damaged_is_sent_again_and_not_a_refusal(bench: VirtualReader, tag: VirtualTag) -> None:
    """The tag answers it with a NAK and goes to sleep: datasheet, 9.3 and 8.4."""
    with open_nfc(bench.url) as nfc:
        nfc.read()
        instead(tag, FAST_READ, [DAMAGED])
        assert nfc.verify(OLD).uri == OLD
        instead(tag, FAST_READ, [DAMAGED] * 2)
        with pytest.raises(TagGarbled):
            nfc.verify(OLD)
    tag.fast = False
    with open_nfc(bench.url) as nfc:
        instead(tag, READ, [DAMAGED])
        assert nfc.verify(OLD).uri == OLD


# --- odd tags -------------------------------------------------------------------------------------------------------


class Large(VirtualTag):
    """A Type 2 tag of several sectors: READ and WRITE reach the first 256 pages only."""

    def __init__(self, container: int, data: bytes) -> None:
        super().__init__("ntag216")
        self.fast = False
        self.memory = bytearray(self.memory[:16]) + bytes(256 * 4 - 16)
        self._pages, self._user_end = 256, 255
        self.memory[14] = container
        self.memory[16 : 16 + len(data)] = data


@pytest.mark.parametrize(
    ("container", "data"), [(0xEA, "03ff0460"), (0xFF, "03ff07d0"), (0xFF, ""), (0x80, "fdf9" * 2)]
)
def test_a_tag_with_several_sectors_is_reported_and_never_written(container: int, data: str) -> None:
    tag = Large(container, bytes.fromhex(data))
    with VirtualReader(tag) as bench, open_nfc(bench.url) as nfc:
        for call in (nfc.read, nfc.clear, lambda: nfc.verify(OLD), lambda: nfc.write_uri(OLD + "x" * 900)):
            with pytest.raises(UnsupportedTag, match="NTAG21"):
                call()
    assert not tag.page_writes


def test_a_tag_that_needs_a_password_for_reading_is_reported(bench: VirtualReader, tag: VirtualTag) -> None:
    tag.protect(b"1234", b"56")
    tag.memory[-12] |= 0x80  # PROT
    with open_nfc(bench.url) as nfc, pytest.raises(UnsupportedTag, match="password"):
        nfc.read()


@pytest.mark.parametrize("counter", [False, True])
def test_a_tag_that_mirrors_itself_into_the_link_is_not_used_until_it_is_provisioned(
    bench: VirtualReader, tag: VirtualTag, key: Path, counter: bool
) -> None:
    tag.mirror(12, 1, counter=counter)
    mixed = tag.uri()
    assert mixed not in (OLD, None)
    with provisioner(bench, key) as nfc:
        assert nfc.read().uri == mixed  # what a phone finds
        for call in (nfc.clear, lambda: nfc.write_uri(NEW), lambda: nfc.verify(OLD), lambda: nfc.verify(None)):
            with pytest.raises(UnsupportedTag, match=r"serial number.*provision"):
                call()
        assert not tag.page_writes
        assert nfc.provision(NEW, protection="password").uri == NEW
        assert tag.uri() == NEW
        assert nfc.write_uri(OLD).uri == tag.uri() == OLD


# --- a stranger with a phone ----------------------------------------------------------------------------------------


def stranger_writes(tag: VirtualTag, page: int, data: bytes) -> bool:
    """Whether a phone can write `page`; the tag has just come into its field."""
    before = bytes(tag.memory)
    tag.field_off()
    taken = tag._write(page, data) == ACK
    tag.field_off()
    return taken and bytes(tag.memory) != before


def test_a_password_protects_the_lock_bits_too(bench: VirtualReader, tag: VirtualTag, key: Path) -> None:
    """Lock bits and access byte too: a locked tag keeps its link, or none, permanently."""
    with provisioner(bench, key) as nfc:
        nfc.provision(OLD, protection="password")
        for page in range(len(tag.pages)):
            assert not stranger_writes(tag, page, b"\xff" * 4), f"page {page}"
        assert nfc.write_uri(NEW).uri == NEW


def test_provisioning_again_protects_lock_bits_left_open_before(
    bench: VirtualReader, tag: VirtualTag, key: Path
) -> None:
    with provisioner(bench, key) as nfc:
        nfc.provision(OLD, protection="password")
        tag.memory[-13] = 4  # AUTH0
        tag.page_writes.clear()
        nfc.provision(OLD, protection="password")
        assert not stranger_writes(tag, 2, b"\xff" * 4)
    assert list(tag.page_writes) == [len(tag.pages) - 4]


def test_the_configuration_of_a_locked_tag_cannot_be_changed(bench: VirtualReader, tag: VirtualTag, key: Path) -> None:
    with provisioner(bench, key) as nfc:
        nfc.provision(OLD, protection="forever")
        for page in (len(tag.pages) - 4, len(tag.pages) - 3):
            assert not stranger_writes(tag, page, b"\xc4\x00\x0a\x00"), f"page {page}"
        for page in (len(tag.pages) - 2, len(tag.pages) - 1):
            stranger_writes(tag, page, b"evil")  # a password that nothing asks for
        assert nfc.verify(OLD).locked
        assert tag.uri() == OLD


def test_content_changed_meanwhile_is_not_locked_in(bench: VirtualReader, tag: VirtualTag, key: Path) -> None:
    """A stranger's phone comes between the write and the lock bits."""
    with provisioner(bench, key) as nfc:
        write = nfc.write_uri

        def and_then(uri: str, *, uid: bytes | None = None) -> object:
            contents = write(uri, uid=uid)
            tag.put_uri("https://evil.example/")
            return contents

        nfc.write_uri = and_then  # type: ignore[method-assign,assignment]
        with pytest.raises(TagWriteFailed, match="evil"):
            nfc.provision(NEW, protection="forever")
    assert not any(tag._locked(page) for page in range(3, tag._user_end))


def test_a_generic_tag_and_a_frozen_one_cannot_be_provisioned_and_are_left_as_they_are(
    bench: VirtualReader, tag: VirtualTag, key: Path
) -> None:
    def refused(error: type[NfcError], words: str) -> None:
        before = bytes(tag.memory)
        with provisioner(bench, key) as nfc, pytest.raises(error, match=words):
            nfc.provision(NEW, protection="password")
        assert bytes(tag.memory) == before

    tag.memory[-12] |= 0x40  # CFGLCK
    refused(TagLocked, "permanently frozen")
    tag.fast = False
    refused(UnsupportedTag, "use an NTAG213")
