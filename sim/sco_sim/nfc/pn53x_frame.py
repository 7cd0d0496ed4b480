"""Frames between a host and a chip of the PN53x family: user manuals of PN532 (UM0701-02) and PN533 (UM0801-03).

ACK 00 00 FF 00 FF 00    NACK 00 00 FF FF 00 00    error 00 00 FF 01 FF 7F 81 00
normal information frame    00 00 FF LEN LCS       TFI ... DCS 00    up to 255 bytes TFI ...
extended information frame  00 00 FF FF FF LENM LENL LCS TFI ... DCS 00
"""

from __future__ import annotations

ACK = bytes.fromhex("0000ff00ff00")
NACK = bytes.fromhex("0000ffff0000")
ERROR = bytes.fromhex("0000ff01ff7f8100")
FROM_HOST, TO_HOST = 0xD4, 0xD5
_START = b"\x00\x00\xff"
_CONTROL = len(ACK)
_EXTENDED = b"\xff\xff"


def information(body: bytes) -> bytes:
    """The information frame around `body`, which begins with the frame identifier TFI; extended if it must be."""
    if len(body) < 256:
        head = bytes([len(body), -len(body) & 0xFF])
    else:
        size = len(body).to_bytes(2, "big")
        head = _EXTENDED + size + bytes([-sum(size) & 0xFF])
    return _START + head + body + bytes([-sum(body) & 0xFF, 0])


def cut(buffer: bytearray) -> bytes | None:
    """Remove the next frame from `buffer`, with anything before it and frames with a wrong checksum.

    Returns:
        `ACK`, `NACK`, or the body of an information frame, TFI first; None if there is no whole frame.
    """
    while True:
        at = buffer.find(_START)
        if at < 0:
            del buffer[: -len(_START) + 1]
            return None
        del buffer[:at]
        if len(buffer) < _CONTROL:
            return None
        if bytes(buffer[:_CONTROL]) in (ACK, NACK):
            control = bytes(buffer[:_CONTROL])
            del buffer[:_CONTROL]
            return control
        size = _body_at(buffer)
        if size is None:
            return None
        first, length = size
        if not length:
            del buffer[: len(_START)]
            continue
        end = first + length + 2
        if len(buffer) < end:
            return None
        body, whole = bytes(buffer[first : first + length]), sum(buffer[first : end - 1]) & 0xFF == 0
        del buffer[:end]
        if whole:
            return body


def _body_at(buffer: bytearray) -> tuple[int, int] | None:
    """Start and length of the body; length 0 for a wrong length checksum; None if more bytes are needed."""
    if buffer[3:5] != _EXTENDED:
        return 5, buffer[3] if (buffer[3] + buffer[4]) & 0xFF == 0 else 0
    if len(buffer) < 8:
        return None
    return 8, int.from_bytes(buffer[5:7], "big") if sum(buffer[5:8]) & 0xFF == 0 else 0
