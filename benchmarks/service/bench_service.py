"""The lane as a service: memory with and without clients, and what a till waits for.

    python -m benchmarks.service.bench_service

Memory is that of a service in a process of its own, as in `benchmarks.core.bench_core`: all drivers open, TLS to the
bank. Times that have a limit take turns with it. The journal lies in `out/`, on a real disk.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import logging
import os
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.core.bench_core import MEMORY_GOAL, bare_interpreter, cpu_s, lane_in_a_process, memory_mib, quantile
from benchmarks.core.instant_bank import InstantBank
from benchmarks.installed import compile_packages
from benchmarks.report import Row, finish, options
from benchmarks.service.starlette_server import by_starlette
from sco_payment.assemble import open_lane
from sco_payment.attempt import View
from sco_payment.customer.ui import ScreenState
from sco_payment.order import Order
from sco_payment.paymaster.token import Token
from sco_payment.settings import TOKEN_VARIABLE, Settings
from sco_payment.settings_reader import settings_from_mapping
from sco_service import Service

ROOT = Path(__file__).resolve().parents[2]
_PROCESS = "benchmarks.service.service_process"
_PEER = "starlette + uvicorn"
_CLIENTS = (0, 1, 10)


class Till:
    """A till on one connection that stays open."""

    def __init__(self, port: int) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """The answer's JSON."""
        head = {"Authorization": "Bearer till-token", "Content-Type": "application/json"}
        self._line.request(method, path, None if body is None else json.dumps(body).encode(), head)
        answer = self._line.getresponse()
        found = json.loads(answer.read())
        assert answer.status < 300, found
        return found

    def pay(self, number: int, prefix: str = "T") -> float:
        """One whole payment, as a till takes it; returns when the outcome was in its hand."""
        path = f"/v1/payments/{prefix}-{number}"
        self.ask("PUT", path, {"order": f"{prefix}-{number}", "total_kopecks": 25_300 + number})
        after = 0
        while True:
            page = self.ask("GET", f"{path}/events?after={after}&wait_s=10")
            at, after = time.perf_counter(), page["next_after"]
            if any(event["type"] == "outcome_reached" for event in page["events"]):
                break
        self.ask("POST", f"{path}/taken", {})
        return at

    def close(self) -> None:
        """Hang up."""
        self._line.close()


@contextlib.contextmanager
def waiting_clients(port: int, number: int) -> Iterator[None]:
    """So many clients that wait for an event."""
    with contextlib.ExitStack() as held:
        for _ in range(number):
            line = held.enter_context(socket.create_connection(("127.0.0.1", port)))
            line.sendall(
                b"GET /v1/events?after=0&wait_s=25 HTTP/1.1\r\n"
                b"Host: 127.0.0.1\r\nAuthorization: Bearer till-token\r\n\r\n"
            )
        time.sleep(1.0)
        yield


def memory(folder: Path, quick: bool) -> list[Row]:
    """Memory and CPU of a service whose clients wait, and of its peer."""
    bare = bare_interpreter()
    found: dict[tuple[str, int], tuple[dict[str, float], float]] = {}
    for server in ("h11", "starlette"):
        (folder / server).mkdir()
        with lane_in_a_process(folder / server, server, _PROCESS) as pid:
            port = int((folder / server / "port").read_text())
            for number in _CLIENTS:
                with waiting_clients(port, number):
                    before, seconds = cpu_s(pid), 2 if quick else 15
                    time.sleep(seconds)
                    found[server, number] = memory_mib(pid), (cpu_s(pid) - before) / seconds * 100
    rows = []
    for number in _CLIENTS:
        (ours, share), (peer, peer_share) = found["h11", number], found["starlette", number]
        clients = f"service, all drivers open, {number} waiting client{'s' * (number != 1)}"
        for kind, label in (("Rss", "resident"), ("Pss", "its share of shared pages")):
            rows.append(
                Row(
                    "service", f"memory, {clients}, {label}", "MiB", ours[kind], peer[kind], _PEER, bare[kind],
                    "Python alone", f"at most {MEMORY_GOAL:g} MiB", ours[kind] <= MEMORY_GOAL,
                )
            )  # fmt: skip
        rows.append(Row("service", f"CPU, {clients}", "%", share, peer_share, _PEER))
    return rows


def settings_of(folder: Path, bank: InstantBank, name: str) -> Settings:
    """Settings of a service on a bank that answers at once."""
    token = folder / "till.token"
    if not token.exists():
        token.touch(0o600)
        token.write_text("till-token")
    return settings_from_mapping(
        {
            "lane": {"pos_id": "K", "shop": "S"},
            "paymaster": {"base_url": bank.url, "merchant_id": "m"},
            "timing": {"poll_interval_s": 0.1},
            "journal": {"path": str(folder / f"{name}.db")},
            "service": {"listen": "127.0.0.1:0", "clients": {"till": {"role": "till", "token_file": str(token)}}},
        },
        {TOKEN_VARIABLE: "t"},
    )


