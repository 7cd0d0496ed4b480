"""What every kind of reader can do with its field: select a tag, exchange commands with it, look for a second one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

TAG_TIMEOUT_S = 0.0256
"""Longer than the slowest answer: WRITE is answered after about 5 ms."""

FIELD_OFF_S = 0.0051
"""NFC Forum Digital, tFIELD_OFF: after this every tag has lost its power, also a halted one."""

HALT = b"\x50\x00"
"""ISO/IEC 14443-3 HLTA, without CRC."""


class NoResponse(Exception):
    """The tag does not answer."""


class TransmissionError(Exception):
    """The tag's answer arrived damaged."""


class Collision(TransmissionError):
    """Several tags answer at once, and differently."""


@dataclass(frozen=True, slots=True)
class Selected:
    """A tag that was found.

    Attributes:
        uid: its serial number; empty for a kind that has none during anticollision (Type 1).
        is_type2: whether it is a Type 2 tag; a phone or a bank card is not.
    """

    uid: bytes
    is_type2: bool


class RfTransport(Protocol):
    """The field of one kind of reader. Each call may also raise what nfcpy raises."""

    def select(self, uid: bytes | None) -> Selected:
        """Switch the field on and select one tag in it: any, or the one with `uid`.

        Raises:
            NoResponse, TransmissionError.
        """
        ...

    def command(self, data: bytes) -> bytes:
        """Send `data` to the selected tag; its answer without CRC. Raises NoResponse, TransmissionError."""
        ...

    def another(self) -> bytes | None:
        """Halt the selected tag; the UID of a second one, or None. Raises TransmissionError."""
        ...


def crc_a(data: bytes) -> bytes:
    """ISO/IEC 14443-3 CRC_A of `data`, as it is sent."""
    crc = 0x6363
    for octet in data:
        octet ^= crc & 0xFF
        octet = (octet ^ octet << 4) & 0xFF
        crc = (crc >> 8) ^ (octet << 8) ^ (octet << 3) ^ (octet >> 4)
    return crc.to_bytes(2, "little")


def without_crc(answer: bytes) -> bytes:
    """`answer` without its CRC_A; a lone ACK or NAK nibble carries none. Raises TransmissionError where it is wrong."""
    if len(answer) <= 2:
        return answer
    if crc_a(answer[:-2]) != answer[-2:]:
        raise TransmissionError("CRC_A")
    return answer[:-2]


def sensed(frontend: ContactlessFrontend, uid: bytes | None) -> Selected:
    """Select by nfcpy's own search."""
    from nfc.clf import RemoteTarget

    wanted = {} if uid is None else {"sel_req": uid}
    target = frontend.sense(RemoteTarget("106A", **wanted))
    if target is None:
        raise NoResponse
    if target.sdd_res is None:  # a Type 1 tag: it has a four-byte RID instead
        return Selected(bytes(target.rid_res[2:6]), False)
    return Selected(bytes(target.sdd_res), target.sel_res[0] & 0x60 == 0)
