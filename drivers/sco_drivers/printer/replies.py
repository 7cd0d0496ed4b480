"""What a printer sends back, recognised by its fixed bits. One reader for status, ASB, process ids and identity.

Does no I/O. Bytes that begin no reply are dropped and counted as noise; so is an incomplete reply.
Fixed bits (Epson, "Status transmission"): DLE EOT 0xx1xx10, first byte of ASB 0xx1xx00, its other bytes 0xx0xxxx,
GS r 0000aabb, blocks begin with 0x37 or 0x5F, XON 0x11, XOFF 0x13.

The answers are named tuples, which cost an eighth of a dataclass at import; compare their kinds before their values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from sco_drivers.printer import PresenterStatus, PrinterStatus, SensorState


class RealTime(NamedTuple):
    """One byte that answers `DLE EOT n`; only whoever asked knows which n."""

    byte: int


class Asb(NamedTuple):
    """Four bytes of automatic status back."""

    data: bytes


class ProcessId(NamedTuple):
    """Everything before `GS ( H` with this id has been printed."""

    id: bytes


@dataclass(frozen=True, slots=True)
class Cleared:
    """`DLE DC4 8` was executed: receive and print buffers are empty."""


class Identity(NamedTuple):
    """A text that answers `GS I`."""

    text: str


class InOrder(NamedTuple):
    """One byte that answers `GS r`: everything before it has been processed."""

    byte: int


class FullStatus(NamedTuple):
    """Four bytes that answer `DLE EOT 20` on CUSTOM's kiosk printers."""

    data: bytes


class QrSize(NamedTuple):
    """The answer to `GS ( k` fn 82: whether the stored QR code can be printed."""

    printable: bool


Reply = RealTime | Asb | ProcessId | Cleared | Identity | InOrder | FullStatus | QrSize

_MAX_IDENTITY = 82
_MAX_QR_SIZE = 16
_PAPER_SENSOR = (0x00, 0x03, 0x0C, 0x0F)
"""What `GS r 1` answers: paper near its end (both bits), paper out (both bits). Anything else does not answer it."""


