"""Every template of a ticket or receipt, laid out for every printer profile: the octets and the picture of the paper.

Nothing of the machine gets in: the clock, the time zone and the logo are fixed, and the simulated printer has its own
characters. Where a profile cannot print a template, the refusal stands for it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from PIL import Image

from sco_drivers.printer import (
    Alignment,
    Barcode,
    Bitmap,
    Columns,
    CutPaper,
    Document,
    DocumentRefused,
    Feed,
    Font,
    OpenDrawer,
    Printer,
    PrintOutcome,
    PrintResult,
    QrCode,
    RuledLine,
    Symbology,
    Text,
    Ticket,
)
from sco_drivers.printer.layout import build, codec_of
from sco_drivers.printer.profile import Profile, names, profile
from sco_hwtest.contracts.printer import ticket as bench_ticket
from sco_payment.attempt import Mode, Plan
from sco_payment.customer.presenter import Presenter
from sco_payment.customer.texts import LANGUAGES
from sco_payment.devices import ReopeningDevice
from sco_payment.settings_reader import settings_from_mapping
from sco_sim.printer.machine import Machine, Traits
from sco_sim.printer.render import draw
from sco_sim.printer.roll import Paper

LINK = "https://qr.nspk.ru/AD10001246OADML79D5OP9279JLPI2V6?type=02&bank=100000000001&sum=253&cur=RUB&crc=D959"
LOGO = str(Path(__file__).parent / "logo.png")
_BEGUN_MS = 1_767_225_600_000
_PLAN = Plan("golden", "42", 1_253_00, "RUB", Mode.PRINT, begun_at_ms=_BEGUN_MS, expires_at_ms=_BEGUN_MS + 300_000)
_BLACK_BELOW = 200
"""Grey of a dot that is kept as black: the line of a cut is, the ground of the notes beside the paper is not."""


@dataclass(frozen=True, slots=True)
class Printed:
    """What a template comes to on a profile; `refusal` where it cannot be printed."""

    octets: bytes = b""
    picture: Image.Image | None = None
    refusal: str = ""


class _Taker:
    """Takes the ticket that a presenter prints."""

    presenter = None

    def __init__(self) -> None:
        self.ticket: Ticket | None = None

    def print_ticket(self, ticket: Ticket) -> PrintResult:
        self.ticket = ticket
        return PrintResult(PrintOutcome.PRINTED, "taken")

    def close(self) -> None:
        """Nothing is open."""


def _payment(language: str = "ru", *, again: bool = False, **ticket: object) -> Ticket:
    """The ticket that the lane's presenter prints by these settings."""
    document: dict[str, Any] = {
        "lane": {"pos_id": "KSO-7", "shop": "Магазин у дома", "language": language},
        "paymaster": {"base_url": "https://paymaster.ru", "merchant_id": "golden"},
        "display": {"mode": 0},
        "devices": {"printer": "sim://"},
        "journal": {"path": "golden.db"},
        "ticket": ticket,
    }
    settings, taker = settings_from_mapping(document, token=False), _Taker()
    printer = ReopeningDevice(lambda: cast("Printer", taker))
    texts = LANGUAGES[language]
    presenter = Presenter(settings, texts, printer=printer, nfc=None, wall=lambda now_ms: now_ms / 1000)
    if again:
        return presenter.ticket_again(_PLAN, LINK)
    presenter.present(_PLAN, LINK)
    assert taker.ticket is not None
    return taker.ticket


def _receipt() -> Document:
    """A till's receipt with each kind of item."""
    return Document(
        "golden",
        (
            Bitmap(LOGO),
            Text("ООО «Ромашка»", bold=True, width=2, height=2, alignment=Alignment.CENTRE),
            Text("ИНН 7701234567", font=Font.B, alignment=Alignment.CENTRE),
            Columns(["Хлеб «Коломенский» нарезной", "2 x 45,00", "90,00"]),
            Columns(["Молоко", "89,90"]),
            RuledLine(),
            Columns(["ИТОГО", "179,90 ₽"], bold=True, height=2),
            QrCode("t=20260101T0300&s=179.90&fn=9999078900004312&i=42&fp=1234567890&n=1", 30),
            Barcode("2000000000008", Symbology.EAN13),
            Text("Спасибо за покупку", underline=True, alignment=Alignment.RIGHT),
            Feed(2),
            OpenDrawer(),
            CutPaper(100),
        ),
    )


def _text_receipt() -> Document:
    """A receipt of text alone, which every printer has."""
    return Document(
        "golden",
        (
            Text("ООО «Ромашка»", alignment=Alignment.CENTRE),
            Columns(["Молоко", "89,90"]),
            Text("ИТОГО 89,90 ₽", bold=True),
        ),
    )


TEMPLATES: dict[str, Callable[[], Ticket | Document]] = {
    "payment": _payment,
    "payment-en": lambda: _payment("en"),
    "payment-full": lambda: _payment(
        logo=LOGO, logo_mm=20, header="ИНН 7701234567\nМосква, ул. Садовая, 1", footer="Спасибо!\nПриходите ещё"
    ),
    "payment-short": lambda: _payment(**dict.fromkeys(("lane", "date_time", "order", "not_a_receipt"), False)),
    "payment-again": lambda: _payment(again=True),
    "bench": lambda: bench_ticket("prints"),
    "receipt": _receipt,
    "receipt-text": _text_receipt,
}
"""Each makes what is printed: the presenter's ticket by several settings, the test bench's, a till's receipts."""


@contextmanager
def fixed_zone() -> Iterator[None]:
    """The time of day in Moscow, wherever this runs."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "MSK-3"
    time.tzset()
    try:
        yield
    finally:
        os.environ.pop("TZ")
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


def printed(what: Ticket | Document, by: Profile) -> Printed:
    """Lay it out for that profile, and print the octets on a simulated printer that has what the profile promises."""
    # Of a printer that was never asked, the driver takes no code of its own for granted.
    careful = by._replace(barcodes=by.barcodes or "none", pdf417=bool(by.pdf417))
    try:
        job = build(what, careful, codec=codec_of(by, None))
    except DocumentRefused as error:
        return Printed(refusal=f"{error.message}; {error.hint}" if error.hint else error.message)
    octets = job.head + job.code + job.tail + job.cut
    return Printed(octets, _picture(octets, careful))


def _picture(octets: bytes, by: Profile) -> Image.Image:
    wide_mm = by.width_dots * 25.4 / by.dpi
    paper = Paper(next((mm for mm in (58, 80) if mm > wide_mm), round(wide_mm) + 8), by.width_dots, by.dpi)
    traits = Traits(
        native_qr=bool(by.native_qr),
        utf8=by.utf8,
        presenter=by.presenter != "none",
        cutter=by.cut in ("partial", "full"),
        code_pages={number: codec for codec, number in by.code_pages.items()},
        buffer_bytes=len(octets),
    )
    machine = Machine(paper, traits)
    machine.feed(octets, 0.0)
    assert machine.idle, f"{by.name} waits for the rest of a command"
    return draw(machine.roll, paper).point(lambda grey: 255 * (grey >= _BLACK_BELOW)).convert("1")


def everything() -> dict[tuple[str, str], Printed]:
    """Each template on each profile."""
    with fixed_zone():
        made = {name: make() for name, make in TEMPLATES.items()}
    return {(name, model): printed(what, profile(model)) for name, what in made.items() for model in names()}
