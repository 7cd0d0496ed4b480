"""Roll-outs: one lane, one shop, all. Bundles are signed when one begins; from then on any server leads it by the database.

A stage ends when all of its lanes have answered, or after `wait_s`: a lane that is off holds nobody up. What it got waits
for it. A roll-out stops by itself when `stop_after` lanes have refused. In the first two stages a lane that has pulled new
settings and is silent since counts as one that refused: perhaps it did not survive them.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from psycopg import Connection
from psycopg.types.json import Jsonb

from sco_fleet.settings.check import SettingsRefused, check_lane
from sco_fleet.settings.layers import Place, Snapshot, places
from sco_fleet.settings.signing import Key
from sco_payment.fleet.bundle import read

STAGES = {1: "one lane", 2: "one shop", 3: "all"}
LAST = 3
GONE_S = 300.0
"""Without a heartbeat for so long, a lane is silent."""
_LOOK_S = 2.0
"""How often the servers look whether a stage is over."""
_MOST_SHOWN = 20


class RolloutError(ValueError):
    """The roll-out cannot be begun or changed so."""


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
        SettingsRefused: lanes' settings cannot be used. RolloutError: the version is not newer than what lanes run.
            LayerError: an unknown lane, shop or profile.
    """
    snapshot = Snapshot(db)
    found = places(db, lanes=lanes, shops=shops, profiles=profiles)
    present = {lane_id: (content, status) for lane_id, content, status in db.execute(_PRESENT).fetchall()}
    number = _next_version(db, version)
    _check_version(db, number, found)
    changed = []
    checked: dict[str, list[str]] = {}
    problems: dict[str, list[str]] = {}
    for place in found:
        settings = snapshot.merged(place).settings
        content = content_hash(settings)
        before, status = present.get(place.lane_id, (None, ""))
        if (before == content and status != "refused") or (before is None and not settings):
            continue
        if content not in checked:
            checked[content] = _problems(place, settings)
        for problem in checked[content]:
            problems.setdefault(problem, []).append(place.lane_id)
        changed.append((place, settings, content))
    if problems:
        raise SettingsRefused("the settings", [f"{problem} ({_lanes(who)})" for problem, who in problems.items()])
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
        soak_s: how long each stage but the last lasts at least.

    Raises:
        RolloutError: there is nothing to change, another roll-out is not finished, or one began meanwhile.
    """
    if not by or not comment.strip():
        raise RolloutError("say who rolls settings out, and why: --by and --comment")
    if not planned.changes:
        raise RolloutError("no lane would get other settings than it has")
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
        _note(db, planned.version, by, "started", comment)


def content_hash(settings: Mapping[str, Any]) -> str:
    """The same for the same settings."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


# --- changes by a person ----------------------------------------------------------------------------------------


def pause(db: Connection[Any], version: int, by: str, reason: str = "") -> None:
    """Offer it to no further lane until it continues. Raises RolloutError."""
    _change_state(db, version, by, "paused", ("running",), reason)


def abort(db: Connection[Any], version: int, by: str, reason: str = "") -> None:
    """Offer it to no lane any more; lanes that run with it keep it. Raises RolloutError."""
    _change_state(db, version, by, "aborted", ("running", "paused", "stopped"), reason)


def go_on(db: Connection[Any], version: int, by: str, reason: str = "") -> None:
    """Continue after a pause or a stop: the refusals until now no longer count. Raises RolloutError."""
    with db.transaction():
        _change_state(db, version, by, "running", ("paused", "stopped"), reason)
        db.execute(_FORGIVE, {"version": version, "gone_s": GONE_S})
        db.execute("UPDATE rollouts SET stage_began_at = now() WHERE version = %s", (version,))


def retry(db: Connection[Any], version: int, lanes: Sequence[str], by: str) -> int:
    """Offer it again to lanes that refused it, all or those named; returns to how many."""
    with db.transaction():
        done = db.execute(
            "UPDATE bundles SET status = 'waiting', reason = '', forgiven = false, changed_at = now() "
            "WHERE version = %s AND status = 'refused' AND (%s OR lane_id = ANY(%s))",
            (version, not lanes, list(lanes)),
        ).rowcount
        _note(db, version, by, "retried", ", ".join(lanes[:_MOST_SHOWN]))
    return done


