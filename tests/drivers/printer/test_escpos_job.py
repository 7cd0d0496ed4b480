"""Code written for python-escpos, unchanged, on our port: what is on the paper, and what it learns of the printer."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from sco_drivers import open_printer
from sco_drivers.errors import DeviceTimeout
from sco_drivers.printer import Document, DocumentRefused, DuplicateTicket, PaperOut, Printer, PrintOutcome, Raw, Text
from sco_drivers.printer.layout import build
from sco_drivers.printer.profile import names, profile
from sco_drivers.printer.stream import tokens
from sco_sim.printer import VirtualPrinter
from tests.drivers.printer.test_documents import CHEAP, logo, read

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&sum=253&cur=RUB"


def receipt(p: Any) -> None:
    """As its documentation shows it, with what tills print."""
    p.hw("INIT")
    p.charcode("CP1251")
    p.set(align="center", bold=True, double_width=True, double_height=True)
    p.text("ООО «Ромашка»\n")
    p.set_with_default(align="left")
    p.image(Image.open(BytesIO(logo())), center=True)
    p.text("Хлеб\t90,00 ₽\n")
    p.text("Молоко ")
    p.textln("89,90")
    p.set(font="b")
    p.block_text("Товар надлежащего качества возврату не подлежит. " * 2)
    p.set(font="a")
    p.ln(2)
    p.barcode("4601234567893", "EAN13", 64, 2, "BELOW", "A")
    p.qr(LINK, size=4)
    p.cashdraw(2)
    p.cut()
    p.close()


MODELS: dict[str, tuple[str, int, dict[str, object]]] = {
    "unknown": ("profile=default", 80, {}),
    "epson": ("profile=TM-T20II", 80, {}),
    "cheap": ("profile=POS-5890", 58, CHEAP),
    "kiosk": ("profile=CUSTOM-VKP80", 80, {"presenter": True, "process_id": False, "clear_buffer": False}),
    "cp1251": ("profile=TM-T20II&codec=cp1251", 80, {}),
    "chinese": ("profile=POS-5890", 58, CHEAP | {"double_byte": True}),
}


def opened(paper: VirtualPrinter, more: str = "profile=TM-T20II") -> Printer:
    return open_printer(f"{paper.url}?status_s=0.2&write_s=1&done_s=2&settle_s=0.05&head_mm_s=1000&{more}")


@pytest.fixture
def paper() -> Iterator[VirtualPrinter]:
    with VirtualPrinter() as one:
        yield one


@pytest.mark.parametrize("name", MODELS)
def test_a_receipt_for_python_escpos_comes_out(name: str) -> None:
    params, paper_mm, traits = MODELS[name]
    with VirtualPrinter(paper_mm=paper_mm, **traits) as paper:  # type: ignore[arg-type]
        with opened(paper, params) as printer:
            with printer.escpos("r1") as p:
                receipt(p)
            assert (p.result.outcome, p.result.replaced) == (PrintOutcome.PRINTED, "")
            with pytest.raises(DuplicateTicket), printer.escpos("r1"):
                pass
        assert paper.wait_idle()
        lines = paper.text.splitlines()
        quoted = "«Ромашка»" if "cp1251" in params else '"Ромашка"'
        assert lines[0] == f"ООО {quoted}"
        assert lines[1:3] == ["Хлеб    90,00 руб.", "Молоко 89,90"]
        assert lines[3].startswith("Товар надлежащего")
        assert sorted(read(paper)) == ["4601234567893", LINK]
        assert paper.cuts == ("profile=POS" not in params)
        assert paper.state()["in_output"] is (name == "kiosk")
        assert "ESC p" in paper.commands


@pytest.mark.parametrize("model", ["profile=TM-T20II", "profile=POS-5890&paper_mm=80"])
def test_its_own_example_and_its_file_like_wrapper(paper: VirtualPrinter, tmp_path: Path, model: str) -> None:
    from escpos.escpos import EscposIO

    (tmp_path / "logo.png").write_bytes(logo())
    with opened(paper, model) as printer:
        with printer.escpos("r1") as kitchen:
            kitchen.text("Hello World\n")
            kitchen.image(str(tmp_path / "logo.png"))
            kitchen.barcode("4006381333931", "EAN13", 64, 2, "", "")
            kitchen.cut()
        with printer.escpos("r2") as p, EscposIO(p) as io:
            io.set(font="b", align="center", bold=True)
            io.writelines("строка", font="b")
        assert (kitchen.result.outcome, p.result.outcome) == (PrintOutcome.PRINTED, PrintOutcome.PRINTED)
    assert paper.text.splitlines() == ["Hello World", "4006381333931", "строка"]
    assert read(paper) == ["4006381333931"]


@pytest.mark.parametrize("model", ["profile=TM-T20II", "profile=POS-5890"])
@pytest.mark.parametrize(
    ("name", "data", "reads"),
    [("EAN13", "4601234567893", "4601234567893"), ("CODE128", "{BAb-12", "Ab-12"), ("itf", "1234", "1234")],
)
def test_bar_codes_by_the_names_of_python_escpos(
    model: str, name: str, data: str, reads: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cheap = "POS" in model
    with VirtualPrinter(paper_mm=58 if cheap else 80, **(CHEAP if cheap else {})) as paper:  # type: ignore[arg-type]
        with opened(paper, model) as printer, printer.escpos("r1") as p:
            p.barcode(data, name, 64, 2, function_type="B")
        assert read(paper) == [reads]
    assert capsys.readouterr().out == ""  # python-escpos reports there which way it takes


def test_a_bar_code_that_only_software_draws(paper: VirtualPrinter) -> None:
    with opened(paper) as printer, printer.escpos("r1") as p:
        p.barcode("9785050010469", "ISBN13", 64, 2)
        p.ln(5)
        p.barcode("4601234567893", "EAN13", 64, 2, force_software=True)
    assert sorted(read(paper)) == ["4601234567893", "9785050010469"]


def test_text_never_fails_and_what_was_replaced_is_reported(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        with printer.escpos("r1") as p:
            p.text("漢字 \x1b@ ünï \ud800 ₽\n")
        assert (p.result.outcome, p.result.replaced) == (PrintOutcome.PRINTED, "漢字\x1büï\ud800")
    assert paper.text == "?? ?@ ?n? ? руб."


def half_a_receipt(p: Any) -> None:
    p.text("половина чека")
    p.text(str(1 // 0))


def test_nothing_is_printed_when_the_block_raises(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        printer.status()
        before = paper.bytes_received
        with pytest.raises(ZeroDivisionError), printer.escpos("r1") as p:
            half_a_receipt(p)
        assert paper.bytes_received == before
        with printer.escpos("r1") as p:
            p.text("чек\n")
        assert p.result.outcome is PrintOutcome.PRINTED


def test_the_state_is_the_printers(paper: VirtualPrinter) -> None:
    with opened(paper) as printer, printer.escpos("r1") as p:
        assert (p.is_online(), p.paper_status()) == (True, 2)
        paper.load_paper(100)
        assert p.paper_status() == 1
        paper.run_out_of_paper()
        assert (p.is_online(), p.paper_status()) == (False, 0)
        paper.mute()
        with pytest.raises(DeviceTimeout):  # python-escpos takes silence for enough paper
            p.paper_status()
        paper.mute(False)
        paper.load_paper()


def test_a_fault_is_in_the_result(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        paper.run_out_of_paper()
        with printer.escpos("r1") as p:
            receipt(p)
        assert p.result.outcome is PrintOutcome.NOT_PRINTED
        assert isinstance(p.result.error, PaperOut)
        paper.load_paper()
        with printer.escpos("r1") as p:
            receipt(p)
        assert p.result.outcome is PrintOutcome.PRINTED
    assert paper.cuts == 1


@pytest.mark.parametrize(("codes_in_images", "outcome"), [(True, "unknown"), (False, "not_printed")])
def test_an_image_may_be_a_code_unless_the_caller_knows_better(
    paper: VirtualPrinter, codes_in_images: bool, outcome: str
) -> None:
    def print_one(name: str) -> Any:
        with printer.escpos(name, codes_in_images=codes_in_images) as p:
            p.image(Image.open(BytesIO(logo())))
            p.text("строка\n" * 20)
            p.cut()
        return p.result

    paper._machine.traits.head_mm_s = 200
    with opened(paper) as printer:
        assert print_one("r0").outcome is PrintOutcome.PRINTED
        paper.load_paper(40)
        assert print_one("r1").outcome.value == outcome


def test_a_code_as_an_image_counts_also_where_images_do_not(paper: VirtualPrinter) -> None:
    paper._machine.traits.head_mm_s = 200
    with opened(paper) as printer:
        for name, left_mm, outcome in (("r0", None, "printed"), ("r1", 60, "unknown")):
            paper.load_paper(left_mm)
            with printer.escpos(name, codes_in_images=False) as p:
                p.image(Image.open(BytesIO(logo())))
                p.qr(LINK, size=4)
                p.text("строка\n" * 20)
            assert p.result.outcome.value == outcome


def test_the_printers_own_qr_code_is_drawn_where_it_has_none() -> None:
    with VirtualPrinter(paper_mm=58, **CHEAP) as paper, opened(paper, "profile=POS-5890") as printer:  # type: ignore[arg-type]
        with printer.escpos("r1") as p:
            p.qr(LINK, size=5, native=True)
        assert p.result.outcome is PrintOutcome.PRINTED
        assert read(paper) == [LINK]
        assert "GS (" not in paper.commands


@pytest.mark.parametrize("impl", ["bitImageRaster", "graphics", "bitImageColumn"])
def test_each_way_to_print_an_image(paper: VirtualPrinter, impl: str) -> None:
    paper._machine.traits.raster_rows = 287
    with opened(paper) as printer:
        with printer.escpos("r1") as p:
            p.image(Image.open(BytesIO(logo(400, 160))).resize((400, 600)), impl=impl)
        assert p.result.outcome is PrintOutcome.PRINTED
    height = sum(mark.printed for mark in paper.tickets[0].marks if mark.kind == "bitmap")
    assert (height, paper.text.strip()) == (600, "")


REAL_TIME = b"\x10\x04\x01\x10\x05\x02\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08"
QUESTIONS = b"\x1dI\x43\x1dr\x01\x1da\xff\x1d(H\x06\x00\x30\x30abcd"


def test_commands_that_would_disturb_the_job_are_left_out(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        printer.print_document(Document("r0", [Text("x")]))
        with printer.escpos("r1") as p:
            p.text("до\n")
            p._raw(REAL_TIME + QUESTIONS)
            p.text("после\n")
        assert p.result.outcome is PrintOutcome.PRINTED
        assert printer.status().ready.value == "yes"
    assert paper.text.split() == ["x", "до", "после"]


def test_a_code_page_that_the_caller_sets_is_left_again(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        with printer.escpos("r1") as p:
            p.text("Ёлка ")
            p._raw(b"\x1bt\x2e" + "Ёж ".encode("cp1251"))
            p.text("Ёлка\n")
        assert p.result.outcome is PrintOutcome.PRINTED
    assert paper.text == "Ёлка Ёж Ёлка"


def test_a_line_that_is_not_ended_is_on_the_paper_too(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        with printer.escpos("r1") as p:
            p.text("конец чека")
        assert p.result.outcome is PrintOutcome.PRINTED
        assert paper.text == "конец чека"


@pytest.mark.parametrize("command", [b"\x1d(E\x03\x00\x01IN", b"\x1d(A\x02\x00\x00\x01"])
def test_the_printers_own_settings_are_not_changed(paper: VirtualPrinter, command: bytes) -> None:
    with opened(paper) as printer, pytest.raises(DocumentRefused, match="its own settings"):
        printer.print_document(Document("r", [Raw(command)]))


def test_many_commands_are_prepared_in_no_time() -> None:
    data = b"\x1bE\x01x\n" * 100_000
    start = time.process_time()
    assert sum(1 for _ in tokens(data)) == 300_000
    assert time.process_time() - start < 20  # 0.4 s; minutes, if each copied the rest


def test_a_drawer_kicked_in_real_time_is_opened_in_its_turn(paper: VirtualPrinter) -> None:
    with opened(paper) as printer:
        with printer.escpos("r1") as p:
            p._raw(b"\x10\x14\x01\x00\x02")
        assert p.result.outcome is PrintOutcome.PRINTED
    assert "ESC p" in paper.commands


def test_a_kiosk_printer_presents_one_ticket_at_a_time() -> None:
    with VirtualPrinter(presenter=True) as paper, opened(paper, "profile=CUSTOM-VKP80") as printer:
        two = Raw(b"one\n\x1dV\x00two\n\x1dV\x00")
        with pytest.raises(DocumentRefused, match="one ticket at a time"):
            printer.print_document(Document("r1", [two]))
        assert not paper.tickets


@pytest.mark.parametrize("name", names())
def test_the_profile_is_ours(name: str) -> None:
    from sco_drivers.printer.escpos_job import EscposJob

    model = profile(name)
    job = EscposJob(model, "ascii", lambda: pytest.fail("it asks for the state"), codes_in_images=True)
    assert job.profile.get_columns("a") == model.columns
    assert job.profile.profile_data["media"]["width"]["pixels"] == model.width_dots
    job.set(font="b", align="right", underline=1)
    job.text("x\n")
    job.cut()
    assert build(Document("r", [job.document]), model, codec="ascii").size


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"ab\ncd", [b"ab", b"\n", b"cd"]),
        (b"\x1b@\x1b!\x08x", [b"\x1b@", b"\x1b!\x08", b"x"]),
        (b"\x1dk\x02123\x00x", [b"\x1dk\x02123\x00", b"x"]),
        (b"\x1dk\x49\x03{B1x", [b"\x1dk\x49\x03{B1", b"x"]),
        (b"\x1dv0\x00\x01\x00\x02\x00\x0a\x1bx", [b"\x1dv0\x00\x01\x00\x02\x00\x0a\x1b", b"x"]),
        (b"\x1b*\x21\x02\x00123456\n", [b"\x1b*\x21\x02\x00123456", b"\n"]),
        (b"\x1b*\x00\x02\x0012\n", [b"\x1b*\x00\x02\x0012", b"\n"]),
        (b"\x1dV\x00\x1dVB\x00\x1dV\x01", [b"\x1dV\x00", b"\x1dVB\x00", b"\x1dV\x01"]),
        (b"\x1bD\x08\x10\x00x", [b"\x1bD\x08\x10\x00", b"x"]),
        (b"\x1d8L\x03\x00\x00\x00abcx", [b"\x1d8L\x03\x00\x00\x00abc", b"x"]),
        (b"\x1dL\x0a\x0ax", [b"\x1dL\x0a\x0a", b"x"]),
        (b"\x1bp\x00\x19\x19x", [b"\x1bp\x00\x19\x19", b"x"]),
        (b"\x1c.\x1c(C\x02\x00\x302x", [b"\x1c.", b"\x1c(C\x02\x00\x302", b"x"]),
    ],
)
def test_commands_are_told_apart(data: bytes, found: list[bytes]) -> None:
    assert [token for _, token in tokens(data)] == found


@pytest.mark.parametrize("cut_at", range(1, 12))
def test_a_command_that_is_cut_short_is_refused(cut_at: int) -> None:
    command = b"\x1dv0\x00\x01\x00\x04\x00\x01\x02\x03\x04"
    with pytest.raises(DocumentRefused, match="bytes more"):
        build(Document("r", [Raw(command[:cut_at])]), profile("TM-T88V"), codec="cp866")


@pytest.mark.parametrize("name", ["TM-T88V", "POS-5890", "CUSTOM-VKP80", "TM-U220"])
def test_any_bytes_are_prepared_or_refused(name: str) -> None:
    rng = random.Random(7)
    model = profile(name)
    refused = 0
    for n in range(4000):
        choices = (*b"\x1b\x1c\x1d\x10", rng.randrange(256), rng.choice(b"(kL8v*V@" if n % 2 else b"a01pqA"))
        data = bytes(rng.choice(choices) for _ in range(rng.randrange(1, 40)))
        if n % 4 == 0:
            body = bytes(
                rng.choice((48, 49, rng.choice((67, 69, 80, 81, 112, 50)), 2)) for _ in range(rng.randrange(6))
            )
            data = b"\x1d(" + rng.choice((b"k", b"L")) + len(body).to_bytes(2, "little") + body
        try:
            job = build(Document("r", [Raw(data)]), model, codec="cp866")
        except DocumentRefused:
            refused += 1
            continue
        assert b"\x10\x14\x08\x01\x03\x14\x01\x06\x02\x08" not in job.head + job.code + job.tail
    assert 0 < refused < 4000


def test_loading_it_leaves_logging_and_the_temporary_folder_alone(tmp_path: Path) -> None:
    program = (
        "import logging, sco_drivers.printer.escpos_job; "
        "assert not logging.getLogger().handlers; import tempfile, os; print(os.listdir(tempfile.gettempdir()))"
    )
    found = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
        env={"TMPDIR": str(tmp_path), "PYTHONPATH": ":".join(sys.path)},
    )
    assert found.stdout.strip() == "[]"
    assert tempfile.gettempdir()
    assert logging.getLogger()


def test_the_driver_does_not_load_python_escpos_before_it_is_asked_to() -> None:
    program = (
        "import sys, sco_drivers.printer.escpos as e; "
        "print([name for name in ('escpos.printer', 'yaml', 'PIL', 'barcode') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120)
    assert found.stdout.strip() == "[]"
