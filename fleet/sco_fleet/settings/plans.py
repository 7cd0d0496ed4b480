"""What a roll-out would do to each lane, and its beginning.

All bundles are signed then, on the machine that has the key: no server needs it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from sco_fleet.settings.cash_links import check_cash_links
from sco_fleet.settings.check import check_lanes, content_hash, lanes_named
from sco_fleet.settings.layers import Place, Snapshot, places
from sco_fleet.settings.rollouts import LAST, RolloutError, note
from sco_fleet.settings.signing import Key
from sco_payment.fleet.bundle import read


@dataclass(frozen=True, slots=True)
class Change:
    """What one lane gets."""

    place: Place
    stage: int
    settings: Mapping[str, Any]
    layers: Mapping[str, int]
    content: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a roll-out would do.

    Attributes:
        version: of its bundles.
        changes: one for each lane that gets new settings.
        unchanged: lanes that have these settings.
        layers: version of each layer.
    """

    version: int
    changes: list[Change]
    unchanged: int
    layers: Mapping[str, int] = field(default_factory=dict)


def plan(
    db: Connection[Any],
    *,
    lanes: Iterable[str] = (),
    shops: Iterable[str] = (),
    profiles: Iterable[str] = (),
    first_lane: str | None = None,
    version: int | None = None,
) -> Plan:
    """What a roll-out of the layers as they are now would do, with every lane's settings checked.

    Args:
        db: the fleet's database.
        lanes, shops, profiles: who gets them; all lanes where nothing is named.
        first_lane: the first stage; by default the lane that was seen last. The second one is its shop.
        version: of the bundles; the next one by default.

    Raises:
        SettingsRefused: lanes' settings cannot be used. RolloutError: another roll-out is not finished, or the version
            is not newer than what lanes run.
            LayerError: an unknown lane, shop or profile.
    """
    _require_none(db)
    snapshot = Snapshot(db)
    found = places(db, lanes=lanes, shops=shops, profiles=profiles)
    present = {lane_id: (content, has_it) for lane_id, content, has_it in db.execute(_PRESENT).fetchall()}
    number = _next_version(db, version)
    _check_version(db, number, found)
    changed = []
    for place in found:
        settings = snapshot.merged(place).settings
        content = content_hash(settings)
        before, has_it = present.get(place.lane_id, (None, False))
        if not (before == content and has_it) and not (before is None and not settings):
            changed.append((place, settings, content))
    _check(db, snapshot, [(place.lane_id, settings) for place, settings, _ in changed])
    first = _first(db, [place for place, _, _ in changed], first_lane)
    changes = [
        Change(place, _stage(place, first), settings, snapshot.numbers_of(place), content)
        for place, settings, content in changed
    ]
    return Plan(number, changes, len(found) - len(changes), snapshot.numbers)


def start(
    db: Connection[Any],
    planned: Plan,
    key: Key,
    *,
    by: str,
    comment: str,
    stop_after: int = 1,
    wait_s: float = 3600.0,
    soak_s: float = 300.0,
) -> None:
    """Sign what is planned, and offer it to the lanes of the first stage.

    Args:
        db: the fleet's database.
        planned: see `plan`.
        key: the office's.
        by, comment: who wants it, and why.
        stop_after: with how many refusals it stops.
        wait_s: for how long a stage waits for lanes that do not answer.
        soak_s: how long each lane of a stage but the last must have run with them before the next stage begins.

    Raises:
        RolloutError: there is nothing to change, another roll-out is not finished, or one began meanwhile.
    """
    if not by or not comment.strip():
        raise RolloutError("say who rolls settings out, and why: --by and --comment")
    if not planned.changes:
        raise RolloutError("no lane's settings would change")
    now_ms = time.time_ns() // 1_000_000
    with db.transaction():
        db.execute("SELECT pg_advisory_xact_lock(hashtextextended('rollouts', 0))")
        _require_none(db)
        if _next_version(db, None) > planned.version:
            raise RolloutError("another roll-out began meanwhile: start again")
        db.execute(
            "INSERT INTO rollouts (version, state, stage, wait_s, soak_s, stop_after, layers, made_by, comment) "
            "VALUES (%s, 'running', %s, %s, %s, %s, %s, %s, %s)",
            (
                planned.version,
                min(change.stage for change in planned.changes),
                wait_s,
                soak_s,
                stop_after,
                Jsonb(planned.layers),
                by,
                comment.strip(),
            ),
        )
        with db.cursor().copy("COPY bundles (lane_id, version, stage, bundle, hash, content) FROM STDIN") as copy:
            for change in planned.changes:
                text = key.bundle(change.place.lane_id, planned.version, now_ms, change.layers, change.settings)
                lane = change.place.lane_id
                copy.write_row((lane, planned.version, change.stage, text, read(text).hash, change.content))
        note(db, planned.version, by, "started", comment)


