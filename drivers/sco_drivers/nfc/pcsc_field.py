"""The field of a reader behind PC/SC, which finds and selects tags itself.

The reader answers pseudo-APDUs: GET DATA for the UID, READ BINARY and UPDATE BINARY for the pages. For every other
command of a tag (GET_VERSION, FAST_READ, PWD_AUTH) there is one of three ways, tried in this order:

- ACS's direct transmit to the PN532 inside an ACR122U, which also selects tags and looks for a second one. If the
  reader's driver permits escape commands, all go by these: then pcscd need not know of a tag, the reader's own polling
  is off, and the field is ours;
- the transparent exchange of PC/SC 2.02 part 3, amendment 1;
- the generic session of HID's OMNIKEY 5x21 and 5x25.

Without any, a tag is read and written as a generic Type 2 tag. Without escape commands, switching the tag off is all
that PC/SC offers to switch the field off; how long the reader's own polling leaves it off is up to its settings.

Sources: the PC/SC Workgroup's specification, part 3 with its supplement for contactless cards; ACS's manuals of the
ACR122U and ACR1252U; HID's developer guide 5321-903.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from sco_drivers.errors import DeviceError, DeviceProtocolError
from sco_drivers.identity import DeviceIdentity
from sco_drivers.nfc.pcsc_channel import Channel
from sco_drivers.nfc.transport import FIELD_OFF_S, HALT, Collision, NoResponse, Selected, TransmissionError, without_crc

_READ, _WRITE = 0x30, 0xA2
_ACKNOWLEDGE, _REFUSAL = b"\x0a", b"\x00"
_OK = 0x9000
_REFUSED = (0x6982, 0x6986, 0x6A82)  # security status, command not allowed, no such page
_NO_ANSWER = 0x6401  # part 3: no response from the card
_GET_UID = bytes.fromhex("ffca000000")
# Historical bytes of a storage card's ATR: PC/SC part 3, 3.1.3.2.3.1.
_STORAGE_CARD = bytes.fromhex("a000000306")
_ISO14443A_3 = 0x03
_NO_TYPE_2 = {0x0001, 0x0002, 0x0026, 0x0036, 0x0037, 0x0038, 0x0039}  # MIFARE Classic, Mini and Plus
_CASCADE_TAG = b"\x88"
_TIMER_US = 50_000
_ACS = "ACS"  # in the name; other makers' escape commands have other meanings


def _is_type2(atr: bytes) -> bool:
    _, found, rest = atr.partition(_STORAGE_CARD)
    return bool(found) and rest[:1] == bytes([_ISO14443A_3]) and int.from_bytes(rest[1:3], "big") not in _NO_TYPE_2


def _split(answer: bytes) -> tuple[bytes, int]:
    """Data and status word.

    Raises:
        DeviceProtocolError: there is no status word.
    """
    if len(answer) < 2:
        raise DeviceProtocolError(f"the reader answered {answer.hex()}, without a status word")
    return answer[:-2], int.from_bytes(answer[-2:], "big")


def _apdu(head: str, data: bytes, tail: bytes = b"") -> bytes:
    return bytes.fromhex(head) + bytes([len(data)]) + data + tail


class PassThrough(Protocol):
    """A way to send the tag a command that has no pseudo-APDU."""

    def works(self) -> bool:
        """Whether the reader knows it. Harmless for one that does not."""
        ...

    def exchange(self, data: bytes) -> bytes:
        """The tag's answer to `data`, without CRC. Raises NoResponse, TransmissionError."""
        ...

    def another(self) -> bytes | None:
        """See `RfTransport`; None also where it cannot be known."""
        ...


