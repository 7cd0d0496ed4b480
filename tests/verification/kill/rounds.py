"""One round: pay, be killed, recover (perhaps be killed again); then judge by the acquirer's books and the journal."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from sco_payment import attempt as m
from sco_payment.journal import Journal
from sco_payment.settings import TOKEN_VARIABLE
from sco_sim.paymaster import PayMasterSimulator
from tests.payment.lane_kit import document

ORDER = "A-42"
_ROOT = Path(__file__).parents[3]
_LIMIT_S = 60
_RECOVERIES = 4


@dataclass(frozen=True, slots=True)
class Scenario:
    """What customer, acquirer and network do.

    Attributes:
        script: of the PayMaster simulator.
        interrupt: after how many status requests the customer cancels.
        comes_late: money for a declined payment comes when the first process is over, before the recovery.
        pays_meanwhile: the customer pays while a slow cancellation is at the bank, which has not looked at it.
        patience_s: how long the lane waits for an answer.
    """

    name: str
    script: str
    interrupt: int = 0
    comes_late: bool = False
    pays_meanwhile: bool = False
    patience_s: float = 2.0


SCENARIOS = (
    Scenario("pays", "pays after=0.3"),
    Scenario("declines", "declines after=0.3"),
    Scenario("cancels", "leaves", 2),
    Scenario("pays while cancelling", "pays-after-cancel", 2),
    Scenario("cancellation lost", "cancel-lost", 2),
    Scenario("create lost", "cut-after on=create first=1 + pays after=0.3"),
    Scenario("answers cut", "cut-after on=get first=2 + pays after=0.3"),
    # the lane has given up waiting when the bank looks at the cancellation and refunds the customer
    Scenario("late cancel", "cancel-refunds + slow on=cancel wait=3", 2, pays_meanwhile=True, patience_s=0.5),
    Scenario("declined, then paid", "declines after=0.3", comes_late=True),
)


@dataclass(slots=True)
class Round:
    """What happened; `problem` is None when every invariant holds."""

    scenario: Scenario
    deaths: list[str] = field(default_factory=list)
    reported: str | None = None
    points: int = 0
    problem: str | None = None

    def line(self) -> str:
        """One line to print."""
        deaths = "; ".join(self.deaths) or "never killed"
        return f"{self.scenario.name}; {deaths}; reported {self.reported}: {self.problem or 'good'}"


class Bench:
    """An acquirer, a lane's settings and journal in `folder`, and the processes that run on them."""

    def __init__(self, folder: Path, scenario: Scenario, fault: str = "") -> None:
        self.folder, self.scenario, self.fault = folder, scenario, fault
        self.paymaster = PayMasterSimulator(script=scenario.script)

    def __enter__(self) -> Bench:
        self.paymaster.start()
        if self.scenario.pays_meanwhile:
            self._pay_meanwhile()
        timing = {"poll_interval_s": 0.1, "confirm_timeout_s": 1.0, "create_retry_s": 0.1, "watch_interval_s": 1.0}
        patience = {"read_timeout_s": self.scenario.patience_s}
        data = document(self.paymaster, self.folder / "journal.db", timing=timing, paymaster=patience)
        lines = []
        for section, values in data.items():
            lines.append(f"[{section}]")
            lines += [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()]
        (self.folder / "lane.toml").write_text("\n".join(lines), "utf-8")
        return self

    def __exit__(self, *exc: object) -> None:
        self.paymaster.close()

    def money_comes(self) -> bool:
        """The customer of a declined payment pays by another try; whether there is such a payment."""
        declined = [payment.id for payment in self.paymaster.bank.payments.values() if payment.status == "Rejected"]
        for payment_id in declined:
            self.paymaster.bank.force_settle(payment_id)
        return bool(declined)

    @property
    def _slow(self) -> int:
        """How many slow requests the bank has received."""
        return sum(fault.met for fault in self.paymaster.script.faults if fault.kind == "slow")

    def _pay_meanwhile(self) -> None:
        bank = self.paymaster.bank
        if not self._slow:
            bank.plan(bank.clock() + 0.05, self._pay_meanwhile)
        for payment_id in list(bank.payments) if self._slow else ():
            bank.settle(payment_id)

    def cancellations_arrive(self) -> None:
        """Wait until the bank has looked at each cancellation that it has received."""
        limit = time.monotonic() + _LIMIT_S
        while self._slow > self.paymaster.bank.calls["cancel"] and time.monotonic() < limit:
            time.sleep(0.02)

    def start(self, point: int, *arguments: str) -> subprocess.Popen[str]:
        """`sco-pay ARGUMENTS` on this bench."""
        environment = {
            **os.environ,
            TOKEN_VARIABLE: self.paymaster.token,
            "SCO_TEST_INTERRUPT": str(self.scenario.interrupt if arguments[0] == "pay" else 0),
            "SCO_TEST_FAULT": self.fault,
        }
        command = [sys.executable, "-m", "tests.verification.kill.child", str(point), *arguments]
        return subprocess.Popen(
            [*command, "--settings", str(self.folder / "lane.toml"), "--json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=environment,
        )

    def run(self, point: int, *arguments: str, die_after_s: float | None = None) -> tuple[int, list[str], str]:
        """The same to its end, or to its death after `die_after_s`: exit status, lines of stdout, stderr."""
        process = self.start(point, *arguments)
        try:
            out, err = process.communicate(timeout=_LIMIT_S if die_after_s is None else die_after_s)
        except subprocess.TimeoutExpired:
            if die_after_s is None:
                raise
            process.kill()
            out, err = process.communicate()
            err += f"killed after {die_after_s:.3f} s\n"
        return process.returncode, out.splitlines(), err


def play(
    folder: Path, scenario: Scenario, *, kill_at: int = 0, rng: random.Random | None = None, fault: str = ""
) -> Round:
    """One round: killed at point `kill_at` (0: never), or with `rng` at random moments, twice perhaps.

    `fault` names a seeded fault of `explore.faults` that the process runs with.
    """
    result = Round(scenario)
    folder.mkdir(parents=True)
    with Bench(folder, scenario, fault) as bench:
        die = None if rng is None else rng.uniform(0.1, 0.9)
        status, lines, err = bench.run(kill_at, "pay", "253", "--order", ORDER, die_after_s=die)
        _note(result, status, lines, err)
        late = scenario.comes_late and bench.money_comes()
        for _ in range(_RECOVERIES):
            if status != -signal.SIGKILL and not late:
                break
            late = False
            # A recovery dies too, at the same point or at another moment; the last one is left alone.
            last = len(result.deaths) >= _RECOVERIES - 1
            again = 0 if last or rng is not None else (kill_at if len(result.deaths) == 1 else 0)
            die = rng.uniform(0.1, 0.8) if rng is not None and not last and rng.random() < 0.5 else None
            status, lines, err = bench.run(again, "recover", die_after_s=die)
            _note(result, status, lines, err)
        if result.problem is None:
            result.problem = judge(bench, result, status)
    return result


def _note(result: Round, status: int, lines: list[str], err: str) -> None:
    passed = re.search(r"points passed: (\d+)", err)
    if passed and not result.points:
        result.points = int(passed[1])
    if status == -signal.SIGKILL:
        result.deaths += [line for line in err.splitlines() if line.startswith("killed")]
    elif "Traceback" in err:
        result.problem = f"an exception leaked: {err.splitlines()[-2]}"
    for line in lines:
        try:
            data = json.loads(line)
        except ValueError:
            continue  # cut short by the kill
        if data.get("event") == "outcome" and result.reported is None:
            result.reported = data["outcome"]


def judge(bench: Bench, result: Round, status: int) -> str | None:
    """Which invariant is broken, by the acquirer's books and the journal; None when all hold."""
    if status == -signal.SIGKILL:
        return "it was killed to the end"
    bench.cancellations_arrive()
    bank = bench.paymaster.bank
    payments = list(bank.payments.values())
    if len(payments) > 1:
        return f"{len(payments)} payments were created for one order"
    payment = payments[0] if payments else None
    if payment is not None and payment.cancel_requests > 1:
        return f"{payment.cancel_requests} cancellations were sent"
    if not (bench.folder / "journal.db").exists():
        return None if payment is None else "a payment was created and there is no journal"
    with Journal(bench.folder / "journal.db", lane_id="lane-1", acquirer="paymaster") as journal:
        problems = journal.verify()
        if problems:
            return f"verify: {problems[0]}"
        attempts, cases = journal.attempts(), journal.cases()
        gate = m.gate(ORDER, None, journal.conflicting_attempts(ORDER))
    if payment is None:
        return None if result.reported != "paid" else "paid was reported and no payment was ever created"
    if len(attempts) != 1:
        return f"the bank has a payment, the journal {len(attempts)} attempts"
    return _judge_attempt(attempts[0], bool(cases), payment.status, result.reported, gate)


def _judge_attempt(state: m.State, case: bool, at_bank: str, reported: str | None, gate: str | None) -> str | None:
    paid = at_bank == "Settled"
    known = state.phase in m.FINAL | m.BACKGROUND
    if not known:
        return f"recovery left the attempt in {state.phase.value}"
    if reported == "paid" and not (paid and state.phase is m.Phase.PAID):
        return f"paid was reported; the bank says {at_bank}, the journal {state.phase.value}"
    if state.phase is m.Phase.PAID and not paid:
        return f"the journal says paid, the bank {at_bank}"
    if state.phase is m.Phase.UNPAID and at_bank not in ("Cancelled", "Rejected"):
        return f"the journal says unpaid, the bank {at_bank}"
    if paid and state.phase in m.FINAL and not (case or (state.delivered and state.outcome is m.Outcome.PAID)):
        return "money without goods and without a case"
    if paid and state.phase not in m.FINAL and not case and state.outcome is not m.Outcome.UNPAID:
        return "money that the lane does not know of, and no case"
    if at_bank == "Refunded" and not case:
        return "the acquirer has refunded the customer, and there is no case"
    if gate is None and at_bank not in ("Cancelled", "Rejected"):
        return f"a second attempt may begin while the bank says {at_bank}"
    return None


def points_of(folder: Path, scenario: Scenario) -> int:
    """How many points an undisturbed payment passes."""
    result = play(folder, scenario)
    if result.problem is not None:
        raise AssertionError(result.line())
    return result.points
