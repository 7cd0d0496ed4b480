"""A run of the checks whose devices are recorded: a folder with the report and a trace of each device."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sco_drivers.urls import RECORD, TRACE
from sco_hwtest.report import write_json
from sco_hwtest.results import Kind, Report
from sco_hwtest.runner import Progress, run

REPORT = "report.json"
TRACE_SUFFIX = ".trace"


class CannotRecord(Exception):
    """The folder cannot be used, or a trace could not be written to its end."""


def record(
    devices: Sequence[tuple[Kind, str]], folder: Path, *, progress: Progress | None = None, **how: Any
) -> tuple[Report, list[Path]]:
    """Run the checks of each device and record it. A screen has no wire: it is checked and not recorded.

    Args:
        devices, progress, how: as for `run`.
        folder: for the report and the traces; made where it does not exist.

    Returns:
        The report, and the paths of the traces.

    Raises:
        CannotRecord: the folder is not empty or cannot be written.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise CannotRecord(f"{folder} is not empty: name a new folder")
        traces = {
            at: folder / f"{kind}-{at + 1}{TRACE_SUFFIX}" for at, (kind, _) in enumerate(devices) if kind != "screen"
        }
        for path in traces.values():
            path.touch(0o600)
    except OSError as error:
        raise CannotRecord(f"{folder}: {error.strerror}") from error
    wanted = [(kind, recorded_url(url, traces[at]) if at in traces else url) for at, (kind, url) in enumerate(devices)]
    names = {recorded: url for (_, recorded), (_, url) in zip(wanted, devices, strict=True)}
    report = run(wanted, progress=None if progress is None else _Named(progress, names), **how)
    for found, (_, url) in zip(report.devices, devices, strict=False):
        found.url = url
    try:
        (folder / REPORT).touch(0o600)
        write_json(report, folder / REPORT)
    except OSError as error:
        raise CannotRecord(f"{folder / REPORT}: {error.strerror}") from error
    return report, list(traces.values())


class _Named:
    """Progress of a run that names each device by its own URL."""

    def __init__(self, progress: Progress, names: dict[str, str]) -> None:
        self._names = names
        self._progress = progress
        self.begins, self.ends = progress.begins, progress.ends

    def device(self, kind: Kind, url: str, checks: int) -> None:
        """See `Progress`."""
        self._progress.device(kind, self._names.get(url, url), checks)


def recorded_url(url: str, trace: Path) -> str:
    """The URL that opens the device of `url` and records it to `trace`."""
    return f"{RECORD}{url}{'&' if '?' in url else '?'}{TRACE}={quote(str(trace.absolute()))}"
