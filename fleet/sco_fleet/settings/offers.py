"""What lanes ask about settings: whether there are newer ones, the bundle itself, and what became of it."""

from __future__ import annotations

from typing import Any, Literal

from psycopg import Connection

from sco_fleet import alarms
from sco_fleet.settings import rollouts

_LONGEST_REASON = 2000


def offer(db: Connection[Any], lane_id: str, in_force: int, digest: str) -> dict[str, Any] | None:
    """For the answer to a heartbeat: version and hash of what this lane should get; None for nothing newer.

    A lane that reports version and hash of a bundle in its heartbeats runs with it, whether or not its report of that
    arrived.
    """
    if in_force:
        _note_in_force(db, lane_id, in_force, digest)
    row = db.execute(_NEWEST, (lane_id, in_force)).fetchone()
    if row is None:
        return None
    version, digest, status = row
    if status == "refused":
        return None
    return {"version": version, "hash": digest}


def pull(db: Connection[Any], lane_id: str) -> str | None:
    """The newest bundle that this lane may get now, as it was signed; None for none."""
    row = db.execute(_NEWEST, (lane_id, 0)).fetchone()
    if row is None:
        return None
    found = db.execute(_PULL, (lane_id, row[0])).fetchone()
    return None if found is None else str(found[0])


def report(
    db: Connection[Any],
    lane_id: str,
    version: int,
    digest: str,
    status: Literal["applied", "refused"],
    reason: str,
) -> None:
    """What became of a bundle on the lane. A refusal may stop the roll-out."""
    reason = reason.replace("\0", "\ufffd")[:_LONGEST_REASON]
    with db.transaction():
        changed = db.execute(
            "UPDATE bundles SET status = %s, reason = %s, changed_at = now() "
            "WHERE lane_id = %s AND version = %s AND hash = %s",
            (status, reason, lane_id, version, digest),
        ).rowcount
        if status == "refused":
            alarms.raise_alarm(db, lane_id, alarms.SETTINGS_REFUSED, f"version {version}: {reason}")
        if not changed:
            alarms.raise_alarm(
                db, lane_id, alarms.SETTINGS_DAMAGED, f"version {version} on the lane is not as it was signed: {reason}"
            )
            db.execute(
                "UPDATE bundles SET status = 'refused', reason = %s, changed_at = now() "
                "WHERE lane_id = %s AND version = %s AND status IN ('waiting', 'pulled')",
                (f"not as it was signed: {reason}", lane_id, version),
            )
    if status == "refused":
        rollouts.look(db)
    else:
        rollouts.look_if_due(db)


def _note_in_force(db: Connection[Any], lane_id: str, in_force: int, digest: str) -> None:
    row = db.execute(
        "SELECT version, hash, status FROM bundles WHERE lane_id = %s AND version >= %s ORDER BY version LIMIT 1",
        (lane_id, in_force),
    ).fetchone()
    if row is None:
        text = f"the lane runs with version {in_force}, which is not here: is the database an older copy?"
        alarms.raise_alarm(db, lane_id, alarms.SETTINGS_AHEAD, text)
        return
    version, signed, status = row
    if (version, signed) != (in_force, digest):
        text = (
            f"the lane runs with a version {in_force} that was not signed for it here: was its disk copied from "
            "another lane, or is the database an older copy?"
        )
        alarms.raise_alarm(db, lane_id, alarms.SETTINGS_DAMAGED, text)
        db.execute(
            "UPDATE bundles SET status = 'refused', reason = %s, changed_at = now() "
            "WHERE lane_id = %s AND version = %s AND status <> 'refused'",
            (text, lane_id, in_force),
        )
    elif status in ("waiting", "pulled"):
        db.execute(
            "UPDATE bundles SET status = 'applied', reason = '', changed_at = now() "
            "WHERE lane_id = %s AND version = %s",
            (lane_id, in_force),
        )


_NEWEST = """
SELECT b.version, b.hash, b.status FROM bundles b JOIN rollouts r USING (version)
WHERE b.lane_id = %s AND b.version > %s AND (r.state = 'done' OR (r.state = 'running' AND b.stage <= r.stage))
ORDER BY b.version DESC LIMIT 1
"""
_PULL = """
UPDATE bundles SET status = CASE status WHEN 'waiting' THEN 'pulled' ELSE status END,
    changed_at = CASE status WHEN 'waiting' THEN now() ELSE changed_at END
WHERE lane_id = %s AND version = %s RETURNING bundle
"""