def _change_state(
    db: Connection[Any], version: int, by: str, state: str, allowed: tuple[str, ...], reason: str
) -> None:
    with db.transaction():
        row = db.execute("SELECT state FROM rollouts WHERE version = %s FOR UPDATE", (version,)).fetchone()
        if row is None:
            raise RolloutError(f"there is no roll-out {version}")
        if row[0] not in allowed:
            raise RolloutError(f"roll-out {version} is {row[0]}, not {' or '.join(allowed)}")
        db.execute("UPDATE rollouts SET state = %s WHERE version = %s", (state, version))
        _note(db, version, by, state, reason)


# --- by itself --------------------------------------------------------------------------------------------------


def look_if_due(db: Connection[Any]) -> None:
    """Look, if no server has looked for a while."""
    due = db.execute(
        "UPDATE rollouts SET looked_at = clock_timestamp() WHERE state = 'running' "
        "AND looked_at < clock_timestamp() - make_interval(secs => %s) RETURNING version",
        (_LOOK_S,),
    ).fetchone()
    if due is not None:
        look(db)


def look(db: Connection[Any]) -> None:
    """Stop the running roll-out, or begin its next stage, if it is time to."""
    with db.transaction():
        row = db.execute(_RUNNING).fetchone()
        if row is None:
            return
        version, stage, stop_after, wait_s, soak_s, elapsed_s = row
        refused, gone, applied, unanswered, following = _counted(db, version, stage)
        against = refused + (gone if stage < LAST else 0)
        if against >= stop_after:
            _stop(db, version, _why(db, version, refused, gone if stage < LAST else 0))
            return
        over = unanswered == 0 or elapsed_s >= wait_s
        if not over or (stage < LAST and elapsed_s < soak_s):
            return
        if following is None:
            db.execute("UPDATE rollouts SET state = 'done' WHERE version = %s", (version,))
            _note(db, version, "", "done", f"{unanswered} lanes have not answered" if unanswered else "")
        elif following == LAST and not applied:
            _stop(db, version, f"no lane has applied it, and the next stage is {STAGES[LAST]}")
        else:
            db.execute(
                "UPDATE rollouts SET stage = %s, stage_began_at = clock_timestamp() WHERE version = %s",
                (following, version),
            )
            silent = f"{unanswered} lanes have not answered" if unanswered else ""
            _note(db, version, "", f"stage {following}: {STAGES[following]}", silent)


def _counted(db: Connection[Any], version: int, stage: int) -> tuple[int, int, int, int, int | None]:
    row = db.execute(_COUNTS, {"version": version, "stage": stage, "gone_s": GONE_S}).fetchone()
    assert row is not None
    refused, gone, applied, unanswered, following = row
    return refused, gone, applied, unanswered, following


def _stop(db: Connection[Any], version: int, reason: str) -> None:
    db.execute("UPDATE rollouts SET state = 'stopped' WHERE version = %s", (version,))
    _note(db, version, "", "stopped", reason)


def _why(db: Connection[Any], version: int, refused: int, gone: int) -> str:
    rows = db.execute(
        "SELECT lane_id, reason FROM bundles WHERE version = %s AND status = 'refused' AND NOT forgiven "
        "ORDER BY changed_at LIMIT 3",
        (version,),
    ).fetchall()
    parts = [f"{refused} refused: " + "; ".join(f"{lane}: {reason}" for lane, reason in rows)] if refused else []
    return ". ".join(parts + ([f"{gone} silent since they pulled it"] if gone else []))


# --- small parts ------------------------------------------------------------------------------------------------


def _note(db: Connection[Any], version: int, who: str, what: str, reason: str = "") -> None:
    db.execute(
        "INSERT INTO rollout_events (version, who, what, reason) VALUES (%s, %s, %s, %s)", (version, who, what, reason)
    )


def _require_none(db: Connection[Any]) -> None:
    row = db.execute("SELECT version, state FROM rollouts WHERE state IN ('running', 'paused', 'stopped')").fetchone()
    if row is not None:
        raise RolloutError(f"roll-out {row[0]} is {row[1]}: let it end, or abort it, before another one begins")


