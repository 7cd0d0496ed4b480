"""Octets and frames in words, for a difference between a trace and a driver."""

from __future__ import annotations

_NAMES = {0x1B: "ESC", 0x1D: "GS", 0x1C: "FS", 0x10: "DLE", 0x0A: "LF", 0x0D: "CR", 0x02: "STX", 0x03: "ETX"}
_CHIP = {
    0x00: "Diagnose",
    0x02: "GetFirmwareVersion",
    0x06: "ReadRegister",
    0x08: "WriteRegister",
    0x10: "SetSerialBaudRate",
    0x12: "SetParameters",
    0x14: "SAMConfiguration",
    0x32: "RFConfiguration",
    0x40: "InDataExchange",
    0x42: "InCommunicateThru",
    0x44: "InDeselect",
    0x4A: "InListPassiveTarget",
    0x52: "InRelease",
}
_TAG = {0x30: "READ", 0xA2: "WRITE", 0x3A: "FAST_READ", 0x60: "GET_VERSION", 0x1B: "PWD_AUTH", 0x3C: "READ_SIG"}
_LONGEST = 24


def octets(data: bytes) -> str:
    """Octets in hexadecimal and, where they are commands or text, in words."""
    more = f" ... ({len(data)} octets)" if len(data) > _LONGEST else ""
    data = data[:_LONGEST]
    words = " ".join(_NAMES.get(octet) or (chr(octet) if 0x21 <= octet < 0x7F else f"{octet:02x}") for octet in data)
    return f"{data.hex(' ')}{more} [{words}]" if data else "nothing"


def frame(data: bytes) -> str:
    """A frame of an NFC reader in hexadecimal, with the name of its command."""
    shown = data[:_LONGEST].hex(" ") + (f" ... ({len(data)} octets)" if len(data) > _LONGEST else "")
    at = data.find(b"\xd4")
    if at < 0 or at + 1 >= len(data):
        return shown
    name = _CHIP.get(data[at + 1], f"command {data[at + 1]:02x}")
    if data[at + 1] in (0x40, 0x42) and at + 2 < len(data):
        inner = data[at + 2 + (data[at + 1] == 0x40) :]
        if inner:
            page = f" page {inner[1]}" if inner[0] in (0x30, 0xA2, 0x3A) and len(inner) > 1 else ""
            name += f": {_TAG.get(inner[0], f'{inner[0]:02x}')}{page}"
    return f"{shown} [{name}]"
