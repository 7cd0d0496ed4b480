"""The memory of an NFC Forum Type 2 tag: models, what an image of it says, and which pages a new message needs.

Pure: it sends nothing. Page maps are those of the NTAG213/215/216 datasheet (rev. 3.2, sections 8.5 and 8.6), the TLV
rules those of the NFC Forum Type 2 Tag specification 1.1.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

PAGE = 4
FIRST_USER_PAGE = 4
_CC_PAGE = 3
_NULL, _LOCK_CONTROL, _MEMORY_CONTROL, _NDEF, _TERMINATOR = 0x00, 0x01, 0x02, 0x03, 0xFE


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of tag.

    Attributes:
        product: the name that `TagContents.product` shows.
        pages: pages of memory, configuration included.
        user_end: first page behind the user memory; also the page of the dynamic lock bits.
        lock_pages_per_bit: pages that one dynamic lock bit holds.
        version: what the tag answers to GET_VERSION.
    """

    product: str
    pages: int
    user_end: int
    lock_pages_per_bit: int
    version: bytes

    @property
    def lock_page(self) -> int:
        """Page of the dynamic lock bits."""
        return self.user_end

    @property
    def config_page(self) -> int:
        """Page of CFG0 (MIRROR, AUTH0); CFG1 (ACCESS), PWD and PACK follow."""
        return self.user_end + 1


NTAG213 = Model("NTAG213", 45, 40, 2, bytes.fromhex("0004040201000f03"))
NTAG215 = Model("NTAG215", 135, 130, 16, bytes.fromhex("0004040201001103"))
NTAG216 = Model("NTAG216", 231, 226, 16, bytes.fromhex("0004040201001303"))
MODELS = (NTAG213, NTAG215, NTAG216)
GENERIC = "Type 2"


def model_of(version: bytes) -> Model | None:
    """The model that answers GET_VERSION with `version`; None for one that we do not know."""
    return next((model for model in MODELS if model.version == version), None)


class NotNdef(ValueError):
    """The memory holds no NDEF structure; `str()` says why."""


