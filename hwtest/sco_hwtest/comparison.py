"""Compares the reports of runs: what became worse or better, what appeared or disappeared. Noise does not count.

A time is never measured the same twice. So a measurement has changed only if the samples of both runs differ clearly,
and by enough to matter:

- by enough: the median of all differences between two samples, one of each run (Hodges-Lehmann), is at least
  `THRESHOLD` of the earlier median, and at least the measurement's step;
- clearly: chance puts the samples in this order in at most one of a hundred cases (Mann-Whitney rank test, which does
  not mind outliers). With too few samples for that, every sample of one run must lie beyond every one of the other.
  A time that was measured once must double. An exact figure, such as a size in mm, has no noise.

With several earlier reports, a change must be one against each of them: what varies between those is noise.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sco_hwtest import robust
from sco_hwtest.measurements import CPU_WAITING, MEASUREMENTS, Measurement
from sco_hwtest.results import KIND_LABELS, WORST_FIRST, CheckResult, DeviceReport, Figure, Report, Verdict

THRESHOLD = 0.25
"""The least change that counts, as a share of the earlier median."""
_CHANCE = 0.01
_TIMES = ("ms", "s")
_OPEN = (Verdict.NOT_RUN, Verdict.NOT_ANSWERED)
What = Literal["worse", "better", "appeared", "disappeared", "changed"]


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two reports.

    Attributes:
        what: "changed" is neither better nor worse, e.g. another firmware.
        device: kind and URL, as the later report has them.
        name: of the check or measurement, or of a part of the identity; empty for the whole device.
        before, after: in words; empty where there is none.
    """

    what: What
    device: str
    name: str
    before: str = ""
    after: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """The same for the same change against another earlier report."""
        return self.what, self.device, self.name


@dataclass(slots=True)
class Comparison:
    """All differences.

    Attributes:
        changes: the worst first.
        compared: how many checks and measurements are in both reports.
    """

    changes: list[Change] = field(default_factory=list)
    compared: int = 0

    def of(self, what: What) -> list[Change]:
        """The changes of one sort."""
        return [change for change in self.changes if change.what == what]

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return {
            "compared": self.compared,
            "changes": [
                {
                    "what": change.what,
                    "device": change.device,
                    "name": change.name,
                    "before": change.before,
                    "after": change.after,
                }
                for change in self.changes
            ],
        }


def compare(before: Sequence[Report], after: Report, threshold: float = THRESHOLD) -> Comparison:
    """What changed from the earlier reports to the later one.

    Args:
        before: at least one; a change must be one against each of them.
        after: the later report.
        threshold: the least change of a measurement that counts, as a share.
    """
    each = [_compared(one, after, threshold) for one in before]
    in_all = set.intersection(*({change.key for change in one.changes} for one in each))
    last = each[-1]
    order: tuple[What, ...] = ("worse", "disappeared", "changed", "appeared", "better")
    changes = [change for change in last.changes if change.key in in_all]
    return Comparison(sorted(changes, key=lambda change: order.index(change.what)), last.compared)


def _compared(before: Report, after: Report, threshold: float) -> Comparison:
    found = Comparison()
    pairs, gone, new = _paired(before.devices, after.devices)
    found.changes += [Change("disappeared", _label(one), "") for one in gone]
    found.changes += [Change("appeared", _label(one), "") for one in new]
    for earlier, later in pairs:
        device = _label(later)
        found.changes += _of_identity(device, earlier, later)
        results = [*_of_checks(device, earlier, later), *_of_figures(device, earlier, later, threshold)]
        found.compared += sum(result is None or result.what in ("worse", "better") for result in results)
        found.changes += [result for result in results if result is not None]
    return found


def _label(device: DeviceReport) -> str:
    return f"{KIND_LABELS[device.kind]} {device.url}"


def _paired(
    before: Sequence[DeviceReport], after: Sequence[DeviceReport]
) -> tuple[list[tuple[DeviceReport, DeviceReport]], list[DeviceReport], list[DeviceReport]]:
    """Equal devices: by serial number, else by URL, else the only one of its kind. And what is in one report only."""
    gone, new = list(before), list(after)
    pairs: list[tuple[DeviceReport, DeviceReport]] = []
    for same in (_same_serial, _same_url):
        for one in [*gone]:
            other = next((device for device in new if same(one, device)), None)
            if other is not None:
                pairs.append((one, other))
                gone.remove(one)
                new.remove(other)
    for one in [*gone]:
        others = [device for device in new if device.kind == one.kind]
        if len(others) == 1 and sum(device.kind == one.kind for device in gone) == 1:
            pairs.append((one, others[0]))
            gone.remove(one)
            new.remove(others[0])
    return pairs, gone, new


def _same_serial(one: DeviceReport, other: DeviceReport) -> bool:
    serial = one.identity.serial
    return serial is not None and (one.kind, serial) == (other.kind, other.identity.serial)


