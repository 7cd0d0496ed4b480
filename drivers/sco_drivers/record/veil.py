"""Words, codes and pictures -> others of the same shape that say nothing: what a trace shows in their place.

Each letter becomes another letter of the same alphabet and case, each digit another digit: a text keeps its length, its
breaks and its encoding's length, a QR code its size. The key of the choice is random, of one trace, and is not kept;
the same text becomes the same text throughout a trace.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import os
import random
import re
from collections.abc import Callable
from typing import Any

from sco_drivers.printer import (
    REPEAT,
    Barcode,
    Bitmap,
    Column,
    Columns,
    Document,
    Line,
    QrCode,
    Raw,
    Symbology,
    Text,
    Ticket,
)
from sco_drivers.printer.stream import tokens

_CLASSES = (
    "0123456789",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "abcdefghijklmnopqrstuvwxyz",
    "АБВГДЕЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ",
    "абвгдежзийклмнопрстуфхцчшщъыьэюя",
)
_CLASS_OF = {character: alphabet for alphabet in _CLASSES for character in alphabet}
_OCTETS = {
    octet: alphabet
    for alphabet in (*(bytes(text, "ascii") for text in _CLASSES[:3]), bytes(range(0x80, 0xFE)))
    for octet in alphabet
}
"""Octets of a text in an unknown code page; 0xFE is kept, which ends a tag's message."""
_PUBLIC_START = re.compile(r"[a-z][a-z0-9+.-]*://(?:qr\.nspk\.ru/)?")
"""What each link begins with says nothing."""
_WITH_CHECK_DIGIT = {Symbology.EAN8: 8, Symbology.EAN13: 13, Symbology.UPC_A: 12}
_LONG_COMMAND = 16


class Veil:
    """The replacements of one trace.

    Args:
        noted: called with the kind of what is replaced, and where.
    """

    def __init__(self, noted: Callable[[str, str], None]) -> None:
        self.noted = noted
        self._key = os.urandom(32)

    def _choice(self, what: bytes) -> random.Random:
        return random.Random(hmac.digest(self._key, what, hashlib.sha256))  # noqa: S311 - the key is secret

    def text(self, text: str, kind: str, where: str) -> str:
        """In place of `text`; `kind` and `where` are for the list of what was replaced."""
        if not any(character in _CLASS_OF or not character.isascii() for character in text):
            return text
        self.noted(kind, where)
        start = _PUBLIC_START.match(text)
        kept = start.end() if start else 0
        choice = self._choice(text.encode("utf-8", "surrogatepass"))
        return text[:kept] + "".join(
            choice.choice(_CLASS_OF[character]) if character in _CLASS_OF else character for character in text[kept:]
        )

    def octets(self, data: bytes, kind: str, where: str) -> bytes:
        """In place of octets of a text, whatever its code page."""
        self.noted(kind, where)
        choice = self._choice(data)
        return bytes(choice.choice(_OCTETS[octet]) if octet in _OCTETS else octet for octet in data)

    def octet(self, octet: int, place: int) -> int:
        """In place of an octet at a place in a tag's message: different ones stay different."""
        alphabet = _OCTETS.get(octet)
        if alphabet is None:
            return octet
        shuffled = bytearray(alphabet)
        self._choice(b"place %d %d" % (place, alphabet[0])).shuffle(shuffled)
        return shuffled[alphabet.index(octet)]

    def serial(self, length: int, which: bytes) -> bytes:
        """In place of a serial number of octets."""
        return self._choice(b"serial " + which).randbytes(length)

    # --- what is printed ---

    def document(self, what: Ticket | Document) -> Ticket | Document:
        """In place of what is to be printed; of the same size on the wire, as far as can be said."""
        if isinstance(what, Ticket):
            return Ticket(
                self.text(what.ticket_id, "order number", "ticket id"),
                self.text(what.qr, "link", "code of a ticket"),
                tuple(map(self.item, what.above)),
                tuple(map(self.item, what.below)),
                what.valid_until,
                what.qr_mm,
                self._repeat(what.repeat),
            )
        return what._replace(
            document_id=self.text(what.document_id, "order number", "document id"),
            items=tuple(map(self.item, what.items)),
            repeat=self._repeat(what.repeat),
        )

    def _repeat(self, line: Line | None) -> Line | None:
        return line if line in (None, REPEAT) else self.item(line)

    def item(self, item: Any) -> Any:
        """In place of one item of a document."""
        words = ("words", "printed text")
        match item:
            case Line(text, style, centred, plain):
                return Line(self.text(text, *words), style, centred, self.text(plain, *words))
            case Text():
                return item._replace(text=self.text(item.text, *words))
            case Columns():
                return item._replace(columns=tuple(self._column(one) for one in item.columns))
            case QrCode():
                return item._replace(data=self.text(item.data, "code", "QR code"))
            case Barcode():
                return item._replace(data=self._barcode(item))
            case Bitmap():
                self.noted("picture", "printed picture")
                return item._replace(source=_blank(item.source))
            case Raw():
                return item._replace(data=self._raw(item.data))
            case _:
                return item

    def _column(self, column: Column | str) -> Column | str:
        if isinstance(column, str):
            return self.text(column, "words", "printed text")
        return column._replace(text=self.text(column.text, "words", "printed text"))

    def _barcode(self, code: Barcode) -> str:
        whole = _WITH_CHECK_DIGIT.get(code.symbology)
        if code.symbology is Symbology.CODABAR:  # letters start and end it
            ends = code.data[:1], code.data[1:-1], code.data[-1:]
            return ends[0] + self.text(ends[1], "code", "bar code") + ends[2]
        data = code.data[:-1] if len(code.data) == whole else code.data  # the driver adds the digit that fits
        return self.text(data, "code", "bar code")

    def _raw(self, data: bytes) -> bytes:
        return b"".join(self._token(token) for _, token in tokens(data))

    def _token(self, token: bytes) -> bytes:
        if token[0] >= 0x20:
            return self.octets(token, "words", "printed commands")
        if token[:3] == b"\x1d(k" and token[6:7] == b"P":
            return token[:8] + self.octets(token[8:], "code", "printed commands")
        if token[:2] == b"\x1dk" and len(token) > 4:
            start, end = (4, len(token)) if token[2] >= 65 else (3, len(token) - 1)
            return token[:start] + self.octets(token[start:end], "code", "printed commands") + token[end:]
        kept = {b"\x1dv": 8, b"\x1b*": 5, b"\x1d*": 4}.get(token[:2], _LONG_COMMAND)
        if len(token) <= kept:
            return token
        self.noted("picture", "printed commands")
        return token[:kept] + bytes(len(token) - kept)


def _blank(source: str | bytes) -> bytes:
    """A white picture of the size of that one."""
    from PIL import Image

    with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
        white = Image.new("L", picture.size, 255)
    content = io.BytesIO()
    white.save(content, "png")
    return content.getvalue()
