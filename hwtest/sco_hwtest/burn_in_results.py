"""What a burn-in found. Plain data; `report` writes it as a page and as JSON.

Its size does not grow with time: durations go into buckets, samples are thinned out, and failures beyond a limit are
only counted.
"""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from sco_drivers.identity import DeviceIdentity
from sco_hwtest.limits import Limits, judged
from sco_hwtest.limits_file import default_limits
from sco_hwtest.results import FORMAT, CheckResult, Kind, Verdict, format_duration, worst

KEPT_FAILURES = 1000
_MIN_SAMPLES = 8
SAMPLES = 400
_STEPS_A_DECADE = 40


@dataclass(slots=True)
class Times:
    """Durations in s, in buckets 6 % wide, for percentiles without keeping each duration."""

    count: int = 0
    min_s: float = float("inf")
    max_s: float = 0.0
    _buckets: Counter[int] = field(default_factory=Counter)

    def add(self, seconds: float) -> None:
        """Count a duration."""
        self.count += 1
        self.min_s, self.max_s = min(self.min_s, seconds), max(self.max_s, seconds)
        self._buckets[round(math.log10(max(seconds, 1e-6)) * _STEPS_A_DECADE)] += 1

    def percentile(self, share: float) -> float:
        """The duration that `share` (0 to 1) of them do not exceed, within 3 %; 0 if there are none."""
        need, seen = share * self.count, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= need:
                return float(min(self.max_s, max(self.min_s, 10 ** (bucket / _STEPS_A_DECADE))))
        return 0.0


@dataclass(slots=True)
class Tally:
    """One check of one device over all rounds."""

    kind: Kind
    url: str
    name: str
    what: str
    verdicts: Counter[Verdict] = field(default_factory=Counter)
    times: Times = field(default_factory=Times)
    last_found: str = ""

    @property
    def verdict(self) -> Verdict:
        """The worst of its rounds."""
        return worst(verdict for verdict, count in self.verdicts.items() if count)


@dataclass(frozen=True, slots=True)
class Failure:
    """One failure: when (s since the epoch), in which round, of which check, what was found and what to do."""

    at: float
    round: int
    kind: Kind
    url: str
    check: str
    found: str
    to_do: str

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        when = time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(self.at))
        return {
            "at": self.at,
            "when": when,
            "round": self.round,
            "kind": self.kind,
            "url": self.url,
            "check": self.check,
            "found": self.found,
            "to_do": self.to_do,
        }


@dataclass(frozen=True, slots=True)
class Sample:
    """The test process at one time: s since the start, MiB of memory, open files."""

    at_s: float
    mib: float
    files: int


@dataclass(slots=True)
class BurnInReport:
    """The result of a burn-in.

    Attributes:
        started: s since the epoch.
        seconds: how long it ran; `hours`: how long it was to run.
        ended_by: "time" or "signal".
        rounds: complete rounds over all devices.
        tallies: one for each check of each device.
        failures: the first `KEPT_FAILURES`; `failed` counts all.
        samples: memory and open files over time.
        identities: what each device reported in the first round.
        limits: of the growth of memory and open files.
    """

    devices: list[tuple[Kind, str]]
    hours: float
    machine: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    seconds: float = 0.0
    ended_by: str = "time"
    rounds: int = 0
    tallies: dict[tuple[Kind, str, str], Tally] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)
    failed: int = 0
    samples: list[Sample] = field(default_factory=list)
    identities: dict[tuple[Kind, str], DeviceIdentity] = field(default_factory=dict)
    limits: Limits = field(default_factory=default_limits)

    @property
    def checks(self) -> int:
        """How many checks ran."""
        return sum(tally.times.count for tally in self.tallies.values())

    @property
    def growth(self) -> Sample | None:
        """How much memory and open files grew from the second quarter of the time to the last.

        Caches and the allocator's pools fill up in the first quarter; a leak goes on. None if the run was too short.
        """
        if len(self.samples) < _MIN_SAMPLES:
            return None
        end = self.samples[-1].at_s
        early = [sample for sample in self.samples if end / 4 <= sample.at_s <= end / 2]
        late = [sample for sample in self.samples if sample.at_s >= end * 3 / 4]
        if not early or not late:
            return None
        return Sample(
            statistics.median(sample.at_s for sample in late) - statistics.median(sample.at_s for sample in early),
            statistics.median(sample.mib for sample in late) - statistics.median(sample.mib for sample in early),
            round(statistics.median(s.files for s in late) - statistics.median(s.files for s in early)),
        )

    @property
    def growth_checks(self) -> list[CheckResult]:
        """The growth of memory and open files against their limits; empty if the run was too short."""
        growth = self.growth
        if growth is None:
            return []
        values = {"memory-growth": growth.mib, "open-files-growth": float(growth.files)}
        pairs = [(self.limits.of("burn-in", name), value) for name, value in values.items()]
        return [judged(limit, value) for limit, value in pairs if limit is not None]

    @property
    def verdict(self) -> Verdict:
        """FAILED for any failure or growth; NOT_RUN if a check could not run, or no round was complete."""
        if self.failed:
            return Verdict.FAILED
        return worst(
            (
                *(verdict for tally in self.tallies.values() for verdict in tally.verdicts),
                *(check.verdict for check in self.growth_checks),
                Verdict.PASSED if self.rounds else Verdict.NOT_RUN,
            )
        )

    @property
    def summary(self) -> str:
        """The outcome in a sentence or two."""
        text = f"{self.rounds} rounds in {format_duration(self.seconds)}, {self.checks} checks, {self.failed} failed."
        if self.ended_by == "signal":
            text += " Stopped before the end."
        growth = self.growth
        if growth is not None:
            text += f" Memory grew by {growth.mib:.1f} MiB, open files by {growth.files}."
        left_out = sum(1 for tally in self.tallies.values() if tally.verdicts[Verdict.NOT_RUN])
        text += "".join(f" {check.name}: {check.verdict.value}." for check in self.growth_checks if check.found)
        return text + (f" Checks that could not run: {left_out}." if left_out else "")

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`. Times in s."""
        return {
            "format": FORMAT,
            "verdict": self.verdict.value,
            "summary": self.summary,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "hours": self.hours,
            "ended_by": self.ended_by,
            "rounds": self.rounds,
            "failed": self.failed,
            "machine": self.machine,
            "devices": [
                {"kind": kind, "url": url, "identity": self.identities.get((kind, url), DeviceIdentity()).known}
                for kind, url in self.devices
            ],
            "growth": [
                {"name": check.name, "verdict": check.verdict.value, "found": check.found}
                for check in self.growth_checks
            ],
            "checks": [
                {
                    "kind": tally.kind,
                    "url": tally.url,
                    "name": tally.name,
                    "verdicts": {verdict.value: count for verdict, count in tally.verdicts.items()},
                    "median": round(tally.times.percentile(0.5), 5),
                    "p99": round(tally.times.percentile(0.99), 5),
                    "max": round(tally.times.max_s, 5),
                }
                for tally in self.tallies.values()
            ],
            "failures": [failure.as_json() for failure in self.failures],
            "memory": [[round(sample.at_s, 1), round(sample.mib, 2), sample.files] for sample in self.samples],
        }
