"""A simulated lane of the demo: the service that ships, its bank, and a till with customers."""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import math
import random
import shutil
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sco_fleet.demo.troubles import Trouble
from sco_payment.journal import JournalError
from sco_payment.paymaster.token import Token
from sco_payment.settings import TOKEN_VARIABLE, Settings
from sco_payment.settings_reader import settings_from_mapping
from sco_service import Service
from sco_sim.local import write_private
from sco_sim.paymaster import NothingToPay, PayMasterSimulator
from sco_sim.printer import VirtualPrinter

log = logging.getLogger(__name__)

_TILL_TOKEN = "till-of-the-demo"  # noqa: S105 - of a simulated lane
_LOOKS_S = (1.0, 4.0)
"""How long a customer takes to scan, and to give up."""
_PAUSE_S = (5.0, 25.0)
"""Between two customers of a lane."""
_BUSY_S = (1.0, 6.0)
"""Of a lane with a trouble, so that it is soon to be seen."""
_AMOUNTS = (4_900, 312_500)


@dataclass(frozen=True, slots=True)
class LaneSpec:
    """One lane: PosID, shop, its token for the fleet's server, where it is, and what goes wrong."""

    lane_id: str
    shop: str
    token: str
    folder: Path
    server: str
    trouble: Trouble