class ReplyReader:
    """Cuts the incoming stream into replies.

    Attributes:
        expecting_in_order: GS r was asked and not yet answered; else such a byte is noise.
        expecting_full_status: DLE EOT 20 was asked and not yet answered; its header looks like ASB.
        noise: bytes dropped so far.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.expecting_in_order = 0
        self.expecting_full_status = False
        self.noise = 0

    def reset(self) -> None:
        """Forget an incomplete reply and all expectations, as after a new connection."""
        self._buffer.clear()
        self.expecting_in_order = 0
        self.expecting_full_status = False

    def feed(self, data: bytes) -> list[Reply]:
        """Take received bytes; returns the replies that are complete now."""
        self._buffer += data
        replies: list[Reply] = []
        while self._buffer:
            reply, length = self._first()
            if length == 0:
                break
            del self._buffer[:length]
            if reply is not None:
                replies.append(reply)
        return replies

    def _first(self) -> tuple[Reply | None, int]:
        """The first reply and its length; (None, n) for n bytes of noise or flow control, (None, 0) for "wait"."""
        b = self._buffer
        first = b[0]
        if first in (0x37, 0x5F):
            return self._block(first)
        if first & 0x93 == 0x12:
            return RealTime(first), 1
        if first & 0x93 == 0x10:
            return self._status_block()
        if first in (0x11, 0x13):
            return None, 1
        if first in _PAPER_SENSOR and self.expecting_in_order:
            self.expecting_in_order -= 1
            return InOrder(first), 1
        self.noise += 1
        return None, 1

    def _block(self, first: int) -> tuple[Reply | None, int]:
        b = self._buffer
        if first == 0x5F:
            end = b.find(0, 1, _MAX_IDENTITY)
            if end > 0 and all(0x20 <= byte <= 0x7E for byte in b[1:end]):
                return Identity(b[1:end].decode("ascii")), end + 1
            if end < 0 and len(b) < _MAX_IDENTITY and all(0x20 <= byte <= 0x7E for byte in b[1:]):
                return None, 0
        elif len(b) < 2:
            return None, 0
        elif b[1] == 0x22:
            if len(b) < 7:
                return None, 0
            if b[6] == 0:
                return ProcessId(bytes(b[2:6])), 7
        elif b[1] == 0x36:
            end = b.find(0, 2, _MAX_QR_SIZE)
            fields = b[2:end].split(b"\x1f") if end > 0 else []
            if len(fields) == 4 and all(map(bytes.isdigit, map(bytes, fields))):
                return QrSize(fields[3] == b"0"), end + 1
            if end < 0 and len(b) < _MAX_QR_SIZE and all(byte == 0x1F or 0x30 <= byte <= 0x39 for byte in b[2:]):
                return None, 0
        elif b[1] == 0x25:
            if len(b) < 3:
                return None, 0
            if b[2] == 0:
                return Cleared(), 3
        self.noise += 1
        return None, 1

    def _status_block(self) -> tuple[Reply | None, int]:
        b = self._buffer
        if self.expecting_full_status and b[0] == 0x10:
            if len(b) < 2:
                return None, 0
            if b[1] == 0x0F:
                if len(b) < 6:
                    return None, 0
                self.expecting_full_status = False
                return FullStatus(bytes(b[2:6])), 6
        for byte in b[1:4]:
            if byte & 0x90:
                self.noise += 1
                return None, 1
        return (Asb(bytes(b[:4])), 4) if len(b) >= 4 else (None, 0)


def _yes_no(bit: int) -> SensorState:
    return SensorState.YES if bit else SensorState.NO


def with_real_time(
    status: PrinterStatus, n: int, byte: int, *, drawer_open_is_high: bool | None = None
) -> PrinterStatus:
    """`status` with the answer to `DLE EOT n`.

    Args:
        status: what is known so far.
        n: which status was asked, 1 to 4.
        byte: the answer.
        drawer_open_is_high: which level of the drawer's pin means open; None when that is not known.
    """
    if n == 1:
        status = replace(status, online=_yes_no(not byte & 0x08))
        return _with_drawer(status, byte & 0x04, drawer_open_is_high)
    if n == 2:
        return replace(status, cover_open=_yes_no(byte & 0x04))
    if n == 3:
        return replace(
            status,
            cutter_error=_yes_no(byte & 0x08),
            unrecoverable_error=_yes_no(byte & 0x20),
            recoverable_error=_yes_no(byte & 0x44),
        )
    return replace(status, paper_near_end=_yes_no(byte & 0x0C), paper_out=_yes_no(byte & 0x60))


def with_asb(status: PrinterStatus, data: bytes, *, drawer_open_is_high: bool | None = None) -> PrinterStatus:
    """`status` with four bytes of ASB; arguments as in `with_real_time`."""
    status = replace(
        status,
        online=_yes_no(not data[0] & 0x08),
        cover_open=_yes_no(data[0] & 0x20),
        cutter_error=_yes_no(data[1] & 0x08),
        unrecoverable_error=_yes_no(data[1] & 0x20),
        recoverable_error=_yes_no(data[1] & 0x44),
        paper_near_end=_yes_no(data[2] & 0x03),
        paper_out=_yes_no(data[2] & 0x0C),
    )
    return _with_drawer(status, data[0] & 0x04, drawer_open_is_high)


def _with_drawer(status: PrinterStatus, high: int, open_is_high: bool | None) -> PrinterStatus:
    if open_is_high is None:
        return status
    return replace(status, drawer_open=_yes_no(bool(high) is open_is_high))


def presenter_of(data: bytes) -> PresenterStatus:
    """The presenter's state in the four bytes of `DLE EOT 20` (CUSTOM: byte 1 bit 5 ticket out, byte 3 bit 6 jam)."""
    return PresenterStatus(ticket_in_output=_yes_no(data[0] & 0x20), jammed=_yes_no(data[2] & 0x40))