class _Shown:
    """A lane's screen that records when the code is there."""

    def __init__(self) -> None:
        self.at = 0.0

    def show(self, screen: ScreenState) -> None:
        if screen.view is View.PAY:
            self.at = time.perf_counter()

    def close(self) -> None:
        """Nothing to close."""


def latency(folder: Path, quick: bool) -> list[Row]:
    """From the order to the code on the screen, and from the bank's answer to the event in the till's hand. Service,
    peer, the lane without either, and the limit take turns."""
    rounds = 10 if quick else 200
    shown = _Shown()
    times: dict[str, list[float]] = {name: [] for name in ("ours", "peer", "lane", "ours event", "peer event", "limit")}
    with contextlib.ExitStack() as opened:
        bank = opened.enter_context(InstantBank())
        ours = Service(settings_of(folder, bank, "ours"), also_show_on=(shown,), token=Token("t"))
        with by_starlette():
            peer = Service(settings_of(folder, bank, "peer"), also_show_on=(shown,), token=Token("t"))
        tills = {}
        for name, service in (("ours", ours), ("peer", peer)):
            opened.enter_context(service)
            tills[name] = Till(service.port)
        lane = opened.enter_context(open_lane(settings_of(folder, bank, "lane"), ui=shown, token=Token("t")))
        echo = opened.enter_context(_echo())
        bare = os.open(folder / "bare", os.O_RDWR | os.O_CREAT)
        opened.callback(os.close, bare)
        for number in range(-3, rounds):  # the first ones load what is loaded once
            if number == 0:
                for found in times.values():
                    found.clear()
            for name, till in tills.items():
                start = time.perf_counter()
                read_at = till.pay(number, name)
                times[name].append(shown.at - start)
                times[f"{name} event"].append(read_at - bank.answered[f"{name}-{number}"])
            start = time.perf_counter()
            lane.pay(Order(f"lane-{number}", 25_300 + number))
            times["lane"].append(shown.at - start)
            start = time.perf_counter()
            os.pwrite(bare, bytes(4096), (number + 3) * 4096)
            os.fdatasync(bare)
            echo.sendall(b"x" * 500)
            echo.recv(4096)
            times["limit"].append(time.perf_counter() - start)
    rows = []
    for label, share in (("median", 0.5), ("p99", 0.99)):
        by, other, alone, event, other_event, limit = (quantile(found, share) for found in times.values())
        rows.append(
            Row(
                "service", f"PUT -> code on the screen, {label}", "ms", by, other, _PEER, alone,
                "lane.pay in the same process",
            )
        )  # fmt: skip
        rows.append(
            Row(
                "service", f"the bank's answer in the socket -> event in the till's hand, {label}", "ms", event,
                other_event, _PEER, limit, "fdatasync + loopback round trip",
            )
        )  # fmt: skip
    return rows


@contextlib.contextmanager
def _echo() -> Iterator[socket.socket]:
    """A connection over the loopback to a thread that sends everything back."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            line, _ = server.accept()
            with line:
                while data := line.recv(4096):
                    line.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        with socket.create_connection(server.getsockname()) as line:
            yield line


def growth(folder: Path, quick: bool) -> list[Row]:
    """Memory over many payments, one after another."""
    many = 30 if quick else 1000
    grown = {}
    for name, server in (("ours", contextlib.nullcontext()), ("peer", by_starlette())):
        with InstantBank() as bank, server, Service(settings_of(folder, bank, name), token=Token("t")) as service:
            till = Till(service.port)
            for number in range(20 if quick else 300):  # until SQLite's page caches are full
                till.pay(number, "W")
            before = memory_mib(os.getpid())["Rss"]
            for number in range(many):
                till.pay(number)
                bank.answered.clear()  # the bank is in this process, and remembers
                bank._orders.clear()
            grown[name] = memory_mib(os.getpid())["Rss"] - before
            till.close()
    ours = grown["ours"]
    return [
        Row(
            "service", f"memory grown over {many} payments", "MiB", ours, grown["peer"], _PEER, goal="at most 1 MiB",
            met=ours <= 1.0,
        )
    ]  # fmt: skip


def main() -> None:
    """Run all of them."""
    wanted = options(__doc__ or "")
    logging.getLogger("sco_payment").setLevel(logging.ERROR)  # the bank's links are not links of the SBP
    compile_packages()
    (ROOT / "out").mkdir(exist_ok=True)
    rows: list[Row] = []
    for measure in (memory, latency, growth):
        with tempfile.TemporaryDirectory(dir=ROOT / "out") as folder:
            rows += measure(Path(folder), wanted.quick)
    finish(rows, wanted.json)


if __name__ == "__main__":
    main()
