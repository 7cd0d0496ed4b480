"""The simulated printer on ESC/POS that other programs send: rendered, or counted as ignored; nothing ends it."""

from __future__ import annotations

import random
import socket

import pytest
import zxingcpp
from PIL import Image

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
        (GS + b"k\x01" + b"01234565\x00", "GS k"),  # UPC-E
        (GS + b"k\x48\x03ABC", "GS k"),  # CODE93
        (GS + b"k\x4b\x03123", "GS k"),  # DataBar
        (GS + b"k\x63\x03123", "GS k"),
        (ESC + b"&\x03\x41\x42\x02" + b"123456" + b"\x01" + b"789", "ESC &"),
        (ESC + b"t\xfe", "ESC t"),
        (FS + b"p\x01\x30", "FS p"),
        (GS + b"/0", "GS /"),
        (GS + b"Q00\x02\x00\x02\x00ABCD", "GS Q"),
        (FS + b"g10\x00\x00\x00\x00\x03\x00ABC", "FS g"),
        (FS + b"2\x80\x41" + b"A" * 72, "FS 2"),
        (GS + b"c", "GS c"),
        (GS + b"C0\x03\x01", "GS C"),
        (GS + b"C1\x01\x00\x09\x00\x01\x01", "GS C"),
        (GS + b"g0\x00\x41\x00", "GS g"),
        (GS + b"(D\x03\x00\x14\x01\x00", "GS ( D"),
        (GS + b"(k\x04\x002A2\x00", "GS ( k"),  # MaxiCode
    ],
)
def test_what_is_not_rendered_is_skipped_whole_and_counted(data: bytes, name: str) -> None:
    paper = printed(b"before\n" + data + b"after\n")
    assert paper.text == "before\nafter"
    assert paper.state()["ignored"] == {name: 1}


@pytest.mark.parametrize(
    ("data", "note"),
    [
        (ESC + b"p\x00\x19\xfa", "drawer 1 opens, 50 ms"),
        (ESC + b"p1\x64\x64", "drawer 2 opens, 200 ms"),
        (b"\x10\x14\x01\x00\x02", "drawer 1 opens, 200 ms"),
    ],
)
def test_a_pulse_to_a_drawer_is_named_beside_the_paper_and_not_counted(data: bytes, note: str) -> None:
    paper = printed(b"before\n" + data + b"after\n")
    assert paper.text == "before\nafter"
    assert [(mark.kind, mark.note) for mark in paper.tickets[0].marks if mark.note] == [("pulse", note)]
    assert paper.image().width > printed(b"before\nafter\n").image().width
    assert paper.state()["ignored"] == {}


def test_what_is_for_another_device_is_not_printed() -> None:
    paper = printed(b"paper\n" + ESC + b"=\x02" + b"display\x0c" + GS + b"V\x00" + ESC + b"=\x01" + b"again\n")
    assert paper.text == "paper\nagain"
    assert paper.cuts == 0
    assert paper.state()["ignored"] == {}


def rows_of(paper: VirtualPrinter) -> list[tuple[bytes, ...]]:
    return [mark.rows for mark in paper.tickets[0].marks if mark.kind == "bitmap"]


def test_stored_pictures_are_printed_where_they_are_called_for() -> None:
    # One column of eight a byte: the top dot, then the bottom dot, and so on.
    data = b"\x80\x01" * 4
    rows = (b"\x01\x00" * 4, *(bytes(8),) * 6, b"\x00\x01" * 4)
    assert rows_of(printed(FS + b"q\x01\x01\x00\x01\x00" + data + FS + b"p\x01\x00")) == [rows]
    assert rows_of(printed(GS + b"*\x01\x01" + data + GS + b"/\x00")) == [rows]
    wide = tuple(bytes(dot for dot in row for _ in range(2)) for row in rows)
    assert rows_of(printed(GS + b"*\x01\x01" + data + GS + b"/\x01")) == [wide]
    again = printed(FS + b"q\x01\x01\x00\x01\x00" + data + ESC + b"@" + FS + b"p\x01\x00" + GS + b"/\x00")
    assert rows_of(again) == [rows]
    assert again.state()["ignored"] == {"GS /": 1}


