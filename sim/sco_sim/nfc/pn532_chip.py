"""The PN532 chip: its commands, with tags in its field, independent of the host interface.

`sco_sim.nfc.pn532` puts it on a serial line; simulators of USB readers build on it too.
"""

from __future__ import annotations

from sco_sim.nfc.iso14443 import HALT, answers, crc_a, superposed
from sco_sim.nfc.ntag import ACK as TAG_ACK
from sco_sim.nfc.ntag import BIT_US, TURNAROUND_US, State, VirtualTag, frame_us
from sco_sim.nfc.simulated_field import Fault, SimulatedField

__all__ = ["SPEEDS", "Chip", "Fault"]

SPEEDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
_TIMEOUT, _CRC, _NOT_ACTIVE = 0x01, 0x02, 0x27
_TX_MODE, _RX_MODE, _FIFO_DATA, _CONTROL, _BIT_FRAMING = 0x6302, 0x6303, 0x6339, 0x633C, 0x633D
_CRC_ON = 0x80  # of _TX_MODE and _RX_MODE
_ROM, _RAM, _POLLING, _ATTENTION, _ANTENNA = 1, 2, 4, 6, 7  # Diagnose: tests besides the communication line
_DIAGNOSES = {_ROM: b"\x00", _RAM: b"\x00", _POLLING: b"\x80", _ATTENTION: b"\x01", _ANTENNA: b"\x00"}
_COMPATIBILITY_WRITE = 0xA0
_TYPE_A = (0x00, 0x10)  # InAutoPoll: generic passive and Mifare, 106 kbit/s
_RF_FIELD = 0x01
# RFConfiguration (PN532 UM0701-02 7.3.1, PN533 UM0801-03 the same): item, bytes of its data.
_RF_ITEMS = {_RF_FIELD: 1, 0x02: 3, 0x04: 1, 0x05: 3, 0x0A: 11, 0x0B: 8, 0x0C: 3, 0x0D: 9}
_GUARD_US = 5000.0  # ISO/IEC 14443-3: the field is on for 5 ms before the first request