@dataclass(frozen=True, slots=True)
class Image:
    """What was read of a tag's memory.

    Attributes:
        model: None for a generic Type 2 tag.
        pages: page number -> 4 bytes. Pages that were not needed are absent.
    """

    model: Model | None
    pages: Mapping[int, bytes]

    def octets(self, start: int, stop: int) -> bytes:
        """Bytes `start`..`stop` of the memory.

        Raises:
            KeyError: a page among them has not been read; the argument is its number.
        """
        data = b"".join(self.pages[page] for page in range(start // PAGE, -(-stop // PAGE)))
        return data[start % PAGE :][: stop - start]

    @property
    def data_end(self) -> int:
        """First byte behind the data area that the capability container declares.

        Raises:
            NotNdef: there is no capability container of mapping version 1, or it declares more than the tag has.
        """
        container = self.pages[_CC_PAGE]
        if container[0] != 0xE1 or container[1] >> 4 != 1:
            raise NotNdef(f"no NDEF capability container (page 3 holds {container.hex()})")
        end = FIRST_USER_PAGE * PAGE + container[2] * 8
        if self.model is not None and end > self.model.user_end * PAGE:
            raise NotNdef(f"the capability container declares {container[2] * 8} bytes, more than the tag has")
        return end

    @property
    def access_forbids_write(self) -> bool:
        """Whether the capability container's access byte denies writing."""
        return self.pages[_CC_PAGE][3] & 0x0F != 0

    def locked_pages(self) -> frozenset[int]:
        """User pages that lock bits make read-only, as far as the bits were read."""
        static = int.from_bytes(self.pages[2][2:4], "little")
        locked = {page for page in range(3, 16) if static >> page & 1}
        if self.model is not None and self.model.lock_page in self.pages:
            dynamic = int.from_bytes(self.pages[self.model.lock_page][:2], "little")
            step = self.model.lock_pages_per_bit
            locked |= {page for page in range(16, self.model.user_end) if dynamic >> (page - 16) // step & 1}
        return frozenset(locked)

    @property
    def first_protected_page(self) -> int:
        """AUTH0: the first page that asks for the password, 0xFF when none does or the model has no password."""
        if self.model is None or self.model.config_page not in self.pages:
            return 0xFF
        return self.pages[self.model.config_page][3]

    def protected(self, page: int) -> bool:
        """Whether writing `page` asks for the password."""
        return self.model is not None and self.first_protected_page <= page < self.model.pages


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the NDEF message stands in the data area.

    Attributes:
        tlv: byte offset of the NDEF TLV's type byte.
        length: bytes of the message.
        start: byte offset of the message.
        end: first byte behind the data area.
    """

    tlv: int
    length: int
    start: int
    end: int

    @property
    def stop(self) -> int:
        """First byte behind the message."""
        return self.start + self.length

    @property
    def capacity(self) -> int:
        """The longest message that fits behind this TLV's type byte (three length bytes from 255 on)."""
        room = self.end - self.tlv - 2
        return room if room < 255 else max(254, room - 2)


def find_ndef(image: Image) -> Layout:
    """Find the NDEF TLV; a data area without one is laid out as an empty message at its first free byte.

    Raises:
        NotNdef: no capability container, or TLVs that run over the data area.
        KeyError: a page that is needed has not been read; the argument is its number.
    """
    end = image.data_end
    at = FIRST_USER_PAGE * PAGE
    while at < end:
        kind = image.octets(at, at + 1)[0]
        if kind == _NULL:
            at += 1
            continue
        if kind == _TERMINATOR:
            break
        if at + 2 > end:
            raise NotNdef(f"a TLV at byte {at} has no length")
        length, start = image.octets(at + 1, at + 2)[0], at + 2
        if length == 0xFF:
            if at + 4 > end:
                raise NotNdef(f"a TLV at byte {at} has no length")
            length, start = int.from_bytes(image.octets(at + 2, at + 4), "big"), at + 4
        if start + length > end:
            raise NotNdef(f"the TLV of type {kind} at byte {at} has {length} bytes, more than the tag")
        if kind == _NDEF:
            return Layout(at, length, start, end)
        at = start + length
    # A blank tag, all zero: NULL TLVs to the end.
    first = FIRST_USER_PAGE * PAGE if at >= end else at
    return Layout(first, 0, first + 2, end)


def message_in(image: Image, layout: Layout) -> bytes:
    """The octets of the NDEF message. Raises KeyError for a page that has not been read."""
    return image.octets(layout.start, layout.stop)


class TooLong(ValueError):
    """The message does not fit."""


Writes = list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The page writes that put a message on the tag, in the order that survives a torn write.

    `disable` makes the message empty, `body` lays the new one behind it, `enable` gives it its length. Cut anywhere,
    a phone finds the old message, none, or the new one. So the page with the length is the only one ever written
    twice, and only when a message stood there before: it must say "empty" while the body is neither the old nor the
    new. Even a length page torn in the middle of its own programming shows no mixed link, since the record carries
    its own length: shorter is no record, longer is the same record.
    """

    disable: Writes
    body: Writes
    enable: Writes

    @property
    def writes(self) -> Writes:
        """All of them, in order."""
        return self.disable + self.body + self.enable


def plan_message(image: Image, layout: Layout, message: bytes) -> Plan:
    """Plan the writes that replace the message at `layout` by `message`; only pages that differ, none when equal.

    Args:
        image: must hold every page from the TLV to the end of the longer of both messages.

    Raises:
        TooLong: `message` does not fit.
        KeyError: a page that is needed has not been read.
    """
    if len(message) > layout.capacity:
        raise TooLong(f"{len(message)} bytes do not fit into {layout.capacity}")
    header = bytes([_NDEF]) + (
        bytes([len(message)]) if len(message) < 255 else b"\xff" + len(message).to_bytes(2, "big")
    )
    start = layout.tlv + len(header)
    stop = start + len(message)
    # A terminator is optional when the message fills the area.
    tail = bytes([_TERMINATOR]) if stop < layout.end else b""

    first = layout.tlv // PAGE
    # The byte whose value decides between "empty" and "a message": the first byte of the length.
    switch = (layout.tlv + 1) // PAGE
    last = (stop + len(tail) - 1) // PAGE
    old = {page: image.pages[page] for page in range(first, last + 1)}

    def paged(octets: bytes) -> dict[int, bytes]:
        memory = bytearray(b"".join(old[page] for page in range(first, last + 1)))
        offset = layout.tlv - first * PAGE
        memory[offset : offset + len(octets)] = octets
        return {first + i: bytes(memory[i * PAGE : (i + 1) * PAGE]) for i in range(last - first + 1)}

    new = paged(header + message + tail)
    empty_already = old[switch][(layout.tlv + 1) % PAGE] == 0
    if not message and layout.length == 0 and empty_already and old[first][layout.tlv % PAGE] == _NDEF:
        return Plan([], [], [])
    if not message:
        # Only the page of the length: the octets behind an empty message mean nothing, and each write wears a page.
        return Plan([], [], [(page, new[page]) for page in sorted({first, switch}) if new[page] != old[page]])
    body = [(page, new[page]) for page in range(first, last + 1) if page != switch and new[page] != old[page]]
    if not body and new[switch] == old[switch]:
        return Plan([], [], [])
    off = bytearray(new[switch])
    off[(layout.tlv + 1) % PAGE] = 0
    # Already empty: the page is written once, at the end.
    disable = [] if empty_already else [(switch, bytes(off))]
    return Plan(disable, body, [(switch, new[switch])])


def needs_pages(layout: Layout, message: bytes) -> int:
    """First page behind those that `plan_message` looks at."""
    stop = layout.tlv + (2 if len(message) < 255 else 4) + len(message) + 1
    return -(-min(max(stop, layout.stop), layout.end) // PAGE)


def lock_writes(image: Image) -> Writes:
    """The writes that make the whole user memory of an NTAG21x read-only for ever, capability container included.

    Raises:
        NotNdef: a generic tag; its lock bits are not known well enough to burn them.
    """
    if image.model is None:
        raise NotNdef("the lock bits of a generic Type 2 tag are not known; use an NTAG213, 215 or 216")
    model = image.model
    container = image.pages[_CC_PAGE]
    bits = -(-(model.user_end - 16) // model.lock_pages_per_bit)
    dynamic = ((1 << bits) - 1).to_bytes(2, "little") + b"\x00\x00"
    return [
        (_CC_PAGE, container[:3] + bytes([container[3] | 0x0F])),
        (model.lock_page, dynamic),
        (2, b"\x00\x00\xff\xff"),  # last: it locks page 3 too
    ]


def password_writes(image: Image, password: bytes, acknowledge: bytes) -> Writes:
    """The writes that ask for `password` before any user page can be written; reading stays free.

    AUTHLIM stays 0: with a limit, anybody with a phone could lock us out for ever by guessing wrongly.
    AUTH0 comes last, so that a torn run never leaves a tag that asks for an unknown password.

    Args:
        password: 4 bytes. acknowledge: 2 bytes.

    Raises:
        NotNdef: a generic tag has no password.
    """
    if image.model is None:
        raise NotNdef("a generic Type 2 tag has no password; use an NTAG213, 215 or 216")
    config = image.model.config_page
    access = image.pages[config + 1]
    mirror = image.pages[config]
    return [
        (config + 2, password),
        (config + 3, acknowledge + b"\x00\x00"),
        (config + 1, bytes([access[0] & ~0x87 & 0xFF]) + access[1:]),  # PROT = 0 (write only), AUTHLIM = 0
        (config, mirror[:3] + bytes([FIRST_USER_PAGE])),
    ]


def pages_of(writes: Iterable[tuple[int, bytes]]) -> list[int]:
    """The page numbers of `writes`, in order."""
    return [page for page, _ in writes]
