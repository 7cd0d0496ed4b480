"""Recorded wires of NFC readers: frames of nfcpy's transports, and calls of PC/SC."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from sco_sim.replay import words
from sco_sim.replay.octets import recorded_error
from sco_sim.replay.player import Player, described
from sco_sim.replay.trace import Entry

_ERRORS: dict[str, type[Exception]] = {"OSError": OSError, "TimeoutError": TimeoutError}


def _expected(entry: Entry | None) -> str:
    if entry is None:
        return "nothing more"
    return f"the frame {words.frame(bytes.fromhex(entry.says['>']))}" if ">" in entry.says else described(entry)


def _raised(entry: Entry) -> Exception:
    """The error as it was then."""
    name, number = entry.says.get("error", ""), entry.says.get("errno")
    if name == "SerialException":
        import serial

        return serial.SerialException("as when the trace was recorded")
    if number is not None:
        return _ERRORS.get(name, OSError)(number, os.strerror(number))
    return recorded_error(name, entry.says["fails"])


class ReplayedFrames:
    """A transport of nfcpy's."""

    port = device = "/dev/device"

    def __init__(self, player: Player) -> None:
        self._player = player
        self._names: list[str | None] = [None, None]
        self.baudrate = 0
        self.min_timeout_ms = 0
        self._fails("connect")
        entry = player.peek()
        self.TYPE = "USB" if entry is not None and "names" in entry.says else "TTY"
        if self.TYPE == "USB":
            self._names = player.take().says["names"]

    @property
    def manufacturer_name(self) -> str | None:
        """See nfcpy's transports."""
        return self._names[0]

    @property
    def product_name(self) -> str | None:
        """See nfcpy's transports."""
        return self._names[1]

    def _fails(self, what: str) -> None:
        """Raise the error of then, if it failed then."""
        self._player.check()
        entry = self._player.peek()
        if entry is not None and entry.says.get("fails") == what:
            raise _raised(self._player.take())

    def _take(self, key: str, got: str) -> Any:
        entry = self._player.peek()
        if entry is None or key not in entry.says:
            raise self._player.differs(entry, _expected(entry), got)
        return self._player.take().says[key]

    def open(self, port: str, baudrate: int) -> None:
        """See `sco_drivers.nfc.uart.Line`."""
        self._fails("open")
        entry = self._player.peek()
        if entry is not None and "open" in entry.says and entry.says.get("baud") != baudrate:
            raise self._player.differs(entry, f"that it is opened at {entry.says.get('baud')} baud", f"{baudrate} baud")
        self._take("open", f"that it is opened at {baudrate} baud")
        self.baudrate = baudrate

    def write(self, frame: bytes, timeout: int = 0) -> None:
        """See nfcpy's transports."""
        self._fails("write")
        player, got = self._player, bytes(frame)
        player.frames += 1
        entry = player.peek()
        if entry is None or entry.says.get(">") != got.hex():
            raise player.differs(entry, f"frame {player.frames} to be {_expected(entry)}", words.frame(got))
        player.take()

    def read(self, timeout: int = 0) -> bytearray:
        """See nfcpy's transports."""
        self._fails("read")
        return bytearray.fromhex(self._take("<", "that an answer is waited for"))

    def drain(self) -> None:
        """See `sco_drivers.nfc.uart.Line`."""
        self._fails("drain")

    def described(self, describe: Callable[[Any], bytes]) -> bytes:
        """See `sco_drivers.nfc.usb`."""
        self._fails("described")
        return bytes.fromhex(self._take("described", "that the device is described"))

    def close(self) -> None:
        """See nfcpy's transports. Never raises."""
        entry = self._player.peek()
        if self._player.difference is None and entry is not None and "close" in entry.says:
            self._player.take()


class ReplayedScard:
    """The binding `smartcard.scard`; its constants are pcsc-lite's."""

    SCARD_SCOPE_SYSTEM = 2
    SCARD_SHARE_EXCLUSIVE, SCARD_SHARE_DIRECT = 1, 3
    SCARD_PROTOCOL_T0, SCARD_PROTOCOL_T1 = 1, 2
    SCARD_LEAVE_CARD, SCARD_UNPOWER_CARD = 0, 2

    def __init__(self, player: Player) -> None:
        self._player = player

    @staticmethod
    def SCARD_CTL_CODE(number: int) -> int:  # noqa: N802 - its name there
        """See pcsc-lite's `reader.h`."""
        return 0x42000000 + number

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if not name.startswith("SCard"):
            raise AttributeError(name)
        return lambda *arguments: self._called(name, arguments)

    def _called(self, name: str, arguments: tuple[Any, ...]) -> Any:
        player = self._player
        player.check()
        entry = player.peek()
        if entry is None or entry.says.get("pcsc") != name:
            raise player.differs(entry, _expected(entry), f"{name} to be called")
        if name in ("SCardTransmit", "SCardControl"):
            player.frames += 1
            got = bytes(octet & 0xFF for octet in arguments[-1])
            then = bytes.fromhex(entry.says.get(">", ""))
            if got != then:
                expected = f"APDU {player.frames} to be {words.octets(then)}"
                raise player.differs(entry, expected, words.octets(got))
        return _result(name, player.take().says)


def _result(name: str, says: dict[str, Any]) -> Any:
    code, octets = says["code"], list(bytes.fromhex(says.get("<", "")))
    match name:
        case "SCardEstablishContext":
            return code, 1
        case "SCardListReaders":
            return code, says.get("names", [])
        case "SCardConnect":
            return code, 1, says.get("protocol", 0)
        case "SCardStatus":
            return code, "reader", 0, 0, octets
        case "SCardTransmit" | "SCardControl":
            return code, octets
        case _:
            return code
