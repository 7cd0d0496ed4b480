"""What any NFC reader with a tag before it must do, on any URL.

Each check takes an open reader and raises AssertionError with what was found. Works through the public protocol only.
Exactly one Type 2 tag must lie in the field, blank or with a link. What it carried before stands on it again after each
check. A tag that may not be written (locked, or a password that the URL's key does not open) is judged by how it
refuses, and is never changed. About a hundred pages are written, of the 100,000 times that a page may be.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from sco_drivers import open_nfc
from sco_drivers.errors import DeviceBusy, DeviceClosed
from sco_drivers.nfc import ForeignTag, TagContents, TagLocked, TagReader, TagTooSmall, WrongContent
from sco_hwtest.contracts.check import Check

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
"""A published link of the usual length."""

OTHER = LINK.replace("I2V6", "I2V7").replace("D959", "65D4")
"""The same with another id."""

_EXCLUSIVE = ("pn532", "usb")


def octets_of(link: str) -> bytes:
    """The NDEF message that `link`, an https one of at most 250 characters, must stand on the tag as (RTD URI 1.0)."""
    rest = link.removeprefix("https://").encode()
    assert len(rest) < len(link), "an https link is meant"
    return bytes([0xD1, 0x01, len(rest) + 1]) + b"U\x04" + rest


def _refused(error: type[Exception], call: Callable[[], object], what: str) -> None:
    try:
        call()
    except error:
        return
    raise AssertionError(f"{what}: no {error.__name__}")


@contextmanager
def _restored(nfc: TagReader) -> Iterator[TagContents]:
    """What the tag carries now; put on it again behind the block, where it could be written."""
    before = nfc.read()
    assert before.uri is not None or not before.ndef, (
        f"the tag carries octets that are no link ({before.ndef[:16].hex()}...): use a blank tag or a lane's own"
    )
    try:
        yield before
    finally:
        if before.writable:
            after = nfc.write_uri(before.uri, uid=before.uid) if before.uri else nfc.clear(uid=before.uid)
            assert after.ndef == before.ndef, "what the tag carried before does not stand on it again"


def _stranger(uid: bytes) -> bytes:
    return uid[:-1] + bytes([uid[-1] ^ 0xFF])


def reads_the_tag(nfc: TagReader) -> None:
    """The tag is read, the same each time, and its fields agree with each other."""
    first = nfc.read()
    assert len(first.uid) in (4, 7, 10), f"a UID of {len(first.uid)} bytes"
    assert first.product in ("NTAG213", "NTAG215", "NTAG216", "Type 2"), f"product {first.product!r}"
    assert 40 <= first.capacity <= 2048, f"a capacity of {first.capacity} bytes"
    assert len(first.ndef) <= first.capacity, "the message is longer than the capacity"
    assert not (first.locked and first.writable), "locked and writable at once"
    for _ in range(5):
        again = nfc.read()
        assert again == first, f"read {first}, then {again}"


def writes_a_link(nfc: TagReader) -> None:
    """A link stands on the tag as one well-known URI record, octet for octet; again it changes nothing."""
    with _restored(nfc) as before:
        if not before.writable:
            _refused(TagLocked, lambda: nfc.write_uri(OTHER if before.uri == LINK else LINK), "a write")
            assert nfc.read() == before, "a refused write changed the tag"
            return
        for link in (LINK, LINK, OTHER, LINK):
            written = nfc.write_uri(link, uid=before.uid)
            assert (written.uri, written.ndef) == (link, octets_of(link)), f"it returned {written}"
            assert nfc.read() == written, "what was returned is not what is read"


def verifies_octets(nfc: TagReader) -> None:
    """`verify` tells the link from another, and the tag from another, and changes nothing."""
    with _restored(nfc) as before:
        carries = nfc.write_uri(LINK) if before.writable else before
        if carries.uri is not None:
            assert nfc.verify(carries.uri, uid=carries.uid) == carries, "verify returned something else than read"
            _refused(ForeignTag, lambda: nfc.verify(str(carries.uri), uid=_stranger(carries.uid)), "another UID")
        other = LINK if carries.uri == OTHER else OTHER
        _refused(WrongContent, lambda: nfc.verify(other, uid=carries.uid), "another link")
        assert nfc.read() == carries, "verifying changed the tag"


def clears(nfc: TagReader) -> None:
    """After `clear` there is no link; clearing again is no error."""
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
            assert nfc.read() == cleared, "what was returned is not what is read"
        _refused(WrongContent, lambda: nfc.verify(LINK), "a cleared tag")


def refuses_a_foreign_tag(nfc: TagReader) -> None:
    """A tag with another UID than the enrolled one is neither written nor cleared."""
    with _restored(nfc) as before:
        stranger = _stranger(before.uid)
        _refused(ForeignTag, lambda: nfc.write_uri(OTHER, uid=stranger), "a write")
        _refused(ForeignTag, lambda: nfc.clear(uid=stranger), "a clearing")
        assert nfc.read() == before, "the tag was changed"


def takes_all_that_fits_and_no_more(nfc: TagReader) -> None:
    """The longest link that fits is written and read back; one octet more is refused, and the tag stays as it was."""
    with _restored(nfc) as before:
        # Header, type and prefix: 5 octets of a short record, 8 of one from 256 octets of payload on.
        longest = before.capacity - 5 if before.capacity <= 259 else before.capacity - 8
        base = "https://example.org/"
        link = base + "x" * (longest - len(base) + len("https://"))
        _refused(TagTooSmall, lambda: nfc.write_uri(link + "x"), "a link too long by one octet")
        assert nfc.read() == before, "a refused write changed the tag"
        if before.writable:
            written = nfc.write_uri(link)
            assert (written.uri, len(written.ndef)) == (link, before.capacity), f"it returned {written}"


def refuses_what_is_no_link(nfc: TagReader) -> None:
    """An empty link, or one with spaces or control characters, is refused, and the tag stays as it was."""
    with _restored(nfc) as before:
        for link in ("", "https://example.org/a b", "https://example.org/\n", "https://example.org/\udc80"):
            _refused(ValueError, lambda link=link: nfc.write_uri(link), f"{link!r}")  # type: ignore[misc]
        assert nfc.read() == before, "the tag was changed"


def serves_several_threads(nfc: TagReader) -> None:
    """Threads that read at once each get the whole answer."""
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
    """A reader that is open cannot be opened again (a serial line or a USB device; others have no owner)."""
    if nfc.url.split("://")[0] in _EXCLUSIVE:
        _refused(DeviceBusy, lambda: open_nfc(nfc.url).close(), "a second owner")
    nfc.read()


def closes_twice(nfc: TagReader) -> None:
    """`close` may be called twice, and what comes after is told so. Leaves the reader closed."""
    nfc.close()
    nfc.close()
    _refused(DeviceClosed, nfc.read, "a closed reader was read")
    _refused(DeviceClosed, lambda: nfc.write_uri(LINK), "a closed reader wrote")


CHECKS: tuple[Check[TagReader], ...] = tuple(
    Check(run)
    for run in (
        reads_the_tag,
        writes_a_link,
        verifies_octets,
        clears,
        refuses_a_foreign_tag,
        takes_all_that_fits_and_no_more,
        refuses_what_is_no_link,
        serves_several_threads,
        has_one_owner,
        closes_twice,
    )
)
"""In this order; the last one leaves the reader closed."""
