"""A till's test with pytest: the lane is in this process, the devices and the bank are another one."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sco_payment import Lane, Order, Outcome, load_settings, open_lane


class Bench:
    """The mock devices, the bank and its customers, over HTTP."""

    def __init__(self, urls: dict[str, str]) -> None:
        self.settings = urls["settings"]
        self._url = urls["url"]

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = urllib3.request(method, self._url + path, json=body, timeout=30)
        assert answer.status < 300, answer.data.decode()
        return answer.json()

    def statuses(self) -> list[str]:
        return [payment["status"] for payment in self.ask("GET", "/state")["paymaster"]["payments"]]


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    with subprocess.Popen(["sco-sim", "serve"], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Bench(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


@pytest.fixture
def open_till(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], Lane]:
    """Opens a lane in a display mode; its journal is new."""
    bench.ask("POST", "/reset", {})
    monkeypatch.setenv("SCO_JOURNAL_PATH", str(tmp_path / "journal.db"))

    def opened(mode: int) -> Lane:
        monkeypatch.setenv("SCO_DISPLAY_MODE", str(mode))
        return open_lane(load_settings(bench.settings))

    return opened


@pytest.mark.parametrize(("mode", "place"), [(0, "paper"), (1, "screen"), (2, "tag")])
def test_customer_pays_what_is_shown(bench: Bench, open_till: Callable[[int], Lane], mode: int, place: str) -> None:
    bench.ask("POST", "/customers", {"does": "pays", "place": place, "after_s": 1})
    with open_till(mode) as till:
        assert till.pay(Order("py-1", kopecks=253_00)).outcome is Outcome.PAID
    assert bench.statuses() == ["Settled"]


def test_paper_is_out_and_nothing_is_left_to_be_paid(bench: Bench, open_till: Callable[[int], Lane]) -> None:
    bench.ask("PUT", "/faults/printer.paper-out", {})
    with open_till(0) as till:
        assert till.pay(Order("py-2", kopecks=99_00)).outcome is Outcome.NOT_PRESENTED
    assert "Confirmation" not in bench.statuses()
