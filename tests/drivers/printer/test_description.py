"""A printer that no profile knows is described by its URL or by a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import zxingcpp

from sco_drivers import check_url
from sco_drivers.printer import PrintOutcome
from sco_drivers.printer.description import SETTINGS
from sco_drivers.printer.escpos import Options
from sco_drivers.printer.layout import build
from sco_drivers.urls import DeviceUrl
from sco_sim.printer import VirtualPrinter
from tests.drivers.printer.test_session import LINK, opened, ticket


def options(query: str) -> Options:
    return Options.of(DeviceUrl.parse(f"tcp://10.0.0.5?{query}"))


@pytest.mark.parametrize(
    ("query", "dots", "columns"),
    [
        ("paper_mm=58", 384, 32),
        ("paper_mm=57.5", 384, 32),
        ("paper_mm=60", 408, 34),
        ("paper_mm=80", 576, 48),
        ("paper_mm=82.5", 592, 49),
        ("paper_mm=112", 824, 68),
        ("paper_mm=80&dpi=180", 512, 42),
        ("paper_mm=80&dpi=300", 848, 70),
        ("paper_mm=82.5&width_mm=80", 632, 52),
        ("width_dots=640&columns=53", 640, 53),
    ],
)
def test_papers(query: str, dots: int, columns: int) -> None:
    model = options(query).profile
    assert (model.width_dots, model.columns) == (dots, columns)


def test_everything_can_be_described_in_the_url() -> None:
    found = options(
        "codec=cp866&code_page=7&cut=full&native_qr=yes&largest_version=10&raster=no&raster_doubling=no&raster_rows=24"
        "&utf8=no&process_id=ask&clear_buffers=no&asb=no&identity=no&presenter=custom&dpi=200&width_dots=448&columns=30"
        "&columns_b=40&barcodes=a&pdf417=yes&drawer_pulse=no"
    )
    model = found.profile
    assert found.codec == "cp866"
    assert model._asdict() == {
        "name": "default",
        "dpi": 200,
        "width_dots": 448,
        "columns": 30,
        "columns_b": 40,
        "code_pages": {"cp866": 7},
        "native_qr": True,
        "largest_version": 10,
        "barcodes": "a",
        "pdf417": True,
        "drawer_pulse": False,
        "raster": False,
        "raster_doubling": False,
        "raster_rows": 24,
        "cut": "full",
        "utf8": False,
        "process_id": None,
        "clear_buffers": False,
        "asb": False,
        "identity": False,
        "presenter": "custom",
    }


def test_a_file_describes_it_and_the_url_has_the_last_word(tmp_path: Path) -> None:
    file = tmp_path / "printer.toml"
    file.write_text(
        'like = "TM-T20II"\ncodec = "cp1251"\ncode_page = 73\npaper_mm = 60\ncut = "feed"\nprocess_id = "ask"\n'
        "asb = false\nnative_qr = true\n"
    )
    found = options(f"profile={file}&cut=none")
    model = found.profile
    assert (found.codec, model.code_pages, model.width_dots) == ("cp1251", {"cp1251": 73}, 408)
    assert (model.cut, model.process_id, model.asb, model.native_qr) == ("none", None, False, True)
    assert model.clear_buffers is True  # like the profile it is based on


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("paper_mm=40", "paper_mm='40' is out of range 50..120"),
        ("cut=torn", "cut='torn' is not one of partial, full, feed, none"),
        ("asb=maybe", "asb='maybe' is not one of yes, no"),
        ("process_id=maybe", "is not one of yes, no, ask"),
        ("code_page=7", "code_page='7' needs codec="),
        ("codec=gb18030&code_page=7", "codec='gb18030' is not a code page"),
        ("codec=nonsense&code_page=7", "codec='nonsense' is not a code page"),
        ("raster_rows=0", "raster_rows='0' is out of range"),
        ("profile=/nowhere/printer.toml", "cannot be read: No such file"),
        ("profile=dot-matrix", "or the path of a file"),
    ],
)
def test_what_is_wrong_in_a_description(query: str, words: str) -> None:
    (found,) = check_url("printer", f"tcp://10.0.0.5?{query}")
    assert words in str(found)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("cut = ", "is not TOML"),
        ("colour = 1", "has the unknown setting colour; known: asb, "),
        ("cut = 7", "has cut='7', which is not one of"),
        ('like = "dot-matrix"', "is like 'dot-matrix', which is not a profile"),
        ("like = 7", "not a text"),
        ("code_page = 7", "has code_page='7', which needs codec="),
        ("dpi = true", "has dpi='yes', which is not a whole number"),
    ],
)
def test_what_is_wrong_in_a_file(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "printer.toml"
    file.write_text(text)
    (found,) = check_url("printer", f"tcp://10.0.0.5?profile={file}")
    assert words in str(found)
    assert found.parameters == {"profile"}


def test_every_setting_says_what_it_means() -> None:
    assert all(setting.meaning for setting in SETTINGS.values())


def test_a_described_board_prints(tmp_path: Path) -> None:
    file = tmp_path / "printer.toml"
    file.write_text('codec = "cp866"\ncode_page = 17\npaper_mm = 58\ncut = "full"\nasb = false\nprocess_id = false\n')
    with VirtualPrinter(paper_mm=58, asb=False, process_id=False) as paper, opened(paper, f"profile={file}") as printer:
        assert printer.print_ticket(ticket()).outcome is PrintOutcome.PRINTED
        assert paper.wait_idle()
        (one,) = paper.tickets
        assert one.cut
        assert one.text.split() == ["Магазин", "Спасибо"]
        assert [code.text for code in zxingcpp.read_barcodes(one.image(), zxingcpp.BarcodeFormat.QRCode)] == [LINK]


def test_a_ticket_that_is_not_to_be_cut_ends_after_its_last_line() -> None:
    model = options("cut=none").profile
    assert build(ticket(), model, codec="cp866").cut == b""
