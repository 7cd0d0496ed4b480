"""Frames between a host and an NFC Port-100, as nfcpy's driver and Linux's `port100` send and read them.

ACK 00 00 FF 00 FF 00    error 00 00 FF FF FF
data 00 00 FF FF FF LENL LENM LCS D6/D7 ... DCS 00    LEN counts from D6/D7 up to DCS (excluded)
"""

from __future__ import annotations

import struct

ACK = bytes.fromhex("0000ff00ff00")
ERROR = bytes.fromhex("0000ffffff")
FROM_HOST, TO_HOST = 0xD6, 0xD7
_START = bytes.fromhex("0000ffffff")
_HEAD, _TAIL = 8, 2


def information(body: bytes) -> bytes:
    """The data frame around `body`, which begins with the direction."""
    size = struct.pack("<H", len(body))
    return _START + size + bytes([-sum(size) & 0xFF]) + body + bytes([-sum(body) & 0xFF, 0])


def body_of(frame: bytes) -> bytes | None:
    """The body of a data frame, direction first; None if it is not one or a checksum is wrong."""
    body = frame[_HEAD:-_TAIL]
    return body if body and frame == information(body) else None
