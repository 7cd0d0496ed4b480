"""Runs the contract suites and measurements on devices named by URL. What goes wrong is in the report, not raised."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractContextManager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

from sco_drivers.errors import DeviceBusy, DeviceError, DeviceNotFound, DevicePermission
from sco_hwtest.contracts.check import CannotRun, Check
from sco_hwtest.discovery import discover
from sco_hwtest.manual import tap_the_buttons
from sco_hwtest.measure import MEASURES
from sco_hwtest.questions import Person, nobody
from sco_hwtest.results import CheckResult, DeviceReport, Figure, Kind, Report, Verdict
from sco_hwtest.suites import missing_library, opener, suite_of

CHECK_TIMEOUT_S = 180.0
"""A check that has not come back by then has hung."""


_MEASURING = ("measurements", "The device is measured to the end.")


class Progress(Protocol):
    """Is told how a run goes on. Must not raise."""

    def device(self, kind: Kind, url: str, checks: int) -> None:
        """A device's suite of so many checks begins."""
        ...

    def begins(self, name: str) -> None:
        """A check, or the measuring, begins."""
        ...

    def ends(self, result: CheckResult) -> None:
        """A check has ended."""
        ...


class Silent:
    """Tells nobody."""

    def device(self, kind: Kind, url: str, checks: int) -> None:
        """Nothing."""

    def begins(self, name: str) -> None:
        """Nothing."""

    def ends(self, result: CheckResult) -> None:
        """Nothing."""


