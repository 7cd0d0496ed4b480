"""The public interface of NFC readers: one reader, one tag on the lane's body.

The tag carries exactly one NDEF record, a well-known URI record, since phones open only the first one. The reader's
field is off between calls, so that phones can read the tag.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol, Self, runtime_checkable

from sco_drivers.errors import NfcError

__all__ = [
    "ForeignTag",
    "NfcError",
    "NoTag",
    "SeveralTags",
    "TagContents",
    "TagGarbled",
    "TagLocked",
    "TagReader",
    "TagTooSmall",
    "TagWriteFailed",
    "UnsupportedReader",
    "UnsupportedTag",
    "WrongContent",
]


class NoTag(NfcError):
    """No tag answers in the reader's field."""

    retryable = True


class SeveralTags(NfcError):
    """More than one tag answers: something was placed over ours, or a phone or card lies on the reader."""

    retryable = True


class ForeignTag(NfcError):
    """The tag in the field is not the one that was enrolled (another UID)."""


class WrongContent(NfcError):
    """The tag does not carry what it should; the message contains what was found."""


class TagTooSmall(NfcError):
    """The record does not fit the tag; the message contains both sizes in bytes."""


class TagLocked(NfcError):
    """The tag is locked, or needs a password that we do not have."""


class UnsupportedTag(NfcError):
    """What lies in the field is not an NFC Forum Type 2 tag with NDEF."""


class UnsupportedReader(NfcError):
    """The reader was found and cannot be used: its firmware is too old, or it can be used through PC/SC only."""


class TagGarbled(NfcError):
    """The tag's answer arrived damaged twice: the tag is at the edge of the field, or there is interference."""

    retryable = True


class TagWriteFailed(NfcError):
    """A write was interrupted or read back differently. `may_carry`: links that a phone may now find on it."""

    retryable = True

    def __init__(
        self,
        message: str,
        *,
        may_carry: tuple[str, ...] = (),
        url: str = "",
        hint: str = "",
        retryable: bool | None = None,
    ) -> None:
        super().__init__(message, url=url, hint=hint, retryable=retryable)
        self.may_carry = may_carry


@dataclass(frozen=True, slots=True)
class TagContents:
    """What a tag in the field carries.

    Attributes:
        uid: its serial number, 4 or 7 bytes.
        product: "NTAG213", "NTAG215", "NTAG216" or "Type 2".
        capacity: bytes that an NDEF message may have.
        ndef: the octets of the NDEF message, empty when there is none.
        uri: the link, when the message is exactly one well-known URI record; None otherwise.
        writable: whether a write is possible, as far as lock bits, access byte and password show.
        locked: whether lock bits or the access byte make any page of the data area permanently read-only.
        protected: whether writing needs a password.
        damaged: whether its structure is invalid, as after an interrupted write. Phones then find no link; the next
            write or clear repairs it.
        write_count: how often this call wrote its most frequently written page; 0 for a call that only read.
    """

    uid: bytes
    product: str
    capacity: int
    ndef: bytes
    uri: str | None
    writable: bool
    locked: bool = False
    protected: bool = False
    damaged: bool = False
    write_count: int = field(default=0, compare=False)


@runtime_checkable
class TagReader(Protocol):
    """A reader with one tag in its field. Thread-safe; it executes one command at a time."""

    @property
    def url(self) -> str:
        """The URL it was opened by."""
        ...

    def read(self) -> TagContents:
        """Read the tag in the field, then turn the field off.

        Raises:
            NoTag, SeveralTags, UnsupportedTag, TagGarbled, DeviceGone, DeviceTimeout, DeviceProtocolError.
        """
        ...

    def verify(self, uri: str | None, *, uid: bytes | None = None) -> TagContents:
        """Read the tag and compare its octets with one well-known URI record of `uri`, or with no message for None.

        Raises:
            WrongContent: it carries something else. ForeignTag: `uid` was given and differs. And those of `read`.
            ValueError: `uri` is not a link.
        """
        ...

    def write_uri(self, uri: str, *, uid: bytes | None = None) -> TagContents:
        """Put one well-known URI record of `uri` on the tag, read it back, and return what was read.

        Nothing is written when the tag carries it already.

        Raises:
            TagTooSmall, TagLocked, ForeignTag: before anything is written. TagWriteFailed: see its `may_carry`.
            And those of `read`. ValueError: `uri` is not a link (empty, or with spaces or control characters).
        """
        ...

    def clear(self, *, uid: bytes | None = None) -> TagContents:
        """Leave the tag with an empty NDEF message, read it back, and return what was read. Raises as `write_uri`."""
        ...

    def close(self) -> None:
        """Switch the field off and release the reader. May be called twice."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
