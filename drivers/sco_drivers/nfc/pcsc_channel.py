"""The connection to a reader through pcscd: APDUs to it, and what each return code of PC/SC means.

Written from the PC/SC Workgroup's specification, parts 3 and 5, and pcsc-lite's description of its return codes. It
uses pyscard's plain binding of winscard (`smartcard.scard`), whose functions return their code and never raise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from sco_drivers.errors import (
    DeviceBusy,
    DeviceError,
    DeviceGone,
    DeviceNotFound,
    DevicePermission,
    DeviceProtocolError,
    DeviceTimeout,
)
from sco_drivers.identity import DeviceIdentity
from sco_drivers.nfc.transport import NoResponse, TransmissionError

_ESCAPE = 1  # CCID 6.1.8, as SCardControl's function in pcsc-lite
_NO_TAG = {0x8010000C, 0x80100067, 0x80100069}  # no smart card, unpowered, removed
_UNRESPONSIVE = 0x80100066
_SERVICE = {0x8010001D, 0x8010001E, 0x80100013, 0x80100003}  # no service, stopping, socket closed, restarted
_NO_READER = {0x80100009, 0x80100017, 0x8010002E}  # unknown reader, unavailable, none at all
_BUSY, _TIMEOUT = 0x8010000B, 0x8010000A
_FORBIDDEN = {0x80100027, 0x8010006A}  # polkit refused
_NOT_TRANSACTED = {0x80100016, 0x8010002F}  # the command did not get through: to the card, or to the reader
_SECURE_MODULE = "SAM"
_VENDOR_NAME, _VERSION, _SERIAL_NO = 0x00010100, 0x00010102, 0x00010103
_NUMBERS = re.compile(r"( \([^()]*\))? [0-9A-F]{2} [0-9A-F]{2}$")
"""What pcscd and libccid append to a reader's name: its serial number, and the numbers of the reader and its slot."""
_START = "apt-get install pcscd; sudo systemctl enable --now pcscd.socket"


@dataclass(frozen=True, slots=True)
class WantedReader:
    """Which reader is meant.

    Attributes:
        name: a part of its name; empty for any.
        index: which of those that match, from 0, in the order of pcscd.
    """

    name: str = ""
    index: int = 0

    def among(self, names: list[str]) -> str:
        """The name of the reader that is meant.

        Raises:
            DeviceNotFound: there is none.
        """
        found = [name for name in names if self.name.casefold() in name.casefold()]
        if not self.name:
            found = [name for name in names if _SECURE_MODULE not in name.split()] or names
        if self.index < len(found):
            return found[self.index]
        which = f"no reader number {self.index}" if self.index else "no reader"
        like = f" whose name contains {self.name!r}" if self.name else ""
        raise DeviceNotFound(
            f"pcscd has {which}{like}; it lists {', '.join(names) or 'none'}",
            hint="check the cable; a reader needs its driver: apt-get install libccid, for ACS libacsccid1",
        )


def _failure(code: int, doing: str) -> Exception:
    """What `code` means."""
    code &= 0xFFFFFFFF
    if code in _NO_TAG:
        return NoResponse()
    if code == _UNRESPONSIVE:
        return TransmissionError("the reader cannot activate the tag")
    if code in _SERVICE:
        return DeviceGone("pcscd was stopped", hint=_START)
    if code in _NO_READER:
        return DeviceGone("the reader was unplugged", hint="check its cable")
    if code == _BUSY:
        return DeviceBusy("another program uses the reader", hint="stop it: a lane's reader has one owner")
    if code in _FORBIDDEN:
        return DevicePermission(
            "this user may not use pcscd", hint="install the polkit rule for the group sco; docs/nfc.md shows it"
        )
    if code == _TIMEOUT:
        return DeviceTimeout("the reader did not answer")
    return DeviceProtocolError(f"{doing} failed with PC/SC error {code:08x}")


