"""Tests of a lane's devices: find them, check them, measure them, write a report.

::

    from sco_hwtest import run, write_html

    report = run([("printer", "tcp://10.0.0.5:9100"), ("screen", "drm:///dev/dri/card0")])
    write_html(report, "report.html")
    if not report.passed:
        for device, check in report.failures:
            print(device.url, check.name, check.found, check.to_do)

These names are the public API; other modules may change without notice. Each name is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sco_hwtest.burn_in import run_burn_in as run_burn_in
    from sco_hwtest.burn_in_results import BurnInReport as BurnInReport
    from sco_hwtest.comparison import Change as Change
    from sco_hwtest.comparison import Comparison as Comparison
    from sco_hwtest.comparison import compare as compare
    from sco_hwtest.contracts.check import Check as Check
    from sco_hwtest.discovery import Discovery as Discovery
    from sco_hwtest.discovery import Found as Found
    from sco_hwtest.discovery import discover as discover
    from sco_hwtest.history import History as History
    from sco_hwtest.history import HistoryError as HistoryError
    from sco_hwtest.limits import Limits as Limits
    from sco_hwtest.limits_file import LimitsError as LimitsError
    from sco_hwtest.limits_file import load_limits as load_limits
    from sco_hwtest.questions import Answer as Answer
    from sco_hwtest.questions import Question as Question
    from sco_hwtest.report import write_html as write_html
    from sco_hwtest.report import write_json as write_json
    from sco_hwtest.report import write_junit as write_junit
    from sco_hwtest.report_file import ReportError as ReportError
    from sco_hwtest.report_file import read_report as read_report
    from sco_hwtest.results import CheckResult as CheckResult
    from sco_hwtest.results import DeviceReport as DeviceReport
    from sco_hwtest.results import Figure as Figure
    from sco_hwtest.results import Picture as Picture
    from sco_hwtest.results import Report as Report
    from sco_hwtest.results import Verdict as Verdict
    from sco_hwtest.runner import run as run
    from sco_hwtest.runner import run_suite as run_suite

_MODULES = {
    "Answer": "questions",
    "BurnInReport": "burn_in_results",
    "Change": "comparison",
    "Check": "contracts.check",
    "CheckResult": "results",
    "Comparison": "comparison",
    "DeviceReport": "results",
    "Discovery": "discovery",
    "Figure": "results",
    "Found": "discovery",
    "History": "history",
    "HistoryError": "history",
    "Limits": "limits",
    "LimitsError": "limits_file",
    "Picture": "results",
    "Question": "questions",
    "Report": "results",
    "ReportError": "report_file",
    "Verdict": "results",
    "compare": "comparison",
    "discover": "discovery",
    "load_limits": "limits_file",
    "read_report": "report_file",
    "run": "runner",
    "run_burn_in": "burn_in",
    "run_suite": "runner",
    "write_html": "report",
    "write_json": "report",
    "write_junit": "report",
}
__all__ = [
    "Answer",
    "BurnInReport",
    "Change",
    "Check",
    "CheckResult",
    "Comparison",
    "DeviceReport",
    "Discovery",
    "Figure",
    "Found",
    "History",
    "HistoryError",
    "Limits",
    "LimitsError",
    "Picture",
    "Question",
    "Report",
    "ReportError",
    "Verdict",
    "compare",
    "discover",
    "load_limits",
    "read_report",
    "run",
    "run_burn_in",
    "run_suite",
    "write_html",
    "write_json",
    "write_junit",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    """The public names."""
    return __all__
