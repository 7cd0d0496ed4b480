"""What a burn-in uses up on real devices: metres of paper, writes of a tag's pages.

The figures were measured with simulated devices; `tests/hwtest/test_burn_in.py` measures them again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sco_hwtest.contracts.check import is_simulated
from sco_hwtest.results import Kind

PAPER_M = 0.35
"""Paper that one round of the printer's suite uses, in m."""

TAG_WRITES = 12
"""Writes of the tag's most written page in one round of the reader's suite."""

TAG_WRITE_ENDURANCE = 100_000
"""Write endurance of a page (NTAG213/215/216 data sheet)."""

PAUSE_S, REAL_PAUSE_S = 1.0, 60.0
_PRINTING = {
    *("prints", "prints-a-receipt", "prints-what-python-escpos-makes", "reports-missing-characters"),
    *("never-prints-a-ticket-twice", "answers-several-threads"),
}
_WRITING = {"writes-a-link", "verifies-a-link", "clears", "refuses-a-foreign-tag", "writes-up-to-the-capacity"}


class TooManyWrites(ValueError):
    """This burn-in would exceed a tag's write endurance; the message says what to do."""


def is_real(url: str) -> bool:
    """Whether the URL may be of real hardware."""
    return not is_simulated(url)


def pause_for(devices: Sequence[tuple[Kind, str]]) -> float:
    """The default pause between rounds, in s."""
    return REAL_PAUSE_S if any(kind in ("printer", "nfc") and is_real(url) for kind, url in devices) else PAUSE_S


def cost(devices: Sequence[tuple[Kind, str]], hours: float, pause_s: float, only: Collection[str]) -> list[str]:
    """The most that a burn-in will use up, one sentence a device.

    Raises:
        TooManyWrites: a tag would be written more often than its write endurance.
    """
    rounds = hours * 3600 / max(pause_s, 1.0)
    words: list[str] = []
    for kind, url in devices:
        if not is_real(url):
            continue
        if kind == "printer" and (not only or _PRINTING & set(only)):
            words.append(
                f"{url}: up to {PAPER_M * 3600 / max(pause_s, 1.0):.0f} m of paper an hour (see --pause, --only)"
            )
        if kind == "nfc" and (not only or _WRITING & set(only)):
            writes = rounds * TAG_WRITES
            text = f"{url}: up to {writes:,.0f} writes of a page of the tag, which endures {TAG_WRITE_ENDURANCE:,}"
            if writes > TAG_WRITE_ENDURANCE:
                raise TooManyWrites(f"{text}; give a longer --pause, fewer --hours, or --only reads-the-tag")
            words.append(text)
    return words
