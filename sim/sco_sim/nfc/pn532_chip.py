"""The PN532 chip: its commands, with tags in its field, independent of the host interface.

`sco_sim.nfc.pn532` puts it on a serial line; simulators of USB readers build on it too.
"""

from __future__ import annotations

from sco_sim.nfc.iso14443 import HALT, crc_a
from sco_sim.nfc.ntag import ACK as TAG_ACK
from sco_sim.nfc.ntag import BIT_US, TURNAROUND_US, State, VirtualTag, frame_us
from sco_sim.nfc.simulated_field import Fault, SimulatedField

__all__ = ["SPEEDS", "Chip", "Fault"]

SPEEDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
_TIMEOUT, _CRC = 0x01, 0x02
_RX_MODE, _FIFO_DATA = 0x6303, 0x6339
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
            case 0x42:
                return self._communicate(data, noise=noise)
            case 0x44:
                if self._selected is not None:
                    self._selected.exchange(HALT)
                self._current = None
                return b"\x00"
            case 0x4A if len(data) >= 2 and 1 <= data[0] <= self.MAX_TARGETS:
                return self._list(data[1], data[2:], noise=noise)
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
