"""The result of a run: identity, checks, figures and pictures of each device, and the verdict. Plain data.

`report` writes it as a page and as JSON.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Literal

from sco_drivers.identity import DeviceIdentity

Kind = Literal["printer", "nfc", "screen", "touch", "display"]
KINDS: tuple[Kind, ...] = ("printer", "nfc", "screen", "touch", "display")
KIND_LABELS: dict[Kind, str] = {
    "printer": "Printer",
    "nfc": "NFC reader and tag",
    "screen": "Screen",
    "touch": "Touch panel",
    "display": "Customer QR display",
}
FORMAT = 1
"""Version of the JSON document."""


class Verdict(Enum):
    """The result of a check."""

    PASSED = "passed"
    MARGINAL = "marginal"  # a measurement within its limits, and close to them
    FAILED = "failed"
    NOT_ANSWERED = "not answered"  # a question that the operator did not answer
    NOT_RUN = "not run"  # `found` says why


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check or question.

    Attributes:
        name: stable, for scripts.
        what: what the device must do, in one sentence.
        verdict: its result.
        seconds: how long it took.
        found: what was found, if it did not pass.
        to_do: what the operator can do about it; empty if not known.
        asked: whether the operator decided it.
    """

    name: str
    what: str
    verdict: Verdict
    seconds: float = 0.0
    found: str = ""
    to_do: str = ""
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number, e.g. `Figure("status, median of 20", 3.1, "ms")`.

    Attributes:
        name: for people.
        value: the median of the samples, in `unit`.
        note: what else to know.
        measurement: its stable name, for limits and scripts; empty for a number that is none.
        samples: what was measured, in the order it was taken.
    """

    name: str
    value: float
    unit: str
    note: str = ""
    measurement: str = ""
    samples: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with its caption.

    Attributes:
        caption: what it shows.
        png: the file's bytes.
        ours: whether it shows what should be seen, not what the device did.
        width: px on the page; 0: as wide as the picture.
    """

    caption: str
    png: bytes
    ours: bool = False
    width: int = 0


@dataclass(slots=True)
class DeviceReport:
    """The result of one device.

    Attributes:
        kind, url: which device.
        identity: maker, model, serial number and firmware, as far as the device reports them.
        about: what else it reports of itself, label to text.
        checks: in the order they ran; the first is `opens`.
        figures, pictures: what was measured and seen.
        dumps: caption to text in fixed-width columns, e.g. a tag's memory.
    """

    kind: Kind
    url: str
    about: dict[str, str] = field(default_factory=dict)
    checks: list[CheckResult] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    dumps: dict[str, str] = field(default_factory=dict)
    identity: DeviceIdentity = field(default_factory=DeviceIdentity)

    @property
    def verdict(self) -> Verdict:
        """The worst of its checks; NOT_RUN when there are none."""
        return worst(check.verdict for check in self.checks)

    def count(self, verdict: Verdict) -> int:
        """How many checks have that verdict."""
        return sum(check.verdict is verdict for check in self.checks)

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`; pictures in base64."""
        return {
            "kind": self.kind,
            "url": self.url,
            "verdict": self.verdict.value,
            "identity": self.identity.known,
            "about": self.about,
            "checks": [
                {
                    "name": check.name,
                    "what": check.what,
                    "verdict": check.verdict.value,
                    "seconds": round(check.seconds, 4),
                    "found": check.found,
                    "to_do": check.to_do,
                    "asked": check.asked,
                }
                for check in self.checks
            ],
            "figures": [
                {
                    "name": figure.name,
                    "value": figure.value,
                    "unit": figure.unit,
                    "note": figure.note,
                    "measurement": figure.measurement,
                    "samples": list(figure.samples),
                }
                for figure in self.figures
            ],
            "pictures": [
                {"caption": picture.caption, "png": base64.b64encode(picture.png).decode(), "ours": picture.ours}
                for picture in self.pictures
            ],
            "dumps": self.dumps,
        }


WORST_FIRST = (Verdict.FAILED, Verdict.NOT_RUN, Verdict.NOT_ANSWERED, Verdict.MARGINAL, Verdict.PASSED)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The first of `WORST_FIRST` that is among them; NOT_RUN if there are no verdicts."""
    found = set(verdicts)
    return next((verdict for verdict in WORST_FIRST if verdict in found), Verdict.NOT_RUN)


@dataclass(slots=True)
class Report:
    """A whole run.

    Attributes:
        devices: one report each.
        machine: where it ran, label to text.
        started: s since the epoch.
        seconds: how long it took.
        interrupted: whether it was stopped before its end.
    """

    devices: list[DeviceReport] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=dict)
    started: float = field(default_factory=time.time)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def verdict(self) -> Verdict:
        """The worst of its devices; an interrupted run is at best NOT_RUN."""
        verdict = worst(device.verdict for device in self.devices)
        return worst((verdict, Verdict.NOT_RUN)) if self.interrupted else verdict

    @property
    def passed(self) -> bool:
        """Whether every check of every device passed and every question was answered with yes."""
        return self.verdict is Verdict.PASSED

    @property
    def failures(self) -> list[tuple[DeviceReport, CheckResult]]:
        """Every failed check with its device."""
        return [
            (device, check) for device in self.devices for check in device.checks if check.verdict is Verdict.FAILED
        ]

    def count(self, verdict: Verdict) -> int:
        """How many checks have that verdict."""
        return sum(device.count(verdict) for device in self.devices)

    @property
    def summary(self) -> str:
        """The outcome in one sentence."""
        return summary_of([check.verdict for device in self.devices for check in device.checks], self.interrupted)

    def as_json(self) -> dict[str, Any]:
        """For `json.dumps`."""
        return {
            "format": FORMAT,
            "verdict": self.verdict.value,
            "passed": self.passed,
            "summary": self.summary,
            "started": self.started,
            "seconds": round(self.seconds, 3),
            "interrupted": self.interrupted,
            "machine": self.machine,
            "devices": [device.as_json() for device in self.devices],
        }


def summary_of(verdicts: Sequence[Verdict], interrupted: bool) -> str:
    """The outcome of a run's checks in one sentence."""
    count = {verdict: verdicts.count(verdict) for verdict in Verdict}
    stopped = "Stopped before the end. " if interrupted else ""
    open_ends = [
        _several(count[Verdict.NOT_RUN], "check was not run", "checks were not run"),
        _several(count[Verdict.NOT_ANSWERED], "question was not answered", "questions were not answered"),
        _several(count[Verdict.MARGINAL], "measurement is marginal", "measurements are marginal"),
    ]
    rest = " and ".join(words for words in open_ends if words)
    if count[Verdict.FAILED]:
        text = f"{count[Verdict.FAILED]} of {len(verdicts)} checks failed" + (f"; {rest}" if rest else "")
    elif rest:
        text = f"Nothing failed, but {rest}"
    elif verdicts and not interrupted:
        text = f"All {len(verdicts)} checks passed"
    else:
        text = "Nothing was checked" if not verdicts else f"{len(verdicts)} checks passed"
    return f"{stopped}{text}."


def _several(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}" if count else ""


def format_duration(seconds: float) -> str:
    """A duration with a suitable unit."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"
