"""The ticket as bytes and lines: what is set how, what is refused, what a phone reads."""

from __future__ import annotations

import tracemalloc

import pytest
import zxingcpp

from sco_drivers import open_printer
from sco_drivers.printer import Line, PrintOutcome, Style, Ticket, TicketDoesNotFit, commands
from sco_drivers.printer.layout import MAX_LINES, CodeWay, build, codec_of, plan_code, wrap
from sco_drivers.printer.profile import names, profile
from sco_drivers.qr import QUIET_ZONE
from sco_sim.printer import VirtualPrinter

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
RUSSIAN = "Съешь ещё этих мягких французских булок № 7"


@pytest.mark.parametrize("codec", ["cp866", "cp1251", "utf-8"])
@pytest.mark.parametrize("way", ["native", "raster-doubled", "raster"])
@pytest.mark.parametrize("width", [58, 80])
def test_every_way_reads(codec: str, way: str, width: int) -> None:
    with VirtualPrinter(paper_mm=width) as paper:
        with open_printer(f"{paper.url}?paper_mm={width}&codec={codec}&qr={way}") as printer:
            result = printer.print_ticket(Ticket("t", LINK, (Line(RUSSIAN),)))
            assert (result.outcome, result.replaced) == (PrintOutcome.PRINTED, "")
        assert RUSSIAN.split() == paper.text.split() or "N 7" in paper.text.replace("\n", " ")
        assert [code.text for code in zxingcpp.read_barcodes(paper.image(), zxingcpp.BarcodeFormat.QRCode)] == [LINK]


@pytest.mark.parametrize("name", names())
def test_every_profile_prints_or_says_why_not(name: str) -> None:
    model = profile(name)
    ticket = Ticket("t", LINK, (Line(RUSSIAN), Line("253,00", Style.LARGE)))
    if not (model.native_qr or model.raster):
        with pytest.raises(TicketDoesNotFit, match="choose another profile"):
            build(ticket, model, codec=codec_of(model, None))
        return
    job = build(ticket, model, codec=codec_of(model, None))
    assert job.plan.side_dots <= model.width_dots
    assert all(len(line) <= model.columns for line in job.lines)


@pytest.mark.parametrize("qr_mm", [23.0, 25.0, 30.0, 40.0, 60.0, 72.0])
@pytest.mark.parametrize("way", ["native", "raster-doubled", "raster"])
def test_the_code_is_as_large_as_asked_with_its_quiet_zone(way: CodeWay, qr_mm: float) -> None:
    model = profile("default")
    plan = plan_code(LINK, qr_mm, model, way)
    side_mm = plan.side_dots * 25.4 / model.dpi
    assert side_mm <= qr_mm
    step = 2 if way == "raster-doubled" else 1
    assert side_mm > qr_mm - step * plan.matrix.full_size * 25.4 / model.dpi - 0.2
    assert plan.matrix.full_size == plan.matrix.size + 2 * QUIET_ZONE


@pytest.mark.parametrize("way", ["native", "raster-doubled", "raster"])
@pytest.mark.parametrize(("dpi", "motion"), [(203, 0), (180, 360), (203, 406)])
def test_the_quiet_zone_is_on_the_paper_whatever_the_motion_unit(way: CodeWay, dpi: int, motion: int) -> None:
    """Epson's printers feed half dots by `ESC J`, others whole ones."""
    with VirtualPrinter(dpi=dpi, motion_per_inch=motion) as paper:
        with open_printer(f"{paper.url}?dpi={dpi}&qr={way}") as printer:
            ticket = Ticket("t", LINK, (Line("253,00", Style.LARGE),), (Line("Спасибо"),))
            assert printer.print_ticket(ticket).outcome is PrintOutcome.PRINTED
        (one,) = paper.tickets
    kinds = [mark.kind for mark in one.marks]
    code, end = kinds.index("bitmap"), len(kinds) - kinds[::-1].index("bitmap")  # a raster may come in bands
    last_above, first_below = code - 1 - kinds[:code][::-1].index("text"), kinds.index("text", end)
    wanted = QUIET_ZONE * plan_code(LINK, ticket.qr_mm, profile("default", dpi=dpi), way).module_dots
    for gap in (one.marks[last_above + 1 : code], one.marks[end:first_below]):
        assert wanted <= sum(mark.printed for mark in gap) <= wanted + dpi / 6


BOARDS = ("default", "POS-5890", "NT-5890K", "ZJ-5870")


@pytest.mark.parametrize(("name", "codec"), [(name, codec) for name in BOARDS for codec in profile(name).code_pages])
def test_russian_comes_out_of_a_board_that_begins_in_chinese(name: str, codec: str) -> None:
    with VirtualPrinter(paper_mm=58, double_byte=True) as paper:
        with open_printer(f"{paper.url}?profile={name}&paper_mm=58&codec={codec}") as printer:
            assert printer.print_ticket(Ticket("t", LINK, (Line("Магазин у дома"),))).outcome is PrintOutcome.PRINTED
        assert paper.text.strip() == "Магазин у дома"


def test_the_highest_level_that_is_free_is_taken() -> None:
    model = profile("default")
    free = plan_code("https://qr.nspk.ru/A", 40.0, model)
    assert free.level == "Q"  # 20 bytes: a symbol of version 2 at M, and at Q as well
    assert plan_code("x" * 86, 40.0, model).level == "M"  # 84 is the most of version 5 at M
    tight = plan_code("x" * 230, 24.0, model, "raster")
    assert tight.level == "L"  # at M it would be a version larger, and its modules too small


