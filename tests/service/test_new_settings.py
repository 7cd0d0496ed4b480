"""New settings wait for the moment without a customer; then the service begins no payment more, and restarts once."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

from sco_service import Service
from tests.service.service_kit import ORDER, Bench, serving


def wait_for_restart(service: Service) -> list[str]:
    """New settings are there. Returns the restarts that the service asks for."""
    asked: list[str] = []
    service._restart = lambda: asked.append("restart")
    service._new_settings = SimpleNamespace(is_waiting=True)  # type: ignore[assignment]
    return asked


def until_asked(bench: Bench, asked: list[str]) -> None:
    end = time.monotonic() + 30
    while not asked:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_without_a_customer_it_restarts_at_once_and_takes_no_payment_more(tmp_path: Path) -> None:
    with serving(tmp_path) as bench:
        asked = wait_for_restart(bench.service)
        until_asked(bench, asked)
        assert bench.till.put("T-1").code == "lane_stopping"
        for _ in range(3):
            bench.service._tick()
        assert asked == ["restart"]


def test_a_payment_goes_on_to_its_end(tmp_path: Path) -> None:
    with serving(tmp_path, "leaves") as bench:
        bench.till.put("T-1")
        bench.till.screen_with("pay")
        asked = wait_for_restart(bench.service)
        bench.service._tick()
        assert asked == []
        assert bench.till.payment("T-1")["outcome"] is None
        bench.till.post("/v1/payments/T-1/cancel")
        assert bench.till.outcome("T-1")["outcome"] == "unpaid"
        until_asked(bench, asked)
        assert bench.service.screen.is_idle


def test_an_outcome_that_is_not_taken_keeps_it_from_restarting(tmp_path: Path) -> None:
    with serving(tmp_path, lane={"result_s": 0.0}) as bench:
        bench.till.put("T-1")
        asked = wait_for_restart(bench.service)
        assert bench.till.outcome("T-1")["outcome"] == "paid"
        bench.till.screen_with("idle")
        bench.service._tick()
        assert asked == []
        bench.till.post("/v1/payments/T-1/taken")
        until_asked(bench, asked)


def test_what_is_on_the_screen_is_read_first(tmp_path: Path) -> None:
    with serving(tmp_path, lane={"result_s": 60.0}) as bench:
        bench.till.put("T-1")
        assert bench.till.outcome("T-1")["outcome"] == "paid"
        bench.till.post("/v1/payments/T-1/taken")
        bench.till.screen_with("paid")
        asked = wait_for_restart(bench.service)
        bench.service._tick()
        assert asked == []
        assert bench.till.put("T-2", ORDER | {"order": "A-2"}).status in (200, 201, 202)
