"""What the office must see that is not a case of a lane. A lane has one open alarm of a kind: it counts."""

from __future__ import annotations

from typing import Any

from psycopg import Connection

JOURNAL_ROLLED_BACK = "journal_rolled_back"
"""The lane has an older copy of its journal, or other rows than it sent."""
TWO_LANES_ONE_ID = "two_lanes_one_id"
"""Two journals of one lane grow at the same time."""
OTHER_LANE = "other_lane"
"""A lane sends the rows of another PosID."""
BROKEN_CHAIN = "broken_chain"
"""Rows came whose hashes are wrong."""
UNREADABLE_RECORD = "unreadable_record"
"""A row whose hash is right holds what no release writes."""
CLOCK_OFF = "clock_off"
"""The lane's clock is far from the server's."""
SETTINGS_REFUSED = "settings_refused"
"""The lane could not apply the settings that the office gave it."""
SETTINGS_DAMAGED = "settings_damaged"
"""The lane got something else than was signed for it, or runs with it."""
SETTINGS_AHEAD = "settings_ahead"
"""The lane runs with newer settings than are here."""
SHIPPING_STOPPED = "shipping_stopped"
"""The lane cannot send its rows; it says why."""

_RAISE = """
INSERT INTO alarms (lane_id, kind, detail) VALUES (%s, %s, %s)
ON CONFLICT (lane_id, kind) WHERE seen_at IS NULL
DO UPDATE SET last_at = now(), times = alarms.times + 1, detail = excluded.detail
"""


def raise_alarm(db: Connection[Any], lane_id: str, kind: str, detail: str) -> None:
    """Raise an alarm, or count one more time that it is so."""
    db.execute(_RAISE, (lane_id, kind, detail))