def check_all(db: Connection[Any], lanes: Iterable[str] = ()) -> int:
    """Check the settings of lanes, of all where none is named; returns how many. Raises SettingsRefused."""
    snapshot, found = Snapshot(db), places(db, lanes=lanes)
    _check(db, snapshot, [(place.lane_id, snapshot.merged(place).settings) for place in found])
    return len(found)


def last_applied(db: Connection[Any], lane_id: str) -> tuple[int, Mapping[str, Any]]:
    """Version and settings of the newest bundle that a lane has applied; 0 and nothing for none."""
    row = db.execute(
        "SELECT bundle FROM bundles WHERE lane_id = %s AND status = 'applied' ORDER BY version DESC LIMIT 1", (lane_id,)
    ).fetchone()
    if row is None:
        return 0, {}
    bundle = read(row[0])
    return bundle.version, bundle.settings


def _check(db: Connection[Any], snapshot: Snapshot, lanes: Sequence[tuple[str, Mapping[str, Any]]]) -> None:
    check_lanes(lanes)
    check_cash_links(db, snapshot, lanes)


def _require_none(db: Connection[Any]) -> None:
    row = db.execute("SELECT version, state FROM rollouts WHERE state IN ('running', 'paused', 'stopped')").fetchone()
    if row is not None:
        raise RolloutError(f"roll-out {row[0]} is {row[1]}: let it end, or abort it, before another one begins")


def _next_version(db: Connection[Any], wanted: int | None) -> int:
    row = db.execute("SELECT coalesce(max(version), 0) + 1 FROM rollouts").fetchone()
    assert row is not None
    if wanted is not None and wanted < row[0]:
        raise RolloutError(f"version {wanted} is not higher than those before: write {row[0]} or more")
    return int(row[0]) if wanted is None else wanted


def _check_version(db: Connection[Any], version: int, found: Sequence[Place]) -> None:
    """Lanes that run with a newer version would refuse this one: the database is an older copy."""
    rows = db.execute(
        "SELECT lane_id, settings_version FROM lanes WHERE settings_version >= %s AND lane_id = ANY(%s) "
        "ORDER BY settings_version DESC, lane_id",
        (version, [place.lane_id for place in found]),
    ).fetchall()
    if rows:
        newest = rows[0][1]
        raise RolloutError(
            f"version {version} is not newer than version {newest}: {lanes_named([row[0] for row in rows])}. Is this "
            f"database an older copy? If so, and the layers are right, give --version {newest + 1}"
        )


def _first(db: Connection[Any], changed: Sequence[Place], first_lane: str | None) -> Place | None:
    if first_lane is not None:
        for place in changed:
            if place.lane_id == first_lane:
                return place
        raise RolloutError(f"the settings of lane {first_lane} do not change, so it cannot be the first one")
    row = db.execute(
        "SELECT lane_id FROM lanes WHERE lane_id = ANY(%s) ORDER BY last_seen_at DESC NULLS LAST, lane_id LIMIT 1",
        ([place.lane_id for place in changed],),
    ).fetchone()
    return None if row is None else next(place for place in changed if place.lane_id == row[0])


def _stage(place: Place, first: Place | None) -> int:
    if first is None or place.shop != first.shop:
        return LAST
    return 1 if place.lane_id == first.lane_id else 2


_PRESENT = """
SELECT DISTINCT ON (b.lane_id) b.lane_id, b.content,
    b.status = 'applied' OR (r.state <> 'aborted' AND b.status <> 'refused')
FROM bundles b JOIN rollouts r USING (version)
WHERE r.state <> 'aborted' OR b.status IN ('applied', 'pulled')
ORDER BY b.lane_id, b.version DESC
"""
"""Each lane's newest bundle, and whether the lane has it or will get it."""
