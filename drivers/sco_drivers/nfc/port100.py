"""A Sony RC-S380 (NFC Port-100): nfcpy's driver with strict checks of each answer.

nfcpy accepts a missing answer, or one with a wrong checksum, as a command that was done: a field that stayed on would
be reported as off. Here each answer is complete and confirms its command, or there is an error.
"""

from __future__ import annotations

import errno
import logging
from typing import Any

from nfc.clf import rcs380

from sco_drivers.nfc.debug_log import DebugLogger

_quiet = DebugLogger(logging.getLogger(__name__))

_START = b"\x00\x00\xff\xff\xff"
_HEAD, _TAIL = 8, 2
_STATUS = (0x00, 0x02, 0x06, 0x2A)  # InSetRF, InSetProtocol, SwitchRF, SetCommandType: a status, 0 for done
_MIN_SIZE = {0x04: 4, 0x20: 2, 0x22: 2} | dict.fromkeys(_STATUS, 1)  # bytes of an answer
_IN_COMM_RF, _DONE = 0x04, bytes(4)

PROTOCOL, PARITY, CRC, COLLISION, OVERFLOW, RECEIVE_TIMEOUT = 0x01, 0x02, 0x04, 0x08, 0x10, 0x80
TEMPERATURE, COLLISION_AVOIDANCE, FIELD_OFF, TRANSMIT_TIMEOUT = 0x40, 0x200, 0x400, 0x800
_NAMES = {
    PROTOCOL: "protocol error",
    PARITY: "parity error",
    CRC: "CRC error",
    COLLISION: "collision",
    OVERFLOW: "overflow",
    TEMPERATURE: "too hot",
    RECEIVE_TIMEOUT: "no answer in time",
    COLLISION_AVOIDANCE: "another field is on",
    FIELD_OFF: "the field is off",
    TRANSMIT_TIMEOUT: "transmission took too long",
    0x80000000: "wrong length",
}


class NotReceived(Exception):
    """InCommRF returned no answer of a tag; `status` is its status word, a combination of the bits above."""

    def __init__(self, status: int) -> None:
        named = [name for bit, name in _NAMES.items() if status & bit]
        super().__init__(", ".join(named) or f"status {status:08x}")
        self.status = status


def _error(text: str) -> OSError:
    return OSError(errno.EPROTO, text)


def _body(frame: bytes) -> bytes:
    """The body of a data frame."""
    if frame == _START:
        raise _error("the reader did not understand the command")
    size = int.from_bytes(frame[5:7], "little")
    if not frame.startswith(_START) or len(frame) < _HEAD + size + _TAIL:
        raise _error(f"incomplete frame: {frame[:16].hex()}")
    if sum(frame[5:_HEAD]) & 0xFF or sum(frame[_HEAD : _HEAD + size + 1]) & 0xFF:
        raise _error("a checksum is wrong")
    return frame[_HEAD : _HEAD + size]


class Chipset(rcs380.Chipset):  # type: ignore[misc]
    """The chip. An answer that violates its protocol raises OSError."""

    def __init__(self, transport: Any, logger: DebugLogger) -> None:
        # nfcpy's own initialisation waits forever for a reader that keeps sending.
        self.transport, self.log = transport, logger
        self.transport.write(self.ACK)  # aborts whatever the reader is doing
        self.set_command_type(1)
        self.get_firmware_version()
        self.get_pd_data_version()
        self.switch_rf("off")

    def close(self) -> None:
        """Switch the field off and release the reader."""
        try:
            self.transport.write(self.ACK)
            self.switch_rf("off")
        finally:
            self.transport.close()
            self.transport = None

    def send_command(self, cmd_code: int, cmd_data: bytes) -> bytes:
        """Send a command and return its answer's data.

        Raises:
            OSError: ETIMEDOUT or ENODEV from the transport; EPROTO for an invalid answer or a refusal.
        """
        frame = rcs380.Frame(bytearray([0xD6, cmd_code, *cmd_data]))
        self.transport.write(bytes(frame))
        acknowledgement = bytes(self.transport.read())
        if acknowledgement != self.ACK:
            raise _error(f"no acknowledgement: {acknowledgement[:16].hex()}")
        body = _body(bytes(self.transport.read()))
        data = body[2:]
        if body[:2] != bytes([0xD7, cmd_code + 1]) or len(data) < self._min_size(cmd_code, data):
            raise _error(f"no answer to {self.CMD[cmd_code]}: {body[:16].hex()}")
        if cmd_code in _STATUS and data[0]:
            raise _error(f"{self.CMD[cmd_code]}: {rcs380.StatusError(data[0])}")
        return data

    def in_comm_rf(self, data: bytes, timeout: int) -> bytes:
        """Send `data` to the tags and return their answer.

        Args:
            timeout: ms until the answer must start.

        Raises:
            NotReceived: no answer, or a damaged one. OSError: see `send_command`.
        """
        answer = self.send_command(_IN_COMM_RF, (timeout * 10).to_bytes(2, "little") + data)
        status = int.from_bytes(answer[:4], "little")
        if status:
            raise NotReceived(status)
        return answer[5:]  # after an octet with the number of bits in the last one

    @staticmethod
    def _min_size(code: int, data: bytes) -> int:
        """Minimum size of the answer to `code`; for InCommRF one byte more if a tag has answered."""
        return _MIN_SIZE.get(code, 0) + (code == _IN_COMM_RF and data[:4] == _DONE)


class Device(rcs380.Device):  # type: ignore[misc]
    """The reader on `transport`, initialised, field off. Raises the same as `Chipset`."""

    def __init__(self, transport: Any) -> None:
        super().__init__(Chipset(transport, _quiet), logger=_quiet)
        self._vendor_name, self._device_name = transport.manufacturer_name, transport.product_name


init = Device  # nfcpy's name for it in a driver module
