"""Roll-outs: one lane, one shop, all. Any server leads them: all that it needs to know is in the database.

A stage ends when all of its lanes have answered, or after `wait_s`: a lane that is off holds nobody up. What it got
waits for it. Each of the first two stages lasts until every lane that has applied its settings has sent a heartbeat
`soak_s` after that. A roll-out stops by itself when `stop_after` lanes have refused. In the first two stages a lane
that has pulled new settings and is silent since counts as one that refused: perhaps it did not survive them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from psycopg import Connection

STAGES = {1: "one lane", 2: "one shop", 3: "all"}
LAST = 3
GONE_S = 300.0
"""Without a heartbeat for so long, a lane is silent."""
_LOOK_S = 2.0
"""How often the servers look whether a stage is over."""
_MOST_SHOWN = 20


class RolloutError(ValueError):
    """The roll-out cannot be begun or changed so."""


# --- changes by a person ----------------------------------------------------------------------------------------


def pause(db: Connection[Any], version: int, by: str, reason: str = "") -> None:
    """Offer it to no other lane until it continues. Raises RolloutError."""
    _change_state(db, version, by, "paused", ("running",), reason)


def abort(db: Connection[Any], version: int, by: str, reason: str = "") -> None:
    """Stop offering it; lanes that run with it keep it. Raises RolloutError."""
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
        note(db, version, by, "retried", ", ".join(lanes[:_MOST_SHOWN]))
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
        note(db, version, by, state, reason)


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
        counts = _counted(db, version, stage, soak_s)
        gone = counts.gone if stage < LAST else 0
        if counts.refused + gone >= stop_after:
            _stop(db, version, _why(db, version, counts.refused, gone))
            return
        over = counts.unanswered == 0 or elapsed_s >= wait_s
        if not over or (stage < LAST and (counts.soaking or elapsed_s < soak_s)):
            return
        if counts.following is None:
            db.execute("UPDATE rollouts SET state = 'done' WHERE version = %s", (version,))
            note(db, version, "", "done", _silent(counts.silent))
        elif counts.following == LAST and not counts.applied:
            _stop(db, version, f"no lane has applied it, and the next stage is {STAGES[LAST]}")
        else:
            db.execute(
                "UPDATE rollouts SET stage = %s, stage_began_at = clock_timestamp() WHERE version = %s",
                (counts.following, version),
            )
            note(db, version, "", f"stage {counts.following}: {STAGES[counts.following]}", _silent(counts.silent))


class _Counts(NamedTuple):
    """Of lanes, but `following`: the next stage. See `_COUNTS`."""

    refused: int
    gone: int
    applied: int
    unanswered: int
    silent: int
    soaking: int
    following: int | None


def _counted(db: Connection[Any], version: int, stage: int, soak_s: float) -> _Counts:
    row = db.execute(_COUNTS, {"version": version, "stage": stage, "gone_s": GONE_S, "soak_s": soak_s}).fetchone()
    assert row is not None
    return _Counts(*row)


def _silent(lanes: int) -> str:
    return f"lanes without an answer: {lanes}" if lanes else ""


def _stop(db: Connection[Any], version: int, reason: str) -> None:
    db.execute("UPDATE rollouts SET state = 'stopped' WHERE version = %s", (version,))
    note(db, version, "", "stopped", reason)


def _why(db: Connection[Any], version: int, refused: int, gone: int) -> str:
    rows = db.execute(
        "SELECT lane_id, reason FROM bundles WHERE version = %s AND status = 'refused' AND NOT forgiven "
        "ORDER BY changed_at LIMIT 3",
        (version,),
    ).fetchall()
    parts = [f"{refused} refused: " + "; ".join(f"{lane}: {reason}" for lane, reason in rows)] if refused else []
    return ". ".join(parts + ([f"{gone} silent since they pulled it"] if gone else []))


# --- small parts ------------------------------------------------------------------------------------------------


def note(db: Connection[Any], version: int, who: str, what: str, reason: str = "") -> None:
    db.execute(
        "INSERT INTO rollout_events (version, who, what, reason) VALUES (%s, %s, %s, %s)", (version, who, what, reason)
    )


_GONE = """b.status IN ('pulled', 'applied')
    AND (l.last_seen_at IS NULL OR l.last_seen_at < clock_timestamp() - make_interval(secs => %(gone_s)s))
    AND b.changed_at < clock_timestamp() - make_interval(secs => %(gone_s)s)"""
_SOAKS = """b.status = 'applied' AND %(soak_s)s > 0
    AND NOT coalesce(l.last_seen_at >= b.changed_at + make_interval(secs => %(soak_s)s), false)"""
"""No heartbeat has shown yet that the lane lives so long after it has applied them."""
_COUNTS = f"""
SELECT
    count(*) FILTER (WHERE b.status = 'refused' AND NOT b.forgiven),
    count(*) FILTER (WHERE b.stage <= %(stage)s AND NOT b.forgiven AND {_GONE}),
    count(*) FILTER (WHERE b.status = 'applied'),
    count(*) FILTER (WHERE b.stage = %(stage)s AND b.status IN ('waiting', 'pulled')),
    count(*) FILTER (WHERE b.stage <= %(stage)s AND b.status IN ('waiting', 'pulled')),
    count(*) FILTER (WHERE b.stage = %(stage)s AND {_SOAKS} AND NOT ({_GONE})),
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
