"""A Sony RC-S380 (NFC Port-100) through nfcpy's driver, held to its protocol.

nfcpy's own takes an answer that is none, or that a checksum contradicts, for a command that was done: a field that
stayed on would be reported as off. Here each answer is whole and says that its command was done, or there is an error.
"""

from __future__ import annotations

import errno
import logging
from typing import Any

from nfc.clf import rcs380

from sco_drivers.nfc.demoted import Demoted

_quiet = Demoted(logging.getLogger(__name__))

_START = b"\x00\x00\xff\xff\xff"
_HEAD, _TAIL = 8, 2
_STATUS = (0x00, 0x02, 0x06, 0x2A)  # InSetRF, InSetProtocol, SwitchRF, SetCommandType: a status, 0 for done
_LEAST = {0x04: 4, 0x20: 2, 0x22: 2} | dict.fromkeys(_STATUS, 1)  # bytes that an answer has
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
    """InCommRF brought no answer of a tag; `status` is its status word, of bits that are named above."""

    def __init__(self, status: int) -> None:
        named = [name for bit, name in _NAMES.items() if status & bit]
        super().__init__(", ".join(named) or f"status {status:08x}")
        self.status = status


def _error(text: str) -> OSError:
    return OSError(errno.EPROTO, text)


def _body(frame: bytes) -> bytes:
    """What a data frame carries."""
    if frame == _START:
        raise _error("the reader does not understand")
    size = int.from_bytes(frame[5:7], "little")
    if not frame.startswith(_START) or len(frame) < _HEAD + size + _TAIL:
        raise _error(f"no whole frame: {frame[:16].hex()}")
    if sum(frame[5:_HEAD]) & 0xFF or sum(frame[_HEAD : _HEAD + size + 1]) & 0xFF:
        raise _error("a checksum is wrong")
    return frame[_HEAD : _HEAD + size]


class Chipset(rcs380.Chipset):  # type: ignore[misc]
    """The chip. Whatever it answers that its protocol does not know is an OSError."""

    def __init__(self, transport: Any, logger: Demoted) -> None:
        # nfcpy's own start waits without end for a reader that goes on talking.
        self.transport, self.log = transport, logger
        self.transport.write(self.ACK)  # ends whatever the reader is at
        self.set_command_type(1)
        self.get_firmware_version()
        self.get_pd_data_version()
        self.switch_rf("off")

    def close(self) -> None:
        """Switch the field off and let go of the reader."""
        try:
            self.transport.write(self.ACK)
            self.switch_rf("off")
        finally:
            self.transport.close()
            self.transport = None

    def send_command(self, cmd_code: int, cmd_data: bytes) -> bytes:
        """Send a command and return its answer's data.

        Raises:
            OSError: ETIMEDOUT or ENODEV as the transport says; EPROTO for an answer that is none, or a refusal.
        """
        frame = rcs380.Frame(bytearray([0xD6, cmd_code, *cmd_data]))
        self.transport.write(bytes(frame))
        acknowledgement = bytes(self.transport.read())
        if acknowledgement != self.ACK:
            raise _error(f"no acknowledgement: {acknowledgement[:16].hex()}")
        body = _body(bytes(self.transport.read()))
        data = body[2:]
        if body[:2] != bytes([0xD7, cmd_code + 1]) or len(data) < self._least(cmd_code, data):
            raise _error(f"no answer to {self.CMD[cmd_code]}: {body[:16].hex()}")
        if cmd_code in _STATUS and data[0]:
            raise _error(f"{self.CMD[cmd_code]}: {rcs380.StatusError(data[0])}")
        return data

    def in_comm_rf(self, data: bytes, timeout: int) -> bytes:
        """Send `data` to the tags; what they answer.

        Args:
            timeout: ms to wait for the answer's beginning.

        Raises:
            NotReceived: no answer, or a damaged one. OSError: see `send_command`.
        """
        answer = self.send_command(_IN_COMM_RF, (timeout * 10).to_bytes(2, "little") + data)
        status = int.from_bytes(answer[:4], "little")
        if status:
            raise NotReceived(status)
        return answer[5:]  # behind an octet that tells the bits of the last one

    @staticmethod
    def _least(code: int, data: bytes) -> int:
        """Bytes that the answer to `code` has; that of InCommRF one more where a tag has answered."""
        return _LEAST.get(code, 0) + (code == _IN_COMM_RF and data[:4] == _DONE)


class Device(rcs380.Device):  # type: ignore[misc]
    """The reader behind `transport`, ready, field off. Raises what `Chipset` does."""

    def __init__(self, transport: Any) -> None:
        super().__init__(Chipset(transport, _quiet), logger=_quiet)
        self._vendor_name, self._device_name = transport.manufacturer_name, transport.product_name


init = Device  # what nfcpy calls it in a driver's module
