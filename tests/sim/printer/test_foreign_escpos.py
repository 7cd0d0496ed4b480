"""The simulated printer on ESC/POS that other programs send: rendered, or counted as ignored; nothing ends it."""

from __future__ import annotations

import random
import socket

import pytest

from sco_sim.printer import VirtualPrinter
from sco_sim.printer.decoder import next_command
from sco_sim.printer.roll import CODE_PAGES

ESC, FS, GS = b"\x1b", b"\x1c", b"\x1d"


def printed(data: bytes, **traits: object) -> VirtualPrinter:
    with VirtualPrinter(**traits) as paper:  # type: ignore[arg-type]
        host, port = paper.url.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), 5) as wire:
            wire.sendall(data)
            assert paper.wait_for(lambda one: one.bytes_received == len(data))
        assert paper.wait_idle()
    return paper


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"Tea" + ESC + b"$\xf0\x00" + b"12,00\n", "Tea" + " " * 17 + "12,00"),
        (b"Tea" + ESC + b"\\\x30\x00" + b"12,00\n", "Tea    12,00"),
        (ESC + b"D\x0a\x14\x00" + b"a\tb\tc\n", "a" + " " * 9 + "b" + " " * 9 + "c"),
        (GS + b"W\x78\x00" + b"0123456789abc\n", "0123456789\nabc"),
    ],
)
def test_positions_tabs_and_print_area(data: bytes, text: str) -> None:
    paper = printed(data)
    assert paper.text == text
    assert paper.state()["ignored"] == {}


@pytest.mark.parametrize("number", CODE_PAGES)
def test_code_pages(number: int) -> None:
    octet = next(n for n in range(0xC0, 0x100) if bytes((n,)).decode(CODE_PAGES[number], "ignore").isprintable())
    paper = printed(ESC + b"t" + bytes((number, octet)) + b"\n")
    assert paper.text == bytes((octet,)).decode(CODE_PAGES[number])
    image = paper.image()
    assert image.getextrema()[0] == 0


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (GS + b"k\x02" + b"4006381333931\x00", "GS k"),
        (GS + b"k\x49\x04{Bab", "GS k"),
        (ESC + b"&\x03\x41\x42\x02" + b"123456" + b"\x01" + b"789", "ESC &"),
        (FS + b"q\x01\x01\x00\x01\x00" + b"A" * 8, "FS q"),
        (GS + b"*\x01\x02" + b"A" * 16, "GS *"),
        (GS + b"C0\x03\x01", "GS C"),
        (GS + b"C1\x01\x00\x09\x00\x01\x01", "GS C"),
        (GS + b"g0\x00\x41\x00", "GS g"),
        (ESC + b"{\x01", "ESC {"),
        (ESC + b"V\x01", "ESC V"),
        (ESC + b"=\x01", "ESC ="),
        (GS + b"(D\x03\x00\x14\x01\x00", "GS ( D"),
        (GS + b"(k\x03\x000A\x00", "GS ( k"),  # PDF417
    ],
)
def test_what_is_not_rendered_is_skipped_whole_and_counted(data: bytes, name: str) -> None:
    paper = printed(b"before\n" + data + b"after\n")
    assert paper.text == "before\nafter"
    assert paper.state()["ignored"] == {name: 1}


def test_a_code_that_no_symbol_holds_ends_nothing() -> None:
    body = b"1P0" + b"x" * 1300
    store = GS + b"(k" + len(body).to_bytes(2, "little") + body
    paper = printed(GS + b"(k\x03\x001E3" + store + GS + b"(k\x03\x001Q0" + b"after\n")
    assert paper.text == "after"
    assert not paper.codes


def test_real_time_octets_in_a_picture_are_executed_and_stay_data() -> None:
    rows = [b"\xff\x10\x04\x01\x10\x05\x02\xff"] * 8
    picture = GS + b"v0\x00\x08\x00\x08\x00" + b"".join(rows)
    with VirtualPrinter() as paper:
        host, port = paper.url.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), 5) as wire:
            wire.settimeout(5)
            wire.sendall(picture + b"after\n")
            answers = b""
            while len(answers) < 8:
                answers += wire.recv(64)
            assert paper.wait_for(lambda one: one.text == "after")
    (mark,) = [one for one in paper.tickets[0].marks if one.kind == "bitmap"]
    bits = [bytes(byte >> shift & 1 for byte in rows[0] for shift in range(7, -1, -1))] * 8
    assert list(mark.rows) == bits


@pytest.mark.parametrize("seed", range(30))
def test_no_input_ends_it(seed: int) -> None:
    noise = random.Random(seed)
    data = bytearray()
    for _ in range(60):
        data += noise.choice((ESC, FS, GS, b"\x10", b"")) + noise.randbytes(noise.randrange(12))
    data += bytes(200_000) + ESC + b"@" + b"\nalive\n"
    with VirtualPrinter() as paper:
        host, port = paper.url.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), 5) as wire:
            wire.sendall(data)
            assert paper.wait_for(lambda one: one.bytes_received == len(data), 60)
        paper.power_off()
        paper.power_on()
        with socket.create_connection((host, int(port)), 5) as wire:
            wire.sendall(ESC + b"@alive\n")
            assert paper.wait_for(lambda one: one.text.endswith("alive"), 20)


def test_every_command_is_taken_apart() -> None:
    noise = random.Random(1)
    for _ in range(20_000):
        data = noise.choice((ESC, FS, GS, b"\x10")) + noise.randbytes(noise.randrange(1, 40))
        command = next_command(data)
        assert command is None or 0 < command.length <= len(data)
