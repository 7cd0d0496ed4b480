"""A PN533 on USB (SCL3711 and similar): PN53x frames, one per bulk transfer, directly to the chip.

Written from NXP's user manual UM0801-03 and, for what that does not say, from what others observed on the wire:

- answers to register reads and writes begin with a status (libnfc, nfcpy);
- a frame is stored in the same memory as the USB descriptors, which start at byte 25: a long one overwrites the
  strings, and without a power cycle the reader is not enumerated again (libnfc's issue 408, which cites NXP);
- it does not accept a second ACK in a row, and may answer without one (nfcpy's issue 15).

No PN533 was available. The status with which a reader without an EEPROM refuses to read one is a guess.
"""

from __future__ import annotations

from sco_sim.nfc.framed_chip import FramedChip
from sco_sim.nfc.ntag import VirtualTag
from sco_sim.nfc.pn53x_frame import ACK
from tests.simulators.usb_bus import Identity, NotTaken
from tests.simulators.usb_reader import FramedUsbReader

IDENTITY = Identity(0x04CC, 0x2533, "NXP", "PN533", endpoint_out=0x04, endpoint_in=0x84, interval=4)
SCL3711 = Identity(0x04E6, 0x5591, "SCM Micro", "SCL3711-NFC&RW", endpoint_out=0x04, endpoint_in=0x84, interval=4)

_OK, _BAD_PARAMETER = b"\x00", b"\x10"
_XRAM = range(1232)
DESCRIPTORS_AT = 0x19  # in the chip's memory
_EEPROM = range(0xA000, 0xA100)
# Configuration, interface, two bulk endpoints (USB 2.0, table 9-10 and on); the endpoints' addresses follow `Identity`.
_CONFIGURATION = "09022000010100 8032 0904000002ffffff00 0705{:02x}02400004 0705{:02x}02400004"
_LANGUAGES = bytes.fromhex("04030904")
_NO_COMMANDS = (0x10, 0x14, 0x16)  # SetSerialBaudRate, SAMConfiguration, PowerDown: the PN532's


def _string(text: str) -> bytes:
    octets = text.encode("utf-16-le")
    return bytes([2 + len(octets), 3]) + octets


def descriptors(identity: Identity) -> bytes:
    """The configuration and the strings, as stored in the chip's memory after power-up."""
    configuration = bytes.fromhex(_CONFIGURATION.format(identity.endpoint_out, identity.endpoint_in))
    return configuration + _string(identity.product) + _LANGUAGES + _string(identity.manufacturer)


def eeprom_of(identity: Identity) -> bytes:
    """256 bytes of an EEPROM that names the reader: tag (3: product, 4: manufacturer), length, string descriptor."""
    product, manufacturer = _string(identity.product), _string(identity.manufacturer)
    entries = bytes([3, len(product)]) + product + bytes([4, len(manufacturer)]) + manufacturer
    return entries.ljust(len(_EEPROM), b"\xff")


class VirtualPn533(FramedUsbReader, FramedChip):
    """A PN533 with tags in its field.

    Args:
        tags: the tags in the field; one NTAG213 with `uri` by default.
        uri: the link on that one tag.
        identity: its descriptors.
        eeprom: the 256 bytes of its EEPROM (`eeprom_of`); None for a reader without one, as most are.
        firmware: IC, version, revision, support.

    Attributes (and those of `FramedUsbReader` and `Chip`):
        acknowledges: whether it acknowledges commands before it answers them.
        loses_strings_by: see `string_error`.
    """

    MAX_TARGETS = 1

    def __init__(
        self,
        *tags: VirtualTag,
        uri: str = "",
        identity: Identity = IDENTITY,
        eeprom: bytes | None = None,
        firmware: bytes = bytes.fromhex("33020707"),
    ) -> None:
        FramedUsbReader.__init__(self, identity)
        FramedChip.__init__(self, *tags, uri=uri)
        self.acknowledges = True
        self.loses_strings_by = "USBErrorIO"
        self.FIRMWARE = firmware
        self._eeprom = eeprom
        self._just_aborted = False
        self._xram = bytearray()
        self._lose_power()

    # -- on the bus --------------------------------------------------------------------------------------------------

    def _lose_power(self) -> None:
        self._power_field(False)
        self._registers.clear()
        self._just_aborted = False
        self._xram = bytearray(len(_XRAM))
        self._lay_over(DESCRIPTORS_AT, descriptors(self.identity))

    def memory(self, at: int, size: int) -> bytes:
        """`size` bytes of the chip's memory from address `at` on: the last frame, the descriptors."""
        return bytes(self._xram[at : at + size])

    def _lay_over(self, at: int, octets: bytes) -> None:
        self._xram[at : at + len(octets)] = octets

    def _sound(self, size: int) -> bool:
        return self.memory(DESCRIPTORS_AT, size) == descriptors(self.identity)[:size]

    @property
    def string_error(self) -> str | None:
        """The exception of `usb1` when its strings are read, after a long frame has overwritten them."""
        return None if self._sound(len(descriptors(self.identity))) else self.loses_strings_by

    def _enumerates(self) -> bool:
        return self._sound(32)

    def bulk_out(self, message: bytes) -> None:
        """A frame from the host; its answers wait for `bulk_in`."""
        if message == ACK and self._just_aborted:
            self._just_aborted = False
            raise NotTaken
        self._just_aborted = message == ACK
        self._lay_over(0, message)
        octets = bytearray(message)
        if self._receive(octets) != 1 or octets:
            self.unknown += 1

    def _send(self, frame: bytes) -> None:
        self._lay_over(0, frame)
        super()._send(frame)

    def _acknowledge(self) -> None:
        if self.acknowledges:
            super()._acknowledge()

    # -- the chip ----------------------------------------------------------------------------------------------------

    def _perform(self, code: int, data: bytes, *, noise: bool) -> bytes | None:
        match code:
            case 0x06 if data and len(data) % 2 == 0:
                return self._read([data[i] << 8 | data[i + 1] for i in range(0, len(data), 2)])
            case 0x08 if data and len(data) % 3 == 0:
                for i in range(0, len(data), 3):
                    if not self._write(data[i] << 8 | data[i + 1], data[i + 2]):
                        return _BAD_PARAMETER
                return _OK
            case _ if code in (0x06, 0x08, *_NO_COMMANDS):
                return None
        return super()._perform(code, data, noise=noise)

    def _read(self, addresses: list[int]) -> bytes:
        values = bytearray()
        for address in addresses:
            if address in _EEPROM:
                if self._eeprom is None:
                    return _BAD_PARAMETER
                values.append(self._eeprom[address - _EEPROM.start])
            else:
                values.append(self._xram[address] if address in _XRAM else self._registers.get(address, 0))
        return _OK + bytes(values)

    def _write(self, address: int, value: int) -> bool:
        if address in _EEPROM:
            return False
        if address in _XRAM:
            self._xram[address] = value
        else:
            self._registers[address] = value
        return True