class _Till:
    """The till of a lane, over HTTP as any other."""

    def __init__(self, port: int) -> None:
        self._port = port

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON. Raises OSError where there is none, or no good one."""
        line = http.client.HTTPConnection("127.0.0.1", self._port, timeout=40)
        head = {"Authorization": f"Bearer {_TILL_TOKEN}", "Content-Type": "application/json"}
        with contextlib.closing(line):
            try:
                line.request(method, f"/v1/payments/{path}", None if body is None else json.dumps(body), head)
                answer = line.getresponse()
                data = answer.read()
            except http.client.HTTPException as error:
                raise OSError(f"the lane's service: {error!r}") from error
        if answer.status >= 300:
            raise OSError(f"the lane's service: {answer.status} {data[:200]!r}")
        return json.loads(data)


class DemoLane:
    """A lane with its customers. `run` returns when `stop` is set.

    Args:
        spec: which.
        bank: what it talks to, whose script is that of its trouble.
        stop: set when all ends.
        seed: of what its customers do.
    """

    def __init__(self, spec: LaneSpec, bank: PayMasterSimulator, stop: threading.Event, seed: int) -> None:
        self.spec, self._bank, self._stop = spec, bank, stop
        self._random = random.Random(seed)  # noqa: S311 - who buys what
        self._printer: VirtualPrinter | None = None
        self._orders = 0

    def run(self) -> None:
        """Serve customers until the end; first without the trouble, then with it."""
        trouble, folder = self.spec.trouble, self.spec.folder
        copy = folder.with_name(f"{folder.name} copy")
        with contextlib.ExitStack() as opened:
            if trouble.roll_mm is not None:
                self._printer = opened.enter_context(VirtualPrinter())
                self._printer.load_paper(trouble.roll_mm)
            if trouble.what in ("restored", "copied"):
                self._serve(folder, orders=1)
                shutil.copytree(folder, copy)  # the lane is closed: its folder is whole
            match trouble.what:
                case "offline":
                    later = threading.Timer(trouble.at_s, self._bank.go_offline)
                    opened.callback(later.cancel)
                    later.start()
                case "off":
                    self._serve(folder, for_s=trouble.at_s)
                    return
                case "restored":
                    self._serve(folder, orders=2)
                    shutil.rmtree(folder)
                    copy.rename(folder)
                case "copied":
                    other = threading.Thread(target=self._serve, args=(copy,), name=f"{self.spec.lane_id} copy")
                    opened.callback(other.join)
                    other.start()
            self._serve(folder)

    def _serve(self, folder: Path, *, orders: int | None = None, for_s: float = math.inf) -> None:
        """Open the lane in a folder and take payments, so many or for so long."""
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "till.token").exists():
            write_private(folder / "till.token", _TILL_TOKEN)
            write_private(folder / "fleet.token", self.spec.token)
        end, last = time.monotonic() + for_s, None if orders is None else self._orders + orders
        try:
            with Service(self._settings(folder), token=Token(self._bank.token)) as service:
                till = _Till(service.port)
                while self._orders != last and self._pause(end):
                    self._customer(till)
        except JournalError as error:
            log.error("%s: %s", self.spec.lane_id, error)

    def _pause(self, end: float) -> bool:
        """Wait for the next customer; False where the end comes first."""
        shortest, longest = _BUSY_S if self.spec.trouble.name else _PAUSE_S
        pause_s = self._random.uniform(shortest, longest) if self._orders else self._random.uniform(0.0, _PAUSE_S[0])
        stopped = self._stop.wait(max(0.0, min(pause_s, end - time.monotonic())))
        return not stopped and time.monotonic() < end

    # --- a customer -------------------------------------------------------------------------------------------------

    def _customer(self, till: _Till) -> None:
        """One order: the till asks for the money until there is an outcome."""
        self._orders += 1
        payment = str(uuid.uuid4())
        order = {
            "order": f"{self.spec.lane_id}/{self._orders}",
            "total_kopecks": self._random.randrange(*_AMOUNTS),
        }
        try:
            till.ask("PUT", payment, order)
            link = self._wait(till, payment, "link_accepted")
            if link is not None and not self._stop.wait(self._random.uniform(*_LOOKS_S)):
                self._decide(till, payment, link["link"])
            if self._wait(till, payment, "outcome_reached") is not None:
                till.ask("POST", f"{payment}/taken", {})
        except OSError as error:  # refused while a case is open, or the lane is being stopped
            log.info("%s: %s", self.spec.lane_id, error)

    def _decide(self, till: _Till, payment: str, link: str) -> None:
        chance = self._random.random()
        phone = self._bank.phone
        act: Callable[[], object]
        if chance < self.spec.trouble.cancels:
            act = lambda: till.ask("POST", f"{payment}/cancel", {})  # noqa: E731
        elif chance > 0.94:
            act = lambda: phone.decline(link)  # noqa: E731
        else:
            act = lambda: phone.pay(link)  # noqa: E731
        with contextlib.suppress(NothingToPay):
            act()

    def _wait(self, till: _Till, payment: str, wanted: str) -> Any:
        """The event, or None where the payment ends without it or the demo does."""
        after = 0
        while not self._stop.is_set():
            page = till.ask("GET", f"{payment}/events?after={after}&wait_s=5")
            after = page["next_after"]
            for event in page["events"]:
                if event["type"] == wanted:
                    return event
                if event["type"] == "outcome_reached":
                    return None
        return None

    def _settings(self, folder: Path) -> Settings:
        spec = self.spec
        document = {
            "lane": {"pos_id": spec.lane_id, "shop": spec.shop},
            "paymaster": {"base_url": self._bank.base_url, "merchant_id": self._bank.merchant_id},
            "display": {"mode": spec.trouble.mode.value},
            "devices": {} if self._printer is None else {"printer": self._printer.url},
            "timing": {
                "poll_interval_s": 1.0,
                "poll_timeout_s": 10.0,
                "invoice_life_s": 60.0,
                "confirm_timeout_s": 5.0,
                "watch_interval_s": 5.0,
                "grace_s": 600.0,
            },
            "journal": {"path": str(folder / "journal.db")},
            "service": {
                "listen": "127.0.0.1:0",
                "clients": {"till": {"role": "till", "token_file": str(folder / "till.token")}},
            },
        }
        if spec.server:
            token = str(folder / "fleet.token")
            often = {"ship_interval_s": 1.0, "heartbeat_s": 5.0, "longest_wait_s": 10.0}
            document["fleet"] = {"url": spec.server, "token_file": token, **often}
        return settings_from_mapping(document, {TOKEN_VARIABLE: self._bank.token}, source=spec.lane_id)
