"""Journals that no lane goes on with: it is disabled, or has another one since. No decision reaches their cases.

Conditions in SQL; `x` is the alias of a table with a lane and a journal, `a` that of the table of attempts.
"""

from __future__ import annotations

from sco_payment.attempt import FINAL
from sco_payment.journal import codec

RECORDED_HERE = "recorded by the office"
"""The answer of a decision that closed its case in the office, and went to no lane."""
FINAL_PHASES = sorted(codec.PHASES[phase] for phase in FINAL)

_LATER = """
SELECT FROM journals own JOIN journals later ON later.lane_id = own.lane_id AND later.first_seen_at > own.first_seen_at
{join} WHERE own.lane_id = {x}.lane_id AND own.epoch = {x}.epoch
"""


def left_behind(x: str) -> str:
    """Of which the lane will take no decision. Not so while its last report was of this journal, whatever came since:
    then two lanes have one id."""
    later = _LATER.format(x=x, join="")
    return f"""(
    EXISTS (SELECT FROM lanes l WHERE l.lane_id = {x}.lane_id AND l.disabled)
    OR EXISTS ({later}) AND NOT EXISTS (SELECT FROM lanes l WHERE l.lane_id = {x}.lane_id AND l.epoch = {x}.epoch)
)"""  # noqa: S608 - our own texts


_GOES_ON = _LATER.format(
    x="a",
    join="JOIN attempts again "
    "ON again.lane_id = own.lane_id AND again.epoch = later.epoch AND again.attempt = a.attempt",
)
_CASES = "SELECT FROM cases c WHERE c.lane_id = a.lane_id AND c.epoch = a.epoch AND c.attempt = a.attempt"
OVER = f"""(
    (a.phase = ANY (%(final)s) OR EXISTS ({_GOES_ON}) OR EXISTS ({_CASES}) AND {left_behind("a")})
    AND NOT EXISTS ({_CASES} AND c.closed_at_ms IS NULL)
)"""
"""Nothing more is expected of an attempt: it is final, or goes on in a journal that was salvaged from this one, or its
case was decided and no lane has the journal any more; and no case of it is open. `final`: FINAL_PHASES."""