class Chip(SimulatedField):
    """A PN532 with tags in its field. Arguments and attributes are those of `SimulatedField`."""

    FIRMWARE = bytes.fromhex("32010607")  # IC, version, revision, support: GetFirmwareVersion's answer
    MAX_TARGETS = 2

    def __init__(self, *tags: VirtualTag, uri: str = "") -> None:
        super().__init__(*tags, uri=uri)
        self._next_baud: int | None = None
        self._registers: dict[int, int] = {}
        self._current: VirtualTag | None = None

    @property
    def _selected(self) -> VirtualTag | None:
        """The tag that the chip has selected, as long as it is in the field."""
        return self._current if self._current in self.tags else None

    def _perform(self, code: int, data: bytes, *, noise: bool) -> bytes | None:
        """The answer's data; None for the error frame."""
        match code:
            case 0x00 if data[:1] == b"\x00":
                return data
            case 0x00 if data and data[0] in _DIAGNOSES:
                return _DIAGNOSES[data[0]]
            case 0x02:
                return self.FIRMWARE
            case 0x06:
                return bytes(self._registers.get(data[i] << 8 | data[i + 1], 0) for i in range(0, len(data), 2))
            case 0x08:
                for i in range(0, len(data), 3):
                    self._registers[data[i] << 8 | data[i + 1]] = data[i + 2]
                return b""
            case 0x10 if data and data[0] < len(SPEEDS):
                self._next_baud = SPEEDS[data[0]]
                return b""
            case 0x12 if len(data) == 1:
                return b""
            case 0x14 if 1 <= len(data) <= 3:
                return b""
            case 0x16:
                self._power_field(False)
                return b"\x00"
            case 0x32 if data and _RF_ITEMS.get(data[0]) == len(data) - 1:
                if data[0] == _RF_FIELD:
                    self._power_field(bool(data[1] & 1))
                return b""
            case 0x40 if data:
                return self._exchange(data[0] & 0x3F, data[1:], noise=noise)
            case 0x42 if self._selected is None or self._registers.get(_BIT_FRAMING, 0) & 7:
                return self._communicate_raw(data, noise=noise)
            case 0x42:
                return self._communicate(data, noise=noise)
            case 0x44 | 0x52:
                if self._selected is not None:
                    self._selected.exchange(HALT)
                self._current = None
                return b"\x00"
            case 0x4A if len(data) >= 2 and 1 <= data[0] <= self.MAX_TARGETS:
                return self._list(data[1], data[2:], noise=noise)
            case 0x60 if len(data) >= 3:
                return self._poll(data[2:], noise=noise)
        return None

    def _power_field(self, on: bool) -> None:
        if on and not self.field_on:
            self._air_us += _GUARD_US
        if not on:
            self._current = None
        super()._power_field(on)

    def _list(self, kind: int, wanted: bytes, *, noise: bool) -> bytes:
        self._power_field(True)
        # Two requests, as nfcpy configures it; no answer within the frame delay time of about 5 ms.
        self._registers[_FIFO_DATA] = 0x26
        if kind != 0:
            return b"\x00"
        if self._current is not None and self._current.state is State.ACTIVE:
            self._current.state = State.IDLE
        uid = wanted.replace(b"\x88", b"", 1) if len(wanted) == 8 else wanted
        waiting = [tag for tag in self.tags if tag.answers and tag.state is State.IDLE]
        chosen = min((tag for tag in waiting if not uid or tag.uid == uid), key=lambda tag: tag.uid, default=None)
        if chosen is None or noise:
            if chosen is not None:
                self._registers[_FIFO_DATA] = 0x93  # the request was answered, the anticollision after it failed
            self._air_us += 2 * 5000.0
            return b"\x00"
        # REQA and ATQA, then for both cascade levels: anticollision, answer, select, SAK.
        self._air_us += 9 * BIT_US + frame_us(2) + 2 * (frame_us(2) + frame_us(5) + frame_us(9) + frame_us(3))
        self._air_us += 10 * TURNAROUND_US
        chosen.state = State.ACTIVE
        self._current = chosen
        self._registers[_RX_MODE] = 0x80
        self._registers[_FIFO_DATA] = 0
        return bytes([1, 1, 0x00, 0x44, 0x00, len(chosen.uid)]) + chosen.uid

    def _poll(self, kinds: bytes, *, noise: bool) -> bytes:
        """InAutoPoll: a target of the first kind for which there is one. All its polls take place at once."""
        for kind in kinds:
            found = self._list(0, b"", noise=noise) if kind in _TYPE_A else b"\x00"
            if found[0]:
                return bytes([1, kind, len(found) - 1]) + found[1:]
        return b"\x00"

    def _exchange(self, target: int, data: bytes, *, noise: bool) -> bytes:
        """InDataExchange: the chip adds and checks CRC itself. Its status for a NAK is a guess."""
        if self._selected is None or target != 1 or not data:
            return bytes([_NOT_ACTIVE])
        parts = (data[:2], data[2:]) if data[0] == _COMPATIBILITY_WRITE and len(data) == 18 else (data,)
        for part in parts:
            answer = self._selected.exchange(part)
            if answer != TAG_ACK:
                break
        if answer is None:
            self._air_us += 25600.0
            return bytes([_TIMEOUT])
        if noise or (len(answer) == 1 and answer != TAG_ACK):
            return bytes([_CRC])
        return b"\x00" if answer == TAG_ACK else b"\x00" + answer

    def _communicate_raw(self, data: bytes, *, noise: bool) -> bytes:
        """InCommunicateThru for a host that sends requests and anticollision itself: bits and CRC by the registers."""
        self._power_field(True)
        bits = self._registers.get(_BIT_FRAMING, 0) & 7 or 8
        has_crc = bool(self._registers.get(_TX_MODE, 0) & _CRC_ON)
        if not has_crc and len(data) > 2 and crc_a(data[:-2]) == data[-2:]:
            data, has_crc = data[:-2], True
        sent = answers(self.tags, data, bits=bits, has_crc=has_crc)
        if not sent:
            self._air_us += 25600.0
            return bytes([_TIMEOUT])
        octets = bytearray(superposed(sent))
        if noise:
            octets[0] ^= 0x04
        if self._registers.get(_RX_MODE, 0) & _CRC_ON:
            if len(octets) < 3 or crc_a(bytes(octets[:-2])) != octets[-2:]:
                return bytes([_CRC])
            del octets[-2:]
        self._registers[_CONTROL] = sent[0].bits % 8
        return b"\x00" + bytes(octets)

    def _communicate(self, data: bytes, *, noise: bool) -> bytes:
        answer = self._selected.exchange(data) if self._selected is not None else None
        if answer is None:
            self._air_us += 25600.0
            return bytes([_TIMEOUT])
        checked = bool(self._registers.get(_RX_MODE, 0) & 0x80)
        if len(answer) == 1 and (answer == TAG_ACK or answer[0] < 0x0A):
            if checked:
                return bytes([_CRC])
            return b"\x00" + (b"\x1f\x2e" if noise else answer)
        if checked:
            return bytes([_CRC]) if noise else b"\x00" + answer
        framed = bytearray(answer + crc_a(answer))
        if noise:
            framed[0] ^= 0x04
        return b"\x00" + bytes(framed)