def _next_version(db: Connection[Any], wanted: int | None) -> int:
    row = db.execute("SELECT coalesce(max(version), 0) + 1 FROM rollouts").fetchone()
    assert row is not None
    if wanted is not None and wanted < row[0]:
        raise RolloutError(f"version {wanted} is not newer than those before: write {row[0]} or more")
    return int(row[0]) if wanted is None else wanted


def _check_version(db: Connection[Any], version: int, found: Sequence[Place]) -> None:
    """Lanes that run with a newer version would refuse this one: the database is an older copy."""
    rows = db.execute(
        "SELECT lane_id, settings_version FROM lanes WHERE settings_version >= %s AND lane_id = ANY(%s) "
        "ORDER BY settings_version DESC, lane_id",
        (version, [place.lane_id for place in found]),
    ).fetchall()
    if rows:
        raise RolloutError(
            f"version {version} is older than version {rows[0][1]}, with which {_lanes([row[0] for row in rows])} run: "
            f"is this database an older copy? If so, and the layers are right, give --version {rows[0][1] + 1}"
        )


def _first(db: Connection[Any], changed: Sequence[Place], first_lane: str | None) -> Place | None:
    if first_lane is not None:
        for place in changed:
            if place.lane_id == first_lane:
                return place
        raise RolloutError(f"lane {first_lane} gets no other settings, so it cannot be the first one")
    row = db.execute(
        "SELECT lane_id FROM lanes WHERE lane_id = ANY(%s) ORDER BY last_seen_at DESC NULLS LAST, lane_id LIMIT 1",
        ([place.lane_id for place in changed],),
    ).fetchone()
    return None if row is None else next(place for place in changed if place.lane_id == row[0])


def _stage(place: Place, first: Place | None) -> int:
    if first is None or place.shop != first.shop:
        return LAST
    return 1 if place.lane_id == first.lane_id else 2


def _problems(place: Place, settings: Mapping[str, Any]) -> list[str]:
    try:
        check_lane(place.lane_id, settings)
    except SettingsRefused as error:
        return error.problems
    return []


def _lanes(names: Sequence[str]) -> str:
    shown = ", ".join(names[:5])
    return f"lane {shown}" if len(names) == 1 else f"{len(names)} lanes: {shown}{', ...' if len(names) > 5 else ''}"


_GONE = """b.status IN ('pulled', 'applied')
    AND (l.last_seen_at IS NULL OR l.last_seen_at < clock_timestamp() - make_interval(secs => %(gone_s)s))
    AND b.changed_at < clock_timestamp() - make_interval(secs => %(gone_s)s)"""
_COUNTS = f"""
SELECT
    count(*) FILTER (WHERE b.status = 'refused' AND NOT b.forgiven),
    count(*) FILTER (WHERE b.stage <= %(stage)s AND NOT b.forgiven AND {_GONE}),
    count(*) FILTER (WHERE b.status = 'applied'),
    count(*) FILTER (WHERE b.stage <= %(stage)s AND b.status IN ('waiting', 'pulled')),
    min(b.stage) FILTER (WHERE b.stage > %(stage)s)
FROM bundles b LEFT JOIN lanes l USING (lane_id) WHERE b.version = %(version)s
"""  # noqa: S608 - our own texts
_FORGIVE = f"""
UPDATE bundles SET forgiven = true WHERE version = %(version)s AND lane_id IN (
    SELECT b.lane_id FROM bundles b LEFT JOIN lanes l USING (lane_id)
    WHERE b.version = %(version)s AND (b.status = 'refused' OR {_GONE})
)
"""  # noqa: S608
_RUNNING = """
SELECT version, stage, stop_after, wait_s, soak_s, extract(epoch FROM clock_timestamp() - stage_began_at)::float8
FROM rollouts WHERE state = 'running' FOR UPDATE
"""
_PRESENT = """
SELECT DISTINCT ON (b.lane_id) b.lane_id, b.content, b.status
FROM bundles b JOIN rollouts r USING (version)
WHERE r.state <> 'aborted' OR b.status IN ('applied', 'pulled')
ORDER BY b.lane_id, b.version DESC
"""
