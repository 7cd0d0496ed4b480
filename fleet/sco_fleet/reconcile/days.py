"""A day of a time zone, from midnight to midnight, whatever the clocks do in between."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo


def parse_day(written: str) -> date:
    """A day as it is typed, e.g. 2026-11-29. Raises ValueError."""
    found = date.fromisoformat(written.strip())
    if not 1970 <= found.year <= 9998:  # its midnights must be times, too
        raise ValueError(written)
    return found


@dataclass(frozen=True, slots=True)
class Day:
    """One day. `start` is in it, `end` is the first moment of the next one; both are aware."""

    day: date
    zone: ZoneInfo

    @property
    def start(self) -> datetime:
        """Midnight before it."""
        return datetime.combine(self.day, time(), self.zone)

    @property
    def end(self) -> datetime:
        """Midnight after it."""
        return datetime.combine(self.day + timedelta(days=1), time(), self.zone)

    @property
    def start_ms(self) -> int:
        """`start`, in ms since the epoch."""
        return round(self.start.timestamp() * 1000)

    @property
    def end_ms(self) -> int:
        """`end`, in ms since the epoch."""
        return round(self.end.timestamp() * 1000)
