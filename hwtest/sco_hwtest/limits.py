"""Limits of measurements: which value passes, is marginal or fails, for every device and for single models.

`limits_file` reads them from a file.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fnmatch import fnmatchcase

from sco_hwtest.measurements import MEASUREMENTS
from sco_hwtest.results import CheckResult, DeviceReport, Verdict

_WILD = "*?["


@dataclass(frozen=True, slots=True)
class Limit:
    """The limits of one measurement. A value at a limit is within it.

    Attributes:
        group, measurement: of `MEASUREMENTS`.
        fail_below, marginal_below, marginal_above, fail_above: in the measurement's unit, in this order; None for none.
        model: the models it is for, may contain `*` and `?`; empty for all.
        advice: what to do about a value outside.
    """

    group: str
    measurement: str
    fail_below: float | None = None
    marginal_below: float | None = None
    marginal_above: float | None = None
    fail_above: float | None = None
    model: str = ""
    advice: str = ""

    def verdict(self, value: float) -> Verdict:
        """What a measured value is. FAILED for one that is not a number."""
        if not math.isfinite(value) or _outside(value, self.fail_below, self.fail_above):
            return Verdict.FAILED
        return Verdict.MARGINAL if _outside(value, self.marginal_below, self.marginal_above) else Verdict.PASSED

    @property
    def unit(self) -> str:
        """The measurement's unit."""
        return MEASUREMENTS[self.group, self.measurement].unit

    @property
    def words(self) -> str:
        """The bands: "marginal above 100 ms, fails above 250 ms"."""
        bounds = (
            ("fails below", self.fail_below),
            ("marginal below", self.marginal_below),
            ("marginal above", self.marginal_above),
            ("fails above", self.fail_above),
        )
        return ", ".join(f"{word} {bound:g} {self.unit}" for word, bound in bounds if bound is not None)

    def applies(self, model: str) -> bool:
        """Whether it is for that model; for a device that reports none (""), only one for all models is."""
        return not self.model or (bool(model) and fnmatchcase(model.casefold(), self.model.casefold()))

    @property
    def specificity(self) -> tuple[bool, int]:
        """Orders limits of the same measurement: a name before a pattern, then the longer one."""
        wild = any(character in self.model for character in _WILD)
        return bool(self.model) and not wild, sum(character not in _WILD for character in self.model)


def _outside(value: float, below: float | None, above: float | None) -> bool:
    return (below is not None and value < below) or (above is not None and value > above)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a file, over those of others.

    Attributes:
        layers: the limits of each file; the first that has one for a measurement decides.
    """

    layers: tuple[tuple[Limit, ...], ...] = ()

    def over(self, other: Limits) -> Limits:
        """These limits; where they have none for a measurement and model, those of `other`."""
        return Limits((*self.layers, *other.layers))

    def of(self, group: str, measurement: str, model: str | None = None) -> Limit | None:
        """The most specific limit of a measurement for a model (None: not known); None if there is none.

        Of two patterns of the same length, the later one in the file wins.
        """
        for layer in self.layers:
            found = [
                one
                for one in layer
                if (one.group, one.measurement) == (group, measurement) and one.applies(model or "")
            ]
            if found:
                return max(reversed(found), key=lambda one: one.specificity)
        return None

    @property
    def effective(self) -> tuple[Limit, ...]:
        """Every limit that can decide, by measurement, the most specific first."""
        order = list(MEASUREMENTS)
        taken: set[tuple[str, str, str]] = set()
        shown: list[Limit] = []
        for layer in self.layers:
            # a file's limit for all models leaves nothing of the files below it
            closed = {(one.group, one.measurement) for one in shown if not one.model}
            for one in layer:
                key = (one.group, one.measurement, one.model)
                if key not in taken and key[:2] not in closed:
                    taken.add(key)
                    shown.append(one)
        shown.sort(key=lambda one: one.specificity, reverse=True)
        shown.sort(key=lambda one: order.index((one.group, one.measurement)))
        return tuple(shown)


def judge(report: DeviceReport, limits: Limits) -> list[CheckResult]:
    """A check for each figure of `report` that has limits for that model."""
    model = report.identity.model
    pairs = [(one, limits.of(report.kind, one.measurement, model)) for one in report.figures]
    return [judged(limit, figure.value) for figure, limit in pairs if limit is not None]


def judged(limit: Limit, value: float) -> CheckResult:
    """The check that a value is within its limits."""
    label = MEASUREMENTS[limit.group, limit.measurement].label
    verdict = limit.verdict(value)
    found, to_do = "", ""
    if verdict is not Verdict.PASSED:
        model = f" for {limit.model}" if limit.model else ""
        found, to_do = f"it is {value:.4g} {limit.unit}; {limit.words}{model}", limit.advice
    return CheckResult(
        f"{limit.measurement}-limit", f"{label.capitalize()}: {limit.words}.", verdict, 0.0, found, to_do
    )
