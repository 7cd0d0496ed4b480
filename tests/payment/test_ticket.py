"""What a lane prints on the payment's ticket, by its settings; and the till's own receipts on the lane's printer."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from pathlib import Path

import pytest
import zxingcpp
from PIL import Image

from sco_drivers.printer import Columns, Document, PrintOutcome, Text
from sco_payment import Order, Outcome, SettingsError
from sco_payment.customer.texts import RUSSIAN
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.printer import VirtualPrinter
from tests.payment.lane_kit import OwnUI, bench

ORDER = Order("42", 25300)


@pytest.fixture
def logo(tmp_path: Path) -> Path:
    file = tmp_path / "logo.png"
    Image.new("1", (160, 40), 0).save(file)
    return file


def paid(folder: Path, printer: VirtualPrinter, params: str = "", **ticket: object) -> list[str]:
    devices = {"printer": f"{printer.url}?{params}"}
    with bench(folder, "pays after=6", ui=OwnUI(), display={"mode": 0}, devices=devices, ticket=ticket) as (lane, _):
        assert lane.pay(ORDER).outcome is Outcome.PAID
    (one,) = printer.tickets
    assert len(zxingcpp.read_barcodes(one.image())) == 1
    return one.text.splitlines()


def test_the_ticket_states_lane_time_order_and_that_it_is_no_receipt(tmp_path: Path) -> None:
    with VirtualPrinter() as printer:
        lines = paid(tmp_path, printer)
        assert lines[0] == "Магазин у дома"
        assert lines[4].startswith("Оплатите до ")
        assert lines[5].startswith("Заказ № 42")
        assert lines[6].startswith("Касса ")
        assert re.fullmatch(r"\d\d\.\d\d\.\d{4} \d\d:\d\d", lines[7])
        assert lines[8:] == [RUSSIAN.not_a_receipt] == ["не является кассовым чеком"]
        assert not [mark for mark in printer.tickets[0].marks if mark.kind == "bitmap" and mark.code is None]


@pytest.mark.parametrize("ahead_s", [0, 2_400, -7_200])
def test_the_ticket_states_the_end_of_the_payment_by_the_banks_clock(tmp_path: Path, ahead_s: int) -> None:
    """The customer compares it with a phone, which shows the right time; the lane's own clock may be wrong."""
    with VirtualPrinter() as printer:
        devices = {"printer": printer.url}
        script = f"pays after=6 + clock ahead={ahead_s}"
        with bench(tmp_path, script, ui=OwnUI(), display={"mode": 0}, devices=devices) as (lane, paymaster):
            assert lane.pay(ORDER).outcome is Outcome.PAID
            [payment] = paymaster.bank.payments.values()
        assert payment.expires is not None
        minutes = {f"{datetime.fromtimestamp(payment.expires + s):%H:%M}" for s in (-3, 3)}  # noqa: DTZ006
        shown = printer.tickets[0].text.splitlines()[4]
        assert shown.removeprefix("Оплатите до ") in minutes


@pytest.mark.parametrize(
    ("language", "params", "amount"),
    [
        ("ru", "", "253,00 руб."),  # cp866 has no rouble sign
        ("ru", "codec=utf-8", "253,00 ₽"),
        ("en", "", "253,00 RUB"),
        ("en", "codec=utf-8", "253,00 ₽"),
    ],
)
def test_the_amount_is_written_as_on_the_screen_where_the_code_page_has_its_sign(
    tmp_path: Path, language: str, params: str, amount: str
) -> None:
    with VirtualPrinter() as printer:
        lane = {"pos_id": "7", "shop": "Corner shop", "language": language}
        devices = {"printer": f"{printer.url}?{params}"}
        with bench(tmp_path, "pays after=6", ui=OwnUI(), display={"mode": 0}, devices=devices, lane=lane) as (it, _):
            assert it.pay(ORDER).outcome is Outcome.PAID
        text = printer.tickets[0].text
        assert text.splitlines()[3] == amount
        assert language == "ru" or text.isascii() or text.replace("₽", "").isascii(), text


def test_logo_header_and_footer_are_in_the_settings(tmp_path: Path, logo: Path) -> None:
    off = dict.fromkeys(("lane", "date_time", "order", "not_a_receipt"), False)
    words = {"header": "ИНН 7701234567\nМосква", "footer": "Спасибо!\nПриходите ещё"}
    with VirtualPrinter() as printer:
        lines = paid(tmp_path, printer, logo=str(logo), logo_mm=20, **words, **off)
        assert lines[:3] == ["Магазин у дома", "ИНН 7701234567", "Москва"]
        assert lines[-3].startswith("Оплатите до ")
        assert lines[-2:] == ["Спасибо!", "Приходите ещё"]
        first = printer.tickets[0].marks[0]
        assert (first.kind, first.height, first.align) == ("bitmap", 40, 1)


@pytest.mark.parametrize("params", ["raster=no&native_qr=yes", ""])
def test_a_logo_that_cannot_be_printed_costs_no_payment(
    tmp_path: Path, logo: Path, caplog: pytest.LogCaptureFixture, params: str
) -> None:
    if not params:
        logo.write_bytes(b"no picture")
    with VirtualPrinter() as printer, caplog.at_level(logging.ERROR):
        assert paid(tmp_path, printer, params, logo=str(logo))[0] == "Магазин у дома"
    assert "without its logo" in caplog.text


@pytest.mark.parametrize(("name", "words"), [("nowhere.png", "No such file"), (".", "Is a directory")])
def test_a_wrong_logo_is_reported_with_the_settings(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(SettingsError) as found:
        settings_from_mapping({"ticket": {"logo": str(tmp_path / name)}})
    assert any(one.startswith(f"ticket.logo: {tmp_path / name}: {words}") for one in found.value.problems)


def test_the_till_prints_its_receipts_on_the_lanes_printer(tmp_path: Path) -> None:
    with VirtualPrinter() as printer:
        devices = {"printer": printer.url}
        with bench(tmp_path, "pays after=6", ui=OwnUI(), display={"mode": 0}, devices=devices) as (
            lane,
            _,
        ):
            assert lane.pay(ORDER).outcome is Outcome.PAID
            assert lane.printer is not None
            receipt = Document("receipt-1", [Text("ООО «Ромашка»"), Columns(["ИТОГО", "253,00"])])
            assert lane.printer.print_document(receipt).outcome is PrintOutcome.PRINTED
            with lane.printer.escpos("receipt-2") as p:
                p.text("Хлеб 90,00\n")
                p.cut()
            assert p.result is not None
            assert p.result.outcome is PrintOutcome.PRINTED
        assert printer.cuts == 3


def test_a_lane_without_a_printer_has_none(tmp_path: Path) -> None:
    with bench(tmp_path, ui=OwnUI(), display={"mode": 1}) as (lane, _):
        assert lane.printer is None