def test_a_code_too_long_for_the_paper_says_by_how_much() -> None:
    with pytest.raises(TicketDoesNotFit, match=r"needs [0-9.]+ mm .* and 40\.0 mm are available"):
        plan_code("x" * 900, 40.0, profile("default"))
    with pytest.raises(TicketDoesNotFit, match="2953"):
        plan_code("x" * 3000, 72.0, profile("default"))
    with pytest.raises(TicketDoesNotFit, match=r"no link to print$"):  # sizes are not mentioned
        plan_code("", 40.0, profile("default"))


def test_a_sum_stays_on_one_line() -> None:
    model = profile("default", 58)
    short = build(Ticket("t", LINK, (Line("253,00\u00a0руб.", Style.LARGE),)), model, codec="cp866")
    long = build(Ticket("t", LINK, (Line("1\u00a0234\u00a0567,00\u00a0руб.", Style.LARGE),)), model, codec="cp866")
    assert short.lines == ("253,00 руб.",)
    assert commands.SIZE_DOUBLE in short.head
    assert long.lines == ("1 234 567,00 руб.",)
    assert commands.SIZE_TALL in long.head
    assert commands.SIZE_DOUBLE not in long.head


def test_a_plain_raster_where_a_doubled_one_is_too_coarse() -> None:
    model = profile("POS-5890", 58)
    assert plan_code(LINK, 40.0, model).way == "raster-doubled"
    assert plan_code(LINK, 20.0, model).way == "raster"


@pytest.mark.parametrize("name", ["TM-T88II", "TM-T88III", "TM-T88IV"])
def test_an_old_model_that_draws_no_code_gets_a_picture(name: str) -> None:
    assert plan_code(LINK, 40.0, profile(name)).way == "raster-doubled"


@pytest.mark.parametrize("name", ["TM-T88V", "TM-T20II"])
def test_a_preview_is_as_large_as_the_paper(name: str) -> None:
    """The simulated head has the model's dots."""
    with open_printer(f"sim://?profile={name}") as printer:
        assert printer.simulator.paper.dpi == profile(name).dpi  # type: ignore[attr-defined]


def test_too_many_lines() -> None:
    with pytest.raises(TicketDoesNotFit, match=f"{MAX_LINES} are allowed"):
        build(Ticket("t", LINK, (Line("x\n" * (MAX_LINES + 1)),)), profile("default"), codec="cp866")


@pytest.mark.parametrize("char", ["\x10", "\x1b", "\x00", "\x1d", "\x7f\x10"])
def test_text_is_never_sent_as_a_command(char: str) -> None:
    """What a caller puts into a line never reaches the printer as a command."""
    plain = build(Ticket("t", LINK, (Line("ab"),)), profile("default"), codec="cp866")
    odd = build(Ticket("t", LINK, (Line(f"a{char}b"),)), profile("default"), codec="cp866")
    assert char[-1] in odd.replaced or len(odd.lines) == 2  # some part lines, in Unicode
    assert odd.head.count(char[-1].encode()) == plain.head.count(char[-1].encode())


@pytest.mark.parametrize(
    ("text", "columns", "lines"),
    [
        ("", 10, [""]),
        ("one two three", 7, ["one two", "three"]),
        ("abcdefghij", 4, ["abcd", "efgh", "ij"]),
        ("a\nb", 10, ["a", "b"]),
        ("x abcdefgh", 4, ["x", "abcd", "efgh"]),
        ("  a  b", 10, ["  a  b"]),
        ("   one two", 7, ["   one", "two"]),
        ("      abc", 7, ["abc"]),
        ("   ", 7, ["   "]),
        ("a\n b", 10, ["a", " b"]),
    ],
)
def test_wrap(text: str, columns: int, lines: list[str]) -> None:
    assert wrap(text, columns) == lines


def test_a_lane_keeps_the_one_model_that_it_has() -> None:
    profile.cache_clear()
    tracemalloc.start()
    try:
        profile("TM-T88V")
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 32 * 1024  # the file of all models takes ten times that


SAMPLES = "".join(map(chr, [*range(0x600), *range(0x2000, 0x2100), *range(0x600, 0x110000, 1499)]))
"""Characters of all planes of Unicode, surrogates included."""


@pytest.mark.parametrize("name", names())
def test_any_text_can_be_printed_on_any_profile(name: str) -> None:
    model = profile(name)._replace(native_qr=True, width_dots=576)  # some print no code, or are as narrow as a display
    for codec in (codec_of(model, None), "utf-8"):
        for at in range(0, len(SAMPLES), 600):
            for style in Style:
                lines = [Line(SAMPLES[n : n + 20], style) for n in range(at, min(at + 600, len(SAMPLES)), 20)]
                build(Ticket("t", LINK, lines, qr_mm=60), model, codec=codec)


@pytest.mark.parametrize("name", ["simple", "T-1", "TM-T88IV-SA"])
def test_what_ascii_lacks_is_replaced_and_reported(name: str) -> None:
    model = profile(name)._replace(native_qr=True)
    job = build(Ticket("t", LINK, (Line("253,00 ₽ №5"),), qr_mm=60), model, codec=codec_of(model, None))
    assert (job.lines[0], job.replaced) == ("253,00 ? N5", "₽")
