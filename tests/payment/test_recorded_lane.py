"""A lane whose devices are recorded takes money as any other, also where the recording fails."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from sco_drivers.record import file
from sco_payment.attempt import Outcome
from sco_payment.order import Order
from sco_sim import BenchDisplay, BenchPrinter
from sco_sim.replay.run import play
from tests.payment.lane_kit import OwnUI, bench

ORDER = Order("order-of-the-shop-42", 25300)


def devices(printer: BenchPrinter, display: BenchDisplay, folder: Path) -> dict[str, str]:
    return {
        "printer": f"record+{printer.url}?trace={folder / 'printer.trace'}",
        "display": f"record+{display.url}?trace={folder / 'display.trace'}",
    }


@pytest.mark.parametrize("shown", ["printer", "display"])
def test_a_payment_is_recorded_and_its_trace_fits(shown: str, tmp_path: Path) -> None:
    with BenchPrinter() as printer, BenchDisplay() as display:
        url = devices(printer, display, tmp_path)[shown]
        mode = {"display": {"mode": 0}} if shown == "printer" else {}
        with bench(tmp_path, "pays after=6", ui=OwnUI(), devices={shown: url}, **mode) as (lane, paymaster):
            assert lane.pay(ORDER).outcome is Outcome.PAID
        links = printer.readable_codes if shown == "printer" else {face.link for face in display.history if face.link}
    (link,) = links
    trace = tmp_path / f"{shown}.trace"
    played = play(trace)
    assert [one.difference for one in played] == [""] * len(played)
    assert sum(one.octets for one in played) > len(link)
    content = trace.read_bytes()
    for secret in (link, ORDER.number, paymaster.token, "Магазин у дома"):
        for codec in ("utf-8", "cp866"):
            assert secret.encode(codec) not in content
            assert secret.encode(codec).hex().encode() not in content


@pytest.mark.parametrize("largest", [0, 400, 900])
def test_a_payment_is_taken_where_the_trace_cannot_be_written(
    largest: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(file, "MAX_BYTES", largest)
    with BenchPrinter() as printer, BenchDisplay() as display, caplog.at_level(logging.ERROR, "sco_drivers.record"):
        settings = {"devices": devices(printer, display, tmp_path), "display": {"mode": 0}}
        with bench(tmp_path, "pays after=6", **settings) as (lane, _):
            assert lane.pay(ORDER).outcome is Outcome.PAID
        assert len(printer.readable_codes) == 1
    assert "the device works on without it" in caplog.text
