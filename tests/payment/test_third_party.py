"""A third party's driver that is faulty: it is named, and no customer is taken to have seen anything."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from sco_drivers import DeviceUrl, Printer, opener
from sco_hwtest import Verdict, run_suite
from sco_payment import SettingsError
from sco_payment import attempt as m
from sco_payment.events import LaneEvent, NoteAdded
from sco_payment.order import Order
from sco_payment.settings_reader import settings_from_mapping
from tests.payment.acme_printer import AcmePrinter
from tests.payment.lane_kit import bench

pytestmark = pytest.mark.usefixtures("idle_time")


class Acme:
    """What a package calls a driver: it has nothing that a lane needs but an end."""

    def close(self) -> None:
        """End."""


def install(monkeypatch: pytest.MonkeyPatch, kind: str, opener: object) -> None:
    point = SimpleNamespace(
        name="acme", value="acme_sco:open_acme", dist=SimpleNamespace(name="acme-sco"), load=lambda: opener
    )

    def entry_points(**wanted: str) -> list[Any]:
        return [point] if wanted["group"] == f"sco_drivers.{kind}" else []

    monkeypatch.setattr(importlib.metadata, "entry_points", entry_points)


@pytest.mark.parametrize(
    ("kind", "sections", "missing"),
    [
        ("printer", {"display": {"mode": 0}, "devices": {"printer": "acme://"}}, "print_ticket"),
        ("screen", {"display": {"mode": 1}, "devices": {"screen": "acme://"}}, "button_at"),
        (
            "display",
            {"display": {"mode": 1, "qr_on_screen": False}, "devices": {"display": "acme://"}},
            "show_code",
        ),
    ],
)
def test_a_driver_that_lacks_a_member_ends_as_not_presented(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, sections: dict[str, Any], missing: str
) -> None:
    install(monkeypatch, kind, lambda url: Acme())
    with bench(tmp_path, **sections) as (lane, paymaster):
        result = lane.pay(Order("42", 25_300))
        assert result.outcome is m.Outcome.NOT_PRESENTED
        assert "the driver acme_sco:open_acme of the package acme-sco is faulty" in result.detail
        assert missing in result.detail
        assert paymaster.bank.cancels == 1, "what nobody can see must not be payable"


@pytest.mark.parametrize("trouble", [ValueError("no such tray"), KeyError("tray")])
def test_a_driver_that_fails_on_its_own_url_is_one_problem_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def tray_of(url: DeviceUrl) -> int:
        raise trouble

    @opener(tray_of, example="acme://?tray=1", params=("tray",))
    def open_acme(url: DeviceUrl, tray: int) -> Printer:
        raise AssertionError("nothing is opened")

    install(monkeypatch, "printer", open_acme)
    with pytest.raises(SettingsError) as caught:
        settings_from_mapping({"devices": {"printer": "acme://?tray=9", "nfc": "fax://"}})
    words = f"the driver acme_sco:open_acme of the package acme-sco failed: {type(trouble).__name__}"
    assert [problem for problem in caught.value.problems if problem.startswith("devices.printer") and words in problem]
    assert [problem for problem in caught.value.problems if problem.startswith("devices.nfc")], "the others are lost"


@pytest.fixture
def acme(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paper of a printer that takes no ESC/POS."""
    paper: list[str] = []

    def opened(url: DeviceUrl) -> Printer:
        return AcmePrinter(url, paper)

    install(monkeypatch, "printer", opened)
    return paper


def test_a_printer_that_takes_no_escpos_prints_tickets(tmp_path: Path, acme: list[str]) -> None:
    lane_of = bench(tmp_path, "pays after=5", display={"mode": 0}, devices={"printer": "acme://"})
    with lane_of as (lane, paymaster):
        assert lane.pay(Order("42", 25_300)).outcome is m.Outcome.PAID
        [payment] = paymaster.bank.payments.values()
        assert payment.link in acme


def test_a_printer_that_takes_no_escpos_passes_the_suite(acme: list[str]) -> None:
    report = run_suite("printer", "acme://", measure=False)
    left_out = {check.name: check.found for check in report.checks if check.verdict is not Verdict.PASSED}
    assert left_out == {"prints-what-python-escpos-makes": "the printer takes no ESC/POS"}
    assert report.count(Verdict.NOT_RUN) == 1


DRIVER = """
class AcmePrinter:
    url, presenter = "acme://", None
    def close(self): ...
    def status(self): raise ZeroDivisionError("no sensor")
    def print_ticket(self, ticket): return self._send(ticket)
    def _send(self, ticket): raise ZeroDivisionError("no dots")
    print_document = escpos = health = print_ticket
"""


def test_a_driver_that_breaks_in_the_middle_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has printed by then is not known: the bank is asked, and nobody reads that nothing can be paid."""
    module = ModuleType("acme_sco.printer")
    exec(DRIVER, module.__dict__)
    install(monkeypatch, "printer", lambda url: module.AcmePrinter())
    notes: list[str] = []

    def observe(event: LaneEvent) -> None:
        if isinstance(event, NoteAdded):
            notes.append(event.text)

    lane_of = bench(tmp_path, "pays after=5", observer=observe, display={"mode": 0}, devices={"printer": "acme://"})
    with lane_of as (lane, _):
        assert lane.pay(Order("42", 25_300)).outcome is m.Outcome.PAID
    words = "unforeseen: ZeroDivisionError in acme_sco.printer, line 7, of the package acme_sco"
    assert any(words in note for note in notes), notes
