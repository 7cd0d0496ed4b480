"""The last line that every engine prints: what was counted, then what is broken."""

from __future__ import annotations

from collections.abc import Sequence

HOLD = "all invariants hold"
_NAMED = 3


def verdict(counts: str, broken: Sequence[str], *, good: str = HOLD) -> str:
    """One line.

    Args:
        counts: what was played, with the time it took.
        broken: each violation as a clause; the first three are named.
        good: what is reported when there is none.
    """
    if not broken:
        return f"{counts}: {good}"
    more = f"; and {len(broken) - _NAMED} more" if len(broken) > _NAMED else ""
    return f"{counts}: BROKEN: {'; '.join(broken[:_NAMED])}{more}"
