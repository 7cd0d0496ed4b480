"""A tag's UID, password and contents on their way into a trace: replaced so that the trace still fits itself.

The octets of a message become others of the same class, each place with a choice of its own, so a link that is written
and read back, or compared with another, agrees and differs as the real ones did. The structure around it stays. So do
checksums, which are made again.
"""

from __future__ import annotations

from sco_drivers.nfc.keys import TagKey
from sco_drivers.nfc.message import uri_message, uri_of
from sco_drivers.nfc.type2 import PAGE
from sco_drivers.record.veil import Veil

SHOWN_KEY = b"the key of no shop, for traces only"
"""What takes the place of the shop's key: passwords in a trace are made with it."""
_READ, _FAST_READ, _WRITE, _PWD_AUTH, _READ_SIG = 0x30, 0x3A, 0xA2, 0x1B, 0x3C
_CONTAINER, _DATA = 3 * PAGE, 4 * PAGE
_NULL, _CONTROLS, _NDEF = 0x00, (0x01, 0x02), 0x03
_SHORT_RECORD = 0x10
_UID_PLACES = (0, 1, 2, 4, 5, 6, 7)
_CHECK_1, _CHECK_2, _CASCADE = 3, 8, 0x88


class TagVeil:
    """What passes between reader and tags; see the module."""

    def __init__(self, veil: Veil) -> None:
        self._veil = veil
        self._uids: dict[bytes, bytes] = {}
        self._selected = b""
        self._memory: dict[int, int] = {}
        self._shown: dict[int, tuple[int, int]] = {}
        self._announced: int | None = None
        self._asked = b""

    # --- values ---

    def uid(self, uid: bytes) -> bytes:
        """In place of a tag's serial number."""
        if uid not in self._uids and uid:
            self._veil.noted("tag's serial number", "frames and calls")
            self._uids[uid] = uid[:1] + self._veil.serial(len(uid) - 1, uid)
        return self._uids.get(uid, uid)

    def uids_in(self, data: bytes) -> bytes:
        """`data` with each known serial number replaced."""
        for real, shown in self._uids.items():
            data = data.replace(real, shown)
        return data

    def link(self, uri: str) -> str:
        """In place of a link, as the octets of its message are replaced on the tag."""
        try:
            message = uri_message(uri)
        except ValueError:
            return self._veil.text(uri, "link", "a call of the reader")
        start = _text_start(message)
        shown = message[:start] + self._text(message[start:], 0)
        return uri_of(shown) or self._veil.text(uri, "link", "a call of the reader")

    def _text(self, octets: bytes, place: int) -> bytes:
        self._veil.noted("link", "tag's memory")
        return bytes(self._veil.octet(octet, place + number) for number, octet in enumerate(octets))

    # --- commands and answers, without CRC ---

    def selected(self, uid: bytes) -> bytes:
        """The tag `uid` is in the field and will get commands."""
        if uid != self._selected:
            self._selected, self._memory, self._shown, self._announced = uid, {}, {}, None
        return self.uid(uid)

    def message_at(self, place: int, message: bytes) -> None:
        """The message is about to be written; see `Tap`."""
        head = 2 if len(message) < 0xFF else 4
        self._announced = place + head + _text_start(message) if message else None

    def command(self, data: bytes) -> bytes:
        """In place of a command to the tag."""
        self._asked = data
        if data[:1] == bytes([_WRITE]) and len(data) == 2 + PAGE:
            return data[:2] + self._pages(data[1], data[2:], written=True)
        if data[:1] == bytes([_PWD_AUTH]):
            self._veil.noted("tag's password", "frames")
            return data[:1] + self._password()[0]
        return self.uids_in(data)

    def answer(self, data: bytes) -> bytes:
        """In place of the tag's answer to the last command."""
        asked = self._asked
        kind = asked[0] if asked else 0
        if len(data) < 2 or not asked:
            return data
        if kind in (_READ, _FAST_READ) and len(asked) > 1 and len(data) % PAGE == 0:
            return self._pages(asked[1], data)
        if kind == _PWD_AUTH:
            return self._password()[1]
        if kind == _READ_SIG:
            self._veil.noted("tag's signature", "frames")
            return self._veil.serial(len(data), b"signature" + self._selected)
        return self.uids_in(data)

    def _password(self) -> tuple[bytes, bytes]:
        return TagKey(SHOWN_KEY).password(self.uid(self._selected))

    # --- memory ---

    def _pages(self, page: int, data: bytes, *, written: bool = False) -> bytes:
        first = page * PAGE
        self._memory.update(enumerate(data, first))
        text = self._announced if written and self._announced is not None else self._text_place()
        end = self._end()
        if first + len(data) > _DATA and text is None:
            self._veil.noted("octets", "tag's memory of an unknown structure")
        shown = bytearray()
        for place, octet in enumerate(data, first):
            if place < _CONTAINER:
                octet = self._head(place, octet)
            elif _DATA <= place < end:
                octet = self._octet(place, octet, text, written=written)
            shown.append(octet)
        return bytes(shown)

    def _octet(self, place: int, octet: int, text: int | None, *, written: bool) -> int:
        """An octet of the data area: read as it was shown when it was written, for as long as it is the same."""
        before, shown = self._shown.get(place, (None, 0))
        if written or before != octet:
            secret = text is None or place >= text
            shown = self._text(bytes([octet]), place - (text or 0))[0] if secret else octet
            self._shown[place] = (octet, shown)
        return shown

    def _head(self, place: int, octet: int) -> int:
        uid = self.uid(self._selected)
        if len(uid) != len(_UID_PLACES):
            return octet
        if place in _UID_PLACES:
            return uid[_UID_PLACES.index(place)]
        if place == _CHECK_1:
            return _CASCADE ^ uid[0] ^ uid[1] ^ uid[2]
        return uid[3] ^ uid[4] ^ uid[5] ^ uid[6] if place == _CHECK_2 else octet

    def _end(self) -> int:
        """First octet after the data area."""
        size = self._memory.get(_CONTAINER + 2)
        return 1 << 16 if size is None or self._memory.get(_CONTAINER) != 0xE1 else _DATA + 8 * size

    def _text_place(self) -> int | None:
        """Where the message's text begins, or would; None where that is not known."""
        at = _DATA
        while (kind := self._memory.get(at)) is not None:
            if kind == _NULL:
                at += 1
            elif kind in _CONTROLS:
                at += 5
            else:
                break
        if kind is None:
            return None
        if kind != _NDEF:
            return at + (at % PAGE == PAGE - 1) + 2 + 5
        start = at + (4 if self._memory.get(at + 1) == 0xFF else 2)
        flags = self._memory.get(start, _SHORT_RECORD)
        return start + (5 if flags & _SHORT_RECORD or not flags else 8)


def _text_start(message: bytes) -> int:
    """Where in the octets of a message with one link its text begins, after the code of what links begin with."""
    return 5 if message[0] & _SHORT_RECORD else 8
