"""`sco-sim serve` from outside: its process, a lane's process on the settings that it writes, and HTTP between them."""

from __future__ import annotations

import importlib.resources
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import urllib3

from sco_sim.paymaster.phone import read_picture
from sco_sim.serve import CATALOGUE

_PAY_S = 120.0
_SCO_PAY = (sys.executable, "-m", "sco_payment.cli.main")
_FAST = {"SCO_TIMING_POLL_INTERVAL_S": "0.3"}
PAID, UNPAID, UNKNOWN, NOT_PRESENTED = 0, 3, 4, 5


class Bench:
    """A client of `sco-sim serve`, as a test in any language would have one."""

    def __init__(self, *options: str, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "lane.toml"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sco_sim.serve.main", "serve", "--settings-out", str(self.settings), *options],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.urls: dict[str, Any] = json.loads(self.process.stdout.readline())
        self._http = urllib3.PoolManager(retries=False, timeout=60.0)
        self._payments = 0
        self._lanes: list[subprocess.Popen[str]] = []

    def ask(self, method: str, path: str, body: object = None, status: int = 200) -> Any:
        answer = self._http.request(method, self.urls["url"] + path, json=body)
        assert answer.status == status, f"{method} {path}: {answer.status} {answer.data[:300]!r}"
        return answer.json() if answer.headers["content-type"] == "application/json" else answer.data

    def fault(self, name: str, **options: object) -> None:
        assert self.ask("PUT", f"/faults/{name}", options)["name"] == name

    def comes(self, **customer: object) -> int:
        return int(self.ask("POST", "/customers", customer, 201)["id"])

    def customer(self, number: int) -> Any:
        return self.ask("GET", f"/customers/{number}?wait_s=20")

    def begin(self, mode: int, order: str = "42", **variables: str) -> subprocess.Popen[str]:
        """`sco-pay pay` in a process, with a new journal."""
        self._payments += 1
        journal = self.folder / f"journal-{self._payments}.db"
        lane = subprocess.Popen(
            [*_SCO_PAY, "pay", "--settings", str(self.settings), "--order", order, "253.00"],
            env={**os.environ, **_FAST, "SCO_JOURNAL_PATH": str(journal), "SCO_DISPLAY_MODE": str(mode), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lanes.append(lane)
        return lane

    def end(self, lane: subprocess.Popen[str]) -> int:
        said, _ = lane.communicate(timeout=_PAY_S)
        print(said)
        return lane.returncode

    def pay(self, mode: int, order: str = "42", **variables: str) -> int:
        return self.end(self.begin(mode, order, **variables))

    def clear(self) -> None:
        """End what a failed test has left."""
        while self._lanes:
            lane = self._lanes.pop()
            lane.kill()
            lane.communicate()

    def until(self, true: Any, what: str) -> None:
        end = time.monotonic() + 60
        while not true():
            assert time.monotonic() < end, what
            time.sleep(0.1)

    def taps(self, button: str) -> bool:
        """Tap a button, if the screen shows it."""
        answer = self._http.request("POST", self.urls["url"] + "/touch", json={"button": button})
        assert answer.status in (200, 409), answer.data
        return answer.status == 200

    def scans_elsewhere(self, what: str) -> None:
        """What a phone does with the link of the last payment, wherever it has it from: `pay`, `decline`."""
        link = self.bank["payments"][-1]["link"]
        answer = self._http.request("POST", f"{self.urls['phone']}phone/{what}", json={"link": link})
        assert answer.status == 200, answer.data

    @property
    def bank(self) -> Any:
        return self.ask("GET", "/state")["paymaster"]

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    bench = Bench(folder=tmp_path_factory.mktemp("bench"))
    yield bench
    bench.clear()
    bench.stop()


@pytest.fixture
def bench(running: Bench) -> Bench:
    running.clear()
    running.ask("POST", "/reset")
    return running


def test_the_settings_file_is_accepted(bench: Bench) -> None:
    done = subprocess.run(
        [*_SCO_PAY, "settings", "check", str(bench.settings)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert bench.urls["settings"] == str(bench.settings)
    assert bench.ask("GET", "/") == bench.urls


@pytest.mark.parametrize(("mode", "place"), [(0, "paper"), (1, "screen"), (1, "display"), (2, "tag")])
def test_a_customer_pays_what_the_lane_s_process_shows(bench: Bench, mode: int, place: str) -> None:
    customer = bench.comes(does="pays", place=place, after_s=0.5)
    assert bench.pay(mode) == PAID
    found = bench.customer(customer)
    assert (found["state"], found["place"], found["status"]) == ("done", place, "Settled")
    [payment] = bench.bank["payments"]
    assert (payment["order"], payment["amount_kopecks"], payment["status"]) == ("42", 25300, "Settled")
    assert payment["link"] == found["link"]


def test_the_code_is_read_from_the_picture_that_anyone_can_get(bench: Bench) -> None:
    lane = bench.begin(0)
    bench.until(lambda: bench.ask("GET", "/paper/link", status=200)["link"], "no code on the paper")
    link = bench.ask("GET", "/paper/link")["link"]
    assert read_picture(bench.ask("GET", "/paper.png")) == link == bench.bank["payments"][0]["link"]
    customer = bench.comes(does="declines", place="paper")
    assert bench.customer(customer)["status"] == "Rejected"
    assert bench.end(lane) == UNPAID


def test_a_plate_carries_its_link_and_gets_it_back(tmp_path: Path) -> None:
    bench = Bench("--mode", "2", "--plate", "static", folder=tmp_path)
    try:
        link = bench.ask("GET", "/tag/link")["link"]
        for order in ("1", "2"):
            customer = bench.comes(does="pays", place="tag")
            assert bench.pay(2, order) == PAID
            assert bench.customer(customer)["link"] == link
        bench.fault("nfc.tag-gone")
        assert bench.ask("GET", "/tag/link")["link"] is None
        bench.ask("POST", "/reset")
        assert bench.ask("GET", "/tag/link")["link"] == link
    finally:
        assert bench.stop() == 0
    assert not Path(bench.urls["till_token_file"]).parent.exists(), "its temporary folder stays"


def test_without_paper_nothing_is_presented(bench: Bench) -> None:
    bench.fault("printer.paper-out")
    assert bench.ask("GET", "/state")["faults"] == {"printer.paper-out": {}}
    customer = bench.comes(place="paper")
    assert bench.pay(0) == NOT_PRESENTED
    assert bench.ask("GET", f"/customers/{customer}")["state"] == "looking"
    assert bench.ask("GET", "/paper.png", status=404)["error"] == "nothing was printed"
    bench.ask("DELETE", "/faults/printer.paper-out")
    assert bench.pay(0, "43") == PAID
    assert bench.customer(customer)["state"] == "done"


def test_the_paper_ends_in_3_cm(bench: Bench) -> None:
    bench.ask("POST", "/paper", {"left_mm": 30})
    lane = bench.begin(0)
    bench.until(lambda: bench.ask("GET", "/state")["printer"]["paper_out"], "the paper does not end")
    assert bench.ask("GET", "/paper/link")["link"] is None
    printer = bench.ask("GET", "/state")["printer"]
    assert "Магазин у дома" in printer["text"]
    assert printer["codes"] == []
    bench.scans_elsewhere("decline")
    assert bench.end(lane) == UNPAID


def test_the_power_fails_in_the_middle_of_a_ticket(bench: Bench) -> None:
    bench.fault("printer.power-off", after_octets=200)
    lane = bench.begin(0)
    bench.until(lambda: not bench.ask("GET", "/state")["printer"]["plugged"], "the power does not fail")
    assert bench.ask("GET", "/state")["printer"]["received"] == 200
    bench.scans_elsewhere("decline")
    assert bench.end(lane) == UNPAID


def test_a_fault_that_was_ended_before_it_began_does_not_come(bench: Bench) -> None:
    bench.fault("printer.power-off", after_octets=200)
    bench.ask("DELETE", "/faults/printer.power-off")
    bench.comes(place="paper")
    assert bench.pay(0) == PAID


def test_the_bank_s_answer_gets_lost(bench: Bench) -> None:
    """The create takes effect, and its answer is cut off: the lane finds the payment, and creates no second one."""
    bench.fault("paymaster.cut-after", on="create", first=1)
    bench.comes(place="screen")
    assert bench.pay(1) == PAID
    assert bench.bank["creates"] == 1


def test_a_wrong_option_of_a_fault_changes_nothing(bench: Bench) -> None:
    problem = bench.ask("PUT", "/faults/paymaster.slow", {"on": "refund"}, 409)
    assert "on=refund is none of create, get, cancel, list" in problem["error"]
    problem = bench.ask("PUT", "/faults/printer.mute", {"late_s": 1}, 409)
    assert problem["error"] == "printer.mute takes no late_s; its options: after_octets"
    assert "after_mm" in bench.ask("PUT", "/faults/printer.paper-out", {"after_mm": -1}, 400)["error"]
    assert "unknown field" in bench.ask("PUT", "/faults/printer.mute", {"speed": 1}, 400)["error"]
    assert "GET /faults" in bench.ask("PUT", "/faults/printer.fire", {}, 404)["error"]
    assert bench.ask("GET", "/state")["faults"] == {}


def test_a_finger_cancels(bench: Bench) -> None:
    lane = bench.begin(1)
    bench.until(lambda: bench.ask("GET", "/screen/link")["link"], "no code on the screen")
    bench.until(lambda: bench.taps("cancel"), "no button")
    assert bench.end(lane) == UNPAID
    assert bench.bank["cancels"] == 1


def test_a_finger_retries(bench: Bench) -> None:
    """The network fails while the customer pays; «Повторить» brings it about, once the network is back."""
    lane = bench.begin(1, SCO_TIMING_POLL_TIMEOUT_S="5")
    bench.until(lambda: bench.ask("GET", "/screen/link")["link"], "no code on the screen")
    assert not bench.taps("retry")
    bench.fault("paymaster.offline")
    bench.scans_elsewhere("pay")
    bench.until(lambda: bench.ask("GET", "/screen/link")["link"] is None, "the code stays")
    bench.ask("DELETE", "/faults/paymaster.offline")
    bench.until(lambda: bench.taps("retry"), "no dialog")
    assert bench.end(lane) == PAID


def test_a_reset_leaves_nothing_of_the_test_before(bench: Bench) -> None:
    """The same order, with a new journal, is a new payment at the bank."""
    bench.comes(place="paper")
    assert bench.pay(0) == PAID
    first = bench.bank["payments"][0]["id"]
    for fault in reversed(CATALOGUE):
        if fault.end is not None and fault.word is None:
            bench.fault(fault.name)
    bench.ask("POST", "/reset")
    state = bench.ask("GET", "/state")
    assert state["faults"] == {}
    assert state["customers"] == []
    assert state["printer"]["text"] == ""
    assert state["paymaster"]["payments"] == []
    for mode, place in ((0, "paper"), (1, "screen"), (2, "tag")):
        bench.ask("POST", "/reset")
        bench.comes(place=place)
        assert bench.pay(mode) == PAID
        assert bench.bank["creates"] == 1
    assert bench.bank["payments"][0]["id"] > first


def test_every_fault_begins_and_ends(bench: Bench) -> None:
    for fault in bench.ask("GET", "/faults")["faults"]:
        answer = bench.ask("PUT", f"/faults/{fault['name']}")
        assert answer["on"] is not fault["once"]
        bench.ask("DELETE", f"/faults/{fault['name']}", status=409 if fault["once"] else 200)
        assert bench.ask("GET", "/state")["faults"] == {}, fault
    bench.ask("POST", "/reset")
    bench.comes(place="tag")
    assert bench.pay(2) == PAID


def test_ending_one_fault_of_a_reader_leaves_the_others(bench: Bench) -> None:
    bench.fault("nfc.tag-mute")
    bench.fault("nfc.foreign-tag")
    bench.ask("DELETE", "/faults/nfc.foreign-tag")
    assert len(bench.ask("GET", "/state")["nfc"]["tags"]) == 1
    assert bench.pay(2, SCO_DISPLAY_QR_WITH_PLATE="false") == NOT_PRESENTED


def test_a_till_in_any_language_pays_through_the_service(bench: Bench) -> None:
    service = subprocess.Popen(
        [*_SCO_PAY, "serve", "--settings", str(bench.settings)],
        env={**os.environ, **_FAST, "SCO_JOURNAL_PATH": str(bench.folder / "service.db")},
    )
    try:
        http = urllib3.PoolManager(retries=False, timeout=30.0)
        token = Path(bench.urls["till_token_file"]).read_text("utf-8")
        headers = {"Authorization": f"Bearer {token}"}
        url = bench.urls["service"] + "/v1/payments/7"

        def begun() -> bool:
            try:
                answer = http.request("PUT", url, headers=headers, json={"order": "7", "total_kopecks": 12300})
            except urllib3.exceptions.HTTPError:
                return False
            assert answer.status == 201, answer.data
            return True

        bench.until(begun, "the service does not start")
        bench.comes(place="screen")
        bench.until(lambda: http.request("GET", url, headers=headers).json()["outcome"] == "paid", "not paid")
        taken = http.request("POST", url + "/taken", headers=headers, json={})
        assert taken.json()["taken"]
    finally:
        service.terminate()
        service.wait(20)


def test_customers_wait_leave_and_give_up(bench: Bench) -> None:
    hasty = bench.comes(patience_s=0.3)
    assert bench.customer(hasty)["problem"] == "no code that can be paid within 0.3 s; last: none"
    patient = bench.comes()
    assert bench.ask("DELETE", f"/customers/{patient}")["state"] == "left"
    assert "no customer 999" in bench.ask("GET", "/customers/999", status=404)["error"]
    assert "wait_s" in bench.ask("GET", f"/customers/{patient}?wait_s=x", status=400)["error"]
    assert "place" in bench.ask("POST", "/customers", {"place": "window"}, 400)["error"]


def test_a_foreign_web_page_cannot_drive_it(bench: Bench) -> None:
    url = bench.urls["url"]
    assert urllib3.request("POST", url + "/reset", headers={"Origin": "https://evil.example"}).status == 403
    form = urllib3.request("POST", url + "/touch", body="button=cancel", headers={"Content-Type": "text/plain"})
    assert form.status == 415
    assert urllib3.request("GET", url + "/state", headers={"Host": "evil.example"}).status == 400


def test_bad_taps_are_refused(bench: Bench) -> None:
    assert "not on the screen" in bench.ask("POST", "/touch", {"x": 5000, "y": 1}, 409)["error"]
    assert '{"button": "retry"}' in bench.ask("POST", "/touch", {"x": 5}, 400)["error"]
    bench.fault("touch.unplugged")
    assert bench.ask("POST", "/touch", {"x": 5, "y": 5}, 409)["error"] == "the touch panel is unplugged"


@pytest.mark.program("yaml")
def test_openapi_names_every_resource(bench: Bench) -> None:
    import yaml

    from sco_sim.serve.bench import PLACES
    from sco_sim.serve.faults import OPTIONS
    from sco_sim.serve.http import Api

    described = yaml.safe_load(bench.ask("GET", "/openapi.yaml"))
    assert described == yaml.safe_load(
        importlib.resources.files("sco_sim.serve").joinpath("openapi.yaml").read_text("utf-8")
    )
    methods = {
        (path, method.upper())
        for path, item in described["paths"].items()
        for method in item
        if method in ("get", "put", "post", "delete")
    }
    served = {
        (re.sub(r":\w+}", "}", route.path), method)
        for route in Api(None, "").routes()  # type: ignore[arg-type]
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert methods == served
    schemas = described["components"]["schemas"]
    assert set(schemas["FaultOptions"]["properties"]) == set(OPTIONS)
    assert set(schemas["Urls"]["required"]) == set(bench.urls)
    assert set(schemas["State"]["required"]) == set(bench.ask("GET", "/state"))
    assert [*PLACES, None] == schemas["CustomerOptions"]["properties"]["place"]["enum"]


def test_a_port_that_is_taken_is_named(bench: Bench) -> None:
    port = bench.urls["url"].rpartition(":")[2]
    done = subprocess.run(
        [sys.executable, "-m", "sco_sim.serve.main", "serve", "--port", port],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "the mock devices cannot start: Address already in use" in done.stderr