def test_upside_down_lines_are_the_same_picture_turned() -> None:
    upright, turned = printed(b"Tea 12,00\n"), printed(ESC + b"{\x01" + b"Tea 12,00\n" + ESC + b"{\x00")
    assert turned.text == upright.text

    def line(paper: VirtualPrinter) -> Image.Image:
        return paper.image().crop((32, 24, 32 + 576, 24 + 34))

    assert list(line(turned).rotate(180).get_flattened_data()) == list(line(upright).get_flattened_data())


def test_turned_characters_take_their_height_as_width() -> None:
    paper = printed(ESC + b"V\x01" + b"x" * 25 + b"\n")
    assert paper.text == "x" * 24 + "\nx"
    assert paper.image().getextrema()[0] == 0


def lines_from(barcode: bytes, *before: bytes) -> bytes:
    return b"".join(before) + b"\n" + barcode + b"\n" + GS + b"V\x42\x10"


def code128(text: bytes) -> bytes:
    return GS + b"k\x49" + bytes((len(text),)) + text


BARCODES = [
    ("UPC-A", GS + b"k\x00036000291452\x00", "036000291452"),
    ("UPC-A", GS + b"k\x41\x0b03600029145", "036000291452"),
    ("EAN-13", GS + b"k\x02400638133393\x00", "4006381333931"),
    ("EAN-13", GS + b"k\x43\x0d4006381333931", "4006381333931"),
    ("EAN-8", GS + b"k\x0396385074\x00", "96385074"),
    ("EAN-8", GS + b"k\x44\x079638507", "96385074"),
    ("CODE39", GS + b"k\x04C-2 $/+%.\x00", "C-2 $/+%."),
    ("CODE39", GS + b"k\x45\x06*ABCD*", "ABCD"),
    ("ITF", GS + b"k\x050123456789\x00", "0123456789"),
    ("ITF", GS + b"k\x46\x0712345670", "123456"),
    ("CODABAR", GS + b"k\x06A12-34:5/6.7+8$B\x00", "A12-34:5/6.7+8$B"),
    ("CODABAR", GS + b"k\x47\x09c1234567d", "C1234567D"),
    ("CODE128", code128(b"{BNo.{C\x0c\x22{AZ{Sx{B{{9"), "No.1234Zx{9"),
    ("CODE128", code128(b"{A\x01AB\x1f"), "\x01AB\x1f"),
    ("CODE128", code128(b"{C\x00\x63\x2a"), "009942"),
]


@pytest.mark.parametrize("dots", [2, 3])
@pytest.mark.parametrize(("kind", "barcode", "text"), BARCODES)
def test_a_scanner_reads_barcodes_from_the_paper(kind: str, barcode: bytes, text: str, dots: int) -> None:
    paper = printed(lines_from(barcode, GS + b"w" + bytes((dots,)), GS + b"h\x50", ESC + b"a\x01"))
    (code,) = paper.codes
    assert (code.kind, code.text) == (kind, text)
    assert paper.state()["ignored"] == {}
    (found,) = zxingcpp.read_barcodes(paper.image())
    assert found.bytes.decode() == ("0" + text if kind == "UPC-A" else text)  # it is read as an EAN-13


def test_a_barcode_has_the_height_the_width_and_the_text_that_were_set() -> None:
    settings = GS + b"w\x02" + GS + b"h\x40" + GS + b"H\x02" + GS + b"f\x01" + ESC + b"a\x02"
    paper = printed(lines_from(GS + b"k\x02400638133393\x00", settings))
    (mark,) = [one for one in paper.tickets[0].marks if one.kind == "bitmap"]
    assert (mark.width, mark.height) == (95 * 2, 64)
    assert paper.text.strip() == "4006381333931"
    (line,) = [one for one in paper.tickets[0].marks if one.kind == "text"]
    assert line.left(13 * 9, paper.paper) == 576 - 190 + (190 - 13 * 9) // 2
    again = printed(settings + lines_from(GS + b"k\x02400638133393\x00", ESC + b"@"))
    assert again.text == ""
    assert [one.height for one in again.tickets[0].marks if one.kind == "bitmap"] == [162]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (GS + b"k\x02" + b"4006381333932\x00", "check digit should be 1"),
        (GS + b"k\x02" + b"40063\x00", "12 or 13 digits"),
        (GS + b"k\x04abc\x00", "small letters"),
        (GS + b"k\x05" + b"12x4\x00", "ITF"),
        (GS + b"k\x06" + b"1234\x00", "CODABAR"),
        (code128(b"1234"), "begins with"),
        (code128(b"{C\x64"), "octet 100"),
        (code128(b"{B" + b"x" * 100), "wider than 576"),
        (GS + b"k\x45\x00", "CODE39"),
        (GS + b"k\x47\x00", "CODABAR"),
    ],
)
def test_a_barcode_that_cannot_be_is_noted_beside_the_paper(data: bytes, reason: str) -> None:
    paper = printed(b"before\n" + data + b"after\n")
    assert paper.text == "before\nafter"
    assert paper.state()["ignored"] == {"GS k": 1}
    (note,) = [one.note for one in paper.tickets[0].marks if one.kind == "note"]
    assert reason in note
    assert paper.image().width > printed(b"before\nafter\n").image().width