def _same_url(one: DeviceReport, other: DeviceReport) -> bool:
    serials = {one.identity.serial, other.identity.serial} - {None}
    return (one.kind, one.url) == (other.kind, other.url) and len(serials) < 2


def _of_identity(device: str, before: DeviceReport, after: DeviceReport) -> Iterator[Change]:
    names = {"maker": "maker", "model": "model", "serial": "serial number", "firmware": "firmware"}
    one, other = before.identity.known, after.identity.known
    for name, label in names.items():
        if one.get(name) != other.get(name):
            yield Change("changed", device, label, one.get(name, "not reported"), other.get(name, "not reported"))


def _of_checks(device: str, before: DeviceReport, after: DeviceReport) -> Iterator[Change | None]:
    """Each check; None for one that is as it was. Measurements are compared by their samples, not by their limits."""
    limited = {f"{one.measurement}-limit" for one in (*before.figures, *after.figures)}
    earlier, later = (
        {check.name: check for check in report.checks if check.name not in limited} for report in (before, after)
    )
    for name in dict.fromkeys((*earlier, *later)):
        was, is_now = earlier.get(name), later.get(name)
        if _decided(was) or _decided(is_now):
            yield _of_check(device, name, was, is_now)


def _decided(check: CheckResult | None) -> bool:
    return check is not None and check.verdict not in _OPEN


def _of_check(device: str, name: str, before: CheckResult | None, after: CheckResult | None) -> Change | None:
    was = before if _decided(before) else None
    is_now = after if _decided(after) else None
    what: What
    if was is None or is_now is None:
        what = "appeared" if was is None else "disappeared"
    elif was.verdict is is_now.verdict:
        return None
    else:
        what = "worse" if WORST_FIRST.index(is_now.verdict) < WORST_FIRST.index(was.verdict) else "better"
    return Change(what, device, name, _words(before), _words(after))


def _words(check: CheckResult | None) -> str:
    if check is None:
        return "not in the report"
    return f"{check.verdict.value}: {check.found}" if check.found else check.verdict.value


def _of_figures(device: str, before: DeviceReport, after: DeviceReport, threshold: float) -> Iterator[Change | None]:
    """Each measurement; None for one that is as it was."""
    earlier, later = ({one.measurement: one for one in report.figures if one.measurement} for report in (before, after))
    waiting = (_waiting(earlier), _waiting(later))
    for name in dict.fromkeys((*earlier, *later)):
        was, is_now = earlier.get(name), later.get(name)
        measurement = MEASUREMENTS.get((after.kind, name))
        if was is None or is_now is None:
            what: What = "appeared" if was is None else "disappeared"
            yield Change(what, device, name, _value(was), _value(is_now))
        elif measurement is not None and name != CPU_WAITING:
            worse = worsened(measurement, _samples(was), _samples(is_now), threshold, waiting)
            if worse is None:
                yield None
            else:
                yield Change("worse" if worse else "better", device, name, _value(was), _value(is_now))


def _waiting(figures: dict[str, Figure]) -> float:
    """The share of the time in which the test waited for a processor; 0 if that is not known."""
    return figures[CPU_WAITING].value / 100 if CPU_WAITING in figures else 0.0


def _samples(figure: Figure) -> tuple[float, ...]:
    return figure.samples or (figure.value,)


def _value(figure: Figure | None) -> str:
    return "not in the report" if figure is None else f"{figure.value:.4g} {figure.unit}"


def worsened(
    measurement: Measurement,
    before: Sequence[float],
    after: Sequence[float],
    threshold: float = THRESHOLD,
    waiting: tuple[float, float] = (0.0, 0.0),
) -> bool | None:
    """Whether a measurement became worse (True) or better (False); None if nothing is clear.

    Args:
        measurement: which one.
        before, after: its samples, at least one each.
        threshold: the least change that counts, as a share of the earlier median.
        waiting: the share of the time in which the test waited for a processor, before and after.
    """
    rises = robust.shift(before, after) > 0
    if measurement.unit in _TIMES:
        # The slower run may owe its difference to a busy machine: it is taken without that.
        if rises:
            after = [value * (1 - waiting[1]) for value in after]
        else:
            before = [value * (1 - waiting[0]) for value in before]
    by = robust.shift(before, after)
    base = abs(statistics.median(before))
    if (
        by == 0
        or (by > 0) is not rises
        or (abs(by) < max(threshold * base, measurement.step) and not measurement.exact)
    ):
        return None
    low, high = (before, after) if by > 0 else (after, before)
    if measurement.step and (len(before) == 1 or len(after) == 1):
        clear = statistics.median(high) >= 2 * statistics.median(low)
    else:
        clear = max(low) < min(high) or robust.rank_test(low, high) <= _CHANCE
    return measurement.worsens(by) if clear else None
