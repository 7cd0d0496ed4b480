"""A lane as it ships (`sco-pay serve`) on simulated devices, and pages in a real Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sco_sim.desk import LaneProcess
from sco_sim.nfc.pn532 import VirtualReader
from sco_sim.paymaster import PayMasterSimulator
from sco_sim.printer import VirtualPrinter
from tests.service.web.chromium import Chromium

TIMING = {"poll_interval_s": 0.2, "poll_timeout_s": 2.0, "invoice_life_s": 120.0, "confirm_timeout_s": 1.0}


class Lane:
    """The lane's process with its simulated surroundings, and what a till asks of it."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.paymaster = stack.enter_context(PayMasterSimulator())
        self.printer = stack.enter_context(VirtualPrinter())
        self.reader = stack.enter_context(VirtualReader())
        self.document: dict[str, dict[str, Any]] = {
            "lane": {"pos_id": "KSO-1", "shop": "Магазин у дома", "result_s": 30.0},
            "paymaster": {
                "base_url": self.paymaster.base_url, "merchant_id": self.paymaster.merchant_id,
                "connect_timeout_s": 1.0, "read_timeout_s": 1.0,
            },
            "timing": TIMING,
            "dialog": {"poll_while_shown": False},  # it waits for the test's finger
            "devices": {"printer": self.printer.url, "nfc": self.reader.url},
        }  # fmt: skip
        self.process = LaneProcess(folder, self.document, self.paymaster.token)
        stack.callback(self.process.kill)
        self._http = urllib3.PoolManager(retries=False, timeout=30.0)
        self.url = self.process.url
        self.attendant = f"{self.url}/attendant#token={self.process.tokens['attendant']}"

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, role: str = "till") -> Any:
        """The service's answer as JSON; it must be none of its refusals."""
        headers = {"Authorization": f"Bearer {self.process.tokens[role]}"}
        answer = self._http.request(method, self.url + path, json=body, headers=headers)
        assert answer.status < 300, answer.data.decode()
        return answer.json()

    def begin(self, number: str = "42", kopecks: int = 253_00) -> str:
        """A till begins a payment; its id."""
        self.ask("PUT", f"/v1/payments/{number}", {"order": number, "total_kopecks": kopecks})
        return number

    def begin_again(self) -> int:
        """A till begins another payment of the order, which waits for the one before; the answer's status."""
        headers = {"Authorization": f"Bearer {self.process.tokens['till']}"}
        body = {"order": "42", "total_kopecks": 253_00}
        url = f"{self.url}/v1/payments/43"
        return self._http.request("PUT", url, json=body, headers=headers, timeout=90.0).status

    def link(self) -> str:
        """The link on the screen, on paper or on the tag: the only payment's at PayMaster."""
        found = self.screen()["link"] or self.reader.tag.uri() or self.printer.codes[-1].text
        return str(found)

    def screen(self) -> dict[str, Any]:
        """What the screen must show."""
        return dict(self.ask("GET", "/v1/screen"))

    def open_case(self, number: str = "42") -> None:
        """A payment that was paid and that the till could not store."""
        self.begin(number)
        self.paymaster.phone.pay(self.wait_for_link())
        self.finished(number)
        self.ask("POST", f"/v1/payments/{number}/not_accepted", {"reason": "диск кассы заполнен"})

    def finished(self, number: str = "42") -> dict[str, Any]:
        """The payment, as soon as it has an outcome."""
        found = self.ask("GET", f"/v1/payments/{number}")
        while found["outcome"] is None:
            self.ask("GET", f"/v1/payments/{number}/events?after={found['last_seq']}&wait_s=5")
            found = self.ask("GET", f"/v1/payments/{number}")
        return dict(found)

    def wait_for_link(self) -> str:
        """The link, as soon as the screen has it."""
        state = self.screen()
        while state["link"] is None:
            state = dict(self.ask("GET", f"/v1/screen?after={state['version']}&wait_s=5"))
        return str(state["link"])


@pytest.fixture
def lane(tmp_path: Path) -> Iterator[Lane]:
    """The lane, running in display mode 1; `lane.process` starts it in another one."""
    with ExitStack() as stack:
        found = Lane(tmp_path, stack)
        found.process.start(1)
        yield found


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The browser of all tests: each page has a context of its own."""
    if shutil.which("chromium") is None:
        pytest.skip("needs the program chromium, which is not on this machine")
    browser = Chromium()
    yield browser
    browser.close()