class Transparent:
    """The transparent exchange of PC/SC: data objects inside `FF C2`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def works(self) -> bool:
        """See `PassThrough`."""
        return self._manage(0x81) and self._manage(0x82)

    def _manage(self, code: int) -> bool:
        """Start (0x81) or end (0x82) a session, during which the reader does not poll."""
        return _split(self._channel.transmit(_apdu("ffc20000", bytes([code, 0]), b"\0")))[1] == _OK

    @contextlib.contextmanager
    def _session(self) -> Iterator[None]:
        self._manage(0x81)
        try:
            yield
        finally:
            with contextlib.suppress(NoResponse):
                self._manage(0x82)

    def exchange(self, data: bytes) -> bytes:
        """See `PassThrough`."""
        with self._session():
            return self._sent(data)

    def _sent(self, data: bytes, flags: bytes = b"") -> bytes:
        timer = b"\x5f\x46\x04" + _TIMER_US.to_bytes(4, "little")
        answer, status = _split(
            self._channel.transmit(_apdu("ffc20001", flags + timer + bytes([0x95, len(data)]) + data, b"\0"))
        )
        found = _objects(answer)
        code = int.from_bytes(found.get(0xC0, b"\0\0\0")[-2:], "big")
        if _NO_ANSWER in (code, status):
            raise NoResponse
        errors = found.get(0x96, b"\0")[0] & 0x0F
        if errors & 0x02:
            raise Collision("the reader reports a collision")
        if errors or status != _OK or code not in (0, _OK):
            raise TransmissionError(f"the reader reports error {code:04x}, {errors:x}, {status:04x}")
        return found.get(0x97, b"")

    def another(self) -> bytes | None:
        """See `PassThrough`. A tag that answers the request after the halt is a second one; its UID is not known."""
        plain = b"\x90\x02\x00\x03"  # no CRC, neither sent nor expected
        with self._session():
            with contextlib.suppress(NoResponse, TransmissionError):  # a halted tag does not answer
                self._sent(HALT)
            try:
                return b"" if self._sent(b"\x26", plain + b"\x91\x01\x07") else None
            except NoResponse:
                return None
            except Collision:
                raise
            except TransmissionError:  # the reader knows no short frames
                return None


def _objects(data: bytes) -> dict[int, bytes]:
    """Data objects with one byte of tag, by tag.

    Raises:
        DeviceProtocolError: they are cut off.
    """
    found: dict[int, bytes] = {}
    rest = data
    while rest:
        long = rest[1:2] == b"\x81"
        size, start = (rest[1 + long], 2 + long) if len(rest) > 1 + long else (1, len(rest))
        if start + size > len(rest):
            raise DeviceProtocolError(f"the reader's data objects {data.hex()} are cut off")
        found[rest[0]], rest = rest[start : start + size], rest[start + size :]
    return found


class GenericSession:
    """The generic session of HID's OMNIKEY readers: `FF A0`."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def works(self) -> bool:
        """See `PassThrough`."""
        return self._session(1) and self._session(2)

    def _session(self, code: int) -> bool:
        """Open (1) or close (2) it."""
        return _split(self._channel.transmit(_apdu("ffa00007", bytes([1, 0, code]))))[1] == _OK

    def exchange(self, data: bytes) -> bytes:
        """See `PassThrough`."""
        self._session(1)
        try:
            # CRC and parity by the reader; a timeout of 100 ms.
            answer, status = _split(
                self._channel.transmit(_apdu("ffa00005", bytes.fromhex("0100f3000064") + data, b"\0"))
            )
        finally:
            with contextlib.suppress(NoResponse):
                self._session(2)
        if status != _OK or len(answer) <= 2:
            raise NoResponse
        return answer[2:]

    def another(self) -> bytes | None:
        """See `PassThrough`."""
        return None


class Pn532:
    """ACS's direct transmit: commands of the PN532 inside the reader (NXP's manual UM0701-02)."""

    _NAME, _FIRMWARE = b"ACR122U", bytes.fromhex("ff00480000")
    _POLLING_OFF, _POLLING_ON = bytes.fromhex("ff00510000"), bytes.fromhex("ff0051ff00")
    _TRY_TWICE = bytes.fromhex("3205ff0101")  # and not forever, as the chip does
    _NO_CRC = bytes.fromhex("08630300")  # of the answer: an ACK of four bits has none

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._escaping = False

    def works(self) -> bool:
        """See `PassThrough`."""
        return self._channel.transmit(self._FIRMWARE).startswith(self._NAME)

    def works_by_escapes(self) -> bool:
        """Whether the reader knows it and its driver permits escape commands; from now on these are used then."""
        self._escaping = (self._channel.escape(self._FIRMWARE) or b"").startswith(self._NAME)
        if self._escaping:
            self._sent(self._POLLING_OFF)
        return self._escaping

    def leave(self) -> None:
        """Let the reader poll again."""
        if self._escaping:
            self._sent(self._POLLING_ON)

    def _sent(self, apdu: bytes) -> bytes:
        if not self._escaping:
            return self._channel.transmit(apdu)
        answer = self._channel.escape(apdu)
        if answer is None:
            raise DeviceProtocolError("the reader did not take an escape command")
        return answer

    def _command(self, data: bytes) -> bytes:
        answer, status = _split(self._sent(_apdu("ff000000", b"\xd4" + data)))
        if status != _OK or answer[:2] != bytes([0xD5, data[0] + 1]):
            raise DeviceProtocolError(f"the reader answered {answer.hex()} {status:04x} to the PN532's {data.hex()}")
        return answer[2:]

    def select(self, uid: bytes | None) -> Selected:
        """Switch the field off and on and select a tag; see `RfTransport`."""
        self.field_off()
        time.sleep(FIELD_OFF_S)
        self._command(self._TRY_TWICE)
        wanted = b"" if uid is None else (_CASCADE_TAG if len(uid) > 4 else b"") + uid
        found = self._command(b"\x4a\x01\x00" + wanted)
        if found[:1] != b"\x01" or len(found) < 6:
            raise NoResponse
        self._command(self._NO_CRC)
        return Selected(found[6 : 6 + found[5]], found[4] & 0x60 == 0)

    def exchange(self, data: bytes) -> bytes:
        """See `PassThrough`."""
        answer = self._command(b"\x42" + data)
        if answer[:1] == b"\x01":
            raise NoResponse
        if answer[:1] != b"\0":
            raise TransmissionError(f"the PN532 reports error {answer[:1].hex()}")
        return without_crc(answer[1:])

    def another(self) -> bytes | None:
        """See `PassThrough`."""
        self._command(b"\x44\x01")
        found = self._command(b"\x4a\x01\x00")
        return found[6 : 6 + found[5]] if found[:1] == b"\x01" and len(found) > 5 else None

    def field_off(self) -> None:
        """Switch the field off."""
        self._command(b"\x32\x01\x00")


