"""An office with a database: lanes in shops, layers, roll-outs, and what lanes report."""

from __future__ import annotations

from typing import Any

import psycopg

from sco_fleet import lanes
from sco_fleet.settings import layers, offers, plans, rollouts, status
from sco_fleet.settings.merge import Layer
from sco_fleet.settings.plans import Plan
from sco_payment.fleet.bundle import Bundle, read
from tests.fleet.settings.kit import KEY

SHOPS = {"lane-1": "7", "lane-2": "7", "lane-3": "7", "lane-4": "8", "lane-5": "9"}


class Office:
    """What an administrator and the lanes of three shops do."""

    def __init__(self, db: psycopg.Connection[Any]) -> None:
        self.db = db
        self._time = 600
        for lane, shop in SHOPS.items():
            lanes.add(db, lane, shop)
        self.seen(*SHOPS)
        db.execute("UPDATE lanes SET last_seen_at = now() + interval '1 s' WHERE lane_id = 'lane-1'")

    def seen(self, *names: str) -> None:
        self.db.execute("UPDATE lanes SET last_seen_at = now() WHERE lane_id = ANY(%s)", (list(names),))

    def change(self, layer: str = "chain") -> None:
        """Another version of a layer."""
        self._time += 1
        layers.put(self.db, Layer.parse(layer), f"[timing]\ngrace_s = {self._time}", "ivanova", "a change")

    def plan(self, **named: Any) -> Plan:
        return plans.plan(self.db, **named)

    def start(self, *, stop_after: int = 1, wait_s: float = 3600.0, soak_s: float = 0.0, **named: Any) -> int:
        """Change the chain's settings, and begin to roll them out."""
        self.change()
        planned = self.plan(**named)
        plans.start(
            self.db, planned, KEY, by="ivanova", comment="new", stop_after=stop_after, wait_s=wait_s, soak_s=soak_s
        )
        return planned.version

    def offered(self) -> list[str]:
        """The lanes that get something when they ask, and have nothing."""
        return [lane for lane in SHOPS if offers.offer(self.db, lane, 0, "") is not None]

    def pull(self, lane: str) -> Bundle:
        found = offers.pull(self.db, lane)
        assert found is not None
        return read(found)

    def answer(self, lane: str, what: str, reason: str = "") -> None:
        """A lane pulls what it is offered, and applies or refuses it."""
        bundle = self.pull(lane)
        offers.report(self.db, lane, bundle.version, bundle.hash, what, reason)  # type: ignore[arg-type]
        rollouts.look(self.db)

    def applies(self, *names: str) -> None:
        for lane in names:
            self.answer(lane, "applied")

    def state(self) -> tuple[str, int]:
        found = status.rollout(self.db)
        return found.state, found.stage

    def why(self) -> str:
        """Reason of the last thing that happened."""
        return status.events(self.db, status.rollout(self.db).version)[-1].reason

    def passed(self, seconds: float) -> None:
        """As if everything in the database had happened so much earlier."""
        self.db.execute(
            "UPDATE rollouts SET stage_began_at = stage_began_at - make_interval(secs => %(s)s), "
            "looked_at = looked_at - make_interval(secs => %(s)s)",
            {"s": seconds},
        )
        self.db.execute("UPDATE bundles SET changed_at = changed_at - make_interval(secs => %s)", (seconds,))
        self.db.execute("UPDATE lanes SET last_seen_at = last_seen_at - make_interval(secs => %s)", (seconds,))
