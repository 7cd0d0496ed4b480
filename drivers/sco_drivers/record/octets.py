"""Octets of a printer or display on their way into a trace."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sco_drivers.printer.commands import identity

if TYPE_CHECKING:
    from sco_drivers.record.sink import Sink
    from sco_drivers.record.veil import Veil

_ASKS_FOR_SERIAL = identity(68)
_TEXT, _END = 0x5F, 0x00
_LONGEST_PLAIN = 32
"""Commands between documents are shorter: longer octets that nobody announced are not shown."""


class RecordedWire:
    """A printer's `Transport`, or a display's `Wire`, that is recorded."""

    def __init__(self, wire: Any, recorder: Sink) -> None:
        self._wire = wire
        self._recorder = recorder

    def write(self, data: bytes, timeout_s: float) -> int:
        """See `Transport`."""
        return self._wrote(data, self._recorder.watched("write", self._wire.write)(data, timeout_s))

    def write_realtime(self, data: bytes, timeout_s: float, *, discard: bool = False) -> int:
        """See `Transport`."""
        write = self._recorder.watched("write", self._wire.write_realtime)
        return self._wrote(data, write(data, timeout_s, discard=discard))

    def _wrote(self, data: bytes, taken: int) -> int:
        self._recorder.sent(data, taken)
        return taken

    def read(self, timeout_s: float) -> bytes:
        """See `Transport`."""
        data: bytes = self._recorder.watched("read", self._wire.read)(timeout_s)
        self._recorder.received(data)
        return data

    def flush(self, timeout_s: float) -> bool:
        """See `sco_drivers.display.serial_line.Wire`."""
        done: bool = self._recorder.watched("flush", self._wire.flush)(timeout_s)
        if not done:
            self._recorder.put(fails="flush", error="")
        return done

    def close(self, *, discard: bool = False) -> None:
        """See `Transport`."""
        self._wire.close(discard=discard)
        self._recorder.put(close=True)


class Disguises:
    """What was announced to be sent, and what is shown of it; see `Tap.disguise`."""

    def __init__(self) -> None:
        self._pending: list[tuple[bytes, bytes | None]] = []
        self._at = 0

    def add(self, real: bytes, shown: bytes | None) -> None:
        """`real` will be sent after what was announced before."""
        if real:
            self._pending.append((real, shown if shown is not None and len(shown) == len(real) else None))

    def clear(self) -> None:
        """What was announced and not sent will not be sent any more."""
        self._pending, self._at = [], 0

    def shown(self, data: bytes) -> bytes | None:
        """What is shown of `data`, which was sent; None for nothing."""
        found = b""
        while data:
            piece = self._next(data)
            if piece is None:
                plain = len(data) <= _LONGEST_PLAIN or not any(data)
                return found + data if plain else None
            real, shown = piece
            if shown is None:
                return None
            found, data = found + shown, data[len(real) :]
        return found

    def _next(self, data: bytes) -> tuple[bytes, bytes | None] | None:
        """The next part of what was announced, as far as `data` has it."""
        for number, (real, shown) in enumerate(self._pending):
            start = self._at if number == 0 else 0
            size = min(len(real) - start, len(data))
            if real[start : start + size] != data[:size]:
                continue
            del self._pending[:number]
            self._at = start + size
            if self._at == len(real):
                self._pending.pop(0)
                self._at = 0
            return data[:size], None if shown is None else shown[start : start + size]
        return None


class SerialNumber:
    """A printer's answer to the question for its serial number, which may come in pieces, and late: every text that it
    sends from that question on.
    """

    def __init__(self, veil: Veil) -> None:
        self._veil = veil
        self._expected = self._inside = False

    def asked(self, data: bytes) -> None:
        """`data` was sent."""
        self._expected |= _ASKS_FOR_SERIAL in data

    def answered(self, data: bytes) -> bytes:
        """What is shown of `data`, which was received."""
        if not self._expected:
            return data
        shown = bytearray()
        for octet in data:
            if self._inside and octet == _END:
                self._inside = False
            elif self._inside:
                octet = self._veil.octet(octet, -len(shown))
            elif octet == _TEXT:
                self._inside = True
            shown.append(octet)
        if bytes(shown) != data:
            self._veil.noted("serial number", "printer's answer to GS I D")
        return bytes(shown)
