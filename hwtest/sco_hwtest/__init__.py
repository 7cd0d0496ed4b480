"""The test bench: conformance suites for any device URL, simulated or real.

For scripts::

    from sco_hwtest import run, write_html

    report = run([("printer", "tcp://10.0.0.5:9100"), ("screen", "drm:///dev/dri/card0")])
    write_html(report, "report.html")
    if not report.passed:
        for device, check in report.failures:
            print(device.url, check.name, check.found, check.to_do)

Importing this imports nothing else: each name is loaded when it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sco_hwtest.burn_in import BurnInReport as BurnInReport
    from sco_hwtest.burn_in import run_burn_in as run_burn_in
    from sco_hwtest.discovery import Discovery as Discovery
    from sco_hwtest.discovery import Found as Found
    from sco_hwtest.discovery import discover as discover
    from sco_hwtest.questions import Answer as Answer
    from sco_hwtest.questions import Question as Question
    from sco_hwtest.report import write_html as write_html
    from sco_hwtest.report import write_json as write_json
    from sco_hwtest.results import CheckResult as CheckResult
    from sco_hwtest.results import DeviceReport as DeviceReport
    from sco_hwtest.results import Figure as Figure
    from sco_hwtest.results import Picture as Picture
    from sco_hwtest.results import Report as Report
    from sco_hwtest.results import Verdict as Verdict
    from sco_hwtest.runner import run as run
    from sco_hwtest.runner import run_suite as run_suite

_WHERE = {
    "Answer": "questions",
    "CheckResult": "results",
    "DeviceReport": "results",
    "Discovery": "discovery",
    "Figure": "results",
    "Found": "discovery",
    "Picture": "results",
    "Question": "questions",
    "Report": "results",
    "BurnInReport": "burn_in",
    "Verdict": "results",
    "discover": "discovery",
    "run": "runner",
    "run_suite": "runner",
    "run_burn_in": "burn_in",
    "write_html": "report",
    "write_json": "report",
}
__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    """A public name, from the module that has it."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