class Channel:
    """A reader of pcscd.

    Args:
        scard: the module `smartcard.scard`.
        wanted: which reader.

    Attributes:
        name: the reader's name.

    Raises:
        DeviceError: there is no pcscd, or no such reader.
    """

    def __init__(self, scard: Any, wanted: WantedReader) -> None:
        self._scard = scard
        self._card: int | None = None
        self._protocol = 0
        self._context = self._establish()
        try:
            self.name = wanted.among(self._listed())
        except DeviceError:
            self.close()
            raise

    def _establish(self) -> int:
        code, context = self._scard.SCardEstablishContext(self._scard.SCARD_SCOPE_SYSTEM)
        if code & 0xFFFFFFFF in _SERVICE:
            raise DeviceNotFound("pcscd is not running", hint=_START)
        if code != 0:
            raise _failure(code, "opening pcscd")
        return int(context)

    def _listed(self) -> list[str]:
        """The names of the readers that there are now."""
        code, names = self._scard.SCardListReaders(self._context, [])
        if code != 0 and code & 0xFFFFFFFF not in _NO_READER:
            raise _failure(code, "listing the readers")
        return list(names or ())

    def power_on(self) -> bytes:
        """Connect to the tag that the reader has found, for us alone, and activate it; its ATR.

        Raises:
            NoResponse: there is none. TransmissionError: the reader cannot activate it. DeviceError.
        """
        scard = self._scard
        self.power_off()
        code, card, protocol = scard.SCardConnect(
            self._context, self.name, scard.SCARD_SHARE_EXCLUSIVE, scard.SCARD_PROTOCOL_T0 | scard.SCARD_PROTOCOL_T1
        )
        if code != 0:
            raise self._failed(code, "connecting to the tag")
        self._card, self._protocol = card, protocol
        code, *_, atr = scard.SCardStatus(card)
        if code != 0:
            raise self._failed(code, "reading the state of the tag")
        return bytes(atr)

    def power_off(self) -> None:
        """Switch the tag off and release the reader.

        Raises:
            DeviceError: it is unknown whether the tag is off.
        """
        card, self._card = self._card, None
        if card is None:
            return
        code = self._scard.SCardDisconnect(card, self._scard.SCARD_UNPOWER_CARD)
        with suppress(NoResponse, TransmissionError):  # the tag was removed
            if code != 0:
                raise self._failed(code, "switching the tag off")

    def transmit(self, apdu: bytes) -> bytes:
        """Send `apdu` to the reader with its tag; the answer, status word included.

        Raises:
            NoResponse: the tag was removed. DeviceError.
        """
        if self._card is None:
            raise NoResponse
        code, answer = self._scard.SCardTransmit(self._card, self._protocol, list(apdu))
        if code != 0:
            raise self._failed(code, "a command")
        if not answer:  # not even a status word: the reader was left without its tag
            raise NoResponse
        return _octets(answer)

    def escape(self, command: bytes) -> bytes | None:
        """Send `command` to the reader itself, whether or not it has a tag; None if its driver does not permit that.

        Raises:
            DeviceError: there is no such reader any more, or another program has it.
        """
        scard = self._scard
        with self._direct() as card:
            code, answer = scard.SCardControl(card, scard.SCARD_CTL_CODE(_ESCAPE), list(command))
        if code & 0xFFFFFFFF in _SERVICE | _NO_READER:
            raise _failure(code, "an escape command")
        return _octets(answer) if code == 0 else None

    def identity(self) -> DeviceIdentity:
        """What the reader's driver reports of it: PC/SC part 3, 3.1.1, vendor information.

        Raises:
            DeviceError: there is no such reader any more, or another program has it.
        """
        with self._direct() as card:
            maker, version, serial = (self._attribute(card, tag) for tag in (_VENDOR_NAME, _VERSION, _SERIAL_NO))
        return DeviceIdentity(
            maker=_text(maker),
            model=_NUMBERS.sub("", self.name),
            serial=_text(serial),
            firmware=f"{version[3]:x}.{version[2]:02x}" if len(version) == 4 and any(version) else None,
        )

    def _attribute(self, card: int, tag: int) -> bytes:
        """An attribute of the reader; empty if its driver does not have it."""
        code, value = self._scard.SCardGetAttrib(card, tag)
        return _octets(value) if code == 0 else b""

    @contextmanager
    def _direct(self) -> Iterator[int]:
        scard = self._scard
        code, card, _ = scard.SCardConnect(self._context, self.name, scard.SCARD_SHARE_DIRECT, 0)
        if code != 0:
            error = self._failed(code, "opening the reader")
            if not isinstance(error, DeviceError):  # it is about a tag, and none is needed here
                error = DeviceProtocolError(f"opening the reader failed with PC/SC error {code & 0xFFFFFFFF:08x}")
            raise error
        try:
            yield int(card)
        finally:
            scard.SCardDisconnect(card, scard.SCARD_LEAVE_CARD)

    def _failed(self, code: int, doing: str) -> Exception:
        if code & 0xFFFFFFFF in _NOT_TRANSACTED:
            return NoResponse() if self.name in self._listed() else _failure(min(_NO_READER), doing)
        return _failure(code, doing)

    def close(self) -> None:
        """Switch the tag off and leave pcscd. Never raises."""
        with suppress(DeviceError):
            self.power_off()
        self._scard.SCardReleaseContext(self._context)


def _octets(answer: list[int]) -> bytes:
    return bytes(octet & 0xFF for octet in answer)


def _text(octets: bytes) -> str | None:
    """A text attribute; None for an empty one."""
    return octets.split(b"\0")[0].decode("utf-8", "replace").strip() or None