def pdf417(text: bytes, *settings: bytes) -> bytes:
    def command(body: bytes) -> bytes:
        return GS + b"(k" + len(body).to_bytes(2, "little") + body

    return b"".join(command(b"0" + one) for one in (*settings, b"P0" + text, b"Q0"))


@pytest.mark.parametrize(
    "settings",
    [(), (b"A\x05",), (b"B\x14",), (b"C\x02", b"D\x04"), (b"E05",), (b"E1\x01",), (b"F\x01",)],
    ids=["plain", "columns", "rows", "sizes", "level", "ratio", "compact"],
)
def test_a_scanner_reads_pdf417_from_the_paper(settings: tuple[bytes, ...]) -> None:
    text = "Чек 17, 253,00 RUB; " * 4
    paper = printed(pdf417(text.encode(), *settings) + GS + b"V\x42\x10")
    (code,) = paper.codes
    assert (code.kind, code.text) == ("PDF417", text)
    assert [one.bytes.decode() for one in zxingcpp.read_barcodes(paper.image())] == [text]


def test_pdf417_settings_are_obeyed() -> None:
    def size(*settings: bytes) -> tuple[int, int]:
        (mark,) = [one for one in printed(pdf417(b"x" * 60, *settings)).tickets[0].marks if one.kind == "bitmap"]
        return mark.width, mark.height

    width, height = size(b"A\x05")
    assert width == (69 + 5 * 17) * 3
    assert size(b"A\x05", b"C\x02") == (width // 3 * 2, height // 3 * 2)
    assert size(b"A\x05", b"D\x06") == (width, height * 2)
    assert size(b"A\x05", b"F\x01")[0] < width
    assert size(b"A\x05", b"E05")[1] > size(b"A\x05", b"E01")[1]


def test_pdf417_that_cannot_be_is_noted() -> None:
    paper = printed(pdf417(b"x" * 3000) + pdf417(b"x" * 60, b"A\x1e") + b"after\n")
    assert paper.text == "after"
    assert paper.state()["ignored"] == {"GS ( k": 2}


def test_a_code_that_the_model_does_not_draw_is_noted_once() -> None:
    body = b"1P0https://qr.nspk.ru/"
    store = GS + b"(k" + len(body).to_bytes(2, "little") + body
    paper = printed(store + GS + b"(k\x03\x001Q0" + pdf417(b"x"), native_qr=False)
    assert paper.state()["ignored"] == {"GS ( k": 2}
    assert not paper.codes


def test_notes_do_not_hide_the_code_beside_them() -> None:
    paper = printed((GS + b"c") * 3 + lines_from(BARCODES[3][1], ESC + b"a\x02") + GS + b"g0\x00\x41\x00" + b"end\n")
    assert paper.state()["ignored"] == {"GS c": 3, "GS g": 1}
    assert [one.text for one in zxingcpp.read_barcodes(paper.image())] == ["4006381333931"]


def test_a_code_that_no_symbol_holds_ends_nothing() -> None:
    body = b"1P0" + b"x" * 1300
    store = GS + b"(k" + len(body).to_bytes(2, "little") + body
    paper = printed(GS + b"(k\x03\x001E3" + store + GS + b"(k\x03\x001Q0" + b"after\n")
    assert paper.text == "after"
    assert not paper.codes
    assert paper.state()["ignored"] == {"GS ( k": 1}


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