_WAYS = (Pn532, Transparent, GenericSession)


class PcscField:
    """A reader's field; at once what `Radio` takes for nfcpy's frontend, its device, and our transport.

    Args:
        channel: the connection to the reader; closed with this.
    """

    def __init__(self, channel: Channel) -> None:
        self.device = self
        self._channel = channel
        pn532 = Pn532(channel)
        try:
            self._escaping = _ACS in channel.name and pn532.works_by_escapes()
        except DeviceError:
            channel.close()
            raise
        self._way: PassThrough | None = pn532 if self._escaping else None
        self._tried = self._escaping

    def identity(self) -> DeviceIdentity:
        """What the reader reports about itself. Raises DeviceError."""
        return self._channel.identity()

    def select(self, uid: bytes | None) -> Selected:
        """See `RfTransport`."""
        if not self._escaping and not _is_type2(self._channel.power_on()):
            return Selected(b"", False)
        if not self._tried:  # with a tag: without one, pcscd sends the reader nothing
            ways = (kind(self._channel) for kind in _WAYS)
            self._way = next((way for way in ways if way.works()), None)
            self._tried = True
        found = self._way.select(uid) if isinstance(self._way, Pn532) else self._found()
        if uid not in (None, found.uid):
            raise NoResponse
        return found

    def _found(self) -> Selected:
        uid, status = _split(self._channel.transmit(_GET_UID))
        if status != _OK or not uid:
            raise NoResponse
        return Selected(uid, True)

    def command(self, data: bytes) -> bytes:
        """See `RfTransport`."""
        if not isinstance(self._way, Pn532):
            if data[0] == _READ:
                return self._answered(bytes([0xFF, 0xB0, 0, data[1], 16]))
            if data[0] == _WRITE:
                return self._answered(bytes([0xFF, 0xD6, 0, data[1], 4]) + data[2:]) or _ACKNOWLEDGE
        if self._way is None:
            raise NoResponse
        return self._way.exchange(data)

    def _answered(self, apdu: bytes) -> bytes:
        """The answer to READ BINARY or UPDATE BINARY; a refusal as the tag's own. Other failures may be of either."""
        answer, status = _split(self._channel.transmit(apdu))
        if status in _REFUSED:
            return _REFUSAL
        if status != _OK:
            raise NoResponse
        return answer

    def another(self) -> bytes | None:
        """See `RfTransport`; None also where the reader cannot look for a second tag."""
        return None if self._way is None else self._way.another()

    def sense(self) -> None:
        """Switch the field off."""
        if isinstance(self._way, Pn532):
            with contextlib.suppress(NoResponse):
                self._way.field_off()
        self._channel.power_off()

    def close(self) -> None:
        """Switch the field off and release the reader."""
        with contextlib.suppress(DeviceError):
            self.sense()
            if isinstance(self._way, Pn532):
                self._way.leave()
        self._channel.close()


def transport_of(field: PcscField) -> PcscField:
    """The transport of `field`: itself."""
    return field
