"""The simulated printer judged by another driver than ours: python-escpos prints on it, zxing reads the paper."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import pytest
import zxingcpp

from sco_sim.printer import VirtualPrinter

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"


@pytest.fixture
def paper() -> Iterator[VirtualPrinter]:
    with VirtualPrinter() as one:
        yield one


@pytest.fixture
def escpos(paper: VirtualPrinter) -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from escpos.printer import Network

        printer = Network("127.0.0.1", port=int(paper.url.rsplit(":", 1)[1]), profile="TM-T88V")
        printer.open()
        yield printer
        printer.close()


@pytest.mark.parametrize(
    "how",
    [{"native": True}, {}, {"impl": "graphics"}, {"impl": "bitImageColumn"}],
    ids=["native", "raster", "graphics", "column"],
)
def test_its_codes_are_read(paper: VirtualPrinter, escpos: Any, how: dict[str, Any]) -> None:
    escpos.qr(LINK, size=6, **how)
    escpos.cut()
    assert paper.wait_for(lambda one: one.cuts == 1)
    assert [code.text for code in zxingcpp.read_barcodes(paper.tickets[0].image(), zxingcpp.BarcodeFormat.QRCode)] == [
        LINK
    ]


@pytest.mark.parametrize("form", ["A", "B"])
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("EAN13", "4006381333931"),
        ("EAN8", "96385074"),
        ("UPC-A", "036000291452"),
        ("CODE39", "ABC-12"),
        ("ITF", "123456"),
    ],
)
def test_its_barcodes_are_read(paper: VirtualPrinter, escpos: Any, kind: str, data: str, form: str) -> None:
    escpos.barcode(data, kind, height=80, width=2, pos="BELOW", function_type=form)
    escpos.cut()
    assert paper.wait_for(lambda one: one.cuts == 1)
    (found,) = zxingcpp.read_barcodes(paper.tickets[0].image())
    assert found.text == ("0" + data if kind == "UPC-A" else data)  # which is read as an EAN-13
    assert paper.text.strip().strip("*") == data


def test_its_code128_is_read(paper: VirtualPrinter, escpos: Any) -> None:
    escpos.barcode("{BTill 4 {C\x0c\x22", "CODE128", height=80, width=2, function_type="B")
    escpos.cut()
    assert paper.wait_for(lambda one: one.cuts == 1)
    assert [code.text for code in zxingcpp.read_barcodes(paper.tickets[0].image())] == ["Till 4 1234"]


def test_its_text_is_read(paper: VirtualPrinter, escpos: Any) -> None:
    escpos.charcode("CP866")
    escpos.set(align="center", bold=True, double_height=True, double_width=True)
    escpos.text("Итого 253,00\n")
    escpos.cut()
    assert paper.wait_for(lambda one: one.cuts == 1)
    (line,) = [mark for mark in paper.tickets[0].marks if mark.kind == "text"]
    assert (line.text, line.align) == ("Итого 253,00", 1)
    assert (line.runs[0].style.width, line.runs[0].style.height, line.runs[0].style.bold) == (2, 2, True)


def test_its_questions_are_answered(paper: VirtualPrinter, escpos: Any) -> None:
    assert escpos.is_online()
    assert escpos.paper_status() == 2
    paper.run_out_of_paper()
    assert not escpos.is_online()
    assert escpos.paper_status() == 0
