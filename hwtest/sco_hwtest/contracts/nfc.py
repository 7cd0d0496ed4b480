"""The contract of an NFC reader with a tag in its field.

Each check takes an open reader and raises AssertionError with what was found. It uses only the public protocol. Exactly
one Type 2 tag must be in the field, blank or with a link; each check restores its content. A tag that cannot be written
(locked, or its password does not match the URL's key) is checked by how it refuses, and never changed. A suite writes
about a hundred pages; a page endures 100,000 writes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sco_drivers import open_nfc
from sco_drivers.errors import DeviceBusy, DeviceClosed
from sco_drivers.nfc import ForeignTag, TagContents, TagLocked, TagReader, TagTooSmall, WrongContent
from sco_drivers.urls import DeviceUrl
from sco_hwtest.contracts.check import Check

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
"""A published link of the usual length."""

OTHER = LINK.replace("I2V6", "I2V7").replace("D959", "65D4")
"""The same with another id."""

_EXCLUSIVE = ("pn532", "usb")


def octets_of(link: str) -> bytes:
    """The NDEF message of `link`, which is https and at most 250 characters long (RTD URI 1.0)."""
    rest = link.removeprefix("https://").encode()
    assert len(rest) < len(link), "not an https link"
    return bytes([0xD1, 0x01, len(rest) + 1]) + b"U\x04" + rest


def _refused(error: type[Exception], call: Callable[[], object], what: str) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"{what}: no {error.__name__}")


@contextmanager
def _restored(nfc: TagReader) -> Iterator[TagContents]:
    """The tag's content; after the block it is restored, if the tag can be written."""
    before = nfc.read()
    assert before.uri is not None or not before.ndef, (
        f"the tag has content that is not a link ({before.ndef[:16].hex()}...): use a blank tag or a lane's tag"
    )
    try:
        yield before
    finally:
        if before.writable:
            after = nfc.write_uri(before.uri, uid=before.uid) if before.uri else nfc.clear(uid=before.uid)
            assert after.ndef == before.ndef, "the tag's content was not restored"


def _stranger(uid: bytes) -> bytes:
    return uid[:-1] + bytes([uid[-1] ^ 0xFF])


def reads_the_tag(nfc: TagReader) -> None:
    """The tag reads the same each time, and its fields are consistent."""
    first = nfc.read()
    assert len(first.uid) in (4, 7, 10), f"the UID has {len(first.uid)} bytes"
    assert first.product in ("NTAG213", "NTAG215", "NTAG216", "Type 2"), f"unknown product {first.product!r}"
    assert 40 <= first.capacity <= 2048, f"the capacity is {first.capacity} bytes"
    assert len(first.ndef) <= first.capacity, "the message is longer than the capacity"
    assert not (first.locked and first.writable), "locked and writable at once"
    for _ in range(5):
        again = nfc.read()
        assert again == first, f"read {first}, then {again}"


def writes_a_link(nfc: TagReader) -> None:
    """A link is written as one well-known URI record, byte for byte; writing it again changes nothing."""
    with _restored(nfc) as before:
        if not before.writable:
            _refused(TagLocked, lambda: nfc.write_uri(OTHER if before.uri == LINK else LINK), "a write")
            assert nfc.read() == before, "a refused write changed the tag"
            return
        for link in (LINK, LINK, OTHER, LINK):
            written = nfc.write_uri(link, uid=before.uid)
            assert (written.uri, written.ndef) == (link, octets_of(link)), f"it returned {written}"
            assert nfc.read() == written, "a read differs from what was returned"


def verifies_a_link(nfc: TagReader) -> None:
    """`verify` detects another link and another tag, and changes nothing."""
    with _restored(nfc) as before:
        carries = nfc.write_uri(LINK) if before.writable else before
        if carries.uri is not None:
            assert nfc.verify(carries.uri, uid=carries.uid) == carries, "verify and read returned different content"
            _refused(ForeignTag, lambda: nfc.verify(str(carries.uri), uid=_stranger(carries.uid)), "another UID")
        other = LINK if carries.uri == OTHER else OTHER
        _refused(WrongContent, lambda: nfc.verify(other, uid=carries.uid), "another link")
        assert nfc.read() == carries, "verifying changed the tag"


