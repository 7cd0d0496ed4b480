"""Seeds: lanes that pay and ship, whatever happens to requests, servers, connections and disks; then the judgement.

Run it for longer than the tests do: `python -m tests.fleet.faults --seeds N`.
"""

from __future__ import annotations

import shutil
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Literal

import psycopg

from sco_payment.journal import resolutions
from sco_payment.journal.resolutions import NEWS
from tests.fleet.faults.judge import JUDGE, as_on_the_lane, is_stored, stored_chains
from tests.fleet.faults.kit import CASE, Centre, late_money, payment
from tests.fleet.faults.lane import Books, SimulatedLane
from tests.fleet.faults.wire import FAULTS

_DEEDS = 30
_HEALS = 60
Focus = Literal["", "forks", "clones", "decisions", "late money", "copies"]
"""What a round has for certain: a restored disk; two lanes with one id; a decision, and money after or before it is
applied. Or what its seed says."""
_FORKS = ("journal_rolled_back", "two_lanes_one_id")


@dataclass(slots=True)
class Round:
    """What happened; `problem` is None when every invariant holds."""

    seed: int
    story: list[str] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    rows: int = 0
    problem: str | None = None

    def line(self) -> str:
        """One line to print."""
        return f"seed {self.seed}: {'; '.join(self.story)}: {self.problem or 'good'}"


class Broken(AssertionError):
    """An invariant does not hold."""


