"""The field of an NFC Port-100 (Sony RC-S380), whose host sends the frames for requests and anticollision itself.

nfcpy's search reports every failure as "no tag". Here the chip's status is kept: tags that answer at once and
differently raise `Collision`, detected by the status word or by a serial number that contradicts its check byte. nfcpy
needs four reader commands for each tag command; here it is one, since nothing changes between them.

Sources: ISO/IEC 14443-3 for the frames; nfcpy and Linux's `port100` for the chip.
"""

from __future__ import annotations

import errno
import functools
import operator
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from sco_drivers.nfc.port100 import (
    COLLISION,
    COLLISION_AVOIDANCE,
    FIELD_OFF,
    RECEIVE_TIMEOUT,
    TEMPERATURE,
    TRANSMIT_TIMEOUT,
    Chipset,
    NotReceived,
)
from sco_drivers.nfc.transport import (
    FIELD_OFF_S,
    HALT,
    TAG_TIMEOUT_S,
    Collision,
    NoResponse,
    Selected,
    TransmissionError,
    without_crc,
)

if TYPE_CHECKING:
    from nfc.clf import ContactlessFrontend

_REQUEST = b"\x26"
_SELECT = b"\x93\x95\x97"  # one for each cascade level
_ANTICOLLISION, _WHOLE = 0x20, 0x70  # NVB
_CASCADE_TAG = b"\x88"
_MORE = 0x04  # of the SAK: the UID goes on in the next level
_NO_TYPE_2 = 0x60
_FIRST_MS, _REQUEST_MS, _TAG_MS = 30, 5, round(TAG_TIMEOUT_S * 1000)  # the first request follows the switching on
_GUARD_MS = 6  # ISO/IEC 14443-3: the field is on for 5 ms before the first request
_READER_FAILED = TEMPERATURE | COLLISION_AVOIDANCE | FIELD_OFF | TRANSMIT_TIMEOUT
_TRIES = 3


def _check(octets: bytes) -> int:
    """BCC of the four bytes of a UID that are sent in one cascade level."""
    return functools.reduce(operator.xor, octets)


def _levels(uid: bytes) -> list[bytes]:
    """The four bytes that a tag with `uid` sends in each cascade level."""
    parts = []
    while len(uid) > 4:
        parts.append(_CASCADE_TAG + uid[:3])
        uid = uid[3:]
    return [*parts, uid]


class Port100Transport:
    """See `RfTransport`."""

    def __init__(self, frontend: ContactlessFrontend) -> None:
        self._chipset: Chipset = frontend.device.chipset

    def select(self, uid: bytes | None) -> Selected:
        """See `RfTransport`."""
        for last in (False, True):
            if last:
                self._chipset.switch_rf("off")
                time.sleep(FIELD_OFF_S)
            self._chipset.in_set_rf("106A")
            self._chipset.in_set_protocol(self._chipset.in_set_protocol_defaults)
            try:
                return self._activate(uid, _FIRST_MS)
            except TransmissionError:
                if last:
                    raise
        raise AssertionError("unreachable")

    def command(self, data: bytes) -> bytes:
        """See `RfTransport`."""
        return without_crc(self._exchange(data, _TAG_MS))

    def another(self) -> bytes | None:
        """See `RfTransport`. A tag whose answer was disturbed may miss the next request, then answers again."""
        with suppress(NoResponse, TransmissionError):  # a halted tag does not answer
            self._exchange(HALT, _REQUEST_MS)
        disturbed: TransmissionError | None = None
        for _ in range(_TRIES):
            try:
                return self._activate(None, _REQUEST_MS).uid
            except NoResponse:
                if disturbed is None:
                    return None
            except TransmissionError as error:
                disturbed = error
        assert disturbed is not None
        raise disturbed

    def _activate(self, uid: bytes | None, timeout_ms: int) -> Selected:
        self._chipset.in_set_protocol(
            initial_guard_time=_GUARD_MS, add_crc=0, check_crc=0, add_parity=0, check_parity=1, last_byte_bit_count=7
        )
        sens_res = self._exchange(_REQUEST, timeout_ms)
        if len(sens_res) != 2:
            raise TransmissionError(f"{sens_res.hex()} in answer to a request")
        if sens_res[0] & 0x1F == 0:  # no bit of bitwise anticollision: a Type 1 tag
            return Selected(b"", False)
        self._chipset.in_set_protocol(add_parity=1, last_byte_bit_count=8)
        if uid is not None:
            found = self._select_known(uid)
        else:
            try:
                found = self._select_any()
            except NoResponse as error:
                raise TransmissionError("the tag answers a request and then stops answering") from error
        self._chipset.in_set_protocol(check_crc=0)  # an ACK of four bits has none
        return found

    def _select_known(self, uid: bytes) -> Selected:
        sak = 0
        self._chipset.in_set_protocol(add_crc=1, check_crc=1)
        for code, part in zip(_SELECT, _levels(uid), strict=False):
            sak = self._select_level(code, part + bytes([_check(part)]))
        return Selected(uid, sak & _NO_TYPE_2 == 0)

    def _select_any(self) -> Selected:
        uid = b""
        for code in _SELECT:
            self._chipset.in_set_protocol(add_crc=0, check_crc=0)
            part = self._exchange(bytes([code, _ANTICOLLISION]), _REQUEST_MS)
            if len(part) != 5:
                raise TransmissionError(f"{part.hex()} instead of a serial number")
            if _check(part):
                raise Collision("a serial number that contradicts its check byte")
            self._chipset.in_set_protocol(add_crc=1, check_crc=1)
            sak = self._select_level(code, part)
            if not sak & _MORE:
                return Selected(uid + part[:4], sak & _NO_TYPE_2 == 0)
            uid += part[1:4]
        raise TransmissionError("a serial number longer than three levels")

    def _select_level(self, code: int, part: bytes) -> int:
        """SAK in answer to the selection of the tag with the five bytes `part`."""
        sak = self._exchange(bytes([code, _WHOLE]) + part, _REQUEST_MS)
        if len(sak) != 1:
            raise TransmissionError(f"{sak.hex()} in answer to a selection")
        return sak[0]

    def _exchange(self, data: bytes, timeout_ms: int) -> bytes:
        try:
            return self._chipset.in_comm_rf(data, timeout_ms)
        except NotReceived as error:
            if error.status & COLLISION:
                raise Collision(str(error)) from error
            if error.status & RECEIVE_TIMEOUT:
                raise NoResponse from error
            if error.status & _READER_FAILED:
                raise OSError(errno.EIO, str(error)) from error
            raise TransmissionError(str(error)) from error
