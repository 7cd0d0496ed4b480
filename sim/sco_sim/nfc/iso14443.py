"""Type A tags in one field, frame by frame: requests, anticollision, selection, halt, simultaneous answers.

Written from ISO/IEC 14443-3 (6.2 to 6.5), for UIDs of seven bytes. Used by readers whose host sends these frames; a
reader that selects tags itself, such as the PN532, does not need it. Not simulated: signal levels and timing; parts of
a UID that end within an octet; that a tag which was woken from HALT returns to it, and not to IDLE, after an unknown
frame.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable
from dataclasses import dataclass

from sco_sim.nfc.ntag import State, VirtualTag

REQUEST, WAKE_UP, HALT = b"\x26", b"\x52", b"\x50\x00"
_ATQA = b"\x44\x00"
_CASCADE_TAG = b"\x88"
_SHORT, _NIBBLE, _OCTET = 7, 4, 8
_INCOMPLETE, _COMPLETE = b"\x04", b"\x00"  # SAK
_LEVELS = {State.READY_1: 0x93, State.READY_2: 0x95}
_NAK_CRC = b"\x01"


def crc_a(data: bytes) -> bytes:
    """CRC_A, bit by bit."""
    crc = 0x6363
    for octet in data:
        for bit in range(8):
            mixed = (crc ^ octet >> bit) & 1
            crc = crc >> 1 ^ (0x8408 if mixed else 0)
    return crc.to_bytes(2, "little")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of one tag.

    Attributes:
        data: its octets, without CRC.
        bits: of the last octet; 4 for ACK and NAK.
        has_crc: whether CRC_A follows.
    """

    data: bytes
    bits: int = _OCTET
    has_crc: bool = True

    @property
    def framed(self) -> bytes:
        """All octets on the air."""
        return self.data + crc_a(self.data) if self.has_crc else self.data


def answers(
    tags: Iterable[VirtualTag], frame: bytes, *, bits: int = _OCTET, has_crc: bool | None = None
) -> list[Answer]:
    """The simultaneous answers of `tags` to `frame`, ordered by UID.

    Args:
        frame: its octets, without CRC.
        bits: of the last octet; 7 in a short frame.
        has_crc: whether a correct CRC_A followed; None on a link without CRC: then it is assumed where one is needed.
    """
    received = [_receive(tag, frame, bits, has_crc) for tag in sorted(tags, key=lambda tag: tag.uid) if tag.answers]
    return [answer for answer in received if answer is not None]


def superposed(sent: list[Answer]) -> bytes:
    """The superposition of simultaneous answers: a bit is 1 if any of them sends a 1."""
    frames = [answer.framed for answer in sent]
    size = max(map(len, frames))
    padded = (frame.ljust(size, b"\0") for frame in frames)
    return bytes(functools.reduce(operator.or_, octets) for octets in zip(*padded, strict=True))


def _receive(tag: VirtualTag, frame: bytes, bits: int, has_crc: bool | None) -> Answer | None:
    if bits == _SHORT:
        return _requested(tag, frame)
    if bits == _OCTET and tag.state in _LEVELS:
        return _anticollision(tag, frame, has_crc)
    if bits != _OCTET or tag.state is not State.ACTIVE:
        return None
    if has_crc is False:
        tag.state = State.IDLE
        return Answer(_NAK_CRC, _NIBBLE, has_crc=False)
    answer = tag.exchange(frame)
    if answer is None or len(answer) > 1:
        return None if answer is None else Answer(answer)
    return Answer(answer, _NIBBLE, has_crc=False)


def _requested(tag: VirtualTag, frame: bytes) -> Answer | None:
    wakes = {REQUEST: (State.IDLE,), WAKE_UP: (State.IDLE, State.HALT)}.get(frame, ())
    if tag.state in wakes:
        tag.state = State.READY_1
        return Answer(_ATQA, has_crc=False)
    if tag.state is not State.HALT:
        tag.state = State.IDLE
    return None


def _anticollision(tag: VirtualTag, frame: bytes, has_crc: bool | None) -> Answer | None:
    """SEL, NVB and the known part of the UID; with all of it and its BCC the frame selects the tag."""
    code = _LEVELS[tag.state]
    part = _CASCADE_TAG + tag.uid[:3] if tag.state is State.READY_1 else tag.uid[3:]
    part += bytes([functools.reduce(operator.xor, part)])
    if len(frame) >= 2 and frame[0] == code and frame[1] == 0x10 * len(frame) and part.startswith(frame[2:]):
        if frame[2:] != part:
            if has_crc is not True:
                return Answer(part[len(frame) - 2 :], has_crc=False)
        elif has_crc is not False:
            first = tag.state is State.READY_1
            tag.state = State.READY_2 if first else State.ACTIVE
            return Answer(_INCOMPLETE if first else _COMPLETE)
    tag.state = State.IDLE
    return None
