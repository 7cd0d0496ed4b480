"""What a lane and the centre are in these tests: a real journal with real payments, the real app."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psycopg

from sco_fleet import embedded, lanes
from sco_fleet.app import create_app
from sco_fleet.pool import open_pool
from sco_payment import attempt as m
from sco_payment.journal import Journal
from sco_payment.settings import FleetSettings
from sco_sim.local import free_port, web_server, write_private
from tests.verification.powerloss import check

PAID, CANCELLED, CASE = range(3)
"""How a payment ends: paid and taken, cancelled, or in a case that stays open."""
LANE = "KSO-1"


def opened(path: Path, lane_id: str = LANE) -> Journal:
    """A lane's journal, for writing."""
    return Journal(path, lane_id=lane_id, acquirer="paymaster")


def payment(journal: Journal, name: str, how: int = PAID, *, at_ms: int | None = None) -> None:
    """Write all steps of one payment, as a lane does."""
    at = time.time_ns() // 1_000_000 if at_ms is None else at_ms
    plan = m.Plan(name, f"order-{name}", 25_300, "RUB", m.Mode.PRINT, begun_at_ms=at, expires_at_ms=at + 300_000)
    state, effects = m.begin(plan)
    journal.record(None, state, effects, at_ms=at)
    for one in check._events(how, state, at):
        event = replace(one, seq=state.seq) if isinstance(one, m.ANSWERS) else one
        if isinstance(event, m.Created | m.PaymentStatusReceived):
            event = replace(event, payment_id=f"bank-{name}")
        before, (state, effects) = state, m.step(state, event)
        journal.note(name, f"received: {type(event).__name__}", at_ms=at)
        if m.significant(before, state, effects):
            journal.record(event, state, effects, at_ms=at)


def late_money(journal: Journal, key: str) -> bool:
    """The money of a payment with a case arrives; its case opens again. False where that was so already."""
    state = next(state for state in journal.attempts() if state.plan.key == key)
    if state.phase is m.Phase.PAID_LATE or state.payment_id is None:
        return False
    at = time.time_ns() // 1_000_000
    event = m.PaymentStatusReceived(
        at, state.seq, state.payment_id, m.PaymentStatus.PAID, "Settled", state.plan.kopecks, "RUB"
    )
    state, effects = m.step(replace(state, busy=True, sent_at_ms=at), event)
    journal.record(event, state, effects, at_ms=at)
    return True


class Centre:
    """The server that ships, in a thread, on a database. `url` is where; it stays the same over a restart."""

    def __init__(self, database: str) -> None:
        self.database = database
        self._port = 0
        self._running = contextlib.ExitStack()
        self.start()

    def start(self) -> None:
        """Serve."""
        listener = socket.create_server(("127.0.0.1", self._port), backlog=64)
        self._port = int(listener.getsockname()[1])
        self.url = f"http://127.0.0.1:{self._port}"
        self._running.callback(listener.close)
        pool = open_pool(self.database, most=4)
        self._running.callback(pool.close)
        self._running.enter_context(web_server(create_app(pool), listener, "fleet"))

    def stop(self) -> None:
        """End; requests under way are answered."""
        self._running.close()

    def __enter__(self) -> Centre:
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()


def add_lane(database: str, folder: Path, url: str, lane_id: str = LANE) -> FleetSettings:
    """Give a lane a token at the centre; its settings."""
    with psycopg.connect(database, autocommit=True) as db:
        token = lanes.add(db, lane_id, "S")
    folder.mkdir(parents=True, exist_ok=True)
    file = write_private(folder / "fleet.token", token)
    return FleetSettings(url=url, token_file=str(file), timeout_s=5.0, batch_rows=7)


def power_off(server: embedded.Server) -> None:
    """Kill PostgreSQL as a power cut does, all of its processes; returns when they are gone."""
    first = int((server.folder / "data" / "postmaster.pid").read_text().split()[0])
    for pid in [first, *children(first)]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    end = time.monotonic() + 60
    while children(first) or Path(f"/proc/{first}").exists():
        assert time.monotonic() < end, "PostgreSQL's processes do not end"
        time.sleep(0.01)


def children(parent: int) -> list[int]:
    """The processes that it has started and that run; any may end at any moment."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdigit():
                state, ppid = (process / "stat").read_text().rpartition(")")[2].split()[:2]
                if int(ppid) == parent and state != "Z":
                    found.append(int(process.name))
    return found


class ServerProcess:
    """`sco-fleet serve` in a process of its own, to be killed. `url` is where; it stays the same."""

    def __init__(self, database: str, log: Path) -> None:
        self._database, self._log = database, log
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.start()

    def start(self) -> None:
        """Returns when it listens."""
        command = [sys.executable, "-m", "sco_fleet.cli.main", "serve", "--database", self._database]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--port", str(self._port)], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), timeout=1):
                return
            assert self.process.poll() is None, self._log.read_text()
            assert time.monotonic() < end, self._log.read_text()
            time.sleep(0.02)

    def kill(self) -> None:
        """-9."""
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *exc: object) -> None:
        self.kill()
