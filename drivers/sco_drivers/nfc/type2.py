"""The memory of an NFC Forum Type 2 tag: models, parsing an image of it, and planning the writes of a new message.

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
_CONTROL_SIZE = 3
_SECTOR_PAGES = 256  # READ and WRITE address a page with one byte; others need SECTOR_SELECT
# CFG0, datasheet 8.5.7: MIRROR, RFUI, MIRROR_PAGE as the factory sets them: no mirror; AUTH0 follows.
_MIRROR_CONF, _NO_MIRROR = 0xC0, bytes.fromhex("040000")
# ACCESS: PROT requires the password for reading too, CFGLCK freezes the configuration, AUTHLIM limits wrong passwords.
_PROT_AND_AUTHLIM, _CONFIG_LOCK = 0x87, 0x40
_NO_PASSWORD = 0xFF
# AUTH0 of a tag with a password: it covers lock bits and capability container too. If it covered the user pages only,
# anyone with a phone could lock the tag permanently.
_FIRST_PROTECTED = 2


@dataclass(frozen=True, slots=True)
class Model:
    """One kind of tag.

    Attributes:
        product: the name that `TagContents.product` shows.
        pages: pages of memory, configuration included.
        user_end: first page after the user memory; also the page of the dynamic lock bits.
        lock_pages_per_bit: pages that one dynamic lock bit locks.
        version: what the tag answers to GET_VERSION.
        container: size byte of the capability container as delivered: eighths of the data area.
        control: the lock control TLV at the start of the data area as delivered; empty for none.
    """

    product: str
    pages: int
    user_end: int
    lock_pages_per_bit: int
    version: bytes
    container: int
    control: bytes = b""

    @property
    def lock_page(self) -> int:
        """Page of the dynamic lock bits."""
        return self.user_end

    @property
    def config_page(self) -> int:
        """Page of CFG0 (MIRROR, AUTH0); CFG1 (ACCESS), PWD and PACK follow."""
        return self.user_end + 1

    @property
    def password_page(self) -> int:
        """Page of PWD; PACK follows."""
        return self.config_page + 2


NTAG213 = Model("NTAG213", 45, 40, 2, bytes.fromhex("0004040201000f03"), 0x12, bytes.fromhex("0103a00c34"))
NTAG215 = Model("NTAG215", 135, 130, 16, bytes.fromhex("0004040201001103"), 0x3E)
NTAG216 = Model("NTAG216", 231, 226, 16, bytes.fromhex("0004040201001303"), 0x6D)
MODELS = (NTAG213, NTAG215, NTAG216)
GENERIC = "Type 2"


def model_of(version: bytes) -> Model | None:
    """The model that answers GET_VERSION with `version`; None if it is unknown."""
    return next((model for model in MODELS if model.version == version), None)


class NotNdef(ValueError):
    """The memory has no NDEF structure that we can use; `str()` is the reason, `hint` what to do."""

    def __init__(self, message: str, hint: str = "use an NTAG213, NTAG215 or NTAG216") -> None:
        super().__init__(message)
        self.hint = hint


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
        """First byte after the data area that the capability container declares.

        Raises:
            NotNdef: there is no capability container of mapping version 1, or it declares more than the tag has.
        """
        container = self.pages[_CC_PAGE]
        if container[0] != 0xE1 or container[1] >> 4 != 1:
            raise NotNdef(f"no NDEF capability container (page 3 holds {container.hex()})", "sco-hwtest nfc format")
        end = FIRST_USER_PAGE * PAGE + container[2] * 8
        if self.model is not None and end > self.model.user_end * PAGE:
            raise NotNdef(f"the capability container declares {container[2] * 8} bytes, more than the tag has")
        if end > _SECTOR_PAGES * PAGE:
            raise NotNdef(f"the capability container declares {container[2] * 8} bytes, more than one sector has")
        return end

    @property
    def access_forbids_write(self) -> bool:
        """Whether the capability container's access byte denies writing."""
        return self.pages[_CC_PAGE][3] & 0x0F != 0

    def locked_pages(self) -> frozenset[int]:
        """User pages that lock bits make read-only, as far as these were read."""
        static = int.from_bytes(self.pages[2][2:4], "little")
        locked = {page for page in range(3, 16) if static >> page & 1}
        if self.model is not None and self.model.lock_page in self.pages:
            dynamic = int.from_bytes(self.pages[self.model.lock_page][:2], "little")
            step = self.model.lock_pages_per_bit
            locked |= {page for page in range(16, self.model.user_end) if dynamic >> (page - 16) // step & 1}
        return frozenset(locked)

    @property
    def first_protected_page(self) -> int:
        """AUTH0: the first page that needs the password; 0xFF if none does or the model has no password."""
        if self.model is None or self.model.config_page not in self.pages:
            return _NO_PASSWORD
        return self.pages[self.model.config_page][3]

    @property
    def mirrors(self) -> bool:
        """Whether the tag mirrors its serial number or counter in ASCII into what is read: datasheet 8.7."""
        return (
            self.model is not None
            and self.model.config_page in self.pages
            and bool(self.pages[self.model.config_page][0] & _MIRROR_CONF)
        )

    @property
    def configuration_is_frozen(self) -> bool:
        """Whether CFG0 and CFG1 can never be changed again, as far as they were read."""
        return (
            self.model is not None
            and self.model.config_page + 1 in self.pages
            and bool(self.pages[self.model.config_page + 1][0] & _CONFIG_LOCK)
        )

    def protected(self, page: int) -> bool:
        """Whether writing `page` needs the password."""
        return self.model is not None and self.first_protected_page <= page < self.model.pages


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the NDEF message is in the data area, and where the next one must be written.

    Attributes:
        start: byte offset of the message that a phone finds.
        length: its bytes; 0 for none.
        place: byte offset for the TLV of the next message: right after the control TLVs of the format. Its length byte
            is in the same page, and the record's payload length in a later one: see `Plan`.
        gap: the byte before `place` that must hold a NULL TLV, so that phones find `place`; None if there is none.
        end: first byte after the data area.
        in_place: whether there is an NDEF TLV at `place` and none before it.
        damaged: whether the TLVs are invalid, as after a page was torn while it was programmed. There is no message
            then.
    """

    start: int
    length: int
    place: int
    end: int
    gap: int | None = None
    in_place: bool = False
    damaged: bool = False

    @property
    def stop(self) -> int:
        """First byte after the message."""
        return self.start + self.length

    @property
    def capacity(self) -> int:
        """The longest message that fits after the type byte at `place` (three length bytes from 255 on)."""
        room = self.end - self.place - 2
        return room if room < 255 else max(254, room - 2)


def find_ndef(image: Image) -> Layout:
    """Find the NDEF TLV. Unknown TLVs are skipped, as the specification asks and phones do.

    Raises:
        NotNdef: no capability container.
        KeyError: a page that is needed has not been read; the argument is its number.
    """
    end = image.data_end
    at = free = FIRST_USER_PAGE * PAGE
    invalid = False
    while at < end:
        kind = image.octets(at, at + 1)[0]
        if kind == _NULL:
            at += 1
            continue
        if kind == _TERMINATOR:
            break
        length, start = (image.octets(at + 1, at + 2)[0], at + 2) if at + 2 <= end else (0, end + 1)
        if length == 0xFF:
            length, start = (
                (int.from_bytes(image.octets(at + 2, at + 4), "big"), at + 4) if at + 4 <= end else (0, end + 1)
            )
        if start + length > end:
            invalid = True
            break
        if kind == _NDEF:
            place, gap = _placed(free)
            return Layout(start, length, place, end, gap, in_place=at == place)
        at = start + length
        if kind in (_LOCK_CONTROL, _MEMORY_CONTROL) and length == _CONTROL_SIZE and not invalid:
            free = at
        else:
            invalid = True
    place, gap = _placed(free)
    return Layout(place + 2, 0, place, end, gap, damaged=invalid)


def _placed(free: int) -> tuple[int, int | None]:
    """`Layout.place` and `Layout.gap`: after a NULL TLV if type and length would be in different pages."""
    return (free + 1, free) if free % PAGE == PAGE - 1 else (free, None)


def message_in(image: Image, layout: Layout) -> bytes:
    """The octets of the NDEF message. Raises KeyError for a page that has not been read."""
    return image.octets(layout.start, layout.stop)


class TooLong(ValueError):
    """The message does not fit."""


Writes = list[tuple[int, bytes]]


@dataclass(frozen=True, slots=True)
class Plan:
    """The page writes that put a message on the tag, in an order that survives an interruption.

    `disable` makes the message empty, `body` writes the new one after it, `enable` sets its length and, on a tag with
    another format, makes it reachable (`Layout.gap`). After an interruption anywhere, a phone finds the old message,
    none, or the new one. So the page with the length is the only one ever written twice, and only if there was a
    message before: it must say "empty" while the body is neither the old nor the new one.

    That page may also be torn while it is programmed, and then hold anything. The body is entirely old or entirely new
    at that moment, and the record's own length is in another page: a shorter message is not a record, a longer one is
    the same record. At worst the layout is invalid, and the next plan writes it again.
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
        image: must hold every page up to `needs_pages`.

    Raises:
        TooLong: `message` does not fit.
        KeyError: a page that is needed has not been read.
    """
    if len(message) > layout.capacity:
        raise TooLong(f"{len(message)} bytes do not fit into {layout.capacity}")
    octets = _tlv(message)
    # A terminator is optional when the message fills the area.
    if layout.place + len(octets) < layout.end:
        octets += bytes([_TERMINATOR])

    head = layout.place // PAGE  # the page of type and length
    pages = range(head, -(-(layout.place + len(octets)) // PAGE))
    old = {page: image.pages[page] for page in pages}
    memory = bytearray(b"".join(old.values()))
    before = layout.place % PAGE
    memory[:before] = _in_front(image, layout, bytes(memory[:before]))
    memory[before : before + len(octets)] = octets
    new = {page: bytes(memory[i * PAGE : (i + 1) * PAGE]) for i, page in enumerate(pages)}

    enable = [(head, new[head]), *_bridged(image, layout)]
    off = bytearray(new[head])
    off[before + 1] = 0
    is_off = layout.in_place and old[head][: before + 2] == off[: before + 2]
    body = [(page, new[page]) for page in pages if page != head and new[page] != old[page]]
    if not message:
        # Only the page of the length: what follows an empty message has no meaning, and each write wears a page.
        return Plan([], [], [] if is_off else enable)
    if layout.in_place and not body and new[head] == old[head]:
        return Plan([], [], [])
    # If it says "empty" already, the page is written once, at the end.
    return Plan([] if is_off else [(head, bytes(off))], body, enable)


def _bridged(image: Image, layout: Layout) -> Writes:
    """The write that puts the NULL TLV before the message; none if it is there."""
    if layout.gap is None:
        return []
    page = layout.gap // PAGE
    old = image.pages[page]
    return [] if old[-1] == _NULL else [(page, old[:-1] + bytes([_NULL]))]


def _tlv(message: bytes) -> bytes:
    size = bytes([len(message)]) if len(message) < 255 else b"\xff" + len(message).to_bytes(2, "big")
    return bytes([_NDEF]) + size + message


def _in_front(image: Image, layout: Layout, octets: bytes) -> bytes:
    """What precedes the TLV in its page: the end of the original control TLV, which a torn write may have spoiled."""
    control = image.model.control if image.model is not None else b""
    factory = layout.place == FIRST_USER_PAGE * PAGE + len(control) and image.pages[FIRST_USER_PAGE] == control[:PAGE]
    return control[-len(octets) :] if factory and octets else octets


def needs_pages(layout: Layout, message: bytes) -> int:
    """First page after those that `plan_message` needs."""
    stop = layout.place + len(_tlv(message)) + 1
    return -(-min(max(stop, layout.stop), layout.end) // PAGE)


def lock_writes(image: Image) -> Writes:
    """The writes that make the whole user memory of an NTAG21x permanently read-only, with capability container and
    configuration; none if it is already. Omits what an interrupted run has done, so that the next run completes it.

    Lock bits do not cover the configuration: anyone with a phone could make the tag require a password for reading, or
    mirror its serial number into the link. So the configuration is frozen too.

    Raises:
        NotNdef: a generic tag; its lock bits are not known well enough to set them.
    """
    model = ntag_of(image)
    container = image.pages[_CC_PAGE]
    bits = -(-(model.user_end - 16) // model.lock_pages_per_bit)
    dynamic = ((1 << bits) - 1).to_bytes(2, "little") + b"\x00\x00"
    locked = image.locked_pages()
    writes = []
    if not image.access_forbids_write and _CC_PAGE not in locked:
        writes.append((_CC_PAGE, container[:3] + bytes([container[3] | 0x0F])))
    if not locked.issuperset(range(16, model.user_end)):
        writes.append((model.lock_page, dynamic))
    if not locked.issuperset(range(_CC_PAGE, 16)):
        writes.append((2, b"\x00\x00\xff\xff"))  # after the container: it locks page 3 too
    if not image.configuration_is_frozen:
        access = image.pages[model.config_page + 1]
        frozen = bytes([access[0] & ~_PROT_AND_AUTHLIM & 0xFF | _CONFIG_LOCK]) + access[1:]
        # AUTH0 first: if no page needs a password, a torn ACCESS cannot prevent phones from reading.
        writes += _unless_there(image, model.config_page, _NO_MIRROR + bytes([_NO_PASSWORD]))
        writes.append((model.config_page + 1, frozen))
    return writes


def password_writes(image: Image, password: bytes, acknowledge: bytes, *, proven: bool) -> Writes:
    """The writes that require `password` before anything on the tag can be written; reading needs none.

    AUTHLIM stays 0: with a limit, anyone with a phone could lock us out permanently with wrong passwords.
    AUTH0 comes last, so that an interrupted run never leaves a tag that needs an unknown password.

    Args:
        password: 4 bytes. acknowledge: 2 bytes.
        proven: whether the tag has accepted this password before. It is not written again then: a torn write would
            leave an unknown password.

    Raises:
        NotNdef: a generic tag has no password.
    """
    model = ntag_of(image)
    config = model.config_page
    access = image.pages[config + 1]
    secrets = [] if proven else [(model.password_page, password), (model.password_page + 1, acknowledge + b"\x00\x00")]
    return [
        *secrets,
        *_unless_there(image, config + 1, bytes([access[0] & ~_PROT_AND_AUTHLIM & 0xFF]) + access[1:]),
        *_unless_there(image, config, _NO_MIRROR + bytes([_FIRST_PROTECTED])),
    ]


def format_writes(image: Image) -> Writes:
    """The writes that make a blank NTAG21x an NDEF tag with an empty message, as it is delivered; none if it is one.

    The capability container comes last: an interrupted run leaves a blank tag. Its page is one-time programmable.

    Raises:
        NotNdef: a generic tag, or a capability container that cannot become ours.
    """
    model = ntag_of(image)
    found = image.pages[_CC_PAGE]
    if found[0] == 0xE1 and found[1] >> 4 == 1:
        return []
    wanted = bytes([0xE1, 0x10, model.container, 0x00])
    if any(old & ~new for old, new in zip(found, wanted, strict=True)):
        raise NotNdef(f"page 3 holds {found.hex()}, which cannot be erased: the tag was formatted for another use")
    area = model.control + bytes([_NDEF, 0, _TERMINATOR])
    area += bytes(-len(area) % PAGE)
    pages = range(FIRST_USER_PAGE, FIRST_USER_PAGE + len(area) // PAGE)
    writes = [write for i, page in enumerate(pages) for write in _unless_there(image, page, area[i * PAGE :][:PAGE])]
    return [*writes, (_CC_PAGE, wanted)]


def mirror_writes(image: Image) -> Writes:
    """The writes that switch the ASCII mirror off; none if it is off."""
    if not image.mirrors:
        return []
    config = ntag_of(image).config_page
    return [(config, _NO_MIRROR + image.pages[config][3:])]


def ntag_of(image: Image) -> Model:
    """The model, whose lock bits and configuration are known.

    Raises:
        NotNdef: a generic tag.
    """
    if image.model is None:
        raise NotNdef("a generic Type 2 tag has no known password and lock bits")
    return image.model


def _unless_there(image: Image, page: int, data: bytes) -> Writes:
    return [] if image.pages[page] == data else [(page, data)]


def pages_of(writes: Iterable[tuple[int, bytes]]) -> list[int]:
    """The page numbers of `writes`, in order."""
    return [page for page, _ in writes]
