"""The simulators' frames against the examples of the PN532 user manual, and against noise."""

from __future__ import annotations

import pytest

from sco_sim.nfc.pn53x_frame import ACK, ERROR, NACK, cut, information


def test_frames_match_the_manual() -> None:
    assert information(bytes.fromhex("d402")) == bytes.fromhex("0000ff02fed4022a00")
    assert information(b"\x7f") == ERROR
    extended = information(bytes([0xD4, *bytes(264)]))
    assert extended[:8] == bytes.fromhex("0000ffffff0109f6")
    assert len(extended) == 8 + 265 + 2


@pytest.mark.parametrize("size", [1, 2, 254, 255, 256, 265])
def test_frames_are_found_in_noise_and_may_arrive_octet_by_octet(size: int) -> None:
    body = bytes([0xD4, *(at & 0xFF for at in range(size - 1))])
    stream = b"\x55\x55\x00" + ACK + information(body) + b"\x00\xff\x01" + NACK + information(body)
    buffer, got = bytearray(), []
    for octet in stream:
        buffer.append(octet)
        while (frame := cut(buffer)) is not None:
            got.append(frame)
    assert got == [ACK, body, NACK, body]


@pytest.mark.parametrize("at", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("size", [2, 256])
def test_a_wrong_octet_loses_only_its_own_frame(at: int, size: int) -> None:
    damaged = bytearray(information(bytes([0xD4, *bytes(size - 1)])))
    damaged[at] ^= 0x04
    buffer = bytearray(bytes(damaged) + information(b"\xd4\x02") * 2)
    got = []
    while (frame := cut(buffer)) is not None:
        got.append(frame)
    assert got[-1:] == [b"\xd4\x02"]
    assert set(got) == {b"\xd4\x02"}