class Scenario:
    """The centre, some lanes, and what may happen to them."""

    def __init__(self, database: str, folder: Path, result: Round, focus: Focus) -> None:
        self.random, self.result, self._folder = Random(result.seed), result, folder
        self.centre = Centre(database)
        self._books = Books(self.centre)
        self.problems, self.receipts = self._books.problems, self._books.receipts
        self.lanes = [SimulatedLane(self._books, f"KSO-{n}", folder / f"lane-{n}") for n in (1, 2)]
        self._payments = self._decisions = 0
        self._rate = self.random.choice((0.0, 0.2, 0.5))
        self._disk = {
            "": self.random.choice((None, None, self._restore, self._clone)),
            "forks": self._restore,
            "clones": self._clone,
        }.get(focus)
        self._deeds: list[tuple[int, Callable[[SimulatedLane], str]]] = [
            (8, self._pay),
            (10, self._ship),
            (3, self._decide),
            (4, self._idle),
            (3, self._late_money),
            (1, self._restart_agent),
            (1, self._restart_centre),
            (2, self._release),
            (1, self._cut_backends),
        ]
        self._first = {
            "decisions": (self._ship, self._decide, self._ship, self._idle, self._ship, self._late_money, self._ship),
            "late money": (self._ship, self._decide, self._ship, self._late_money, self._ship, self._idle),
            "copies": (
                self._copy,
                self._case,
                self._ship,
                self._decide,
                self._decide,
                self._restore,
                self._case,
                self._ship,
                self._idle,
            ),
        }.get(focus, ())

    def close(self) -> None:
        """End."""
        for lane in self.lanes:
            lane.close()
        self.centre.stop()

    def run(self) -> None:
        """Deeds by the seed, then an end without faults. Raises Broken."""
        weights, deeds = zip(*self._deeds, strict=True)
        moment = self.random.randrange(_DEEDS // 3, _DEEDS)
        self._pay_with_case(self.lanes[0])
        for deed in self._first:
            self.result.story.append(f"{self.lanes[0].lane_id} {deed(self.lanes[0])}")
        for number in range(_DEEDS):
            lane = self.random.choice(self.lanes)
            if self._disk is not None and number == _DEEDS // 4:
                self.result.story.append(self._copy(self.lanes[0]))
            if self._disk is not None and number == moment:
                self.result.story.append(self._disk(self.lanes[0]))
            (deed,) = self.random.choices(deeds, weights)
            self.result.story.append(f"{lane.lane_id} {deed(lane)}")
            self._stop_if_broken()
        self._heal()
        self._judge()

    def _stop_if_broken(self) -> None:
        if self.problems:
            raise Broken(self.problems[0])

    # --- what may happen --------------------------------------------------------------------------------------------

    def _pay(self, lane: SimulatedLane) -> str:
        self._payments += 1
        payment(lane.journal, f"{lane.folder.name}-{self._payments}", self.random.randrange(3))
        return "pays"

    def _case(self, lane: SimulatedLane) -> str:
        self._payments += 1
        payment(lane.journal, f"{lane.folder.name}-{self._payments}", CASE)
        return "has another case"

    def _pay_with_case(self, lane: SimulatedLane) -> None:
        payment(lane.journal, f"{lane.folder.name}-0", CASE)

    def _ship(self, lane: SimulatedLane) -> str:
        fault = self.random.choice(FAULTS) if self.random.random() < self._rate else ""
        if fault:
            lane.wire.plan = [None] * self.random.randrange(4) + [fault]
        found = lane.turn()
        if fault and not lane.wire.plan:
            self.result.faults[fault] += 1
        return f"ships{fault and f' ({fault})'}: {found}"

    def _decide(self, lane: SimulatedLane) -> str:
        """The office decides on a case that it sees open."""
        with psycopg.connect(self.centre.database, autocommit=True) as db:
            row = db.execute(
                "SELECT c.epoch, c.number, a.phase FROM cases c JOIN attempts a USING (lane_id, epoch, attempt) "
                "WHERE c.lane_id = %s AND c.closed_at_ms IS NULL AND NOT EXISTS (SELECT 1 FROM decisions d "
                "WHERE d.lane_id = c.lane_id AND d.epoch = c.epoch AND d.number = c.number AND d.status = 'waiting') "
                "ORDER BY c.number LIMIT 1",
                (lane.lane_id,),
            ).fetchone()
            if row is None:
                return "has no case to decide"
            self._decisions += 1
            db.execute(
                "INSERT INTO decisions (id, lane_id, epoch, number, phase, operator, resolution, at_ms, made_by) "
                "VALUES (gen_random_uuid(), %s, %s, %s, %s, 'Petrova', %s, %s, 'petrova')",
                (lane.lane_id, *row, f"decision {self._decisions}", 1_790_000_000_000 + self._decisions),
            )
        return f"gets decision {self._decisions} on its case {row[1]}"

    def _idle(self, lane: SimulatedLane) -> str:
        resolutions.apply_pending(lane.journal)
        return "applies the decisions that wait"

    def _late_money(self, lane: SimulatedLane) -> str:
        cases = lane.journal.cases(include_closed=True)
        if not cases:
            return "has no case that money may come for"
        case = self.random.choice(cases)
        return f"gets late money for case {case.number}: {late_money(lane.journal, case.attempt)}"

    def _restart_agent(self, lane: SimulatedLane) -> str:
        lane.begin_agent()
        return "has a new agent"

    def _restart_centre(self, lane: SimulatedLane) -> str:
        self.centre.stop()
        self.centre.start()
        return "sees the server restarted"

    def _release(self, lane: SimulatedLane) -> str:
        count = lane.wire.held
        lane.wire.release()
        return f"sees {count} old requests arrive"

    def _cut_backends(self, lane: SimulatedLane) -> str:
        """PostgreSQL's connections end while a batch may be under way."""
        shipping = threading.Thread(target=lane.turn)
        shipping.start()
        with psycopg.connect(self.centre.database, autocommit=True) as db:
            cut = db.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> %s",
                (JUDGE,),
            ).fetchall()
        shipping.join()
        self.result.faults["connection of the database cut"] += cut[0][0]
        return "ships while connections of the database end"

    def _copy(self, lane: SimulatedLane) -> str:
        lane.turn_off()
        shutil.copytree(lane.folder, self._folder / "copy")
        lane.turn_on()
        lane.copy_head = int(lane.journal.head().partition(":")[0] or 0)
        return f"{lane.lane_id}'s disk is copied at row {lane.copy_head}"

    def _restore(self, lane: SimulatedLane) -> str:
        assert lane.copy_head is not None
        lane.turn_off()
        shutil.rmtree(lane.folder)
        shutil.copytree(self._folder / "copy", lane.folder)
        lane.turn_on()
        stored = max((head.seq for lane_id, head in self.receipts if lane_id == lane.lane_id), default=0)
        lane.may_alarm, lane.must_alarm = True, stored > lane.copy_head
        self._pay(lane)
        return f"{lane.lane_id}'s disk is restored"

    def _clone(self, lane: SimulatedLane) -> str:
        other = SimulatedLane(self._books, lane.lane_id, self._folder / "copy", lane._fleet)
        self.lanes.append(other)
        for one, payments in ((lane, 1), (other, 3)):
            for _ in range(payments):
                self._pay(one)
            one.may_alarm = one.must_alarm = True
        both = [threading.Thread(target=one.turn) for one in (lane, other)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        return f"{lane.lane_id} runs twice"

    # --- the end ----------------------------------------------------------------------------------------------------

    def _heal(self) -> None:
        """No more faults: every lane ships until it has nothing more, or is refused."""
        for lane in self.lanes:
            lane.wire.plan = []
            lane.wire.release()
        for lane in self.lanes:
            lane.heal()
            for _ in range(_HEALS):
                resolutions.apply_pending(lane.journal)
                found = lane.turn()
                self._stop_if_broken()
                if found == "all" or (lane.may_alarm and lane.agent.problem):
                    break
            else:
                raise Broken(f"{lane.lane_id} cannot ship to its end: {found}")
            for _ in range(2):  # decisions come, are applied and reported
                resolutions.apply_pending(lane.journal)
                lane.turn()
            self._stop_if_broken()

    def _judge(self) -> None:
        database = self.centre.database
        self.problems += stored_chains(database)
        self.problems += [
            problem for lane_id, head in self.receipts if (problem := is_stored(database, lane_id, head)) is not None
        ]
        for lane in self.lanes:
            if not lane.may_alarm:
                self.problems += as_on_the_lane(database, lane.lane_id, lane.journal)
                self.problems += self._decisions_of(lane)
        for lane in self.lanes:
            self.problems += self._on_other_payments(lane)
        with psycopg.connect(database, autocommit=True) as db:
            alarms = db.execute("SELECT lane_id, kind FROM alarms").fetchall()
            (self.result.rows,) = db.execute("SELECT count(*) FROM records").fetchall()[0]
        may = {lane.lane_id for lane in self.lanes if lane.may_alarm}
        must = {lane.lane_id for lane in self.lanes if lane.must_alarm}
        self.problems += [f"a false alarm: {lane_id} {kind}" for lane_id, kind in alarms if lane_id not in may]
        raised = {lane_id for lane_id, kind in alarms if kind in _FORKS}
        self.problems += [f"no alarm for {lane_id}, whose journal forked" for lane_id in must - raised]
        self._stop_if_broken()

    def _decisions_of(self, lane: SimulatedLane) -> list[str]:
        """Each decision is in the journal once or has a reason; none closes a case whose money came after it."""
        found = []
        closed = Counter(
            (record.body["case_number"], record.body["resolution"])
            for record in lane.journal.records(limit=1_000_000)
            if record.kind == "case_closed"
        )
        with psycopg.connect(self.centre.database, autocommit=True) as db:
            decisions = db.execute(
                "SELECT number, resolution, status, phase FROM decisions WHERE lane_id = %s", (lane.lane_id,)
            ).fetchall()
        for number, resolution, status, phase in decisions:
            times = closed[number, resolution]
            if times > 1:
                found.append(f"{lane.lane_id}: {resolution} was applied {times} times")
            elif times != (status == "applied") or status == "waiting":
                found.append(f"{lane.lane_id}: {resolution} is {status}, and the journal has it {times} times")
            elif times and (later := self._money_before(lane, number, resolution)) != phase and later in NEWS:
                found.append(f"{lane.lane_id}: {resolution} was made when the payment was {phase}, applied at {later}")
        return found

    def _on_other_payments(self, lane: SimulatedLane) -> list[str]:
        """No decision closes the case of another payment, whatever copy of the disk the lane has."""
        with psycopg.connect(self.centre.database, autocommit=True) as db:
            decided = dict(
                db.execute(
                    "SELECT d.resolution, c.attempt FROM decisions d JOIN cases c USING (lane_id, epoch, number) "
                    "WHERE lane_id = %s",
                    (lane.lane_id,),
                ).fetchall()
            )
        return [
            f"{lane.lane_id}: {record.body['resolution']} closed the case of another payment"
            for record in lane.journal.records(limit=1_000_000)
            if record.kind == "case_closed" and record.attempt != decided.get(record.body["resolution"], record.attempt)
        ]

    def _money_before(self, lane: SimulatedLane, number: int, resolution: str) -> str | None:
        """Where the payment was when the decision was applied."""
        phases: dict[str, str] = {}
        for record in lane.journal.records(limit=1_000_000):
            if record.kind in ("attempt_started", "attempt_step"):
                phases[record.attempt] = record.body["state"]["phase"]
            elif record.kind == "case_closed" and record.body["resolution"] == resolution:
                return phases[record.attempt]
        return None


def play(seed: int, database: str, folder: Path, focus: Focus = "") -> Round:
    """One round on an empty database with the current tables."""
    result = Round(seed)
    scenario = Scenario(database, folder, result, focus)
    try:
        scenario.run()
    except Broken as error:
        result.problem = str(error)
    finally:
        scenario.close()
    return result
