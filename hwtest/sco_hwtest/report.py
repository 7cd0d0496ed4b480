"""Writes the report of a run or a burn-in: an HTML page that needs no other file, JSON, or JUnit XML."""

from __future__ import annotations

import json
from pathlib import Path

from sco_hwtest import burn_in_page, run_page
from sco_hwtest.burn_in_results import BurnInReport
from sco_hwtest.junit import junit_xml
from sco_hwtest.results import Report


def write_html(report: Report | BurnInReport, path: str | Path) -> None:
    """Write the page of a run or a burn-in. Raises OSError."""
    text = run_page.html(report) if isinstance(report, Report) else burn_in_page.html(report)
    Path(path).write_text(text, "utf-8")


def write_json(report: Report | BurnInReport, path: str | Path) -> None:
    """Write the document of the report's `as_json`. Raises OSError."""
    Path(path).write_text(json.dumps(report.as_json(), ensure_ascii=False, indent=2) + "\n", "utf-8")


def write_junit(report: Report | BurnInReport, path: str | Path) -> None:
    """Write JUnit XML for a CI server. Raises OSError."""
    Path(path).write_bytes(junit_xml(report))
