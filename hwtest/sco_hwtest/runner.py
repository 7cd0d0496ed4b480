"""Runs the contract suites and measurements on devices given by URL. Errors go into the report; none is raised."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from sco_drivers.errors import DeviceError
from sco_drivers.identity import DeviceIdentity
from sco_hwtest import identity
from sco_hwtest.advice import advice
from sco_hwtest.contracts.check import CannotRun, Check, is_simulated
from sco_hwtest.host_load import CpuWaiting
from sco_hwtest.limited import Hung, Stopped, limited
from sco_hwtest.limits import Limits, judge
from sco_hwtest.limits_file import default_limits
from sco_hwtest.manual import TAPS, tap_the_buttons
from sco_hwtest.manual import WAIT_S as TAP_WAIT_S
from sco_hwtest.measure import MEASURES, times_ms
from sco_hwtest.measurements import CPU_WAITING, figure
from sco_hwtest.questions import Operator, unattended
from sco_hwtest.results import CheckResult, DeviceReport, Kind, Report, Verdict
from sco_hwtest.suites import Suite, missing_library, opener, suite_of

CHECK_TIMEOUT_S = 180.0
"""A check that takes longer counts as hung."""


_OPENINGS = 3
_MEASURING = ("measurements", "The measurements complete.")


class Progress(Protocol):
    """Receives the progress of a run. Must not raise."""

    def device(self, kind: Kind, url: str, checks: int) -> None:
        """A device's suite begins; it has `checks` checks."""
        ...

    def begins(self, name: str) -> None:
        """A check, or the measuring, begins."""
        ...

    def ends(self, result: CheckResult) -> None:
        """A check has ended."""
        ...


class NullProgress:
    """Reports no progress."""

    def device(self, kind: Kind, url: str, checks: int) -> None:
        """Do nothing."""

    def begins(self, name: str) -> None:
        """Do nothing."""

    def ends(self, result: CheckResult) -> None:
        """Do nothing."""


def run(
    devices: Sequence[tuple[Kind, str]],
    *,
    operator: Operator = unattended,
    progress: Progress | None = None,
    only: Collection[str] = (),
    faults: bool = False,
    check_timeout_s: float = CHECK_TIMEOUT_S,
    stop: threading.Event | None = None,
    limits: Limits | None = None,
) -> Report:
    """Run the contract suite and the measurements of each device.

    Args:
        devices: kind and URL of each, e.g. `[("printer", "tcp://10.0.0.5:9100"), ("screen", "fb:///dev/fb0")]`.
        operator: answers questions about what can only be seen; by default each counts as not answered.
        progress: receives the progress of the run.
        only: names of checks; all if empty. With it no measurements are taken.
        faults: run the fault checks too (paper out, cover open, unplugged, off): the operator is asked to make each
            fault; a simulated device makes it by itself.
        check_timeout_s: a check that takes longer counts as hung, and the device's other checks are not run. The time
            that the operator needs does not count.
        stop: set it to end after the current check. KeyboardInterrupt ends the run at once and sets it.
        limits: of the measurements; those that the package brings if None.

    Returns:
        The report. A device that cannot be opened is in it as a failure with advice.
    """
    stop = threading.Event() if stop is None else stop
    report = Report(machine=machine())
    start = time.perf_counter()
    screens = [url for kind, url in devices if kind == "screen"]
    for kind, url in devices:
        if stop.is_set():
            break
        report.devices.append(
            run_suite(
                kind,
                url,
                operator=operator,
                progress=progress,
                only=only,
                faults=faults,
                check_timeout_s=check_timeout_s,
                stop=stop,
                screen=screens[0] if screens else None,
                limits=limits,
            )
        )
    report.seconds = time.perf_counter() - start
    report.interrupted = stop.is_set()
    return report


def run_suite(
    kind: Kind,
    url: str,
    *,
    operator: Operator = unattended,
    progress: Progress | None = None,
    only: Collection[str] = (),
    faults: bool = False,
    check_timeout_s: float = CHECK_TIMEOUT_S,
    stop: threading.Event | None = None,
    screen: str | None = None,
    measure: bool = True,
    identify: bool = True,
    limits: Limits | None = None,
) -> DeviceReport:
    """Run one device's suite; see `run`.

    Args:
        screen: URL of the screen under a touch panel, which shows the operator what to tap.
        measure: take measurements and ask the operator too.
        identify: ask the device for its model, serial number and firmware.
    """
    return _Run(
        DeviceReport(kind, url),
        operator,
        NullProgress() if progress is None else progress,
        frozenset(only),
        check_timeout_s,
        threading.Event() if stop is None else stop,
        screen,
        default_limits() if limits is None else limits,
    ).report(faults=faults, measure=measure, identify=identify)


