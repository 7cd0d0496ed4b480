"""Till and service as processes: killed, with a faulty proxy between them, beside greedy clients, on a full disk."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sco_payment.cli.exit_status import ExitStatus
from sco_payment.journal import Journal
from sco_payment.settings import TOKEN_VARIABLE
from sco_sim.paymaster import PayMasterSimulator
from tests.service.service_kit import Till
from tests.verification.service.faults import FAULTS
from tests.verification.service.rounds import SCENARIOS, Party, Round, Scenario, held_port, judge, play, settings_file

ROOT = Path(__file__).parents[2]
PAYS, CANCELS = SCENARIOS[0], SCENARIOS[2]
# Some of about 90 points of each party; `make service-rounds` takes all of them, in every scenario.
POINTS = [
    *((PAYS, "service", point) for point in range(5, 88, 16)),
    *((PAYS, "till", point) for point in range(3, 83, 20)),
    *((CANCELS, "service", point) for point in (14, 40, 70)),
]


@pytest.mark.parametrize(("scenario", "party", "point"), POINTS, ids=lambda value: getattr(value, "name", str(value)))
def test_a_kill_at_a_point(tmp_path: Path, scenario: Scenario, party: str, point: int) -> None:
    result = play(tmp_path / "round", scenario, **{f"{party}_dies_at": point})
    print(result.line())
    assert result.problem is None, result.line()


@pytest.mark.parametrize("seed", range(1, 9))
def test_seeds(tmp_path: Path, seed: int) -> None:
    result = play(tmp_path / "round", SCENARIOS[seed % len(SCENARIOS)], seed=seed)
    print(result.line())
    assert result.problem is None, result.line()


@pytest.mark.parametrize(
    ("fault", "found"),
    [
        ("the key is not derived from the till's id", "A-1"),
        ("a PUT is answered before the disk", "no goods, no case"),
        ("taken is answered and not recorded", "the journal does not know it"),
    ],
)
def test_a_seeded_fault_is_caught(tmp_path: Path, fault: str, found: str) -> None:
    assert fault in [one.name for one in FAULTS]
    result = play(tmp_path / "round", PAYS, fault=fault)
    print(result.line())
    assert result.problem is not None
    assert found in result.problem, result.line()


@dataclass
class Running:
    """A service in a process of its own, and what belongs to it."""

    folder: Path
    port: int
    bank: PayMasterSimulator
    service: Party
    settings: Path
    environment: dict[str, str]

    def till(self, token: str = "till-token") -> Till:
        return Till(self.port, token, host="127.0.0.1")

    def pay_everything(self, limit_s: float) -> Round:
        """The till of the rounds pays its orders; the judgement."""
        till = Party("till", self.folder, ["till", str(self.folder), str(self.port), "0"], self.environment, 0)
        try:
            till.process.wait(limit_s)
        finally:
            till.kill("because it hangs")
        result = Round(PAYS)
        self.service.stop()
        assert till.process.returncode == 0, till.log()
        assert self.service.stopped
        result.problem = judge(self.folder, self.bank, result)
        return result


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with held_port() as port, PayMasterSimulator(script="pays after=0.3") as bank:
        settings = settings_file(tmp_path, bank, port)
        environment = {**os.environ, TOKEN_VARIABLE: bank.token}
        service = Party("service", tmp_path, ["child", "--settings", str(settings)], environment, 0)
        until = time.monotonic() + 60
        while "listens" not in service.log() and time.monotonic() < until:
            time.sleep(0.02)
        yield Running(tmp_path, port, bank, service, settings, environment)
        service.kill("at the end of the test")


def resident_kib(pid: int) -> int:
    rows = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(row.split()[1]) for row in rows if row.startswith("VmRSS"))


def _request(method: str, path: str) -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer till-token\r\n\r\n".encode()


def test_greedy_clients_cost_the_lane_nothing(running: Running) -> None:
    """500 idle connections, clients that send and read one octet a second, and ones that ask and vanish."""
    before = resident_kib(running.service.process.pid)
    over = threading.Event()

    def by_octets(read: bool) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", running.port), timeout=5) as line:
                if read:
                    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
                    line.sendall(_request("GET", "/v1/openapi.yaml"))
                    while not over.wait(1.0) and line.recv(1):
                        pass
                else:
                    for octet in _request("GET", "/v1/lane"):
                        line.sendall(bytes([octet]))
                        if over.wait(1.0):
                            break

    def vanishing() -> None:
        while not over.wait(0.05):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", running.port), timeout=5) as line:
                line.sendall(_request("GET", "/v1/events?after=0&wait_s=25"))

    clients = [threading.Thread(target=by_octets, args=(read,), daemon=True) for read in (True, False) * 3]
    clients.append(threading.Thread(target=vanishing, daemon=True))
    with contextlib.ExitStack() as held:
        for client in clients:
            client.start()
        for _ in range(500):
            with contextlib.suppress(OSError):
                held.enter_context(socket.create_connection(("127.0.0.1", running.port), timeout=5))
        try:
            till = Party(
                "till", running.folder, ["till", str(running.folder), str(running.port), "0"], running.environment, 0
            )
            assert till.process.wait(60) == 0, till.log()
            grown = resident_kib(running.service.process.pid) - before
        finally:
            over.set()
    print(f"grown by {grown} KiB")
    assert grown < 8 * 1024
    result = running.pay_everything(60)
    assert result.problem is None, result.line()
    assert result.sold == ["A-1", "B-2"]


def test_a_full_disk_refuses_payments_and_loses_none(running: Running) -> None:
    """What grows is limited in size, as on a disk that is full; then there is room again."""
    till = running.till()
    assert till.put("T-1", {"order": "T-1", "total_kopecks": 100}).status == 201
    assert till.outcome("T-1")["outcome"] == "paid"
    pid = running.service.process.pid
    wal = (running.folder / "journal.db-wal").stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (wal, resource.RLIM_INFINITY))
    taken = till.post("/v1/payments/T-1/taken")
    refused = till.put("T-2", {"order": "T-2", "total_kopecks": 100})
    print(taken, refused)
    assert (taken.status, taken.code, taken.json["retry"]) == (503, "journal_unavailable", True)
    assert (refused.status, refused.code, refused.json["retry"]) == (503, "journal_unavailable", True)
    assert till.get("/v1/payments/T-2").status == 404
    assert till.payment("T-1")["taken"] is False
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert till.post("/v1/payments/T-1/taken").json["taken"] is True
    assert till.put("T-2", {"order": "T-2", "total_kopecks": 100}).status == 201
    assert till.outcome("T-2")["outcome"] == "paid"
    assert running.bank.bank.creates == 2


def test_a_disk_that_fills_in_the_middle_of_a_payment(running: Running) -> None:
    """The lane waits for room; what the bank says meanwhile is not lost."""
    till = running.till()
    running.bank.use("leaves")
    till.put("T-1", {"order": "T-1", "total_kopecks": 100})
    till.events_until("T-1", "link_accepted")
    pid = running.service.process.pid
    wal = (running.folder / "journal.db-wal").stat().st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (wal, resource.RLIM_INFINITY))
    running.bank.bank.settle(till.payment("T-1")["payment_id"])
    time.sleep(2.0)
    assert till.payment("T-1")["outcome"] is None
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert till.outcome("T-1")["outcome"] == "paid"
    assert till.post("/v1/payments/T-1/taken").json["taken"] is True


def test_a_second_service_on_the_journal_is_refused(running: Running) -> None:
    """It says who has it, on another port too; the first one goes on."""
    other = running.folder / "other.toml"
    with held_port() as port:
        other.write_text(running.settings.read_text().replace(f"127.0.0.1:{running.port}", f"127.0.0.1:{port}"))
        for settings in (other, running.settings):
            done = subprocess.run(
                [sys.executable, "-m", "sco_payment.cli.main", "serve", "--settings", str(settings)],
                env=running.environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            print(done.returncode, done.stderr)
            assert "Traceback" not in done.stderr
            if settings == other:
                assert done.returncode == ExitStatus.JOURNAL_BUSY
                assert f"http://127.0.0.1:{running.port}" in done.stderr
            else:
                assert done.returncode != 0
    result = running.pay_everything(60)
    assert result.problem is None, result.line()
    with Journal(running.folder / "journal.db", read_only=True) as journal:
        assert len(journal.attempts()) == 2
    assert json.loads((running.folder / "till.json").read_text())["payments"].keys() == {"A-1.1", "B-2.1"}
