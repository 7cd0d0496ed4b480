"""Calls of PC/SC on their way into a trace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from sco_drivers.record.frames import shown_body

if TYPE_CHECKING:
    from sco_drivers.record.sink import Sink
    from sco_drivers.record.tag import TagVeil

_GET_UID = bytes.fromhex("ffca")
_READ, _UPDATE = bytes.fromhex("ffb0"), bytes.fromhex("ffd6")
_DIRECT, _TRANSPARENT, _GENERIC = bytes.fromhex("ff000000"), bytes.fromhex("ffc2"), bytes.fromhex("ffa00005")
_SERIAL = re.compile(r"\([0-9A-Za-z]{4,}\)")
"""How pcscd writes a reader's serial number into its name."""


class RecordedScard:
    """The binding `smartcard.scard`, whose functions are recorded; its constants are its own."""

    def __init__(self, scard: Any, recorder: Sink) -> None:
        self._scard = scard
        self._recorder = recorder

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._scard, name)
        if not callable(found) or name == "SCARD_CTL_CODE":
            return found

        def called(*arguments: Any) -> Any:
            result = found(*arguments)
            self._recorder.pcsc_called(name, arguments, result)
            return result

        return called


class ScardVeil:
    """What is shown of the calls."""

    def __init__(self, tag: TagVeil) -> None:
        self._tag = tag

    def entry(self, name: str, arguments: tuple[Any, ...], result: Any) -> dict[str, Any]:
        """One call: its code, and what was sent and received."""
        code, *rest = result if isinstance(result, list | tuple) else (result,)
        found: dict[str, Any] = {"pcsc": name, "code": code & 0xFFFFFFFF}
        if name in ("SCardTransmit", "SCardControl"):
            sent = bytes(octet & 0xFF for octet in arguments[-1])
            answer = bytes(octet & 0xFF for octet in rest[-1]) if rest and rest[-1] else b""
            found[">"] = self._sent(sent).hex()
            found["<"] = self._answered(sent, answer).hex()
        elif name == "SCardListReaders":
            found["names"] = [_SERIAL.sub("(00000000)", one) for one in (rest[0] if rest else ()) or ()]
        elif name == "SCardStatus":
            found["<"] = bytes(octet & 0xFF for octet in rest[-1] or ()).hex()
        elif name == "SCardConnect":
            found["share"], found["protocol"] = arguments[2], rest[-1] if rest else 0
        return found

    def _sent(self, apdu: bytes) -> bytes:
        tag = self._tag
        if apdu.startswith(_READ) and len(apdu) > 3:
            tag.command(bytes([0x30, apdu[3]]))
            return apdu
        if apdu.startswith(_UPDATE) and len(apdu) == 9:
            return apdu[:5] + tag.command(bytes([0xA2, apdu[3]]) + apdu[5:])[2:]
        if apdu.startswith(_DIRECT):
            return apdu[:5] + shown_body(apdu[5:], tag)
        if apdu.startswith(_TRANSPARENT):
            at = _object(apdu, 0x95)
            if at is not None:
                start, end = at
                return apdu[:start] + tag.command(apdu[start:end]) + apdu[end:]
        if apdu.startswith(_GENERIC) and len(apdu) > 11:
            return apdu[:11] + tag.command(apdu[11:-1]) + apdu[-1:]
        return tag.uids_in(apdu)

    def _answered(self, apdu: bytes, answer: bytes) -> bytes:
        tag, body, status = self._tag, answer[:-2], answer[-2:]
        if apdu.startswith(_GET_UID) and body:
            return tag.selected(body) + status
        if apdu.startswith(_READ):
            return tag.answer(body) + status
        if apdu.startswith(_DIRECT):
            return shown_body(body, tag) + status
        if apdu.startswith(_TRANSPARENT):
            at = _object(answer, 0x97, 0)
            if at is not None:
                start, end = at
                return answer[:start] + tag.answer(answer[start:end]) + answer[end:]
        if apdu.startswith(_GENERIC) and len(body) > 2:
            return body[:2] + tag.answer(body[2:]) + status
        return tag.uids_in(answer)


def _object(data: bytes, kind: int, at: int = 5) -> tuple[int, int] | None:
    """Where the value of the data object `kind` is among those from `at` on."""
    while at + 1 < len(data):
        two = data[at] in (0x5F, 0x7F)
        size_at = at + 1 + two
        if size_at >= len(data):
            return None
        start = size_at + 1 + (data[size_at] == 0x81)
        size = data[start - 1] if start <= len(data) else 0
        if data[at] == kind and start + size <= len(data):
            return start, start + size
        at = start + size
    return None
