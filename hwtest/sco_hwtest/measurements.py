"""The measurements that `sco-hwtest` takes: name, unit and direction of each. Limits, comparison and history use them.

`measure` takes them; a measurement keeps its name and unit, whatever the report calls it.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from sco_hwtest.results import KINDS, Figure, Kind

Group = Literal["printer", "nfc", "screen", "touch", "display", "burn-in"]
"""What is measured: a kind of device, or the test process of a burn-in."""
GROUPS: tuple[Group, ...] = get_args(Group)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One thing that is measured.

    Attributes:
        group: of what.
        name: stable, for limits, comparison and scripts.
        unit: of every value and limit.
        label: what the report calls it.
        worse: whether a higher or a lower value is worse.
        step: a change that is smaller than this says nothing, in `unit`: clocks and schedulers are no finer.
        exact: whether the same device always has the same value, so that every change says something.
    """

    group: Group
    name: str
    unit: str
    label: str
    worse: Literal["higher", "lower"] = "higher"
    step: float = 0.0
    exact: bool = False

    def worsens(self, by: float) -> bool:
        """Whether a value that changes by `by` becomes worse."""
        return by > 0 if self.worse == "higher" else by < 0


CPU_WAITING = "cpu-waiting"
"""How busy the machine was: a measurement of it, not of the device."""
_MS = 2.0
"""A step of times in ms: what one turn of another process costs."""

_ALL = (
    *(Measurement(kind, "opening", "ms", "opening and closing it", step=10 * _MS) for kind in KINDS),
    *(Measurement(kind, CPU_WAITING, "%", "share of its time that the test waited for a processor") for kind in KINDS),
    Measurement("printer", "status", "ms", "status", step=_MS),
    Measurement("printer", "ticket", "s", "a payment ticket, until it is known to be printed", step=0.1),
    Measurement("printer", "ticket-bytes", "B", "bytes sent for a payment ticket"),
    Measurement("nfc", "read", "ms", "read", step=_MS),
    Measurement("nfc", "verify", "ms", "verify a link", step=_MS),
    Measurement("nfc", "write", "ms", "write a changed link and read it back", step=_MS),
    Measurement("nfc", "rewrite", "ms", "write the link that it already has", step=_MS),
    Measurement("screen", "module", "mm", "module of the code", "lower", exact=True),
    Measurement("screen", "payment-scene", "ms", "a payment scene with its code", step=_MS),
    Measurement("screen", "slowest-scene", "ms", "the slowest scene", step=2 * _MS),
    Measurement("screen", "scenes", "ms", "any scene", step=_MS),
    Measurement("screen", "spinner", "1/s", "frame rate of the spinner", "lower", step=1.0),
    Measurement("touch", "tap", "ms", "from tap to report", step=_MS),
    Measurement("touch", "position-error", "px", "largest position error", exact=True),
    Measurement("display", "code", "ms", "sending a code of 256 bytes", step=_MS),
    Measurement("burn-in", "memory-growth", "MiB", "growth of the test process's memory"),
    Measurement("burn-in", "open-files-growth", "files", "growth of the test process's open files"),
)
MEASUREMENTS: dict[tuple[str, str], Measurement] = {(one.group, one.name): one for one in _ALL}
"""Every measurement, by group and name."""


def figure(kind: Kind, name: str, samples: Sequence[float], note: str = "") -> Figure:
    """The figure of a measurement: the median of its samples.

    Args:
        kind, name: one of `MEASUREMENTS`.
        samples: in the measurement's unit, in the order they were taken; at least one.
        note: what else to know.
    """
    one = MEASUREMENTS[kind, name]
    label = one.label if len(samples) == 1 else f"{one.label}, median of {len(samples)}"
    return Figure(label, statistics.median(samples), one.unit, note, name, tuple(samples))
