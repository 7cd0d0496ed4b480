"""A simulated lane: its disk, its journal and the agent that ships, which keeps nothing that the disk has not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from sco_payment.fleet.agent import Agent
from sco_payment.journal import acknowledged
from sco_payment.settings import FleetSettings, JournalSettings, LaneSettings, Settings
from tests.fleet.faults.judge import Head, is_stored
from tests.fleet.faults.kit import Centre, add_lane, opened
from tests.fleet.faults.wire import FleetWire


@dataclass(slots=True)
class Books:
    """The centre, all receipts that it has given, by lane, and what is wrong already."""

    centre: Centre
    receipts: list[tuple[str, Head]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


class SimulatedLane:
    """One lane's disk, its journal and its agent, on a wire of its own."""

    def __init__(self, books: Books, lane_id: str, folder: Path, fleet: FleetSettings | None = None) -> None:
        self._books, self.lane_id, self.folder = books, lane_id, folder
        self.wire = FleetWire(books.centre.url, self._acknowledged, books.problems.append)
        fleet = add_lane(books.centre.database, folder, self.wire.base_url, lane_id) if fleet is None else fleet
        self._fleet = replace(fleet, url=self.wire.base_url, token_file=str(folder / "fleet.token"), timeout_s=1.0)
        self.copy_head: int | None = None
        self.may_alarm = self.must_alarm = False
        self.turn_on()

    def turn_on(self) -> None:
        """Open the journal; a new agent begins."""
        self.journal = opened(self.folder / "journal.db", self.lane_id)
        self.begin_agent()

    def begin_agent(self) -> None:
        """As after a kill: all that it knew is gone."""
        settings = Settings(
            lane=LaneSettings(pos_id=self.lane_id),
            journal=JournalSettings(path=str(self.folder / "journal.db")),
            fleet=self._fleet,
        )
        self.agent = Agent(settings, lambda: {"open_cases": len(self.journal.cases())})

    def heal(self) -> None:
        """From now on it has patience: nothing is lost any more."""
        self._fleet = replace(self._fleet, timeout_s=30.0)
        if self.agent._shipper is not None:
            self.agent._shipper.close()
        self.begin_agent()

    def turn_off(self) -> None:
        """Close the files."""
        if self.agent._shipper is not None:
            self.agent._shipper.close()
        self.journal.close()

    def close(self) -> None:
        """All of it."""
        self.turn_off()
        self.wire.close()

    def _acknowledged(self, head: Head) -> None:
        problem = is_stored(self._books.centre.database, self.lane_id, head)
        if problem is not None:
            self._books.problems.append(problem)
        self._books.receipts.append((self.lane_id, head))

    def turn(self) -> str:
        """The agent sends what there is, and reports; what came of it."""
        self.agent._heartbeat_at = 0.0
        self.agent.turn()
        self._check_receipt()
        return self.agent.last_error or self.agent.problem or "all"

    def _check_receipt(self) -> None:
        """What the lane takes as acknowledged, in memory and on its disk, is stored."""
        shipper = self.agent._shipper
        for head in (None if shipper is None else shipper.acknowledged, acknowledged.read(self.folder / "journal.db")):
            if head is not None and (problem := is_stored(self._books.centre.database, self.lane_id, Head(*head))):
                self._books.problems.append(f"the lane believes that {problem}")
