"""One round: a till pays its orders through a service, whatever is killed or lost; then the judgement."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from sco_payment.journal import Journal
from sco_payment.settings import TOKEN_VARIABLE
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import document
from tests.service.service_kit import secrets
from tests.verification.service.proxy import FAULTS, Proxy
from tests.verification.service.till import ORDERS

_ROOT = Path(__file__).parents[3]
_LIMIT_S = 90.0
_STEP_S = 0.02


@dataclass(frozen=True, slots=True)
class Scenario:
    """What customer and bank do; `cancel_after`: after how many pages without an outcome the till cancels."""

    name: str
    script: str
    cancel_after: int = 0


SCENARIOS = (
    Scenario("pays", "pays after=0.3"),
    Scenario("declines", "declines after=0.3"),
    Scenario("cancels", "leaves", 2),
    Scenario("pays while cancelling", "pays-after-cancel", 2),
    Scenario("cancellation lost", "cancel-lost", 2),
    Scenario("create lost", "cut-after on=create first=1 + pays after=0.3"),
)


@dataclass(slots=True)
class Round:
    """What happened; `problem` is None when every invariant holds."""

    scenario: Scenario
    deaths: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    service_points: int = 0
    till_points: int = 0
    sold: list[str] = field(default_factory=list)
    problem: str | None = None

    def line(self) -> str:
        """One line to print."""
        deaths = "; ".join(self.deaths) or "nothing killed"
        faults = ", ".join(f"{count} {name}" for name, count in self.faults.items()) or "nothing lost"
        return f"{self.scenario.name}; {deaths}; {faults}; sold {self.sold}: {self.problem or 'good'}"


class Party:
    """A process that is started again when it was killed."""

    def __init__(self, name: str, folder: Path, command: list[str], environment: dict[str, str], point: int) -> None:
        self.name = name
        self._command = command
        self._environment = environment
        self._log = folder / f"{name}.log"
        self.deaths: list[str] = []
        self.stopped = True
        self.points = 0
        self.process = self._start(point)

    def _start(self, point: int) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    f"tests.verification.service.{self._command[0]}",
                    str(point),
                    *self._command[1:],
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=_ROOT,
                env=self._environment,
            )

    def kill(self, when: str) -> None:
        """-9."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
            self.deaths.append(f"{self.name} killed {when}")

    def revive(self, point: int = 0) -> bool:
        """Start it again if it was killed; whether it was."""
        if self.process.poll() != -signal.SIGKILL:
            return False
        own = re.findall(r"killed at (point .*)", self.log())
        if own and len(own) > sum(" at " in death for death in self.deaths):
            self.deaths.append(f"{self.name} killed at {own[-1]}")
        self.process = self._start(point)
        return True

    def stop(self) -> None:
        """Ask it to end, and wait."""
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            self.stopped = False
        passed = re.findall(r"points passed: (\d+)", self.log())
        self.points = int(passed[-1]) if passed else 0

    def log(self) -> str:
        """All that it has written."""
        return self._log.read_text("utf-8", "replace")