def run(
    devices: Sequence[tuple[Kind, str]],
    *,
    person: Person = nobody,
    progress: Progress | None = None,
    only: Collection[str] = (),
    faults: bool = False,
    check_timeout_s: float = CHECK_TIMEOUT_S,
    stop: threading.Event | None = None,
) -> Report:
    """Run the contract suite and the measurements of each device.

    Args:
        devices: kind and URL of each, e.g. `[("printer", "tcp://10.0.0.5:9100"), ("screen", "fb:///dev/fb0")]`.
        person: answers what only eyes can tell; by default nobody does, and the questions count as not answered.
        progress: is told how it goes.
        only: names of checks; all when empty. With it nothing is measured.
        faults: also the checks of faults (paper out, cover open, cable pulled): a person is told what to do, a
            simulated device does it by itself.
        check_timeout_s: after which a check counts as hung, and its device's others are not run.
        stop: set it to end after the check that runs.

    Returns:
        The report. Devices that cannot be opened are in it, as failures that say what to do.
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
                person=person,
                progress=progress,
                only=only,
                faults=faults,
                check_timeout_s=check_timeout_s,
                stop=stop,
                screen=screens[0] if screens else None,
            )
        )
    report.seconds = time.perf_counter() - start
    report.interrupted = stop.is_set()
    return report


def run_suite(
    kind: Kind,
    url: str,
    *,
    person: Person = nobody,
    progress: Progress | None = None,
    only: Collection[str] = (),
    faults: bool = False,
    check_timeout_s: float = CHECK_TIMEOUT_S,
    stop: threading.Event | None = None,
    screen: str | None = None,
    measure: bool = True,
) -> DeviceReport:
    """Run one device's suite; see `run`.

    Args:
        screen: URL of the screen before a touch panel, on which a person is shown what to tap.
        measure: whether to measure, too, and to ask what only eyes can tell.
    """
    return _Run(
        DeviceReport(kind, url),
        person,
        Silent() if progress is None else progress,
        frozenset(only),
        check_timeout_s,
        threading.Event() if stop is None else stop,
        screen,
    ).whole(faults=faults, measure=measure)


class _Run:
    def __init__(
        self,
        report: DeviceReport,
        person: Person,
        progress: Progress,
        only: frozenset[str],
        timeout_s: float,
        stop: threading.Event,
        screen: str | None,
    ) -> None:
        self._report = report
        self._person = person
        self._progress = progress
        self._only = only
        self._timeout_s = timeout_s
        self._stop = stop
        self._screen = screen
        self._hung = ""

    def whole(self, *, measure: bool, faults: bool) -> DeviceReport:
        kind, url = self._report.kind, self._report.url
        suite, missing = None, None
        try:
            suite = suite_of(kind)
        except CannotRun as error:
            missing = CheckResult("suite", "The contract suite is there.", Verdict.NOT_RUN, 0, str(error), error.to_do)
        every = () if suite is None else suite.checks
        checks = [check for check in every if not self._only or check.name in self._only]
        faulty = suite.fault_checks if suite is not None and faults else ()
        faulty = tuple(check for check in faulty if not self._only or check.name in self._only)
        self._progress.device(kind, url, len(checks) + len(faulty) + 1)
        if missing is not None:
            self._end(missing)
        if not self._opens():
            rest = [(check.name, check.what) for check in (*checks, *faulty)]
            if measure and not self._only:
                rest.append(_MEASURING)
            self._skip(rest, "the device could not be opened")
            return self._report
        for check in checks:
            if self._stop.is_set():
                break
            assert suite is not None
            self._check(check, partial(suite.subject, url), self._limited)
        for check in faulty:
            if self._stop.is_set():
                break
            # without a limit: a person takes the time that it takes
            assert suite is not None
            assert suite.faulty is not None
            self._check(check, partial(suite.faulty, url, self._person), self._caught)
        if measure and not self._only and not self._stop.is_set():
            self._measure()
        return self._report

    def _opens(self) -> bool:
        """The first check. How long it took is the first figure."""
        what = "The device is opened by its URL."
        self._progress.begins("opens")
        start = time.perf_counter()
        error = self._limited(lambda: opener(self._report.kind)(self._report.url).close())
        took = time.perf_counter() - start
        if error is None:
            self._end(CheckResult("opens", what, Verdict.PASSED, took))
            self._report.figures.append(Figure("opening and closing it", took * 1000, "ms"))
            return True
        self._end(self._judged("opens", what, took, error))
        return False

    def _check(
        self,
        check: Check[Any],
        subject: Callable[[], AbstractContextManager[Any]],
        guarded: Callable[[Callable[[], None]], Exception | None],
    ) -> None:
        """Run `check` on what `subject` opens; `guarded` calls that and gives back what it raised."""
        if self._hung:
            self._skip([(check.name, check.what)], f"{self._hung} hangs and has the device")
            return
        self._progress.begins(check.name)
        start = time.perf_counter()

        def work() -> None:
            with subject() as opened:
                check.run(opened)

        error = guarded(work)
        took = time.perf_counter() - start
        if isinstance(error, _Hung):
            self._hung = check.name
        self._end(
            CheckResult(check.name, check.what, Verdict.PASSED, took)
            if error is None
            else self._judged(check.name, check.what, took, error)
        )

    def _limited(self, work: Callable[[], None]) -> Exception | None:
        """In a thread of its own, so that a driver that hangs does not hang the bench. What it raised, or None."""
        raised: list[Exception] = []
        done = threading.Event()

        def guarded() -> None:
            try:
                work()
            except Exception as error:
                raised.append(error)
            finally:
                done.set()

        threading.Thread(target=guarded, name="sco-hwtest-check", daemon=True).start()
        if not done.wait(self._timeout_s):
            return _Hung(f"it did not come back within {self._timeout_s:.0f} s")
        return raised[0] if raised else None

    def _judged(self, name: str, what: str, took: float, error: Exception) -> CheckResult:
        verdict, to_do = Verdict.FAILED, getattr(error, "to_do", "")
        match error:
            case CannotRun():
                verdict, found = Verdict.NOT_RUN, str(error)
            case ImportError() if not isinstance(error, DeviceError):
                missing = missing_library(error)
                verdict, found, to_do = Verdict.NOT_RUN, str(missing), missing.to_do
            case DeviceError():
                found, to_do = error.message, advice(self._report.kind, self._report.url, error)
            case AssertionError() | _Hung():
                found = str(error) or "it is not so"
            case _:
                found = f"the driver or the check broke: {type(error).__name__}: {error}"
                to_do = "this is a fault of sco-paymaster: please send us this report"
        return CheckResult(name, what, verdict, took, found, to_do)

    def _measure(self) -> None:
        name, what = _MEASURING
        if self._hung:
            self._skip([(name, what)], f"{self._hung} hangs and has the device")
            return
        self._progress.begins("measuring")
        told = len(self._report.checks)
        start = time.perf_counter()
        screen = self._screen
        if self._report.kind == "touch" and screen is not None and "sim://" not in self._report.url:
            error = self._caught(lambda: tap_the_buttons(self._report, screen, self._person))
            if error is not None:
                self._end(self._judged("taps-by-hand", "A person's taps are heard.", 0.0, error))
                return
        # Not in a thread with a limit: people answer when they do.
        error = self._caught(self._measured)
        for result in self._report.checks[told:]:
            self._progress.ends(result)
        if error is not None:
            self._end(self._judged(name, what, time.perf_counter() - start, error))

    def _measured(self) -> None:
        with opener(self._report.kind)(self._report.url) as device:
            MEASURES[self._report.kind](device, self._report, self._person)

    @staticmethod
    def _caught(work: Callable[[], None]) -> Exception | None:
        try:
            work()
        except Exception as error:
            return error
        return None

    def _skip(self, checks: Sequence[tuple[str, str]], why: str) -> None:
        for name, what in checks:
            self._end(CheckResult(name, what, Verdict.NOT_RUN, 0.0, why))

    def _end(self, result: CheckResult) -> None:
        self._report.checks.append(result)
        self._progress.ends(result)


class _Hung(Exception):
    """A check did not come back."""


def advice(kind: Kind, url: str, error: DeviceError) -> str:
    """What to do about an error of a device: its own hint, and what the machine shows of it."""
    words = [error.hint] if error.hint else []
    if not isinstance(error, (DeviceNotFound, DevicePermission, DeviceBusy)):
        return "; ".join(words)
    with suppress(Exception):  # advice must not bring down a report
        place = url.split("://", 1)[-1].split("?")[0]
        kinds = (kind, "serial") if kind in ("printer", "nfc") else (kind,)
        found = discover().found
        mine = [
            one
            for one in found
            if any(place and place in address.url for address in one.urls)
            or any(file.path == place for file in one.files)
        ]
        for one in mine:
            words += [f"{problem.found}: {problem.to_do}" for problem in one.problems]
        if isinstance(error, DeviceNotFound) and not mine and url.split("://")[0] not in ("tcp", "udp", "sim"):
            others = [one.urls[0].url for one in found if one.urls and not one.problems and one.kind in kinds]
            if others:
                words.append(f"plugged in here: {', '.join(others)}")
            elif "sco-hwtest discover" not in error.hint:
                words.append("see sco-hwtest discover")
    return "; ".join(words)


def machine() -> dict[str, str]:
    """Where this runs, for a report."""
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