class _Run:
    def __init__(
        self,
        report: DeviceReport,
        operator: Operator,
        progress: Progress,
        only: frozenset[str],
        timeout_s: float,
        stop: threading.Event,
        screen: str | None,
        limits: Limits,
    ) -> None:
        self._report = report
        self._operator = operator
        self._progress = progress
        self._only = only
        self._timeout_s = timeout_s
        self._stop = stop
        self._screen = screen
        self._limits = limits
        self._hung = ""

    def report(self, *, measure: bool, faults: bool, identify: bool) -> DeviceReport:
        try:
            self._whole(measure=measure, faults=faults, identify=identify)
        except KeyboardInterrupt:
            self._stop.set()
        return self._report

    def _whole(self, *, measure: bool, faults: bool, identify: bool) -> None:
        kind, url = self._report.kind, self._report.url
        suite, missing = None, None
        try:
            suite = suite_of(kind)
        except CannotRun as error:
            missing = CheckResult(
                "suite", "This installation has a contract suite.", Verdict.NOT_RUN, 0, str(error), error.to_do
            )
        checks, refused = ([], []) if suite is None else self._chosen(suite, faults=faults)
        self._progress.device(kind, url, len(checks) + 1)
        if missing is not None:
            self._end(missing)
        if not self._opens():
            rest = [(check.name, check.what) for check, _ in checks]
            if measure and not self._only:
                rest.append(_MEASURING)
            self._skip(rest, "the device could not be opened")
            return
        for check, reason in refused:
            self._skip([(check.name, check.what)], reason)
        if identify:
            self._identify()
        for check, subject in checks:
            if self._stop.is_set():
                break
            self._check(check, subject)
        if measure and not self._only and not self._stop.is_set():
            self._measure()

    def _chosen(
        self, suite: Suite, *, faults: bool
    ) -> tuple[list[tuple[Check[Any], _Subject]], list[tuple[Check[Any], str]]]:
        """The checks to run, each with what opens what it is given; and those that were named and cannot run, with why.

        What the device cannot be given is noted.
        """
        url, left_out = self._report.url, dict[str, list[str]]()
        chosen: list[tuple[Check[Any], _Subject]] = []
        refused: list[tuple[Check[Any], str]] = []

        def usual(operator: Operator) -> AbstractContextManager[Any]:
            return suite.subject(url)

        def faulty(operator: Operator) -> AbstractContextManager[Any]:
            assert suite.faulty is not None
            return suite.faulty(url, operator)

        for checks, subject in ((suite.checks, usual), (suite.fault_checks, faulty)):
            for check in checks:
                if self._only and check.name not in self._only:
                    continue
                reason = suite.why_not(check.name, url, faults=faults)
                if not reason:
                    chosen.append((check, subject))
                elif self._only:
                    refused.append((check, reason))
                elif checks is suite.checks or faults:
                    left_out.setdefault(reason, []).append(check.name)
        if left_out:
            self._report.about["not checked"] = "; ".join(
                f"{', '.join(names)} ({reason})" for reason, names in left_out.items()
            )
        return chosen, refused

    def _opens(self) -> bool:
        """The first check."""
        what = "The device can be opened by its URL."
        self._progress.begins("opens")
        start = time.perf_counter()
        error = self._limited(lambda _: opener(self._report.kind)(self._report.url).close())
        took = time.perf_counter() - start
        if error is None:
            self._end(CheckResult("opens", what, Verdict.PASSED, took))
            return True
        self._end(self._judged("opens", what, took, error))
        return False

    def _identify(self) -> None:
        """Ask the device what it is. One that does not report it has no identity, which is not a failure."""
        kind, url = self._report.kind, self._report.url
        found: list[DeviceIdentity] = []
        start = time.perf_counter()
        error = self._limited(lambda _: found.append(identity.identify(kind, url)))
        if isinstance(error, Hung):
            self._hung = "reporting its identity"
            what = "The device answers what it is, or that it does not know."
            self._end(self._judged("identifies", what, time.perf_counter() - start, error))
        elif found:
            self._report.identity = found[0]

    def _check(self, check: Check[Any], subject: _Subject) -> None:
        """Run `check` on what `subject` opens."""
        if self._hung:
            self._skip([(check.name, check.what)], f"{self._hung} hangs and keeps the device open")
            return
        self._progress.begins(check.name)
        start = time.perf_counter()

        def work(operator: Operator) -> None:
            with subject(operator) as opened:
                check.run(opened)

        error = self._limited(work)
        took = time.perf_counter() - start
        if isinstance(error, Hung):
            self._hung = check.name
        self._end(
            CheckResult(check.name, check.what, Verdict.PASSED, took)
            if error is None
            else self._judged(check.name, check.what, took, error)
        )

    def _limited(self, work: Callable[[Operator], None], *, spare_s: float = 0.0) -> Exception | None:
        """See `limited`; `spare_s` is allowed beyond the limit of a check."""
        error = limited(work, self._operator, self._timeout_s + spare_s)
        if isinstance(error, Stopped):
            self._stop.set()
        return error

    def _judged(self, name: str, what: str, took: float, error: Exception) -> CheckResult:
        verdict, to_do = Verdict.FAILED, getattr(error, "to_do", "")
        match error:
            case CannotRun() | Stopped():
                verdict, found = Verdict.NOT_RUN, str(error)
            case ImportError() if not isinstance(error, DeviceError):
                missing = missing_library(error)
                verdict, found, to_do = Verdict.NOT_RUN, str(missing), missing.to_do
            case DeviceError():
                found, to_do = error.message, advice(self._report.kind, self._report.url, error)
            case AssertionError() | Hung():
                found = str(error) or "the check failed without a message"
            case _:
                found = f"unexpected error in the driver or the check: {type(error).__name__}: {error}"
                to_do = "this is a bug in sco-paymaster: please send us this report"
        return CheckResult(name, what, verdict, took, found, to_do)

    def _measure(self) -> None:
        name, what = _MEASURING
        if self._hung:
            self._skip([(name, what)], f"{self._hung} hangs and keeps the device open")
            return
        self._progress.begins("measuring")
        if self._report.kind == "touch" and not is_simulated(self._report.url) and not self._taps():
            return
        start = time.perf_counter()
        # Its own report: a driver that hangs may go on later, while ours is written.
        found = DeviceReport(self._report.kind, self._report.url)
        error = self._limited(lambda operator: self._measured(found, operator))
        self._add(found)
        judged = judge(self._report, self._limits)
        for result in judged:
            self._end(result)
        if error is not None:
            self._end(self._judged(name, what, time.perf_counter() - start, error))

    def _taps(self) -> bool:
        """Ask the operator to tap a real panel; whether it can be measured after that."""
        screen = self._screen
        if screen is None:
            for name, what in TAPS:
                reason, to_do = "a program cannot tap a real panel", "give --screen too: you tap what it shows"
                self._end(CheckResult(name, what, Verdict.NOT_RUN, 0.0, reason, to_do))
            return True
        found = DeviceReport(self._report.kind, self._report.url)
        error = self._limited(lambda operator: tap_the_buttons(found, screen, operator), spare_s=len(TAPS) * TAP_WAIT_S)
        self._add(found)
        if error is not None:
            self._end(self._judged("manual-taps", "The operator's taps arrive.", 0.0, error))
        return error is None

    def _measured(self, found: DeviceReport, operator: Operator) -> None:
        kind, url = found.kind, found.url
        waiting = CpuWaiting()
        openings = times_ms(lambda: opener(kind)(url).close(), _OPENINGS)
        found.figures.append(figure(kind, "opening", openings))
        with opener(kind)(url) as device:
            MEASURES[kind](device, found, operator)
            if (percent := waiting.percent) is not None:
                found.figures.append(figure(kind, CPU_WAITING, [percent]))

    def _add(self, found: DeviceReport) -> None:
        """Add what was measured."""
        report = self._report
        report.about |= found.about
        report.dumps |= found.dumps
        report.figures += found.figures
        report.pictures += found.pictures
        for result in list(found.checks):
            self._end(result)

    def _skip(self, checks: Sequence[tuple[str, str]], reason: str) -> None:
        for name, what in checks:
            self._end(CheckResult(name, what, Verdict.NOT_RUN, 0.0, reason))

    def _end(self, result: CheckResult) -> None:
        self._report.checks.append(result)
        self._progress.ends(result)


_Subject = Callable[[Operator], AbstractContextManager[Any]]
"""Opens what a check is given; the operator makes the faults that no simulator makes."""


def machine() -> dict[str, str]:
    """This machine, for a report."""
    try:
        ours = version("sco-paymaster")
    except PackageNotFoundError:
        ours = "not installed"
    return {
        "host": platform.node(),
        "system": _system(),
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
        "sco-paymaster": ours,
    }


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return platform.system()