def clears(nfc: TagReader) -> None:
    """After `clear` the tag has no link; clearing again is not an error."""
    with _restored(nfc) as before:
        if not before.writable:
            if before.ndef:
                _refused(TagLocked, nfc.clear, "a clearing")
            assert nfc.read() == before, "a refused clearing changed the tag"
            return
        nfc.write_uri(LINK)
        for _ in range(2):
            cleared = nfc.clear(uid=before.uid)
            assert (cleared.uri, cleared.ndef) == (None, b""), f"it returned {cleared}"
            assert nfc.read() == cleared, "a read differs from what was returned"
        _refused(WrongContent, lambda: nfc.verify(LINK), "a cleared tag")


def refuses_a_foreign_tag(nfc: TagReader) -> None:
    """A tag with another UID than the enrolled one is neither written nor cleared."""
    with _restored(nfc) as before:
        stranger = _stranger(before.uid)
        _refused(ForeignTag, lambda: nfc.write_uri(OTHER, uid=stranger), "a write")
        _refused(ForeignTag, lambda: nfc.clear(uid=stranger), "a clearing")
        assert nfc.read() == before, "the tag was changed"


def writes_up_to_the_capacity(nfc: TagReader) -> None:
    """The longest link that fits is written and read back; one byte more is refused and changes nothing."""
    with _restored(nfc) as before:
        # Header, type and prefix: 5 bytes in a short record, 8 in one with 256 bytes of payload or more.
        longest = before.capacity - 5 if before.capacity <= 259 else before.capacity - 8
        base = "https://example.org/"
        link = base + "x" * (longest - len(base) + len("https://"))
        _refused(TagTooSmall, lambda: nfc.write_uri(link + "x"), "a link one byte too long")
        assert nfc.read() == before, "a refused write changed the tag"
        if before.writable:
            written = nfc.write_uri(link)
            assert (written.uri, len(written.ndef)) == (link, before.capacity), f"it returned {written}"


def refuses_invalid_links(nfc: TagReader) -> None:
    """An empty link, or one with spaces or control characters, is refused and changes nothing."""
    with _restored(nfc) as before:
        for link in ("", "https://example.org/a b", "https://example.org/\n", "https://example.org/\udc80"):
            _refused(ValueError, lambda link=link: nfc.write_uri(link), f"{link!r}")  # type: ignore[misc]
        assert nfc.read() == before, "the tag was changed"


def answers_several_threads(nfc: TagReader) -> None:
    """Threads that read at the same time each get the whole content."""
    expected = nfc.read()
    found: list[Any] = []

    def read() -> None:
        try:
            found.append(nfc.read())
        except Exception as error:
            found.append(error)

    threads = [threading.Thread(target=read) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == [expected] * len(threads), f"the threads read {found}"


def has_one_owner(nfc: TagReader) -> None:
    """A reader on a serial line or USB cannot be opened twice."""
    _refused(DeviceBusy, lambda: open_nfc(nfc.url).close(), "a second owner")
    nfc.read()


def _why_not_exclusive(url: str) -> str:
    found, _ = DeviceUrl.read(url)
    exclusive = found is not None and found.scheme in _EXCLUSIVE
    return "" if exclusive else "only a reader on a serial line or USB has one owner"


def closes_twice(nfc: TagReader) -> None:
    """`close` may be called twice; later calls raise DeviceClosed. Leaves the reader closed."""
    nfc.close()
    nfc.close()
    _refused(DeviceClosed, nfc.read, "a closed reader was read")
    _refused(DeviceClosed, lambda: nfc.write_uri(LINK), "a closed reader wrote")


CHECKS: tuple[Check[TagReader], ...] = (
    Check(reads_the_tag),
    Check(writes_a_link),
    Check(verifies_a_link),
    Check(clears),
    Check(refuses_a_foreign_tag),
    Check(writes_up_to_the_capacity),
    Check(refuses_invalid_links),
    Check(answers_several_threads),
    Check(has_one_owner, _why_not_exclusive),
    Check(closes_twice),
)
"""In this order; the last one leaves the reader closed."""
