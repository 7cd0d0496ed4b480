"""Run the contract suites again and again for hours; count, time, and watch how memory and open files grow.

Each failure is also written to a log file at once, so that a power cut loses none.
"""

from __future__ import annotations

import ctypes
import json
import resource
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TextIO

from sco_hwtest import consumption
from sco_hwtest.burn_in_results import KEPT_FAILURES, SAMPLES, BurnInReport, Failure, Sample, Tally
from sco_hwtest.limits import Limits
from sco_hwtest.limits_file import default_limits
from sco_hwtest.results import CheckResult, Kind, Verdict
from sco_hwtest.runner import CHECK_TIMEOUT_S, NullProgress, machine, run_suite


class _Round(NullProgress):
    """Counts finished checks."""

    def __init__(self, run: _BurnIn, kind: Kind, url: str) -> None:
        self._run, self._kind, self._url = run, kind, url

    def ends(self, result: CheckResult) -> None:
        """Count a finished check."""
        self._run.count(self._kind, self._url, result)


class _BurnIn:
    def __init__(self, report: BurnInReport, log: TextIO | None) -> None:
        self.report = report
        self._log = log
        self._start = time.monotonic()

    def count(self, kind: Kind, url: str, result: CheckResult) -> None:
        report = self.report
        key = (kind, url, result.name)
        tally = report.tallies.get(key)
        if tally is None:
            tally = report.tallies[key] = Tally(kind, url, result.name, result.what)
        tally.verdicts[result.verdict] += 1
        if result.verdict is Verdict.NOT_RUN:
            tally.last_found = result.found
            return
        tally.times.add(result.seconds)
        if result.verdict is Verdict.FAILED:
            tally.last_found = result.found
            failure = Failure(time.time(), report.rounds + 1, kind, url, result.name, result.found, result.to_do)
            report.failed += 1
            if len(report.failures) < KEPT_FAILURES:
                report.failures.append(failure)
            if self._log is not None:
                self._log.write(json.dumps(failure.as_json(), ensure_ascii=False) + "\n")
                self._log.flush()

    def sample(self) -> None:
        report = self.report
        _release_free_memory()
        sample = Sample(time.monotonic() - self._start, resident_mib(), open_files())
        report.samples.append(sample)
        if len(report.samples) > SAMPLES:
            del report.samples[1:-1:2]
        report.seconds = sample.at_s


def run_burn_in(
    devices: Sequence[tuple[Kind, str]],
    hours: float,
    *,
    pause_s: float | None = None,
    only: Collection[str] = (),
    check_timeout_s: float = CHECK_TIMEOUT_S,
    stop: threading.Event | None = None,
    log: str | Path | None = None,
    limits: Limits | None = None,
    on_round: Callable[[BurnInReport], None] | None = None,
) -> BurnInReport:
    """Run the suites of `devices` round after round for `hours`. Limits this process to one memory pool (glibc).

    Args:
        devices: kind and URL of each.
        pause_s: between two rounds. None: 60 with a real printer or tag, as each round prints or writes; else 1.
        only: names of checks; all if empty.
        check_timeout_s: a check that takes longer counts as hung.
        stop: set it to end after the current check. KeyboardInterrupt ends the run at once and sets it.
        log: file to which each failure is appended at once, one JSON object a line.
        limits: of the growth of memory and open files; those that the package brings if None.
        on_round: called after each round.

    Raises:
        OSError: the log cannot be written.
    """
    stop = threading.Event() if stop is None else stop
    pause_s = consumption.pause_for(devices) if pause_s is None else pause_s
    report = BurnInReport(list(devices), hours, machine(), limits=default_limits() if limits is None else limits)
    _use_one_memory_pool()
    with Path(log).open("a", encoding="utf-8") if log is not None else nullcontext() as file:
        work = _BurnIn(report, file)
        end = time.monotonic() + hours * 3600
        try:
            while not stop.is_set():
                for kind, url in devices:
                    of_device = run_suite(
                        kind,
                        url,
                        progress=_Round(work, kind, url),
                        only=only,
                        check_timeout_s=check_timeout_s,
                        stop=stop,
                        measure=False,
                        identify=report.rounds == 0,
                    )
                    if report.rounds == 0:
                        report.identities[kind, url] = of_device.identity
                if stop.is_set():
                    break
                report.rounds += 1
                work.sample()
                if on_round is not None:
                    on_round(report)
                left = end - time.monotonic()
                if left <= 0:
                    break
                stop.wait(min(pause_s, left))
                if time.monotonic() >= end:
                    break
        except KeyboardInterrupt:
            stop.set()
        report.ended_by = "signal" if stop.is_set() else "time"
        work.sample()
    return report


_M_ARENA_MAX = -8  # malloc.h of glibc


def _use_one_memory_pool() -> None:
    """glibc gives each thread a memory pool and keeps it: dozens of MiB that look like a leak for an hour."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def _release_free_memory() -> None:
    """Return free memory to the system, so that the rest is in use and a leak can be seen."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def resident_mib() -> float:
    """Memory of this process, in MiB; 0 if /proc does not show it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * resource.getpagesize() / (1 << 20)


def open_files() -> int:
    """Number of open files of this process; 0 if /proc does not show it."""
    try:
        return sum(1 for _ in Path("/proc/self/fd").iterdir())
    except OSError:
        return 0