@contextlib.contextmanager
def held_port() -> Iterator[int]:
    """A port that the kernel gives to nobody else: the service needs the same one when it starts again."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


def settings_file(folder: Path, bank: PayMasterSimulator, port: int, **sections: dict[str, object]) -> Path:
    """Settings of a lane that is asked often and listens at `port`."""
    timing = {"poll_interval_s": 0.1, "confirm_timeout_s": 1.0, "create_retry_s": 0.1, "watch_interval_s": 1.0}
    service = secrets(folder) | {"listen": f"127.0.0.1:{port}"}
    clients = service.pop("clients")
    data = document(bank, folder / "journal.db", timing=timing, service=service, **sections)
    lines: list[str] = []
    for section, values in [*data.items(), *((f"service.clients.{name}", one) for name, one in clients.items())]:
        lines.append(f"[{section}]")
        lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
    path = folder / "lane.toml"
    path.write_text("\n".join(lines), "utf-8")
    return path


def play(
    folder: Path,
    scenario: Scenario,
    *,
    service_dies_at: int = 0,
    till_dies_at: int = 0,
    seed: int | None = None,
    kill: bool = True,
    fault: str = "",
) -> Round:
    """One round: each party dies at its point (0: never); with `seed` at random moments too, and requests meet faults.

    `fault` names a seeded fault of `faults` that the service runs with.
    """
    result = Round(scenario)
    random = Random(seed)
    folder.mkdir(parents=True)
    moments = sorted(random.uniform(0.5, 6.0) for _ in range(random.choice((0, 1, 2, 3)))) if seed and kill else []
    choose: Callable[[int], str] = lambda nth: ""  # noqa: E731
    if seed is not None:
        rate = random.choice((0.1, 0.3, 0.5))
        own = Random(random.random())
        choose = lambda nth: own.choice(FAULTS) if nth <= 30 and own.random() < rate else ""  # noqa: E731
    with (
        held_port() as port,
        PayMasterSimulator(script=scenario.script) as bank,
        Proxy(port, choose, Random(random.random())) as proxy,
    ):
        environment = {**os.environ, TOKEN_VARIABLE: bank.token, "SCO_TEST_FAULT": fault}
        settings = settings_file(folder, bank, port)
        service = Party("service", folder, ["child", "--settings", str(settings)], environment, service_dies_at)
        command = ["till", str(folder), str(proxy.port), str(scenario.cancel_after)]
        till = Party("till", folder, command, environment, till_dies_at)
        started = time.monotonic()
        try:
            while till.process.poll() in (None, -signal.SIGKILL) and time.monotonic() < started + _LIMIT_S:
                time.sleep(_STEP_S)
                if moments and time.monotonic() - started > moments[0]:
                    when = f"after {moments.pop(0):.2f} s"
                    random.choice((service, till)).kill(when)
                service.revive()
                till.revive()
                if service.process.poll() is not None and service.process.returncode != -signal.SIGKILL:
                    result.problem = f"the service ended with {service.process.returncode}: {service.log()[-500:]}"
                    break
        finally:
            till.kill("at the end of its time")
            service.stop()
        result.deaths = [*service.deaths, *till.deaths]
        result.faults = proxy.faults
        passed = re.findall(r"points passed: (\d+)", till.log())
        result.service_points, result.till_points = service.points, int(passed[-1]) if passed else 0
        if result.problem is None and not service.stopped:
            result.problem = f"the service did not stop: {service.log()[-500:]}"
        if result.problem is None and till.process.returncode != 0:
            result.problem = f"the till ended with {till.process.returncode}: {till.log()[-500:]}"
        for party in (service, till):
            if result.problem is None and "Traceback" in party.log():
                result.problem = f"an exception leaked from the {party.name}: {party.log()[-700:]}"
        if result.problem is None:
            result.problem = judge(folder, bank, result)
    return result


def judge(folder: Path, bank: PayMasterSimulator, result: Round) -> str | None:
    """Which invariant is broken, by the bank's books, the till's disk and the journal; None when all hold."""
    disk = json.loads((folder / "till.json").read_text())["payments"]
    goods = folder / "goods.txt"
    result.sold = sorted(set(goods.read_text().split())) if goods.exists() else []
    with Journal(folder / "journal.db", lane_id="lane-1", acquirer="paymaster") as journal:
        if problems := journal.verify():
            return f"verify: {problems[0]}"
        attempts = journal.attempts()
        cases = {case.attempt for case in journal.cases(include_closed=True)}
    ids = Counter(state.plan.till_id for state in attempts)
    if twice := [till_id for till_id, count in ids.items() if count > 1]:
        return f"{twice[0]} has two attempts"
    by_payment = {state.payment_id: state for state in attempts if state.payment_id is not None}
    for order, _ in ORDERS:
        payments = [one for one in bank.bank.payments.values() if one.invoice["orderNo"] == order]
        paid = [one for one in payments if one.status == "Settled"]
        payable = [one for one in payments if one.status not in ("Cancelled", "Rejected")]
        if len(paid) > 1 or len(payable) > 1:
            return f"order {order} is charged twice: {[one.status for one in payments]}"
        if any(one.cancel_requests > 1 for one in payments):
            return f"a payment of {order} was cancelled twice"
        if order in result.sold and not paid:
            return f"the goods of {order} were released; at the bank {[one.status for one in payments]}"
        for one in paid:
            state = by_payment.get(one.id)
            if order not in result.sold and (state is None or state.plan.key not in cases):
                return f"the bank has the money of {order}, no goods, no case"
    for state in attempts:
        mine = disk.get(state.plan.till_id)
        if mine is None or mine["stage"] != "done":
            return f"{state.plan.till_id} began and the till has no outcome"
        if state.outcome is None:
            return f"{state.plan.till_id} has no outcome"
        if not state.delivered:
            return f"the till has reported {state.plan.till_id} as taken, and the journal does not know it"
        if mine["outcome"] != state.outcome.value:
            return f"{state.plan.till_id}: the till has {mine['outcome']}, the journal {state.outcome.value}"
    for till_id, mine in disk.items():
        if mine["outcome"] == "refused" and not any(
            state.plan.key in cases and state.plan.order_no == till_id.partition(".")[0] for state in attempts
        ):
            return f"{till_id} was refused ({mine['why']}), and there is no case"
    return None
