"""A service on a real socket, its lane on a simulated bank, and a till that speaks to it by `http.client`."""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sco_payment.attempt import Message
from sco_payment.customer.ui import LaneUI
from sco_payment.paymaster.token import Token
from sco_payment.runtime import ThreadRuntime
from sco_payment.settings import TOKEN_VARIABLE
from sco_payment.settings_reader import settings_from_mapping
from sco_service import Service
from sco_service.http import Limits
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import SPEED, document

ORDER = {"order": "A-1", "total_kopecks": 25_300}
Json = dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        data: Json = json.loads(self.body)
        return data

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json", self
        return str(self.json["code"])


class Till:
    """A client of the service, one connection a request."""

    def __init__(self, port: int, token: str | None = "till-token", host: str | None = None) -> None:
        self.port = port
        self.token = token
        self.host = host

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """Send one request; `body` as JSON unless it is bytes."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=40)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent.setdefault("Authorization", f"Bearer {self.token}")
        if self.host is not None:
            sent["Host"] = self.host
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, data, sent)
            answer = connection.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, **headers)

    def put(self, till_id: str, body: object = None) -> Reply:
        return self.ask("PUT", f"/v1/payments/{till_id}", ORDER if body is None else body)

    def post(self, path: str, body: object = None) -> Reply:
        return self.ask("POST", path, {} if body is None else body)

    def payment(self, till_id: str) -> Json:
        reply = self.get(f"/v1/payments/{till_id}")
        assert reply.status == 200, reply
        return reply.json

    def events_until(self, till_id: str, wanted: str, after: int = 0) -> list[Json]:
        """All events of a payment up to one of that type, by long polls as a till does it."""
        found: list[Json] = []
        until = time.monotonic() + 30
        while time.monotonic() < until:
            reply = self.get(f"/v1/payments/{till_id}/events?after={after}&wait_s=5")
            assert reply.status == 200, reply
            found += reply.json["events"]
            after = reply.json["next_after"]
            if any(event["type"] == wanted for event in found):
                return found
        raise AssertionError(f"no {wanted} among {found}")

    def outcome(self, till_id: str) -> Json:
        """Wait for the outcome; the payment."""
        self.events_until(till_id, "outcome_reached")
        return self.payment(till_id)

    def screen_with(self, view: str) -> Json:
        """Wait until the screen shows that view."""
        after, until = 0, time.monotonic() + 30
        while time.monotonic() < until:
            screen = self.get(f"/v1/screen?after={after}&wait_s=5").json
            after = screen["version"]
            if screen["view"] == view:
                return screen
        raise AssertionError(f"the screen never showed {view}")


@dataclass(frozen=True)
class Bench:
    """A service that runs, its bank, and a client of each role."""

    service: Service
    bank: PayMasterSimulator
    till: Till
    attendant: Till
    monitor: Till
    browser: Till
    folder: Path


def secrets(folder: Path) -> Json:
    """The section `service` of a test lane, and its files of tokens."""
    clients = {}
    for role in ("till", "attendant", "monitor"):
        path = folder / f"{role}.token"
        if not path.exists():
            path.touch(0o600)
            path.write_text(f"{role}-token\n")
        clients[role] = {"role": role, "token_file": str(path)}
    return {"listen": "127.0.0.1:0", "clients": clients}


@contextlib.contextmanager
def serving(
    folder: Path,
    script: str = "pays",
    *,
    limits: Limits | None = None,
    speed: float = SPEED,
    ui: LaneUI | None = None,
    **sections: Json,
) -> Iterator[Bench]:
    """A service on the folder's journal, and its bank, on the same fast clock."""
    runtime: ThreadRuntime[Message] = ThreadRuntime(speed)
    with (
        PayMasterSimulator(clock=lambda: runtime.now() / 1000, script=script) as bank,
        served(folder, bank, runtime, limits=limits, ui=ui, **sections) as bench,
    ):
        yield bench


@contextlib.contextmanager
def served(
    folder: Path,
    bank: PayMasterSimulator,
    runtime: ThreadRuntime[Message],
    *,
    limits: Limits | None = None,
    ui: LaneUI | None = None,
    **sections: Json,
) -> Iterator[Bench]:
    """A service on the folder's journal, with a bank that is there already."""
    sections["service"] = secrets(folder) | sections.get("service", {})
    data = document(bank, folder / "journal.db", **sections)
    settings = settings_from_mapping(data, {TOKEN_VARIABLE: bank.token})
    service = Service(settings, runtime=runtime, token=Token(bank.token), limits=limits, ui=ui)
    with service:
        clients = {role: Till(service.port, f"{role}-token") for role in ("till", "attendant", "monitor")}
        yield Bench(service, bank, **clients, browser=Till(service.port, None), folder=folder)


def until(true: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def at_once(*calls: Callable[[], Reply]) -> list[Reply]:
    """Several requests at the same time."""
    found: list[Reply | None] = [None] * len(calls)

    def call(number: int) -> None:
        found[number] = calls[number]()

    threads = [threading.Thread(target=call, args=(number,)) for number in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(reply is not None for reply in found)
    return [reply for reply in found if reply is not None]
