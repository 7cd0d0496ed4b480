"""What a burn-in costs real devices: metres of paper, writes of a tag's pages. Simulated ones cost nothing.

The figures are of the contract suites on simulated devices; `tests/hwtest/test_burn_in.py` measures them again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sco_hwtest.results import Kind

PAPER_M = 0.25
"""Paper that a round of the printer's suite uses, in m."""

TAG_WRITES = 12
"""Writes of the tag's busiest page in a round of the reader's suite."""

TAG_LIFE = 100_000
"""Writes that a page is made for (NTAG213/215/216 data sheet: write endurance)."""

PAUSE_S, REAL_PAUSE_S = 1.0, 60.0
_PRINTING = {"prints", "says-what-it-cannot-set", "never-prints-twice", "answers-several-threads"}
_WRITING = {"writes-a-link", "verifies-octets", "clears", "refuses-a-foreign-tag", "takes-all-that-fits-and-no-more"}


class TooMuch(ValueError):
    """This burn-in would wear a tag out; the message says what to do."""


def is_real(url: str) -> bool:
    """Whether there may be hardware behind the URL."""
    return not url.removeprefix("spy+").startswith("sim:")


def pause_for(devices: Sequence[tuple[Kind, str]]) -> float:
    """The pause between rounds, in s, where none was asked for."""
    return REAL_PAUSE_S if any(kind in ("printer", "nfc") and is_real(url) for kind, url in devices) else PAUSE_S


def cost(devices: Sequence[tuple[Kind, str]], hours: float, pause_s: float, only: Collection[str]) -> list[str]:
    """What the burn-in will use at most, a sentence a device.

    Raises:
        TooMuch: a tag would be written more often than it is made for.
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
            told = f"{url}: up to {writes:,.0f} writes of the tag's busiest page, which is made for {TAG_LIFE:,}"
            if writes > TAG_LIFE:
                raise TooMuch(f"{told}; give a longer --pause, fewer --hours, or --only reads-the-tag")
            words.append(told)
    return words
