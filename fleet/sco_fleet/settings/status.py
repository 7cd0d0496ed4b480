"""How a roll-out stands: its stage, what lanes have answered, and which have not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import Connection
from psycopg.rows import class_row

from sco_fleet.settings.rollouts import RolloutError


@dataclass(frozen=True, slots=True)
class Rollout:
    """A roll-out; `version` is that of its bundles, `waiting` counts lanes that it has not been offered to as well."""

    version: int
    state: str
    stage: int
    made_at: datetime
    made_by: str
    comment: str
    applied: int
    refused: int
    pulled: int
    waiting: int


@dataclass(frozen=True, slots=True)
class Answer:
    """Where one lane is with a bundle; `stage` is that of the roll-out in which it gets it."""

    lane_id: str
    shop: str
    stage: int
    status: str
    reason: str
    changed_at: datetime
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """What happened to a roll-out. `who` is empty for what a server did by itself."""

    at: datetime
    who: str
    what: str
    reason: str


def rollouts(db: Connection[Any], most: int = 20) -> list[Rollout]:
    """The latest roll-outs, the newest first."""
    with db.cursor(row_factory=class_row(Rollout)) as cursor:
        return cursor.execute(_ROLLOUTS, {"version": None, "most": most}).fetchall()


def rollout(db: Connection[Any], version: int | None = None) -> Rollout:
    """One roll-out, by default the newest. Raises RolloutError."""
    with db.cursor(row_factory=class_row(Rollout)) as cursor:
        found = cursor.execute(_ROLLOUTS, {"version": version, "most": 1}).fetchone()
    if found is None:
        raise RolloutError("there has been no roll-out yet" if version is None else f"there is no roll-out {version}")
    return found


def answers(db: Connection[Any], version: int, *statuses: str, most: int | None = None) -> list[Answer]:
    """The lanes of a roll-out whose bundle has one of these statuses; of all where none is named."""
    with db.cursor(row_factory=class_row(Answer)) as cursor:
        return cursor.execute(
            "SELECT b.lane_id, l.shop, b.stage, b.status, b.reason, b.changed_at, l.last_seen_at "
            "FROM bundles b JOIN lanes l USING (lane_id) "
            "WHERE b.version = %s AND (%s OR b.status = ANY(%s)) ORDER BY b.stage, l.shop, b.lane_id LIMIT %s",
            (version, not statuses, list(statuses), most),
        ).fetchall()


def events(db: Connection[Any], version: int) -> list[Event]:
    """What happened, in order."""
    with db.cursor(row_factory=class_row(Event)) as cursor:
        return cursor.execute(
            "SELECT at, who, what, reason FROM rollout_events WHERE version = %s ORDER BY at", (version,)
        ).fetchall()


def layers_of(db: Connection[Any], version: int) -> dict[str, int]:
    """The version of each layer when a roll-out was signed. Raises RolloutError."""
    row = db.execute("SELECT layers FROM rollouts WHERE version = %s", (version,)).fetchone()
    if row is None:
        raise RolloutError(f"there is no roll-out {version}")
    return dict(row[0])


_ROLLOUTS = """
SELECT r.version, r.state, r.stage, r.made_at, r.made_by, r.comment,
    count(*) FILTER (WHERE b.status = 'applied') AS applied,
    count(*) FILTER (WHERE b.status = 'refused') AS refused,
    count(*) FILTER (WHERE b.status = 'pulled') AS pulled,
    count(*) FILTER (WHERE b.status = 'waiting') AS waiting
FROM rollouts r JOIN bundles b USING (version)
WHERE %(version)s::bigint IS NULL OR r.version = %(version)s
GROUP BY r.version ORDER BY r.version DESC LIMIT %(most)s
"""
