"""Receipts and other documents: what is on the paper, what a scanner reads, what is refused, and what came out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image, ImageChops, ImageDraw

from sco_drivers import open_printer
from sco_drivers.printer import (
    Alignment,
    Barcode,
    Bitmap,
    Column,
    Columns,
    CutPaper,
    Document,
    DocumentRefused,
    DuplicateTicket,
    Feed,
    Font,
    Item,
    Line,
    OpenDrawer,
    PaperOut,
    Printer,
    PrintOutcome,
    QrCode,
    Raw,
    RuledLine,
    Style,
    Symbology,
    Text,
    TextPosition,
    Ticket,
    commands,
)
from sco_drivers.printer.layout import build, codec_of, columns_in
from sco_drivers.printer.profile import names, profile
from sco_sim.printer import VirtualPrinter

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
CHEAP = {"native_qr": False, "process_id": False, "clear_buffer": False, "asb": False}


def logo(width: int = 240, height: int = 60) -> bytes:
    picture = Image.new("RGBA", (width, height), (255, 255, 255, 0))  # transparent, as logos are
    draw = ImageDraw.Draw(picture)
    draw.ellipse((4, 4, height - 4, height - 4), fill=(0, 0, 0, 255))
    draw.rectangle((height + 8, 8, width - 8, height - 8), fill=(120, 120, 120, 255))
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def receipt(name: str = "r1", *more: Item, **changes: object) -> Document:
    items = (
        Bitmap(logo()),
        Text("ООО «Ромашка»", bold=True, width=2, height=2, alignment=Alignment.CENTRE),
        Text("ИНН 7701234567", font=Font.B, alignment=Alignment.CENTRE),
        Columns(["Хлеб бородинский нарезной «Коломенское»", "2 x 45,00", "90,00"]),
        Columns(["Молоко", "89,90"]),
        Columns(["ИТОГО", "179,90 ₽"], bold=True, height=2),
        Text("Спасибо за покупку", underline=True, alignment=Alignment.RIGHT),
        *more,
    )
    return Document(name, items, **changes)  # type: ignore[arg-type]


def opened(paper: VirtualPrinter, more: str = "profile=TM-T88V&dpi=203") -> Printer:
    head = "" if "head_mm_s" in more else "&head_mm_s=1000"
    return open_printer(f"{paper.url}?status_s=0.2&write_s=0.6&done_s=1.5&settle_s=0.05&{more}{head}")


def read(paper: VirtualPrinter) -> list[str]:
    return [code.text for one in paper.tickets for code in zxingcpp.read_barcodes(one.image())]


@pytest.fixture
def paper() -> Iterator[VirtualPrinter]:
    with VirtualPrinter() as one:
        yield one


# --- what is on the paper ---


def test_a_receipt_comes_out(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        result = printer.print_document(receipt())
        assert (result.outcome, result.error, result.replaced) == (PrintOutcome.PRINTED, None, "")
    (one,) = paper.tickets
    assert one.cut
    assert one.text.splitlines() == [
        'ООО "Ромашка"',
        "ИНН 7701234567",
        "Хлеб бородинский нарезной  2 x 45,00 90,00",
        '"Коломенское"',
        "Молоко                               89,90",
        "ИТОГО                          179,90 руб.",
        "Спасибо за покупку",
    ]
    styles = [run.style for mark in one.marks for run in mark.runs]
    assert [(style.width, style.height, style.bold) for style in styles[:1]] == [(2, 2, True)]
    assert [style.font for style in styles[:3]] == ["A", "B", "A"]
    assert [(style.height, style.bold, style.underline) for style in styles[-2:]] == [
        (2, True, False),
        (1, False, True),
    ]
    assert [mark.align for mark in one.marks if mark.kind == "text"] == [1, 1, 0, 0, 0, 0, 2]


def test_a_logo_is_on_the_paper_as_it_is_in_the_file(paper: VirtualPrinter, tmp_path: Path) -> None:
    file = tmp_path / "logo.png"
    file.write_bytes(logo())
    with opened(paper, "profile=POS-5890&paper_mm=80") as printer:
        printer.print_document(Document("r", [Bitmap(str(file))]))
    marks = [mark for mark in paper.tickets[0].marks if mark.kind == "bitmap"]
    assert sum(mark.printed for mark in marks) == 60
    rows = b"".join(row for mark in marks for row in mark.rows)
    printed = Image.frombytes("L", (240, 60), rows.translate(bytes((255, 0)) + bytes(254)))
    picture = Image.open(BytesIO(logo()))
    white = Image.new("RGBA", picture.size, (255, 255, 255, 255))
    white.alpha_composite(picture)
    assert not ImageChops.difference(printed, white.convert("L").convert("1").convert("L")).getbbox()


@pytest.mark.parametrize("width_mm", [10.0, 30.0, 500.0])
def test_a_picture_is_as_wide_as_asked_and_no_wider_than_the_paper(paper: VirtualPrinter, width_mm: float) -> None:
    with opened(paper) as printer:
        printer.print_document(Document("r", [Bitmap(logo(), width_mm=width_mm, alignment=Alignment.LEFT)]))
    mark = next(mark for mark in paper.tickets[0].marks if mark.kind == "bitmap")
    wanted = min(512, int(width_mm * 203 / 25.4))
    assert wanted <= mark.width < wanted + 8


def test_a_long_picture_is_sent_in_bands(paper: VirtualPrinter) -> None:
    paper._machine.traits.raster_rows = 287  # a board that takes the rest for text
    with opened(paper) as printer:
        printer.print_document(Document("r", [Bitmap(logo(800, 700), width_mm=50)]))
    height = sum(mark.printed for mark in paper.tickets[0].marks if mark.kind == "bitmap")
    assert height == round(700 * 399 / 800)
    assert not paper.text


def test_a_picture_never_reads_as_a_command(paper: VirtualPrinter) -> None:
    """A printer executes real-time commands wherever they are; `DLE DC4 8` would clear the receipt."""
    clear = bytes((0x10, 0x14, 8, 1, 3, 20, 1, 6, 2, 8))
    picture = Image.frombytes("1", (80, 4), bytes(byte ^ 255 for byte in clear * 4))
    file = BytesIO()
    picture.save(file, "PNG")
    with opened(paper) as printer:
        result = printer.print_document(Document("r", [Bitmap(file.getvalue()), Text("конец")]))
    assert (result.outcome, paper.text.strip()) == (PrintOutcome.PRINTED, "конец")
    assert paper.commands.count("DLE DC4") <= 1  # the one of the opening


def test_the_payments_ticket_is_such_a_document(paper: VirtualPrinter) -> None:
    ticket = Ticket("t1", LINK, above=(Line("253,00 руб.", Style.LARGE),), below=(Line("Оплатите до 12:34"),))
    model = profile("TM-T88V", dpi=203)
    assert build(ticket, model, codec="cp866") == build(ticket.document, model, codec="cp866")
    with opened(paper) as printer:
        assert printer.print_ticket(ticket).outcome is PrintOutcome.PRINTED
        with pytest.raises(DuplicateTicket):
            printer.print_document(ticket.document)


CODES = [
    (Symbology.UPC_A, "01234567890", "012345678905"),
    (Symbology.EAN13, "460123456789", "4601234567893"),
    (Symbology.EAN13, "4601234567893", "4601234567893"),
    (Symbology.EAN8, "4600001", "46000019"),
    (Symbology.CODE39, "AB-12 X", "AB-12 X"),
    (Symbology.ITF, "12345678", "12345678"),
    (Symbology.CODABAR, "A123456B", "A123456B"),
    (Symbology.CODE128, "Abc{12}", "Abc{12}"),
    (Symbology.CODE128, "01234567890123456789", "01234567890123456789"),
]


@pytest.mark.parametrize(("symbology", "data", "reads"), CODES, ids=lambda value: getattr(value, "value", value))
@pytest.mark.parametrize("model", ["profile=POS-5890", "profile=TM-T20II"], ids=["picture", "native"])
def test_a_bar_code_reads(model: str, symbology: Symbology, data: str, reads: str) -> None:
    cheap = "POS-5890" in model
    with VirtualPrinter(paper_mm=58 if cheap else 80, **(CHEAP if cheap else {})) as paper:  # type: ignore[arg-type]
        with opened(paper, model) as printer:
            document = Document("r", [Text("до"), Barcode(data, symbology), Text("после")])
            assert printer.print_document(document).outcome is PrintOutcome.PRINTED
        found = zxingcpp.read_barcodes(paper.image())
        assert [code.text.lstrip("0") for code in found] == [reads.lstrip("0")]  # UPC-A is an EAN with 0
        assert ("GS k" in paper.commands) is not cheap


@pytest.mark.parametrize("position", list(TextPosition))
def test_the_text_of_a_bar_code(position: TextPosition) -> None:
    with VirtualPrinter(paper_mm=58, **CHEAP) as paper:  # type: ignore[arg-type]
        with opened(paper, "profile=POS-5890") as printer:
            printer.print_document(Document("r", [Barcode("46000019", Symbology.EAN8, text_position=position)]))
        kinds = [mark.kind for mark in paper.tickets[0].marks if mark.kind in ("text", "bitmap")]
        wanted = {TextPosition.NONE: [], TextPosition.ABOVE: ["text"], TextPosition.BELOW: ["text"]}[position]
        assert [kind for kind in kinds if kind == "text"] == wanted
        assert kinds[0] == ("text" if position is TextPosition.ABOVE else "bitmap")


def test_an_unknown_printer_gets_pictures_until_it_has_proved_its_own_codes() -> None:
    board = {"native_qr": False, "process_id": False, "identity": False, "clear_buffer": False, "echoes_unknown": True}
    with VirtualPrinter(**board) as paper, opened(paper, "profile=default") as printer:  # type: ignore[arg-type]
        document = Document("r", [Barcode("4601234567893", Symbology.EAN13)])
        assert printer.print_document(document).outcome is PrintOutcome.PRINTED
        assert read(paper) == ["4601234567893"]
        assert "GS k" not in paper.commands


def test_a_bar_code_finer_than_the_head_is_refused_with_the_finest_module() -> None:
    code = Document("fine", [Barcode("2000000000008", Symbology.EAN13)])
    with pytest.raises(DocumentRefused, match="is too fine for 85 dots per inch") as found:
        build(code, profile("SP2000"), codec="cp866")
    assert found.value.hint == "give module_mm=0.60 or more"
    build(
        Document("fine", [Barcode("2000000000008", Symbology.EAN13, module_mm=0.6)]), profile("SP2000"), codec="cp866"
    )


@pytest.mark.parametrize(("more", "native"), [("", True), ("&barcodes=none", False)])
def test_an_unknown_printer_that_has_proved_itself_draws_its_bar_codes(
    paper: VirtualPrinter, more: str, native: bool
) -> None:
    with opened(paper, f"profile=default{more}") as printer:
        document = Document("r", [Barcode("4601234567893", Symbology.EAN13)])
        assert printer.print_document(document).outcome is PrintOutcome.PRINTED
        assert read(paper) == ["4601234567893"]
        assert ("GS k" in paper.commands) is native


@pytest.mark.parametrize("percentage", [None, 100, 50])
@pytest.mark.parametrize(("model", "kinds"), [("TM-T88V", {None: 66, 100: 65, 50: 66}), ("POS-5890", {})])
def test_kinds_of_cut(model: str, kinds: dict[int | None, int], percentage: int | None) -> None:
    job = build(Document("r", [Text("x"), CutPaper(percentage)]), profile(model), codec="cp866")
    assert not job.cut
    assert job.tail.endswith(bytes((0x1D, 0x56, kinds[percentage], 0)) if kinds else b"\n\n\n\n")


def test_no_cut_where_none_is_wanted() -> None:
    model = profile("TM-T88V")
    assert not build(Document("r", [Text("x")], cut=False), model, codec="cp866").cut
    assert build(Document("r", [Text("x"), OpenDrawer()]), model, codec="cp866").cut


def test_the_drawer_opens_and_nothing_is_printed(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        result = printer.print_document(Document("d", [OpenDrawer(2, 200)], cut=False))
        assert result.outcome is PrintOutcome.PRINTED
    assert "ESC p" in paper.commands
    assert not paper.tickets


def test_raw_commands_leave_nothing_behind(paper: VirtualPrinter) -> None:
    loud = b"\x1b@\x1b!\x38\x1ba\x02\x1bt\x00" + b"RAW"  # bold, large, on the right, another code page, no line feed
    with opened(paper) as printer:
        printer.print_document(Document("r", [Text("до"), Raw(loud), Text("Ёлка")]))
    (one,) = paper.tickets
    assert one.text.splitlines() == ["до", "RAW", "Ёлка"]
    last = [mark for mark in one.marks if mark.kind == "text"][-1]
    assert (last.align, last.runs[0].style.width, last.runs[0].style.bold) == (0, 1, False)


# --- columns ---


@pytest.mark.parametrize(
    ("cells", "room", "lines"),
    [
        ([("Хлеб", None, "l"), ("90,00", None, "r")], 20, ["Хлеб           90,00"]),
        ([("Хлеб ржаной круглый", None, "l"), ("90,00", None, "r")], 20, ["Хлеб ржаной    90,00", "круглый"]),
        ([("a", 4, "l"), ("b", 4, "r"), ("c", None, "l")], 20, ["a       b c"]),
        ([("Хлеб", None, "l"), ("1 234 567,00 руб.", None, "r")], 20, ["Хлеб                ", "   1 234 567,00 руб."]),
        ([("один", None, "r")], 10, ["      один"]),
        ([("x" * 30, None, "l"), ("y" * 30, None, "r")], 20, None),
    ],
)
def test_columns(cells: list[tuple[str, int | None, str]], room: int, lines: list[str] | None) -> None:
    sides = {"l": Alignment.LEFT, "r": Alignment.RIGHT}
    found = columns_in([Column(text, width, sides[side]) for text, width, side in cells], room)
    assert all(len(line) <= room for line in found)
    if lines is not None:
        assert found == lines


def test_an_amount_is_never_broken() -> None:
    for columns in range(16, 64):
        model = profile("default")._replace(columns=columns)
        job = build(Document("r", [Columns(["Сыр твёрдый", "0,312 x 899,00", "280,49"])]), model, codec="cp866")
        assert sum("280,49" in line for line in job.lines) == 1
        assert all(len(line) <= columns for line in job.lines)


# --- what is refused, before a byte is sent ---


REFUSED: list[tuple[str, Item, str]] = [
    ("TM-T88V", Barcode("46012345678", Symbology.EAN13), "12 or 13 digits"),
    ("TM-T88V", Barcode("4601234567890", Symbology.EAN13), "wrong check digit: it should be 3"),
    ("TM-T88V", Barcode("привет"), "ASCII"),
    ("TM-T88V", Barcode("\u0661" * 12, Symbology.EAN13), "12 or 13 digits"),
    ("TM-T88V", Barcode("A" * 80), "needs"),
    ("POS-5890", Barcode("A", Symbology.CODE93), "prints no code93 codes"),
    ("POS-5890", Barcode("A", Symbology.PDF417), "prints no PDF417 codes"),
    ("TM-U220", Bitmap(logo()), "prints no pictures"),
    ("TM-U220", Barcode("46000019", Symbology.EAN8), "prints no ean8 codes"),
    ("TM-U220", QrCode(LINK), "choose another profile"),
    ("OCD-100", OpenDrawer(), "opens no cash drawer"),
    ("TM-T88V", OpenDrawer(3), "there are 1 and 2"),
    ("TM-T88V", Bitmap("/nowhere/logo.png"), "cannot be read: No such file"),
    ("TM-T88V", Bitmap("\0"), "cannot be read"),
    ("TM-T88V", Bitmap(b"no picture"), "is not a readable picture"),
    ("TM-T88V", Bitmap(logo()[:100]), "is not a readable picture"),
    ("TM-T88V", Bitmap(logo(), width_mm=float("nan")), "at least 1 mm"),
    ("TM-T88V", Text("x", width=9), "1 to 8 times"),
    ("TM-T88V", Columns(["x"], height=0), "1 to 8 times"),
    ("TM-T88V", Columns([Column("x", 100)]), "a line has 42"),
    ("TM-T88V", Feed(101), "0 to 100"),
    ("TM-T88V", CutPaper(101), "0 to 100"),
    ("TM-T88V", Raw(b"text\x1d(k\x03"), "bytes more"),
    ("TM-T88V", Raw(b"\x1b=\x02line display"), "another device"),
    ("POS-5890", Raw(b"\x1dk\x02460123456789\x00"), "does not print this bar code"),
    ("TM-U220", Raw(b"\x1dv0\x00\x01\x00\x01\x00\xff"), "prints no pictures"),
    ("TM-T88V", Text("x\n" * 2000), "at most 3 m"),
    ("TM-T88V", Raw(b"\x1bE\x01" * 400_000), "more than 1000000 bytes"),
    ("CUSTOM-VKP80", CutPaper(), "one ticket at a time"),
]


@pytest.mark.parametrize(("model", "item", "words"), REFUSED)
def test_what_the_printer_lacks_is_refused_and_named(model: str, item: Item, words: str) -> None:
    with VirtualPrinter() as paper, opened(paper, f"profile={model}") as printer:
        printer.status()
        before = paper.bytes_received
        with pytest.raises(DocumentRefused, match=words) as found:
            printer.print_document(Document("r", [Text("до"), item, Text("после")]))
        assert found.value.url.startswith("tcp://")
        assert "item 2" in str(found.value) or "print it in parts" in str(found.value)
        assert paper.bytes_received == before
        assert printer.print_document(Document("r", [Text("x")])).outcome is not PrintOutcome.NOT_PRINTED


def test_an_empty_document_is_refused(paper: VirtualPrinter) -> None:
    with opened(paper) as printer, pytest.raises(DocumentRefused, match="empty"):
        printer.print_document(Document("r", []))


SAMPLES = "".join(map(chr, [*range(0x600), *range(0x2000, 0x2100), *range(0x600, 0x110000, 4999)]))


@pytest.mark.parametrize("name", names())
def test_any_text_is_printed_on_any_profile(name: str) -> None:
    model = profile(name)
    for codec in (codec_of(model, None), "utf-8"):
        for font in Font:
            items: list[Item] = [Text(SAMPLES[at : at + 30], font=font) for at in range(0, len(SAMPLES), 30)]
            items += [Columns([SAMPLES[at : at + 30], "1,00"], font=font) for at in range(0, len(SAMPLES), 300)]
            for at in range(0, len(items), 100):
                job = build(Document("r", items[at : at + 100]), model, codec=codec)
                room = max(model.columns, model.columns_b)
                assert all(len(line) <= room for line in job.lines)


@pytest.mark.parametrize("name", names())
def test_a_ruled_line_is_as_wide_as_the_paper(name: str) -> None:
    model = profile(name)
    for character, printed in (("=", "="), ("漢", "?"), ("", "-"), ("\n", "?")):
        job = build(Document("r", [RuledLine(character)]), model, codec="ascii")
        assert job.lines == (printed * model.columns,)


def test_a_printer_without_font_b_prints_in_a() -> None:
    model = profile("ZJ-5870")
    assert model.columns_b == 0
    job = build(Document("r", [Text("x" * 40, font=Font.B)]), model, codec="cp866")
    assert commands.FONT_B not in job.head + job.code
    assert job.lines == ("x" * 32, "x" * 8)


@pytest.mark.parametrize("name", names())
def test_every_profile_prints_each_part_or_refuses_it(name: str) -> None:
    """On a board that has what its profile says and prints the letters of every other command."""
    model = profile(name)
    traits = {
        "process_id": model.process_id is True,
        "clear_buffer": model.clear_buffers is True,
        "native_qr": bool(model.native_qr),
        "identity": model.identity,
        "asb": model.asb,
        "presenter": model.presenter != "none",
        "echoes_unknown": True,
    }
    narrow = model.width_dots <= 384
    parts: dict[str, Item] = {
        "logo": Bitmap(logo()),
        "ean": Barcode("4601234567893", Symbology.EAN13),
        "code": QrCode("https://qr.nspk.ru/A", 30),
        "drawer": OpenDrawer(),
    }
    with VirtualPrinter(paper_mm=58 if narrow else 80, **traits) as paper:  # type: ignore[arg-type]
        with opened(paper, f"profile={name}&dpi=203") as printer:
            refused = set()
            for part, item in parts.items():
                document = Document(part, [Text("total"), item, Columns(["a", "1,00"], font=Font.B)])
                try:
                    assert printer.print_document(document).outcome is PrintOutcome.PRINTED
                except DocumentRefused:
                    refused.add(part)
        assert paper.wait_idle()
        codes = {"ean": "4601234567893", "code": "https://qr.nspk.ru/A"}
        assert read(paper) == [text for part, text in codes.items() if part not in refused]
        assert paper.text.count("total") == paper.text.count("1,00") == len(parts) - len(refused)
        words = {"total", "a", "1,00", "4601234567893"}
        assert set(paper.text.split()) <= words, "letters of commands"
    assert (refused == set()) is (model.raster and model.drawer_pulse)


# --- printed, not printed, unknown ---


def test_the_same_receipt_is_never_printed_twice(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        assert printer.print_document(receipt()).outcome is PrintOutcome.PRINTED
        with pytest.raises(DuplicateTicket):
            printer.print_document(receipt())
        with pytest.raises(DuplicateTicket), printer.escpos("r1"):
            raise AssertionError("the block is entered")
    assert paper.cuts == 1


def test_an_expired_receipt_is_not_sent(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        printer.status()
        before = paper.bytes_received
        result = printer.print_document(receipt(valid_until=time.time() - 1))
        assert (result.outcome, paper.bytes_received) == (PrintOutcome.NOT_PRINTED, before)


def test_a_receipt_that_stopped_before_its_end_is_printed_again_with_a_heading(paper: VirtualPrinter) -> None:
    paper._machine.traits.head_mm_s = 200
    with opened(paper) as printer:
        assert printer.print_document(receipt("r0")).outcome is PrintOutcome.PRINTED
        paper.load_paper(25)
        result = printer.print_document(receipt())
        assert (result.outcome, result.fragment) == (PrintOutcome.NOT_PRINTED, True)
        assert "its end was reached" in result.evidence
        assert isinstance(result.error, PaperOut)
        paper.load_paper()
        assert printer.print_document(receipt()).outcome is PrintOutcome.PRINTED
    assert [ticket.text.count("Спасибо") for ticket in paper.tickets] == [1, 0, 1]
    assert paper.tickets[2].text.startswith("ПОВТОР")


def test_a_receipt_whose_code_is_out_is_not_printed_again(paper: VirtualPrinter) -> None:
    paper._machine.traits.head_mm_s = 200
    with opened(paper) as printer:
        assert printer.print_document(receipt("r0")).outcome is PrintOutcome.PRINTED
        paper.load_paper(55)
        document = Document("r1", [Text("до"), QrCode(LINK, 35), *[Text("после")] * 20])
        result = printer.print_document(document)
        assert (result.outcome, result.fragment) == (PrintOutcome.UNKNOWN, True)
        paper.load_paper()
        with pytest.raises(DuplicateTicket):
            printer.print_document(document)
    assert read(paper) == [LINK]


def test_a_long_receipt_has_time_to_come_out(paper: VirtualPrinter) -> None:
    """At 200 mm/s it takes 4 s; `write_s` and `done_s` are those of a ticket."""
    paper._machine.traits.head_mm_s = 200
    paper._machine.traits.buffer_bytes = 256
    with opened(paper, "profile=TM-T88V&dpi=203&head_mm_s=100") as printer:
        result = printer.print_document(Document("r", [Text(f"строка {n}") for n in range(200)]))
        assert result.outcome is PrintOutcome.PRINTED, result
