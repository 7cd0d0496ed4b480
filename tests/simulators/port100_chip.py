"""The NFC Port-100 chip: its commands, with Type A tags in its field that answer frames of ISO/IEC 14443-3.

Written from what nfcpy's driver and Linux's `port100` show of the commands, which Sony has not published. The host
sends every request to a tag itself; the chip adds and checks parity and CRC as InSetProtocol says, and returns the
result in the status word of InCommRF.

It is not documented what it reports when tags answer at once: see `CollisionReport`. Assumed: guard times are in
milliseconds, the octet after the status word counts the bits of the last octet, and InSetRF restores the defaults of
InSetProtocol. Not simulated: technologies other than Type A at 106 kbit/s, card emulation, time.
"""

from __future__ import annotations

import struct
from enum import StrEnum

from sco_sim.nfc.framed_reader import FramedReader
from sco_sim.nfc.iso14443 import answers, superposed
from sco_sim.nfc.ntag import TURNAROUND_US, VirtualTag, frame_us
from tests.simulators.port100_frame import ACK, ERROR, TO_HOST, information

_SUCCESS, _PARAMETER_ERROR = b"\x00", b"\x01"
_PARITY, _CRC, _COLLISION, _TIMEOUT = 0x02, 0x04, 0x08, 0x80
_TYPE_A_106 = bytes([2, 3, 15, 3])  # InSetRF: set and kind of modulation for sending, then for receiving
_OTHER_RF = (bytes([1, 1, 15, 1]), bytes([1, 2, 15, 2]), bytes([3, 7, 15, 7]))
_GUARD, _ADD_CRC, _CHECK_CRC, _ADD_PARITY, _LAST_BITS = 0x00, 0x01, 0x02, 0x04, 0x07  # InSetProtocol
_DEFAULTS = {_GUARD: 0x18, _ADD_CRC: 1, _CHECK_CRC: 1, _ADD_PARITY: 0, _LAST_BITS: 8}
_SETTINGS = set(range(0x14)) - {0x0D}
_FLIPPED = 0x05  # two bits of an octet: its parity is right


class CollisionReport(StrEnum):
    """How the reader reports tags that answer at once and differently."""

    COLLISION = "collision"  # the status word says COLLISION_ERROR
    PARITY = "parity"  # it says PARITY_ERROR
    MIXED = "mixed"  # it does not notice: a bit is 1 if any tag sends a 1
    STRONGEST = "strongest"  # only the tag with the lowest UID is received


class Port100Chip(FramedReader):
    """An NFC Port-100 with tags in its field.

    Args:
        tags: the tags in the field; one NTAG213 with `uri` by default.
        uri: the link on that one tag.
        on_collision: how it reports tags that answer at once.
    """

    ACK, ERROR, TO_HOST = ACK, ERROR, TO_HOST

    def __init__(
        self, *tags: VirtualTag, uri: str = "", on_collision: CollisionReport = CollisionReport.COLLISION
    ) -> None:
        super().__init__(*tags, uri=uri)
        self._on_collision = on_collision
        self._reset()

    def _reset(self) -> None:
        """The chip loses its power."""
        self._rf = b""
        self._settings = dict(_DEFAULTS)
        self._power_field(False)

    def _information(self, body: bytes) -> bytes:
        return information(body)

    def _perform(self, code: int, data: bytes, *, noise: bool) -> bytes | None:
        match code:
            case 0x00 if len(data) == 4:
                return self._set_rf(data)
            case 0x02:
                return self._set_protocol(data)
            case 0x04 if len(data) >= 2:
                return self._communicate(int.from_bytes(data[:2], "little"), data[2:], noise=noise)
            case 0x06 if data in (b"\x00", b"\x01"):
                self._power_field(data == b"\x01")
                return _SUCCESS
            case 0x20 if not data:
                return bytes.fromhex("1101")  # firmware 1.11
            case 0x22 if not data:
                return bytes.fromhex("0001")
            case 0x28 if not data:
                return struct.pack(">Q", 1 << 1 | 1 << 0)  # command types 1 and 0
            case 0x2A if len(data) == 1:
                return _SUCCESS if data in (b"\x00", b"\x01") else self._refused()
        return None

    def _power_field(self, on: bool) -> None:
        if on and not self.field_on:
            self._air_us += self._settings[_GUARD] * 1000.0
        super()._power_field(on)

    def _refused(self) -> bytes:
        self.unknown += 1
        return _PARAMETER_ERROR

    def _set_rf(self, wanted: bytes) -> bytes:
        if wanted != _TYPE_A_106 and wanted not in _OTHER_RF:
            return self._refused()
        self._rf, self._settings = wanted, dict(_DEFAULTS)
        return _SUCCESS

    def _set_protocol(self, data: bytes) -> bytes:
        """Pairs of a setting's number and its value."""
        numbers, values = data[::2], data[1::2]
        if not data or len(data) % 2 or not _SETTINGS.issuperset(numbers):
            return self._refused()
        self._settings.update(zip(numbers, values, strict=True))
        return _SUCCESS

    def _communicate(self, timeout: int, frame: bytes, *, noise: bool) -> bytes:
        """InCommRF: `frame` to the tags, and what they answer within `timeout`, in units of 0.1 ms."""
        self._power_field(True)
        status, answer, bits = self._received(frame, noise=noise)
        if status:
            if status == _TIMEOUT:
                self._air_us += timeout * 100.0
            return struct.pack("<I", status)
        return struct.pack("<IB", 0, bits) + answer

    def _received(self, frame: bytes, *, noise: bool) -> tuple[int, bytes, int]:
        """The result of `frame`: status word; octets, and bits of the last one if the status is 0."""
        bits, add_crc = self._settings[_LAST_BITS], self._settings[_ADD_CRC] == 1
        before = sum(tag.air_us for tag in self.tags)
        whole = bits < 8 or self._settings[_ADD_PARITY] == 1  # octets without parity are damaged ones
        sent = []
        if frame and self._rf == _TYPE_A_106:
            sent = answers(self.tags, frame if whole else b"", bits=bits, has_crc=add_crc and whole)
        if not sent:
            return _TIMEOUT, b"", 0
        if before == sum(tag.air_us for tag in self.tags):  # no command of a tag's own, which counts its time itself
            self._air_us += frame_us(len(frame) + 2 * add_crc) + TURNAROUND_US + frame_us(len(sent[0].framed))
        first, data = sent[0], sent[0].framed
        if any(other != first for other in sent):
            if self._on_collision is CollisionReport.COLLISION:
                return _COLLISION, b"", 0
            if self._on_collision is CollisionReport.PARITY:
                return _PARITY, b"", 0
            if self._on_collision is CollisionReport.MIXED:
                data = superposed(sent)
        if noise:
            data = bytes([data[0] ^ _FLIPPED]) + data[1:]
        if self._settings[_CHECK_CRC]:
            if not first.has_crc or data != first.framed:
                return _CRC, b"", 0
            data = first.data
        return 0, data, first.bits
