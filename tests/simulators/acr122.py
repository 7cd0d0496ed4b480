"""An ACR122U: a PN532 with a controller that speaks CCID over USB, as transfers of its two bulk endpoints.

Written from the CCID specification 1.1 (6.1, 6.2) and ACS's API manual of the ACR122U (2.02): a command of the PN532
travels in the pseudo-APDU `FF 00 00 00 LEN D4 ...` inside PC_to_RDR_XfrBlock and comes back as `D5 ... 90 00` in
RDR_to_PC_DataBlock; Linux's own driver sends it inside PC_to_RDR_Escape and gets it in RDR_to_PC_Escape. Not simulated:
the controller's own timing.
"""

from __future__ import annotations

import struct

from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn532_chip import Chip, Fault
from tests.simulators.usb_bus import Identity
from tests.simulators.usb_reader import UsbReader

IDENTITY = Identity(
    *(0x072F, 0x2200, "ACS", "ACR122U PICC Interface"),
    endpoint_out=0x02,
    endpoint_in=0x82,
    interface_class=(0x0B, 0, 0),
)
_POWER_ON, _POWER_OFF, _STATUS, _ESCAPE, _XFR_BLOCK = 0x62, 0x63, 0x65, 0x6B, 0x6F
_DATA_BLOCK, _SLOT_STATUS, _ESCAPED = 0x80, 0x81, 0x83
_ANSWERS = {_POWER_ON: _DATA_BLOCK, _XFR_BLOCK: _DATA_BLOCK, _ESCAPE: _ESCAPED}
_OK, _FAILED = b"\x90\x00", b"\x63\x00"


class VirtualAcr122(UsbReader, Chip):
    """An ACR122U with tags in its field.

    Args:
        tags: the tags in the field; one NTAG213 with `uri` by default.
        uri: the link on that one tag.
        firmware: its name and version.
        led_answers: whether it answers the command for LED and buzzer; firmware 215 does not.

    The attributes are those of `UsbDevice` and `Chip`.
    """

    def __init__(
        self, *tags: VirtualTag, uri: str = "", firmware: bytes = b"ACR122U214", led_answers: bool = True
    ) -> None:
        UsbReader.__init__(self, IDENTITY)
        Chip.__init__(self, *tags, uri=uri)
        self._firmware = firmware
        self._led_answers = led_answers

    def _lose_power(self) -> None:
        self._power_field(False)

    def bulk_out(self, message: bytes) -> None:
        """A CCID message from the host; its answer waits for `bulk_in`."""
        if len(message) < 10 or len(message) != 10 + struct.unpack_from("<I", message, 1)[0]:
            return  # a reader may ignore a message of the wrong length
        kind, slot, number = message[0], message[5], message[6]
        data: bytes | None = b""
        if kind == _POWER_ON:
            data = bytes.fromhex("3b00")
        elif kind in (_XFR_BLOCK, _ESCAPE):
            data = self._apdu(message[10:])
        elif kind not in (_POWER_OFF, _STATUS):
            self.unknown += 1
        if data is None:
            return
        answer = _ANSWERS.get(kind, _SLOT_STATUS)
        self._answer(struct.pack("<BI5B", answer, len(data), slot, number, 0, 0, 0) + data)

    def _apdu(self, apdu: bytes) -> bytes | None:
        """The answer; None if it is lost."""
        match apdu[:3]:
            case b"\xff\x00\x48":
                return self._firmware
            case b"\xff\x00\x51":
                return b"\x90" + apdu[3:4]
            case b"\xff\x00\x40":
                return b"\x90\x02" if self._led_answers else None
        if apdu[:4] != b"\xff\x00\x00\x00" or len(apdu) < 7 or apdu[4] != len(apdu) - 5 or apdu[5] != 0xD4:
            self.unknown += 1
            return _FAILED
        return self._command(apdu[6], apdu[7:])

    def _command(self, code: int, data: bytes) -> bytes | None:
        fault = self._next_fault(code)
        if fault is Fault.DEAF:
            return None
        if fault is Fault.UNPLUG:
            self.unplug()
            return None
        answer = self._perform(code, data, noise=fault is Fault.AIR_NOISE)
        if answer is None:
            self.unknown += 1
        if fault is Fault.SILENT:
            return None
        if answer is None or fault is Fault.ERROR_FRAME:
            return _FAILED
        whole = bytes([0xD5, code + 1]) + answer + _OK
        if fault is Fault.SHORT:
            return whole[: len(whole) // 2]
        if fault is Fault.CORRUPT:  # USB has its own checksums: here the controller's data is corrupt
            return bytes([whole[0] ^ 0x10]) + whole[1:]
        return whole
