"""Frames of NFC readers on their way into a trace: a PN53x's own, and those inside an ACR122U's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sco_drivers.nfc.transport import crc_a

if TYPE_CHECKING:
    from sco_drivers.record.sink import Sink
    from sco_drivers.record.tag import TagVeil

_START = b"\x00\x00\xff"
_TO_CHIP, _TO_HOST = 0xD4, 0xD5
_IN_DATA_EXCHANGE, _IN_COMMUNICATE_THRU, _IN_LIST_PASSIVE_TARGET = 0x40, 0x42, 0x4A
_ACR122_HEAD, _DIRECT = 10, bytes.fromhex("ff000000")
_OWN = ("_line", "_recorder", "_make")


class RecordedFrames:
    """A transport of nfcpy's that is recorded; everything else is that transport's own."""

    def __init__(self, make: Callable[[], Any], recorder: Sink) -> None:
        self._recorder = recorder
        self._line = self._watched("connect", make)()
        # A serial line is opened later, by `open`.
        if self._line.TYPE == "USB":
            recorder.put(open=True, names=[self._line.manufacturer_name, self._line.product_name])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._line, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN:
            object.__setattr__(self, name, value)
        else:
            setattr(self._line, name, value)

    def _watched(self, what: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any) -> Any:
            try:
                return call(*arguments)
            except Exception as error:
                self._recorder.put(fails=what, error=type(error).__name__, errno=getattr(error, "errno", None))
                raise

        return watched

    def open(self, port: str, baudrate: int) -> None:
        """See `sco_drivers.nfc.uart.Line`."""
        self._watched("open", self._line.open)(port, baudrate)
        self._recorder.put(open=True, baud=baudrate)

    def write(self, frame: bytes, *arguments: Any) -> None:
        """See nfcpy's transports."""
        self._watched("write", self._line.write)(frame, *arguments)
        self._recorder.frame(">", bytes(frame))

    def read(self, timeout: int = 0) -> bytearray:
        """See nfcpy's transports."""
        frame: bytearray = self._watched("read", self._line.read)(timeout)
        self._recorder.frame("<", bytes(frame))
        return frame

    def drain(self) -> None:
        """See `sco_drivers.nfc.uart.Line`."""
        self._watched("drain", self._line.drain)()

    def described(self, describe: Callable[[Any], bytes]) -> bytes:
        """See `sco_drivers.nfc.usb`."""
        found: bytes = self._watched("described", self._line.described)(describe)
        self._recorder.put(described=found.hex())
        return found

    def close(self) -> None:
        """See nfcpy's transports."""
        self._line.close()
        self._recorder.put(close=True)


def shown_frame(frame: bytes, tag: TagVeil) -> bytes:
    """In place of a frame of a PN53x, or of an ACR122U around one; checksums are made again."""
    if frame[:1] in (b"\x6f", b"\x80") and len(frame) >= _ACR122_HEAD:
        return _in_acr122(frame, tag)
    at = frame.find(_START)
    if at < 0:
        return frame
    head = at + 3
    if frame[head : head + 2] == b"\xff\xff":
        size, body_at = int.from_bytes(frame[head + 2 : head + 4], "big"), head + 5
    else:
        size, body_at = (frame[head] if len(frame) > head else 0), head + 2
    body = frame[body_at : body_at + size]
    if len(body) != size or not size:
        return frame
    shown = shown_body(body, tag)
    if len(shown) != size:
        raise ValueError("a frame changed its size")
    checksum = (
        bytes([-sum(shown) & 0xFF]) if frame[body_at + size] == -sum(body) & 0xFF else frame[body_at + size :][:1]
    )
    return frame[:body_at] + shown + checksum + frame[body_at + size + 1 :]


def _in_acr122(frame: bytes, tag: TagVeil) -> bytes:
    head, rest = frame[:_ACR122_HEAD], frame[_ACR122_HEAD:]
    if rest.startswith(_DIRECT):
        return head + rest[:5] + shown_body(rest[5:], tag)
    if rest[:1] == bytes([_TO_HOST]):
        return head + shown_body(rest[:-2], tag) + rest[-2:]
    return head + tag.uids_in(rest)


def shown_body(body: bytes, tag: TagVeil) -> bytes:
    """In place of a PN53x's command or answer, from its first octet D4 or D5 on."""
    if len(body) < 2:
        return body
    to, code = body[0], body[1]
    if to == _TO_CHIP and code == _IN_COMMUNICATE_THRU:
        return body[:2] + tag.command(body[2:])
    if to == _TO_CHIP and code == _IN_DATA_EXCHANGE:
        return body[:3] + tag.command(body[3:])
    if to == _TO_HOST and code in (_IN_COMMUNICATE_THRU + 1, _IN_DATA_EXCHANGE + 1):
        return body[:3] + _shown_answer(body[3:], tag)
    if to == _TO_HOST and code == _IN_LIST_PASSIVE_TARGET + 1 and len(body) > 8 and body[2]:
        size = body[7]
        return body[:8] + tag.selected(body[8 : 8 + size]) + body[8 + size :]
    return tag.uids_in(body)


def _shown_answer(answer: bytes, tag: TagVeil) -> bytes:
    """A tag's answer, which has its CRC where the chip does not take it away."""
    if len(answer) > 2 and crc_a(answer[:-2]) == answer[-2:]:
        shown = tag.answer(answer[:-2])
        return shown + crc_a(shown)
    return tag.answer(answer)
